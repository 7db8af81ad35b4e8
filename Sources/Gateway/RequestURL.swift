import Wire

/// How the client reached the front.
enum URLScheme {
    case http, https

    var port: Int { self == .http ? 80 : 443 }
    var prefix: StaticString { self == .http ? "http://" : "https://" }
}

/// The URL that a tenant sees.
enum RequestURL {
    /// The URL of a target in origin-form, in absolute-form when it names the same host (RFC 9112 3.2), or of an empty one.
    static func make(_ target: UnsafeRawBufferPointer, _ host: HostName, _ scheme: URLScheme) throws(RequestRefusal) -> String {
        if target.isEmpty || target[0] == UInt8(ascii: "/") { return join(scheme, host.authority, target) }
        let schemeEnd = scheme.prefix.utf8CodeUnitCount
        guard target.count > schemeEnd, HTTPBytes.equal(UnsafeRawBufferPointer(rebasing: target[..<schemeEnd]), scheme.prefix) else {
            throw .bad("the request target is neither a path nor a \(scheme.prefix) URL")
        }
        let rest = target[schemeEnd...]
        let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        guard let named = HostName(UnsafeRawBufferPointer(rebasing: rest[..<end]), defaultPort: scheme.port), named == host else {
            throw .bad("the request target names another host than Host")
        }
        return join(scheme, host.authority, UnsafeRawBufferPointer(rebasing: rest[end...]))
    }

    /// `scheme://authority/path`: the first slash after the authority is ours or the target's first byte, so nothing in the target can move
    /// the host. Bytes from 0x80 on are percent-encoded, which keeps them.
    private static func join(_ scheme: URLScheme, _ authority: String, _ target: UnsafeRawBufferPointer) -> String {
        let hexDigits: StaticString = "0123456789ABCDEF"
        let needsSlash = target.first != UInt8(ascii: "/")
        let escaped = target.reduce(0) { $1 < 0x80 ? $0 : $0 + 1 }
        var authority = authority
        return authority.withUTF8 { authority in
            String(unsafeUninitializedCapacity: 9 + authority.count + target.count + 2 * escaped) { output in
                let prefix = UnsafeBufferPointer(start: scheme.prefix.utf8Start, count: scheme.prefix.utf8CodeUnitCount)
                var count = output.update(fromContentsOf: prefix)
                count = output[count...].update(fromContentsOf: authority)
                if needsSlash {
                    output[count] = UInt8(ascii: "/")
                    count += 1
                }
                if escaped == 0 { return UnsafeMutableRawBufferPointer(output)[count...].copy(from: target) }
                for byte in target {
                    if byte < 0x80 {
                        output[count] = byte
                        count += 1
                    } else {
                        output[count] = UInt8(ascii: "%")
                        output[count + 1] = hexDigits.utf8Start[Int(byte >> 4)]
                        output[count + 2] = hexDigits.utf8Start[Int(byte & 15)]
                        count += 3
                    }
                }
                return count
            }
        }
    }
}

extension Slice<UnsafeMutableRawBufferPointer> {
    /// Copies `source` to the front of the slice.
    /// - Returns: the index after the last byte.
    fileprivate func copy(from source: UnsafeRawBufferPointer) -> Int {
        UnsafeMutableRawBufferPointer(rebasing: self).copyMemory(from: source)
        return startIndex + source.count
    }
}
