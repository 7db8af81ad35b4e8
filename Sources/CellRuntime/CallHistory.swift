/// When tenants were called whose versions a cell no longer has, by their names, for when they come back under another number. Of two generations:
/// who was not heard of while as many others were is forgotten.
struct CallHistory {
    private static let generationCount = 10_000
    private var recent: [String: [UInt64]] = [:]
    private var older: [String: [UInt64]] = [:]

    mutating func keep(_ calls: [UInt64], of tenant: String) {
        guard !calls.isEmpty else { return }
        if recent.count >= Self.generationCount { (recent, older) = ([:], recent) }
        recent[tenant] = calls
    }

    mutating func take(of tenant: String) -> [UInt64] {
        let (new, old) = (recent.removeValue(forKey: tenant), older.removeValue(forKey: tenant))
        return new ?? old ?? []
    }
}
