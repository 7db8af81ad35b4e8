// Turns: deliver an event, run microtasks until none is left; suspended in V8's interrupt callback, resumed on any thread.
#include <pthread.h>

#include "internal.h"

namespace cv8 {

namespace {

constexpr uintptr_t kStackReserve = 64 << 10;
/// Rejections without a handler that are remembered in a turn; further ones are not reported.
constexpr size_t kRejectionLimit = 1000;

thread_local char *fiber_top = nullptr;

__attribute__((noinline)) char *FiberTop() {
  asm volatile("");
  return fiber_top;
}

/// Makes this thread the one that runs the isolate on the turn's stack.
void Enter(cv8_isolate *state) {
  SetFiberTop(state->turn->stack_high);
  SetCurrentAccount(state->account.get());
  state->isolate->Enter();
  uintptr_t limit = reinterpret_cast<uintptr_t>(state->turn->stack_low) + kStackReserve;
  state->isolate->SetStackLimit(limit);
  if (state->compiler_stack_limit) *state->compiler_stack_limit = limit;
}

void Leave(cv8_isolate *state) {
  state->isolate->Exit();
  SetCurrentAccount(nullptr);
  SetFiberTop(nullptr);
}

void OnInterrupt(v8::Isolate *, void *data) {
  cv8_isolate *state = static_cast<cv8_isolate *>(data);
  // A request that came too late for its turn must not stop the next one.
  if (!state->preempt_requested.exchange(false) || !state->turn) return;
  void *fiber = state->turn->fiber;
  state->turn->current_request = CurrentRequest(state->isolate);
  Leave(state);
  options.suspend(fiber);
  Enter(state);
}

}  // namespace

void GiveWay(cv8_isolate *state) {
  if (state->preempt_requested.load(std::memory_order_relaxed)) OnInterrupt(state->isolate, state);
}

namespace {

void SetRequest(cv8_isolate *state, v8::Local<v8::Context> context, double request) {
  v8::Local<v8::Value> value = v8::Number::New(state->isolate, request);
#if V8_MAJOR_VERSION >= 13
  (void)context;
  state->isolate->SetContinuationPreservedEmbedderData(value);
#else
  context->SetContinuationPreservedEmbedderData(value);
#endif
}

v8::Local<v8::Value> ToLocal(v8::Isolate *isolate, const cv8_value &value, cv8_isolate *state, bool *failed) {
  switch (value.kind) {
    case CV8_NULL:
      return v8::Null(isolate);
    case CV8_BOOL:
      return v8::Boolean::New(isolate, value.number != 0);
    case CV8_NUMBER:
      return v8::Number::New(isolate, value.number);
    case CV8_LATIN1:
      return v8::String::NewFromOneByte(isolate, static_cast<const uint8_t *>(value.data), v8::NewStringType::kNormal, static_cast<int>(value.length))
          .ToLocalChecked();
    case CV8_UTF8:
      return v8::String::NewFromUtf8(isolate, static_cast<const char *>(value.data), v8::NewStringType::kNormal, static_cast<int>(value.length))
          .ToLocalChecked();
    case CV8_BYTES: {
      void *data = state->buffers->Allocate(value.length);
      // What was left by requests before may only be waiting to be collected, as V8 itself does for the buffers that it makes.
      if (!data) {
        isolate->LowMemoryNotification();
        data = state->buffers->Allocate(value.length);
      }
      if (!data) {
        *failed = true;
        return v8::Undefined(isolate);
      }
      if (value.length) memcpy(data, value.data, value.length);
      auto store = v8::ArrayBuffer::NewBackingStore(
          data, value.length, [](void *memory, size_t size, void *allocator) { static_cast<BufferAllocator *>(allocator)->Free(memory, size); },
          state->buffers.get());
      return v8::Uint8Array::New(v8::ArrayBuffer::New(isolate, std::move(store)), 0, value.length);
    }
    default:
      return v8::Undefined(isolate);
  }
}

bool Call(cv8_isolate *state, v8::Local<v8::Context> context, uint32_t hook, int count, v8::Local<v8::Value> *arguments) {
  if (hook >= state->hooks.size() || state->hooks[hook].IsEmpty()) {
    state->isolate->ThrowException(v8::Exception::Error(Text(state->isolate, "the runtime has no hook " + std::to_string(hook))));
    return false;
  }
  return !state->hooks[hook].Get(state->isolate)->Call(context, v8::Undefined(state->isolate), count, arguments).IsEmpty();
}

bool Deliver(cv8_isolate *state, v8::Local<v8::Context> context) {
  cv8_turn *turn = state->turn;
  v8::Isolate *isolate = state->isolate;
  if (turn->kind == CV8_TURN_START) {
    v8::Local<v8::Module> module;
    v8::Local<v8::Value> promise;
    if (!LoadMain(state, context).ToLocal(&module)) return false;
    if (!module->Evaluate(context).ToLocal(&promise)) return false;
    v8::Local<v8::Value> arguments[] = {promise, module->GetModuleNamespace()};
    return Call(state, context, turn->hook, 2, arguments);
  }
  v8::Local<v8::Value> arguments[16];
  int count = static_cast<int>(turn->argument_count < 16 ? turn->argument_count : 16);
  bool failed = false;
  for (int i = 0; i < count; i++) arguments[i] = ToLocal(isolate, turn->arguments[i], state, &failed);
  if (failed) {
    isolate->ThrowException(v8::Exception::RangeError(Text(isolate, "no memory for the event within the tenant's limit")));
    return false;
  }
  return Call(state, context, turn->hook, count, arguments);
}

void Drain(cv8_isolate *state) {
  do {
    state->isolate->PerformMicrotaskCheckpoint();
    if (state->terminated) return;
  } while (RunTasks(*state->tasks));
}

/// Tells the runtime of rejections that nobody has handled by now.
void ReportRejections(cv8_isolate *state, v8::Local<v8::Context> context) {
  for (int rounds = 0; rounds < 10 && !state->rejections.empty() && !state->terminated; rounds++) {
    std::vector<Rejection> rejections = std::move(state->rejections);
    state->rejections.clear();
    for (auto &rejection : rejections) {
      if (state->terminated) return;
      v8::HandleScope handles(state->isolate);
      v8::TryCatch caught(state->isolate);
      v8::Local<v8::Value> arguments[] = {rejection.reason.Get(state->isolate), rejection.promise.Get(state->isolate)};
      SetRequest(state, context, rejection.request);
      Call(state, context, 0, 2, arguments);
    }
    Drain(state);
  }
}

}  // namespace

__attribute__((noinline)) void SetFiberTop(void *top) {
  asm volatile("");
  fiber_top = static_cast<char *>(top);
}

double CurrentRequest(v8::Isolate *isolate) {
  v8::HandleScope handles(isolate);
#if V8_MAJOR_VERSION >= 13
  v8::Local<v8::Value> value = isolate->GetContinuationPreservedEmbedderData();
#else
  v8::Local<v8::Value> value = isolate->GetCurrentContext()->GetContinuationPreservedEmbedderData();
#endif
  return value->IsNumber() ? value.As<v8::Number>()->Value() : 0;
}

void OnPromiseRejection(v8::PromiseRejectMessage message) {
  v8::Local<v8::Promise> promise = message.GetPromise();
  v8::Isolate *isolate = v8::Isolate::GetCurrent();
  cv8_isolate *state = StateOf(isolate);
  if (!state) return;
  if (message.GetEvent() == v8::kPromiseRejectWithNoHandler) {
    if (state->rejections.size() >= kRejectionLimit) return;
    Rejection &rejection = state->rejections.emplace_back();
    rejection.promise.Reset(isolate, promise);
    rejection.reason.Reset(isolate, message.GetValue());
    rejection.request = CurrentRequest(isolate);
  } else if (message.GetEvent() == v8::kPromiseHandlerAddedAfterReject) {
    for (auto entry = state->rejections.begin(); entry != state->rejections.end(); ++entry) {
      if (entry->promise == promise) {
        state->rejections.erase(entry);
        return;
      }
    }
  }
}

}  // namespace cv8

extern "C" void *__libc_stack_end;

// V8 asks for the native stack's start when it scans the stack in a collection (12 and later): on a fiber that is the fiber's own.
// Exported from the executable, it is found before libnode's.
namespace v8::base {
class Stack {
 public:
  static void *GetStackStart();
};
__attribute__((visibility("default"), used)) void *Stack::GetStackStart() {
  if (char *top = cv8::FiberTop()) return top;
  static thread_local void *own = nullptr;
  if (!own) {
    pthread_attr_t attributes;
    void *low;
    size_t size;
    // Of the main thread the C library reads it from /proc, which a sealed cell does not have.
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return own = __libc_stack_end;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    own = static_cast<char *>(low) + size;
  }
  return own;
}
}  // namespace v8::base

extern "C" {

void cv8_isolate_preempt(cv8_isolate *state) {
  state->preempt_requested = true;
  state->isolate->RequestInterrupt(cv8::OnInterrupt, state);
}

void cv8_isolate_terminate(cv8_isolate *state) {
  state->terminated = true;
  state->isolate->TerminateExecution();
}

void cv8_turn_forget_preemption(cv8_isolate *state) { state->preempt_requested = false; }

void cv8_turn_run(void *pointer) {
  cv8_turn *turn = static_cast<cv8_turn *>(pointer);
  cv8_isolate *state = turn->isolate;
  turn->status = CV8_OK;
  if (state->terminated) {
    turn->status = CV8_TERMINATED;
    return;
  }
  state->turn = turn;
  state->time_ms = turn->time_ms;
  cv8::Enter(state);
  {
    v8::HandleScope handles(state->isolate);
    v8::Local<v8::Context> context = state->context.Get(state->isolate);
    v8::Context::Scope scope(context);
    cv8::SetRequest(state, context, turn->request);
    {
      v8::TryCatch caught(state->isolate);
      if (!cv8::Deliver(state, context) && !state->terminated) {
        cv8::Describe(state->isolate, context, caught, &turn->error);
        turn->status = CV8_EXCEPTION;
      }
    }
    if (!state->terminated) {
      cv8::Drain(state);
      cv8::ReportRejections(state, context);
    }
    cv8::SetRequest(state, context, 0);
  }
  state->preempt_requested = false;
  cv8::Leave(state);
  if (state->terminated) turn->status = CV8_TERMINATED;
  state->turn = nullptr;
}

}  // extern "C"
