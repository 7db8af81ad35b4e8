/// Of Cloister as a whole.
public enum Version {
    /// What the commands say to `--version`.
    public static let text = "0.1.0"
}
