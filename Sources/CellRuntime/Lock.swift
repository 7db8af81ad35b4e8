import Glibc
import Sandbox

/// A mutex at a stable address. Never held across a fiber switch.
final class Lock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    @inline(__always) func lock() { pthread_mutex_lock(mutex) }
    @inline(__always) func unlock() { pthread_mutex_unlock(mutex) }

    @inline(__always)
    func withLock<T>(_ body: () -> T) -> T {
        lock()
        defer { unlock() }
        return body()
    }

    /// A condition to wait for while holding the lock. Where workers would wait for it, signal after the lock is given back: the kernel may run whoever
    /// wakes in the caller's stead, and then a third thread in place of both, since the one that woke asks for the lock at once.
    final class Condition: @unchecked Sendable {
        private let condition: UnsafeMutablePointer<pthread_cond_t>

        init() {
            condition = .allocate(capacity: 1)
            condition.initialize(to: pthread_cond_t())
            pthread_cond_init(condition, nil)
        }

        deinit {
            pthread_cond_destroy(condition)
            condition.deallocate()
        }

        func wait(_ lock: Lock) { pthread_cond_wait(condition, lock.mutex) }
        func signal() { pthread_cond_signal(condition) }
        func broadcast() { pthread_cond_broadcast(condition) }
    }
}

/// Starts an OS thread with a stack of its own size. Threads are made before the seal is complete and never end.
func startThread(_ name: String, stackBytes: Int, _ body: @escaping () -> Void) throws(CellFailure) {
    final class Body {
        let name: String
        let run: () -> Void
        init(_ name: String, _ run: @escaping () -> Void) {
            self.name = name
            self.run = run
        }
    }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, stackBytes)
    var thread = pthread_t()
    let status = pthread_create(
        &thread, &attributes,
        { pointer in
            let body = Unmanaged<Body>.fromOpaque(pointer!).takeRetainedValue()
            CellSeal.nameThread(body.name)
            body.run()
            return nil
        }, Unmanaged.passRetained(Body(name, body)).toOpaque())
    guard status == 0 else { throw CellFailure(stage: "threads", "pthread_create: \(String(cString: strerror(status)))") }
}

/// Why a cell cannot go on: the stage and what failed there. The cell ends with it.
struct CellFailure: Error, CustomStringConvertible {
    var stage: String
    var reason: String
    init(stage: String, _ reason: String) {
        self.stage = stage
        self.reason = reason
    }
    var description: String { "\(stage): \(reason)" }
}
