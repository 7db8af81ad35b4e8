import CFiber
import Engine
import Glibc

func die(_ message: String, _ code: Int32 = 1) -> Never {
    let line = Array("engine-fixture: \(message)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(code)
}

/// What the tests look at: one line each.
func sayLine(_ text: String) {
    let line = Array((text.split(separator: "\n").joined(separator: " | ") + "\n").utf8)
    guard write(STDOUT_FILENO, line, line.count) == line.count else { die("write") }
}

/// A runtime of a few lines: `say`, and functions that the main module exports in its `cases`.
let runtimeText: StaticString = """
    (function (internal) {
      'use strict';
      const { say } = internal.ops;
      internal.hooks[0] = (reason) => { say('unhandled in request ' + internal.currentRequest() + ': ' + reason); };
      internal.hooks[1] = (promise, namespace) => {
        promise.then(() => {
          internal.cases = namespace.cases;
          say('started');
        }, (error) => { say('failed: ' + (error && error.stack ? error.stack : error)); });
      };
      internal.hooks[2] = (index) => {
        const said = internal.cases[index](internal);
        if (said instanceof Promise) said.then((value) => { say('later ' + value); }, (error) => { say('rejected ' + error); });
        else say(String(said));
      };
    })
    """
let brokenText: StaticString = "(function (internal) {\n  throw new TypeError('a source that throws');\n})"
let lazyText: StaticString = "(function (internal) { internal.loads = (internal.loads ?? 0) + 1; return { loads: internal.loads }; })"

let operations: [(name: String, function: Operation)] = [
    ("say", { sayLine(OperationCall($0).text(0, limit: .max)) }),
    (
        "kinds",
        {
            let call = OperationCall($0)
            call.returnText((0..<call.count).map { "\(call.kind($0))" }.joined(separator: " "))
        }
    ),
    (
        "read",
        {
            let call = OperationCall($0)
            let (units, isOneByte) = call.string(0)
            call.returnText(
                "\(call.number(0)) \(call.bool(0)) \(call.integer(0, as: Int32.self)) \(units) \(isOneByte) \(call.utf8Length(0)) \(call.bytes(0)?.count ?? -1)"
            )
        }
    ),
    (
        "echo",
        {
            let call = OperationCall($0)
            let out = UnsafeMutableRawBufferPointer.allocate(byteCount: 5, alignment: 1)
            defer { out.deallocate() }
            let (written, read) = call.writeUTF8(0, into: out)
            call.returnText("\(written) \(read) \(String(decoding: out[..<written], as: UTF8.self))")
        }
    ),
    (
        "fail",
        {
            let call = OperationCall($0)
            call.throwError([.error, .typeError, .rangeError][call.integer(0, as: Int.self)], "thrown by an operation")
        }
    ),
    (
        "make",
        { call in
            if let out = OperationCall(call).returnBytes(count: OperationCall(call).integer(0)) {
                out.initializeMemory(as: UInt8.self, repeating: 7)
            }
        }
    ),
    ("clock", { OperationCall($0).returnNumber(OperationCall($0).timeMilliseconds) }),
    ("request", { OperationCall($0).returnNumber(Double(OperationCall($0).request)) }),
]

nonisolated(unsafe) private(set) var baseSnapshot = UnsafeRawBufferPointer(start: nil, count: 0)

func source(_ name: String, _ text: StaticString, lazy: Bool = false) -> RuntimeSource {
    RuntimeSource(
        name: strdup(name), text: UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self), length: text.utf8CodeUnitCount,
        lazy: lazy)
}

func startV8(sources: [RuntimeSource]) {
    do throws(EngineError) {
        try V8.start(
            EngineConfiguration(
                flags: "--hash-seed=20 --allow-natives-syntax", sources: sources, operations: operations, suspend: { cfiber_suspend($0) },
                fatal: { _, isOutOfMemory, location, message in
                    die("V8 gave up\(isOutOfMemory ? " (memory)" : ""): \(String(cString: location!)): \(String(cString: message!))", 3)
                }))
    } catch { die("\(error)") }
}

func readSnapshot(_ path: String) {
    guard let file = fopen(path, "rb") else { die("open \(path): \(String(cString: strerror(errno)))") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 4096)
    copy.copyBytes(from: bytes)
    baseSnapshot = UnsafeRawBufferPointer(copy)
}
