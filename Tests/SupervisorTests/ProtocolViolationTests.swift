import NIOCore
import Policy
import Testing
import Wire

@testable import Supervisor

/// What a cell must never say. `request` is one that it holds and has not answered, `version` its tenant's.
struct Violation: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let send: @Sendable (_ cell: FakeCell, _ request: UInt64, _ version: UInt64) -> Void

    init(_ description: String, _ send: @escaping @Sendable (FakeCell, UInt64, UInt64) -> Void) {
        testDescription = description
        self.send = send
    }

    private static func raw(length: UInt32 = 0, kind: UInt8, flags: UInt8 = 0) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(length, endianness: .little)
        bytes.writeBytes([kind, flags] + [UInt8](repeating: 0, count: 10))
        return bytes
    }

    static let frames: [Violation] = [
        Violation("a kind that there is not") { cell, _, _ in cell.send(raw(kind: 200)) },
        Violation("a kind that only the supervisor sends") { cell, request, _ in cell.send(.abort, id: request) },
        Violation("unknown flags") { cell, _, _ in cell.send(raw(kind: FrameKind.status.rawValue, flags: 128)) },
        Violation("a length over the kind's limit") { cell, _, _ in cell.send(raw(length: 1 << 20, kind: FrameKind.responseBody.rawValue))
        },
        Violation("READY twice") { cell, _, _ in cell.send(.ready) },
        Violation("a snapshot, from a cell that is no builder") { cell, _, _ in cell.send(.snapshot) },
        Violation("a turn given up of a version that it does not have") { cell, _, version in
            cell.send(.abandoned, extra: ErrorCode.cpuLimit.rawValue, id: version + 1000)
        },
        Violation("a turn given up for a reason that there is not") { cell, _, version in
            cell.send(.abandoned, extra: ErrorCode.tenantBusy.rawValue, id: version)
        },
        Violation("a status that nobody asked for") { cell, _, _ in
            var payload = ByteBuffer()
            CellStatus().encode(into: &payload)
            cell.send(.status, payload)
        },
    ]

    static let answers: [Violation] = [
        Violation("an informational status") { cell, request, _ in cell.head(request, status: 100) },
        Violation("a status over 599") { cell, request, _ in cell.head(request, status: 600) },
        Violation("two heads") { cell, request, _ in
            cell.head(request)
            cell.head(request)
        },
        Violation("a head without its fields") { cell, request, _ in cell.send(.response, extra: 200, id: request) },
        Violation("headers longer than the frame") { cell, request, _ in
            var payload = ByteBuffer()
            payload.append(integer: UInt32(1000))
            cell.send(.response, extra: 200, id: request, payload)
        },
        Violation("a header that would forge another") { cell, request, _ in cell.head(request, headers: "x\na\r\nset-cookie: b=c") },
        Violation("a failure with a code that only the supervisor gives") { cell, request, _ in
            cell.fail(request, code: ErrorCode.tenantBusy.rawValue)
        },
        Violation("a failure with a code that there is not") { cell, request, _ in cell.fail(request, code: 999) },
        Violation("a failure without its fields") { cell, request, _ in
            cell.send(.failure, extra: ErrorCode.exception.rawValue, id: request)
        },
        Violation("an end without the CPU time") { cell, request, _ in cell.send(.finished, id: request) },
    ]

    static let bodies: [Violation] = [
        Violation("a body before its head") { cell, request, _ in cell.send(.responseBody, id: request, ByteBuffer(string: "x")) },
        Violation("a body that breaks off before its head") { cell, request, _ in cell.send(.responseBroken, id: request) },
        Violation("a body after its end") { cell, request, _ in
            cell.head(request, flags: .end)
            cell.send(.responseBody, id: request)
        },
        Violation("a body over its window") { cell, request, _ in
            cell.head(request)
            for _ in 0...(FrameHeader.windowBytes / FrameHeader.bodyBytesLimit) {
                cell.send(.responseBody, id: request, ByteBuffer(repeating: 120, count: FrameHeader.bodyBytesLimit))
            }
        },
        Violation("more beside a head than a body frame takes") { cell, request, _ in
            cell.head(request, body: String(repeating: "x", count: FrameHeader.bodyBytesLimit + 1))
        },
        Violation("credit for bytes that were not sent") { cell, request, _ in cell.credit(request, 2) },
        Violation("credit without a number") { cell, request, _ in cell.send(.requestCredit, id: request) },
    ]

    static let names: [Violation] = [
        Violation("a log line of a version it does not have") { cell, _, version in cell.log(version: version + 1, "x") },
        Violation("a log line that is no text") { cell, _, version in
            var payload = ByteBuffer()
            payload.append(integer: UInt8(1))
            payload.append(integer: UInt64(0))
            payload.append(integer: UInt32(0))
            payload.append(bytes: [0xff, 0xfe])
            cell.send(.log, id: version, payload)
        },
        Violation("the end of an isolate it does not have") { cell, _, version in cell.send(.isolateEnded, id: version + 1) },
    ]
}

/// What does not fit the protocol ends the cell that said it, and no other.
@Suite(.timeLimit(.minutes(2))) struct ProtocolViolationTests {
    @Test(arguments: Violation.frames + Violation.answers + Violation.bodies + Violation.names)
    func aViolationEndsTheCellAndOnlyIt(_ violation: Violation) async throws {
        let test = try await TestSupervisor([.test("a"), .test("b", cordon: .trusted)])
        let client = try await test.request("a", body: "x", isComplete: false)
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant)
        let request = try await cell.next(.request)
        let bystander = try await test.request("b")
        let other = try await test.readyCell()
        let otherRequest = try await other.nextRequest()
        // It has begun: no second try hides what happens.
        cell.send(.entered, id: request.id)
        violation.send(cell, request.id, version.id)
        // What comes behind does not count.
        cell.answer(request.id, "too late")

        try await cell.expectEnd()
        switch try await client.next() {
        case .failed(let code, _): #expect(code == .cellLost)
        case .head(_, _, _, isComplete: true): break
        case .head: while true { if try await client.next() == .broken { break } }
        default: Issue.record("neither a head nor a refusal")
        }
        other.answer(otherRequest.id, "fine")
        #expect(try await bystander.next() == .head(status: 200, headers: "", body: "fine", isComplete: true))
        #expect(!other.isKilled)
        try await test.expectNothingHeld()
    }

    @Test func aTruncatedStatusEndsTheCell() async throws {
        let test = try await TestSupervisor()
        _ = try await test.request()
        let cell = try await test.readyCell()
        try await cell.nextRequest()
        try await test.advance(milliseconds: 1_000)
        cell.send(.status, id: try await cell.pings.next(), ByteBuffer(integer: UInt32(1)))
        try await cell.expectEnd()
    }

    @Test(arguments: [FrameKind.response, .log, .status, .isolateEnded])
    func nothingMayComeBeforeReady(_ kind: FrameKind) async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.spawner.cells.next()
        cell.send(kind, extra: 200, id: 1)
        #expect(try await client.next() == .failed(.overloaded, retryAfterSeconds: 5))
        #expect(cell.isKilled)
    }

    @Test func framesOfRequestsThatAreOverAreIgnored() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        let request = try await cell.nextRequest()
        cell.answer(request.id)
        _ = try await client.next()
        cell.head(request.id)
        cell.send(.responseBody, id: request.id, ByteBuffer(string: "x"))
        cell.fail(request.id, code: ErrorCode.exception.rawValue)
        cell.finish(request.id)
        cell.credit(request.id, 1)
        let next = try await test.request()
        cell.answer(try await cell.next(.request).id, "fine")
        #expect(try await next.next() == .head(status: 200, headers: "", body: "fine", isComplete: true))
        #expect(!cell.isKilled)
    }

    /// More than a hundred thousand a second of what changes nothing, though it names what the cell has.
    @Test(arguments: [
        FrameKind.entered, .responseBody, .requestCredit, .isolateEnded, .started, .parked, .cold, .snapshotRefused, .abandoned, .failure,
        .responseBroken,
    ])
    func aCellThatOnlyKeepsTheSupervisorFromItsWorkIsEnded(_ kind: FrameKind) async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")])
        let client = try await test.request("b", body: "x", isComplete: false)
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        let request = try await cell.next(.request).id
        cell.head(request)
        _ = try await client.next()
        var payload = ByteBuffer()
        switch kind {
        case .parked: payload.append(integer: UInt64(1))
        case .started: for _ in 0..<2 { payload.append(integer: UInt64(1)) }
        case .requestCredit: payload.append(integer: UInt32(0))
        case .failure: payload.append(string: "why")
        default: break
        }
        let isOfRequest = [.entered, .responseBody, .requestCredit, .failure, .responseBroken].contains(kind)
        let extra: UInt16 =
            switch kind {
            case .abandoned: ErrorCode.cpuLimit.rawValue
            case .isolateEnded: EvictionReason.idle.rawValue
            case .failure: ErrorCode.exception.rawValue
            default: 0
            }
        var frames = ByteBuffer()
        for _ in 0...Supervisor.strayFramesPerSecondLimit + 1 {
            FrameHeader(kind, length: payload.readableBytes, extra: extra, id: isOfRequest ? request : version).encode(into: &frames)
            frames.writeImmutableBuffer(payload)
        }
        cell.send(frames)
        try await cell.expectEnd()
    }

    /// Lines that a tenant writes in many short turns are dropped, and cost nobody a cell; while they come, others' work comes between. Nobody looks at
    /// what is dropped.
    @Test func aTenantThatWritesTooManyLinesCostsNoCell() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        let version = try await cell.next(.tenant).id
        let request = try await cell.next(.request).id
        var payload = ByteBuffer()
        LogFrame(level: .info, request: request, dropped: 0, message: "x").encode(into: &payload)
        var frames = ByteBuffer()
        for _ in 0...Supervisor.strayFramesPerSecondLimit + 1 {
            FrameHeader(.log, length: payload.readableBytes, id: version).encode(into: &frames)
            frames.writeImmutableBuffer(payload)
        }
        var noText = ByteBuffer()
        noText.append(integer: UInt8(1))
        noText.append(integer: UInt64(0))
        noText.append(integer: UInt32(0))
        noText.append(bytes: [0xff, 0xfe])
        FrameHeader(.log, length: noText.readableBytes, id: version).encode(into: &frames)
        frames.writeBuffer(&noText)
        cell.send(frames)
        cell.answer(request, "fine")
        #expect(try await client.next() == .head(status: 200, headers: "", body: "fine", isComplete: true))
        #expect(!cell.isKilled)
        func isReadSlowly() async throws -> Bool { try await test.onLoop { $0.allCells[0].isReadSlowly } }
        #expect(try await isReadSlowly())
        // The second of the flood, and one without.
        try await test.advance(seconds: 1)
        #expect(try await isReadSlowly())
        try await test.advance(seconds: 1)
        #expect(try await !isReadSlowly())
    }

    @Test func framesMayComeInAnyPieces() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        let request = try await cell.nextRequest()
        var payload = ByteBuffer()
        payload.append(string: "x\ny")
        payload.writeString("body")
        var bytes = ByteBuffer()
        FrameHeader(.response, length: payload.readableBytes, flags: .end, extra: 201, id: request.id).encode(into: &bytes)
        bytes.writeBuffer(&payload)
        for byte in bytes.readableBytesView {
            cell.send(ByteBuffer(bytes: [byte]))
            try await Task.sleep(for: .microseconds(200))
        }
        #expect(try await client.next() == .head(status: 201, headers: "x\ny", body: "body", isComplete: true))
    }

    @Test func aTenantsOwnMistakeIsNotTheCells() async throws {
        let test = try await TestSupervisor()
        let client = try await test.request()
        let cell = try await test.readyCell()
        let request = try await cell.nextRequest()
        cell.head(request.id, headers: "x\na\u{1}b")
        #expect(try await client.next() == .failed(.invalidResponse, retryAfterSeconds: nil))
        #expect(try await cell.next(.abort).id == request.id)
        cell.finish(request.id)
        try await test.advance(milliseconds: 1000)
        try await cell.status()
        #expect(!cell.isKilled)
        try await test.expectNothingHeld()
    }
}
