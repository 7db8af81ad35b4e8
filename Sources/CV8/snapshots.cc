// Snapshots: the base, and tenants' that are built from it.
#include <cstring>

#include "internal.h"

namespace cv8 {

namespace {

/// The hash of the flags in a snapshot's header.
constexpr size_t kFlagHashBytes = 4;

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

/// Strings of V8's read-only heap that snapshots name by their place in a table: those of one character besides.
const char *const kReadOnlyStrings[] = {
    "hole", "uninitialized", "arguments_marker", "termination_exception", "exception", "optimized_out", "stale_register",
    "self_reference_marker", "basic_block_counters_marker", "undefined", "null", "true", "false", "object", "boolean",
    "Symbol.asyncIterator", "Symbol.hasInstance", "Symbol.isConcatSpreadable", "Symbol.iterator", "Symbol.match", "Symbol.matchAll",
    "Symbol.replace", "Symbol.search", "Symbol.species", "Symbol.split", "Symbol.toPrimitive", "Symbol.toStringTag", "Symbol.unscopables",
    "IntlLegacyConstructedSymbol"};

/// That table lists objects in the order in which a snapshot's serialisation meets them, which depends on the tenant's (the string table is walked
/// by hash), and it is part of the read-only section, which must be the same in all snapshots. Met first, they are always in this order.
void FixReadOnlyTable(v8::SnapshotCreator *creator, v8::Isolate *isolate) {
  for (int character = 0; character < 256; character++) {
    uint8_t byte = static_cast<uint8_t>(character);
    creator->AddData(v8::String::NewFromOneByte(isolate, &byte, v8::NewStringType::kInternalized, 1).ToLocalChecked());
  }
  for (const char *text : kReadOnlyStrings) creator->AddData(Text(isolate, text));
}

/// Puts stand-ins where V8 leaves things out of contexts while a snapshot is built.
bool AddStandIns(cv8_isolate *state) {
  v8::HandleScope handles(state->isolate);
  v8::Local<v8::Context> context = state->context.Get(state->isolate);
  v8::Context::Scope scope(context);
  size_t index = SourceIndex("builder");
  v8::Local<v8::Value> remove;
  if (index == SIZE_MAX) return true;
  if (!RunSource(context, index, state->internal.Get(state->isolate)).ToLocal(&remove) || !remove->IsFunction()) return false;
  state->remove_stand_ins.Reset(state->isolate, remove.As<v8::Function>());
  return true;
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

}  // namespace
}  // namespace cv8

extern "C" {

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
      cv8::operations_do_nothing = strcmp(cv8::options.sources[i].name, "warm-up") == 0;
      if (cv8::RunSource(context, i, internal).IsEmpty()) {
        cv8::Describe(isolate, context, caught, error);
        failed = true;
      }
    }
    isolate->PerformMicrotaskCheckpoint();
    cv8::operations_do_nothing = false;
    cv8::FixReadOnlyTable(&creator, isolate);
    creator.AddData(context, internal);
    creator.SetDefaultContext(context);
  }
  v8::StartupData data = creator.CreateBlob(v8::SnapshotCreator::FunctionCodeHandling::kKeep);
  return failed ? CV8_EXCEPTION : cv8::CopyBlob(data, blob, length);
}

cv8_status cv8_builder_new(const uint8_t *base, size_t base_length, const cv8_module *modules, size_t module_count, cv8_isolate **out) {
  auto state = std::make_unique<cv8_isolate>();
  state->buffers = std::make_unique<cv8::BufferAllocator>(state->account.get());
  cv8::ShareTexts(state.get(), modules, module_count);
  // The creator keeps a pointer to the description, too.
  auto *blob = new v8::StartupData{reinterpret_cast<const char *>(base), static_cast<int>(base_length)};
  state->creator = std::make_unique<v8::SnapshotCreator>(state->references.data(), blob);
  state->isolate = state->creator->GetIsolate();
  cv8::Configure(state.get());
  if (!cv8::TakeContext(state.get()) || !cv8::WatchRandomness(state.get()) || !cv8::AddStandIns(state.get())) return CV8_OUT_OF_MEMORY;
  *out = state.release();
  return CV8_OK;
}

void cv8_builder_saw(cv8_isolate *state, cv8_error *why) {
  v8::Isolate *isolate = state->isolate;
  v8::HandleScope handles(isolate);
  v8::Local<v8::Context> context = state->context.Get(isolate);
  v8::Context::Scope scope(context);
  v8::TryCatch caught(isolate);
  double number = -1;
  if (state->saw_time) return cv8::SetError(why, "a module looks at the clock at its top level, which a snapshot would keep");
  if (!cv8::Random(state, context, state->random.Get(isolate), &number) || number != state->first_random) {
    return cv8::SetError(why, "a module uses Math.random at its top level, which a snapshot would keep");
  }
  if (state->remove_stand_ins.IsEmpty()) return;
  v8::Local<v8::Value> reason;
  if (!state->remove_stand_ins.Get(isolate)->Call(context, v8::Undefined(isolate), 0, nullptr).ToLocal(&reason)) {
    return cv8::Describe(isolate, context, caught, why);
  }
  if (!reason->IsString()) return;
  v8::String::Utf8Value text(isolate, reason);
  cv8::SetError(why, std::string(*text ? *text : "", static_cast<size_t>(text.length())));
}

cv8_status cv8_builder_finish(cv8_isolate *state, uint8_t **out, size_t *length) {
  v8::Isolate *isolate = state->isolate;
  {
    v8::HandleScope handles(isolate);
    v8::Local<v8::Context> context = state->context.Get(isolate);
    v8::Context::Scope scope(context);
    cv8::FixReadOnlyTable(state->creator.get(), isolate);
    state->creator->AddData(context, state->internal.Get(isolate));
    cv8::StoreModules(state, context);
    state->rejections.clear();
    state->hooks.clear();
    state->random.Reset();
    state->remove_stand_ins.Reset();
    state->internal.Reset();
    state->context.Reset();
    state->creator->SetDefaultContext(context);
  }
  v8::StartupData data = state->creator->CreateBlob(v8::SnapshotCreator::FunctionCodeHandling::kKeep);
  return cv8::CopyBlob(data, out, length);
}

cv8_status cv8_builder_try(const uint8_t *blob, size_t length, const cv8_module *modules, size_t module_count) {
  cv8_isolate *revived = nullptr;
  cv8_status status = cv8_isolate_revive(blob, length, modules, module_count, &revived);
  if (status != CV8_OK) return status;
  cv8_isolate_trim(revived);
  cv8_isolate_dispose(revived);
  return CV8_OK;
}

bool cv8_snapshot_fits(const uint8_t *base, size_t base_length, const uint8_t *blob, size_t length) {
  size_t start, end, other_start, other_end;
  if (!cv8::ReadOnlySection(base, base_length, &start, &end) || !cv8::ReadOnlySection(blob, length, &other_start, &other_end)) return false;
  return end - start == other_end - other_start && memcmp(base + start, blob + other_start, end - start) == 0;
}

}  // extern "C"
