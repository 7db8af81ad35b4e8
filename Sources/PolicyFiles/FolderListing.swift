import Foundation

/// Lists folders that others fill: never more than a limit, and all that is there or nothing.
enum FolderListing {
    /// What a folder has under one name.
    struct Entry: Equatable {
        var name: String
        /// False also where the file system does not tell without another look.
        var isFile: Bool
    }

    /// Why a folder cannot be listed.
    enum Failure: Error, Equatable, CustomStringConvertible {
        /// What the kernel said.
        case system(Int32)
        case longer(than: Int)

        var description: String {
            switch self {
            case .system(let code): String(cString: strerror(code))
            case .longer(let limit): "the folder has more than \(limit) entries"
            }
        }
    }

    /// Everything in the folder, in the order of the names.
    static func entries(of path: String, limit: Int) throws(Failure) -> [Entry] {
        guard let stream = opendir(path) else { throw .system(errno) }
        defer { closedir(stream) }
        return try entries(of: stream, limit: limit)
    }

    /// - Parameter stream: just opened; stays the caller's.
    static func entries(of stream: OpaquePointer, limit: Int) throws(Failure) -> [Entry] {
        var entries: [Entry] = []
        while true {
            // Nothing else tells an error from the end.
            errno = 0
            guard let entry = readdir(stream) else {
                let code = errno
                guard code == 0 else { throw .system(code) }
                return entries.sorted { $0.name < $1.name }
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            guard entries.count < limit else { throw .longer(than: limit) }
            entries.append(Entry(name: name, isFile: entry.pointee.d_type == DT_REG))
        }
    }
}
