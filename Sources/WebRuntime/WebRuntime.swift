import CICU
import CWebRuntime
import Engine

/// The Web API that tenants see: JavaScript sources for the base snapshot and the native operations they call.
public enum WebRuntime {
    /// The sources in the order they are evaluated. Builder and cells must use the same list.
    public static var sources: [RuntimeSource] {
        (0..<Int(cwebruntime_source_count())).map { index in
            let source = cwebruntime_source(index)!.pointee
            return RuntimeSource(name: source.name, text: source.text, length: source.length, lazy: source.lazy)
        }
    }

    /// The operations, in the order that snapshots know them by.
    public static var operations: [(name: String, function: Operation)] {
        responseOperations + timerOperations + textOperations + base64Operations + cryptoOperations
    }

    /// A hash of all that the base snapshot is made of here: sources and names of operations (FNV-1a, 64 bits, in hexadecimal). It tells
    /// one build's snapshots from another's; it protects nothing.
    public static var sourcesHash: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for source in sources {
            for index in 0..<source.length { mix(UInt8(bitPattern: source.text[index])) }
            mix(source.lazy ? 1 : 0)
        }
        for operation in operations { operation.name.utf8.forEach(mix) }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Has the libraries read what they read lazily (ICU's tables, OpenSSL's configuration), before the sandbox takes the files away.
    public static func warmUp() {
        DomainToASCII.warmUp()
        cicu_read_time_zone()
        for algorithm in DigestAlgorithm.allCases { _ = algorithm.warmUp() }
    }
}

/// The functions of the runtime that are called for an event; the raw value is the index into `internal.hooks`.
public enum RuntimeHook: UInt32, Sendable {
    /// (reason, promise)
    case unhandledRejection = 0
    /// (promise, namespace) of the main module
    case started = 1
    /// (request, method, url, headers, body kind, body)
    case request = 2
    /// (request, bytes or undefined, end)
    case requestBody = 3
    /// (request)
    case responseCredit = 4
    /// (request, reason)
    case abort = 5
    /// (timer)
    case timer = 6
}

extension OperationCall {
    /// The host of the isolate that calls.
    var host: RuntimeHost { Unmanaged<RuntimeHost>.fromOpaque(user).takeUnretainedValue() }

    /// The request named by an argument.
    func requestID(_ index: Int) -> UInt64 { integer(index) }
}
