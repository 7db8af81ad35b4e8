import Glibc
import Logging

/// How log lines look.
public enum LogFormat: Sendable {
    /// One JSON object a line: `time`, `level`, `message`, `logger`, then the metadata (`tenant`, `request_id` …) as further members.
    case json
    /// For people: time, level, message, metadata as `name=value`.
    case terminal

    /// `terminal` when `descriptor` is one, else `json`.
    public static func automatic(for descriptor: Int32 = STDERR_FILENO) -> LogFormat {
        isatty(descriptor) == 1 ? .terminal : .json
    }
}

/// The back end of swift-log for the daemon: bounded lines to a `LogOutput`. Metadata members that would hide one of the line's own
/// (`time`, `level`, `message`, `logger`, `error`, `truncated`) get an underscore before their name.
public struct StructuredLogHandler: LogHandler {
    /// A message is cut after about this many bytes.
    public static let messageBytesLimit = 8 << 10
    /// A metadata value is cut after about this many bytes.
    public static let valueBytesLimit = 2 << 10
    /// Metadata beyond this length of the line is left out.
    public static let lineBytesLimit = 16 << 10

    /// Stands in every line, where neither the provider nor the line itself says otherwise.
    public var metadata: Logger.Metadata
    /// Asked on each line, by whoever logs; nil: nobody is asked.
    public var metadataProvider: Logger.MetadataProvider?
    /// The least that is logged.
    public var logLevel: Logger.Level
    private let label: String
    private let output: LogOutput
    private let format: LogFormat

    /// - Parameter metadata: stands in every line, as `["sandbox": "off"]` should where there is none.
    public init(
        label: String, output: LogOutput, format: LogFormat, level: Logger.Level = .info, metadata: Logger.Metadata = [:],
        metadataProvider: Logger.MetadataProvider? = nil
    ) {
        self.label = label
        self.output = output
        self.format = format
        self.logLevel = level
        self.metadata = metadata
        self.metadataProvider = metadataProvider
    }

    /// One member of `metadata`.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Queues one line, and never waits for whoever reads them.
    public func log(event: LogEvent) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        output.write(line(event, all.sorted { $0.key < $1.key }, time: time))
    }

    func line(_ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)], time: timespec) -> [UInt8] {
        switch format {
        case .json: jsonLine(event, metadata, time: time)
        case .terminal: terminalLine(event, metadata, time: time)
        }
    }

    private func jsonLine(_ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)], time: timespec) -> [UInt8] {
        var text = LogText()
        text.append("{\"time\":\"")
        text.append(time: time)
        text.append("\",\"level\":\"")
        text.append(ascii: event.level.rawValue)
        text.append("\",\"message\":\"")
        var isWhole = text.append(escaped: event.message.description, limit: Self.messageBytesLimit, inJSON: true)
        text.append("\",\"logger\":\"")
        isWhole = text.append(escaped: label, limit: 128, inJSON: true) && isWhole
        text.append("\"")
        if let error = event.error {
            text.append(",\"error\":\"")
            isWhole = text.append(escaped: "\(error)", limit: Self.valueBytesLimit, inJSON: true) && isWhole
            text.append("\"")
        }
        for (name, value) in metadata {
            guard text.bytes.count < Self.lineBytesLimit else {
                isWhole = false
                break
            }
            text.append(",\"")
            if Self.reservedNames.contains(name) { text.append("_") }
            text.append(escaped: name, limit: 128, inJSON: true)
            text.append("\":\"")
            isWhole = text.append(escaped: value.description, limit: Self.valueBytesLimit, inJSON: true) && isWhole
            text.append("\"")
        }
        if !isWhole { text.append(",\"truncated\":true") }
        text.append("}\n")
        return text.bytes
    }

    private func terminalLine(
        _ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)], time: timespec
    ) -> [UInt8] {
        var text = LogText()
        text.append(time: time)
        text.append(" ")
        text.append(ascii: event.level.rawValue.uppercased())
        text.append(" ")
        text.append(escaped: event.message.description, limit: Self.messageBytesLimit, inJSON: false)
        if let error = event.error {
            text.append(" error=")
            text.append(escaped: "\(error)", limit: Self.valueBytesLimit, inJSON: false)
        }
        for (name, value) in metadata where text.bytes.count < Self.lineBytesLimit {
            text.append(" ")
            text.append(escaped: name, limit: 128, inJSON: false)
            text.append("=")
            text.append(escaped: value.description, limit: Self.valueBytesLimit, inJSON: false)
        }
        text.append("\n")
        return text.bytes
    }

    private static let reservedNames: Set<String> = ["time", "level", "message", "logger", "error", "truncated"]
}
