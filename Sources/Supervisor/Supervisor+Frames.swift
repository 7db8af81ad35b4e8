import Logging
import NIOCore
import Wire

/// A cell that does not keep to the protocol.
struct ProtocolViolation: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// What cells say. Ids that belong to no request of the cell are ignored when the request may just have ended, since frames cross on the way;
/// everything else that does not fit throws, and the cell is ended.
extension Supervisor {
    func take(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard header.kind.isFromCell else { throw ProtocolViolation("a cell cannot send \(header.kind)") }
        cell.secondsOfSilence = 0
        if cell.state == .starting {
            switch header.kind {
            case .ready: return try takeReady(cell)
            case .poisoned: return takePoisoned(header, payload, from: cell)
            default: throw ProtocolViolation("\(header.kind) before it was ready")
            }
        }
        switch header.kind {
        case .response: try takeResponse(header, payload, from: cell)
        case .responseBody: try takeResponseBody(header, payload, from: cell)
        case .finished: try takeFinished(header, payload, from: cell)
        case .entered:
            guard let record = try request(header.id, of: cell) else { return }
            if record.isEntered { try noteStrayFrame(of: cell) }
            record.isEntered = true
        case .failure: try takeFailure(header, payload, from: cell)
        case .responseBroken:
            guard let record = try request(header.id, of: cell) else { return }
            record.isEntered = true
            if record.clientState == .open { throw ProtocolViolation("a body broke off before its head") }
            record.responseEnded = true
            guard record.clientState == .streaming else { return try noteStrayFrame(of: cell) }
            refuse(record, .exception, "the response's body broke off")
            // A stream has no deadline while it is listened to; what is left of it now has one again.
            limitWall(record, now: now)
        case .requestCredit: try takeRequestCredit(header, payload, from: cell)
        case .log: try takeLog(header, payload, from: cell)
        case .status: try takeStatus(header, payload, from: cell)
        case .isolateEnded:
            try noteStrayFrame(of: cell)
            guard let version = cell.versions[header.id] else {
                throw ProtocolViolation("an isolate of version \(header.id) ended, which it does not have")
            }
            // Nothing is sent to it again, and it may yet end.
            if cell.abandonedVersions.contains(header.id) { return }
            if version.isRetired {
                // An eviction or a limit may have come before the cell heard of it: its end without a reason follows.
                if header.extra == 0, version.openRequests == 0 { cell.versions[header.id] = nil }
            } else {
                tenants[version.policy.tenant]?.hasIsolate = false
                if header.extra == ErrorCode.cpuLimit.rawValue || header.extra == ErrorCode.memoryLimit.rawValue {
                    tenants[version.policy.tenant].map(noteBreach)
                }
                if version.openRequests == 0, version.home === cell, EvictionReason(rawValue: header.extra) == nil { leaveHome(version) }
            }
        case .started: try takeStarted(header, payload, from: cell)
        case .snapshotRefused: try takeSnapshotRefused(header, payload, from: cell)
        case .isolates: try takeIsolates(header, payload, from: cell)
        case .cold: try takeCold(header, from: cell)
        case .parked: try takeParked(header, payload, from: cell)
        case .poisoned: takePoisoned(header, payload, from: cell)
        case .abandoned: try takeAbandoned(header, payload, from: cell)
        default: throw ProtocolViolation("unexpected \(header.kind)")
        }
    }

    private func takeReady(_ cell: Cell) throws {
        if cell.process.isSandboxed {
            watchDeniedCalls(of: cell)
            do { try cell.process.verifySealed() } catch {
                logger.critical("a cell's seal is not in force", metadata: ["cell": "\(cell.name)", "reason": "\(error)"])
                return cell.end("its seal is not in force: \(error)")
            }
        }
        startFailures[cell.key] = nil
        logger.info("cell ready", metadata: ["cell": "\(cell.name)", "pid": "\(cell.process.pid)"])
        measureMemory(of: cell)
        cell.becomeReady()
        succeed(cell)
    }

    /// Cells can be watched or not on a machine: it is said once.
    private func watchDeniedCalls(of cell: Cell) {
        do { try cell.process.watchDeniedCalls() } catch {
            guard !hasSaidUnwatched else { return }
            hasSaidUnwatched = true
            logger.warning("denied calls end their cell, but cannot be named here", metadata: ["reason": "\(error)"])
        }
    }

    /// The request that a cell speaks of; nil when it has just ended. One that another cell holds is none of its business.
    private func request(_ id: UInt64, of cell: Cell) throws -> RequestRecord? {
        if let record = cell.request(id) { return record }
        guard openRequests[id] == nil else { throw ProtocolViolation("request \(RequestID.text(id)) is not in its hands") }
        try noteStrayFrame(of: cell)
        return nil
    }

    /// Frames a second that change nothing: they come too late for their request, as they do when it is given up, or say what was known. A cell that
    /// sends more only keeps the supervisor from its work.
    static let strayFramesPerSecondLimit = 100_000

    func noteStrayFrame(of cell: Cell) throws {
        let second = now / 1_000_000_000
        if cell.straySecond != second {
            cell.straySecond = second
            cell.strayFrames = 0
        }
        cell.strayFrames += 1
        guard cell.strayFrames <= Self.strayFramesPerSecondLimit else {
            throw ProtocolViolation("more than \(Self.strayFramesPerSecondLimit) frames a second that concern nothing")
        }
    }

    // MARK: Responses

    private func takeResponse(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard let record = try request(header.id, of: cell) else { return }
        record.isEntered = true
        guard record.clientState != .over else {
            if header.flags.contains(.end) { record.responseEnded = true }
            return try noteStrayFrame(of: cell)
        }
        guard record.clientState == .open else { throw ProtocolViolation("request \(header.id) was answered twice") }
        guard (200...599).contains(header.extra) else { throw ProtocolViolation("a response with the status \(header.extra)") }
        var payload = payload
        guard let length = payload.readInteger(endianness: .little, as: UInt32.self),
            let headers = payload.readSlice(length: Int(length))
        else { throw WireError.truncated }
        guard payload.readableBytes <= FrameHeader.bodyBytesLimit else {
            throw ProtocolViolation("\(payload.readableBytes) bytes beside a head")
        }
        let isEnd = header.flags.contains(.end)
        do { try ResponseHeaderCheck.check(headers) } catch let error as UncarriableResponse {
            record.responseEnded = isEnd
            return refuseResponse(record, error, isEnd: isEnd)
        }
        record.responseWindowBytes -= payload.readableBytes
        if isEnd { record.responseEnded = true }
        record.tenant.hasIsolate = true
        let now = now
        metrics.duration.observe(Double(now - record.startedNanoseconds) / 1e9)
        countAnswer(record.tenant)
        // Streams have as long as their client listens; what is left after a complete answer has the wall limit anew.
        if isEnd { limitWall(record, now: now) } else { record.deadlineNanoseconds = .max }
        record.answerHead(
            status: Int(header.extra), headers: headers, body: payload.readableBytes > 0 ? payload : nil, isComplete: isEnd)
    }

    /// What a tenant's code may well say, but HTTP cannot carry: its own mistake, not the cell's.
    private func refuseResponse(_ record: RequestRecord, _ error: UncarriableResponse, isEnd: Bool) {
        log(record, .invalidResponse, error.description)
        refuse(record, .invalidResponse, Self.clientMessage(.invalidResponse))
        if !isEnd { abandon(record, .clientGone) }
    }

    private func log(_ record: RequestRecord, _ code: ErrorCode, _ message: String) {
        var metadata = Self.metadata(record)
        metadata["code"] = "\(code.code)"
        metadata["reason"] = "\(message)"
        logger.error("request failed", metadata: metadata)
    }

    private func takeResponseBody(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard let record = try request(header.id, of: cell) else { return }
        guard !record.responseEnded else { throw ProtocolViolation("a body went on after its end") }
        record.responseWindowBytes -= payload.readableBytes
        guard record.responseWindowBytes >= 0 else { throw ProtocolViolation("a body exceeded its window") }
        let isEnd = header.flags.contains(.end)
        if isEnd {
            record.responseEnded = true
            limitWall(record, now: now)
        } else if payload.readableBytes == 0 {
            try noteStrayFrame(of: cell)
        }
        switch record.clientState {
        case .open: throw ProtocolViolation("a body came before its head")
        case .streaming: record.answerBody(Self.unpinned(payload), isEnd: isEnd)
        // The client is gone: the bytes are dropped, and the cell has what is left of its window until it has seen the abort.
        case .over: break
        }
    }

    /// A slice that is less than this share of the read it came with is copied: while a slow client leaves it waiting, it would keep all of that.
    private static let pinnedShare = 4

    private static func unpinned(_ bytes: ByteBuffer) -> ByteBuffer {
        guard bytes.readableBytes < bytes.storageCapacity / pinnedShare, bytes.readableBytes > 0 else { return bytes }
        var copy = ByteBufferAllocator().buffer(capacity: bytes.readableBytes)
        copy.writeImmutableBuffer(bytes)
        return copy
    }

    private func takeFinished(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard let microseconds = payload.getInteger(at: payload.readerIndex, endianness: .little, as: UInt64.self) else {
            throw WireError.truncated
        }
        guard let record = try request(header.id, of: cell) else { return }
        switch record.clientState {
        case .open: refuse(record, .exception, "the handler ended without an answer")
        case .streaming: refuse(record, .exception, "the response's body broke off")
        case .over: break
        }
        conclude(record, cpuNanoseconds: min(microseconds.multipliedSaturated(by: 1000), longestCPUNanoseconds(of: record)))
    }

    /// What a request can have used by now, with all of its cell's workers.
    private func longestCPUNanoseconds(of record: RequestRecord) -> UInt64 {
        (now - record.startedNanoseconds).multipliedSaturated(by: UInt64(clamping: configuration.workersPerCell))
    }

    private func takeFailure(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard let code = ErrorCode(rawValue: header.extra), Self.codesOfCells.contains(code) else {
            throw ProtocolViolation("a failure with the code \(header.extra)")
        }
        guard let record = try request(header.id, of: cell) else { return }
        record.isEntered = true
        record.responseEnded = true
        guard record.clientState != .over else { return try noteStrayFrame(of: cell) }
        let message = try payload.withUnsafeReadableBytes { bytes throws(WireError) in
            var reader = ByteReader(bytes)
            return try reader.string()
        }
        if code == .startupFailed { record.version.startError = String(decoding: message.utf8.prefix(4096), as: UTF8.self) }
        log(record, code, message)
        refuse(record, code, Self.clientMessage(code), retryAfterSeconds: code.mayRetry ? 1 : nil)
        limitWall(record, now: now)
    }

    private static let codesOfCells: Set<ErrorCode> = [
        .exception, .invalidResponse, .startupFailed, .cpuLimit, .memoryLimit, .overloaded,
    ]

    /// What a client may know; the owner finds the rest in the log.
    private static func clientMessage(_ code: ErrorCode) -> String {
        switch code {
        case .exception: "the handler threw an exception"
        case .invalidResponse: "the handler did not return a response that HTTP can carry"
        case .startupFailed: "the tenant's code did not start"
        case .cpuLimit: "the request took more CPU time than the tenant may use"
        case .memoryLimit: "the tenant took more memory than it may use"
        default: "the cell cannot take the request"
        }
    }

    private func takeRequestCredit(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard let bytes = payload.getInteger(at: payload.readerIndex, endianness: .little, as: UInt32.self) else {
            throw WireError.truncated
        }
        guard let record = try request(header.id, of: cell) else { return }
        record.isEntered = true
        if bytes == 0 || record.bodyIsComplete { try noteStrayFrame(of: cell) }
        guard !record.bodyIsComplete else { return }
        record.requestWindowBytes += Int(bytes)
        guard record.requestWindowBytes <= FrameHeader.windowBytes else {
            throw ProtocolViolation("more credit than bytes of the body were sent")
        }
        record.exchange?.requestBodyCredit(Int(bytes))
    }

    // MARK: Logs and status

    /// Log lines a second that a tenant may write; more are dropped and counted.
    static let logLinesPerSecondLimit = 200

    private func takeLog(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard let version = cell.versions[header.id] else {
            throw ProtocolViolation("a log line in the name of version \(header.id), which it does not have")
        }
        // Who has left a cell is not heard through it any more.
        guard let tenant = tenants[version.policy.tenant], lives(version, in: cell) || version.openRequests > 0 else {
            return noteDroppedLine(of: cell)
        }
        // Behind the level and the request. The text is looked at when it is known that the line is kept.
        guard let dropped = payload.getInteger(at: payload.readerIndex + 9, endianness: .little, as: UInt32.self) else {
            throw WireError.truncated
        }
        let second = now / 1_000_000_000
        if tenant.logSecond != second {
            tenant.logSecond = second
            tenant.logLines = 0
        }
        tenant.logLines += 1
        tenant.droppedLogLines = tenant.droppedLogLines.addingSaturated(UInt64(dropped))
        guard tenant.logLines <= Self.logLinesPerSecondLimit else {
            // A tenant can write that many in short turns: nothing that its cell is to blame for.
            tenant.droppedLogLines = tenant.droppedLogLines.addingSaturated(1)
            return noteDroppedLine(of: cell)
        }
        let frame = try payload.withUnsafeReadableBytes { bytes throws(WireError) in
            var reader = ByteReader(bytes)
            return try LogFrame(from: &reader)
        }
        var metadata: Logger.Metadata = ["tenant": "\(tenant.name)", "source": "tenant"]
        // Only a request of this tenant in this cell can be named.
        if let record = cell.request(frame.request), record.tenant === tenant {
            record.isEntered = true
            metadata["request_id"] = "\(RequestID.text(frame.request))"
        }
        if tenant.droppedLogLines > 0 {
            metadata["dropped_lines"] = "\(tenant.droppedLogLines)"
            tenant.droppedLogLines = 0
        }
        let level: Logger.Level =
            switch frame.level {
            case .debug, .log, .info: .info
            case .warn: .warning
            case .error: .error
            }
        logger.log(level: level, "\(frame.message)", metadata: metadata)
    }

    /// So many dropped lines within a second are a flood.
    static let droppedLinesLimit = 10_000

    /// A flood costs no cell: its tenants may have written it. Little of the cell is read at a time, so that others' work comes between.
    private func noteDroppedLine(of cell: Cell) {
        cell.droppedLines += 1
        if cell.droppedLines >= Self.droppedLinesLimit { cell.readSlowly(true) }
    }

    /// Whether a version is where it was: not retired, and in no other cell by now.
    private func lives(_ version: TenantVersionRecord, in cell: Cell) -> Bool {
        !version.isRetired && (version.home == nil || version.home === cell)
    }

    private func takeStatus(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard cell.unansweredPings > 0 else { throw ProtocolViolation("a status that nobody asked for") }
        cell.unansweredPings -= 1
        cell.status = try payload.withUnsafeReadableBytes { bytes throws(WireError) in
            var reader = ByteReader(bytes)
            return try CellStatus(from: &reader)
        }
        takeWeight(of: cell)
        metrics.isolates.with([cell.name]).set(Double(cell.status.isolates))
        metrics.preemptions.with([cell.name]).set(Double(cell.status.preemptions))
        metrics.migrations.with([cell.name]).set(Double(cell.status.migrations))
        metrics.handoffs.with([cell.name]).set(Double(cell.status.handoffs))
        metrics.handoffSeconds.with([cell.name]).set(Double(cell.status.handoffMicroseconds) / 1e6)
        metrics.longestHandoff.with([cell.name]).set(Double(cell.status.longestHandoffMicroseconds) / 1e6)
        takeMemoryStatus(of: cell)
        metrics.cellAccounted.with([cell.name]).set(Double(cell.status.pageBytes))
    }

    private func takeParked(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        try noteStrayFrame(of: cell)
        guard let wait = payload.getInteger(at: payload.readerIndex, endianness: .little, as: UInt64.self) else {
            throw WireError.truncated
        }
        guard let version = cell.versions[header.id] else {
            throw ProtocolViolation("version \(header.id) is parked, which it does not have")
        }
        guard !version.isRetired else { return }
        guard let tenant = tenants[version.policy.tenant], version.home === cell else { return }
        park(tenant, until: now + min(wait, version.policy.limits.longestDebtNanoseconds(pieces: 1)))
    }

    private func takePoisoned(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) {
        let why = String(decoding: payload.readableBytesView.prefix(4096), as: UTF8.self)
        let version = cell.versions[header.id]
        // Who has left a cell cannot be punished by it.
        if let version, lives(version, in: cell) || cell.requests.values.contains(where: { $0.version === version }) {
            cell.blamedTenant = version.policy.tenant
        } else {
            cell.namesWhoLeft = version != nil
        }
        logger.error(
            "a cell cannot go on",
            metadata: ["cell": "\(cell.name)", "reason": "\(why)", "tenant": "\(version?.policy.tenant ?? "")"])
        cell.end("poisoned: \(why)")
    }

    /// A turn hangs in the cell, or its isolate is out of memory in the midst of something, and the others go on: its tenant's requests get
    /// their answer here, its next ones a cell of their own, and the cell is replaced.
    private func takeAbandoned(_ header: FrameHeader, _ payload: ByteBuffer, from cell: Cell) throws {
        guard let version = cell.versions[header.id] else {
            throw ProtocolViolation("a turn of version \(header.id) was given up, which it does not have")
        }
        guard let code = ErrorCode(rawValue: header.extra), code == .cpuLimit || code == .memoryLimit else {
            throw ProtocolViolation("a turn was given up because of \(header.extra)")
        }
        // Once a version: that is the end of it there.
        guard cell.abandonedVersions.insert(header.id).inserted else { return try noteStrayFrame(of: cell) }
        let why = String(decoding: payload.readableBytesView.prefix(4096), as: UTF8.self)
        logger.error(
            "a turn was given up; its cell is replaced",
            metadata: ["cell": "\(cell.name)", "reason": "\(why)", "tenant": "\(version.policy.tenant)", "code": "\(code.code)"])
        cell.isDamaged = true
        let records = cell.requests.values.filter { $0.version === version }
        // A cell cannot have its tenants punished at will: who had nothing under way there has done nothing.
        // But for the first one that lives there, whose turn was perhaps the start that a call was expected for.
        let isFirst = cell.abandonedVersions.count == 1 && lives(version, in: cell)
        if let tenant = tenants[version.policy.tenant], isFirst || !records.isEmpty {
            noteLoss(of: tenant, isCertain: true)
        }
        if version.home === cell { leaveHome(version) }
        // First, since what waits for the places of these goes on elsewhere.
        replaceBehind(cell)
        for record in records {
            refuse(record, code, "a request did not end within the tenant's limits")
            conclude(record, cpuNanoseconds: 0)
        }
    }

    static func metadata(_ record: RequestRecord) -> Logger.Metadata {
        ["tenant": "\(record.tenant.name)", "request_id": "\(RequestID.text(record.id))"]
    }
}
