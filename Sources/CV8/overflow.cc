// The end of a fiber's stack reached in V8's own code: a few of its recursions (over the nodes of a regular expression, for one) do not look where
// the stack ends. The fault in the guard below the stack then costs the tenant its turn, and not everybody the process.
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstring>

#include "internal.h"

namespace cv8 {

namespace {

/// How far below the stack a fault is taken for its overflow: the guard that CFiber leaves there.
constexpr uintptr_t kGuardBytes = 256 << 10;
/// What the handler runs on, having no stack left.
constexpr size_t kSignalStackBytes = 64 << 10;

struct Range {
  uintptr_t low = 0, high = 0;
  bool Contains(uintptr_t address) const { return address >= low && address < high; }
};

/// The C library's code: a thread that is stopped there may hold malloc's locks.
Range c_library;

int FindCLibrary(dl_phdr_info *info, size_t, void *) {
  if (!info->dlpi_name || !strstr(info->dlpi_name, "/libc.so")) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const auto &header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || !(header.p_flags & PF_X)) continue;
    c_library.low = info->dlpi_addr + header.p_vaddr;
    c_library.high = c_library.low + header.p_memsz;
  }
  return 1;
}

uintptr_t ProgramCounter(void *context) {
#if defined(__x86_64__)
  return static_cast<uintptr_t>(static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_RIP]);
#else
  return static_cast<uintptr_t>(static_cast<ucontext_t *>(context)->uc_mcontext.pc);
#endif
}

void OnFault(int, siginfo_t *info, void *context) {
  cv8_isolate *state = Current();
  uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  uintptr_t low = state && state->turn ? reinterpret_cast<uintptr_t>(state->turn->stack_low) : 0;
  // Any other fault ends the process as it would without us; without a system call, which the seal may not allow.
  if (!low || address >= low || address < low - kGuardBytes || c_library.Contains(ProgramCounter(context))) __builtin_trap();
  Fatal(true, "the end of the stack", "V8 does not look for it everywhere");
}

}  // namespace

void WatchForOverflow() {
  dl_iterate_phdr(FindCLibrary, nullptr);
  struct sigaction action {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
}

}  // namespace cv8

bool cv8_thread_prepare(void) {
  void *memory = mmap(nullptr, cv8::kSignalStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  stack_t stack{};
  stack.ss_sp = memory;
  stack.ss_size = cv8::kSignalStackBytes;
  return sigaltstack(&stack, nullptr) == 0;
}
