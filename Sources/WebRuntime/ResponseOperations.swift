import Engine

/// Operations for the life of a request.
let responseOperations: [(name: String, function: Operation)] = [
    ("ready", { OperationCall($0).host.ready() }),
    (
        "startFailed",
        {
            let call = OperationCall($0)
            call.host.startFailed(call.text(0, limit: RuntimeHost.messageBytesLimit))
        }
    ),
    (
        "environment",
        {
            let call = OperationCall($0)
            call.returnText(call.host.environment)
        }
    ),
    (
        "limits",
        {
            let call = OperationCall($0)
            call.returnNumber(Double(call.host.subrequestLimit))
        }
    ),
    ("respond", { respond(OperationCall($0)) }),
    (
        "bodyWrite",
        {
            let call = OperationCall($0)
            guard let bytes = call.bytes(1) else { return call.throwError(.typeError, "a body's piece must be bytes") }
            call.returnBool(call.host.bodyWrite(call.requestID(0), UnsafeRawBufferPointer(bytes)))
        }
    ),
    (
        "bodyEnd",
        {
            let call = OperationCall($0)
            call.host.bodyEnd(call.requestID(0))
        }
    ),
    (
        "bodyBroken",
        {
            let call = OperationCall($0)
            call.host.bodyBroken(call.requestID(0), call.text(1, limit: RuntimeHost.messageBytesLimit))
        }
    ),
    (
        "fail",
        {
            let call = OperationCall($0)
            call.host.fail(call.requestID(0), code: call.integer(1), message: call.text(2, limit: RuntimeHost.messageBytesLimit))
        }
    ),
    (
        "finished",
        {
            let call = OperationCall($0)
            call.host.finished(call.requestID(0))
        }
    ),
    (
        "requestCredit",
        {
            let call = OperationCall($0)
            call.host.requestCredit(call.requestID(0), byteCount: call.integer(1))
        }
    ),
]

/// respond(request, status, headers, body, state)
private func respond(_ call: OperationCall) {
    let headers = call.string(2)
    guard headers.isOneByte else { return call.throwError(.typeError, "a header has a character above U+00FF") }
    // Made one piece here: while it is written into the socket's buffer, under its lock, V8 must not allocate.
    _ = call.utf8Length(2)
    let body: BodyArgument
    switch call.kind(3) {
    case .string: body = BodyArgument(content: .text(call, 3), count: call.utf8Length(3))
    case .bytes:
        let bytes = call.bytes(3)!
        body = BodyArgument(content: .bytes(UnsafeRawBufferPointer(bytes)), count: bytes.count)
    default: body = BodyArgument(content: .none, count: 0)
    }
    call.host.respond(
        call.requestID(0), status: call.integer(1),
        headers: TextArgument(call: call, index: 2, count: headers.units), body: body,
        state: ResponseState(rawValue: call.integer(4)) ?? .complete)
}
