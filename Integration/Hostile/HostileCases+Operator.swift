import Foundation
import Glibc
import IntegrationHarness
import Testing

/// What happens to the machine and to the operator's files. Each case has a daemon of its own within the scene, which it may kill; the one that
/// cases share, and the neighbour in it, must not notice.
extension HostileCase {
    static let operators: [HostileCase] = [
        .scene(94, "kill -9 of a cell and of cloisterd at any moment") { _ in try killAtAnyMoment() },
        .scene(95, "disk full") { _ in try fillTheDisk() },
        .scene(96, "descriptors exhausted") { _ in try exhaustDescriptors() },
        .scene(97, "memory limit lowered while running") { _ in try lowerMemoryLimits() },
        .scene(98, "clock jump") { _ in try jumpTheClock() },
        .scene(99, "corrupted or truncated snapshot or store file") { _ in try corruptTheStore() },
        .scene(100, "a bad policy among a thousand good ones") { _ in try spoilOnePolicy() },
    ]

    private static let count = "let n = 0; export default { fetch() { return new Response(String(++n)); } };"

    private static func report(_ tenant: String, of daemon: TestDaemon) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(try daemon.admin("/v1/tenants/\(tenant)").body)) as? [String: Any] ?? [:]
    }

    private static func waitForSnapshot(of tenant: String, _ daemon: TestDaemon) throws {
        _ = try eventually("a snapshot of \(tenant)") { try report(tenant, of: daemon)["snapshot"] as? String == "kept" ? true : nil }
    }

    // MARK: 94

    private static func killAtAnyMoment() throws {
        let slow = "export default { async fetch() { await new Promise((d) => setTimeout(d, 10)); return new Response('slow'); } };"
        let daemon = try TestDaemon(
            [.plain("quick"), TestTenant("slow", slow)], configuration: "drain_s: 5\nsuspend_after: 0\nquarantine_cells: 0\n")
        defer { daemon.end() }
        for round in 0..<8 {
            let answers = Tally()
            let asked = DispatchGroup()
            for thread in 0..<4 {
                asked.enter()
                Thread {
                    for _ in 0..<15 {
                        let name = thread % 2 == 0 ? "quick" : "slow"
                        let answer = try? daemon.get(name)
                        answers.add(answer?.text == name ? "right" : answer?.code ?? (answer == nil ? "none" : "wrong"))
                    }
                    asked.leave()
                }.start()
            }
            Thread.sleep(forTimeInterval: Double(round) * 0.011)
            let pid = daemon.process.processIdentifier
            let cells = Holdings.descendants(of: pid)
            if round % 4 == 3 {
                kill(pid, SIGKILL)
                daemon.process.waitUntilExit()
                asked.wait()
                _ = try eventually(seconds: 10, "the cells to end") { cells.allSatisfy { kill($0, 0) != 0 } ? true : nil }
                try daemon.restart()
            } else {
                if let cell = cells.randomElement() { kill(cell, SIGKILL) }
                asked.wait()
                #expect(answers["none"] == 0, "\(answers.description)")
            }
            #expect(answers["wrong"] == 0, "\(answers.description)")
            for name in ["quick", "slow"] {
                _ = try eventually("\(name) to be served") { try daemon.get(name).text == name ? true : nil }
            }
        }
    }

    // MARK: 95

    private static func fillTheDisk() throws {
        let mounts = geteuid() == 0
        // As root, a small disk for the state that only the daemon sees; else files may not grow.
        let script = """
            for word in "$@"; do [ "$last" = --state ] && state=$word; last=$word; done
            mkdir -p "$state" && mount -t tmpfs -o size=8m none "$state" && exec "$@"
            """
        let wrapper = mounts ? ["unshare", "-m", "sh", "-c", script, "sh"] : ["prlimit", "--fsize=262144"]
        let daemon = try TestDaemon([TestTenant("before", count)], wrapper: wrapper)
        defer { daemon.end() }
        #expect(try daemon.get("before").text == "1")
        let folder = "/proc/\(daemon.process.processIdentifier)/root\(daemon.folder.path)/state"
        if mounts {
            try waitForSnapshot(of: "before", daemon)
            let file = open("\(folder)/filler", O_WRONLY | O_CREAT, 0o600)
            let piece = [UInt8](repeating: 1, count: 64 << 10)
            while write(file, piece, piece.count) > 0 {}
            close(file)
        }
        try daemon.write(TestTenant("during", count + "// \(String(repeating: "x", count: 300_000))"))
        try daemon.reload()
        #expect(try daemon.get("during").text == "1")
        // Its snapshot is made all the same, and kept in memory.
        try waitForSnapshot(of: "during", daemon)
        #expect(try daemon.admin("/v1/evict?tenant=during", method: "POST").status == 200)
        _ = try eventually("its revival") { try daemon.get("during").text == "1" ? true : nil }
        if mounts {
            // Nothing is left of what did not fit; with room again the next is kept.
            func kept() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: "\(folder)/tenants") }
            let before = try kept()
            #expect(before.count == 1 && before.allSatisfy { $0.hasSuffix(".snapshot") }, "\(before)")
            unlink("\(folder)/filler")
            try daemon.write(TestTenant("during", count + "// again"))
            try daemon.reload()
            #expect(try daemon.get("during").text == "1")
            _ = try eventually("a file of the new snapshot") { try kept().count == 2 ? true : nil }
        }
        for name in ["before", "during"] { #expect(try daemon.get(name).status == 200) }
    }

    // MARK: 96

    private static func exhaustDescriptors() throws {
        let daemon = try TestDaemon([.plain("a"), .plain("b", policy: "cordon: private")])
        defer { daemon.end() }
        let kept = try daemon.connect()
        func ask() throws -> Response {
            try kept.request("a.localhost")
            return try kept.readResponse()
        }
        #expect(try ask().text == "a")
        let pid = daemon.process.processIdentifier
        let held = Holdings(of: pid).descriptors
        try limitDescriptors(of: pid, to: "\(held + 5)")
        let waiting = try (0..<40).map { _ in try daemon.connect() }
        // Who is connected is served; a cell that cannot be started is a refusal, not an end.
        for _ in 0..<20 { #expect(try ask().text == "a") }
        try kept.request("b.localhost")
        #expect(try kept.readResponse().code == "overloaded")
        let cell = try #require(Holdings.descendants(of: pid).first)
        kill(cell, SIGKILL)
        let refusal = try eventually("the loss to be seen") { () -> String? in try ask().code }
        #expect(["overloaded", "cell_lost"].contains(refusal))
        try limitDescriptors(of: pid, to: "4096")
        for connection in waiting {
            try connection.request("a.localhost", headers: ["connection": "close"])
            let answer = try connection.readResponse()
            #expect(answer.text == "a" || answer.code == "overloaded" || answer.code == "cell_lost")
        }
        for name in ["a", "b"] { _ = try eventually("\(name) to be served") { try daemon.get(name).text == name ? true : nil } }
        #expect(try ask().text == "a")
        #expect(daemon.process.isRunning)
    }

    private static func limitDescriptors(of pid: pid_t, to soft: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["prlimit", "--pid", "\(pid)", "--nofile=\(soft):"]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }

    // MARK: 97

    private static func lowerMemoryLimits() throws {
        let source = """
            let held = [];
            export default { async fetch(request) {
              const url = new URL(request.url);
              if (url.pathname === '/hold') { for (let i = 0; i < 40; i++) held.push(new Array(1 << 17).fill(i)); return new Response('held'); }
              if (url.pathname === '/wait') { await new Promise((done) => setTimeout(done, 1500)); return new Response(`${held.length}`); }
              return new Response('fine');
            } };
            """
        let large = limits(cpu: 20000, memory: 128)
        let daemon = try TestDaemon([TestTenant("a", source, policy: large), .plain("b")])
        defer { daemon.end() }
        #expect(try daemon.get("a", "/hold").text == "held")
        let under = try daemon.connect()
        try under.request("a.localhost", "/wait")
        Thread.sleep(forTimeInterval: 0.2)
        try daemon.write(TestTenant("a", source, policy: limits(cpu: 20000, memory: 16)))
        try daemon.reload()
        // Who began under the old limit ends under it; the new one holds for all others at once.
        #expect(try daemon.get("a", "/hold").code == "memory_limit")
        #expect(try daemon.get("a").text == "fine")
        #expect(try under.readResponse().text == "40")
        // The machine's own budget lowered to less than is held: what is idle goes, and nobody is refused.
        #expect(try daemon.admin("/v1/budget?memory_mb=64", method: "POST").status == 200)
        for _ in 0..<20 {
            for (name, text) in [("a", "fine"), ("b", "b")] { #expect(try daemon.get(name).text == text) }
            Thread.sleep(forTimeInterval: 0.1)
        }
        #expect(try daemon.metric("cloister_memory_budget_bytes") == 64 * 1_048_576)
    }

    // MARK: 98

    /// Stands before the C library's clock of the day, which it shifts by what a file says.
    private static let shiftedClock = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <fcntl.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <time.h>
        static volatile long *shift;
        __attribute__((constructor)) static void start(void) {
            int file = open(getenv("SHIFT_FILE"), O_RDONLY | O_CLOEXEC);
            shift = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        }
        int clock_gettime(clockid_t clock, struct timespec *time) {
            static int (*real)(clockid_t, struct timespec *);
            if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
            int status = real(clock, time);
            if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && shift) time->tv_sec += *shift;
            return status;
        }
        time_t time(time_t *out) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (out) *out = now.tv_sec;
            return now.tv_sec;
        }
        """

    private static func jumpTheClock() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-clock-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let source = folder.appendingPathComponent("clock.c").path
        let library = folder.appendingPathComponent("clock.so").path
        let shift = folder.appendingPathComponent("shift").path
        try shiftedClock.write(toFile: source, atomically: true, encoding: .utf8)
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments = ["clang", "-shared", "-fPIC", "-O1", "-o", library, source]
        try compiler.run()
        compiler.waitUntilExit()
        #expect(compiler.terminationStatus == 0)
        func jump(by seconds: Int) throws {
            let file = open(shift, O_WRONLY | O_CREAT, 0o600)
            defer { close(file) }
            #expect(withUnsafeBytes(of: seconds) { write(file, $0.baseAddress, $0.count) } == 8)
        }
        try jump(by: 0)
        let waits = """
            export default { async fetch(request) {
              await new Promise((done) => setTimeout(done, request.url.endsWith('/long') ? 60000 : 400));
              return new Response('waited');
            } };
            """
        let daemon = try TestDaemon(
            [.plain("a"), TestTenant("waits", waits, policy: "limits: { wall_ms: 2000 }")],
            wrapper: ["env", "LD_PRELOAD=\(library)", "SHIFT_FILE=\(shift)"])
        defer { daemon.end() }
        let years = 10 * 365 * 86_400
        for seconds in [years, -years, 0, -3_600] {
            let kept = try daemon.connect()
            try kept.request("waits.localhost")
            try jump(by: seconds)
            // What waits goes on waiting as long as it would have, and limits hold.
            #expect(try kept.readResponse().text == "waited")
            #expect(try daemon.get("waits", "/long").code == "wall_limit")
            for _ in 0..<5 { #expect(try daemon.get("a").text == "a") }
            let date = try #require(try daemon.get("a").headers["date"])
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
            let shown = try #require(format.date(from: date))
            #expect(abs(shown.timeIntervalSinceNow - Double(seconds)) < 60, "the jump by \(seconds) s was not seen: \(date)")
        }
        #expect(try daemon.metric("cloister_cells_lost_total") == 0)
    }

    // MARK: 99

    private static func corruptTheStore() throws {
        let daemon = try TestDaemon([TestTenant("a", count), TestTenant("b", count)])
        defer { daemon.end() }
        func askAnew() throws {
            for name in ["a", "b"] { #expect(try daemon.get(name).text == "1", "\(name) from a file that was spoiled") }
        }
        try askAnew()
        for name in ["a", "b"] { try waitForSnapshot(of: name, daemon) }
        let state = daemon.folder.appendingPathComponent("state")
        func files() throws -> [URL] {
            try ["snapshots", "tenants"].flatMap {
                try FileManager.default.contentsOfDirectory(at: state.appendingPathComponent($0), includingPropertiesForKeys: nil)
            }
        }
        let spoilers: [(Data) -> Data] = [
            { data in
                var data = data
                data[data.count / 2] ^= 0x40
                return data
            },
            { $0.prefix($0.count / 3) }, { _ in Data() }, { $0 + Data([0]) }, { Data($0.reversed()) },
        ]
        for spoil in spoilers {
            daemon.signal(SIGTERM)
            daemon.process.waitUntilExit()
            let found = try files()
            #expect(found.count >= 3, "\(found)")
            for file in found { try spoil(Data(contentsOf: file)).write(to: file) }
            try daemon.restart()
            #expect(daemon.logLines.contains { $0["message"] == "base snapshot built" })
            try askAnew()
            for name in ["a", "b"] { try waitForSnapshot(of: name, daemon) }
            #expect(!daemon.logLines.contains { $0["message"] == "request failed" || $0["message"] == "a cell cannot go on" })
        }
    }

    // MARK: 100

    private static func spoilOnePolicy() throws {
        let good = 1_000
        let daemon = try TestDaemon([.plain("tenant-0")])
        defer { daemon.end() }
        let folder = daemon.folder.appendingPathComponent("policies").path
        for index in 1..<good {
            let policy = Data("tenant: tenant-\(index)\nmain: ../bundles/tenant-0/worker.js\n".utf8)
            #expect(FileManager.default.createFile(atPath: "\(folder)/tenant-\(index).yaml", contents: policy))
        }
        let bad = [
            "unknown": "tenant: unknown\nmain: ../bundles/tenant-0/worker.js\nlimts: {}\n", "yaml": "tenant: [\n", "empty": "",
            "binary": "\u{0}\u{1}\u{2}", "thief": "tenant: tenant-7\nmain: ../bundles/tenant-0/worker.js\n",
            "host": "tenant: host\nmain: ../bundles/tenant-0/worker.js\nhosts: [tenant-8.localhost]\n",
            "outside": "tenant: outside\nmain: /etc/passwd.js\n",
            "wrong": "tenant: wrong\nmain: ../bundles/tenant-0/worker.js\nweight: -1\n",
        ]
        for (name, text) in bad { try daemon.writePolicy("z-\(name)", text) }
        try daemon.reload()
        let tenants = try daemon.list("/v1/tenants")
        #expect(tenants.count { ($0["errors"] as? [Any])?.isEmpty == true } == good, "\(tenants.count) tenants")
        #expect(daemon.logLines.count { $0["message"] == "a policy does not load" } >= bad.count - 1)
        for index in stride(from: 0, to: good, by: 97) + [7, 8] { #expect(try daemon.get("tenant-\(index)").text == "tenant-0") }
        #expect(try daemon.admin("/readyz").text.contains("policies do not load"))
        for name in ["unknown", "outside", "wrong"] { #expect(try daemon.get(name).status != 200) }
        // A good one that becomes bad keeps what it had.
        try daemon.writePolicy("tenant-9", "tenant: tenant-9\nmain: nowhere.js\n")
        try daemon.reload()
        #expect(try daemon.get("tenant-9").text == "tenant-0")
        #expect(try daemon.get("tenant-10").text == "tenant-0")
    }
}
