// Landlock: a part of the kernel of its own that denies what the filters deny too, from another side (linux/landlock.h).
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"
#include "seal.h"

/// From these versions on TCP ports, and then signals and abstract sockets, can be denied.
enum { kNetworkVersion = 4, kScopeVersion = 6 };

int clinux_landlock_version(void) {
#ifdef SYS_landlock_create_ruleset
  enum { kVersionRequest = 1 };
  long version = syscall(SYS_landlock_create_ruleset, NULL, 0, kVersionRequest);
  if (version >= 0) return (int)version;
  return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -1;
#else
  return 0;
#endif
}

/// No access to any file, TCP port, foreign process or abstract socket, as far as the kernel's Landlock reaches.
int clinux_landlock_restrict(void) {
#ifdef SYS_landlock_create_ruleset
  int version = clinux_landlock_version();
  if (version <= 0) return version;
  struct {
    uint64_t files, network, scopes;
  } handled = {0, 0, 0};
  // 13 rights over files at first, then moving between folders, truncation, and ioctl on devices.
  int file_rights = 13 + (version >= 2) + (version >= 3) + (version >= 5);
  handled.files = (1ull << file_rights) - 1;
  if (version >= kNetworkVersion) handled.network = 3;
  if (version >= kScopeVersion) handled.scopes = 3;
  size_t size = version >= kScopeVersion ? 24 : version >= kNetworkVersion ? 16 : 8;
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, size, 0);
  if (ruleset < 0) return -1;
  int status = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
  close(ruleset);
  return status;
#else
  return 0;
#endif
}

// What it denies, each tried in a process of its own that applies nothing else: behind the filters nothing of it could be seen.

static int list_root(void) { return open("/", O_RDONLY | O_DIRECTORY); }

static int bind_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
}

/// To an abstract socket that its parent made.
static int reach_abstract_socket(const struct sockaddr_un *address, socklen_t length) {
  return connect(socket(AF_UNIX, SOCK_STREAM, 0), (const struct sockaddr *)address, length);
}

typedef struct landlock_probe {
  const char *name;
  int version;
  int refusal;
} landlock_probe;

static const landlock_probe kProbes[] = {
    {"files", 1, EACCES}, {"tcp", kNetworkVersion, EACCES}, {"signals", kScopeVersion, EPERM}, {"abstract-sockets", kScopeVersion, EPERM}};
enum { kProbeCount = sizeof kProbes / sizeof kProbes[0] };

const char *clinux_landlock_probe_name(size_t index) { return index < kProbeCount ? kProbes[index].name : NULL; }

/// The child's part. Ends with 0 where it was refused after the restriction and not before.
static void run_probe(size_t index, const struct sockaddr_un *address, socklen_t length, bool restricts) {
  pid_t parent = getppid();
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1 && restricts && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || clinux_landlock_restrict() != 0)) _exit(3);
    errno = 0;
    int status = index == 0   ? list_root()
                 : index == 1 ? bind_port()
                 : index == 2 ? kill(parent, 0)
                              : reach_abstract_socket(address, length);
    if (pass == 0 && status < 0) _exit(2);
    if (pass == 1) _exit(status < 0 && errno == kProbes[index].refusal ? 0 : 1);
  }
}

clinux_landlock_result clinux_landlock_probe(size_t index, bool restricts) {
  if (index >= kProbeCount || clinux_landlock_version() < kProbes[index].version) return CLINUX_LANDLOCK_NOT_OFFERED;
  // An abstract name that the kernel chooses.
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t length = sizeof address;
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) != 0 || listen(listener, 2) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
    if (listener >= 0) close(listener);
    return CLINUX_LANDLOCK_UNDECIDED;
  }
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    run_probe(index, &address, length, restricts);
    _exit(4);
  }
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  close(listener);
  if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1) return CLINUX_LANDLOCK_UNDECIDED;
  return WEXITSTATUS(status) == 0 ? CLINUX_LANDLOCK_DENIED : CLINUX_LANDLOCK_PERMITTED;
}
