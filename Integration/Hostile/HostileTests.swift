import Foundation
import IntegrationHarness
import Testing

/// Every hostile case against the real daemon, sandbox on.
@Suite(.serialized) struct HostileTests {
    @Test func everyCaseStandsInTheTableOnce() throws {
        let numbers = HostileCase.all.map(\.number)
        #expect(Set(numbers).count == numbers.count, "some number is there twice: \(numbers.sorted())")
        #expect(numbers.allSatisfy { (1...100).contains($0) } && numbers == numbers.sorted())
        let files = try HostileCase.workerFiles().map(\.number)
        #expect(Set(files).count == files.count, "some case has two workers: \(files.sorted())")
        #expect(Set(files).isSubset(of: numbers), "workers of no case: \(Set(files).subtracting(numbers))")
    }

    @Test(HostileReport.noting, arguments: HostileCase.chosen)
    func theOffenderGetsWhatIsDefinedAndItsNeighbourGoesOn(_ hostile: HostileCase) throws {
        HostileReport.shared.begin(hostile)
        switch hostile.daemon {
        case .shared:
            HostileReport.shared.end(hostile, try HostileReport.shared.session().play(hostile))
        case .broken:
            HostileReport.shared.end(hostile, try HostileReport.shared.brokenSession().play(hostile))
        case .own(let configuration):
            let session = try HostileSession(configuration: configuration)
            defer { session.end() }
            let mark = try session.play(hostile)
            try session.checkNothingIsLeft()
            HostileReport.shared.end(hostile, mark)
        }
    }

    /// The last of the suite: they run in the order of the source.
    @Test func nothingIsLeftBehind() throws {
        try HostileReport.shared.checkNothingIsLeft()
        print(HostileReport.shared.summary)
    }
}
