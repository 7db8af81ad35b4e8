import Policy
import Testing
import Wire

@testable import Supervisor

/// What a cell takes of the memory that is there for all, and hides.
@Suite(.timeLimit(.minutes(2))) struct HostileMemoryTests {
    private static let gibibyte: UInt64 = 1 << 30

    /// A supervisor with a budget of 2,000 GiB and two cells of one tenant each; the request of the first goes on.
    private func twoCells(memoryMegabytes: Int = 128) async throws -> TestSupervisor {
        let machine = MachineMemory(limitBytes: 1 << 60, availableBytes: 1 << 59, pressure: 0)
        let tenants = [TenantPolicy.test("a") { $0.memoryMegabytes = memoryMegabytes }, .test("b")]
        let test = try await TestSupervisor(tenants) {
            $0.isolatesPerCell = 1
            $0.memoryBudgetBytes = 2_000 * Self.gibibyte
            $0.machineMemory = { machine }
        }
        _ = try await test.request("a")
        let first = try await test.readyCell()
        try await first.nextRequest()
        let client = try await test.request("b")
        let second = try await test.readyCell()
        second.answer(try await second.nextRequest().id)
        _ = try await client.next()
        return test
    }

    /// For so many seconds the first cell holds far more than the budget and accounts for `accounted` of it, and the other what it may, of 1,500 GiB.
    /// - Returns: after each, whether the first is to be replaced as damaged, and what the other may hold.
    private func seconds(_ count: Int, of test: TestSupervisor, accounted: UInt64) async throws
        -> [(isDamaged: Bool, budgetBytes: UInt64)]
    {
        try await test.onLoop { supervisor in
            (0..<count).map { _ -> (isDamaged: Bool, budgetBytes: UInt64) in
                let cells = supervisor.cells[Supervisor.sharedKey]!
                cells[0].memoryBytes = 60_000 * Self.gibibyte
                cells[0].status.isolateBytes = accounted
                let held = cells[1].budgetBytes == 0 ? 1_500 * Self.gibibyte : min(1_500 * Self.gibibyte, cells[1].budgetBytes)
                cells[1].memoryBytes = held
                cells[1].status.isolateBytes = held
                supervisor.shareMemory()
                return (cells[0].isDamaged, cells[1].budgetBytes)
            }
        }
    }

    /// Not for what its tenants may hold whose requests it has.
    @Test(arguments: [false, true]) func aCellThatDoesNotGiveMemoryBackIsReplaced(isInUse: Bool) async throws {
        let test = try await twoCells(memoryMegabytes: isInUse ? 64 << 20 : 128)
        let found = try await seconds(31, of: test, accounted: 60_000 * Self.gibibyte).map(\.isDamaged)
        #expect(found.prefix(30).allSatisfy { !$0 } && found.last == !isInUse)
        #expect(try await test.onLoop { $0.allCells.count } == (isInUse ? 2 : 3))
        let isOtherSound = try await test.onLoop { !$0.cells[Supervisor.sharedKey]![1].isDamaged }
        #expect(isOtherSound)
    }

    @Test func aCellThatAccountsForNothingLeavesTheOthersSomething() async throws {
        let test = try await twoCells()
        let told = try await seconds(1, of: test, accounted: 0).map(\.budgetBytes)
        #expect(told[0] > 40 * Self.gibibyte, "\(told)")
    }

    @Test func whatCannotBeReadLeavesWhatWasKnown() async throws {
        let test = try await twoCells()
        let held = try await test.onLoop { supervisor in
            let cell = supervisor.cells[Supervisor.sharedKey]![0]
            return [Self.gibibyte, 0, nil].map { bytes -> UInt64 in
                supervisor.noteMemory(bytes, of: cell)
                return cell.memoryBytes
            }
        }
        #expect(held == [Self.gibibyte, Self.gibibyte, Self.gibibyte])
    }

    @Test func aProcessWhoseFirstThreadHasEndedShowsNothing() {
        #expect(ProcessMemory.privateBytes(inStatus: "Name:\tcell\nRssAnon:\t  12 kB\nVmSwap:\t  4 kB\n") == 16 << 10)
        #expect(ProcessMemory.privateBytes(inStatus: "Name:\tcell\nState:\tZ (zombie)\nThreads:\t9\n") == 0)
        #expect(ProcessMemory.privateBytes(of: ProcessMemory.ownPID) ?? 0 > 0 && ProcessMemory.privateBytes(of: 0) == nil)
    }
}
