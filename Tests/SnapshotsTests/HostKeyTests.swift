import Crypto
import Foundation
import TestSupport
import Testing

@testable import Snapshots

@Suite struct HostKeyTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func bytes(_ key: HostKey) -> [UInt8] { key.key.withUnsafeBytes { Array($0) } }

    @Test func theKeyIsMadeOnceAndReadFromThenOn() throws {
        let first = try HostKey(folder: folder.path)
        let file = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/host.key"))
        #expect(Array(file) == bytes(first))
        #expect(file.count == 32)
        let second = try HostKey(folder: folder.path)
        #expect(bytes(second) == bytes(first))
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path + "/host.key")) == file)
    }

    @Test func onlyItsOwnerCanReadTheKey() throws {
        _ = try HostKey(folder: folder.path)
        #expect(try folder.permissions("host.key") == 0o600)
    }

    @Test func noTemporaryFileIsLeftBehind() throws {
        _ = try HostKey(folder: folder.path)
        #expect(try folder.names() == ["host.key"])
    }

    @Test(arguments: [0, 1, 31, 33, 64])
    func aKeyOfAnotherSizeIsAnErrorAndIsKept(count: Int) throws {
        let path = try folder.write("host.key", Data(repeating: 7, count: count))
        let error = #expect(throws: StateError.self) { try HostKey(folder: folder.path) }
        #expect(error?.description == "\(path) has \(count) bytes instead of 32; remove it to have a new key made")
        #expect(FileManager.default.contents(atPath: path)?.count == count)
    }

    @Test(arguments: ["a link to itself", "a folder"]) func aKeyThatCannotBeReadIsAnErrorAndIsKept(what: String) throws {
        let path = folder.path + "/host.key"
        if what == "a folder" {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        } else {
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "host.key")
        }
        let type = try FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        let error = #expect(throws: StateError.self) { try HostKey(folder: folder.path) }
        #expect(error?.description.hasPrefix("cannot read \(path): ") == true && error?.errorNumber != 0)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType == type)
        #expect(try folder.names() == ["host.key"])
    }

    @Test func twoHostsHaveTwoKeys() throws {
        let other = try ScratchFolder()
        #expect(bytes(try HostKey(folder: folder.path)) != bytes(try HostKey(folder: other.path)))
    }

    @Test func aFolderThatIsMissingIsAnError() {
        let error = #expect(throws: StateError.self) { try HostKey(folder: folder.path + "/none") }
        #expect(error?.description.hasPrefix("cannot create \(folder.path)/none/host.key.") == true)
        #expect(error?.description.hasSuffix(": No such file or directory") == true)
    }

    @Test func theSeedIsTheSameForTheSameKey() throws {
        #expect(HostKey(bytes: [UInt8](repeating: 1, count: 32)).hashSeed == HostKey(bytes: [UInt8](repeating: 1, count: 32)).hashSeed)
        #expect(try HostKey(folder: folder.path).hashSeed == HostKey(folder: folder.path).hashSeed)
    }

    @Test func seedsDependOnTheKeyAreNeverZeroAndFitASignedInteger() {
        let seeds = (0...255).map { HostKey(bytes: [UInt8](repeating: UInt8($0), count: 32)).hashSeed }
        #expect(Set(seeds).count == seeds.count)
        #expect(seeds.allSatisfy { $0 != 0 && $0 <= UInt32(Int32.max) })
    }
}
