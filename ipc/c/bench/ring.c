/* Wherry channels: --out and --in are channel names, WHERRY_IPC_DIR and WHERRY_SERVICE as in a container. */
#include "../wherry_ipc.h"
#include "bench.h"

#include <stdlib.h>

const char transport_name[] = "ring";

static wipc_publisher *publisher;
static wipc_subscriber *subscriber;
static bool spinning;

static void check(const char *action, int rc) {
  if (rc < 0) bench_fail(action, wipc_strerror(rc));
}

void transport_open(const struct bench *b, bool sends, bool receives) {
  spinning = b->spin;
  if (receives) check("subscribe", wipc_subscriber_open(NULL, NULL, b->in, &subscriber));
  if (sends) check("publish", wipc_publisher_open(NULL, NULL, b->out, &publisher));
}

void transport_send(const void *data, size_t length) {
  int rc;
  /* Reliable: the other end may take its time to start. */
  while ((rc = wipc_publish(publisher, data, length, 0, WIPC_TIMEOUT_DEFAULT)) == WIPC_EAGAIN)
    ;
  check("publish", rc);
}

uint64_t transport_receive(void *buffer, size_t size) {
  wipc_message message;
  for (;;) {
    int rc = wipc_take(subscriber, buffer, size, &message);
    check("take", rc);
    if (rc == 1) return message.lost + 1;
    if (!spinning) check("wait", wipc_wait(&subscriber, 1, -1));
    else if (!wipc_spin(&subscriber, 1, 100000)) bench_relax();
  }
}

void transport_close(void) {
  wipc_publisher_close(publisher);
  wipc_subscriber_close(subscriber);
}
