import Foundation
import Testing

/// The part of fuzzing that every run of the tests does: the corpus that longer runs (`scripts/fuzz`) have found, and mutations of it by a
/// seed. A target traps when something does not hold, and takes the test process with it; the last line printed tells the seed.
@Suite(.serialized) struct CorpusTests {
    /// Mutations a target.
    private static let mutations = ProcessInfo.processInfo.environment["CLOISTER_FUZZ_MUTATIONS"].flatMap { Int($0) } ?? 2_000
    private static let seed = ProcessInfo.processInfo.environment["CLOISTER_SEED"].flatMap { UInt64($0) } ?? 1

    private static func corpus(of target: FuzzTarget) throws -> [[UInt8]] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("corpus/\(target.rawValue)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .sorted { $0.lastPathComponent < $1.lastPathComponent }.map { [UInt8](try Data(contentsOf: $0)) }
    }

    @Test(arguments: FuzzTarget.allCases) func everyInputOfTheCorpusHolds(_ target: FuzzTarget) throws {
        let corpus = try Self.corpus(of: target)
        #expect(corpus.count >= 3, "the corpus of \(target.rawValue) is gone")
        for input in corpus { target.run(input) }
    }

    @Test(arguments: FuzzTarget.allCases) func mutationsOfTheCorpusHold(_ target: FuzzTarget) throws {
        let corpus = try Self.corpus(of: target)
        print("mutating \(target.rawValue) with CLOISTER_SEED=\(Self.seed)")
        var mutator = Mutator(seed: Self.seed)
        for _ in 0..<Self.mutations { target.run(mutator.mutate(corpus)) }
    }
}

/// Changes inputs as fuzzers do: bits, bytes, cut, doubled and joined pieces.
private struct Mutator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    private mutating func next(_ limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return Int((value ^ value >> 31) % UInt64(max(limit, 1)))
    }

    mutating func mutate(_ corpus: [[UInt8]]) -> [UInt8] {
        var bytes = corpus[next(corpus.count)]
        for _ in 0...next(4) {
            let at = next(bytes.count + 1)
            switch next(6) {
            case 0: if at < bytes.count { bytes[at] ^= 1 << UInt8(next(8)) }
            case 1: if at < bytes.count { bytes[at] = UInt8(next(256)) }
            case 2: bytes.insert(contentsOf: (0...next(8)).map { _ in UInt8(next(256)) }, at: at)
            case 3: bytes.removeSubrange(at..<min(bytes.count, at + next(16)))
            case 4: bytes.insert(contentsOf: Array(bytes[at..<min(bytes.count, at + next(64))]), at: at)
            default:
                let other = corpus[next(corpus.count)]
                bytes = Array(bytes[..<at]) + Array(other.dropFirst(next(other.count + 1)))
            }
        }
        return Array(bytes.prefix(FuzzTarget.inputBytesLimit))
    }
}
