import Foundation

/// Reads files that others put there: never more than a limit, and only what is a file, so that no pipe or device holds the reader.
enum FileContents {
    /// Why a file cannot be read.
    enum Failure: Error, Equatable, CustomStringConvertible {
        /// What the kernel said.
        case system(Int32)
        case folder
        /// A pipe, a socket or a device.
        case special
        case larger(than: Int)
        /// What was opened lies elsewhere: a link has changed since it was looked at.
        case outside

        var description: String {
            switch self {
            case .system(let code): String(cString: strerror(code))
            case .folder: "this is a folder"
            case .special: "this is a pipe, a socket or a device, not a file"
            case .larger(let limit): "the file has more than \(limit) bytes"
            case .outside: "a link that leaves the folder"
            }
        }
    }

    private static let pieceBytes = 64 << 10

    /// All bytes of the file that `path` names, through links.
    /// - Parameter folder: what was opened must lie in it, whatever `path` named a moment ago; without links itself.
    static func read(_ path: String, limit: Int, within folder: String? = nil) throws(Failure) -> Data {
        // Without O_NONBLOCK opening a pipe waits for its writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw errno == ENXIO ? .special : .system(errno) }
        defer { close(descriptor) }
        if let folder, !lies(descriptor, in: folder) { throw .outside }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(errno) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw .folder
        default: throw .special
        }
        guard status.st_size <= limit else { throw .larger(than: limit) }
        var data = Data(capacity: Int(status.st_size))
        var piece = [UInt8](repeating: 0, count: pieceBytes)
        while true {
            let count = Glibc.read(descriptor, &piece, pieceBytes)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            if count == 0 { return data }
            // It may grow while it is read.
            guard data.count + count <= limit else { throw .larger(than: limit) }
            data.append(contentsOf: piece[..<count])
        }
    }

    /// By where the kernel says that it lies, since names can be changed at any time.
    private static func lies(_ descriptor: Int32, in folder: String) -> Bool {
        let path = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            let count = max(readlink("/proc/self/fd/\(descriptor)", buffer.baseAddress!, buffer.count), 0)
            return String(decoding: UnsafeRawBufferPointer(buffer)[..<count], as: UTF8.self)
        }
        return path.hasPrefix(folder == "/" ? "/" : folder + "/")
    }
}
