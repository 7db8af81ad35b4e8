/// Whose snapshot is built next, by what going without one has cost: the CPU time that starts from the source have taken.
///
/// Whose starts have taken as much as a build usually takes is worth one (the ski-rental rule, by which at most twice as much is spent as by who knows what
/// is to come, where a build takes what it usually takes; Karlin, Manasse, Rudolph, Sleator, "Competitive snoopy caching", Algorithmica 3, 1988). Others get
/// theirs from a small part of the builder's time, of which there is some ahead: a few tenants have their snapshots soon, and very many that rarely start do
/// not keep the builder busy.
///
/// Pure: time is a parameter. An item waits once; whoever adds them bounds how many there are.
public struct BuildQueue<Item: AnyObject> {
    private var entries: [ObjectIdentifier: (item: Item, startNanoseconds: UInt64)] = [:]
    /// Those whose starts took most first; where they took the same, whose last one is longer ago.
    private var order = DeadlineQueue<ObjectIdentifier>()
    private let creditPart: Double
    private let creditLimit: Double
    /// What a build takes, of late on average; nil before there was one.
    private var priceNanoseconds: Double?
    /// What is left for those that are not worth a build; below 0 when the last one took more.
    private var credit: Double
    private var creditedNanoseconds: UInt64
    private var isOnCredit = false
    /// What a build adds to the price that was known before.
    private static var priceStep: Double { 0.2 }
    /// As so many usual ones a build counts at most.
    private static var dearest: Double { 4 }

    /// - Parameters:
    ///   - creditPart: of the builder's time, for those that are not worth a build.
    ///   - creditLimitNanoseconds: of it at once, and to begin with.
    public init(creditPart: Double = 0.1, creditLimitNanoseconds: UInt64 = 30_000_000_000, now: UInt64) {
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
    public mutating func add(_ item: Item, startNanoseconds: UInt64) {
        let before = entries[ObjectIdentifier(item)]?.startNanoseconds ?? 0
        put(item, startNanoseconds: before + min(startNanoseconds, .max - before))
    }

    private mutating func put(_ item: Item, startNanoseconds: UInt64) {
        entries[ObjectIdentifier(item)] = (item, startNanoseconds)
        order.set(ObjectIdentifier(item), at: .max - startNanoseconds)
    }

    /// Forgets one that needs none any more; nothing happens when it does not wait.
    public mutating func remove(_ item: Item) { _ = remove(ObjectIdentifier(item)) }

    private mutating func remove(_ key: ObjectIdentifier) -> (item: Item, startNanoseconds: UInt64)? {
        order.remove(key)
        return entries.removeValue(forKey: key)
    }

    /// `new` takes the place of `old`; false: that does not wait.
    public mutating func replace(_ old: Item, by new: Item) -> Bool {
        guard let entry = remove(ObjectIdentifier(old)) else { return false }
        put(new, startNanoseconds: entry.startNanoseconds)
        return true
    }

    /// Forgets those that need none any more.
    public mutating func removeAll(where isUnwanted: (Item) -> Bool) {
        for (key, entry) in entries where isUnwanted(entry.item) { _ = remove(key) }
    }

    /// Takes out the one whose turn it is; nil: nobody's is. What came of building it is to be said (`built`, `failed`) before the next.
    public mutating func next(now: UInt64) -> Item? {
        if now > creditedNanoseconds {
            credit = min(creditLimit, credit + Double(now - creditedNanoseconds) * creditPart)
            creditedNanoseconds = now
        }
        guard let key = order.first(), let first = entries[key] else { return nil }
        // Before it is known what a build takes none is worth one, but those that are whatever it takes.
        isOnCredit = Double(first.startNanoseconds) < priceNanoseconds ?? Double(UInt64.max)
        guard !isOnCredit || credit > 0 else { return nil }
        return remove(key)?.item
    }

    /// The last one is built, which has taken so long. One that takes very long counts as some usual ones: it is not for others to wait for that.
    public mutating func built(nanoseconds: UInt64) {
        let usual = priceNanoseconds ?? Double(nanoseconds)
        let taken = min(Double(nanoseconds), usual * Self.dearest)
        priceNanoseconds = usual + (taken - usual) * Self.priceStep
        if isOnCredit { credit -= taken }
    }

    /// The last one could not be built. However long that took, it counts as a usual one; where none is known, as what it took, and a second at most.
    public mutating func failed(nanoseconds: UInt64) {
        if isOnCredit { credit -= priceNanoseconds ?? min(Double(nanoseconds), 1e9) }
    }
}
