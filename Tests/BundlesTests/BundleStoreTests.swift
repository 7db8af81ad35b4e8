import Foundation
import Policy
import Synchronization
import TestSupport
import Testing

@testable import Bundles

@Suite struct BundleStoreTests {
    private let folder: ScratchFolder
    private let store: BundleStore

    init() throws {
        folder = try ScratchFolder()
        store = try BundleStore(folder: folder.path + "/bundles")
    }

    private func bundle(_ text: String, _ size: Int = 0) -> [BundleModule] {
        [
            BundleModule(name: "main.js", kind: .javascript, data: Array(text.utf8)),
            BundleModule(name: "a/b.bin", kind: .bytes, data: [UInt8](repeating: 7, count: size)),
            BundleModule(name: "empty.txt", kind: .text, data: []),
        ]
    }

    @Test func whatWasKeptIsReadWholeAndInOrder() throws {
        let kept = (0..<20).map { number in
            let modules = bundle("code \(number)", number * 1_000)
            return (modules, store.keep(modules))
        }
        for (modules, bundle) in kept {
            #expect(try bundle.read() == modules)
            #expect(bundle.byteCount == modules.reduce(0) { $0 + $1.data.count })
        }
        #expect(store.usage == BundleStore.Usage(diskBytes: kept.reduce(0) { $0 + $1.1.byteCount }, memoryBytes: 0))
    }

    @Test func nothingButEmptyModulesIsABundle() throws {
        let modules = [BundleModule(name: "main.js", kind: .javascript, data: [])]
        #expect(try store.keep(modules).read() == modules)
    }

    @Test func onlyTheDaemonsUserMayReadIt() throws {
        let kept = store.keep(bundle("a"))
        #expect(try ["bundles", "bundles/\(file())"].map(folder.permissions) == [0o700, 0o600])
        withExtendedLifetime(kept) {}
    }

    private func file() throws -> String { try #require(folder.names("bundles").first) }

    private func inode(_ name: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: "\(folder.path)/bundles/\(name)")[.systemFileNumber] as? Int)
    }

    /// As after a restart of the daemon, whose policies name the same code, but for what has changed.
    @Test func whatAnEarlierProcessLeftIsUsedAgainOrGoes() throws {
        var kept = ["a", "b"].map { store.keep(bundle($0)) }
        let names = try folder.names("bundles")
        let inodes = try names.map(inode)
        try folder.write("bundles/unfinished", "no bundle's name")
        let next = try BundleStore(folder: folder.path + "/bundles")
        kept = ["b", "c"].map { next.keep(bundle($0)) }
        next.removeLeftovers()
        let now = try folder.names("bundles").filter { $0 != "unfinished" }
        #expect(now.count == 2 && Set(now).intersection(names).count == 1)
        #expect(try Set(now.map(inode)).intersection(inodes).count == 1)
        #expect(try kept.map { try $0.read() } == [bundle("b"), bundle("c")])
        #expect(next.usage.diskBytes == 2 * kept[0].byteCount)
        // What comes back has gone.
        #expect(try next.keep(bundle("a")).read() == bundle("a"))
    }

    /// As after a loss of power: nobody has waited for the disk.
    @Test(arguments: ["a wrong byte", "a byte less"]) func whatAnEarlierProcessDidNotWriteInFullIsWrittenAgain(_ damage: String) throws {
        let kept = store.keep(bundle("a", 5_000))
        let name = try file()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/bundles/\(name)"))
        if damage == "a wrong byte" { bytes[100] = 0 } else { bytes.removeLast() }
        try folder.write("bundles/\(name)", bytes)
        let next = try BundleStore(folder: folder.path + "/bundles")
        let again = next.keep(bundle("a", 5_000))
        #expect(try again.read() == bundle("a", 5_000))
        next.removeLeftovers()
        #expect(try again.read() == bundle("a", 5_000) && folder.names("bundles").count == 1)
        withExtendedLifetime(kept) {}
    }

    @Test func whoOnlyWantsToKnowKeepsNothing() {
        let store = BundleStore(keepsNothing: true)
        let kept = store.keep(bundle("a", 5_000))
        #expect(kept.byteCount == 5_001 && store.usage == BundleStore.Usage() && kept.problem == nil)
        #expect(throws: BundleStoreError.self) { try kept.read() }
    }

    @Test func theSameContentIsKeptOnce() {
        let (first, second) = (store.keep(bundle("a", 5_000)), store.keep(bundle("a", 5_000)))
        #expect(first.digest == second.digest && store.usage.diskBytes == first.byteCount)
        let other = store.keep(bundle("b", 5_000))
        #expect(other.digest != first.digest && store.usage.diskBytes == 2 * first.byteCount)
    }

    /// A byte that goes from one part to the next makes another bundle.
    @Test func bundlesWithTheSameBytesDiffer() {
        let names = [("ab", "c"), ("a", "bc")].map { [BundleModule(name: $0, kind: .text, data: Array($1.utf8))] }
        let kinds = [ModuleKind.text, .bytes].map { [BundleModule(name: "a", kind: $0, data: [1])] }
        let split = [[[1, 2], [3]], [[1], [2, 3]]].map { $0.map { BundleModule(name: "a", kind: .bytes, data: $0) } }
        let all = names + kinds + split
        #expect(Set(all.map { store.keep($0).digest }).count == all.count)
    }

    @Test func whatNobodyHasAnyMoreGivesItsRoomBack() throws {
        var kept: StoredBundle? = store.keep(bundle("a", 5_000))
        let neighbour = store.keep(bundle("b", 5_000))
        #expect(try folder.names("bundles").count == 2)
        #expect(kept != nil)
        kept = nil
        #expect(store.usage.diskBytes == neighbour.byteCount)
        // It can be had again, before its file is gone and after.
        kept = store.keep(bundle("a", 5_000))
        store.removeUnneeded()
        #expect(try kept?.read() == bundle("a", 5_000))
        kept = nil
        store.removeUnneeded()
        #expect(try folder.names("bundles").count == 1)
        #expect(try neighbour.read() == bundle("b", 5_000))
    }

    @Test func whatTheDiskDoesNotTakeIsKeptInMemory() throws {
        try FileManager.default.removeItem(atPath: folder.path + "/bundles")
        do {
            let kept = store.keep(bundle("a", 5_000))
            #expect(try kept.read() == bundle("a", 5_000))
            #expect(store.usage == BundleStore.Usage(diskBytes: 0, memoryBytes: kept.byteCount))
        }
        #expect(store.usage == BundleStore.Usage())
    }

    @Test func whatTheDiskDidNotTakeIsGivenToItAgain() throws {
        let problems = Mutex<[String]>([])
        let path = folder.path + "/other"
        let store = try BundleStore(folder: path) { problem in problems.withLock { $0.append(problem) } }
        try FileManager.default.removeItem(atPath: path)
        let kept = ["a", "b"].map { store.keep(bundle($0, 5_000)) }
        #expect(store.usage == BundleStore.Usage(diskBytes: 0, memoryBytes: 2 * kept[0].byteCount))
        // The same again: it is not in memory twice, and nobody is told twice.
        let again = store.keep(bundle("a", 5_000))
        #expect(store.usage == BundleStore.Usage(diskBytes: 0, memoryBytes: 2 * kept[0].byteCount))
        #expect(problems.withLock { $0.count } == 1 && problems.withLock { $0[0].hasSuffix("No such file or directory") })
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let written = store.keep(bundle("a", 5_000))
        #expect(store.usage == BundleStore.Usage(diskBytes: kept[0].byteCount, memoryBytes: kept[1].byteCount))
        #expect(try folder.names("other").count == 1)
        for each in [kept[0], again, written] { #expect(try each.read() == bundle("a", 5_000)) }
        #expect(try kept[1].read() == bundle("b", 5_000))
        // What fails after that is told again.
        try FileManager.default.removeItem(atPath: path)
        _ = store.keep(bundle("c", 5_000))
        #expect(problems.withLock { $0.count } == 2)
    }

    @Test func whatTheDiskDoesNotTakeHasALimitInMemory() throws {
        let path = folder.path + "/other"
        let store = try BundleStore(folder: path, memoryLimitBytes: 6_000)
        try FileManager.default.removeItem(atPath: path)
        var kept: StoredBundle? = store.keep(bundle("a", 5_000))
        let refused = store.keep(bundle("b", 5_000))
        #expect(kept?.problem == nil && refused.problem?.description.hasPrefix("the bundle cannot be kept") == true)
        #expect(store.usage == BundleStore.Usage(diskBytes: 0, memoryBytes: 5_001))
        #expect(throws: BundleStoreError.self) { try refused.read() }
        // Room for one is there again, and whoever brings it helps those who have it.
        kept = nil
        kept = store.keep(bundle("b", 5_000))
        #expect(refused.problem == nil && kept?.problem == nil)
        #expect(try refused.read() == bundle("b", 5_000))
        #expect(store.usage == BundleStore.Usage(diskBytes: 0, memoryBytes: 5_001))
    }

    @Test(arguments: ["a wrong byte", "a byte less", "no file"]) func whatTheDiskDoesNotGiveBackIsAnErrorUntilItIsBroughtAgain(
        _ damage: String
    ) throws {
        let kept = store.keep(bundle("a", 5_000))
        let path = "bundles/\(try file())"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(path)"))
        if damage == "a wrong byte" { bytes[100] ^= 1 } else { bytes.removeLast() }
        try folder.write(path, bytes)
        if damage == "no file" { try FileManager.default.removeItem(atPath: "\(folder.path)/\(path)") }
        for _ in 0..<2 { #expect(throws: BundleStoreError.self) { try kept.read() } }
        let again = store.keep(bundle("a", 5_000))
        #expect(try again.read() == bundle("a", 5_000) && kept.read() == bundle("a", 5_000))
        #expect(store.usage == BundleStore.Usage(diskBytes: kept.byteCount, memoryBytes: 0))
        store.removeUnneeded()
        #expect(try kept.read() == bundle("a", 5_000) && folder.names("bundles").count == 1)
    }

    @Test func aFolderThatCannotBeMadeIsAnError() {
        #expect(throws: BundleStoreError.self) { try BundleStore(folder: folder.path + "/nowhere/bundles") }
    }

    /// Threads that bring and drop the same few bundles: each reads what it brought, and nothing is left.
    @Test func manyThreadsMayUseIt() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for number in 0..<300 {
                        let modules = bundle("code \(number % 3)", 100)
                        let read = try store.keep(modules).read()
                        #expect(read == modules)
                        if number % 10 == 0 { store.removeUnneeded() }
                    }
                }
            }
            try await group.waitForAll()
        }
        store.removeUnneeded()
        #expect(try store.usage == BundleStore.Usage() && folder.names("bundles").isEmpty)
    }
}
