// How the kernel schedules one thread beside others.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clinux.h"

/// The first version of the kernel's struct sched_attr (linux/sched/types.h, which does not agree with the C library's sched.h).
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

int clinux_schedule_thread(pid_t thread, int nice, uint64_t slice_nanoseconds) {
  struct attributes attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.nice = nice;
  attributes.runtime = slice_nanoseconds;
  return syscall(SYS_sched_setattr, thread, &attributes, 0) == 0 ? 0 : errno;
}

pid_t clinux_thread_id(void) { return (pid_t)syscall(SYS_gettid); }

int clinux_allowed_processors(int *processors, int limit) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
  int count = 0;
  for (int processor = 0; processor < CPU_SETSIZE && count < limit; processor++) {
    if (CPU_ISSET(processor, &set)) processors[count++] = processor;
  }
  return count;
}

int clinux_pin_thread(pid_t thread, int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return sched_setaffinity(thread, sizeof set, &set) == 0 ? 0 : errno;
}
