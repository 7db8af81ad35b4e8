import Glibc

/// What takes bytes that it cannot trust. Each target runs one input to its end and traps when something does not hold that must: libFuzzer
/// (`scripts/fuzz`) and the tests of the corpus drive the same code.
enum FuzzTarget: String, CaseIterable, Sendable {
    /// What a cell may say to the supervisor, in any state of its requests.
    case fromCell = "from-cell"
    /// What the supervisor says to a cell, as the cell decodes it.
    case toCell = "to-cell"
    /// A tenant's policy file.
    case policy
    /// The daemon's configuration file.
    case configuration
    /// A request's head, in pieces.
    case requestHead = "request-head"
    /// A chunked body, in pieces.
    case chunkedBody = "chunked-body"
    /// The files in the state folder.
    case snapshotStore = "snapshot-store"

    /// The longest input that is worth its time.
    static let inputBytesLimit = 64 << 10

    func run(_ input: [UInt8]) {
        switch self {
        case .fromCell: FromCellFuzzing.shared.run(input)
        case .toCell: ToCellFuzzing.run(input)
        case .policy: PolicyFuzzing.policy(input)
        case .configuration: PolicyFuzzing.configuration(input)
        case .requestHead: HTTPFuzzing.requestHead(input)
        case .chunkedBody: HTTPFuzzing.chunkedBody(input)
        case .snapshotStore: SnapshotFuzzing.shared.run(input)
        }
    }
}

/// Takes small decisions out of an input's bytes; zeros at its end.
struct FuzzBytes {
    private var rest: ArraySlice<UInt8>
    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }
    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }
    mutating func number(upTo limit: Int) -> Int { Int(byte()) % (limit + 1) }
    mutating func short() -> UInt16 { UInt16(byte()) | UInt16(byte()) << 8 }
    mutating func take(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
    mutating func takeRest() -> [UInt8] { take(rest.count) }
}

/// Ends the process, also in a release build with words, when something does not hold.
func hold(_ condition: Bool, _ what: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line) {
    guard !condition else { return }
    let text = "does not hold (\(file):\(line)): \(what())\n"
    _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    fatalError(text)
}
