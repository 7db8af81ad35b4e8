import Foundation
import Scheduling

/// Scenarios about memory: more tenants than may be hot at once.
extension Scenario {
    /// Whether it is about evictions and revivals.
    var isAboutMemory: Bool { [.pressure, .revive, .registered].contains(self) }

    /// The daemon's configuration where the command line names none.
    public var usualConfiguration: String {
        switch self {
        // Far below what all tenants' isolates would take.
        case .pressure: configuration(memoryMegabytes: 512)
        case .registered: configuration(memoryMegabytes: 4_096)
        default: configuration(memoryMegabytes: nil)
        }
    }

    /// The daemon's configuration with another budget; nil: with what a daemon takes that is told none.
    public func configuration(memoryMegabytes: Int?) -> String {
        let cells =
            switch self {
            case .pressure: "cells_per_cordon: 1\nisolates_per_cell: 6000\n"
            // Whoever is called next was evicted long ago.
            case .revive: "cells_per_cordon: 1\nisolates_per_cell: \(Self.reviveIsolates)\n"
            case .registered: "cells_per_cordon: 2\nisolates_per_cell: 6000\n"
            default: ""
            }
        return (memoryMegabytes.map { "memory_mb: \($0)\n" } ?? "") + cells
    }

    /// Seconds of the same load before it counts, where the command line does not say.
    public var usualWarmUpSeconds: Double { [.pressure, .registered].contains(self) ? 30 : 3 }

    static let reviveIsolates = 4
    /// One in so many tenants of `revive` has the large bundle.
    private static let largeEvery = 16

    /// A router with templates of about a megabyte, most of whose start is making regular expressions and functions.
    static let routerSource: String = {
        var lines = [
            """
            const routes = new Map();
            const compile = (text) => {
              const parts = text.split(/\\{\\{(\\w+)\\}\\}/);
              return (data) => { let out = ''; for (let i = 0; i < parts.length; i++) out += i % 2 ? data[parts[i]] : parts[i]; return out; };
            };
            const add = (path, template, handler) => {
              const names = [];
              const pattern = new RegExp('^' + path.replace(/:(\\w+)/g, (_, name) => { names.push(name); return '([^/]+)'; }) + '$');
              const first = path.split('/')[2];
              if (!routes.has(first)) routes.set(first, []);
              routes.get(first).push({ pattern, names, render: compile(template), handler });
            };
            """
        ]
        for number in 0..<2_500 {
            lines.append(
                """
                add('/api/r\(number)/:id/items/:item', `<html><head><title>{{title}} \(number)</title></head><body><h1>{{name}}</h1><ul><li>{{a}}</li>\
                <li>{{b}}</li></ul><p>route \(number) lorem ipsum dolor sit amet consectetur adipiscing elit sed do</p></body></html>`, \
                function handler\(number)(params) { const total = Object.keys(params).length + \(number); \
                return { title: 'r\(number)', name: params.id, a: params.item, b: total * \(number % 17) }; });
                """)
        }
        lines.append(
            """
            export default { fetch(request) {
              const path = '/api/r7/x/items/y';
              for (const route of routes.get('r7')) {
                const found = route.pattern.exec(path);
                if (!found) continue;
                const params = {};
                route.names.forEach((name, index) => { params[name] = found[index + 1]; });
                return new Response(route.render(route.handler(params)));
              }
              return new Response('none', { status: 404 });
            } };
            """)
        return lines.joined(separator: "\n")
    }()

    /// Every request hits a tenant that was evicted.
    func revive(_ parameters: ScenarioParameters) -> Workload {
        let tenants = (0..<parameters.tenants).map { number in
            Workload.Tenant("t\(number)", Self.isLarge(number) ? Self.routerSource : Self.smallSource(number), policy: Self.startPolicy)
        }
        let rate = offeredRate(parameters)
        var random = SplitMix64(seed: parameters.seed)
        // In turn, at random times: whoever comes next was called longest ago.
        var next = 0
        let arrivals = Arrivals.poisson(rate: rate, seconds: parameters.seconds, &random) { _ in
            defer { next += 1 }
            let tenant = next % parameters.tenants
            return (tenant, Self.isLarge(tenant) ? 1 : 0, 0)
        }
        return Workload(
            tenants: tenants, groups: ["small", "large"],
            phases: [Self.visit(parameters.tenants, rate: 50), .init(seconds: parameters.seconds, arrivals: arrivals)], offeredRate: rate)
    }

    private static func isLarge(_ number: Int) -> Bool { number % largeEvery == largeEvery - 1 }

    /// Tenants whose code differs, so that their snapshots do.
    static func smallSource(_ number: Int) -> String {
        "const own = { number: \(number), text: 'tenant \(number)' }; export default { fetch() { return new Response(own.text); } };"
    }

    /// Tenants whose bundles are as large as they are said to be in clouds, or as asked for. What starts so much code may take its time.
    static func sized(_ parameters: ScenarioParameters, _ source: (Int) -> String) -> [Workload.Tenant] {
        var random = SplitMix64(seed: parameters.seed ^ 0x512e5)
        return (0..<parameters.tenants).map { number in
            let drawn = BundleSizes.draw(&random)
            return Workload.Tenant("t\(number)", source(number), policy: startPolicy, bundleBytes: parameters.bundleBytes ?? drawn)
        }
    }

    /// Azure's popularity over more tenants than fit.
    func pressure(_ parameters: ScenarioParameters) -> Workload {
        mixed(parameters, first: [Self.visit(parameters.tenants, rate: 100)])
    }

    /// Very many tenants, few of them active.
    func registered(_ parameters: ScenarioParameters) -> Workload {
        mixed(parameters, first: [])
    }

    private func mixed(_ parameters: ScenarioParameters, first: [Workload.Phase]) -> Workload {
        var random = SplitMix64(seed: parameters.seed)
        let rate = offeredRate(parameters)
        // Before it counts, those that are called often have come, and, where it lasts for four of their periods, the timers among them are known for
        // what they are.
        let warmUpSeconds = parameters.warmUpSeconds
        let (before, measured) = AzureCalls.arrivals(
            tenants: parameters.tenants, rate: rate, seconds: warmUpSeconds + parameters.seconds, &random
        ).split(atSeconds: warmUpSeconds)
        let warmUp = warmUpSeconds > 0 ? [Workload.Phase(seconds: warmUpSeconds, arrivals: before, isMeasured: false)] : []
        return Workload(
            tenants: Self.sized(parameters) { Self.smallSource($0) },
            groups: ["all"], phases: first + warmUp + [.init(seconds: parameters.seconds, arrivals: measured, goesOn: !warmUp.isEmpty)],
            offeredRate: rate)
    }
}
