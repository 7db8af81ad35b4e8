import Glibc
import Testing

@testable import Sandbox

/// Cells without V8 that the tests start; see Tests/SandboxFixture.
enum FixtureCells {
    /// A cell that has not done by then what it is there for is broken; none needs a hundredth of it.
    static let deadlineMilliseconds: Int32 = 60_000

    /// The fixture lies beside the test executable.
    static let path: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count)
        let own = String(decoding: path[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own[...(own.lastIndex(of: "/") ?? own.startIndex)] + "sandbox-fixture"
    }()

    static let launcher = Result { try CellLauncher(executable: try CellExecutable(path: path)) }

    static func launch(_ mode: String, jit: Bool = true, by launcher: CellLauncher? = nil) throws -> CellProcess {
        try (launcher ?? Self.launcher.get()).launch(name: "test", jit: jit, environment: ["SANDBOX_FIXTURE=\(mode)"])
    }

    /// Waits for the end of a cell that ends by itself.
    static func end(of process: CellProcess) -> (status: Int32, diagnostics: String) {
        if !process.hasEnded(withinMilliseconds: deadlineMilliseconds) {
            Issue.record("the cell does not end")
            process.kill()
        }
        return process.reap()
    }

    /// What a cell says on its socket until it closes it.
    static func text(from socket: Int32) -> String {
        var text: [UInt8] = []
        while let bytes = receive(from: socket), !bytes.isEmpty { text += bytes }
        return String(decoding: text, as: UTF8.self)
    }

    /// Waits until a cell in one of the idle modes is at its place. Returns its socket, the caller's to close.
    static func waitUntilIdle(_ process: CellProcess) throws -> Int32 {
        let socket = process.takeSocket()
        guard let byte = receive(from: socket, limit: 1), !byte.isEmpty else {
            close(socket)
            process.kill()
            let (status, diagnostics) = process.reap()
            throw SandboxFailure(stage: "the cell ended with \(status): \(diagnostics)", errorNumber: ECHILD)
        }
        return socket
    }

    private static func receive(from socket: Int32, limit: Int = 4096) -> [UInt8]? {
        var readable = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&readable, 1, deadlineMilliseconds) == 1 else {
            Issue.record("the cell says nothing")
            return nil
        }
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = recv(socket, &buffer, buffer.count, 0)
        return count < 0 ? nil : Array(buffer[..<count])
    }
}
