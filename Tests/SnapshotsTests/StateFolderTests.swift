import Foundation
import TestSupport
import Testing

@testable import Snapshots

@Suite struct StateFolderTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test func itIsMadeForItsOwnerOnly() throws {
        let state = try StateFolder(path: folder.path + "/a/b")
        #expect(state.path == folder.path + "/a/b")
        #expect(try folder.permissions("a/b") == 0o700)
        #expect(try folder.permissions("a/b/snapshots") == 0o700)
        #expect(try folder.permissions("a/b/lock") == 0o600)
    }

    @Test func aFolderThatOthersCouldReadIsClosedToThem() throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.path)
        _ = try StateFolder(path: folder.path)
        #expect(try folder.permissions("") == 0o700)
    }

    @Test func aSecondDaemonIsRefusedUntilTheFirstIsGone() throws {
        var first: StateFolder? = try StateFolder(path: folder.path)
        let error = #expect(throws: StateError.self) { try StateFolder(path: folder.path) }
        #expect(error?.description == "the state folder \(folder.path) is in use by another cloisterd; name another with --state")
        #expect(first != nil)
        first = nil
        // A process that another test has just forked has the first one's descriptor, too, until it executes something.
        let deadline = ContinuousClock.now + .seconds(20)
        while (try? StateFolder(path: folder.path)) == nil, ContinuousClock.now < deadline { usleep(1_000) }
        #expect(throws: Never.self) { try StateFolder(path: folder.path) }
    }

    @Test func aFileInItsPlaceIsAnError() throws {
        let path = try folder.write("file", "x")
        let error = #expect(throws: StateError.self) { try StateFolder(path: path) }
        #expect(error?.description.hasPrefix("the state folder \(path) cannot be made: ") == true)
    }

    /// The user's rights are another exit code of the daemon than anything else.
    @Test func whatTheKernelSaidIsKnown() {
        let kernel = NSError(domain: NSPOSIXErrorDomain, code: Int(EPERM))
        let errors: [(NSError, Int32)] = [
            (NSError(domain: NSCocoaErrorDomain, code: CocoaError.Code.fileWriteNoPermission.rawValue), EACCES),
            (NSError(domain: NSCocoaErrorDomain, code: 4, userInfo: [NSUnderlyingErrorKey: kernel]), EPERM),
            (NSError(domain: NSCocoaErrorDomain, code: CocoaError.Code.fileWriteVolumeReadOnly.rawValue), EROFS),
            (NSError(domain: "other", code: 1), 0),
        ]
        for (error, number) in errors { #expect(StateFolder.errorNumber(of: error) == number) }
        #expect(StateError("", errorNumber: EACCES).isPermission && StateError("", errorNumber: EPERM).isPermission)
        #expect(!StateError("").isPermission && !StateError("", errorNumber: ENOENT).isPermission)
    }

    @Test func aLinkInTheLocksPlaceIsNotFollowed() throws {
        let target = folder.path + "/target"
        try FileManager.default.createDirectory(atPath: folder.path + "/state", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/state/lock", withDestinationPath: target)
        #expect(throws: StateError.self) { try StateFolder(path: folder.path + "/state") }
        #expect(!FileManager.default.fileExists(atPath: target))
    }
}
