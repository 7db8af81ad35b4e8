import Logging
import NIOCore
import Policy
import Wire

/// The life of cells: made when they are needed, watched, replaced when they are lost.
extension Supervisor {
    static func key(of policy: TenantPolicy) -> CellKey {
        let cordon = policy.cordon == .private ? "private:\(policy.tenant)" : policy.cordon.rawValue
        return CellKey(cordon: cordon, jit: policy.jit && policy.cordon != .hostile)
    }

    /// Starts a cell; nil while starting one fails and backs off.
    func startCell(_ key: CellKey) -> Cell? {
        if let failure = startFailures[key], now < failure.retryAt { return nil }
        let snapshot = key.jit ? configuration.snapshot : configuration.jitlessSnapshot
        let number = cellNumber[key, default: 0]
        cellNumber[key] = number + 1
        let name = "\(key.description)#\(number)"
        do {
            let process = try spawner.spawn(name: name, jit: key.jit)
            let cell = Cell(name: name, key: key, process: process, supervisor: self)
            cell.place = admission.addCell()
            cells[key, default: []].append(cell)
            metrics.cellsStarted.increment()
            cell.connect(
                CellConfiguration(
                    cell: name, workers: configuration.workersPerCell, jit: key.jit, hashSeed: configuration.hashSeed,
                    sliceMicroseconds: configuration.sliceMicroseconds, preempts: configuration.preempts,
                    isolateLimit: configuration.isolatesPerCell, evictsLRU: configuration.evictsLRU, idleSeconds: configuration.idleSeconds,
                    snapshot: snapshot))
            return cell
        } catch {
            logger.error("a cell cannot be started", metadata: ["cell": "\(name)", "reason": "\(error)"])
            noteStartFailure(key, "\(error)")
            return nil
        }
    }

    /// The cell that most tenants share is there before they need it, and comes back when it is lost.
    func keepSharedCell() {
        guard !isDraining, versionCounts[Self.sharedKey] != nil, cells[Self.sharedKey]?.isEmpty != false else { return }
        _ = startCell(Self.sharedKey)
    }

    /// Cells that fail at their start are tried again after 0.1 s, doubling to 10 s.
    func noteStartFailure(_ key: CellKey, _ reason: String) {
        var failures = startFailures[key] ?? StartFailures()
        failures.count += 1
        failures.reason = reason
        failures.retryAt = now + min(100_000_000 << UInt64(min(failures.count - 1, 10)), 10_000_000_000)
        startFailures[key] = failures
    }

    /// A cell's socket is closed: whatever it held is answered or tried again, exactly once.
    func cellEnded(_ cell: Cell, _ reason: String) {
        guard cell.state != .gone else { return }
        let wasStarting = cell.state == .starting
        let isExpected = cell.isUnneeded || isDraining
        let records = cell.becomeGone()
        cells[cell.key]?.removeAll { $0 === cell }
        if cells[cell.key]?.isEmpty == true { cells[cell.key] = nil }
        leavingCells.removeAll { $0 === cell }
        admission.removeCell(cell.place)
        metrics.forget(cell: cell.name)
        reap(cell, reason, isExpected: isExpected)
        if wasStarting, !isExpected { noteStartFailure(cell.key, reason) }
        if !isExpected { metrics.cellsLost.increment() }
        let suspects: LossSuspects = cell.blamedTenant.map { .one($0) } ?? .everyoneInvolved
        if case .one(let name) = suspects, let tenant = tenants[name] {
            tenant.backoff.recordLoss(now: now)
            quarantine(tenant)
        }
        var struck: Set<String> = []
        for record in records where record.cell === cell || record.cell == nil {
            record.cell = nil
            if suspects == .everyoneInvolved { strike(record, &struck) }
            giveUpOrRetry(record)
        }
        for tenant in tenants.values where tenant.version?.home === cell {
            tenant.hasIsolate = false
            tenant.version.map(leaveHome)
        }
        keepSharedCell()
        if !cellsToReplace.isEmpty { replaceNextCell() }
    }

    private enum LossSuspects: Equatable {
        case one(String)
        case everyoneInvolved
    }

    /// Once a cell and tenant: its handler ran when the cell was lost, or this is the second cell that was lost with its request.
    private func strike(_ record: RequestRecord, _ struck: inout Set<String>) {
        guard openRequests[record.id] != nil, record.isEntered || record.isRetry, struck.insert(record.tenant.name).inserted else { return }
        record.tenant.backoff.recordLoss(now: now)
    }

    private func giveUpOrRetry(_ record: RequestRecord) {
        guard record.clientState == .open else {
            record.refuse(.cellLost, "the cell was lost")
            return conclude(record, cpuNanoseconds: 0)
        }
        if !record.isEntered, !record.isRetry, !record.bodyWasStreamed, record.request != nil, !isDraining {
            record.isRetry = true
            record.requestWindowBytes = FrameHeader.windowBytes
            metrics.retries.increment()
            return place(record)
        }
        refuse(record, .cellLost, "the process that handled the request was lost")
        conclude(record, cpuNanoseconds: 0)
    }

    /// Collects the process on another thread, since it may take a moment to end.
    private func reap(_ cell: Cell, _ reason: String, isExpected: Bool) {
        let process = cell.process
        let name = cell.name
        let logger = logger
        process.kill()
        blockingPool.runIfActive(eventLoop: eventLoop) {
            let (status, diagnostics) = process.reap()
            var metadata: Logger.Metadata = ["cell": "\(name)", "pid": "\(process.pid)", "reason": "\(reason)", "status": "\(status)"]
            if !diagnostics.isEmpty { metadata["diagnostics"] = "\(diagnostics)" }
            logger.log(level: isExpected ? .info : .error, "cell ended", metadata: metadata)
        }.whenComplete { _ in }
    }

    /// Once a second: asks the cell how it is, and ends it when it has not answered for too long.
    func checkHealth(of cell: Cell) {
        let silenceNanoseconds = now - cell.lastHeardNanoseconds
        func isSilent(for seconds: Int) -> Bool { silenceNanoseconds > UInt64(seconds) * 1_000_000_000 }
        switch cell.state {
        case .starting:
            if isSilent(for: configuration.cellStartSeconds) { cell.end("not ready after \(configuration.cellStartSeconds) s") }
        case .ready:
            if isSilent(for: configuration.cellSilenceSeconds) {
                return cell.end("silent for \(configuration.cellSilenceSeconds) s")
            }
            ping(cell)
            measureMemory(of: cell)
        case .gone: break
        }
    }

    func ping(_ cell: Cell) {
        pings += 1
        cell.send(.ping, id: pings)
    }

    /// Reads the kernel's figure on another thread: it takes the kernel a while for a large process.
    private func measureMemory(of cell: Cell) {
        let pid = cell.process.pid
        let gauge = metrics.cellMemory.with([cell.name])
        blockingPool.runIfActive(eventLoop: eventLoop) { ProcessMemory.proportionalBytes(of: pid) }
            .whenSuccess { bytes in
                cell.memoryBytes = bytes
                if cell.state != .gone { gauge.set(Double(bytes)) }
            }
    }
}
