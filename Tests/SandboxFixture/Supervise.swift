import Glibc
import Sandbox

/// Runs as a supervisor, as whoever this process is.
func supervise(_ command: String) throws {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &path, path.count)
    guard count > 0 else { exit(1) }
    let executable = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let launcher = try CellLauncher(executable: try CellExecutable(path: executable))
    func launch(_ mode: String, jit: Bool = true) throws -> CellProcess {
        try launcher.launch(name: "fixture", jit: jit, environment: ["SANDBOX_FIXTURE=\(mode)"])
    }
    switch command {
    case "attempts":
        for (names, jit) in [(CellSeal.attempts, true), (CellSeal.jitlessAttempts, false)] {
            for name in names {
                let process = try launch("attempt=\(name)", jit: jit)
                say("\(name) \(process.reap().status)")
            }
        }
    case "verify":
        let process = try launch("idle")
        let socket = process.takeSocket()
        var byte: UInt8 = 0
        guard recv(socket, &byte, 1, 0) == 1 else {
            say("ended: \(process.reap())")
            return
        }
        do {
            try process.verifySealed()
            say("sealed")
        } catch { say("\(error)") }
    case "orphan":
        let process = try launch("idle")
        let socket = process.takeSocket()
        var byte: UInt8 = 0
        guard recv(socket, &byte, 1, 0) == 1 else { exit(1) }
        say("\(process.pid)")
        while true { pause() }
    default:
        complain("usage: sandbox-fixture attempts | verify | orphan")
        exit(64)
    }
}
