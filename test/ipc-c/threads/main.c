/*
 * Both ends of channels in threads of one process, for ThreadSanitizer: `threads <empty folder> <messages>`. A lossy
 * and a reliable publisher at full speed; one subscriber whose waits also run in another thread, as bindings do it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fixture.h"

static uint64_t messages;
static _Atomic uint64_t taken, overruns;

static void *publish(void *argument) {
  for (uint64_t i = 0; i < messages; i++) {
    int rc;
    /* Lengths differ, so that the end of a message is where the middle of the one before was. */
    while ((rc = publish_seed(argument, i, 64 + (i * 40) % 512, 10000)) == WIPC_EAGAIN)
      ;
    CHECK(rc == 0);
  }
  return NULL;
}

struct waiter {
  wipc_subscriber *subscriber;
  uint32_t word;
  _Atomic int stop;
};

struct drain {
  wipc_subscriber *subscriber;
  int lossless;
};

/* Until the last message. */
static void *take_all(void *argument) {
  struct drain *drain = argument;
  unsigned char buffer[576];
  uint64_t next = 0;
  while (next < messages) {
    wipc_message m;
    if (wipc_take(drain->subscriber, buffer, sizeof buffer, &m) == 0) {
      CHECK(wipc_wait(&drain->subscriber, 1, 60000) == 1);
      continue;
    }
    uint64_t seed;
    CHECK(is_filled(buffer, m.length, &seed) && seed == m.sequence && m.length == 64 + (seed * 40) % 512);
    CHECK(m.sequence == next + m.lost && (m.lost == 0 || !drain->lossless));
    next = m.sequence + 1;
    atomic_fetch_add(&taken, 1);
  }
  wipc_subscriber_stats stats;
  wipc_subscriber_stat(drain->subscriber, &stats);
  CHECK(stats.torn == 0);
  atomic_fetch_add(&overruns, stats.overruns);
  return NULL;
}

/* Waits in one thread while another takes and waits too. */
static void *wait_beside(void *argument) {
  struct waiter *waiter = argument;
  while (!waiter->stop) {
    wipc_wait_or(&waiter->subscriber, 1, 50, &waiter->word, 0);
    wipc_spin(&waiter->subscriber, 1, 10);
  }
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  scratch = argv[1];
  messages = strtoull(argv[2], NULL, 10);
  make_channel(&(struct spec){"lossy", {"a"}, {"b", "c"}, 576, 4, WIPC_LOSSY, 0});
  make_channel(&(struct spec){"reliable", {"a"}, {"b"}, 576, 4, WIPC_RELIABLE, 10000});
  wipc_publisher *publishers[] = {publisher_of("lossy", "a"), publisher_of("reliable", "a")};
  struct drain drains[] = {
      {subscriber_of("lossy", "b"), 0}, {subscriber_of("lossy", "c"), 0}, {subscriber_of("reliable", "b"), 1}};
  struct waiter waiter = {drains[1].subscriber, 0, 0};
  pthread_t threads[5], beside;
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, take_all, &drains[i]);
  for (int i = 0; i < 2; i++) pthread_create(&threads[3 + i], NULL, publish, publishers[i]);
  pthread_create(&beside, NULL, wait_beside, &waiter);
  for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
  waiter.stop = 1;
  wipc_wake_word(&waiter.word);
  pthread_join(beside, NULL);
  for (int i = 0; i < 3; i++) wipc_subscriber_close(drains[i].subscriber);
  for (int i = 0; i < 2; i++) wipc_publisher_close(publishers[i]);
  printf("%llu messages taken, %llu overruns\n", (unsigned long long)taken, (unsigned long long)overruns);
  return 0;
}
