// What a sealed cell must not be able to do, each tried for real.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "failure.h"

static long open_passwd(void) { return open("/etc/passwd", O_RDONLY); }
static long open_proc(void) { return open("/proc/self/maps", O_RDONLY); }
static long open_root(void) { return open("/", O_RDONLY | O_DIRECTORY); }
static long execute(void) {
  char *arguments[] = {"sh", NULL};
  return execve("/bin/sh", arguments, NULL);
}
static long execute_memory(void) { return syscall(SYS_execveat, 3, "", NULL, NULL, AT_EMPTY_PATH); }
static long socket_inet(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static long socket_unix(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static long socket_netlink(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static long fork_process(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }
static long clone3_process(void) {
  uint64_t arguments[11] = {0};
  return syscall(SYS_clone3, arguments, sizeof arguments);
}
static long trace(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0); }
static long read_process(void) {
  char byte;
  struct iovec own = {&byte, 1}, other = {&byte, 1};
  return process_vm_readv(1, &own, 1, &other, 1, 0);
}
static long kill_parent(void) { return kill(getppid(), SIGKILL); }
static long kill_thread(void) { return syscall(SYS_tgkill, 1, 1, SIGTERM); }
static long mount_proc(void) { return mount("proc", "/", "proc", 0, NULL); }
static long change_root(void) { return chroot("/"); }
static long pivot(void) { return syscall(SYS_pivot_root, "/", "/"); }
static long new_namespace(void) { return unshare(CLONE_NEWUSER); }
static long join_namespace(void) { return setns(3, 0); }
static long io_uring(void) { return syscall(SYS_io_uring_setup, 1, NULL); }
static long load_bpf(void) { return syscall(SYS_bpf, 0, NULL, 0); }
static long perf_event(void) { return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0); }
static long user_fault(void) { return syscall(SYS_userfaultfd, 0); }
static long key_ring(void) { return syscall(SYS_keyctl, 0, 0, 0, 0, 0); }
static long become_dumpable(void) { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }
static long seccomp_again(void) { return syscall(SYS_seccomp, 0, 0, NULL); }
static long raise_limit(void) {
  struct rlimit both = {1024, 1024};
  return setrlimit(RLIMIT_NOFILE, &both);
}
static long type_ahead(void) { return syscall(SYS_ioctl, 0, 0x100005412ull, "x"); }
static long map_executable(void) { return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0; }
static long make_executable(void) {
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? -1 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}
static long map_shared(void) { return mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0; }
static long write_elsewhere(void) { return write(0, "x", 1); }
static long send_descriptor(void) { return syscall(SYS_sendmsg, 3, NULL, 0); }
static long truncate_file(void) { return ftruncate(3, 0); }
static long new_thread(void) { return syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0); }
#if defined(__x86_64__)
static long old_entry(void) {
  long result;
  // Entry 20 of the 32-bit table is getpid.
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
  return result;
}
static long x32_number(void) { return syscall(0x40000000 + SYS_getpid); }
#endif

static const struct {
  const char *name;
  long (*run)(void);
} kAttempts[] = {
    {"open-passwd", open_passwd},       {"open-proc", open_proc},         {"open-root", open_root},
    {"execve", execute},                {"execveat", execute_memory},     {"socket-inet", socket_inet},
    {"socket-unix", socket_unix},       {"socket-netlink", socket_netlink}, {"fork", fork_process},
    {"clone3", clone3_process},         {"thread", new_thread},           {"ptrace", trace},
    {"process_vm_readv", read_process}, {"kill", kill_parent},            {"tgkill", kill_thread},
    {"mount", mount_proc},              {"chroot", change_root},          {"pivot_root", pivot},
    {"unshare", new_namespace},         {"setns", join_namespace},        {"io_uring", io_uring},
    {"bpf", load_bpf},                  {"perf_event_open", perf_event},  {"userfaultfd", user_fault},
    {"keyctl", key_ring},               {"dumpable", become_dumpable},    {"seccomp", seccomp_again},
    {"setrlimit", raise_limit},         {"tiocsti", type_ahead},          {"mmap-shared", map_shared},
    {"mmap-exec", map_executable},      {"write-other", write_elsewhere}, {"sendmsg", send_descriptor},
    {"ftruncate", truncate_file},
#if defined(__x86_64__)
    {"int80", old_entry},               {"x32", x32_number},
#endif
};
enum { kAttemptCount = sizeof kAttempts / sizeof kAttempts[0] };

int clinux_attempt(const char *name) {
  // Only forbidden where there is no JIT, so that it is not in the list.
  if (strcmp(name, "mprotect-exec") == 0) return make_executable() < 0 ? errno : 0;
  for (size_t i = 0; i < kAttemptCount; i++) {
    if (strcmp(kAttempts[i].name, name) == 0) return kAttempts[i].run() < 0 ? errno : 0;
  }
  return EINVAL;
}

const char *const *clinux_attempts(void) {
  static const char *names[kAttemptCount + 1];
  for (size_t i = 0; i < kAttemptCount; i++) names[i] = kAttempts[i].name;
  return names;
}
