// What V8 and ICU take from the C library's heap for an isolate: Wasm modules' bytes, formats and calendars of Intl. Counted for whoever runs on the
// thread, and given back to the same account wherever it is freed. Neither can be refused: what goes over the limit is looked at when V8 next looks for
// interrupts.
#include <dlfcn.h>
#include <malloc.h>
#include <sys/random.h>

#include <cstring>

#include "internal.h"

namespace cv8 {

namespace {

/// What the C library has for itself in each block.
constexpr size_t kOverhead = sizeof(size_t);
/// What V8 holds besides a tenant's own objects: half-empty pages, code.
constexpr size_t kSlackBytes = size_t{16} << 20;
/// By how much a tenant that is over its limit goes on before V8 collects its garbage again.
constexpr size_t kLookAgainBytes = size_t{1} << 20;

/// ICU's u_setMemoryFunctions. The name has the version of the library that V8's brings along, for which there need be no header.
using SetMemoryFunctions = void (*)(const void *context, void *(*allocate)(const void *, size_t), void *(*reallocate)(const void *, void *, size_t),
                                    void (*free)(const void *, void *), int *status);
constexpr int kFirstICU = 50, kLastICU = 200;

/// The end of a block: whose it is. In one that was not marked there may be anything.
struct Mark {
  Account *account;
  uintptr_t check;
};
static_assert(sizeof(Mark) == kMarkBytes);

/// Set before the first isolate is made.
uintptr_t secret = 0;

char *MarkOf(void *memory, size_t length) { return static_cast<char *>(memory) + length - sizeof(Mark); }

/// Collects garbage, which may hold what is counted here and does not itself weigh anything, and ends an isolate that is over its limit without it.
void MakeRoom(v8::Isolate *isolate, void *data) {
  cv8_isolate *state = static_cast<cv8_isolate *>(data);
  Account &account = *state->account;
  account.is_asked = false;
  if (account.HasRoomFor(0) && !account.HasTooManyRegions()) return;
  isolate->LowMemoryNotification();
  account.native_when_asked = account.native + kLookAgainBytes;
  if (account.Held() <= account.limit + kSlackBytes && !account.HasTooManyRegions()) return;
  EndOverLimit(state);
}

void *AllocateForICU(const void *, size_t size) {
  void *memory = size < PTRDIFF_MAX ? malloc(size + kMarkBytes) : nullptr;
  if (memory) Charge(memory);
  return memory;
}

void FreeForICU(const void *, void *memory) {
  GiveBack(memory);
  free(memory);
}

void *ReallocateForICU(const void *context, void *memory, size_t size) {
  if (!memory) return AllocateForICU(context, size);
  if (size >= PTRDIFF_MAX) return nullptr;
  GiveBack(memory);
  void *moved = realloc(memory, size + kMarkBytes);
  Charge(moved ? moved : memory);
  return moved;
}

}  // namespace

std::shared_ptr<Account> MakeAccount() {
  return std::shared_ptr<Account>(new Account, [](Account *account) {
    // They may be counted themselves.
    std::vector<uintptr_t>().swap(account->chunks);
    std::vector<uint32_t>().swap(account->slabs);
    account->GiveBackNative(1);
  });
}

void AskForRoom(Account *account) {
  if (account->is_asked) return;
  account->is_asked = true;
  account->owner->isolate->RequestInterrupt(MakeRoom, account->owner);
}

void Charge(void *memory) {
  size_t length = malloc_usable_size(memory);
  Account *account = CurrentAccount();
  Mark mark{};
  if (account && account->owner) {
    mark = {account, secret ^ reinterpret_cast<uintptr_t>(memory)};
    size_t native = account->native += length + kOverhead;
    if (native > account->native_when_asked && !account->HasRoomFor(0)) AskForRoom(account);
  }
  memcpy(MarkOf(memory, length), &mark, sizeof mark);
}

void GiveBack(void *memory) {
  size_t length = malloc_usable_size(memory);
  if (length < sizeof(Mark)) return;
  Mark mark;
  memcpy(&mark, MarkOf(memory, length), sizeof mark);
  if (!mark.account || mark.check != (secret ^ reinterpret_cast<uintptr_t>(memory))) return;
  // The next block there may not be marked.
  memset(MarkOf(memory, length), 0, sizeof mark);
  mark.account->GiveBackNative(length + kOverhead);
}

bool WatchNativeMemory() {
  if (getrandom(&secret, sizeof secret, 0) != sizeof secret) return false;
  for (int version = kFirstICU; version < kLastICU; version++) {
    void *found = dlsym(RTLD_DEFAULT, ("u_setMemoryFunctions_" + std::to_string(version)).c_str());
    int status = 0;
    if (found) reinterpret_cast<SetMemoryFunctions>(found)(nullptr, AllocateForICU, ReallocateForICU, FreeForICU, &status);
    if (status > 0) return false;
  }
  return true;
}

}  // namespace cv8
