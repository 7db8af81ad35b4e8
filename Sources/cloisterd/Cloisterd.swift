import ArgumentParser
import Glibc
import Policy
import Sandbox

/// The daemon's executable.
@main
struct Cloisterd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloisterd",
        abstract: "Runs many tenants' JavaScript and WebAssembly in sealed cells.",
        version: Version.text,
        subcommands: [RunCommand.self, ValidateCommand.self, SelfcheckCommand.self])
}

/// Exit codes, after sysexits.h.
enum ExitStatus {
    static let failure = ExitCode(1)
    static let unavailable = ExitCode(69)
    static let permission = ExitCode(77)
    static let configuration = ExitCode(78)

    /// Of a cell that does not start.
    static func of(_ failure: SandboxFailure) -> ExitCode {
        failure.errorNumber == EPERM || failure.errorNumber == EACCES ? permission : unavailable
    }
}

/// A line for the person who started the command.
func complain(_ text: String) {
    let line = Array("cloisterd: \(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
}
