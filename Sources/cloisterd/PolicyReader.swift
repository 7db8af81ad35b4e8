import PolicyFiles
import Supervisor
import Synchronization

/// Reads the folder of policies, again and again. Remembers which file told of which tenant, for files that later cannot be read at all: their
/// tenants keep what they have.
final class PolicyReader: Sendable {
    private let folder: String
    private let tenantOfFile = Mutex<[String: String]>([:])

    init(folder: String) { self.folder = folder }

    func callAsFunction() -> PolicyLoad {
        let contents = PolicyDirectory.load(folder, known: tenantOfFile.withLock { $0 })
        tenantOfFile.withLock { known in contents.tenants.forEach { known[$0.file] = $0.policy.tenant } }
        return PolicyLoad(contents)
    }
}
