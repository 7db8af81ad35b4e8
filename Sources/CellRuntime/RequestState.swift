import Wire

/// One request as its cell knows it, from its frame to `finished`.
final class RequestState {
    let id: UInt64

    // Owned by whoever runs the isolate.
    var cpuNanoseconds: UInt64 = 0
    /// What the start-up took that began with it: reported, and not part of what the request may use.
    var startupCPUNanoseconds: UInt64 = 0
    /// The handler has been called.
    var isDelivered = false
    /// A head, or a failure, was sent.
    var isAnswered = false
    /// All work for it is over; told to the supervisor at the turn's end.
    var isFinished = false
    var timers: Set<Int> = []
    /// The supervisor knows that the handler was entered.
    var isKnownAsEntered = false

    /// The response's body on its way out. Guarded by the cell's lock: credit comes from whoever reads the socket.
    var outgoing = OutgoingBody()

    init(id: UInt64) { self.id = id }
}

/// What of a response's body may be sent, and what must wait for credit.
struct OutgoingBody {
    /// Bytes that may be sent before the supervisor grants more.
    var windowBytes = FrameHeader.windowBytes
    /// One piece at most that went over the window: its bytes from `pendingStart` on wait.
    var pending: FrameBytes?
    var pendingStart = 0
    var endsAfterPending = false
    /// All other work for the request is over: it ends when what waits was sent.
    var finishesAfterPending = false
    /// JavaScript waits for the window to open.
    var wantsCredit = false
    var isEnded = false

    /// Sends what the window allows of `bytes` in frames of at most `bodyBytesLimit`; the last carries `end` when all was sent.
    /// - Returns: how many bytes were sent.
    mutating func send(_ bytes: UnsafeRawBufferPointer, request: UInt64, end: Bool, to socket: SupervisorSocket) -> Int {
        var sent = 0
        while sent < bytes.count, windowBytes > 0 {
            let count = min(bytes.count - sent, windowBytes, FrameHeader.bodyBytesLimit)
            let isLast = end && sent + count == bytes.count
            socket.send(
                FrameHeader(.responseBody, length: count, flags: isLast ? .end : [], id: request)
            ) { $0.append(UnsafeRawBufferPointer(rebasing: bytes[sent..<(sent + count)])) }
            sent += count
            windowBytes -= count
            if isLast { isEnded = true }
        }
        return sent
    }

    /// More may be sent: sends what waits.
    /// - Returns: whether JavaScript should be told that the window is open.
    mutating func credit(_ bytes: Int, request: UInt64, to socket: SupervisorSocket) -> Bool {
        windowBytes += bytes
        if let pending {
            let rest = UnsafeRawBufferPointer(rebasing: pending.bytes[pendingStart...])
            pendingStart += send(rest, request: request, end: endsAfterPending, to: socket)
            if pendingStart == pending.bytes.count { self.pending = nil }
        }
        guard wantsCredit, pending == nil, windowBytes > 0 else { return false }
        wantsCredit = false
        return true
    }
}
