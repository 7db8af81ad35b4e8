import Testing

@testable import Wire

@Suite struct FrameTests {
    private static let kinds = (0...255).compactMap { FrameKind(rawValue: UInt8($0)) }

    private func decode(_ bytes: [UInt8]) throws -> FrameHeader? { try bytes.withUnsafeBytes { try FrameHeader($0) } }

    private func raw(length: UInt32, kind: UInt8, flags: UInt8 = 0) -> [UInt8] {
        encoded {
            $0.append(integer: length)
            $0.append(integer: kind)
            $0.append(integer: flags)
            $0.append(integer: 0 as UInt16)
            $0.append(integer: 0 as UInt64)
        }
    }

    @Test func aHeaderComesBackAsItWas() throws {
        for kind in Self.kinds {
            for flags in 0..<4 {
                let sent = FrameHeader(
                    kind, length: kind.payloadBytesLimit, flags: FrameFlags(rawValue: UInt8(flags)), extra: 0xabcd,
                    id: 0x0123_4567_89ab_cdef)
                let bytes = encoded { sent.encode(into: &$0) }
                #expect(bytes.count == FrameHeader.size)
                #expect(try decode(bytes) == sent)
                #expect(try decode(bytes + [1, 2, 3]) == sent)
            }
        }
    }

    @Test func theBytesStandWhereTheyAreDocumented() {
        let header = FrameHeader(.request, length: 0x0102_0304, flags: [.end, .hasBody], extra: 0x0506, id: 0x0708_090a_0b0c_0d0e)
        #expect(encoded { header.encode(into: &$0) } == [4, 3, 2, 1, 4, 3, 6, 5, 14, 13, 12, 11, 10, 9, 8, 7])
    }

    @Test func aHeaderThatIsNotThereYetIsNil() throws {
        let bytes = encoded { FrameHeader(.ping, length: 0).encode(into: &$0) }
        for count in 0..<FrameHeader.size { #expect(try decode(Array(bytes[..<count])) == nil) }
    }

    @Test func aPayloadOverItsKindsLimitIsRefused() throws {
        for kind in Self.kinds {
            let limit = UInt32(kind.payloadBytesLimit)
            #expect(try decode(raw(length: limit, kind: kind.rawValue))?.length == Int(limit))
            for length in [limit + 1, .max] {
                #expect(throws: WireError.invalid("a \(kind) frame of \(length) bytes is over its limit of \(limit)")) {
                    try decode(raw(length: length, kind: kind.rawValue))
                }
            }
        }
    }

    @Test func onlyWhatCarriesCodeOrASnapshotMayBeLarge() {
        for kind in Self.kinds {
            let isLarge = [.configure, .tenant, .snapshot, .tenantSnapshot].contains(kind)
            #expect(kind.payloadBytesLimit == FrameHeader.payloadBytesLimit || !isLarge)
            #expect(kind.payloadBytesLimit <= 512 << 10 || isLarge)
        }
        #expect(FrameKind.requestBody.payloadBytesLimit == FrameHeader.bodyBytesLimit)
        #expect(FrameKind.responseBody.payloadBytesLimit == FrameHeader.bodyBytesLimit)
    }

    @Test func unknownKindsAreRefused() {
        for kind in 0...255 where FrameKind(rawValue: UInt8(kind)) == nil {
            #expect(throws: WireError.invalid("unknown frame kind \(kind)")) { try decode(raw(length: 0, kind: UInt8(kind))) }
        }
        #expect(FrameKind(rawValue: 0) == nil)
    }

    @Test func unknownFlagsAreRefused() throws {
        for flags in 0...255 {
            let bytes = raw(length: 0, kind: FrameKind.request.rawValue, flags: UInt8(flags))
            if flags < 4 {
                #expect(try decode(bytes)?.flags == FrameFlags(rawValue: UInt8(flags)))
            } else {
                #expect(throws: WireError.invalid("unknown frame flags \(flags)")) { try decode(bytes) }
            }
        }
    }

    @Test func theSidesKindsAreApart() {
        let fromCell = Self.kinds.filter(\.isFromCell)
        let fromSupervisor = Self.kinds.filter { !$0.isFromCell }
        #expect(
            fromSupervisor == [
                .configure, .tenant, .retire, .request, .requestBody, .responseCredit, .abort, .ping, .tenantSnapshot, .budget,
                .evict, .list, .workers,
            ])
        #expect(
            fromCell == [
                .ready, .snapshot, .entered, .response, .responseBody, .responseBroken, .failure, .requestCredit, .finished, .log, .status,
                .poisoned, .isolateEnded, .parked, .snapshotRefused, .isolates, .started, .cold, .abandoned,
            ])
    }
}
