// V8's pages: mapped here, counted for the isolate that asked for them.
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "internal.h"

namespace cv8 {

namespace {

thread_local Account *current_account = nullptr;

constexpr size_t kPage = 4096;
/// A chunk of the heap that is larger than this holds one object, for which V8 does not always look at its own limit.
constexpr size_t kLargeChunk = 1 << 20;
/// V8 cannot go on without memory for a module: an isolate that has too many is to collect garbage or end when its code next looks, and has by then.
constexpr size_t kModuleLimit = 4 * Account::kRegionLimit;

int Protection(v8::PageAllocator::Permission permission) {
  switch (permission) {
    case v8::PageAllocator::kRead:
      return PROT_READ;
    case v8::PageAllocator::kReadWrite:
      return PROT_READ | PROT_WRITE;
    case v8::PageAllocator::kReadWriteExecute:
      return PROT_READ | PROT_WRITE | PROT_EXEC;
    case v8::PageAllocator::kReadExecute:
      return PROT_READ | PROT_EXEC;
    default:
      return PROT_NONE;
  }
}

/// A mapping and which of its pages can be touched.
struct Region {
  size_t size;
  std::shared_ptr<Account> account;
  /// The heap's chunks and code are never refused here, but for single large objects: V8 has limits of its own for them, and cannot go on without.
  bool is_heap;
  bool is_code;
  /// One of `Account::regions`.
  bool is_counted;
  /// A bit a page, up to the last that was ever committed: a Wasm memory reserves gigabytes and touches little.
  std::vector<bool> committed;
  size_t committed_count = 0;
  /// Those that were mapped from the memory file, likewise (shared_pages.cc); the isolate may have written to them since.
  std::vector<bool> shared;
  /// All of it can be read and written, whether it is committed or not.
  bool is_open = false;
  /// It was never anything but readable and writable.
  bool is_plain = true;

  bool IsCommitted(size_t page) const { return page < committed.size() && committed[page]; }
  bool IsShared(size_t page) const { return page < shared.size() && shared[page]; }
};

class Pages : public v8::PageAllocator {
 public:
  size_t AllocatePageSize() override { return kPage; }
  size_t CommitPageSize() override { return kPage; }
  void SetRandomMmapSeed(int64_t) override {}

  void *GetRandomMmapAddr() override {
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != sizeof bits) return nullptr;
    // Within the 46 bits that user space has on x86-64 and arm64, as V8's own allocator does.
    return reinterpret_cast<void *>(bits & 0x3ffffffff000ull);
  }

  void *AllocatePages(void *hint, size_t length, size_t alignment, Permission permission) override {
    Account *account = CurrentAccount();
    bool is_code = permission == kNoAccessWillJitLater;
    bool is_heap = is_code || alignment >= kHeapChunk;
    bool commits = permission != kNoAccess && !is_code;
    if (commits && !is_heap && account && !account->HasRoomFor(length)) return nullptr;
    // A tenant's Wasm modules; the isolate's own code comes before it has an owner.
    bool is_module = is_code && account && account->owner;
    bool is_counted = account && (!is_heap || is_module);
    if (is_counted && !account->HasRoomForRegion()) {
      if (!is_module || account->regions >= kModuleLimit) return nullptr;
      AskForRoom(account);
    }
    if (is_heap && !is_code && length > kLargeChunk && account && account->pages + length > account->Most()) return nullptr;
    void *address = nullptr;
    bool is_open = false;
    if (is_heap && account && length <= kHeapChunk && alignment == kHeapChunk) {
      bool is_plain = length == kHeapChunk && (permission == kNoAccess || permission == kReadWrite);
      {
        std::lock_guard<std::mutex> guard(mutex_);
        if (is_plain) address = TakeCleanPlace();
        is_open = address != nullptr;
        if (!address) address = TakePlace(account->slabs);
      }
      if (address && !is_open && permission != kNoAccess && mprotect(address, length, Protection(permission)) != 0) {
        std::lock_guard<std::mutex> guard(mutex_);
        GiveBackPlace(static_cast<char *>(address));
        return nullptr;
      }
    }
    if (!address) address = Map(hint, length, alignment, Protection(permission));
    if (!address) return nullptr;
    std::lock_guard<std::mutex> guard(mutex_);
    Region region{length, account ? account->shared_from_this() : nullptr, is_heap, is_code, is_counted, {}, 0, {}, is_open, permission == kNoAccess || permission == kReadWrite};
    if (commits) Mark(region, 0, length / kPage, true);
    if (is_counted) account->regions++;
    if (is_heap && account && !is_counted && length <= kHeapChunk) account->chunks.push_back(reinterpret_cast<uintptr_t>(address));
    regions_[reinterpret_cast<uintptr_t>(address)] = std::move(region);
    return address;
  }

  bool FreePages(void *address, size_t length) override {
    std::shared_ptr<Account> account;
    std::vector<bool> shared;
    bool is_kept = false;
    size_t committed = 0;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      auto found = regions_.find(reinterpret_cast<uintptr_t>(address));
      if (found == regions_.end()) return false;
      is_kept = IsWorthKeeping(address, found->second) && ReserveInPool();
      committed = found->second.committed_count * kPage;
      Count(found->second, -static_cast<ptrdiff_t>(found->second.committed_count));
      shared = std::move(found->second.shared);
      account = std::move(found->second.account);
      if (account) {
        if (found->second.is_counted) {
          account->regions--;
        } else {
          account->chunks.erase(std::remove(account->chunks.begin(), account->chunks.end(), found->first), account->chunks.end());
        }
      }
      regions_.erase(found);
    }
    char *place = IsInSlab(address) ? static_cast<char *>(address) : nullptr;
    if (is_kept && !Clean(place, committed, shared)) {
      pool_bytes -= kHeapChunk;
      is_kept = false;
    }
    // A place as a whole: V8 may have given back the end of a chunk, and Clean has taken it again.
    size_t extent = place ? kHeapChunk : length;
    if (!is_kept && !Unmap(address, extent)) {
      // Without a mapping more, for V8 cannot go on when this fails. A place that could not be emptied is nobody's for good.
      return place && madvise(address, extent, MADV_DONTNEED) == 0;
    }
    if (place) {
      std::lock_guard<std::mutex> guard(mutex_);
      if (is_kept) {
        KeepPlace(place);
      } else {
        GiveBackPlace(place);
      }
    }
    return true;
  }

  bool ReleasePages(void *address, size_t length, size_t new_length) override {
    {
      std::lock_guard<std::mutex> guard(mutex_);
      auto found = regions_.find(reinterpret_cast<uintptr_t>(address));
      if (found == regions_.end()) return false;
      Mark(found->second, new_length / kPage, (length - new_length) / kPage, false);
      if (found->second.committed.size() > new_length / kPage) found->second.committed.resize(new_length / kPage);
      found->second.size = new_length;
    }
    return Unmap(static_cast<char *>(address) + new_length, length - new_length);
  }

  bool SetPermissions(void *address, size_t length, Permission permission) override {
    uintptr_t start = reinterpret_cast<uintptr_t>(address);
    size_t first = 0;
    bool commits = permission != kNoAccess && permission != kNoAccessWillJitLater, is_shared = false, is_open = false;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      Region *region = Find(start, &first);
      is_shared = region && !region->shared.empty();
      if (region) {
        is_open = region->is_open &= permission == kReadWrite;
        region->is_plain &= permission == kReadWrite || permission == kNoAccess;
#if V8_MAJOR_VERSION < 12
        // It is about to be freed: an isolate that ends keeps no chunk for another there.
        if (permission == kNoAccess && length == region->size && IsWorthKeeping(address, *region)) return true;
#endif
      }
      if (region && commits && !region->is_heap && region->account) {
        size_t more = 0;
        for (size_t page = first; page < first + length / kPage; page++) more += !region->IsCommitted(page);
        if (more && !region->account->HasRoomFor(more * kPage)) return false;
      }
    }
    // What cannot be touched is given back, as V8's own allocator does, so that the count is what is held. Of the memory file it would come back.
    if (!commits && is_shared) {
      if (!MapAfresh(address, length)) return false;
    } else {
      if (!is_open && mprotect(address, length, Protection(permission)) != 0) return false;
      if (!commits) madvise(address, length, MADV_DONTNEED);
    }
    std::lock_guard<std::mutex> guard(mutex_);
    if (Region *region = Find(start, &first)) Mark(*region, first, length / kPage, commits);
    return true;
  }

  bool DiscardSystemPages(void *address, size_t size) override {
    if (madvise(address, size, MADV_DONTNEED) != 0) return false;
#if V8_MAJOR_VERSION >= 13
    // Code keeps its permissions there: pages are discarded when they are freed, and recommitted before they are used again.
    std::lock_guard<std::mutex> guard(mutex_);
    size_t first = 0;
    Region *region = Find(reinterpret_cast<uintptr_t>(address), &first);
    if (region && region->is_code) Mark(*region, first, size / kPage, false);
#endif
    return true;
  }

#if V8_MAJOR_VERSION >= 12
  bool RecommitPages(void *address, size_t length, Permission permission) override { return SetPermissions(address, length, permission); }
#endif

  bool DecommitPages(void *address, size_t size) override {
    Close(address);
    if (!MapAfresh(address, size)) return false;
    std::lock_guard<std::mutex> guard(mutex_);
    size_t first = 0;
    if (Region *region = Find(reinterpret_cast<uintptr_t>(address), &first)) Mark(*region, first, size / kPage, false);
    return true;
  }

  void GiveBackUnused() {
    std::vector<char *> places;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      places = TakeUnused();
    }
    for (char *place : places) {
      bool is_fresh = MapAfresh(place, kHeapChunk);
      std::lock_guard<std::mutex> guard(mutex_);
      if (is_fresh) {
        GiveBackPlace(place);
      } else {
        // Without a mapping more it is still what it was.
        pool_bytes += kHeapChunk;
        KeepPlace(place);
      }
    }
  }

  void LimitPool(size_t bytes) {
    std::lock_guard<std::mutex> guard(mutex_);
    SetPoolLimit(bytes);
  }

  void NoteCodeRange(void *start, Account *account) {
    std::lock_guard<std::mutex> guard(mutex_);
    size_t first = 0;
    Region *region = Find(reinterpret_cast<uintptr_t>(start), &first);
    if (!region) return;
    region->is_code = true;
    account->chunks.push_back(reinterpret_cast<uintptr_t>(start) - first * kPage);
  }

  std::vector<PageSpan> Spans(const Account *account) {
    std::vector<PageSpan> spans = BlocksOf(account);
    std::lock_guard<std::mutex> guard(mutex_);
    for (uintptr_t address : account->chunks) {
      const Region &region = regions_.at(address);
#if V8_MAJOR_VERSION >= 11
      // There code's pages have other permissions than ours would.
      if (region.is_code) continue;
#endif
      size_t count = std::min(region.committed.size(), region.size / kPage);
      for (size_t page = 0; page < count; page++) {
        size_t first = page;
        while (page < count && region.committed[page] && !region.IsShared(page)) page++;
        uintptr_t start = address + first * kPage;
        // A chunk of code begins with its header, which is data, and a page that cannot be touched.
        if (page == first || (region.is_code && start % kHeapChunk == 0)) continue;
        spans.push_back({reinterpret_cast<char *>(start), (page - first) * kPage, region.is_code, false});
      }
    }
    return spans;
  }

  void NoteShared(void *address, size_t length) {
    std::lock_guard<std::mutex> guard(mutex_);
    size_t first = 0;
    Region *region = Find(reinterpret_cast<uintptr_t>(address), &first);
    if (!region) return;
    size_t end = first + length / kPage;
    if (end > region->shared.size()) region->shared.resize(end, false);
    std::fill(region->shared.begin() + static_cast<ptrdiff_t>(first), region->shared.begin() + static_cast<ptrdiff_t>(end), true);
  }

 private:
  static bool Unmap(void *address, size_t length) { return IsInSlab(address) ? MapAfresh(address, length) : munmap(address, length) == 0; }

  /// A chunk of an isolate that ends can be another's when all of it is data. Under the lock.
  static bool IsWorthKeeping(void *address, const Region &region) {
    return IsInSlab(address) && region.account && region.account->is_ending && region.is_plain && !region.is_code &&
           region.committed_count == region.size / kPage;
  }

  /// Makes a chunk, whose first `length` bytes are committed, what fresh pages are. What was mapped from the memory file goes, and so does what is swapped
  /// out.
  static bool Clean(char *chunk, size_t length, const std::vector<bool> &shared) {
    for (size_t page = 0; page < shared.size(); page++) {
      size_t first = page;
      while (page < shared.size() && shared[page]) page++;
      if (page == first) continue;
      void *start = chunk + first * kPage;
      if (mmap(start, (page - first) * kPage, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED) return false;
    }
    if (length < kHeapChunk && mprotect(chunk + length, kHeapChunk - length, PROT_READ | PROT_WRITE) != 0) return false;
    std::vector<unsigned char> resident = ResidentPages(chunk, length);
    for (size_t page = 0; page < resident.size();) {
      size_t first = page;
      bool is_resident = resident[first] & 1;
      while (page < resident.size() && (resident[page] & 1) == is_resident) page++;
      char *start = chunk + first * kPage;
      size_t bytes = (page - first) * kPage;
      if (is_resident) {
        memset(start, 0, bytes);
      } else if (madvise(start, bytes, MADV_DONTNEED) != 0) {
        return false;
      }
    }
    return !resident.empty();
  }

  /// No longer all of a region can be touched.
  void Close(void *address) {
    std::lock_guard<std::mutex> guard(mutex_);
    size_t first = 0;
    if (Region *region = Find(reinterpret_cast<uintptr_t>(address), &first)) region->is_open = false;
  }

  /// A fresh mapping in place: no access, zero when it is used again.
  static bool MapAfresh(void *address, size_t length) {
    return mmap(address, length, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
  }

  static void *Map(void *hint, size_t length, size_t alignment, int protection) {
    size_t request = length + (alignment > kPage ? alignment - kPage : 0);
    char *mapped = static_cast<char *>(mmap(hint, request, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (mapped == MAP_FAILED) return nullptr;
    uintptr_t start = reinterpret_cast<uintptr_t>(mapped);
    uintptr_t aligned = (start + alignment - 1) / alignment * alignment;
    if (aligned != start) munmap(mapped, aligned - start);
    size_t tail = start + request - (aligned + length);
    if (tail) munmap(reinterpret_cast<void *>(aligned + length), tail);
    return reinterpret_cast<void *>(aligned);
  }

  /// The region that an address lies in, and which of its pages that is. Under the lock.
  Region *Find(uintptr_t address, size_t *page) {
    auto found = regions_.upper_bound(address);
    if (found == regions_.begin()) return nullptr;
    --found;
    if (address >= found->first + found->second.size) return nullptr;
    *page = (address - found->first) / kPage;
    return &found->second;
  }

  void Mark(Region &region, size_t first, size_t count, bool commits) {
    ptrdiff_t change = 0;
    size_t end = std::min(first + count, region.size / kPage);
    if (commits && end > region.committed.size()) region.committed.resize(end, false);
    for (size_t page = first; page < std::min(end, region.committed.size()); page++) {
      if (region.committed[page] != commits) {
        region.committed[page] = commits;
        change += commits ? 1 : -1;
      }
      if (!commits && page < region.shared.size()) region.shared[page] = false;
    }
    Count(region, change);
  }

  void Count(Region &region, ptrdiff_t pages) {
    region.committed_count += pages;
    process_pages += pages * static_cast<ptrdiff_t>(kPage);
    if (region.account) region.account->pages += pages * static_cast<ptrdiff_t>(kPage);
  }

  /// Never held across a call to the kernel: a thread of low priority may be put aside in one.
  std::mutex mutex_;
  std::map<uintptr_t, Region> regions_;
};

Pages *pages = new Pages;

}  // namespace

std::atomic<size_t> process_pages{0};
std::atomic<size_t> isolate_count{0};

__attribute__((noinline)) Account *CurrentAccount() {
  asm volatile("");
  return current_account;
}
__attribute__((noinline)) void SetCurrentAccount(Account *account) {
  asm volatile("");
  current_account = account;
}

std::vector<unsigned char> ResidentPages(char *start, size_t length) {
  std::vector<unsigned char> resident(length / kPage);
  if (mincore(start, length, resident.data()) != 0) resident.clear();
  return resident;
}

v8::PageAllocator *ThePageAllocator() { return pages; }
std::vector<PageSpan> SpansOf(const Account *account) { return pages->Spans(account); }
void NoteCodeRange(void *start, Account *account) { pages->NoteCodeRange(start, account); }
void NoteShared(void *address, size_t length) { pages->NoteShared(address, length); }

/// Buffers this small are never refused: V8's own code relies on getting them.
constexpr size_t kAlwaysAllowed = 64;

bool BufferAllocator::Charge(size_t length) {
  if (length > kAlwaysAllowed && !account_->HasRoomFor(length)) return false;
  account_->buffers += length;
  return true;
}

void *BufferAllocator::Allocate(size_t length) {
  if (!Charge(length)) return nullptr;
  void *data = calloc(length ? length : 1, 1);
  if (!data) account_->buffers -= length;
  return data;
}

void *BufferAllocator::AllocateUninitialized(size_t length) {
  // Never uninitialised: what another tenant left in the process's heap must not be seen.
  return Allocate(length);
}

void *BufferAllocator::Lengthen(void *data, size_t old_length, size_t length) {
  if (!Charge(length - old_length)) return nullptr;
  void *longer = realloc(data, length);
  if (!longer) account_->buffers -= length - old_length;
  return longer;
}

void BufferAllocator::Free(void *data, size_t length) {
  account_->buffers -= length;
  free(data);
}

}  // namespace cv8

void cv8_process_memory_get(cv8_process_memory *out) {
  out->page_bytes = cv8::process_pages;
  out->pool_bytes = cv8::pool_bytes;
  out->isolate_count = cv8::isolate_count;
}

void cv8_pool_limit(size_t bytes) { cv8::pages->LimitPool(bytes); }
void cv8_pool_give_back_unused(void) { cv8::pages->GiveBackUnused(); }
