import Synchronization

/// What came, in order. Filled on one thread, read in a test's task.
final class Mailbox<Element: Sendable>: Sendable {
    /// Far longer than anything takes: what has not come by then does not come.
    private static var patience: Duration { .seconds(20) }

    struct NothingCame: Error {}

    private let elements = Mutex<[Element]>([])

    func put(_ element: Element) { elements.withLock { $0.append(element) } }

    /// The oldest, when there is one.
    func next() async throws -> Element {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            if let element = elements.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return element }
            guard ContinuousClock.now < deadline else { throw NothingCame() }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// What has come and was not read.
    var rest: [Element] { elements.withLock { $0 } }
}
