// Where the chunks of isolates' heaps lie: those of one isolate side by side, eight to what one page of the kernel's tables maps. V8 asks for each at
// an address of its own, which costs an isolate some 15 pages of tables and a mapping a chunk. What isolates leave is kept, emptied, for the next
// ones: a fresh page costs the kernel about ten times what it takes to fill one with zeros.
#include <sys/mman.h>
#include <sys/random.h>

#include "internal.h"

namespace cv8 {

namespace {

/// Addresses, without memory, for 64 GiB.
constexpr size_t kSlabs = 1 << 15;

/// Set once.
std::atomic<char *> base{nullptr};
std::vector<bool> *used = new std::vector<bool>;
size_t used_count = 0;

bool Reserve() {
  if (base) return true;
  // One more, to begin where a slab does.
  void *mapped = mmap(nullptr, (kSlabs + 1) * kSlab, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return false;
  base = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(mapped) + kSlab - 1) / kSlab * kSlab);
  used->resize(kSlabs);
  return true;
}

/// At random, so that nobody knows from an address of his own where another's heap lies.
bool TakeSlab(uint32_t *number) {
  uint32_t random;
  if (!Reserve() || used_count > kSlabs / 2 || getrandom(&random, sizeof random, 0) != sizeof random) return false;
  uint32_t slab = random % kSlabs;
  while ((*used)[slab]) slab = (slab + 1) % kSlabs;
  (*used)[slab] = true;
  used_count++;
  *number = slab;
  return true;
}

/// Slabs with clean places whose isolates are gone; who went last is last.
std::vector<Slab> *unowned = new std::vector<Slab>;
/// Of those: bytes now, and the least since TakeUnused.
size_t unowned_bytes = 0, unowned_least = 0;
size_t pool_limit = 0;

size_t CleanBytes(const Slab &slab) { return static_cast<size_t>(__builtin_popcount(slab.clean)) * kHeapChunk; }

/// A clean place rather than another, or the other way round; any if there is none of these.
bool TakeFrom(Slab &slab, bool wants_clean, Place *out) {
  uint8_t open = static_cast<uint8_t>(~slab.taken), best = static_cast<uint8_t>(open & (wants_clean ? slab.clean : ~slab.clean));
  if (!open) return false;
  int number = __builtin_ctz(best ? best : open);
  uint8_t bit = static_cast<uint8_t>(1 << number);
  *out = {StartOf(slab) + static_cast<size_t>(number) * kHeapChunk, (slab.clean & bit) != 0};
  slab.taken |= bit;
  if (out->is_clean) pool_bytes -= kHeapChunk;
  slab.clean &= static_cast<uint8_t>(~bit);
  return true;
}

}  // namespace

std::atomic<size_t> pool_bytes{0};

char *StartOf(const Slab &slab) { return base + slab.number * kSlab; }

bool TakePlace(std::vector<Slab> &slabs, bool wants_clean, Place *out) {
  for (Slab &slab : slabs) {
    if (TakeFrom(slab, wants_clean, out)) return true;
  }
  Slab slab{0, 0, 0};
  if (!unowned->empty()) {
    slab = unowned->back();
    unowned->pop_back();
    unowned_bytes -= CleanBytes(slab);
    unowned_least = std::min(unowned_least, unowned_bytes);
  } else if (!TakeSlab(&slab.number)) {
    return false;
  }
  slabs.push_back(slab);
  return TakeFrom(slabs.back(), wants_clean, out);
}

void GiveBackPlace(std::vector<Slab> &slabs, const char *chunk, bool is_clean) {
  size_t number = static_cast<size_t>(chunk - base) / kSlab, place = static_cast<size_t>(chunk - base) % kSlab / kHeapChunk;
  for (size_t i = 0; i < slabs.size(); i++) {
    Slab &slab = slabs[i];
    if (slab.number != number) continue;
    slab.taken &= static_cast<uint8_t>(~(1 << place));
    if (is_clean) slab.clean |= static_cast<uint8_t>(1 << place);
    if (slab.taken) return;
    if (slab.clean) {
      unowned->push_back(slab);
      unowned_bytes += CleanBytes(slab);
    } else {
      GiveBackSlab(slab);
    }
    slabs.erase(slabs.begin() + static_cast<ptrdiff_t>(i));
    return;
  }
}

void GiveBackSlab(const Slab &slab) {
  (*used)[slab.number] = false;
  used_count--;
}

void SetPoolLimit(size_t bytes) { pool_limit = bytes; }

bool ReservePlaceInPool() {
  if (pool_bytes + kHeapChunk > pool_limit) return false;
  pool_bytes += kHeapChunk;
  return true;
}

std::vector<Slab> TakeUnused() {
  size_t bytes = 0, count = 0;
  while (count < unowned->size() && bytes < unowned_least) bytes += CleanBytes((*unowned)[count++]);
  std::vector<Slab> unused(unowned->begin(), unowned->begin() + static_cast<ptrdiff_t>(count));
  unowned->erase(unowned->begin(), unowned->begin() + static_cast<ptrdiff_t>(count));
  pool_bytes -= bytes;
  unowned_bytes -= bytes;
  unowned_least = unowned_bytes;
  return unused;
}

std::vector<char *> TakeCleanPlaces(std::vector<Slab> &slabs) {
  std::vector<char *> places;
  for (Slab &slab : slabs) {
    pool_bytes -= CleanBytes(slab);
    for (; slab.clean; slab.clean &= static_cast<uint8_t>(slab.clean - 1)) {
      places.push_back(StartOf(slab) + static_cast<size_t>(__builtin_ctz(slab.clean)) * kHeapChunk);
    }
  }
  return places;
}

bool IsInSlab(const void *address) {
  const char *byte = static_cast<const char *>(address), *first = base.load(std::memory_order_relaxed);
  return first && byte >= first && byte < first + kSlabs * kSlab;
}

}  // namespace cv8
