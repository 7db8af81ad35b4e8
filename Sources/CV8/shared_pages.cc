// Pages that all isolates from the base snapshot have alike: builtins' code, bytecode, texts. They are kept once, in a memory file, and mapped
// copy-on-write in place of an isolate's own.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "internal.h"

namespace cv8 {

namespace {

constexpr size_t kPage = 4096;
const char kZeros[kPage] = {};

/// What is in the file; written once, by cv8_pages_take, before other threads look.
int file = -1;
const char *contents = nullptr;
/// A page's hash and its number in the file. Pages of equal hash: the first. What is found is compared.
std::unordered_map<uint64_t, uint32_t> *numbers = new std::unordered_map<uint64_t, uint32_t>;

uint64_t HashOf(const char *page) {
  // FNV-1a, a word at a time; https://datatracker.ietf.org/doc/html/draft-eastlake-fnv
  uint64_t hash = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < kPage; i += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, page + i, sizeof word);
    hash = (hash ^ word) * 0x100000001b3ull;
    hash ^= hash >> 29;
  }
  return hash;
}

bool IsZero(const char *page) { return memcmp(page, kZeros, kPage) == 0; }

/// V8 has two caches an isolate of handlers for megamorphic code, 2,048 + 512 entries of three words (key, handler, map) and the isolate's address.
/// V8 marks an unused entry by the empty string as its key, a handler that is never called, and zero for the map. Zeros throughout mean the same to V8
/// 10.2 (src/ic/stub-cache.cc) and its builtins. They take an entry only when both its key and its map are what is looked for. One whose map is zero
/// they replace without a look at the rest.
constexpr size_t kHandlerCacheLength = ((2048 + 512) * 3 + 1) * sizeof(uint64_t);

/// Whether a page of a block holds nothing.
bool IsEmpty(const PageSpan &span, const char *page) {
  if (IsZero(page)) return true;
#if V8_MAJOR_VERSION < 11
  size_t offset = static_cast<size_t>(page - span.start);
  if (!span.is_block || span.length != (kHandlerCacheLength + kPage - 1) / kPage * kPage || offset + kPage > kHandlerCacheLength - sizeof(uint64_t)) return false;
  const uint64_t *words = reinterpret_cast<const uint64_t *>(page);
  size_t count = kPage / sizeof(uint64_t), first = offset / sizeof(uint64_t);
  for (size_t i = 0; i < count; i++) {
    bool is_map = (first + i) % 3 == 2;
    if (is_map ? words[i] != 0 : i >= 3 && words[i] != words[i - 3]) return false;
  }
  return true;
#else
  return false;
#endif
}

/// Calls `visit` with each page of the span that the kernel holds in memory. Others were never touched or are swapped out: looking would bring them in.
template <typename Visit>
void VisitResident(const PageSpan &span, Visit visit) {
  std::vector<unsigned char> resident = ResidentPages(span.start, span.length);
  for (size_t i = 0; i < resident.size(); i++) {
    if (resident[i] & 1) visit(span.start + i * kPage);
  }
}

/// Whether a page of the file can be made executable as code's own pages are: not where the kernel has been told otherwise.
bool MayExecute() {
  void *page = mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file, 0);
  if (page == MAP_FAILED) return false;
  bool may = mprotect(page, kPage, PROT_READ | PROT_EXEC) == 0;
  munmap(page, kPage);
  return may;
}

/// Runs of pages that are shorter than this are left to the isolate.
constexpr size_t kLeastShared = 3 * kPage;

/// Neighbouring pages that are neighbours in the file, too, or that are empty.
struct Run {
  char *start = nullptr;
  size_t length = 0;
  /// Empty when below 0.
  int64_t number = -1;

  bool Continues(const char *page, int64_t next) const {
    return length && page == start + length && (next < 0) == (number < 0) && (next < 0 || next == number + static_cast<int64_t>(length / kPage));
  }
};

/// Returns how many bytes the isolate no longer has for itself.
size_t Replace(const Run &run, bool is_code) {
  if (!run.length) return 0;
  if (run.number < 0) return madvise(run.start, run.length, MADV_DONTNEED) == 0 ? run.length : 0;
  // Each run is two mappings more, of which a process has some ten thousands.
  if (run.length < kLeastShared) return 0;
  int protection = PROT_READ | (is_code ? 0 : PROT_WRITE);
  // Nobody runs this isolate, and the contents are the same before and after.
  if (mmap(run.start, run.length, protection, MAP_PRIVATE | MAP_FIXED, file, static_cast<off_t>(run.number) * static_cast<off_t>(kPage)) == MAP_FAILED) {
    // The kernel may have taken the pages away before it found that it has no memory.
    void *again = mmap(run.start, run.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
    if (again == MAP_FAILED) Fatal(true, "shared pages", "no memory");
    memcpy(run.start, contents + static_cast<size_t>(run.number) * kPage, run.length);
    if (is_code && mprotect(run.start, run.length, PROT_READ | (jitless ? 0 : PROT_EXEC)) != 0) Fatal(true, "shared pages", "code cannot be made executable");
    return 0;
  }
  NoteShared(run.start, run.length);
  if (is_code && !jitless && mprotect(run.start, run.length, PROT_READ | PROT_EXEC) != 0) Fatal(true, "shared pages", "code cannot be made executable");
  return run.length;
}

}  // namespace

}  // namespace cv8

cv8_status cv8_pages_take(const uint8_t *snapshot, size_t snapshot_length, int memory_file) {
  using namespace cv8;
  cv8_isolate *state = nullptr;
  cv8_status status = cv8_isolate_new(snapshot, snapshot_length, &state);
  if (status != CV8_OK) return status;
  isolate_count--;
  uint32_t count = 0;
  bool is_written = true;
  file = memory_file;
  for (const PageSpan &span : SpansOf(state->account.get())) {
    VisitResident(span, [&](const char *page) {
      if (span.is_block || IsZero(page) || !is_written) return;
      if (!numbers->emplace(HashOf(page), count).second) return;
      is_written = pwrite(file, page, kPage, static_cast<off_t>(count) * static_cast<off_t>(kPage)) == static_cast<ssize_t>(kPage);
      count++;
    });
  }
  void *view = is_written && count ? mmap(nullptr, count * kPage, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
  if (view == MAP_FAILED || (!jitless && !MayExecute())) {
    numbers->clear();
    return CV8_OUT_OF_MEMORY;
  }
  contents = static_cast<const char *>(view);
  cv8_isolate_share(state);
  return CV8_OK;
}

size_t cv8_isolate_share(cv8_isolate *state) {
  using namespace cv8;
  if (!contents) return 0;
  size_t saved = 0;
  for (const PageSpan &span : SpansOf(state->account.get())) {
    Run run;
    VisitResident(span, [&](char *page) {
      int64_t number = -1;
      if (!IsEmpty(span, page)) {
        auto found = numbers->find(HashOf(page));
        if (found == numbers->end() || memcmp(contents + found->second * kPage, page, kPage) != 0) return;
        number = found->second;
      }
      if (!run.Continues(page, number)) {
        saved += Replace(run, span.is_code);
        run = {page, 0, number};
      }
      run.length += kPage;
    });
    saved += Replace(run, span.is_code);
  }
  return saved;
}
