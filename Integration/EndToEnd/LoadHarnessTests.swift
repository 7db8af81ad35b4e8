import Foundation
import IntegrationHarness
import LoadHarness
import Testing

extension EndToEndTests {
    /// The load generator against the daemon: what a report says adds up, whatever the times are.
    @Suite(.serialized) struct LoadHarnessTests {
        private static let daemon = TestDaemon.binaries.appendingPathComponent("cloisterd").path
        private static let load = TestDaemon.binaries.appendingPathComponent("cloister-load").path

        private static func parameters(_ scenario: Scenario, seconds: Double = 1) -> ScenarioParameters {
            // Low rates: debug builds on two cores keep up with them.
            let (tenants, rate): (Int, Double) =
                switch scenario {
                case .bimodal: (5, 20)
                case .weights: (8, 50)
                // Its second tenant has 3 % of the calls.
                case .pressure: (8, 100)
                default: (5, 50)
                }
            return ScenarioParameters(
                tenants: tenants, rate: rate, load: 0.8, seconds: seconds, warmUpSeconds: 0, seed: 3, workers: 1, roundsPerMicrosecond: 1)
        }

        /// So few tenants as here all have room by what `pressure` is usually run with.
        private static func configuration(_ scenario: Scenario) -> String {
            scenario == .pressure ? "cells_per_cordon: 1\nisolates_per_cell: 1\n" : scenario.usualConfiguration
        }

        private func object(_ report: LoadReport) throws -> [String: Any] {
            try #require(JSONSerialization.jsonObject(with: JSONEncoder().encode(report)) as? [String: Any])
        }

        private func pssBytes(of pid: Int32) -> UInt64? {
            let text = try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)
            let line = text?.split(separator: "\n").first { $0.hasPrefix("Pss:") }
            return line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }.map { $0 << 10 }
        }

        /// The folders of daemons that the harness has started.
        private func folders() throws -> Set<String> {
            Set(
                try FileManager.default.contentsOfDirectory(atPath: NSTemporaryDirectory())
                    .filter { $0.hasPrefix("cloister-load-") || $0.hasPrefix("cloister-peer-") })
        }

        /// So many at once: they wait most of the time, and no time decides.
        private static let width = 6

        /// All but `idle`, which waits for memory to come back.
        @Test func everyScenarioAddsUp() async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                // The longest are the last ones: they begin.
                for (index, scenario) in Scenario.allCases.filter({ $0 != .idle }).reversed().enumerated() {
                    if index >= Self.width { try await group.next() }
                    group.addTask { try await self.check(scenario) }
                }
                try await group.waitForAll()
            }
        }

        private func check(_ scenario: Scenario) async throws {
            let parameters = Self.parameters(scenario)
            let report = try await CloisterSystem(executable: Self.daemon, preempts: true, configuration: Self.configuration(scenario))
                .run(scenario, parameters) { _ in }
            let workload = scenario.workload(parameters)
            func expect(_ holds: Bool, _ what: String, line: Int = #line) {
                #expect(holds, "\(scenario), \(what) (line \(line)): \(report)")
            }
            let errors = report.errors.values.reduce(0, +)
            expect(report.completed > 0 && report.latency_ms != nil, "something is answered")
            expect(report.errors.isEmpty, "nothing fails")
            expect(Set(report.groups.keys) == Set(workload.groups), "all groups are there")
            expect(report.completed == report.groups.values.reduce(0) { $0 + $1.completed }, "groups add up")
            expect(errors == report.groups.values.reduce(0) { $0 + $1.errors.values.reduce(0, +) }, "their errors add up")
            // What comes after the last second is in none.
            expect(report.completed >= report.series.reduce(0) { $0 + $1.completed.values.reduce(0, +) }, "seconds add up")
            let measured = workload.phases.filter(\.isMeasured)
            let loops = measured.flatMap(\.loops).reduce(0) { $0 + $1.count }
            expect(report.groups.values.reduce(0) { $0 + $1.open } <= loops, "a loop has one request at a time")
            let sent = measured.flatMap(\.arrivals)
            switch scenario {
            case .churn:
                expect(report.groups["stayers"]?.completed == sent.count, "who stays is answered")
                // Each newcomer in its own step and the two after it: 1, 2, 3, 3 and 3 calls.
                expect(report.groups["passers_by"]?.completed == 12, "who comes is answered")
                expect(report.cold_starts ?? 0 > 0, "who comes has never run")
            case .hogs:
                expect(report.completed == sent.count, "every victim is answered")
                expect(report.groups["hogs"]?.completed == 0 && report.groups["hogs"]?.open == loops, "no hog ever ends")
                expect(report.groups["victims"]?.throughput_rps == report.throughput_rps && report.duration_s == 1, "it is about victims")
            case .resident:
                // Five tenants at 50/s, then a second.
                expect(abs(report.duration_s - 1.1) < 1e-9, "own seconds count")
                let first = report.groups["first"]!
                expect(first.completed == 5 && first.throughput_rps <= 50 + 1e-6, "late ones are no rate")
            case .weights, .zipf: expect(sent.isEmpty, "only loops")
            default: expect(report.completed == sent.count, "every request is answered")
            }
            // Clients that wait for each answer ask for no more than they get, and one tenant alone is compared with nobody.
            expect((report.fairness == nil) == (workload.weights.isEmpty && Set(sent.map(\.tenant)).count < 2), "what is fair is measured")
            let written = try object(report)
            for name in [
                "preemptions", "handoffs", "cpu_us_per_request", "rss_bytes", "cold_starts", "cells", "evictions", "revivals", "cells_lost",
            ] {
                expect(written[name] is NSNumber, "\(name) is measured")
            }
            guard [.pressure, .revive].contains(scenario) else { return }
            expect(report.revivals ?? 0 > 0, "who has gone comes back")
            for name in ["belady_ratio", "belady_gap_closed", "belady_cost_gap_closed", "prewarmed"] {
                expect(written[name] is NSNumber, "\(name) is measured")
            }
            expect(report.belady_ratio ?? 0 > 0, "isolates were made")
            expect(report.revive_ms.map { $0.p50 > 0 && $0.p50 <= $0.p99 } == true, "revivals are timed")
            let bytes = report.bytes_per_tenant
            expect(bytes?.hot ?? 0 > 0 && bytes?.warm ?? 0 > 0 && bytes?.cold ?? 0 > 0, "what tenants take is measured by state")
        }

        @Test func aRunningDaemonIsMeasuredFromWhereTheRunBegins() async throws {
            let parameters = Self.parameters(.hello, seconds: 0.5)
            let workload = Scenario.hello.workload(parameters)
            let daemon = try TestDaemon(workload.tenants.map { TestTenant($0.name, $0.source, policy: $0.policy) })
            defer { daemon.end() }
            let state = daemon.folder.appendingPathComponent("state").path
            func run(admin: Int?, state: String?) async throws -> LoadReport {
                try await ScenarioRun(
                    scenario: .hello, parameters: parameters,
                    target: .init(system: "cloister", host: "127.0.0.1", port: daemon.port, adminPort: admin, state: state, pid: nil)
                ).run()
            }
            let first = try await run(admin: daemon.adminPort, state: state)
            let second = try await run(admin: daemon.adminPort, state: state)
            #expect(first.completed == second.completed && first.completed > 0)
            // All tenants had come before what was measured.
            #expect(second.cold_starts == 0)
            // The daemon is found, and counts with its cells.
            let cells = try daemon.cells().reduce(0) { $0 + (pssBytes(of: $1) ?? 0) }
            let own = try #require(pssBytes(of: daemon.process.processIdentifier))
            #expect(try #require(second.rss_bytes) > cells + own / 2)
            let without = try await run(admin: nil, state: nil)
            #expect(without.completed == first.completed && without.fairness != nil)
            let written = try object(without)
            for name in ["preemptions", "handoffs", "cpu_us_per_request", "rss_bytes", "cold_starts", "cells"] {
                #expect(written[name] is NSNull, "\(name)")
            }
            await #expect(throws: (any Error).self) { _ = try await run(admin: daemon.adminPort, state: nil) }
            // The command says so, too, before it sends anything.
            let refused = try IntegrationHarness.run(
                Self.load,
                ["run", "--scenario", "weights", "--target", "127.0.0.1:\(daemon.port)", "--admin", "\(daemon.adminPort)"])
            #expect(refused.status != 0 && refused.errors.contains("refuses with 401") && refused.errors.contains("--state"), "\(refused)")
        }

        @Test func thresholdsDecideTheExitStatus() throws {
            func hello(_ arguments: String...) throws -> CommandResult {
                try run(Self.load, ["run", "--scenario", "hello", "--rate", "50"] + arguments)
            }
            let page = FileManager.default.temporaryDirectory.appendingPathComponent("report-\(UUID().uuidString).html")
            let file = page.deletingPathExtension().appendingPathExtension("json")
            defer { for each in [page, file] { try? FileManager.default.removeItem(at: each) } }
            let met = try hello(
                "--tenants", "2", "--duration", "1.5", "--max-p99-ms", "60000", "--max-errors", "0", "--min-jain", "0.9", "--report",
                page.path, "--json", file.path)
            #expect(met.status == 0 && met.output.isEmpty, "\(met)")
            #expect(try String(contentsOf: page, encoding: .utf8).contains("Fairness"))
            let report = try JSONDecoder().decode(LoadReport.self, from: Data(contentsOf: file))
            #expect(report.scenario == "hello" && report.system == "cloister" && report.tenants == 2 && report.completed > 0, "\(report)")
            #expect(report.evictions != nil && report.revivals != nil && report.rss_bytes != nil && report.fairness != nil, "\(report)")
            let missed = try hello("--duration", "0.5", "--max-p50-ms", "0", "--min-throughput", "1000000", "--min-jain", "0.9")
            #expect(missed.status == 1 && missed.errors.contains("p50") && missed.errors.contains("throughput"), "\(missed.errors)")
            #expect(missed.errors.contains("Jain's index was not measured"), "of one tenant: \(missed.errors)")
            let nobody = try hello("--duration", "0.5", "--target", "127.0.0.1:1", "--max-p50-ms", "5", "--min-jain", "0.99")
            #expect(nobody.status == 1 && nobody.errors.contains("p50 in ms was not measured"), "\(nobody.errors)")
            #expect(try hello("--target", "127.0.0.1:1", "--max-p99-ms", "nan").status == 64)
            let weights = try run(
                Self.load, ["run", "--scenario", "weights", "--duration", "1", "--target", "127.0.0.1:1", "--min-jain", "0.99"])
            #expect(weights.status != 0 && weights.errors.contains("broken"), "\(weights.errors)")
        }

        @Test func aComparisonHasARowForEachSystem() throws {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("reports-\(UUID().uuidString).json")
            defer { try? FileManager.default.removeItem(at: file) }
            let result = try run(
                Self.load,
                [
                    "compare", "--scenario", "hello", "--tenants", "2", "--rate", "50", "--duration", "1", "--rounds", "1", "--peers", "",
                    "--json", file.path,
                ])
            #expect(result.status == 0, "\(result)")
            let rows = result.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            let names = ["cloister", "cloister-run-to-completion"]
            #expect(rows.map { Array($0.prefix(2)) } == [["system", "runs"]] + names.map { [$0, "1"] }, "\(result.output)")
            let reports = try JSONDecoder().decode([String: [LoadReport]].self, from: Data(contentsOf: file))
            #expect(reports.keys.sorted() == names)
            // The same calls for both.
            let completed = reports.values.joined().map(\.completed)
            #expect(completed.count == 2 && completed[0] > 0 && completed[0] == completed[1], "\(reports)")
        }

        /// A runtime, as far as a comparison can tell: it listens where it is told and answers.
        private static let runtime = """
            #!/usr/bin/perl
            use strict; use IO::Socket::INET;
            my $program = shift; my %options = @ARGV;
            -f "$_/worker.js" or die "no tenant in $_" for glob "$options{'--tenants'}/*";
            $SIG{CHLD} = 'IGNORE';
            my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $options{'--port'}, Listen => 64, ReuseAddr => 1) or die;
            while (my $client = $server->accept) {
              next if fork;
              my $text = '';
              while (sysread $client, $text, 4096, length $text) {
                while ($text =~ s/^.*?\\r\\n\\r\\n//s) { syswrite $client, "HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok"; }
              }
              exit;
            }

            """

        @Test func aComparisonHasPeersInTwoWays() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("peers-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            for (name, text) in [("node", Self.runtime), ("bun", "#!/bin/sh\nexit 3\n")] {
                let file = folder.appendingPathComponent(name)
                try Data(text.utf8).write(to: file)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
            }
            let before = try folders()
            let report = folder.appendingPathComponent("report.json")
            let result = try run(
                Self.load,
                [
                    "compare", "--scenario", "hello", "--tenants", "2", "--rate", "50", "--duration", "1", "--rounds", "1", "--peers",
                    "node,bun", "--peers-folder", folder.path, "--json", report.path,
                ])
            #expect(result.status == 0, "\(result)")
            let reports = try JSONDecoder().decode([String: [LoadReport]].self, from: Data(contentsOf: report))
            let names = ["cloister", "cloister-run-to-completion", "node-processes", "node-workers"]
            #expect(reports.keys.sorted() == names, "\(reports.keys)")
            let called = reports["cloister"]?.first?.completed ?? 0
            for name in ["node-workers", "node-processes"] {
                let peer = try #require(reports[name]?.first, "\(name): \(result)")
                #expect(peer.completed == called && called > 0 && peer.system == name, "\(peer)")
                #expect(peer.cpu_us_per_request != nil && peer.preemptions == nil, "\(peer)")
            }
            // One that does not come up is named, and costs the others nothing.
            #expect(result.errors.contains("bun-workers") && result.errors.contains("bun-processes"), "\(result.errors)")
            #expect(try folders().subtracting(before).isEmpty)
        }

        @Test func aComparisonWithoutItsFirstSystemFails() throws {
            let before = try folders()
            for daemon in ["/nonexistent/cloisterd", "/bin/false"] {
                let result = try run(
                    Self.load, ["compare", "--scenario", "hello", "--rounds", "1", "--peers", "", "--daemon", daemon])
                #expect(result.status != 0 && result.errors.contains("cloister did not run") && result.output.isEmpty, "\(result)")
            }
            #expect(try folders().subtracting(before).isEmpty)
        }
    }
}
