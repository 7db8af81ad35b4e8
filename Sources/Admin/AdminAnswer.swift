import Foundation
import HTTPTypes
import Hummingbird

/// What the admin API says: JSON with names in snake case.
enum AdminAnswer {
    private struct Failure: Encodable {
        var error: String
        var message: String
    }

    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var body = ByteBuffer(bytes: try encoder.encode(value))
        body.writeString("\n")
        return answer(status, "application/json", body)
    }

    static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        answer(.ok, type, ByteBuffer(string: text))
    }

    static func error(_ status: HTTPResponse.Status, _ code: String, _ message: String) -> Response {
        (try? json(Failure(error: code, message: message), status: status)) ?? Response(status: status)
    }

    private static func answer(_ status: HTTPResponse.Status, _ type: String, _ body: ByteBuffer) -> Response {
        let headers: HTTPFields = [.contentType: type, .cacheControl: "no-store", .xContentTypeOptions: "nosniff"]
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: body))
    }
}
