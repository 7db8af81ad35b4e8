// A bundle's modules: found by the resolver, compiled when they are first imported.
#include "internal.h"

namespace cv8 {

namespace {

/// What import() may be given: no path in a bundle is as long.
constexpr int kSpecifierLimit = 64 << 10;

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

/// What V8 says of an exception: its text without "Uncaught ", and where in a module it comes from; both may be empty.
struct Place {
  std::string text;
  std::string position;
};

Place Where(v8::Isolate *isolate, v8::Local<v8::Context> context, v8::Local<v8::Message> message) {
  Place place;
  if (message.IsEmpty()) return place;
  v8::String::Utf8Value text(isolate, message->Get());
  if (*text) place.text = std::string(*text, static_cast<size_t>(text.length()));
  if (place.text.rfind("Uncaught ", 0) == 0) place.text.erase(0, 9);
  v8::String::Utf8Value name(isolate, message->GetScriptResourceName());
  int line = message->GetLineNumber(context).FromMaybe(0);
  if (line > 0 && *name) place.position = std::string(*name) + ":" + std::to_string(line) + ":" + std::to_string(message->GetStartColumn(context).FromMaybe(0) + 1);
  return place;
}

/// Throws what is caught anew as "NAME is not KIND: why", unless the execution is being terminated.
void ThrowUnreadable(cv8_isolate *state, v8::Local<v8::Context> context, v8::TryCatch &caught, const std::string &what,
                     v8::Local<v8::Value> (*make)(v8::Local<v8::String>)) {
  if (!caught.HasTerminated()) {
    std::string why = Where(state->isolate, context, caught.Message()).text;
    for (const char *known : {"SyntaxError: ", "CompileError: ", "WasmModuleObject::Compile(): "}) {
      if (why.rfind(known, 0) == 0) why.erase(0, std::string(known).size());
    }
    caught.Reset();
    state->isolate->ThrowException(make(Text(state->isolate, what + ": " + why)));
  }
  caught.ReThrow();
}

v8::MaybeLocal<v8::Value> ValueOf(cv8_isolate *state, v8::Local<v8::Context> context, const cv8_module &source) {
  v8::Isolate *isolate = state->isolate;
  std::string name(source.name, source.name_length);
  // Thrown from within, as in Resolve.
  v8::TryCatch caught(isolate);
  switch (source.kind) {
    case CV8_MODULE_JSON: {
      v8::Local<v8::Value> value;
      if (v8::JSON::Parse(context, SourceString(state, source)).ToLocal(&value)) return value;
      ThrowUnreadable(state, context, caught, name + " is not JSON", [](v8::Local<v8::String> text) { return v8::Exception::SyntaxError(text); });
      return {};
    }
    case CV8_MODULE_TEXT:
      return SourceString(state, source);
    case CV8_MODULE_BYTES: {
      std::unique_ptr<v8::BackingStore> store;
      void *data = state->buffers->Allocate(source.length);
      if (!data) {
        isolate->ThrowException(v8::Exception::RangeError(Text(isolate, name + ": no memory for its bytes")));
        caught.ReThrow();
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
        isolate->ThrowException(v8::Exception::Error(Text(isolate, name + ": this tenant runs without a JIT, where there is no WebAssembly")));
        caught.ReThrow();
        return {};
      }
      v8::Local<v8::WasmModuleObject> module;
      if (v8::WasmModuleObject::Compile(isolate, v8::MemorySpan<const uint8_t>(source.data, source.length)).ToLocal(&module)) return module;
      ThrowUnreadable(state, context, caught, name + " is not WebAssembly",
                      [](v8::Local<v8::String> text) { return v8::Exception::WasmCompileError(text); });
      return {};
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
  if (!loaded) return {};
  if (!loaded->value.IsEmpty()) {
    value = loaded->value.Get(state->isolate);
    loaded->value.Reset();
  } else if (!ValueOf(state, context, loaded->source).ToLocal(&value)) {
    // Of a tenant's snapshot that holds it linked and not evaluated.
    return {};
  }
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
  if (!source.code) {
    v8::ScriptCompiler::Source text(SourceString(state, source), origin);
    return v8::ScriptCompiler::CompileModule(isolate, &text);
  }
  // The source owns it, and it not the bytes.
  auto *code = new v8::ScriptCompiler::CachedData(source.code, static_cast<int>(source.code_length), v8::ScriptCompiler::CachedData::BufferNotOwned);
  v8::ScriptCompiler::Source text(SourceString(state, source), origin, code);
  v8::MaybeLocal<v8::Module> module = v8::ScriptCompiler::CompileModule(isolate, &text, v8::ScriptCompiler::kConsumeCodeCache);
  state->code_taken += !module.IsEmpty() && !text.GetCachedData()->rejected;
  return module;
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
  v8::Local<v8::Value> value;
  // Data that cannot be read is a mistake of the module, as a syntax error is: found before anything is evaluated, whoever imports it.
  if (source.kind != CV8_MODULE_JAVASCRIPT && !ValueOf(state, state->isolate->GetCurrentContext(), source).ToLocal(&value)) return {};
  if (!Compile(state, source, name).ToLocal(&module)) return {};
  auto loaded = std::make_unique<LoadedModule>();
  loaded->module.Reset(state->isolate, module);
  if (source.kind == CV8_MODULE_JAVASCRIPT && !state->creator) loaded->script.Reset(state->isolate, module->GetUnboundModuleScript());
  loaded->name = name;
  loaded->source = source;
  if (!value.IsEmpty()) loaded->value.Reset(state->isolate, value);
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

/// `is_linked`: whether the module and what it imports were found, compiled and linked.
v8::MaybeLocal<v8::Value> Import(cv8_isolate *state, v8::Local<v8::Context> context, v8::Local<v8::Value> referrer, v8::Local<v8::String> specifier,
                                 bool *is_linked) {
  v8::Isolate *isolate = state->isolate;
  v8::String::Utf8Value name(isolate, referrer);
  auto found = state->module_indices.find(*name ? *name : "");
  if (found == state->module_indices.end()) {
    isolate->ThrowException(v8::Exception::Error(Text(isolate, "import() is only possible in the bundle's modules")));
    return {};
  }
  // Several copies are made of it.
  if (specifier->Length() > kSpecifierLimit) {
    isolate->ThrowException(v8::Exception::Error(Text(isolate, "the name of the module to import is too long")));
    return {};
  }
  v8::String::Utf8Value text(isolate, specifier);
  v8::Local<v8::Module> module;
  if (!Get(state, std::string(*text ? *text : "", static_cast<size_t>(text.length())), found->second).ToLocal(&module)) return {};
  if (module->GetStatus() < v8::Module::kInstantiated && module->InstantiateModule(context, Resolve).IsNothing()) return {};
  *is_linked = true;
  v8::Local<v8::Value> evaluated;
  if (!module->Evaluate(context).ToLocal(&evaluated)) return {};
  v8::Local<v8::Function> then;
  if (!v8::Function::New(context, ThenCallback, module->GetModuleNamespace()).ToLocal(&then)) return {};
  v8::Local<v8::Promise> promise;
  if (!evaluated.As<v8::Promise>()->Then(context, then).ToLocal(&promise)) return {};
  return promise;
}

/// What an import of something that cannot be read is rejected with. The stack only shows who imported it: the message names the place.
v8::Local<v8::Value> Located(v8::Isolate *isolate, v8::Local<v8::Context> context, v8::TryCatch &caught) {
  v8::Local<v8::Value> error = caught.Exception();
  if (!error->IsNativeError()) return error;
  v8::String::Utf8Value kind(isolate, error.As<v8::Object>()->GetConstructorName());
  Place place = Where(isolate, context, caught.Message());
  if (!*kind || std::string(*kind) != "SyntaxError" || place.position.empty()) return error;
  if (place.text.rfind("SyntaxError: ", 0) == 0) place.text.erase(0, 13);
  return v8::Exception::SyntaxError(Text(isolate, place.text + " (" + place.position + ")"));
}

}  // namespace

void ThenCallback(const v8::FunctionCallbackInfo<v8::Value> &info) { info.GetReturnValue().Set(info.Data()); }

/// In a microtask: of an import() by `data`, its referrer, specifier and what resolves its promise.
void ImportNow(const v8::FunctionCallbackInfo<v8::Value> &info) {
  v8::Isolate *isolate = info.GetIsolate();
  v8::HandleScope scope(isolate);
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  v8::Local<v8::Array> data = info.Data().As<v8::Array>();
  v8::Local<v8::Value> referrer, specifier, resolver;
  if (!data->Get(context, 0).ToLocal(&referrer) || !data->Get(context, 1).ToLocal(&specifier) || !data->Get(context, 2).ToLocal(&resolver)) return;
  v8::TryCatch caught(isolate);
  v8::Local<v8::Value> result;
  bool is_linked = false;
  if (Import(StateOf(isolate), context, referrer, specifier.As<v8::String>(), &is_linked).ToLocal(&result)) {
    resolver.As<v8::Promise::Resolver>()->Resolve(context, result).IsNothing();
  } else if (caught.HasTerminated() || !caught.CanContinue()) {
    caught.ReThrow();
  } else {
    resolver.As<v8::Promise::Resolver>()->Reject(context, is_linked ? caught.Exception() : Located(isolate, context, caught)).IsNothing();
  }
}

/// Not at once: while modules are being evaluated V8 ends the process when one of them, or one that imports one of them, is to be evaluated again.
v8::MaybeLocal<v8::Promise> ImportDynamically(v8::Local<v8::Context> context, v8::Local<v8::Value> referrer, v8::Local<v8::String> specifier) {
  v8::Isolate *isolate = context->GetIsolate();
  v8::EscapableHandleScope scope(isolate);
  v8::Local<v8::Promise::Resolver> resolver, now;
  if (!v8::Promise::Resolver::New(context).ToLocal(&resolver) || !v8::Promise::Resolver::New(context).ToLocal(&now)) return {};
  v8::Local<v8::Value> data[] = {referrer, specifier, resolver};
  v8::Local<v8::Function> import;
  if (!v8::Function::New(context, ImportNow, v8::Array::New(isolate, data, 3)).ToLocal(&import)) return {};
  // A reaction, and no microtask of its own: whose request it belongs to goes with it.
  if (now->Resolve(context, v8::Undefined(isolate)).IsNothing() || now->GetPromise()->Then(context, import).IsEmpty()) return {};
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
