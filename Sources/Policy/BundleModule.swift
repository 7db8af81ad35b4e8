/// What a module of a bundle is; by its file's extension.
public enum ModuleKind: UInt8, Sendable { case javascript = 0, json, text, bytes, wasm }

/// One module of a bundle.
public struct BundleModule: Sendable, Equatable {
    /// The path within the bundle, `/` between folders, without a leading one.
    public var name: String
    /// Always JavaScript for the main module.
    public var kind: ModuleKind
    /// The file's bytes; of JavaScript, JSON and text they are UTF-8.
    public var data: [UInt8]
    /// Checks nothing; `BundleReader` looks at what it reads.
    public init(name: String, kind: ModuleKind, data: [UInt8]) {
        self.name = name
        self.kind = kind
        self.data = data
    }
}
