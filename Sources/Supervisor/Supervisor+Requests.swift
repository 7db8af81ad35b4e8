import NIOCore
import Policy
import Scheduling
import Wire

extension Supervisor: RequestDispatcher {
    /// Refuses, queues or starts a request. A refusal is told on the loop's next turn, when the caller has what this returns.
    public func dispatch(_ request: IncomingRequest, to exchange: any ResponseExchange) -> any DispatchedRequest {
        let now = now
        guard let tenant = tenant(forHost: request.host) else {
            return refused(request, exchange, .tenantUnknown, "no tenant has the host \(request.host)")
        }
        guard let version = tenant.version else {
            return refused(request, exchange, .startupFailed, "the tenant's policy or bundle does not load", tenant: tenant)
        }
        if isDraining { return refused(request, exchange, .draining, "the server is shutting down", retryAfter: 5, tenant: tenant) }
        if let seconds = suspension(of: tenant) {
            return refused(request, exchange, .suspended, Self.suspended, retryAfter: seconds, tenant: tenant)
        }
        let limits = version.policy.limits
        if let length = request.contentLength, length > limits.requestBodyMegabytes << 20 {
            return refused(request, exchange, .bodyTooLarge, Self.bodyTooLarge(limits), tenant: tenant)
        }
        // Before the tenant's place is looked at, since it is in its cell.
        _ = home(of: version)
        let verdict = admission.offer(request.id, of: tenant.place)
        if case .refuse(let reason) = verdict { return refused(request, exchange, reason, tenant) }
        let record = RequestRecord(request, exchange: exchange, supervisor: self, tenant: tenant, version: version, now: now)
        version.openRequests += 1
        openRequests[record.id] = record
        limitWall(record, now: now)
        switch verdict {
        case .start: run(record, in: admission.cell(of: tenant.place))
        case .wait(let shed?):
            if let shed = openRequests[shed] { finish(shed, refusing: .overloaded, Self.machineFull, retryAfterSeconds: 1) }
        case .wait, .refuse: break
        }
        return record
    }

    private static let machineFull = "too many requests wait on this machine"

    private func refused(_ request: IncomingRequest, _ exchange: any ResponseExchange, _ reason: Admission.Refusal, _ tenant: TenantRecord)
        -> any DispatchedRequest
    {
        switch reason {
        case .tenantBusy:
            let limits = tenant.limits
            return refused(
                request, exchange, .tenantBusy, "the tenant handles \(limits.concurrency) requests and \(limits.queue) wait", retryAfter: 1,
                tenant: tenant)
        case .quotaExceeded:
            let now = now
            let wait = tenant.parkedUntilNanoseconds > now ? tenant.parkedUntilNanoseconds - now : 0
            return refused(
                request, exchange, .quotaExceeded, "the tenant has used up its CPU time and its queue is full",
                retryAfter: Int(wait / 1_000_000_000) + 1, tenant: tenant)
        case .overloaded: return refused(request, exchange, .overloaded, Self.machineFull, retryAfter: 1, tenant: tenant)
        }
    }

    private static func bodyTooLarge(_ limits: TenantLimits) -> String {
        "the request's body is larger than \(limits.requestBodyMegabytes) MiB"
    }

    /// Answers on the next turn of the loop, when the gateway knows what it has dispatched.
    private func refused(
        _ request: IncomingRequest, _ exchange: any ResponseExchange, _ code: ErrorCode, _ message: String,
        retryAfter: Int? = nil, tenant: TenantRecord? = nil
    ) -> any DispatchedRequest {
        if let tenant { count(code.code, tenant) } else { metrics.requests.with(["", code.code]).increment() }
        let refusal = Refusal(exchange: exchange)
        eventLoop.execute { refusal.answer(code, message, retryAfter) }
        return refusal
    }

    func count(_ outcome: String, _ tenant: TenantRecord) {
        tenant.outcomes[outcome, default: 0] += 1
        if isKnown(tenant) { metrics.requests.with([tenant.name, outcome]).increment() }
    }

    func countAnswer(_ tenant: TenantRecord) {
        tenant.answers += 1
        tenant.answersMetric.increment()
    }

    func tenant(forHost host: String) -> TenantRecord? {
        if let tenant = hosts[host] { return tenant }
        guard let dot = host.firstIndex(of: ".") else { return nil }
        let parent = String(host[host.index(after: dot)...])
        if let tenant = wildcardHosts[parent] { return tenant }
        return parent == "localhost" ? tenants[String(host[..<dot])] : nil
    }

    // MARK: Places

    /// Starts what waits and has a place by now.
    func startWaiting() {
        // What it starts or gives up may free places again, which it sees itself.
        guard admission.waiting > 0, !isStartingWaiting else { return }
        isStartingWaiting = true
        defer { isStartingWaiting = false }
        while let (id, cell) = admission.next() {
            guard let record = openRequests[id] else { preconditionFailure("what waits is open") }
            run(record, in: cell)
        }
    }

    private func run(_ record: RequestRecord, in place: Admission.CellSlot) {
        record.isRunning = true
        record.place = place
        self.place(record)
    }

    /// Hands a request to the cell its tenant belongs to.
    func place(_ record: RequestRecord) {
        // It may have waited since before.
        if let seconds = suspension(of: record.tenant) {
            return finish(record, refusing: .suspended, Self.suspended, retryAfterSeconds: seconds)
        }
        follow(record)
        guard let cell = home(of: record.version) else {
            let reason = startFailures[record.version.key]?.reason ?? ""
            finish(record, refusing: .overloaded, "no cell can be started: \(reason)", retryAfterSeconds: 5)
            return
        }
        switch cell.state {
        case .ready: send(record, to: cell)
        case .starting where cell.waiting.count < Cell.waitingLimit:
            record.cell = cell
            cell.waiting.append(record)
        default: finish(record, refusing: .overloaded, "too many requests wait for a cell to start", retryAfterSeconds: 1)
        }
    }

    func send(_ record: RequestRecord, to cell: Cell) {
        guard let request = record.request else { return }
        let version = record.version
        version.usedNanoseconds = now
        if version.cells[ObjectIdentifier(cell)] == nil {
            // A burst of bundles is no reason to take a cell for one that does not read.
            guard cell.hasRoomForBundle else {
                return finish(record, refusing: .overloaded, "too much waits to be read by the cell", retryAfterSeconds: 1)
            }
            guard let code = version.code else { return readCode(for: record) }
            guard makeRoomForVersion(in: cell) else {
                return finish(record, refusing: .overloaded, "the cell has no room for the tenant", retryAfterSeconds: 1)
            }
            version.cells[ObjectIdentifier(cell)] = cell
            cell.versions[version.id] = version
            cell.hadVersions = true
            cell.send(.tenant, id: version.id) { version.loaded.bundle(code.modules).encode(into: &$0) }
            sendSnapshot(code, of: version, to: cell)
        }
        record.cell = cell
        cell.add(record)
        let hasBody = request.body != nil
        let first = request.body.map { $0.getSlice(at: $0.readerIndex, length: min($0.readableBytes, FrameHeader.bodyBytesLimit))! }
        let isWhole = request.bodyIsComplete && (request.body?.readableBytes ?? 0) == (first?.readableBytes ?? 0)
        var flags: FrameFlags = hasBody ? .hasBody : []
        if isWhole { flags.insert(.end) }
        cell.send(.request, flags: flags, id: record.id) { out in
            RequestFrame.encodeFixed(
                into: &out, version: version.id, methodLength: request.method.utf8.count,
                urlLength: request.url.utf8.count, headersLength: request.headers.readableBytes)
            out.writeString(request.method)
            out.writeString(request.url)
            out.writeImmutableBuffer(request.headers)
            if let first { out.writeImmutableBuffer(first) }
        }
        record.requestWindowBytes -= first?.readableBytes ?? 0
        guard !isWhole else { return }
        var rest = request.body ?? ByteBuffer()
        rest.moveReaderIndex(forwardBy: first?.readableBytes ?? 0)
        if rest.readableBytes > 0 { sendBody(rest, of: record, to: cell) }
        if let waiting = record.waitingBody {
            record.bodyWasStreamed = true
            record.waitingBody = nil
            sendBody(waiting, of: record, to: cell)
        }
        if record.bodyIsComplete { cell.send(.requestBody, flags: .end, id: record.id) }
    }

    private func sendBody(_ bytes: ByteBuffer, of record: RequestRecord, to cell: Cell) {
        var bytes = bytes
        while bytes.readableBytes > 0 {
            let piece = bytes.readSlice(length: min(bytes.readableBytes, FrameHeader.bodyBytesLimit))!
            record.requestWindowBytes -= piece.readableBytes
            cell.send(.requestBody, id: record.id) { $0.writeImmutableBuffer(piece) }
        }
    }

    // MARK: From the gateway

    func takeBody(_ bytes: ByteBuffer, of record: RequestRecord) {
        guard record.clientState != .over else { return }
        record.bodyBytes += bytes.readableBytes
        guard record.bodyBytes <= record.version.policy.limits.requestBodyMegabytes << 20 else {
            refuse(record, .bodyTooLarge, Self.bodyTooLarge(record.version.policy.limits))
            abandon(record, .clientGone)
            return
        }
        if let cell = record.cell, cell.state != .starting {
            record.bodyWasStreamed = true
            sendBody(bytes, of: record, to: cell)
        } else {
            // Copied: a piece keeps all of the read that it came with.
            if record.waitingBody == nil { record.waitingBody = ByteBufferAllocator().buffer(capacity: bytes.readableBytes) }
            record.waitingBody?.writeImmutableBuffer(bytes)
        }
    }

    func takeBodyEnd(of record: RequestRecord) {
        record.bodyIsComplete = true
        guard let cell = record.cell, cell.state != .starting else { return }
        cell.send(.requestBody, flags: .end, id: record.id)
    }

    func grantResponse(_ bytes: Int, to record: RequestRecord) {
        guard bytes > 0, !record.responseEnded, let cell = record.cell, cell.state != .starting else { return }
        record.responseWindowBytes += bytes
        cell.send(.responseCredit, id: record.id) { $0.writeInteger(UInt32(clamping: bytes), endianness: .little) }
    }

    /// Nobody waits for the answer any more: the cell is told; the place is free when it says so.
    func abandon(_ record: RequestRecord, _ reason: AbortReason) {
        guard record.isRunning else {
            if admission.cancel(record.id, of: record.tenant.place) { conclude(record, cpuNanoseconds: 0) }
            return
        }
        if let cell = record.cell, cell.state == .ready {
            // A stream has no deadline while it is listened to; what is left of it now has one again.
            if reason == .clientGone { limitWall(record, now: now) }
            cell.send(.abort, extra: reason.rawValue, id: record.id)
        } else {
            conclude(record, cpuNanoseconds: 0)
        }
    }

    /// Requests have the wall limit from now on.
    func limitWall(_ record: RequestRecord, now: UInt64) {
        guard !record.isOverWall else { return }
        record.deadlineNanoseconds = now + UInt64(record.version.policy.limits.wallMilliseconds) * 1_000_000
    }

    /// Looking at each open request, of which there is a limited number, costs less than keeping their deadlines in order.
    func endOverdue(now: UInt64) {
        for record in openRequests.values.filter({ $0.deadlineNanoseconds <= now }) {
            if record.isOverWall { giveUp(record) } else { wallLimitReached(record, now: now) }
        }
    }

    /// A cell has this long to end a request that is over its wall limit, besides what its tenant's turns may take. One that finds a turn or a thread
    /// stuck says so, or asks to be replaced, within ten seconds.
    static let endOverdueNanoseconds: UInt64 = 15_000_000_000

    private func wallLimitReached(_ record: RequestRecord, now: UInt64) {
        record.isOverWall = true
        // Its abort is a turn like any other: whatever the tenant has begun comes before it.
        record.deadlineNanoseconds =
            now + Self.endOverdueNanoseconds
            + record.version.policy.limits.longestDebtNanoseconds(pieces: UInt64(clamping: admission.running(of: record.tenant.place)))
        let limit = record.version.policy.limits.wallMilliseconds
        let wasOpen = refuse(record, .wallLimit, "no response within \(limit) ms")
        abandon(record, .wallLimit)
        if !wasOpen, record.isRunning { logger.debug("waitUntil ended by the wall limit", metadata: Self.metadata(record)) }
    }

    /// A cell does not end what has been over for long. Nobody waits for it any more, its place is another's, and the cell is replaced.
    private func giveUp(_ record: RequestRecord) {
        let cell = record.cell
        conclude(record, cpuNanoseconds: 0)
        guard let cell, cell.endReason == nil else { return }
        if !cell.isDamaged {
            var metadata = Self.metadata(record)
            metadata["cell"] = "\(cell.name)"
            logger.error("a cell does not end a request that is over its wall limit; it is replaced", metadata: metadata)
        }
        cell.isDamaged = true
        replaceBehind(cell)
    }

    // MARK: Ends

    /// Refuses, or breaks the answer off, and counts it.
    /// - Returns: whether the client still waited for a head.
    @discardableResult
    func refuse(_ record: RequestRecord, _ code: ErrorCode, _ message: String, retryAfterSeconds: Int? = nil) -> Bool {
        switch record.refuse(code, message, retryAfterSeconds: retryAfterSeconds) {
        case .open:
            count(code.code, record.tenant)
            return true
        case .streaming:
            if isKnown(record.tenant) { metrics.responsesBroken.with([record.tenant.name, code.code]).increment() }
        case .over: break
        }
        return false
    }

    /// A tenant that was removed has no series any more, whatever of its requests still ends.
    func isKnown(_ tenant: TenantRecord) -> Bool { tenants[tenant.name] === tenant }

    func finish(_ record: RequestRecord, refusing code: ErrorCode, _ message: String, retryAfterSeconds: Int? = nil) {
        // Not while the gateway is still dispatching it.
        eventLoop.execute { [self] in
            refuse(record, code, message, retryAfterSeconds: retryAfterSeconds)
            conclude(record, cpuNanoseconds: 0)
        }
    }

    /// All work of a request is over: its place is free.
    func conclude(_ record: RequestRecord, cpuNanoseconds: UInt64) {
        guard openRequests.removeValue(forKey: record.id) != nil else { return }
        let cell = record.cell
        cell?.forget(record)
        record.cell = nil
        record.request = nil
        let tenant = record.tenant
        if cpuNanoseconds > 0 {
            tenant.cpuNanoseconds = tenant.cpuNanoseconds.addingSaturated(cpuNanoseconds)
            tenant.cpuMetric.add(Double(cpuNanoseconds) / 1e9)
            // A long request tells at its end what it has used in all the windows before.
            let (window, lasted) = (configuration.quarantine.windowNanoseconds, max(now - record.startedNanoseconds, 1))
            let part = lasted > window ? UInt64(Double(cpuNanoseconds) * Double(window) / Double(lasted)) : cpuNanoseconds
            tenant.windowCPUNanoseconds = tenant.windowCPUNanoseconds.addingSaturated(part)
        }
        if record.isRunning {
            record.isRunning = false
            admission.ended(tenant.place, in: record.place)
        } else {
            _ = admission.cancel(record.id, of: tenant.place)
        }
        let version = record.version
        version.openRequests -= 1
        if version.isRetired, version.openRequests == 0 { retire(version) }
        if let cell { endLeaverIfDone(cell) }
        startWaiting()
        if isDraining { finishDrainingIfDone() }
    }
}

/// A request that was refused before it became one.
private final class Refusal: DispatchedRequest, @unchecked Sendable {
    private var exchange: (any ResponseExchange)?
    init(exchange: any ResponseExchange) { self.exchange = exchange }

    func answer(_ code: ErrorCode, _ message: String, _ retryAfter: Int?) {
        let exchange = exchange
        self.exchange = nil
        exchange?.failed(code, message: message, retryAfterSeconds: retryAfter)
    }

    func requestBody(_ bytes: ByteBuffer) {}
    func requestBodyEnded() {}
    func clientGone() { exchange = nil }
    func responseBodyTaken(_ bytes: Int) {}
}
