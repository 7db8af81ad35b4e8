import ArgumentParser
import Foundation
import Glibc
import Policy

/// The operator's command: asks a running daemon through its admin API.
@main
struct Cloister: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloister", abstract: "Ask a running cloisterd.",
        discussion: "Exit status: 0, 1 the daemon refused, 64 usage, 69 no daemon answers, 77 it wants another token.",
        version: Version.text,
        subcommands: [Status.self, Tenants.self, Cells.self, Isolates.self, Evict.self, Budget.self, Reload.self, Drain.self])
}

/// How answers are shown.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable { case table, json }

struct AdminOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where the daemon's admin API listens.", valueName: "HOST:PORT|unix:PATH"))
    var admin = "127.0.0.1:9090"

    @Option(help: ArgumentHelp("The daemon's state folder, where its token lies (or $CLOISTER_STATE).", valueName: "DIR"))
    var state: String?

    @Option(name: .customLong("token-file"), help: ArgumentHelp("The file with the daemon's token.", valueName: "FILE"))
    var tokenFile: String?

    @Option(name: .shortAndLong, help: "table or json.")
    var output = OutputFormat.table

    func client() throws -> AdminClient { try AdminClient(address: admin, token: try token()) }

    /// What the daemon wants to see. Probes do without it and a socket file knows its user, so that it may be missing unless it was named.
    private func token() throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        let folder =
            state ?? environment["CLOISTER_STATE"] ?? DaemonConfiguration.defaultState(isRoot: geteuid() == 0, environment: environment)
        let path = tokenFile ?? folder + "/admin.token"
        guard let text = Self.read(path) else {
            let why = String(cString: strerror(errno))
            guard tokenFile != nil || state != nil else { return nil }
            throw Self.unusable("the token cannot be read: \(path): \(why)")
        }
        let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw Self.unusable("\(path) holds no token") }
        return token
    }

    /// The beginning of a file, which is all of one with a token; nil with `errno`.
    private static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer {
            let code = errno
            close(descriptor)
            errno = code
        }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// What is named is wrong, and not how: without the text about usage.
    private static func unusable(_ problem: String) -> ExitCode {
        FileHandle.standardError.write(Data("cloister: \(problem)\n".utf8))
        return ExitCode.validationFailure
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Whether the daemon takes requests, and why not. Exit status 69 when not.")
    @OptionGroup var options: AdminOptions

    func run() throws {
        let answer = try options.client().get("/readyz", accepting: [200, 503])
        if options.output == .json {
            print(answer.text, terminator: "")
        } else {
            let readiness = try answer.decode(Readiness.self)
            print(readiness.ready ? "ready" : "not ready")
            for reason in readiness.reasons { print("  \(printable(reason))") }
        }
        if answer.status != 200 { throw ExitCode(AdminClient.unavailable) }
    }
}

struct Tenants: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The tenants, or one of them.")
    @OptionGroup var options: AdminOptions
    @Argument(help: "A tenant's name.") var name: String?

    func run() throws {
        let client = try options.client()
        if let name {
            guard isTenantName(name) else { throw ValidationError("a tenant's name has the letters a to z, digits and -") }
            let answer = try client.get("/v1/tenants/\(name)")
            return options.output == .json ? print(answer.text, terminator: "") : show([try answer.decode(Tenant.self)])
        }
        let answer = try client.get("/v1/tenants")
        options.output == .json ? print(answer.text, terminator: "") : show(try answer.decode([Tenant].self))
    }

    private func show(_ tenants: [Tenant]) {
        printTable(
            ["TENANT", "STATE", "CORDON", "CELL", "SNAPSHOT", "IN FLIGHT", "QUEUED", "OK", "REFUSED", "CPU S", "HOSTS"],
            tenants.map { tenant in
                let ok = tenant.requests["ok"] ?? 0
                let refused = tenant.requests.values.reduce(0, +) - ok
                return [
                    tenant.tenant, tenant.state, tenant.cordon, tenant.cell ?? "-", tenant.snapshot ?? "-", "\(tenant.inFlight)",
                    "\(tenant.queued)", "\(ok)",
                    "\(refused)", fixed(tenant.cpuSeconds), tenant.hosts.joined(separator: ","),
                ]
            })
        for tenant in tenants {
            if let why = tenant.snapshotReason { print("\(tenant.tenant): no snapshot: \(printable(why))") }
            if let error = tenant.startError { print("\(tenant.tenant): did not start: \(printable(error))") }
            for error in tenant.errors { print("\(tenant.tenant): \(printable(error))") }
        }
    }
}

struct Cells: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The cells and what they hold.")
    @OptionGroup var options: AdminOptions

    func run() throws {
        let answer = try options.client().get("/v1/cells")
        if options.output == .json { return print(answer.text, terminator: "") }
        printTable(
            ["CELL", "PID", "STATE", "SANDBOX", "ISOLATES", "IN FLIGHT", "PREEMPTIONS", "COLD STARTS", "CPU S", "MEMORY MIB"],
            try answer.decode([Cell].self).map { cell in
                [
                    cell.cell, "\(cell.pid)", cell.state, cell.sandboxed ? "on" : "OFF", "\(cell.isolates)", "\(cell.inFlight)",
                    "\(cell.preemptions)", "\(cell.coldStarts)", fixed(cell.cpuSeconds), fixed(Double(cell.memoryBytes) / 1_048_576),
                ]
            })
    }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have policies, memory_mb and certificates read again. Exit status 1 when one has errors; what was in force stays.")
    @OptionGroup var options: AdminOptions
    @Flag(help: "Replace all cells by new ones instead, without losing a request: after an update of V8 or of Cloister's cell.")
    var cells = false

    func run() throws {
        if cells {
            var client = try options.client()
            // Cells start one after the other, and each may take 20 s to fail.
            client.timeoutSeconds = 1_200
            let answer = try client.post("/v1/cells/replace")
            let replaced = try answer.decode([String: [String]].self)["replaced"] ?? []
            return print(options.output == .json ? answer.text : "replaced \(replaced.count) cells\n", terminator: "")
        }
        let answer = try options.client().post("/v1/reload")
        let report = try answer.decode(ReloadReport.self)
        if options.output == .json {
            print(answer.text, terminator: "")
        } else {
            print("added \(report.added.count), changed \(report.changed.count), removed \(report.removed.count)")
            for error in report.errors { print(printable(error)) }
        }
        if !report.errors.isEmpty { throw ExitCode.failure }
    }
}

struct Drain: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Have the daemon answer what is in flight and take nothing new.")
    @OptionGroup var options: AdminOptions

    func run() throws {
        let answer = try options.client().post("/v1/drain")
        print(options.output == .json ? answer.text : "draining\n", terminator: "")
    }
}
