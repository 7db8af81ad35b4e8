import Foundation
import Glibc
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// Who keeps an isolate when, and who gets it back.
    @Suite(.serialized) struct EvictionTests: MemoryWatcher {
        @Test func anIsolateThatIsBusyIsEvictedWhenItsRequestsAreOver() throws {
            let source = """
                let calls = 0;
                export default { async fetch(request) {
                  calls += 1;
                  if (request.url.endsWith('wait')) await new Promise((done) => setTimeout(done, 500));
                  return new Response(`${calls}`);
                } };
                """
            let daemon = try TestDaemon([TestTenant("busy", source)])
            defer { daemon.end() }
            #expect(try daemon.get("busy").text == "1")
            let waiting = try daemon.connect()
            try waiting.request("busy.localhost", "/wait")
            #expect(try daemon.get("busy").text == "3", "the one that waits has begun")
            #expect(try daemon.admin("/v1/evict?tenant=busy", method: "POST").status == 200)
            #expect(try waiting.readResponse().text == "3")
            _ = try eventually("it to be evicted") { try state("busy", of: daemon)["state"] as? String == "hot" ? nil : true }
            #expect(try daemon.get("busy").text == "1")
        }

        /// A call each two and a half seconds is a rhythm, also where each finds no isolate and lasts for a while: it counts once.
        @Test func aTenantThatIsCalledRegularlyIsBackBeforeItsNextCall() throws {
            let source = """
                export default { async fetch() { await new Promise((done) => setTimeout(done, 20)); return new Response('regular'); } };
                """
            let daemon = try TestDaemon([TestTenant("regular", source)])
            defer { daemon.end() }
            let start = ContinuousClock.now
            #expect(try daemon.get("regular").status == 200)
            #expect(try snapshot("regular", of: daemon).state == "kept")
            for call in 1...3 {
                try evict("regular", of: daemon)
                let due = start + .milliseconds(2_500 * call)
                usleep(UInt32(max((due - ContinuousClock.now) / .microseconds(1), 0)))
                #expect(try daemon.get("regular").status == 200)
            }
            #expect(try daemon.admin("/v1/evict?tenant=regular", method: "POST").status == 200)
            _ = try eventually("it to be brought back") {
                try count("cloister_prewarmed_total{cell=\"standard#0\"}", of: daemon) >= 1 ? true : nil
            }
            _ = try eventually("it to be back") { try state("regular", of: daemon)["state"] as? String == "hot" ? true : nil }
        }

        /// Where there is no snapshot its modules are evaluated ahead.
        @Test func aTenantWithoutASnapshotThatIsCalledRegularlyIsBackBeforeItsNextCall() throws {
            let daemon = try TestDaemon([.plain("regular", policy: "snapshot: off")])
            defer { daemon.end() }
            let start = ContinuousClock.now
            for call in 0...3 {
                if call > 0 { try evict("regular", of: daemon) }
                let due = start + .milliseconds(2_500 * call)
                usleep(UInt32(max((due - ContinuousClock.now) / .microseconds(1), 0)))
                #expect(try daemon.get("regular").text == "regular")
            }
            #expect(try daemon.admin("/v1/evict?tenant=regular", method: "POST").status == 200)
            _ = try eventually("it to be brought back") {
                try count("cloister_prewarmed_total{cell=\"standard#0\"}", of: daemon) >= 1 ? true : nil
            }
            _ = try eventually("it to be back") { try state("regular", of: daemon)["state"] as? String == "hot" ? true : nil }
            #expect(try daemon.get("regular").text == "regular")
        }

        /// Its cell has retired a version when it finds that disposing of the isolate used up what was left of the tenant's CPU quota: it may say
        /// nothing of a version that is gone.
        @Test func aTenantAtTheEndOfItsQuotaMayBeForgotten() throws {
            let source = """
                const kept = [];
                export default { fetch() {
                  while (kept.length < 200000) kept.push({ i: kept.length, text: `${kept.length}` });
                  return new Response('kept');
                } };
                """
            let daemon = try TestDaemon([
                TestTenant(
                    "poor", source,
                    policy: "snapshot: off\nlimits: { memory_mb: 512, cpu_ms: 30000, wall_ms: 120000, cpu_quota_ms_per_s: 10 }"),
                .plain("other"),
            ])
            defer { daemon.end() }
            #expect(try daemon.get("other").status == 200)
            let cells = try daemon.cells()
            #expect(try daemon.get("poor").text == "kept")
            #expect(try daemon.admin("/v1/evict?cold=true&tenant=poor", method: "POST").status == 200)
            // What a cell reports once a second comes after all that it said before.
            _ = try eventually("the isolate to be disposed of") {
                try daemon.list("/v1/cells").contains { $0["isolates"] as? Int == 1 } ? true : nil
            }
            #expect(try daemon.get("other").status == 200)
            #expect(try daemon.cells() == cells, "the cell lives on")
            #expect(try count("cloister_cells_lost_total", of: daemon) == 0)
        }

        @Test func aSmallBudgetEvictsAndEveryRequestIsAnswered() throws {
            let tenants = (0..<120).map {
                TestTenant(
                    "t\($0)",
                    "const block = new Array(40000).fill(\($0) + 0.5); export default { fetch() { return new Response('' + (block[7] - 0.5)); } };"
                )
            }
            let daemon = try TestDaemon(tenants, configuration: "memory_mb: 200\ndrain_s: 5\n", workers: 2)
            defer { daemon.end() }
            let tally = Tally()
            for _ in 0..<3 {
                onThreads(4) { thread in
                    guard let connection = try? daemon.connect() else { return tally.add("no connection") }
                    for index in stride(from: thread, to: 120, by: 4) {
                        try? connection.request("t\(index).localhost")
                        tally.add((try? connection.readResponse().text) == "\(index)" ? "right" : "wrong")
                    }
                }
            }
            #expect(tally["right"] == 360, "\(tally.description)")
            let evicted = try eventually("evictions") {
                let count = try daemon.metric("cloister_evictions_total{cell=\"standard#0\",reason=\"pressure\"}")
                return count > 0 ? count : nil
            }
            #expect(evicted > 0)
        }

        @Test func aLoweredBudgetTakesEffectByTheCommandAndByAReload() throws {
            let daemon = try TestDaemon((0..<60).map { .plain("t\($0)") }, configuration: "memory_mb: 4000\ndrain_s: 5\n")
            defer { daemon.end() }
            for index in 0..<60 { #expect(try daemon.get("t\(index)").status == 200) }
            func hot() throws -> Int { try daemon.list("/v1/isolates").count { $0["state"] as? String == "hot" } }
            #expect(try hot() == 60)
            let answer = try daemon.admin("/v1/budget?memory_mb=150", method: "POST")
            #expect(answer.status == 200 && answer.text.contains("\"budget_bytes\":\(150 << 20)"), "\(answer.text)")
            _ = try eventually("isolates to be evicted") { try hot() < 40 ? true : nil }
            for index in 0..<60 { #expect(try daemon.get("t\(index)").text == "t\(index)") }
            try "memory_mb: 4000\n".write(to: daemon.folder.appendingPathComponent("cloister.yaml"), atomically: true, encoding: .utf8)
            try daemon.reload()
            _ = try eventually("the budget to be raised") {
                try daemon.metric("cloister_memory_budget_bytes") == Double(4000 << 20) ? true : nil
            }
            for index in 0..<60 { #expect(try daemon.get("t\(index)").status == 200) }
            try "memory_mb: 150\n".write(to: daemon.folder.appendingPathComponent("cloister.yaml"), atomically: true, encoding: .utf8)
            try daemon.reload()
            _ = try eventually("isolates to be evicted again") { try hot() < 40 ? true : nil }
            try "memory_mb: much\n".write(to: daemon.folder.appendingPathComponent("cloister.yaml"), atomically: true, encoding: .utf8)
            try daemon.reload()
            _ = try daemon.waitForLog { $0["message"]?.contains("the old memory budget stays in force") == true }
            #expect(try daemon.metric("cloister_memory_budget_bytes") == Double(150 << 20))
        }

        /// While all are busy more are made than there may be; when they are idle again they go.
        @Test func noMoreIsolatesStayThanTheLimitSays() throws {
            let names = (0..<12).map { "t\($0)" }
            let slow = "export default { fetch: () => new Promise((done) => setTimeout(() => done(new Response('ok')), 1000)) };"
            let daemon = try TestDaemon(
                names.map { TestTenant($0, slow) }, configuration: "isolates_per_cell: 4\ncells_per_cordon: 1\ndrain_s: 5\n", workers: 1)
            defer { daemon.end() }
            func isolates() throws -> Int { try daemon.list("/v1/isolates").count { ["hot", "trimmed"].contains($0["state"] as? String) } }
            // One after the other none is busy.
            for name in names.prefix(6) { #expect(try daemon.get(name).text == "ok") }
            let connections = try names.map { name in
                let connection = try daemon.connect()
                try connection.request("\(name).localhost")
                return connection
            }
            _ = try eventually("more isolates than the limit while all are busy") { try isolates() > 4 ? true : nil }
            for connection in connections { #expect(try connection.readResponse().text == "ok") }
            _ = try eventually("the others to go") { try isolates() <= 4 ? true : nil }
        }

        /// One was called several times, longest ago, the others once each, since then; all else of theirs is the same.
        @Test(arguments: ["lru", "greedy_dual"])
        func plainLRUTakesWhoWasCalledLongestAgoAndTheDefaultWhoWasCalledOnce(eviction: String) throws {
            let once = (0..<5).map { "once-\($0)" }
            let daemon = try TestDaemon(
                (["often", "next"] + once).map { .plain($0, policy: "snapshot: off") },
                configuration: "eviction: \(eviction)\nisolates_per_cell: 6\ncells_per_cordon: 1\ndrain_s: 5\n")
            defer { daemon.end() }
            let start = ContinuousClock.now
            for _ in 0..<3 {
                #expect(try daemon.get("often").text == "often")
                // Calls in the same millisecond are one.
                Thread.sleep(forTimeInterval: 0.05)
            }
            for name in once { #expect(try daemon.get(name).text == name) }
            // Whatever that took: they have been idle for nearly as long as the first, whose last two calls count four times as much as their one.
            Thread.sleep(forTimeInterval: 4 * ((ContinuousClock.now - start) / .seconds(1)))
            #expect(try daemon.get("next").text == "next")
            let gone = try eventually("one to go") { () -> [String]? in
                let gone = try daemon.list("/v1/isolates").filter { ["warm", "cold"].contains($0["state"] as? String) }
                return gone.isEmpty ? nil : gone.compactMap { $0["tenant"] as? String }
            }
            #expect(gone.count == 1 && (eviction == "lru" ? gone == ["often"] : once.contains(gone[0])), "\(gone)")
            #expect(try daemon.metric("cloister_cells_lost_total") == 0)
        }

        /// It was called last, and all are called as often and take as long to start.
        @Test func whoHasTheLargestBundleGoesFirst() throws {
            let small = (0..<5).map { "small-\($0)" }
            let large = TestTenant(
                "large", "export default { fetch() { return new Response('large'); } };", policy: "snapshot: off",
                files: ["page.txt": String(repeating: "x", count: 8 << 20)])
            let daemon = try TestDaemon(
                [large] + (small + ["next"]).map { .plain($0, policy: "snapshot: off") },
                configuration: "isolates_per_cell: 6\ncells_per_cordon: 1\ndrain_s: 5\n")
            defer { daemon.end() }
            let start = ContinuousClock.now
            for name in small + ["large"] { #expect(try daemon.get(name).text == name) }
            // Whatever that took: how long ago each was called makes no difference that counts any more.
            Thread.sleep(forTimeInterval: 4 * ((ContinuousClock.now - start) / .seconds(1)))
            #expect(try daemon.get("next").text == "next")
            let gone = try eventually("one to go") { () -> [String]? in
                let gone = try daemon.list("/v1/isolates").filter { ["warm", "cold"].contains($0["state"] as? String) }
                return gone.isEmpty ? nil : gone.compactMap { $0["tenant"] as? String }
            }
            #expect(gone == ["large"], "\(gone)")
        }

        /// Its modules take long to evaluate, which its snapshot spares it; nobody has used that yet.
        @Test func whatASnapshotSavesIsExpectedBeforeItWasUsed() throws {
            let heavy = TestTenant(
                "heavy",
                """
                let sum = 0;
                for (let i = 0; i < 3e7; i++) sum = (sum * 31 + i) % 1000003;
                export default { fetch() { return new Response(`${sum}`); } };
                """)
            let daemon = try TestDaemon([heavy, .plain("light")], configuration: "drain_s: 5\n")
            defer { daemon.end() }
            for name in ["light", "heavy"] { #expect(try daemon.get(name).status == 200) }
            #expect(try snapshot("heavy", of: daemon).state == "kept" && snapshot("light", of: daemon).state == "kept")
            func cost(_ name: String) throws -> Double { try state(name, of: daemon)["revive_milliseconds"] as? Double ?? 0 }
            // No revival has shown what one takes: it is taken for 2 ms, as memory.md says.
            _ = try eventually("it to be cheap to bring back") { try cost("heavy") == 2 ? true : nil }
            try evict("light", of: daemon)
            try evict("heavy", of: daemon)
            #expect(try daemon.get("heavy").status == 200)
            #expect(try daemon.metric("cloister_revivals_total{from=\"snapshot\"}") == 1)
            // As it was measured.
            _ = try eventually("it to be known") { try cost("heavy") != 2 ? true : nil }
        }

        @Test func anIsolateThatNobodyCallsEndsAfterItsTime() throws {
            let daemon = try TestDaemon([.plain("quiet")], configuration: "idle_s: 1\ndrain_s: 5\n")
            defer { daemon.end() }
            #expect(try daemon.get("quiet").text == "quiet")
            _ = try eventually(seconds: 60, "it to be evicted") {
                try count(#"cloister_evictions_total{cell="standard#0",reason="idle"}"#, of: daemon) >= 1 ? true : nil
            }
            let left = try state("quiet", of: daemon)
            #expect(["warm", "cold"].contains(left["state"] as? String), "\(left)")
            #expect(try daemon.get("quiet").text == "quiet")
        }

        /// Ten seconds after its last request, and it is as good as before.
        @Test func anIsolateThatIsIdleForAWhileIsTrimmed() throws {
            let daemon = try TestDaemon([.plain("quiet")])
            defer { daemon.end() }
            #expect(try daemon.get("quiet").text == "quiet")
            _ = try eventually(seconds: 60, "it to be trimmed") {
                try state("quiet", of: daemon)["state"] as? String == "trimmed" ? true : nil
            }
            _ = try eventually("its count") { try count(#"cloister_trims_total{cell="standard#0"}"#, of: daemon) >= 1 ? true : nil }
            #expect(try daemon.get("quiet").text == "quiet")
            _ = try eventually("it to be hot again") { try state("quiet", of: daemon)["state"] as? String == "hot" ? true : nil }
            #expect(try count("cloister_cold_start_duration_seconds_count", of: daemon) == 1)
        }

        /// Bundles of 48 MiB together, and a budget with room for about half of them: 15 % of what the cell may hold are for what it keeps.
        @Test func whatACellKeepsOfThoseNotUsedForLongestIsGivenUpAndReadAgain() throws {
            let names = (0..<12).map { "t\($0)" }
            let large = ["page.txt": String(repeating: "x", count: 4 << 20)]
            let daemon = try TestDaemon(
                names.map { name in
                    TestTenant(
                        name, "export default { fetch() { return new Response('\(name)'); } };",
                        policy: name == "t0" ? "" : "snapshot: off", files: large)
                }, configuration: MemoryTests.fromSnapshots + "memory_mb: 4000\ndrain_s: 5\n")
            defer { daemon.end() }
            for name in names { #expect(try daemon.get(name).text == name) }
            #expect(try snapshot("t0", of: daemon).state == "kept")
            let kept = try eventually("all to be evicted") { () -> [[String: Any]]? in
                #expect(try daemon.admin("/v1/evict", method: "POST").status == 200)
                let isolates = try daemon.list("/v1/isolates")
                return isolates.contains { ["hot", "trimmed"].contains($0["state"] as? String) } ? nil : isolates
            }
            let bytes = kept.reduce(0) { sum, isolate in
                ["bundle_bytes", "code_bytes", "snapshot_bytes"].reduce(sum) { $0 + (isolate[$1] as? Int ?? 0) }
            }
            #expect(kept.count == names.count && bytes >= names.count << 22, "\(kept)")
            // What the cell may hold is the budget less what the processes take, but for what it keeps.
            let report = try JSONSerialization.jsonObject(with: Data(daemon.admin("/v1/budget").body)) as? [String: Any]
            let used = try #require(report?["used_bytes"] as? Int)
            let budget = (used + Int(Double(bytes) / 0.3) - bytes) >> 20
            #expect(try daemon.admin("/v1/budget?memory_mb=\(budget)", method: "POST").status == 200)
            // Who was used in the last ten seconds stays.
            let left = try eventually(seconds: 60, "some to be given up") { () -> [String]? in
                let left = try daemon.list("/v1/isolates").compactMap { $0["tenant"] as? String }
                return left.count < names.count ? left : nil
            }
            #expect(!left.isEmpty && Set(left) == Set(names.suffix(left.count)), "\(left)")
            // From the file of its snapshot; the others from their sources.
            #expect(try daemon.get("t0").text == "t0")
            #expect(try count("cloister_revival_duration_seconds_count", of: daemon) == 1)
            for name in names { #expect(try daemon.get(name).text == name) }
        }
    }
}
