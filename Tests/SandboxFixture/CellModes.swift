import Glibc
import Sandbox

/// Runs as a cell. `mode` is a word and, after `=`, what it is about:
/// - attempt=NAME, attempt-elsewhere=NAME: seals itself, then tries that on the main thread, or on another that was there before the seal
/// - attempt-later=NAME: the same on another thread, after a byte on the socket and the socket's end
/// - handled-later=NAME: as attempt-later, with a handler for SIGSEGV that ends with 33
/// - bare-attempt=NAME: tries that without a seal
/// - idle, idle-unfinished, idle-undropped, bare-idle: seals itself, up to the stage named or not at all; says one byte on the socket and
///   waits for the socket's end
/// - finish-only: leaves the middle stage out
/// - thread: starts a thread once sealed
/// - work: does what a serving cell does, then ends with 0
/// - report: says on the socket, a line each, what it was started with
/// - leave=CODE, crash: ends without a seal
func runCell(mode: String) -> Never {
    let words = mode.split(separator: "=", maxSplits: 1)
    let about = words.count > 1 ? String(words[1]) : ""
    do {
        switch words[0] {
        case "attempt": try sealed { CellSeal.selfcheckAttempt(about) }
        case "attempt-elsewhere":
            elsewhere = { CellSeal.selfcheckAttempt(about) }
            try sealed {
                mayRun = true
                while true { sleep(1000) }
            }
        case "attempt-later", "handled-later":
            if words[0] == "handled-later" { signal(SIGSEGV) { _ in _exit(33) } }
            elsewhere = {
                idle(ends: false)
                CellSeal.selfcheckAttempt(about)
            }
            try sealed {
                mayRun = true
                while true { sleep(1000) }
            }
        case "bare-attempt": CellSeal.selfcheckAttempt(about)
        case "idle": try sealed { idle() }
        case "bare-idle": idle()
        case "idle-unfinished":
            try CellSeal.beforeRuntime()
            try CellSeal.dropRoot()
            idle()
        case "idle-undropped":
            try CellSeal.beforeRuntime()
            idle()
        case "finish-only":
            try CellSeal.beforeRuntime()
            try CellSeal.finish()
        case "thread": try sealed { startThread() }
        case "work": try sealed { work() }
        case "report": report()
        case "leave":
            complain("leaving, as I was told")
            exit(Int32(about) ?? 1)
        case "crash": UnsafeMutablePointer<Int>(bitPattern: 8)!.pointee = 1
        default: complain("unknown mode")
        }
    } catch {
        complain("\(error)")
    }
    exit(1)
}

/// Read by the other thread until it is set; nothing else may happen between them, so that nothing but a seal decides.
nonisolated(unsafe) private var mayRun = false
nonisolated(unsafe) private var hasArrived = false
nonisolated(unsafe) private var elsewhere: () -> Void = {}

private func sealed(_ body: () -> Void) throws {
    try CellSeal.beforeRuntime()
    try CellSeal.dropRoot()
    startThread()
    // What a thread does as it begins, the last stage forbids.
    while !hasArrived { usleep(1000) }
    try CellSeal.finish()
    body()
}

private func startThread() {
    var thread = pthread_t()
    let status = pthread_create(
        &thread, nil,
        { _ in
            CellSeal.nameThread("the culprit")
            hasArrived = true
            while !mayRun { usleep(1000) }
            elsewhere()
            // A cell's threads do not end.
            while true { sleep(1000) }
        }, nil)
    guard status == 0 else {
        complain("pthread_create: \(status)")
        exit(1)
    }
}

private func idle(ends: Bool = true) {
    var byte: UInt8 = 0x52
    _ = send(3, &byte, 1, 0)
    _ = recv(3, &byte, 1, 0)
    if ends { exit(0) }
}

/// A global that one thread makes while another comes to it, which waits for the first by a lock of Swift's runtime.
private enum Lazy {
    nonisolated(unsafe) static var isBeingMade = false
    static let value: Int = {
        isBeingMade = true
        usleep(100_000)
        return 52
    }()
}

/// A little of each call that the steady filter is there for.
private func work() {
    var byte: UInt8 = 0x52
    var readable = pollfd(fd: 3, events: Int16(POLLOUT), revents: 0)
    guard poll(&readable, 1, 0) == 1, send(3, &byte, 1, Int32(MSG_NOSIGNAL)) == 1 else { exit(2) }
    for size in [100, 1 << 12, 1 << 20, 64 << 20] {
        var memory = malloc(size)!
        memset(memory, 1, size)
        memory = realloc(memory, size * 2)!
        free(memory)
    }
    guard let pages = mmap(nil, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), pages != MAP_FAILED,
        mprotect(pages, 1 << 16, PROT_READ | PROT_WRITE) == 0, madvise(pages, 1 << 16, MADV_DONTNEED) == 0,
        madvise(pages, 1 << 16, MADV_FREE) == 0, munmap(pages, 1 << 16) == 0
    else { exit(3) }
    var time = timespec(tv_sec: 0, tv_nsec: 1000)
    guard clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0, nanosleep(&time, nil) == 0 else { exit(4) }
    // getrandom.
    var generator = SystemRandomNumberGenerator()
    _ = generator.next()
    guard open("/proc/self/maps", O_RDONLY) == -1, errno == ENOENT else { exit(5) }
    elsewhere = { _ = Lazy.value }
    mayRun = true
    while !Lazy.isBeingMade { usleep(1000) }
    guard Lazy.value == 52 else { exit(6) }
    complain("worked")
    exit(0)
}

private func report() {
    var lines = ["pid \(getpid())", "uid \(getuid())", "group \(getpgid(0))", "nice \(getpriority(Int32(PRIO_PROCESS.rawValue), 0))"]
    var next = environ
    while let variable = next.pointee {
        lines.append("env \(String(cString: variable))")
        next += 1
    }
    for path in ["/", "/etc", "/proc", "/tmp", "/home"] {
        let entries = (try? entries(of: path))?.sorted().joined(separator: " ") ?? "none"
        lines.append("folder \(path): \(entries)")
    }
    for number: Int32 in 0..<1024 where fcntl(number, F_GETFD) >= 0 { lines.append("descriptor \(number)") }
    lines.append("write \(open("/new", O_CREAT | O_WRONLY, 0o644) < 0 ? errno : 0)")
    var action = sigaction()
    sigaction(SIGUSR1, nil, &action)
    lines.append("handler \(Int(bitPattern: unsafeBitCast(action.__sigaction_handler.sa_handler, to: UnsafeRawPointer?.self)))")
    var mask = sigset_t()
    pthread_sigmask(0, nil, &mask)
    lines.append("blocked \(sigismember(&mask, SIGUSR1))")
    let text = Array(lines.joined(separator: "\n").utf8)
    _ = send(3, text, text.count, 0)
    exit(0)
}

private struct NoFolder: Error {}

private func entries(of path: String) throws -> [String] {
    guard let stream = opendir(path) else { throw NoFolder() }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names
}
