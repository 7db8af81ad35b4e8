import Testing

@testable import Scheduling

@Suite struct RendezvousHashTests {
    private static let names = (0..<3000).map { "tenant-\($0)" }
    private static let places = (0..<6).map { "standard#\($0)" }

    private func choices(_ places: [String]) -> [String] {
        Self.names.map { places[RendezvousHash.choose(for: $0, among: places)!] }
    }

    @Test func withoutAPlaceThereIsNoChoice() { #expect(RendezvousHash.choose(for: "x", among: []) == nil) }

    @Test func theOrderOfThePlacesDoesNotMatter() { #expect(choices(Self.places) == choices(Self.places.reversed())) }

    @Test func namesSpreadEvenly() {
        let counts = Dictionary(grouping: choices(Self.places), by: { $0 }).mapValues(\.count)
        // 500 each, the standard deviation is 20.
        #expect(counts.count == 6 && counts.values.allSatisfy { abs($0 - 500) < 100 }, "\(counts)")
    }

    @Test func onlyTheNamesOfAPlaceThatGoesMove() {
        let before = choices(Self.places)
        let after = choices(Array(Self.places.dropLast()))
        for (old, new) in zip(before, after) where old != Self.places.last { #expect(old == new) }
    }

    @Test func aNewPlaceTakesNamesOnlyForItself() {
        let before = choices(Self.places)
        let after = choices(Self.places + ["standard#6"])
        #expect(zip(before, after).allSatisfy { $0 == $1 || $1 == "standard#6" })
    }
}
