// Starting a cell: namespaces, id maps, a root with nothing but the executable and its libraries, exec.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/// The most files a root may hold.
enum { kFileLimit = 128 };
/// Where the new root is mounted: a folder that is there on every machine; what it held is out of sight in this mount namespace only.
static const char kRootMount[] = "/tmp";

static int write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t length = (ssize_t)strlen(text);
  ssize_t written = write(fd, text, (size_t)length);
  int saved = errno;
  close(fd);
  errno = saved;
  return written == length ? 0 : -1;
}

static int map_ids(pid_t pid, const clinux_spawn_options *options, clinux_failure *failure) {
  char path[64], text[64];
  if (!options->is_root) {
    snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
    if (write_file(path, "deny") != 0) return clinux_fail(failure, "deny setgroups");
  }
  snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
  snprintf(text, sizeof text, "0 %u 1", options->outside_uid);
  if (write_file(path, text) != 0) return clinux_fail(failure, "map user ids");
  snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
  snprintf(text, sizeof text, "0 %u 1", options->outside_gid);
  if (write_file(path, text) != 0) return clinux_fail(failure, "map group ids");
  return 0;
}

/// Makes the folders above `path` and an empty file there.
static int make_target(const char *path) {
  char copy[PATH_MAX];
  if (snprintf(copy, sizeof copy, "%s%s", kRootMount, path) >= (int)sizeof copy) {
    errno = ENAMETOOLONG;
    return -1;
  }
  for (char *slash = strchr(copy + sizeof kRootMount, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(copy, 0755) != 0 && errno != EEXIST) return -1;
    *slash = '/';
  }
  int fd = open(copy, O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0755);
  if (fd < 0) return -1;
  close(fd);
  return 0;
}

/// Binds the file behind `fd` to `path` in the new root, read-only.
static int bind_file(int fd, const char *path) {
  char source[64], target[PATH_MAX];
  snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
  snprintf(target, sizeof target, "%s%s", kRootMount, path);
  if (mount(source, target, NULL, MS_BIND, NULL) != 0) return -1;
  struct statvfs info;
  unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
  // In a user namespace the flags of the mount it came from are locked and must be repeated.
  if (statvfs(target, &info) == 0) {
    if (info.f_flag & ST_NOATIME) flags |= MS_NOATIME;
    if (info.f_flag & ST_NODIRATIME) flags |= MS_NODIRATIME;
    if (info.f_flag & ST_RELATIME) flags |= MS_RELATIME;
    if (info.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
  }
  return mount(NULL, target, NULL, flags, NULL);
}

static int make_root(const clinux_spawn_options *options, const int *files, clinux_failure *failure) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return clinux_fail(failure, "make mounts private");
  if (mount("cell", kRootMount, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m,nr_inodes=1024") != 0)
    return clinux_fail(failure, "mount the root");
  for (size_t i = 0; options->files[i]; i++) {
    if (make_target(options->files[i]) != 0 || bind_file(files[i], options->files[i]) != 0)
      return clinux_fail(failure, "bind a library into the root");
  }
  char empty[sizeof kRootMount + 8];
  snprintf(empty, sizeof empty, "%s/empty", kRootMount);
  if (mkdir(empty, 0555) != 0) return clinux_fail(failure, "make the empty folder");
  if (mount(NULL, kRootMount, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) != 0)
    return clinux_fail(failure, "make the root read-only");
  if (chdir(kRootMount) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return clinux_fail(failure, "pivot_root");
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return clinux_fail(failure, "leave the old root");
  return 0;
}

static void reset_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 65; signal++) sigaction(signal, &action, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/// Puts the inherited descriptors at their fixed numbers and closes all others; `report` moves to the first number above them.
static int fix_descriptors(const clinux_spawn_options *options, int *report, clinux_failure *failure) {
  enum { kHigh = 64 };
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return clinux_fail(failure, "open /dev/null");
  int wanted[6] = {null, null, options->diagnostics, options->socket, options->filter_early, options->filter_steady};
  int moved[6];
  // First out of the way of one another.
  for (int i = 0; i < 6; i++) moved[i] = wanted[i] < 0 ? -1 : fcntl(wanted[i], F_DUPFD_CLOEXEC, kHigh);
  int kept = fcntl(*report, F_DUPFD_CLOEXEC, kHigh);
  for (int i = 0; i < 6; i++) {
    if (moved[i] < 0) {
      close(i);
    } else if (dup2(moved[i], i) != i) {
      return clinux_fail(failure, "place descriptors");
    }
  }
  if (dup3(kept, 6, O_CLOEXEC) != 6) return clinux_fail(failure, "place descriptors");
  *report = 6;
  if (syscall(SYS_close_range, 7U, ~0U, 0U) != 0) {
    for (int fd = 7; fd < 65536; fd++) close(fd);
  }
  return 0;
}

static int become(const clinux_spawn_options *options, clinux_failure *failure) {
  int files[kFileLimit];
  if (options->is_sandboxed) {
    // While the caller's rights still hold: afterwards the paths may be out of reach.
    for (size_t i = 0; options->files[i]; i++) {
      if (i >= kFileLimit) {
        errno = E2BIG;
        return clinux_fail(failure, "open the libraries");
      }
      files[i] = open(options->files[i], O_PATH | O_CLOEXEC);
      if (files[i] < 0) return clinux_fail(failure, "open a library");
    }
    if (options->is_root && setgroups(0, NULL) != 0) return clinux_fail(failure, "drop groups");
    if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) return clinux_fail(failure, "take the mapped ids");
  }
  // Changing ids clears it, so that it comes after.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return clinux_fail(failure, "parent-death signal");
  setsid();
  reset_signals();
  setpriority(PRIO_PROCESS, 0, options->nice);
  umask(022);
  if (options->is_sandboxed && make_root(options, files, failure) != 0) return -1;
  return 0;
}

/// The child's whole life: waits to be released, takes up its place, executes. Never returns.
static void run_child(const clinux_spawn_options *given, int release, int report) {
  clinux_spawn_options options = *given;
  clinux_failure failure;
  memset(&failure, 0, sizeof failure);
  char byte;
  // The end of the pipe without a byte: the parent is gone or has given up.
  if (read(release, &byte, 1) != 1) _exit(1);
  if (fix_descriptors(&options, &report, &failure) == 0 && become(&options, &failure) == 0) {
    execve(options.executable, options.arguments, options.environment);
    clinux_fail(&failure, "exec");
  }
  ssize_t ignored = write(report, &failure, sizeof failure);
  (void)ignored;
  _exit(1);
}

static pid_t clone_process(bool is_sandboxed, int *pidfd) {
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = CLONE_PIDFD;
  if (is_sandboxed) {
    arguments.flags |= CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  }
  arguments.pidfd = (uint64_t)(uintptr_t)pidfd;
  arguments.exit_signal = SIGCHLD;
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

int clinux_spawn(const clinux_spawn_options *options, clinux_placer place, void *context, pid_t *pid, int *pidfd, clinux_failure *failure) {
  int release[2], report[2];
  memset(failure, 0, sizeof *failure);
  if (pipe2(release, O_CLOEXEC) != 0) return clinux_fail(failure, "make a pipe");
  if (pipe2(report, O_CLOEXEC) != 0) {
    clinux_fail(failure, "make a pipe");
    close(release[0]);
    close(release[1]);
    return -1;
  }
  // Signals wait until the child has reset their handlers: none of ours may run in it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  *pidfd = -1;
  *pid = clone_process(options->is_sandboxed, pidfd);
  if (*pid == 0) {
    // Only the parent may hold this end: its close is how the child learns that it is gone.
    close(release[1]);
    run_child(options, release[0], report[1]);
  }
  int clone_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(release[0]);
  close(report[1]);
  int result = 0;
  if (*pid < 0) {
    errno = clone_error;
    result = clinux_fail(failure, "clone3 with new namespaces");
  } else {
    if (place) place(*pid, context);
    if (options->is_sandboxed && map_ids(*pid, options, failure) != 0) result = -1;
    if (result == 0) {
      if (write(release[1], "g", 1) != 1) {
        result = clinux_fail(failure, "release the child");
      } else {
        ssize_t count = read(report[0], failure, sizeof *failure);
        if (count > 0) result = -1;
      }
    }
    if (result != 0) {
      clinux_kill(*pidfd);
      clinux_reap(*pidfd);
      close(*pidfd);
      *pidfd = -1;
    }
  }
  close(release[1]);
  close(report[0]);
  return result;
}

int clinux_kill(int pidfd) { return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0 ? 0 : errno; }

int clinux_reap(int pidfd) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) != 0) {
    if (errno != EINTR) return 0;
  }
  return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

int clinux_socketpair(int sockets[2]) { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0 ? 0 : errno; }

int clinux_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  // A cell that writes more than the pipe holds must not stand still.
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  return 0;
}

int clinux_memfd(const char *name) {
  int fd = (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  return fd >= 0 ? fd : (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}
