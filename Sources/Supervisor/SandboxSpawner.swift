import Glibc
import Sandbox

/// Starts real cells.
public struct SandboxSpawner: CellSpawner {
    private let launcher: CellLauncher
    public init(_ launcher: CellLauncher) { self.launcher = launcher }

    public func spawn(name: String, jit: Bool) throws -> any SpawnedCell {
        SandboxedCell(process: try launcher.launch(name: name, jit: jit))
    }
}

final class SandboxedCell: SpawnedCell {
    private let process: CellProcess
    init(process: CellProcess) { self.process = process }

    var pid: Int32 { process.pid }
    var isSandboxed: Bool { process.isSandboxed }
    func takeSocket() -> Int32 { process.takeSocket() }
    func verifySealed() throws { try process.verifySealed() }
    func setCPUShare(_ share: Double) { process.setCPUShare(share) }
    func kill() { process.kill() }

    func reap() -> (status: String, diagnostics: String) {
        let (status, diagnostics) = process.reap()
        return (Self.describe(status), diagnostics)
    }

    /// How a process ended, as people say it.
    static func describe(_ status: Int32) -> String {
        guard status < 0 else { return "exit code \(status)" }
        return status == -SIGSYS ? "killed by its seccomp filter (SIGSYS)" : "signal \(-status) (\(String(cString: strsignal(-status))))"
    }
}
