import Foundation
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// The threads that run turns.
    @Suite(.serialized) struct WorkerTests {
        /// Three that always have something to do cannot stay on two workers and get the same.
        @Test func suspendedStacksGoOnAtAnotherWorker() throws {
            let spin = """
                const handed = (i) => Promise.resolve(i % 7);
                export default {
                  async fetch() {
                    let sum = 0;
                    for (let i = 0; i < 10; i++) {
                      for (let j = 0; j < 5e6; j++) sum = (sum * 31 + j) | 0;
                      sum += await handed(i);
                    }
                    return new Response(String(sum));
                  }
                };
                """
            let names = ["one", "two", "three"]
            let daemon = try TestDaemon(
                names.map { TestTenant($0, spin, policy: "limits: { cpu_ms: 300000, wall_ms: 600000, cpu_quota_ms_per_s: 1000000 }") },
                workers: 2)
            defer { daemon.end() }
            let answers = Tally()
            onThreads(names.count) { thread in
                for _ in 0..<2 { answers.add((try? daemon.get(names[thread]).text) ?? "no answer") }
            }
            var sum: Int32 = 0
            for i in Int32(0)..<10 {
                for j in Int32(0)..<5_000_000 { sum = sum &* 31 &+ j }
                sum &+= i % 7
            }
            #expect(answers["\(sum)"] == names.count * 2, "\(answers.description)")
            // The last status may be a second old.
            _ = try eventually("the cell to tell of stacks that moved") {
                try daemon.metric("cloister_migrations_total{cell=\"standard#0\"}") > 0 ? true : nil
            }
            #expect(try daemon.metric("cloister_preemptions_total{cell=\"standard#0\"}") > 0)
        }

        /// It wakes up once a second, to say how it is.
        @Test func aPoolWithNothingToDoCostsNoCPU() throws {
            let daemon = try TestDaemon([.plain("a")], workers: 8)
            defer { daemon.end() }
            #expect(try daemon.get("a").status == 200)
            let cell = try #require(try daemon.cells().first)
            func ticks() throws -> Int {
                let stat = try String(contentsOfFile: "/proc/\(cell)/stat", encoding: .utf8)
                // utime and stime are the 14th and 15th field; what follows the name begins with the 3rd.
                let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
                return try #require(Int(fields[11])) + #require(Int(fields[12]))
            }
            // Isolates are made ahead, and the tenant's own is trimmed when it has been idle: then nothing is left to do.
            var before = try ticks()
            _ = try eventually(seconds: 60, "three seconds with less than a hundredth of a processor") { () -> Bool? in
                Thread.sleep(forTimeInterval: 3)
                let now = try ticks()
                defer { before = now }
                return now - before <= 3 ? true : nil
            }
        }
    }
}
