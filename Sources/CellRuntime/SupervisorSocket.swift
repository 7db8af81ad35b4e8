import Glibc
import Wire

/// The one descriptor of a cell: the stream socket to the supervisor. Reading and writing are for different threads at the same time;
/// each side has its own lock.
final class SupervisorSocket: @unchecked Sendable {
    static let descriptor: Int32 = 3
    /// Log lines are dropped while more than this waits to be written.
    static let logBacklogBytesLimit = 1 << 20
    /// What one read takes at the most.
    private static let readBytes = 256 << 10

    private let outputLock = Lock()
    private var output = OutputBuffer()

    private var input: UnsafeMutableRawBufferPointer
    private var inputStart = 0
    private var inputEnd = 0

    init() { input = .allocate(byteCount: Self.readBytes, alignment: 16) }

    // MARK: Writing

    /// Appends one frame; `body` must add exactly `header.length` bytes.
    func send(_ header: FrameHeader, _ body: (inout OutputBuffer) -> Void = { _ in }) {
        outputLock.lock()
        header.encode(into: &output)
        let before = output.count
        body(&output)
        precondition(output.count - before == header.length, "a frame's length must be that of its payload")
        outputLock.unlock()
    }

    /// Appends a frame whose payload is encoded first, for frames that are rare.
    func send(_ kind: FrameKind, flags: FrameFlags = [], extra: UInt16 = 0, id: UInt64 = 0, payload: [UInt8]) {
        send(FrameHeader(kind, length: payload.count, flags: flags, extra: extra, id: id)) { output in
            payload.withUnsafeBytes { output.append($0) }
        }
    }

    /// A copy of what has not been written yet.
    var unsentBytes: [UInt8] { outputLock.withLock { Array(output.bytes) } }

    var backlogBytes: Int { outputLock.withLock { output.count } }

    /// Writes what the socket takes.
    /// - Returns: false when some is left.
    @discardableResult
    func flush() -> Bool { outputLock.withLock { flushLocked(flags: Int32(MSG_DONTWAIT)) } }

    /// Writes all of it, waiting for the supervisor; for a cell's first and last words.
    func flushBlocking() { outputLock.withLock { _ = flushLocked(flags: 0) } }

    /// Drops what was not sent, as the warm-up's answers.
    func discardOutput() { outputLock.withLock { output.consume(output.count) } }

    private func flushLocked(flags: Int32) -> Bool {
        while output.count > 0 {
            let bytes = output.bytes
            let written = Glibc.send(Self.descriptor, bytes.baseAddress!, bytes.count, flags | Int32(MSG_NOSIGNAL))
            if written < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN || errno == EWOULDBLOCK { return false }
                // The supervisor is gone: so is the cell's purpose.
                _exit(0)
            }
            output.consume(written)
        }
        return true
    }

    // MARK: Reading

    /// Waits until there is something to read (or, when output is left over, to write), at most `timeoutNanoseconds` (nil: for ever).
    func wait(timeoutNanoseconds: UInt64?) {
        var descriptor = pollfd(fd: Self.descriptor, events: Int16(POLLIN), revents: 0)
        if backlogBytes > 0 { descriptor.events |= Int16(POLLOUT) }
        let milliseconds = timeoutNanoseconds.map { Int32(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
        _ = poll(&descriptor, 1, milliseconds)
    }

    /// Reads what is there without waiting and hands each whole frame to `take`, whose payload is borrowed. One thread at a time.
    /// Ends the process when the supervisor is gone; throws when it sends what is not a frame.
    func receive(blocking: Bool = false, _ take: (FrameHeader, UnsafeRawBufferPointer) throws(WireError) -> Void) throws(WireError) {
        while true {
            if inputStart > 0 {
                input.baseAddress!.copyMemory(from: input.baseAddress! + inputStart, byteCount: inputEnd - inputStart)
                inputEnd -= inputStart
                inputStart = 0
            }
            let room = input.count - inputEnd
            let count = recv(
                Self.descriptor, input.baseAddress! + inputEnd, room, blocking ? 0 : Int32(MSG_DONTWAIT))
            if count == 0 { _exit(0) }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN || errno == EWOULDBLOCK { return }
                _exit(0)
            }
            inputEnd += count
            try takeFrames(take)
            if blocking || count < room { return }
        }
    }

    private func takeFrames(_ take: (FrameHeader, UnsafeRawBufferPointer) throws(WireError) -> Void) throws(WireError) {
        while let header = try FrameHeader(UnsafeRawBufferPointer(rebasing: input[inputStart..<inputEnd])) {
            let size = FrameHeader.size + header.length
            guard inputEnd - inputStart >= size else {
                if size > input.count { grow(to: size) }
                return
            }
            let payload = UnsafeRawBufferPointer(rebasing: input[(inputStart + FrameHeader.size)..<(inputStart + size)])
            inputStart += size
            try take(header, payload)
        }
        if input.count > Self.readBytes * 4, inputEnd - inputStart <= Self.readBytes { shrink() }
    }

    private func grow(to size: Int) { reallocate(max(size, input.count * 2)) }
    private func shrink() { reallocate(Self.readBytes) }

    private func reallocate(_ size: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[inputStart..<inputEnd]))
        inputEnd -= inputStart
        inputStart = 0
        input.deallocate()
        input = larger
    }
}
