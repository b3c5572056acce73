/* A unix stream socket at the path --out or --in (the same for both directions); echo and sink listen. */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char transport_name[] = "uds";

static int peer = -1;
static bool spinning;

static void fail(const char *action) { bench_fail(action, strerror(errno)); }

static int listen_at(const struct sockaddr_un *address) {
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  unlink(address->sun_path);
  if (bind(listener, (const struct sockaddr *)address, sizeof *address) != 0) fail("bind");
  if (listen(listener, 1) != 0) fail("listen");
  int connection = accept(listener, NULL, NULL);
  if (connection < 0) fail("accept");
  close(listener);
  return connection;
}

static int connect_to(const struct sockaddr_un *address) {
  for (int tries = 0; tries < 1000; tries++) {
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection, (const struct sockaddr *)address, sizeof *address) == 0) return connection;
    close(connection);
    poll(NULL, 0, 10);
  }
  fail("connect");
  return -1;
}

void transport_open(const struct bench *b, bool sends, bool receives) {
  const char *path = b->out != NULL ? b->out : b->in;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (path == NULL || strlen(path) >= sizeof address.sun_path) bench_fail("open the socket", "--out must be short");
  strcpy(address.sun_path, path);
  bool listens = receives && (!sends || strcmp(b->role, "echo") == 0);
  peer = listens ? listen_at(&address) : connect_to(&address);
  /* As much as the kernel lets a process ask for: the socket at its best. */
  int space = 4 << 20;
  setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &space, sizeof space);
  setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &space, sizeof space);
  spinning = b->spin;
}

void transport_send(const void *data, size_t length) {
  for (size_t sent = 0; sent < length;) {
    ssize_t n = send(peer, (const char *)data + sent, length - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR) fail("send");
    if (n > 0) sent += (size_t)n;
  }
}

uint64_t transport_receive(void *buffer, size_t size) {
  for (size_t got = 0; got < size;) {
    ssize_t n = recv(peer, (char *)buffer + got, size - got, spinning ? MSG_DONTWAIT : 0);
    if (n == 0) bench_fail("receive", "the other end is gone");
    if (n < 0 && errno != EINTR && errno != EAGAIN) fail("receive");
    if (n > 0) got += (size_t)n;
  }
  return 1;
}

void transport_close(void) { close(peer); }
