// What a cell can say of its own seal. It is asked before the last stage: afterwards the steady filter forbids asking.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"

/// The longest report; a pipe takes it at once.
enum { kReportBytesLimit = 2048 };

/// Capabilities that a set holds, asked one by one.
static int count_capabilities(int option, unsigned long part) {
  int count = 0;
  for (unsigned long capability = 0; capability < 64; capability++) {
    int has = part ? prctl(option, part, capability, 0, 0) : prctl(option, capability, 0, 0, 0);
    if (has > 0) count++;
  }
  return count;
}

static int capability_bits(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets) != 0) return -1;
  return (sets[0].effective | sets[0].permitted | sets[0].inheritable | sets[1].effective | sets[1].permitted | sets[1].inheritable) != 0;
}

/// errno of opening `path`, 0 when it opens.
static int try_open(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

void clinux_seal_report(int fd) {
  int signal = -1;
  prctl(PR_GET_PDEATHSIG, &signal);
  char text[kReportBytesLimit];
  int length = snprintf(
      text, sizeof text,
      "dumpable %d\nno_new_privs %d\nsecurebits %d\nbounding %d\nambient %d\nheld_capabilities %d\nparent_death %d\nstore_bypass %d\n"
      "indirect_branch %d\nlandlock %d\nlist_root %d\nopen_proc %d\n",
      prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_SECUREBITS, 0, 0, 0, 0),
      count_capabilities(PR_CAPBSET_READ, 0), count_capabilities(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET), capability_bits(), signal,
      prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0), prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0, 0, 0),
      clinux_landlock_version(), try_open("/", O_RDONLY | O_DIRECTORY), try_open("/proc/self/status", O_RDONLY));
  if (length > 0 && length < (int)sizeof text) {
    ssize_t written = write(fd, text, (size_t)length);
    (void)written;
  }
}
