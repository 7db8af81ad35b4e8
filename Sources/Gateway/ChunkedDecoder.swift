import NIOCore
import Wire

/// Takes a chunked body (RFC 9112 7.1) apart, byte by byte where it must and slice by slice where it can. Extensions and trailer fields are
/// checked, counted and dropped.
struct ChunkedDecoder {
    private enum State {
        case size(digits: Int)
        case sizeLineFeed
        case extensionName(bytes: Int)
        case extensionValue(bytes: Int)
        case quoted, quotedPair, quotedEnd
        case data(left: Int)
        case dataReturn, dataLineFeed
        case trailerStart
        case trailerName, trailerValue, trailerLineFeed
        case lastLineFeed
        case done
    }

    private var state = State.size(digits: 0)
    private var size = 0
    private var extensionBytes = 0
    private var trailerBytes = 0
    private let extensionBytesLimit: Int
    private let trailerBytesLimit: Int

    init(extensionBytesLimit: Int, trailerBytesLimit: Int) {
        self.extensionBytesLimit = extensionBytesLimit
        self.trailerBytesLimit = trailerBytesLimit
    }

    var isComplete: Bool {
        if case .done = state { true } else { false }
    }

    /// The next data, at most `limit` bytes of it; nil when `input` is used up or the body is complete.
    mutating func next(from input: inout ByteBuffer, limit: Int) throws(RequestRefusal) -> ByteBuffer? {
        while true {
            if case .data(let left) = state {
                let count = min(left, limit, input.readableBytes)
                guard count > 0 else { return nil }
                state = count == left ? .dataReturn : .data(left: left - count)
                return input.readSlice(length: count)
            }
            if case .done = state { return nil }
            guard let byte: UInt8 = input.readInteger() else { return nil }
            try step(byte)
        }
    }

    private mutating func step(_ byte: UInt8) throws(RequestRefusal) {
        switch state {
        case .size(let digits):
            if let value = HTTPBytes.hexValue(byte) {
                // Eight digits are 4 GiB; more is either nonsense or an attempt to overflow somebody.
                guard digits < 8 else { throw .bad("a chunk's size has too many digits") }
                size = size << 4 | value
                state = .size(digits: digits + 1)
            } else if digits > 0, byte == HTTPBytes.carriageReturn {
                state = .sizeLineFeed
            } else if digits > 0, byte == UInt8(ascii: ";") {
                state = .extensionName(bytes: 0)
            } else {
                throw .bad("a chunk's size is not a hexadecimal number")
            }
        case .extensionName, .extensionValue, .quoted, .quotedPair, .quotedEnd:
            extensionBytes += 1
            guard extensionBytes <= extensionBytesLimit else {
                throw .bad("the chunk extensions are over \(extensionBytesLimit) bytes", .chunkExtensionBytes)
            }
            try stepExtension(byte)
        case .sizeLineFeed:
            try expect(byte, HTTPBytes.lineFeed)
            state = size == 0 ? .trailerStart : .data(left: size)
            size = 0
        case .dataReturn:
            try expect(byte, HTTPBytes.carriageReturn)
            state = .dataLineFeed
        case .dataLineFeed:
            try expect(byte, HTTPBytes.lineFeed)
            state = .size(digits: 0)
        case .trailerStart:
            if byte == HTTPBytes.carriageReturn {
                state = .lastLineFeed
            } else {
                guard HTTPBytes.isToken(byte) else { throw .bad("a trailer field has no proper name") }
                state = .trailerName
                try countTrailer()
            }
        case .trailerName:
            try countTrailer()
            if byte == UInt8(ascii: ":") {
                state = .trailerValue
            } else if !HTTPBytes.isToken(byte) {
                throw .bad("a trailer field has no proper name")
            }
        case .trailerValue:
            try countTrailer()
            if byte == HTTPBytes.carriageReturn { state = .trailerLineFeed } else { try checkValue(byte) }
        case .trailerLineFeed:
            try expect(byte, HTTPBytes.lineFeed)
            state = .trailerStart
        case .lastLineFeed:
            try expect(byte, HTTPBytes.lineFeed)
            state = .done
        case .data, .done: preconditionFailure("no step in a chunk's data or after the end")
        }
    }

    /// `;name`, `;name=token` or `;name="quoted"`, without spaces; what it says is of no interest.
    private mutating func stepExtension(_ byte: UInt8) throws(RequestRefusal) {
        switch (state, byte) {
        case (.extensionName(let bytes), _) where HTTPBytes.isToken(byte): state = .extensionName(bytes: bytes + 1)
        case (.extensionName(let bytes), UInt8(ascii: "=")) where bytes > 0: state = .extensionValue(bytes: 0)
        case (.extensionValue(let bytes), _) where HTTPBytes.isToken(byte): state = .extensionValue(bytes: bytes + 1)
        case (.extensionValue(bytes: 0), UInt8(ascii: "\"")): state = .quoted
        case (.quoted, UInt8(ascii: "\"")): state = .quotedEnd
        case (.quoted, UInt8(ascii: "\\")): state = .quotedPair
        case (.quoted, _) where HTTPBytes.isFieldValue(byte), (.quotedPair, _) where HTTPBytes.isFieldValue(byte): state = .quoted
        case (.extensionName(1...), HTTPBytes.carriageReturn), (.extensionValue(1...), HTTPBytes.carriageReturn),
            (.quotedEnd, HTTPBytes.carriageReturn):
            state = .sizeLineFeed
        case (.extensionName(1...), UInt8(ascii: ";")), (.extensionValue(1...), UInt8(ascii: ";")), (.quotedEnd, UInt8(ascii: ";")):
            state = .extensionName(bytes: 0)
        default: throw .bad("a chunk extension is malformed")
        }
    }

    private mutating func countTrailer() throws(RequestRefusal) {
        trailerBytes += 1
        guard trailerBytes <= trailerBytesLimit else {
            throw .tooLarge("the trailer fields are over \(trailerBytesLimit) bytes", .headBytes)
        }
    }

    private func expect(_ byte: UInt8, _ expected: UInt8) throws(RequestRefusal) {
        guard byte == expected else { throw .bad("a chunk does not end as it should") }
    }

    private func checkValue(_ byte: UInt8) throws(RequestRefusal) {
        guard HTTPBytes.isFieldValue(byte) else { throw .bad("a chunk extension or trailer field holds a control character") }
    }
}

/// A request's body while it is read.
struct RequestBodyReader {
    private enum Framing {
        case fixed(left: Int)
        case chunked(ChunkedDecoder)
    }

    private var framing: Framing
    private(set) var readBytes = 0
    private let bytesLimit: Int

    init(_ framing: RequestFraming, limits: GatewayLimits) {
        bytesLimit = limits.bodyBytes
        switch framing {
        case .none: self.framing = .fixed(left: 0)
        case .length(let length): self.framing = .fixed(left: length)
        case .chunked:
            self.framing = .chunked(
                ChunkedDecoder(extensionBytesLimit: limits.chunkExtensionBytes, trailerBytesLimit: limits.headBytes))
        }
    }

    var isComplete: Bool {
        switch framing {
        case .fixed(let left): left == 0
        case .chunked(let decoder): decoder.isComplete
        }
    }

    /// What is still to come, where that is known.
    var bytesLeft: Int? {
        if case .fixed(let left) = framing { left } else { nil }
    }

    /// The next piece, at most `limit` bytes; nil when `input` holds no more of the body. With `limit` 0 only the framing is read.
    mutating func next(from input: inout ByteBuffer, limit: Int) throws(RequestRefusal) -> ByteBuffer? {
        let piece: ByteBuffer?
        switch framing {
        case .fixed(let left):
            let count = min(left, limit, input.readableBytes)
            guard count > 0 else { return nil }
            framing = .fixed(left: left - count)
            piece = input.readSlice(length: count)
        case .chunked(var decoder):
            piece = try decoder.next(from: &input, limit: limit)
            framing = .chunked(decoder)
        }
        readBytes += piece?.readableBytes ?? 0
        guard readBytes <= bytesLimit else {
            throw RequestRefusal(code: .bodyTooLarge, message: "the request's body is over \(bytesLimit) bytes", limit: .bodyBytes)
        }
        return piece
    }
}
