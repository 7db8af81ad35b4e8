import HTTPTypes
import Hummingbird

/// Keeps browsers out: a page may send requests to loopback, but cannot set `cloister-admin` without being asked for permission first, nor
/// name the right host. Also turns every error into the API's JSON.
struct AdminGuard<Context: RequestContext>: RouterMiddleware {
    /// The field that each changing request must carry, with any value.
    static var field: HTTPField.Name { HTTPField.Name("cloister-admin")! }

    var checksHost: Bool

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        if checksHost, !AdminAddress.isLoopbackAuthority(request.head.authority ?? "") {
            return AdminAnswer.error(.forbidden, "host_refused", "Host must name loopback")
        }
        if request.method != .get, request.method != .head, request.headers[Self.field] == nil {
            return AdminAnswer.error(.forbidden, "header_missing", "a changing request needs the header cloister-admin: 1")
        }
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
}
