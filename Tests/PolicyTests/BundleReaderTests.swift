import Foundation
import Policy
import TestSupport
import Testing

@testable import PolicyFiles

@Suite struct BundleReaderTests {
    private let folder: ScratchFolder

    init() throws {
        folder = try ScratchFolder()
        try folder.write("app/main.js", "main")
    }

    private func read() throws -> [BundleModule] { try BundleReader.read(main: folder.path + "/app/main.js") }

    private func names() throws -> [String] { try read().map(\.name) }

    /// Why it cannot be read, the folder left out.
    private func failure() -> String? {
        do throws(BundleReader.Failure) {
            _ = try BundleReader.read(main: folder.path + "/app/main.js")
            return nil
        } catch { return error.description.replacingOccurrences(of: folder.path + "/", with: "") }
    }

    private func link(_ name: String, to target: String) throws {
        try? FileManager.default.removeItem(atPath: "\(folder.path)/\(name)")
        try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/\(name)", withDestinationPath: target)
    }

    @Test func mainComesFirstAndFoldersStandInTheName() throws {
        try folder.write("app/a.js", "a")
        try folder.write("app/lib/b.js", "b")
        try folder.write("app/lib/deep/main.js", "c")
        let modules = try read()
        #expect(modules[0] == BundleModule(name: "main.js", kind: .javascript, data: Array("main".utf8)))
        #expect(modules.map(\.name).sorted() == ["a.js", "lib/b.js", "lib/deep/main.js", "main.js"])
        #expect(modules.first { $0.name == "lib/deep/main.js" }?.data == Array("c".utf8))
    }

    @Test(arguments: [
        (ModuleKind.javascript, ["js", "mjs", "JS"]), (.json, ["json"]), (.wasm, ["wasm"]),
        (.text, ["txt", "html", "css", "svg", "sql", "md", "xml", "csv", "TXT"]),
        (.bytes, ["bin", "dat", "png", "jpg", "jpeg", "gif", "webp", "ico", "woff2", "gz"]),
    ])
    func theExtensionTellsTheKind(kind: ModuleKind, extensions: [String]) throws {
        for name in extensions {
            try folder.write("app/x.\(name)", "x")
            #expect(try read().first { $0.name == "x.\(name)" }?.kind == kind, "\(name)")
        }
    }

    @Test func mainIsJavaScriptWhateverItsExtension() throws {
        try folder.write("app/main.txt", "text")
        #expect(try BundleReader.read(main: folder.path + "/app/main.txt").map(\.kind) == [.javascript, .javascript])
    }

    @Test func whatIsNoModuleIsLeftOut() throws {
        for name in ["README", "a.ts", "a.js.map", ".hidden.js", ".git/x.js", "node_modules/y/z.js", "lib/node_modules/x.js"] {
            try folder.write("app/\(name)", Data([0xff]))
        }
        try folder.write("outside.js", "x")
        #expect(try names() == ["main.js"])
    }

    @Test func aLinkInsideTheFolderIsFollowed() throws {
        try folder.write("app/lib/a.js", "a")
        try link("app/b.js", to: "lib/a.js")
        try link("app/c", to: "\(folder.path)/app/lib")
        #expect(try names().sorted() == ["b.js", "c/a.js", "lib/a.js", "main.js"])
    }

    @Test func aLinkThatLeavesTheFolderIsLeftOut() throws {
        try folder.write("other/secret.js", "secret")
        try folder.write("app-beside/secret.js", "secret")
        try link("app/a.js", to: "../other/secret.js")
        try link("app/b.js", to: "\(folder.path)/other/secret.js")
        try link("app/c", to: "../other")
        try link("app/d", to: "..")
        try link("app/e.js", to: "../app-beside/secret.js")
        try link("app/f.txt", to: "/etc/passwd")
        try link("app/g.js", to: "../nowhere.js")
        try link("app/h.js", to: "h.js")
        try link("app/i", to: "c")
        try link("other/back", to: "../app")
        #expect(try names() == ["main.js"])
    }

    @Test func aMainThatIsALinkOutOfTheFolderIsRefused() throws {
        try folder.write("other/secret.js", "secret")
        try link("app/main.js", to: "../other/secret.js")
        #expect(failure() == "app/main.js: a link that leaves the bundle's folder")
        try folder.write("app/real.js", "real")
        try link("app/main.js", to: "real.js")
        #expect(try read()[0] == BundleModule(name: "main.js", kind: .javascript, data: Array("real".utf8)))
    }

    /// As bundles are switched over: `current` names the release in force.
    @Test func theFolderItselfMayBeALink() throws {
        try folder.write("releases/1/main.js", "one")
        try folder.write("releases/1/lib/a.js", "a")
        try link("current", to: "releases/1")
        let modules = try BundleReader.read(main: folder.path + "/current/main.js")
        #expect(modules.map(\.name) == ["main.js", "lib/a.js"] && modules[0].data == Array("one".utf8))
    }

    @Test func foldersThatNeverEndAreRefused() throws {
        try folder.write("app/lib/a.txt", "")
        try link("app/lib/loop", to: ".")
        #expect(failure()?.hasSuffix("folders deeper than 16") == true)
    }

    /// Ten links in each of fourteen folders to the next one: no more than sixteen deep, and more ways than anybody can walk.
    @Test func foldersAreLookedThroughSoManyTimesAndNoMore() throws {
        for depth in 1...14 {
            try folder.write("app/a\(depth)/x.none", "")
            for number in 0..<10 where depth < 14 { try link("app/a\(depth)/\(number)", to: "../a\(depth + 1)") }
        }
        #expect(failure()?.hasPrefix("the bundle has more than 1000 folders") == true, "\(failure() ?? "none")")
    }

    /// Two hundred files that are no modules, and a hundred ways to them.
    @Test func whatIsNoModuleHasALimitToo() throws {
        for number in 0..<200 { try folder.write("app/junk/\(number).none", "") }
        for number in 0..<98 { try link("app/\(number)", to: "junk") }
        #expect(try names() == ["main.js"])
        try link("app/98", to: "junk")
        #expect(failure() == "the bundle's folder has more than 20000 files, folders and links")
    }

    @Test func aFolderThatCannotBeListedIsNotTakenToBeEmpty() throws {
        try folder.write("app/lib/a.txt", "")
        #expect(chmod(folder.path + "/app/lib", 0) == 0)
        defer { chmod(folder.path + "/app/lib", 0o755) }
        // Root may list anything: this thread looks as somebody else does.
        let setfsuid = unsafeBitCast(dlsym(nil, "setfsuid"), to: (@convention(c) (uid_t) -> Int32).self)
        let before = setfsuid(65_534)
        defer { _ = setfsuid(uid_t(before)) }
        #expect(failure()?.contains("app/lib: the folder cannot be listed") == true, "\(failure() ?? "none")")
    }

    /// A file that is exchanged for a link between the look at it and its opening.
    @Test func aFileThatIsExchangedForALinkIsNotReadThroughIt() throws {
        try folder.write("secret.txt", "secret")
        try folder.write("app/a.txt", "plain")
        try link("app/b.txt", to: "../secret.txt")
        let app = folder.path + "/app"
        #expect(try FileContents.read(app + "/a.txt", limit: 100, within: app).count == 5)
        #expect(throws: FileContents.Failure.outside) { try FileContents.read(app + "/b.txt", limit: 100, within: app) }
        #expect(throws: FileContents.Failure.outside) { try FileContents.read(app + "/a.txt", limit: 100, within: folder.path + "/ap") }
    }

    @Test func foldersAreSoDeepAndNoDeeper() throws {
        func path(_ depth: Int) -> String { "app/" + (1..<depth).map { "d\($0)/" }.joined() + "x.js" }
        try folder.write(path(16), "x")
        #expect(try names().count == 2)
        try folder.write(path(17), "x")
        #expect(failure()?.hasSuffix("folders deeper than 16") == true)
    }

    @Test func thereAreSoManyModulesAndNoMore() throws {
        for index in 1..<1_000 { try folder.write("app/\(index).txt", "") }
        #expect(try names().count == 1_000)
        try folder.write("app/1000.txt", "")
        #expect(failure() == "the bundle has more than 1000 modules")
    }

    @Test func aBundleIsSoLargeAndNoLarger() throws {
        try folder.write("app/a.bin", Data(count: BundleReader.bytesLimit - 5))
        try folder.write("app/b.bin", "x")
        #expect(try read().map(\.data.count).reduce(0, +) == 10 << 20)
        try folder.write("app/b.bin", "xy")
        #expect(failure() == "the bundle is larger than 10 MiB")
        try folder.write("app/a.bin", Data(count: BundleReader.bytesLimit + 1))
        #expect(failure() == "the bundle is larger than 10 MiB")
    }

    @Test(arguments: ["js", "json", "txt"]) func whatIsTextMustBeUTF8(name: String) throws {
        try folder.write("app/x.\(name)", Data([0x61, 0xc3]))
        #expect(failure() == "app/x.\(name) is not UTF-8")
    }

    @Test(arguments: ["bin", "wasm"]) func whatIsBytesMayBeAnything(name: String) throws {
        try folder.write("app/x.\(name)", Data([0, 0xff, 0xc3]))
        #expect(try read()[1].data == [0, 0xff, 0xc3])
    }

    @Test func aMainThatCannotBeReadIsTold() throws {
        try FileManager.default.removeItem(atPath: folder.path + "/app/main.js")
        #expect(failure() == "app/main.js: No such file or directory")
        try FileManager.default.createDirectory(atPath: folder.path + "/app/main.js", withIntermediateDirectories: false)
        #expect(failure() == "app/main.js: this is a folder")
    }

    @Test func aPipeInTheFolderIsToldAndNotWaitedFor() throws {
        #expect(mkfifo(folder.path + "/app/x.txt", 0o600) == 0)
        #expect(failure() == "app/x.txt: this is a pipe, a socket or a device, not a file")
    }
}
