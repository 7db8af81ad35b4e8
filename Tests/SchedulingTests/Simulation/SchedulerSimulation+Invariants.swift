@testable import Scheduling

/// What is looked at after each event, in the simulation's own count.
extension SchedulerSimulation {
    /// Farther from its share than this is nobody that waits or runs: what it brings back from sleep, what it may be ahead, and two slices.
    private var lagLimit: Double {
        let configuration = queue.configuration
        let longest = configuration.creditLimitNanoseconds + configuration.debtLimitNanoseconds + 2 * configuration.longestSliceNanoseconds
        return Double(longest + (faults.contains(.stuckWorkers) ? Self.stuckNanoseconds : 0))
    }

    /// Tenants that wait for a worker and whose quota lets them run, and those for whom rounding decides that.
    private func runnable() -> (surely: Int, perhaps: Int) {
        var (surely, perhaps) = (0, 0)
        for index in tenants.indices {
            guard let since = tenants[index].runnableSince else { continue }
            let rounding = tenants[index].quota?.roundingNanoseconds ?? 0
            if since + rounding <= now { surely += 1 }
            if since <= now + rounding { perhaps += 1 }
        }
        return (surely, perhaps)
    }

    func check() throws {
        try model.check(admission)
        if workers.contains(where: { $0.tenant == nil }) {
            let waiting = runnable().surely
            if waiting > 0 { throw InvariantViolation(.workConservation, "a worker is idle while \(waiting) are runnable") }
        }
        // The rest is looked at now and then: it changes slowly.
        guard eventCount % 64 == 0 else { return }
        try checkWaits()
        try checkLag()
    }

    private func checkWaits() throws {
        let weight = tenants.reduce(0) { $0 + $1.weight }
        let longest = faults.contains(.stuckWorkers) ? Self.stuckNanoseconds : queue.configuration.longestSliceNanoseconds
        for index in tenants.indices {
            guard let since = tenants[index].runnableSince, since < now else { continue }
            let turns = Double(weight) / Double(tenants[index].weight) + Double(tenants.count)
            if Double(now - since) > 2 * turns * Double(longest) + 200_000_000 {
                throw InvariantViolation(.starvation, "tenant \(index) waits for \((now - since) / 1_000_000) ms")
            }
        }
    }

    private func checkLag() throws {
        for index in tenants.indices where queue.isActive(tenants[index].slot) {
            let lag = queue.lagNanoseconds(of: tenants[index].slot)
            // Who is too far ahead waits apart from the others.
            guard lag > 0 || tenants[index].isRunning else { continue }
            if abs(lag) > lagLimit { throw InvariantViolation(.lag, "tenant \(index) lags by \(lag / 1e6) ms") }
        }
    }

    mutating func checkQuota(_ index: Int) throws {
        guard let level = tenants[index].quota?.level(now: now), level < -10 else { return }
        throw InvariantViolation(.quota, "tenant \(index) runs while it owes \(-level) ns")
    }

    /// A round through all that wait takes no longer than it should, and slices do not shrink without need.
    func check(slice: UInt64) throws {
        let (surely, perhaps) = runnable()
        let configuration = queue.configuration
        func usual(_ waiting: Int) -> UInt64 {
            let part = configuration.roundNanoseconds / UInt64(waiting + 1)
            return min(max(part, configuration.shortestSliceNanoseconds), configuration.longestSliceNanoseconds)
        }
        guard slice >= usual(perhaps), slice <= usual(surely) else {
            throw InvariantViolation(.slices, "a slice is \(slice) ns while \(surely) wait")
        }
    }

    // MARK: Shares

    mutating func endWindow() throws {
        let length = now - windowStart
        if windowStart > 0 { try checkShares(length) }
        windowStart = now
        at(now + windowNanoseconds, .window)
        for index in tenants.indices {
            tenants[index].usedBefore = usedByNow(index)
            tenants[index].isBusy = !tenants[index].inbox.isEmpty
        }
    }

    private func usedByNow(_ index: Int) -> UInt64 {
        let running = workers.first { $0.tenant == index }
        return tenants[index].used + (running.map { now - $0.started } ?? 0)
    }

    /// What those got that had something to do all the time, among each other. With several workers who has one to itself could not have more;
    /// where that changes as others come and go, only bounds hold.
    private mutating func checkShares(_ length: UInt64) throws {
        let isSteady = faults.isEmpty && tenants.allSatisfy { $0.meanIntervalNanoseconds == nil && $0.quotaMilliseconds == nil }
        let busy = tenants.indices.filter { tenants[$0].isBusy && tenants[$0].quotaMilliseconds == nil }
            .map { Share(tenant: $0, weight: Double(tenants[$0].weight), used: Double(usedByNow($0) - tenants[$0].usedBefore)) }
        if workers.count == 1 {
            try checkParts(busy)
        } else if isSteady {
            try checkParts(busy.filter { $0.used < 0.95 * Double(length) })
        } else {
            try checkBounds(busy.sorted { $0.weight < $1.weight })
        }
    }

    private struct Share {
        var tenant: Int
        var weight: Double
        var used: Double
    }

    /// Each has what its weight says, within 1 % or what it may lag.
    private mutating func checkParts(_ shares: [Share]) throws {
        let weight = shares.reduce(0) { $0 + $1.weight }
        let used = shares.reduce(0) { $0 + $1.used }
        for share in shares where shares.count > 1 {
            let fair = used * share.weight / weight
            largestShareError = max(largestShareError, abs(share.used - fair) / fair)
            try compare(share, with: fair, isLess: true, isMore: true)
        }
    }

    /// Who is lighter has no more than who is heavier, and not less than its weight says beside that.
    private mutating func checkBounds(_ shares: [Share]) throws {
        for (index, light) in shares.enumerated() {
            for heavy in shares[(index + 1)...] {
                try compare(light, with: heavy.used * light.weight / heavy.weight, isLess: true, isMore: false)
                try compare(light, with: heavy.used, isLess: false, isMore: true)
            }
        }
    }

    private mutating func compare(_ share: Share, with fair: Double, isLess: Bool, isMore: Bool) throws {
        sharesChecked += 1
        let error = share.used - fair
        guard (error < 0 && isLess) || (error > 0 && isMore), abs(error) > max(0.01 * fair, lagLimit) else { return }
        throw InvariantViolation(.shares, "tenant \(share.tenant) got \(share.used / 1e6) ms beside \(fair / 1e6)")
    }

    // MARK: The end

    /// Every request that neither runs nor waits has ended.
    func checkAnswers() throws {
        let held = tenants.reduce(0) { $0 + $1.inbox.count } + admission.waiting
        guard openCount == held else { throw InvariantViolation(.oneAnswer, "\(openCount) requests are open, \(held) are held") }
    }

    /// With all requests ended and all tenants gone, every place can be had again.
    mutating func checkNothingIsLeft() throws {
        for id in requests.indices where requests[id].isOpen {
            if requests[id].cell == nil { try cancel(id) } else { try end(id) }
        }
        for index in tenants.indices { leave(index) }
        try startWaiting()
        try model.checkNothingIsLeft(&admission)
    }
}
