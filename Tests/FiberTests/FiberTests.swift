import CFiber
import Glibc
import Testing

/// What a test fiber runs: counts up, suspending itself after each step.
private final class Steps {
    var fiber: OpaquePointer!
    var done = 0
    var sum = 0.0
    let count: Int
    init(count: Int) { self.count = count }

    func run() {
        for step in 0..<count {
            sum += Double(step) * 0.5
            done += 1
            cfiber_suspend(UnsafeMutableRawPointer(fiber))
        }
    }
}

private func prepare(_ steps: Steps, stackBytes: Int = 64 << 10) -> OpaquePointer {
    let fiber = cfiber_new(stackBytes)!
    steps.fiber = fiber
    cfiber_prepare(
        fiber, { Unmanaged<Steps>.fromOpaque($0!).takeUnretainedValue().run() }, Unmanaged.passUnretained(steps).toOpaque())
    return fiber
}

@Suite struct FiberTests {
    @Test func aFiberKeepsItsStateBetweenSuspensions() {
        let steps = Steps(count: 1000)
        let fiber = prepare(steps)
        defer { cfiber_free(fiber) }
        for resumption in 1...1000 {
            #expect(!cfiber_resume(fiber))
            #expect(steps.done == resumption)
        }
        #expect(cfiber_resume(fiber))
        #expect(steps.sum == 249_750)
    }

    @Test func aFinishedFiberCanBePreparedAgain() {
        let first = Steps(count: 1)
        let fiber = prepare(first)
        defer { cfiber_free(fiber) }
        while !cfiber_resume(fiber) {}
        let second = Steps(count: 3)
        second.fiber = fiber
        cfiber_prepare(
            fiber, { Unmanaged<Steps>.fromOpaque($0!).takeUnretainedValue().run() },
            Unmanaged.passUnretained(second).toOpaque())
        while !cfiber_resume(fiber) {}
        #expect(first.done == 1 && second.done == 3)
    }

    @Test func manyFibersInterleave() {
        let all = (1...50).map { Steps(count: $0) }
        let fibers = all.map { prepare($0) }
        var running = Array(zip(all, fibers))
        while !running.isEmpty { running.removeAll { cfiber_resume($0.1) } }
        #expect(all.allSatisfy { $0.done == $0.count })
        fibers.forEach { cfiber_free($0) }
    }

    @Test func aFiberResumesOnAnotherThread() {
        let steps = Steps(count: 10)
        let fiber = prepare(steps)
        defer { cfiber_free(fiber) }
        #expect(!cfiber_resume(fiber))
        for _ in 0..<9 {
            var thread = pthread_t()
            let started = pthread_create(
                &thread, nil,
                { pointer in
                    _ = cfiber_resume(OpaquePointer(pointer))
                    return nil
                }, UnsafeMutableRawPointer(fiber))
            #expect(started == 0)
            pthread_join(thread, nil)
        }
        #expect(steps.done == 10)
        #expect(cfiber_resume(fiber))
    }

    @Test func theStackIsAsLargeAsAskedAndTrimmingKeepsItUsable() {
        let steps = Steps(count: 2)
        let fiber = prepare(steps, stackBytes: 100_000)
        defer { cfiber_free(fiber) }
        #expect(UnsafeRawPointer(cfiber_stack_high(fiber)) - UnsafeRawPointer(cfiber_stack_low(fiber)) >= 100_000)
        while !cfiber_resume(fiber) {}
        cfiber_trim(fiber, 4096)
        let again = Steps(count: 2)
        again.fiber = fiber
        cfiber_prepare(
            fiber, { Unmanaged<Steps>.fromOpaque($0!).takeUnretainedValue().run() },
            Unmanaged.passUnretained(again).toOpaque())
        while !cfiber_resume(fiber) {}
        #expect(again.done == 2)
    }
}
