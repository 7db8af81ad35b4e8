import Policy
import Testing
import Wire

@testable import Supervisor

/// What a new reading of the policies changes.
@Suite(.timeLimit(.minutes(2))) struct ReloadTests {
    @Test func whenThePoliciesCannotBeReadEveryTenantStays() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")])
        let unreadable = PolicyLoad(
            tenants: [], failures: ["policies": ["policies:1:1: the folder of policies cannot be read"]], isComplete: false)
        let report = try await test.onLoop { $0.apply(unreadable) }
        #expect(report.errors == ["policies:1:1: the folder of policies cannot be read"])
        #expect(report.added.isEmpty && report.changed.isEmpty && report.removed.isEmpty)
        #expect(try await test.onLoop { $0.tenants.keys.sorted() } == ["a", "b"])
        let client = try await test.request("a")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id, "still here")
        #expect(try await client.next() == .head(status: 200, headers: "", body: "still here", isComplete: true))
    }

    @Test func anEmptyFolderRemovesEveryTenant() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b")])
        let report = try await test.onLoop { $0.apply(PolicyLoad(tenants: [], failures: [:])) }
        #expect(report.removed.sorted() == ["a", "b"])
        #expect(try await test.onLoop { $0.tenants.isEmpty })
    }
}
