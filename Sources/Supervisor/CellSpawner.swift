import NIOCore
import Sandbox

/// How cells come to be; tests put their own in its place. Callable from any thread.
public protocol CellSpawner: Sendable {
    /// Starts a cell's process; returns before it is ready.
    func spawn(name: String, jit: Bool) throws -> any SpawnedCell
    /// What the kernel gives a cell that is started from now on at the most.
    func setMemoryLimit(_ bytes: UInt64)
}

extension CellSpawner {
    /// Sets no limit.
    public func setMemoryLimit(_ bytes: UInt64) {}
}

/// A cell's process.
public protocol SpawnedCell: AnyObject, Sendable {
    var pid: Int32 { get }
    /// The supervisor's end of the cell's socket; whoever takes it closes it.
    func takeSocket() -> Int32
    /// Whether it was started in the sandbox.
    var isSandboxed: Bool { get }
    /// Proves from outside that the seal is in force. Throws when it is not.
    func verifySealed() throws
    /// From here on `deniedCall` is known at the end. Throws where cells cannot be watched.
    func watchDeniedCalls() throws
    /// After `reap`: the call that a seccomp filter has ended it for, if it was watched.
    var deniedCall: DeniedCall? { get }
    /// Has the kernel give it this part, above 0 to 1, of what busy cells get, or none of its own; without writable cgroups nothing happens. Blocks.
    func setCPUShare(_ share: Double?)
    /// Has the kernel give it this much memory at the most from now on. Blocks.
    /// - Returns: false while it holds more.
    func setMemoryLimit(_ bytes: UInt64) -> Bool
    func kill()
    /// Reaps the process and gives back what was made for it (cgroups, descriptors). Blocks until it has ended.
    /// - Returns: how it ended, for the log, and what it said on its standard error.
    func reap() -> (status: String, diagnostics: String)
}

extension SpawnedCell {
    /// Watches nothing, and does not throw.
    public func watchDeniedCalls() throws {}
    /// Nil, as of a cell that was not watched.
    public var deniedCall: DeniedCall? { nil }
    /// Sets no limit: true, as if it were in force.
    public func setMemoryLimit(_ bytes: UInt64) -> Bool { true }
}
