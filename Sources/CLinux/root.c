// The root a cell starts in: the executable and its libraries, read-only, and an empty folder for the root after it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"
#include "spawn.h"

/// Where the new root is mounted: a folder that is there on every machine; what it held is out of sight in this mount namespace only.
static const char kRootMount[] = "/tmp";

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

int clinux_make_root(const clinux_spawn_options *options, const int *files, clinux_failure *failure) {
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
