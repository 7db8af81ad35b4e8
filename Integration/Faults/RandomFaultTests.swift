import Foundation
import Glibc
import IntegrationHarness
import Testing

extension FaultTests {
    @Suite(.serialized) struct RandomFaults {
        private static let faults = ProcessInfo.processInfo.environment["CLOISTER_FAULTS"].flatMap { Int($0) } ?? 60
        private static let seed =
            ProcessInfo.processInfo.environment["CLOISTER_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0..<1_000_000)
        /// Right answers after each fault before the next.
        private static let answersBetween = 10

        /// Each request is answered exactly once or, where the daemon itself was killed, not at all; no answer holds what is another's; everybody
        /// is served again soon; no process is left over.
        @Test func faultsAtAnyMomentCostTheRequestsTheyHitAndNothingElse() throws {
            print("faults: CLOISTER_FAULTS=\(Self.faults) CLOISTER_SEED=\(Self.seed)")
            let daemon = try TestDaemon(FaultLoad.tenants, configuration: FaultTests.patient, workers: 2)
            defer { daemon.end() }
            let load = FaultLoad(daemon, threads: 8, seed: Self.seed)
            var injector = FaultInjector(daemon: daemon, load: load, seed: Self.seed)
            var slowest = 0.0
            var injected = 0
            var problem: (any Error)?
            do {
                while injected < Self.faults, load.wrongs.isEmpty {
                    injector.pause(upTo: 0.05)
                    let before = load.tally["ok"]
                    let start = Date()
                    guard let fault = try injector.inject() else { continue }
                    injected += 1
                    _ = try eventually(seconds: FaultTests.recoverySeconds, "answers after fault \(injected), \(fault)") {
                        load.tally["ok"] >= before + Self.answersBetween || !load.wrongs.isEmpty ? true : nil
                    }
                    slowest = max(slowest, Date().timeIntervalSince(start))
                }
                try expectEverybodyIsServed(daemon)
            } catch { problem = error }
            load.end()
            print("faults: \(injector.injected.map { "\($0.key) \($0.value)" }.sorted().joined(separator: ", "))")
            print("requests: \(load.tally.description); the longest time from a fault to \(Self.answersBetween) answers: \(slowest) s")
            // A cell that was starved of memory ends as it may; no other ends by itself.
            let ends = daemon.logLines.filter { $0["message"] == "cell ended" }.compactMap { $0["status"] }
            let ownEnds = ends.filter { !$0.hasPrefix("signal \(SIGKILL) ") }
            print("cells ended: \(ends.count); not killed: \(ownEnds.joined(separator: ", "))")
            #expect(ownEnds.count <= injector.injected[.starveCellOfMemory, default: 0])
            if problem != nil || !load.wrongs.isEmpty { daemon.printProblems() }
            #expect(problem == nil && load.wrongs.isEmpty, "seed \(Self.seed): \(String(describing: problem)) \(load.wrongs)")
            #expect(load.unaccounted == 0 && load.tally["ok"] > Self.faults)
            guard problem == nil else { return }
            try expectNothingIsLeft(daemon, injector)
        }

        private func expectEverybodyIsServed(_ daemon: TestDaemon) throws {
            for (index, tenant) in FaultLoad.tenants.enumerated() {
                _ = try eventually(seconds: FaultTests.recoverySeconds, "\(tenant.name) to be served") {
                    try daemon.get(tenant.name, "/quick/1").text == "\(FaultLoad.token(index)):1;" ? true : nil
                }
            }
        }

        private func expectNothingIsLeft(_ daemon: TestDaemon, _ injector: FaultInjector) throws {
            let pid = daemon.process.processIdentifier
            // Cells that were replaced have a minute to end; without requests they end at once.
            _ = try eventually(seconds: FaultTests.recoverySeconds, "processes to be collected") {
                let (all, ended) = Processes.children(of: pid)
                return try ended.isEmpty && all.count == daemon.list("/v1/cells").count ? true : nil
            }
            let cells = Processes.children(of: pid).all.count
            // A socket, a process's descriptor and a pipe each, besides what a daemon has in any case.
            #expect(Processes.descriptors(of: pid) <= 80 + 4 * cells, "\(cells) cells")
            kill(pid, SIGKILL)
            daemon.process.waitUntilExit()
            try injector.waitUntilNoneIsLeft()
        }
    }
}
