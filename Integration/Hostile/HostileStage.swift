import Foundation
import Glibc
import IntegrationHarness
import Testing

/// Where one case is played: a daemon, the offender's tenant in it and its neighbour in the same cell.
final class HostileStage: @unchecked Sendable {
    let hostile: HostileCase
    let session: HostileSession
    let neighbour: Neighbour
    /// The offender's tenant, whose host is `offender.localhost`.
    let offender: String

    var daemon: TestDaemon { session.daemon }
    private var chances = 0

    init(_ hostile: HostileCase, _ session: HostileSession, _ neighbour: Neighbour) {
        self.hostile = hostile
        self.session = session
        self.neighbour = neighbour
        offender = "case-\(hostile.number)"
    }

    /// One request to the offender, on a connection of its own. The answer must not hold what only the neighbour knows.
    func get(
        _ path: String = "/", method: String = "GET", headers: [String: String] = [:], body: [UInt8]? = nil
    ) throws -> Response {
        let response = try daemon.get(offender, path, method: method, headers: headers, body: body)
        #expect(!response.text.contains(neighbour.secret) && !"\(response.headers)".contains(neighbour.secret), "\(hostile): \(path)")
        return response
    }

    /// Gives the offender another bundle: its worker's source unless another is given, and these files besides.
    func install(source: String? = nil, files: [String: String] = [:]) throws {
        guard let source = try source ?? hostile.worker() else { throw ClientError("\(hostile): no worker") }
        try daemon.write(TestTenant(offender, source, policy: policy, files: files))
        try daemon.reload()
    }

    /// What stands in the offender's policy besides its name. Snapshots are built only where a case asks for them: they would cost each offender a
    /// process.
    private var policy: String {
        "cordon: \(hostile.cordon)\n\(hostile.policy.contains("snapshot:") ? "" : "snapshot: off\n")\(hostile.policy)"
    }

    func add(_ tenant: TestTenant) throws {
        try daemon.write(tenant)
        try daemon.reload()
    }

    func remove(_ tenant: String) throws {
        try daemon.removePolicy(tenant)
        try daemon.reload()
    }

    /// Takes a step in the neighbour's cell: an offender that has one of its own by now gets another chance there, as a new version.
    func takeBesideNeighbour(_ step: Step) throws {
        if try report()["quarantined"] as? Bool == true {
            chances += 1
            try install(files: hostile.files().merging(["chance.txt": "\(chances)"]) { $1 })
        }
        let before = try cell(of: neighbour.name)
        try take(step)
        if try report()["quarantined"] as? Bool == true { return }
        // Either may be in the cell's successor already, where the other comes with its next request.
        _ = try eventually("\(hostile): the offender to have been beside the neighbour at \(step.path)") {
            let its = try cell(of: offender)
            return try its == nil || its == before || its == cell(of: neighbour.name) ? true : nil
        }
    }

    func take(_ step: Step) throws {
        if step.times == 1 { return expect(try get(step.path, method: step.method, body: step.body.map { Array($0.utf8) }), step) }
        let answers = Collected()
        onThreads(step.times) { _ in answers.add(Result { try self.get(step.path, method: step.method) }) }
        for answer in answers.all { expect(try answer.get(), step) }
    }

    private func expect(_ response: Response, _ step: Step) {
        #expect(
            step.outcome.isMet(by: response),
            "\(hostile), \(step.path): wanted \(step.outcome), got \(response.status) \(response.text.prefix(300))")
    }

    /// The offender as `/v1/tenants` shows it.
    func report() throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(try daemon.admin("/v1/tenants/\(offender)").body)) as? [String: Any] ?? [:]
    }

    /// The name of a tenant's cell.
    func cell(of tenant: String) throws -> String? {
        (try JSONSerialization.jsonObject(with: Data(try daemon.admin("/v1/tenants/\(tenant)").body)) as? [String: Any])?["cell"] as? String
    }

    private final class Collected: @unchecked Sendable {
        private let lock = NSLock()
        private var answers: [Result<Response, any Error>] = []
        var all: [Result<Response, any Error>] { lock.withLock { answers } }
        func add(_ answer: Result<Response, any Error>) { lock.withLock { answers.append(answer) } }
    }
}
