/// One measure of the sandbox and whether it is in force.
public struct SealMeasure: Sendable, Equatable {
    public enum Result: String, Sendable, Encodable {
        case proved
        case missing = "MISSING"
        case notOffered = "not offered by this kernel"
    }

    public var name: String
    /// How it was proved, or what was found instead.
    public var proof: String
    public var result: Result

    public init(_ name: String, _ proof: String, _ result: Result) {
        self.name = name
        self.proof = proof
        self.result = result
    }

    init(_ name: String, _ proof: String, if holds: Bool) { self.init(name, proof, holds ? .proved : .missing) }
}
