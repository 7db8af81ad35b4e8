import Glibc
import HTTPTypes
import Hummingbird
import Policy
import Telemetry

/// Says who may ask what. Probes and metrics are open to whoever reaches the address; everything below `/v1/` is for those that show the token
/// and, on a socket file, for root and the daemon's own user. Also keeps out pages in browsers whose own name was resolved to loopback, and
/// turns every error into the API's JSON.
struct AdminGuard: RouterMiddleware {
    var checksHost: Bool
    var token: AdminToken
    /// Refused requests, by reason.
    var refusals: CounterFamily

    func handle(
        _ request: Request, context: AdminContext, next: (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        if checksHost, !AdminAddress.isLoopbackAuthority(request.head.authority ?? "") {
            refusals.with(["host_refused"]).increment()
            return AdminAnswer.error(.forbidden, "host_refused", "Host must name loopback")
        }
        if !Self.isOpen(request.uri.path), let refusal = await refusal(request, context) { return refusal }
        do {
            return try await next(request, context)
        } catch let error as HTTPError {
            let code = error.status == .notFound ? "not_found" : "bad_request"
            return AdminAnswer.error(error.status, code, error.body ?? "\(request.method.rawValue) \(request.uri.path) is not offered")
        } catch {
            context.logger.error("an admin request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            return AdminAnswer.error(.internalServerError, "internal", "the request failed; the daemon's log says why")
        }
    }

    /// What probes and collectors of metrics need; nothing else is.
    private static func isOpen(_ path: String) -> Bool { ["/healthz", "/readyz", "/metrics"].contains(path) }

    /// Root may do anything anyway, and so may the daemon's own user with it.
    static func isTrusted(_ user: uid_t) -> Bool { user == 0 || user == geteuid() }

    private func refusal(_ request: Request, _ context: AdminContext) async -> Response? {
        if let field = request.headers[.authorization] {
            if token.isShown(by: field) { return nil }
            refusals.with(["token_wrong"]).increment()
            return unauthorized("token_wrong", "this is not the token in \(token.path)")
        }
        if let user = await context.peerUser(), Self.isTrusted(user) { return nil }
        refusals.with(["token_missing"]).increment()
        return unauthorized("token_missing", "send 'Authorization: Bearer TOKEN' with the token in \(token.path)")
    }

    private func unauthorized(_ code: String, _ message: String) -> Response {
        var response = AdminAnswer.error(.unauthorized, code, message)
        response.headers[.wwwAuthenticate] = "Bearer"
        return response
    }
}
