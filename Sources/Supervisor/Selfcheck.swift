import Glibc
import Sandbox
import Wire

/// Proves the sandbox on this machine: a disposable cell is checked from outside, and for each call that must not work another one tries it.
public enum Selfcheck {
    public struct Result: Sendable, Encodable {
        public var measure: String
        /// How it was proved, or what went wrong.
        public var evidence: String
        public var isProved: Bool
    }

    /// Blocks for some seconds. Throws when no cell can be started at all.
    public static func run(cell: String) throws -> [Result] {
        let launcher = try CellLauncher(executable: try CellExecutable(path: cell))
        let snapshot = try SnapshotBuilder.build(launcher: launcher, jit: true, hashSeed: 1)
        let jitless = try SnapshotBuilder.build(launcher: launcher, jit: false, hashSeed: 1)
        var results = [try seal(launcher, snapshot)]
        for attempt in CellSeal.attempts {
            results.append(try self.attempt(attempt, launcher, snapshot, jit: true))
        }
        results.append(try self.attempt("mprotect-exec", launcher, jitless, jit: false))
        return results
    }

    private static func seal(_ launcher: CellLauncher, _ snapshot: [UInt8]) throws -> Result {
        let measure = "seal of every thread, empty root, namespaces, descriptors"
        let process = try launcher.launch(name: "selfcheck", jit: true)
        let socket = process.takeSocket()
        defer {
            close(socket)
            process.kill()
            _ = process.reap()
        }
        try DisposableCell.configure(socket, snapshot, jit: true)
        guard DisposableCell.isReady(socket) else {
            return Result(measure: measure, evidence: "the cell did not become ready", isProved: false)
        }
        do {
            try process.verifySealed()
            return Result(measure: measure, evidence: "as /proc shows it from outside", isProved: true)
        } catch { return Result(measure: measure, evidence: "\(error)", isProved: false) }
    }

    private static func attempt(_ name: String, _ launcher: CellLauncher, _ snapshot: [UInt8], jit: Bool) throws -> Result {
        let process = try launcher.launch(name: "selfcheck", jit: jit, environment: ["CLOISTER_SELFCHECK_ATTEMPT=\(name)"])
        let socket = process.takeSocket()
        defer { close(socket) }
        try DisposableCell.configure(socket, snapshot, jit: jit)
        let (status, diagnostics) = process.reap()
        let measure = "\(name)\(jit ? "" : " (no JIT)")"
        switch status {
        case -SIGSYS: return Result(measure: measure, evidence: "killed by the filter (SIGSYS)", isProved: true)
        case 101: return Result(measure: measure, evidence: "refused by the kernel", isProved: true)
        case 100: return Result(measure: measure, evidence: "it worked", isProved: false)
        default: return Result(measure: measure, evidence: "\(SandboxedCell.describe(status)) \(diagnostics)", isProved: false)
        }
    }
}

/// A cell that is spoken to without an event loop.
enum DisposableCell {
    static func configure(_ socket: Int32, _ snapshot: [UInt8], jit: Bool) throws {
        try SnapshotBuilder.send(
            CellConfiguration(cell: "selfcheck", workers: 1, jit: jit, hashSeed: 1, snapshot: snapshot), to: socket)
    }

    /// Waits for READY, at most ten seconds.
    static func isReady(_ socket: Int32) -> Bool {
        var readable = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&readable, 1, 10_000) == 1 else { return false }
        var header = [UInt8](repeating: 0, count: FrameHeader.size)
        guard recv(socket, &header, header.count, 0) == header.count else { return false }
        return (try? header.withUnsafeBytes { try FrameHeader($0) })??.kind == .ready
    }
}
