/// What follows from a size, such as a time: a straight line through points by least squares, level where it would fall or where all points have the same
/// x, and nowhere below 0. With a memory below 1 older points count less and less.
///
/// Pure.
public struct FittedLine: Sendable {
    private let memory: Double
    private var count = 0.0
    private var sums = (x: 0.0, y: 0.0, xx: 0.0, xy: 0.0)

    /// Without points.
    /// - Parameter memory: what each further point leaves of the weight of those before it, above 0, at most 1.
    public init(memory: Double = 1) { self.memory = memory }

    /// One more point.
    public mutating func add(x: Double, y: Double) {
        count = count * memory + 1
        sums = (sums.x * memory + x, sums.y * memory + y, sums.xx * memory + x * x, sums.xy * memory + x * y)
    }

    /// nil without points.
    public func at(_ x: Double) -> Double? {
        guard count > 0 else { return nil }
        let mean = (x: sums.x / count, y: sums.y / count)
        let variance = sums.xx / count - mean.x * mean.x
        // What rounding leaves of points with the same x is no slope.
        let slope = variance > mean.x * mean.x * 1e-9 ? max((sums.xy / count - mean.x * mean.y) / variance, 0) : 0
        return max(mean.y + slope * (x - mean.x), 0)
    }
}
