import NIOCore
import Wire

/// A refusal as clients get it: `{"error", "message", "request_id"}` and the fields that go with it.
struct RefusalAnswer {
    var headers = ByteBuffer()
    var body = ByteBuffer()

    init(_ code: ErrorCode, message: String, requestID: UInt64, retryAfterSeconds: Int?) {
        headers.writeString("content-type\napplication/json\ncache-control\nno-store\n")
        if code.mayRetry, let retryAfterSeconds { headers.writeString("retry-after\n\(max(retryAfterSeconds, 0))\n") }
        body.writeString("{\"error\":\"\(code.code)\",\"message\":\"")
        Self.write(escaped: message, into: &body)
        body.writeString("\",\"request_id\":\"")
        ResponseHead.write(id: requestID, into: &body)
        body.writeString("\"}\n")
    }

    private static func write(escaped text: String, into output: inout ByteBuffer) {
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22, 0x5C:
                output.writeInteger(UInt8(ascii: "\\"))
                output.writeInteger(UInt8(scalar.value))
            case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029:
                let digits = String(scalar.value, radix: 16)
                output.writeString("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
            default: output.writeBytes(UTF8.encode(scalar)!)
            }
        }
    }
}
