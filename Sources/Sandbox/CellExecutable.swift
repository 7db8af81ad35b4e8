import CLinux
import Glibc

/// The cell's executable and what it needs to run.
public struct CellExecutable: Sendable {
    /// Absolute, also where it was not given so.
    public var path: String
    /// The shared libraries, the loader among them, at the paths where the loader finds them.
    public var libraries: [String]
    /// Tells this executable and its libraries from others, also from an update that carries the same version: path, size and time of change of
    /// each when it was looked at. Snapshots refer to what lies in them.
    public let fingerprint: String

    /// Asks the dynamic loader what `path` needs. Runs it once and waits.
    public init(path: String) throws(SandboxFailure) {
        // Absolute: the cell's child looks for it from within a root of its own.
        let path = path.hasPrefix("/") ? path : Self.currentFolder + "/" + path
        self.path = path
        guard access(path, X_OK) == 0 else { throw SandboxFailure(stage: "find \(path)", errorNumber: errno) }
        let output = try Self.run(path, [], environment: ["LD_TRACE_LOADED_OBJECTS=1"])
        // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)" or "/lib64/ld-linux-x86-64.so.2 (0x…)".
        libraries = output.split(separator: "\n").compactMap { line in
            line.split(whereSeparator: { $0 == " " || $0 == "\t" }).first { $0.hasPrefix("/") }.map(String.init)
        }
        guard libraries.contains(where: { $0.contains("/libc.so") }) else {
            throw SandboxFailure(stage: "find the libraries of \(path)", errorNumber: ENOEXEC)
        }
        fingerprint = Self.fingerprint(of: [path] + libraries)
    }

    private static var currentFolder: String {
        guard let folder = getcwd(nil, 0) else { return "" }
        defer { free(folder) }
        return String(cString: folder)
    }

    /// Whether all of it is still what it was when it was looked at. A system call a file.
    public var isCurrent: Bool { fingerprint == Self.fingerprint(of: [path] + libraries) }

    private static func fingerprint(of files: [String]) -> String {
        files.map { file in
            var status = stat()
            guard stat(file, &status) == 0 else { return file }
            return "\(file) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        }.joined(separator: "\n")
    }

    /// Runs `path` to its end and returns what it printed.
    public static func run(_ path: String, _ arguments: [String], environment: [String]) throws(SandboxFailure) -> String {
        var ends: [Int32] = [0, 0]
        let pipeError = clinux_pipe(&ends)
        guard pipeError == 0 else { throw SandboxFailure(stage: "run \(path)", errorNumber: pipeError) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let status = posix_spawn(&pid, path, &actions, nil, &argv, &envp)
        close(ends[1])
        guard status == 0 else { throw SandboxFailure(stage: "run \(path)", errorNumber: status) }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            var readable = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
            _ = poll(&readable, 1, -1)
            let count = read(ends[0], &buffer, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0, output.count < 1 << 20 else { break }
            output += buffer[..<count]
        }
        var exit: Int32 = 0
        while waitpid(pid, &exit, 0) < 0, errno == EINTR {}
        guard exit == 0 else { throw SandboxFailure(stage: "run \(path)", errorNumber: ECHILD) }
        return String(decoding: output, as: UTF8.self)
    }
}
