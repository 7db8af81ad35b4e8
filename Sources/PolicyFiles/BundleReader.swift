import Foundation
import Policy

/// Reads a tenant's bundle: the main module and every other module in its folder.
public enum BundleReader {
    /// All modules of a bundle together.
    public static let bytesLimit = 10 << 20
    /// Modules of a bundle, the main one among them.
    public static let modulesLimit = 1_000
    /// Folders within each other, the bundle's own among them.
    public static let depthLimit = 16
    /// Folders that are looked through; through links there can be far more of them than there are in the tree.
    public static let foldersLimit = 1_000
    /// Files, folders and links that are come across, modules or not, each time that a link leads to them again.
    public static let entriesLimit = 20_000

    /// Why a bundle cannot be read.
    public struct Failure: Error, CustomStringConvertible {
        /// What is wrong, with the file where one is to blame; stands in the policy's error.
        public var description: String
    }

    private static let kinds: [String: ModuleKind] = [
        "js": .javascript, "mjs": .javascript, "json": .json, "wasm": .wasm,
        "txt": .text, "html": .text, "css": .text, "svg": .text, "sql": .text, "md": .text, "xml": .text, "csv": .text,
        "bin": .bytes, "dat": .bytes, "png": .bytes, "jpg": .bytes, "jpeg": .bytes, "gif": .bytes, "webp": .bytes, "ico": .bytes,
        "woff2": .bytes, "gz": .bytes,
    ]

    /// nil: no part of a bundle.
    static func kind(of path: String) -> ModuleKind? { kinds[(path as NSString).pathExtension.lowercased()] }

    /// The modules, main first. Files with other extensions, hidden ones and what a link outside the folder names are not part of it.
    public static func read(main: String) throws(Failure) -> [BundleModule] {
        let mainURL = URL(fileURLWithPath: main).standardizedFileURL
        let folder = mainURL.deletingLastPathComponent().resolvingSymlinksInPath()
        var modules: [BundleModule] = []
        var total = 0
        // A link may not bring in what lies outside the tenant's own folder.
        func isInside(_ url: URL) -> Bool {
            guard let real = realpath(url.path, nil) else { return false }
            defer { free(real) }
            return String(cString: real).hasPrefix(folder.path + "/")
        }
        func add(_ url: URL, _ name: String, _ kind: ModuleKind) throws(Failure) {
            let data: Data
            do throws(FileContents.Failure) { data = try FileContents.read(url.path, limit: bytesLimit - total, within: folder.path) } catch
            {
                if case .larger = error { throw Failure(description: "the bundle is larger than \(bytesLimit >> 20) MiB") }
                throw Failure(description: "\(url.path): \(error)")
            }
            total += data.count
            guard modules.count < modulesLimit else { throw Failure(description: "the bundle has more than \(modulesLimit) modules") }
            if kind == .javascript || kind == .json || kind == .text, String(data: data, encoding: .utf8) == nil {
                throw Failure(description: "\(url.path) is not UTF-8")
            }
            modules.append(BundleModule(name: name, kind: kind, data: Array(data)))
        }
        // One that is not there is told as such when it is read.
        guard mainURL.resolvingSymlinksInPath().path.hasPrefix(folder.path + "/") else {
            throw Failure(description: "\(mainURL.path): a link that leaves the bundle's folder")
        }
        try add(mainURL, mainURL.lastPathComponent, .javascript)
        var folders = [(folder, "", 0)]
        var count = 0
        var entriesLeft = entriesLimit
        while let (current, prefix, depth) = folders.popLast() {
            guard depth < depthLimit else { throw Failure(description: "\(current.path): folders deeper than \(depthLimit)") }
            count += 1
            guard count <= foldersLimit else { throw Failure(description: "the bundle has more than \(foldersLimit) folders") }
            let entries: [FolderListing.Entry]
            do throws(FolderListing.Failure) { entries = try FolderListing.entries(of: current.path, limit: entriesLeft) } catch {
                if case .longer = error {
                    throw Failure(description: "the bundle's folder has more than \(entriesLimit) files, folders and links")
                }
                throw Failure(description: "\(current.path): the folder cannot be listed: \(error)")
            }
            entriesLeft -= entries.count
            for entry in entries where !entry.name.hasPrefix(".") && entry.name != "node_modules" {
                let (name, kind) = (entry.name, kind(of: entry.name))
                // What is neither a module nor a way to one costs no further look.
                if entry.isFile, kind == nil { continue }
                let url = current.appendingPathComponent(name)
                var status = stat()
                guard stat(url.path, &status) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFDIR {
                    if isInside(url) { folders.append((url, prefix + name + "/", depth + 1)) }
                } else if let kind, prefix + name != modules[0].name, isInside(url) {
                    try add(url, prefix + name, kind)
                }
            }
        }
        return modules
    }
}
