import Glibc
import Synchronization

/// Where log lines go: a descriptor, behind a bounded buffer and a thread of its own, so that a reader who has stopped reading (a full pipe,
/// a stopped terminal) never stops those who log. Lines that find the buffer full, or cannot be written (a full disk), are dropped and counted.
public final class LogOutput: Sendable {
    private let writer: LogWriter

    /// - Parameters:
    ///   - descriptor: stays the caller's; never made non-blocking, because others may share it.
    ///   - bufferBytesLimit: what may wait for the descriptor.
    public init(descriptor: Int32 = STDERR_FILENO, bufferBytesLimit: Int = 1 << 20) {
        writer = LogWriter(descriptor: descriptor, limit: bufferBytesLimit)
        writer.start()
    }

    deinit { writer.stop() }

    /// Queues a line; `line` ends with its newline. Returns at once; false: the buffer was full and the line is lost.
    @discardableResult
    public func write(_ line: [UInt8]) -> Bool { writer.append(line) }

    /// Lines lost so far.
    public var droppedLines: UInt64 { writer.droppedLines }

    /// Waits until everything queued before is written, at most `timeoutMilliseconds`. For the end of the process.
    /// - Returns: whether all was written.
    @discardableResult
    public func flush(timeoutMilliseconds: Int = 1_000) -> Bool { writer.flush(timeoutMilliseconds: timeoutMilliseconds) }
}

/// The buffer and its thread. A class of its own, so that the thread does not keep `LogOutput` alive.
private final class LogWriter: @unchecked Sendable {
    // Everything below is guarded by `mutex`; a condition variable needs the pthread kind.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let descriptor: Int32
    private let limit: Int
    private var waiting: [UInt8] = []
    private var isWriting = false
    private var isStopped = false
    private var isBroken = false
    private var dropped: UInt64 = 0

    init(descriptor: Int32, limit: Int) {
        self.descriptor = descriptor
        self.limit = limit
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    func start() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let code = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<LogWriter>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, context)
        guard code == 0 else {
            // Out of threads at start-up: every line will count as dropped.
            Unmanaged<LogWriter>.fromOpaque(context).release()
            isBroken = true
            return
        }
        pthread_detach(thread)
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    var droppedLines: UInt64 { locked { dropped } }

    func append(_ line: [UInt8]) -> Bool {
        locked {
            guard !isBroken, !isStopped, waiting.count + line.count <= limit else {
                dropped += 1
                return false
            }
            let wasEmpty = waiting.isEmpty
            waiting += line
            if wasEmpty && !isWriting { pthread_cond_broadcast(changed) }
            return true
        }
    }

    func stop() {
        locked {
            isStopped = true
            pthread_cond_broadcast(changed)
        }
    }

    func flush(timeoutMilliseconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        let nanoseconds = deadline.tv_nsec + timeoutMilliseconds % 1_000 * 1_000_000
        deadline.tv_sec += timeoutMilliseconds / 1_000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        return locked {
            while !waiting.isEmpty || isWriting {
                if isBroken { return false }
                if pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT { return waiting.isEmpty && !isWriting }
            }
            return true
        }
    }

    /// The thread: takes all that waits, writes it, and so on until stopped and empty.
    private func run() {
        var batch: [UInt8] = []
        while true {
            let goOn = locked {
                isWriting = false
                pthread_cond_broadcast(changed)
                while waiting.isEmpty && !isStopped { pthread_cond_wait(changed, mutex) }
                if waiting.isEmpty { return false }
                swap(&batch, &waiting)
                isWriting = true
                return true
            }
            guard goOn else { return }
            let failure = Self.writeAll(batch, to: descriptor)
            if failure.unwritten > 0 {
                let lines = UInt64(batch.suffix(failure.unwritten).count { $0 == UInt8(ascii: "\n") })
                locked {
                    dropped += lines
                    // Nobody will ever read what is written there.
                    if failure.code == EPIPE || failure.code == EBADF {
                        isBroken = true
                        isWriting = false
                        waiting = []
                        pthread_cond_broadcast(changed)
                    }
                }
                if locked({ isBroken }) { return }
                // A full disk, for example, may have room again.
                usleep(Self.retryMicroseconds)
            }
            batch.removeAll(keepingCapacity: batch.capacity <= 64 << 10)
        }
    }

    private static let retryMicroseconds: UInt32 = 500_000

    /// - Returns: how much could not be written, and why.
    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> (unwritten: Int, code: Int32) {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    // Somebody else made the shared descriptor non-blocking; wait for room.
                    var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&poller, 1, -1)
                } else if errno != EINTR {
                    return (rest.count, errno)
                }
            }
            return (0, 0)
        }
    }
}
