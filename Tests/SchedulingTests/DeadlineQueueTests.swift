import Testing

@testable import Scheduling

@Suite struct DeadlineQueueTests {
    /// What the queue must do, done slowly: of equal deadlines, the one set first is first.
    private struct Model {
        var entries: [(id: Int, deadline: UInt64)] = []

        mutating func set(_ id: Int, at deadline: UInt64) {
            remove(id)
            entries.append((id, deadline))
        }

        mutating func remove(_ id: Int) { entries.removeAll { $0.id == id } }

        func first() -> Int? { entries.first { $0.deadline == next() }?.id }

        func next() -> UInt64? { entries.map(\.deadline).min() }

        mutating func popDue(at now: UInt64) -> Int? {
            guard let next = next(), next <= now, let index = entries.firstIndex(where: { $0.deadline == next }) else { return nil }
            return entries.remove(at: index).id
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func doesWhatTheModelDoes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var queue = DeadlineQueue<Int>()
        var model = Model()
        var now: UInt64 = 0
        for operation in 0..<100_000 {
            switch random.next() % 10 {
            case 0...3:
                let id = Int(random.next() % 50)
                let deadline = now + random.next() % 40
                queue.set(id, at: deadline)
                model.set(id, at: deadline)
            case 4, 5:
                let id = Int(random.next() % 50)
                queue.remove(id)
                model.remove(id)
            case 6: now += random.next() % 4
            case 7:
                guard queue.first() == model.first(), queue.nextDeadline() == model.next() else {
                    Issue.record("seed \(seed), operation \(operation): the next deadline differs")
                    return
                }
            default:
                guard queue.popDue(at: now) == model.popDue(at: now) else {
                    Issue.record("seed \(seed), operation \(operation): what is due differs")
                    return
                }
            }
            guard queue.count == model.entries.count, queue.isEmpty == model.entries.isEmpty else {
                Issue.record("seed \(seed), operation \(operation): the counts differ")
                return
            }
        }
    }

    @Test func anEmptyQueueHasNothingDue() {
        var queue = DeadlineQueue<String>()
        #expect(queue.isEmpty)
        #expect(queue.nextDeadline() == nil)
        #expect(queue.popDue(at: .max) == nil)
    }

    @Test func theDeadlineItselfIsDueAndTheTickBeforeIsNot() {
        var queue = DeadlineQueue<String>()
        queue.set("a", at: 10)
        #expect(queue.popDue(at: 9) == nil)
        #expect(queue.popDue(at: 10) == "a")
        #expect(queue.popDue(at: 10) == nil)
    }

    @Test func settingAgainMovesInBothDirections() {
        var queue = DeadlineQueue<String>()
        queue.set("a", at: 10)
        queue.set("a", at: 20)
        #expect(queue.nextDeadline() == 20)
        queue.set("a", at: 5)
        #expect(queue.nextDeadline() == 5)
        #expect(queue.count == 1)
        #expect(queue.popDue(at: 100) == "a")
        #expect(queue.popDue(at: 100) == nil)
    }

    @Test func whatIsRemovedNeverComes() {
        var queue = DeadlineQueue<String>()
        queue.set("a", at: 1)
        queue.set("b", at: 2)
        queue.remove("a")
        queue.remove("unknown")
        #expect(queue.nextDeadline() == 2)
        #expect(queue.popDue(at: 9) == "b")
        #expect(queue.isEmpty)
    }

    @Test func equalDeadlinesComeInTheOrderTheyWereSet() {
        var queue = DeadlineQueue<Int>()
        for id in 0..<200 { queue.set(id, at: 7) }
        #expect((0..<200).map { _ in queue.popDue(at: 7) } == (0..<200).map { $0 })
    }

    @Test func oneDeadlineMovedOftenLosesNoOther() {
        var queue = DeadlineQueue<Int>()
        for id in 1...20 { queue.set(id, at: 1_000 + UInt64(id)) }
        for step in 0..<10_000 as Range<UInt64> { queue.set(0, at: 5_000 + step) }
        var popped: [Int] = []
        while let id = queue.popDue(at: .max) { popped.append(id) }
        #expect(popped == Array(1...20) + [0])
    }
}
