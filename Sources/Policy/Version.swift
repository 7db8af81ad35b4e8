/// Of Cloister as a whole.
public enum Version {
    public static let text = "0.1.0"
}
