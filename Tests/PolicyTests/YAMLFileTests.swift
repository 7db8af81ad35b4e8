import Foundation
import Testing

@testable import PolicyFiles

@Suite struct YAMLFileTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func errors(_ path: String) -> [String] {
        let file = YAMLFile(path: path)
        #expect(file.mapping() == nil)
        return file.errors.map { String($0.description.dropFirst(path.count + 1)) }
    }

    private func errors(_ data: Data) throws -> [String] { errors(try folder.write("f.yaml", data)) }

    @Test func whatIsNoFileIsTold() throws {
        #expect(errors(folder.path + "/none.yaml") == ["1:1: the file cannot be read"])
        #expect(errors(folder.path) == ["1:1: this is a folder"])
    }

    @Test func whatIsNoTextIsTold() throws {
        #expect(try errors(Data([0x61, 0x3a, 0x20, 0xff])) == ["1:1: the file is not UTF-8"])
        #expect(try errors(Data("a: b\0".utf8)) == ["1:1: the file contains NUL"])
    }

    @Test(arguments: ["", "\n", "# nothing\n"])
    func anEmptyFileIsTold(text: String) throws { #expect(try errors(Data(text.utf8)) == ["1:1: the file is empty"]) }

    @Test func aFileOverTheLimitIsNotRead() throws {
        var data = Data("a: b\n#".utf8)
        data.append(Data(repeating: UInt8(ascii: "x"), count: YAMLFile.bytesLimit - data.count))
        #expect(YAMLFile(path: try folder.write("f.yaml", data)).mapping() != nil)
        data.append(UInt8(ascii: "x"))
        #expect(try errors(data) == ["1:1: the file has 1048577 bytes; at most 1048576 are read"])
    }

    @Test(arguments: ["a", "[a, b]", "5", "\"a: b\""])
    func whatIsNoMappingIsTold(text: String) throws { #expect(try errors(Data(text.utf8)) == ["1:1: expected keys and values"]) }
}
