import Engine
import Glibc
import WebRuntime

/// Runs one test file: finds its modules, keeps its timers on a clock of its own, and notes what the runtime asks of its host as JSON for the
/// tests to look at.
final class FixtureHost: RuntimeHost {
    struct Timer {
        var dueMilliseconds: Double
        var order: Int
        var intervalMilliseconds: Double?
        var request: UInt64
    }

    static let startMilliseconds = 1_700_000_000_000.0
    static let timerLimit = 1000

    private let modules: [EngineModule]
    private let specifiers = ["main", "./harness.js", "./test.js"]
    private(set) var timers: [Int: Timer] = [:]
    private var nextOrder = 0
    var nowMilliseconds = FixtureHost.startMilliseconds
    private var notes: [String] = []
    /// What `bodyWrite` answers.
    var windowIsOpen = true
    var isDone = false
    var startFailure: String?

    /// - Parameter texts: of the main module, the harness and the test; never freed.
    init(texts: [[UInt8]]) {
        modules = zip(specifiers, texts).map { name, text in
            let nameCopy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: name.utf8.count)
            _ = nameCopy.initialize(from: name.utf8.map { CChar(bitPattern: $0) })
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(text.count, 1), alignment: 8)
            copy.copyBytes(from: text)
            return EngineModule(
                name: UnsafeBufferPointer(nameCopy), data: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(copy)[..<text.count]),
                kind: .javascript, isASCII: text.allSatisfy { $0 < 0x80 })
        }
        super.init()
    }

    override func resolve(_ specifier: String, referrer: Int?) throws(ModuleError) -> Int {
        guard let referrer else { return 0 }
        guard referrer == 0, let index = specifiers.firstIndex(of: specifier) else {
            throw ModuleError("the fixture has no module '\(specifier)'")
        }
        return index
    }

    override func module(at index: Int) -> EngineModule { modules[index] }

    /// What was noted since the last time, as a JSON array of arrays.
    func takeNotes() -> String {
        defer { notes.removeAll() }
        return "[" + notes.joined(separator: ",") + "]"
    }

    private func note(_ name: String, _ values: String...) { notes.append("[\"\(name)\"" + values.map { "," + $0 }.joined() + "]") }

    static func quote(_ text: some StringProtocol) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// The next timer that is due, taken or set again, with its request.
    func takeNextTimer() -> (timer: Int, request: UInt64)? {
        guard let (id, timer) = timers.min(by: { ($0.value.dueMilliseconds, $0.value.order) < ($1.value.dueMilliseconds, $1.value.order) })
        else {
            return nil
        }
        nowMilliseconds = max(nowMilliseconds, timer.dueMilliseconds)
        if let interval = timer.intervalMilliseconds {
            timers[id]?.dueMilliseconds = nowMilliseconds + max(interval, 1)
            timers[id]?.order = nextOrder
            nextOrder += 1
        } else {
            timers[id] = nil
        }
        return (id, timer.request)
    }

    // MARK: Host

    override var environment: String { "v\0GREETING\0hello\0s\0API_KEY\0secret value\0v\0__proto__\0polluted\0" }
    override var subrequestLimit: Int { 3 }
    override var timeOriginMilliseconds: Double { Self.startMilliseconds - 5 }

    override func ready() { note("ready") }
    override func startFailed(_ message: String) {
        startFailure = message
        note("startFailed", Self.quote(message))
    }

    override func respond(_ request: UInt64, status: Int, headers: TextArgument, body: BodyArgument, state: ResponseState) {
        let head = UnsafeMutableRawBufferPointer.allocate(byteCount: headers.count, alignment: 1)
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: body.count, alignment: 1)
        defer {
            head.deallocate()
            bytes.deallocate()
        }
        headers.write(into: head)
        body.write(into: bytes)
        let latin1 = String(String.UnicodeScalarView(head.map { Unicode.Scalar($0) }))
        note(
            "respond", "\(request)", "\(status)", Self.quote(latin1), Self.quote(String(decoding: bytes, as: UTF8.self)),
            "\(state.rawValue)")
    }

    override func bodyWrite(_ request: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
        note("bodyWrite", "\(request)", Self.quote(String(decoding: bytes, as: UTF8.self)))
        return windowIsOpen
    }

    override func bodyEnd(_ request: UInt64) { note("bodyEnd", "\(request)") }
    override func bodyBroken(_ request: UInt64, _ message: String) { note("bodyBroken", "\(request)", Self.quote(message)) }
    override func fail(_ request: UInt64, code: UInt16, message: String) { note("fail", "\(request)", "\(code)", Self.quote(message)) }
    override func finished(_ request: UInt64) { note("finished", "\(request)") }
    override func requestCredit(_ request: UInt64, byteCount: Int) { note("requestCredit", "\(request)", "\(byteCount)") }

    override func setTimer(_ timer: Int, delayMilliseconds: Double, repeats: Bool, request: UInt64) -> UInt64? {
        guard timers.count < Self.timerLimit else { return nil }
        timers[timer] = Timer(
            dueMilliseconds: nowMilliseconds + delayMilliseconds, order: nextOrder, intervalMilliseconds: repeats ? delayMilliseconds : nil,
            request: request)
        nextOrder += 1
        // Also outside of requests, where there is nobody to end with.
        return request == 0 ? .max : request
    }

    override func clearTimer(_ timer: Int) { timers[timer] = nil }

    override func log(level: Int, request: UInt64, message: String) { note("log", "\(level)", Self.quote(message)) }
}
