import NIOCore
import Testing
import Wire

@testable import Supervisor

/// When what is for a cell is written to it.
@Suite(.timeLimit(.minutes(2))) struct CellWritingTests {
    /// Few frames are written together; of many the cell has the first before the last has come.
    @Test func aBurstIsNotHeldBackUntilAllOfItHasCome() async throws {
        let test = try await TestSupervisor()
        let first = try await test.request()
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id, "first")
        _ = try await first.next()
        let exchanges = (100..<130).map { TestExchange(id: $0, eventLoop: test.eventLoop) }
        let unread = try await test.onLoop { supervisor in
            exchanges.map { exchange in
                let request = IncomingRequest(
                    id: exchange.id, host: "a.test", method: "GET", url: "http://a.test/", headers: ByteBuffer(), body: nil,
                    bodyIsComplete: true, contentLength: nil)
                exchange.dispatch(request, to: supervisor)
                return cell.unreadBytes
            }
        }
        #expect(unread.first == 0)
        #expect(unread.prefix { $0 == 0 }.count < 16)
        var ids: [UInt64] = []
        for exchange in exchanges {
            ids.append(try await cell.nextRequest().id)
            cell.answer(ids.last!, "\(exchange.id)")
        }
        #expect(ids == ids.sorted() && Set(ids).count == exchanges.count)
        for exchange in exchanges {
            #expect(try await exchange.next() == .head(status: 200, headers: "", body: "\(exchange.id)", isComplete: true))
        }
        try await test.expectNothingHeld()
    }
}
