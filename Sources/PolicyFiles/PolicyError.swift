/// What is wrong in a file, and where; prints as `FILE:LINE:COLUMN: message`.
public struct PolicyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Path of the file, or of the folder where that cannot be read.
    public var file: String
    /// From 1.
    public var line: Int
    /// From 1.
    public var column: Int
    /// What is wrong; does not repeat the place.
    public var message: String

    /// Where no place is known, it is the file's beginning.
    public init(file: String, line: Int = 1, column: Int = 1, _ message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    /// A line, as it is printed and logged.
    public var description: String { "\(file):\(line):\(column): \(message)" }
}

/// All that is wrong with what was read.
public struct PolicyErrors: Error, Sendable, CustomStringConvertible {
    /// In the order in which they were found; never empty when it is thrown.
    public var errors: [PolicyError]
    /// To have all of them thrown at once.
    public init(_ errors: [PolicyError]) { self.errors = errors }
    /// A line for each.
    public var description: String { errors.map(\.description).joined(separator: "\n") }
}
