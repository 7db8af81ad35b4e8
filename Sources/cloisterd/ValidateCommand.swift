import ArgumentParser
import Bundles
import Policy
import PolicyFiles

/// `cloisterd validate`.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Reads all policies and says what is wrong: exit 0, or 78 and FILE:LINE:COLUMN: message.")

    @Option(help: "The folder of policies, where it is not the configuration's.") var policies: String?
    @Option(help: "A configuration file to read as well.") var config: String?

    func run() throws {
        var errors: [PolicyError] = []
        var folder = policies
        if let config {
            do throws(PolicyErrors) {
                let configuration = try DaemonConfigurationFile.read(config)
                folder = folder ?? configuration.policies
                if let problem = FrontCertificate.problem(configuration) { errors.append(PolicyError(file: config, problem)) }
                if let certificate = FrontCertificate(configuration), let expiry = certificate.expiry(of: try certificate.load()) {
                    // As at the start: it would be served.
                    complain("\(expiry)")
                }
            } catch { errors += error.errors }
        } else {
            folder = folder ?? DaemonConfiguration().policies
        }
        // Unknown where the configuration that would name it does not load.
        let contents = folder.map { PolicyDirectory.load($0, keeping: BundleStore(keepsNothing: true)) }
        errors += contents?.errors ?? []
        errors.forEach { print($0) }
        guard let contents, errors.isEmpty else { throw ExitStatus.configuration }
        print("\(contents.tenants.count) policies are valid")
    }
}
