import Collections

/// How many requests may run and wait.
public struct AdmissionLimits: Sendable {
    /// Requests that run at once on the machine, and in one cell.
    public var machineConcurrency: Int
    /// In one cell.
    public var cellConcurrency: Int
    /// Requests that wait on the machine, all tenants together.
    public var machineQueue: Int

    /// Each at least 1, but for the queue, which may be 0.
    public init(machineConcurrency: Int, cellConcurrency: Int, machineQueue: Int) {
        self.machineConcurrency = machineConcurrency
        self.cellConcurrency = cellConcurrency
        self.machineQueue = machineQueue
    }
}

/// What one tenant may have.
public struct TenantAdmission: Sendable, Equatable {
    /// Requests that run at once, and that wait.
    public var concurrency: Int
    /// Those that wait; may be 0.
    public var queue: Int
    /// Who is heavier is shed later.
    public var weight: Int

    /// As the tenant's policy has them.
    public init(concurrency: Int, queue: Int, weight: Int) {
        self.concurrency = concurrency
        self.queue = queue
        self.weight = weight
    }
}

/// Which requests start, wait and are refused: by the tenant's concurrency and queue, then its cell's concurrency, then the machine's concurrency
/// and queue. At a full machine queue the latest request of the lightest tenant gives way to a heavier tenant's; among equals the newcomer is
/// refused. Tenants that wait start a request each in turn; those of a full cell stand in the cell's own line, and nobody overtakes them when it has
/// room again.
///
/// Pure. Operations take O(log tenants), but for `cancel`, which looks through the tenant's own queue, and a move, which looks through the line
/// of the cell that the tenant leaves.
public struct Admission: Sendable {
    /// A tenant's and a cell's number; used again after removal.
    public typealias TenantSlot = Int
    /// A cell's number; used again when the cell is removed and what ran in it has ended.
    public typealias CellSlot = Int
    /// The caller's number of a request, another for each that is open.
    public typealias RequestID = UInt64

    /// What becomes of a request that was offered.
    public enum Verdict: Sendable, Equatable {
        case start
        /// It waits; `shed`, if any, must be refused in its stead.
        case wait(shed: RequestID?)
        case refuse(Refusal)
    }

    /// Why a request is refused at once.
    public enum Refusal: Sendable, Equatable {
        /// The tenant's places and its queue are full.
        case tenantBusy
        /// The tenant's CPU quota is used up and its queue is full.
        case quotaExceeded
        /// The machine's queue is full.
        case overloaded
    }

    /// Where a tenant stands that may start what waits.
    private enum Line: Sendable {
        case none
        /// In `ready`; `called` from its cell's line, for a place that is kept for it.
        case ready, called
        /// In its cell's line.
        case blocked
    }

    private struct Tenant: Sendable {
        var limits: TenantAdmission
        var cell: CellSlot
        var running = 0
        var waiting = Deque<RequestID>()
        /// Its CPU quota is used up.
        var isParked = false
        var line = Line.none
        /// It was removed while something of it ran or it stood in a line.
        var isLeaving = false
    }

    private struct Cell: Sendable {
        var running = 0
        /// Tenants that wait for a place in it, in turn, and how many were called from there to `ready`. While there are blocked ones, as many
        /// are called as there are places.
        var blocked = Deque<TenantSlot>()
        var called = 0
        var isLeaving = false
    }

    /// Fixed; what each tenant may have changes with `update`.
    public let limits: AdmissionLimits
    private var tenants: [Tenant] = []
    private var freeTenants: [TenantSlot] = []
    private var cells = [Cell()]
    private var freeCells: [CellSlot] = []
    /// Tenants that may start something, in turn.
    private var ready = Deque<TenantSlot>()
    /// Tenants that have something waiting, by weight.
    private var lightest = DeadlineQueue<TenantSlot>()
    /// Requests that run now, in all cells.
    public private(set) var running = 0
    /// Requests that wait now, of all tenants.
    public private(set) var waiting = 0

    /// Where tenants are that have no cell yet; without a limit of its own.
    public static let nowhere: CellSlot = 0

    /// Without tenants, and without any cell but `nowhere`.
    public init(_ limits: AdmissionLimits) { self.init(limits, mutation: nil) }

    /// Ways to break the algorithm, for tests that prove that its properties are looked at.
    enum Mutation: Sendable, CaseIterable {
        case heaviestShed, firstWeightKept, cellLimitIgnored, wakeUpLost, moveForgotten, turnsIgnored, startedTwice
    }

    private let mutation: Mutation?

    init(_ limits: AdmissionLimits, mutation: Mutation?) {
        self.limits = limits
        self.mutation = mutation
    }

    // MARK: Tenants and cells

    /// Makes a cell, in which nothing runs yet.
    public mutating func addCell() -> CellSlot {
        if let slot = freeCells.popLast() { return slot }
        cells.append(Cell())
        return cells.count - 1
    }

    /// A cell is gone: tenants that waited for it need not any more. What started in it is still to be `ended`.
    public mutating func removeCell(_ slot: CellSlot) {
        cells[slot].isLeaving = true
        call(slot)
        freeCellIfGone(slot)
    }

    private mutating func freeCellIfGone(_ slot: CellSlot) {
        guard cells[slot].isLeaving, cells[slot].running == 0 else { return }
        cells[slot].isLeaving = false
        freeCells.append(slot)
    }

    /// Makes a tenant, whose requests count for `cell` until `update` says otherwise.
    public mutating func addTenant(_ limits: TenantAdmission, in cell: CellSlot) -> TenantSlot {
        guard let slot = freeTenants.popLast() else {
            tenants.append(Tenant(limits: limits, cell: cell))
            return tenants.count - 1
        }
        tenants[slot] = Tenant(limits: limits, cell: cell)
        return slot
    }

    /// Changes what a tenant may have, and where what starts from now on runs.
    public mutating func update(_ slot: TenantSlot, _ limits: TenantAdmission, in cell: CellSlot) {
        let isReweighed = tenants[slot].limits.weight != limits.weight && mutation != .firstWeightKept
        tenants[slot].limits = limits
        if isReweighed, !tenants[slot].waiting.isEmpty { weigh(slot) }
        move(slot, to: cell)
        list(slot)
    }

    private mutating func move(_ slot: TenantSlot, to cell: CellSlot) {
        let old = tenants[slot].cell
        tenants[slot].cell = cell
        guard cell != old else { return }
        switch tenants[slot].line {
        case .none, .ready: break
        case .called:
            tenants[slot].line = .ready
            cells[old].called -= 1
            call(old)
        case .blocked:
            cells[old].blocked.removeAll { $0 == slot }
            if mutation != .moveForgotten { tenants[slot].line = .none }
        }
    }

    /// No more requests of a tenant will be offered; what waits may still start, what runs is still to be `ended`. Nobody tells when the quota
    /// of one that is gone has filled: it is not parked any more.
    public mutating func removeTenant(_ slot: TenantSlot) {
        tenants[slot].isLeaving = true
        setParked(slot, false)
        freeIfGone(slot)
    }

    private mutating func freeIfGone(_ slot: TenantSlot) {
        let tenant = tenants[slot]
        guard tenant.isLeaving, tenant.running == 0, tenant.waiting.isEmpty, tenant.line == .none else { return }
        tenants[slot].isLeaving = false
        freeTenants.append(slot)
    }

    /// The cell that what a tenant starts now counts for.
    public func cell(of slot: TenantSlot) -> CellSlot { tenants[slot].cell }
    /// Requests of a tenant that run now, in whatever cell they started.
    public func running(of slot: TenantSlot) -> Int { tenants[slot].running }
    /// Requests of a tenant that wait now.
    public func waiting(of slot: TenantSlot) -> Int { tenants[slot].waiting.count }

    /// A tenant's CPU quota is used up, or has filled again.
    public mutating func setParked(_ slot: TenantSlot, _ isParked: Bool) {
        tenants[slot].isParked = isParked
        list(slot)
    }

    /// Whether a tenant's CPU quota is used up, as `setParked` said last.
    public func isParked(_ slot: TenantSlot) -> Bool { tenants[slot].isParked }

    // MARK: Requests

    /// A request of a tenant came.
    public mutating func offer(_ request: RequestID, of slot: TenantSlot) -> Verdict {
        let own = tenants[slot].limits
        if tenants[slot].waiting.isEmpty, mayStart(slot), running < limits.machineConcurrency, hasRoom(tenants[slot].cell) {
            start(slot)
            return .start
        }
        guard tenants[slot].waiting.count < own.queue else { return .refuse(tenants[slot].isParked ? .quotaExceeded : .tenantBusy) }
        var shed: RequestID?
        if waiting >= limits.machineQueue {
            guard let victim = lightest.first(), tenants[victim].limits.weight < own.weight else { return .refuse(.overloaded) }
            shed = takeWaiting(of: victim, at: tenants[victim].waiting.count - 1)
            freeIfGone(victim)
        }
        tenants[slot].waiting.append(request)
        waiting += 1
        if tenants[slot].waiting.count == 1 { weigh(slot) }
        list(slot)
        return .wait(shed: shed)
    }

    private mutating func weigh(_ slot: TenantSlot) {
        let weight = UInt64(clamping: tenants[slot].limits.weight)
        lightest.set(slot, at: mutation == .heaviestShed ? .max - weight : weight)
    }

    private mutating func takeWaiting(of slot: TenantSlot, at index: Int) -> RequestID {
        waiting -= 1
        let request = tenants[slot].waiting.remove(at: index)
        if tenants[slot].waiting.isEmpty { lightest.remove(slot) }
        return request
    }

    private func mayStart(_ slot: TenantSlot) -> Bool {
        !tenants[slot].isParked && tenants[slot].running < tenants[slot].limits.concurrency
    }

    /// Places of a cell that nothing runs in.
    private func places(_ cell: CellSlot) -> Int {
        let isUnlimited = cell == Self.nowhere || cells[cell].isLeaving || mutation == .cellLimitIgnored
        return isUnlimited ? .max : limits.cellConcurrency - cells[cell].running
    }

    /// Whether a cell has a place that is not kept for who was called.
    private func hasRoom(_ cell: CellSlot) -> Bool { cells[cell].called < places(cell) }

    /// Has the turn of those who are blocked come, as far as their cell has room.
    private mutating func call(_ cell: CellSlot) {
        while hasRoom(cell), let slot = cells[cell].blocked.popFirst() {
            cells[cell].called += 1
            tenants[slot].line = .called
            ready.append(slot)
        }
    }

    private mutating func start(_ slot: TenantSlot) {
        tenants[slot].running += 1
        running += 1
        cells[tenants[slot].cell].running += 1
    }

    /// Has the tenant's turn come when it may start what waits.
    private mutating func list(_ slot: TenantSlot) {
        guard tenants[slot].line == .none, !tenants[slot].waiting.isEmpty, mayStart(slot) else { return }
        tenants[slot].line = .ready
        ready.append(slot)
    }

    /// Takes the next request that waited and may start now, and the cell it counts for; call until it is nil.
    public mutating func next() -> (request: RequestID, cell: CellSlot)? {
        while running < limits.machineConcurrency, let slot = mutation == .turnsIgnored ? ready.popLast() : ready.popFirst() {
            let cell = tenants[slot].cell
            if tenants[slot].line == .called { cells[cell].called -= 1 }
            tenants[slot].line = .none
            guard !tenants[slot].waiting.isEmpty, mayStart(slot) else {
                // The place that was kept for it is another's.
                if mutation != .wakeUpLost { call(cell) }
                freeIfGone(slot)
                continue
            }
            guard hasRoom(cell) else {
                tenants[slot].line = .blocked
                cells[cell].blocked.append(slot)
                continue
            }
            let request = mutation == .startedTwice ? tenants[slot].waiting[0] : takeWaiting(of: slot, at: 0)
            start(slot)
            list(slot)
            return (request, cell)
        }
        return nil
    }

    /// A request of a tenant, which started in `cell`, has ended.
    public mutating func ended(_ slot: TenantSlot, in cell: CellSlot) {
        precondition(tenants[slot].running > 0 && cells[cell].running > 0, "what ends has begun")
        tenants[slot].running -= 1
        cells[cell].running -= 1
        running -= 1
        call(cell)
        freeCellIfGone(cell)
        list(slot)
        freeIfGone(slot)
    }

    /// A request that waits is given up.
    /// - Returns: whether it waited.
    public mutating func cancel(_ request: RequestID, of slot: TenantSlot) -> Bool {
        guard let index = tenants[slot].waiting.firstIndex(of: request) else { return false }
        _ = takeWaiting(of: slot, at: index)
        freeIfGone(slot)
        return true
    }
}
