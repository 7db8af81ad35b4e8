import NIOCore
import Supervisor
import Testing

@Suite struct UnparsedBytesTests {
    /// - Parameter isShared: whether somebody keeps what was parsed last.
    @Test(arguments: [false, true]) func aBufferThatIsNeverParsedToItsEndDoesNotGrow(_ isShared: Bool) {
        let frame = ByteBuffer(repeating: 0x61, count: 70_000)
        var unparsed = ByteBuffer()
        var kept: ByteBuffer?
        unparsed.append(read: ByteBuffer(repeating: 0x61, count: 100))
        for _ in 0..<500 {
            unparsed.append(read: frame)
            let parsed = unparsed.readSlice(length: frame.readableBytes)
            kept = isShared ? parsed : nil
            #expect(unparsed.readableBytes == 100 && unparsed.storageCapacity <= 4 * frame.readableBytes)
        }
        #expect(isShared == (kept?.readableBytes == frame.readableBytes))
        unparsed.moveReaderIndex(forwardBy: 100)
        unparsed.append(read: ByteBuffer(string: "the next"))
        #expect(unparsed == ByteBuffer(string: "the next"))
    }
}
