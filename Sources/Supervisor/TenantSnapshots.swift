import Bundles
import Sandbox
import SnapshotDelta
import Snapshots
import Wire

/// Where tenants' snapshots come from; tests put their own in its place. Any thread.
public protocol TenantSnapshots: Sendable {
    /// What the snapshot of a bundle is kept as.
    func key(of bundle: StoredBundle, eval: Bool, jit: Bool) -> TenantSnapshotStore.Key
    /// Whether it seems to be kept, so that nothing has to be built. Does not block.
    func contains(_ key: TenantSnapshotStore.Key) -> Bool
    /// Forgets one that turned out not to be usable.
    func remove(_ key: TenantSnapshotStore.Key)
    /// The snapshot, if it is kept and whole. Blocks for the disk.
    func read(_ key: TenantSnapshotStore.Key) -> SnapshotFrame?
    /// Builds and keeps a snapshot. Blocks for as long as the tenant's code takes to start, at most.
    func build(_ bundle: TenantBundle, jit: Bool, as key: TenantSnapshotStore.Key) -> SnapshotBuildOutcome
    /// What all kept snapshots take on the disk.
    var storeBytes: Int { get }
}

/// What came of building a tenant's snapshot.
public enum SnapshotBuildOutcome: Sendable {
    case built(SnapshotFrame)
    /// None can be made of this bundle, for this reason; maybe its builder made a call that ended it.
    case refused(String, DeniedCall? = nil)
    /// None was made this time.
    case failed(String)
}

/// Builds snapshots in throw-away cells and keeps them in the state folder.
public struct BuiltTenantSnapshots: TenantSnapshots {
    private let store: TenantSnapshotStore
    private let launcher: CellLauncher
    private let base: [UInt8]
    private let jitlessBase: [UInt8]
    private let hashSeed: UInt32

    /// `base` and `jitlessBase` are the base snapshots of the launcher's executable, under `hashSeed`.
    public init(store: TenantSnapshotStore, launcher: CellLauncher, base: [UInt8], jitlessBase: [UInt8], hashSeed: UInt32) {
        self.store = store
        self.launcher = launcher
        self.base = base
        self.jitlessBase = jitlessBase
        self.hashSeed = hashSeed
    }

    /// By the modules and `eval`, besides what the store adds: tenants with the same code share one.
    public func key(of bundle: StoredBundle, eval: Bool, jit: Bool) -> TenantSnapshotStore.Key {
        store.key(jit: jit, parts: [[eval ? 1 : 0], bundle.digest])
    }

    /// Of any tenant with the same code.
    public func contains(_ key: TenantSnapshotStore.Key) -> Bool { store.contains(key) }
    /// From the disk, for all tenants with the same code.
    public func remove(_ key: TenantSnapshotStore.Key) { store.remove(key) }
    /// Removes one that no frame could carry, as if it had not been whole.
    public func read(_ key: TenantSnapshotStore.Key) -> SnapshotFrame? {
        guard let entry = store.read(key) else { return nil }
        guard Self.fits(entry) else {
            store.remove(key)
            return nil
        }
        return SnapshotFrame(blobBytes: entry.blobBytes, delta: entry.delta)
    }

    /// Whether a frame can carry it, with the two lengths that are in one. What cannot be compressed becomes a little longer by that.
    private static func fits(_ entry: TenantSnapshotStore.Entry) -> Bool {
        8 + entry.delta.count <= FrameKind.tenantSnapshot.payloadBytesLimit
    }
    /// Also of snapshots of an older executable, until they make room.
    public var storeBytes: Int { store.totalBytes }

    /// The calling thread must outlive the builder. What is kept already is not built again.
    public func build(_ bundle: TenantBundle, jit: Bool, as key: TenantSnapshotStore.Key) -> SnapshotBuildOutcome {
        // Another tenant may have the same code.
        if let known = read(key) { return .built(known) }
        let base = jit ? base : jitlessBase
        do {
            let blob: [UInt8]
            switch try SnapshotBuilder.build(bundle, launcher: launcher, jit: jit, hashSeed: hashSeed, base: base) {
            case .success(let bytes): blob = bytes
            case .failure(let refusal): return .refused(refusal.why)
            }
            return try keep(blob, base: base, as: key)
        } catch let failure as SnapshotBuilder.Failure {
            // It was there and ended: what V8 cannot put into a snapshot ends its process.
            return .refused("\(failure)", failure.deniedCall)
        } catch { return .failed("\(error)") }
    }

    /// Keeps what a builder has made.
    func keep(_ blob: [UInt8], base: [UInt8], as key: TenantSnapshotStore.Key) throws -> SnapshotBuildOutcome {
        guard blob.count <= SnapshotFrame.blobBytesLimit else { return .refused("the snapshot would take \(blob.count) bytes") }
        let delta = try blob.withUnsafeBytes { blob in try base.withUnsafeBytes { try SnapshotDelta.compress(blob, base: $0) } }
        let entry = TenantSnapshotStore.Entry(blobBytes: blob.count, delta: delta)
        guard Self.fits(entry) else { return .refused("the snapshot would take \(delta.count) bytes when it is compressed") }
        // Without a place on the disk it serves the cells that have the tenant now.
        try? store.write(entry, as: key)
        return .built(SnapshotFrame(blobBytes: blob.count, delta: delta))
    }
}
