import Foundation
import Glibc
import Testing

@testable import Sandbox

@Suite struct ThreadScheduleTests {
    /// On a thread of its own, which the setting ends with.
    private func onThread<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in Thread { continuation.resume(returning: body()) }.start() }
    }

    @Test func aThreadIsOfTheRealTimeClassOnlyWhereThatIsAllowed() async {
        let (isDone, policy) = await onThread { (ThreadSchedule.applyRealTime(), sched_getscheduler(0)) }
        if isDone {
            // Not inherited: the flag shows in the policy.
            #expect(policy == SCHED_RR | 0x4000_0000)
        } else {
            #expect(policy == SCHED_OTHER)
        }
        #expect(await onThread { sched_getscheduler(0) } == SCHED_OTHER)
    }

    @Test func aSliceAndANiceValueComeIntoForce() async {
        let nice = await onThread {
            ThreadSchedule(nice: 19, sliceNanoseconds: 200_000).apply()
            return getpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(ThreadSchedule.currentThread))
        }
        #expect(nice == 19)
    }

    @Test func aThreadStaysOnTheProcessorThatItIsPinnedTo() async throws {
        let processors = ThreadSchedule.allowedProcessors(limit: 1024)
        #expect(ThreadSchedule.allowedProcessors(limit: 1) == Array(processors.prefix(1)))
        for processor in processors.prefix(4) {
            let (isPinned, allowed) = await onThread {
                (ThreadSchedule.pin(to: processor), ThreadSchedule.allowedProcessors(limit: 1024))
            }
            #expect(isPinned && allowed == [processor])
        }
        #expect(await onThread { ThreadSchedule.pin(to: 1023) } == processors.contains(1023))
    }
}
