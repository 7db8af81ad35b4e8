// The operations' view of their call.
#include "internal.h"

struct cv8_call {
  const v8::FunctionCallbackInfo<v8::Value> *info;
  v8::Isolate *isolate;
  cv8_isolate *state;
};

using cv8::Text;

namespace cv8 {

bool operations_do_nothing = false;

void Trampoline(const v8::FunctionCallbackInfo<v8::Value> &info) {
  v8::Isolate *isolate = info.GetIsolate();
  cv8_call call{&info, isolate, StateOf(isolate)};
  if (!call.state) {
    // The warm-up of the base snapshot runs what calls them, for its bytecode.
    if (operations_do_nothing) return;
    isolate->ThrowException(v8::Exception::Error(Text(isolate, "operations cannot be called while the base snapshot is built")));
    return;
  }
  options.operations[info.Data().As<v8::Int32>()->Value()].function(&call);
  GiveWay(call.state);
}

}  // namespace cv8

extern "C" {

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
  int written = StringArgument(call, index)->WriteUtf8(call->isolate, reinterpret_cast<char *>(out), static_cast<int>(std::min(capacity, static_cast<size_t>(INT_MAX))), &units,
                                                       v8::String::NO_NULL_TERMINATION | v8::String::REPLACE_INVALID_UTF8);
  if (units_read) *units_read = static_cast<size_t>(units);
  return static_cast<size_t>(written);
}

size_t cv8_call_write_latin1(const cv8_call *call, int32_t index, uint8_t *out, size_t capacity) {
  return static_cast<size_t>(
      StringArgument(call, index)->WriteOneByte(call->isolate, out, 0, static_cast<int>(std::min(capacity, static_cast<size_t>(INT_MAX))), v8::String::NO_NULL_TERMINATION));
}

size_t cv8_call_write_utf16(const cv8_call *call, int32_t index, uint16_t *out, size_t capacity) {
  return static_cast<size_t>(
      StringArgument(call, index)->Write(call->isolate, out, 0, static_cast<int>(std::min(capacity, static_cast<size_t>(INT_MAX))), v8::String::NO_NULL_TERMINATION));
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
