// A cell of the tests: a real one, with two things that no real one has (see Tests/CTestCell). Tenants can run native code in it, as if they had
// broken out of V8; and measures of its seal can be left out. It is no product, and no release has it.
import CTestCell
import CellRuntime

ctestcell_link()
CellMain.run(arguments: Array(CommandLine.arguments.dropFirst()))
