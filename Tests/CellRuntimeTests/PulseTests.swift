import Foundation
import Sandbox
import Testing

@testable import CellRuntime

@Suite struct PulseTests {
    @Test(arguments: [
        // As many as there are processors leave none for the front.
        (processors: 2, stuck: 1, running: 2, beats: true), (2, 1, 1, false), (2, 0, 2, false), (4, 1, 3, false), (4, 3, 4, true),
        (16, 8, 16, true), (17, 8, 24, false), (0, 1, 2, false),
    ])
    func itBeatsWhileAsManyThreadsCompeteAsThereAreProcessors(processors: Int, stuck: Int, running: Int, beats: Bool) {
        let pulse = Pulse(processors: Array(0..<Int32(processors)))
        #expect(pulse.processors.count == (processors > 16 ? 0 : processors))
        pulse.heed(stuck: stuck, running: running)
        #expect(pulse.isBeating == beats)
        pulse.heed(stuck: 0, running: running)
        #expect(!pulse.isBeating)
    }

    @Test func itsThreadSleepsUntilItBeatsAndAgainAfterwards() async throws {
        let pulse = Pulse(processors: [0])
        let id = await withCheckedContinuation { continuation in
            Thread {
                continuation.resume(returning: ThreadSchedule.currentThread)
                pulse.run()
            }.start()
        }
        func sleeps() throws -> Int {
            let status = try String(contentsOfFile: "/proc/self/task/\(id)/status", encoding: .utf8)
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") })
            return try #require(Int(line.split(separator: "\t")[1]))
        }
        let limit = Date(timeIntervalSinceNow: 60)
        func wait(until isDone: () throws -> Bool) async throws {
            while try !isDone() {
                try #require(Date() < limit)
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        func restsNow() async throws -> Bool {
            let before = try sleeps()
            try await Task.sleep(for: .milliseconds(100))
            return try sleeps() == before
        }
        while try await !restsNow() { try #require(Date() < limit) }
        let atRest = try sleeps()
        pulse.heed(stuck: 1, running: 2)
        try await wait { try sleeps() > atRest + 50 }
        pulse.heed(stuck: 0, running: 1)
        while try await !restsNow() { try #require(Date() < limit) }
    }
}
