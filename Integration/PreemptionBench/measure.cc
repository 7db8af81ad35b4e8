#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

namespace bench {

Series InProcess(const std::function<Series()> &body) {
  fflush(stdout);
  int pipes[2];
  if (pipe(pipes) != 0) exit(1);
  pid_t child = fork();
  if (child == 0) {
    close(pipes[0]);
    FILE *out = fdopen(pipes[1], "w");
    for (const auto &[name, values] : body()) {
      fprintf(out, "%s\t", name.c_str());
      for (double value : values) fprintf(out, "%.6g ", value);
      fputc('\n', out);
    }
    fflush(out);
    _exit(0);
  }
  close(pipes[1]);
  std::string text;
  char buffer[1 << 16];
  for (ssize_t count; (count = read(pipes[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(count));
  close(pipes[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) {
    fprintf(stderr, "preemption-bench: a measurement failed\n");
    exit(1);
  }
  Series series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    size_t tab = line.find('\t');
    std::istringstream values(line.substr(tab + 1));
    auto &list = series[line.substr(0, tab)];
    for (double value; values >> value;) list.push_back(value);
  }
  return series;
}

double Percentile(std::vector<double> values, double fraction) {
  if (values.empty()) return NAN;
  std::sort(values.begin(), values.end());
  // The smallest value that at least this share of all is not above.
  size_t rank = static_cast<size_t>(ceil(fraction * static_cast<double>(values.size())));
  return values[rank == 0 ? 0 : rank - 1];
}

}  // namespace bench
