import Scheduling
import Testing

struct BuildQueueTests {
    private final class Tenant: CustomStringConvertible, Sendable {
        let description: String
        init(_ name: String) { description = name }
    }

    private static let second: UInt64 = 1_000_000_000
    private static let (a, b, c) = (Tenant("a"), Tenant("b"), Tenant("c"))

    /// Without credit; a build takes a second.
    private static func poor() -> BuildQueue<Tenant> {
        var queue = BuildQueue<Tenant>(creditPart: 0.1, creditLimitNanoseconds: 1, now: 0)
        queue.add(Tenant("first"), startNanoseconds: 1)
        #expect(queue.next(now: 0) != nil)
        queue.built(nanoseconds: second)
        return queue
    }

    @Test func whoseStartsTookMostGoesFirstAndOfTheSameWhoCameFirst() {
        var queue = BuildQueue<Tenant>(now: 0)
        for (tenant, cost) in [(Self.a, 3), (Self.b, 5), (Self.c, 3)] as [(Tenant, UInt64)] {
            queue.add(tenant, startNanoseconds: cost)
        }
        #expect(queue.count == 3)
        #expect([queue.next(now: 0), queue.next(now: 0), queue.next(now: 0)].map { $0?.description } == ["b", "a", "c"])
        #expect(queue.next(now: 0) == nil && queue.count == 0)
    }

    @Test func whoseStartsTookAsMuchAsABuildIsWorthOne() {
        var queue = Self.poor()
        for start in 1...9 {
            queue.add(Self.a, startNanoseconds: Self.second / 10)
            #expect(queue.next(now: 0) == nil, "after \(start)")
        }
        #expect(queue.count == 1)
        queue.add(Self.a, startNanoseconds: Self.second / 10)
        #expect(queue.next(now: 0) === Self.a)
        // Dearer builds are worth it later.
        queue.built(nanoseconds: 3 * Self.second)
        queue.add(Self.b, startNanoseconds: 6 * Self.second / 5)
        #expect(queue.next(now: 0) == nil)
        queue.add(Self.b, startNanoseconds: Self.second / 2)
        #expect(queue.next(now: 0) === Self.b)
    }

    @Test func othersGetAPartOfTheTime() {
        var queue = BuildQueue<Tenant>(creditPart: 0.1, creditLimitNanoseconds: 5 * Self.second, now: 0)
        let tenants = (0..<1000).map { Tenant("\($0)") }
        for tenant in tenants { queue.add(tenant, startNanoseconds: 1) }
        func builds(at now: UInt64) -> Int {
            var count = 0
            while queue.next(now: now) != nil {
                queue.built(nanoseconds: Self.second)
                count += 1
            }
            return count
        }
        #expect(builds(at: 0) == 5)
        #expect(builds(at: Self.second) == 1)
        #expect(builds(at: 19 * Self.second / 2) == 0)
        #expect(builds(at: 11 * Self.second) == 1)
        // However long nothing happens, there is no more of it than the limit.
        #expect(builds(at: 1000 * Self.second) == 5)
    }

    /// A tenant can make its build take as long as its deadline allows, or fail.
    @Test func aVeryLongOrFailedBuildIsNotForOthersToWaitFor() {
        var queue = BuildQueue<Tenant>(creditPart: 0.1, creditLimitNanoseconds: 6 * Self.second, now: 0)
        queue.built(nanoseconds: Self.second)
        queue.add(Self.a, startNanoseconds: 1)
        #expect(queue.next(now: 0) === Self.a)
        // Counts as four, and the price is 1.6 seconds afterwards.
        queue.built(nanoseconds: 60 * Self.second)
        queue.add(Self.a, startNanoseconds: 1)
        #expect(queue.next(now: 0) === Self.a)
        queue.failed(nanoseconds: 60 * Self.second)
        queue.add(Self.b, startNanoseconds: 1)
        #expect(queue.next(now: 0) === Self.b)
        queue.failed(nanoseconds: 1)
        queue.add(Self.c, startNanoseconds: 1_590_000_000)
        #expect(queue.next(now: 0) == nil)
        queue.add(Self.c, startNanoseconds: 20_000_000)
        #expect(queue.next(now: 0) === Self.c)
    }

    /// Where the builder cannot build anything, that takes no more of its time than the unworthy ones have.
    @Test func beforeOneIsBuiltFailuresTakeOfThatPart() {
        var queue = BuildQueue<Tenant>(creditPart: 0.1, creditLimitNanoseconds: 2 * Self.second, now: 0)
        let tenants = (0..<1000).map { Tenant("\($0)") }
        for tenant in tenants { queue.add(tenant, startNanoseconds: 100 * Self.second) }
        func failures(at now: UInt64) -> Int {
            var count = 0
            while queue.next(now: now) != nil {
                // The first ones have taken as long as they may.
                queue.failed(nanoseconds: now == 0 ? 60 * Self.second : Self.second)
                count += 1
            }
            return count
        }
        #expect(failures(at: 0) == 2)
        #expect(failures(at: Self.second) == 1)
        #expect(failures(at: 5 * Self.second) == 0)
        // What is there already does not wait for that.
        queue.add(Self.a, startNanoseconds: .max)
        #expect(queue.next(now: 5 * Self.second) === Self.a)
        // One works: those that are worth it need not wait any more.
        #expect(queue.next(now: 20 * Self.second) != nil)
        queue.built(nanoseconds: Self.second)
        #expect(failures(at: 20 * Self.second) == 996)
    }

    @Test func worthyOnesTakeNothingOfThatPart() {
        var queue = BuildQueue<Tenant>(creditPart: 0.1, creditLimitNanoseconds: Self.second, now: 0)
        queue.built(nanoseconds: 2 * Self.second)
        for tenant in [Self.a, Self.b] { queue.add(tenant, startNanoseconds: 5 * Self.second) }
        for _ in 0..<2 {
            #expect(queue.next(now: 0) != nil)
            queue.built(nanoseconds: 2 * Self.second)
        }
        queue.add(Self.c, startNanoseconds: 1)
        #expect(queue.next(now: 0) === Self.c)
    }

    @Test func oneTakesThePlaceOfAnother() {
        var queue = Self.poor()
        queue.add(Self.a, startNanoseconds: Self.second - 1)
        #expect(queue.replace(Self.a, by: Self.b) && !queue.replace(Self.a, by: Self.c))
        #expect(queue.next(now: 0) == nil)
        queue.add(Self.b, startNanoseconds: 1)
        #expect(queue.next(now: 0) === Self.b)
        queue.add(Self.c, startNanoseconds: .max)
        queue.add(Self.c, startNanoseconds: 7)
        queue.removeAll { $0 === Self.c }
        #expect(queue.count == 0 && queue.next(now: 0) == nil)
    }
}
