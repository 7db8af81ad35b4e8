import Testing

@testable import CellRuntime

@Suite struct BundlePathTests {
    private func resolved(_ specifier: String, from referrer: String = "worker.js") -> String? {
        try? BundlePath.resolve(specifier, from: referrer).get()
    }

    private func refusal(_ specifier: String, from referrer: String = "worker.js") -> String? {
        if case .failure(let error) = BundlePath.resolve(specifier, from: referrer) { return error.message }
        return nil
    }

    @Test func relativePathsAreTakenFromTheReferrersFolder() {
        #expect(resolved("./a.js") == "a.js")
        #expect(resolved("./lib/a.js") == "lib/a.js")
        #expect(resolved("./b.js", from: "lib/a.js") == "lib/b.js")
        #expect(resolved("../b.js", from: "lib/a.js") == "b.js")
        #expect(resolved("./../lib/./c.js", from: "lib/a.js") == "lib/c.js")
    }

    @Test func nothingOutsideTheBundleCanBeNamed() {
        #expect(refusal("../a.js")?.contains("leaves the bundle") == true)
        #expect(refusal("./../../etc/passwd", from: "lib/a.js")?.contains("leaves the bundle") == true)
        for specifier in ["/etc/passwd", "file:///etc/passwd", "data:text/javascript,1", "node:fs", "left-pad", "https://a/b.js", ""] {
            #expect(refusal(specifier)?.contains("only relative paths") == true, "\(specifier)")
        }
    }

    @Test func oversizedSpecifiersAndNULAreRefused() {
        #expect(refusal("./" + String(repeating: "a", count: 1 << 20))?.contains("longer than") == true)
        #expect(refusal("./a\0.js")?.contains("NUL") == true)
    }
}
