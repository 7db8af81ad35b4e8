import Gateway
import Logging
import Policy
import PolicyFiles
import Supervisor

/// What a HUP and the admin API's reload do: policies, the memory budget, and the front's certificate.
struct Reloading: Sendable {
    let supervisor: Supervisor
    let gateway: GatewayServer
    let certificate: FrontCertificate?
    /// What the memory budget is when it is not read again.
    let configuration: DaemonConfiguration
    /// Where it is read again; nil: nowhere.
    let configurationFile: String?
    let logger: Logger

    /// Whatever does not load leaves the old in force and is among the report's errors.
    func callAsFunction() async -> ReloadReport {
        // First: it is at once, and many policies take a while.
        let budgetErrors = await reloadBudget()
        var report = await supervisor.reload()
        report.errors += budgetErrors
        guard let certificate else { return report }
        do throws(PolicyErrors) {
            let new = try certificate.loadAnew()
            await gateway.replaceCertificate(new)
            certificate.announce(new, logger)
        } catch {
            for problem in error.errors {
                logger.error("the certificate does not load; the old one stays in force", metadata: ["reason": "\(problem)"])
                report.errors.append(problem.description)
            }
        }
        return report
    }

    /// - Returns: the configuration file's errors.
    private func reloadBudget() async -> [String] {
        do throws(PolicyErrors) {
            // One that was set by hand holds until now, whether there is a file or not.
            let current = if let configurationFile { try DaemonConfigurationFile.read(configurationFile) } else { configuration }
            await supervisor.setMemoryBudget(bytes: Daemon.memoryBudget(current))
            return []
        } catch {
            for problem in error.errors {
                logger.error("the configuration does not load; the old memory budget stays in force", metadata: ["reason": "\(problem)"])
            }
            return error.errors.map(\.description)
        }
    }
}
