import Policy
import TestSupport
import Testing

@testable import PolicyFiles

/// A folder with a main module in it, and policies that name it.
final class PolicyFixture: Sendable {
    let folder: ScratchFolder

    init() throws {
        folder = try ScratchFolder()
        try folder.write("app/main.js", "export default {}")
    }

    var path: String { folder.path }

    /// Writes `text` as a policy and returns what it decodes to, and the errors as `LINE:COLUMN: message`.
    func decode(_ text: String) throws -> (policy: TenantPolicy?, errors: [String]) {
        let path = try folder.write("p.yaml", text)
        let file = YAMLFile(path: path)
        let decoded = TenantPolicyDecoder.decode(file)
        return (decoded?.policy, file.errors.map { stripped($0) })
    }

    /// The errors of a policy which has a name and a main module before `text`: that starts in line 3.
    func errors(_ text: String) throws -> [String] { try decode("tenant: a\nmain: app/main.js\n\(text)").errors }

    private func stripped(_ error: PolicyError) -> String {
        #expect(error.file == "\(path)/p.yaml")
        #expect(error.description.hasPrefix("\(path)/p.yaml:"))
        return String(error.description.dropFirst(path.count + 8))
    }
}
