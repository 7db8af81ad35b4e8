// Leaves out the measures that TEST_CELL_WITHOUT names (words between commas), by standing before the C library's functions through which the
// seal's stages reach the kernel. So a cell with one hole can be shown to the self-check, which must find it.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctestcell.h"

void ctestcell_link(void) {}

static long raw(long number, long a, long b, long c, long d, long e, long f) {
  long result;
#if defined(__x86_64__)
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  result = x0;
#endif
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}

/// Whether this measure is to be left out.
static bool without(const char *measure) {
  const char *list = getenv("TEST_CELL_WITHOUT");
  size_t length = strlen(measure);
  for (const char *word = list; word; word = strchr(word, ',')) {
    if (*word == ',') word++;
    if (strncmp(word, measure, length) == 0 && (word[length] == ',' || word[length] == 0)) return true;
  }
  return false;
}

/// Everything of a namespace's root, in all sets.
static long keep_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  if (raw(SYS_capget, (long)&header, (long)sets, 0, 0, 0, 0) != 0) return -1;
  for (int i = 0; i < 2; i++) sets[i].inheritable = sets[i].permitted;
  if (raw(SYS_capset, (long)&header, (long)sets, 0, 0, 0, 0) != 0) return -1;
  return raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0, 0);
}

/// The seal's last stage asks whether those before were run. It asks after the report, which is told the truth.
static bool has_been_asked(long what) {
  static bool asked[4096];
  bool before = asked[what & 4095];
  asked[what & 4095] = true;
  return before;
}

int prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long), d = va_arg(list, long);
  va_end(list);
  switch (option) {
    case PR_SET_NO_NEW_PRIVS: if (without("no-new-privileges")) return 0; break;
    case PR_GET_NO_NEW_PRIVS: if (without("no-new-privileges") && has_been_asked(option)) return 1; break;
    case PR_SET_DUMPABLE: if (without("dumpable")) return 0; break;
    case PR_GET_DUMPABLE: if (without("dumpable") && has_been_asked(option)) return 0; break;
    case PR_GET_SECCOMP: if (without("filters") || without("early-filter")) return SECCOMP_MODE_FILTER; break;
    case PR_SET_PDEATHSIG: if (without("parent-death")) a = 0; break;
    case PR_CAPBSET_DROP: if (without("capabilities")) return 0; break;
    case PR_SET_SECUREBITS: if (without("capabilities") || without("secure-bits")) return 0; break;
    default: break;
  }
  return (int)raw(SYS_prctl, option, a, b, c, d, 0);
}

long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long), d = va_arg(list, long), e = va_arg(list, long),
       f = va_arg(list, long);
  va_end(list);
  switch (number) {
    case SYS_seccomp:
      if (without("filters")) return 0;
      if (without(b == SECCOMP_FILTER_FLAG_TSYNC ? "steady-filter" : "early-filter")) return 0;
      break;
    case SYS_capset: if (without("capabilities")) return keep_capabilities(); break;
    case SYS_capget:
      if (without("capabilities") && has_been_asked(number)) {
        memset((void *)b, 0, 2 * sizeof(struct __user_cap_data_struct));
        return 0;
      }
      break;
    case SYS_pivot_root: if (without("root")) return 0; break;
#ifdef SYS_landlock_restrict_self
    case SYS_landlock_restrict_self: if (without("landlock")) return 0; break;
#endif
    default: break;
  }
  return raw(number, a, b, c, d, e, f);
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
  if (resource == RLIMIT_NOFILE && without("descriptors")) dup(3);
  if (resource == RLIMIT_NOFILE && without("priority")) setpriority(PRIO_PROCESS, 0, 19);
  if (without("limits")) return 0;
  return (int)raw(SYS_prlimit64, 0, resource, (long)limit, 0, 0, 0);
}

int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data) {
  if (without("root")) return 0;
  if (without("read-only-root")) {
    if (flags & MS_REMOUNT) {
      // What looks like a /proc, in a root that can be written.
      mkdir("/empty/proc", 0755);
      mkdir("/empty/proc/self", 0755);
      return mknod("/empty/proc/self/status", S_IFREG | 0644, 0);
    }
    data = "mode=755";
  }
  return (int)raw(SYS_mount, (long)source, (long)target, (long)type, (long)flags, (long)data, 0);
}

int umount2(const char *target, int flags) {
  if (without("root")) return 0;
  return (int)raw(SYS_umount2, (long)target, flags, 0, 0, 0, 0);
}

// The last stage looks whether the root is empty.
int stat(const char *path, struct stat *status) {
  if (without("root") || without("read-only-root")) {
    errno = ENOENT;
    return -1;
  }
  return (int)raw(SYS_newfstatat, -100, (long)path, (long)status, 0, 0, 0);
}
