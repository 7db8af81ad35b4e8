import NIOCore
import Testing

@testable import Supervisor

@Suite struct ResponseHeaderCheckTests {
    private func isAccepted(_ text: String) -> Bool {
        (try? ResponseHeaderCheck.check(ByteBuffer(string: text))) != nil
    }

    @Test func whatHTTPCanCarryIsAccepted() {
        for text in [
            "", "content-type\ntext/plain", "a\n1\nb\n2", "x-empty\n", "set-cookie\na=1; path=/\nset-cookie\nb=2", "x\ncaf\u{e9}",
            "x\na\tb",
        ] {
            #expect(isAccepted(text), "\(text.debugDescription)")
        }
    }

    @Test func whatCouldForgeAHeaderIsRefused() {
        for text in ["a b\n1", "a:\n1", "\n1", "a\n1\n\n2", "a", "a\n1\nb", "x\na\rb", "x\na\0b", "x\n\u{7f}", "caf\u{e9}\n1", "a\r\n1"] {
            #expect(!isAccepted(text), "\(text.debugDescription)")
        }
    }

    @Test func headersHaveLimits() {
        #expect(!isAccepted("x\n" + String(repeating: "a", count: ResponseHeaderCheck.bytesLimit)))
        let many = (0...ResponseHeaderCheck.countLimit).map { "x\($0)\n1" }.joined(separator: "\n")
        #expect(!isAccepted(many))
        #expect(isAccepted((0..<ResponseHeaderCheck.countLimit).map { "x\($0)\n1" }.joined(separator: "\n")))
    }

    @Test func requestIdsAreSixteenDigits() {
        #expect(RequestID.text(0xab) == "00000000000000ab")
        #expect(RequestID.text(.max) == "ffffffffffffffff")
    }
}
