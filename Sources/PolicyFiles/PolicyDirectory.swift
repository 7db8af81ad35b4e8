import Bundles
import Foundation
import Policy
import Yams

/// A tenant whose policy and bundle were read.
public struct LoadedTenant: Sendable {
    /// The path of its policy.
    public var file: String
    /// As the file has it, but for hosts that are another file's.
    public var policy: TenantPolicy
    /// The bundle as it was then, whatever becomes of its files.
    public var bundle: StoredBundle
    /// Plain text bindings, in order of their names.
    public var vars: [(name: String, value: String)]
    /// Secret bindings in order of their names, each with the value it had when the policy was read.
    public var secrets: [(name: String, value: String)]
}

/// A folder with one policy file a tenant.
///
/// A tenant's name and a host belong to one file each: to the one that has it in force, as long as that is there and does not give it up. A name
/// that no file has in force belongs to the file `NAME.yaml`, if that asks for it. Of several other files that ask for the same, none gets it, so
/// that no file takes what was another's by coming first. Who goes without a host is served all the same; who goes without its name is not.
public enum PolicyDirectory {
    /// Policies in one folder; of more, none is read.
    public static let filesLimit = 100_000
    /// Everything in that folder; of more, nothing is read.
    private static let entriesLimit = 1_000_000

    /// Everything that was read.
    public struct Contents: Sendable {
        /// Those that loaded and have their name, in order of their files.
        public var tenants: [LoadedTenant] = []
        /// Those of all files, in order of the files, or of the folder alone.
        public var errors: [PolicyError] = []
        /// False when the folder itself could not be read: nothing is known of its tenants then.
        public var isComplete = true
        /// Whose errors those of a file are: the tenant that the file has in force or, as far as it can be told, asks for. The file's own name
        /// (no tenant's, for it has an extension) where that is another file's.
        public var tenantOfFile: [String: String] = [:]
        /// What hosts the tenants ask for whose policy is right but whose bundle cannot be read, and that have nothing in force.
        public var hostsWithoutBundle: [String: [String]] = [:]
        /// What each file has in force from now on, for the next reading.
        public var holdings: [String: Holding] = [:]
    }

    /// What a file has in force.
    public struct Holding: Sendable, Equatable {
        /// Whose policy it is.
        public var tenant: String
        /// Those that go to this tenant.
        public var hosts: [String]
    }

    /// Reads all `*.yaml` and `*.yml` in `folder`. A file with errors takes none of the others with it.
    /// - Parameters:
    ///   - bundles: keeps what was read of the bundles.
    ///   - inForce: what each file has in force from the readings before; at a start nothing.
    public static func load(_ folder: String, keeping bundles: BundleStore, inForce: [String: Holding] = [:]) -> Contents {
        let names: [String]
        do throws(FolderListing.Failure) { names = try FolderListing.entries(of: folder, limit: entriesLimit).map(\.name) } catch {
            return unread(PolicyError(file: folder, "the folder of policies cannot be read: \(error)"), inForce)
        }
        let files = names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.filter { !$0.hasPrefix(".") }
        guard files.count <= filesLimit else {
            return unread(PolicyError(file: folder, "\(files.count) policies; at most \(filesLimit) are read"), inForce)
        }
        let readings = files.map { Reading((folder as NSString).appendingPathComponent($0), bundles, inForce) }
        let claims = settleNames(readings)
        settleHosts(readings)
        var contents = Contents()
        for reading in readings {
            contents.holdings[reading.path] = reading.holding
            if let tenant = reading.tenant { contents.tenants.append(tenant) }
            guard !reading.file.errors.isEmpty else { continue }
            contents.errors += reading.file.errors
            let tenant = reading.holding?.tenant ?? claims.free(reading.name, to: reading.path) ?? reading.fileName
            contents.tenantOfFile[reading.path] = tenant
            if reading.holding == nil, let policy = reading.decoded?.policy, policy.tenant == tenant {
                contents.hostsWithoutBundle[tenant] = policy.hosts
            }
        }
        return contents
    }

    private static func unread(_ error: PolicyError, _ inForce: [String: Holding]) -> Contents {
        Contents(errors: [error], isComplete: false, holdings: inForce)
    }

    /// Refuses the tenants whose name is not theirs.
    private static func settleNames(_ readings: [Reading]) -> Claims {
        var claims = Claims()
        for reading in readings {
            if let name = reading.inForce?.tenant { claims.keep(name, reading.path) }
            if let name = reading.tenant?.policy.tenant { claims.ask(name, reading.path) }
        }
        for reading in readings {
            guard let name = reading.name, reading.fileName == "\(name).yaml", claims.keeper(of: name) == nil else { continue }
            claims.keep(name, reading.path)
        }
        for reading in readings {
            guard let policy = reading.tenant?.policy else { continue }
            guard let why = claims.refusal(policy.tenant, reading.path) else {
                claims.keep(policy.tenant, reading.path)
                continue
            }
            reading.file.fail(reading.decoded?.tenantNode, "the tenant '\(policy.tenant)' \(why)")
            reading.tenant = nil
        }
        return claims
    }

    /// Takes hosts from the tenants that they do not belong to.
    private static func settleHosts(_ readings: [Reading]) {
        var claims = Claims()
        for reading in readings {
            let asked = reading.tenant?.policy.hosts
            // What does not load leaves the old policy in force.
            for host in reading.inForce?.hosts ?? [] where asked?.contains(host) ?? true { claims.keep(host, reading.path) }
            for host in asked ?? [] { claims.ask(host, reading.path) }
        }
        for reading in readings {
            guard let policy = reading.tenant?.policy else { continue }
            let hosts = policy.hosts.filter { host in
                guard let why = claims.refusal(host, reading.path) else { return true }
                reading.file.fail(reading.decoded?.hostNodes[host], "the host '\(host)' \(why)")
                return false
            }
            reading.tenant?.policy.hosts = hosts.isEmpty ? [TenantPolicy.ownHost(of: policy.tenant)] : hosts
        }
    }
}

/// A policy file as it was read by itself.
private final class Reading {
    let path: String
    let inForce: PolicyDirectory.Holding?
    let file: YAMLFile
    let decoded: TenantPolicyDecoder.Decoded?
    /// nil: with errors that keep it from being served.
    var tenant: LoadedTenant?
    /// Of the tenant, as far as the file tells.
    let name: String?

    init(_ path: String, _ bundles: BundleStore, _ inForce: [String: PolicyDirectory.Holding]) {
        self.path = path
        self.inForce = inForce[path]
        file = YAMLFile(path: path)
        decoded = TenantPolicyDecoder.decode(file)
        name = decoded?.policy.tenant ?? Self.declaredName(path)
        guard let decoded else { return }
        let policy = decoded.policy
        do throws(BundleReader.Failure) {
            let bundle = bundles.keep(try BundleReader.read(main: policy.main))
            if let problem = bundle.problem {
                file.fail(decoded.mainNode, "\(problem)")
                return
            }
            tenant = LoadedTenant(
                file: path, policy: policy, bundle: bundle, vars: policy.vars.sorted { $0.key < $1.key }.map { ($0.key, $0.value) },
                secrets: decoded.secrets.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        } catch {
            file.fail(decoded.mainNode, "the bundle cannot be read: \(error)")
        }
    }

    var fileName: String { (path as NSString).lastPathComponent }

    /// What the file has in force once names and hosts are settled: what does not load leaves what it had.
    var holding: PolicyDirectory.Holding? {
        tenant.map { PolicyDirectory.Holding(tenant: $0.policy.tenant, hosts: $0.policy.hosts) } ?? inForce
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

/// What belongs to which file: tenants' names, or hosts.
private struct Claims {
    private var keepers: [String: String] = [:]
    private var claimants: [String: [String]] = [:]

    mutating func keep(_ what: String, _ path: String) { keepers[what] = path }
    mutating func ask(_ what: String, _ path: String) { claimants[what, default: []].append(path) }

    func keeper(of what: String) -> String? { keepers[what] }

    /// Why `path` does not get it; nil: it does.
    func refusal(_ what: String, _ path: String) -> String? {
        if let keeper = keepers[what] { return keeper == path ? nil : "belongs to \(keeper)" }
        return claimants[what]?.first { $0 != path }.map { "is claimed by \($0) too, so that neither gets it" }
    }

    /// `what`, unless it belongs to another file.
    func free(_ what: String?, to path: String) -> String? { what.flatMap { keepers[$0] ?? path == path ? $0 : nil } }
}
