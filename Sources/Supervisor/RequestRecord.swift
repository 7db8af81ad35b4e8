import NIOCore
import Scheduling
import Wire

/// One request from dispatch to the end of its work: the gateway's handle on it and the supervisor's entry for it. Answered exactly once:
/// `clientState` goes forward only.
final class RequestRecord: DispatchedRequest, @unchecked Sendable {
    enum ClientState {
        /// No answer yet.
        case open
        /// The head was handed to the gateway.
        case streaming
        /// Answered, refused, broken off or gone.
        case over
    }

    let id: UInt64
    unowned let supervisor: Supervisor
    let tenant: TenantRecord
    /// Another one only where the tenant was moved before a cell had the request.
    var version: TenantVersionRecord
    private(set) var exchange: (any ResponseExchange)?
    private(set) var clientState = ClientState.open
    let startedNanoseconds: UInt64

    /// What must be sent to a cell; kept until something came back, so that the request can be tried again.
    var request: IncomingRequest?
    /// Body that came while the request waited.
    var waitingBody: ByteBuffer?
    var bodyIsComplete: Bool
    var bodyBytes: Int
    /// The body went to a cell beyond what `request` holds: no second try.
    var bodyWasStreamed = false
    var isRetry = false

    var cell: Cell?
    /// The wall limit's; `.max` for a stream that is listened to. After that, when its cell must have ended it.
    var deadlineNanoseconds = UInt64.max
    var isOverWall = false
    /// Holds one of the tenant's places, counted for that cell.
    var isRunning = false
    var place = Admission.nowhere
    /// Something came back from the cell for it.
    var isEntered = false
    /// Bytes of the response the cell may still send.
    var responseWindowBytes = FrameHeader.windowBytes
    var requestWindowBytes = FrameHeader.windowBytes
    var responseEnded = false

    init(
        _ request: IncomingRequest, exchange: any ResponseExchange, supervisor: Supervisor, tenant: TenantRecord,
        version: TenantVersionRecord, now: UInt64
    ) {
        id = request.id
        self.request = request
        self.exchange = exchange
        self.supervisor = supervisor
        self.tenant = tenant
        self.version = version
        bodyIsComplete = request.bodyIsComplete
        bodyBytes = request.body?.readableBytes ?? 0
        startedNanoseconds = now
    }

    // MARK: From the gateway

    func requestBody(_ bytes: ByteBuffer) { supervisor.takeBody(bytes, of: self) }
    func requestBodyEnded() { supervisor.takeBodyEnd(of: self) }
    func clientGone() {
        guard clientState != .over else { return }
        close()
        supervisor.abandon(self, .clientGone)
    }
    func responseBodyTaken(_ bytes: Int) { supervisor.grantResponse(bytes, to: self) }

    // MARK: To the gateway

    func answerHead(status: Int, headers: ByteBuffer, body: ByteBuffer?, isComplete: Bool) {
        guard clientState == .open else { return }
        clientState = .streaming
        let exchange = exchange
        if isComplete { close() }
        exchange?.head(status: status, headers: headers, body: body, isComplete: isComplete)
    }

    func answerBody(_ bytes: ByteBuffer, isEnd: Bool) {
        guard clientState == .streaming else { return }
        let exchange = exchange
        if bytes.readableBytes > 0 { exchange?.body(bytes) }
        if isEnd {
            close()
            exchange?.ended()
        }
    }

    /// Refuses, or breaks the answer off where its head has gone out.
    /// - Returns: what the client had got before.
    func refuse(_ code: ErrorCode, _ message: String, retryAfterSeconds: Int? = nil) -> ClientState {
        let (exchange, before) = (exchange, clientState)
        switch before {
        case .open:
            close()
            exchange?.failed(code, message: message, retryAfterSeconds: retryAfterSeconds)
        case .streaming:
            close()
            exchange?.broken(message)
        case .over: break
        }
        return before
    }

    private func close() {
        clientState = .over
        exchange = nil
        waitingBody = nil
    }
}
