import Glibc

/// The text of a small file, at most 1 MiB; empty when it cannot be read.
func readFile(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while text.count < 1 << 20 {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { break }
        text += buffer[..<count]
    }
    return String(decoding: text, as: UTF8.self)
}

/// Writes to a file that is there, in one call. Returns 0 or errno.
func writeFile(_ path: String, _ text: String) -> Int32 {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    return write(descriptor, text, text.utf8.count) == text.utf8.count ? 0 : errno
}

/// The names in a folder, without `.` and `..`.
func folderEntries(_ path: String) throws(SandboxFailure) -> [String] {
    guard let stream = opendir(path) else { throw SandboxFailure(stage: "look into \(path)", errorNumber: errno) }
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
