import Bundles
import PolicyFiles
import Supervisor
import Synchronization

/// Reads the folder of policies, again and again. Remembers what each file has in force: no other file takes that, and one that later cannot be
/// read at all leaves its tenant what it has.
final class PolicyReader: Sendable {
    private let folder: String
    private let bundles: BundleStore
    private let inForce = Mutex<[String: PolicyDirectory.Holding]>([:])

    init(folder: String, keeping bundles: BundleStore) {
        self.folder = folder
        self.bundles = bundles
    }

    func callAsFunction() -> PolicyLoad {
        inForce.withLock { known in
            let contents = PolicyDirectory.load(folder, keeping: bundles, inForce: known)
            known = contents.holdings
            return PolicyLoad(contents)
        }
    }
}
