// engine.h — V8 in this process with a bundle of one file, for the measurements.
#pragma once
#include <time.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "engine-driver.h"
#include "measure.h"

namespace bench {

/// Of heap and array buffers: some cases hold much.
inline constexpr size_t kMemoryLimitBytes = size_t{1500} << 20;

inline int64_t Nanoseconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
}
inline int64_t OwnCpu() { return Nanoseconds(CLOCK_THREAD_CPUTIME_ID); }
inline int64_t Wall() { return Nanoseconds(CLOCK_MONOTONIC); }
inline void SleepMicroseconds(int64_t count) { std::this_thread::sleep_for(std::chrono::microseconds(count)); }

inline std::string Read(const std::string &path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!(text << file.rdbuf())) {
    fprintf(stderr, "preemption-bench: %s cannot be read\n", path.c_str());
    exit(1);
  }
  return text.str();
}

/// V8, started with the setup's flags, and a bundle.
struct Engine {
  Engine(const Setup &setup, const std::string &file, const std::vector<cv8_operation_entry> &operations)
      : files{{file, Read(setup.folder + "/" + file)}}, snapshot(driver::BuildSnapshot(setup.flags, operations)) {
    if (driver::Start(setup.flags, operations) != CV8_OK) exit(1);
  }

  std::unique_ptr<driver::Tenant> Make() const {
    auto tenant = std::make_unique<driver::Tenant>(snapshot, files, kMemoryLimitBytes, true);
    tenant->BeginStart();
    Finish(*tenant);
    return tenant;
  }

  /// Runs the turn to its end.
  static void Finish(driver::Tenant &tenant) {
    while (!cfiber_resume(tenant.fiber)) {
    }
    // The runtime says how a promise failed.
    const std::string &said = tenant.host.said;
    if (tenant.turn.status == CV8_OK && said.rfind("startup: ", 0) != 0 && said.find("unhandled ") == std::string::npos) return;
    fprintf(stderr, "preemption-bench: a case failed: %s\n", tenant.turn.error.text ? tenant.turn.error.text : said.c_str());
    exit(1);
  }

  std::vector<std::string> Names(const std::string &only) const {
    auto tenant = Make();
    tenant->BeginCase("names");
    Finish(*tenant);
    std::vector<std::string> names;
    std::istringstream text(tenant->host.said);
    for (std::string name; std::getline(text, name, ';');) {
      if (name.find(only) != std::string::npos) names.push_back(name);
    }
    return names;
  }

  std::vector<driver::File> files;
  std::vector<uint8_t> snapshot;
};

}  // namespace bench
