/// Whose snapshot is built next, by what going without one has cost: the CPU time that starts from the source have taken.
///
/// Whose starts have taken as much as a build takes is worth one: however often it starts after that, at most twice as much is spent on it as if that had
/// been known (the ski-rental rule; Karlin, Manasse, Rudolph, Sleator, "Competitive snoopy caching", Algorithmica 3, 1988). Others get theirs from a small part
/// of the builder's time, of which there is some ahead: a few tenants have their snapshots soon, and very many that rarely start do not keep the builder busy.
///
/// Pure: time is a parameter. At most `limit` wait.
public struct BuildQueue<Item: AnyObject> {
    private struct Entry {
        var item: Item
        var startNanoseconds: UInt64
        /// When it came: the earlier goes first where starts took the same.
        var number: UInt64
    }

    private let limit: Int
    private let creditPart: Double
    private let creditLimit: Double
    private var entries: [ObjectIdentifier: Entry] = [:]
    private var nextNumber: UInt64 = 0
    /// What a build takes; nil before there was one.
    private var priceNanoseconds: Double?
    /// What is left for those that are not worth a build; below 0 when the last one took more.
    private var credit: Double
    private var creditedNanoseconds: UInt64
    private var isOnCredit = false
    /// What a build adds to the price that was known before.
    private static var priceStep: Double { 0.2 }

    /// - Parameters:
    ///   - limit: of those that wait; of more, the one whose starts took least is forgotten.
    ///   - creditPart: of the builder's time, for those that are not worth a build.
    ///   - creditLimitNanoseconds: of it at once, and to begin with.
    public init(limit: Int, creditPart: Double = 0.1, creditLimitNanoseconds: UInt64 = 30_000_000_000, now: UInt64) {
        self.limit = limit
        self.creditPart = creditPart
        creditLimit = Double(creditLimitNanoseconds)
        credit = creditLimit
        creditedNanoseconds = now
    }

    /// How many wait.
    public var count: Int { entries.count }
    /// Whether it waits.
    public func contains(_ item: Item) -> Bool { entries[ObjectIdentifier(item)] != nil }

    /// One has started from its source: it waits from now on, or is worth more.
    /// - Returns: whom the limit leaves no place.
    public mutating func add(_ item: Item, startNanoseconds: UInt64) -> Item? {
        let key = ObjectIdentifier(item)
        if let sum = entries[key]?.startNanoseconds {
            entries[key]?.startNanoseconds = sum &+ min(startNanoseconds, .max - sum)
            return nil
        }
        entries[key] = Entry(item: item, startNanoseconds: startNanoseconds, number: nextNumber)
        nextNumber += 1
        guard entries.count > limit, let least = entries.max(by: Self.goesBefore)?.value else { return nil }
        entries[ObjectIdentifier(least.item)] = nil
        return least.item
    }

    /// `new` takes the place of `old`; false: that does not wait.
    public mutating func replace(_ old: Item, by new: Item) -> Bool {
        guard var entry = entries.removeValue(forKey: ObjectIdentifier(old)) else { return false }
        entry.item = new
        entries[ObjectIdentifier(new)] = entry
        return true
    }

    /// Forgets those that need none any more.
    public mutating func removeAll(where isUnwanted: (Item) -> Bool) { entries = entries.filter { !isUnwanted($0.value.item) } }

    /// Takes out the one whose turn it is; nil: nobody's is. What building it took is to be said (`built`) before the next.
    public mutating func next(now: UInt64) -> Item? {
        if now > creditedNanoseconds {
            credit = min(creditLimit, credit + Double(now - creditedNanoseconds) * creditPart)
            creditedNanoseconds = now
        }
        guard let first = entries.min(by: Self.goesBefore)?.value else { return nil }
        isOnCredit = Double(first.startNanoseconds) < priceNanoseconds ?? 0
        guard !isOnCredit || credit > 0 else { return nil }
        entries[ObjectIdentifier(first.item)] = nil
        return first.item
    }

    /// What building the last one has taken.
    public mutating func built(nanoseconds: UInt64) {
        let taken = Double(nanoseconds)
        if isOnCredit { credit -= taken }
        priceNanoseconds = priceNanoseconds.map { $0 + (taken - $0) * Self.priceStep } ?? taken
    }

    private static func goesBefore(_ a: (key: ObjectIdentifier, value: Entry), _ b: (key: ObjectIdentifier, value: Entry)) -> Bool {
        (b.value.startNanoseconds, a.value.number) < (a.value.startNanoseconds, b.value.number)
    }
}
