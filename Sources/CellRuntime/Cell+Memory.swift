import Engine
import Scheduling
import Wire

/// The life of isolates as far as memory decides it: made, trimmed, evicted, revived. All under the cell's lock unless it says otherwise.
extension Cell {
    /// Over the budget, isolates are evicted until so much of it is used.
    private static let lowWatermark = 0.9
    /// An isolate that was idle for this long is trimmed, if it holds enough for that to pay and little enough that it does not take long.
    private static let trimAfterNanoseconds: UInt64 = 10_000_000_000
    private static let trimBytes = (1 << 20)...(32 << 20)
    /// Trims and idle ends in a second, so that the workers have time for requests.
    private static let housekeepingLimit = 20
    /// Uses within this time are one: the order is not kept more exactly than that.
    private static let useNanoseconds: UInt64 = 1_000_000
    private static let reportsPerFrame = 500

    // MARK: Coming and going

    /// There is a V8 isolate. Takes the lock.
    func coldStarted(_ isolate: TenantIsolate) {
        lock.withLock {
            isolate.isHot = true
            isolate.generation += 1
            hotCount += 1
        }
    }

    /// An isolate is ready for its first request. Takes the lock.
    func started(_ isolate: TenantIsolate, from kind: StartKind, nanoseconds: UInt64) {
        let bytes = isolate.measuredBytes
        socket.send(FrameHeader(.started, length: 8, extra: kind.rawValue, id: isolate.version.id)) { $0.append(integer: nanoseconds) }
        lock.withLock {
            status.coldStarts += kind == .source ? 1 : 0
            status.coldStartMicroseconds += nanoseconds / 1000
            isolate.reviveNanoseconds = nanoseconds
            isolate.bytes = bytes
            let now = Clock.monotonicNanoseconds
            // The warm-up's isolate is nobody's.
            guard isolate.evictionSlot >= 0 else { return }
            if eviction.isResident(isolate.evictionSlot) {
                eviction.update(isolate.evictionSlot, bytes: bytes, costNanoseconds: nanoseconds)
            } else {
                eviction.admit(isolate.evictionSlot, bytes: bytes, costNanoseconds: nanoseconds, now: now)
            }
            keepWithinBudget(now: now)
        }
    }

    /// There is no V8 isolate any more. Takes the lock.
    func cooled(_ isolate: TenantIsolate) {
        lock.withLock {
            guard isolate.isHot else { return }
            isolate.isHot = false
            isolate.isTrimmed = false
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
            eviction.update(isolate.evictionSlot, bytes: bytes)
        }
    }

    /// Forgets a version whose isolate is running its last slice. Takes the lock.
    func remove(_ isolate: TenantIsolate) {
        lock.withLock {
            versions[isolate.version.id] = nil
            isolate.isRemoved = true
            storedBytes -= isolate.version.storedBytes
        }
    }

    /// An isolate has nothing to do for now.
    func noteUse(of isolate: TenantIsolate, now: UInt64) {
        guard isolate.isHot, now &- isolate.notedNanoseconds > Self.useNanoseconds else { return }
        isolate.notedNanoseconds = now
        isolate.isTrimmed = false
        isolate.bytes = isolate.measuredBytes
        if eviction.isResident(isolate.evictionSlot) {
            eviction.use(isolate.evictionSlot, bytes: isolate.bytes, now: now)
        } else {
            // It was chosen to go, and a request came first.
            eviction.admit(isolate.evictionSlot, bytes: isolate.bytes, costNanoseconds: isolate.reviveNanoseconds, now: now)
        }
    }

    // MARK: Eviction

    private func isIdle(_ isolate: TenantIsolate) -> Bool { isolate.isHot && !isolate.isScheduled && isolate.openRequests == 0 }

    private func mayEvict(_ slot: EvictionOrder.Slot) -> Bool { evictable[slot].map(isIdle) ?? false }

    private func evict(_ isolate: TenantIsolate, _ reason: EvictionReason, now: UInt64) {
        eviction.evict(isolate.evictionSlot, now: now)
        deliver(.end(.evicted(reason)), to: isolate)
    }

    /// Evicts when isolates hold more than they may.
    func keepWithinBudget(now: UInt64) {
        // Bundles and snapshots are kept: without them nothing could be revived here.
        let available = max(budgetBytes - storedBytes, 0)
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

    func evictWhenAsked(version: UInt64) {
        let now = Clock.monotonicNanoseconds
        if version != 0 {
            if let isolate = versions[version], isIdle(isolate) { evict(isolate, .asked, now: now) }
            return
        }
        for isolate in versions.values where isIdle(isolate) { evict(isolate, .asked, now: now) }
    }

    /// Once a second, with the supervisor's ping: ends isolates that nobody has used for long and trims those that nobody uses now.
    func housekeep() {
        let now = Clock.monotonicNanoseconds
        let idleNanoseconds = UInt64(configuration.idleSeconds) * 1_000_000_000
        var left = Self.housekeepingLimit
        var due: [(TenantIsolate, EvictionReason?)] = []
        eviction.oldestFirst { slot, lastUse in
            guard left > 0, now > lastUse + Self.trimAfterNanoseconds || now > lastUse + idleNanoseconds else { return false }
            guard let isolate = evictable[slot], isIdle(isolate) else { return true }
            if now > lastUse + idleNanoseconds {
                due.append((isolate, .idle))
                left -= 1
            } else if !isolate.isTrimmed, Self.trimBytes.contains(isolate.bytes) {
                due.append((isolate, nil))
                left -= 1
            }
            return true
        }
        for (isolate, reason) in due {
            if let reason { evict(isolate, reason, now: now) } else { deliver(.trim, to: isolate) }
        }
        keepWithinBudget(now: now)
    }

    // MARK: Snapshots

    func takeSnapshot(_ snapshot: SnapshotFrame, of version: UInt64) throws(WireError) {
        guard let isolate = versions[version] else { return }
        storedBytes -= isolate.version.storedBytes
        isolate.version.snapshot = snapshot
        isolate.version.isSnapshotAdmitted = false
        storedBytes += isolate.version.storedBytes
    }

    /// A snapshot turned out not to be usable: the version starts from its source from now on. Takes the lock.
    func refuseSnapshot(of isolate: TenantIsolate, _ why: String) {
        lock.withLock {
            storedBytes -= isolate.version.storedBytes
            isolate.version.snapshot = nil
            storedBytes += isolate.version.storedBytes
        }
        socket.send(.snapshotRefused, id: isolate.version.id, payload: Array(why.utf8.prefix(4096)))
    }

    // MARK: Reports

    var warmCount: Int { versions.values.count { !$0.isHot && $0.version.snapshot != nil } }

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
        let buffers = isolate.isHot ? min(isolate.arrayBufferBytes, isolate.bytes) : 0
        return IsolateReport(
            version: version.id, state: state, pageBytes: UInt64(isolate.isHot ? isolate.bytes - buffers : 0),
            arrayBufferBytes: UInt64(buffers),
            bundleBytes: UInt64(version.bundleBytes), snapshotBytes: UInt64(version.snapshot?.delta.count ?? 0),
            idleMilliseconds: isolate.lastUseNanoseconds == 0 ? 0 : (now &- isolate.lastUseNanoseconds) / 1_000_000,
            reviveMicroseconds: isolate.reviveNanoseconds / 1000, openRequests: UInt32(clamping: isolate.openRequests))
    }
}

extension TenantIsolate {
    /// What the isolate holds now. For whoever runs it.
    var measuredBytes: Int {
        guard let memory = isolate?.memory else { return 0 }
        arrayBufferBytes = memory.arrayBufferBytes
        return memory.pageBytes + memory.arrayBufferBytes
    }
}
