import Logging
import NIOCore
import Policy
import Sandbox
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
                    isolateLimit: min(configuration.isolatesPerCell, MappingLimit.isolates), evictsLRU: configuration.evictsLRU,
                    revivesFromSnapshot: configuration.revivesFromSnapshot, idleSeconds: configuration.idleSeconds,
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
        failures.at = now
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
        let lost = records.filter { $0.cell === cell || $0.cell == nil }
        // Nothing of theirs ran in a cell that did not get ready.
        if !isExpected, !wasStarting { blame(for: cell, lost) }
        for record in lost {
            record.cell = nil
            giveUpOrRetry(record)
        }
        for tenant in tenants.values where tenant.version?.home === cell {
            tenant.hasIsolate = false
            tenant.version.map(leaveHome)
        }
        keepSharedCell()
        if !cellsToReplace.isEmpty { replaceNextCell() }
    }

    private func giveUpOrRetry(_ record: RequestRecord) {
        guard record.clientState == .open else {
            refuse(record, .cellLost, "the cell was lost")
            return conclude(record, cpuNanoseconds: 0)
        }
        if !record.isEntered, !record.isRetry, !record.bodyWasStreamed, record.request != nil, !isDraining {
            if let seconds = suspension(of: record.tenant) {
                refuse(record, .suspended, Self.suspended, retryAfterSeconds: seconds)
                return conclude(record, cpuNanoseconds: 0)
            }
            record.isRetry = true
            record.requestWindowBytes = FrameHeader.windowBytes
            metrics.retries.increment()
            return place(record)
        }
        refuse(record, .cellLost, "the process that handled the request was lost")
        conclude(record, cpuNanoseconds: 0)
    }

    /// Which call a filter has ended a process for, and which thread made it.
    private static func details(_ call: DeniedCall) -> Logger.Metadata {
        [
            "call": "\(call.name)", "thread": "\(call.threadName)", "thread_id": "\(call.thread)",
            "arguments": "\(call.arguments.map { "0x" + String($0, radix: 16) }.joined(separator: " "))",
        ]
    }

    /// A filter has ended a cell. On any thread.
    private static func note(_ call: DeniedCall, of process: Logger.Metadata, _ logger: Logger, _ metrics: SupervisorMetrics) {
        metrics.deniedCalls.with([call.label]).increment()
        logger.error("a cell was ended for a call that it may not make", metadata: process.merging(details(call)) { $1 })
    }

    /// A filter has ended a builder. V8 makes such calls when it cannot put what a tenant has made into a snapshot, so that it is no sign of an attack.
    func noteDenied(_ call: DeniedCall, ofBuilderFor tenant: String) {
        metrics.builderDeniedCalls.with([call.label]).increment()
        logger.notice(
            "a builder was ended for a call that it may not make", metadata: Self.details(call).merging(["tenant": "\(tenant)"]) { $1 })
    }

    /// Collects the process on another thread, since it may take a moment to end.
    private func reap(_ cell: Cell, _ reason: String, isExpected: Bool) {
        let process = cell.process
        let name = cell.name
        let logger = logger
        let metrics = metrics
        process.kill()
        blockingPool.runIfActive(eventLoop: eventLoop) {
            let (status, diagnostics) = process.reap()
            if let call = process.deniedCall { Self.note(call, of: ["cell": "\(name)", "pid": "\(process.pid)"], logger, metrics) }
            var metadata: Logger.Metadata = ["cell": "\(name)", "pid": "\(process.pid)", "reason": "\(reason)", "status": "\(status)"]
            if !diagnostics.isEmpty { metadata["diagnostics"] = "\(diagnostics)" }
            logger.log(level: isExpected ? .info : .error, "cell ended", metadata: metadata)
        }.whenComplete { _ in }
    }

    /// Once a second: asks the cell how it is, and ends it when it has not answered for too long.
    func checkHealth(of cell: Cell) {
        // Seconds in which the daemon looked: where it stood still itself, cells had nobody to answer.
        cell.secondsOfSilence += 1
        switch cell.state {
        case .starting:
            if cell.secondsOfSilence > configuration.cellStartSeconds {
                cell.end("not ready after \(configuration.cellStartSeconds) s")
            }
        case .ready:
            if cell.secondsOfSilence > configuration.cellSilenceSeconds {
                return cell.end("silent for \(configuration.cellSilenceSeconds) s")
            }
            for query in cell.isolateQueries.values { query.seconds += 1 }
            if cell.isolateQueries.values.contains(where: { $0.seconds > configuration.cellSilenceSeconds }) {
                return cell.end("it does not list its isolates")
            }
            if cell.droppedLines < Self.droppedLinesLimit { cell.readSlowly(false) }
            cell.droppedLines = 0
            ping(cell)
            measureMemory(of: cell)
        case .gone: break
        }
    }

    /// A cell that has many pings to answer gets no more: it may answer all of them at once.
    func ping(_ cell: Cell) {
        guard cell.unansweredPings < Cell.pingsLimit else { return }
        cell.unansweredPings += 1
        cell.mostWeight = Self.mostWeight(of: cell)
        pings += 1
        cell.send(.ping, id: pings)
    }

    /// Reads the kernel's figure on another thread: the cell may be in the way, mapping memory.
    func measureMemory(of cell: Cell) {
        let pid = cell.process.pid
        blockingPool.runIfActive(eventLoop: eventLoop) { ProcessMemory.privateBytes(of: pid) }
            .whenSuccess { [weak self] in self?.noteMemory($0, of: cell) }
    }

    /// The kernel said what a cell has; nil or 0: it has not.
    func noteMemory(_ bytes: UInt64?, of cell: Cell) {
        // Nothing of a process that is about to end: what it had counts until it has.
        guard let bytes, bytes > 0, cell.state != .gone else { return }
        cell.memoryBytes = bytes
        if cell.newMemoryBytes == 0 { cell.newMemoryBytes = bytes }
        metrics.cellMemory.with([cell.name]).set(Double(bytes))
    }
}
