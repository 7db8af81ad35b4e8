import Testing

@testable import Supervisor

/// What the kernel's files say, and how they go together.
@Suite struct MachineMemoryTests {
    private static let meminfo = "MemTotal:       8388608 kB\nMemFree:        1000000 kB\nMemAvailable:   4194304 kB\n"

    private func memory(_ files: [String: String]) -> MachineMemory { MachineMemory { files[$0] ?? "" } }

    @Test func withoutGroupsTheMachineCounts() {
        let memory = memory(["/proc/meminfo": Self.meminfo])
        #expect(memory == MachineMemory(limitBytes: 8 << 30, availableBytes: 4 << 30, pressure: 0))
    }

    @Test func theSmallestLimitOnTheWayCountsInVersion2() {
        let memory = memory([
            "/proc/meminfo": Self.meminfo, "/proc/self/cgroup": "0::/system.slice/cloister.service\n",
            "/sys/fs/cgroup/system.slice/cloister.service/memory.max": "max\n",
            "/sys/fs/cgroup/system.slice/memory.max": "\(2 << 30)\n", "/sys/fs/cgroup/system.slice/memory.current": "\(1500 << 20)\n",
            "/sys/fs/cgroup/system.slice/memory.stat": "anon 5\ninactive_file \(500 << 20)\nactive_file 7\n",
            "/sys/fs/cgroup/system.slice/cloister.service/memory.pressure":
                "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.00",
            "/proc/pressure/memory": "some avg10=99.00 avg60=0.00 avg300=0.00 total=1\n",
        ])
        #expect(memory == MachineMemory(limitBytes: 2 << 30, availableBytes: 1048 << 20, pressure: 0.125))
    }

    /// Cells' groups lie beside the daemon's own.
    @Test func besideALeafOfTheDaemonsThePressureIsThatOfAll() {
        let memory = memory([
            "/proc/meminfo": Self.meminfo, "/proc/self/cgroup": "0::/cloister.service/daemon\n",
            "/sys/fs/cgroup/cloister.service/daemon/memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
            "/sys/fs/cgroup/cloister.service/memory.pressure": "some avg10=25.00 avg60=0.00 avg300=0.00 total=1\n",
        ])
        #expect(memory.pressure == 0.25)
    }

    /// The limit is the inner group's; what is left is what the outer one's other groups have not taken.
    @Test func theGroupWithTheLeastLeftCountsWhateverItsLimit() {
        let memory = memory([
            "/proc/meminfo": Self.meminfo, "/proc/self/cgroup": "0::/outer/inner\n",
            "/sys/fs/cgroup/outer/inner/memory.max": "\(2 << 30)\n", "/sys/fs/cgroup/outer/inner/memory.current": "\(100 << 20)\n",
            "/sys/fs/cgroup/outer/memory.max": "\(4 << 30)\n", "/sys/fs/cgroup/outer/memory.current": "\(4000 << 20)\n",
        ])
        #expect(memory == MachineMemory(limitBytes: 2 << 30, availableBytes: 96 << 20, pressure: 0))
    }

    @Test func version1IsReadToo() {
        let memory = memory([
            "/proc/meminfo": Self.meminfo, "/proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/box/inner\n0::/\n",
            "/sys/fs/cgroup/memory/box/inner/memory.limit_in_bytes": "9223372036854771712\n",
            "/sys/fs/cgroup/memory/box/inner/memory.usage_in_bytes": "1\n",
            "/sys/fs/cgroup/memory/box/memory.limit_in_bytes": "1073741824\n",
            "/sys/fs/cgroup/memory/box/memory.usage_in_bytes": "\(900 << 20)\n",
            "/sys/fs/cgroup/memory/box/memory.stat": "inactive_file 1\ntotal_inactive_file \(100 << 20)\n",
            "/proc/pressure/memory": "some avg10=3.00 avg60=0.00 avg300=0.00 total=1\n",
        ])
        #expect(memory == MachineMemory(limitBytes: 1 << 30, availableBytes: 224 << 20, pressure: 0.03))
    }

    @Test func aGroupThatIsOverItsLimitHasNothingLeft() {
        let memory = memory([
            "/proc/meminfo": Self.meminfo, "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "1000000\n",
            "/sys/fs/cgroup/a/memory.current": "2000000\n",
        ])
        #expect(memory.availableBytes == 0 && memory.limitBytes == 1_000_000)
    }

    @Test func textThatIsNotTheKernelsIsNoPressure() {
        for text in ["", "some", "some avg10=x", "full avg10=5.00 total=1"] { #expect(MachineMemory.pressure(in: text) == 0) }
    }

    @Test func thisMachineHasMemory() {
        let memory = MachineMemory.read()
        #expect(memory.limitBytes > 64 << 20 && memory.availableBytes > 0 && (0...1).contains(memory.pressure))
    }
}
