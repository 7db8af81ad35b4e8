import Foundation
import Glibc
import IntegrationHarness
import Testing

/// What came of the cases that were played, and the daemon that they share.
final class HostileReport: @unchecked Sendable {
    static let shared = HostileReport()

    /// Counts a test's issues for the case that is being played.
    static var noting: IssueHandlingTrait {
        .compactMapIssues { issue in
            HostileReport.shared.noteIssue()
            return issue
        }
    }

    private struct Played {
        var hostile: HostileCase
        var isRight: Bool
        var mark: Neighbour.Mark
    }

    private let lock = NSLock()
    private var sharedSession: HostileSession?
    private var sharedBrokenSession: HostileSession?
    private var played: [Played] = []
    private var issues = 0

    /// The shared daemon, started when the first case needs it.
    func session() throws -> HostileSession {
        if let sharedSession = lock.withLock({ sharedSession }) { return sharedSession }
        _ = Holdings.mountsAtStart
        let session = try HostileSession(configuration: HostileSession.lenient)
        lock.withLock { sharedSession = session }
        // Also where a filter leaves the last test out.
        atexit { HostileReport.shared.lock.withLock { HostileReport.shared.sharedSession }?.end() }
        return session
    }

    /// The shared daemon whose cells are the tests' own.
    func brokenSession() throws -> HostileSession {
        if let sharedBrokenSession = lock.withLock({ sharedBrokenSession }) { return sharedBrokenSession }
        _ = Holdings.mountsAtStart
        let session = try HostileSession(
            configuration: "drain_s: 5\ncell_silence_s: 3\n",
            arguments: ["--cell", TestDaemon.binaries.appendingPathComponent("test-cell").path])
        lock.withLock { sharedBrokenSession = session }
        atexit { HostileReport.shared.lock.withLock { HostileReport.shared.sharedBrokenSession }?.end() }
        return session
    }

    func begin(_ hostile: HostileCase) { lock.withLock { issues = 0 } }

    private func noteIssue() { lock.withLock { issues += 1 } }

    func end(_ hostile: HostileCase, _ mark: Neighbour.Mark) {
        lock.withLock { played.append(Played(hostile: hostile, isRight: issues == 0, mark: mark)) }
    }

    func checkNothingIsLeft() throws {
        let sessions = lock.withLock {
            defer { (sharedSession, sharedBrokenSession) = (nil, nil) }
            return [sharedSession, sharedBrokenSession]
        }
        for session in sessions { try session?.checkNothingIsLeft() }
    }

    /// How many of the cases hold, and when the neighbour waited longest.
    var summary: String {
        let played = lock.withLock { self.played }
        let right = played.count { $0.isRight }
        var text = "hostile cases: \(right) of \(HostileCase.chosen.count) hold"
        let milliseconds = { (value: Double) in String(format: "%.1f ms", value) }
        if let worst = played.max(by: { $0.mark.percentile(0.99) < $1.mark.percentile(0.99) }) {
            text += "; the neighbour's worst p99 is \(milliseconds(worst.mark.percentile(0.99))), in case \(worst.hostile)"
        }
        if let longest = played.max(by: { $0.mark.percentile(1) < $1.mark.percentile(1) }) {
            text += "; its longest wait \(milliseconds(longest.mark.percentile(1))), in case \(longest.hostile)"
        }
        return text
    }
}
