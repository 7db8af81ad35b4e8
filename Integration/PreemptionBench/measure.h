// measure.h — the measurements, each made in a process of its own because V8's flags are the process's.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace bench {

/// Numbers by what they are of: "kind/cpu", "kind/wall" …
using Series = std::map<std::string, std::vector<double>>;

struct Setup {
  std::string folder;  // of the JavaScript sources
  std::string flags;   // V8's, after those that cv8 always sets; V8 takes the last
  std::string only;    // kinds and kernels whose names contain this
  unsigned seed = 1;
};

/// How often and for how long a kind is interrupted.
struct Sampling {
  int isolates = 1;
  int samples = 100;    // of each isolate
  int limit_ms = 1500;  // of each isolate
};

/// Microseconds from a request to the switch, by kind: "KIND/cpu" of the thread's CPU time, "KIND/wall".
/// - Parameter file: looks.js or stuck.js
Series MeasureLatency(const Setup &setup, const std::string &file, const Sampling &sampling);
/// CPU time of a suspension and a resumption, nanoseconds: "fiber" (the stack switch alone), "same isolate", "other isolate" (another one
/// runs in between); "interrupt" is what V8 needs to come to an interrupt callback, which the others do not include.
Series MeasureSwitchPair(const Setup &setup);
/// CPU milliseconds for the same work by "KERNEL/none", "KERNEL/same" (suspended every millisecond and resumed at once) and "KERNEL/other"
/// (another isolate runs in between), a value a round; "switches/same" and so on count suspensions.
Series MeasureSlices(const Setup &setup, int rounds);
/// CPU milliseconds: "KERNEL/cold" of the first units in a new isolate, "KERNEL/warm" of later ones, and "start" of a module of 300
/// functions.
Series MeasureThroughput(const Setup &setup);

/// Runs `body` in a process of its own and gives what it returned. Ends this one when that fails.
Series InProcess(const std::function<Series()> &body);

double Percentile(std::vector<double> values, double fraction);

}  // namespace bench
