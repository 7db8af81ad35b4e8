import Wire

/// What is delivered to an isolate in a turn.
enum Event {
    /// The payload of a `request` frame; the id names the `RequestState`.
    case request(RequestState, FrameBytes, isComplete: Bool, hasBody: Bool)
    case requestBody(UInt64, FrameBytes, isEnd: Bool)
    case responseCredit(UInt64)
    case abort(UInt64, reason: UInt16)
    /// The generation tells V8's isolate from one before it, whose timers had the same numbers.
    case timer(Int, generation: UInt64)
    /// Nobody needs the isolate now: dispose of it.
    case end(EndReason)

    /// A request is expected soon: have the isolate there.
    case prewarm

    /// Nobody has used the isolate for a while: give back what can be given back.
    case trim

    /// Pieces of a body that wait are joined up to so many bytes: clients may send them one by one, and each event is a turn.
    static let joinedBodyBytes = 64 << 10

    /// This event and the next one as one, where both are pieces of the same body. Nobody may hold pointers to this one's bytes.
    func joined(with next: Event) -> Event? {
        guard case .requestBody(let id, let bytes, isEnd: false) = self, case .requestBody(id, let more, let isEnd) = next,
            bytes.header + more.header <= Self.joinedBodyBytes
        else { return nil }
        return .requestBody(id, bytes.joined(with: more.bytes), isEnd: isEnd)
    }

    var isEnd: Bool {
        guard case .end = self else { return false }
        return true
    }

    enum EndReason {
        case retired
        case evicted(EvictionReason)

        var eviction: EvictionReason? {
            guard case .evicted(let reason) = self else { return nil }
            return reason
        }
    }
}
