// Where the chunks of isolates' heaps lie: those of one isolate side by side, eight to what one page of the kernel's tables maps. V8 asks for each at
// an address of its own, which costs an isolate some 15 pages of tables and a mapping a chunk. What isolates leave is kept, emptied, for the next
// ones: a fresh page costs the kernel about ten times what it takes to fill one with zeros.
#include <sys/mman.h>
#include <sys/random.h>

#include "internal.h"

namespace cv8 {

namespace {

constexpr size_t kPlaces = 8;
constexpr size_t kSlab = kPlaces * kHeapChunk;
/// Addresses, without memory, for 64 GiB.
constexpr size_t kSlabs = 1 << 15;

/// Set once.
std::atomic<char *> base{nullptr};
/// Which places of a slab are taken, a bit each.
std::vector<uint8_t> *taken = new std::vector<uint8_t>;
size_t taken_count = 0;

/// Places that are readable, writable and all zeros, and the least of them since TakeUnused.
std::vector<char *> *clean = new std::vector<char *>;
size_t least_clean = 0;
size_t pool_limit = 0;

bool Reserve() {
  if (base) return true;
  // One more, to begin where a slab does.
  void *mapped = mmap(nullptr, (kSlabs + 1) * kSlab, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return false;
  base = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(mapped) + kSlab - 1) / kSlab * kSlab);
  taken->resize(kSlabs);
  return true;
}

char *TakeFrom(uint32_t slab) {
  uint8_t bits = (*taken)[slab];
  if (bits == UINT8_MAX) return nullptr;
  size_t place = static_cast<size_t>(__builtin_ctz(static_cast<uint8_t>(~bits)));
  if (!bits) taken_count++;
  (*taken)[slab] = static_cast<uint8_t>(bits | 1 << place);
  return base + slab * kSlab + place * kHeapChunk;
}

}  // namespace

std::atomic<size_t> pool_bytes{0};

char *TakePlace(std::vector<uint32_t> &slabs) {
  for (uint32_t slab : slabs) {
    if (char *place = TakeFrom(slab)) return place;
  }
  uint32_t random;
  if (!Reserve() || taken_count > kSlabs / 2 || getrandom(&random, sizeof random, 0) != sizeof random) return nullptr;
  // At random, so that from an address of one's own does not follow where another's heap lies (but for what an isolate that is gone has left).
  uint32_t slab = random % kSlabs;
  while ((*taken)[slab]) slab = (slab + 1) % kSlabs;
  slabs.push_back(slab);
  return TakeFrom(slab);
}

void GiveBackPlace(const char *place) {
  size_t number = static_cast<size_t>(place - base) / kHeapChunk, slab = number / kPlaces;
  (*taken)[slab] = static_cast<uint8_t>((*taken)[slab] & ~(1 << number % kPlaces));
  if (!(*taken)[slab]) taken_count--;
}

void SetPoolLimit(size_t bytes) { pool_limit = bytes; }

bool ReserveInPool() {
  if (pool_bytes + kHeapChunk > pool_limit) return false;
  pool_bytes += kHeapChunk;
  return true;
}

void KeepPlace(char *place) { clean->push_back(place); }

char *TakeCleanPlace() {
  if (clean->empty()) return nullptr;
  // The last: what it was used for is likely what the next isolate needs it for, and as many of its pages are there.
  char *place = clean->back();
  clean->pop_back();
  pool_bytes -= kHeapChunk;
  least_clean = std::min(least_clean, clean->size());
  return place;
}

std::vector<char *> TakeUnused() {
  auto end = clean->begin() + static_cast<ptrdiff_t>(least_clean);
  std::vector<char *> unused(clean->begin(), end);
  clean->erase(clean->begin(), end);
  pool_bytes -= unused.size() * kHeapChunk;
  least_clean = clean->size();
  return unused;
}

bool IsInSlab(const void *address) {
  const char *byte = static_cast<const char *>(address), *first = base.load(std::memory_order_relaxed);
  return first && byte >= first && byte < first + kSlabs * kSlab;
}

}  // namespace cv8
