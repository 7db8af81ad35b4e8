/// Chooses one of several places for a name so that every name's choice changes only when its place goes or a better one comes: the place with the
/// highest hash of both (Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998).
public enum RendezvousHash {
    /// - Returns: the index of the chosen place; nil without any.
    public static func choose(for name: String, among places: [String]) -> Int? {
        places.indices.max { (score(name, places[$0]), $0) < (score(name, places[$1]), $1) }
    }

    /// FNV-1a over both (Fowler, Noll, Vo), finished as MurmurHash3 does so that every bit counts.
    static func score(_ name: String, _ place: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in name.utf8 { add(byte) }
        add(0)
        for byte in place.utf8 { add(byte) }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ (hash >> 33)
    }
}
