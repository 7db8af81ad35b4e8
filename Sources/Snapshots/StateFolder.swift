import Foundation

/// The daemon's state folder: made if it is missing, owned by one daemon at a time.
public final class StateFolder: Sendable {
    /// As it was given; the folder is there, with `snapshots/` in it.
    public let path: String
    private let lock: Int32

    /// - Throws: when the folder cannot be made or another daemon uses it.
    public init(path: String) throws(StateError) {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path + "/snapshots", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        } catch {
            let number = Self.errorNumber(of: error)
            let why = number == 0 ? error.localizedDescription : String(cString: strerror(number))
            throw StateError("the state folder \(path) cannot be made: \(why)", errorNumber: number)
        }
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw StateError("cannot open \(path)/lock: \(String(cString: strerror(errno)))", errorNumber: errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw StateError("the state folder \(path) is in use by another cloisterd; name another with --state")
        }
    }

    deinit { close(lock) }

    /// What the kernel said, where Foundation tells; else 0.
    static func errorNumber(of error: any Error) -> Int32 {
        var next: NSError? = error as NSError
        while let error = next {
            if error.domain == NSPOSIXErrorDomain { return Int32(error.code) }
            next = error.userInfo[NSUnderlyingErrorKey] as? NSError
        }
        switch (error as? CocoaError)?.code {
        case .fileWriteNoPermission, .fileReadNoPermission: return EACCES
        case .fileWriteVolumeReadOnly: return EROFS
        default: return 0
        }
    }
}
