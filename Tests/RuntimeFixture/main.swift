// Runs the Web runtime's JavaScript tests in V8, one file a process:
//
//     runtime-fixture snapshot OUT                      builds the base snapshot and writes it to OUT
//     runtime-fixture run SNAPSHOT HARNESS TEST         runs TEST; writes a line per case: "ok NAME" or "fail NAME: WHY", then "done COUNT"
//     runtime-fixture wpt SNAPSHOT ROOT FILE            runs a file of the web platform tests in ROOT, likewise (see scripts/wpt)
//
// Exit codes: 0 the file ran to its end (cases may have failed), 1 it did not, 64 usage.
import CFiber
import Engine
import Glibc
import WebRuntime

func die(_ message: String, _ code: Int32 = 1) -> Never {
    let line = Array("runtime-fixture: \(message)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(code)
}

func readFile(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { die("open \(path): \(String(cString: strerror(errno)))") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return bytes
}

func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
    var start = 0
    while start < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + start, bytes.count - start) }
        guard count > 0 else { die("write: \(String(cString: strerror(errno)))") }
        start += count
    }
}

/// What tests may ask of the fixture beside the runtime's own operations.
let fixtureOperations: [(name: String, function: Operation)] = [
    ("fixtureNotes", { OperationCall($0).withFixture { call, host in call.returnText(host.takeNotes()) } }),
    ("fixtureWindow", { OperationCall($0).withFixture { call, host in host.windowIsOpen = call.bool(0) } }),
    (
        "fixtureFile",
        {
            let call = OperationCall($0)
            // A URL's path: it does not leave the root.
            let path = WebPlatformTest.root + call.text(0, limit: .max)
            if access(path, R_OK) == 0 { call.returnText(String(decoding: readFile(path), as: UTF8.self)) } else { call.returnNull() }
        }
    ),
    (
        "fixtureSources",
        { OperationCall($0).returnText(WebRuntime.sources.map { String(cString: $0.text) }.joined(separator: "\n")) }
    ),
    (
        "fixtureReport",
        {
            let call = OperationCall($0)
            let name = call.text(0, limit: .max).split(separator: "\n").joined(separator: " ")
            let why = call.text(1, limit: .max).split(separator: "\n").joined(separator: "\u{2028}")
            writeAll(Array((why.isEmpty ? "ok \(name)\n" : "fail \(name): \(why)\n").utf8), to: STDOUT_FILENO)
        }
    ),
    (
        "fixtureDone",
        {
            OperationCall($0).withFixture { call, host in
                writeAll(Array("done \(Int(call.number(0)))\n".utf8), to: STDOUT_FILENO)
                host.isDone = true
            }
        }
    ),
]

extension OperationCall {
    func withFixture(_ body: (OperationCall, FixtureHost) -> Void) {
        body(self, unsafeDowncast(Unmanaged<RuntimeHost>.fromOpaque(user).takeUnretainedValue(), to: FixtureHost.self))
    }
}

/// Gives tests `fixture` with what they look at: the runtime's `internal` among it.
let fixtureSource: StaticString = """
    (function (internal) {
      'use strict';
      const { fixtureDone, fixtureFile, fixtureNotes, fixtureReport, fixtureSources, fixtureWindow } = internal.ops;
      const { parse } = JSON;
      internal.expose('fixture', {
        internal, done: fixtureDone, readFile: fixtureFile, report: fixtureReport, setWindow: fixtureWindow, sources: fixtureSources, takeNotes: () => parse(fixtureNotes()),
      });
    })
    """

func startV8() {
    var sources = WebRuntime.sources
    sources.append(
        RuntimeSource(
            name: strdup("fixture"), text: UnsafeRawPointer(fixtureSource.utf8Start).assumingMemoryBound(to: CChar.self),
            length: fixtureSource.utf8CodeUnitCount, lazy: false))
    WebRuntime.warmUp()
    do throws(EngineError) {
        try V8.start(
            EngineConfiguration(
                flags: "--hash-seed=20", sources: sources, operations: WebRuntime.operations + fixtureOperations,
                suspend: { cfiber_suspend($0) },
                fatal: { _, isOutOfMemory, location, message in
                    die(
                        "V8: \(isOutOfMemory ? "out of memory" : "failed check") \(String(cString: location!)): \(String(cString: message!))"
                    )
                }))
    } catch {
        die("\(error)")
    }
}

/// - Parameter texts: of the main module, and of `./harness.js` and `./test.js` if it imports them.
func run(snapshot: [UInt8], texts: [[UInt8]]) throws {
    let host = FixtureHost(texts: texts)
    let blob = UnsafeMutableRawBufferPointer.allocate(byteCount: snapshot.count, alignment: 4096)
    blob.copyBytes(from: snapshot)
    let isolate = try Isolate(snapshot: UnsafeRawBufferPointer(blob))
    isolate.assign(memoryLimitBytes: 256 << 20, user: Unmanaged<RuntimeHost>.passUnretained(host).toOpaque(), allowsEval: true)
    guard let fiber = cfiber_new(512 << 10) else { die("no memory for a stack") }
    let turn = Turn()

    func runTurn(_ hook: RuntimeHook, evaluatesMain: Bool, request: UInt64 = 0, _ arguments: () -> Void = {}) {
        turn.prepare(
            isolate, hook: hook.rawValue, evaluatesMain: evaluatesMain, timeMilliseconds: host.nowMilliseconds, request: request,
            fiber: fiber,
            stackLow: cfiber_stack_low(fiber), stackHigh: cfiber_stack_high(fiber))
        arguments()
        cfiber_prepare(fiber, Turn.body, turn.context)
        while !cfiber_resume(fiber) {}
        switch turn.outcome {
        case .completed: break
        case .threw(let message): die("a turn threw: \(message)")
        case .terminated: die("the isolate was terminated")
        }
    }

    runTurn(.started, evaluatesMain: true)
    while !host.isDone, let (timer, request) = host.takeNextTimer() {
        runTurn(.timer, evaluatesMain: false, request: request) { turn.add(number: Double(timer)) }
    }
    if !host.isDone { die("the tests never ended: a promise was left pending. \(host.startFailure ?? "") \(host.takeNotes())") }
}

let arguments = CommandLine.arguments
switch (arguments.count, arguments.dropFirst().first) {
case (3, "snapshot"):
    startV8()
    let blob = try V8.buildBaseSnapshot()
    let descriptor = open(arguments[2], O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { die("open \(arguments[2]): \(String(cString: strerror(errno)))") }
    writeAll(blob, to: descriptor)
    close(descriptor)
    // V8 need not survive its builder.
    _exit(0)
case (5, "run"):
    startV8()
    let main = "import './harness.js'; import './test.js'; runTests(); export default { fetch() { return new Response('fixture'); } };"
    try run(snapshot: readFile(arguments[2]), texts: [Array(main.utf8), readFile(arguments[3]), readFile(arguments[4])])
    _exit(0)
case (5, "wpt"):
    startV8()
    let test = WebPlatformTest(root: arguments[3], path: arguments[4])
    try run(snapshot: readFile(arguments[2]), texts: [Array(test.module.utf8)])
    _exit(0)
default:
    die("usage: runtime-fixture snapshot OUT | run SNAPSHOT HARNESS TEST | wpt SNAPSHOT ROOT FILE", 64)
}
