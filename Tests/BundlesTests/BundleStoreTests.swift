import Foundation
import Policy
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
        #expect(try ["bundles", "bundles/1"].map(folder.permissions) == [0o700, 0o600])
        withExtendedLifetime(kept) {}
    }

    @Test func whatAnEarlierProcessLeftGoes() throws {
        try folder.write("bundles/1", "old")
        try folder.write("bundles/77", "old")
        let store = try BundleStore(folder: folder.path + "/bundles")
        #expect(try folder.names("bundles").isEmpty)
        let modules = bundle("new")
        #expect(try store.keep(modules).read() == modules)
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
        #expect(try folder.names("bundles").count == 1)
        #expect(try neighbour.read() == bundle("b", 5_000))
        // It can be had again.
        kept = store.keep(bundle("a", 5_000))
        #expect(try kept?.read() == bundle("a", 5_000))
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

    @Test func whatTheDiskDoesNotGiveBackIsAnError() throws {
        let kept = store.keep(bundle("a", 5_000))
        let path = "bundles/\(try folder.names("bundles")[0])"
        let right = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(path)"))
        var wrong = right
        wrong[100] ^= 1
        try folder.write(path, wrong)
        #expect(throws: BundleStoreError.self) { try kept.read() }
        try folder.write(path, right.dropLast())
        #expect(throws: BundleStoreError.self) { try kept.read() }
        try folder.write(path, right)
        #expect(try kept.read() == bundle("a", 5_000))
        try FileManager.default.removeItem(atPath: "\(folder.path)/\(path)")
        #expect(throws: BundleStoreError.self) { try kept.read() }
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
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(store.usage == BundleStore.Usage())
    }
}
