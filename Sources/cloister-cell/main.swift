import CellRuntime

CellMain.run(arguments: Array(CommandLine.arguments.dropFirst()))
