import Testing

@testable import Wire

@Suite struct ByteCodingTests {
    /// `#expect` cannot take what changes a parameter.
    private func expectEqual<T: Equatable>(_ got: T, _ wanted: T, at location: SourceLocation = #_sourceLocation) {
        #expect(got == wanted, sourceLocation: location)
    }

    @Test func integersAreLittleEndian() throws {
        let bytes = encoded {
            $0.append(integer: 0x0102 as UInt16)
            $0.append(integer: 0x0304_0506 as UInt32)
            $0.append(integer: -2 as Int64)
        }
        #expect(bytes == [2, 1, 6, 5, 4, 3, 254, 255, 255, 255, 255, 255, 255, 255])
        _ = try decoded(bytes) {
            expectEqual(try $0.integer(UInt16.self), 0x0102)
            expectEqual(try $0.integer(UInt32.self), 0x0304_0506)
            expectEqual(try $0.integer(Int64.self), -2)
        }
    }

    @Test func doublesComeBackBitByBit() throws {
        for value in [0, -0.0, 1.5, .infinity, .leastNonzeroMagnitude, .pi] as [Double] {
            let (got, rest) = try decoded(encoded { $0.append(double: value) }) { try $0.double() }
            #expect(got.bitPattern == value.bitPattern && rest == 0)
        }
    }

    @Test func textHasItsLengthInBytesBeforeIt() {
        #expect(encoded { $0.append(string: "é") } == [2, 0, 0, 0, 0xc3, 0xa9])
        #expect(encoded { $0.append(string: "") } == [0, 0, 0, 0])
        #expect(encoded { $0.append(bytes: [7] as [UInt8]) } == [1, 0, 0, 0, 7])
    }

    @Test func aLengthBeyondTheEndIsRefused() {
        for length in [2, 0xffff_ffff] as [UInt32] {
            let bytes = encoded {
                $0.append(integer: length)
                $0.append(integer: 0 as UInt8)
            }
            #expect(throws: WireError.truncated) { try decoded(bytes) { Array(try $0.bytes()) } }
            #expect(throws: WireError.truncated) { try decoded(bytes) { try $0.string() } }
        }
    }

    @Test func takingANegativeCountIsRefused() {
        #expect(throws: WireError.truncated) { try decoded([1, 2]) { Array(try $0.take(-1)) } }
    }

    @Test func theRestIsTakenOnce() throws {
        _ = try decoded([1, 2, 3]) {
            expectEqual(try $0.integer(UInt8.self), 1)
            #expect($0.remaining == 2)
            expectEqual(Array($0.takeRest()), [2, 3])
            expectEqual(Array($0.takeRest()), [])
            #expect($0.remaining == 0)
        }
    }
}
