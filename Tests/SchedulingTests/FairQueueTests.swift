import Testing

@testable import Scheduling

@Suite struct FairQueueTests {
    /// What an isolate holds comes back though its tenant's quota is used up; the quota is charged for it.
    @Test func whatDoesNotHeedTheQuotaRunsAtOnceAndIsCharged() {
        var queue = FairQueue(FairQueueConfiguration())
        let second: UInt64 = 1_000_000_000
        let slot = queue.add(weight: 100, quota: CPUQuota(millisecondsPerSecond: 10, now: second))
        queue.wake(slot, now: second)
        #expect(queue.next(now: second) == slot)
        queue.charge(slot, nanoseconds: 30_000_000, now: second)
        queue.sleep(slot)
        let wait = queue.quotaWaitNanoseconds(slot, now: second)
        #expect(wait > 0)
        queue.wake(slot, now: second, heedsQuota: false)
        #expect(queue.next(now: second) == slot)
        queue.charge(slot, nanoseconds: 1_000_000, now: second)
        queue.sleep(slot)
        #expect(queue.quotaWaitNanoseconds(slot, now: second) > wait)
        queue.wake(slot, now: second)
        #expect(queue.next(now: second) == nil)
        #expect(queue.next(now: 10 * second) == slot)
    }
}
