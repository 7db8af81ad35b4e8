import Testing

@testable import LoadHarness

@Suite struct ObservationTests {
    @Test func onlyWhatCameSinceCounts() {
        let before = Usage(cpuSeconds: [1: 10, 2: 5, 3: 7], counters: ["preemptions": [1: 100, 2: 40], "handoffs": [:]])
        // Process 3 is gone, process 4 is new, and process 2 was replaced by one of the same number.
        let after = Usage(cpuSeconds: [1: 12, 2: 5, 4: 1], counters: ["preemptions": [1: 130, 2: 3, 4: 7], "handoffs": [4: 2]])
        #expect(after.cpuSeconds(since: before) == 3)
        #expect(after.count("preemptions", since: before) == 37 && after.count("handoffs", since: before) == 2)
    }

    @Test func whatNobodyTellsIsNotNothing() {
        #expect(Usage().cpuSeconds(since: Usage()) == nil && Usage().count("preemptions", since: Usage()) == nil)
        #expect(Usage(counters: ["preemptions": [1: 5]]).count("preemptions", since: Usage()) == nil)
    }

    @Test func withoutAnAdminAPINothingIsKnown() throws {
        let observation = try Observation(adminPort: nil, state: nil, pid: nil)
        #expect(observation.cells == nil && observation.cpuSecondsByTenant == nil && observation.rssBytes == nil)
    }

    @Test func anAdminAPIThatCannotBeUsedIsAnError() {
        #expect(throws: AdminQuery.Failure.self) { try Observation(adminPort: 1, state: nil, pid: nil) }
        #expect(throws: AdminQuery.Failure.self) { try Observation(adminPort: 1, state: "/nonexistent", pid: nil) }
    }
}
