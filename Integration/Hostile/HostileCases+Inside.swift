import Foundation
import IntegrationHarness
import Testing

extension HostileCase {
    static let inside: [HostileCase] = []
}
