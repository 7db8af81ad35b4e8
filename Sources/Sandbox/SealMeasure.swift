/// One measure of the sandbox and whether it is in force.
public struct SealMeasure: Sendable, Equatable {
    /// Whether it is in force; raw values are what the self-check prints.
    public enum Result: String, Sendable, Encodable {
        case proved
        case missing = "MISSING"
        case notOffered = "not offered by this kernel"
    }

    /// What is to be in force, in a few words: `empty root`.
    public var name: String
    /// How it was proved, or what was found instead.
    public var proof: String
    /// `missing` is a fault; what the kernel does not offer is none.
    public var result: Result

    /// `proof` says how it was found out, whatever the result.
    public init(_ name: String, _ proof: String, _ result: Result) {
        self.name = name
        self.proof = proof
        self.result = result
    }

    init(_ name: String, _ proof: String, if holds: Bool) { self.init(name, proof, holds ? .proved : .missing) }
}
