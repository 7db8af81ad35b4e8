// tables.h — figures as people and as programs read them.
#pragma once
#include <string>
#include <vector>

namespace bench {

/// A line; NAN stands for no figure.
struct Row {
  std::string name;
  std::vector<double> cells;
};
struct Table {
  std::string title;
  std::vector<std::string> columns;
  std::vector<Row> rows;
};

void Print(const Table &table);
/// Writes {"v8": …, "flags": …, "tables": […]}. Ends the process when the file cannot be written.
void Write(const std::string &path, const std::vector<Table> &tables);

}  // namespace bench
