import NIOCore
import Supervisor
import Synchronization
import Wire

/// A dispatcher that answers by a script and writes down what it is told. Used on one event loop; the notes may be read anywhere.
final class FakeDispatcher: RequestDispatcher {
    typealias Script = @Sendable (FakeRequest) -> Void

    /// What the tests read from another thread.
    struct Notes: Sendable {
        var requests: [(method: String, host: String, url: String, headers: String, contentLength: Int?)] = []
        var bodies: [String] = []
        var bodyBytes = 0
        /// Calls that brought a piece of a request's body.
        var pieces = 0
        var endedBodies = 0
        var gone = 0
        var takenBytes = 0
        var inFlight = 0
        var mostInFlight = 0
    }

    let notes: SharedNotes
    private let eventLoop: any EventLoop
    private let script: Script

    final class SharedNotes: Sendable {
        let value = Mutex(Notes())
        func change(_ body: (inout Notes) -> Void) { value.withLock { body(&$0) } }
        var now: Notes { value.withLock { $0 } }
    }

    init(eventLoop: any EventLoop, notes: SharedNotes, script: @escaping Script) {
        self.eventLoop = eventLoop
        self.notes = notes
        self.script = script
    }

    func dispatch(_ request: IncomingRequest, to exchange: any ResponseExchange) -> any DispatchedRequest {
        let fake = FakeRequest(request, exchange, eventLoop, notes)
        notes.change { notes in
            notes.requests.append(
                (request.method, request.host, request.url, String(buffer: request.headers), request.contentLength))
            notes.bodyBytes += request.body?.readableBytes ?? 0
            if request.bodyIsComplete { notes.endedBodies += 1 }
            notes.inFlight += 1
            notes.mostInFlight = max(notes.mostInFlight, notes.inFlight)
        }
        if let body = request.body { fake.received.writeImmutableBuffer(body) }
        fake.isComplete = request.bodyIsComplete
        let script = self.script
        eventLoop.assumeIsolated().execute { script(fake) }
        return fake
    }
}

final class FakeRequest: DispatchedRequest {
    let request: IncomingRequest
    let exchange: any ResponseExchange
    let eventLoop: any EventLoop
    private let notes: FakeDispatcher.SharedNotes
    var received = ByteBuffer()
    var isComplete = false
    /// Called when the request's body is complete, at once if it is.
    private var whenComplete: (() -> Void)?
    var grantsCredit = true
    var onTaken: ((Int) -> Void)?

    init(
        _ request: IncomingRequest, _ exchange: any ResponseExchange, _ eventLoop: any EventLoop,
        _ notes: FakeDispatcher.SharedNotes
    ) {
        self.request = request
        self.exchange = exchange
        self.eventLoop = eventLoop
        self.notes = notes
    }

    func requestBody(_ bytes: ByteBuffer) {
        received.writeImmutableBuffer(bytes)
        notes.change {
            $0.bodyBytes += bytes.readableBytes
            $0.pieces += 1
        }
        if grantsCredit { exchange.requestBodyCredit(bytes.readableBytes) }
    }

    func requestBodyEnded() {
        isComplete = true
        notes.change { $0.endedBodies += 1 }
        whenComplete?()
        whenComplete = nil
    }

    func clientGone() {
        notes.change {
            $0.gone += 1
            $0.inFlight -= 1
        }
    }

    func responseBodyTaken(_ bytes: Int) {
        notes.change { $0.takenBytes += bytes }
        onTaken?(bytes)
    }

    // MARK: What scripts say

    func afterBody(_ body: @escaping () -> Void) {
        if isComplete { body() } else { whenComplete = body }
    }

    /// Answers with a complete body.
    func answer(_ status: Int = 200, _ headers: String = "", _ body: String = "") {
        notes.change { $0.inFlight -= 1 }
        exchange.head(
            status: status, headers: ByteBuffer(string: headers), body: body.isEmpty ? nil : ByteBuffer(string: body), isComplete: true)
    }

    func notes(_ body: (inout FakeDispatcher.Notes) -> Void) { notes.change(body) }

    func begin(_ status: Int = 200, _ headers: String = "") {
        exchange.head(status: status, headers: ByteBuffer(string: headers), body: nil, isComplete: false)
    }

    func end() {
        notes.change { $0.inFlight -= 1 }
        exchange.ended()
    }

    /// Answers with `total` bytes, a window of them at a time, as the client takes them.
    /// - Parameter progress: told how many were written.
    func stream(_ total: Int, progress: @escaping (Int) -> Void = { _ in }) {
        begin()
        let piece = ByteBuffer(repeating: 0x62, count: 64 << 10)
        let state = StreamState()
        func fill() {
            while state.sent < total, state.sent - state.taken < FrameHeader.windowBytes {
                state.sent += piece.readableBytes
                progress(state.sent)
                exchange.body(piece)
            }
            if state.sent == total, !state.isEnded {
                state.isEnded = true
                end()
            }
        }
        onTaken = { [self] bytes in
            state.taken += bytes
            // As the supervisor does: later, never from within the call.
            eventLoop.assumeIsolated().execute { fill() }
        }
        fill()
    }
}

private final class StreamState {
    var sent = 0
    var taken = 0
    var isEnded = false
}
