import Foundation
import TestSupport
import Testing

@testable import PolicyFiles

@Suite struct FolderListingTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test func whatIsThereIsListedInOrderAndFilesAreKnown() throws {
        for name in ["b", ".a", "c/d"] { try folder.write(name, "") }
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/e", withDestinationPath: "b")
        let entries = try FolderListing.entries(of: folder.path, limit: 4)
        #expect(entries.map(\.name) == [".a", "b", "c", "e"])
        #expect(entries.filter { !$0.isFile }.map(\.name).suffix(2) == ["c", "e"])
    }

    @Test func moreThanTheLimitIsAnError() throws {
        for name in ["a", "b", "c"] { try folder.write(name, "") }
        #expect(throws: FolderListing.Failure.longer(than: 2)) { try FolderListing.entries(of: folder.path, limit: 2) }
        #expect(throws: FolderListing.Failure.system(ENOENT)) { try FolderListing.entries(of: folder.path + "/none", limit: 2) }
    }

    /// As where the disk fails: what was not told yet has not gone.
    @Test func anErrorInTheMidstIsNotTheEnd() throws {
        try folder.write("a", "")
        let stream = try #require(opendir(folder.path))
        defer { closedir(stream) }
        // The next read is one of no folder.
        let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(nothing) }
        #expect(dup2(nothing, dirfd(stream)) >= 0)
        #expect(throws: FolderListing.Failure.system(ENOTDIR)) { try FolderListing.entries(of: stream, limit: 10) }
    }
}
