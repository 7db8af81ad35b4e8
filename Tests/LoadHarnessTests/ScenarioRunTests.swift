import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import LoadHarness

/// Runs against a small server that is front and admin API at once.
@Suite(.timeLimit(.minutes(1))) struct ScenarioRunTests {
    /// What it does and has seen.
    private final class Daemon: Sendable {
        let delayMilliseconds: Int64
        let revives: Bool
        /// When tenants were called.
        private let calls = Mutex<[ContinuousClock.Instant]>([])

        init(delayMilliseconds: Int64 = 0, revives: Bool = false) {
            self.delayMilliseconds = delayMilliseconds
            self.revives = revives
        }

        func called() { calls.withLock { $0.append(.now) } }

        /// As a cell that tells of a call a second later.
        var cells: String {
            let told = ContinuousClock.now.advanced(by: .seconds(-1))
            let count = calls.withLock { calls in calls.count { $0 <= told } }
            return "[{\"pid\": \(getpid()), \"preemptions\": \(count)}]"
        }

        var metrics: String { "cloister_revival_duration_seconds_count \(revives ? calls.withLock { $0.count } : 7)\n" }
    }

    private final class Answers: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let daemon: Daemon
        private var uri = ""
        private var host = ""

        init(_ daemon: Daemon) { self.daemon = daemon }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): (uri, host) = (head.uri, head.headers.first(name: "host") ?? "")
            case .body: break
            case .end:
                if host.hasPrefix("hog") { return }
                if host.contains("localhost") {
                    daemon.called()
                    context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(daemon.delayMilliseconds)) { [self] in
                        answer("", .ok, context)
                    }
                    return
                }
                switch uri {
                case "/v1/cells": answer(daemon.cells, .ok, context)
                case "/metrics": answer(daemon.metrics, .ok, context)
                default: answer("", .notFound, context)
                }
                context.close(promise: nil)
            }
        }

        private func answer(_ body: String, _ status: HTTPResponseStatus, _ context: ChannelHandlerContext) {
            let head = HTTPResponseHead(version: .http1_1, status: status, headers: ["content-length": "\(body.utf8.count)"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    private static func parameters(tenants: Int = 5, seconds: Double = 0.3) -> ScenarioParameters {
        ScenarioParameters(tenants: tenants, rate: 100, load: 0.8, seconds: seconds, warmUpSeconds: 0, seed: 3, workers: 1)
    }

    private func run(_ scenario: Scenario, _ daemon: Daemon, hasAdmin: Bool = true) async throws -> LoadReport {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(Answers(daemon))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = server.localAddress!.port!
        let report = try await ScenarioRun(
            scenario: scenario, parameters: Self.parameters(),
            target: .init(system: "small", host: "127.0.0.1", port: port, adminPort: hasAdmin ? port : nil, pid: getpid())
        ).run()
        try await server.close()
        return report
    }

    private func planned(_ scenario: Scenario) -> Int {
        scenario.workload(Self.parameters()).phases.filter(\.isMeasured).reduce(0) { $0 + $1.arrivals.count }
    }

    @Test func answersThatComeAfterTheTimeAreNoThroughput() async throws {
        // Each takes twice as long as requests are sent.
        let report = try await run(.hello, Daemon(delayMilliseconds: 600), hasAdmin: false)
        #expect(report.completed == planned(.hello) && report.completed > 0 && report.errors.isEmpty, "\(report)")
        #expect(report.throughput_rps == 0 && report.groups["hello"]?.throughput_rps == 0, "\(report)")
        #expect(report.latency_ms.map { $0.p50 > 590 } == true, "\(report)")
        // Nor are they in a second.
        #expect(report.series.count == 1 && report.series.allSatisfy { $0.completed.isEmpty }, "\(report)")
        #expect(report.cpu_us_per_request != nil)
    }

    @Test func theWarmUpIsNotCountedWhereCellsTellOfItLater() async throws {
        let report = try await run(.hello, Daemon())
        #expect(report.completed == planned(.hello) && report.preemptions == UInt64(report.completed), "\(report)")
    }

    @Test(arguments: [true, false]) func revivalsAreTimedWhereThereWereSome(_ revives: Bool) async throws {
        let report = try await run(.revive, Daemon(revives: revives))
        #expect(report.completed == planned(.revive) && report.latency_ms != nil, "\(report)")
        #expect((report.revivals ?? 0 > 0) == revives && (report.revive_ms != nil) == revives, "\(report)")
    }
}
