import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import LoadHarness

/// The client against a small server.
@Suite(.timeLimit(.minutes(1))) struct LoadClientTests {
    private final class Answers: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private var uri = ""
        private let tally: Tally

        init(_ tally: Tally) { self.tally = tally }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): uri = head.headers.first(name: "host") ?? ""
            case .body: break
            case .end:
                if uri.hasPrefix("close") { return context.close(promise: nil) }
                if uri.hasPrefix("silent") { return }
                let isRefused = uri.hasPrefix("refuse")
                var headers: HTTPHeaders = ["content-length": "0"]
                if isRefused { headers.add(name: "cloister-error", value: "tenant_busy") }
                let head = HTTPResponseHead(version: .http1_1, status: isRefused ? .tooManyRequests : .ok, headers: headers)
                let isSlow = uri.hasPrefix("slow")
                tally.open.withLock { ($0.now, $0.most) = ($0.now + 1, max($0.most, $0.now + 1)) }
                context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(isSlow ? 50 : 0)) { [self] in
                    tally.open.withLock { $0.now -= 1 }
                    context.write(wrapOutboundOut(.head(head)), promise: nil)
                    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
                }
            }
        }
    }

    private final class Tally: Sendable {
        let latencies = Mutex<[UInt64]>([])
        let errors = Mutex<[String]>([])
        /// Ages of loops' requests at the end.
        nonisolated(unsafe) var loops: [UInt64] = []
        /// Requests that the server has and has not answered.
        let open = Mutex((now: 0, most: 0))
    }

    /// - Parameter lateCalls: of the first tenant, before the phases: for how long each has been due.
    private func run(
        _ tenants: [String], graceSeconds: Int64 = 30, lateCalls: [TimeAmount] = [], _ phases: Workload.Phase...
    ) async throws -> Tally {
        let tally = Tally()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(Answers(tally))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = LoadClient(host: "127.0.0.1", port: server.localAddress!.port!, tenants: tenants, seed: 1, graceSeconds: graceSeconds)
        {
            _, latency, error in
            if let error { tally.errors.withLock { $0.append(error) } }
            if error == nil || error == "unanswered" { tally.latencies.withLock { $0.append(latency) } }
        }
        for late in lateCalls { client.call(0, group: 0, due: NIODeadline.now() - late) }
        for phase in phases { try await client.run(phase) }
        tally.loops = try await client.onLoop { client.openLoopRequests.map(\.age) }
        try await client.stop()
        try await server.close()
        return tally
    }

    private func arrivals(_ count: Int, tenants: Int = 1) -> [Workload.Arrival] {
        (0..<count).map { Workload.Arrival(nanoseconds: UInt64($0) * 1_000_000, tenant: $0 % tenants, group: 0) }
    }

    @Test func everyRequestIsCountedOnceWithItsOutcome() async throws {
        let tally = try await run(["good", "refuse", "close"], .init(seconds: 0.1, arrivals: arrivals(60, tenants: 3)))
        #expect(tally.latencies.withLock { $0.count } == 20)
        let errors = tally.errors.withLock { $0 }
        #expect(errors.count { $0 == "tenant_busy" } == 20 && errors.count { $0 == "broken" } == 20)
    }

    @Test func latencyIsCountedFromWhenARequestWasDue() async throws {
        // All are due at once; each takes 50 ms, and none is counted from when a connection was free.
        let tally = try await run(
            ["slow"], .init(seconds: 0.01, arrivals: (0..<40).map { _ in .init(nanoseconds: 0, tenant: 0, group: 0) }))
        #expect(tally.latencies.withLock { $0 }.allSatisfy { $0 >= 49_000_000 })
    }

    @Test func aCallThatIsSentLateHasWaited() async throws {
        let tally = try await run(["good"], lateCalls: [.seconds(2)], .init(seconds: 0.1))
        let latencies = tally.latencies.withLock { $0 }
        #expect(latencies.count == 1 && latencies.allSatisfy { $0 >= 2_000_000_000 })
    }

    @Test func whoMayHaveNoMoreConnectionsWasNotRefused() {
        for code in [EMFILE, ENFILE, EADDRNOTAVAIL] { #expect(LoadClient.isOwnLimit(IOError(errnoCode: code, reason: "socket"))) }
        #expect(!LoadClient.isOwnLimit(IOError(errnoCode: ECONNREFUSED, reason: "connect")))
        #expect(!LoadClient.isOwnLimit(ChannelError.connectTimeout(.seconds(1))))
    }

    @Test func whatIsGivenUpHasWaitedForSoLongAndCountsOnce() async throws {
        // The second phase is answered, and nothing of the first counts in it.
        let silent = Workload.Phase(seconds: 0.1, arrivals: arrivals(20))
        let good = Workload.Phase(seconds: 0.1, arrivals: arrivals(20).map { .init(nanoseconds: $0.nanoseconds, tenant: 1, group: 0) })
        let tally = try await run(["silent", "good"], graceSeconds: 3, silent, good)
        #expect(tally.errors.withLock { $0 } == Array(repeating: "unanswered", count: 20))
        let latencies = tally.latencies.withLock { $0 }
        #expect(latencies.count == 40 && latencies.count { $0 >= 3_000_000_000 } == 20)
    }

    @Test func loopsThatGetNoAnswerAreSeen() async throws {
        let tally = try await run(["silent"], .init(seconds: 0.3, loops: [.init(tenants: [0], group: 0, count: 3)]))
        #expect(tally.loops.count == 3 && tally.loops.allSatisfy { $0 > 200_000_000 })
    }

    @Test func aLoopHasOneRequestAtATime() async throws {
        let tally = try await run(["slow"], .init(seconds: 0.5, loops: [.init(tenants: [0], group: 0, count: 2)]))
        #expect(tally.latencies.withLock { $0.count } >= 2)
        #expect(tally.open.withLock { $0.most } == 2)
    }

    @Test func loopsEndWithTheirClient() async throws {
        let tally = try await run(["good"], .init(seconds: 0.5, loops: [.init(tenants: [0], group: 0, count: 2)]))
        func over() -> Int { tally.latencies.withLock { $0.count } + tally.errors.withLock { $0.count } }
        let before = over()
        try await Task.sleep(for: .milliseconds(200))
        #expect(before > 0 && over() == before)
    }
}
