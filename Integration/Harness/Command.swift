import Foundation

/// What a command printed and how it ended.
package struct CommandResult {
    package var status: Int32
    package var output: String
    package var errors: String
}

/// Runs a command to its end. Its output must be short enough for a pipe.
package func run(_ executable: String, _ arguments: [String], environment: [String: String]? = nil) throws -> CommandResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    if let environment { process.environment = environment }
    let output = Pipe()
    let errors = Pipe()
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaints = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return CommandResult(status: process.terminationStatus, output: text, errors: complaints)
}

extension CommandResult {
    /// - Throws: when it did not end well.
    package func check() throws {
        guard status == 0 else { throw ClientError("exit status \(status): \(errors)") }
    }
}
