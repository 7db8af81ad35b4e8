// The functions of `internal` that need V8 itself.
#include <dlfcn.h>

#include "internal.h"

namespace cv8 {

namespace {

using Info = v8::FunctionCallbackInfo<v8::Value>;

void Throw(v8::Isolate *isolate, const char *message) { isolate->ThrowException(v8::Exception::TypeError(Text(isolate, message))); }

/// internal.load(name): runs a lazy source once.
void Load(const Info &info) {
  v8::Isolate *isolate = info.GetIsolate();
  cv8_isolate *state = StateOf(isolate);
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  v8::String::Utf8Value name(isolate, info[0]);
  if (!state || !*name) return Throw(isolate, "load: needs an isolate and a name");
  auto known = state->lazy_results.find(*name);
  if (known != state->lazy_results.end()) return info.GetReturnValue().Set(known->second.Get(isolate));
  for (size_t i = 0; i < options.source_count; i++) {
    if (!options.sources[i].lazy || options.sources[i].name != std::string(*name)) continue;
    v8::Local<v8::Value> result;
    if (!RunSource(context, i, state->internal.Get(isolate)).ToLocal(&result)) return;
    state->lazy_results[*name].Reset(isolate, result);
    info.GetReturnValue().Set(result);
    return;
  }
  Throw(isolate, "load: no such source");
}

void CurrentRequest(const Info &info) {
#if V8_MAJOR_VERSION >= 13
  v8::Local<v8::Value> value = info.GetIsolate()->GetContinuationPreservedEmbedderData();
#else
  v8::Local<v8::Value> value = info.GetIsolate()->GetCurrentContext()->GetContinuationPreservedEmbedderData();
#endif
  if (value->IsNumber()) {
    info.GetReturnValue().Set(value);
  } else {
    info.GetReturnValue().Set(0);
  }
}

class CloneDelegate : public v8::ValueSerializer::Delegate {
 public:
  CloneDelegate(v8::Isolate *isolate, BufferAllocator *buffers) : isolate_(isolate), buffers_(buffers) {}
  void ThrowDataCloneError(v8::Local<v8::String> message) override {
    v8::Local<v8::String> text = v8::String::Concat(isolate_, Text(isolate_, "DataCloneError: "), message);
    // With what it names it may be longer than a string can be.
    if (text.IsEmpty()) text = Text(isolate_, "DataCloneError: a value cannot be cloned");
    isolate_->ThrowException(v8::Exception::Error(text));
  }
  void *ReallocateBufferMemory(void *old, size_t size, size_t *actual) override {
    void *buffer = buffers_->Lengthen(old, length_, size);
    if (buffer) *actual = length_ = size;
    return buffer;
  }
  void FreeBufferMemory(void *buffer) override { buffers_->Free(buffer, length_); }
  v8::Maybe<uint32_t> GetWasmModuleTransferId(v8::Isolate *, v8::Local<v8::WasmModuleObject> module) override {
    wasm.push_back(module->GetCompiledModule());
    return v8::Just(static_cast<uint32_t>(wasm.size() - 1));
  }

  /// Compiled Wasm, which clones share.
  std::vector<v8::CompiledWasmModule> wasm;

 private:
  v8::Isolate *isolate_;
  BufferAllocator *buffers_;
  /// Of the serializer's only buffer.
  size_t length_ = 0;
};

class CopyDelegate : public v8::ValueDeserializer::Delegate {
 public:
  explicit CopyDelegate(std::vector<v8::CompiledWasmModule> *wasm) : wasm_(wasm) {}
  v8::MaybeLocal<v8::WasmModuleObject> GetWasmModuleFromId(v8::Isolate *isolate, uint32_t id) override {
    if (id >= wasm_->size()) return {};
    return v8::WasmModuleObject::FromCompiledModule(isolate, (*wasm_)[id]);
  }

 private:
  std::vector<v8::CompiledWasmModule> *wasm_;
};

void Clone(const Info &info, cv8_isolate *state) {
  v8::Isolate *isolate = state->isolate;
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  std::vector<v8::Local<v8::ArrayBuffer>> transfers;
  if (info[1]->IsArray()) {
    v8::Local<v8::Array> list = info[1].As<v8::Array>();
    for (uint32_t i = 0; i < list->Length(); i++) {
      v8::Local<v8::Value> item;
      if (!list->Get(context, i).ToLocal(&item)) return;
      if (!item->IsArrayBuffer() || !item.As<v8::ArrayBuffer>()->IsDetachable()) {
        isolate->ThrowException(v8::Exception::Error(Text(isolate, "DataCloneError: a value in the transfer list cannot be transferred")));
        return;
      }
      transfers.push_back(item.As<v8::ArrayBuffer>());
    }
  }
  CloneDelegate delegate(isolate, state->buffers.get());
  v8::ValueSerializer serializer(isolate, &delegate);
  serializer.WriteHeader();
  for (uint32_t i = 0; i < transfers.size(); i++) serializer.TransferArrayBuffer(i, transfers[i]);
  if (serializer.WriteValue(context, info[0]).IsNothing()) return;
  std::pair<uint8_t *, size_t> data = serializer.Release();
  auto give_back = [&delegate](uint8_t *buffer) { delegate.FreeBufferMemory(buffer); };
  std::unique_ptr<uint8_t, decltype(give_back)> owned(data.first, give_back);
  CopyDelegate copies(&delegate.wasm);
  v8::ValueDeserializer deserializer(isolate, data.first, data.second, &copies);
  if (deserializer.ReadHeader(context).IsNothing()) return;
  // Once more: getters have run meanwhile, and V8 ends the process when one of these cannot be detached any more.
  for (v8::Local<v8::ArrayBuffer> buffer : transfers) {
    if (buffer->IsDetachable()) continue;
    isolate->ThrowException(v8::Exception::Error(Text(isolate, "DataCloneError: a value in the transfer list cannot be transferred")));
    return;
  }
  for (uint32_t i = 0; i < transfers.size(); i++) {
    std::shared_ptr<v8::BackingStore> store = transfers[i]->GetBackingStore();
#if V8_MAJOR_VERSION >= 11
    if (transfers[i]->Detach(v8::Local<v8::Value>()).IsNothing()) return;
#else
    transfers[i]->Detach();
#endif
    deserializer.TransferArrayBuffer(i, v8::ArrayBuffer::New(isolate, std::move(store)));
  }
  v8::Local<v8::Value> result;
  if (deserializer.ReadValue(context).ToLocal(&result)) info.GetReturnValue().Set(result);
}

/// internal.structuredClone(value, transfer)
void StructuredClone(const Info &info) {
  cv8_isolate *state = StateOf(info.GetIsolate());
  if (!state) return Throw(info.GetIsolate(), "structuredClone: needs an isolate");
  Clone(info, state);
  GiveWay(state);
}

/// internal.detach(arrayBuffer)
void Detach(const Info &info) {
  v8::Isolate *isolate = info.GetIsolate();
  if (!info[0]->IsArrayBuffer() || !info[0].As<v8::ArrayBuffer>()->IsDetachable()) return Throw(isolate, "the buffer cannot be transferred");
  v8::Local<v8::ArrayBuffer> buffer = info[0].As<v8::ArrayBuffer>();
  std::shared_ptr<v8::BackingStore> store = buffer->GetBackingStore();
#if V8_MAJOR_VERSION >= 11
  if (buffer->Detach(v8::Local<v8::Value>()).IsNothing()) return;
#else
  buffer->Detach();
#endif
  info.GetReturnValue().Set(v8::ArrayBuffer::New(isolate, std::move(store)));
}

void PreviewPromise(const Info &info) {
  if (!info[0]->IsPromise()) return;
  v8::Isolate *isolate = info.GetIsolate();
  v8::Local<v8::Promise> promise = info[0].As<v8::Promise>();
  int state = promise->State() == v8::Promise::kPending ? 0 : promise->State() == v8::Promise::kFulfilled ? 1 : 2;
  v8::Local<v8::Value> pair[] = {v8::Integer::New(isolate, state), state == 0 ? v8::Undefined(isolate).As<v8::Value>() : promise->Result()};
  info.GetReturnValue().Set(v8::Array::New(isolate, pair, 2));
}

void PreviewProxy(const Info &info) {
  if (!info[0]->IsProxy()) return;
  v8::Local<v8::Value> pair[] = {info[0].As<v8::Proxy>()->GetTarget(), info[0].As<v8::Proxy>()->GetHandler()};
  info.GetReturnValue().Set(v8::Array::New(info.GetIsolate(), pair, 2));
}

void ClassName(const Info &info) {
  if (info[0]->IsObject() && !info[0]->IsProxy()) info.GetReturnValue().Set(info[0].As<v8::Object>()->GetConstructorName());
}

const char *TypeOf(v8::Local<v8::Value> value) {
  if (!value->IsObject()) return "Primitive";
  if (value->IsProxy()) return "Proxy";
  if (value->IsArray()) return "Array";
  if (value->IsMap()) return "Map";
  if (value->IsSet()) return "Set";
  if (value->IsWeakMap()) return "WeakMap";
  if (value->IsWeakSet()) return "WeakSet";
  if (value->IsMapIterator()) return "Map Iterator";
  if (value->IsSetIterator()) return "Set Iterator";
  if (value->IsDate()) return "Date";
  if (value->IsRegExp()) return "RegExp";
  if (value->IsPromise()) return "Promise";
  if (value->IsNativeError()) return "Error";
  if (value->IsArrayBuffer()) return "ArrayBuffer";
  if (value->IsSharedArrayBuffer()) return "SharedArrayBuffer";
  if (value->IsDataView()) return "DataView";
  if (value->IsTypedArray()) return "TypedArray";
  if (value->IsGeneratorObject()) return "Generator";
  if (value->IsArgumentsObject()) return "Arguments";
  if (value->IsModuleNamespaceObject()) return "Module";
  if (value->IsExternal()) return "External";
  if (value->IsAsyncFunction()) return "AsyncFunction";
  if (value->IsFunction()) return "Function";
  if (value->IsWasmModuleObject()) return "WebAssembly.Module";
  if (value->IsNumberObject() || value->IsStringObject() || value->IsBooleanObject() || value->IsSymbolObject() || value->IsBigIntObject()) return "Boxed";
  return "Object";
}

void TypeName(const Info &info) { info.GetReturnValue().Set(Text(info.GetIsolate(), TypeOf(info[0]))); }

void IsBoxed(const Info &info) { info.GetReturnValue().Set(std::string(TypeOf(info[0])) == "Boxed"); }

const struct {
  const char *name;
  v8::FunctionCallback function;
} kFunctions[] = {
    {"load", Load},
    {"currentRequest", CurrentRequest},
    {"structuredClone", StructuredClone},
    {"detach", Detach},
    {"previewPromise", PreviewPromise},
    {"previewProxy", PreviewProxy},
    {"className", ClassName},
    {"typeOf", TypeName},
    {"isBoxed", IsBoxed},
};

}  // namespace

void AddInternalFunctions(v8::Local<v8::Context> context, v8::Local<v8::Object> internal) {
  v8::Isolate *isolate = context->GetIsolate();
  for (const auto &entry : kFunctions) {
    v8::Local<v8::Function> function =
        v8::Function::New(context, entry.function, v8::Local<v8::Value>(), 0, v8::ConstructorBehavior::kThrow).ToLocalChecked();
    v8::Local<v8::String> name = Text(isolate, entry.name);
    function->SetName(name);
    internal->Set(context, name, function).Check();
  }
}

void AppendInternalReferences(std::vector<intptr_t> *references) {
  for (const auto &entry : kFunctions) references->push_back(reinterpret_cast<intptr_t>(entry.function));
  references->push_back(reinterpret_cast<intptr_t>(ThenCallback));
  references->push_back(reinterpret_cast<intptr_t>(ImportNow));
  references->push_back(reinterpret_cast<intptr_t>(EvaluateData));
  // Module namespaces' accessors, which V8's own table of references lacks; as 10.2, 11 and 13 name them. Where there is none V8 needs none.
  for (const char *name : {
           "_ZN2v88internal9Accessors26ModuleNamespaceEntryGetterENS_5LocalINS_4NameEEERKNS_20PropertyCallbackInfoINS_5ValueEEE",
           "_ZN2v88internal9Accessors26ModuleNamespaceEntrySetterENS_5LocalINS_4NameEEENS2_INS_5ValueEEERKNS_20PropertyCallbackInfoINS_7BooleanEEE",
           "_ZN2v88internal9Accessors26ModuleNamespaceEntrySetterENS_5LocalINS_4NameEEENS2_INS_5ValueEEERKNS_20PropertyCallbackInfoIvEE"}) {
    if (void *address = dlsym(RTLD_DEFAULT, name)) references->push_back(reinterpret_cast<intptr_t>(address));
  }
}

}  // namespace cv8
