import Glibc
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Policy
import ServiceLifecycle
import Supervisor
import Telemetry

/// The admin API: probes, metrics, what runs, and reload and drain. On threads of its own; it asks the supervisor through `SupervisorControl`.
///
///     GET  /healthz            the process answers (HEAD where GET is)
///     GET  /readyz             200 or 503, with reasons and warnings
///     GET  /metrics            Prometheus
///     GET  /v1/tenants, /v1/tenants/NAME, /v1/cells, /v1/isolates, /v1/budget
///     POST /v1/budget?memory_mb=N, /v1/evict, /v1/evict?tenant=NAME, /v1/evict?cold=true
///     POST /v1/reload, /v1/cells/replace, /v1/drain
///
/// What is below `/v1/` needs the token or, on a socket file, the right user (`AdminGuard`).
///
/// A service: `run` ends with its service group's graceful shutdown.
public struct AdminServer: Service {
    /// Connections at once; more wait in the kernel.
    private static let connectionsLimit = 64

    private let address: AdminAddress
    private let token: AdminToken
    private let control: any SupervisorControl
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let reload: @Sendable () async -> ReloadReport
    private let onRunning: @Sendable (SocketAddress?) async -> Void

    /// - Parameters:
    ///   - reload: reads again what can be read again; nil: the supervisor's policies alone.
    ///   - onRunning: called when it listens, with the address it got.
    public init(
        address: AdminAddress, token: AdminToken, control: any SupervisorControl, metrics: MetricsRegistry, logger: Logger,
        reload: (@Sendable () async -> ReloadReport)? = nil, onRunning: @escaping @Sendable (SocketAddress?) async -> Void = { _ in }
    ) {
        self.address = address
        self.token = token
        self.reload = reload ?? { await control.reload() }
        self.control = control
        self.metrics = metrics
        self.logger = logger
        self.onRunning = onRunning
    }

    /// - Throws: what binding threw, such as an address in use.
    public func run() async throws {
        let bind: BindAddress
        switch address {
        case .tcp(let host, let port): bind = .hostname(host, port: port)
        case .unix(let path):
            try Self.removeStaleSocket(path)
            bind = .unixDomainSocket(path: path)
        }
        let application = Application(
            router: router(),
            server: .http1(configuration: .init(idleTimeout: .seconds(30))),
            configuration: ApplicationConfiguration(
                address: bind, availableConnectionsDelegate: .maximum(Self.connectionsLimit, logger: logger)),
            onServerRunning: { [address, onRunning] channel in
                // The daemon's umask kept others out until here.
                if case .unix(let path) = address { chmod(path, 0o600) }
                await onRunning(channel.localAddress)
            },
            logger: logger)
        defer { address.removeSocket() }
        try await application.run()
    }

    func router() -> Router<AdminContext> {
        let router = Router(context: AdminContext.self, options: .autoGenerateHeadEndpoints)
        var checksHost = false
        if case .tcp = address { checksHost = true }
        let refusals = metrics.counter("cloister_admin_refusals_total", help: "Admin requests that were refused.", labels: ["reason"])
        router.add(middleware: AdminGuard(checksHost: checksHost, token: token, refusals: refusals))
        let reload = reload
        let control = control
        let metrics = metrics
        let logger = logger
        router.get("healthz") { _, _ in AdminAnswer.text("ok\n") }
        router.get("readyz") { _, _ in
            let readiness = await control.readiness()
            return try AdminAnswer.json(readiness, status: readiness.ready ? .ok : .serviceUnavailable)
        }
        router.get("metrics") { _, _ in AdminAnswer.text(metrics.text(), type: MetricsRegistry.contentType) }
        router.get("v1/tenants") { _, _ in try AdminAnswer.json(await control.tenants()) }
        router.get("v1/tenants/:name") { _, context in
            let name = try context.parameters.require("name")
            guard let tenant = await control.tenant(name) else {
                return AdminAnswer.error(.notFound, "tenant_unknown", "no tenant has this name")
            }
            return try AdminAnswer.json(tenant)
        }
        router.get("v1/cells") { _, _ in try AdminAnswer.json(await control.cells()) }
        router.get("v1/isolates") { _, _ in try AdminAnswer.json(await control.isolates()) }
        router.get("v1/budget") { _, _ in try AdminAnswer.json(await control.memory()) }
        router.post("v1/budget") { request, _ in
            guard let text = request.uri.queryParameters["memory_mb"], let megabytes = UInt64(text), (64...(1 << 24)).contains(megabytes)
            else {
                return AdminAnswer.error(.badRequest, "bad_request", "memory_mb must be an integer from 64 to \(1 << 24)")
            }
            await control.setMemoryBudget(bytes: megabytes << 20)
            return try AdminAnswer.json(await control.memory())
        }
        router.post("v1/evict") { request, _ in
            let name = request.uri.queryParameters["tenant"].map(String.init)
            guard let isCold = Bool(String(request.uri.queryParameters["cold"] ?? "false")) else {
                return AdminAnswer.error(.badRequest, "bad_request", "cold must be true or false")
            }
            guard await control.evict(name, cold: isCold) else {
                return AdminAnswer.error(.notFound, "tenant_unknown", "no tenant has this name")
            }
            return try AdminAnswer.json(["evicted": name ?? "all"])
        }
        router.post("v1/reload") { _, _ in
            let report = await reload()
            logger.info("reloaded", metadata: ["errors": "\(report.errors.count)"])
            return try AdminAnswer.json(report)
        }
        router.post("v1/cells/replace") { _, _ in
            let outcome: CellReplacement
            do { outcome = try await control.replaceCells() } catch {
                return AdminAnswer.error(.serviceUnavailable, "not_replaced", "no cell can be started from what is installed: \(error)")
            }
            guard outcome.kept.isEmpty else {
                return AdminAnswer.error(
                    .serviceUnavailable, "not_replaced",
                    "\(outcome.replaced.count) cells were replaced; these go on, since their successors did not start: "
                        + outcome.kept.joined(separator: " "))
            }
            logger.notice("all cells were replaced", metadata: ["cells": "\(outcome.replaced.joined(separator: " "))"])
            return try AdminAnswer.json(["replaced": outcome.replaced])
        }
        router.post("v1/drain") { _, _ in
            logger.notice("draining was asked for")
            await control.beginDraining()
            return try AdminAnswer.json(["draining": true], status: .accepted)
        }
        return router
    }

    /// Removes the socket file of a daemon that is gone.
    /// - Throws: when somebody listens on it. What is no socket is left for the binding to fail on.
    private static func removeStaleSocket(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard result != 0 else { throw IOError(errnoCode: EADDRINUSE, reason: "bind \(path)") }
        if errno == ECONNREFUSED { unlink(path) }
    }
}
