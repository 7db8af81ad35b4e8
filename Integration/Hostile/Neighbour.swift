import Foundation
import Glibc
import IntegrationHarness

/// A tenant beside the offender that is asked all the time; every answer must be its own.
final class Neighbour: @unchecked Sendable {
    /// Time between an answer and the next question.
    private static let pauseSeconds = 0.001

    let name: String
    let cordon: String
    /// Known to the neighbour alone.
    let secret = "secret-\(UUID().uuidString)"

    private let lock = NSLock()
    private var isAsking = false
    private var asking: DispatchGroup?
    private var mark = Mark()

    /// What was heard since the last `begin`.
    struct Mark {
        var right = 0
        /// Refusals because its cell was lost.
        var cellLost = 0
        /// Isolates that answered, by what they call themselves.
        var isolates: Set<String> = []
        var wrong: [String] = []
        var latenciesMilliseconds: [Double] = []

        func percentile(_ part: Double) -> Double {
            guard !latenciesMilliseconds.isEmpty else { return 0 }
            let sorted = latenciesMilliseconds.sorted()
            return sorted[min(Int(Double(sorted.count) * part), sorted.count - 1)]
        }
    }

    init(cordon: String) {
        self.cordon = cordon
        name = "neighbour-\(cordon)"
    }

    /// Says its secret, which isolate it is, and whether its globals are as they were made.
    var tenant: TestTenant {
        TestTenant(
            name,
            """
            let isolate;
            const names = Object.getOwnPropertyNames(Object.prototype).length + Reflect.ownKeys(globalThis).length;
            export default { fetch(request, env) {
              isolate ??= crypto.randomUUID();
              const clean = names === Object.getOwnPropertyNames(Object.prototype).length + Reflect.ownKeys(globalThis).length;
              return new Response(`${env.SECRET} ${isolate} ${clean ? 'clean' : 'dirty'}`);
            } };
            """,
            policy: "cordon: \(cordon)\nsnapshot: off\nvars: { SECRET: \(secret) }\nlimits: { cpu_quota_ms_per_s: 1000000 }")
    }

    /// Asks on a thread of its own until `end`.
    func begin(_ daemon: TestDaemon) {
        let group = DispatchGroup()
        lock.withLock {
            isAsking = true
            mark = Mark()
            asking = group
        }
        group.enter()
        let thread = Thread { [self] in
            var connection: Connection?
            while lock.withLock({ isAsking }) {
                ask(daemon, &connection)
                Thread.sleep(forTimeInterval: Self.pauseSeconds)
            }
            group.leave()
        }
        thread.stackSize = 512 << 10
        thread.start()
    }

    /// - Returns: what was heard.
    func end() -> Mark {
        lock.withLock { isAsking = false }
        asking?.wait()
        asking = nil
        return heard
    }

    var heard: Mark { lock.withLock { mark } }

    /// Waits until it has been answered that many times more.
    func awaitAnswers(_ count: Int) throws {
        let wanted = heard.right + count
        _ = try eventually("the neighbour's answers") { self.heard.right >= wanted ? true : nil }
    }

    private func ask(_ daemon: TestDaemon, _ connection: inout Connection?) {
        let start = Self.now
        do {
            if connection == nil { connection = try daemon.connect() }
            try connection!.request("\(name).localhost")
            let response = try connection!.readResponse()
            let milliseconds = (Self.now - start) * 1000
            if response.headers["connection"] == "close" { connection = nil }
            let words = response.text.split(separator: " ").map(String.init)
            lock.withLock {
                mark.latenciesMilliseconds.append(milliseconds)
                if response.status == 200, words.count == 3, words[0] == secret, words[2] == "clean" {
                    mark.right += 1
                    mark.isolates.insert(words[1])
                } else if response.code == "cell_lost" {
                    mark.cellLost += 1
                } else {
                    mark.wrong.append("\(response.status) \(response.text.prefix(200))")
                }
            }
        } catch {
            connection = nil
            lock.withLock { mark.wrong.append("\(error)") }
        }
    }

    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
