// Starting a cell, the parent's side: pipes, clone3, cgroups, id maps.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"
#include "spawn.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

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

static pid_t clone_process(const clinux_spawn_options *options, int cgroup, int *pidfd) {
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = CLONE_PIDFD;
  if (options->is_sandboxed) {
    arguments.flags |= CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  }
  if (cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = (uint64_t)cgroup;
  }
  arguments.pidfd = (uint64_t)(uintptr_t)pidfd;
  arguments.exit_signal = SIGCHLD;
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

/// A child that has not executed by then hangs in the kernel (a network file system); it is given up.
enum { kExecLimitMilliseconds = 10000 };

/// Places the child, maps its ids, lets it go and waits until it has executed or says what failed.
static int release_child(
    const clinux_spawn_options *options, clinux_placer place, void *context, pid_t pid, int release, int report, clinux_failure *failure) {
  if (place) place(pid, context);
  if (options->is_sandboxed && map_ids(pid, options, failure) != 0) return -1;
  ssize_t count;
  do count = write(release, "g", 1);
  while (count < 0 && errno == EINTR);
  // EPIPE: it has failed before it waited, and says why; the write raises no signal here, see clinux_spawn.
  if (count != 1 && errno != EPIPE) return clinux_fail(failure, "release the child");
  struct pollfd end = {report, POLLIN, 0};
  if (poll(&end, 1, kExecLimitMilliseconds) == 0) {
    errno = ETIMEDOUT;
    return clinux_fail(failure, "wait for the child to execute");
  }
  do count = read(report, failure, sizeof *failure);
  while (count < 0 && errno == EINTR);
  if (count == 0) return 0;
  if (count != sizeof *failure) {
    errno = count < 0 ? errno : EPROTO;
    clinux_fail(failure, "hear from the child");
  }
  return -1;
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
  *pid = clone_process(options, options->cgroup, pidfd);
  if (*pid < 0 && options->cgroup >= 0) *pid = clone_process(options, -1, pidfd);
  if (*pid == 0) clinux_run_child(options, release[0], report[1]);
  int clone_error = errno;
  close(release[0]);
  close(report[1]);
  int result = 0;
  if (*pid < 0) {
    errno = clone_error;
    result = clinux_fail(failure, "clone3 with new namespaces");
  } else if (release_child(options, place, context, *pid, release[1], report[0], failure) != 0) {
    result = -1;
    clinux_kill(*pidfd);
    clinux_reap(*pidfd, NULL);
    close(*pidfd);
    *pidfd = -1;
  }
  close(release[1]);
  close(report[0]);
  // A SIGPIPE that a child's early end has caused must not reach a handler of the caller's.
  struct timespec now = {0, 0};
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  if (result != 0) sigtimedwait(&pipe, NULL, &now);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return result;
}

int clinux_kill(int pidfd) { return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0 ? 0 : errno; }

int clinux_reap(int pidfd, bool *has_dumped_core) {
  // Waited for by its descriptor: waitid would also return, and use up, stops that are the watch's to see.
  struct pollfd ended = {pidfd, POLLIN, 0};
  while (poll(&ended, 1, -1) != 1) {
    if (errno != EINTR && errno != EAGAIN) break;
  }
  siginfo_t info;
  memset(&info, 0, sizeof info);
  while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) != 0) {
    if (errno != EINTR) return 0;
  }
  if (has_dumped_core) *has_dumped_core = info.si_code == CLD_DUMPED;
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

enum { kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };

int clinux_memfd_seal(int fd) { return fcntl(fd, F_ADD_SEALS, kSeals) == 0 ? 0 : errno; }

bool clinux_memfd_is_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals;
}
