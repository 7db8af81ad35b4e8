import Admin
import ArgumentParser
import Bundles
import Foundation
import Gateway
import Logging
import NIOCore
import NIOPosix
import Policy
import PolicyFiles
import Sandbox
import ServiceLifecycle
import Snapshots
import Supervisor
import Synchronization
import Telemetry
import UnixSignals
import Wire

/// `cloisterd run`, from the configuration to the end of the process.
struct Daemon {
    let configuration: DaemonConfiguration
    /// What it was read from, if from a file.
    let configurationFile: String?
    let jsonLogs: Bool
    let logLevel: Logger.Level
    let cell: String
    let isSandboxed: Bool

    private static let frontSchedule = ThreadSchedule(
        nice: getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0), sliceNanoseconds: 200_000)

    func run() async throws {
        // A client or a cell that goes away is an error of a write, not the end of the daemon.
        signal(SIGPIPE, SIG_IGN)
        // So is a write over a limit on the size of files.
        signal(SIGXFSZ, SIG_IGN)
        // Nobody else has any business with the files it makes, the admin API's socket least of all. Cells set their own.
        umask(0o077)
        // Until somebody can be served nothing has to end in order: what is half written is made anew, and cells end with this process.
        // A handler, since the start blocks the threads on which anything else would wait for these.
        for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(0) } }
        // Trapped from here on: one during the start is not lost.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let output = LogOutput()
        let logger = makeLogger(output)
        let folder = try state()
        let prepared = try preparedAtStart(folder, logger)
        let registry = MetricsRegistry()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        // What all requests pass through goes before everything that works for one of them.
        group.next().execute { Self.frontSchedule.apply() }
        let supervisor = try await startSupervisor(prepared, folder, group.next(), registry, logger)
        let certificate = FrontCertificate(configuration)
        let ends = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let gateway = try await startGateway(supervisor, certificate, group.next(), registry, logger)
        let reloading = Reloading(
            supervisor: supervisor, gateway: gateway, certificate: certificate, configuration: configuration,
            configurationFile: configurationFile, logger: logger)
        let reload = SharedReload { await reloading() }
        let admin = try startAdmin(folder, supervisor, reload, registry, logger)
        logger.info(
            "listening",
            metadata: [
                "gateway": "\(Self.text(gateway.address))", "tls": "\(gateway.tlsAddress.map(Self.text) ?? "off")",
                "admin": "\(configuration.admin)", "pid": "\(getpid())",
            ])

        // One after the other, and none holds up the end.
        Task { for await _ in hangups { await reload.request() } }
        await serve(until: ends, supervisor, gateway, logger, output)
        withExtendedLifetime((folder, admin)) {}
    }

    // MARK: Start

    private func makeLogger(_ output: LogOutput) -> Logger {
        let format: LogFormat = jsonLogs ? .json : .automatic()
        // Without a sandbox every line says so.
        let metadata: Logger.Metadata = isSandboxed ? [:] : ["sandbox": "off (--insecure-no-sandbox)"]
        return Logger(label: "cloisterd") { label in
            StructuredLogHandler(label: label, output: output, format: format, level: logLevel, metadata: metadata)
        }
    }

    private func state() throws -> StateFolder {
        let path =
            configuration.state
            ?? DaemonConfiguration.defaultState(isRoot: geteuid() == 0, environment: ProcessInfo.processInfo.environment)
        do { return try StateFolder(path: path) } catch {
            complain("\(error)")
            throw error.isPermission ? ExitStatus.permission : ExitStatus.unavailable
        }
    }

    /// What cells are started from, where the cell's executable or a library of it is another by now.
    private func renewedOrigin(_ installed: Installed, _ folder: StateFolder, _ logger: Logger) throws -> CellOrigin? {
        try installed.executable.withLock { known in
            guard !known.isCurrent else { return nil }
            let prepared = try prepare(folder, logger)
            known = prepared.executable
            return CellOrigin(
                spawner: SandboxSpawner(prepared.launcher), snapshot: prepared.snapshot, jitlessSnapshot: prepared.jitlessSnapshot,
                snapshots: prepared.snapshots)
        }
    }

    /// The executable that cells are started from.
    private final class Installed: Sendable {
        let executable: Mutex<CellExecutable>
        init(_ executable: CellExecutable) { self.executable = Mutex(executable) }
    }

    /// What cells are started with.
    private struct Prepared {
        var executable: CellExecutable
        var launcher: CellLauncher
        var snapshot: [UInt8]
        var jitlessSnapshot: [UInt8]
        var hashSeed: UInt32
        var snapshots: BuiltTenantSnapshots
    }

    /// As `prepare`, for the person who started the daemon.
    private func preparedAtStart(_ folder: StateFolder, _ logger: Logger) throws -> Prepared {
        do { return try prepare(folder, logger) } catch let error as SandboxFailure {
            complain("cells cannot be started: \(error)")
            throw ExitStatus.of(error)
        } catch {
            complain("\(error)")
            throw (error as? StateError)?.isPermission == true ? ExitStatus.permission : ExitStatus.unavailable
        }
    }

    /// - Throws: what was in the way, for whoever asked.
    private func prepare(_ folder: StateFolder, _ logger: Logger) throws -> Prepared {
        let key = try HostKey(folder: folder.path)
        let store = BaseSnapshotStore(folder, key: key)
        let executable = try CellExecutable(path: cell)
        let launcher = try CellLauncher(
            executable: executable, isSandboxed: isSandboxed,
            memoryLimitBytes: Supervisor.cellMemoryLimitBytes(budget: Self.memoryBudget(configuration)))
        for warning in launcher.warnings { logger.warning("\(warning)") }
        let identity =
            try CellExecutable.run(cell, ["--identity"], environment: ["SWIFT_BACKTRACE=enable=no"]) + executable.fingerprint
        guard identity.hasPrefix(WireProtocol.line) else {
            throw StateError(
                "\(cell) does not speak the protocol of this cloisterd: both are to be of one build, and this one started again")
        }
        let base = try snapshot(store, launcher, identity, key, jit: true, logger)
        let jitlessBase = try snapshot(store, launcher, identity, key, jit: false, logger)
        store.removeOthers(than: identity)
        let tenants = try TenantSnapshotStore(
            folder, key: key, identity: identity, limitBytes: configuration.snapshotStoreMegabytes << 20)
        return Prepared(
            executable: executable, launcher: launcher, snapshot: base, jitlessSnapshot: jitlessBase,
            hashSeed: key.hashSeed,
            snapshots: BuiltTenantSnapshots(
                store: tenants, launcher: launcher, base: base, jitlessBase: jitlessBase, hashSeed: key.hashSeed))
    }

    private func snapshot(
        _ store: BaseSnapshotStore, _ launcher: CellLauncher, _ identity: String, _ key: HostKey, jit: Bool, _ logger: Logger
    ) throws -> [UInt8] {
        if let known = store.read(identity: identity, jit: jit) { return known }
        let blob = try SnapshotBuilder.build(launcher: launcher, jit: jit, hashSeed: key.hashSeed)
        do throws(StateError) { try store.write(blob, identity: identity, jit: jit) } catch {
            // It is only made again at the next start.
            logger.warning("the base snapshot cannot be kept", metadata: ["reason": "\(error)"])
        }
        logger.info("base snapshot built", metadata: ["bytes": "\(blob.count)", "jit": "\(jit)"])
        return blob
    }

    private func startSupervisor(
        _ prepared: Prepared, _ folder: StateFolder, _ eventLoop: any EventLoop, _ registry: MetricsRegistry, _ logger: Logger
    ) async throws -> Supervisor {
        var settings = SupervisorConfiguration()
        settings.workersPerCell = configuration.workers ?? max(1, System.coreCount)
        settings.sliceMicroseconds = configuration.sliceMicroseconds
        settings.isolatesPerCell = configuration.isolatesPerCell
        settings.cellsPerCordon = configuration.cellsPerCordon
        settings.cellConcurrency = configuration.cellConcurrency
        settings.idleSeconds = configuration.idleSeconds
        settings.cellAgeHours = configuration.cellAgeHours
        // Beside groups of the kernel's it would have to wait for them.
        settings.setFrontUrgency = { isUrgent in if !isUrgent || !ThreadSchedule.applyRealTime() { Self.frontSchedule.apply() } }
        settings.machineConcurrency = configuration.machineConcurrency
        settings.machineQueue = configuration.machineQueue
        settings.preempts = configuration.preempt
        settings.cellStartSeconds = configuration.cellStartSeconds
        settings.cellSilenceSeconds = configuration.cellSilenceSeconds
        settings.quarantine.limitBreaches = configuration.quarantineAfter
        settings.quarantine.windowNanoseconds = UInt64(configuration.quarantineWindowSeconds) * 1_000_000_000
        settings.quarantine.quietNanoseconds = UInt64(configuration.quarantineQuietSeconds) * 1_000_000_000
        settings.quarantineCells = configuration.quarantineCells
        settings.suspendAfter = configuration.suspendAfter
        settings.snapshot = prepared.snapshot
        settings.jitlessSnapshot = prepared.jitlessSnapshot
        settings.hashSeed = prepared.hashSeed
        settings.snapshots = prepared.snapshots
        let installed = Installed(prepared.executable)
        settings.renewedOrigin = { try renewedOrigin(installed, folder, logger) }
        settings.memoryBudgetBytes = Self.memoryBudget(configuration)
        settings.evictsLRU = configuration.eviction == .lru
        settings.revivesFromSnapshot = configuration.revival == .snapshot
        if !isSandboxed { settings.warnings.append("cells run without a sandbox (--insecure-no-sandbox)") }
        let bundles = try bundles(folder, logger)
        settings.bundles = bundles
        let load = PolicyReader(folder: configuration.policies, keeping: bundles)
        let supervisor = Supervisor(
            eventLoop: eventLoop, configuration: settings, spawner: SandboxSpawner(prepared.launcher), logger: logger,
            registry: registry, loadPolicies: { load() })
        let policies = load()
        guard policies.isComplete else {
            policies.failures.values.joined().forEach { complain($0) }
            throw ExitStatus.configuration
        }
        bundles.removeLeftovers()
        try await eventLoop.submit {
            supervisor.apply(policies)
            supervisor.start()
        }.get()
        return supervisor
    }

    /// The tenants' code, for as long as the daemon runs.
    private func bundles(_ folder: StateFolder, _ logger: Logger) throws -> BundleStore {
        do {
            return try BundleStore(folder: folder.path + "/bundles") { problem in
                logger.error("bundles are kept in memory, since the disk does not take them", metadata: ["reason": "\(problem)"])
            }
        } catch {
            complain("\(error)")
            throw ExitStatus.unavailable
        }
    }

    /// What is configured, or four fifths of what there is.
    static func memoryBudget(_ configuration: DaemonConfiguration) -> UInt64 {
        configuration.memoryMegabytes.map { UInt64($0) << 20 } ?? MachineMemory.read().limitBytes / 5 * 4
    }

    private func startGateway(
        _ supervisor: Supervisor, _ certificate: FrontCertificate?, _ eventLoop: any EventLoop, _ registry: MetricsRegistry,
        _ logger: Logger
    ) async throws -> GatewayServer {
        let (host, port) = DaemonConfigurationFile.split(configuration.listen)!
        let tls = try tls(certificate, logger)
        var limits = GatewayLimits(configuration.http)
        limits.connections = OpenFiles.makeRoom(connections: limits.connections)
        if limits.connections < configuration.http.connections {
            logger.warning(
                "the limit of open files (RLIMIT_NOFILE) allows fewer connections than are configured",
                metadata: ["configured": "\(configuration.http.connections)", "allowed": "\(limits.connections)"])
        }
        do {
            return try await GatewayServer.start(
                host: host, port: port, tls: tls, eventLoop: eventLoop, limits: limits, metrics: registry, dispatcher: { supervisor })
        } catch {
            throw Self.notListening([configuration.listen] + [configuration.listenTLS].compactMap { $0 }, error)
        }
    }

    private func tls(_ certificate: FrontCertificate?, _ logger: Logger) throws -> GatewayTLS? {
        guard let certificate, let (host, port) = configuration.listenTLS.flatMap(DaemonConfigurationFile.split) else { return nil }
        do throws(PolicyErrors) {
            let loaded = try certificate.load()
            certificate.announce(loaded, logger)
            return GatewayTLS(host: host, port: port, certificate: loaded)
        } catch {
            error.errors.forEach { complain($0.description) }
            throw ExitStatus.configuration
        }
    }

    private func startAdmin(
        _ folder: StateFolder, _ supervisor: Supervisor, _ reload: SharedReload, _ registry: MetricsRegistry, _ logger: Logger
    ) throws -> Task<Void, Never> {
        let token: AdminToken
        do throws(AdminTokenError) { token = try AdminToken(folder: folder.path) } catch {
            complain("\(error)")
            throw ExitStatus.unavailable
        }
        let server = AdminServer(
            address: configuration.admin, token: token, control: supervisor, metrics: registry, logger: logger, reload: { await reload() }
        ) { bound in
            logger.info("admin listening", metadata: ["admin": "\(bound.map(Self.text) ?? "")", "token": "\(token.path)"])
        }
        return Task {
            do { try await server.run() } catch is CancellationError {} catch {
                Foundation.exit(Self.notListening(["\(configuration.admin)"], error).rawValue)
            }
        }
    }

    /// Says that nobody can be served at these addresses, and why.
    private static func notListening(_ addresses: [String], _ error: any Error) -> ExitCode {
        let code = (error as? IOError)?.errnoCode
        complain("cannot listen on \(addresses.joined(separator: " and ")): \(code.map { String(cString: strerror($0)) } ?? "\(error)")")
        return code == EACCES ? ExitStatus.permission : ExitStatus.unavailable
    }

    private static func text(_ address: SocketAddress) -> String {
        if let path = address.pathname, !path.isEmpty { return "unix:\(path)" }
        let host = address.ipAddress ?? ""
        return "\(host.contains(":") ? "[\(host)]" : host):\(address.port ?? 0)"
    }

    // MARK: Serving

    /// TERM and INT drain and end; a second one ends at once. Never returns.
    private func serve(
        until ends: UnixSignalsSequence, _ supervisor: Supervisor, _ gateway: GatewayServer, _ logger: Logger, _ output: LogOutput
    ) async {
        var isDraining = false
        for await _ in ends {
            if isDraining {
                logger.warning("ending at once")
                await end(supervisor, logger, output)
            } else {
                isDraining = true
                Task {
                    await drain(supervisor, gateway, seconds: configuration.drainSeconds, logger)
                    await end(supervisor, logger, output)
                }
            }
        }
    }

    private func end(_ supervisor: Supervisor, _ logger: Logger, _ output: LogOutput) async {
        await supervisor.endCells()
        configuration.admin.removeSocket()
        logger.info("ended")
        output.flush()
        Foundation.exit(0)
    }

    private func drain(_ supervisor: Supervisor, _ gateway: GatewayServer, seconds: Int, _ logger: Logger) async {
        // Not a task group, which would wait for both: requests that never end do not hold the process.
        let outcomes = AsyncStream<Bool> { outcomes in
            Task {
                await supervisor.beginDraining()
                await gateway.drain(withinMilliseconds: seconds * 1000)
                await supervisor.drain()
                outcomes.yield(true)
            }
            Task {
                try? await Task.sleep(for: .seconds(seconds))
                outcomes.yield(false)
            }
        }
        for await isDrained in outcomes {
            if !isDrained { logger.warning("not all requests ended within \(seconds) s") }
            return
        }
    }
}

extension PolicyLoad {
    /// What the supervisor needs of a folder of policies.
    init(_ contents: PolicyDirectory.Contents) {
        var failures: [String: [String]] = [:]
        for error in contents.errors { failures[contents.tenantOfFile[error.file] ?? error.file, default: []].append(error.description) }
        self.init(
            tenants: contents.tenants.map { loaded in
                Tenant(policy: loaded.policy, vars: loaded.vars, secrets: loaded.secrets, bundle: loaded.bundle)
            }, failures: failures, hostsWithoutBundle: contents.hostsWithoutBundle, isComplete: contents.isComplete)
    }
}
