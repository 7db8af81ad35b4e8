import Foundation

/// Tenants that come and go while others are called: scenario `churn`. With each step one comes, those that have just come are called, and one
/// goes that was called long enough ago for its last answer.
public struct TenantChurn: Sendable {
    /// A tenant did not come or go.
    public struct Failure: Error, CustomStringConvertible {
        /// The tenant or the reload that it is about, and the daemon's reason.
        public var description: String
    }

    static let stepsPerSecond = 5
    /// So many steps a tenant stays, and in so many of them, from its first, it is called.
    private static let stay = 5
    private static let callSteps = 3
    private static let reloadSeconds = 30

    private struct Report: Decodable {
        var added: [String]
        var errors: [String]
    }

    private let folder: URL
    private let adminPort: Int
    private let adminToken: String

    /// - Parameter daemon: whose policies change.
    init(of daemon: SpawnedDaemon) throws {
        folder = daemon.folder
        adminPort = daemon.adminPort
        adminToken = try AdminQuery.token(state: folder.appendingPathComponent("state").path)
    }

    /// How many steps there are in a phase.
    static func steps(inSeconds seconds: Double) -> Int { max(1, Int(seconds * Double(stepsPerSecond))) }

    /// The tenant that comes with a step.
    static func tenant(_ step: Int) -> Workload.Tenant { Workload.Tenant("passer-by-\(step)", Scenario.helloSource) }

    /// The steps whose tenants are called in this one.
    static func called(in step: Int) -> ClosedRange<Int> { max(0, step - callSteps + 1)...step }

    /// How many calls there are in all steps of a phase.
    static func calls(inSeconds seconds: Double) -> Int { (0..<steps(inSeconds: seconds)).reduce(0) { $0 + called(in: $1).count } }

    /// Returns when the tenant of this step is served.
    /// - Throws: when it is not.
    func step(_ number: Int) throws {
        let tenant = Self.tenant(number)
        try tenant.write(to: folder)
        if number >= Self.stay { try Self.tenant(number - Self.stay).remove(from: folder) }
        let answer = AdminQuery.exchange("POST", "/v1/reload", port: adminPort, token: adminToken, withinSeconds: Self.reloadSeconds)
        guard let answer, answer.status == 200, let report = try? JSONDecoder().decode(Report.self, from: answer.body) else {
            let reason = answer.map { String(decoding: $0.body, as: UTF8.self) } ?? "no answer"
            throw Failure(description: "the daemon did not reload its policies: \(reason)")
        }
        guard report.errors.isEmpty, report.added.contains(tenant.name) else {
            throw Failure(description: "\(tenant.name) was not added: \(report.errors.joined(separator: "; "))")
        }
    }
}
