import ArgumentParser
import Foundation
import LoadHarness
import Policy

/// The load generator's command.
@main
struct CloisterLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloister-load", abstract: "Open-loop load, measured from when each request was due.", version: Version.text,
        subcommands: [Run.self, Compare.self, Starts.self])

    static func main() async {
        ChildProcess.endWithSignals()
        raiseFileLimit()
        await main(nil)
    }

    /// As far as the system allows: each connection takes a descriptor, and 1,024 is the usual limit.
    private static func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

extension Scenario: ExpressibleByArgument {}

/// What both commands take.
struct ScenarioOptions: ParsableArguments {
    @Option(help: "\(Scenario.allCases.map(\.rawValue).joined(separator: ", ")).") var scenario: Scenario
    @Option(help: "Tenants that are called.") var tenants: Int?
    @Option(help: "Requests a second; without it, as --load says where requests take CPU time.") var rate: Double?
    @Option(help: "The part of the workers that bimodal, tpcc, exponential, azure and soak keep busy.") var load = Scenario.defaultLoad
    @Option(help: "Seconds that are measured.") var duration = 5.0
    @Option(
        help: """
            Seconds of the same load before it counts, in which V8 optimises and memory fills: of zipf and where requests take CPU time 3, of \
            pressure and registered 30.
            """) var warmUp: Double?
    @Option(help: "Seed of arrivals and service times.") var seed: UInt64 = 1
    @Option(help: "Worker threads a cell.") var workers = 1
    @Option(help: "Bytes of each bundle of azure, pressure and registered; without it lognormal, median 20 KB, 1 % above 2 MB.")
    var bundleBytes: Int?

    func validate() throws {
        guard (1...50_000).contains(tenants ?? 1) else { throw ValidationError("--tenants must be 1 to 50000") }
        guard rate.map({ $0 >= Scenario.leastRate && $0 <= 1_000_000 }) ?? true else {
            throw ValidationError("--rate must be \(Scenario.leastRate) to 1000000")
        }
        guard load > 0, load <= 10 else { throw ValidationError("--load must be above 0, at most 10") }
        guard duration > 0, duration <= 86_400 else { throw ValidationError("--duration must be above 0, at most 86400") }
        guard (0...3_600).contains(warmUp ?? 0) else { throw ValidationError("--warm-up must be 0 to 3600") }
        guard (0...10_000_000).contains(bundleBytes ?? 0) else { throw ValidationError("--bundle-bytes must be 0 to 10000000") }
        guard (1...256).contains(workers) else { throw ValidationError("--workers must be 1 to 256") }
        if let problem = scenario.problem(parameters) { throw ValidationError(problem) }
    }

    var parameters: ScenarioParameters {
        ScenarioParameters(
            tenants: tenants ?? scenario.usualTenants, rate: rate, load: load, seconds: duration,
            warmUpSeconds: warmUp ?? scenario.usualWarmUpSeconds, seed: seed, workers: workers,
            bundleBytes: bundleBytes)
    }
}

extension Scenario {
    /// Tenants where none are asked for.
    var usualTenants: Int {
        switch self {
        case .hello: 1
        case .bimodal, .tpcc, .exponential, .soak, .churn: 20
        case .azure, .hogs, .coldstart, .idle: 100
        case .weights: 8
        case .zipf, .resident: 1_000
        case .pressure: 2_000
        case .revive: 64
        case .registered: 50_000
        }
    }
}

/// What Cloister is compared with.
struct PeerOptions: ParsableArguments {
    @Option(
        help: "Runtimes, separated by commas, looked for in --peers-folder and in PATH; those that are not found are named and left out.")
    var peers = "deno,node,bun"
    @Option(name: .customLong("peers-folder"), help: "Where scripts/peers installed them.") var peersFolder = ".build-peers/bin"
    @Option(help: "Folder with workers.js and processes.js.") var programs = "Integration/Peers"

    func systems(modes: [PeerSystem.Mode], memoryMegabytes: Int? = nil) -> [PeerSystem] {
        peers.split(separator: ",").map(String.init).flatMap { peer -> [PeerSystem] in
            guard let runtime = PeerSystem.find(peer, in: peersFolder) else {
                say("\(peer): not found; scripts/peers installs it")
                return []
            }
            return modes.map {
                PeerSystem(runtime: peer, executable: runtime, mode: $0, programs: programs, memoryMegabytes: memoryMegabytes)
            }
        }
    }
}

/// `cloisterd` beside this executable.
func daemonBeside() -> String {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("cloisterd").path
}

/// - Throws: when no file can be written there, which nobody wants to know only after the run.
func checkWritable(_ path: String?) throws {
    guard let path else { return }
    // Standard output, too, may be named by a path, and is no folder.
    var isFolder: ObjCBool = false
    let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    let place = isThere ? path : URL(fileURLWithPath: path).deletingLastPathComponent().path + "/."
    guard access(place, W_OK) == 0 else { throw ValidationError("\(path) cannot be written: \(String(cString: strerror(errno)))") }
    if isFolder.boolValue { throw ValidationError("\(path) is a folder") }
}

func say(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

func encode(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return try encoder.encode(value) + Data("\n".utf8)
}
