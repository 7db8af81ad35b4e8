@testable import Scheduling

/// Tenants that move, change, come and go, and cells that are lost.
extension SchedulerSimulation {
    mutating func addCell() -> Int {
        let cell = admission.addCell()
        model.addCell(cell)
        return cell
    }

    /// A tenant comes to the admission.
    mutating func enter(_ index: Int) throws {
        let cell = below(10) == 0 ? Admission.nowhere : cells[below(cells.count)]
        tenants[index].cell = cell
        tenants[index].place = admission.addTenant(tenants[index].admission, in: cell)
        try model.add(tenants[index].place, tenants[index].admission, in: cell)
    }

    /// What waits and runs of it goes on.
    mutating func leave(_ index: Int) {
        admission.removeTenant(tenants[index].place)
        model.remove(tenants[index].place)
        tenants[index].parkedUntil = nil
    }

    mutating func makeEntity(_ index: Int) {
        tenants[index].quota = tenants[index].quotaMilliseconds.map { QuotaModel(milliseconds: $0, now: now) }
        let quota = tenants[index].quotaMilliseconds.map { CPUQuota(millisecondsPerSecond: $0, now: now) }
        tenants[index].slot = queue.add(weight: tenants[index].weight, quota: quota)
        tenants[index].runnableSince = nil
        tenants[index].isBusy = false
        bySlot[tenants[index].slot] = index
    }

    mutating func update(_ index: Int, in cell: Int) {
        tenants[index].cell = cell
        admission.update(tenants[index].place, tenants[index].admission, in: cell)
        model.update(tenants[index].place, tenants[index].admission, in: cell)
    }

    mutating func cancel(_ id: Int) throws {
        let hasWaited = admission.cancel(UInt64(id), of: requests[id].place)
        try model.cancelled(id, requests[id].place, hasWaited)
        guard hasWaited else { return }
        happened[.cancelled, default: 0] += 1
        try end(id)
    }

    /// A tenant moves, is weighed or limited anew, or is removed and comes back as another.
    mutating func change() throws {
        at(now + exponential(20_000_000), .change)
        let index = below(tenants.count)
        let waits = model.waiting(tenants[index].place) > 0 ? 1 : 0
        switch below(4) {
        case 0:
            happened[.movedWaiting, default: 0] += waits
            update(index, in: cells[below(cells.count)])
        case 1:
            happened[.weighedWaiting, default: 0] += waits
            tenants[index].admission.weight = [1, 10, 100, 1000, 10_000][below(5)]
            update(index, in: tenants[index].cell)
        case 2:
            tenants[index].admission.concurrency = 1 + below(8)
            tenants[index].admission.queue = max(below(17), model.waiting(tenants[index].place))
            update(index, in: cells[below(cells.count)])
        default:
            happened[.removedWaiting, default: 0] += waits
            leave(index)
            try enter(index)
        }
    }

    /// All that runs in a cell is lost, and answered so. Tenants that ran there come back as new entities, with a quota that is full, since a
    /// new cell knows nothing of what the old one counted; who is parked in the admission stays so.
    mutating func loseCell() throws {
        at(now + 50_000_000 + exponential(500_000_000 << UInt64(below(6))), .cellLost)
        let which = below(cells.count)
        let lost = cells[which]
        admission.removeCell(lost)
        model.removeCell(lost)
        for index in tenants.indices where tenants[index].inbox.contains(where: { requests[$0.id].cell == lost }) {
            if let worker = workers.firstIndex(where: { $0.tenant == index }) {
                charge(worker, index)
                workers[worker].stuckUntil = 0
                queue.sleep(tenants[index].slot)
            }
            bySlot[tenants[index].slot] = nil
            queue.remove(tenants[index].slot)
            makeEntity(index)
            let held = tenants[index].inbox
            tenants[index].inbox = held.filter { requests[$0.id].cell != lost }
            for request in held where requests[request.id].cell == lost {
                happened[.lost, default: 0] += 1
                try end(request.id)
            }
            if !tenants[index].inbox.isEmpty { wake(index) }
        }
        cells[which] = addCell()
        // Some are told at once where they live now.
        for index in tenants.indices where tenants[index].cell == lost && below(2) == 0 { update(index, in: cells[below(cells.count)]) }
    }
}
