import Engine
import Glibc

/// Operations for time, timers, randomness and the tenant's log.
let timerOperations: [(name: String, function: Operation)] = [
    (
        "setTimer",
        {
            let call = OperationCall($0)
            guard !call.host.isStarting else { return call.throwAtTopLevel("timers cannot be set") }
            let owner = call.host.setTimer(
                call.integer(0), delayMilliseconds: call.number(1), repeats: call.bool(2), request: call.request)
            if let owner { call.returnNumber(Double(owner)) } else { call.returnNull() }
        }
    ),
    (
        "clearTimer",
        {
            let call = OperationCall($0)
            call.host.clearTimer(call.integer(0))
        }
    ),
    (
        "time",
        {
            let call = OperationCall($0)
            call.returnNumber(call.timeMilliseconds)
        }
    ),
    (
        "timeOrigin",
        {
            let call = OperationCall($0)
            call.returnNumber(call.host.timeOriginMilliseconds)
        }
    ),
    (
        "log",
        {
            let call = OperationCall($0)
            call.host.log(level: call.integer(0), request: call.request, message: call.text(1, limit: RuntimeHost.messageBytesLimit))
        }
    ),
    (
        "random",
        {
            let call = OperationCall($0)
            guard let bytes = call.bytes(0) else { return call.throwError(.typeError, "random fills bytes") }
            guard !call.host.isStarting else { return call.throwAtTopLevel("there is no randomness") }
            var filled = 0
            while filled < bytes.count {
                // getentropy(3) gives 256 bytes at the most.
                let count = min(bytes.count - filled, 256)
                guard getentropy(bytes.baseAddress! + filled, count) == 0 else {
                    return call.throwError(.error, "the kernel gave no randomness")
                }
                filled += count
            }
        }
    ),
]

extension OperationCall {
    /// While modules are evaluated; as in Workers.
    fileprivate func throwAtTopLevel(_ what: String) {
        throwError(.error, "\(what) at a module's top level: its state may be kept in a snapshot; do it in the handler")
    }
}
