// preemption-bench — how soon V8 gives way when it is asked to, what that costs, and what V8's flags change of it. Started by
// scripts/bench-preemption. A deadline's figures come twice: as CPU time of the interrupted thread, in which other processes' share of the
// machine does not count, and as wall time.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <set>

#include "cv8.h"
#include "measure.h"
#include "tables.h"

namespace {

using bench::Percentile;
using bench::Row;
using bench::Series;
using bench::Table;

struct Options {
  bench::Setup setup;
  std::string measures = "latency,switch,slices,sweep";
  std::string configurations;
  std::string json;
  int rounds = 5;
  int isolates = 3;
  int samples = 100;
};

/// What the sweep tries, besides the flags that cv8 sets (cv8_fixed_flags). The first is what the others are compared with.
struct Configuration {
  const char *name;
  const char *flags;
};
const Configuration kSweep[] = {
    {"V8's defaults",
     "--interrupt-budget=135168 --ticks-before-optimization=3 --bytecode-size-allowance-per-tick=1100 "
     "--max-bytecode-size-for-early-opt=81 --wasm-dynamic-tiering --wasm-tier-up --regexp-tier-up"},
    {"cv8's flags", ""},
    {"budget 1000", "--interrupt-budget=1000"},
    {"budget 2000", "--interrupt-budget=2000"},
    {"budget 4000", "--interrupt-budget=4000"},
    {"budget 10000", "--interrupt-budget=10000"},
    {"budget 20000", "--interrupt-budget=20000"},
    {"budget 66000", "--interrupt-budget=66000"},
    {"budget 135168", "--interrupt-budget=135168"},
    // As much bytecode before a function is optimised as with V8's defaults …
    {"budget 1000, 405 ticks", "--interrupt-budget=1000 --ticks-before-optimization=405 --bytecode-size-allowance-per-tick=8"},
    {"budget 2000, 203 ticks", "--interrupt-budget=2000 --ticks-before-optimization=203 --bytecode-size-allowance-per-tick=16"},
    {"budget 4000, 101 ticks", "--interrupt-budget=4000 --ticks-before-optimization=101 --bytecode-size-allowance-per-tick=32"},
    {"budget 10000, 40 ticks", "--interrupt-budget=10000 --ticks-before-optimization=40 --bytecode-size-allowance-per-tick=81"},
    // … and as with a budget of 13,500.
    {"budget 1000, 40 ticks", "--interrupt-budget=1000 --ticks-before-optimization=40 --bytecode-size-allowance-per-tick=81"},
    {"budget 2000, 20 ticks", "--interrupt-budget=2000 --ticks-before-optimization=20 --bytecode-size-allowance-per-tick=162"},
    {"budget 4000, 10 ticks", "--interrupt-budget=4000 --ticks-before-optimization=10 --bytecode-size-allowance-per-tick=330"},
    // When a function is optimised with the same budget: after how many of them, small ones after the first.
    {"ticks 3, small 1", "--ticks-before-optimization=3 --bytecode-size-allowance-per-tick=1100 --max-bytecode-size-for-early-opt=81"},
    {"ticks 3", "--ticks-before-optimization=3 --bytecode-size-allowance-per-tick=1100 --max-bytecode-size-for-early-opt=0"},
    {"ticks 10", "--ticks-before-optimization=10 --bytecode-size-allowance-per-tick=330 --max-bytecode-size-for-early-opt=0"},
    {"ticks 20", "--ticks-before-optimization=20 --bytecode-size-allowance-per-tick=162 --max-bytecode-size-for-early-opt=0"},
    {"ticks 40", "--ticks-before-optimization=40 --bytecode-size-allowance-per-tick=81 --max-bytecode-size-for-early-opt=0"},
    // Bytecode that is inlined into a function that is optimised; V8's own limit is 920.
    {"inlining 0", "--max-inlined-bytecode-size-cumulative=0"},
    {"inlining 100", "--max-inlined-bytecode-size-cumulative=100"},
    {"inlining 200", "--max-inlined-bytecode-size-cumulative=200"},
    {"inlining 400", "--max-inlined-bytecode-size-cumulative=400"},
    {"inlining 920", "--max-inlined-bytecode-size-cumulative=920"},
    {"no inlining", "--no-turbo-inlining"},
    {"no early optimisation", "--max-bytecode-size-for-early-opt=0"},
    {"Wasm tiering at 1800000", "--wasm-dynamic-tiering --wasm-tier-up --wasm-tiering-budget=1800000"},
    {"Wasm tiering at 180000", "--wasm-dynamic-tiering --wasm-tier-up --wasm-tiering-budget=180000"},
    {"Wasm tiering at 60000", "--wasm-dynamic-tiering --wasm-tier-up --wasm-tiering-budget=60000"},
    {"Wasm tiering at 18000", "--wasm-dynamic-tiering --wasm-tier-up --wasm-tiering-budget=18000"},
    {"Wasm by TurboFan alone", "--no-liftoff"},
    {"no regexp tier-up", "--no-regexp-tier-up"},
    {"regexp linear when backtracking", "--enable-experimental-regexp-engine-on-excessive-backtracks"},
    {"always Sparkplug", "--always-sparkplug"},
    {"no Sparkplug", "--no-sparkplug"},
    {"always OSR", "--always-osr"},
};

/// The names before the slash in "NAME/what".
std::vector<std::string> NamesIn(const Series &series, const std::string &what) {
  std::vector<std::string> names;
  for (const auto &[key, values] : series) {
    size_t slash = key.rfind('/');
    if (slash != std::string::npos && key.substr(slash + 1) == what) names.push_back(key.substr(0, slash));
  }
  return names;
}

void Append(std::vector<double> &to, const std::vector<double> &from) { to.insert(to.end(), from.begin(), from.end()); }

/// What looks has its median within this, what does not look its worst beyond it.
constexpr double kLooksMicroseconds = 1000;

Row LatencyRow(const std::string &name, const std::vector<double> &cpu, const std::vector<double> &wall) {
  auto late = std::count_if(cpu.begin(), cpu.end(), [](double value) { return value > kLooksMicroseconds; });
  auto count = static_cast<double>(cpu.size());
  return {name,
          {count, Percentile(cpu, 0.5), Percentile(cpu, 0.99), Percentile(cpu, 1), 100 * static_cast<double>(late) / count,
           Percentile(wall, 0.5), Percentile(wall, 0.99), Percentile(wall, 1)}};
}

const char *const kHostileRow = "the hostile cases";

/// Those of looks.js that are cases 1 to 7, 13, 14 and 16 of docs/hostile-cases.md.
const std::set<std::string> kHostile = {
    "loop", "nested loops", "finally", "throw and catch", "catch all", "getter recursion", "toString recursion", "generator", "async generator",
    "backtracking, first execution", "backtracking, one execution", "backtracking, again", "backtracking, nested", "large text",
    "Wasm loop", "Wasm loop of memory.fill", "Wasm calls", "promise chain", "await",
};

Table Latency(const std::string &title, const Series &series) {
  Table table = {title, {"samples", "CPU p50", "CPU p99", "CPU max", "% > 1 ms", "wall p50", "wall p99", "wall max"}, {}};
  std::vector<double> cpu, wall, hostile_cpu, hostile_wall;
  std::set<std::string> missing = kHostile;
  for (const std::string &name : NamesIn(series, "cpu")) {
    const auto &of_cpu = series.at(name + "/cpu"), &of_wall = series.at(name + "/wall");
    table.rows.push_back(LatencyRow(name, of_cpu, of_wall));
    Append(cpu, of_cpu);
    Append(wall, of_wall);
    if (missing.erase(name) == 0) continue;
    Append(hostile_cpu, of_cpu);
    Append(hostile_wall, of_wall);
  }
  std::sort(table.rows.begin(), table.rows.end(), [](const Row &a, const Row &b) { return a.cells[2] > b.cells[2]; });
  // Not where what does not look is measured, or what was asked for by name.
  if (missing.size() < kHostile.size()) {
    for (const std::string &name : missing) printf("  note: the hostile case \"%s\" is not among the kinds\n", name.c_str());
  }
  if (!hostile_cpu.empty()) table.rows.push_back(LatencyRow(kHostileRow, hostile_cpu, hostile_wall));
  table.rows.push_back(LatencyRow("all", cpu, wall));
  return table;
}

/// Says which kinds are not in the file where they belong, and whether the goals are met: half within 100 us, 99 of 100 within 1 ms.
void Judge(const Table &table, bool looks) {
  int kinds = 0, slow = 0;
  for (const Row &row : table.rows) {
    if (row.name == "all" || row.name == kHostileRow) continue;
    kinds++;
    slow += row.cells[2] > 1000;
    if ((row.cells[looks ? 1 : 3] < kLooksMicroseconds) != looks) printf("  note: \"%s\" %s\n", row.name.c_str(), looks ? "does not look" : "looks");
  }
  if (!looks || table.rows.empty()) return;
  for (const Row &row : table.rows) {
    if (row.name != "all" && row.name != kHostileRow) continue;
    printf("  goals, %s: p50 <= 100 us %s, p99 <= 1 ms %s\n", row.name.c_str(), row.cells[1] <= 100 ? "met" : "missed",
           row.cells[2] <= 1000 ? "met" : "missed");
  }
  printf("  kinds with a p99 beyond 1 ms: %d of %d\n", slow, kinds);
}

Table SwitchPair(const Series &series) {
  Table table = {"a switch pair, ns of CPU time", {"p10", "median", "p90"}, {}};
  for (const auto &[name, values] : series)
    table.rows.push_back({name, {Percentile(values, 0.1), Percentile(values, 0.5), Percentile(values, 0.9)}});
  return table;
}

/// By how many per cent the second is above the first, as the median of the rounds.
double Loss(const std::vector<double> &without, const std::vector<double> &with) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(without.size(), with.size()); i++) ratios.push_back((with[i] / without[i] - 1) * 100);
  return Percentile(ratios, 0.5);
}

Table Slices(const Series &series) {
  Table table = {"CPU time lost at slices of 1 ms, % (median of rounds)", {"same isolate", "other isolate", "ms without"}, {}};
  double same = 0, other = 0;
  std::vector<std::string> kernels = NamesIn(series, "none");
  kernels.erase(std::remove(kernels.begin(), kernels.end(), "switches"), kernels.end());
  for (const std::string &kernel : kernels) {
    const auto &none = series.at(kernel + "/none");
    table.rows.push_back(
        {kernel, {Loss(none, series.at(kernel + "/same")), Loss(none, series.at(kernel + "/other")), Percentile(none, 0.5)}});
    same += table.rows.back().cells[0] / static_cast<double>(kernels.size());
    other += table.rows.back().cells[1] / static_cast<double>(kernels.size());
  }
  table.rows.push_back({"mean", {same, other, NAN}});
  return table;
}

/// The geometric mean over the kernels, of WebAssembly or of JavaScript, of first time / second time, per cent: the second's throughput
/// relative to the first's.
double Throughput(const Series &first, const Series &second, const std::string &what, bool is_wasm, size_t round) {
  double sum = 0, count = 0;
  for (const std::string &kernel : NamesIn(first, what)) {
    if ((kernel.rfind("wasm", 0) == 0) != is_wasm) continue;
    sum += log(first.at(kernel + "/" + what)[round] / second.at(kernel + "/" + what)[round]);
    count++;
  }
  return exp(sum / count) * 100;
}

/// Whether a name contains one of the texts, which have bars between them.
bool IsNamed(const std::string &name, const std::string &texts) {
  for (size_t at = 0;;) {
    size_t bar = texts.find('|', at);
    if (name.find(texts.substr(at, bar - at)) != std::string::npos) return true;
    if (bar == std::string::npos) return false;
    at = bar + 1;
  }
}

Table Sweep(const Options &options) {
  std::vector<Configuration> configurations = {kSweep[0]};
  for (const Configuration &entry : kSweep) {
    if (&entry != kSweep && IsNamed(entry.name, options.configurations)) configurations.push_back(entry);
  }
  std::vector<Series> throughput(configurations.size());
  for (int round = 0; round < options.rounds; round++) {
    for (size_t i = 0; i < configurations.size(); i++) {
      bench::Setup setup = options.setup;
      setup.flags = configurations[i].flags;
      for (auto &[name, values] : bench::InProcess([&] { return bench::MeasureThroughput(setup); })) Append(throughput[i][name], values);
    }
  }
  Table table = {
      "sweep: CPU us from request to switch, over all kinds that look; throughput of ordinary code and start-up, % of what V8's defaults "
      "do",
      {"p50", "p99", "worst p50", "worst p99", "warm", "cold", "Wasm warm", "Wasm cold", "start-up"},
      {}};
  for (size_t i = 0; i < configurations.size(); i++) {
    bench::Setup setup = options.setup;
    setup.flags = configurations[i].flags;
    Series latency = bench::InProcess([&] { return bench::MeasureLatency(setup, "looks.js", {1, options.samples, 1000}); });
    std::vector<double> all, p50, p99, start;
    for (const std::string &name : NamesIn(latency, "cpu")) {
      const auto &values = latency.at(name + "/cpu");
      Append(all, values);
      p50.push_back(Percentile(values, 0.5));
      p99.push_back(Percentile(values, 0.99));
    }
    Row row = {configurations[i].name, {Percentile(all, 0.5), Percentile(all, 0.99), Percentile(p50, 1), Percentile(p99, 1)}};
    for (bool is_wasm : {false, true}) {
      for (const char *what : {"warm", "cold"}) {
        std::vector<double> rounds;
        for (int round = 0; round < options.rounds; round++) {
          rounds.push_back(Throughput(throughput[0], throughput[i], what, is_wasm, static_cast<size_t>(round)));
        }
        row.cells.push_back(Percentile(rounds, 0.5));
      }
    }
    for (size_t round = 0; round < throughput[i].at("start").size(); round++) {
      start.push_back(throughput[0].at("start")[round] / throughput[i].at("start")[round] * 100);
    }
    row.cells.push_back(Percentile(start, 0.5));
    table.rows.push_back(row);
  }
  return table;
}

int Usage() {
  fprintf(stderr,
          "use: preemption-bench [--measure latency,switch,slices,sweep] [--rounds N] [--isolates N] [--samples N] [--flags \"V8 FLAGS\"] "
          "[--only TEXT]\n"
          "                      [--configurations TEXT|TEXT…] [--sources DIR] [--json FILE]\n");
  return 64;
}

}  // namespace

int main(int count, char **arguments) {
  Options options;
  options.setup.folder = "Integration/PreemptionBench";
  for (int i = 1; i < count; i++) {
    std::string name = arguments[i];
    if (i + 1 == count) return Usage();
    std::string value = arguments[++i];
    if (name == "--measure")
      options.measures = value;
    else if (name == "--flags")
      options.setup.flags = value;
    else if (name == "--only")
      options.setup.only = value;
    else if (name == "--sources")
      options.setup.folder = value;
    else if (name == "--configurations")
      options.configurations = value;
    else if (name == "--json")
      options.json = value;
    else if (name == "--rounds")
      options.rounds = atoi(value.c_str());
    else if (name == "--isolates")
      options.isolates = atoi(value.c_str());
    else if (name == "--samples")
      options.samples = atoi(value.c_str());
    else
      return Usage();
  }
  if (options.rounds < 1 || options.isolates < 1 || options.samples < 1) return Usage();
  auto wants = [&](const char *name) { return ("," + options.measures + ",").find(std::string(",") + name + ",") != std::string::npos; };

  printf("V8 %s, cv8's flags: %s %s\n", cv8_version(), cv8_fixed_flags(), options.setup.flags.c_str());
  std::vector<Table> tables;
  auto show = [&](const Table &table) {
    Print(table);
    tables.push_back(table);
  };
  if (wants("latency")) {
    show(Latency("code that looks at interrupts: us from request to switch", bench::InProcess([&] {
                   return bench::MeasureLatency(options.setup, "looks.js", {options.isolates, options.samples, 1500});
                 })));
    Judge(tables.back(), true);
    show(Latency("single calls that do not look: us from request to switch",
                 bench::InProcess([&] { return bench::MeasureLatency(options.setup, "stuck.js", {1, options.samples, 1500}); })));
    Judge(tables.back(), false);
  }
  if (wants("switch")) show(SwitchPair(bench::InProcess([&] { return bench::MeasureSwitchPair(options.setup); })));
  if (wants("slices")) show(Slices(bench::InProcess([&] { return bench::MeasureSlices(options.setup, options.rounds); })));
  if (wants("sweep")) show(Sweep(options));
  if (!options.json.empty()) Write(options.json, tables);
  return 0;
}
