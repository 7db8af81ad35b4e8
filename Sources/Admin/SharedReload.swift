import Supervisor

/// Reloads, one at a time, for all who ask for one: while one runs, everybody who comes waits for the same next one, which has not
/// begun to read when they come. Any thread.
public actor SharedReload {
    private let reload: @Sendable () async -> ReloadReport
    /// The one that runs, or the next one.
    private var last: Task<ReloadReport, Never>?
    private var isLastWaiting = false

    /// - Parameter reload: reads again what can be read again.
    public init(_ reload: @escaping @Sendable () async -> ReloadReport) { self.reload = reload }

    /// Has everything read that is there by now.
    /// - Returns: what came of it, when it is in force.
    public func callAsFunction() async -> ReloadReport { await next().value }

    /// The same, for who does not wait for it.
    public func request() { _ = next() }

    private func next() -> Task<ReloadReport, Never> {
        if let last, isLastWaiting { return last }
        isLastWaiting = true
        let task: Task<ReloadReport, Never> = Task { [last, reload] in
            _ = await last?.value
            isLastWaiting = false
            return await reload()
        }
        last = task
        return task
    }
}
