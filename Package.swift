// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Where V8 lives: Debian's libv8-dev, or its packages unpacked by scripts/setup where a foreign nodejs blocks them.
let unpacked = Context.packageDirectory + "/.build-v8/usr"
let v8IsUnpacked = FileManager.default.fileExists(atPath: unpacked + "/include/node/v8.h")
let v8Prefix = v8IsUnpacked ? unpacked : "/usr"
#if arch(arm64)
    let triplet = "aarch64-linux-gnu"
#else
    let triplet = "x86_64-linux-gnu"
#endif
let v8Libraries = "\(v8Prefix)/lib/\(triplet)"
// SwiftPM keeps what a manifest says for as long as its text stays the same, and a foreign nodejs has headers where Debian's are: without this whoever
// builds before scripts/setup goes on without V8 after it. A manifest that fails is not kept.
if !FileManager.default.fileExists(atPath: v8Libraries + "/libnode.so") {
    FileHandle.standardError.write(Data("V8 is missing: run scripts/setup\n".utf8))
    exit(1)
}

/// Warnings are errors in CI; locally they stay warnings.
let strict = Context.environment["CLOISTER_STRICT"] == "1" || Context.environment["CI"] == "true"
/// Debug builds, which the tests are, check exclusive access as they run; release builds rely on that: it is some per cent of a request.
let swiftSettings: [SwiftSetting] =
    (strict ? [.treatAllWarnings(as: .error)] : []) + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]
let cSettings: [CSetting] =
    strict ? [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])] : [.unsafeFlags(["-Wall", "-Wextra"])]

/// V8's own headers are system headers to us; libnode exports no type information, hence no RTTI.
let cxxSettings: [CXXSetting] = [
    .unsafeFlags(
        ["-isystem", "\(v8Prefix)/include/node", "-fno-rtti", "-Wall", "-Wextra"] + (strict ? ["-Werror"] : []))
]

/// libnode's own needs are found through DT_RPATH only when it stands in the executable (it is transitive, RUNPATH is not).
let v8LinkerSettings: [LinkerSetting] =
    [
        .linkedLibrary("node"), .linkedLibrary("pthread"),
        // What is ours to define in V8's place (turn.cc, wasm_cache.cc).
        .unsafeFlags(
            ["-L\(v8Libraries)"]
                + ["GetStackStart", "NativeModuleCache"].flatMap { ["-Xlinker", "--export-dynamic-symbol=*\($0)*"] }),
    ]
    + (v8IsUnpacked
        ? [.unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", v8Libraries, "-Xlinker", "--disable-new-dtags"])] : [])

func target(
    _ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil, exclude: [String] = []
) -> Target {
    .target(name: name, dependencies: dependencies, path: path, exclude: exclude, swiftSettings: swiftSettings)
}

func executable(_ name: String, _ dependencies: [Target.Dependency], linker: [LinkerSetting] = []) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, swiftSettings: swiftSettings, linkerSettings: linker)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil, exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: path, exclude: exclude, swiftSettings: swiftSettings)
}

let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let collections = Target.Dependency.product(name: "Collections", package: "swift-collections")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

/// The fuzz targets: a test that runs their corpus, or, for scripts/fuzz, an executable in which libFuzzer drives them.
let fuzzed: [Target.Dependency] = [
    "Wire", "Policy", "PolicyFiles", "Bundles", "Gateway", "Snapshots", "SnapshotDelta", "Supervisor", "Telemetry", logging, nio, nioPosix,
]
let fuzzing: Target =
    Context.environment["CLOISTER_FUZZ"] == "1"
    ? .executableTarget(
        name: "cloister-fuzz", dependencies: fuzzed, path: "Integration/Fuzz", exclude: ["Tests", "corpus"], swiftSettings: swiftSettings)
    : tests("FuzzTests", fuzzed, path: "Integration/Fuzz", exclude: ["Driver", "corpus"])

let package = Package(
    name: "cloister",
    products: [
        .executable(name: "cloisterd", targets: ["cloisterd"]),
        .executable(name: "cloister-cell", targets: ["cloister-cell"]),
        .executable(name: "cloister", targets: ["cloister"]),
        .executable(name: "cloister-load", targets: ["cloister-load"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "3.12.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.10.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.1.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    ],
    targets: [
        // C and C++: thin.
        .target(
            name: "CV8", cSettings: cSettings, cxxSettings: cxxSettings, linkerSettings: v8LinkerSettings),
        .target(name: "CFiber", cSettings: cSettings),
        .target(name: "CLinux", cSettings: cSettings),
        .target(name: "CWebRuntime", exclude: ["javascript"], cSettings: cSettings),
        .systemLibrary(name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "CICU", cSettings: cSettings, linkerSettings: [.linkedLibrary("icuuc"), .linkedLibrary("icui18n")]),

        // Shared by supervisor and cell.
        target("Policy"),
        target("Scheduling", [collections]),
        target("Wire", ["Policy"]),
        target("SnapshotDelta", ["CZstd"]),

        // The cell.
        target("Engine", ["CV8"]),
        target("WebRuntime", ["Engine", "CWebRuntime", "CCrypto", "CICU"]),
        target("Sandbox", ["CLinux", "CSeccomp"]),
        target("CellRuntime", ["Engine", "WebRuntime", "CFiber", "Scheduling", "SnapshotDelta", "Wire", "Sandbox", "Policy", collections]),
        executable("cloister-cell", ["CellRuntime"]),

        // The supervisor.
        target("Bundles", ["Policy", crypto]),
        target("PolicyFiles", ["Policy", "Bundles", yams]),
        target("Snapshots", ["SnapshotDelta", crypto]),
        target("Telemetry", [logging]),
        target(
            "Supervisor",
            ["Sandbox", "Bundles", "Snapshots", "SnapshotDelta", "Scheduling", "Wire", "Policy", "Telemetry", logging, nio, nioPosix]),
        target("Gateway", ["Supervisor", "Telemetry", "Policy", "Wire", nio, nioPosix, nioTLS, nioSSL]),
        target("Admin", ["Supervisor", "Telemetry", "Policy", hummingbird]),
        executable(
            "cloisterd",
            [
                "Supervisor", "Gateway", "Admin", "Telemetry", "Policy", "PolicyFiles", "Bundles", "Sandbox", "Snapshots", "Wire", logging,
                nio, arguments, lifecycle, unixSignals, nioPosix,
            ]),
        executable("cloister", ["Policy", arguments]),
        target("LoadHarness", ["Scheduling", nio, nioPosix, nioHTTP1, histogram]),
        executable("cloister-load", ["LoadHarness", "Policy", arguments]),

        // Tests.
        tests("ArchitectureTests", []),
        target("TestSupport", path: "Tests/TestSupport"),
        tests("PolicyTests", ["Policy", "PolicyFiles", "Bundles", "TestSupport"]),
        tests("BundlesTests", ["Bundles", "Policy", "TestSupport"]),
        tests("SchedulingTests", ["Scheduling"]),
        tests("WireTests", ["Wire", "Scheduling"]),
        tests("FiberTests", ["CFiber"]),
        .executableTarget(
            name: "engine-fixture", dependencies: ["Engine", "CFiber", "CLinux"], path: "Tests/EngineFixture", swiftSettings: swiftSettings),
        tests("EngineTests", ["engine-fixture"]),
        .executableTarget(
            name: "runtime-fixture", dependencies: ["WebRuntime", "Engine", "CFiber"], path: "Tests/RuntimeFixture",
            swiftSettings: swiftSettings),
        tests("WebRuntimeTests", ["WebRuntime", "runtime-fixture"], exclude: ["javascript"]),
        tests("CellRuntimeTests", ["CellRuntime", "Sandbox", "Wire"]),
        .executableTarget(
            name: "sandbox-fixture", dependencies: ["Sandbox"], path: "Tests/SandboxFixture", swiftSettings: swiftSettings),
        // Started by tests, and linked into none of them: it stands before functions of the C library.
        .target(name: "CTestCell", path: "Tests/CTestCell", cSettings: cSettings),
        .executableTarget(
            name: "test-cell", dependencies: ["CellRuntime", "CTestCell"], path: "Tests/TestCell", swiftSettings: swiftSettings),
        .target(name: "CFilterProbe", path: "Tests/CFilterProbe", cSettings: cSettings),
        tests("SandboxTests", ["Sandbox", "sandbox-fixture", "CFilterProbe"]),
        tests("SnapshotsTests", ["Snapshots", "SnapshotDelta", "TestSupport"]),
        tests("TelemetryTests", ["Telemetry"]),
        tests("SupervisorTests", ["Supervisor", "Bundles", "TestSupport", nio, nioPosix]),
        tests("GatewayTests", ["Gateway", "Supervisor", "Telemetry", "Wire", nio, nioPosix, nioEmbedded, nioHTTP1, nioTLS, nioSSL]),
        tests("AdminTests", ["Admin", "Supervisor", "Telemetry", "Policy", logging, nio]),
        tests("LoadHarnessTests", ["LoadHarness", "Scheduling"]),
        target("IntegrationHarness", path: "Integration/Harness"),
        tests("EndToEndTests", ["IntegrationHarness", "LoadHarness"], path: "Integration/EndToEnd"),
        tests("HostileTests", ["IntegrationHarness"], path: "Integration/Hostile", exclude: ["cases"]),
        tests("FaultTests", ["IntegrationHarness"], path: "Integration/Faults"),
        fuzzing,
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx20
)
