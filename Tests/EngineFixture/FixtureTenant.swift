import CFiber
import Engine
import Glibc
import Synchronization

/// A bundle in memory; module 0 is the main one. What its JavaScript says is printed as it comes.
final class FixtureBundle: ModuleSource {
    private let names: [String]
    private var modules: [EngineModule]

    /// - Parameter files: name and text; the extension says what it is. Never freed.
    init(_ files: [(name: String, bytes: [UInt8])]) {
        names = files.map(\.name)
        modules = files.map { file in
            let name = UnsafeMutableBufferPointer<CChar>.allocate(capacity: max(file.name.utf8.count, 1))
            _ = name.initialize(from: file.name.utf8.map { CChar(bitPattern: $0) })
            let data = UnsafeMutableRawBufferPointer.allocate(byteCount: max(file.bytes.count, 1), alignment: 16)
            data.copyBytes(from: file.bytes)
            let kinds: [String: EngineModuleKind] = ["json": .json, "txt": .text, "bin": .bytes, "wasm": .wasm]
            return EngineModule(
                name: UnsafeBufferPointer(rebasing: name[..<file.name.utf8.count]),
                data: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(data)[..<file.bytes.count]),
                kind: kinds[String(file.name.split(separator: ".").last ?? "")] ?? .javascript, isASCII: file.bytes.allSatisfy { $0 < 0x80 }
            )
        }
        super.init()
    }

    convenience init(_ main: String) { self.init([("main.js", Array(main.utf8))]) }

    override func resolve(_ specifier: String, referrer: Int?) throws(ModuleError) -> Int {
        guard let referrer else { return 0 }
        guard specifier.hasPrefix("./"), let index = names.firstIndex(of: String(specifier.dropFirst(2))) else {
            throw ModuleError("no module '\(specifier)' for \(names[referrer])")
        }
        return index
    }

    /// What an isolate has compiled is what later ones take up.
    func keepCode(of isolate: borrowing Isolate) -> [Int] {
        modules.indices.map { index in
            modules[index].code = isolate.code(of: index)
            return modules[index].code?.count ?? 0
        }
    }

    func takeCode(from other: FixtureBundle) { for index in modules.indices { modules[index].code = other.modules[index].code } }

    override func module(at index: Int) -> EngineModule { modules[index] }
}

/// An isolate with a fiber and the turn that it is in.
final class FixtureTenant {
    static let megabyte = 1 << 20
    static let stackBytes = 512 << 10

    let isolate: Isolate
    private let bundle: FixtureBundle
    private let turn = Turn()
    private let fiber: OpaquePointer
    var timeMilliseconds = 1_000_000.0

    init(_ bundle: FixtureBundle, memoryLimitBytes: Int = 64 * megabyte, allowsEval: Bool = false) {
        guard let fiber = cfiber_new(Self.stackBytes) else { die("no memory for a stack") }
        self.fiber = fiber
        self.bundle = bundle
        do throws(EngineError) { isolate = try Isolate(snapshot: baseSnapshot) } catch { die("\(error)") }
        isolate.assign(
            memoryLimitBytes: memoryLimitBytes, user: Unmanaged<ModuleSource>.passUnretained(bundle).toOpaque(), allowsEval: allowsEval)
    }

    convenience init(_ main: String, memoryLimitBytes: Int = 64 * megabyte, allowsEval: Bool = false) {
        self.init(FixtureBundle(main), memoryLimitBytes: memoryLimitBytes, allowsEval: allowsEval)
    }

    deinit { cfiber_free(fiber) }

    /// Prepares the evaluation of the main module.
    func prepareStart() { prepare(hook: 1, evaluatesMain: true, request: 0) }

    /// Prepares a call of an exported function; what it returns, or what becomes of its promise, is said.
    func prepareCall(_ index: Double = 0, request: UInt64 = 0) {
        prepare(hook: 2, evaluatesMain: false, request: request)
        turn.add(number: index)
    }

    private func prepare(hook: UInt32, evaluatesMain: Bool, request: UInt64) {
        turn.prepare(
            isolate, hook: hook, evaluatesMain: evaluatesMain, timeMilliseconds: timeMilliseconds, request: request, fiber: fiber,
            stackLow: cfiber_stack_low(fiber), stackHigh: cfiber_stack_high(fiber))
        cfiber_prepare(fiber, Turn.body, turn.context)
    }

    /// Runs what was prepared until it is over (true) or was suspended.
    func resume() -> Bool { cfiber_resume(fiber) }
    var outcome: TurnOutcome { turn.outcome }
    var currentRequest: UInt64 { turn.currentRequest }

    @discardableResult
    func start() -> TurnOutcome {
        prepareStart()
        while !resume() {}
        return outcome
    }

    @discardableResult
    func call(_ index: Double = 0, request: UInt64 = 0) -> TurnOutcome {
        prepareCall(index, request: request)
        while !resume() {}
        return outcome
    }

    /// A call whose second argument is so many bytes.
    func callWithBytes(count: Int) -> TurnOutcome {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        prepareCall()
        turn.add(bytes: UnsafeRawBufferPointer(bytes))
        while !resume() {}
        return outcome
    }

    /// Runs what was prepared while another thread calls `interrupt` once a millisecond, until the turn is over (true) or suspended.
    func resume(while interrupt: @escaping (FixtureTenant) -> Void) -> Bool {
        let isOver = Flag()
        let thread = Thread { [self] in
            while !isOver.isSet {
                interrupt(self)
                usleep(1000)
            }
        }
        let result = resume()
        isOver.set()
        thread.join()
        return result
    }

    /// The same on a thread that never saw the isolate.
    func resumeElsewhere(while interrupt: @escaping (FixtureTenant) -> Void) -> Bool {
        var result = false
        withUnsafeMutablePointer(to: &result) { out in
            Thread { [self] in out.pointee = resume(while: interrupt) }.join()
        }
        return result
    }
}

final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// An OS thread with a body.
struct Thread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }
    private var handle = pthread_t()

    init(_ body: @escaping () -> Void) {
        let raw = Unmanaged.passRetained(Body(body)).toOpaque()
        let entry: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { raw in
            Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue().run()
            return nil
        }
        guard pthread_create(&handle, nil, entry, raw) == 0 else { die("no thread") }
    }

    func join() { pthread_join(handle, nil) }
}
