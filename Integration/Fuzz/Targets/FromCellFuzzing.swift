import Bundles
import Glibc
import Logging
import NIOCore
import NIOPosix
import Policy
import Synchronization
import Telemetry
import Wire

@testable import Supervisor

/// A cell that says anything at all, to a supervisor with requests of two tenants in it. Whatever comes, the supervisor lives, each client is
/// answered exactly once, and nothing of a request is left.
///
/// One supervisor serves all inputs: before each, hours pass and the tenants get new versions, so that little is left of the one before.
final class FromCellFuzzing: @unchecked Sendable {
    static let shared = FromCellFuzzing()
    /// Far longer than anything takes.
    private static let patienceNanoseconds: UInt64 = 20_000_000_000
    private static let hourNanoseconds: UInt64 = 3_600_000_000_000

    private let loop: any EventLoop
    private let supervisor: Supervisor
    private let spawner: OneCellSpawner
    private let nanoseconds: TestClock
    private var inputs = 0
    private var nextRequest: UInt64 = 1

    private final class TestClock: Sendable { let now = Atomic<UInt64>(FromCellFuzzing.hourNanoseconds) }

    private init() {
        // A write to a cell whose end is closed is an error.
        signal(SIGPIPE, SIG_IGN)
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let clock = TestClock()
        let spawner = OneCellSpawner()
        var configuration = SupervisorConfiguration()
        configuration.suspendAfter = 0
        configuration.codeReaders = 1
        configuration.quarantine.limitBreaches = 2
        self.loop = loop
        self.spawner = spawner
        nanoseconds = clock
        supervisor = Supervisor(
            eventLoop: loop, configuration: configuration, spawner: spawner,
            logger: Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() }), registry: MetricsRegistry(),
            clock: { clock.now.load(ordering: .relaxed) }, loadPolicies: { PolicyLoad(tenants: [], failures: [:]) })
    }

    func run(_ input: [UInt8]) {
        var bytes = FuzzBytes(input)
        let mode = bytes.byte()
        inputs += 1
        let clients = begin()
        let cell = spawner.take()
        cell.send(.ready, payload: Array("10.2".utf8))
        let ids = cell.readWhatItGot(requests: clients.count)
        if mode & 2 != 0 { onLoop { _ = $0.listIsolates() } }
        if mode & 4 != 0 { onLoop { _ in clients[2].leave() } }
        let query = onLoop { $0.pings }
        if mode & 1 == 0 {
            cell.send(bytes.takeRest())
        } else {
            let script = CellScript(requests: clients.map(\.id), versions: ids, query: query)
            cell.send(script.frames(&bytes))
        }
        cell.end()
        waitUntilNothingIsLeft(clients)
        for client in clients { client.checkItWasAnswered() }
    }

    @discardableResult
    private func onLoop<T: Sendable>(_ body: @escaping @Sendable (Supervisor) -> T) -> T {
        try! loop.submit { [supervisor] in body(supervisor) }.wait()
    }

    /// New versions of both tenants, and three requests that wait for a cell: one without a body, one whose body goes on, one of another tenant.
    private func begin() -> [FuzzClient] {
        nanoseconds.now.add(2 * Self.hourNanoseconds, ordering: .relaxed)
        spawner.allow()
        let clients = (0..<3).map { FuzzClient(id: nextRequest + UInt64($0)) }
        nextRequest += 3
        let load = PolicyLoad(
            tenants: ["a", "b"].map { name in
                let policy = TenantPolicy(tenant: name, hosts: ["\(name).test"], main: "/\(name)/main.js")
                return PolicyLoad.Tenant(
                    policy: policy, vars: [], secrets: [],
                    bundle: BundleStore().keep([BundleModule(name: "main.js", kind: .javascript, data: Array("\(inputs)".utf8))]))
            }, failures: [:])
        onLoop { supervisor in
            supervisor.apply(load)
            supervisor.tick()
            for (client, (tenant, body)) in zip(clients, [("a", nil), ("a", "begun"), ("b", nil)] as [(String, String?)]) {
                let request = IncomingRequest(
                    id: client.id, host: "\(tenant).test", method: "GET", url: "http://\(tenant).test/", headers: ByteBuffer(),
                    body: body.map { ByteBuffer(string: $0) }, bodyIsComplete: body == nil, contentLength: nil)
                client.request = supervisor.dispatch(request, to: client)
            }
        }
        return clients
    }

    private func waitUntilNothingIsLeft(_ clients: [FuzzClient]) {
        let end = NIODeadline.now().uptimeNanoseconds + Self.patienceNanoseconds
        while true {
            let isOver = onLoop { supervisor in
                supervisor.openRequests.isEmpty && supervisor.allCells.isEmpty && clients.allSatisfy(\.isOver)
            }
            if isOver { break }
            hold(NIODeadline.now().uptimeNanoseconds < end, "requests or cells are left for ever")
        }
        let left = onLoop { [$0.admission.running, $0.admission.waiting, $0.leavingCells.count, $0.tenants.count - 2] }
        hold(left == [0, 0, 0, 0], "left in the admission, of cells or of tenants: \(left)")
        let versions = onLoop { $0.tenants.values.allSatisfy { $0.version?.openRequests == 0 && $0.version?.isRetired == false } }
        hold(versions, "a version with requests that are over")
    }
}

/// A client in the supervisor's loop: traps when it is answered twice or told of a body that it cannot have.
private final class FuzzClient: ResponseExchange, @unchecked Sendable {
    let id: UInt64
    var request: (any DispatchedRequest)?
    private var answers = 0
    private var hasLeft = false
    private(set) var isOver = false
    private var credit = 0

    init(id: UInt64) { self.id = id }

    func leave() {
        guard !isOver else { return }
        hasLeft = true
        isOver = true
        request?.clientGone()
    }

    func checkItWasAnswered() {
        hold(hasLeft || answers == 1, "a request had \(answers) answers")
        request = nil
    }

    func head(status: Int, headers: ByteBuffer, body: ByteBuffer?, isComplete: Bool) {
        hold((200...599).contains(status), "a response with the status \(status)")
        hold((try? ResponseHeaderCheck.check(headers)) != nil, "headers that HTTP cannot carry went on")
        answered(isLast: isComplete)
        if let body, !isComplete { request?.responseBodyTaken(body.readableBytes) }
    }

    func failed(_ code: ErrorCode, message: String, retryAfterSeconds: Int?) { answered(isLast: true) }

    func body(_ bytes: ByteBuffer) {
        goesOn()
        // Takes half of what comes, so that a cell can run out of credit.
        if bytes.readableBytes % 2 == 0 { request?.responseBodyTaken(bytes.readableBytes) }
    }

    func ended() {
        goesOn()
        isOver = true
    }

    func broken(_ why: String) {
        goesOn()
        isOver = true
    }

    func requestBodyCredit(_ bytes: Int) {
        credit += bytes
        hold(credit <= FrameHeader.windowBytes, "more credit than a window")
    }

    private func answered(isLast: Bool) {
        hold(!isOver && answers == 0, "a request was answered again")
        answers += 1
        isOver = isLast
    }

    private func goesOn() { hold(!isOver && answers == 1, "a body that the client cannot have") }
}

/// Makes one cell when it is allowed to, and fails otherwise.
private final class OneCellSpawner: CellSpawner {
    private struct NoMore: Error {}
    private struct State {
        var isAllowed = false
        var made: FuzzCell?
    }
    private let state = Mutex(State())

    func allow() { state.withLock { $0 = State(isAllowed: true) } }

    func take() -> FuzzCell { state.withLock { $0.made! } }

    func spawn(name: String, jit: Bool) throws -> any SpawnedCell {
        try state.withLock { state in
            guard state.isAllowed else { throw NoMore() }
            state.isAllowed = false
            let cell = FuzzCell()
            state.made = cell
            return cell
        }
    }
}

private final class FuzzCell: SpawnedCell, Sendable {
    let pid: Int32 = 0
    let isSandboxed = false
    private let supervisorEnd: Int32
    private let cellEnd: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        hold(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0, "no socket pair")
        supervisorEnd = ends[0]
        cellEnd = ends[1]
    }

    func takeSocket() -> Int32 { supervisorEnd }
    func verifySealed() throws {}
    func setCPUShare(_ share: Double?) {}
    func kill() {}
    func reap() -> (status: String, diagnostics: String) { ("", "") }

    func send(_ kind: FrameKind, payload: [UInt8]) {
        var frame = ByteWriter()
        FrameHeader(kind, length: payload.count).encode(into: &frame)
        send(frame.bytes + payload)
    }

    /// What the supervisor does not read any more is lost.
    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(cellEnd, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            sent += count
        }
    }

    func end() { close(cellEnd) }

    /// Reads until so many requests have come.
    /// - Returns: the tenants' versions, in their order.
    func readWhatItGot(requests: Int) -> [UInt64] {
        var left = requests
        var versions: [UInt64] = []
        while left > 0 {
            let header = read(FrameHeader.size).withUnsafeBytes { try! FrameHeader($0)! }
            _ = read(header.length)
            if header.kind == .tenant { versions.append(header.id) }
            if header.kind == .request { left -= 1 }
        }
        return versions
    }

    private func read(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let more = bytes.withUnsafeMutableBytes { recv(cellEnd, $0.baseAddress! + got, count - got, 0) }
            // The fuzzer has a timer.
            if more < 0, errno == EINTR { continue }
            hold(more > 0, "the supervisor closed a cell that had said nothing wrong")
            got += more
        }
        return bytes
    }
}

/// Frames that mean something, made from an input's bytes: right lengths, ids that exist, payloads of the right form with wrong contents.
private struct CellScript {
    private static let framesLimit = 64
    private static let bytesLimit = 1 << 20
    private static let sizes = [0, 1, 8, 1_000, FrameHeader.bodyBytesLimit, FrameHeader.bodyBytesLimit + 1]
    var requests: [UInt64]
    var versions: [UInt64]
    var query: UInt64

    func frames(_ bytes: inout FuzzBytes) -> [UInt8] {
        var out = ByteWriter()
        for _ in 0..<Self.framesLimit where !bytes.isEmpty && out.bytes.count < Self.bytesLimit {
            let kind = FrameKind(rawValue: 64 + bytes.byte() % 19) ?? .ping
            let flags = FrameFlags(rawValue: bytes.byte() % 4)
            let extra = extra(&bytes)
            let id = id(&bytes)
            let payload = payload(of: kind, &bytes)
            FrameHeader(kind, length: payload.count, flags: flags, extra: extra, id: id).encode(into: &out)
            payload.withUnsafeBytes { out.append($0) }
        }
        return out.bytes
    }

    private func extra(_ bytes: inout FuzzBytes) -> UInt16 {
        switch bytes.byte() {
        case let byte where byte < 128: [200, 204, 404, 500, 599, 600, 199, 0][Int(byte % 8)]
        case let byte where byte < 240: UInt16(byte % 32)
        case let byte where byte < 250: 256 + UInt16(byte % 8)
        default: bytes.short()
        }
    }

    private func id(_ bytes: inout FuzzBytes) -> UInt64 {
        switch bytes.number(upTo: 15) {
        case let index where index < 9: requests[index % 3]
        case let index where index < 13: versions[index % versions.count]
        case 13: query
        case 14: UInt64(bytes.short())
        default: 0
        }
    }

    private func payload(of kind: FrameKind, _ bytes: inout FuzzBytes) -> [UInt8] {
        let choice = bytes.byte()
        guard choice < 200 else { return bytes.take(Int(choice) - 200) }
        var out = ByteWriter()
        let filler = [UInt8](repeating: choice, count: Self.sizes[Int(choice) % Self.sizes.count])
        switch kind {
        case .response:
            let headers = choice & 1 == 0 ? Array("content-type\ntext/plain\n".utf8) : bytes.take(bytes.number(upTo: 40))
            out.append(bytes: headers)
            filler.withUnsafeBytes { out.append($0) }
        case .failure:
            out.append(bytes: bytes.take(bytes.number(upTo: 40)))
        case .responseBody: return filler
        case .requestCredit: out.append(integer: UInt32(bytes.byte()) << UInt32(bytes.number(upTo: 24)))
        case .finished, .parked: out.append(integer: UInt64(bytes.byte()) << UInt64(bytes.number(upTo: 56)))
        case .started: for _ in 0..<2 { out.append(integer: UInt64(bytes.byte()) << UInt64(bytes.number(upTo: 56))) }
        case .log:
            LogFrame(
                level: .info, request: requests[0], dropped: UInt32(choice),
                message: String(repeating: "x", count: min(filler.count, 9_000))
            )
            .encode(into: &out)
        case .status: CellStatus().encode(into: &out)
        case .isolates:
            for _ in 0..<bytes.number(upTo: 4) {
                bytes.take(IsolateReport.size).withUnsafeBytes { out.append($0) }
            }
        default: return bytes.take(bytes.number(upTo: 40))
        }
        return out.bytes
    }
}
