import Foundation
import Scheduling

/// How large tenants' bundles are, and what fills them: functions that nobody calls, as most of what is bundled is never run.
enum BundleSizes {
    /// Lognormal, median 20 KB, a hundredth above 2 MB, at most 10 MB: what is said of functions in clouds.
    static let medianBytes = 20_000.0
    static let sigma = 1.98
    static let mostBytes = 10_000_000

    static func draw(_ random: inout SplitMix64) -> Int {
        min(Int(medianBytes * exp(sigma * ServiceTimes.normal(&random))), mostBytes)
    }

    /// Functions of the same length, each with another name.
    private static let filler: [UInt8] = {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(mostBytes + functionBytes)
        for number in 0..<mostBytes / functionBytes { bytes += Array(function(number).utf8) }
        return bytes
    }()
    private static let functionBytes = function(0).utf8.count

    private static func function(_ number: Int) -> String {
        """
        function unused\(String(format: "%06d", number))(request, routes) {
          const parts = new URL(request.url).pathname.split('/');
          const found = routes.get(parts[2]);
          if (!found) return new Response('there is no such page', { status: 404 });
          return new Response(found.render({ id: parts[3], title: 'page' }), { headers: { 'content-type': 'text/html' } });
        }

        """
    }

    /// `source`, and as many functions as the size has room for.
    static func fill(_ source: String, to bytes: Int) -> Data {
        var data = Data((source + "\n").utf8)
        data.append(contentsOf: filler.prefix(max(bytes - data.count, 0) / functionBytes * functionBytes))
        return data
    }
}
