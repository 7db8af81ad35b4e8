// From a request to the switch.
#include <algorithm>
#include <random>

#include "engine.h"

namespace bench {

namespace {

/// No case is measured for longer, whatever it prepares.
constexpr int kHardLimitMs = 20000;
/// Between a switch and the next request.
constexpr int kShortestPauseMicroseconds = 100;
constexpr int kLongestPauseMicroseconds = 1500;

/// A worker that is interrupted at random times by another thread: who has asked when.
struct Interruption {
  std::atomic<bool> is_ready{false};
  std::atomic<bool> is_outstanding{false};
  std::atomic<bool> is_over{false};
  std::atomic<int> samples{0};
  int64_t wall = 0, cpu = 0;  // at the request
  std::vector<double> cpu_us, wall_us;

  void Record() {
    cpu_us.push_back(static_cast<double>(OwnCpu() - cpu) / 1000);
    wall_us.push_back(static_cast<double>(Wall() - wall) / 1000);
    samples++;
    is_outstanding = false;
  }
};
Interruption *interruption = nullptr;

void Ready(cv8_call *) { interruption->is_ready = true; }

/// Interrupts one case of one isolate until there are enough samples, then ends it.
void Sample(const Engine &engine, const std::string &name, bool prepares, const Sampling &sampling, unsigned seed, Series &out) {
  Interruption state;
  state.is_ready = !prepares;
  interruption = &state;
  auto tenant = engine.Make();
  clockid_t worker;
  pthread_getcpuclockid(pthread_self(), &worker);
  tenant->BeginCase(name.c_str());
  std::thread ticker([&] {
    std::mt19937 random(seed);
    int64_t hard_end = Wall() + int64_t{kHardLimitMs} * 1000000, end = 0;
    while (!state.is_over) {
      SleepMicroseconds(std::uniform_int_distribution<int>(kShortestPauseMicroseconds, kLongestPauseMicroseconds)(random));
      int64_t now = Wall();
      if (end == 0 && state.is_ready) end = now + int64_t{sampling.limit_ms} * 1000000;
      if (state.samples >= sampling.samples || now > hard_end || (end != 0 && now > end)) {
        cv8_isolate_terminate(tenant->isolate);
      } else if (end != 0 && !state.is_outstanding) {
        state.cpu = Nanoseconds(worker);
        state.wall = Wall();
        state.is_outstanding = true;
        cv8_isolate_preempt(tenant->isolate);
      }
    }
  });
  while (!cfiber_resume(tenant->fiber)) state.Record();
  // It did not look once: at least that long.
  if (state.samples == 0 && state.is_outstanding) state.Record();
  state.is_over = true;
  ticker.join();
  interruption = nullptr;
  if (tenant->turn.status != CV8_TERMINATED) {
    fprintf(stderr, "preemption-bench: \"%s\" ended of itself: %s %s\n", name.c_str(), tenant->host.said.c_str(),
            tenant->turn.error.text ? tenant->turn.error.text : "");
    exit(1);
  }
  auto &cpu = out[name + "/cpu"], &wall = out[name + "/wall"];
  cpu.insert(cpu.end(), state.cpu_us.begin(), state.cpu_us.end());
  wall.insert(wall.end(), state.wall_us.begin(), state.wall_us.end());
}

}  // namespace

Series MeasureLatency(const Setup &setup, const std::string &file, const Sampling &sampling) {
  Engine engine(setup, file, {{"ready", Ready}});
  Series out;
  unsigned seed = setup.seed;
  for (const std::string &name : engine.Names(setup.only)) {
    bool prepares = name[0] == '*';
    for (int i = 0; i < sampling.isolates; i++) Sample(engine, name.substr(prepares), prepares, sampling, seed++, out);
  }
  return out;
}

}  // namespace bench
