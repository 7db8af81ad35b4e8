// What the sandbox's tests start: as a cell without V8, which seals itself in all stages or leaves some out, or as a supervisor of such cells.
//
//     SANDBOX_FIXTURE=MODE sandbox-fixture      a cell, see CellModes.swift
//     sandbox-fixture attempts                  starts a cell for each attempt; a line each: "NAME STATUS", STATUS as CellProcess.reap has it
//     sandbox-fixture verify                    starts a sealed cell and prints "sealed" or what is not
//     sandbox-fixture orphan                    starts a sealed cell, prints its process id, and stands still
import Glibc
import Sandbox

func complain(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

/// On standard output, at once.
func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDOUT_FILENO, line, line.count)
}

// A cell has no /proc, from which Swift would take the arguments: the environment says what it is to do.
if let mode = getenv("SANDBOX_FIXTURE") { runCell(mode: String(cString: mode)) }
do { try supervise(CommandLine.arguments.dropFirst().first ?? "") } catch {
    complain("\(error)")
    exit(1)
}
