import Testing

@testable import WebRuntime

/// The native operations' own logic; what JavaScript sees of them is tested in JavaScript.
@Suite struct OperationsTests {
    private func encode(_ bytes: [UInt8]) -> String {
        bytes.withUnsafeBytes { input in
            String(unsafeUninitializedCapacity: (bytes.count + 2) / 3 * 4) {
                Base64.encode(input, into: UnsafeMutableRawBufferPointer($0))
            }
        }
    }

    private func decode(_ text: String) -> [UInt8]? {
        var bytes = Array(text.utf8)
        guard let count = bytes.withUnsafeMutableBytes({ Base64.decode(inPlace: $0) }) else { return nil }
        return Array(bytes[..<count])
    }

    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func base64EncodesAndDecodesTheVectorsOfItsStandard(plain: String, encoded: String) {
        #expect(encode(Array(plain.utf8)) == encoded)
        #expect(decode(encoded) == Array(plain.utf8))
    }

    @Test func base64DecodesEveryByteItEncoded() {
        let bytes = (0..<1024).map { UInt8(truncatingIfNeeded: $0 &* 167) }
        for count in 0..<70 { #expect(decode(encode(Array(bytes[..<count]))) == Array(bytes[..<count])) }
        #expect(decode(encode(bytes)) == bytes)
    }

    @Test(arguments: ["a", "aaaaa", "=", "==", "a=", "ab=", "abcd=", "a==b", "ab-_", "ab\u{7f}d", "abc=d"])
    func base64RefusesWhatIsNotBase64(text: String) {
        #expect(decode(text) == nil)
    }

    @Test(arguments: [("ab", [UInt8(0x69)]), (" a b\n", [0x69]), ("ab==", [0x69]), ("abc", [0x69, 0xB7]), ("abc=", [0x69, 0xB7])])
    func base64ForgivesWhiteSpaceAndMissingPadding(text: String, bytes: [UInt8]) {
        #expect(decode(text) == bytes)
    }

    /// Every string of up to two bytes and the edges of the longer forms, against the standard library's decoder.
    @Test func textIsValidUTF8ExactlyWhenTheStandardLibrarySaysSo() {
        func check(_ bytes: [UInt8]) {
            let isValid = bytes.withUnsafeBytes { isValidUTF8($0) }
            if isValid != (String(validating: bytes, as: UTF8.self) != nil) { Issue.record("\(bytes)") }
        }
        check([])
        let edges: [UInt8] = [
            0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        for first in UInt8.min...UInt8.max {
            check([first])
            for second in edges {
                check([first, second])
                for third in edges {
                    check([first, second, third])
                    for fourth in edges where first >= 0xF0 { check([first, second, third, fourth]) }
                }
            }
        }
        check(Array("eight bytes and more, then \u{1F600}".utf8))
        check(Array("eight bytes and more".utf8) + [0xFF])
    }

    @Test(arguments: [
        (DigestAlgorithm.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (.md5, "900150983cd24fb0d6963f7d28e17f72"),
    ])
    func digestsOfABCAreThoseOfTheirStandards(algorithm: DigestAlgorithm, hexadecimal: String) {
        var out = [UInt8](repeating: 0, count: algorithm.byteCount)
        let isDone = Array("abc".utf8).withUnsafeBytes { input in out.withUnsafeMutableBytes { algorithm.digest(input, into: $0) } }
        #expect(isDone)
        #expect(out.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == hexadecimal)
    }

    private func toASCII(_ name: String, isStrict: Bool = false) -> String? {
        var result: String?
        let isConverted = Array(name.utf16).withUnsafeBufferPointer {
            DomainToASCII.convert($0, isStrict: isStrict) { result = String(decoding: $0, as: UTF8.self) }
        }
        return isConverted ? result : nil
    }

    @Test(arguments: [
        ("b\u{fc}cher.example", "xn--bcher-kva.example"), ("B\u{dc}CHER.EXAMPLE", "xn--bcher-kva.example"),
        ("fa\u{df}.example", "xn--fa-hia.example"), ("\u{ff21}\u{3002}com", "a.com"), ("a-.b--c", "a-.b--c"),
    ])
    func namesAreMappedWithoutTransition(name: String, ascii: String) { #expect(toASCII(name) == ascii) }

    @Test(arguments: ["", "\u{fffd}.com", "xn--\u{fc}", "\u{ad}", "xn--a"])
    func namesThatCannotBeAreRefused(name: String) { #expect(toASCII(name) == nil) }

    @Test func strictNamesMayNotHaveEmptyLabels() {
        #expect(toASCII("a..b\u{fc}") != nil)
        #expect(toASCII("a..b\u{fc}", isStrict: true) == nil)
    }
}
