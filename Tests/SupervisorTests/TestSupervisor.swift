import Bundles
import Logging
import NIOCore
import NIOPosix
import Policy
import Synchronization
import Telemetry
import Testing
import Wire

@testable import Supervisor

/// A supervisor whose cells are fake and whose clock stands still until the test moves it.
final class TestSupervisor: Sendable {
    let supervisor: Supervisor
    let spawner: FakeSpawner
    let registry = MetricsRegistry()
    let bundles: BundleStore
    let eventLoop: any EventLoop
    private let clock: TestClock
    private let nextID = Atomic<UInt64>(1)

    private final class TestClock: Sendable {
        let nanoseconds = Atomic<UInt64>(1_000_000_000_000)
    }

    /// - Parameters:
    ///   - tenants: their policies, in force from the start.
    ///   - seal: what the check of each cell's seal throws.
    init(
        _ tenants: [TenantPolicy] = [.test("a")], seal: (any Error)? = nil,
        _ change: (inout SupervisorConfiguration) -> Void = { _ in }
    ) async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let clock = TestClock()
        var configuration = SupervisorConfiguration()
        configuration.codeReaders = 1
        change(&configuration)
        bundles = configuration.bundles
        self.eventLoop = eventLoop
        self.clock = clock
        spawner = FakeSpawner(eventLoop: eventLoop, seal: seal)
        supervisor = Supervisor(
            eventLoop: eventLoop, configuration: configuration, spawner: spawner,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), registry: registry,
            clock: { clock.nanoseconds.load(ordering: .sequentiallyConsistent) },
            loadPolicies: { PolicyLoad(tenants: [], failures: [:]) })
        try await apply(tenants)
    }

    /// Runs on the supervisor's loop. Throws when the test is over its time, so that no loop of a test's asks for ever.
    @discardableResult
    func onLoop<T: Sendable>(_ body: @escaping @Sendable (Supervisor) -> T) async throws -> T {
        try Task.checkCancellation()
        return try await eventLoop.submit { [supervisor] in body(supervisor) }.get()
    }

    /// Puts policies into force in place of all before; what is new in `code` makes another version.
    @discardableResult
    func apply(_ tenants: [TenantPolicy], code: String = "1") async throws -> ReloadReport {
        let load = PolicyLoad(
            tenants: tenants.map { policy in
                PolicyLoad.Tenant(
                    policy: policy, vars: [], secrets: [],
                    bundle: bundles.keep([BundleModule(name: "main.js", kind: .javascript, data: Array(code.utf8))]))
            }, failures: [:])
        return try await onLoop { $0.apply(load) }
    }

    /// Lets time pass, and the supervisor look at the clock.
    func advance(milliseconds: UInt64) async throws {
        clock.nanoseconds.add(milliseconds * 1_000_000, ordering: .sequentiallyConsistent)
        try await onLoop { $0.tick() }
    }

    /// Lets so many seconds pass in which the supervisor looks, unlike one that stands still meanwhile.
    func advance(seconds: Int) async throws {
        for _ in 0..<seconds { try await advance(milliseconds: 1_000) }
    }

    /// A client's request for `tenant`. Without a body unless one is given.
    func request(_ tenant: String = "a", body: String? = nil, isComplete: Bool = true, contentLength: Int? = nil) async throws
        -> TestExchange
    {
        let exchange = TestExchange(id: nextID.add(1, ordering: .relaxed).oldValue, eventLoop: eventLoop)
        try await onLoop {
            let request = IncomingRequest(
                id: exchange.id, host: "\(tenant).test", method: "GET", url: "http://\(tenant).test/", headers: ByteBuffer(),
                body: body.map { ByteBuffer(string: $0) }, bodyIsComplete: isComplete, contentLength: contentLength)
            exchange.dispatch(request, to: $0)
        }
        return exchange
    }

    /// The next cell that is started, once it is ready.
    func readyCell() async throws -> FakeCell {
        let cell = try await spawner.cells.next()
        try await cell.becomeReady()
        return cell
    }

    /// Nothing is left of any request.
    func expectNothingHeld(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let held = try await onLoop { supervisor in
            [
                supervisor.openRequests.count, supervisor.admission.running, supervisor.admission.waiting,
                supervisor.tenants.values.reduce(0) { $0 + supervisor.admission.running(of: $1.place) + ($1.version?.openRequests ?? 0) },
            ]
        }
        #expect(held == [0, 0, 0, 0], sourceLocation: sourceLocation)
    }
}

extension TenantPolicy {
    /// A tenant at `NAME.test`.
    static func test(_ name: String, cordon: Cordon = .standard, weight: Int = 100, _ change: (inout TenantLimits) -> Void = { _ in })
        -> TenantPolicy
    {
        var limits = TenantLimits()
        change(&limits)
        return TenantPolicy(tenant: name, hosts: ["\(name).test"], main: "/\(name)/main.js", cordon: cordon, weight: weight, limits: limits)
    }
}
