import Bundles
import Logging
import NIOCore
import Policy
import Scheduling
import Snapshots
import Wire

/// A version's code as a cell gets it: there while the requests that wait for it are handed over.
struct VersionCode: Sendable {
    var modules: [BundleModule]
    /// nil: none was wanted, or there was none.
    var snapshot: SnapshotFrame?
    /// What the snapshot fits.
    var originNumber: Int
}

/// What cells may hold, tenants' snapshots, and what is to be seen of both.
extension Supervisor {
    // MARK: The budget

    /// With tasks waiting for memory more than this part of the time, cells may hold less.
    private static let pressureLimit = 0.1
    /// How much less at once, how much more again when the pressure is over, and how little at least.
    private static let (pressureStep, recoveryStep, smallestFactor) = (0.1, 0.02, 0.3)
    /// A cell that holds much more than it accounts for, for this many seconds, is replaced; and one that all have left, with this much more than it took
    /// when it was new.
    private static let (emptyFactor, driftSeconds) = (1.05, 30)

    /// What cells account for and do not hold now counts so many times as much at most, since they may touch it at any time.
    private static let mostAccountedToHeld = 4.0

    /// Of the machine's memory, what is left to others when it runs short.
    private static let reserveShare = 0.05

    /// Once a second: tells each cell what its isolates may hold, so that all processes together stay within the budget.
    func shareMemory() {
        measureMachine()
        let machine = machineMemory
        metrics.memoryPressure.set(machine.pressure)
        let running = allCells.filter { $0.state == .ready }
        let used = running.reduce(Double(ownMemoryBytes)) { $0 + Double($1.memoryBytes) }
        // Of a cell that has only just started nobody knows yet what it takes.
        let isKnown = running.allSatisfy { $0.memoryBytes > 0 }
        if machine.pressure > Self.pressureLimit, !running.isEmpty, isKnown || memoryFactor < 1 {
            // What counts is not what cells might hold but what they do when it begins.
            if memoryFactor == 1 { pressedBytes = used }
            memoryFactor = max(Self.smallestFactor, memoryFactor - Self.pressureStep)
        } else {
            memoryFactor = min(1, memoryFactor + Self.recoveryStep)
        }
        metrics.memoryUsed.set(used)
        metrics.memoryBudget.set(Double(memoryBudgetBytes))
        metrics.snapshotStore.set(Double(configuration.snapshots?.storeBytes ?? 0))
        let bundles = configuration.bundles.usage
        metrics.bundlesOnDisk.set(Double(bundles.diskBytes))
        metrics.bundlesInMemory.set(Double(bundles.memoryBytes))
        guard !running.isEmpty else { return }
        let budget = budget(used: used, machine)
        let uses = running.map {
            MemoryShares.Use(
                memoryBytes: Double($0.memoryBytes), accountedBytes: Double($0.status.isolateBytes) + Double($0.status.storedBytes))
        }
        let overhead = uses.reduce(0) { $0 + $1.overheadBytes }
        let available = max(budget - Double(ownMemoryBytes) - overhead, 0)
        let shares = MemoryShares.step(
            zip(running, uses).map {
                .init(
                    heldBytes: $1.heldBytes + $1.excessBytes, shareBytes: $0.memoryShareBytes,
                    marginalValue: Double($0.status.marginalValue))
            }, availableBytes: available)
        for (index, cell) in running.enumerated() {
            let use = uses[index]
            cell.memoryShareBytes = shares[index]
            // A cell accounts for what its isolates could touch; what they have touched of it is what counts.
            let scale = use.heldBytes > 0 ? min(use.accountedBytes / use.heldBytes, Self.mostAccountedToHeld) : 1
            cell.budgetBytes = UInt64(min(shares[index] * scale, Double(UInt64.max / 2)))
            cell.send(.budget) { $0.append(integer: cell.budgetBytes) }
            watchDrift(of: cell, accounted: use.accountedBytes)
            watchOverrun(of: cell, use)
        }
    }

    /// What all processes may take now: less than was configured when the machine has less, or when tasks wait for memory.
    private func budget(used: Double, _ machine: MachineMemory) -> Double {
        // What others took cannot be had; a first reading is still to come while the limit is nothing.
        let left = Double(machine.availableBytes) - Double(machine.limitBytes) * Self.reserveShare
        let budget = machine.limitBytes == 0 ? Double(memoryBudgetBytes) : min(Double(memoryBudgetBytes), max(used + left, 0))
        return memoryFactor < 1 ? min(budget, pressedBytes * memoryFactor) : budget
    }

    private func measureMachine() {
        let (read, bundles) = (configuration.machineMemory, configuration.bundles)
        blockingPool.runIfActive(eventLoop: eventLoop) {
            bundles.removeUnneeded()
            return (ProcessMemory.privateBytes(of: ProcessMemory.ownPID), read())
        }
        .whenSuccess { [weak self] own, machine in
            if let own { self?.ownMemoryBytes = own }
            self?.machineMemory = machine
        }
    }

    /// A cell is not nursed: when it takes much more than it can account for, another takes its place. Of what all have left, the C library's heap keeps
    /// pages in which something small is in use.
    private func watchDrift(of cell: Cell, accounted: Double) {
        let isLeft = cell.hadVersions && cell.versions.isEmpty && cell.homes == 0 && cell.requests.isEmpty
        let most = isLeft ? Double(cell.newMemoryBytes) * Self.emptyFactor : MemoryShares.soundBytes(accounted: accounted)
        guard Double(cell.memoryBytes) > most, cell.takesRequests else {
            cell.secondsOfDrift = 0
            return
        }
        cell.secondsOfDrift += 1
        guard cell.secondsOfDrift == Self.driftSeconds else { return }
        logger.log(
            level: isLeft ? .info : .warning,
            "a cell is replaced: it takes more memory than \(isLeft ? "when it was new" : "it accounts for")",
            metadata: ["cell": "\(cell.name)", "bytes": "\(cell.memoryBytes)", "accounted": "\(Int(exactly: accounted) ?? .max)"])
        // Where no successor comes up it is tried again.
        cell.secondsOfDrift = 0
        metrics.cellsDrifted.increment()
        cellsToReplace.append(cell)
        replaceNextCell()
    }

    /// Nor does one stay that gives nothing back although it is to hold far less, whatever it accounts for: the others have what it does not leave. What
    /// tenants hold that have requests there cannot be given back.
    private func watchOverrun(of cell: Cell, _ use: MemoryShares.Use) {
        let (held, share) = (use.heldBytes + use.excessBytes, cell.memoryShareBytes)
        var inUse = 0.0
        if held > share { for version in cell.versionsInUse { inUse += Double(version.policy.limits.memoryMegabytes) * 1_048_576 } }
        // With a budget that the processes themselves take up there is nothing to hold at all.
        let mayHold = share > 0 ? share + inUse : .infinity
        guard cell.overrun.isLasting(heldBytes: held, mayHoldBytes: mayHold), !cell.isDamaged else { return }
        logger.error(
            "a cell is replaced: it does not give back the memory that it may not hold",
            metadata: [
                "cell": "\(cell.name)", "bytes": "\(cell.memoryBytes)", "share": "\(Int(exactly: share.rounded()) ?? .max)",
            ])
        metrics.cellsDrifted.increment()
        cell.isDamaged = true
        replaceBehind(cell)
    }

    /// Takes effect within a second.
    public func setMemoryBudget(_ bytes: UInt64) {
        eventLoop.preconditionInEventLoop()
        guard bytes != memoryBudgetBytes else { return }
        logger.notice("memory budget changed", metadata: ["bytes": "\(bytes)", "before": "\(memoryBudgetBytes)"])
        memoryBudgetBytes = bytes
        spawner.setMemoryLimit(cellMemoryLimitBytes)
        limitMemoryOfCells()
        shareMemory()
    }

    /// What the kernel lets one cell have beyond what all of them may take by the supervisor's own count: who goes over that is out of control.
    private static let cellMemoryMarginBytes: UInt64 = 512 << 20

    /// What the kernel lets one cell have with this budget.
    public static func cellMemoryLimitBytes(budget: UInt64) -> UInt64 { budget.addingSaturated(cellMemoryMarginBytes) }

    var cellMemoryLimitBytes: UInt64 { Self.cellMemoryLimitBytes(budget: memoryBudgetBytes) }

    /// Tells the kernel of a new budget; again each second for a cell that holds more than it is to have, until it has evicted enough.
    func limitMemoryOfCells() {
        let bytes = cellMemoryLimitBytes
        let cells = allCells.filter { $0.memoryLimitBytes != bytes }
        guard !cells.isEmpty, !isLimitingMemory else { return }
        isLimitingMemory = true
        blockingPool.runIfActive(eventLoop: eventLoop) { [processes = cells.map(\.process)] in processes.map { $0.setMemoryLimit(bytes) } }
            .whenComplete { [weak self] result in
                self?.isLimitingMemory = false
                guard let areSet = try? result.get() else { return }
                for (cell, isSet) in zip(cells, areSet) where isSet { cell.memoryLimitBytes = bytes }
            }
    }

    // MARK: Snapshots

    /// Where the snapshot is that goes to a cell with a version's code; nil: none does.
    private func snapshotToRead(of version: TenantVersionRecord) -> (any TenantSnapshots, TenantSnapshotStore.Key)? {
        guard let snapshots = configuration.snapshots, let key = snapshotKey(of: version, snapshots) else { return nil }
        switch version.snapshot {
        case .refused: return nil
        // With an isolate made ahead a small bundle starts sooner from its source than it is revived; it gets its snapshot when it has started.
        case .unknown where version.loaded.bundle.byteCount <= TenantBundle.smallBytes: return nil
        default: return (snapshots, key)
        }
    }

    /// Has what a cell needs of a version read from the disk, on another thread. The request goes on when it is there, with those that come
    /// meanwhile.
    func readCode(for record: RequestRecord) {
        let version = record.version
        // Where it has waited for a cell to start, that cell still knows nothing of it.
        record.cell = nil
        version.waitingForCode.append(record)
        guard version.waitingForCode.count == 1 else { return }
        let (bundle, snapshot, origin) = (version.loaded.bundle, snapshotToRead(of: version), originNumber)
        codePool.runIfActive(eventLoop: eventLoop) {
            VersionCode(modules: try bundle.read(), snapshot: snapshot.flatMap { $0.0.read($0.1) }, originNumber: origin)
        }.whenComplete { [self] result in
            let waiting = version.waitingForCode.filter { $0.clientState != .over }
            version.waitingForCode = []
            switch result {
            case .success(let code):
                version.code = code
                waiting.forEach(place)
                version.code = nil
            case .failure(let error):
                let reason = "the bundle cannot be read; a reload brings it again: \(error)"
                if version.startError != reason { logger.error("\(reason)", metadata: ["tenant": "\(version.policy.tenant)"]) }
                version.startError = reason
                for record in waiting { finish(record, refusing: .startupFailed, "the tenant's bundle cannot be read") }
            }
        }
    }

    /// A cell was given a version: its snapshot goes with it, where there is one.
    func sendSnapshot(_ code: VersionCode, of version: TenantVersionRecord, to cell: Cell) {
        guard cell.originNumber == originNumber else { return }
        if let frame = code.snapshot, code.originNumber == originNumber {
            if case .refused = version.snapshot { return }
            version.snapshot = .kept
            wantedSnapshots.remove(version)
            cell.send(.tenantSnapshot, id: version.id) { frame.encode(into: &$0) }
        } else if case .kept = version.snapshot {
            // It was damaged, made room for others, never had a place on the disk or has come meanwhile: it is looked for again when the version
            // has started.
            version.snapshot = .unknown
        }
    }

    /// What `/v1/budget` says: what is configured, what is taken, and what the machine has.
    func memoryReport() -> MemoryReport {
        let running = allCells.filter { $0.state == .ready }
        return MemoryReport(
            budgetBytes: memoryBudgetBytes, usedBytes: running.reduce(ownMemoryBytes) { $0 + $1.memoryBytes },
            machineBytes: machineMemory.limitBytes, availableBytes: machineMemory.availableBytes, pressure: machineMemory.pressure,
            snapshotStoreBytes: UInt64(configuration.snapshots?.storeBytes ?? 0))
    }

    private func snapshotKey(of version: TenantVersionRecord, _ snapshots: any TenantSnapshots) -> TenantSnapshotStore.Key? {
        guard version.policy.snapshot == .auto else {
            version.snapshot = .off
            return nil
        }
        if version.snapshotKey == nil {
            version.snapshotKey = snapshots.key(of: version.loaded.bundle, eval: version.policy.eval, jit: version.key.jit)
        }
        return version.snapshotKey
    }

    /// A version has shown that it starts: now a snapshot of it is worth its while, the more the longer its starts took.
    private func wantSnapshot(of version: TenantVersionRecord, cpuNanoseconds: UInt64) {
        guard configuration.snapshots != nil, version.policy.snapshot == .auto, !version.isRetired, !isDraining else { return }
        switch version.snapshot {
        case .unknown: version.snapshot = .queued
        case .queued where wantedSnapshots.contains(version): break
        default: return
        }
        // A cell says so, which may be hostile.
        let nanoseconds = min(cpuNanoseconds, UInt64(version.policy.limits.startupCPUMilliseconds) * 1_000_000)
        wantedSnapshots.add(version, startNanoseconds: isKept(version) ? .max : nanoseconds)
        buildNextSnapshot()
    }

    /// Whether the snapshot of a version only needs to be read: another tenant has the same code, or it was built before the daemon was started.
    private func isKept(_ version: TenantVersionRecord) -> Bool {
        guard let snapshots = configuration.snapshots, let key = snapshotKey(of: version, snapshots) else { return false }
        return snapshots.contains(key)
    }

    /// Nobody needs the snapshots of versions that are out of use.
    func forgetUnwantedSnapshots() { wantedSnapshots.removeAll { $0.isRetired } }

    func countSnapshotsToCome() { metrics.snapshotBuildsWaiting.set(Double(wantedSnapshots.count + (isBuildingSnapshot ? 1 : 0))) }

    /// One at a time, so that a wave of new tenants does not take the processors from those that are served.
    func buildNextSnapshot() {
        guard !isBuildingSnapshot, !isDraining else { return }
        while let version = wantedSnapshots.next(now: now) {
            // It may have been taken out of use, or moved, while it waited.
            guard case .queued = version.snapshot, !version.isRetired else { continue }
            guard let snapshots = configuration.snapshots, let key = snapshotKey(of: version, snapshots) else {
                version.snapshot = .unknown
                continue
            }
            isBuildingSnapshot = true
            let (loaded, jit, origin, isKept) = (version.loaded, version.key.jit, originNumber, snapshots.contains(key))
            let build = snapshotPool.runIfActive(eventLoop: eventLoop) { () -> (SnapshotBuildOutcome, Duration) in
                let start = SuspendingClock.now
                do throws(BundleStoreError) {
                    return (snapshots.build(loaded.bundle(try loaded.bundle.read()), jit: jit, as: key), SuspendingClock.now - start)
                } catch { return (.failed("\(error)"), .zero) }
            }
            return build.whenComplete { [weak self] result in
                guard let self else { return }
                isBuildingSnapshot = false
                let (outcome, took) = (try? result.get()) ?? (.failed("the daemon ends"), .zero)
                switch outcome {
                case .built where isKept: break
                case .built: wantedSnapshots.built(nanoseconds: UInt64(took / .nanoseconds(1)))
                case .refused, .failed: wantedSnapshots.failed(nanoseconds: UInt64(took / .nanoseconds(1)))
                }
                // It is a difference from a base snapshot that new cells do not have.
                if origin == originNumber { takeSnapshot(of: version, outcome) }
                buildNextSnapshot()
            }
        }
    }

    private func takeSnapshot(of version: TenantVersionRecord, _ outcome: SnapshotBuildOutcome) {
        switch outcome {
        case .built(let frame):
            version.snapshot = .kept
            metrics.snapshotBuilds.with(["built"]).increment()
            for cell in version.cells.values where cell.state == .ready && cell.originNumber == originNumber {
                cell.send(.tenantSnapshot, id: version.id) { frame.encode(into: &$0) }
            }
        case .refused(let why, let denied):
            version.snapshot = .refused(why)
            if let denied { noteDenied(denied, ofBuilderFor: version.policy.tenant) }
            metrics.snapshotBuilds.with(["refused"]).increment()
            logger.notice(
                "no snapshot can be made; the tenant starts from its source",
                metadata: ["tenant": "\(version.policy.tenant)", "reason": "\(why)"])
        case .failed(let why):
            version.snapshot = .failed(why)
            metrics.snapshotBuilds.with(["failed"]).increment()
            logger.warning("a snapshot was not made", metadata: ["tenant": "\(version.policy.tenant)", "reason": "\(why)"])
        }
    }

    // MARK: What cells say

    private func version(_ header: FrameHeader, of cell: Cell) throws -> TenantVersionRecord {
        guard let version = cell.versions[header.id] else {
            throw ProtocolViolation("\(header.kind) of version \(header.id), which it does not have")
        }
        return version
    }

    func takeStarted(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        var payload = payload
        guard let nanoseconds = payload.readInteger(endianness: .little, as: UInt64.self),
            let cpuNanoseconds = payload.readInteger(endianness: .little, as: UInt64.self)
        else { throw WireError.truncated }
        try noteStrayFrame(of: cell)
        guard let kind = StartKind(rawValue: header.extra) else { throw ProtocolViolation("a start of the kind \(header.extra)") }
        let version = try version(header, of: cell)
        version.startError = nil
        if version.openRequests > 0, let tenant = tenants[version.policy.tenant] { tenant.starts += 1 }
        let seconds = Double(min(nanoseconds, 3_600_000_000_000)) / 1e9
        switch kind {
        case .source:
            metrics.coldStartDuration.observe(seconds)
            wantSnapshot(of: version, cpuNanoseconds: cpuNanoseconds)
        case .snapshot, .sourceOfWarm:
            metrics.revivalDuration.observe(seconds)
            metrics.revivals.with([kind == .snapshot ? "snapshot" : "source"]).increment()
        }
    }

    func takeSnapshotRefused(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        let version = try version(header, of: cell)
        guard cell.originNumber == originNumber, case .kept = version.snapshot else { return try noteStrayFrame(of: cell) }
        // Made anew by the next version, or after the next start.
        if let key = version.snapshotKey { configuration.snapshots?.remove(key) }
        takeSnapshot(
            of: version, .refused("a cell cannot use it: \(String(decoding: payload.readableBytesView.prefix(4096), as: UTF8.self))"))
    }

    /// A cell has no room for a version that it was given: the version goes on under another number, in whatever cell it is placed in next.
    func takeCold(_ header: FrameHeader, from cell: Cell) throws {
        let old = try version(header, of: cell)
        try noteStrayFrame(of: cell)
        // A cell that it has left says nothing of the one where it lives.
        guard !old.isRetired, old.openRequests == 0, old.home == nil || old.home === cell, let tenant = tenants[old.policy.tenant],
            tenant.version === old
        else { return }
        move(tenant, to: old.key)
    }

    func takeMemoryStatus(of cell: Cell) {
        let status = cell.status
        metrics.coldStarts.with([cell.name]).set(Double(status.coldStarts))
        metrics.coldStartSeconds.with([cell.name]).set(Double(status.coldStartMicroseconds) / 1e6)
        metrics.isolateBytes.with([cell.name]).set(Double(status.isolateBytes))
        metrics.storedBytes.with([cell.name]).set(Double(status.storedBytes))
        metrics.warmTenants.with([cell.name]).set(Double(status.warm))
        metrics.trims.with([cell.name]).set(Double(status.trims))
        for (reason, count) in [
            ("idle", status.evictedIdle), ("pressure", status.evictedByPressure), ("limit", status.evictedAtLimit),
            ("asked", status.evictedWhenAsked),
        ] { metrics.evictions.with([cell.name, reason]).set(Double(count)) }
        metrics.evictedTooEarly.with([cell.name]).set(Double(status.evictedTooEarly))
        metrics.prewarmed.with([cell.name]).set(Double(status.prewarmed))
        metrics.marginalValue.with([cell.name]).set(Double(status.marginalValue) / 1e9)
    }

    // MARK: Isolates

    /// Asks all cells for their isolates.
    func listIsolates() -> EventLoopFuture<[IsolateListing]> {
        let queries = allCells.filter { $0.state == .ready }.map { cell in
            pings += 1
            let query = IsolateQuery(promise: eventLoop.makePromise(), limit: cell.versions.count)
            cell.isolateQueries[pings] = query
            cell.send(.list, id: pings)
            return query.promise.futureResult
        }
        return EventLoopFuture.whenAllSucceed(queries, on: eventLoop).map { $0.flatMap { $0 } }
    }

    func takeIsolates(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard let query = cell.isolateQueries[header.id] else { throw ProtocolViolation("isolates that nobody asked for") }
        try payload.withUnsafeReadableBytes { bytes throws(WireError) in
            query.count += bytes.count / IsolateReport.size
            guard bytes.count % IsolateReport.size == 0, query.count <= query.limit else {
                throw .invalid("a list of isolates of \(bytes.count) bytes")
            }
            var reader = ByteReader(bytes)
            for _ in 0..<(bytes.count / IsolateReport.size) {
                let report = try IsolateReport(from: &reader)
                // One that is retired by now has left the table.
                guard let version = cell.versions[report.version], !version.isRetired else { continue }
                query.found.append(IsolateListing(report, tenant: version.policy.tenant, cell: cell.name))
            }
        }
        guard header.flags.contains(.end) else {
            if payload.readableBytes == 0 { try noteStrayFrame(of: cell) }
            return
        }
        cell.isolateQueries[header.id] = nil
        query.promise.succeed(query.found)
    }

    /// Ends the isolates of a tenant, or of all, where they are idle.
    /// - Returns: false when no tenant has the name.
    func evict(_ name: String?) -> Bool {
        guard let name else {
            for cell in allCells where cell.state == .ready { cell.send(.evict) }
            return true
        }
        guard let version = tenants[name]?.version else { return false }
        for cell in version.cells.values where cell.state == .ready { cell.send(.evict, id: version.id) }
        return true
    }

    /// Has the cells that know a tenant's code forget it: it goes on under another number when it is called.
    func chill(_ tenant: TenantRecord) {
        guard let version = tenant.version, !version.cells.isEmpty else { return }
        move(tenant, to: version.key)
    }

    /// What `/v1/tenants` says of a tenant's snapshot.
    static func describe(_ state: TenantVersionRecord.SnapshotState) -> (state: String, reason: String?) {
        switch state {
        case .off: ("off", nil)
        case .unknown: ("none", nil)
        case .queued: ("building", nil)
        case .kept: ("kept", nil)
        case .refused(let why): ("refused", why)
        case .failed(let why): ("failed", why)
        }
    }
}

/// An answer to `list` that comes in pieces.
final class IsolateQuery {
    let promise: EventLoopPromise<[IsolateListing]>
    /// So many versions the cell had when it was asked.
    let limit: Int
    /// Since it was asked.
    var seconds = 0
    /// Reports so far, and those of them that are to be told.
    var count = 0
    var found: [IsolateListing] = []

    init(promise: EventLoopPromise<[IsolateListing]>, limit: Int) {
        self.promise = promise
        self.limit = limit
    }
}

extension IsolateListing {
    init(_ report: IsolateReport, tenant: String, cell: String) {
        self.init(
            tenant: tenant, cell: cell, state: report.state.name, heapBytes: report.pageBytes, arrayBufferBytes: report.arrayBufferBytes,
            nativeBytes: report.nativeBytes, bundleBytes: report.bundleBytes, codeBytes: report.codeBytes,
            snapshotBytes: report.snapshotBytes,
            idleSeconds: Double(report.idleMilliseconds) / 1000,
            reviveMilliseconds: Double(report.reviveMicroseconds) / 1000, inFlight: Int(report.openRequests))
    }
}
