import Collections

/// How many requests may run and wait.
public struct AdmissionLimits: Sendable {
    /// Requests that run at once on the machine, and in one cell.
    public var machineConcurrency: Int
    public var cellConcurrency: Int
    /// Requests that wait on the machine, all tenants together.
    public var machineQueue: Int

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
    public var queue: Int
    /// Who is heavier is shed later.
    public var weight: Int

    public init(concurrency: Int, queue: Int, weight: Int) {
        self.concurrency = concurrency
        self.queue = queue
        self.weight = weight
    }
}

/// Which requests start, wait and are refused: by the tenant's concurrency and queue, then its cell's concurrency, then the machine's concurrency
/// and queue. At a full machine queue the latest request of the lightest tenant gives way to a heavier tenant's; among equals the newcomer is
/// refused. Tenants that wait start a request each in turn.
///
/// Pure. Operations take O(log tenants), but for `cancel`, which looks through the tenant's own queue.
public struct Admission: Sendable {
    /// A tenant's and a cell's number; used again after removal.
    public typealias TenantSlot = Int
    public typealias CellSlot = Int
    public typealias RequestID = UInt64

    public enum Verdict: Sendable, Equatable {
        case start
        /// It waits; `shed`, if any, must be refused in its stead.
        case wait(shed: RequestID?)
        case refuse(Refusal)
    }

    public enum Refusal: Sendable, Equatable {
        /// The tenant's places and its queue are full.
        case tenantBusy
        /// The tenant's CPU quota is used up and its queue is full.
        case quotaExceeded
        /// The machine's queue is full.
        case overloaded
    }

    private struct Tenant: Sendable {
        var limits: TenantAdmission
        var cell: CellSlot
        var running = 0
        var waiting = Deque<RequestID>()
        /// Its CPU quota is used up.
        var isParked = false
        /// It stands in `ready` or waits for its cell.
        var isListed = false
        var isInLightest = false
        /// It was removed while something of it ran or it stood in a list.
        var isLeaving = false
    }

    private struct Cell: Sendable {
        var running = 0
        /// Tenants that wait for a place in it, in turn.
        var blocked = Deque<TenantSlot>()
        var isLeaving = false
    }

    private struct Light: Comparable, Sendable {
        var weight: Int
        var sequence: UInt64
        var tenant: TenantSlot
        static func < (a: Self, b: Self) -> Bool { (a.weight, a.sequence) < (b.weight, b.sequence) }
        static func == (a: Self, b: Self) -> Bool { a.sequence == b.sequence }
    }

    public let limits: AdmissionLimits
    private var tenants: [Tenant] = []
    private var freeTenants: [TenantSlot] = []
    private var cells = [Cell()]
    private var freeCells: [CellSlot] = []
    /// Tenants that may start something, in turn.
    private var ready = Deque<TenantSlot>()
    /// Tenants that have something waiting, lightest first; removal is lazy.
    private var lightest = Heap<Light>()
    private var sequence: UInt64 = 0
    public private(set) var running = 0
    public private(set) var waiting = 0

    /// Where tenants are that have no cell yet; without a limit of its own.
    public static let nowhere: CellSlot = 0

    public init(_ limits: AdmissionLimits) { self.limits = limits }

    // MARK: Tenants and cells

    public mutating func addCell() -> CellSlot {
        if let slot = freeCells.popLast() { return slot }
        cells.append(Cell())
        return cells.count - 1
    }

    /// A cell is gone: tenants that waited for it need not any more. What started in it is still to be `ended`.
    public mutating func removeCell(_ slot: CellSlot) {
        ready.append(contentsOf: cells[slot].blocked)
        cells[slot].blocked = []
        cells[slot].isLeaving = true
        freeCellIfGone(slot)
    }

    private mutating func freeCellIfGone(_ slot: CellSlot) {
        guard cells[slot].isLeaving, cells[slot].running == 0 else { return }
        cells[slot].isLeaving = false
        freeCells.append(slot)
    }

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
        tenants[slot].limits = limits
        tenants[slot].cell = cell
        list(slot)
    }

    /// No more requests of a tenant will be offered; what waits may still start, what runs is still to be `ended`.
    public mutating func removeTenant(_ slot: TenantSlot) {
        tenants[slot].isLeaving = true
        freeIfGone(slot)
    }

    private mutating func freeIfGone(_ slot: TenantSlot) {
        let tenant = tenants[slot]
        guard tenant.isLeaving, tenant.running == 0, tenant.waiting.isEmpty, !tenant.isListed, !tenant.isInLightest else { return }
        tenants[slot].isLeaving = false
        freeTenants.append(slot)
    }

    /// The cell that what a tenant starts now counts for.
    public func cell(of slot: TenantSlot) -> CellSlot { tenants[slot].cell }
    public func running(of slot: TenantSlot) -> Int { tenants[slot].running }
    public func waiting(of slot: TenantSlot) -> Int { tenants[slot].waiting.count }

    /// A tenant's CPU quota is used up, or has filled again.
    public mutating func setParked(_ slot: TenantSlot, _ isParked: Bool) {
        tenants[slot].isParked = isParked
        list(slot)
    }

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
            guard let victim = lightestWaiting(), victim.weight < own.weight else { return .refuse(.overloaded) }
            shed = tenants[victim.tenant].waiting.popLast()
            waiting -= 1
        }
        tenants[slot].waiting.append(request)
        waiting += 1
        list(slot)
        if !tenants[slot].isInLightest {
            tenants[slot].isInLightest = true
            sequence += 1
            lightest.insert(Light(weight: own.weight, sequence: sequence, tenant: slot))
        }
        return .wait(shed: shed)
    }

    private func mayStart(_ slot: TenantSlot) -> Bool {
        !tenants[slot].isParked && tenants[slot].running < tenants[slot].limits.concurrency
    }

    private func hasRoom(_ cell: CellSlot) -> Bool {
        cell == Self.nowhere || cells[cell].isLeaving || cells[cell].running < limits.cellConcurrency
    }

    private mutating func start(_ slot: TenantSlot) {
        tenants[slot].running += 1
        running += 1
        cells[tenants[slot].cell].running += 1
    }

    /// Has the tenant's turn come when it may start what waits.
    private mutating func list(_ slot: TenantSlot) {
        guard !tenants[slot].isListed, !tenants[slot].waiting.isEmpty, mayStart(slot) else { return }
        tenants[slot].isListed = true
        ready.append(slot)
    }

    private mutating func lightestWaiting() -> Light? {
        while let first = lightest.min, tenants[first.tenant].waiting.isEmpty {
            lightest.removeMin()
            tenants[first.tenant].isInLightest = false
            freeIfGone(first.tenant)
        }
        return lightest.min
    }

    /// Takes the next request that waited and may start now, and the cell it counts for; call until it is nil.
    public mutating func next() -> (request: RequestID, cell: CellSlot)? {
        while running < limits.machineConcurrency, let slot = ready.popFirst() {
            tenants[slot].isListed = false
            guard !tenants[slot].waiting.isEmpty, mayStart(slot) else {
                freeIfGone(slot)
                continue
            }
            guard hasRoom(tenants[slot].cell) else {
                tenants[slot].isListed = true
                cells[tenants[slot].cell].blocked.append(slot)
                continue
            }
            let request = tenants[slot].waiting.removeFirst()
            waiting -= 1
            start(slot)
            list(slot)
            return (request, tenants[slot].cell)
        }
        return nil
    }

    /// A request of a tenant, which started in `cell`, has ended.
    public mutating func ended(_ slot: TenantSlot, in cell: CellSlot) {
        precondition(tenants[slot].running > 0 && cells[cell].running > 0, "what ends has begun")
        tenants[slot].running -= 1
        cells[cell].running -= 1
        running -= 1
        if let blocked = cells[cell].blocked.popFirst() { ready.append(blocked) }
        freeCellIfGone(cell)
        list(slot)
        freeIfGone(slot)
    }

    /// A request that waits is given up.
    /// - Returns: whether it waited.
    public mutating func cancel(_ request: RequestID, of slot: TenantSlot) -> Bool {
        guard let index = tenants[slot].waiting.firstIndex(of: request) else { return false }
        tenants[slot].waiting.remove(at: index)
        waiting -= 1
        freeIfGone(slot)
        return true
    }
}
