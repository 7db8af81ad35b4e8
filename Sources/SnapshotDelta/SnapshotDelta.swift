import CZstd

/// Snapshots as differences from the base snapshot, which most of each is: zstd with the base as a prefix, what `zstd --patch-from` does.
public enum SnapshotDelta {
    /// zstd's own default.
    private static let level: Int32 = 3
    /// The window reaches over the base and the blob; zstd's limit for decoders that are not told otherwise is 27.
    private static let windowLog: Int32 = 27

    /// Why a delta could not be made or taken apart.
    public struct Failure: Error, CustomStringConvertible {
        /// zstd's reason, or what else is wrong.
        public var description: String
        /// For whatever is not zstd's to find, such as a blob that does not fit the base.
        public init(description: String) { self.description = description }
    }

    /// The difference of `blob` from `base`.
    public static func compress(_ blob: UnsafeRawBufferPointer, base: UnsafeRawBufferPointer) throws(Failure) -> [UInt8] {
        guard let context = ZSTD_createCCtx() else { throw Failure(description: "zstd has no memory") }
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, Self.windowLogFor(base.count + blob.count))
        ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, 1)
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        ZSTD_CCtx_refPrefix(context, base.baseAddress, base.count)
        var failure: Failure?
        let delta = [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(blob.count)) { out, count in
            let written = ZSTD_compress2(context, out.baseAddress, out.count, blob.baseAddress, blob.count)
            if ZSTD_isError(written) != 0 {
                failure = Failure(description: String(cString: ZSTD_getErrorName(written)))
            } else {
                count = written
            }
        }
        if let failure { throw failure }
        return delta
    }

    /// The blob whose difference from `base` this is, into `out`, which has exactly its size.
    public static func decompress(
        _ delta: UnsafeRawBufferPointer, base: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) throws(Failure) {
        guard let context = ZSTD_createDCtx() else { throw Failure(description: "zstd has no memory") }
        defer { ZSTD_freeDCtx(context) }
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, windowLog)
        ZSTD_DCtx_refPrefix(context, base.baseAddress, base.count)
        let written = ZSTD_decompressDCtx(context, out.baseAddress, out.count, delta.baseAddress, delta.count)
        guard ZSTD_isError(written) == 0 else { throw Failure(description: String(cString: ZSTD_getErrorName(written))) }
        guard written == out.count else { throw Failure(description: "the delta yields \(written) bytes instead of \(out.count)") }
    }

    private static func windowLogFor(_ count: Int) -> Int32 {
        min(max(Int32(Int.bitWidth - max(count, 1).leadingZeroBitCount), 10), windowLog)
    }
}
