import CLinux
import Glibc

/// What a cell says of its own seal before its last stage: what cannot be seen from outside.
public struct SealReport {
    private var values: [Substring: Int] = [:]

    /// - Parameter text: lines of `name number` as `CellSeal.report` writes them, among others.
    public init(_ text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let value = Int(words[1]) { values[words[0]] = value }
        }
    }

    /// What the text proves; of what it does not have, the measure is missing.
    public var measures: [SealMeasure] {
        [
            equal("not dumpable", "PR_GET_DUMPABLE", "dumpable", 0),
            equal("no new privileges, from inside", "PR_GET_NO_NEW_PRIVS", "no_new_privs", 1),
            // Not root's rights by uid 0, no change of capabilities with ids, none kept, none ambient: all locked.
            equal("secure bits", "PR_GET_SECUREBITS", "securebits", 0xef),
            equal("bounding set, from inside", "capabilities in it", "bounding", 0),
            equal("ambient set, from inside", "capabilities in it", "ambient", 0),
            equal("held capabilities, from inside", "capget", "held_capabilities", 0),
            equal("ends with its parent", "PR_GET_PDEATHSIG", "parent_death", Int(SIGKILL)),
            speculation("speculative store bypass", "store_bypass"), speculation("indirect branch speculation", "indirect_branch"),
            equal("no /proc", "errno of opening /proc/self/status", "open_proc", Int(ENOENT)), landlockFiles,
        ]
    }

    private func equal(_ name: String, _ what: String, _ key: Substring, _ wanted: Int) -> SealMeasure {
        guard let value = values[key] else { return SealMeasure(name, "the cell does not say", .missing) }
        return SealMeasure(name, "the cell: \(what) \(value)", if: value == wanted)
    }

    /// The bits of PR_GET_SPECULATION_CTRL (linux/prctl.h).
    private func speculation(_ name: String, _ key: Substring) -> SealMeasure {
        let (perThread, disabled, forced) = (1, 4, 8)
        guard let value = values[key] else { return SealMeasure(name, "the cell does not say", .missing) }
        if value == 0 { return SealMeasure(name, "the cell: this processor is not affected", .proved) }
        if value > 0, value & (disabled | forced) != 0 {
            let scope = value & perThread != 0 ? "for this process, for good" : "for all processes"
            return SealMeasure(name, "the cell: off \(scope) (\(value))", if: value & perThread == 0 || value & forced != 0)
        }
        if value < 0 || value & perThread == 0 { return SealMeasure(name, "the cell: no control over it (\(value))", .notOffered) }
        return SealMeasure(name, "the cell: it could be off, and is on (\(value))", .missing)
    }

    /// Without it the root, though empty, could be listed at that moment.
    private var landlockFiles: SealMeasure {
        guard let version = values["landlock"], let error = values["list_root"] else {
            return SealMeasure("Landlock: files", "the cell does not say", .missing)
        }
        if version == 0 { return SealMeasure("Landlock: files", "it has no Landlock", .notOffered) }
        return SealMeasure("Landlock: files", "the cell: errno of listing its root \(error) (version \(version))", if: error == Int(EACCES))
    }
}

/// What Landlock denies on this machine when a process restricts itself as cells do.
public enum LandlockMeasures {
    /// - Parameter restricts: false: nothing may be denied, which tests look at.
    public static func all(restricts: Bool = true) -> [SealMeasure] {
        var measures: [SealMeasure] = []
        while let name = clinux_landlock_probe_name(measures.count) {
            let version = clinux_landlock_version()
            let (proof, result): (String, SealMeasure.Result) =
                switch clinux_landlock_probe(measures.count, restricts) {
                case CLINUX_LANDLOCK_DENIED: ("a process that restricts itself so is refused what it could do before", .proved)
                case CLINUX_LANDLOCK_NOT_OFFERED: ("its Landlock has version \(version)", .notOffered)
                case CLINUX_LANDLOCK_PERMITTED: ("a process that restricts itself so can still do it", .missing)
                default: ("it could not be tried", .missing)
                }
            measures.append(SealMeasure("Landlock alone: \(String(cString: name))", proof, result))
        }
        return measures
    }
}
