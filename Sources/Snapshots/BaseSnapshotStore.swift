import Crypto
import Foundation

/// Keeps base snapshots, authenticated with the host's key: V8 takes a blob on trust.
public struct BaseSnapshotStore: Sendable {
    private let folder: String
    private let key: HostKey

    /// Keeps them below `state`, which must outlive this.
    public init(_ state: StateFolder, key: HostKey) {
        folder = state.path + "/snapshots"
        self.key = key
    }

    /// The file for a snapshot made by `identity` (V8's version, flags, the runtime's sources) with or without JIT, under this host's seed.
    func path(identity: String, jit: Bool) -> String {
        var hash = SHA256()
        hash.update(data: Data(identity.utf8))
        hash.update(data: Data(jit ? "jit".utf8 : "jitless".utf8))
        hash.update(data: Data("\(key.hashSeed)".utf8))
        return folder + "/" + hash.finalize().map { String(format: "%02x", $0) }.joined() + ".base"
    }

    /// The snapshot, if there is one that is whole and this host's.
    public func read(identity: String, jit: Bool) -> [UInt8]? {
        guard let data = FileManager.default.contents(atPath: path(identity: identity, jit: jit)), data.count > SHA256.byteCount else {
            return nil
        }
        let code = data.prefix(SHA256.byteCount)
        let blob = data.dropFirst(SHA256.byteCount)
        guard HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: blob, using: key.key) else { return nil }
        return Array(blob)
    }

    /// Keeps a snapshot, in place of an earlier one of the same identity; throws when it cannot be written.
    public func write(_ blob: [UInt8], identity: String, jit: Bool) throws(StateError) {
        var data = Data(HMAC<SHA256>.authenticationCode(for: blob, using: key.key))
        data.append(contentsOf: blob)
        try AtomicFile.write(data, to: path(identity: identity, jit: jit))
    }

    /// Removes those of other identities, which nobody reads any more, and writes that did not end.
    public func removeOthers(than identity: String) {
        let kept = [true, false].map { path(identity: identity, jit: $0) }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            let path = folder + "/" + name
            if name.hasSuffix(".base") || name.hasSuffix(".new"), !kept.contains(path) { unlink(path) }
        }
    }
}
