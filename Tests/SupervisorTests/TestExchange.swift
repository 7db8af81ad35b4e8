import NIOCore
import Synchronization
import Testing
import Wire

@testable import Supervisor

/// A client: what it is told, and what it says. Fails the test when it is answered twice.
final class TestExchange: ResponseExchange, Sendable {
    enum Event: Sendable, Equatable {
        case head(status: Int, headers: String, body: String, isComplete: Bool)
        case body(String)
        case ended
        case broken
        case failed(ErrorCode, retryAfterSeconds: Int?)
        case credit(Int)
    }

    let id: UInt64
    let events = Mailbox<Event>()
    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    private struct State {
        var answers = 0
        var isOver = false
        var request: NIOLoopBound<any DispatchedRequest>?
    }

    init(id: UInt64, eventLoop: any EventLoop) {
        self.id = id
        self.eventLoop = eventLoop
    }

    // MARK: The client

    func dispatch(_ request: IncomingRequest, to supervisor: Supervisor) {
        let handle = NIOLoopBound(supervisor.dispatch(request, to: self), eventLoop: eventLoop)
        state.withLock { $0.request = handle }
    }

    private func onLoop(_ body: @escaping @Sendable (any DispatchedRequest) -> Void) async throws {
        let request = state.withLock { $0.request! }
        try await eventLoop.submit { body(request.value) }.get()
    }

    func sendBody(_ text: String) async throws { try await onLoop { $0.requestBody(ByteBuffer(string: text)) } }
    func endBody() async throws { try await onLoop { $0.requestBodyEnded() } }
    func take(_ bytes: Int) async throws { try await onLoop { $0.responseBodyTaken(bytes) } }
    func leave() async throws {
        try await onLoop { [self] request in
            state.withLock { $0.isOver = true }
            request.clientGone()
        }
    }

    /// The next event, which must be a refusal or a head.
    func next() async throws -> Event { try await events.next() }

    var answerCount: Int { state.withLock { $0.answers } }

    // MARK: The supervisor

    func head(status: Int, headers: ByteBuffer, body: ByteBuffer?, isComplete: Bool) {
        answered(isLast: isComplete)
        events.put(
            .head(status: status, headers: String(buffer: headers), body: String(buffer: body ?? ByteBuffer()), isComplete: isComplete))
    }

    func failed(_ code: ErrorCode, message: String, retryAfterSeconds: Int?) {
        answered(isLast: true)
        events.put(.failed(code, retryAfterSeconds: retryAfterSeconds))
    }

    func body(_ bytes: ByteBuffer) {
        goesOn(isLast: false)
        events.put(.body(String(buffer: bytes)))
    }

    func ended() {
        goesOn(isLast: true)
        events.put(.ended)
    }

    func broken(_ why: String) {
        goesOn(isLast: true)
        events.put(.broken)
    }

    func requestBodyCredit(_ bytes: Int) { events.put(.credit(bytes)) }

    private func answered(isLast: Bool) {
        state.withLock {
            if $0.isOver || $0.answers > 0 { Issue.record("request \(id) was answered again") }
            $0.answers += 1
            $0.isOver = isLast
        }
    }

    private func goesOn(isLast: Bool) {
        state.withLock {
            if $0.isOver || $0.answers == 0 { Issue.record("request \(id) was told of a body that it cannot have") }
            $0.isOver = isLast
        }
    }
}
