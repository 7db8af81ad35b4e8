import Foundation
import Glibc
import IntegrationHarness
import Testing

/// A daemon with a neighbour in each shared cordon, on which cases are played one after the other, and what it held before the first of them.
final class HostileSession: @unchecked Sendable {
    /// Answers a second that the neighbour gets at the least, however busy the machine: far fewer than it does get, and more than when it is starved.
    static let answersPerSecondAtLeast = 2.0

    let daemon: TestDaemon
    private let neighbours: [String: Neighbour]
    private let before: Holdings
    /// Every process that was seen below the daemon.
    private var processes: Set<pid_t> = []

    /// No tenant is put into quarantine or suspended because it breaks its limits often, which most cases do.
    static let lenient = "quarantine_after: 0\nsuspend_after: 0\ndrain_s: 5\n"

    /// - Parameter arguments: further ones for the daemon.
    init(configuration: String = "", arguments: [String] = []) throws {
        let neighbours = ["standard", "hostile"].map { Neighbour(cordon: $0) }
        daemon = try TestDaemon(neighbours.map(\.tenant), configuration: configuration, arguments: arguments)
        self.neighbours = Dictionary(uniqueKeysWithValues: neighbours.map { ($0.cordon, $0) })
        // What is made on first use is there before it is counted: an offender came and went.
        try daemon.write(.plain("visitor"))
        try daemon.reload()
        for tenant in neighbours.map(\.name) + ["visitor"] {
            let status = try daemon.get(tenant).status
            guard status == 200 else { throw ClientError("\(tenant) answers \(status)") }
        }
        try daemon.removePolicy("visitor")
        try daemon.reload()
        let pid = daemon.process.processIdentifier
        // Builders of snapshots end when they are done; what stays are the cells.
        _ = try eventually(seconds: 60, "the start to be over") { [daemon] in
            Set(Holdings.descendants(of: pid)).isSubset(of: try daemon.cells()) ? true : nil
        }
        before = Holdings(of: pid)
    }

    // MARK: Playing

    /// Plays one case and checks what every case is checked for.
    func play(_ hostile: HostileCase) throws -> Neighbour.Mark {
        guard let neighbour = neighbours[hostile.cordon] else { throw ClientError("\(hostile): no neighbour in \(hostile.cordon)") }
        let stage = HostileStage(hostile, self, neighbour)
        if try hostile.worker() != nil { try stage.install(files: hostile.files()) }
        let lost = try daemon.metric("cloister_cells_lost_total")
        let quarantines = #"cloister_tenants_quarantined_total{reason="cell_lost"}"#
        let quarantined = try daemon.metric(quarantines)
        let drifted = try daemon.metric("cloister_cells_drifted_total")
        neighbour.begin(daemon)
        var isHeard = false
        defer { if !isHeard { _ = neighbour.end() } }
        try neighbour.awaitAnswers(3)
        let early = neighbour.heard.right
        let start = Neighbour.now
        try hostile.provoke(stage)
        // A cell that is replaced behind the offender's back is this case's, not the next one's.
        _ = try eventually("the successors of cells to be ready") { [daemon] in try daemon.cells(in: "starting").isEmpty ? true : nil }
        let answersDuring = neighbour.heard.right - early
        let seconds = Neighbour.now - start
        try neighbour.awaitAnswers(3)
        noteProcesses()
        let mark = neighbour.end()
        isHeard = true
        #expect(mark.wrong.isEmpty, "\(hostile): the neighbour heard \(mark.wrong.prefix(3))")
        #expect(
            Double(answersDuring) >= (seconds * Self.answersPerSecondAtLeast).rounded(.down),
            "\(hostile): \(answersDuring) answers to the neighbour in \(seconds) s")
        try checkCells(
            stage, mark, lost: Int(try daemon.metric("cloister_cells_lost_total") - lost),
            quarantined: Int(try daemon.metric(quarantines) - quarantined),
            drifted: Int(try daemon.metric("cloister_cells_drifted_total") - drifted))
        try remove(stage)
        return mark
    }

    private func checkCells(_ stage: HostileStage, _ mark: Neighbour.Mark, lost: Int, quarantined: Int, drifted: Int) throws {
        let hostile = stage.hostile
        if lost > 0, hostile.loss != .allowed, hostile.loss != .ofItsOwn { daemon.printProblems() }
        guard hostile.loss == .allowed, lost > 0 else {
            #expect((lost == 0 || hostile.loss == .ofItsOwn) && mark.cellLost == 0, "\(hostile): \(lost) cells were lost")
            // A cell that holds more memory than it accounts for is replaced whatever the case.
            let moves = (hostile.loss == .replaced || hostile.loss == .allowed ? quarantined : 0) + drifted
            #expect(
                mark.isolates.count <= 1 + moves,
                """
                \(hostile): the neighbour's isolate was made anew \(mark.isolates.count - 1) times, for \(quarantined) quarantines \
                and \(drifted) drifted cells
                """)
            return
        }
        // One request of the neighbour's is under way at a time: each cell can take one along.
        #expect(mark.cellLost <= lost, "\(hostile): \(lost) cells were lost, and \(mark.cellLost) of the neighbour's requests")
        #expect(try stage.report()["quarantined"] as? Bool == true, "\(hostile): the offender is not in quarantine")
        #expect(try stage.cell(of: stage.offender) != stage.cell(of: stage.neighbour.name), "\(hostile): both are in one cell")
    }

    /// The offender goes, whatever it left running.
    private func remove(_ stage: HostileStage) throws {
        guard try stage.hostile.worker() != nil else { return }
        try stage.remove(stage.offender)
    }

    // MARK: Afterwards

    private func noteProcesses() { processes.formUnion(Holdings.descendants(of: daemon.process.processIdentifier)) }

    /// Everything that cases brought with them is gone, while the daemon runs and after it has ended.
    func checkNothingIsLeft() throws {
        let pid = daemon.process.processIdentifier
        noteProcesses()
        // The wall limit ends what offenders may still have open.
        var excess = ""
        do {
            _ = try eventually(seconds: 30, "what the cases held to be given back") { () -> Bool? in
                excess = Holdings(of: pid).excess(over: before)
                return excess.isEmpty ? true : nil
            }
        } catch { Issue.record("left behind: \(excess)") }
        for neighbour in neighbours.values { #expect(try daemon.get(neighbour.name).status == 200) }
        daemon.signal(SIGTERM)
        daemon.process.waitUntilExit()
        #expect(daemon.process.terminationStatus == 0, "cloisterd ended with \(daemon.process.terminationStatus)")
        _ = try eventually("the processes to end") { self.processes.allSatisfy { kill($0, 0) != 0 } ? true : nil }
        #expect(Holdings.cgroups(of: pid) == 0, "cgroups of the daemon are left")
        #expect(Holdings.mounts(of: getpid()) == Holdings.mountsAtStart, "mounts are left")
        daemon.end()
    }

    func end() { daemon.end() }
}
