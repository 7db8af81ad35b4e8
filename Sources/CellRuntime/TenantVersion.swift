import Engine
import Glibc
import Policy
import Wire

/// One version of a tenant's code as this cell holds it: bundle, bindings, limits. Immutable; shared by the version's isolates in turn.
final class TenantVersion: ModuleSource {
    let id: UInt64
    let tenant: String
    let limits: Limits
    let allowsEval: Bool
    let weight: Int
    /// What `ops.environment()` says: `kind NUL name NUL value NUL …`.
    let environment: String

    /// The limits as the cell counts them.
    struct Limits {
        var cpuNanoseconds: UInt64
        var startupCPUNanoseconds: UInt64
        var memoryBytes: Int
        var subrequests: Int
        var quotaMillisecondsPerSecond: Int
    }

    private struct Module {
        var name: UnsafeMutableBufferPointer<CChar>
        var data: UnsafeMutableRawBufferPointer
        var kind: EngineModuleKind
        var isASCII: Bool
    }

    private let modules: [Module]
    private let indices: [String: Int]
    private let names: [String]

    init(id: UInt64, bundle: TenantBundle) {
        self.id = id
        tenant = bundle.tenant
        limits = Limits(
            cpuNanoseconds: UInt64(bundle.limits.cpuMilliseconds) * 1_000_000,
            startupCPUNanoseconds: UInt64(bundle.limits.startupCPUMilliseconds) * 1_000_000,
            memoryBytes: bundle.limits.memoryMegabytes << 20, subrequests: bundle.limits.subrequests,
            quotaMillisecondsPerSecond: bundle.limits.cpuQuotaMillisecondsPerSecond)
        allowsEval = bundle.eval
        weight = bundle.weight
        environment =
            (bundle.vars.map { "v\0\($0.name)\0\($0.value)\0" } + bundle.secrets.map { "s\0\($0.name)\0\($0.value)\0" })
            .joined()
        modules = bundle.modules.map(Self.store)
        names = bundle.modules.map(\.name)
        bundleBytes = bundle.modules.reduce(0) { $0 + $1.data.count + $1.name.utf8.count }
        indices = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    // MARK: The snapshot (under the cell's lock)

    /// What isolates are revived from; nil while there is none, or when it cannot be used.
    var snapshot: SnapshotFrame?
    /// What the bundle takes.
    let bundleBytes: Int
    /// What V8 compiled of the modules, by their index, for the next start of a tenant without a snapshot. Set once, while nothing runs in an isolate;
    /// kept as long as this, since one may be reading it.
    private(set) var code: [Int: UnsafeRawBufferPointer] = [:]
    private(set) var codeBytes = 0
    /// What bundle, code and snapshot take.
    var storedBytes: Int { bundleBytes + codeBytes + (snapshot?.delta.count ?? 0) }

    /// More than this is not kept.
    private static let codeBytesLimit = 4 << 20

    /// Takes what `isolate` has compiled. Takes no lock: for whoever runs the isolate.
    func compiled(by isolate: borrowing Isolate) -> [Int: UnsafeRawBufferPointer] {
        var code: [Int: UnsafeRawBufferPointer] = [:]
        for index in modules.indices where modules[index].kind == .javascript { code[index] = isolate.code(of: index) }
        guard code.values.reduce(0, { $0 + $1.count }) <= Self.codeBytesLimit else {
            code.values.forEach { free(UnsafeMutableRawPointer(mutating: $0.baseAddress)) }
            return [:]
        }
        return code
    }

    func keep(_ code: [Int: UnsafeRawBufferPointer]) {
        self.code = code
        codeBytes = code.values.reduce(0) { $0 + $1.count }
    }

    deinit {
        code.values.forEach { free(UnsafeMutableRawPointer(mutating: $0.baseAddress)) }
        for module in modules {
            module.name.deallocate()
            module.data.deallocate()
        }
    }

    private static func store(_ module: BundleModule) -> Module {
        let utf8 = Array(module.name.utf8)
        let name = UnsafeMutableBufferPointer<CChar>.allocate(capacity: utf8.count)
        for (index, byte) in utf8.enumerated() { name.initializeElement(at: index, to: CChar(bitPattern: byte)) }
        // At least one byte, so that an empty module has an address.
        let data = UnsafeMutableRawBufferPointer.allocate(byteCount: max(module.data.count, 1), alignment: 16)
        data.copyBytes(from: module.data)
        let kind: EngineModuleKind =
            switch module.kind {
            case .javascript: .javascript
            case .json: .json
            case .text: .text
            case .bytes: .bytes
            case .wasm: .wasm
            }
        return Module(
            name: name, data: UnsafeMutableRawBufferPointer(rebasing: data[..<module.data.count]), kind: kind,
            isASCII: module.data.allSatisfy { $0 < 0x80 })
    }

    /// The bundle as V8 reads it, in its order.
    var engineModules: [EngineModule] { modules.indices.map(module) }

    override func resolve(_ specifier: String, referrer: Int?) throws(ModuleError) -> Int {
        guard let referrer else { return 0 }
        let name: String
        switch BundlePath.resolve(specifier, from: names[referrer]) {
        case .success(let path): name = path
        case .failure(let error): throw ModuleError("\(error.message), imported by \(names[referrer])")
        }
        guard let index = indices[name] else {
            let hint = indices[name + ".js"] == nil ? "" : "; there is '\(name).js', and extensions are not added"
            throw ModuleError("the bundle has no module '\(name)' (import '\(specifier.prefix(200))' in \(names[referrer]))\(hint)")
        }
        return index
    }

    override func module(at index: Int) -> EngineModule {
        let module = modules[index]
        return EngineModule(
            name: UnsafeBufferPointer(module.name), data: UnsafeRawBufferPointer(module.data), kind: module.kind,
            isASCII: module.isASCII, code: code[index])
    }
}

/// How import specifiers name modules within a bundle: relative paths only, which may not leave it.
enum BundlePath {
    /// A specifier longer than this is refused unread.
    static let specifierBytesLimit = 4096

    static func resolve(_ specifier: String, from referrer: String) -> Result<String, ModuleError> {
        func refused(_ why: String) -> Result<String, ModuleError> {
            .failure(ModuleError("cannot import '\(specifier.prefix(200))': \(why)"))
        }
        guard specifier.utf8.count <= specifierBytesLimit else {
            return refused("the specifier is longer than \(specifierBytesLimit) bytes")
        }
        guard !specifier.utf8.contains(0) else { return refused("the specifier contains NUL") }
        guard specifier.hasPrefix("./") || specifier.hasPrefix("../") else {
            return refused("only relative paths within the bundle (./ or ../) can be imported")
        }
        var folders = referrer.split(separator: "/", omittingEmptySubsequences: true).dropLast().map(String.init)
        for part in specifier.split(separator: "/", omittingEmptySubsequences: true) {
            switch part {
            case ".": continue
            case "..":
                guard folders.popLast() != nil else { return refused("the path leaves the bundle") }
            default: folders.append(String(part))
            }
        }
        return .success(folders.joined(separator: "/"))
    }
}
