// How a cell gives up everything it will not need.
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"
#include "seal.h"

/// A filter has at most this many instructions (the kernel's BPF_MAXINSNS).
enum { kInstructionLimit = 4096 };
/// Descriptors a cell may have; it needs 0 to 4.
enum { kDescriptorLimit = 8 };

static struct sock_fprog early_filter, steady_filter;

static int limit(int resource, rlim_t value) {
  struct rlimit both = {value, value};
  return setrlimit(resource, &both);
}

static int read_filter(int fd, struct sock_fprog *filter) {
  struct sock_filter *instructions = calloc(kInstructionLimit, sizeof *instructions);
  if (!instructions) return -1;
  size_t size = 0;
  for (;;) {
    ssize_t count = pread(fd, (char *)instructions + size, kInstructionLimit * sizeof *instructions - size, (off_t)size);
    if (count < 0) return -1;
    if (count == 0) break;
    size += (size_t)count;
  }
  if (size == 0 || size % sizeof *instructions != 0) {
    errno = EINVAL;
    return -1;
  }
  filter->len = (unsigned short)(size / sizeof *instructions);
  filter->filter = instructions;
  return close(fd);
}

/// Takes a speculation feature away. Not an error: the processor is not affected (ENXIO), or has no such control (ENODEV, EINVAL), or the
/// machine's owner has decided for all (EPERM, ERANGE).
static int restrict_speculation(unsigned long feature) {
  if (prctl(PR_SET_SPECULATION_CTRL, feature, PR_SPEC_FORCE_DISABLE, 0, 0) == 0) return 0;
  return errno == ENXIO || errno == ENODEV || errno == EINVAL || errno == EPERM || errno == ERANGE ? 0 : -1;
}

void clinux_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

int clinux_seal_before_runtime(clinux_failure *failure) {
  if (read_filter(CLINUX_FILTER_EARLY, &early_filter) != 0) return clinux_fail(failure, "read the early filter");
  if (read_filter(CLINUX_FILTER_STEADY, &steady_filter) != 0) return clinux_fail(failure, "read the steady filter");
  int pages = clinux_memfd("pages");
  if (pages < 0 || (pages != CLINUX_PAGES && (dup2(pages, CLINUX_PAGES) < 0 || close(pages) != 0))) return clinux_fail(failure, "memory file");
  // Not RLIMIT_AS: V8 reserves far more than it uses. RLIMIT_NPROC comes last, when all threads are there.
  // What the daemon may have for its front (LimitRTPRIO, LimitNICE) would let a cell go before everybody.
  if (limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_MEMLOCK, 0) != 0 || limit(RLIMIT_MSGQUEUE, 0) != 0 || limit(RLIMIT_NOFILE, kDescriptorLimit) != 0 ||
      limit(RLIMIT_RTPRIO, 0) != 0 || limit(RLIMIT_NICE, 0) != 0)
    return clinux_fail(failure, "resource limits");
  if (restrict_speculation(PR_SPEC_STORE_BYPASS) != 0 || restrict_speculation(PR_SPEC_INDIRECT_BRANCH) != 0)
    return clinux_fail(failure, "speculation controls");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return clinux_fail(failure, "no new privileges");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return clinux_fail(failure, "ambient capabilities");
  for (unsigned long capability = 0; capability < 64; capability++) {
    // EINVAL: beyond the last one that this kernel has.
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) return clinux_fail(failure, "bounding set");
  }
  if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
            0, 0, 0) != 0)
    return clinux_fail(failure, "secure bits");
  return 0;
}

static int drop_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  return (int)syscall(SYS_capset, &header, none);
}

int clinux_seal_drop_root(clinux_failure *failure) {
  // One inode: the root itself.
  if (mount("empty", "/empty", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=555,size=4k,nr_inodes=1") != 0)
    return clinux_fail(failure, "mount the empty root");
  if (mount(NULL, "/empty", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
    return clinux_fail(failure, "make the empty root read-only");
  if (chdir("/empty") != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return clinux_fail(failure, "pivot into the empty root");
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return clinux_fail(failure, "leave the old root");
  if (drop_capabilities() != 0) return clinux_fail(failure, "drop capabilities");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return clinux_fail(failure, "not dumpable");
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return clinux_fail(failure, "parent-death signal");
  if (clinux_landlock_restrict() != 0) return clinux_fail(failure, "Landlock");
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &early_filter) != 0) return clinux_fail(failure, "early filter");
  return 0;
}

static int has_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets) != 0) return 1;
  return (sets[0].effective | sets[0].permitted | sets[0].inheritable | sets[1].effective | sets[1].permitted | sets[1].inheritable) != 0;
}

/// Whether the stages before this one were run, as far as a process without /proc can tell; afterwards the steady filter forbids asking.
static int check(clinux_failure *failure) {
  errno = EPERM;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return clinux_fail(failure, "check: no new privileges");
  if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return clinux_fail(failure, "check: not dumpable");
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER) return clinux_fail(failure, "check: early filter");
  if (has_capabilities()) return clinux_fail(failure, "check: capabilities");
  // Only the root itself can be found in an empty root.
  struct stat entry;
  if (stat("/proc", &entry) == 0 || errno != ENOENT || stat("/lib", &entry) == 0 || errno != ENOENT || stat("/empty", &entry) == 0 || errno != ENOENT) {
    errno = EEXIST;
    return clinux_fail(failure, "check: empty root");
  }
  return 0;
}

int clinux_seal_finish(clinux_failure *failure) {
  if (check(failure) != 0) return -1;
  int error = clinux_memfd_seal(CLINUX_PAGES);
  if (error != 0) {
    errno = error;
    return clinux_fail(failure, "seal the memory file");
  }
  if (limit(RLIMIT_NPROC, 0) != 0) return clinux_fail(failure, "limit of processes");
  long status = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &steady_filter);
  if (status > 0) errno = EBUSY;  // The id of a thread whose filters have diverged from this one's.
  if (status != 0) return clinux_fail(failure, "steady filter");
  return 0;
}
