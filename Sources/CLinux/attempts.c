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
static long vfork_process(void) {
#ifdef SYS_vfork
  return syscall(SYS_vfork);
#else
  return syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
#endif
}
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
static long kill_group(void) { return kill(0, 0); }
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
static long map_file(void) { return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) == MAP_FAILED ? -1 : 0; }
static long map_shared(void) { return mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0; }
static long map_pages(int protection, int flags) {
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED || mmap(page, 4096, protection, flags | MAP_FIXED, CLINUX_PAGES, 0) == MAP_FAILED ? -1 : 0;
}
static long map_pages_shared(void) { return map_pages(PROT_READ, MAP_SHARED); }
static long map_pages_executable(void) { return map_pages(PROT_READ | PROT_EXEC, MAP_PRIVATE); }
static long write_pages(void) { return pwrite(CLINUX_PAGES, "x", 1, 0); }
static long write_elsewhere(void) { return write(0, "x", 1); }
static long send_descriptor(void) { return syscall(SYS_sendmsg, 3, NULL, 0); }
static long send_to(void) {
  struct sockaddr address = {AF_UNIX, ""};
  return sendto(3, "x", 1, MSG_DONTWAIT, &address, sizeof address);
}
static long send_urgent(void) { return send(3, "x", 1, MSG_DONTWAIT | MSG_OOB); }
static long receive_urgent(void) {
  char byte;
  return recv(3, &byte, 1, MSG_DONTWAIT | MSG_OOB);
}
static long end_thread(void) { return syscall(SYS_exit, 0); }
static long receive_elsewhere(void) { return recv(0, NULL, 0, MSG_DONTWAIT); }
static long merge_pages(void) { return madvise(NULL, 0, MADV_MERGEABLE); }
static long requeue_futex(void) {
  uint32_t words[2] = {0, 0};
  return syscall(SYS_futex, &words[0], 12 /* FUTEX_CMP_REQUEUE_PI */, 1, 1, &words[1], 0);
}
static long open_any(void) { return syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0); }
static long list_above(void) { return openat(0, "../..", O_RDONLY | O_DIRECTORY); }
static long stop_itself(void) { return syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSTOP); }
static long truncate_file(void) { return ftruncate(3, 0); }
static long open_cgroup(void) { return open("/sys/fs/cgroup/cgroup.procs", O_WRONLY); }
static long make_file(void) { return open("/file", O_WRONLY | O_CREAT, 0600); }
static long memory_file(void) { return syscall(SYS_memfd_create, "x", 0); }
static long abstract_socket(void) { return connect(3, &(struct sockaddr){AF_UNIX, "\0x"}, sizeof(struct sockaddr)); }
static long dump_core(void) {
  *(volatile int *)8 = 1;
  return 0;
}
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

/// An attempt, and the errno by which the seal refuses it; 0 where it kills.
typedef struct attempt {
  const char *name;
  long (*run)(void);
  int refusal;
} attempt;

static const attempt kAttempts[] = {
    {"open-passwd", open_passwd, ENOENT},
    {"open-proc", open_proc, ENOENT},
    {"open-root", open_root, ENOENT},
    {"open-above-descriptor", list_above, ENOENT},
    {"open-cgroup", open_cgroup, ENOENT},
    {"make-file", make_file, ENOENT},
    {"openat2", open_any, 0},
    {"memfd_create", memory_file, 0},
    {"execve", execute, 0},
    {"execveat", execute_memory, 0},
    {"socket-inet", socket_inet, 0},
    {"socket-unix", socket_unix, 0},
    {"socket-netlink", socket_netlink, 0},
    {"connect-abstract", abstract_socket, 0},
    {"fork", fork_process, 0},
    {"vfork", vfork_process, 0},
    {"clone3", clone3_process, 0},
    {"thread", new_thread, 0},
    {"ptrace", trace, 0},
    {"process_vm_readv", read_process, 0},
    {"kill", kill_group, 0},
    {"tgkill", kill_thread, 0},
    {"stop-itself", stop_itself, 0},
    {"mount", mount_proc, 0},
    {"chroot", change_root, 0},
    {"pivot_root", pivot, 0},
    {"unshare", new_namespace, 0},
    {"setns", join_namespace, 0},
    {"io_uring", io_uring, 0},
    {"bpf", load_bpf, 0},
    {"perf_event_open", perf_event, 0},
    {"userfaultfd", user_fault, 0},
    {"keyctl", key_ring, 0},
    {"dumpable", become_dumpable, 0},
    {"seccomp", seccomp_again, 0},
    {"setrlimit", raise_limit, 0},
    {"tiocsti", type_ahead, 0},
    {"mmap-shared", map_shared, 0},
    {"mmap-file", map_file, 0},
    {"mmap-exec", map_executable, 0},
    {"mmap-pages-shared", map_pages_shared, 0},
    {"mmap-pages-exec", map_pages_executable, 0},
    {"write-pages", write_pages, 0},
    {"madvise-mergeable", merge_pages, 0},
    {"futex-requeue-pi", requeue_futex, 0},
    {"write-other", write_elsewhere, 0},
    {"recv-other", receive_elsewhere, 0},
    {"sendto-address", send_to, 0},
    {"sendmsg", send_descriptor, 0},
    {"send-urgent", send_urgent, 0},
    {"recv-urgent", receive_urgent, 0},
    {"exit-thread", end_thread, 0},
    {"ftruncate", truncate_file, 0},
#if defined(__x86_64__)
    {"int80", old_entry, 0},
    {"x32", x32_number, 0},
#endif
};
static const attempt kJitlessAttempts[] = {{"mprotect-exec", make_executable, 0}};
enum { kAttemptCount = sizeof kAttempts / sizeof kAttempts[0], kJitlessCount = sizeof kJitlessAttempts / sizeof kJitlessAttempts[0] };

/// Not an attempt to get out: a crash, to see what the kernel writes of it.
static const attempt kCrash = {"crash", dump_core, 0};

static const attempt *find(const char *name) {
  for (size_t i = 0; i < kAttemptCount; i++) {
    if (strcmp(kAttempts[i].name, name) == 0) return &kAttempts[i];
  }
  for (size_t i = 0; i < kJitlessCount; i++) {
    if (strcmp(kJitlessAttempts[i].name, name) == 0) return &kJitlessAttempts[i];
  }
  return strcmp(kCrash.name, name) == 0 ? &kCrash : NULL;
}

clinux_outcome clinux_attempt(const char *name) {
  const attempt *attempt = find(name);
  if (!attempt) return CLINUX_UNKNOWN;
  return attempt->run() < 0 && attempt->refusal != 0 && errno == attempt->refusal ? CLINUX_REFUSED : CLINUX_WORKED;
}

static const char *const *list(const attempt *attempts, size_t count, const char **names) {
  for (size_t i = 0; i < count; i++) names[i] = attempts[i].name;
  return names;
}

const char *const *clinux_attempts(void) {
  static const char *names[kAttemptCount + 1];
  return list(kAttempts, kAttemptCount, names);
}

const char *const *clinux_attempts_jitless(void) {
  static const char *names[kJitlessCount + 1];
  return list(kJitlessAttempts, kJitlessCount, names);
}
