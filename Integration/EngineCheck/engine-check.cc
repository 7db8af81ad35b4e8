// engine-check — drives cv8.h alone, without Swift, so that the engine can be tried against any release's V8 (scripts/test-debian).
// Prints a line per case and ends with 0 when all of them hold.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cv8.h"
extern "C" {
#include "fiber.h"
}

namespace {

constexpr double kFrozenTimeMs = 12345;
constexpr size_t kStackBytes = 512 << 10;
constexpr size_t kMemoryLimitBytes = 64 << 20;
constexpr int kCaseLimitMs = 20000;
constexpr int kWorkers = 3;
constexpr int kMovingIsolates = 24;
constexpr int kSliceMs = 2;

const char kRuntime[] = R"js((function (internal) {
  'use strict';
  internal.hooks[0] = (reason) => internal.ops.say('unhandled ' + reason.message);
  internal.hooks[1] = (promise, namespace) => {
    promise.then(() => { internal.cases = namespace.cases; }, (error) => internal.ops.say('startup: ' + error.message));
  };
  internal.hooks[2] = async (name) => {
    const said = internal.cases[name]();
    internal.ops.say(String(said instanceof Promise ? await said : said));
  };
}))js";

const char kWorker[] = R"js(
import { cyclic } from './cycle.js';
import data from './data.json';
import text from './text.txt';
const nameOf = (body) => { try { return body(); } catch (error) { return error.name; } };
export const own = 40;
function mixed() {
  let sum = 0;
  const map = new Map();
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 20000; i++) sum = (sum * 31 + i) % 1000003;
    map.set('k' + round, Array.from({ length: 200 }, (_, i) => ({ i, text: 'item ' + i })));
    const sorted = [...map.values()].flat().sort((a, b) => b.i - a.i);
    sum += sorted[0].i + JSON.stringify(sorted.slice(0, 50)).length;
    sum += 'a1b22c333'.repeat(50).replace(/[0-9]+/g, (digits) => digits.length).length;
    try { (function deep(n) { if (n === 0) throw new RangeError('deep'); return deep(n - 1) + 1; })(500); } catch (error) { sum += error.message.length; }
    for (const value of (function* () { for (let i = 0; i < 500; i++) yield i; })()) sum += value;
  }
  return sum;
}
export const cases = {
  modules: () => [own, cyclic(), data.list[1], text].join(' '),
  dynamic: async () => (await import('./cycle.js')).cyclic() + ' ' + await import('../outside.js').catch((error) => error.constructor.name),
  unreadable: async () => (await Promise.all(['./bad.wasm', './bad.json'].map((name) => import(name).catch((error) => error.name)))).join(' '),
  frozen: () => { const first = Date.now(); for (let i = 0; i < 3e6; i++); return [first, Date.now()].join(' '); },
  eval: () => [nameOf(() => eval('1')), nameOf(() => new Function('return 1')())].join(' '),
  shared: () => typeof SharedArrayBuffer,
  rejection: () => { Promise.reject(new Error('nobody')); return 'said'; },
  recursion: () => nameOf(() => (function f() { f(); })()),
  buffers: () => nameOf(() => { const all = []; for (;;) all.push(new ArrayBuffer(1 << 20)); }),
  wasm: async () => String(await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))),
  grow: () => nameOf(() => { const memory = new WebAssembly.Memory({ initial: 1 }); for (;;) memory.grow(64); }),
  backtrack: () => /(a+)+b/.test('a'.repeat(24)),
  stack: () => { try { null.x; } catch (error) { return /worker\.js:\d+:\d+/.test(error.stack); } },
  mixed,
  loop: () => { for (;;); },
  stubborn: () => { for (;;) try { for (;;); } finally { continue; } },
  microtasks: () => { (function again() { Promise.resolve().then(again); })(); },
  hoard: () => { const all = []; for (;;) all.push({ text: 'x' + all.length }); },
};
)js";

struct File {
  const char *name;
  const char *text;
  cv8_module_kind kind;
};
const File kFiles[] = {
    {"worker.js", kWorker, CV8_MODULE_JAVASCRIPT},
    {"cycle.js", "import { own } from './worker.js'; export const cyclic = () => own + 2;", CV8_MODULE_JAVASCRIPT},
    {"data.json", "{\"list\":[1,2,3]}", CV8_MODULE_JSON},
    {"text.txt", "text", CV8_MODULE_TEXT},
    {"bad.wasm", "junk", CV8_MODULE_WASM},
    {"bad.json", "{", CV8_MODULE_JSON},
};

/// What one isolate's JavaScript said.
struct Host {
  std::string said;
};

void Say(cv8_call *call) {
  char text[4096];
  size_t length = cv8_call_write_utf8(call, 0, reinterpret_cast<uint8_t *>(text), sizeof text, nullptr);
  std::string &said = static_cast<Host *>(cv8_call_user(call))->said;
  if (!said.empty()) said += "; ";
  said.append(text, length);
}

int32_t Resolve(void *, const char *specifier, size_t length, int32_t referrer, cv8_module *out, char *error, size_t capacity,
                size_t *error_length) {
  std::string wanted(specifier, length);
  for (size_t i = 0; i < sizeof kFiles / sizeof kFiles[0]; i++) {
    const File &file = kFiles[i];
    if (referrer < 0 ? i == 0 : wanted == std::string("./") + file.name) {
      *out = {file.name, strlen(file.name), reinterpret_cast<const uint8_t *>(file.text), strlen(file.text), file.kind, true};
      return static_cast<int32_t>(i);
    }
  }
  int count = snprintf(error, capacity, "no module %s", wanted.c_str());
  *error_length = static_cast<size_t>(count) < capacity ? static_cast<size_t>(count) : capacity;
  return -1;
}

void Fatal(void *, bool out_of_memory, const char *location, const char *message) {
  fprintf(stderr, "engine-check: V8 gave up%s: %s: %s\n", out_of_memory ? " (memory)" : "", location ? location : "", message ? message : "");
  _exit(3);
}

cv8_status Start() {
  static const char flags[] = "--hash-seed=4711";
  static const cv8_source sources[] = {{"runtime", kRuntime, sizeof kRuntime - 1, false}};
  static const cv8_operation_entry operations[] = {{"say", Say}};
  static const cv8_options options = {flags, sizeof flags - 1, sources, 1, operations, 1, Resolve, cfiber_suspend, Fatal};
  return cv8_start(&options);
}

/// The base snapshot, from a process of its own.
std::vector<uint8_t> BuildSnapshot() {
  int pipes[2];
  if (pipe(pipes) != 0) exit(1);
  pid_t child = fork();
  if (child == 0) {
    uint8_t *blob = nullptr;
    size_t length = 0;
    cv8_error error = {};
    if (Start() != CV8_OK || cv8_snapshot_build(&blob, &length, &error) != CV8_OK) {
      fprintf(stderr, "engine-check: no snapshot: %s\n", error.text ? error.text : "");
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

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// An isolate with the turn it is in.
class Tenant {
 public:
  explicit Tenant(const std::vector<uint8_t> &snapshot) {
    if (cv8_isolate_new(snapshot.data(), snapshot.size(), &isolate) != CV8_OK) exit(1);
    cv8_owner owner = {kMemoryLimitBytes, &host, false};
    cv8_isolate_assign(isolate, &owner);
    fiber = cfiber_new(kStackBytes);
  }
  ~Tenant() {
    cv8_error_clear(&turn.error);
    cv8_isolate_dispose(isolate);
    cfiber_free(fiber);
  }

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

int failures = 0;

void Expect(bool holds, const char *name, const char *format, ...) {
  char found[4096];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(found, sizeof found, format, arguments);
  va_end(arguments);
  printf("%s %-12s %s\n", holds ? "ok  " : "FAIL", name, found);
  fflush(stdout);
  if (!holds) failures++;
}

struct Case {
  const char *name;
  const char *said;  // nullptr: anything
  cv8_status status;
  int limit_ms;
};
const Case kCases[] = {
    {"modules", "40 42 2 text", CV8_OK, kCaseLimitMs},
    {"dynamic", "42 Error", CV8_OK, kCaseLimitMs},
    {"unreadable", "CompileError SyntaxError", CV8_OK, kCaseLimitMs},
    {"frozen", "12345 12345", CV8_OK, kCaseLimitMs},
    {"eval", "EvalError EvalError", CV8_OK, kCaseLimitMs},
    {"shared", "undefined", CV8_OK, kCaseLimitMs},
    {"rejection", nullptr, CV8_OK, kCaseLimitMs},
    {"recursion", "RangeError", CV8_OK, kCaseLimitMs},
    {"buffers", "RangeError", CV8_OK, kCaseLimitMs},
    {"wasm", "[object WebAssembly.Module]", CV8_OK, kCaseLimitMs},
    {"grow", "RangeError", CV8_OK, kCaseLimitMs},
    {"backtrack", "false", CV8_OK, kCaseLimitMs},
    {"stack", "true", CV8_OK, kCaseLimitMs},
    {"loop", "", CV8_TERMINATED, 100},
    {"stubborn", "", CV8_TERMINATED, 100},
    {"microtasks", nullptr, CV8_TERMINATED, 100},
    {"hoard", "", CV8_TERMINATED, kCaseLimitMs},
};

void RunCases(const std::vector<uint8_t> &snapshot) {
  for (const Case &entry : kCases) {
    Tenant tenant(snapshot);
    tenant.Begin(CV8_TURN_START, 1, nullptr);
    cv8_status started = tenant.Run(kCaseLimitMs);
    tenant.Begin(CV8_TURN_CALL, 2, entry.name);
    cv8_status status = tenant.Run(entry.limit_ms);
    bool holds = started == CV8_OK && status == entry.status && (!entry.said || tenant.host.said == entry.said);
    cv8_memory memory;
    cv8_isolate_memory(tenant.isolate, &memory);
    if (strcmp(entry.name, "rejection") == 0) holds = holds && tenant.host.said.find("unhandled nobody") != std::string::npos;
    if (strcmp(entry.name, "hoard") == 0) holds = holds && memory.over_limit;
    Expect(holds, entry.name, "status %d, said \"%s\"%s", status, tenant.host.said.c_str(), memory.over_limit ? ", over the limit" : "");
  }
}

/// Suspends turns in the midst of everything and resumes them on whichever thread is free: results must not differ.
void RunMoving(const std::vector<uint8_t> &snapshot) {
  std::string expected;
  {
    Tenant alone(snapshot);
    alone.Begin(CV8_TURN_START, 1, nullptr);
    alone.Run(kCaseLimitMs);
    alone.Begin(CV8_TURN_CALL, 2, "mixed");
    alone.Run(kCaseLimitMs);
    expected = alone.host.said;
  }
  std::vector<std::unique_ptr<Tenant>> tenants;
  std::deque<Tenant *> queue;
  for (int i = 0; i < kMovingIsolates; i++) {
    tenants.push_back(std::make_unique<Tenant>(snapshot));
    tenants.back()->Begin(CV8_TURN_START, 1, nullptr);
    tenants.back()->Run(kCaseLimitMs);
    tenants.back()->Begin(CV8_TURN_CALL, 2, "mixed");
    queue.push_back(tenants.back().get());
  }
  struct Slot {
    std::mutex mutex;
    Tenant *running = nullptr;
    int64_t since = 0;
  };
  std::mutex mutex;
  std::atomic<int> left{kMovingIsolates};
  std::atomic<int> moves{0};
  Slot slots[kWorkers];
  std::vector<std::thread> threads;
  for (Slot &slot : slots) {
    threads.emplace_back([&] {
      while (left > 0) {
        Tenant *tenant = nullptr;
        {
          std::lock_guard<std::mutex> guard(mutex);
          if (!queue.empty()) {
            tenant = queue.front();
            queue.pop_front();
          }
        }
        if (!tenant) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          continue;
        }
        {
          std::lock_guard<std::mutex> guard(slot.mutex);
          slot.running = tenant;
          slot.since = NowMs();
        }
        bool is_over = cfiber_resume(tenant->fiber);
        {
          std::lock_guard<std::mutex> guard(slot.mutex);
          slot.running = nullptr;
        }
        tenant->slices++;
        if (is_over) {
          left--;
        } else {
          moves++;
          std::lock_guard<std::mutex> guard(mutex);
          queue.push_back(tenant);
        }
      }
    });
  }
  while (left > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (Slot &slot : slots) {
      std::lock_guard<std::mutex> guard(slot.mutex);
      if (slot.running && NowMs() - slot.since >= kSliceMs) cv8_isolate_preempt(slot.running->isolate);
    }
  }
  for (std::thread &thread : threads) thread.join();
  int wrong = 0;
  for (auto &tenant : tenants) wrong += tenant->turn.status != CV8_OK || tenant->host.said != expected;
  Expect(wrong == 0 && moves > kMovingIsolates && !expected.empty(), "moving", "%d isolates, %d suspensions, %d wrong results", kMovingIsolates,
         moves.load(), wrong);
}

}  // namespace

int main() {
  std::vector<uint8_t> snapshot = BuildSnapshot();
  printf("V8 %s, base snapshot of %zu bytes\n", cv8_version(), snapshot.size());
  if (Start() != CV8_OK) return 1;
  RunCases(snapshot);
  RunMoving(snapshot);
  cv8_process_memory memory;
  cv8_process_memory_get(&memory);
  Expect(memory.isolate_count == 0, "disposed", "%zu isolates, %zu KiB of pages left", memory.isolate_count, memory.page_bytes >> 10);
  printf(failures == 0 ? "all hold\n" : "%d do not hold\n", failures);
  fflush(stdout);
  _exit(failures == 0 ? 0 : 1);
}
