import Policy
import Scheduling
import Testing

@testable import Wire

@Suite struct MessageTests {
    @Test func aConfigurationComesBackAsItWas() throws {
        for flags in 0..<32 {
            var sent = sampleConfiguration()
            sent.jit = flags & 1 != 0
            sent.buildsSnapshot = flags & 2 != 0
            sent.preempts = flags & 4 != 0
            sent.evictsLRU = flags & 8 != 0
            sent.revivesFromSnapshot = flags & 16 != 0
            let (got, rest) = try decoded(encoded { sent.encode(into: &$0) }) { try CellConfiguration(from: &$0) }
            #expect(rest == 0)
            #expect(got.cell == sent.cell)
            #expect(got.workers == sent.workers)
            #expect(got.jit == sent.jit)
            #expect(got.hashSeed == sent.hashSeed)
            #expect(got.sliceMicroseconds == sent.sliceMicroseconds)
            #expect(got.buildsSnapshot == sent.buildsSnapshot)
            #expect(got.preempts == sent.preempts)
            #expect(got.isolateLimit == sent.isolateLimit)
            #expect(got.evictsLRU == sent.evictsLRU)
            #expect(got.revivesFromSnapshot == sent.revivesFromSnapshot)
            #expect(got.idleSeconds == sent.idleSeconds)
            #expect(got.snapshot == sent.snapshot)
        }
    }

    @Test func aBundleComesBackAsItWas() throws {
        for eval in [true, false] {
            var sent = sampleBundle()
            sent.eval = eval
            let (got, rest) = try decoded(encoded { sent.encode(into: &$0) }) { try TenantBundle(from: &$0) }
            #expect(rest == 0)
            #expect(got.tenant == sent.tenant)
            #expect(got.limits == sent.limits)
            #expect(got.eval == eval)
            #expect(got.weight == sent.weight)
            #expect(got.vars.map(\.name) == sent.vars.map(\.name) && got.vars.map(\.value) == sent.vars.map(\.value))
            #expect(got.secrets.map(\.name) == sent.secrets.map(\.name) && got.secrets.map(\.value) == sent.secrets.map(\.value))
            #expect(got.modules == sent.modules)
        }
    }

    @Test func aBundleWithoutAModuleIsRefused() {
        var bundle = sampleBundle()
        bundle.modules = []
        let bytes = encoded { bundle.encode(into: &$0) }
        #expect(throws: WireError.invalid("a bundle without a module")) { try decoded(bytes) { try TenantBundle(from: &$0) } }
    }

    @Test func aModuleOfAnUnknownKindIsRefused() {
        var bundle = sampleBundle()
        bundle.modules = [BundleModule(name: "x", kind: .wasm, data: [])]
        var bytes = encoded { bundle.encode(into: &$0) }
        bytes[bytes.count - 5] = 5
        #expect(throws: WireError.invalid("unknown module kind")) { try decoded(bytes) { try TenantBundle(from: &$0) } }
    }

    @Test func aLogLineOfEveryLevelComesBackAsItWas() throws {
        for level in [LogFrame.Level.debug, .log, .info, .warn, .error] {
            let sent = LogFrame(level: level, request: .max, dropped: 77, message: "zeile\nzwei 🌲")
            let (got, rest) = try decoded(encoded { sent.encode(into: &$0) }) { try LogFrame(from: &$0) }
            #expect(rest == 0)
            #expect(got.level == level && got.request == .max && got.dropped == 77 && got.message == sent.message)
        }
    }

    @Test func anUnknownLogLevelIsRefused() {
        var bytes = encoded { LogFrame(level: .error, request: 0, dropped: 0, message: "").encode(into: &$0) }
        bytes[0] = 5
        #expect(throws: WireError.invalid("unknown log level")) { try decoded(bytes) { try LogFrame(from: &$0) } }
    }

    @Test func aStatusComesBackAsItWas() throws {
        let bytes = encoded { sampleStatus().encode(into: &$0) }
        let (got, rest) = try decoded(bytes) { try CellStatus(from: &$0) }
        #expect(rest == 0)
        #expect(got == sampleStatus())
        // No counter of it is left out.
        #expect(bytes.count == Mirror(reflecting: got).children.count * 8)
    }

    @Test func textThatIsNotUTF8IsRefused() {
        var bytes = encoded { LogFrame(level: .log, request: 0, dropped: 0, message: "ab").encode(into: &$0) }
        bytes[bytes.count - 1] = 0xff
        #expect(throws: WireError.invalid("text is not UTF-8")) { try decoded(bytes) { try LogFrame(from: &$0) } }
    }

    @Test func aRequestComesBackAsItWas() throws {
        let (method, url, headers, body) = (Array("POST".utf8), Array("http://a/".utf8), Array("a\nb\n".utf8), [0, 9, 255] as [UInt8])
        var bytes = encoded {
            RequestFrame.encodeFixed(
                into: &$0, version: 0x0102_0304_0506_0708, methodLength: method.count, urlLength: url.count, headersLength: headers.count)
        }
        #expect(bytes.count == RequestFrame.fixedSize)
        bytes += method + url + headers + body
        try bytes.withUnsafeBytes { buffer in
            let frame = try RequestFrame(buffer)
            #expect(frame.version == 0x0102_0304_0506_0708)
            #expect(Array(frame.method) == method && Array(frame.url) == url)
            #expect(Array(frame.headers) == headers && Array(frame.body) == body)
        }
        for count in 0..<(bytes.count - body.count) {
            #expect(throws: WireError.truncated) { try bytes[..<count].withUnsafeBytes { _ = try RequestFrame($0) } }
        }
    }

    @Test func everyTruncationOfEveryMessageIsRefused() {
        for (name, bytes, read) in decoders {
            for count in 0..<bytes.count {
                #expect(throws: WireError.self, "\(name), \(count) of \(bytes.count) bytes") {
                    try decoded(Array(bytes[..<count]), read)
                }
            }
        }
    }

    @Test func randomBytesNeverTrap() {
        var random = SplitMix64(seed: 2_026)
        var refused = 0
        for _ in 0..<20_000 {
            let bytes = (0..<Int(random.next() % 96)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            for (_, _, read) in decoders {
                do { _ = try decoded(bytes, read) } catch { refused += 1 }
            }
            bytes.withUnsafeBytes {
                _ = try? RequestFrame($0)
                _ = try? FrameHeader($0)
            }
        }
        #expect(refused > 0)
    }

    @Test func changedBytesNeverTrap() {
        var random = SplitMix64(seed: 7)
        for (_, bytes, read) in decoders {
            for _ in 0..<10_000 {
                var changed = bytes
                for _ in 0...(random.next() % 3) { changed[Int(random.next() % UInt64(changed.count))] = UInt8(random.next() & 0xff) }
                let got = try? decoded(changed, read)
                #expect((got?.rest ?? 0) <= changed.count)
            }
        }
    }
}
