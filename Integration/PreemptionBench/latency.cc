// From a request to the switch.
#include <algorithm>
#include <random>

#include "engine.h"

namespace bench {

namespace {

/// No case is measured for longer, whatever it prepares.
constexpr int kHardLimitMs = 20000;

/// A worker that is interrupted at random times by another thread: who has asked when.
struct Interruption {
  std::atomic<bool> is_outstanding{false};
  std::atomic<bool> is_over{false};
  std::atomic<int64_t> end{0};
  std::atomic<int> samples{0};
  int64_t wall = 0, cpu = 0;  // at the request
  bool is_spoilt = false;     // asked before what is to be measured began
  int limit_ms = 0;
  std::vector<double> cpu_us, wall_us;

  void Record() {
    int64_t cpu_now = OwnCpu(), wall_now = Wall();
    if (!is_spoilt) {
      cpu_us.push_back(static_cast<double>(cpu_now - cpu) / 1000);
      wall_us.push_back(static_cast<double>(wall_now - wall) / 1000);
      samples++;
    }
    is_spoilt = false;
    is_outstanding = false;
  }
};
Interruption* interruption = nullptr;

/// What has been measured so far was preparation.
void Ready(cv8_call*) {
  if (!interruption) return;
  interruption->cpu_us.clear();
  interruption->wall_us.clear();
  interruption->samples = 0;
  interruption->is_spoilt = interruption->is_outstanding;
  interruption->end = Wall() + int64_t{interruption->limit_ms} * 1000000;
}

/// Interrupts one case of one isolate until there are enough samples, then ends it.
void Sample(const Engine& engine, const std::string& name, const Sampling& sampling, unsigned seed, Series& out) {
  Interruption state;
  state.limit_ms = sampling.limit_ms;
  interruption = &state;
  auto tenant = engine.Make();
  clockid_t worker;
  pthread_getcpuclockid(pthread_self(), &worker);
  state.end = Wall() + int64_t{sampling.limit_ms} * 1000000;
  tenant->BeginCase(name.c_str());
  std::thread ticker([&] {
    std::mt19937 random(seed);
    int64_t hard_end = Wall() + int64_t{kHardLimitMs} * 1000000;
    while (!state.is_over) {
      SleepMicroseconds(std::uniform_int_distribution<int>(100, 1500)(random));
      if (state.samples >= sampling.samples || Wall() > std::min(state.end.load(), hard_end)) {
        cv8_isolate_terminate(tenant->isolate);
      } else if (!state.is_outstanding) {
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

Series MeasureLatency(const Setup& setup, const std::string& file, const Sampling& sampling) {
  Engine engine(setup, file, {{"ready", Ready}});
  Series out;
  unsigned seed = setup.seed;
  for (const std::string& name : engine.Names(setup.only)) {
    for (int i = 0; i < sampling.isolates; i++) Sample(engine, name, sampling, seed++, out);
  }
  return out;
}

}  // namespace bench
