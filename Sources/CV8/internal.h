// What the parts of CV8 share. Not for use outside this module.
#pragma once
#include <v8.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "cv8.h"

namespace cv8 {

/// V8 asks for its heap's chunks with this length and alignment; Wasm memories and buffers come with less.
constexpr size_t kHeapChunk = size_t{256} << 10;

/// What one isolate holds, in bytes. Counted by whoever allocates, read by any thread.
struct Account : std::enable_shared_from_this<Account> {
  std::atomic<size_t> pages{0};
  std::atomic<size_t> buffers{0};
  /// What V8 and ICU hold for it in the C library's heap (native.cc), and one more while the isolate or a region of its is there: the account is gone with
  /// the last of that.
  std::atomic<size_t> native{1};
  /// Mappings besides the heap's: Wasm memories and modules' code, resizable buffers.
  std::atomic<size_t> regions{0};
  /// Where the heap's chunks of ordinary size and the code range begin. Under the page allocator's lock.
  std::vector<uintptr_t> chunks;
  /// Where it takes places for them that are not another's (slabs.cc).
  std::vector<uint32_t> slabs;
  /// The isolate is being disposed of.
  std::atomic<bool> is_ending{false};
  /// While somebody is served: before, and while the isolate is disposed of, nothing of the C library's heap is charged.
  cv8_isolate *owner = nullptr;
  /// The isolate has been asked to make room, and how much `native` may be until it is again.
  bool is_asked = false;
  size_t native_when_asked = 0;
  /// The number of the first of its blocks of the C++ heap, 0 for none (blocks.cc).
  uint32_t first_block = 0;
  size_t limit = SIZE_MAX;

  /// How far the heap may go over the limit, once: as much again, within these bounds. What V8 cannot refuse (a string made flat, an array that
  /// grows, a builtin that makes much before it looks) then ends the isolate and not its cell.
  static constexpr size_t kLeastUnwindingBytes = size_t{128} << 20;
  static constexpr size_t kMostUnwindingBytes = size_t{512} << 20;
  size_t Most() const { return limit == SIZE_MAX ? limit : limit + std::clamp(limit, kLeastUnwindingBytes, kMostUnwindingBytes); }

  size_t Held() const {
    return pages.load(std::memory_order_relaxed) + buffers.load(std::memory_order_relaxed) + native.load(std::memory_order_relaxed);
  }
  bool HasRoomFor(size_t bytes) const { return Held() + bytes <= limit; }
  /// How many of these an isolate may have: the kernel gives a process about 65,000 in all, an empty memory is one, too, and a module two.
  static constexpr size_t kRegionLimit = 1000;
  bool HasRoomForRegion() const { return regions.load(std::memory_order_relaxed) < kRegionLimit; }
  bool HasTooManyRegions() const { return regions.load(std::memory_order_relaxed) > kRegionLimit; }
  void GiveBackNative(size_t bytes) {
    if (native.fetch_sub(bytes) == bytes) delete this;
  }
};

std::shared_ptr<Account> MakeAccount();

/// The account that pages are charged to on this thread. Read and set through functions that are not inlined: a fiber may go on
/// on another thread, and compilers keep the address of a thread-local variable across calls.
Account *CurrentAccount();
void SetCurrentAccount(Account *account);
/// The top of the stack that this thread runs on, when it is a fiber's; what V8 takes for the native stack's start.
void SetFiberTop(void *top);

/// A source text that V8 shares instead of copying it.
class SharedText : public v8::String::ExternalOneByteStringResource {
 public:
  SharedText(const char *text, size_t length) : text_(text), length_(length) {}
  const char *data() const override { return text_; }
  size_t length() const override { return length_; }
  void Dispose() override {}

 private:
  const char *text_;
  size_t length_;
};

/// Array buffers' memory, within the isolate's quota.
class BufferAllocator : public v8::ArrayBuffer::Allocator {
 public:
  explicit BufferAllocator(Account *account) : account_(account) {}
  void *Allocate(size_t length) override;
  void *AllocateUninitialized(size_t length) override;
  void Free(void *data, size_t length) override;
  /// Makes it longer, or null; what is new may hold anything.
  void *Lengthen(void *data, size_t old_length, size_t length);

 private:
  bool Charge(size_t length);
  Account *account_;
};

/// V8's own tasks for one isolate; run at the end of its turns.
class TaskQueue;

struct LoadedModule {
  v8::Global<v8::Module> module;
  /// Of JavaScript that was compiled here: what its code is asked of.
  v8::Global<v8::UnboundModuleScript> script;
  /// Of data: what it exports, until it is evaluated.
  v8::Global<v8::Value> value;
  std::string name;
  cv8_module source;
};

struct Rejection {
  v8::Global<v8::Promise> promise;
  v8::Global<v8::Value> reason;
  /// Whose code was running.
  double request = 0;
};

}  // namespace cv8

struct cv8_isolate {
  v8::Isolate *isolate = nullptr;
  /// Where a tenant's snapshot is built.
  std::unique_ptr<v8::SnapshotCreator> creator;
  /// What its snapshot refers to: the process's references, then the bundle's texts.
  std::vector<intptr_t> references;
  /// The bundle, when it was given with the snapshot.
  std::vector<cv8_module> bundle;
  v8::Global<v8::Context> context;
  v8::Global<v8::Object> internal;
  std::vector<v8::Global<v8::Function>> hooks;
  /// Regions that outlive the isolate, such as a Wasm memory that somebody still holds, keep it.
  std::shared_ptr<cv8::Account> account = cv8::MakeAccount();
  std::unique_ptr<cv8::BufferAllocator> buffers;
  std::shared_ptr<cv8::TaskQueue> tasks;
  void *user = nullptr;
  bool allow_eval = false;
  std::unordered_map<int32_t, std::unique_ptr<cv8::LoadedModule>> modules;
  std::unordered_map<std::string, int32_t> module_indices;  // by name
  std::vector<std::unique_ptr<cv8::SharedText>> texts;
  std::unordered_map<std::string, v8::Global<v8::Value>> lazy_results;
  std::vector<cv8::Rejection> rejections;
  cv8_turn *turn = nullptr;  // while one is running or suspended
  /// Where V8's optimising compiler has the stack's limit; null where that was not found (FindCompilerStackLimit).
  uintptr_t *compiler_stack_limit = nullptr;
  double time_ms = 0;
  bool saw_time = false;
  /// Modules whose code was taken up instead of being compiled.
  size_t code_taken = 0;
  /// Of a builder: the context's Math.random, and the first number it would give; what takes its stand-ins out again (97-builder.js).
  v8::Global<v8::Function> random;
  double first_random = 0;
  v8::Global<v8::Function> remove_stand_ins;
  std::atomic<bool> preempt_requested{false};
  std::atomic<bool> terminated{false};
  std::atomic<bool> over_limit{false};
};

namespace cv8 {

extern cv8_options options;
extern bool jitless;
/// While the base snapshot is built: for the source "warm-up".
extern bool operations_do_nothing;
extern std::atomic<size_t> process_pages;
extern std::atomic<size_t> isolate_count;
/// Of places that are kept for others.
extern std::atomic<size_t> pool_bytes;

v8::PageAllocator *ThePageAllocator();
// Under the page allocator's lock:
/// An address for a chunk, where nothing can be touched yet; null when there are no more.
char *TakePlace(std::vector<uint32_t> &slabs);
/// Nothing can be touched there any more.
void GiveBackPlace(const char *place);
/// How many bytes of places may be kept that can be read and written and are all zeros.
void SetPoolLimit(size_t bytes);
/// Whether one more may be; it is counted from now on.
bool ReserveInPool();
/// One that was counted is ready.
void KeepPlace(char *place);
/// Null without one.
char *TakeCleanPlace();
/// Those that nobody has wanted since the last call.
std::vector<char *> TakeUnused();
bool IsInSlab(const void *address);
/// An isolate's code range lies here; before its first turn.
void NoteCodeRange(void *start, Account *account);
/// While it lives, large blocks that this thread takes from the C++ heap are pages of the account's.
class BlocksAreCharged {
 public:
  explicit BlocksAreCharged(Account *account);
  ~BlocksAreCharged();
};
/// Blocks of the C++ heap are charged from this size on, ICU's all.
constexpr size_t kLeastCharged = 4096;
/// What a block that may be charged has at its end, besides what was asked for.
constexpr size_t kMarkBytes = 16;
/// Charges a block of the C library's heap, the end of which is free, to the account of this thread. Any block may be given back that is as long.
void Charge(void *memory);
void GiveBack(void *memory);
/// From now on; ICU's blocks, too. Before an isolate is made.
bool WatchNativeMemory();
/// Neighbouring pages.
struct PageSpan {
  char *start;
  size_t length;  // bytes
  bool is_code;
  bool is_block;
};
/// The account's blocks.
std::vector<PageSpan> BlocksOf(const Account *account);
/// The pages of an isolate's heap and blocks that can be touched and were not mapped from the memory file. For whoever runs the isolate.
std::vector<PageSpan> SpansOf(const Account *account);
/// These were.
void NoteShared(void *address, size_t length);
/// Which pages the kernel holds in memory, a byte each, in its lowest bit; empty when it does not say. The others were never touched or are swapped out.
std::vector<unsigned char> ResidentPages(char *start, size_t length);
v8::Platform *ThePlatform();
std::shared_ptr<TaskQueue> TasksOf(v8::Isolate *isolate);
/// Drops the tasks of an isolate that is gone; of any at this address when `queue` is null.
void ForgetTasks(v8::Isolate *isolate, const std::shared_ptr<TaskQueue> &queue);
/// Has the isolate that runs on this thread collect garbage when its code next looks, and end if it is over its limits all the same.
void AskForRoom(Account *account);
/// Has an isolate end for its limit when its code next looks. On its thread.
void EndOverLimit(cv8_isolate *state);
/// Runs what is queued now; false when nothing was.
bool RunTasks(TaskQueue &queue);
/// The current isolate's state, or null.
cv8_isolate *Current();
inline cv8_isolate *StateOf(v8::Isolate *isolate) { return static_cast<cv8_isolate *>(isolate->GetData(0)); }

/// Functions and texts that snapshots refer to, in an order that is the same in builder and cells.
const intptr_t *ExternalReferences();
void Trampoline(const v8::FunctionCallbackInfo<v8::Value> &info);
void OnFatalError(const char *location, const char *message);
/// Tells whoever started the engine that V8 cannot go on on this thread; does not return.
[[noreturn]] void Fatal(bool out_of_memory, const char *location, const char *message);
/// Has a fault below a fiber's stack end as a turn that is out of memory does.
void WatchForOverflow();
/// What every isolate is set up with.
void Configure(cv8_isolate *state);
/// Makes the context that the snapshot holds and looks up the runtime's objects, and a tenant's modules where it has them.
bool TakeContext(cv8_isolate *state);
/// Makes `internal` with its operations and functions in a new context, for the snapshot.
v8::Local<v8::Object> MakeInternal(v8::Local<v8::Context> context);
/// Makes texts of the bundle's modules that snapshots refer to, and the list of references with them.
void ShareTexts(cv8_isolate *state, const cv8_module *modules, size_t count);
/// Adds the modules that were loaded to what the snapshot keeps, and forgets them.
void StoreModules(cv8_isolate *state, v8::Local<v8::Context> context);
/// Takes up the modules that a tenant's snapshot holds.
bool RestoreModules(cv8_isolate *state, v8::Local<v8::Context> context);
/// The number of the source with this name, or SIZE_MAX.
size_t SourceIndex(const std::string &name);
/// Compiles and runs source `index` and calls the function it yields with `internal`.
v8::MaybeLocal<v8::Value> RunSource(v8::Local<v8::Context> context, size_t index, v8::Local<v8::Object> internal);
void AddInternalFunctions(v8::Local<v8::Context> context, v8::Local<v8::Object> internal);
void AppendInternalReferences(std::vector<intptr_t> *references);

/// Compiles, links and evaluates the main module.
v8::MaybeLocal<v8::Module> LoadMain(cv8_isolate *state, v8::Local<v8::Context> context);
v8::MaybeLocal<v8::Promise> ImportDynamically(v8::Local<v8::Context> context, v8::Local<v8::Value> referrer, v8::Local<v8::String> specifier);
void InitializeImportMeta(v8::Local<v8::Context> context, v8::Local<v8::Module> module, v8::Local<v8::Object> meta);
void ThenCallback(const v8::FunctionCallbackInfo<v8::Value> &info);
void ImportNow(const v8::FunctionCallbackInfo<v8::Value> &info);
v8::MaybeLocal<v8::Value> EvaluateData(v8::Local<v8::Context> context, v8::Local<v8::Module> module);

/// Suspends the turn here if somebody asked for that. At the end of functions that JavaScript calls: V8 itself looks for interrupts only now and
/// then in a loop that is not optimised, and with each turn of it such a function may take long.
void GiveWay(cv8_isolate *state);

/// The request that what runs now belongs to, 0 for none. Leaves no handle behind: suspensions come in the middle of the tenant's code.
double CurrentRequest(v8::Isolate *isolate);
void OnPromiseRejection(v8::PromiseRejectMessage message);
/// An error as text, without running the tenant's code.
void Describe(v8::Isolate *isolate, v8::Local<v8::Context> context, v8::TryCatch &caught, cv8_error *error);
void SetError(cv8_error *error, const std::string &text);

inline v8::Local<v8::String> Text(v8::Isolate *isolate, const char *text) {
  return v8::String::NewFromUtf8(isolate, text, v8::NewStringType::kInternalized).ToLocalChecked();
}
/// Empty where it is longer than a string of V8's can be.
inline v8::Local<v8::String> Text(v8::Isolate *isolate, const std::string &text) {
  v8::Local<v8::String> made;
  if (text.size() > static_cast<size_t>(v8::String::kMaxLength) ||
      !v8::String::NewFromUtf8(isolate, text.data(), v8::NewStringType::kNormal, static_cast<int>(text.size())).ToLocal(&made)) {
    return v8::String::Empty(isolate);
  }
  return made;
}

}  // namespace cv8
