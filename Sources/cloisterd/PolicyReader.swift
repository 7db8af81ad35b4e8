import PolicyFiles
import Supervisor
import Synchronization

/// Reads the folder of policies, again and again. Remembers what each file has in force: no other file takes that, and one that later cannot be
/// read at all leaves its tenant what it has.
final class PolicyReader: Sendable {
    private let folder: String
    private let inForce = Mutex<[String: PolicyDirectory.Holding]>([:])

    init(folder: String) { self.folder = folder }

    func callAsFunction() -> PolicyLoad {
        inForce.withLock { known in
            let contents = PolicyDirectory.load(folder, inForce: known)
            known = contents.holdings
            return PolicyLoad(contents)
        }
    }
}
