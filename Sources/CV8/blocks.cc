// Large blocks that V8 takes from the C++ heap for an isolate while it is made (three caches of 60 KiB): pages of their own, counted for the isolate,
// so that what it does not use of them can be given back. Replaces the C++ library's operators, for V8's library, too; what they take from the C
// library's heap is counted where it is large (native.cc).
#include <malloc.h>
#include <sys/mman.h>

#include <cstdlib>
#include <new>

#include "internal.h"

namespace cv8 {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSlot = 64 << 10;
/// Smaller ones, and a whole slot, may be tables of V8's, or of ours, that grow with the number of isolates and are nobody's: of 32 KiB and 64 KiB (powers of
/// two), of 40 KiB (5,087 buckets, the C++ library's prime there).
constexpr size_t kLeastBlock = 48 << 10;
/// Addresses for all isolates that a process can have; memory is only taken for what is used. Number 0 is none.
constexpr size_t kSlotCount = 1 << 17;

/// On whose behalf this thread makes an isolate, and how many blocks that has asked for so far.
thread_local Account *charged = nullptr;
thread_local int asked = 0;

/// Neighbouring slots are one mapping.
class Blocks {
 public:
  void *Allocate(size_t size, Account *account) {
    uint32_t slot = 0;
    bool is_fresh = false;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      if (!Reserve()) return nullptr;
      if (first_free_) {
        slot = first_free_;
        first_free_ = slots_[slot].next;
      } else if (used_ + 1 < kSlotCount) {
        slot = ++used_;
        is_fresh = true;
      }
    }
    // One that cannot be touched is nobody's for good.
    if (!slot || (is_fresh && mprotect(base_ + slot * kSlot, kSlot, PROT_READ | PROT_WRITE) != 0)) return nullptr;
    std::lock_guard<std::mutex> guard(mutex_);
    size_t length = (size + kPage - 1) / kPage * kPage;
    slots_[slot] = {account, static_cast<uint32_t>(length), account->first_block};
    account->first_block = slot;
    account->pages += length;
    process_pages += length;
    return base_ + slot * kSlot;
  }

  bool Contains(const void *memory) const {
    const char *base = base_.load(std::memory_order_relaxed);
    return base && memory >= base && memory < base + kSlot * kSlotCount;
  }

  void Free(void *block) {
    madvise(block, kSlot, MADV_DONTNEED);
    std::lock_guard<std::mutex> guard(mutex_);
    uint32_t slot = static_cast<uint32_t>((static_cast<char *>(block) - base_) / static_cast<ptrdiff_t>(kSlot));
    Slot &freed = slots_[slot];
    uint32_t *link = &freed.account->first_block;
    while (*link != slot) link = &slots_[*link].next;
    *link = freed.next;
    freed.account->pages -= freed.length;
    process_pages -= freed.length;
    freed = {nullptr, 0, first_free_};
    first_free_ = slot;
  }

  std::vector<PageSpan> Of(const Account *account) {
    std::lock_guard<std::mutex> guard(mutex_);
    std::vector<PageSpan> spans;
    for (uint32_t slot = account->first_block; slot; slot = slots_[slot].next) spans.push_back({base_ + slot * kSlot, slots_[slot].length, false, true});
    return spans;
  }

 private:
  /// Once, when the first is made.
  bool Reserve() {
    if (base_) return true;
    void *mapped = mmap(nullptr, kSlot * kSlotCount, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return false;
    base_ = static_cast<char *>(mapped);
    return true;
  }

  struct Slot {
    Account *account;
    uint32_t length;
    /// Of the same account, or free like this one.
    uint32_t next;
  };

  /// Not held across a call to the kernel, but the first: a thread of low priority may be put aside in one.
  std::mutex mutex_;
  std::atomic<char *> base_{nullptr};
  Slot slots_[kSlotCount]{};
  uint32_t used_ = 0;
  uint32_t first_free_ = 0;
};

/// The C library makes a block by less than this longer than it was asked for.
constexpr size_t kRounding = 64;

/// Used before the process's objects are made; all zeros, so that it takes no memory where it is not used.
constinit Blocks blocks;

}  // namespace

BlocksAreCharged::BlocksAreCharged(Account *account) {
  charged = account;
  asked = 0;
}
BlocksAreCharged::~BlocksAreCharged() { charged = nullptr; }

std::vector<PageSpan> BlocksOf(const Account *account) { return blocks.Of(account); }

}  // namespace cv8

void *operator new(size_t size) {
  using namespace cv8;
  // The first is the isolate itself, all of which is used, and all the time: at the same place of a page in each they would evict one another from
  // the processor's caches.
  if (charged && size >= kLeastBlock && size < kSlot && asked++ > 0) {
    if (void *block = blocks.Allocate(size, charged)) return block;
  }
  bool is_charged = size >= kLeastCharged - kRounding && size < PTRDIFF_MAX;
  size_t length = is_charged ? std::max(size + kMarkBytes, kLeastCharged) : std::max(size, size_t{1});
  while (true) {
    if (void *memory = malloc(length)) {
      if (is_charged) Charge(memory);
      return memory;
    }
    std::new_handler handler = std::get_new_handler();
    if (!handler) throw std::bad_alloc();
    handler();
  }
}

void operator delete(void *memory) noexcept {
  if (cv8::blocks.Contains(memory)) return cv8::blocks.Free(memory);
  if (malloc_usable_size(memory) >= cv8::kLeastCharged) cv8::GiveBack(memory);
  free(memory);
}
void operator delete(void *memory, size_t) noexcept { operator delete(memory); }
