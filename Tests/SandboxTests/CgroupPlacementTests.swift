import Foundation
import Glibc
import Testing

@testable import Sandbox

@Suite final class CgroupPlacementTests {
    private let root: String

    init() throws {
        root = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    /// Makes a folder that looks like a cgroup's.
    private func makeGroup(_ path: String, _ files: [String] = ["cgroup.procs"]) throws {
        try FileManager.default.createDirectory(atPath: root + path, withIntermediateDirectories: true)
        for file in files { #expect(FileManager.default.createFile(atPath: "\(root)\(path)/\(file)", contents: Data())) }
    }

    private func content(_ path: String) throws -> String { try String(contentsOfFile: root + path, encoding: .utf8) }

    @Test func versionTwoIsFoundAtThePathThatTheKernelNames() throws {
        try makeGroup("/system.slice/cloister.service")
        let placement = CgroupPlacement(root: root, own: "0::/system.slice/cloister.service\n")
        #expect(placement.parents == ["\(root)/system.slice/cloister.service"])
        #expect(placement.warnings.isEmpty)
    }

    /// Version 2 hands nothing on from a group that holds processes: cells' groups lie beside a daemon that is in a leaf.
    @Test func besideTheDaemonsLeafOfVersionTwoGroupsAreMade() throws {
        try makeGroup("/s/cloister.service", ["cgroup.procs", "cgroup.controllers", "cgroup.subtree_control"])
        try makeGroup("/s/cloister.service/daemon")
        try makeGroup("/s/cloister.service/other")
        try Data("cpu memory pids".utf8).write(to: URL(fileURLWithPath: "\(root)/s/cloister.service/cgroup.controllers"))
        let placement = CgroupPlacement(root: root, own: "0::/s/cloister.service/daemon\n")
        #expect(placement.parents == ["\(root)/s/cloister.service"] && placement.version2Parent == placement.parents[0])
        #expect(try content("/s/cloister.service/cgroup.subtree_control").contains("+memory +pids"))
        // What has no such name was not delegated for that, and what holds processes hands nothing on.
        #expect(CgroupPlacement(root: root, own: "0::/s/cloister.service/other\n").parents == ["\(root)/s/cloister.service/other"])
        try Data("1\n".utf8).write(to: URL(fileURLWithPath: "\(root)/s/cloister.service/cgroup.procs"))
        #expect(CgroupPlacement(root: root, own: "0::/s/cloister.service/daemon\n").parents == ["\(root)/s/cloister.service/daemon"])
    }

    @Test func aloneInItsGroupOfVersionTwoTheDaemonMovesIntoALeaf() throws {
        try makeGroup("/a")
        try makeGroup("/a/daemon")
        #expect(CgroupPlacement(root: root, own: "0::/a\n").parents == ["\(root)/a"])
        #expect(try content("/a/daemon/cgroup.procs").isEmpty)
        try Data("\(getpid())\n".utf8).write(to: URL(fileURLWithPath: "\(root)/a/cgroup.procs"))
        #expect(CgroupPlacement(root: root, own: "0::/a\n").parents == ["\(root)/a"])
        #expect(try content("/a/daemon/cgroup.procs") == "\(getpid())")
    }

    /// What an older launcher's cells still have is not taken from them by a new one.
    @Test func theControllerIsCountedForAllLaunchersTogether() throws {
        try makeGroup("/a", ["cgroup.procs", "cgroup.controllers", "cgroup.subtree_control"])
        try Data("cpu".utf8).write(to: URL(fileURLWithPath: "\(root)/a/cgroup.controllers"))
        let old = CgroupPlacement(root: root, own: "0::/a").group(name: "x")
        old.setCPUShare(0.5, of: 4_242)
        let new = CgroupPlacement(root: root, own: "0::/a").group(name: "y")
        new.setCPUShare(0.5, of: 4_243)
        old.remove()
        #expect(try content("/a/cgroup.subtree_control").hasPrefix("+cpu"))
        new.remove()
        #expect(try content("/a/cgroup.subtree_control").hasPrefix("-cpu"))
    }

    @Test func theRootGroupIsTheRootFolder() throws {
        try makeGroup("")
        #expect(CgroupPlacement(root: root, own: "0::/\n").parents == [root])
    }

    @Test func ofVersionOneOnlyMemoryCPUAndPIDsAreUsed() throws {
        for folder in ["/memory/a", "/cpu,cpuacct/a", "/pids", "/devices/a", "/name=systemd/a"] { try makeGroup(folder) }
        let own = "12:memory:/a\n4:cpu,cpuacct:/a\n3:pids:/\n2:devices:/a\n1:name=systemd:/a\n"
        #expect(CgroupPlacement(root: root, own: own).parents == ["\(root)/memory/a", "\(root)/cpu,cpuacct/a", "\(root)/pids"])
    }

    @Test func aPathMayHaveColons() throws {
        try makeGroup("/a:b:c")
        #expect(CgroupPlacement(root: root, own: "0::/a:b:c").parents == ["\(root)/a:b:c"])
    }

    @Test(arguments: ["", "\n", "nonsense", "0:", "0::/missing", "7:devices:/a"])
    func withoutAGroupThereIsAWarning(own: String) throws {
        try makeGroup("/devices/a")
        let placement = CgroupPlacement(root: root, own: own)
        #expect(placement.parents.isEmpty)
        #expect(
            placement.warnings == [
                "no cgroup is writable here: cells share the supervisor's, and its limits; see docs/sandbox.md"
            ])
    }

    @Test func aFolderThatIsNoCgroupIsNotUsed() throws {
        try makeGroup("/a", [])
        #expect(CgroupPlacement(root: root, own: "0::/a").parents.isEmpty)
    }

    @Test func aProcessIsMovedAndItsLimitsAreSet() throws {
        try makeGroup("/a")
        try makeGroup("/memory/b")
        let placement = CgroupPlacement(root: root, own: "0::/a\n1:memory:/b\n")
        let folders = ["/a", "/memory/b"].map { "\($0)/cloister-\(getpid())-trusted-1" }
        // The kernel makes these files with the folder.
        for folder in folders { try makeGroup(folder, ["cgroup.procs", "pids.max"]) }
        placement.group(name: "trusted-1").add(4_242)
        for folder in folders {
            #expect(try content("\(folder)/cgroup.procs") == "4242")
            #expect(try content("\(folder)/pids.max") == "1024")
        }
    }

    @Test func onlyWhoCompetesIsInAGroupForProcessors() throws {
        try makeGroup("/cpu/a")
        let folder = "/cpu/a/cloister-\(getpid())-x"
        let group = CgroupPlacement(root: root, own: "1:cpu:/a\n").group(name: "x")
        group.add(4_242)
        #expect(!FileManager.default.fileExists(atPath: root + folder))
        try makeGroup(folder, ["cgroup.procs", "cpu.shares"])
        group.setCPUShare(0.25, of: 4_242)
        #expect(try content("\(folder)/cgroup.procs") == "4242")
        #expect(try content("\(folder)/cpu.shares") == "256")
        #expect(try content("/cpu/a/cgroup.procs").isEmpty)
        group.setCPUShare(nil, of: 4_242)
        #expect(try content("/cpu/a/cgroup.procs") == "4242")
        // After its end the number may be another's.
        group.endShares()
        group.setCPUShare(0.5, of: 7)
        #expect(try content("\(folder)/cgroup.procs") == "4242")
    }

    @Test func theControllerOfVersionTwoIsHandedOnWhileSomebodyCompetes() throws {
        try makeGroup("/a", ["cgroup.procs", "cgroup.controllers", "cgroup.subtree_control"])
        try Data("cpu memory pids".utf8).write(to: URL(fileURLWithPath: "\(root)/a/cgroup.controllers"))
        let placement = CgroupPlacement(root: root, own: "0::/a")
        #expect(try content("/a/cgroup.subtree_control").hasPrefix("-cpu"))
        let groups = ["x", "y"].map { placement.group(name: $0) }
        for (group, name) in zip(groups, ["x", "y"]) {
            try makeGroup("/a/cloister-\(getpid())-\(name)", ["cgroup.procs", "cpu.weight", "pids.max"])
            group.setCPUShare(0.5, of: 4_242)
            #expect(try content("/a/cgroup.subtree_control").hasPrefix("+cpu"))
            #expect(try content("/a/cloister-\(getpid())-\(name)/cpu.weight") == "100")
        }
        groups[0].setCPUShare(nil, of: 4_242)
        #expect(try content("/a/cgroup.subtree_control").hasPrefix("+cpu"))
        groups[1].remove()
        #expect(try content("/a/cgroup.subtree_control").hasPrefix("-cpu"))
    }

    @Test func aGroupIsMadeInEveryParentAndRemovedAgain() throws {
        try makeGroup("/a")
        try makeGroup("/memory/b")
        let group = CgroupPlacement(root: root, own: "0::/a\n1:memory:/b\n").group(name: "x")
        group.add(getpid())
        for parent in ["/a", "/memory/b"] {
            #expect(FileManager.default.fileExists(atPath: "\(root)\(parent)/cloister-\(getpid())-x"))
        }
        group.remove()
        for parent in ["/a", "/memory/b"] {
            #expect(try FileManager.default.contentsOfDirectory(atPath: root + parent) == ["cgroup.procs"])
        }
    }

    @Test func aNameCannotLeaveItsParent() throws {
        try makeGroup("/a")
        CgroupPlacement(root: root, own: "0::/a").group(name: "../x/..").add(getpid())
        let made = try FileManager.default.contentsOfDirectory(atPath: root + "/a").filter { $0 != "cgroup.procs" }
        #expect(made == ["cloister-\(getpid())-___x___"])
    }

    @Test func aParentThatWentAwayIsPassedOver() throws {
        try makeGroup("/a")
        let group = CgroupPlacement(root: root, own: "0::/a").group(name: "x")
        try FileManager.default.removeItem(atPath: root + "/a")
        group.add(getpid())
        group.remove()
        #expect(!FileManager.default.fileExists(atPath: root + "/a"))
    }
}
