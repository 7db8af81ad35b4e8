#include "tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cv8.h"

namespace bench {

void Print(const Table &table) {
  printf("\n%s\n%-34s", table.title.c_str(), "");
  for (const std::string &column : table.columns) printf("%14s", column.c_str());
  printf("\n");
  for (const Row &row : table.rows) {
    printf("%-34s", row.name.c_str());
    for (double cell : row.cells) {
      if (std::isnan(cell)) {
        printf("%14s", "-");
      } else {
        printf("%14.*f", fabs(cell) < 10 ? 2 : fabs(cell) < 1000 ? 1 : 0, cell);
      }
    }
    printf("\n");
  }
  fflush(stdout);
}

namespace {

std::string Quote(const std::string &text) {
  std::string out = "\"";
  for (char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + "\"";
}

}  // namespace

void Write(const std::string &path, const std::vector<Table> &tables) {
  FILE *out = fopen(path.c_str(), "w");
  if (!out) {
    fprintf(stderr, "preemption-bench: %s cannot be written\n", path.c_str());
    exit(1);
  }
  fprintf(out, "{\"v8\": %s, \"flags\": %s, \"tables\": [", Quote(cv8_version()).c_str(), Quote(cv8_fixed_flags()).c_str());
  for (size_t t = 0; t < tables.size(); t++) {
    fprintf(out, "%s\n  {\"title\": %s, \"rows\": [", t ? "," : "", Quote(tables[t].title).c_str());
    for (size_t r = 0; r < tables[t].rows.size(); r++) {
      const Row &row = tables[t].rows[r];
      fprintf(out, "%s\n    {\"name\": %s", r ? "," : "", Quote(row.name).c_str());
      for (size_t c = 0; c < row.cells.size(); c++) {
        fprintf(out, std::isnan(row.cells[c]) ? ", %s: null" : ", %s: %.6g", Quote(tables[t].columns[c]).c_str(), row.cells[c]);
      }
      fprintf(out, "}");
    }
    fprintf(out, "\n  ]}");
  }
  fprintf(out, "\n]}\n");
  fclose(out);
}

}  // namespace bench
