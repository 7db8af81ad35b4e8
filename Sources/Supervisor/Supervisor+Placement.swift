import NIOCore
import Policy
import Scheduling
import Wire

/// Which cell a tenant lives in, how cells are added and replaced, and what share of the machine each has.
extension Supervisor {
    /// All cells that have a process.
    var allCells: [Cell] { cells.values.flatMap { $0 } + leavingCells }

    /// The cell that a version's requests go to; one is started if need be. Nil while none can be.
    ///
    /// A tenant stays where it is for as long as its cell takes requests, and goes back there when it has been cold. A new one goes where rendezvous hashing says among the cells that have
    /// room; with none, another cell is started, and at the limit of cells the least full takes it.
    func home(of version: TenantVersionRecord) -> Cell? {
        if let home = version.home, home.takesRequests { return home }
        leaveHome(version)
        guard let cell = chooseCell(for: version) else { return nil }
        version.home = cell
        cell.homes += 1
        if let tenant = tenants[version.policy.tenant], tenant.version === version { updateAdmission(of: tenant) }
        return cell
    }

    private func chooseCell(for version: TenantVersionRecord) -> Cell? {
        // Not where a turn of it was given up: nothing of it runs there again.
        let all = (cells[version.key] ?? []).filter { !$0.abandonedVersions.contains(version.id) }
        // A cell that has lost a thread takes nobody new where there is another, or will be.
        let sound = all.filter { !$0.isDamaged }
        let open = sound.isEmpty ? all : sound
        let withRoom = open.filter { $0.homes < configuration.isolatesPerCell }
        // Its old cell knows when it was called.
        if let last = version.lastHome, open.contains(where: { $0 === last }),
            last.homes < configuration.isolatesPerCell || withRoom.isEmpty && open.count >= configuration.cellsPerCordon
        {
            return last
        }
        if let index = RendezvousHash.choose(for: version.policy.tenant, among: withRoom.map(\.name)) { return withRoom[index] }
        if open.count < configuration.cellsPerCordon, let new = startCell(version.key) { return new }
        return open.min { $0.homes < $1.homes }
    }

    /// The version has no isolate where it was, or may not have one there any more. What its cell said of its tenant's quota is void.
    func leaveHome(_ version: TenantVersionRecord) {
        guard let home = version.home else { return }
        home.homes -= 1
        version.home = nil
        if let tenant = tenants[version.policy.tenant], tenant.version === version { unpark(tenant) }
    }

    // MARK: Versions

    /// Of the versions that a cell keeps, the part that is retired at once.
    private static let retiredPart = 16

    /// A cell is to get one more version. Near the limit of those that it keeps, the ones that were not used for longest are retired there; they go on
    /// under other numbers when they are used. None with a request is among them.
    /// - Returns: false when the cell keeps what it was told to retire, and has room for none: it is ended.
    func makeRoomForVersion(in cell: Cell) -> Bool {
        guard cell.versions.count >= configuration.versionsPerCell else { return true }
        guard cell.versions.count < TenantBundle.cellLimit else {
            cell.end("it keeps versions that it was told to retire")
            return false
        }
        let kept = cell.versions.values.filter { !$0.isRetired }
        guard kept.count >= configuration.versionsPerCell else { return true }
        let idle = kept.filter { $0.openRequests == 0 }.sorted { $0.usedNanoseconds < $1.usedNanoseconds }
        for version in idle.prefix(max(configuration.versionsPerCell / Self.retiredPart, 1)) {
            guard let tenant = tenants[version.policy.tenant], tenant.version === version else { continue }
            move(tenant, to: version.key)
        }
        return true
    }

    func updateAdmission(of tenant: TenantRecord) {
        let limits = tenant.limits
        admission.update(
            tenant.place,
            TenantAdmission(concurrency: limits.concurrency, queue: limits.queue, weight: tenant.version?.policy.weight ?? 1),
            in: tenant.version?.home?.place ?? Admission.nowhere)
    }

    // MARK: Replacing cells

    /// Replaces every cell by a new one, one after the other; what runs in the old ones goes on there.
    func replaceCells() -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        replaced.append(promise)
        cellsToReplace.append(contentsOf: cells.values.flatMap { $0 }.filter { cell in !cellsToReplace.contains { $0 === cell } })
        replaceNextCell()
        return promise.futureResult
    }

    /// Replaces a cell that is damaged: at once when nobody else lives there, else when its successor is ready.
    func replaceBehind(_ cell: Cell) {
        // One that leaves for its age alone had long.
        if cell.isDamaged, let by = cell.leavesBy { cell.leavesBy = min(by, now + drainNanoseconds) }
        guard cell.takesRequests else { return }
        guard cell.homes > 0 else { return beginLeaving(cell) }
        guard !cellsToReplace.contains(where: { $0 === cell }) else { return }
        cellsToReplace.append(cell)
        replaceNextCell()
    }

    /// Once a second: a damaged cell is not kept because its successor did not come up.
    func replaceDamagedCells() {
        for cell in allCells where cell.state == .ready && cell.isDamaged { replaceBehind(cell) }
    }

    /// Between two cells that are replaced for their age, so that their tenants are not all without an isolate at once.
    private static let agedIntervalNanoseconds: UInt64 = 600_000_000_000

    /// Once a second: a cell does not run for ever, so that nothing that went wrong in it unnoticed does. One at a time.
    func replaceOldestCell() {
        let running = allCells.filter { $0.state == .ready && $0.takesRequests }
        guard configuration.cellAgeHours > 0, cellsToReplace.isEmpty, now >= nextAgedNanoseconds,
            let oldest = running.min(by: { $0.startedNanoseconds < $1.startedNanoseconds }),
            now - oldest.startedNanoseconds >= UInt64(configuration.cellAgeHours) * 3_600_000_000_000
        else { return }
        cellsToReplace.append(oldest)
        replaceNextCell()
        guard !cellsToReplace.isEmpty else { return }
        oldest.isAged = true
        nextAgedNanoseconds = now + Self.agedIntervalNanoseconds
        logger.info("a cell is replaced: it has run for long enough", metadata: ["cell": "\(oldest.name)"])
    }

    /// Starts the successor of the next cell in line.
    func replaceNextCell() {
        while let old = cellsToReplace.first {
            guard old.takesRequests, !isDraining else {
                cellsToReplace.removeFirst()
                continue
            }
            // One at a time: it is called again when the successor is ready or has failed.
            if cells[old.key]?.contains(where: { $0.predecessor === old }) == true { return }
            guard let new = startCell(old.key) else {
                cellsToReplace.removeFirst()
                continue
            }
            new.predecessor = old
            return
        }
        let promises = replaced
        replaced = []
        promises.forEach { $0.succeed() }
    }

    /// A cell is ready: the one that it replaces takes no more requests.
    func succeed(_ cell: Cell) {
        guard let old = cell.predecessor else { return }
        cell.predecessor = nil
        cellsToReplace.removeAll { $0 === old }
        beginLeaving(old)
        replaceNextCell()
    }

    private var drainNanoseconds: UInt64 { UInt64(configuration.cellDrainSeconds) * 1_000_000_000 }

    /// A cell takes no more requests and ends when those that it has are done, or after `cellDrainSeconds`.
    func beginLeaving(_ cell: Cell) {
        guard cell.takesRequests else { return }
        // Nothing is wrong with one that is only old: what goes on there has as long again.
        let isOnlyOld = cell.isAged && !cell.isDamaged
        cell.leavesBy = now + (isOnlyOld ? UInt64(configuration.cellAgeHours) * 3_600_000_000_000 : drainNanoseconds)
        cells[cell.key]?.removeAll { $0 === cell }
        leavingCells.append(cell)
        logger.info("cell takes no more requests", metadata: ["cell": "\(cell.name)", "in_flight": "\(cell.requests.count)"])
        endLeaverIfDone(cell)
    }

    func endLeaverIfDone(_ cell: Cell) {
        guard cell.leavesBy != nil, cell.requests.isEmpty, cell.waiting.isEmpty, cell.state == .ready else { return }
        cell.endUnneeded("it was replaced")
    }

    /// Once a second.
    func endOverdueLeavers() {
        let now = now
        for cell in leavingCells {
            endLeaverIfDone(cell)
            if let leavesBy = cell.leavesBy, now >= leavesBy { cell.endUnneeded("it was replaced, and requests took too long to end") }
        }
    }

    // MARK: Shares

    /// How fast a cell's weight follows what it reports.
    private static let weightGain = 0.3

    /// A cell told what weight is runnable in it, and what it has used.
    func takeWeight(of cell: Cell) {
        cell.shares.weight += (min(Double(cell.status.runnableWeight), cell.mostWeight) - cell.shares.weight) * Self.weightGain
        cell.shares.usedMicroseconds = cell.status.cpuMicroseconds
    }

    /// No more than those can weigh that have requests in a cell, whatever it says.
    static func mostWeight(of cell: Cell) -> Double {
        cell.versionsInUse.reduce(CellShares.idleWeight) { $0 + Double($1.policy.weight) }
    }

    /// So many steps after the last competition cells have no parts any more: joining a group takes the kernel a while.
    static let peaceSteps = 50

    /// Ten times a second: while cells compete, gives each the share of the machine that the weight in it has among all, so that one endless loop alone
    /// in a cell does not get what a thousand tenants share in another.
    func shareAmongCells() {
        let running = allCells.filter { $0.state == .ready }
        guard running.count > 1 || frontIsUrgent || running.contains(where: { $0.toldShare != nil }) else { return }
        for cell in running where !cell.requests.isEmpty { ping(cell) }
        var shares = running.map(\.shares)
        CellShares.step(&shares)
        stepsOfPeace = shares.contains { $0.weightShare != nil } ? 0 : stepsOfPeace + 1
        let competes = stepsOfPeace < Self.peaceSteps
        if competes != frontIsUrgent {
            frontIsUrgent = competes
            configuration.setFrontUrgency(competes)
        }
        var changes: [(process: any SpawnedCell, share: Double?)] = []
        for (cell, next) in zip(running, shares) {
            cell.shares = next
            limitWorkers(of: cell)
            let share = competes ? next.share : nil
            guard !isTellingShares, isNews(share, cell.toldShare) else { continue }
            cell.toldShare = share
            changes.append((cell.process, share))
        }
        guard !changes.isEmpty else { return }
        isTellingShares = true
        blockingPool.runIfActive(eventLoop: eventLoop) { [changes] in for change in changes { change.process.setCPUShare(change.share) } }
            .whenComplete { [weak self] _ in self?.isTellingShares = false }
    }

    /// The kernel need not be told of what makes no difference.
    private func isNews(_ share: Double?, _ before: Double?) -> Bool {
        guard let share, let before else { return (share == nil) != (before == nil) }
        return abs(share - before) > 0.005 * before
    }

    private func limitWorkers(of cell: Cell) {
        let workers = CellShares.workers(cell.shares, of: configuration.workersPerCell, processors: configuration.processors)
        guard workers != cell.toldWorkers else { return }
        cell.toldWorkers = workers
        cell.send(.workers, extra: UInt16(clamping: workers))
    }
}
