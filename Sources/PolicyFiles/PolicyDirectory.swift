import Foundation
import Policy
import Yams

/// A tenant whose policy and bundle were read.
public struct LoadedTenant: Sendable {
    public var file: String
    public var policy: TenantPolicy
    public var modules: [BundleModule]
    public var vars: [(name: String, value: String)]
    public var secrets: [(name: String, value: String)]
}

/// A folder with one policy file a tenant.
public enum PolicyDirectory {
    public static let filesLimit = 100_000

    /// Everything that was read.
    public struct Contents: Sendable {
        public var tenants: [LoadedTenant] = []
        public var errors: [PolicyError] = []
        /// False when the folder itself could not be read: nothing is known of its tenants then.
        public var isComplete = true
        /// The name of a tenant for each file with errors, as far as the file tells; else the file's name without its extension.
        public var tenantOfFile: [String: String] = [:]
    }

    /// Reads all `*.yaml` and `*.yml` in `folder`. A file with errors takes none of the others with it; of two that claim the same name or
    /// host, the first in the order of file names keeps it.
    /// - Parameter known: the tenant of each file as it was read before, for files that cannot even tell their tenant's name any more.
    public static func load(_ folder: String, known: [String: String] = [:]) -> Contents {
        var contents = Contents()
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            contents.errors.append(PolicyError(file: folder, "the folder of policies cannot be read"))
            contents.isComplete = false
            return contents
        }
        let files = names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.filter { !$0.hasPrefix(".") }.sorted()
        guard files.count <= filesLimit else {
            contents.errors.append(PolicyError(file: folder, "\(files.count) policies; at most \(filesLimit) are read"))
            contents.isComplete = false
            return contents
        }
        var owners = Owners()
        for name in files { read((folder as NSString).appendingPathComponent(name), into: &contents, &owners, known) }
        return contents
    }

    private struct Owners {
        var names: [String: String] = [:]
        var hosts: [String: String] = [:]
    }

    private static func read(_ path: String, into contents: inout Contents, _ owners: inout Owners, _ known: [String: String]) {
        let file = YAMLFile(path: path)
        let stem = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
        guard let decoded = TenantPolicyDecoder.decode(file) else {
            contents.errors += file.errors
            contents.tenantOfFile[path] = declaredName(path) ?? known[path] ?? stem
            return
        }
        let policy = decoded.policy
        if let other = owners.names[policy.tenant] {
            file.fail(decoded.tenantNode, "the tenant '\(policy.tenant)' is already defined in \(other)")
        }
        // NAME.localhost reaches the tenant NAME, whether its policy says so or not.
        let ownHost = "\(policy.tenant).localhost"
        let hosts = policy.hosts.contains(ownHost) ? policy.hosts : policy.hosts + [ownHost]
        for host in hosts {
            if let other = owners.hosts[host], other != owners.names[policy.tenant] || host != ownHost {
                file.fail(decoded.hostNodes[host] ?? decoded.tenantNode, "the host '\(host)' already belongs to \(other)")
            }
        }
        var modules: [BundleModule] = []
        do throws(BundleReader.Failure) { modules = try BundleReader.read(main: policy.main) } catch {
            file.fail(decoded.mainNode, "the bundle cannot be read: \(error)")
        }
        var secrets: [(name: String, value: String)] = []
        for (name, source) in policy.secrets.sorted(by: { $0.key < $1.key }) {
            if let value = SecretReader.read(source) { secrets.append((name, value)) }
        }
        guard file.errors.isEmpty else {
            contents.errors += file.errors
            // A file that is wrong only beside another must not take that one's tenant down.
            contents.tenantOfFile[path] = owners.names[policy.tenant] == nil ? policy.tenant : stem
            return
        }
        owners.names[policy.tenant] = path
        for host in hosts { owners.hosts[host] = path }
        contents.tenants.append(
            LoadedTenant(
                file: path, policy: policy, modules: modules,
                vars: policy.vars.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, secrets: secrets))
    }

    /// The `tenant:` of a file that is otherwise wrong, so that on reload it is known whose policy stays in force.
    private static func declaredName(_ path: String) -> String? {
        guard let data = try? FileContents.read(path, limit: YAMLFile.bytesLimit) else { return nil }
        for line in String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline) where line.hasPrefix("tenant:") {
            let name = line.dropFirst(7).prefix { $0 != "#" }.trimmingCharacters(in: CharacterSet(charactersIn: " \t\"'"))
            return name.isEmpty ? nil : name
        }
        return nil
    }
}
