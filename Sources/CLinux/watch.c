// Watches a sealed cell until its end, to learn which call ended it. A filter's verdict kills in the kernel, whatever the process has done to
// itself; but the kernel tells a parent no more than SIGSYS. A tracer is told when each thread is about to exit, while its registers are
// still there: nothing of what it learns comes from the cell, and the cell cannot take part in it.
//
// Being traced costs a cell nothing while it runs (no call stops it). One thing changes: the kernel keeps a traced first process of a namespace
// from dying of its own faults, so that the watch ends it then.
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
// After sys/ptrace.h, whose names it repeats.
#include <linux/ptrace.h>

#include "failure.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

int clinux_watch_begin(pid_t pid, clinux_failure *failure) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *folder = opendir(path);
  if (!folder) return clinux_fail(failure, "find the cell's threads");
  int result = 0;
  for (struct dirent *entry = readdir(folder); entry && result == 0; entry = readdir(folder)) {
    pid_t thread = atoi(entry->d_name);
    // The cell ends with its watch: nothing that the watch should see may come after it.
    if (thread > 0 && ptrace(PTRACE_SEIZE, thread, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL) != 0) {
      result = clinux_fail(failure, "watch a thread");
    }
  }
  closedir(folder);
  return result;
}

/// The call whose denial ends this thread's process, from the registers of its last stop; false when another thread has made it.
static bool denied_call(pid_t thread, clinux_end *end) {
  struct __ptrace_syscall_info_head {
    uint8_t op, pad[3];
    uint32_t architecture;
  } head = {0, {0}, 0};
  struct user_regs_struct registers;
  struct iovec part = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, thread, (void *)NT_PRSTATUS, &part) != 0) return false;
  ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof head, &head);
#if defined(__x86_64__)
  // The kernel rolls a denied call's result back to its number. Threads that were interrupted in a call hold an error there, and those that
  // were not in a call have no number.
  if (registers.rax != registers.orig_rax || registers.orig_rax == ~0ull) return false;
  end->call = (int64_t)registers.orig_rax;
  uint64_t arguments[6] = {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9};
  if (head.architecture == AUDIT_ARCH_I386) {
    uint64_t others[6] = {registers.rbx, registers.rcx, registers.rdx, registers.rsi, registers.rdi, registers.rbp};
    memcpy(arguments, others, sizeof arguments);
  }
#elif defined(__aarch64__)
  // No register tells the denied call from others under way: the thread that made it is the first to come here, as a rule.
  if (end->is_denied) return false;
  end->call = (int64_t)registers.regs[8];
  uint64_t arguments[6];
  memcpy(arguments, registers.regs, sizeof arguments);
#endif
  memcpy(end->arguments, arguments, sizeof arguments);
  end->architecture = head.architecture;
  return true;
}

static void read_name(pid_t pid, pid_t thread, char name[16]) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/comm", pid, thread);
  FILE *file = fopen(path, "re");
  if (!file) return;
  if (!fgets(name, 16, file)) name[0] = 0;
  name[strcspn(name, "\n")] = 0;
  fclose(file);
}

static void note_denied(pid_t pid, pid_t thread, clinux_end *end) {
  if (!denied_call(thread, end)) return;
  end->is_denied = true;
  end->thread = thread;
  read_name(pid, thread, end->thread_name);
}

static void note_exit(pid_t pid, pid_t thread, clinux_end *end) {
  unsigned long status = 0;
  if (ptrace(PTRACE_GETEVENTMSG, thread, NULL, &status) == 0 && (status & 0x7f) == SIGSYS) note_denied(pid, thread, end);
  ptrace(PTRACE_CONT, thread, NULL, NULL);
}

/// Whether the process has a handler of its own for a signal, as the kernel has it.
static bool is_caught(pid_t pid, int signal) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *file = fopen(path, "re");
  if (!file) return false;
  unsigned long long caught = 0;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "SigCgt: %llx", &caught) == 1) break;
  }
  fclose(file);
  return caught >> (signal - 1) & 1;
}

/// Faults that a process may handle: its handler gives no thread back that had one. Each stops a thread until the watch has seen to it, and that is the
/// supervisor's time.
enum { kPassedFaults = 64 };

/// A signal is about to be delivered to `thread`. Faults that the process does not handle, or too many of them, end it here; all others take their way.
static void pass_signal(pid_t pid, int pidfd, pid_t thread, int signal, int *faults, clinux_end *end) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  bool is_fault = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGTRAP || signal == SIGSYS;
  if (is_fault && ptrace(PTRACE_GETSIGINFO, thread, NULL, &info) == 0 && info.si_code > 0 && (++*faults > kPassedFaults || !is_caught(pid, signal))) {
    if (end->signal == 0) end->signal = signal;
    // Kernels that pass a filter's verdict through here (some of the 5.x) have rolled the call back too.
    if (signal == SIGSYS && info.si_code == SYS_SECCOMP) note_denied(pid, thread, end);
    clinux_kill(pidfd);
  } else {
    ptrace(PTRACE_CONT, thread, NULL, (void *)(long)signal);
  }
}

static void take_stop(pid_t pid, int pidfd, pid_t thread, int status, int *faults, clinux_end *end) {
  int signal = status & 0xff;
  switch (status >> 8) {
    case PTRACE_EVENT_EXIT: note_exit(pid, thread, end); break;
    case PTRACE_EVENT_STOP:
      // Stopped by a signal like any process, until one lets it go on; a trap only says that it goes on.
      ptrace(signal == SIGTRAP ? PTRACE_CONT : PTRACE_LISTEN, thread, NULL, NULL);
      break;
    default: pass_signal(pid, pidfd, thread, signal, faults, end); break;
  }
}

void clinux_watch(pid_t pid, int pidfd, clinux_end *end) {
  int faults = 0;
  for (;;) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    // Only what this thread traces; looked at and left, since the process itself is for whoever reaps it.
    if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL | __WNOTHREAD) != 0) {
      if (errno == EINTR) continue;
      return;
    }
    bool has_ended = info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
    if (!has_ended) {
      take_stop(pid, pidfd, info.si_pid, info.si_status, &faults, end);
    } else if (info.si_pid == pid) {
      return;
    } else {
      siginfo_t gone;
      waitid(P_PID, (id_t)info.si_pid, &gone, WEXITED | WNOHANG | __WALL);
    }
  }
}
