import Glibc

// What libFuzzer's main, which `--sanitize fuzzer` links, calls with each input. The target is $CLOISTER_FUZZ_TARGET; see scripts/fuzz.

private let target: FuzzTarget = {
    guard let name = getenv("CLOISTER_FUZZ_TARGET"), let target = FuzzTarget(rawValue: String(cString: name)) else {
        print("CLOISTER_FUZZ_TARGET must be one of \(FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))")
        exit(64)
    }
    return target
}()

/// Runs the target on one input. 0, as libFuzzer wants it: a fault of the target ends the process.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}
