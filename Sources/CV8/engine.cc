// Start-up, the base snapshot, and isolates made from it.
#include <dlfcn.h>
#include <malloc.h>
#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "internal.h"

namespace cv8 {

cv8_options options;
bool jitless = false;

namespace {

std::vector<SharedText *> *source_texts = new std::vector<SharedText *>;
std::vector<intptr_t> *references = new std::vector<intptr_t>;

/// Source that code may be made from, as a part of the tenant's memory: the parser takes several times its size, which nothing else counts.
constexpr size_t kEvalSourcePart = 16;
constexpr size_t kYoungGenerationBytes = 3 << 20;
/// A page for new objects, one to copy into what survives of them, one that counts for large ones. What V8 begins with is four times as large, and an isolate
/// touches it in its first few hundred requests. It grows where much survives.
constexpr size_t kFirstYoungGenerationBytes = 3 * (256 << 10);
/// Isolates are made before their limit is known, with a heap limit that is lowered or raised later. With gigabytes V8 10.2 sizes an isolate's
/// spaces larger from the start: 1.4 MiB more for each. The old generation is first collected at the second size.
constexpr size_t kPreliminaryHeapBytes = size_t{512} << 20;
constexpr size_t kFirstCollectionBytes = 16 << 20;

bool Entropy(unsigned char *buffer, size_t length) {
  while (length > 0) {
    ssize_t count = getrandom(buffer, length, 0);
    if (count <= 0) return false;
    buffer += count;
    length -= static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

void Fatal(bool out_of_memory, const char *location, const char *message) {
  cv8_isolate *state = Current();
  options.fatal(state ? state->user : nullptr, out_of_memory, location ? location : "", message ? message : "");
  __builtin_trap();
}

void EndOverLimit(cv8_isolate *state) {
  state->over_limit = true;
  state->terminated = true;
  state->isolate->TerminateExecution();
}

void OnFatalError(const char *location, const char *message) { Fatal(false, location, message); }

namespace {

#if V8_MAJOR_VERSION >= 11
void OnOutOfMemory(const char *location, const v8::OOMDetails &details) { Fatal(true, location, details.detail); }
#else
void OnOutOfMemory(const char *location, bool) { Fatal(true, location, ""); }
#endif

size_t OnNearHeapLimit(void *data, size_t current, size_t) {
  cv8_isolate *state = static_cast<cv8_isolate *>(data);
  size_t limit = state->account->limit;
  if (current < limit) return limit;
  EndOverLimit(state);
  return std::max(current, state->account->Most());
}

/// Whether a tenant may make code from a string.
v8::ModifyCodeGenerationFromStringsResult MayEvaluate(v8::Local<v8::Context> context, v8::Local<v8::Value> source, bool) {
  cv8_isolate *state = StateOf(context->GetIsolate());
  v8::ModifyCodeGenerationFromStringsResult result;
  result.codegen_allowed =
      state && state->allow_eval && (!source->IsString() || static_cast<size_t>(source.As<v8::String>()->Length()) <= state->account->limit / kEvalSourcePart);
  return result;
}

v8::Local<v8::String> SourceText(v8::Isolate *isolate, size_t index) {
  return v8::String::NewExternalOneByte(isolate, (*source_texts)[index]).ToLocalChecked();
}

}  // namespace

const intptr_t *ExternalReferences() { return references->data(); }

size_t SourceIndex(const std::string &name) {
  for (size_t i = 0; i < options.source_count; i++) {
    if (options.sources[i].name == name) return i;
  }
  return SIZE_MAX;
}

v8::MaybeLocal<v8::Value> RunSource(v8::Local<v8::Context> context, size_t index, v8::Local<v8::Object> internal) {
  v8::Isolate *isolate = context->GetIsolate();
  v8::EscapableHandleScope scope(isolate);
  v8::Local<v8::String> name = Text(isolate, std::string("cloister:") + options.sources[index].name);
#if V8_MAJOR_VERSION >= 12
  v8::ScriptOrigin origin(name);
#else
  v8::ScriptOrigin origin(isolate, name);
#endif
  v8::Local<v8::Script> script;
  v8::Local<v8::Value> made, result;
  if (!v8::Script::Compile(context, SourceText(isolate, index), &origin).ToLocal(&script) || !script->Run(context).ToLocal(&made)) return {};
  if (!made->IsFunction()) return scope.Escape(made);
  v8::Local<v8::Value> arguments[] = {internal};
  if (!made.As<v8::Function>()->Call(context, v8::Undefined(isolate), 1, arguments).ToLocal(&result)) return {};
  return scope.Escape(result);
}

v8::Local<v8::Object> MakeInternal(v8::Local<v8::Context> context) {
  v8::Isolate *isolate = context->GetIsolate();
  v8::EscapableHandleScope scope(isolate);
  v8::Local<v8::Object> internal = v8::Object::New(isolate);
  v8::Local<v8::Object> ops = v8::Object::New(isolate);
  for (size_t i = 0; i < options.operation_count; i++) {
    v8::Local<v8::Function> function =
        v8::Function::New(context, Trampoline, v8::Integer::New(isolate, static_cast<int>(i)), 0, v8::ConstructorBehavior::kThrow).ToLocalChecked();
    v8::Local<v8::String> name = Text(isolate, options.operations[i].name);
    function->SetName(name);
    ops->Set(context, name, function).Check();
  }
  internal->Set(context, Text(isolate, "ops"), ops).Check();
  internal->Set(context, Text(isolate, "hooks"), v8::Array::New(isolate)).Check();
  AddInternalFunctions(context, internal);
  return scope.Escape(internal);
}

void SetError(cv8_error *error, const std::string &text) {
  cv8_error_clear(error);
  error->text = static_cast<char *>(malloc(text.size() + 1));
  if (!error->text) return;
  memcpy(error->text, text.data(), text.size());
  error->text[text.size()] = 0;
  error->length = text.size();
}

void Describe(v8::Isolate *isolate, v8::Local<v8::Context> context, v8::TryCatch &caught, cv8_error *error) {
  v8::Local<v8::Message> message = caught.Message();
  if (message.IsEmpty()) return SetError(error, "unknown error");
  v8::String::Utf8Value text(isolate, message->Get());
  std::string result(*text ? *text : "unknown error", *text ? static_cast<size_t>(text.length()) : 13);
  if (result.rfind("Uncaught ", 0) == 0) result.erase(0, 9);
  v8::String::Utf8Value name(isolate, message->GetScriptResourceName());
  int line = message->GetLineNumber(context).FromMaybe(0);
  if (line > 0 && *name) result += std::string("\n    at ") + *name + ":" + std::to_string(line) + ":" + std::to_string(message->GetStartColumn(context).FromMaybe(0) + 1);
  SetError(error, result);
}

/// What every isolate is set up with.
void Configure(cv8_isolate *state) {
  v8::Isolate *isolate = state->isolate;
  state->tasks = TasksOf(isolate);
  isolate->SetData(0, state);
  isolate->SetMicrotasksPolicy(v8::MicrotasksPolicy::kExplicit);
  isolate->SetFatalErrorHandler(OnFatalError);
  isolate->SetOOMErrorHandler(OnOutOfMemory);
  isolate->AddNearHeapLimitCallback(OnNearHeapLimit, state);
  isolate->SetPromiseRejectCallback(OnPromiseRejection);
  isolate->SetAllowAtomicsWait(false);
  isolate->SetModifyCodeGenerationFromStringsCallback(MayEvaluate);
  isolate->SetCaptureStackTraceForUncaughtExceptions(false);
  // Where nobody listens V8 prints what was not caught: exceptions of microtasks and of finalizers. The builder's list of listeners would be in its snapshot.
  if (!state->creator) isolate->AddMessageListener([](v8::Local<v8::Message>, v8::Local<v8::Value>) {});
#if V8_MAJOR_VERSION >= 13
  isolate->SetHostImportModuleDynamicallyCallback(
      [](v8::Local<v8::Context> context, v8::Local<v8::Data>, v8::Local<v8::Value> referrer, v8::Local<v8::String> specifier, v8::Local<v8::FixedArray>) {
        return ImportDynamically(context, referrer, specifier);
      });
#else
  isolate->SetHostImportModuleDynamicallyCallback(static_cast<v8::HostImportModuleDynamicallyCallback>(
      [](v8::Local<v8::Context> context, v8::Local<v8::Data>, v8::Local<v8::Value> referrer, v8::Local<v8::String> specifier, v8::Local<v8::FixedArray>) {
        return ImportDynamically(context, referrer, specifier);
      }));
#endif
  isolate->SetHostInitializeImportMetaObjectCallback(InitializeImportMeta);
}

/// Makes the context that the snapshot holds and looks up the runtime's objects, and a tenant's modules where it has them.
bool TakeContext(cv8_isolate *state) {
  v8::Isolate *isolate = state->isolate;
  v8::Isolate::Scope entered(isolate);
  v8::HandleScope handles(isolate);
  v8::Local<v8::Context> context;
  {
    // V8 adds to the context what it left out of the snapshot, and looks things up on the way: a getter of the tenant's would run here, where
    // nothing limits it. Whether one would be called depends on the snapshot alone, so that its trial has shown it (cv8_builder_finish).
    v8::Isolate::DisallowJavascriptExecutionScope no_javascript(isolate, v8::Isolate::DisallowJavascriptExecutionScope::THROW_ON_FAILURE);
    context = v8::Context::New(isolate);
  }
  v8::Local<v8::Object> internal;
  if (context.IsEmpty() || !context->GetDataFromSnapshotOnce<v8::Object>(0).ToLocal(&internal)) return false;
  v8::Context::Scope scope(context);
  state->context.Reset(isolate, context);
  state->internal.Reset(isolate, internal);
  v8::Local<v8::Value> hooks;
  if (!internal->Get(context, Text(isolate, "hooks")).ToLocal(&hooks) || !hooks->IsArray()) return false;
  uint32_t count = hooks.As<v8::Array>()->Length();
  for (uint32_t i = 0; i < count; i++) {
    v8::Local<v8::Value> hook;
    v8::Global<v8::Function> &slot = state->hooks.emplace_back();
    if (hooks.As<v8::Array>()->Get(context, i).ToLocal(&hook) && hook->IsFunction()) slot.Reset(isolate, hook.As<v8::Function>());
  }
  return state->creator || state->bundle.empty() || RestoreModules(state, context);
}

namespace {

/// V8 keeps a second stack limit, for the optimising compiler, in its LocalIsolate of the main thread: that of the thread that the isolate was made on,
/// which SetStackLimit leaves as it is. On a fiber below it the compiler takes the stack for used up, and inlines no call of a builtin where there is a
/// loop; on one above it does not see when a stack is. The limit stands behind the LocalHeap, the pointer to the isolate and two more words (src/execution/local-isolate.h);
/// it is taken for what it is only if it lies where the calling thread's would.
/// - Returns: where it is; null where it was not found, as with another version of V8.
uintptr_t *FindCompilerStackLimit(v8::Isolate *isolate) {
  using Getter = uintptr_t *(*)(v8::Isolate *);
  static const Getter local_heap = reinterpret_cast<Getter>(dlsym(RTLD_DEFAULT, "_ZN2v88internal7Isolate22main_thread_local_heapEv"));
  uintptr_t *words = local_heap ? local_heap(isolate) : nullptr;
  if (!words) return nullptr;
  // The LocalHeap is 13 words in 10.2, and what follows the limit has more than is looked at here.
  constexpr size_t kFirst = 10, kLast = 16, kDistance = 3;
  constexpr uintptr_t kMost = 512 << 10;
  uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  for (size_t i = kFirst; i <= kLast; i++) {
    if (words[i] == reinterpret_cast<uintptr_t>(isolate) && here - words[i + kDistance] <= kMost) return words + i + kDistance;
  }
  return nullptr;
}

cv8_status MakeIsolate(const uint8_t *snapshot, size_t snapshot_length, const cv8_module *modules, size_t module_count, cv8_isolate **out) {
  auto state = std::make_unique<cv8_isolate>();
  state->buffers = std::make_unique<BufferAllocator>(state->account.get());
  ShareTexts(state.get(), modules, module_count);
  v8::StartupData blob{reinterpret_cast<const char *>(snapshot), static_cast<int>(snapshot_length)};
  v8::Isolate::CreateParams params;
  params.snapshot_blob = &blob;
  params.external_references = modules ? state->references.data() : ExternalReferences();
  params.array_buffer_allocator = state->buffers.get();
  params.constraints.set_max_old_generation_size_in_bytes(kPreliminaryHeapBytes);
  params.constraints.set_initial_old_generation_size_in_bytes(kFirstCollectionBytes);
  params.constraints.set_max_young_generation_size_in_bytes(kYoungGenerationBytes);
  params.constraints.set_initial_young_generation_size_in_bytes(kFirstYoungGenerationBytes);
  SetCurrentAccount(state->account.get());
  v8::Isolate *isolate;
  {
    BlocksAreCharged charged(state->account.get());
    isolate = v8::Isolate::Allocate();
    // One that lay at this address may be gone without its tasks being forgotten yet.
    ForgetTasks(isolate, nullptr);
    v8::Isolate::Initialize(isolate, params);
  }
  state->isolate = isolate;
  state->compiler_stack_limit = FindCompilerStackLimit(isolate);
  void *code_range = nullptr;
  size_t code_range_length = 0;
  isolate->GetCodeRange(&code_range, &code_range_length);
  if (code_range) NoteCodeRange(code_range, state->account.get());
  Configure(state.get());
  bool complete = TakeContext(state.get());
  SetCurrentAccount(nullptr);
  isolate_count++;
  *out = state.release();
  if (!complete) {
    cv8_isolate_dispose(*out);
    *out = nullptr;
    return CV8_OUT_OF_MEMORY;
  }
  return CV8_OK;
}

}  // namespace
}  // namespace cv8

using cv8::Text;

extern "C" {

void cv8_error_clear(cv8_error *error) {
  free(error->text);
  error->text = nullptr;
  error->length = 0;
}

const char *cv8_version(void) { return v8::V8::GetVersion(); }

const char *cv8_fixed_flags(void) {
  return "--single-threaded --no-verify-snapshot-checksum --stack-size=400"
         // Code marked as asm.js runs as the JavaScript that it is: the other way of it has buffers that cannot be transferred, and a compiler of its own.
         " --no-validate-asm"
         // A tenant that keeps its heap full runs into its CPU limit; V8 would end the process.
         " --no-detect-ineffective-gcs-near-heap-limit"
         // V8 optimises on the thread that runs the tenant and looks for interrupts only afterwards: less is inlined into a function than V8's own 920
         // bytes of bytecode (docs/decisions/0017-when-v8-looks.md).
         " --max-inlined-bytecode-size-cumulative=200"
#if V8_MAJOR_VERSION >= 13
         // Then only contexts that are asked for it have the constructor, and none is.
         " --enable-sharedarraybuffer-per-context"
#else
         " --no-harmony-sharedarraybuffer"
#endif
#if V8_MAJOR_VERSION < 11
         // Or a Wasm memory could be shared, and its buffer would be what the flag above takes away. Later versions have no such flag.
         " --no-experimental-wasm-threads"
#endif
#if V8_MAJOR_VERSION < 12
         " --interrupt-budget=10000"
         // A function is optimised after as much bytecode as by V8's own flags (3 budgets of 135,168 bytes), small ones, too. Who is rarely
         // called gains by it, who is busy loses some (docs/decisions/0017-when-v8-looks.md).
         " --ticks-before-optimization=40 --bytecode-size-allowance-per-tick=81 --max-bytecode-size-for-early-opt=0"
         // A loop of WebAssembly looks for interrupts each time round, and not only when V8 counts for tiering up (docs/decisions/0017-when-v8-looks.md).
         " --no-wasm-dynamic-tiering --no-wasm-tier-up"
#endif
      ;
}

cv8_status cv8_start(const cv8_options *given) {
  cv8::options = *given;
  std::string flags(given->flags, given->flags_length);
  cv8::jitless = flags.find("--jitless") != std::string::npos;
  v8::V8::SetFlagsFromString(cv8_fixed_flags());
  v8::V8::SetFlagsFromString(flags.data(), flags.size());
  v8::V8::SetEntropySource(cv8::Entropy);
  if (!cv8::WatchNativeMemory()) return CV8_INVALID;
  cv8::WatchForOverflow();
  v8::V8::InitializePlatform(cv8::ThePlatform());
  if (!v8::V8::Initialize()) return CV8_INVALID;
  cv8::references->push_back(reinterpret_cast<intptr_t>(cv8::Trampoline));
  cv8::AppendInternalReferences(cv8::references);
  for (size_t i = 0; i < given->source_count; i++) {
    auto *text = new cv8::SharedText(given->sources[i].text, given->sources[i].length);
    cv8::source_texts->push_back(text);
    cv8::references->push_back(reinterpret_cast<intptr_t>(static_cast<v8::String::ExternalStringResourceBase *>(text)));
  }
  cv8::references->push_back(0);
  return CV8_OK;
}

cv8_status cv8_isolate_new(const uint8_t *snapshot, size_t snapshot_length, cv8_isolate **out) {
  return cv8::MakeIsolate(snapshot, snapshot_length, nullptr, 0, out);
}

cv8_status cv8_isolate_revive(const uint8_t *snapshot, size_t snapshot_length, const cv8_module *modules, size_t module_count, cv8_isolate **out) {
  return cv8::MakeIsolate(snapshot, snapshot_length, modules, module_count, out);
}

void cv8_isolate_assign(cv8_isolate *state, const cv8_owner *owner) {
  state->user = owner->user;
  state->account->limit = owner->memory_limit_bytes;
  state->account->owner = state;
  cv8::SetCurrentAccount(state->account.get());
  {
    v8::Isolate::Scope entered(state->isolate);
    v8::HandleScope handles(state->isolate);
    // Then V8 asks each time.
    state->context.Get(state->isolate)->AllowCodeGenerationFromStrings(false);
    state->allow_eval = owner->allow_eval;
    // The only way that V8's API has to lower the limit.
    state->isolate->RemoveNearHeapLimitCallback(cv8::OnNearHeapLimit, owner->memory_limit_bytes);
    state->isolate->AddNearHeapLimitCallback(cv8::OnNearHeapLimit, state);
  }
  cv8::SetCurrentAccount(nullptr);
}

void cv8_isolate_dispose(cv8_isolate *state) {
  state->account->owner = nullptr;
  cv8::SetCurrentAccount(state->account.get());
  state->rejections.clear();
  state->modules.clear();
  state->lazy_results.clear();
  state->hooks.clear();
  state->internal.Reset();
  state->context.Reset();
  v8::Isolate *isolate = state->isolate;
  isolate->RemoveNearHeapLimitCallback(cv8::OnNearHeapLimit, 0);
  state->account->is_ending = true;
  isolate->Dispose();
  cv8::ForgetTasks(isolate, state->tasks);
  cv8::SetCurrentAccount(nullptr);
  cv8::isolate_count--;
  delete state;
}

cv8_status cv8_isolate_code(cv8_isolate *state, int32_t module, uint8_t **code, size_t *length) {
  auto found = state->modules.find(module);
  if (found == state->modules.end() || found->second->script.IsEmpty()) return CV8_INVALID;
  std::unique_ptr<v8::ScriptCompiler::CachedData> made;
  cv8::SetCurrentAccount(state->account.get());
  {
    v8::Isolate::Scope entered(state->isolate);
    v8::HandleScope handles(state->isolate);
    made.reset(v8::ScriptCompiler::CreateCodeCache(found->second->script.Get(state->isolate)));
  }
  cv8::SetCurrentAccount(nullptr);
  if (!made) return CV8_OUT_OF_MEMORY;
  *code = static_cast<uint8_t *>(malloc(static_cast<size_t>(made->length)));
  if (!*code) return CV8_OUT_OF_MEMORY;
  *length = static_cast<size_t>(made->length);
  memcpy(*code, made->data, *length);
  return CV8_OK;
}

size_t cv8_isolate_code_taken(const cv8_isolate *state) { return state->code_taken; }

void cv8_isolate_memory(const cv8_isolate *state, cv8_memory *out) {
  out->page_bytes = state->account->pages;
  out->array_buffer_bytes = state->account->buffers;
  out->native_bytes = state->account->native - 1;
  out->limit_bytes = state->account->limit;
  out->over_limit = state->over_limit;
}

void cv8_process_trim(void) { malloc_trim(0); }

void cv8_isolate_trim(cv8_isolate *state) {
  cv8::SetCurrentAccount(state->account.get());
  {
    v8::Isolate::Scope entered(state->isolate);
    state->isolate->LowMemoryNotification();
  }
  cv8::SetCurrentAccount(nullptr);
}

}  // extern "C"
