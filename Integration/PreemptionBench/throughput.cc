// What switches cost, and what flags do to ordinary code.
#include <v8.h>

#include <mutex>

#include "engine.h"

namespace bench {

namespace {

using driver::Tenant;

constexpr int kSliceMicroseconds = 1000;

void Preempt(cv8_call *call) { cv8_isolate_preempt(static_cast<driver::Host *>(cv8_call_user(call))->isolate); }

size_t callbacks = 0;
void Interrupt(cv8_call *) {
  v8::Isolate::GetCurrent()->RequestInterrupt([](v8::Isolate *, void *) { callbacks++; }, nullptr);
}

/// Suspends whoever runs, once a slice.
class Ticker {
 public:
  Ticker()
      : thread_([this] {
          while (!is_over_) {
            SleepMicroseconds(kSliceMicroseconds);
            std::lock_guard<std::mutex> guard(mutex_);
            if (running_) cv8_isolate_preempt(running_);
          }
        }) {}
  ~Ticker() {
    is_over_ = true;
    thread_.join();
  }
  void Set(cv8_isolate *isolate) {
    std::lock_guard<std::mutex> guard(mutex_);
    running_ = isolate;
  }

 private:
  std::mutex mutex_;
  cv8_isolate *running_ = nullptr;
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

/// Runs `units` units of a kernel in each tenant; after a suspension the next one goes on. Gives the CPU time in milliseconds.
double RunUnits(std::vector<Tenant *> tenants, const std::string &kernel, int units, Ticker *ticker, double *switches = nullptr) {
  std::vector<int> left(tenants.size(), units);
  int64_t start = OwnCpu();
  for (Tenant *tenant : tenants) tenant->BeginCase(kernel.c_str());
  for (size_t at = 0; !tenants.empty();) {
    at %= tenants.size();
    Tenant *tenant = tenants[at];
    if (ticker) ticker->Set(tenant->isolate);
    bool is_over = cfiber_resume(tenant->fiber);
    if (ticker) ticker->Set(nullptr);
    if (!is_over) {
      if (switches) ++*switches;
      at++;
    } else if (--left[at] > 0) {
      tenant->BeginCase(kernel.c_str());
    } else {
      tenants.erase(tenants.begin() + static_cast<std::ptrdiff_t>(at));
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  return static_cast<double>(OwnCpu() - start) / 1e6;
}

/// A module of 300 functions and classes, most of which run once or twice: what starting a tenant is like.
std::string StartModule() {
  std::string text = "const all = []; let sum = 0;\n";
  for (int i = 0; i < 300; i++) {
    std::string n = std::to_string(i);
    text += "function make" + n + "(a, b) { const list = []; for (let i = 0; i < 20; i++) list.push({ a: a + i, b: b * i, name: 'n" + n +
            "' + i });\n" + "  return list.filter((x) => x.a % 2).map((x) => x.b).reduce((x, y) => x + y, " + n + "); }\n" + "class C" + n +
            " { constructor(x) { this.x = x; } get value() { return this.x * " + n + "; } static of(x) { return new C" + n + "(x); } }\n" +
            "sum += make" + n + "(" + n + ", 3) + C" + n + ".of(4).value; all.push(make" + n + ");\n";
  }
  return text + "export const cases = { sum: () => sum };\n";
}

void RawSwitches(void *fiber) {
  for (;;) cfiber_suspend(fiber);
}

}  // namespace

Series MeasureSwitchPair(const Setup &setup) {
  constexpr int kBatches = 300, kWarmUp = 20, kSwitches = 1000;
  Engine engine(setup, "bare.js", {{"preempt", Preempt}, {"interrupt", Interrupt}});
  Series out;
  cfiber *fiber = cfiber_new(driver::kStackBytes);
  cfiber_prepare(fiber, RawSwitches, fiber);
  auto first = engine.Make(), second = engine.Make();
  for (int batch = 0; batch < kBatches; batch++) {
    int64_t start = OwnCpu();
    for (int i = 0; i < kSwitches; i++) cfiber_resume(fiber);
    double raw = static_cast<double>(OwnCpu() - start) / kSwitches;
    callbacks = 0;
    double none = RunUnits({first.get()}, "nothing", 1, nullptr) * 1e6 / kSwitches;
    size_t called = callbacks;
    double same_count = 0, other_count = 0;
    double same = RunUnits({first.get()}, "suspend", 1, nullptr, &same_count) * 1e6 / kSwitches;
    double other = RunUnits({first.get(), second.get()}, "suspend", 1, nullptr, &other_count) * 1e6 / kSwitches / 2;
    // Until the loop is optimised, interrupts come together.
    if (batch < kWarmUp || called != kSwitches || same_count != kSwitches || other_count != 2 * kSwitches) continue;
    out["fiber"].push_back(raw);
    out["interrupt"].push_back(none);
    out["same isolate"].push_back(same - none);
    out["other isolate"].push_back(other - none);
  }
  cfiber_free(fiber);
  return out;
}

Series MeasureSlices(const Setup &setup, int rounds) {
  constexpr int kWarmUp = 20, kUnits = 12;
  Engine engine(setup, "kernels.js", {});
  Series out;
  for (const std::string &kernel : engine.Names(setup.only)) {
    auto first = engine.Make(), second = engine.Make();
    for (Tenant *tenant : {first.get(), second.get()}) RunUnits({tenant}, kernel, kWarmUp, nullptr);
    for (int round = 0; round < rounds; round++) {
      for (int turn = 0; turn < 3; turn++) {
        int mode = (round + turn) % 3;
        const char *name = mode == 0 ? "none" : mode == 1 ? "same" : "other";
        std::unique_ptr<Ticker> ticker;
        if (mode != 0) ticker = std::make_unique<Ticker>();
        double switches = 0, cpu = 0;
        if (mode == 2) {
          cpu = RunUnits({first.get(), second.get()}, kernel, kUnits, ticker.get(), &switches);
        } else {
          for (Tenant *tenant : {first.get(), second.get()}) cpu += RunUnits({tenant}, kernel, kUnits, ticker.get(), &switches);
        }
        out[kernel + "/" + name].push_back(cpu);
        out[std::string("switches/") + name].push_back(switches);
      }
    }
  }
  return out;
}

Series MeasureThroughput(const Setup &setup) {
  constexpr int kCold = 3, kWarmUp = 15, kWarm = 15, kStarts = 9;
  Engine engine(setup, "kernels.js", {});
  Series out;
  for (const std::string &kernel : engine.Names(setup.only)) {
    auto tenant = engine.Make();
    out[kernel + "/cold"].push_back(RunUnits({tenant.get()}, kernel, kCold, nullptr));
    RunUnits({tenant.get()}, kernel, kWarmUp, nullptr);
    out[kernel + "/warm"].push_back(RunUnits({tenant.get()}, kernel, kWarm, nullptr));
  }
  const std::vector<driver::File> files = {{"start.js", StartModule()}};
  std::vector<double> starts;
  for (int i = 0; i < kStarts; i++) {
    Tenant tenant(engine.snapshot, files, kMemoryLimitBytes);
    tenant.BeginStart();
    int64_t start = OwnCpu();
    Engine::Finish(tenant);
    starts.push_back(static_cast<double>(OwnCpu() - start) / 1e6);
  }
  out["start"].push_back(Percentile(starts, 0.5));
  return out;
}

}  // namespace bench
