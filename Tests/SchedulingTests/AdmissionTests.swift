import Testing

@testable import Scheduling

@Suite struct AdmissionTests {
    private static let tenant = TenantAdmission(concurrency: 2, queue: 2, weight: 100)

    /// As `#expect`, for values that come from changing the admission.
    private func expect<Value: Equatable>(_ value: Value, _ expected: Value, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(value == expected, sourceLocation: sourceLocation)
    }

    private func machine(_ concurrency: Int = 100, cell: Int = 100, queue: Int = 100) -> Admission {
        Admission(AdmissionLimits(machineConcurrency: concurrency, cellConcurrency: cell, machineQueue: queue))
    }

    @Test func aTenantRunsAndQueuesWhatItMayAndNoMore() {
        var admission = machine()
        let cell = admission.addCell()
        let a = admission.addTenant(Self.tenant, in: cell)
        expect((1...5).map { admission.offer($0, of: a) }, [.start, .start, .wait(shed: nil), .wait(shed: nil), .refuse(.tenantBusy)])
        expect(admission.next()?.request, nil)
        admission.ended(a, in: cell)
        expect(admission.next()?.request, 3)
        expect(admission.next()?.request, nil)
        #expect(admission.running(of: a) == 2 && admission.waiting(of: a) == 1)
    }

    @Test func aQueueOfNoneRefusesAtOnce() {
        var admission = machine()
        let a = admission.addTenant(TenantAdmission(concurrency: 1, queue: 0, weight: 1), in: admission.addCell())
        expect(admission.offer(1, of: a), .start)
        expect(admission.offer(2, of: a), .refuse(.tenantBusy))
    }

    @Test func aParkedTenantWaitsAndIsToldThatItIsTheQuota() {
        var admission = machine()
        let a = admission.addTenant(Self.tenant, in: admission.addCell())
        admission.setParked(a, true)
        expect((1...3).map { admission.offer($0, of: a) }, [.wait(shed: nil), .wait(shed: nil), .refuse(.quotaExceeded)])
        expect(admission.next()?.request, nil)
        admission.setParked(a, false)
        expect(admission.next()?.request, 1)
        expect(admission.next()?.request, 2)
    }

    @Test func tenantsThatWaitStartInTurn() {
        var admission = machine(1)
        let cell = admission.addCell()
        let many = TenantAdmission(concurrency: 10, queue: 10, weight: 1)
        let (a, b) = (admission.addTenant(many, in: cell), admission.addTenant(many, in: cell))
        expect(admission.offer(0, of: a), .start)
        for request in UInt64(1)...3 { _ = admission.offer(request, of: a) }
        for request in UInt64(11)...12 { _ = admission.offer(request, of: b) }
        var order: [UInt64] = []
        var runner = a
        for _ in 0..<5 {
            admission.ended(runner, in: cell)
            let request = admission.next()?.request
            order.append(request ?? 0)
            runner = request ?? 0 > 10 ? b : a
        }
        #expect(order == [1, 11, 2, 12, 3])
    }

    @Test func aFullCellHoldsUpOnlyItsOwnTenants() {
        var admission = machine(cell: 1)
        let (one, two) = (admission.addCell(), admission.addCell())
        let (a, b, c) = (
            admission.addTenant(Self.tenant, in: one), admission.addTenant(Self.tenant, in: one), admission.addTenant(Self.tenant, in: two)
        )
        expect(admission.offer(1, of: a), .start)
        expect(admission.offer(2, of: b), .wait(shed: nil))
        expect(admission.next()?.request, nil)
        expect(admission.offer(3, of: c), .start)
        admission.ended(a, in: one)
        expect(admission.next()?.request, 2)
    }

    @Test func aFullMachineQueueShedsTheLightestLatest() {
        var admission = machine(1, queue: 2)
        let cell = admission.addCell()
        func add(_ weight: Int) -> Int { admission.addTenant(TenantAdmission(concurrency: 9, queue: 9, weight: weight), in: cell) }
        let (light, middle, heavy) = (add(1), add(10), add(100))
        expect(admission.offer(1, of: middle), .start)
        expect(admission.offer(2, of: light), .wait(shed: nil))
        expect(admission.offer(3, of: light), .wait(shed: nil))
        // Among equals the newcomer is refused.
        expect(admission.offer(4, of: light), .refuse(.overloaded))
        expect(admission.offer(5, of: middle), .wait(shed: 3))
        expect(admission.offer(6, of: heavy), .wait(shed: 2))
        expect(admission.offer(7, of: heavy), .wait(shed: 5))
        expect(admission.offer(8, of: heavy), .refuse(.overloaded))
        expect(admission.waiting, 2)
    }

    @Test func whatIsCancelledDoesNotStart() {
        var admission = machine(1)
        let cell = admission.addCell()
        let a = admission.addTenant(TenantAdmission(concurrency: 9, queue: 9, weight: 1), in: cell)
        for request in UInt64(1)...3 { _ = admission.offer(request, of: a) }
        expect(admission.cancel(2, of: a), true)
        expect(admission.cancel(1, of: a), false)
        admission.ended(a, in: cell)
        expect(admission.next()?.request, 3)
        expect(admission.waiting, 0)
    }

    /// One cell with one place, which a runner has, and two others that wait for it in turn.
    private func fullCell() -> (admission: Admission, cell: Int, runner: Int, first: Int, second: Int) {
        var admission = machine(cell: 1)
        let cell = admission.addCell()
        let tenants = (0..<3).map { _ in admission.addTenant(Self.tenant, in: cell) }
        expect(admission.offer(1, of: tenants[0]), .start)
        expect(admission.offer(2, of: tenants[1]), .wait(shed: nil))
        expect(admission.offer(3, of: tenants[2]), .wait(shed: nil))
        expect(admission.next()?.request, nil)
        return (admission, cell, tenants[0], tenants[1], tenants[2])
    }

    @Test func aPlaceInACellGoesToTheNextWhenTheFirstDoesNotWaitAnyMore() {
        var (admission, cell, runner, first, _) = fullCell()
        expect(admission.cancel(2, of: first), true)
        admission.ended(runner, in: cell)
        expect(admission.next()?.request, 3)
    }

    @Test func aPlaceInACellGoesToTheNextWhenTheFirstIsParked() {
        var (admission, cell, runner, first, second) = fullCell()
        admission.setParked(first, true)
        admission.ended(runner, in: cell)
        expect(admission.next()?.request, 3)
        admission.setParked(first, false)
        expect(admission.next()?.request, nil)
        admission.ended(second, in: cell)
        expect(admission.next()?.request, 2)
    }

    @Test func aPlaceInACellGoesToTheNextWhenTheFirstMoves() {
        var (admission, cell, runner, first, _) = fullCell()
        let other = admission.addCell()
        // Called, but not started yet.
        admission.ended(runner, in: cell)
        admission.update(first, Self.tenant, in: other)
        expect([admission.next()?.request, admission.next()?.request], [2, 3])
        #expect(admission.cell(of: first) == other)
    }

    @Test func whoMovesDoesNotWaitForTheCellItLeft() {
        var (admission, _, _, first, second) = fullCell()
        admission.update(second, Self.tenant, in: admission.addCell())
        expect(admission.next()?.request, 3)
        admission.update(first, Self.tenant, in: Admission.nowhere)
        expect(admission.next()?.request, 2)
    }

    @Test func nobodyOvertakesThoseThatWaitForACell() {
        var (admission, cell, runner, _, _) = fullCell()
        admission.ended(runner, in: cell)
        expect(admission.offer(4, of: runner), .wait(shed: nil))
        expect(admission.next()?.request, 2)
        expect(admission.next()?.request, nil)
    }

    @Test func aChangedWeightCountsForWhatWaitsAlready() {
        var admission = machine(1, queue: 2)
        let cell = admission.addCell()
        func limits(_ weight: Int) -> TenantAdmission { TenantAdmission(concurrency: 9, queue: 9, weight: weight) }
        let (a, b, heavy) = (
            admission.addTenant(limits(1), in: cell), admission.addTenant(limits(10), in: cell), admission.addTenant(limits(100), in: cell)
        )
        expect(admission.offer(1, of: heavy), .start)
        expect(admission.offer(2, of: a), .wait(shed: nil))
        expect(admission.offer(3, of: b), .wait(shed: nil))
        admission.update(a, limits(50), in: cell)
        expect(admission.offer(4, of: heavy), .wait(shed: 3))
        // What it weighed when it first waited is nothing to what waits now.
        expect(admission.cancel(2, of: a), true)
        admission.update(a, limits(1), in: cell)
        expect(admission.offer(5, of: a), .wait(shed: nil))
        expect(admission.offer(6, of: b), .wait(shed: 5))
    }

    @Test func aRemovedTenantIsNotParkedForGood() {
        var admission = machine()
        let a = admission.addTenant(Self.tenant, in: admission.addCell())
        admission.setParked(a, true)
        expect(admission.offer(1, of: a), .wait(shed: nil))
        admission.removeTenant(a)
        expect(admission.next()?.request, 1)
    }

    @Test func aRemovedTenantThatWaitedGivesItsPlaceBack() {
        var admission = machine(1)
        let cell = admission.addCell()
        let a = admission.addTenant(Self.tenant, in: cell)
        for request in UInt64(1)...2 { _ = admission.offer(request, of: a) }
        admission.ended(a, in: cell)
        expect(admission.next()?.request, 2)
        admission.ended(a, in: cell)
        admission.removeTenant(a)
        expect(admission.addTenant(Self.tenant, in: cell), a)
    }

    @Test func aTenantsPlaceIsUsedAgainOnlyWhenNothingOfItIsLeft() {
        var admission = machine()
        let cell = admission.addCell()
        let a = admission.addTenant(Self.tenant, in: cell)
        expect(admission.offer(1, of: a), .start)
        admission.removeTenant(a)
        let other = admission.addTenant(Self.tenant, in: cell)
        #expect(other != a)
        admission.ended(a, in: cell)
        expect(admission.addTenant(Self.tenant, in: cell), a)
    }
}
