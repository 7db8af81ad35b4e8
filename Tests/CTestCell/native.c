// Native code that a tenant runs in its cell, as one who has broken out of V8: any system call with any arguments, and a few things that
// are no call. It takes getentropy's place, which `crypto.getRandomValues` calls with a tenant's own bytes: those that begin with the magic
// words are a command, see `command` below and Integration/Hostile/native.js, which writes it. Nothing of the sandbox is weaker for it.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char kMagic[] = "cloister-native:";

enum operation { kCall, kCallOfI386, kCrash, kRunPage, kRepeat, kSpin, kSendDescriptors };

typedef struct command {
  char magic[16];
  uint8_t operation;
  /// A bit for each argument that is an offset into this command.
  uint8_t addresses;
  uint8_t unused[6];
  /// The call's number; afterwards what came of it: a result, or minus an errno.
  int64_t number;
  int64_t arguments[6];
  uint8_t data[];
} command;

static long call(const command *command) {
  long arguments[6];
  for (int i = 0; i < 6; i++) {
    arguments[i] = (long)command->arguments[i];
    if (command->addresses >> i & 1) arguments[i] += (long)command;
  }
  long result = syscall(command->number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  return result == -1 ? -errno : result;
}

static long call_of_i386(const command *command) {
  long result = -ENOSYS;
#if defined(__x86_64__)
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(command->number), "b"(command->arguments[0]), "c"(command->arguments[1]) : "memory", "r8", "r9", "r10", "r11");
#endif
  return result;
}

/// Machine code of its own: `return 42`.
static long run_page(const command *command) {
  static const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3};
  int first = command->arguments[0] != 0 ? PROT_READ | PROT_WRITE | PROT_EXEC : PROT_READ | PROT_WRITE;
  void *page = mmap(NULL, 4096, first, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return -errno;
  memcpy(page, code, sizeof code);
  if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0) return -errno;
  return ((int (*)(void))page)();
}

static long send_descriptors(const command *command) {
  int descriptors[3] = {0, 2, 3};
  char space[CMSG_SPACE(sizeof descriptors)];
  memset(space, 0, sizeof space);
  // An empty piece of a frame that is never whole would end the cell: a byte of whatever the command holds.
  struct iovec part = {(void *)command->data, (size_t)command->arguments[0]};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
  ssize_t sent = sendmsg(3, &message, MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

static int64_t run(const command *command) {
  switch ((enum operation)command->operation) {
    case kCall: return call(command);
    case kCallOfI386: return call_of_i386(command);
    case kCrash: *(volatile int *)8 = 1; return 0;
    case kRunPage: return run_page(command);
    case kRepeat:
      for (;;) {
        long result = call(command);
        if (result < 0) return result;
      }
    case kSpin:
      for (volatile int i = 0;; i++) {
      }
    case kSendDescriptors: return send_descriptors(command);
  }
  return -EINVAL;
}

int getentropy(void *buffer, size_t length) {
  command *command = buffer;
  if (length >= sizeof *command && memcmp(command->magic, kMagic, sizeof command->magic) == 0) {
    command->number = run(command);
    return 0;
  }
  size_t filled = 0;
  while (filled < length) {
    ssize_t count = syscall(SYS_getrandom, (char *)buffer + filled, length - filled, 0);
    if (count < 0) return -1;
    filled += (size_t)count;
  }
  return 0;
}
