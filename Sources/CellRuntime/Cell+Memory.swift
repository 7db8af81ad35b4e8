import Engine
import Scheduling
import Wire

/// The life of isolates as far as memory decides it: made, trimmed, evicted, revived. All under the cell's lock unless it says otherwise.
extension Cell {
    /// Over the budget, isolates are evicted until so much of it is used.
    private static let lowWatermark = 0.98
    /// An isolate that was idle for this long is trimmed, if it holds little enough that it does not take long: its garbage is collected, if there is
    /// enough for that to pay, and it shares what pages it can.
    private static let trimAfterNanoseconds: UInt64 = 10_000_000_000
    private static let trimBytesLimit = 32 << 20
    static let collectedBytes = 1 << 20
    /// Trims and idle ends in a second.
    private static let housekeepingLimit = 20
    /// Uses within this time are one: the order is not kept more exactly than that.
    private static let useNanoseconds: UInt64 = 1_000_000
    private static let reportsPerFrame = 500
    /// Of the budget, what bundles and snapshots of tenants without an isolate may take; over it, the ones that were not used for longest become cold.
    private static let storedShare = 0.15
    /// Over it, so much of it is kept: whom to give up is looked for among all.
    private static let storedWatermark = 0.95
    /// What was used within this time stays.
    private static let keptNanoseconds: UInt64 = 10_000_000_000
    /// That many at once: the supervisor answers each.
    private static let coldLimit = 200
    private static let secondNanoseconds: UInt64 = 900_000_000
    /// Isolates brought back before a call in a second.
    private static let prewarmLimit = 50

    // MARK: Coming and going

    /// There is a V8 isolate. Takes the lock.
    func coldStarted(_ isolate: TenantIsolate) {
        lock.withLock {
            change(isolate) { isolate.isHot = true }
            isolate.generation += 1
            hotCount += 1
            hotPeak = max(hotPeak, hotCount)
        }
    }

    /// Before any revival has shown it.
    private static let usualRevivalNanoseconds = 2e6
    /// What V8 takes to make an isolate ahead, which one that starts from its source uses up: 2 to 4 ms (docs/benchmarks.md, First answers).
    private static let isolateNanoseconds: UInt64 = 2_000_000

    /// Of a tenant that has a snapshot.
    func prefersSource(_ isolate: TenantIsolate) -> Bool {
        guard isolate.version.snapshot != nil, !configuration.revivesFromSnapshot else { return false }
        let source = isolate.sourceNanoseconds ?? (isolate.version.bundleBytes <= TenantBundle.smallBytes ? 0 : .max)
        return source < expectedSnapshotNanoseconds(of: isolate) ?? .max
    }

    /// What it takes to bring it back from its snapshot: as measured, else as others of its size take; nil without one.
    private func expectedSnapshotNanoseconds(of isolate: TenantIsolate) -> UInt64? {
        guard let snapshot = isolate.version.snapshot else { return nil }
        return isolate.snapshotNanoseconds ?? UInt64(revivals.at(Double(snapshot.blobBytes)) ?? Self.usualRevivalNanoseconds)
    }

    /// What it takes to bring it back, by the cheaper of the two ways as far as they are known.
    private func noteCost(of isolate: TenantIsolate) {
        let fromSource = isolate.sourceNanoseconds.map { $0 + Self.isolateNanoseconds }
        isolate.costNanoseconds = min(fromSource ?? .max, expectedSnapshotNanoseconds(of: isolate) ?? .max)
        if isolate.evictionSlot >= 0 { eviction.update(isolate.evictionSlot, costNanoseconds: isolate.costNanoseconds) }
    }

    /// Takes the lock.
    /// - Parameter cpuNanoseconds: what its modules took.
    func startedFromSource(_ isolate: TenantIsolate, nanoseconds: UInt64, cpuNanoseconds: UInt64) {
        let isWarm = lock.withLock {
            isolate.sourceNanoseconds = min(isolate.sourceNanoseconds ?? .max, cpuNanoseconds)
            noteCost(of: isolate)
            return isolate.version.snapshot != nil
        }
        started(isolate, from: isWarm ? .sourceOfWarm : .source, nanoseconds: nanoseconds, cpuNanoseconds: cpuNanoseconds)
    }

    /// Takes the lock.
    func revived(_ isolate: TenantIsolate, nanoseconds: UInt64, cpuNanoseconds: UInt64) {
        lock.withLock {
            isolate.snapshotNanoseconds = min(isolate.snapshotNanoseconds ?? .max, cpuNanoseconds)
            noteCost(of: isolate)
            if let snapshot = isolate.version.snapshot { revivals.add(x: Double(snapshot.blobBytes), y: Double(cpuNanoseconds)) }
        }
        started(isolate, from: .snapshot, nanoseconds: nanoseconds, cpuNanoseconds: cpuNanoseconds)
    }

    /// An isolate is ready for its first request. Takes the lock.
    func started(_ isolate: TenantIsolate, from kind: StartKind, nanoseconds: UInt64, cpuNanoseconds: UInt64) {
        let bytes = isolate.measuredBytes
        socket.send(FrameHeader(.started, length: 16, extra: kind.rawValue, id: isolate.version.id)) {
            $0.append(integer: nanoseconds)
            $0.append(integer: cpuNanoseconds)
        }
        lock.withLock {
            if kind == .source {
                status.coldStarts += 1
                status.coldStartMicroseconds += nanoseconds / 1000
            }
            isolate.bytes = bytes
            let now = Clock.monotonicNanoseconds
            // Who was brought back before a call is idle from now on.
            isolate.lastUseNanoseconds = now
            // The warm-up's isolate is nobody's.
            guard isolate.evictionSlot >= 0 else { return }
            if eviction.isResident(isolate.evictionSlot) {
                eviction.update(isolate.evictionSlot, bytes: isolate.heldBytes)
            } else {
                eviction.admit(
                    isolate.evictionSlot, bytes: isolate.heldBytes, costNanoseconds: isolate.costNanoseconds, now: now,
                    isCalled: isolate.takeCall())
            }
        }
    }

    /// There is no V8 isolate any more. Takes the lock.
    func cooled(_ isolate: TenantIsolate) {
        lock.withLock {
            guard isolate.isHot else { return }
            change(isolate) { isolate.isHot = false }
            isolate.isTrimmed = false
            isolate.isAskedToGo = false
            if isolate.openRequests == 0 { isolate.wasCalled = false }
            hotCount -= 1
            guard isolate.evictionSlot >= 0 else { return }
            eviction.evict(isolate.evictionSlot, now: Clock.monotonicNanoseconds)
        }
    }

    /// Takes the lock.
    func evicted(_ isolate: TenantIsolate, _ reason: EvictionReason) {
        lock.withLock {
            switch reason {
            case .idle: status.evictedIdle += 1
            case .pressure: status.evictedByPressure += 1
            case .limit: status.evictedAtLimit += 1
            case .asked: status.evictedWhenAsked += 1
            }
        }
    }

    /// Takes the lock.
    func trimmed(_ isolate: TenantIsolate) {
        let bytes = isolate.measuredBytes
        lock.withLock {
            isolate.isTrimmed = true
            status.trims += 1
            isolate.bytes = bytes
            eviction.update(isolate.evictionSlot, bytes: isolate.heldBytes)
        }
    }

    /// Forgets a version whose isolate is running its last slice. Takes the lock.
    func remove(_ isolate: TenantIsolate) {
        lock.withLock {
            versions[isolate.version.id] = nil
            change(isolate) { isolate.isRemoved = true }
            forgotSome = true
        }
    }

    /// An isolate has nothing to do for now.
    func noteUse(of isolate: TenantIsolate, now: UInt64) {
        guard isolate.isHot else { return }
        guard !eviction.isResident(isolate.evictionSlot) || now &- isolate.notedNanoseconds > Self.useNanoseconds else {
            isolate.wasCalled = false
            return
        }
        isolate.notedNanoseconds = now
        isolate.isTrimmed = false
        isolate.bytes = isolate.measuredBytes
        if eviction.isResident(isolate.evictionSlot) {
            eviction.use(isolate.evictionSlot, bytes: isolate.heldBytes, now: now, isCalled: isolate.takeCall())
        } else {
            // It was chosen to go, and a request came first.
            eviction.admit(
                isolate.evictionSlot, bytes: isolate.heldBytes, costNanoseconds: isolate.costNanoseconds, now: now,
                isCalled: isolate.takeCall())
        }
        // Now that it is idle it may itself be the one to go.
        keepWithinBudget(now: now)
    }

    /// More or less of an isolate's responses waits for its clients.
    func waitingBytes(of isolate: TenantIsolate, changedBy count: Int) {
        isolate.waitingBytes += count
        noteHeldBytes(of: isolate)
    }

    /// Changes what is kept of a version, or whether it has an isolate.
    private func change(_ isolate: TenantIsolate, _ body: () -> Void) {
        count(isolate, -1)
        body()
        count(isolate, 1)
        noteHeldBytes(of: isolate)
    }

    private func noteHeldBytes(of isolate: TenantIsolate) {
        // The warm-up's isolate is nobody's; the slot of who was removed is another's by now.
        guard isolate.evictionSlot >= 0, !isolate.isRemoved else { return }
        eviction.update(isolate.evictionSlot, bytes: isolate.heldBytes)
    }

    /// Counts what is kept of a version, once: 1, and -1 to take it back.
    func count(_ isolate: TenantIsolate, _ sign: Int) {
        guard !isolate.isRemoved else { return }
        let bytes = sign * isolate.version.storedBytes
        storedBytes += bytes
        guard !isolate.isHot else { return }
        coldStoredBytes += bytes
        if isolate.version.snapshot != nil { warmCount += sign }
    }

    // MARK: Eviction

    private func isIdle(_ isolate: TenantIsolate) -> Bool { isolate.isHot && !isolate.isScheduled && isolate.openRequests == 0 }

    private func mayEvict(_ slot: EvictionOrder.Slot) -> Bool { evictable[slot].map(isIdle) ?? false }

    private func evict(_ isolate: TenantIsolate, _ reason: EvictionReason, now: UInt64) {
        eviction.evict(isolate.evictionSlot, now: now, forRoom: reason == .pressure)
        deliver(.end(.evicted(reason)), to: isolate)
    }

    /// Evicts when isolates hold more than they may, or are too many: some were made while all others were busy.
    func keepWithinBudget(now: UInt64) {
        while eviction.residentCount > configuration.isolateLimit,
            let slot = eviction.victim(now: now, budgetBytes: budgetBytes, mayEvict: mayEvict)
        {
            evict(evictable[slot]!, .limit, now: now)
        }
        // What is kept of those without an isolate has a limit of its own (`giveUpCold`).
        let available = max(budgetBytes - coldStoredBytes, 0)
        guard eviction.residentBytes > available else { return }
        let goal = Int(Double(available) * Self.lowWatermark)
        while eviction.residentBytes > goal, let slot = eviction.victim(now: now, budgetBytes: available, mayEvict: mayEvict) {
            evict(evictable[slot]!, .pressure, now: now)
        }
    }

    /// At the limit of isolates, has one end. Takes the lock.
    func makeRoomForIsolate(besides newcomer: TenantIsolate) {
        lock.withLock {
            guard hotCount >= configuration.isolateLimit else { return }
            let now = Clock.monotonicNanoseconds
            let slot = eviction.victim(now: now, budgetBytes: budgetBytes) { $0 != newcomer.evictionSlot && mayEvict($0) }
            if let slot { evict(evictable[slot]!, .limit, now: now) }
        }
    }

    /// - Parameter version: which isolate goes, as soon as it is idle; 0 for all that are idle now.
    func evictWhenAsked(version: UInt64) {
        let now = Clock.monotonicNanoseconds
        if version != 0 {
            guard let isolate = versions[version], isolate.isHot || isolate.isScheduled else { return }
            isolate.isAskedToGo = true
            return evictIfAsked(isolate, now: now)
        }
        for isolate in versions.values where isIdle(isolate) { evict(isolate, .asked, now: now) }
    }

    func evictIfAsked(_ isolate: TenantIsolate, now: UInt64) {
        guard isolate.isAskedToGo, isIdle(isolate) else { return }
        isolate.isAskedToGo = false
        evict(isolate, .asked, now: now)
    }

    private var idleLimitNanoseconds: UInt64 { UInt64(configuration.idleSeconds) * 1_000_000_000 }

    /// Once a second, with a ping of the supervisor's: finds isolates to end, which nobody has used for long, and to trim, which nobody uses now.
    func housekeep() {
        let now = Clock.monotonicNanoseconds
        guard now &- lastHousekeepingNanoseconds > Self.secondNanoseconds else { return }
        lastHousekeepingNanoseconds = now
        // No worker had time for it: one goes anyway, so that it is never put off for good.
        if !housekeepingDue.isEmpty { deliverHousekeeping() }
        housekeepingDue.removeAll(keepingCapacity: true)
        eviction.oldestFirst { slot, lastUse in
            let isOver = now > lastUse + idleLimitNanoseconds
            guard housekeepingDue.count < Self.housekeepingLimit, isOver || now > lastUse + Self.trimAfterNanoseconds else { return false }
            guard let isolate = evictable[slot], isIdle(isolate) else { return true }
            if isOver || !isolate.isTrimmed && isolate.bytes <= Self.trimBytesLimit { housekeepingDue.append(isolate) }
            return true
        }
        housekeepingDue.reverse()
        eviction.passSecond()
        keepWithinBudget(now: now)
        prewarm(now: now)
        giveUpCold(now: now)
    }

    /// A worker has nothing else to do: an isolate that was found to be due is trimmed or ended, unless it has been used since. One at a time: each
    /// takes milliseconds, and a request that comes waits for no more than one.
    /// - Returns: whether there was one.
    @discardableResult
    func deliverHousekeeping() -> Bool {
        while let isolate = housekeepingDue.popLast() {
            guard !isolate.isRemoved, isIdle(isolate) else { continue }
            let now = Clock.monotonicNanoseconds
            if now > isolate.lastUseNanoseconds + idleLimitNanoseconds {
                evict(isolate, .idle, now: now)
            } else if now > isolate.lastUseNanoseconds + Self.trimAfterNanoseconds {
                deliver(.trim, to: isolate)
            } else {
                continue
            }
            return true
        }
        return false
    }

    /// Tenants that are called regularly (timers, mostly) are brought back shortly before their next call. Where memory is full others make room for
    /// them as they would for the call.
    private func prewarm(now: UInt64) {
        guard !configuration.evictsLRU else { return }
        var count = 0
        for slot in eviction.expected(now: now) where count < Self.prewarmLimit {
            guard let isolate = evictable[slot], !isolate.isHot, !isolate.isScheduled, !isolate.isRetired, hasQuota(isolate, now: now)
            else { continue }
            count += 1
            status.prewarmed += 1
            deliver(.prewarm, to: isolate)
        }
    }

    /// Tells the supervisor of versions that this cell no longer keeps bundle and snapshot of: it retires them here and gives them again when
    /// they are used.
    private func giveUpCold(now: UInt64) {
        let limit = Double(budgetBytes) * Self.storedShare
        guard coldStoredBytes > Int(limit) else { return }
        var excess = coldStoredBytes - Int(limit * Self.storedWatermark)
        let idle = versions.values.filter { mayGiveUp($0, now: now) }
        for isolate in idle.sorted(by: { $0.lastUseNanoseconds < $1.lastUseNanoseconds }).prefix(Self.coldLimit) where excess > 0 {
            isolate.givenUpNanoseconds = now
            excess -= isolate.version.storedBytes
            socket.send(FrameHeader(.cold, length: 0, id: isolate.version.id))
        }
    }

    /// Not who was used a moment ago, who comes regularly, which only this cell knows, and whose quota is used up, which is forgotten with it.
    private func mayGiveUp(_ isolate: TenantIsolate, now: UInt64) -> Bool {
        guard !isolate.isHot, !isolate.isScheduled, isolate.openRequests == 0, !isolate.isRetired,
            now > isolate.lastUseNanoseconds + Self.keptNanoseconds,
            // The supervisor may not have heeded it, for a request that then never came here.
            isolate.givenUpNanoseconds == 0 || now > isolate.givenUpNanoseconds + Self.keptNanoseconds
        else { return false }
        // With nothing but these there would be more than the budget.
        let isKept = eviction.isRegular(isolate.evictionSlot) && coldStoredBytes <= budgetBytes
        return !isKept && hasQuota(isolate, now: now)
    }

    /// So many isolates fewer than there were must be there for the C library's heap to be looked through, which holds up whoever needs memory
    /// for milliseconds. While as many come as go, the ones that come have what the others left.
    private static let trimmedIsolates = 16
    private static let trimIntervalNanoseconds: UInt64 = 1_000_000_000
    /// Of isolates that are gone: three times what one with a bundle of a megabyte takes.
    private static let freedPagesLimit = 16 << 20
    /// In units of the interval: what nobody has wanted for so long goes back.
    private static let intervalsUntilUnused = 10

    /// The main thread's work from now on: what isolates leave in the C library's heap is given back. Takes the lock.
    func giveBackFreedMemory() -> Never {
        V8.keepFreedPages(upTo: Self.freedPagesLimit)
        var intervals = 0
        while true {
            Clock.sleep(nanoseconds: Self.trimIntervalNanoseconds)
            intervals += 1
            if intervals % Self.intervalsUntilUnused == 0 {
                V8.giveBackUnusedPages()
                blobs.giveBackUnused()
                reserve.giveBackUnused()
            }
            let isWorthwhile = lock.withLock {
                // What a version leaves is free when its isolate has been disposed of.
                let hasForgotten = forgotSome && intervals % Self.intervalsUntilUnused == 0
                guard hotPeak - hotCount >= Self.trimmedIsolates || hotCount == 0 && hotPeak > 0 || hasForgotten else { return false }
                hotPeak = hotCount
                if hasForgotten { forgotSome = false }
                return true
            }
            if isWorthwhile { V8.trimProcess() }
        }
    }

    // MARK: Snapshots

    func takeSnapshot(_ snapshot: SnapshotFrame, of version: UInt64) {
        guard let isolate = versions[version] else { return }
        change(isolate) { isolate.version.snapshot = snapshot }
        // It may be cheaper to bring back from now on.
        if isolate.costNanoseconds > 0 { noteCost(of: isolate) }
    }

    /// What V8 compiled of a version, for its next start.
    func keep(_ code: [Int: UnsafeRawBufferPointer], of isolate: TenantIsolate) { change(isolate) { isolate.version.keep(code) } }

    /// A snapshot turned out not to be usable: the version starts from its source from now on. Takes the lock.
    func refuseSnapshot(of isolate: TenantIsolate, _ why: String) {
        lock.withLock {
            change(isolate) { isolate.version.snapshot = nil }
            isolate.snapshotNanoseconds = nil
        }
        socket.send(.snapshotRefused, id: isolate.version.id, payload: Array(why.utf8.prefix(4096)))
    }

    // MARK: Reports

    func list(query: UInt64) {
        let now = Clock.monotonicNanoseconds
        var payload = ByteWriter()
        var count = 0
        for isolate in versions.values {
            report(isolate, now: now).encode(into: &payload)
            count += 1
            if count == Self.reportsPerFrame {
                socket.send(.isolates, id: query, payload: payload.bytes)
                payload = ByteWriter()
                count = 0
            }
        }
        socket.send(.isolates, flags: .end, id: query, payload: payload.bytes)
    }

    private func report(_ isolate: TenantIsolate, now: UInt64) -> IsolateReport {
        let version = isolate.version
        let state: IsolateState = isolate.isHot ? (isolate.isTrimmed ? .trimmed : .hot) : version.snapshot != nil ? .warm : .cold
        let all = isolate.isHot ? isolate.bytes : 0
        let buffers = min(isolate.arrayBufferBytes, all)
        let native = min(isolate.nativeBytes, all - buffers)
        return IsolateReport(
            version: version.id, state: state, pageBytes: UInt64(all - buffers - native),
            arrayBufferBytes: UInt64(buffers), nativeBytes: UInt64(native),
            bundleBytes: UInt64(version.bundleBytes), codeBytes: UInt64(version.codeBytes),
            snapshotBytes: UInt64(version.snapshot?.delta.count ?? 0),
            idleMilliseconds: isolate.lastUseNanoseconds == 0 ? 0 : (now &- isolate.lastUseNanoseconds) / 1_000_000,
            reviveMicroseconds: isolate.costNanoseconds / 1000, openRequests: UInt32(clamping: isolate.openRequests))
    }
}

extension TenantIsolate {
    /// Whether requests came since this was last asked. Under the cell's lock.
    func takeCall() -> Bool {
        defer { wasCalled = false }
        return wasCalled
    }

    /// What there would be room for without it: the isolate as it was last measured, what waits for its clients, and what is kept of its tenant, which
    /// only stays for long while there is an isolate. Under the cell's lock.
    var heldBytes: Int { bytes + waitingBytes + version.storedBytes }

    /// What the isolate holds now. For whoever runs it.
    var measuredBytes: Int {
        guard let memory = isolate?.memory else { return 0 }
        (arrayBufferBytes, nativeBytes) = (memory.arrayBufferBytes, memory.nativeBytes)
        return memory.bytes
    }
}
