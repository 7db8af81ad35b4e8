import Foundation
import Scheduling

/// The workloads, by name.
public enum Scenario: String, CaseIterable, Sendable {
    /// One small handler for each tenant.
    case hello
    /// 99.5 % of the requests take 0.1 ms of CPU time, 0.5 % take 100 ms.
    case bimodal
    /// Five kinds of requests between 0.1 and 2 ms.
    case tpcc
    /// Exponentially distributed around 0.2 ms.
    case exponential
    /// Few hot tenants, many rare ones, durations over five orders of magnitude.
    case azure
    /// Small handlers alone, then beside tenants that never stop: groups `victims_alone`, `victims`, `hogs`.
    case hogs
    /// Tenants of different weights that always have something to do.
    case weights
    /// As many requests as are answered, tenants by Zipf's law.
    case zipf
    /// Tenants come and go while others are called.
    case churn
    /// A mix for a long time; watches memory.
    case soak
    /// The first answer of tenants that were never seen before, one after the other.
    case coldstart
    /// Tenants that were called once and do nothing: the memory each adds.
    case idle
    /// Each tenant called once, then all of them now and then.
    case resident
    /// More tenants than the memory budget has room for.
    case pressure
    /// Every request hits a tenant that was evicted; groups `small` and `large` (a bundle of a megabyte).
    case revive
    /// Very many tenants, few of them active.
    case registered

    /// What the offered load should be where only the workers' part is known.
    public static let defaultLoad = 0.8

    static let helloSource = "export default { fetch() { return new Response('hello world'); } };"
    /// Takes CPU time: the path is the number of rounds of a linear congruential generator.
    static let spinSource = """
        export default { fetch(request) {
          const rounds = Number(request.url.slice(request.url.lastIndexOf('/') + 1));
          let x = 1;
          for (let i = 0; i < rounds; i++) x = (Math.imul(x, 1103515245) + 12345) | 0;
          return new Response(String(x));
        } };
        """
    /// Limits under which nothing is cut off.
    static let freePolicy = "limits: { cpu_ms: 300000, wall_ms: 600000, cpu_quota_ms_per_s: 1000000, concurrency: 1024, queue: 4096 }"
    /// Likewise, for tenants whose code takes its time to start.
    static let startPolicy = freePolicy.replacing(" }", with: ", startup_cpu_ms: 5000 }")

    /// The kinds of tenants that never stop, by name; some look at interrupts, others sit in one builtin after the other.
    static let hogSources = [
        ("loop", "export default { fetch() { for (;;) {} } };"),
        ("regexp", "export default { fetch() { const s = 'a'.repeat(28) + 'b'; for (;;) /^(a+)+$/.test(s); } };"),
        ("json", "const s = '[' + '{\"a\":[1,2,3]},'.repeat(50000) + '0]'; export default { fetch() { for (;;) JSON.parse(s); } };"),
        (
            "sort",
            "const a = Float64Array.from({ length: 300000 }, (_, i) => (i * 7919) % 300007); export default { fetch() { for (;;) a.slice().sort(); } };"
        ),
        ("fill", "const a = new Array(2000000); export default { fetch() { for (;;) a.fill(1); } };"),
        ("bigint", "const a = 3n ** 60000n; export default { fetch() { for (;;) a * a * a; } };"),
        (
            "wasm",
            """
            const code = Uint8Array.of(0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,7,8,1,4,108,111,111,112,0,0,10,9,1,7,0,3,64,12,0,11,11);
            let loop;
            export default { async fetch() { loop ??= (await WebAssembly.instantiate(code)).instance.exports.loop; loop(); } };
            """
        ),
        ("join", "const a = Array.from({ length: 200000 }, (_, i) => 'x' + i); export default { fetch() { for (;;) a.join(','); } };"),
    ]

    /// Its tenants and phases: with the same parameters the same, down to each planned request.
    public func workload(_ parameters: ScenarioParameters) -> Workload {
        switch self {
        case .hello: open(parameters, group: "hello")
        case .bimodal: timed(parameters, .bimodal)
        case .tpcc: timed(parameters, .tpcc)
        case .exponential, .soak: timed(parameters, .exponential)
        case .azure: timed(parameters, .azure)
        case .hogs: hogs(parameters)
        case .weights: weights(parameters)
        case .zipf: zipf(parameters)
        case .churn: churn(parameters)
        case .coldstart, .idle: once(parameters, sparse: false)
        case .resident: once(parameters, sparse: true)
        case .pressure: pressure(parameters)
        case .revive: revive(parameters)
        case .registered: registered(parameters)
        }
    }

    /// Requests a second that the plan has, without those who come and go: what was asked for, else what is usual; 0: clients wait for answers.
    func offeredRate(_ parameters: ScenarioParameters) -> Double {
        func busy(_ times: ServiceTimes) -> Double {
            parameters.rate ?? parameters.load * Double(parameters.workers) / times.meanNanoseconds * 1e9
        }
        return switch self {
        case .hello: parameters.rate ?? 500
        case .bimodal: busy(.bimodal)
        case .tpcc: busy(.tpcc)
        case .exponential, .soak: busy(.exponential)
        case .azure: busy(.azure)
        case .hogs, .churn, .pressure: parameters.rate ?? 300
        case .registered: parameters.rate ?? 200
        case .coldstart, .idle, .resident, .revive: parameters.rate ?? 100
        case .weights, .zipf: 0
        }
    }

    /// Requests that are planned at the most. Each takes 32 bytes, twice that while a plan is split.
    static let planLimit = 50_000_000
    /// Requests a second: with fewer, a plan lasts for years.
    public static let leastRate = 0.001

    /// What is wrong with parameters that are within their own limits. Nil: nothing.
    public func problem(_ parameters: ScenarioParameters) -> String? {
        if self == .revive, parameters.tenants <= Self.reviveIsolates {
            return "--tenants must be above \(Self.reviveIsolates) in revive: so many isolates may live, and nobody would be revived"
        }
        if self == .weights || self == .zipf { return nil }
        let rate = offeredRate(parameters)
        guard rate >= Self.leastRate else { return "\(rate) requests/s are too few, the least is \(Self.leastRate): raise --load" }
        // Each tenant once.
        if self == .coldstart || self == .idle { return nil }
        let planned = rate * (parameters.warmUpSeconds + parameters.seconds * (self == .hogs ? 2 : 1))
        guard planned <= Double(Self.planLimit) else {
            return "some \(Int(planned)) requests are too many to plan, the most are \(Self.planLimit): lower --duration, --rate or --load"
        }
        return nil
    }

    private func tenants(_ count: Int, _ source: String, policy: String = freePolicy) -> [Workload.Tenant] {
        (0..<count).map { Workload.Tenant("t\($0)", source, policy: policy) }
    }

    /// Each tenant once, so that its isolate is there.
    static func visit(_ count: Int, rate: Double, group: Int = 0, service: UInt64 = 0, times: Int = 1) -> Workload.Phase {
        let arrivals = (0..<count * times).map {
            Workload.Arrival(nanoseconds: UInt64(Double($0) / rate * 1e9), tenant: $0 % count, group: group, serviceNanoseconds: service)
        }
        return Workload.Phase(seconds: Double(count * times) / rate, arrivals: arrivals, isMeasured: false)
    }

    private func open(_ parameters: ScenarioParameters, group: String) -> Workload {
        var random = SplitMix64(seed: parameters.seed)
        let rate = offeredRate(parameters)
        let plan = Arrivals.poisson(rate: rate, seconds: parameters.seconds, &random) { random in
            (Int.random(in: 0..<parameters.tenants, using: &random), 0, 0)
        }
        return Workload(
            tenants: tenants(parameters.tenants, Self.helloSource), groups: [group],
            phases: [Self.visit(parameters.tenants, rate: 200), .init(seconds: parameters.seconds, arrivals: plan)], offeredRate: rate)
    }

    /// Those who come and go are called besides, once they are there.
    private func churn(_ parameters: ScenarioParameters) -> Workload {
        var workload = open(parameters, group: "stayers")
        workload.groups.append("passers_by")
        workload.offeredRate += Double(TenantChurn.calls(inSeconds: parameters.seconds)) / parameters.seconds
        workload.reportedGroups.append(1)
        return workload
    }

    private func timed(_ parameters: ScenarioParameters, _ times: ServiceTimes) -> Workload {
        var random = SplitMix64(seed: parameters.seed)
        let rate = offeredRate(parameters)
        // Where short and long requests are told apart, so are their tenants: a tenth has the long ones.
        let separates = self == .bimodal && parameters.tenants > 1
        let long = max(1, parameters.tenants / 10)
        let seconds = parameters.warmUpSeconds + parameters.seconds
        let plan =
            if self == .azure {
                AzureCalls.arrivals(tenants: parameters.tenants, rate: rate, seconds: seconds, &random) { random in
                    let (kind, service) = times.draw(&random)
                    return (kind, service)
                }
            } else {
                Arrivals.poisson(rate: rate, seconds: seconds, &random) { random in
                    let (kind, service) = times.draw(&random)
                    let tenant = Int.random(in: 0..<parameters.tenants, using: &random)
                    guard separates else { return (tenant, kind, service) }
                    return (kind == 0 ? long + tenant % (parameters.tenants - long) : tenant % long, kind, service)
                }
            }
        let (before, measured) = plan.split(atSeconds: parameters.warmUpSeconds)
        // Long enough that V8 optimises each tenant's loop.
        var phases = [Self.visit(parameters.tenants, rate: 50, service: 3_000_000, times: 5)]
        // And that it has done so for the handlers at the mix that is measured: all tenants' reach that at the same time.
        if parameters.warmUpSeconds > 0 { phases.append(.init(seconds: parameters.warmUpSeconds, arrivals: before, isMeasured: false)) }
        phases.append(.init(seconds: parameters.seconds, arrivals: measured))
        return Workload(
            tenants: self == .azure
                ? Self.sized(parameters) { "// \($0)\n\(Self.spinSource)" } : tenants(parameters.tenants, Self.spinSource),
            groups: times.kinds.map(\.group), phases: phases, offeredRate: rate,
            needsCalibration: true)
    }

    private func hogs(_ parameters: ScenarioParameters) -> Workload {
        var random = SplitMix64(seed: parameters.seed)
        let rate = offeredRate(parameters)
        func victims(_ group: Int) -> [Workload.Arrival] {
            Arrivals.poisson(rate: rate, seconds: parameters.seconds, &random) { random in
                (Int.random(in: 0..<parameters.tenants, using: &random), group, 0)
            }
        }
        let hogs = Self.hogSources.map {
            Workload.Tenant("hog-\($0.0)", $0.1, policy: Self.startPolicy)
        }
        let loops = hogs.indices.map { Workload.Loop(tenants: [parameters.tenants + $0], group: 2) }
        var workload = Workload(
            tenants: tenants(parameters.tenants, Self.helloSource) + hogs, groups: ["victims", "victims_alone", "hogs"],
            phases: [
                Self.visit(parameters.tenants, rate: 200), .init(seconds: parameters.seconds, arrivals: victims(1)),
                // The hogs begin before it counts.
                .init(seconds: 1, loops: loops, isMeasured: false), .init(seconds: parameters.seconds, arrivals: victims(0), loops: loops),
            ], offeredRate: rate)
        workload.reportedGroups = [0]
        return workload
    }

    /// Weights that tenants of `weights` have, in turn.
    static let weightSteps = [100, 200, 400, 800]

    private func weights(_ parameters: ScenarioParameters) -> Workload {
        let tenants = (0..<parameters.tenants).map {
            Workload.Tenant(
                "t\($0)", Self.spinSource, policy: "weight: \(Self.weightSteps[$0 % Self.weightSteps.count])\n\(Self.freePolicy)")
        }
        // Enough for as long as the kernel may hold up the clients: who runs out of requests is not always busy.
        let loops = tenants.indices.map { Workload.Loop(tenants: [$0], group: 0, serviceNanoseconds: 2_000_000, count: 4) }
        var workload = Workload(
            tenants: tenants, groups: ["all"],
            phases: [
                Self.visit(parameters.tenants, rate: 50, service: 3_000_000, times: 2), .init(seconds: 1, loops: loops, isMeasured: false),
                .init(seconds: parameters.seconds, loops: loops),
            ], offeredRate: 0, needsCalibration: true)
        for number in tenants.indices { workload.weights[number] = Double(Self.weightSteps[number % Self.weightSteps.count]) }
        return workload
    }

    /// Clients at once in `zipf`.
    static let zipfClients = 64

    private func zipf(_ parameters: ScenarioParameters) -> Workload {
        let all = Array(0..<parameters.tenants)
        let loop = Workload.Loop(
            tenants: all, popularity: Popularity.zipf(parameters.tenants, exponent: 1.1), group: 0, count: Self.zipfClients)
        return Workload(
            tenants: tenants(parameters.tenants, Self.helloSource), groups: ["all"],
            phases: [
                Self.visit(parameters.tenants, rate: 200), .init(seconds: parameters.warmUpSeconds, loops: [loop], isMeasured: false),
                .init(seconds: parameters.seconds, loops: [loop]),
            ], offeredRate: 0)
    }

    private func once(_ parameters: ScenarioParameters, sparse: Bool) -> Workload {
        var random = SplitMix64(seed: parameters.seed)
        let rate = offeredRate(parameters)
        var first = Self.visit(parameters.tenants, rate: rate)
        first.isMeasured = true
        var phases = [first]
        if sparse {
            let plan = Arrivals.poisson(rate: rate, seconds: parameters.seconds, &random) { random in
                (Int.random(in: 0..<parameters.tenants, using: &random), 1, 0)
            }
            phases.append(.init(seconds: parameters.seconds, arrivals: plan))
        }
        return Workload(
            tenants: tenants(parameters.tenants, Self.helloSource), groups: sparse ? ["first", "again"] : ["first"], phases: phases,
            offeredRate: rate)
    }
}

/// When requests are to be sent: decided before the run, whatever the answers take, so that a slow server cannot slow the load down.
enum Arrivals {
    /// A Poisson process.
    /// - Parameter draw: the tenant, group and service time in nanoseconds of each.
    static func poisson(
        rate: Double, seconds: Double, _ random: inout SplitMix64, draw: (inout SplitMix64) -> (tenant: Int, group: Int, service: UInt64)
    ) -> [Workload.Arrival] {
        precondition(rate > 0 && seconds > 0, "a plan needs a rate and a duration")
        var arrivals: [Workload.Arrival] = []
        var time = 0.0
        while true {
            // The gaps of a Poisson process are exponential: -ln(u) / rate.
            time += -log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &random)) / rate
            guard time < seconds else { return arrivals }
            let (tenant, group, service) = draw(&random)
            arrivals.append(.init(nanoseconds: UInt64(time * 1e9), tenant: tenant, group: group, serviceNanoseconds: service))
        }
    }
}
