// clinux.h — what runs between clone and exec, and the stages by which a cell seals itself. Plain system calls; no policy.
//
// Every failure names its stage and carries errno. Descriptors of a cell: 0 and 1 /dev/null, 2 the diagnostics pipe, 3 the socket to the
// supervisor, 4 and 5 the two seccomp programs until they were read; then 4 is a memory file for pages that isolates share.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CLINUX_SOCKET = 3, CLINUX_FILTER_EARLY = 4, CLINUX_FILTER_STEADY = 5, CLINUX_PAGES = 4 };

/// Where something failed: a stage's name (static text) and errno.
typedef struct clinux_failure {
  char stage[48];
  int error;
} clinux_failure;

typedef struct clinux_spawn_options {
  const char *executable;
  char *const *arguments;    // argv, NULL-terminated
  char *const *environment;  // envp, NULL-terminated
  const char *const *files;  // what the root holds besides empty folders: absolute paths, NULL-terminated; the executable among them
  int socket;                // becomes 3
  int diagnostics;           // becomes 2
  int filter_early;          // becomes 4; -1: none
  int filter_steady;         // becomes 5; -1: none
  int cgroup;                // a folder of cgroup version 2 to start in; -1: none
  uid_t outside_uid;         // what the cell's uid 0 is outside
  gid_t outside_gid;
  bool is_root;       // the caller may set groups and map any id
  bool is_sandboxed;  // false: plain fork and exec, for development
  int nice;  // what the child has
} clinux_spawn_options;

/// Called in the parent when the child exists and waits; for placing it in cgroups.
typedef void (*clinux_placer)(pid_t pid, void *context);

/// Starts a process as `options` say. Returns 0 with its pid and pidfd (close-on-exec, the caller's), or -1 with the failure of parent or
/// child. Blocks until the child has executed (some milliseconds). The calling thread must outlive the child: its end kills it. Where
/// `options->cgroup` does not take the child it starts in the caller's; `place` may still move it.
int clinux_spawn(const clinux_spawn_options *options, clinux_placer place, void *context, pid_t *pid, int *pidfd, clinux_failure *failure);

/// Sends SIGKILL. 0 or errno.
int clinux_kill(int pidfd);
/// Waits for the process behind the pidfd to end. Returns its exit code (>= 0), or minus the signal that ended it.
/// `has_dumped_core` (may be NULL): whether the kernel has written its memory somewhere.
int clinux_reap(int pidfd, bool *has_dumped_core);

/// How a watched process ended.
typedef struct clinux_end {
  bool is_denied;           // a seccomp filter has ended it because of the call below
  int64_t call;             // the call's number
  uint32_t architecture;    // whose number it is (linux/audit.h)
  uint64_t arguments[6];
  pid_t thread;             // which made the call, as the caller's namespace numbers it
  char thread_name[16];
  int signal;               // the fault that the watch ended it for; 0: none
} clinux_end;

/// Makes the calling thread the one that watches all threads of a process, which ends with that thread at the latest. 0, or -1 with the
/// failure; then `clinux_watch` must be called all the same if the process is to go on.
int clinux_watch_begin(pid_t pid, clinux_failure *failure);
/// On the same thread: blocks until the process has ended. Fills what is known of its end into `end`. Does not reap it.
void clinux_watch(pid_t pid, int pidfd, clinux_end *end);
/// A pair of connected stream sockets, close-on-exec. 0 or errno.
int clinux_socketpair(int sockets[2]);
/// A pipe, close-on-exec, its read end non-blocking. 0 or errno.
int clinux_pipe(int ends[2]);
/// A memory file, close-on-exec, without execute permission where the kernel knows that. -1: errno.
int clinux_memfd(const char *name);
/// Makes a memory file's content final, for whoever holds it. 0 or errno.
int clinux_memfd_seal(int fd);
/// Whether it is a memory file whose content is final.
bool clinux_memfd_is_sealed(int fd);

/// Names the calling thread, for whoever reads what it was ended for; at most 15 bytes.
void clinux_name_thread(const char *name);

/// Sets a thread's nice value, and for how long the kernel lets it run at a time beside others: a thread that wakes goes before one with a
/// longer slice (Linux 6.12 and later, 0.1 to 100 ms; 0: the kernel's own; older kernels ignore it). Thread 0: the calling one. 0 or errno.
int clinux_schedule_thread(pid_t thread, int nice, uint64_t slice_nanoseconds);
/// The calling thread's id, as `clinux_schedule_thread` takes it.
pid_t clinux_thread_id(void);
/// Fills in which processors the calling thread may run on, `limit` of them at the most. Their count; 0 where the kernel has more than 1,024.
int clinux_allowed_processors(int *processors, int limit);
/// Keeps a thread on one processor. Thread 0: the calling one. 0 or errno.
int clinux_pin_thread(pid_t thread, int processor);

// The seal, in this order, on one thread until the last. 0, or -1 with the failure.

/// Resource limits, speculation controls, no new privileges, secure bits, bounding and ambient sets; reads the seccomp programs; opens the memory
/// file, to be filled before `clinux_seal_finish`, after which nobody can write to it.
int clinux_seal_before_runtime(clinux_failure *failure);
/// An empty read-only root, no capabilities, not dumpable, Landlock, and the early filter.
int clinux_seal_drop_root(clinux_failure *failure);
/// Checks what the stages before have done, then: no further threads, and the steady filter for all of them.
int clinux_seal_finish(clinux_failure *failure);

/// Writes what the process can say of its seal, a line each, `name number`; between the second stage and the last.
void clinux_seal_report(int fd);

/// The version of the kernel's Landlock; 0: it has none.
int clinux_landlock_version(void);
typedef enum clinux_landlock_result {
  CLINUX_LANDLOCK_DENIED,       // and permitted before it was restricted
  CLINUX_LANDLOCK_PERMITTED,    // it has no effect
  CLINUX_LANDLOCK_NOT_OFFERED,  // this version does not reach that far
  CLINUX_LANDLOCK_UNDECIDED,    // it was not permitted before either
} clinux_landlock_result;
/// The names of what Landlock denies; NULL behind the last.
const char *clinux_landlock_probe_name(size_t index);
/// Tries it in a process of its own which restricts itself as a cell does (or not: then nothing may be denied).
clinux_landlock_result clinux_landlock_probe(size_t index, bool restricts);

/// How an attempt came out when the process is still there.
typedef enum clinux_outcome {
  CLINUX_WORKED,   // or failed for a reason that is not the seal's
  CLINUX_REFUSED,  // with the errno by which the seal refuses it
  CLINUX_UNKNOWN,  // there is no such attempt
} clinux_outcome;

/// Tries what must not work. What the seal kills does not return.
clinux_outcome clinux_attempt(const char *name);
/// The names of what no cell may do, NULL-terminated.
const char *const *clinux_attempts(void);
/// The names of what only a cell without a JIT may not do, NULL-terminated.
const char *const *clinux_attempts_jitless(void);

/// The seccomp programs' texts, embedded at build time from policies/seccomp/.
typedef struct clinux_program_text {
  const char *name;
  const char *text;
  size_t length;
} clinux_program_text;
size_t clinux_program_count(void);
const clinux_program_text *clinux_program(size_t index);
