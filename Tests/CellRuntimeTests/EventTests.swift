import Testing

@testable import CellRuntime

/// What of a request's body waits for its isolate. Clients may send it byte by byte.
@Suite struct EventTests {
    private func piece(_ text: String, of id: UInt64 = 7, isEnd: Bool = false) -> Event {
        .requestBody(id, text.utf8.withContiguousStorageIfAvailable { FrameBytes.copy(UnsafeRawBufferPointer($0)) }!, isEnd: isEnd)
    }

    private func text(_ event: Event?) -> String? {
        guard case .requestBody(_, let bytes, _) = event else { return nil }
        return String(decoding: bytes.bytes, as: UTF8.self)
    }

    @Test func piecesOfOneBodyAreOneEvent() throws {
        var joined = piece("a")
        for letter in "bcdefghij" { joined = try #require(joined.joined(with: piece(String(letter)))) }
        #expect(text(joined) == "abcdefghij")
        let ended = try #require(joined.joined(with: piece("", isEnd: true)))
        guard case .requestBody(7, _, isEnd: true) = ended else { throw Unexpected() }
        #expect(text(ended) == "abcdefghij")
        // Nothing comes after the end.
        #expect(text(ended.joined(with: piece("k"))) == nil)
    }

    @Test func othersStayWhatTheyAre() {
        #expect(text(piece("a").joined(with: piece("b", of: 8))) == nil)
        #expect(text(Event.responseCredit(7).joined(with: piece("b"))) == nil)
        #expect(text(piece("a").joined(with: .responseCredit(7))) == nil)
    }

    @Test func theyAreJoinedUpToALimit() throws {
        let half = String(repeating: "x", count: Event.joinedBodyBytes / 2)
        let full = try #require(piece(half).joined(with: piece(half)))
        #expect(text(full)?.utf8.count == Event.joinedBodyBytes)
        #expect(text(full.joined(with: piece("y"))) == nil)
    }

    private struct Unexpected: Error {}
}
