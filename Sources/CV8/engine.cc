// Start-up, the base snapshot, and isolates made from it.
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
/// Isolates are made before their limit is known, with a heap limit that is lowered or raised later. With gigabytes V8 10.2 sizes an isolate's
/// spaces larger from the start: 1.4 MiB more for each. The old generation is first collected at the second size.
constexpr size_t kPreliminaryHeapBytes = size_t{512} << 20;
constexpr size_t kFirstCollectionBytes = 16 << 20;
/// The hash of the flags in a snapshot's header.
constexpr size_t kFlagHashBytes = 4;

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

void OnFatalError(const char *location, const char *message) { Fatal(false, location, message); }

namespace {

#if V8_MAJOR_VERSION >= 11
void OnOutOfMemory(const char *location, const v8::OOMDetails &details) { Fatal(true, location, details.detail); }
#else
void OnOutOfMemory(const char *location, bool) { Fatal(true, location, ""); }
#endif

size_t OnNearHeapLimit(void *data, size_t current, size_t) {
  cv8_isolate *state = static_cast<cv8_isolate *>(data);
  size_t limit = state->account.limit;
  if (current < limit) return limit;
  state->over_limit = true;
  state->terminated = true;
  state->isolate->TerminateExecution();
  return std::max(current, state->account.Most());
}

/// Operations are called through one function; which one is in its data.
void Trampoline(const v8::FunctionCallbackInfo<v8::Value> &info);

/// Whether a tenant may make code from a string.
v8::ModifyCodeGenerationFromStringsResult MayEvaluate(v8::Local<v8::Context> context, v8::Local<v8::Value> source, bool) {
  cv8_isolate *state = StateOf(context->GetIsolate());
  v8::ModifyCodeGenerationFromStringsResult result;
  result.codegen_allowed =
      state && state->allow_eval && (!source->IsString() || static_cast<size_t>(source.As<v8::String>()->Length()) <= state->account.limit / kEvalSourcePart);
  return result;
}

v8::Local<v8::String> SourceText(v8::Isolate *isolate, size_t index) {
  return v8::String::NewExternalOneByte(isolate, (*source_texts)[index]).ToLocalChecked();
}

}  // namespace

const intptr_t *ExternalReferences() { return references->data(); }

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

// The operations' view of their call.
}  // namespace cv8

struct cv8_call {
  const v8::FunctionCallbackInfo<v8::Value> *info;
  v8::Isolate *isolate;
  cv8_isolate *state;
};

namespace cv8 {
namespace {
void Trampoline(const v8::FunctionCallbackInfo<v8::Value> &info) {
  v8::Isolate *isolate = info.GetIsolate();
  cv8_call call{&info, isolate, StateOf(isolate)};
  if (!call.state) {
    isolate->ThrowException(v8::Exception::Error(Text(isolate, "operations cannot be called while the base snapshot is built")));
    return;
  }
  options.operations[info.Data().As<v8::Int32>()->Value()].function(&call);
  GiveWay(call.state);
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
  v8::Local<v8::Context> context = v8::Context::New(isolate);
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

bool Random(cv8_isolate *state, v8::Local<v8::Context> context, v8::Local<v8::Function> function, double *number) {
  v8::Local<v8::Value> value;
  if (!function->Call(context, v8::Undefined(state->isolate), 0, nullptr).ToLocal(&value) || !value->IsNumber()) return false;
  *number = value.As<v8::Number>()->Value();
  return true;
}

bool MathRandom(cv8_isolate *state, v8::Local<v8::Context> context, v8::Local<v8::Function> *function) {
  v8::Local<v8::Value> math, random;
  if (!context->Global()->Get(context, Text(state->isolate, "Math")).ToLocal(&math) || !math->IsObject()) return false;
  if (!math.As<v8::Object>()->Get(context, Text(state->isolate, "random")).ToLocal(&random) || !random->IsFunction()) return false;
  *function = random.As<v8::Function>();
  return true;
}

/// With a fixed seed every context has the same first random number: whoever finds another one later is not the first to ask.
bool WatchRandomness(cv8_isolate *state) {
  v8::HandleScope handles(state->isolate);
  v8::Local<v8::Function> random;
  {
    v8::Local<v8::Context> context = state->context.Get(state->isolate);
    v8::Context::Scope scope(context);
    if (!MathRandom(state, context, &random)) return false;
    state->random.Reset(state->isolate, random);
  }
  v8::Local<v8::Context> other = v8::Context::New(state->isolate);
  v8::Context::Scope scope(other);
  return MathRandom(state, other, &random) && Random(state, other, random, &state->first_random);
}

cv8_status CopyBlob(v8::StartupData data, uint8_t **blob, size_t *length) {
  if (!data.data) return CV8_OUT_OF_MEMORY;
  *length = static_cast<size_t>(data.raw_size);
  *blob = static_cast<uint8_t *>(malloc(*length));
  if (*blob) memcpy(*blob, data.data, *length);
  delete[] data.data;
  return *blob ? CV8_OK : CV8_OUT_OF_MEMORY;
}

/// Where a blob's read-only heap lies. V8's header (src/snapshot/snapshot.cc): some numbers, the version in 64 bytes, from 11 on a hash of the
/// flags, then where the sections begin, the read-only one first.
bool ReadOnlySection(const uint8_t *blob, size_t length, size_t *start, size_t *end) {
  constexpr size_t kVersionBytes = 64;
  const char *version = v8::V8::GetVersion();
  size_t version_length = strlen(version);
  for (size_t at = 0; at <= 32; at += 4) {
    if (length < at + kVersionBytes + 16 || memcmp(blob + at, version, version_length) != 0) continue;
    size_t offsets = at + kVersionBytes + (V8_MAJOR_VERSION >= 11 ? kFlagHashBytes : 0);
    uint32_t found[2];
    memcpy(found, blob + offsets, sizeof found);
    *start = found[0];
    *end = found[1];
    return *start >= offsets && *start < *end && *end <= length;
  }
  return false;
}

cv8_status MakeIsolate(const uint8_t *snapshot, size_t snapshot_length, const cv8_module *modules, size_t module_count, cv8_isolate **out) {
  auto state = std::make_unique<cv8_isolate>();
  state->buffers = std::make_unique<BufferAllocator>(&state->account);
  ShareTexts(state.get(), modules, module_count);
  v8::StartupData blob{reinterpret_cast<const char *>(snapshot), static_cast<int>(snapshot_length)};
  v8::Isolate::CreateParams params;
  params.snapshot_blob = &blob;
  params.external_references = modules ? state->references.data() : ExternalReferences();
  params.array_buffer_allocator = state->buffers.get();
  params.constraints.set_max_old_generation_size_in_bytes(kPreliminaryHeapBytes);
  params.constraints.set_initial_old_generation_size_in_bytes(kFirstCollectionBytes);
  params.constraints.set_max_young_generation_size_in_bytes(kYoungGenerationBytes);
  SetCurrentAccount(&state->account);
  v8::Isolate *isolate = v8::Isolate::New(params);
  if (!isolate) {
    SetCurrentAccount(nullptr);
    return CV8_OUT_OF_MEMORY;
  }
  state->isolate = isolate;
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
  return "--single-threaded --no-verify-snapshot-checksum --no-regexp-tier-up --stack-size=400"
         // A tenant that keeps its heap full runs into its CPU limit; V8 would end the process.
         " --no-detect-ineffective-gcs-near-heap-limit"
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

cv8_status cv8_snapshot_build(uint8_t **blob, size_t *length, cv8_error *error) {
  v8::SnapshotCreator creator(cv8::ExternalReferences());
  v8::Isolate *isolate = creator.GetIsolate();
  isolate->SetFatalErrorHandler(cv8::OnFatalError);
  bool failed = false;
  {
    v8::HandleScope handles(isolate);
    v8::Local<v8::Context> context = v8::Context::New(isolate);
    v8::Context::Scope scope(context);
    v8::TryCatch caught(isolate);
    v8::Local<v8::Object> internal = cv8::MakeInternal(context);
    for (size_t i = 0; i < cv8::options.source_count && !failed; i++) {
      if (cv8::options.sources[i].lazy) continue;
      if (cv8::RunSource(context, i, internal).IsEmpty()) {
        cv8::Describe(isolate, context, caught, error);
        failed = true;
      }
    }
    isolate->PerformMicrotaskCheckpoint();
    creator.AddData(context, internal);
    creator.SetDefaultContext(context);
  }
  v8::StartupData data = creator.CreateBlob(v8::SnapshotCreator::FunctionCodeHandling::kKeep);
  return failed ? CV8_EXCEPTION : cv8::CopyBlob(data, blob, length);
}

cv8_status cv8_isolate_new(const uint8_t *snapshot, size_t snapshot_length, cv8_isolate **out) {
  return cv8::MakeIsolate(snapshot, snapshot_length, nullptr, 0, out);
}

cv8_status cv8_isolate_revive(const uint8_t *snapshot, size_t snapshot_length, const cv8_module *modules, size_t module_count, cv8_isolate **out) {
  return cv8::MakeIsolate(snapshot, snapshot_length, modules, module_count, out);
}

cv8_status cv8_builder_new(const uint8_t *base, size_t base_length, const cv8_module *modules, size_t module_count, cv8_isolate **out) {
  auto state = std::make_unique<cv8_isolate>();
  state->buffers = std::make_unique<cv8::BufferAllocator>(&state->account);
  cv8::ShareTexts(state.get(), modules, module_count);
  // The creator keeps a pointer to the description, too.
  auto *blob = new v8::StartupData{reinterpret_cast<const char *>(base), static_cast<int>(base_length)};
  state->creator = std::make_unique<v8::SnapshotCreator>(state->references.data(), blob);
  state->isolate = state->creator->GetIsolate();
  cv8::Configure(state.get());
  if (!cv8::TakeContext(state.get()) || !cv8::WatchRandomness(state.get())) return CV8_OUT_OF_MEMORY;
  *out = state.release();
  return CV8_OK;
}

cv8_status cv8_builder_finish(cv8_isolate *state, uint8_t **out, size_t *length) {
  v8::Isolate *isolate = state->isolate;
  {
    v8::HandleScope handles(isolate);
    v8::Local<v8::Context> context = state->context.Get(isolate);
    v8::Context::Scope scope(context);
    state->creator->AddData(context, state->internal.Get(isolate));
    cv8::StoreModules(state, context);
    state->rejections.clear();
    state->hooks.clear();
    state->random.Reset();
    state->internal.Reset();
    state->context.Reset();
    state->creator->SetDefaultContext(context);
  }
  v8::StartupData data = state->creator->CreateBlob(v8::SnapshotCreator::FunctionCodeHandling::kKeep);
  return cv8::CopyBlob(data, out, length);
}

void cv8_builder_saw(cv8_isolate *state, bool *time, bool *randomness) {
  *time = state->saw_time;
  v8::HandleScope handles(state->isolate);
  v8::Local<v8::Context> context = state->context.Get(state->isolate);
  v8::Context::Scope scope(context);
  double number = -1;
  *randomness = !cv8::Random(state, context, state->random.Get(state->isolate), &number) || number != state->first_random;
}

bool cv8_snapshot_fits(const uint8_t *base, size_t base_length, const uint8_t *blob, size_t length) {
  size_t start, end, other_start, other_end;
  if (!cv8::ReadOnlySection(base, base_length, &start, &end) || !cv8::ReadOnlySection(blob, length, &other_start, &other_end)) return false;
  return end - start == other_end - other_start && memcmp(base + start, blob + other_start, end - start) == 0;
}

void cv8_isolate_assign(cv8_isolate *state, const cv8_owner *owner) {
  state->user = owner->user;
  state->account.limit = owner->memory_limit_bytes;
  cv8::SetCurrentAccount(&state->account);
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
  cv8::SetCurrentAccount(&state->account);
  state->rejections.clear();
  state->modules.clear();
  state->lazy_results.clear();
  state->hooks.clear();
  state->internal.Reset();
  state->context.Reset();
  v8::Isolate *isolate = state->isolate;
  isolate->RemoveNearHeapLimitCallback(cv8::OnNearHeapLimit, 0);
  isolate->Dispose();
  cv8::ForgetTasks(isolate);
  cv8::Orphan(&state->account);
  cv8::SetCurrentAccount(nullptr);
  cv8::isolate_count--;
  delete state;
}

void cv8_isolate_memory(const cv8_isolate *state, cv8_memory *out) {
  out->page_bytes = state->account.pages;
  out->array_buffer_bytes = state->account.buffers;
  out->limit_bytes = state->account.limit;
  out->over_limit = state->over_limit;
}

void cv8_isolate_trim(cv8_isolate *state) {
  cv8::SetCurrentAccount(&state->account);
  {
    v8::Isolate::Scope entered(state->isolate);
    state->isolate->LowMemoryNotification();
  }
  cv8::SetCurrentAccount(nullptr);
}

// ------------------------------------------------------------------------------------------------------------ operations

void *cv8_call_user(const cv8_call *call) { return call->state->user; }
double cv8_call_time(const cv8_call *call) {
  call->state->saw_time = true;
  return call->state->time_ms;
}
int32_t cv8_call_count(const cv8_call *call) { return call->info->Length(); }

double cv8_call_request(const cv8_call *call) { return cv8::CurrentRequest(call->isolate); }

cv8_kind cv8_call_kind(const cv8_call *call, int32_t index) {
  v8::Local<v8::Value> value = (*call->info)[index];
  if (value->IsString()) return CV8_STRING;
  if (value->IsNumber()) return CV8_NUMBER;
  if (value->IsArrayBufferView() || value->IsArrayBuffer()) return CV8_BYTES;
  if (value->IsUndefined()) return CV8_UNDEFINED;
  if (value->IsNull()) return CV8_NULL;
  if (value->IsBoolean()) return CV8_BOOL;
  return CV8_OTHER;
}

double cv8_call_number(const cv8_call *call, int32_t index) {
  v8::Local<v8::Value> value = (*call->info)[index];
  return value->IsNumber() ? value.As<v8::Number>()->Value() : 0;
}

bool cv8_call_bool(const cv8_call *call, int32_t index) {
  v8::Local<v8::Value> value = (*call->info)[index];
  return value->IsBoolean() && value->IsTrue();
}

bool cv8_call_bytes(const cv8_call *call, int32_t index, uint8_t **data, size_t *length) {
  v8::Local<v8::Value> value = (*call->info)[index];
  if (value->IsArrayBufferView()) {
    v8::Local<v8::ArrayBufferView> view = value.As<v8::ArrayBufferView>();
    *data = static_cast<uint8_t *>(view->Buffer()->GetBackingStore()->Data()) + view->ByteOffset();
    *length = view->ByteLength();
    return true;
  }
  if (value->IsArrayBuffer()) {
    v8::Local<v8::ArrayBuffer> buffer = value.As<v8::ArrayBuffer>();
    *data = static_cast<uint8_t *>(buffer->GetBackingStore()->Data());
    *length = buffer->ByteLength();
    return true;
  }
  return false;
}

static v8::Local<v8::String> StringArgument(const cv8_call *call, int32_t index) {
  v8::Local<v8::Value> value = (*call->info)[index];
  return value->IsString() ? value.As<v8::String>() : v8::String::Empty(call->isolate);
}

size_t cv8_call_string(const cv8_call *call, int32_t index, bool *one_byte) {
  v8::Local<v8::String> text = StringArgument(call, index);
  *one_byte = text->ContainsOnlyOneByte();
  return static_cast<size_t>(text->Length());
}

size_t cv8_call_utf8_length(const cv8_call *call, int32_t index) {
  return static_cast<size_t>(StringArgument(call, index)->Utf8Length(call->isolate));
}

size_t cv8_call_write_utf8(const cv8_call *call, int32_t index, uint8_t *out, size_t capacity, size_t *units_read) {
  int units = 0;
  int written = StringArgument(call, index)->WriteUtf8(call->isolate, reinterpret_cast<char *>(out), static_cast<int>(capacity), &units,
                                                       v8::String::NO_NULL_TERMINATION | v8::String::REPLACE_INVALID_UTF8);
  if (units_read) *units_read = static_cast<size_t>(units);
  return static_cast<size_t>(written);
}

size_t cv8_call_write_latin1(const cv8_call *call, int32_t index, uint8_t *out, size_t capacity) {
  return static_cast<size_t>(
      StringArgument(call, index)->WriteOneByte(call->isolate, out, 0, static_cast<int>(capacity), v8::String::NO_NULL_TERMINATION));
}

size_t cv8_call_write_utf16(const cv8_call *call, int32_t index, uint16_t *out, size_t capacity) {
  return static_cast<size_t>(
      StringArgument(call, index)->Write(call->isolate, out, 0, static_cast<int>(capacity), v8::String::NO_NULL_TERMINATION));
}

void cv8_return_number(cv8_call *call, double number) { call->info->GetReturnValue().Set(number); }
void cv8_return_bool(cv8_call *call, bool value) { call->info->GetReturnValue().Set(value); }
void cv8_return_null(cv8_call *call) { call->info->GetReturnValue().SetNull(); }

static void ReturnString(cv8_call *call, v8::MaybeLocal<v8::String> made) {
  v8::Local<v8::String> text;
  if (made.ToLocal(&text)) {
    call->info->GetReturnValue().Set(text);
  } else {
    call->isolate->ThrowException(v8::Exception::RangeError(Text(call->isolate, "Invalid string length")));
  }
}

void cv8_return_latin1(cv8_call *call, const uint8_t *data, size_t length) {
  if (length > static_cast<size_t>(v8::String::kMaxLength)) return ReturnString(call, {});
  ReturnString(call, v8::String::NewFromOneByte(call->isolate, data, v8::NewStringType::kNormal, static_cast<int>(length)));
}
void cv8_return_utf8(cv8_call *call, const uint8_t *data, size_t length) {
  if (length > static_cast<size_t>(v8::String::kMaxLength)) return ReturnString(call, {});
  ReturnString(call, v8::String::NewFromUtf8(call->isolate, reinterpret_cast<const char *>(data), v8::NewStringType::kNormal, static_cast<int>(length)));
}
void cv8_return_utf16(cv8_call *call, const uint16_t *data, size_t length) {
  if (length > static_cast<size_t>(v8::String::kMaxLength)) return ReturnString(call, {});
  ReturnString(call, v8::String::NewFromTwoByte(call->isolate, data, v8::NewStringType::kNormal, static_cast<int>(length)));
}

uint8_t *cv8_return_bytes(cv8_call *call, size_t length) {
  void *data = call->state->buffers->Allocate(length);
  if (!data) {
    call->isolate->ThrowException(v8::Exception::RangeError(Text(call->isolate, "Array buffer allocation failed")));
    return nullptr;
  }
  auto store = v8::ArrayBuffer::NewBackingStore(
      data, length, [](void *memory, size_t size, void *allocator) { static_cast<cv8::BufferAllocator *>(allocator)->Free(memory, size); },
      call->state->buffers.get());
  v8::Local<v8::ArrayBuffer> buffer = v8::ArrayBuffer::New(call->isolate, std::move(store));
  call->info->GetReturnValue().Set(v8::Uint8Array::New(buffer, 0, length));
  return static_cast<uint8_t *>(data);
}

void cv8_throw(cv8_call *call, cv8_throw_kind kind, const char *message, size_t length) {
  v8::Local<v8::String> text = Text(call->isolate, std::string(message, length));
  v8::Local<v8::Value> error = kind == CV8_THROW_TYPE_ERROR    ? v8::Exception::TypeError(text)
                               : kind == CV8_THROW_RANGE_ERROR ? v8::Exception::RangeError(text)
                                                               : v8::Exception::Error(text);
  call->isolate->ThrowException(error);
}

}  // extern "C"
