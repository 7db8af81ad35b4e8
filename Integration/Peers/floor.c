// floor.c — what the kernel alone takes for a request: answers whatever comes over HTTP/1.1 with the same bytes, parses nothing and runs no
// JavaScript. With "alone" in one process, as a server has it that does not isolate what it runs; with "split" each request is passed to a child in a
// message of 16 bytes and answered when that comes back, as a front and a sandboxed process have it. Messages go in batches, as many as there are.
// Use: floor alone|split PORT. Listens on loopback until SIGTERM. Exit: 0, 64 usage, 71 the system refused something.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { message_bytes = 16, buffer_bytes = 65536, events_limit = 64 };

static const char answer[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\ncontent-length: 11\r\ndate: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\nhello world";

static int checked(int result, const char *what) {
  if (result >= 0) return result;
  perror(what);
  exit(71);
}

static void watch(int events, int descriptor) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
  checked(epoll_ctl(events, EPOLL_CTL_ADD, descriptor, &event), "epoll_ctl");
}

/// The child: sends back what it reads, until there is no more.
static void echo(int descriptor) {
  char buffer[buffer_bytes];
  ssize_t count;
  while ((count = read(descriptor, buffer, sizeof buffer)) > 0) {
    if (write(descriptor, buffer, (size_t)count) != count) break;
  }
  _exit(0);
}

static void respond(int connection) {
  // A client may have gone while its request was with the child.
  if (send(connection, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET && errno != EBADF) perror("send");
}

static void serve(int listener, int child) {
  int events = checked(epoll_create1(0), "epoll_create1");
  watch(events, listener);
  if (child >= 0) watch(events, child);
  struct epoll_event ready[events_limit];
  char in[buffer_bytes], out[events_limit * message_bytes];
  for (;;) {
    int count = checked(epoll_wait(events, ready, events_limit, -1), "epoll_wait");
    size_t pending = 0;
    for (int i = 0; i < count; i++) {
      int descriptor = ready[i].data.fd;
      if (descriptor == listener) {
        int connection = checked(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept4"), on = 1;
        checked(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
        watch(events, connection);
        continue;
      }
      ssize_t length = read(descriptor, in, sizeof in);
      if (descriptor == child) {
        if (length <= 0) exit(71);
        // Each side writes whole messages, which are never many enough to fill the socket.
        for (ssize_t at = 0; at < length; at += message_bytes) {
          int connection;
          memcpy(&connection, in + at, sizeof connection);
          respond(connection);
        }
      } else if (length <= 0) {
        close(descriptor);
      } else if (child < 0) {
        respond(descriptor);
      } else {
        memset(out + pending, 0, message_bytes);
        memcpy(out + pending, &descriptor, sizeof descriptor);
        pending += message_bytes;
      }
    }
    if (pending > 0 && write(child, out, pending) != (ssize_t)pending) exit(71);
  }
}

int main(int count, char **arguments) {
  int is_split = count == 3 && strcmp(arguments[1], "split") == 0, port = count == 3 ? atoi(arguments[2]) : 0;
  if ((!is_split && (count != 3 || strcmp(arguments[1], "alone") != 0)) || port <= 0 || port > 65535) {
    fprintf(stderr, "use: floor alone|split PORT\n");
    return 64;
  }
  int child = -1, listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"), on = 1;
  if (is_split) {
    int pair[2];
    checked(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    if (checked(fork(), "fork") == 0) {
      close(pair[0]);
      close(listener);
      echo(pair[1]);
    }
    close(pair[1]);
    child = pair[0];
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  checked(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  checked(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
  checked(listen(listener, 128), "listen");
  serve(listener, child);
}
