import Glibc
import NIOPosix
import Sandbox
import Wire

/// Proves the sandbox on this machine with disposable cells: one of each kind is looked at from outside and asked from inside, and for each
/// call that must not work a cell of its own tries it. None of them is ever sent a tenant.
public struct Selfcheck: Sendable {
    /// A row of the table.
    public struct Row: Sendable, Encodable {
        /// Which kind of cell: `jit`, `jit-less`; or `machine`.
        public var cell: String
        /// What was looked at, or `may not: NAME` for what was tried.
        public var measure: String
        /// How it was proved, or what was found instead.
        public var proof: String
        /// `missing` makes the self-check fail.
        public var result: SealMeasure.Result

        init(_ cell: String, _ measure: SealMeasure) {
            self.cell = cell
            self.measure = measure.name
            proof = measure.proof
            result = measure.result
        }
    }

    /// Cells that run at the same time.
    private static let concurrency = 3
    /// A cell that is not ready or gone by then is broken.
    private static let deadlineMilliseconds: Int32 = 20_000
    /// What a cell may hold in all; enough for it, and little enough to show that it is kept.
    private static let memoryLimitBytes: UInt64 = 1 << 30

    private let launcher: CellLauncher
    /// Further variables for cells, which tests use.
    private let environment: [String]
    /// The kernel ends a cell when the thread that started it ends: these live as long as this.
    private let threads: NIOThreadPool

    /// - Parameters:
    ///   - cell: the cell's executable.
    ///   - isSandboxed: false starts cells outside of all namespaces, which tests do to see measures missing.
    public init(cell: String, isSandboxed: Bool = true, environment: [String] = []) throws {
        launcher = try CellLauncher(
            executable: try CellExecutable(path: cell), isSandboxed: isSandboxed, memoryLimitBytes: Self.memoryLimitBytes)
        self.environment = environment
        threads = NIOThreadPool(numberOfThreads: Self.concurrency)
        threads.start()
    }

    /// Ends the threads; the last thing to do.
    public func shutdown() async { try? await threads.shutdownGracefully() }

    /// The whole table. Throws when no cell can be started at all.
    public func run() async throws -> [Row] {
        async let jit = threads.runIfActive { try snapshot(jit: true) }
        async let jitless = threads.runIfActive { try snapshot(jit: false) }
        let snapshots = [true: try await jit, false: try await jitless]
        let tries = CellSeal.attempts.map { (name: $0, jit: true) } + Self.jitlessAttempts.map { (name: $0, jit: false) }
        var tasks: [@Sendable () throws -> [Row]] = [true, false].map { jit in { try seal(snapshots[jit]!, jit: jit) } }
        tasks += tries.map { attempt in { [try self.attempt(attempt.name, snapshots[attempt.jit]!, jit: attempt.jit)] } }
        tasks.append { [try crash(snapshots[true]!)] }
        tasks.append { LandlockMeasures.all().map { Row("machine", $0) } }
        let rows = try await withThrowingTaskGroup(of: (Int, [Row]).self) { group in
            for (index, task) in tasks.enumerated() { group.addTask { (index, try await threads.runIfActive(task)) } }
            return try await group.reduce(into: [Int: [Row]]()) { $0[$1.0] = $1.1 }
        }
        return tasks.indices.flatMap { rows[$0] ?? [] }
    }

    /// What the two kinds of cells differ in, and what could get around that.
    private static let jitlessAttempts =
        CellSeal.jitlessAttempts + ["mmap-exec", "mmap-file", "mmap-shared", "memfd_create", "execveat", "thread"]

    /// The rows about one cell that serves, as it is seen from outside and as it says itself.
    public func measures(jit: Bool) async throws -> [Row] {
        try await threads.runIfActive { try seal(try snapshot(jit: jit), jit: jit) }
    }

    /// The rows about what must not work, of those `names`.
    public func attempts(_ names: [String], jit: Bool) async throws -> [Row] {
        let snapshot = try await threads.runIfActive { try self.snapshot(jit: jit) }
        return try await threads.runIfActive { try names.map { try attempt($0, snapshot, jit: jit) } + [try crash(snapshot)] }
    }

    /// Times from the launch of a cell to its READY, one after the other, ascending.
    public func startTimes(_ count: Int, jit: Bool) async throws -> [Duration] {
        try await threads.runIfActive {
            let snapshot = try self.snapshot(jit: jit)
            return try (0..<count).compactMap { _ in
                let start = ContinuousClock.now
                let (process, socket) = try launch(snapshot, jit: jit)
                defer { close(socket) }
                let isReady = Self.isReady(socket)
                let took = ContinuousClock.now - start
                process.kill()
                _ = process.reap()
                return isReady ? took : nil
            }.sorted()
        }
    }

    // MARK: One cell

    private static func name(jit: Bool) -> String { jit ? "jit" : "jit-less" }

    private func snapshot(jit: Bool) throws -> [UInt8] { try SnapshotBuilder.build(launcher: launcher, jit: jit, hashSeed: 1) }

    private func launch(_ snapshot: [UInt8], jit: Bool, _ variable: String? = nil) throws -> (process: CellProcess, socket: Int32) {
        let process = try launcher.launch(name: "selfcheck", jit: jit, environment: environment + (variable.map { [$0] } ?? []))
        let socket = process.takeSocket()
        try SnapshotBuilder.send(CellConfiguration(cell: "selfcheck", workers: 1, jit: jit, hashSeed: 1, snapshot: snapshot), to: socket)
        return (process, socket)
    }

    private func seal(_ snapshot: [UInt8], jit: Bool) throws -> [Row] {
        let (process, socket) = try launch(snapshot, jit: jit, "CLOISTER_SELFCHECK_REPORT=1")
        defer { close(socket) }
        var measures: [SealMeasure] = []
        let isReady = Self.isReady(socket)
        if isReady {
            do { measures = try process.sealMeasures() + process.furtherMeasures() } catch {
                measures = [SealMeasure("as seen from outside", "\(error)", .missing)]
            }
        }
        process.kill()
        let (status, diagnostics) = process.reap()
        guard isReady else {
            return [Row(Self.name(jit: jit), SealMeasure("ready", "\(SandboxedCell.describe(status)) \(diagnostics)", .missing))]
        }
        return (measures + SealReport(diagnostics).measures).map { Row(Self.name(jit: jit), $0) }
    }

    /// Waits for READY.
    private static func isReady(_ socket: Int32) -> Bool {
        var readable = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&readable, 1, deadlineMilliseconds) == 1 else { return false }
        var header = [UInt8](repeating: 0, count: FrameHeader.size)
        guard recv(socket, &header, header.count, 0) == header.count else { return false }
        return (try? header.withUnsafeBytes { try FrameHeader($0) })??.kind == .ready
    }

    private func end(of name: String, _ snapshot: [UInt8], jit: Bool) throws -> (process: CellProcess, status: Int32, diagnostics: String) {
        let (process, socket) = try launch(snapshot, jit: jit, "CLOISTER_SELFCHECK_ATTEMPT=\(name)")
        defer { close(socket) }
        if !process.hasEnded(withinMilliseconds: Self.deadlineMilliseconds) { process.kill() }
        let (status, diagnostics) = process.reap()
        return (process, status, diagnostics)
    }

    private func attempt(_ name: String, _ snapshot: [UInt8], jit: Bool) throws -> Row {
        let (_, status, diagnostics) = try end(of: name, snapshot, jit: jit)
        let (proof, result): (String, SealMeasure.Result) =
            switch (status, CellSeal.AttemptExit(rawValue: status)) {
            case (-SIGSYS, _): ("a cell that tries it dies of its filter (SIGSYS)", .proved)
            case (_, .refused): ("a cell that tries it is told that there is nothing", .proved)
            case (_, .worked): ("a cell that tries it goes on", .missing)
            case (_, .unknown): ("the cell does not know it", .missing)
            default: ("\(SandboxedCell.describe(status)) \(diagnostics)", .missing)
            }
        return Row(Self.name(jit: jit), SealMeasure("may not: \(name)", proof, result))
    }

    private func crash(_ snapshot: [UInt8]) throws -> Row {
        let (process, status, _) = try end(of: "crash", snapshot, jit: true)
        // A cell answers some faults itself; of those that are none of these it ends with a trap.
        let isRight = [-SIGSEGV, -SIGILL, -SIGTRAP].contains(status) && !process.hasDumpedCore
        return Row(
            Self.name(jit: true),
            SealMeasure(
                "no core dump",
                "a cell that crashes: \(SandboxedCell.describe(status)), \(process.hasDumpedCore ? "a" : "no") core was written",
                isRight ? .proved : .missing))
    }
}
