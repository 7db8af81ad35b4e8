import NIOCore
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

    @Test func whoseBundleDoesNotLoadIsKnownByItsHostsUnlessSomebodyElseHasThem() async throws {
        let test = try await TestSupervisor([.test("b")])
        let load = { (hosts: [String]) in
            PolicyLoad(tenants: [], failures: ["a": ["a.yaml:2:7: the bundle cannot be read"]], hostsWithoutBundle: ["a": hosts])
        }
        var both = load(["a.test", "b.test"])
        both.tenants = try await test.onLoop { supervisor in
            supervisor.tenants.values.compactMap(\.version).map(\.loaded)
        }
        try await test.onLoop { [both] in _ = $0.apply(both) }
        #expect(try await test.request("a").next() == .failed(.startupFailed, retryAfterSeconds: nil))
        let client = try await test.request("b")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id, "b")
        #expect(try await client.next() == .head(status: 200, headers: "", body: "b", isComplete: true))
        #expect(try await test.request("c").next() == .failed(.tenantUnknown, retryAfterSeconds: nil))
    }

    /// Thousands come and go: the metrics of those who are gone would fill the families.
    @Test func aRemovedTenantsSeriesAreForgottenThoughOneOfItsRequestsGoesOn() async throws {
        let test = try await TestSupervisor([.test("a"), .test("b"), .test("c")])
        let first = try await test.request("b")
        let cell = try await test.readyCell()
        cell.answer(try await cell.nextRequest().id)
        _ = try await first.next()
        let second = try await test.request("c")
        cell.answer(try await cell.nextRequest().id)
        _ = try await second.next()
        let client = try await test.request("a")
        let request = try await cell.nextRequest().id
        try await test.onLoop { _ in }
        #expect(test.registry.text().contains(#"tenant="c""#))
        try await test.apply([.test("b")])
        cell.send(.finished, id: request, ByteBuffer(integer: UInt64(5), endianness: .little))
        #expect(try await client.next() == .failed(.exception, retryAfterSeconds: nil))
        let metrics = test.registry.text()
        #expect(!metrics.contains(#"tenant="a""#) && !metrics.contains(#"tenant="c""#) && metrics.contains(#"tenant="b""#))
    }
}
