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

        var description: String {
            switch self {
            case .system(let code): String(cString: strerror(code))
            case .folder: "this is a folder"
            case .special: "this is a pipe, a socket or a device, not a file"
            case .larger(let limit): "the file has more than \(limit) bytes"
            }
        }
    }

    private static let pieceBytes = 64 << 10

    /// All bytes of the file that `path` names, through links.
    static func read(_ path: String, limit: Int) throws(Failure) -> Data {
        // Without O_NONBLOCK opening a pipe waits for its writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw errno == ENXIO ? .special : .system(errno) }
        defer { close(descriptor) }
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
}
