// A bundle's modules: found by the resolver, compiled when they are first imported.
#include "internal.h"

namespace cv8 {

namespace {

v8::Local<v8::String> SourceString(cv8_isolate *state, const cv8_module &module) {
  const char *data = reinterpret_cast<const char *>(module.data);
  if (module.ascii && module.length > 0) {
    for (auto &text : state->texts) {
      if (text->data() == data && text->length() == module.length) return v8::String::NewExternalOneByte(state->isolate, text.get()).ToLocalChecked();
    }
    state->texts.push_back(std::make_unique<SharedText>(data, module.length));
    return v8::String::NewExternalOneByte(state->isolate, state->texts.back().get()).ToLocalChecked();
  }
  v8::Local<v8::String> text;
  if (module.length <= static_cast<size_t>(v8::String::kMaxLength) &&
      v8::String::NewFromUtf8(state->isolate, data, v8::NewStringType::kNormal, static_cast<int>(module.length)).ToLocal(&text)) {
    return text;
  }
  return v8::String::Empty(state->isolate);
}

v8::MaybeLocal<v8::Value> ValueOf(cv8_isolate *state, v8::Local<v8::Context> context, const LoadedModule &loaded) {
  v8::Isolate *isolate = state->isolate;
  const cv8_module &source = loaded.source;
  switch (source.kind) {
    case CV8_MODULE_JSON: {
      v8::TryCatch caught(isolate);
      v8::Local<v8::Value> value;
      if (v8::JSON::Parse(context, SourceString(state, source)).ToLocal(&value)) return value;
      if (caught.HasTerminated()) {
        caught.ReThrow();
        return {};
      }
      v8::String::Utf8Value why(isolate, caught.Message().IsEmpty() ? v8::Local<v8::String>() : caught.Message()->Get());
      caught.Reset();
      isolate->ThrowException(v8::Exception::SyntaxError(Text(isolate, loaded.name + " is not JSON: " + (*why ? *why : ""))));
      caught.ReThrow();
      return {};
    }
    case CV8_MODULE_TEXT:
      return SourceString(state, source);
    case CV8_MODULE_BYTES: {
      std::unique_ptr<v8::BackingStore> store;
      void *data = state->buffers->Allocate(source.length);
      if (!data) {
        isolate->ThrowException(v8::Exception::RangeError(Text(isolate, loaded.name + ": no memory for its bytes")));
        return {};
      }
      memcpy(data, source.data, source.length);
      store = v8::ArrayBuffer::NewBackingStore(
          data, source.length, [](void *memory, size_t size, void *allocator) { static_cast<BufferAllocator *>(allocator)->Free(memory, size); },
          state->buffers.get());
      return v8::ArrayBuffer::New(isolate, std::move(store));
    }
    case CV8_MODULE_WASM: {
      if (jitless) {
        isolate->ThrowException(v8::Exception::Error(Text(isolate, loaded.name + ": this tenant runs without a JIT, where there is no WebAssembly")));
        return {};
      }
      v8::Local<v8::WasmModuleObject> module;
      if (!v8::WasmModuleObject::Compile(isolate, v8::MemorySpan<const uint8_t>(source.data, source.length)).ToLocal(&module)) return {};
      return module;
    }
    default:
      return {};
  }
}

LoadedModule *Find(cv8_isolate *state, v8::Local<v8::Module> module, int32_t *index) {
  for (auto &entry : state->modules) {
    if (entry.second->module == module) {
      *index = entry.first;
      return entry.second.get();
    }
  }
  return nullptr;
}

}  // namespace

v8::MaybeLocal<v8::Value> EvaluateData(v8::Local<v8::Context> context, v8::Local<v8::Module> module) {
  cv8_isolate *state = StateOf(context->GetIsolate());
  int32_t index;
  LoadedModule *loaded = Find(state, module, &index);
  v8::Local<v8::Value> value;
  if (!loaded || !ValueOf(state, context, *loaded).ToLocal(&value)) return {};
  if (module->SetSyntheticModuleExport(state->isolate, Text(state->isolate, "default"), value).IsNothing()) return {};
  v8::Local<v8::Promise::Resolver> resolver;
  if (!v8::Promise::Resolver::New(context).ToLocal(&resolver)) return {};
  resolver->Resolve(context, v8::Undefined(state->isolate)).Check();
  return resolver->GetPromise();
}

namespace {

v8::MaybeLocal<v8::Module> Compile(cv8_isolate *state, const cv8_module &source, const std::string &name) {
  v8::Isolate *isolate = state->isolate;
  v8::Local<v8::String> resource = Text(isolate, name);
  if (source.kind != CV8_MODULE_JAVASCRIPT) {
    v8::Local<v8::String> exports[] = {Text(isolate, "default")};
#if V8_MAJOR_VERSION >= 12
    return v8::Module::CreateSyntheticModule(isolate, resource, v8::MemorySpan<const v8::Local<v8::String>>(exports, 1), EvaluateData);
#else
    return v8::Module::CreateSyntheticModule(isolate, resource, {exports[0]}, EvaluateData);
#endif
  }
#if V8_MAJOR_VERSION >= 12
  v8::ScriptOrigin origin(resource, 0, 0, false, -1, v8::Local<v8::Value>(), false, false, true);
#else
  v8::ScriptOrigin origin(isolate, resource, 0, 0, false, -1, v8::Local<v8::Value>(), false, false, true);
#endif
  v8::ScriptCompiler::Source text(SourceString(state, source), origin);
  return v8::ScriptCompiler::CompileModule(isolate, &text);
}

/// The module that `specifier` names, compiled; throws in JavaScript when there is none.
v8::MaybeLocal<v8::Module> Get(cv8_isolate *state, const std::string &specifier, int32_t referrer) {
  cv8_module source{};
  char error[1024];
  size_t error_length = 0;
  int32_t index = options.resolver(state->user, specifier.data(), specifier.size(), referrer, &source, error, sizeof error, &error_length);
  if (index < 0) {
    state->isolate->ThrowException(v8::Exception::Error(Text(state->isolate, std::string(error, error_length))));
    return {};
  }
  auto found = state->modules.find(index);
  if (found != state->modules.end()) return found->second->module.Get(state->isolate);
  std::string name(source.name, source.name_length);
  v8::Local<v8::Module> module;
  if (!Compile(state, source, name).ToLocal(&module)) return {};
  auto loaded = std::make_unique<LoadedModule>();
  loaded->module.Reset(state->isolate, module);
  loaded->name = name;
  loaded->source = source;
  state->modules[index] = std::move(loaded);
  state->module_indices[name] = index;
  return module;
}

v8::MaybeLocal<v8::Module> Resolve(v8::Local<v8::Context> context, v8::Local<v8::String> specifier, v8::Local<v8::FixedArray>, v8::Local<v8::Module> referrer) {
  v8::Isolate *isolate = context->GetIsolate();
  cv8_isolate *state = StateOf(isolate);
  int32_t index = -1;
  if (!Find(state, referrer, &index)) return {};
  v8::String::Utf8Value text(isolate, specifier);
  // Thrown from within: an exception of the compiler would be handed to a v8::TryCatch further out and be gone for V8, which then aborts.
  v8::TryCatch caught(isolate);
  v8::Local<v8::Module> module;
  if (!Get(state, std::string(*text ? *text : "", static_cast<size_t>(text.length())), index).ToLocal(&module)) {
    caught.ReThrow();
    return {};
  }
  return module;
}

v8::MaybeLocal<v8::Value> Import(cv8_isolate *state, v8::Local<v8::Context> context, v8::Local<v8::Value> referrer, v8::Local<v8::String> specifier) {
  v8::Isolate *isolate = state->isolate;
  v8::String::Utf8Value name(isolate, referrer);
  auto found = state->module_indices.find(*name ? *name : "");
  if (found == state->module_indices.end()) {
    isolate->ThrowException(v8::Exception::Error(Text(isolate, "import() is only possible in the bundle's modules")));
    return {};
  }
  v8::String::Utf8Value text(isolate, specifier);
  v8::Local<v8::Module> module;
  if (!Get(state, std::string(*text ? *text : "", static_cast<size_t>(text.length())), found->second).ToLocal(&module)) return {};
  if (module->GetStatus() < v8::Module::kInstantiated && module->InstantiateModule(context, Resolve).IsNothing()) return {};
  v8::Local<v8::Value> evaluated;
  if (!module->Evaluate(context).ToLocal(&evaluated)) return {};
  v8::Local<v8::Function> then;
  if (!v8::Function::New(context, ThenCallback, module->GetModuleNamespace()).ToLocal(&then)) return {};
  v8::Local<v8::Promise> promise;
  if (!evaluated.As<v8::Promise>()->Then(context, then).ToLocal(&promise)) return {};
  return promise;
}

}  // namespace

void ThenCallback(const v8::FunctionCallbackInfo<v8::Value> &info) { info.GetReturnValue().Set(info.Data()); }

v8::MaybeLocal<v8::Promise> ImportDynamically(v8::Local<v8::Context> context, v8::Local<v8::Value> referrer, v8::Local<v8::String> specifier) {
  v8::Isolate *isolate = context->GetIsolate();
  v8::EscapableHandleScope scope(isolate);
  cv8_isolate *state = StateOf(isolate);
  v8::Local<v8::Promise::Resolver> resolver;
  if (!v8::Promise::Resolver::New(context).ToLocal(&resolver)) return {};
  v8::TryCatch caught(isolate);
  v8::Local<v8::Value> result;
  if (Import(state, context, referrer, specifier).ToLocal(&result)) {
    if (resolver->Resolve(context, result).IsNothing()) return {};
  } else {
    if (caught.HasTerminated() || !caught.CanContinue()) {
      caught.ReThrow();
      return {};
    }
    if (resolver->Reject(context, caught.Exception()).IsNothing()) return {};
  }
  return scope.Escape(resolver->GetPromise());
}

void InitializeImportMeta(v8::Local<v8::Context> context, v8::Local<v8::Module> module, v8::Local<v8::Object> meta) {
  v8::Isolate *isolate = context->GetIsolate();
  int32_t index;
  if (LoadedModule *loaded = Find(StateOf(isolate), module, &index)) {
    meta->CreateDataProperty(context, Text(isolate, "url"), Text(isolate, "cloister:///" + loaded->name)).Check();
  }
}

void ShareTexts(cv8_isolate *state, const cv8_module *modules, size_t count) {
  if (!modules) return;
  state->bundle.assign(modules, modules + count);
  const intptr_t *common = ExternalReferences();
  while (*common) state->references.push_back(*common++);
  for (const cv8_module &module : state->bundle) {
    // One for each, so that their places in the list depend on the bundle alone.
    state->texts.push_back(std::make_unique<SharedText>(reinterpret_cast<const char *>(module.data), module.length));
    state->references.push_back(reinterpret_cast<intptr_t>(static_cast<v8::String::ExternalStringResourceBase *>(state->texts.back().get())));
  }
  state->references.push_back(0);
}

// What a tenant's snapshot keeps of its context, in this order: `internal`, an array with the modules' indices and the names of lazy sources, the
// modules, the lazy sources' results.

void StoreModules(cv8_isolate *state, v8::Local<v8::Context> context) {
  v8::Isolate *isolate = state->isolate;
  std::vector<v8::Local<v8::Value>> keys;
  for (auto &entry : state->modules) keys.push_back(v8::Integer::New(isolate, entry.first));
  for (auto &entry : state->lazy_results) keys.push_back(Text(isolate, entry.first));
  state->creator->AddData(context, v8::Array::New(isolate, keys.data(), keys.size()));
  for (auto &entry : state->modules) state->creator->AddData(context, entry.second->module.Get(isolate));
  for (auto &entry : state->lazy_results) state->creator->AddData(context, entry.second.Get(isolate));
  state->modules.clear();
  state->lazy_results.clear();
}

bool RestoreModules(cv8_isolate *state, v8::Local<v8::Context> context) {
  v8::Isolate *isolate = state->isolate;
  v8::Local<v8::Array> keys;
  if (!context->GetDataFromSnapshotOnce<v8::Array>(1).ToLocal(&keys)) return false;
  for (uint32_t i = 0; i < keys->Length(); i++) {
    v8::Local<v8::Value> key;
    if (!keys->Get(context, i).ToLocal(&key)) return false;
    if (!key->IsInt32()) {
      v8::Local<v8::Value> result;
      if (!context->GetDataFromSnapshotOnce<v8::Value>(i + 2).ToLocal(&result)) return false;
      state->lazy_results[*v8::String::Utf8Value(isolate, key)].Reset(isolate, result);
      continue;
    }
    int32_t index = key.As<v8::Int32>()->Value();
    v8::Local<v8::Module> module;
    if (index < 0 || static_cast<size_t>(index) >= state->bundle.size() || !context->GetDataFromSnapshotOnce<v8::Module>(i + 2).ToLocal(&module)) return false;
    auto loaded = std::make_unique<LoadedModule>();
    loaded->module.Reset(isolate, module);
    loaded->source = state->bundle[static_cast<size_t>(index)];
    loaded->name = std::string(loaded->source.name, loaded->source.name_length);
    state->module_indices[loaded->name] = index;
    state->modules[index] = std::move(loaded);
  }
  return true;
}

v8::MaybeLocal<v8::Module> LoadMain(cv8_isolate *state, v8::Local<v8::Context> context) {
  v8::Local<v8::Module> module;
  if (!Get(state, "", -1).ToLocal(&module)) return {};
  if (module->InstantiateModule(context, Resolve).IsNothing()) return {};
  return module;
}

}  // namespace cv8
