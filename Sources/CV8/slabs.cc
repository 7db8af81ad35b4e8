// Where the chunks of isolates' heaps lie: those of one isolate side by side, eight to what one page of the kernel's tables maps. V8 asks for each at
// an address of its own, which costs an isolate some 15 pages of tables and a mapping a chunk.
#include <sys/mman.h>
#include <sys/random.h>

#include "internal.h"

namespace cv8 {

namespace {

constexpr size_t kSlab = size_t{2} << 20;
constexpr size_t kPlaces = kSlab / kHeapChunk;
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

}  // namespace

char *TakePlace(std::vector<Slab> &slabs) {
  for (Slab &slab : slabs) {
    for (size_t place = 0; place < kPlaces; place++) {
      if (slab.taken & 1 << place) continue;
      slab.taken |= static_cast<uint8_t>(1 << place);
      return base + slab.number * kSlab + place * kHeapChunk;
    }
  }
  Slab slab{0, 1};
  if (!TakeSlab(&slab.number)) return nullptr;
  slabs.push_back(slab);
  return base + slab.number * kSlab;
}

void GiveBackPlace(std::vector<Slab> &slabs, const char *chunk) {
  size_t number = static_cast<size_t>(chunk - base) / kSlab, place = static_cast<size_t>(chunk - base) % kSlab / kHeapChunk;
  for (size_t i = 0; i < slabs.size(); i++) {
    if (slabs[i].number != number) continue;
    slabs[i].taken &= static_cast<uint8_t>(~(1 << place));
    if (slabs[i].taken) return;
    slabs.erase(slabs.begin() + static_cast<ptrdiff_t>(i));
    (*used)[number] = false;
    used_count--;
    return;
  }
}

bool IsInSlab(const void *address) {
  const char *byte = static_cast<const char *>(address), *first = base.load(std::memory_order_relaxed);
  return first && byte >= first && byte < first + kSlabs * kSlab;
}

}  // namespace cv8
