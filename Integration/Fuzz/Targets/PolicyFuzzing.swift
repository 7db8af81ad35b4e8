import Foundation
import Policy

@testable import PolicyFiles

/// The operator's files: what they say is a value within its limits, or errors with places in the file.
enum PolicyFuzzing {
    /// A folder with a main module in it, made once, and gone with the process's own folder.
    private static let folder: FuzzFolder = {
        let folder = FuzzFolder("policy")
        folder.write("worker.js", Array("export default {}".utf8))
        return folder
    }()

    static func policy(_ input: [UInt8]) {
        let path = folder.write("p.yaml", input)
        let file = YAMLFile(path: path)
        let decoded = TenantPolicyDecoder.decode(file)
        hold((decoded == nil) == !file.errors.isEmpty, "a policy with errors, or none without")
        check(file.errors, input)
        guard let policy = decoded?.policy else { return }
        hold((1...63).contains(policy.tenant.utf8.count) && policy.tenant.utf8.allSatisfy(isNameByte), "a tenant's name")
        hold((1...TenantPolicyDecoder.hostsLimit).contains(policy.hosts.count), "hosts")
        hold((1...10_000).contains(policy.weight), "a weight")
        let limits = policy.limits
        for value in [limits.cpuMilliseconds, limits.wallMilliseconds, limits.memoryMegabytes, limits.concurrency] {
            hold(value > 0 && value < Int(UInt32.max), "a limit")
        }
        // A cell is told of them as 32-bit numbers.
        for value in [limits.queue, limits.subrequests, limits.requestBodyMegabytes, limits.cpuQuotaMillisecondsPerSecond] {
            hold(value >= 0 && value < Int(UInt32.max), "a limit")
        }
        hold(policy.main.hasPrefix("/"), "a main module without its folder")
    }

    static func configuration(_ input: [UInt8]) {
        let path = folder.write("cloister.yaml", input)
        do throws(PolicyErrors) {
            let configuration = try DaemonConfigurationFile.read(path)
            hold(DaemonConfigurationFile.isAddress(configuration.listen), "an address: \(configuration.listen)")
            hold(configuration.workers.map { (1...256).contains($0) } ?? true, "workers")
            for (name, range, field) in DaemonConfigurationFile.keys {
                hold(range.contains(configuration[keyPath: field]), "\(name)")
            }
        } catch {
            hold(!error.errors.isEmpty, "a failure without errors")
            check(error.errors, input)
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D }

    private static func check(_ errors: [PolicyError], _ input: [UInt8]) {
        let lines = input.count { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } + 2
        for error in errors {
            hold(error.line >= 1 && error.column >= 1 && !error.message.isEmpty, "an error without a place: \(error)")
            // What YAML takes for the end of a line may also be one of three characters of two or three bytes.
            hold(error.line <= lines + input.count / 2, "an error after the file's end: \(error)")
        }
    }
}

/// A folder for one run's files, on memory where there is some.
final class FuzzFolder: Sendable {
    let path: String

    init(_ name: String) {
        let parent = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        path = "\(parent)/cloister-fuzz-\(getpid())-\(name)"
        try? FileManager.default.removeItem(atPath: path)
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        FuzzFolder.made.add(path)
    }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        hold(descriptor >= 0, "cannot write \(file)")
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + sent, bytes.count - sent) }
            hold(count > 0, "cannot write \(file)")
            sent += count
        }
        close(descriptor)
        return file
    }

    /// Removed when the process ends.
    private static let made = Made()
    private final class Made: @unchecked Sendable {
        private let lock = NSLock()
        private var paths: [String] = []
        func add(_ path: String) {
            lock.withLock {
                if paths.isEmpty { atexit { FuzzFolder.made.remove() } }
                paths.append(path)
            }
        }
        func remove() { lock.withLock { paths.forEach { try? FileManager.default.removeItem(atPath: $0) } } }
    }
}
