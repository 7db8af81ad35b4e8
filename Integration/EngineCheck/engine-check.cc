// engine-check — drives cv8.h alone, without Swift, so that the engine can be tried against any release's V8 (scripts/test-debian).
// Prints a line per case and ends with 0 when all of them hold.
#include <stdarg.h>

#include <deque>
#include <memory>
#include <mutex>

#include "engine-driver.h"

using driver::NowMs;
using driver::Tenant;

namespace {

constexpr size_t kMemoryLimitBytes = 64 << 20;
constexpr int kCaseLimitMs = 20000;
constexpr int kWorkers = 3;
constexpr int kMovingIsolates = 24;
constexpr int kSliceMs = 2;

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
  'give way': ({ ops }) => { for (let i = 0; i < 10; i++) ops.preempt(); return 'resumed'; },
  hoard: () => { const all = []; for (;;) all.push({ text: 'x' + all.length }); },
};
)js";

const std::vector<driver::File> kFiles = {
    {"worker.js", kWorker},
    {"cycle.js", "import { own } from './worker.js'; export const cyclic = () => own + 2;"},
    {"data.json", "{\"list\":[1,2,3]}", CV8_MODULE_JSON},
    {"text.txt", "text", CV8_MODULE_TEXT},
    {"bad.wasm", "junk", CV8_MODULE_WASM},
    {"bad.json", "{", CV8_MODULE_JSON},
};

void Preempt(cv8_call *call) { cv8_isolate_preempt(static_cast<driver::Host *>(cv8_call_user(call))->isolate); }
const std::vector<cv8_operation_entry> kOperations = {{"preempt", Preempt}};

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
    Tenant tenant(snapshot, kFiles, kMemoryLimitBytes);
    tenant.BeginStart();
    cv8_status started = tenant.Run(kCaseLimitMs);
    tenant.BeginCase(entry.name);
    cv8_status status = tenant.Run(entry.limit_ms);
    bool holds = started == CV8_OK && status == entry.status && (!entry.said || tenant.host.said == entry.said);
    cv8_memory memory;
    cv8_isolate_memory(tenant.isolate, &memory);
    if (strcmp(entry.name, "rejection") == 0) holds = holds && tenant.host.said.find("unhandled nobody") != std::string::npos;
    if (strcmp(entry.name, "hoard") == 0) holds = holds && memory.over_limit;
    Expect(holds, entry.name, "status %d, said \"%s\"%s", status, tenant.host.said.c_str(), memory.over_limit ? ", over the limit" : "");
  }
}

/// Operations give way themselves when they are asked to: a loop that is not optimised would look only much later.
void RunGivingWay(const std::vector<uint8_t> &snapshot) {
  Tenant tenant(snapshot, kFiles, kMemoryLimitBytes);
  tenant.BeginStart();
  tenant.Run(kCaseLimitMs);
  tenant.BeginCase("give way");
  int suspensions = 0;
  while (!cfiber_resume(tenant.fiber)) suspensions++;
  Expect(suspensions == 10 && tenant.host.said == "resumed", "give way", "%d suspensions, said \"%s\"", suspensions, tenant.host.said.c_str());
}

/// Suspends turns in the midst of everything and resumes them on whichever thread is free: results must not differ.
void RunMoving(const std::vector<uint8_t> &snapshot) {
  std::string expected;
  {
    Tenant alone(snapshot, kFiles, kMemoryLimitBytes);
    alone.BeginStart();
    alone.Run(kCaseLimitMs);
    alone.BeginCase("mixed");
    alone.Run(kCaseLimitMs);
    expected = alone.host.said;
  }
  std::vector<std::unique_ptr<Tenant>> tenants;
  std::deque<Tenant *> queue;
  for (int i = 0; i < kMovingIsolates; i++) {
    tenants.push_back(std::make_unique<Tenant>(snapshot, kFiles, kMemoryLimitBytes));
    tenants.back()->BeginStart();
    tenants.back()->Run(kCaseLimitMs);
    tenants.back()->BeginCase("mixed");
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
  std::vector<uint8_t> snapshot = driver::BuildSnapshot("", kOperations);
  printf("V8 %s, base snapshot of %zu bytes\n", cv8_version(), snapshot.size());
  if (driver::Start("", kOperations) != CV8_OK) return 1;
  RunCases(snapshot);
  RunGivingWay(snapshot);
  RunMoving(snapshot);
  cv8_process_memory memory;
  cv8_process_memory_get(&memory);
  Expect(memory.isolate_count == 0, "disposed", "%zu isolates, %zu KiB of pages left", memory.isolate_count, memory.page_bytes >> 10);
  printf(failures == 0 ? "all hold\n" : "%d do not hold\n", failures);
  fflush(stdout);
  _exit(failures == 0 ? 0 : 1);
}
