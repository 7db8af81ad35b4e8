// cv8.h — V8's API as plain C: isolates, snapshots, turns, interrupts, memory.
//
// Rules of the whole header:
//  * Every symbol has the prefix `cv8_`; text and bytes have explicit lengths; nothing is owned that is not said to be.
//  * An isolate is used by one thread at a time (the caller's mutual exclusion). Only what is marked "any thread" may be
//    called while another thread runs it.
//  * No v8::Locker exists in this process, and V8's Wasm trap handler is never enabled (suspended stacks move between threads).
//  * A turn runs on a fiber: C -> V8 -> JavaScript -> C -> leaf operation. A leaf operation never calls back into JavaScript.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cv8_status {
  CV8_OK = 0,
  CV8_EXCEPTION = 1,      // JavaScript threw (or a module did not compile or link): see cv8_error
  CV8_TERMINATED = 2,     // cv8_isolate_terminate, or the memory limit was reached: dispose of the isolate, never reuse it
  CV8_OUT_OF_MEMORY = 3,  // an isolate or a blob could not be made
  CV8_INVALID = 4,        // the caller's arguments or the order of calls are wrong
} cv8_status;

/// An error's text: message with file, line and column of the tenant's own source, then the stack. UTF-8, malloc'd by cv8,
/// given back with cv8_error_clear; `text` is NULL when there is none.
typedef struct cv8_error {
  char *text;
  size_t length;
} cv8_error;
void cv8_error_clear(cv8_error *error);

// ---------------------------------------------------------------------------------------------------------------- process

/// A source text of the Web runtime. Must be ASCII; the memory lives as long as the process: all isolates share it.
/// The text is a function expression `(function (internal) { … })`. Eager sources run, in order, while the base snapshot is
/// built; lazy ones when `internal.load(name)` is first called in an isolate.
typedef struct cv8_source {
  const char *name;
  const char *text;
  size_t length;
  bool lazy;
} cv8_source;

typedef struct cv8_call cv8_call;
/// A native operation called from JavaScript as `internal.ops.NAME(…)`. A leaf: returns, throws via cv8_throw, never runs JavaScript.
typedef void (*cv8_operation)(cv8_call *call);
typedef struct cv8_operation_entry {
  const char *name;
  cv8_operation function;
} cv8_operation_entry;

/// What a bundle's module is.
typedef enum cv8_module_kind {
  CV8_MODULE_JAVASCRIPT = 0,
  CV8_MODULE_JSON = 1,   // default export: the parsed value
  CV8_MODULE_TEXT = 2,   // default export: a string
  CV8_MODULE_BYTES = 3,  // default export: an ArrayBuffer
  CV8_MODULE_WASM = 4,   // default export: a WebAssembly.Module
} cv8_module_kind;

/// One module as the resolver found it. Pointers stay valid and unchanged until the isolate is disposed (sources are shared,
/// not copied, where they are ASCII).
typedef struct cv8_module {
  const char *name;  // as stack traces show it: the path within the bundle
  size_t name_length;
  const uint8_t *data;
  size_t length;
  cv8_module_kind kind;
  bool ascii;  // every byte of data is below 0x80
  /// From cv8_isolate_code of an isolate of this process that ran the same text, or NULL: it is not compiled again, where V8 can take that up.
  const uint8_t *code;
  size_t code_length;
} cv8_module;

/// Resolves `specifier` as imported by module `referrer` (an index the resolver gave earlier; -1: the main module is asked
/// for). Returns the module's index >= 0 and fills `out`, or -1 with a message in `error` (truncated to its capacity, *error_length set).
/// A leaf; called on the isolate's thread during a turn.
typedef int32_t (*cv8_module_resolver)(void *user, const char *specifier, size_t length, int32_t referrer, cv8_module *out,
                                       char *error, size_t error_capacity, size_t *error_length);

typedef struct cv8_options {
  const char *flags;  // V8 flags, separated by spaces, besides those cv8 always sets; includes --hash-seed
  size_t flags_length;
  const cv8_source *sources;  // the Web runtime: must be the same list in the builder and in every cell
  size_t source_count;
  const cv8_operation_entry *operations;  // likewise
  size_t operation_count;
  cv8_module_resolver resolver;
  /// Switches the calling fiber out; returns when it is resumed, perhaps on another thread. `fiber` as in cv8_turn.
  void (*suspend)(void *fiber);
  /// V8 cannot go on (out of memory or stack without a way to refuse, or a failed check). `user` is the current isolate's or NULL. Must not return.
  void (*fatal)(void *user, bool out_of_memory, const char *location, const char *message);
} cv8_options;

/// Starts V8 in this process: flags, entropy from getrandom(2), our Platform and PageAllocator. Once, on the main thread, before
/// any other thread is made. `options`' arrays and texts must live as long as the process.
cv8_status cv8_start(const cv8_options *options);
/// Once on each thread that runs turns, before the first: it has its own stack for the signal that the end of a fiber's stack causes, which comes
/// back as `fatal` with out_of_memory. False when there is no memory for it.
bool cv8_thread_prepare(void);
/// V8's version ("10.2.154.26-node.36") without needing cv8_start.
const char *cv8_version(void);
/// The flags cv8 sets itself, as one text; part of a snapshot's key.
const char *cv8_fixed_flags(void);

/// Builds the base snapshot from the eager sources. One a process, in a process that makes no other isolate. *blob is malloc'd by
/// cv8; give back with free(3).
cv8_status cv8_snapshot_build(uint8_t **blob, size_t *length, cv8_error *error);

// --------------------------------------------------------------------------------------------------------------- isolates

typedef struct cv8_isolate cv8_isolate;

/// Makes an isolate, nobody's yet, with its context from the snapshot and looks up the runtime's hooks. Not on a fiber. The calling thread is
/// free of the isolate (exited) on return. The snapshot must outlive every isolate made from it.
cv8_status cv8_isolate_new(const uint8_t *snapshot, size_t snapshot_length, cv8_isolate **out);

/// Makes an isolate from a tenant's snapshot: its modules have been evaluated. `modules` is the bundle, in the order that its builder had; its
/// texts must live as long as the isolate, the snapshot only until the call returns. CV8_INVALID: the blob cannot be used beside the base
/// snapshot (see cv8_snapshot_fits). Otherwise as cv8_isolate_new.
cv8_status cv8_isolate_revive(const uint8_t *snapshot, size_t snapshot_length, const cv8_module *modules, size_t module_count, cv8_isolate **out);

/// Makes the isolate in which a tenant's snapshot is built, from the base snapshot; one a process, which makes no other isolate. It takes turns
/// like any other.
cv8_status cv8_builder_new(const uint8_t *base, size_t base_length, const cv8_module *modules, size_t module_count, cv8_isolate **out);
/// Why no snapshot should be taken of a builder's isolate: its code looked at the clock, at Math.random or at what V8 leaves out while it builds.
/// Needs the flag --random-seed. Once, before cv8_builder_finish; `why` is left as it is when there is no reason.
void cv8_builder_saw(cv8_isolate *builder, cv8_error *why);
/// Ends a builder's isolate and gives its snapshot, malloc'd by cv8. Whatever V8 cannot put into a snapshot ends the process (cv8_options.fatal).
cv8_status cv8_builder_finish(cv8_isolate *builder, uint8_t **blob, size_t *length);
/// Revives an isolate from a builder's blob, collects its garbage and disposes of it. What V8 cannot take up again ends the process, and so no
/// process with other tenants: a frozen Array.prototype, for one, to which it wants to add what it had left out. After cv8_builder_finish.
cv8_status cv8_builder_try(const uint8_t *blob, size_t length, const cv8_module *modules, size_t module_count);
/// Whether isolates from a snapshot may live beside those of the base: V8 shares one read-only heap, and takes on trust that it is the same.
bool cv8_snapshot_fits(const uint8_t *base, size_t base_length, const uint8_t *blob, size_t length);

typedef struct cv8_owner {
  size_t memory_limit_bytes;  // heap + array buffers + Wasm + external strings + Intl
  void *user;                 // handed to operations and the resolver
  bool allow_eval;            // code from strings, of at most a sixteenth of memory_limit_bytes each
} cv8_owner;

/// Gives an isolate to whom it will serve, once, before its first turn. Not on a fiber.
void cv8_isolate_assign(cv8_isolate *isolate, const cv8_owner *owner);
/// What V8 has compiled of a JavaScript module so far, malloc'd by cv8. V8 trusts what it takes up: it must not leave the process. Between turns, not
/// on a fiber. CV8_INVALID: that module was not compiled in this isolate.
cv8_status cv8_isolate_code(cv8_isolate *isolate, int32_t module, uint8_t **code, size_t *length);
/// How many modules' code was taken up instead of being compiled.
size_t cv8_isolate_code_taken(const cv8_isolate *isolate);
/// Disposes of an isolate that no turn is running in or suspended in. Not on a fiber. If a turn was cut off (cv8_turn_abandon),
/// its stack must be dropped by the caller first.
void cv8_isolate_dispose(cv8_isolate *isolate);
/// Any thread: asks the running turn to suspend itself at V8's next interrupt check. Forgotten when the turn ends first.
void cv8_isolate_preempt(cv8_isolate *isolate);
/// Any thread, while the isolate is not being disposed: ends the running turn at V8's next check. The isolate is dead afterwards.
void cv8_isolate_terminate(cv8_isolate *isolate);

typedef struct cv8_memory {
  size_t page_bytes;          // committed pages of V8's heap, code and Wasm memories, from our page allocator
  size_t array_buffer_bytes;  // backing stores of array buffers, and what structuredClone has written
  size_t native_bytes;        // what V8 and ICU hold for it in the C library's heap: Wasm modules, Intl's formats
  size_t limit_bytes;
  bool over_limit;  // the limit was reached: termination was requested, the isolate is dead
} cv8_memory;
/// Any thread, while the isolate is not being disposed.
void cv8_isolate_memory(const cv8_isolate *isolate, cv8_memory *out);
/// Gives back what can be given back; between turns, not on a fiber.
void cv8_isolate_trim(cv8_isolate *isolate);

/// Makes an isolate from the base snapshot and takes what its heap's pages hold as what others may share: writes it to an empty memory file, which
/// nobody may change afterwards and which must stay open. Once a process, before another thread uses V8. Not CV8_OK: nothing will be shared. The isolate
/// is kept for good: with the last one V8's read-only heap, to which all those pages refer, would go and come back elsewhere.
cv8_status cv8_pages_take(const uint8_t *snapshot, size_t snapshot_length, int memory_file);
/// Maps those pages, copy-on-write, in place of the isolate's own of the same content, and gives back pages that hold only zeros. Between turns, not on
/// a fiber. Returns how many bytes of memory that are.
size_t cv8_isolate_share(cv8_isolate *isolate);

typedef struct cv8_process_memory {
  size_t page_bytes;       // held by all isolates and by V8 itself
  size_t pool_bytes;       // of isolates that are gone, zeroed, kept for others; not in page_bytes
  size_t isolate_count;
} cv8_process_memory;
/// Any thread.
void cv8_process_memory_get(cv8_process_memory *out);
/// How much of the memory of isolates that are disposed of from now on is kept for others: 0 until this is called. Any thread.
void cv8_pool_limit(size_t bytes);
/// Gives the kernel what nobody has wanted of that since the last call. Any thread.
void cv8_pool_give_back_unused(void);
/// Gives what isolates have freed of the C library's heap back to the kernel. Any thread; others that allocate wait meanwhile.
void cv8_process_trim(void);

// ------------------------------------------------------------------------------------------------------------------ turns

typedef enum cv8_kind {
  CV8_UNDEFINED = 0,
  CV8_NULL = 1,
  CV8_BOOL = 2,    // number != 0
  CV8_NUMBER = 3,  // number
  CV8_LATIN1 = 4,  // data, length: becomes a one-byte string
  CV8_UTF8 = 5,    // data, length: becomes a string, invalid sequences U+FFFD
  CV8_BYTES = 6,   // data, length: copied into a new Uint8Array
  CV8_OTHER = 7,   // only as the kind of an operation's argument: an object, function, symbol, bigint
  CV8_STRING = 8,  // only as the kind of an operation's argument
} cv8_kind;

typedef struct cv8_value {
  cv8_kind kind;
  double number;
  const void *data;
  size_t length;
} cv8_value;

typedef enum cv8_turn_kind {
  CV8_TURN_START = 0,  // compile, link and evaluate the main module, then call `hook` with (promise, namespace) of it
  CV8_TURN_CALL = 1,   // call `hook` with `arguments`
} cv8_turn_kind;

/// One turn: deliver one event, then run microtasks and V8's own tasks until none is left.
typedef struct cv8_turn {
  cv8_isolate *isolate;
  cv8_turn_kind kind;
  uint32_t hook;  // index into internal.hooks
  const cv8_value *arguments;
  size_t argument_count;
  double time_ms;   // what Date says during the whole turn: milliseconds since 1970
  double request;   // the request that the event belongs to (0: none): internal.currentRequest() for all that follows from it
  void *fiber;      // handed to options.suspend
  void *stack_low;  // the fiber's stack
  void *stack_high;
  // Results.
  double current_request;  // at a suspension: the request whose continuation is running (0: none)
  cv8_status status;
  cv8_error error;  // when status is CV8_EXCEPTION; the caller clears it
} cv8_turn;

/// The body of a fiber: runs `turn` (a cv8_turn *) to its end, being suspended and resumed meanwhile. On return the isolate is exited.
void cv8_turn_run(void *turn);

/// An interrupt that was asked for before is none of the next turn's. For the thread that will run it, before anybody can ask for one.
void cv8_turn_forget_preemption(cv8_isolate *isolate);

// ------------------------------------------------------------------------------------------------------------- operations
// Inside a leaf operation. Reading never runs JavaScript: a value of another kind reads as 0, false or empty.

void *cv8_call_user(const cv8_call *call);
double cv8_call_request(const cv8_call *call);  // the request this code runs for (0: none)
double cv8_call_time(const cv8_call *call);     // the turn's frozen time, ms since 1970
int32_t cv8_call_count(const cv8_call *call);
cv8_kind cv8_call_kind(const cv8_call *call, int32_t index);  // UNDEFINED, NULL, BOOL, NUMBER, STRING, BYTES (buffer or view) or OTHER
double cv8_call_number(const cv8_call *call, int32_t index);
bool cv8_call_bool(const cv8_call *call, int32_t index);
/// An ArrayBuffer's or view's bytes; the pointer is valid until the operation returns or throws. False if it is neither.
bool cv8_call_bytes(const cv8_call *call, int32_t index, uint8_t **data, size_t *length);
/// A string's length in UTF-16 units, and whether every unit is below 0x100.
size_t cv8_call_string(const cv8_call *call, int32_t index, bool *one_byte);
size_t cv8_call_utf8_length(const cv8_call *call, int32_t index);
/// Writes at most `capacity` bytes; a lone surrogate becomes U+FFFD; never part of a character. `units_read` may be NULL.
size_t cv8_call_write_utf8(const cv8_call *call, int32_t index, uint8_t *out, size_t capacity, size_t *units_read);
/// Writes the low bytes of each unit.
size_t cv8_call_write_latin1(const cv8_call *call, int32_t index, uint8_t *out, size_t capacity);
size_t cv8_call_write_utf16(const cv8_call *call, int32_t index, uint16_t *out, size_t capacity);

// At most one of these a call.
void cv8_return_number(cv8_call *call, double number);
void cv8_return_bool(cv8_call *call, bool value);
void cv8_return_null(cv8_call *call);
void cv8_return_latin1(cv8_call *call, const uint8_t *data, size_t length);
void cv8_return_utf8(cv8_call *call, const uint8_t *data, size_t length);  // invalid sequences become U+FFFD as WHATWG decodes
/// A new Uint8Array of `length` bytes for the operation to fill, or NULL after throwing RangeError (over the tenant's quota).
uint8_t *cv8_return_bytes(cv8_call *call, size_t length);

typedef enum cv8_throw_kind { CV8_THROW_ERROR = 0, CV8_THROW_TYPE_ERROR = 1, CV8_THROW_RANGE_ERROR = 2 } cv8_throw_kind;
void cv8_throw(cv8_call *call, cv8_throw_kind kind, const char *message, size_t length);

// ------------------------------------------------------------------------------------- what JavaScript sees as `internal`
// internal.ops.NAME(…)                 the operations
// internal.hooks                       an array the eager sources fill with functions; cv8_turn.hook is an index into it
// internal.load(name)                  runs a lazy source (once an isolate) with `internal`; returns what it returns
// internal.currentRequest()            number: the request of the running code, kept across await
// internal.structuredClone(value, transfer)   V8's serializer; transfer: array of ArrayBuffers. Throws an Error whose message
//                                      starts with "DataCloneError: " when a value cannot be cloned
// internal.detach(arrayBuffer)         returns a new ArrayBuffer with the contents, detaches the old
// internal.previewPromise(promise)     [state, result]: 0 pending, 1 fulfilled, 2 rejected
// internal.previewProxy(value)         [target, handler] or undefined
// internal.className(object)           the constructor's name as V8 knows it; never runs the tenant's code
// internal.isBoxed(v)/internal.typeOf(v)   "Map", "Set", "Date", "RegExp", "Promise", "Error", "Proxy", "ArrayBuffer", "TypedArray",
//                                      "DataView", "Map Iterator", "Set Iterator", "Generator", "Arguments", "Boxed", "Module",
//                                      "External", "Function", "AsyncFunction", "Object" …: V8's own kind, not the prototype's
// hooks[0] is called on an unhandled rejection at the end of a turn: (reason, promise); all others are the runtime's to number.

#ifdef __cplusplus
}
#endif
