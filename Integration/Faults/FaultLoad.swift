import Foundation
import Glibc
import IntegrationHarness

/// Tenants of all cordons that say in every answer whose it is and which request it answers, and clients that check each byte of it.
final class FaultLoad: @unchecked Sendable {
    static let tenants: [TestTenant] = [
        "standard", "standard", "standard", "trusted", "trusted", "hostile", "hostile", "private", "private",
    ]
    .enumerated().map { index, cordon in
        TestTenant("t\(index)", worker, policy: "cordon: \(cordon)\nvars: { TOKEN: \"\(token(index))\" }\n\(limits)")
    }
    private static let limits = "limits: { cpu_ms: 10000, cpu_quota_ms_per_s: 1000000, concurrency: 64 }"
    static func token(_ tenant: Int) -> String { "token-\(tenant)-\(tenant &* 7_919 &+ 13)" }

    private static let worker = """
        const encoder = new TextEncoder();
        export default { async fetch(request, env) {
          const [, kind, id] = new URL(request.url).pathname.split('/');
          const mark = `${env.TOKEN}:${id};`;
          switch (kind) {
            case 'slow': await new Promise((done) => setTimeout(done, 5 + Number(id) % 60)); break;
            case 'busy': for (let i = 0, x = 1; i < 200000; i++) x = (Math.imul(x, 1103515245) + 12345) | 0; break;
            case 'echo': return new Response(mark + await request.text());
            case 'large': {
              let left = 32;
              const piece = encoder.encode(mark.repeat(256));
              return new Response(new ReadableStream({ pull(stream) {
                if (left-- > 0) stream.enqueue(piece); else stream.close();
              } }));
            }
          }
          return new Response(mark);
        } };
        """
    private static let kinds = ["quick", "quick", "slow", "busy", "echo", "large"]
    private static let largeRepeats = 32 * 256
    /// Refusals that a fault may bring upon a request; the last two where its cell was starved of memory: a buffer that there is no memory for is
    /// a RangeError of the worker's own.
    private static let refusals = ["cell_lost", "overloaded", "memory_limit", "exception"]

    let tally = Tally()
    /// What must not be, in words.
    private(set) var wrongs: [String] = []
    private let daemon: TestDaemon
    private let lock = NSLock()
    private let threads = DispatchGroup()
    private var isStopped = false
    /// Odd while the daemon is down or going down; requests that a change overlaps may remain unanswered.
    private var epoch = 0

    init(_ daemon: TestDaemon, threads count: Int, seed: UInt64) {
        self.daemon = daemon
        for thread in 0..<count {
            threads.enter()
            Thread {
                self.run(FaultRandom(seed: seed &+ UInt64(thread) &* 1_000_003), firstID: thread, step: count)
                self.threads.leave()
            }.start()
        }
    }

    func end() {
        lock.withLock { isStopped = true }
        threads.wait()
    }

    func daemonGoes() { lock.withLock { epoch += 1 } }
    func daemonIsBack() { lock.withLock { epoch += 1 } }
    private var currentEpoch: Int { lock.withLock { epoch } }

    private func wrong(_ what: String) {
        tally.add("wrong")
        lock.withLock { if wrongs.count < 20 { wrongs.append(what) } }
    }

    private func run(_ random: FaultRandom, firstID: Int, step: Int) {
        var random = random
        var connection: Connection?
        var id = firstID
        while !lock.withLock({ isStopped }) {
            id += step
            let before = currentEpoch
            guard before % 2 == 0 else {
                connection = nil
                Thread.sleep(forTimeInterval: 0.01)
                continue
            }
            let tenant = Int.random(in: 0..<Self.tenants.count, using: &random)
            let kind = Self.kinds.randomElement(using: &random)!
            do {
                if connection == nil { connection = try daemon.connect() }
                tally.add("sent")
                if try !ask(connection!, tenant, kind, id) { connection = nil }
            } catch {
                connection = nil
                if currentEpoch == before {
                    wrong("\(kind) \(id) of tenant \(tenant) had no answer: \(error)")
                } else {
                    tally.add("cut")
                }
            }
        }
        if let connection, connection.unreadCount > 0 { wrong("\(connection.unreadCount) bytes belong to no request") }
    }

    /// - Returns: whether the connection may be kept.
    private func ask(_ connection: Connection, _ tenant: Int, _ kind: String, _ id: Int) throws -> Bool {
        let mark = "\(Self.token(tenant)):\(id);"
        let body = kind == "echo" ? [UInt8](repeating: UInt8(ascii: "e"), count: id % 3 == 0 ? 100_000 : 100) : nil
        try connection.request("t\(tenant).localhost", "/\(kind)/\(id)", method: body == nil ? "GET" : "POST", body: body)
        let (status, headers) = try connection.readHead()
        if let code = headers["cloister-error"] {
            // It begins a new answer, with its own length, and names no tenant's token.
            let text = String(decoding: try connection.read(headers["content-length"].flatMap { Int($0) } ?? 0), as: UTF8.self)
            if text.contains("token-") { wrong("a refusal holds a token: \(text)") }
            if Self.refusals.contains(code) { tally.add(code) } else { wrong("\(kind) \(id): \(status) \(code)") }
            return headers["connection"] != "close"
        }
        guard status == 200 else {
            wrong("\(kind) \(id): \(status)")
            return false
        }
        let expected = kind == "large" ? Array(String(repeating: mark, count: Self.largeRepeats).utf8) : Array(mark.utf8) + (body ?? [])
        var got: [UInt8] = []
        if let length = headers["content-length"].flatMap({ Int($0) }) {
            got = try connection.read(length)
        } else {
            do { while let piece = try connection.readChunk() { got += piece } } catch {
                // A cell that is lost while its body streams breaks the connection off; what came until then must be right.
                if !expected.starts(with: got) { wrong("\(kind) \(id): bytes that are not its own before the break") }
                tally.add("broken")
                return false
            }
        }
        if got == expected { tally.add("ok") } else { wrong("\(kind) \(id): \(String(decoding: got.prefix(200), as: UTF8.self))") }
        return headers["connection"] != "close"
    }

    /// Requests that were sent and have come to nothing that is known.
    var unaccounted: Int {
        tally["sent"] - (["ok", "wrong", "cut", "broken"] + Self.refusals).reduce(0) { $0 + tally[$1] }
    }
}
