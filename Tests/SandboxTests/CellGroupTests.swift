import Foundation
import Testing

@testable import Sandbox

/// Real cells in real cgroups.
@Suite struct CellGroupTests {
    @Test func aCellIsInItsGroupsAndTheyAreGoneAfterIt() throws {
        let placement = CgroupPlacement()
        let launcher = try CellLauncher(executable: try CellExecutable(path: FixtureCells.path), isSandboxed: true, cgroups: placement)
        let process = try launcher.launch(name: "grouped", jit: true, environment: ["SANDBOX_FIXTURE=idle"])
        let socket = try FixtureCells.waitUntilIdle(process)
        defer { close(socket) }
        let groups = placement.group(name: "grouped-1").paths
        #expect(groups.count == placement.parents.filter { $0 != placement.cpuParent }.count)
        #expect(launcher.warnings.isEmpty == false || groups.count > 0)
        for group in groups { #expect(readFile("\(group)/cgroup.procs") == "\(process.pid)\n", "\(group)") }
        if let cpu = placement.cpuParent {
            let group = "\(cpu)/cloister-\(getpid())-grouped-1"
            process.setCPUShare(0.5)
            #expect(readFile("\(group)/cgroup.procs") == "\(process.pid)\n")
            #expect(readFile("\(group)/cpu.shares") == "512\n")
            process.setCPUShare(nil)
            #expect(readFile("\(group)/cgroup.procs").isEmpty)
        }
        process.kill()
        _ = process.reap()
        for group in groups { #expect(access(group, F_OK) != 0, "\(group)") }
        if let cpu = placement.cpuParent { #expect(access("\(cpu)/cloister-\(getpid())-grouped-1", F_OK) != 0) }
    }

    /// Where version 2 is mounted: alone, or beside version 1.
    private static let version2Root: String? = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].first { (root: String) in
        access("\(root)/cgroup.controllers", F_OK) == 0
    }
    private static let version2Own =
        readFile("/proc/self/cgroup").split(separator: "\n").first { $0.hasPrefix("0::") }.map(String.init) ?? "0::/"

    private static var hasVersion2: Bool {
        version2Root.map { !CgroupPlacement(root: $0, own: version2Own).parents.isEmpty } ?? false
    }

    @Test(.enabled(if: Self.hasVersion2, "no cgroup of version 2 is writable here")) func aCellStartsInItsGroupOfVersion2() throws {
        let placement = CgroupPlacement(root: try #require(Self.version2Root), own: Self.version2Own)
        try #require(placement.parents.count == 1 && placement.version2Parent == placement.parents[0])
        let launcher = try CellLauncher(executable: try CellExecutable(path: FixtureCells.path), isSandboxed: true, cgroups: placement)
        let process = try launcher.launch(name: "grouped-2", jit: true, environment: ["SANDBOX_FIXTURE=idle"])
        let socket = try FixtureCells.waitUntilIdle(process)
        defer { close(socket) }
        let group = placement.group(name: "grouped-2-1").paths[0]
        #expect(readFile("\(group)/cgroup.procs") == "\(process.pid)\n")
        try process.verifySealed()
        process.kill()
        _ = process.reap()
        #expect(access(group, F_OK) != 0)
    }

    @Test func whatASupervisorThatIsGoneLeftIsRemoved() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "cloister-cgroup-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: "\(root)/memory", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        _ = FileManager.default.createFile(atPath: "\(root)/memory/cgroup.procs", contents: nil)
        // No process has a number above the kernel's limit.
        let names = ["cloister-4194305-standard_0", "cloister-\(getpid())-standard_0", "cloister-x", "other-4194305-a"]
        for name in names { try FileManager.default.createDirectory(atPath: "\(root)/memory/\(name)", withIntermediateDirectories: false) }
        let placement = CgroupPlacement(root: root, own: "4:memory:/\n")
        #expect(placement.warnings.isEmpty)
        let left = names.filter { access("\(root)/memory/\($0)", F_OK) == 0 }
        #expect(left == Array(names.dropFirst()))
    }
}
