/* Debian's iceoryx 1 through its C binding: poll and copy, no message lost. iox-roudi must be running. */
#include "bench.h"

#include "iceoryx_binding_c/publisher.h"
#include "iceoryx_binding_c/runtime.h"
#include "iceoryx_binding_c/subscriber.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char transport_name[] = "iceoryx";

static iox_pub_storage_t publisher_storage;
static iox_sub_storage_t subscriber_storage;
static iox_pub_t publisher;
static iox_sub_t subscriber;

static void open_publisher(const char *name) {
  iox_pub_options_t options;
  iox_pub_options_init(&options);
  options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
  publisher = iox_pub_init(&publisher_storage, "wherry", "bench", name, &options);
}

static void open_subscriber(const char *name, size_t size) {
  iox_sub_options_t options;
  iox_sub_options_init(&options);
  /* The largest of RouDi's pools have few chunks. */
  options.queueCapacity = size >= 512 << 10 ? 4 : size >= 64 << 10 ? 32 : 256;
  options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
  subscriber = iox_sub_init(&subscriber_storage, "wherry", "bench", name, &options);
}

void transport_open(const struct bench *b, bool sends, bool receives) {
  char runtime[64];
  snprintf(runtime, sizeof runtime, "bench-%s-%d", b->role, (int)getpid());
  iox_runtime_init(runtime);
  if (receives) open_subscriber(b->in, b->size);
  if (sends) open_publisher(b->out);
  /* What is published before a subscriber is known is lost. */
  while (sends && !iox_pub_has_subscribers(publisher)) usleep(1000);
  while (receives && iox_sub_get_subscription_state(subscriber) != SubscribeState_SUBSCRIBED) usleep(1000);
}

void transport_send(const void *data, size_t length) {
  void *chunk = NULL;
  while (iox_pub_loan_chunk(publisher, &chunk, (uint32_t)length) != AllocationResult_SUCCESS) bench_relax();
  memcpy(chunk, data, length);
  iox_pub_publish_chunk(publisher, chunk);
}

uint64_t transport_receive(void *buffer, size_t size) {
  const void *chunk = NULL;
  while (iox_sub_take_chunk(subscriber, &chunk) != ChunkReceiveResult_SUCCESS) bench_relax();
  memcpy(buffer, chunk, size);
  iox_sub_release_chunk(subscriber, chunk);
  return 1;
}

void transport_close(void) {
  /* The other end may still want the last chunk. */
  usleep(200000);
  if (publisher != NULL) iox_pub_deinit(publisher);
  if (subscriber != NULL) iox_sub_deinit(subscriber);
  iox_runtime_shutdown();
}
