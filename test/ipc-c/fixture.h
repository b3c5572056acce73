/* Channels as the agent makes them, in a scratch folder, and the checks of the C tests. */
#ifndef WIPC_FIXTURE_H
#define WIPC_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "../../ipc/c/layout.h"

#define CHECK(what)                                                              \
  do {                                                                           \
    if (!(what)) {                                                               \
      fprintf(stderr, "FAIL %s:%d: %s\n", __FILE__, __LINE__, #what);            \
      abort();                                                                   \
    }                                                                            \
  } while (0)

struct spec {
  const char *name;
  const char *publishers[WIPC_MAX_PEERS + 1], *subscribers[WIPC_MAX_PEERS + 1]; /* NULL ends a list */
  uint32_t slot_size, depth, mode, block_timeout_ms;
};

extern const char *scratch; /* WHERRY_IPC_DIR of the tests */

/* Makes the files; gives the folder, which the next call overwrites. */
const char *make_channel(const struct spec *spec);
/* The agent's own writable view of a file of a channel. */
void *map_file(const char *channel, const char *file, size_t *size);
void unmap_file(void *memory, size_t size);
int open_file(const char *channel, const char *file, int flags);

wipc_publisher *publisher_of(const char *channel, const char *service);
wipc_subscriber *subscriber_of(const char *channel, const char *service);
/* Publishes a message of `length` bytes whose bytes all follow from `seed`. */
int publish_seed(wipc_publisher *publisher, uint64_t seed, size_t length, int timeout_ms);
/* Takes one: its seed; aborts when there is none or when its bytes do not all belong to one seed. */
uint64_t take_seed(wipc_subscriber *subscriber, wipc_message *message);
void fill(unsigned char *data, size_t length, uint64_t seed);
/* 1: every byte is as `fill` makes it. */
int is_filled(const unsigned char *data, size_t length, uint64_t *seed);
/* Before the library sets its own: what a host such as a language runtime has. */
void install_host_handler(void);
/* CRC-32C, by itself: not the library's. */
uint32_t crc32c_of(const void *data, size_t length);
uint64_t now_ms(void);
void sleep_ms(unsigned ms);

struct test {
  const char *name;
  void (*run)(void);
};
extern const struct test publish_tests[], reliable_tests[], wait_tests[], open_tests[], hostile_tests[];

#endif
