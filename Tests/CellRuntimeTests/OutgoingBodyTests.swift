import Testing
import Wire

@testable import CellRuntime

@Suite struct OutgoingBodyTests {
    /// What lies in the socket's buffer, as frames.
    private func frames(_ socket: SupervisorSocket) throws -> [(header: FrameHeader, payload: [UInt8])] {
        var frames: [(FrameHeader, [UInt8])] = []
        var rest = socket.unsentBytes[...]
        while let header = try rest.withUnsafeBytes({ try FrameHeader($0) }) {
            let end = rest.startIndex + FrameHeader.size + header.length
            frames.append((header, Array(rest[(rest.startIndex + FrameHeader.size)..<end])))
            rest = rest[end...]
        }
        return frames
    }

    private func bytes(_ count: Int) -> FrameBytes {
        FrameBytes.make(count: count) { out in for index in out.indices { out[index] = UInt8(truncatingIfNeeded: index / 251) } }
    }

    @Test func aBodyIsSentInFramesUpToTheWindow() throws {
        let socket = SupervisorSocket()
        var body = OutgoingBody()
        let data = bytes(FrameHeader.windowBytes + 1000)
        let count = body.send(data.bytes, request: 7, end: true, to: socket)
        #expect(count == FrameHeader.windowBytes)
        let sent = try frames(socket)
        #expect(sent.allSatisfy { $0.header.kind == .responseBody && $0.header.id == 7 && $0.header.flags.isEmpty })
        #expect(sent.allSatisfy { $0.payload.count <= FrameHeader.bodyBytesLimit })
        #expect(sent.flatMap(\.payload) == Array(data.bytes[..<FrameHeader.windowBytes]))
        withExtendedLifetime(data) {}
        #expect(!body.isEnded)
    }

    @Test func creditSendsWhatWaitsAndThenTheEnd() throws {
        let socket = SupervisorSocket()
        var body = OutgoingBody()
        let data = bytes(FrameHeader.windowBytes + 1000)
        body.pendingStart = body.send(data.bytes, request: 7, end: true, to: socket)
        body.pending = data
        body.endsAfterPending = true
        let first = body.credit(600, request: 7, to: socket)
        #expect(!first && body.pending != nil && !body.isEnded)
        let second = body.credit(600, request: 7, to: socket)
        #expect(!second && body.pending == nil && body.isEnded)
        let sent = try frames(socket)
        #expect(sent.flatMap(\.payload) == Array(data.bytes))
        #expect(sent.filter { $0.header.flags.contains(.end) }.count == 1 && sent.last!.header.flags.contains(.end))
    }

    @Test func javaScriptIsToldOnceWhenTheWindowOpens() {
        let socket = SupervisorSocket()
        var body = OutgoingBody()
        let data = bytes(FrameHeader.windowBytes)
        _ = body.send(data.bytes, request: 7, end: false, to: socket)
        withExtendedLifetime(data) {}
        body.wantsCredit = true
        let first = body.credit(1, request: 7, to: socket)
        let second = body.credit(1, request: 7, to: socket)
        #expect(first && !second)
    }
}
