import Glibc
import Logging
import Testing

@testable import Telemetry

@Suite struct LogTests {
    private func line(_ format: LogFormat, _ message: String, _ metadata: [(key: String, value: Logger.MetadataValue)] = []) -> String {
        let handler = StructuredLogHandler(label: "t", output: LogOutput(descriptor: -1), format: format)
        let event = LogEvent(
            level: .info, message: "\(message)", metadata: nil, source: "s", file: "f", function: "f", line: 1)
        let time = timespec(tv_sec: 1_709_164_799, tv_nsec: 123_456_789)
        return String(decoding: handler.line(event, metadata, time: time), as: UTF8.self)
    }

    @Test func aJSONLineHoldsTimeLevelMessageAndMetadata() {
        #expect(
            line(.json, "ready", [("tenant", "a")])
                == #"{"time":"2024-02-28T23:59:59.123456Z","level":"info","message":"ready","logger":"t","tenant":"a"}"# + "\n")
    }

    @Test(arguments: [LogFormat.json, .terminal])
    func whatATenantWroteCannotLookLikeAnotherLine(_ format: LogFormat) {
        let hostile = "a\n{\"level\":\"error\"}\r\u{1B}[2J\u{0}\u{7F}\u{9B}31m\u{2028}\u{202E}"
        let text = line(format, hostile, [("tenant", "x\ny"), ("na\nme", "v")])
        let scalars = text.unicodeScalars.dropLast()
        #expect(text.hasSuffix("\n"))
        #expect(scalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && $0.value != 0x2028 && $0.value != 0x202E })
        if format == .json { #expect(text.contains(#"{\"level\":\"error\"}\r\u001b[2J\u0000\u007f\u009b31m\u2028\u202e"#)) }
    }

    @Test func aTenantCannotOverwriteTheLinesOwnMembers() {
        let text = line(.json, "m", [("level", "error"), ("message", "other")])
        #expect(text.contains(#""level":"info","message":"m""#))
        #expect(text.contains(#""_level":"error","_message":"other""#))
    }

    @Test func aLongLineIsCutAndSaysSo() {
        let metadata = (0..<100).map { (key: "k\($0)", value: Logger.MetadataValue.string(String(repeating: "v", count: 4_000))) }
        let text = line(.json, String(repeating: "\u{1}", count: 100_000), metadata)
        #expect(text.utf8.count < StructuredLogHandler.lineBytesLimit + 3 * StructuredLogHandler.valueBytesLimit)
        #expect(text.hasSuffix(",\"truncated\":true}\n"))
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"), (951_782_400, "2000-02-29T00:00:00.000000Z"), (4_102_444_799, "2099-12-31T23:59:59.000000Z"),
        (-1, "1969-12-31T23:59:59.000000Z"),
    ])
    func timesAreRFC3339InUTC(_ seconds: Int, _ expected: String) {
        var text = LogText()
        text.append(time: timespec(tv_sec: seconds, tv_nsec: 0))
        #expect(String(decoding: text.bytes, as: UTF8.self) == expected)
    }

    @Test func aReaderWhoHasStoppedCostsLinesButNeverTime() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let output = LogOutput(descriptor: ends[1], bufferBytesLimit: 64 << 10)
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 1_023) + [0x0A]
        // Nobody reads: the pipe, the thread and the buffer take 64 KiB each, and then it would block without bounds.
        var sent = 0
        repeat {
            for _ in 0..<100 { output.write(line) }
            sent += 100
        } while output.flush(timeoutMilliseconds: 5)
        for _ in 0..<400 { output.write(line) }
        sent += 400
        #expect(output.droppedLines >= 400 - 3 * 64)
        // Somebody reads again: what was kept arrives whole.
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var received = 0
        let kept = (sent - Int(output.droppedLines)) * 1_024
        while received < kept {
            let count = read(ends[0], &buffer, buffer.count)
            #expect(count > 0)
            if count <= 0 { break }
            received += count
        }
        #expect(received == kept)
        close(ends[0])
        close(ends[1])
    }

    /// A full disk costs the lines that find it full, and no others.
    @Test func whatCannotBeWrittenIsCountedAndWhatComesLaterIsWritten() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let descriptor = open("/dev/full", O_WRONLY | O_CLOEXEC)
        let output = LogOutput(descriptor: descriptor)
        for index in 0..<3 { output.write(Array("lost \(index)\n".utf8)) }
        let deadline = ContinuousClock.now + .seconds(20)
        while output.droppedLines < 3, ContinuousClock.now < deadline { usleep(1_000) }
        #expect(output.droppedLines == 3)
        #expect(dup2(ends[1], descriptor) == descriptor)
        output.write(Array("kept\n".utf8))
        #expect(output.flush(timeoutMilliseconds: 20_000))
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(ends[0], &buffer, buffer.count)
        #expect(String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self) == "kept\n")
        close(ends[0])
        close(ends[1])
        close(descriptor)
    }

    @Test func linesArriveInOrder() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let output = LogOutput(descriptor: ends[1])
        for index in 0..<100 { output.write(Array("\(index)\n".utf8)) }
        #expect(output.flush())
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(ends[0], &buffer, buffer.count)
        #expect(String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self) == (0..<100).map { "\($0)\n" }.joined())
        close(ends[0])
        close(ends[1])
    }
}
