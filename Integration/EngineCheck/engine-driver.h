// engine-driver.h — what the programs that drive cv8.h without Swift share: start-up, the base snapshot, tenants and their turns.
#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cv8.h"
extern "C" {
#include "fiber.h"
}

namespace driver {

inline constexpr double kFrozenTimeMs = 12345;
inline constexpr size_t kStackBytes = 512 << 10;
/// Hooks of the runtime below.
inline constexpr uint32_t kStartedHook = 1;
inline constexpr uint32_t kCaseHook = 2;

/// Runs one of the cases that a bundle's main module exports, and says what it returns.
inline constexpr char kRuntime[] = R"js((function (internal) {
  'use strict';
  internal.hooks[0] = (reason) => internal.ops.say('unhandled ' + reason.message);
  internal.hooks[1] = (promise, namespace) => {
    promise.then(() => { internal.cases = namespace.cases; }, (error) => internal.ops.say('startup: ' + error.message));
  };
  internal.hooks[2] = async (name) => {
    const said = internal.cases[name](internal);
    internal.ops.say(String(said instanceof Promise ? await said : said));
  };
}))js";

struct File {
  std::string name;
  std::string text;
  cv8_module_kind kind = CV8_MODULE_JAVASCRIPT;
};

/// What one isolate runs (the first file is the main module), and what its JavaScript said.
struct Host {
  const std::vector<File> &files;
  std::string said;
  cv8_isolate *isolate = nullptr;
};

inline void Say(cv8_call *call) {
  char text[4096];
  size_t length = cv8_call_write_utf8(call, 0, reinterpret_cast<uint8_t *>(text), sizeof text, nullptr);
  std::string &said = static_cast<Host *>(cv8_call_user(call))->said;
  if (!said.empty()) said += "; ";
  said.append(text, length);
}

inline int32_t Resolve(void *user, const char *specifier, size_t length, int32_t referrer, cv8_module *out, char *error, size_t capacity,
                       size_t *error_length) {
  const std::vector<File> &files = static_cast<Host *>(user)->files;
  std::string wanted(specifier, length);
  for (size_t i = 0; i < files.size(); i++) {
    const File &file = files[i];
    if (referrer < 0 ? i == 0 : wanted == "./" + file.name) {
      *out = {file.name.data(), file.name.size(), reinterpret_cast<const uint8_t *>(file.text.data()), file.text.size(), file.kind, true, nullptr, 0};
      return static_cast<int32_t>(i);
    }
  }
  int count = snprintf(error, capacity, "no module %s", wanted.c_str());
  *error_length = static_cast<size_t>(count) < capacity ? static_cast<size_t>(count) : capacity;
  return -1;
}

inline void Fatal(void *, bool out_of_memory, const char *location, const char *message) {
  fprintf(stderr, "%s: V8 gave up%s: %s: %s\n", program_invocation_short_name, out_of_memory ? " (memory)" : "", location ? location : "",
          message ? message : "");
  _exit(3);
}

/// Starts V8 in this process, once.
/// - Parameter operations: what `internal.ops` has besides `say`; the same in all processes that share a snapshot.
inline cv8_status Start(const std::string &more_flags = "", const std::vector<cv8_operation_entry> &operations = {}) {
  static std::string flags;
  static std::vector<cv8_operation_entry> all;
  static const cv8_source sources[] = {{"runtime", kRuntime, sizeof kRuntime - 1, false}};
  flags = "--hash-seed=4711 " + more_flags;
  all = {{"say", Say}};
  all.insert(all.end(), operations.begin(), operations.end());
  static cv8_options options;
  options = {flags.data(), flags.size(), sources, 1, all.data(), all.size(), Resolve, cfiber_suspend, Fatal};
  return cv8_start(&options);
}

/// The base snapshot, from a process of its own. Before this one has started V8.
inline std::vector<uint8_t> BuildSnapshot(const std::string &more_flags = "", const std::vector<cv8_operation_entry> &operations = {}) {
  int pipes[2];
  if (pipe(pipes) != 0) exit(1);
  pid_t child = fork();
  if (child == 0) {
    uint8_t *blob = nullptr;
    size_t length = 0;
    cv8_error error = {};
    if (Start(more_flags, operations) != CV8_OK || cv8_snapshot_build(&blob, &length, &error) != CV8_OK) {
      fprintf(stderr, "%s: no snapshot: %s\n", program_invocation_short_name, error.text ? error.text : "");
      _exit(1);
    }
    for (size_t at = 0; at < length;) {
      ssize_t count = write(pipes[1], blob + at, length - at);
      if (count <= 0) _exit(1);
      at += static_cast<size_t>(count);
    }
    _exit(0);
  }
  close(pipes[1]);
  std::vector<uint8_t> blob;
  uint8_t buffer[1 << 16];
  for (ssize_t count; (count = read(pipes[0], buffer, sizeof buffer)) > 0;) blob.insert(blob.end(), buffer, buffer + count);
  close(pipes[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) exit(1);
  return blob;
}

inline int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// An isolate with the turn it is in.
class Tenant {
 public:
  Tenant(const std::vector<uint8_t> &snapshot, const std::vector<File> &files, size_t memory_limit_bytes, bool allow_eval = false)
      : host{files, "", nullptr} {
    if (cv8_isolate_new(snapshot.data(), snapshot.size(), &isolate) != CV8_OK) exit(1);
    host.isolate = isolate;
    cv8_owner owner = {memory_limit_bytes, &host, allow_eval};
    cv8_isolate_assign(isolate, &owner);
    fiber = cfiber_new(kStackBytes);
  }
  ~Tenant() {
    cv8_error_clear(&turn.error);
    cv8_isolate_dispose(isolate);
    cfiber_free(fiber);
  }
  Tenant(const Tenant &) = delete;

  void Begin(cv8_turn_kind kind, uint32_t hook, const char *name) {
    argument = {CV8_LATIN1, 0, name, name ? strlen(name) : 0};
    cv8_error_clear(&turn.error);
    turn = {};
    turn.isolate = isolate;
    turn.kind = kind;
    turn.hook = hook;
    turn.arguments = &argument;
    turn.argument_count = name ? 1 : 0;
    turn.time_ms = kFrozenTimeMs;
    turn.fiber = fiber;
    turn.stack_low = cfiber_stack_low(fiber);
    turn.stack_high = cfiber_stack_high(fiber);
    cfiber_prepare(fiber, cv8_turn_run, &turn);
  }
  void BeginStart() { Begin(CV8_TURN_START, kStartedHook, nullptr); }
  void BeginCase(const char *name) { Begin(CV8_TURN_CALL, kCaseHook, name); }

  /// Runs the turn to its end; terminated after `limit_ms`.
  cv8_status Run(int limit_ms) {
    std::atomic<bool> is_over{false};
    std::thread watch([&] {
      int64_t end = NowMs() + limit_ms;
      while (!is_over && NowMs() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      while (!is_over) {
        cv8_isolate_terminate(isolate);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    while (!cfiber_resume(fiber)) {
    }
    is_over = true;
    watch.join();
    return turn.status;
  }

  Host host;
  cv8_isolate *isolate = nullptr;
  cfiber *fiber = nullptr;
  cv8_turn turn = {};
  cv8_value argument = {};
  int slices = 0;
};

}  // namespace driver
