@testable import Scheduling

/// What an `Admission` holds and may do, counted on its own from what it answered, and told what happens. It has no queues of its own: what it says
/// is only which answers were wrong.
struct AdmissionModel {
    private struct Place {
        var limits: TenantAdmission
        var cell: Int
        var running = 0
        var waiting: [Int] = []
        var isParked = false
        var isLeaving = false
        /// Requests of others that started while it might have started one.
        var passed = 0
        var isFree: Bool { isLeaving && running == 0 && waiting.isEmpty }
        var mayStart: Bool { !isParked && running < limits.concurrency }
    }

    private struct Cell {
        var running = 0
        var isLeaving = false
    }

    private let limits: AdmissionLimits
    private var places: [Place] = []
    private var cells: [Cell] = [Cell()]
    private var running = 0
    private var waiting = 0

    init(_ limits: AdmissionLimits) { self.limits = limits }

    // MARK: Tenants and cells

    mutating func addCell(_ cell: Int) {
        while cells.count <= cell { cells.append(Cell()) }
    }

    mutating func removeCell(_ cell: Int) { cells[cell].isLeaving = cells[cell].running > 0 }

    mutating func add(_ place: Int, _ limits: TenantAdmission, in cell: Int) throws {
        let new = Place(limits: limits, cell: cell)
        if place == places.count { return places.append(new) }
        guard place < places.count, places[place].isFree else {
            throw InvariantViolation(.limits, "the place \(place) is given away while it is used or others are free")
        }
        places[place] = new
    }

    mutating func update(_ place: Int, _ limits: TenantAdmission, in cell: Int) {
        places[place].limits = limits
        places[place].cell = cell
        places[place].passed = 0
    }

    mutating func remove(_ place: Int) {
        places[place].isLeaving = true
        places[place].isParked = false
    }

    mutating func setParked(_ place: Int, _ isParked: Bool) {
        places[place].isParked = isParked
        places[place].passed = 0
    }

    var count: Int { places.count }
    func isFree(_ place: Int) -> Bool { places[place].isFree }
    func waits(_ id: Int, _ place: Int) -> Bool { places[place].waiting.contains(id) }
    func waiting(_ place: Int) -> Int { places[place].waiting.count }

    // MARK: Requests

    /// A request was offered, and this was the answer.
    mutating func offered(_ id: Int, _ place: Int, _ verdict: Admission.Verdict) throws {
        switch verdict {
        case .start:
            if !places[place].waiting.isEmpty { throw InvariantViolation(.turns, "request \(id) starts before those that wait") }
            try start(place)
        case .refuse(.tenantBusy), .refuse(.quotaExceeded):
            let isFull = places[place].waiting.count >= places[place].limits.queue
            guard isFull, (verdict == .refuse(.quotaExceeded)) == places[place].isParked else {
                throw InvariantViolation(.limits, "\(verdict) where \(places[place].waiting.count) wait")
            }
        case .refuse(.overloaded):
            guard waiting >= limits.machineQueue else { throw InvariantViolation(.limits, "\(verdict) where \(waiting) wait") }
            guard lightest() >= places[place].limits.weight else {
                throw InvariantViolation(.shedding, "\(id) is refused, not a lighter one")
            }
        case .wait(let shed):
            if let shed { try self.shed(Int(shed), for: places[place].limits.weight) }
            places[place].waiting.append(id)
            waiting += 1
            guard places[place].waiting.count <= places[place].limits.queue, waiting <= limits.machineQueue else {
                throw InvariantViolation(.limits, "\(places[place].waiting.count) wait in a queue, \(waiting) on the machine")
            }
        }
    }

    private func lightest() -> Int {
        places.indices.reduce(Int.max) { places[$1].waiting.isEmpty ? $0 : min($0, places[$1].limits.weight) }
    }

    private mutating func shed(_ id: Int, for weight: Int) throws {
        guard let victim = places.firstIndex(where: { $0.waiting.last == id }) else {
            throw InvariantViolation(.shedding, "\(id) is shed, which is not its tenant's latest")
        }
        let lightest = lightest()
        guard waiting >= limits.machineQueue, places[victim].limits.weight == lightest, lightest < weight else {
            throw InvariantViolation(.shedding, "\(places[victim].limits.weight) gives way to \(weight), the lightest is \(lightest)")
        }
        places[victim].waiting.removeLast()
        waiting -= 1
    }

    /// A request that waited starts.
    mutating func startedWaiting(_ id: Int, _ place: Int, in cell: Int) throws {
        guard places[place].waiting.first == id else {
            throw places[place].waiting.contains(id)
                ? InvariantViolation(.turns, "request \(id) starts before its tenant's first")
                : InvariantViolation(.oneAnswer, "request \(id) starts, which does not wait")
        }
        guard places[place].cell == cell else {
            throw InvariantViolation(.limits, "request \(id) starts in a cell that is not its tenant's")
        }
        for other in places.indices where other != place {
            places[other].passed = couldStart(other) ? places[other].passed + 1 : 0
            // Each other tenant once before it and, if it has to wait for its cell, once more.
            guard places[other].passed <= 2 * places.count else {
                throw InvariantViolation(.turns, "\(places[other].passed) requests of others start before one of \(other)")
            }
        }
        places[place].waiting.removeFirst()
        places[place].passed = 0
        waiting -= 1
        try start(place)
    }

    private mutating func start(_ place: Int) throws {
        let cell = places[place].cell
        guard places[place].mayStart, running < limits.machineConcurrency, hasRoom(cell) else {
            throw InvariantViolation(
                .limits, "one more starts where \(places[place].running) run, in its cell \(cells[cell].running), on the machine \(running)"
            )
        }
        places[place].running += 1
        cells[cell].running += 1
        running += 1
    }

    private func hasRoom(_ cell: Int) -> Bool {
        cell == Admission.nowhere || cells[cell].isLeaving || cells[cell].running < limits.cellConcurrency
    }

    private func couldStart(_ place: Int) -> Bool {
        !places[place].waiting.isEmpty && places[place].mayStart && hasRoom(places[place].cell)
    }

    mutating func ended(_ place: Int, in cell: Int) {
        places[place].running -= 1
        cells[cell].running -= 1
        running -= 1
        if cells[cell].running == 0 { cells[cell].isLeaving = false }
    }

    /// A request that may wait was given up.
    mutating func cancelled(_ id: Int, _ place: Int, _ hasWaited: Bool) throws {
        let index = places[place].waiting.firstIndex(of: id)
        guard hasWaited == (index != nil) else { throw InvariantViolation(.oneAnswer, "request \(id) is given up: \(hasWaited)") }
        guard let index else { return }
        places[place].waiting.remove(at: index)
        waiting -= 1
    }

    // MARK: Invariants

    /// Nobody waits for what is there, once `next` has nothing more.
    func check(_ admission: Admission) throws {
        guard admission.running == running else { throw InvariantViolation(.limits, "\(admission.running) run, not \(running)") }
        // One would be answered twice, or never.
        guard admission.waiting == waiting else { throw InvariantViolation(.oneAnswer, "\(admission.waiting) wait, not \(waiting)") }
        guard waiting > 0, running < limits.machineConcurrency else { return }
        for place in places.indices where couldStart(place) {
            let cell = places[place].cell
            throw InvariantViolation(
                .admission,
                "tenant \(place) waits and runs \(places[place].running) of \(places[place].limits.concurrency), its cell \(cells[cell].running)"
                    + " of \(limits.cellConcurrency), the machine \(running) of \(limits.machineConcurrency)")
        }
    }

    func check(_ admission: Admission, place: Int) throws {
        guard admission.running(of: place) == places[place].running else {
            throw InvariantViolation(.limits, "tenant \(place) runs \(admission.running(of: place)), not \(places[place].running)")
        }
        guard admission.waiting(of: place) == places[place].waiting.count else {
            throw InvariantViolation(.oneAnswer, "of tenant \(place) others wait than \(places[place].waiting)")
        }
    }

    /// Nothing runs or waits any more, all are removed: every place can be had again.
    func checkNothingIsLeft(_ admission: inout Admission) throws {
        for _ in places {
            let place = admission.addTenant(TenantAdmission(concurrency: 1, queue: 0, weight: 1), in: Admission.nowhere)
            guard place < places.count else { throw InvariantViolation(.limits, "a place of \(places.count) is not given back") }
        }
    }
}
