import Glibc
import Sandbox

/// Starts real cells.
public struct SandboxSpawner: CellSpawner {
    private let launcher: CellLauncher
    /// Starts cells of the launcher's executable.
    public init(_ launcher: CellLauncher) { self.launcher = launcher }

    /// The calling thread must live as long as the cell; the event loop's does. Throws `SandboxFailure`.
    public func spawn(name: String, jit: Bool) throws -> any SpawnedCell {
        SandboxedCell(process: try launcher.launch(name: name, jit: jit))
    }

    /// Holds for all cells that this launcher starts later.
    public func setMemoryLimit(_ bytes: UInt64) { launcher.setMemoryLimit(bytes) }
}

final class SandboxedCell: SpawnedCell {
    private let process: CellProcess
    init(process: CellProcess) { self.process = process }

    var pid: Int32 { process.pid }
    var isSandboxed: Bool { process.isSandboxed }
    func takeSocket() -> Int32 { process.takeSocket() }
    func verifySealed() throws { try process.verifySealed() }
    func setCPUShare(_ share: Double?) { process.setCPUShare(share) }
    func setMemoryLimit(_ bytes: UInt64) -> Bool { process.setMemoryLimit(bytes) }
    func kill() { process.kill() }

    func watchDeniedCalls() throws { try process.watchDeniedCalls() }
    var deniedCall: DeniedCall? { process.deniedCall }

    func reap() -> (status: String, diagnostics: String) {
        let (status, diagnostics) = process.reap()
        let core = process.hasDumpedCore ? ", and a core was written" : ""
        return (Self.describe(status, process.deniedCall) + core, diagnostics)
    }

    /// How a process ended, as people say it.
    static func describe(_ status: Int32, _ denied: DeniedCall? = nil) -> String {
        guard status < 0 else { return "exit code \(status)" }
        guard status == -SIGSYS else { return "signal \(-status) (\(String(cString: strsignal(-status))))" }
        return "killed by its seccomp filter (SIGSYS)" + (denied.map { " for \($0.name), called by thread \($0.threadName)" } ?? "")
    }
}
