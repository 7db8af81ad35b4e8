import CCrypto
import Engine

/// Operations for `crypto.subtle`.
let cryptoOperations: [(name: String, function: Operation)] = [
    (
        "digest",
        {
            let call = OperationCall($0)
            guard let algorithm = DigestAlgorithm(rawValue: call.integer(0)), let input = call.bytes(1) else {
                return call.throwError(.typeError, "digest needs an algorithm and bytes")
            }
            guard let out = call.returnBytes(count: algorithm.byteCount) else { return }
            guard algorithm.digest(UnsafeRawBufferPointer(input), into: out) else {
                return call.throwError(.error, "the digest could not be computed")
            }
        }
    )
]

/// The digests that `crypto.subtle.digest` offers, by OpenSSL.
enum DigestAlgorithm: Int, CaseIterable {
    case sha1 = 0, sha256, sha384, sha512, md5

    var byteCount: Int {
        switch self {
        case .sha1: 20
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        case .md5: 16
        }
    }

    private var type: OpaquePointer? {
        switch self {
        case .sha1: EVP_sha1()
        case .sha256: EVP_sha256()
        case .sha384: EVP_sha384()
        case .sha512: EVP_sha512()
        case .md5: EVP_md5()
        }
    }

    /// - Returns: false when OpenSSL refuses.
    func digest(_ input: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer) -> Bool {
        var count: UInt32 = 0
        // OpenSSL wants an address even for nothing.
        var nothing: UInt8 = 0
        let status = withUnsafeBytes(of: &nothing) {
            EVP_Digest(
                input.baseAddress ?? $0.baseAddress!, input.count, out.bindMemory(to: UInt8.self).baseAddress, &count, type,
                nil)
        }
        return status == 1 && Int(count) == byteCount
    }

    func warmUp() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 16) {
            digest(UnsafeRawBufferPointer(start: nil, count: 0), into: $0)
        }
    }
}
