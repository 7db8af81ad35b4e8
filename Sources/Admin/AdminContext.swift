import Glibc
import Hummingbird
import NIOCore

/// What is known of an admin request besides the request: who is at the other end.
struct AdminContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// The user at the other end of a socket file, as the kernel knows it since the connection was made; nil for anything else.
    func peerUser() async -> uid_t? {
        /// `struct ucred` of socket(7).
        struct Credentials: Sendable {
            var process: Int32 = 0
            var user: UInt32 = 0
            var group: UInt32 = 0
        }
        guard case .unixDomainSocket? = channel.localAddress, let socket = channel as? any SocketOptionProvider,
            let credentials: Credentials = try? await socket.unsafeGetSocketOption(
                level: .init(SOL_SOCKET), name: .init(SO_PEERCRED)
            ).get()
        else { return nil }
        return credentials.user
    }
}
