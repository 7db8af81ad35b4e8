import Foundation
import Glibc
import IntegrationHarness

/// Does one thing after another to a daemon and its cells, by a seed.
struct FaultInjector {
    enum Fault: String, CaseIterable {
        case killCell, killCellTwice, stopCell, stopCellForGood, stopAndKillCell, starveCellOfMemory
        case stopDaemon, killDaemon, starveDaemonOfDescriptors, reload, replaceCells

        /// How often among a hundred.
        var weight: Int {
            switch self {
            case .killCell: 38
            case .killCellTwice: 10
            case .stopCell: 14
            case .stopCellForGood: 2
            case .stopAndKillCell: 8
            case .starveCellOfMemory: 8
            case .stopDaemon: 6
            case .killDaemon: 3
            case .starveDaemonOfDescriptors: 3
            case .reload: 5
            case .replaceCells: 3
            }
        }
    }

    let daemon: TestDaemon
    let load: FaultLoad
    var random: FaultRandom
    private(set) var injected: [Fault: Int] = [:]
    /// Every process that was below the daemon.
    private(set) var seen: Set<pid_t> = []

    init(daemon: TestDaemon, load: FaultLoad, seed: UInt64) {
        self.daemon = daemon
        self.load = load
        random = FaultRandom(seed: seed)
    }

    private var pid: pid_t { daemon.process.processIdentifier }

    mutating func pause(upTo seconds: Double) { Thread.sleep(forTimeInterval: Double.random(in: 0...seconds, using: &random)) }

    /// - Returns: what was done; nil where there was no cell to do it to.
    mutating func inject() throws -> Fault? {
        var dice = Int.random(in: 0..<100, using: &random)
        let fault = Fault.allCases.first { fault in
            dice -= fault.weight
            return dice < 0
        }!
        let cells = Processes.children(of: pid).all
        seen.formUnion(cells)
        let cell = cells.randomElement(using: &random)
        switch fault {
        case .killCell, .killCellTwice, .stopCell, .stopCellForGood, .stopAndKillCell, .starveCellOfMemory:
            guard let cell else { return nil }
            harm(cell, fault)
        case .stopDaemon:
            kill(pid, SIGSTOP)
            pause(upTo: 0.2)
            kill(pid, SIGCONT)
        case .killDaemon: try restart()
        case .starveDaemonOfDescriptors:
            // Cells cannot be started, connections not be taken.
            guard let before = Processes.limit(pid, .descriptors, to: "\(Processes.descriptors(of: pid) + 1)") else { return nil }
            if let cell { kill(cell, SIGKILL) }
            pause(upTo: 0.4)
            Processes.limit(pid, .descriptors, to: before)
        case .reload: daemon.signal(SIGHUP)
        case .replaceCells:
            let daemon = daemon
            // Its answer may come late, or not at all when the daemon is killed meanwhile.
            Thread { _ = try? daemon.admin("/v1/cells/replace", method: "POST") }.start()
        }
        injected[fault, default: 0] += 1
        return fault
    }

    private mutating func harm(_ cell: pid_t, _ fault: Fault) {
        switch fault {
        case .stopCell:
            kill(cell, SIGSTOP)
            pause(upTo: 0.3)
            kill(cell, SIGCONT)
        case .stopCellForGood: kill(cell, SIGSTOP)
        case .stopAndKillCell:
            kill(cell, SIGSTOP)
            pause(upTo: 0.05)
            kill(cell, SIGKILL)
        case .starveCellOfMemory:
            Processes.limit(cell, .addresses, to: "1048576")
            Processes.limit(cell, .data, to: "1048576")
        case .killCellTwice:
            kill(cell, SIGKILL)
            pause(upTo: 0.1)
            for next in Processes.children(of: pid).all.shuffled(using: &random).prefix(2) {
                seen.insert(next)
                kill(next, SIGKILL)
            }
        default: kill(cell, SIGKILL)
        }
    }

    /// Kills the daemon, sees all its cells end, and starts it on the same state.
    private mutating func restart() throws {
        load.daemonGoes()
        let old = pid
        kill(old, SIGKILL)
        daemon.process.waitUntilExit()
        seen.formUnion(Processes.children(of: old).all)
        try waitUntilNoneIsLeft()
        try daemon.restart()
        load.daemonIsBack()
    }

    /// No process that was below the daemon outlives it.
    func waitUntilNoneIsLeft() throws {
        _ = try eventually(seconds: 10, "the cells of a daemon that was killed to end") {
            seen.contains(where: Processes.isThere) ? nil : true
        }
    }
}
