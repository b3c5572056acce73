/*
 * One end of a channel, the same in three languages (peer.js, peer.py):
 *   peer pub <channel> <count> <size>   publishes messages 0..count-1: type i, byte k is (7k + k/256 + 13i) mod 256
 *   peer sub <channel> <count>          prints "publisher sequence type length crc32 lost" for each
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ipc/c/wherry_ipc.h"

static int failed(const char *action, int rc) {
  fprintf(stderr, "Cannot %s: %s\n", action, wipc_strerror(rc));
  return 1;
}

static uint32_t crc32(const unsigned char *data, size_t length) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < length; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
  }
  return ~crc;
}

static int publish(const char *channel, uint32_t count, size_t size) {
  wipc_publisher *publisher;
  int rc = wipc_publisher_open(NULL, NULL, channel, &publisher);
  unsigned char *data = malloc(size + 1);
  if (rc != 0 || data == NULL) return failed("publish", rc);
  for (uint32_t i = 0; i < count; i++) {
    for (size_t k = 0; k < size; k++) data[k] = (unsigned char)(7 * k + (k >> 8) + 13 * i);
    if ((rc = wipc_publish(publisher, data, size, i, WIPC_TIMEOUT_DEFAULT)) != 0) return failed("publish", rc);
  }
  wipc_publisher_close(publisher);
  free(data);
  return 0;
}

static int subscribe(const char *channel, uint32_t count) {
  wipc_subscriber *subscriber;
  int rc = wipc_subscriber_open(NULL, NULL, channel, &subscriber);
  if (rc != 0) return failed("subscribe", rc);
  wipc_info info;
  wipc_subscriber_info(subscriber, &info);
  unsigned char *data = malloc(info.slot_size);
  if (data == NULL) return failed("subscribe", WIPC_ENOMEM);
  for (uint32_t taken = 0; taken < count;) {
    wipc_message m;
    if ((rc = wipc_take(subscriber, data, info.slot_size, &m)) < 0) return failed("take", rc);
    if (rc == 0) {
      if ((rc = wipc_wait(&subscriber, 1, 30000)) != 1) return failed("wait", rc);
      continue;
    }
    taken++;
    printf("%s %" PRIu64 " %" PRIu32 " %" PRIu32 " %08" PRIx32 " %" PRIu64 "\n",
           wipc_subscriber_publisher(subscriber, m.publisher), m.sequence, m.type, m.length, crc32(data, m.length), m.lost);
  }
  wipc_subscriber_close(subscriber);
  free(data);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], "pub") == 0)
    return publish(argv[2], (uint32_t)atol(argv[3]), (size_t)atol(argv[4]));
  if (argc == 4 && strcmp(argv[1], "sub") == 0) return subscribe(argv[2], (uint32_t)atol(argv[3]));
  return 2;
}
