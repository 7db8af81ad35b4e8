import Foundation
import IntegrationHarness

// The hostile cases: what tenants, clients and a broken-out cell try, by number, as docs/hostile-cases.md lists them.
//
// How to add one:
//  * Write a `HostileCase` into the table of its chapter (`HostileCases+CPU.swift`, `+Memory`, `+Stack`, `+Asynchronous`, `+Tenants`, `+HTTP`,
//    `+Inside`, `+Operator`; the list of tables is `HostileCase.all`). A number stands there once.
//  * If it is JavaScript: one file `cases/NN-name.js`, and `.worker(NN, "title", policy: "…", [steps])`. Each step is a request to the offender and
//    the outcome it must have: `.get("/path", .refused(503, "cpu_limit"))`, `.get("/", .answers("text"))`.
//  * If it is more than requests one after the other: `.scene(NN, "title", policy: "…") { stage in … }`, with `#expect` within. `stage.get` asks the
//    offender (named `stage.offender`, whose worker is the file, if there is one), `stage.daemon` is the daemon, `stage.neighbour` the neighbour.
//  * `daemon: .own(configuration)` gives a case a daemon that no other case shares: for what changes the daemon itself, or kills it.
//  * `daemon: .broken` is a daemon whose cells let tenants run native code, see `HostileCases+Inside.swift`.
//  * `loss: .replaced` marks a case whose cell may have to be replaced, without a lost request.
//  * `loss: .allowed` marks a case that may cost its cell (K): the offender must then be in quarantine, and the others answered.
//
// What every case is checked for besides, without a word in the table:
//  * a neighbour in the same cell is asked all the time and each answer is its own, from the isolate that it had before (but for a lost cell);
//  * no answer to the offender holds the neighbour's secret;
//  * no cell is lost;
//  * when all are through: no process, descriptor, cgroup, mount or memory is left behind.
//
// `CLOISTER_HOSTILE=17,20-22` in the environment runs these cases only.

/// One thing that is tried, and what must come of it.
struct HostileCase: Sendable, CustomStringConvertible {
    /// Whether a cell may be lost by it.
    enum Loss: Sendable {
        case never
        /// None is, but one may be replaced behind the offender's back, which a turn that can neither go on nor end hangs in: then the offender has
        /// a cell of its own, the neighbour another, and none of its requests was refused.
        case replaced
        /// It may: then the offender has a cell of its own afterwards, and the others are answered.
        case allowed
        /// Some are, of tenants that share them with nobody: the neighbour's goes on.
        case ofItsOwn
    }

    /// Which daemon it is tried on.
    enum DaemonUse: Sendable {
        /// The one that most cases share.
        case shared
        /// One of its own, with this configuration (YAML; empty: as the shared one).
        case own(String)
        /// One that cases share whose cells are the tests' own: tenants can run native code in them.
        case broken
    }

    var number: Int
    var title: String
    /// Further lines of the offender's policy.
    var policy: String
    /// The neighbour is in the same; `hostile` runs without JIT.
    var cordon: String
    var loss: Loss
    var daemon: DaemonUse
    /// Further files of the offender's bundle.
    var files: @Sendable () -> [String: String]
    var provoke: @Sendable (HostileStage) throws -> Void

    var description: String { "\(number) \(title)" }

    /// Enough CPU time that neither limit nor quota is part of a case; little memory.
    static let ample = limits(cpu: 20000)

    /// Limits for a policy: no CPU quota, and where nothing else is said 64 MiB and time enough for a machine that has much else to do, since cells
    /// are nicer than the rest.
    static func limits(cpu: Int, memory: Int = 64, more: String = "wall_ms: 110000") -> String {
        "limits: { cpu_ms: \(cpu), cpu_quota_ms_per_s: 1000000, memory_mb: \(memory), \(more) }"
    }

    /// A request for each path, all with the same outcome.
    static func each(_ paths: String, _ outcome: Outcome) -> [Step] { paths.split(separator: " ").map { .get(String($0), outcome) } }

    /// A case that is requests to its worker, one after the other, each with its outcome.
    static func worker(
        _ number: Int, _ title: String, policy: String = ample, cordon: String = "standard", loss: Loss = .never,
        daemon: DaemonUse = .shared, files: @escaping @Sendable () -> [String: String] = { [:] }, _ steps: [Step]
    ) -> HostileCase {
        scene(number, title, policy: policy, cordon: cordon, loss: loss, daemon: daemon, files: files) { stage in
            for step in steps { try stage.takeBesideNeighbour(step) }
        }
    }

    /// A case that says itself what is done and what must come of it.
    static func scene(
        _ number: Int, _ title: String, policy: String = ample, cordon: String = "standard", loss: Loss = .never,
        daemon: DaemonUse = .shared, files: @escaping @Sendable () -> [String: String] = { [:] },
        _ provoke: @escaping @Sendable (HostileStage) throws -> Void
    ) -> HostileCase {
        HostileCase(
            number: number, title: title, policy: policy, cordon: cordon, loss: loss, daemon: daemon, files: files, provoke: provoke)
    }

    /// Every case there is, by chapter.
    static var all: [HostileCase] { cpu + memory + stack + asynchronous + tenants + http + inside + operators }

    /// Those that the environment asks for.
    static var chosen: [HostileCase] {
        guard let text = ProcessInfo.processInfo.environment["CLOISTER_HOSTILE"], !text.isEmpty else { return all }
        let ranges = text.split(separator: ",").compactMap { part -> ClosedRange<Int>? in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            return ends.isEmpty ? nil : ends[0]...ends[ends.count - 1]
        }
        return all.filter { hostile in ranges.contains { $0.contains(hostile.number) } }
    }

    // MARK: Workers

    static let workersFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("cases")

    /// Numbers and paths of all files in `cases/`.
    static func workerFiles() throws -> [(number: Int, file: URL)] {
        try FileManager.default.contentsOfDirectory(at: workersFolder, includingPropertiesForKeys: nil).compactMap { file in
            file.lastPathComponent.split(separator: "-").first.flatMap { Int($0) }.map { ($0, file) }
        }
    }

    /// The source of the case's worker; nil when it has none.
    func worker() throws -> String? {
        try Self.workerFiles().first { $0.number == number }.map { try String(contentsOf: $0.file, encoding: .utf8) }
    }
}

/// One request to the offender.
struct Step: Sendable {
    var path: String
    var method: String
    var body: String?
    /// How many are sent at the same time, each on a connection of its own.
    var times: Int
    var outcome: Outcome

    static func get(_ path: String, times: Int = 1, _ outcome: Outcome) -> Step {
        Step(path: path, method: "GET", body: nil, times: times, outcome: outcome)
    }

    static func post(_ path: String, _ body: String, _ outcome: Outcome) -> Step {
        Step(path: path, method: "POST", body: body, times: 1, outcome: outcome)
    }
}

/// What a request must come to.
enum Outcome: Sendable, CustomStringConvertible {
    /// A refusal of Cloister's own.
    case refused(Int, String)
    /// 200 with this body.
    case answers(String)
    /// Either of two is right.
    indirect case either(Outcome, Outcome)

    func isMet(by response: Response) -> Bool {
        switch self {
        case .refused(let status, let code): response.status == status && response.code == code
        case .answers(let text): response.status == 200 && response.code == nil && response.text == text
        case .either(let one, let other): one.isMet(by: response) || other.isMet(by: response)
        }
    }

    var description: String {
        switch self {
        case .refused(let status, let code): "\(status) \(code)"
        case .answers(let text): "200 \(text)"
        case .either(let one, let other): "\(one) or \(other)"
        }
    }
}

extension Outcome {
    static let cpuLimit = Outcome.refused(503, "cpu_limit")
    static let wallLimit = Outcome.refused(504, "wall_limit")
    static let memoryLimit = Outcome.refused(503, "memory_limit")
    static let exception = Outcome.refused(500, "exception")
    static let startupFailed = Outcome.refused(500, "startup_failed")
    static let cellLost = Outcome.refused(502, "cell_lost")
}
