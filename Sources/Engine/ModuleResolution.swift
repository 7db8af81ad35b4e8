import CV8

/// What a module of a bundle is.
public enum EngineModuleKind: Sendable { case javascript, json, text, bytes, wasm }

/// One module, as V8 is to read it. Its memory stays valid and unchanged until the isolate is disposed of.
public struct EngineModule {
    /// The path within the bundle, as stack traces show it.
    public var name: UnsafeBufferPointer<CChar>
    /// The file's bytes; UTF-8 of what is read as text.
    public var data: UnsafeRawBufferPointer
    /// What V8 makes of it.
    public var kind: EngineModuleKind
    /// Every byte is below 0x80: V8 shares the text instead of copying it.
    public var isASCII: Bool
    /// What an isolate of this process compiled of it (`Isolate.code(of:)`), or nil.
    public var code: UnsafeRawBufferPointer?

    /// Copies nothing: what it points to stays the caller's.
    public init(
        name: UnsafeBufferPointer<CChar>, data: UnsafeRawBufferPointer, kind: EngineModuleKind, isASCII: Bool,
        code: UnsafeRawBufferPointer? = nil
    ) {
        self.name = name
        self.data = data
        self.kind = kind
        self.isASCII = isASCII
        self.code = code
    }

    var raw: cv8_module {
        let kind =
            switch kind {
            case .javascript: CV8_MODULE_JAVASCRIPT
            case .json: CV8_MODULE_JSON
            case .text: CV8_MODULE_TEXT
            case .bytes: CV8_MODULE_BYTES
            case .wasm: CV8_MODULE_WASM
            }
        return cv8_module(
            name: name.baseAddress, name_length: name.count, data: data.bindMemory(to: UInt8.self).baseAddress, length: data.count,
            kind: kind,
            ascii: isASCII, code: code?.bindMemory(to: UInt8.self).baseAddress, code_length: code?.count ?? 0)
    }
}

/// Finds an isolate's modules. The isolate's `user` pointer must be an unretained reference to an object of a class that inherits from this.
/// Called on the isolate's thread, in a turn.
open class ModuleSource {
    /// Without modules: a class that inherits from this has them.
    public init() {}

    /// The module `specifier` names when imported by module `referrer` (nil: the main module is asked for).
    /// - Returns: its index, the same for the same module.
    open func resolve(_ specifier: String, referrer: Int?) throws(ModuleError) -> Int {
        throw ModuleError("no module '\(specifier)'")
    }

    /// The module with an index that `resolve` returned.
    open func module(at index: Int) -> EngineModule { preconditionFailure("a module source without modules") }
}

/// Why an import cannot be.
public struct ModuleError: Error {
    /// What the import throws says.
    public var message: String
    /// For `resolve` to throw.
    public init(_ message: String) { self.message = message }
}

enum ModuleResolution {
    static let callback: cv8_module_resolver = { user, specifier, length, referrer, out, errorText, capacity, errorLength in
        let source = Unmanaged<ModuleSource>.fromOpaque(user!).takeUnretainedValue()
        let text = String(decoding: UnsafeRawBufferPointer(start: specifier, count: length), as: UTF8.self)
        do throws(ModuleError) {
            let index = try source.resolve(text, referrer: referrer < 0 ? nil : Int(referrer))
            let module = source.module(at: index)
            out!.pointee = module.raw
            return Int32(index)
        } catch {
            var message = error.message
            message.withUTF8 { text in
                let count = min(text.count, capacity)
                if count > 0 {
                    errorText!.update(from: UnsafeRawPointer(text.baseAddress!).assumingMemoryBound(to: CChar.self), count: count)
                }
                errorLength!.pointee = count
            }
            return -1
        }
    }
}
