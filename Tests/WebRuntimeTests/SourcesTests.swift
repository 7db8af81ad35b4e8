import Testing

@testable import WebRuntime

/// What V8 asks of the runtime's sources.
@Suite struct SourcesTests {
    @Test func everySourceIsASCIIText() {
        #expect(!WebRuntime.sources.isEmpty)
        for source in WebRuntime.sources {
            let text = UnsafeRawBufferPointer(start: source.text, count: source.length)
            let offending = text.firstIndex { $0 != 0x0A && !(0x20...0x7E).contains($0) }
            if let offending {
                let line = text[..<offending].count { $0 == 0x0A } + 1
                Issue.record("\(String(cString: source.name)), line \(line): byte \(text[offending]) is not printable ASCII")
            }
        }
    }

    @Test func everySourceIsAFunctionOfInternalAndEndsWithNUL() {
        for source in WebRuntime.sources {
            let text = String(cString: source.text)
            #expect(text.utf8.count == source.length)
            #expect(text.hasPrefix("(function (internal) {\n  'use strict';\n"), "\(String(cString: source.name))")
            #expect(text.hasSuffix("})\n"), "\(String(cString: source.name))")
        }
    }

    @Test func namesOfSourcesAreUnique() {
        let names = WebRuntime.sources.map { String(cString: $0.name) }
        #expect(Set(names).count == names.count)
    }

    @Test func namesOfOperationsAreUnique() {
        let names = WebRuntime.operations.map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test func theHashIsStableAndSixteenDigitsLong() {
        #expect(WebRuntime.sourcesHash == WebRuntime.sourcesHash)
        #expect(WebRuntime.sourcesHash.count == 16)
        #expect(WebRuntime.sourcesHash.allSatisfy { $0.isHexDigit })
    }
}
