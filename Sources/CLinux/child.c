// The child of a spawn, from its first instruction to exec: one thread in a copy of a process that had many. Any lock of the C library may be
// held for ever here, so that nothing may be called that takes one: no heap, no streams, no ids, no fork handlers.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"
#include "spawn.h"

/// The most files a root may hold.
enum { kFileLimit = 128 };
/// Numbers of descriptors that only the child itself uses, above those it hands on.
enum { kReport = 6, kRelease = 7, kFirstOther = 8 };
/// Where descriptors stand out of the way while they change places; the limit of an ordinary process is 1024.
enum { kAside = 64 };

static void reset_signals(void) {
  // The kernel's own form, of any size it may have: all zero is the default action. KILL and STOP refuse; there is nothing to reset.
  static const char default_action[64];
  for (int signal = 1; signal < 65; signal++) syscall(SYS_rt_sigaction, signal, default_action, NULL, 8);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/// Puts descriptors at their fixed numbers and closes all others. Sets `release` and `report` to their new numbers.
static int fix_descriptors(const clinux_spawn_options *options, int *release, int *report, clinux_failure *failure) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return clinux_fail(failure, "open /dev/null");
  int wanted[kFirstOther] = {null, null, options->diagnostics, options->socket, options->filter_early, options->filter_steady, *report, *release};
  int aside[kFirstOther];
  for (int i = 0; i < kFirstOther; i++) {
    aside[i] = wanted[i] < 0 ? -1 : fcntl(wanted[i], F_DUPFD_CLOEXEC, kAside);
    if (wanted[i] >= 0 && aside[i] < 0) return clinux_fail(failure, "move descriptors");
  }
  // From here on a failure is reported through the copy that stands aside.
  *report = aside[kReport];
  *release = aside[kRelease];
  for (int i = 0; i < kFirstOther; i++) {
    if (aside[i] < 0) {
      close(i);
    } else if (dup3(aside[i], i, i < kReport ? 0 : O_CLOEXEC) != i) {
      return clinux_fail(failure, "place descriptors");
    }
  }
  *report = kReport;
  *release = kRelease;
  if (syscall(SYS_close_range, (unsigned)kFirstOther, ~0U, 0U) != 0) return clinux_fail(failure, "close_range (Linux 5.9 is needed)");
  return 0;
}

/// The parent-death signal, and whether the parent was still there after it was set: it alone reads the other end of `report`.
static int die_with_parent(int report, clinux_failure *failure) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return clinux_fail(failure, "parent-death signal");
  struct pollfd reader = {report, 0, 0};
  if (poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR)) _exit(1);
  return 0;
}

static int open_files(const clinux_spawn_options *options, int files[kFileLimit], clinux_failure *failure) {
  for (size_t i = 0; options->files[i]; i++) {
    if (i >= kFileLimit) {
      errno = E2BIG;
      return clinux_fail(failure, "open the libraries");
    }
    files[i] = open(options->files[i], O_PATH | O_CLOEXEC);
    if (files[i] < 0) return clinux_fail(failure, "open a library");
  }
  return 0;
}

/// Raw calls: the C library's want to tell all threads and take its locks for that, which a thread that is not here may have held when the
/// process was copied.
static int take_ids(const clinux_spawn_options *options, clinux_failure *failure) {
  if (options->is_root && syscall(SYS_setgroups, 0, NULL) != 0) return clinux_fail(failure, "drop groups");
  if (syscall(SYS_setresgid, 0, 0, 0) != 0 || syscall(SYS_setresuid, 0, 0, 0) != 0) return clinux_fail(failure, "take the mapped ids");
  return 0;
}

/// Leaves the caller's job and terminal: what is typed there ends the supervisor, which ends its cells in order. Not a session of its own: the kernel
/// may schedule sessions as groups (CONFIG_SCHED_AUTOGROUP), where a nice value counts only inside and groups hold each other up
/// (docs/decisions/0024).
static void leave_terminal(void) {
  setpgid(0, 0);
  int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return;
  ioctl(terminal, TIOCNOTTY);
  close(terminal);
}

static int become(const clinux_spawn_options *options, int report, clinux_failure *failure) {
  int files[kFileLimit];
  // While the caller's rights still hold: afterwards the paths may be out of reach.
  if (options->is_sandboxed && (open_files(options, files, failure) != 0 || take_ids(options, failure) != 0)) return -1;
  // A change of ids clears the signal, so that it is set once more.
  if (die_with_parent(report, failure) != 0) return -1;
  leave_terminal();
  reset_signals();
  setpriority(PRIO_PROCESS, 0, options->nice);
  umask(022);
  if (options->is_sandboxed && clinux_make_root(options, files, failure) != 0) return -1;
  return 0;
}

void clinux_run_child(const clinux_spawn_options *options, int release, int report) {
  clinux_failure failure;
  memset(&failure, 0, sizeof failure);
  // Descriptors come first: a copy of another child's pipe would keep that child from seeing that its parent is gone.
  if (fix_descriptors(options, &release, &report, &failure) == 0 && die_with_parent(report, &failure) == 0) {
    char byte;
    // The end of the pipe without a byte: the parent is gone or has given up.
    if (read(release, &byte, 1) != 1) _exit(1);
    if (become(options, report, &failure) == 0) {
      execve(options->executable, options->arguments, options->environment);
      clinux_fail(&failure, "exec");
    }
  }
  ssize_t ignored = write(report, &failure, sizeof failure);
  (void)ignored;
  _exit(1);
}
