import ArgumentParser
import Foundation
import Logging
import Policy
import PolicyFiles

/// `cloisterd run`.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Starts the daemon.")

    @Option(help: "The configuration file (cloister.yaml).") var config: String?
    @Option(help: "The folder of policies.") var policies: String?
    @Option(help: "Where tenants' clients connect, HOST:PORT.") var listen: String?
    @Option(name: .customLong("listen-tls"), help: "Where they connect with TLS, HOST:PORT.") var listenTLS: String?
    @Option(name: .customLong("tls-certificate"), help: "The PEM file of the certificate chain.") var certificate: String?
    @Option(name: .customLong("tls-key"), help: "The PEM file of the certificate's key.") var key: String?
    @Option(help: "The admin API, HOST:PORT or unix:PATH.") var admin: String?
    @Option(help: "The folder for the host key and snapshots.") var state: String?
    @Option(help: "Worker threads a cell.") var workers: Int?
    @Flag(name: .customLong("json-logs"), help: "One JSON object a line, on a terminal too.") var jsonLogs = false
    @Option(name: .customLong("log-level"), help: "The least that is logged.") var logLevel = Logger.Level.info
    @Option(help: "The cell's executable, where it does not lie beside this one.") var cell: String?
    @Flag(
        name: .customLong("insecure-no-sandbox"),
        help: "Development only: cells run without a sandbox. Warned of in every log line and on /readyz.")
    var insecureNoSandbox = false
    @Flag(name: .customLong("no-preemption"), help: "Measurements only: turns run to their end.") var noPreemption = false

    func run() async throws {
        let daemon = Daemon(
            configuration: try merged(), configurationFile: config, jsonLogs: jsonLogs, logLevel: logLevel,
            cell: cell ?? Self.cellBesideThis, isSandboxed: !insecureNoSandbox)
        try await daemon.run()
    }

    /// The configuration file with the options over it.
    private func merged() throws -> DaemonConfiguration {
        var configuration = DaemonConfiguration()
        if let config {
            do throws(PolicyErrors) { configuration = try DaemonConfigurationFile.read(config) } catch {
                error.errors.forEach { complain($0.description) }
                throw ExitStatus.configuration
            }
        }
        if let policies { configuration.policies = policies }
        if let listen { configuration.listen = listen }
        if let listenTLS { configuration.listenTLS = listenTLS }
        if let certificate { configuration.certificateFile = certificate }
        if let key { configuration.keyFile = key }
        if let admin {
            do throws(AdminAddressError) { configuration.admin = try AdminAddress(parsing: admin) } catch {
                throw ValidationError("--admin: \(error.problem)")
            }
        }
        if let state { configuration.state = state }
        if let workers { configuration.workers = workers }
        if noPreemption { configuration.preempt = false }
        guard DaemonConfigurationFile.isAddress(configuration.listen) else { throw ValidationError("--listen must be HOST:PORT") }
        guard configuration.listenTLS.map(DaemonConfigurationFile.isAddress) ?? true else {
            throw ValidationError("--listen-tls must be HOST:PORT")
        }
        if let problem = FrontCertificate.problem(configuration) {
            let isOfTheFile = listenTLS == nil && certificate == nil && key == nil
            complain(config.flatMap { isOfTheFile ? PolicyError(file: $0, problem).description : nil } ?? problem)
            throw ExitStatus.configuration
        }
        guard configuration.workers.map({ (1...256).contains($0) }) ?? true else { throw ValidationError("--workers must be 1 to 256") }
        return configuration
    }

    static var cellBesideThis: String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("cloister-cell").path
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
