// Drives Engine alone, with a runtime of a few lines, for EngineTests: V8 wants the main thread before any other, which a test runner has not.
//
//     engine-fixture snapshot OUT          builds the base snapshot and writes it to OUT
//     engine-fixture broken                the same from a source that throws: says the error
//     engine-fixture run SNAPSHOT CASE     runs one case and says what was seen, a line each
//
// Exit codes: 0 the case ran to its end, 1 it did not, 3 V8 gave up, 64 usage.
import Engine
import Glibc

let runtime = [source("runtime", runtimeText), source("lazy", lazyText, lazy: true)]
let arguments = CommandLine.arguments
switch (arguments.count, arguments.dropFirst().first) {
case (3, "snapshot"):
    startV8(sources: runtime)
    do throws(EngineError) {
        let blob = try V8.buildBaseSnapshot()
        let file = fopen(arguments[2], "wb")
        guard file != nil, fwrite(blob, 1, blob.count, file) == blob.count, fclose(file) == 0 else { die("cannot write \(arguments[2])") }
    } catch { die("\(error)") }
case (2, "broken"):
    startV8(sources: [source("broken", brokenText)])
    do throws(EngineError) { sayLine("\(try V8.buildBaseSnapshot().count) bytes") } catch { sayLine("\(error)") }
case (4, "run"):
    startV8(sources: runtime)
    readSnapshot(arguments[2])
    guard let run = fixtureCases[arguments[3]] else { die("no case \(arguments[3])", 64) }
    run()
default:
    die("usage: engine-fixture snapshot OUT | broken | run SNAPSHOT CASE", 64)
}
// V8 need not be taken down.
_exit(0)
