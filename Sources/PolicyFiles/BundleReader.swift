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
        func isInside(_ url: URL) -> Bool { url.resolvingSymlinksInPath().path.hasPrefix(folder.path + "/") }
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
        guard isInside(mainURL) else { throw Failure(description: "\(mainURL.path): a link that leaves the bundle's folder") }
        try add(mainURL, mainURL.lastPathComponent, .javascript)
        var folders = [(folder, "", 0)]
        var count = 0
        while let (current, prefix, depth) = folders.popLast() {
            guard depth < depthLimit else { throw Failure(description: "\(current.path): folders deeper than \(depthLimit)") }
            count += 1
            guard count <= foldersLimit else { throw Failure(description: "the bundle has more than \(foldersLimit) folders") }
            let names: [String]
            do { names = try FileManager.default.contentsOfDirectory(atPath: current.path) } catch {
                throw Failure(description: "\(current.path): the folder cannot be listed: \(error.localizedDescription)")
            }
            for name in names.sorted() where !name.hasPrefix(".") && name != "node_modules" {
                let url = current.appendingPathComponent(name)
                guard isInside(url) else { continue }
                var isFolder: ObjCBool = false
                guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else { continue }
                if isFolder.boolValue {
                    folders.append((url, prefix + name + "/", depth + 1))
                } else if let kind = kind(of: name), prefix + name != modules[0].name {
                    try add(url, prefix + name, kind)
                }
            }
        }
        return modules
    }
}
