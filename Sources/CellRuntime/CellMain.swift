import CFiber
import Engine
import Glibc
import Policy
import Sandbox
import WebRuntime
import Wire

/// What the executable `cloister-cell` does: seals itself, starts V8, and serves its supervisor until the socket closes.
public enum CellMain {
    private static let threadStackBytes = 512 << 10
    /// Threads that take the places of workers that are stuck in a builtin; with all of them stuck, a place stays taken.
    private static let spareWorkers = 8

    /// - Parameter arguments: without the executable's name. `--identity` prints what a base snapshot depends on; `--insecure` leaves
    ///   the sandbox out. For the self-check, the environment's CLOISTER_SELFCHECK_ATTEMPT names what to try once sealed, instead of serving,
    ///   and CLOISTER_SELFCHECK_REPORT has the cell say how it is sealed (Swift reads a command line from /proc, which a sealed cell does
    ///   not have). Neither takes anything from the seal.
    public static func run(arguments: [String]) -> Never {
        if arguments.first == "--identity" {
            print(identity)
            exit(0)
        }
        do {
            try serve(
                isSealed: !arguments.contains("--insecure"),
                attempt: getenv("CLOISTER_SELFCHECK_ATTEMPT").map { String(cString: $0) })
        } catch {
            complain("\(error)")
            exit(1)
        }
    }

    /// How it speaks to a supervisor, and what blobs depend on: V8's version, its flags, the runtime's sources, a line each.
    private static var identity: String {
        "\(WireProtocol.line)\(V8.version)\n\(V8.fixedFlags)\n\(WebRuntime.sourcesHash)\n"
    }

    private static func serve(isSealed: Bool, attempt: String?) throws -> Never {
        if isSealed { try CellSeal.beforeRuntime() }
        let socket = SupervisorSocket()
        let configuration = try readConfiguration(from: socket)
        WebRuntime.warmUp()
        tzset()
        if isSealed { try CellSeal.dropRoot() }
        try V8.start(engineConfiguration(configuration))
        if configuration.buildsSnapshot { try buildSnapshot(configuration, to: socket, isSealed: isSealed) }

        let cell = Cell(socket: socket, configuration: configuration, snapshot: permanent(configuration.snapshot))
        let gate = Gate()
        let workers = (0..<(configuration.workers + spareWorkers)).map {
            Worker(index: $0, cell: cell, hasPlace: $0 < configuration.workers)
        }
        cell.workers = workers
        let ticker = Ticker(cell: cell, workers: workers)
        for worker in workers {
            try startThread("worker \(worker.index)", stackBytes: threadStackBytes) {
                CellThreads.worker.apply()
                guard V8.prepareThread() else { _exit(1) }
                gate.pass()
                worker.run()
            }
        }
        try startThread("ticker", stackBytes: threadStackBytes) {
            CellThreads.ticker.apply()
            gate.pass()
            ticker.run()
        }
        for processor in cell.pulse.processors {
            try startThread("pulse \(processor)", stackBytes: threadStackBytes) {
                CellThreads.ticker.apply()
                cell.pulse.join(processor: processor)
                gate.pass()
                cell.pulse.run()
            }
        }
        try startThread("reserve", stackBytes: threadStackBytes) {
            CellThreads.reserve.apply()
            gate.pass()
            cell.reserve.run()
        }
        try cell.warmUp(memoryFile: isSealed ? CellSeal.memoryFile : CellSeal.openMemoryFile())
        // A thread makes calls as it begins (rseq, set_robust_list) that the steady filter answers with the process's end.
        gate.waitForArrivals(workers.count + cell.pulse.processors.count + 2)
        cell.pulse.pin()
        // Afterwards the steady filter forbids asking.
        if getenv("CLOISTER_SELFCHECK_REPORT") != nil { CellSeal.report() }
        if isSealed { try CellSeal.finish() }
        if let attempt { CellSeal.selfcheckAttempt(attempt) }
        socket.send(.ready, payload: Array(V8.version.utf8))
        socket.flushBlocking()
        gate.open()
        cell.giveBackFreedMemory()
    }

    /// A line for whoever reads the cell's diagnostics.
    fileprivate static func complain(_ text: String) {
        let line = Array("cloister-cell: \(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }

    private static func readConfiguration(from socket: SupervisorSocket) throws -> CellConfiguration {
        var configuration: CellConfiguration?
        while configuration == nil {
            try socket.receive(blocking: true) { header, payload throws(WireError) in
                guard header.kind == .configure else { throw .invalid("the first frame must be the configuration") }
                var reader = ByteReader(payload)
                configuration = try CellConfiguration(from: &reader)
            }
        }
        return configuration!
    }

    private static func readVersion(from socket: SupervisorSocket) throws -> TenantVersion {
        var version: TenantVersion?
        while version == nil {
            try socket.receive(blocking: true) { header, payload throws(WireError) in
                guard header.kind == .tenant else { throw .invalid("a builder takes a tenant") }
                var reader = ByteReader(payload)
                version = TenantVersion(id: header.id, bundle: try TenantBundle(from: &reader))
            }
        }
        return version!
    }

    private static func engineConfiguration(_ configuration: CellConfiguration) -> EngineConfiguration {
        let builderFlags = configuration.buildsSnapshot && !configuration.snapshot.isEmpty ? SnapshotBuild.flags : ""
        return EngineConfiguration(
            flags: "--hash-seed=\(configuration.hashSeed)\(configuration.jit ? "" : " --jitless") \(builderFlags)",
            sources: WebRuntime.sources, operations: WebRuntime.operations,
            suspend: { cfiber_suspend($0) },
            fatal: { user, isOutOfMemory, location, message in
                CellMain.fatal(user: user, isOutOfMemory: isOutOfMemory, location: location, message: message)
            })
    }

    private static func buildSnapshot(_ configuration: CellConfiguration, to socket: SupervisorSocket, isSealed: Bool) throws -> Never {
        if configuration.snapshot.isEmpty {
            if isSealed { try CellSeal.finish() }
            let blob = try V8.buildBaseSnapshot()
            socket.send(.snapshot, payload: blob)
            socket.flushBlocking()
        } else {
            let base = permanent(configuration.snapshot)
            SnapshotBuild.limitResources()
            if isSealed { try CellSeal.finish() }
            socket.send(.ready, payload: Array(V8.version.utf8))
            socket.flushBlocking()
            SnapshotBuild.run(base: base, version: try readVersion(from: socket), socket: socket)
        }
        // Nothing is torn down: V8 may not survive it, and the kernel does it better.
        _exit(0)
    }

    private static func permanent(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 4096)
        copy.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(copy)[..<bytes.count])
    }

    /// V8 cannot go on. The supervisor is told whose turn it was, and the thread stops here. An isolate that is out of memory harms nobody but
    /// itself; after a failed check the others are no longer trusted either.
    private static func fatal(
        user: UnsafeMutableRawPointer?, isOutOfMemory: Bool, location: UnsafePointer<CChar>?,
        message: UnsafePointer<CChar>?
    ) {
        let text =
            "\(isOutOfMemory ? "out of memory" : "failed check") at \(location.map { String(cString: $0) } ?? "?"): \(message.map { String(cString: $0) } ?? "")"
        guard let user else {
            complain("V8: \(text)")
            _exit(1)
        }
        let host = Unmanaged<RuntimeHost>.fromOpaque(user).takeUnretainedValue()
        if let build = host as? SnapshotBuild { build.fail(text, isOutOfMemory: isOutOfMemory) }
        guard let isolate = host as? TenantIsolate else { _exit(1) }
        if isOutOfMemory { isolate.cell.abandon(isolate, text) }
        isolate.cell.poison(text, version: isolate.version.id)
    }
}

/// How the kernel schedules the cell's threads beside each other.
enum CellThreads {
    private static let nice = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)
    /// It must not wait for those it watches; nor must the pulse.
    static let ticker = ThreadSchedule(nice: nice, sliceNanoseconds: 100_000)
    static let worker = ThreadSchedule(nice: nice + 5, sliceNanoseconds: 400_000)
    /// A worker that is stuck in a builtin: whoever took its place goes first. The same nice value, since an ordinary user may not lower it again.
    static let stuck = ThreadSchedule(nice: nice + 5, sliceNanoseconds: 4_000_000)
    static let reserve = ThreadSchedule(nice: nice + 10, sliceNanoseconds: 4_000_000)
}

/// Holds threads back until the seal is complete.
final class Gate: @unchecked Sendable {
    private let lock = Lock()
    private let condition = Lock.Condition()
    private var isOpen = false
    private var arrivedCount = 0

    func pass() {
        lock.withLock {
            arrivedCount += 1
            condition.broadcast()
            while !isOpen { condition.wait(lock) }
        }
    }

    /// Waits until `count` threads stand at the gate.
    func waitForArrivals(_ count: Int) { lock.withLock { while arrivedCount < count { condition.wait(lock) } } }

    func open() {
        lock.withLock {
            isOpen = true
            condition.broadcast()
        }
    }
}

extension Cell {
    /// Runs one isolate through its life, so that everything V8 sets up lazily is there before the seal.
    /// - Parameter memoryFile: for the pages of the base snapshot that isolates share.
    func warmUp(memoryFile: Int32) throws {
        if !V8.takeCommonPages(of: reserve.snapshot, memoryFile: memoryFile) {
            CellMain.complain("isolates share no pages: errno \(errno)")
        }
        let bundle = TenantBundle(
            tenant: "warm-up", limits: .init(), eval: false, weight: 1, vars: [], secrets: [],
            modules: [BundleModule(name: "warm-up.js", kind: .javascript, data: Array(Self.warmUpSource.utf8))])
        let isolate = TenantIsolate(cell: self, version: TenantVersion(id: 0, bundle: bundle))
        let request = RequestState(id: 0)
        let payload = FrameBytes.make(count: RequestFrame.fixedSize + 12) { out in
            var writer = ByteWriter()
            RequestFrame.encodeFixed(into: &writer, version: 0, methodLength: 3, urlLength: 9, headersLength: 0)
            writer.bytes += Array("GEThttp://a/".utf8)
            out.copyBytes(from: writer.bytes)
        }
        guard let fiber = fibers.lease() else { throw CellFailure(stage: "warm-up", "no memory for a fiber") }
        var begins = isolate.begin(.request(request, payload, isComplete: true, hasBody: false), on: fiber)
        var turns = 0
        while begins, turns < 10 {
            while !cfiber_resume(isolate.fiber) {}
            _ = isolate.endTurn()
            turns += 1
            begins = lock.withLock { isolate.inbox.popFirst() }.map { isolate.begin($0, on: fiber) } ?? false
        }
        guard turns == 2 else { throw CellFailure(stage: "warm-up", "an isolate ran \(turns) turns instead of 2") }
        _ = isolate.begin(.end(.evicted(.idle)), on: fiber)
        fibers.giveBack(fiber)
        socket.discardOutput()
        status = CellStatus()
    }

    private static var warmUpSource: String {
        "export default { fetch(request) { new Date().toString(); return new Response('ok ' + request.url); } };"
    }
}
