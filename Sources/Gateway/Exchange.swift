import NIOCore
import Supervisor
import Wire

/// One request and its answer on one connection: what the dispatcher talks to. Calls that come after the end are ignored.
final class Exchange: ResponseExchange {
    enum Response: Equatable {
        case awaited
        case streaming(ResponseFraming)
        case complete
    }

    let id: UInt64
    let isHead: Bool
    let isOld: Bool
    /// nil once the connection has no more to do with it; breaks the cycle.
    var connection: GatewayConnection?
    var dispatched: (any DispatchedRequest)?

    var body: RequestBodyReader
    /// Bytes of the request's body that the dispatcher still takes.
    var requestCredit = 0
    var toldBodyEnd = false
    /// The client waits for 100 and has not got it.
    var owesContinue = false
    var discardedBytes = 0

    var response = Response.awaited
    /// Whether the connection goes on after the answer.
    var keepsAlive: Bool
    /// Bytes of the response's body that were written but not yet reported as taken.
    var unreportedBytes = 0

    init(id: UInt64, head: RequestHead, body: RequestBodyReader, connection: GatewayConnection) {
        self.id = id
        self.isHead = head.method == "HEAD"
        self.isOld = head.isOld
        self.keepsAlive = head.keepsAlive
        self.body = body
        self.connection = connection
    }

    func head(status: Int, headers: ByteBuffer, body: ByteBuffer?, isComplete: Bool) {
        connection?.respond(self, status: status, headers: headers, body: body, isComplete: isComplete)
    }

    func body(_ bytes: ByteBuffer) { connection?.respond(self, body: bytes) }

    func ended() { connection?.respondEnd(self) }

    func broken(_ why: String) { connection?.respondBroken(self) }

    func failed(_ code: ErrorCode, message: String, retryAfterSeconds: Int?) {
        connection?.respondFailed(self, code, message: message, retryAfterSeconds: retryAfterSeconds)
    }

    func requestBodyCredit(_ bytes: Int) {
        requestCredit += bytes
        connection?.creditGrew(self)
    }
}
