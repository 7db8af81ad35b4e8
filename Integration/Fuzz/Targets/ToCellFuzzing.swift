import Wire

/// A cell's side of the wire: frames are cut out of a stream and decoded by kind, and what decodes must encode to itself.
enum ToCellFuzzing {
    static func run(_ input: [UInt8]) {
        input.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while let header = try? FrameHeader(UnsafeRawBufferPointer(rebasing: rest)), rest.count >= FrameHeader.size + header.length {
                hold(header.length <= header.kind.payloadBytesLimit, "a frame is over its kind's limit")
                var again = ByteWriter()
                header.encode(into: &again)
                hold(again.bytes.elementsEqual(rest.prefix(FrameHeader.size)), "a header does not encode to itself")
                decode(header.kind, UnsafeRawBufferPointer(rebasing: rest.dropFirst(FrameHeader.size).prefix(header.length)))
                rest = rest.dropFirst(FrameHeader.size + header.length)
            }
        }
    }

    private static func decode(_ kind: FrameKind, _ payload: UnsafeRawBufferPointer) {
        switch kind {
        case .configure: roundTrip(payload, CellConfiguration.init(from:)) { $0.encode(into: &$1) }
        case .tenant: roundTrip(payload, TenantBundle.init(from:)) { $0.encode(into: &$1) }
        case .tenantSnapshot: roundTrip(payload, SnapshotFrame.init(from:)) { $0.encode(into: &$1) }
        case .log: roundTrip(payload, LogFrame.init(from:)) { $0.encode(into: &$1) }
        case .status: roundTrip(payload, CellStatus.init(from:)) { $0.encode(into: &$1) }
        case .isolates: roundTrip(payload, IsolateReport.init(from:)) { $0.encode(into: &$1) }
        case .request:
            guard let frame = try? RequestFrame(payload) else { return }
            let parts = [frame.method, frame.url, frame.headers, frame.body].reduce(0) { $0 + $1.count }
            hold(parts + RequestFrame.fixedSize == payload.count, "parts of a request overlap or are missing")
        default: break
        }
    }

    /// What was decoded encodes to bytes that decode to the same bytes again; all memory that it takes is a small multiple of the input.
    private static func roundTrip<Value>(
        _ payload: UnsafeRawBufferPointer, _ decode: (inout ByteReader) throws(WireError) -> Value,
        _ encode: (Value, inout ByteWriter) -> Void
    ) {
        var reader = ByteReader(payload)
        guard let value = try? decode(&reader) else { return }
        var first = ByteWriter()
        encode(value, &first)
        first.bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            guard let again = try? decode(&reader) else { preconditionFailure("what was encoded does not decode") }
            hold(reader.remaining == 0, "what was encoded has more than was decoded")
            var second = ByteWriter()
            encode(again, &second)
            hold(second.bytes.elementsEqual(bytes), "a value does not encode to itself")
        }
    }
}
