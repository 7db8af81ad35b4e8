import Glibc
import Sandbox
import Testing

@testable import Supervisor

/// Every row of the self-check fails where its measure is left out. The cells are those of the tests (Tests/TestCell), which can leave out one
/// measure and keep the others.
@Suite(.serialized) struct SelfcheckTests {
    /// It lies beside the test executable.
    static let cell: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count)
        let own = String(decoding: path[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own[...(own.lastIndex(of: "/") ?? own.startIndex)] + "test-cell"
    }()

    private func missing(_ rows: [Selfcheck.Row]) -> [String] { rows.filter { $0.result == .missing }.map(\.measure).sorted() }

    private func measures(without measure: String, isSandboxed: Bool = true) async throws -> [Selfcheck.Row] {
        let selfcheck = try Selfcheck(cell: Self.cell, isSandboxed: isSandboxed, environment: ["TEST_CELL_WITHOUT=\(measure)"])
        let rows = try await selfcheck.measures(jit: true)
        await selfcheck.shutdown()
        return rows
    }

    /// What is left out, and the rows that must say so, and no others.
    static let holes: [(measure: String, rows: [String])] = [
        ("nothing", []),
        (
            // The kernel takes neither filters nor Landlock from who keeps new privileges.
            "filters,landlock,no-new-privileges",
            ["Landlock: files", "no new privileges", "no new privileges, from inside", "seccomp in filter mode", "two filters"]
        ),
        ("early-filter", ["two filters"]), ("steady-filter", ["two filters"]), ("dumpable", ["not dumpable"]),
        ("parent-death", ["ends with its parent"]), ("secure-bits", ["secure bits"]), ("landlock", ["Landlock: files"]),
        (
            "capabilities",
            [
                "ambient set, from inside", "bounding set, from inside", "held capabilities, from inside", "no ambient capabilities",
                "no bounding capabilities", "no effective capabilities", "no inheritable capabilities", "no permitted capabilities",
                "secure bits",
            ]
        ), ("limits", ["limit CORE", "limit MEMLOCK", "limit MSGQUEUE", "limit NOFILE", "limit NPROC"]),
        ("descriptors", ["no descriptors but its own"]), ("priority", ["lower priority"]),
        ("root", ["empty root", "read-only root, the only mount"]),
        ("read-only-root", ["empty root", "no /proc", "read-only root, the only mount"]),
    ]

    @Test(arguments: holes) func aRowIsMissingWhereItsMeasureIs(measure: String, rows: [String]) async throws {
        let found = try await measures(without: measure)
        #expect(missing(found) == rows, "\(found.filter { $0.result == .missing })")
        #expect(found.count > 40)
    }

    /// What the supervisor does for a cell, which no cell can leave out.
    @Test func namespacesAreMissingWithoutASandbox() async throws {
        let found = missing(try await measures(without: "nothing", isSandboxed: false))
        let namespaces = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"].map { "namespace \($0)" }
        // Who is root outside is not somebody else then.
        let ids = geteuid() == 0 ? ["user id outside", "group id outside"] : []
        for row in namespaces + ids + ["user id map", "group id map", "no network", "seccomp in filter mode", "no bounding capabilities"] {
            #expect(found.contains(row), "\(row) is not missing: \(found)")
        }
    }

    @Test func whatNoFilterForbidsIsFoundToWork() async throws {
        let selfcheck = try Selfcheck(cell: Self.cell, environment: ["TEST_CELL_WITHOUT=filters,landlock,limits"])
        // Each dies of its filter, in a cell that has one.
        let names = CellSeal.attempts.filter {
            !["open-passwd", "open-proc", "open-cgroup", "make-file", "open-above-descriptor"].contains($0)
        }
        let rows = try await selfcheck.attempts(names, jit: true)
        await selfcheck.shutdown()
        // What must be missing is; how a crash ends does not depend on filters.
        #expect(missing(rows) == names.map { "may not: \($0)" }.sorted())
    }

    @Test func filesAreFoundWhereThereIsNoEmptyRoot() async throws {
        let selfcheck = try Selfcheck(cell: Self.cell, isSandboxed: false)
        let rows = try await selfcheck.attempts(["open-passwd", "open-proc", "open-root"], jit: true)
        await selfcheck.shutdown()
        #expect(missing(rows) == ["may not: open-passwd", "may not: open-proc", "may not: open-root"])
    }

    @Test func landlockWithoutARestrictionIsMissing() throws {
        let offered = LandlockMeasures.all().filter { $0.result != .notOffered }
        #expect(offered.allSatisfy { $0.result == .proved }, "\(offered)")
        #expect(LandlockMeasures.all(restricts: false).filter { $0.result != .notOffered }.allSatisfy { $0.result == .missing })
    }

    @Test func theWholeTableIsProved() async throws {
        let selfcheck = try Selfcheck(cell: Self.cell)
        let rows = try await selfcheck.run()
        await selfcheck.shutdown()
        #expect(missing(rows).isEmpty, "\(rows.filter { $0.result == .missing })")
        for cell in ["jit", "jit-less", "machine"] { #expect(rows.contains { $0.cell == cell }) }
        #expect(rows.filter { $0.measure.hasPrefix("may not: ") }.count > CellSeal.attempts.count)
    }

    @Test(arguments: [
        (0, SealMeasure.Result.proved), (9, .proved), (4, .proved), (2, .notOffered), (-1, .notOffered), (3, .missing), (5, .missing),
    ]) func speculationIsOffWhereItCanBe(state: Int, result: SealMeasure.Result) {
        let measures = SealReport("store_bypass \(state)\nindirect_branch \(state)\n").measures.filter { $0.name.contains("specul") }
        #expect(measures.count == 2 && measures.allSatisfy { $0.result == result })
    }
}
