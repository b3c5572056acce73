/* Reliable channels: bounded waits, eviction. */
#include "../fixture.h"

#include <pthread.h>

static void times_out_and_counts(void) {
  make_channel(&(struct spec){"bound", {"a"}, {"b"}, 64, 4, WIPC_RELIABLE, 60});
  wipc_publisher *p = publisher_of("bound", "a");
  wipc_subscriber *s = subscriber_of("bound", "b");
  for (uint64_t i = 0; i < 4; i++) CHECK(publish_seed(p, i, 64, 0) == 0);
  CHECK(publish_seed(p, 4, 64, 0) == WIPC_EAGAIN);
  size_t size;
  struct ring *ring = map_file("bound", "ring.a", &size);
  CHECK(get(ring->slow) == 0);
  uint64_t before = now_ms();
  CHECK(publish_seed(p, 4, 64, WIPC_TIMEOUT_DEFAULT) == WIPC_EAGAIN);
  CHECK(now_ms() - before >= 59);
  CHECK(get(ring->slow) == 1 && get(ring->publisher_waiting) == 0);
  wipc_publisher_stats stats;
  wipc_publisher_stat(p, &stats);
  CHECK(stats.dropped == 2 && stats.blocked == 2 && stats.published == 4);
  wipc_message m;
  for (uint64_t i = 0; i < 4; i++) CHECK(take_seed(s, &m) == i && m.lost == 0);
  CHECK(publish_seed(p, 4, 64, 0) == 0 && get(ring->slow) == 0);
  unmap_file(ring, size);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void *take_late(void *subscriber) {
  wipc_message m;
  sleep_ms(60);
  for (uint64_t i = 0; i < 4; i++) CHECK(take_seed(subscriber, &m) == i);
  return NULL;
}

static void take_wakes_the_publisher(void) {
  make_channel(&(struct spec){"room", {"a"}, {"b"}, 64, 4, WIPC_RELIABLE, 10000});
  wipc_publisher *p = publisher_of("room", "a");
  wipc_subscriber *s = subscriber_of("room", "b");
  for (uint64_t i = 0; i < 4; i++) CHECK(publish_seed(p, i, 64, 0) == 0);
  pthread_t thread;
  pthread_create(&thread, NULL, take_late, s);
  uint64_t before = now_ms();
  CHECK(publish_seed(p, 4, 64, WIPC_TIMEOUT_DEFAULT) == 0);
  CHECK(now_ms() - before >= 50);
  pthread_join(thread, NULL);
  wipc_message m;
  CHECK(take_seed(s, &m) == 4);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void evicted_is_not_waited_for(void) {
  make_channel(&(struct spec){"evict", {"a"}, {"b", "c"}, 64, 8, WIPC_RELIABLE, 50});
  wipc_publisher *p = publisher_of("evict", "a");
  wipc_subscriber *b = subscriber_of("evict", "b"), *c = subscriber_of("evict", "c");
  size_t size;
  struct meta *meta = map_file("evict", "meta", &size);
  wipc_message m;
  for (uint64_t i = 0; i < 8; i++) CHECK(publish_seed(p, i, 64, 0) == 0);
  for (uint64_t i = 0; i < 8; i++) CHECK(take_seed(b, &m) == i);
  CHECK(publish_seed(p, 8, 64, 0) == WIPC_EAGAIN);
  set(meta->subscriber[1].evicted, 1);
  for (uint64_t i = 8; i < 10; i++) CHECK(publish_seed(p, i, 64, 0) == 0 && take_seed(b, &m) == i);
  /* It moves to half a ring behind the head, is told what it lost, and does not move again while it keeps up. */
  CHECK(take_seed(c, &m) == 6 && m.lost == 6);
  CHECK(take_seed(c, &m) == 7 && m.lost == 0);
  wipc_subscriber_stats stats;
  wipc_subscriber_stat(c, &stats);
  CHECK(stats.overruns == 1 && stats.lag == 2);
  set(meta->subscriber[1].evicted, 0);
  for (uint64_t i = 10; i < 16; i++) CHECK(publish_seed(p, i, 64, 0) == 0 && take_seed(b, &m) == i);
  CHECK(publish_seed(p, 16, 64, 0) == WIPC_EAGAIN);
  unmap_file(meta, size);
  wipc_publisher_close(p);
  wipc_subscriber_close(b);
  wipc_subscriber_close(c);
}

static void stopped_subscriber_holds_nobody_up(void) {
  make_channel(&(struct spec){"down", {"a"}, {"b"}, 64, 2, WIPC_RELIABLE, 50});
  size_t size;
  struct meta *meta = map_file("down", "meta", &size);
  wipc_publisher *p = publisher_of("down", "a");
  for (uint64_t i = 0; i < 2; i++) CHECK(publish_seed(p, i, 64, 0) == 0);
  /* Up but not there yet: what it has not taken is kept for it. */
  CHECK(publish_seed(p, 2, 64, 0) == WIPC_EAGAIN);
  set(meta->subscriber[0].up, 0);
  CHECK(publish_seed(p, 2, 64, 0) == 0);
  unmap_file(meta, size);
  wipc_publisher_close(p);
}

static void first_start_finds_all(void) {
  make_channel(&(struct spec){"first", {"a"}, {"b"}, 64, 8, WIPC_RELIABLE, 50});
  wipc_publisher *p = publisher_of("first", "a");
  for (uint64_t i = 0; i < 8; i++) CHECK(publish_seed(p, i, 64, 0) == 0);
  wipc_subscriber *s = subscriber_of("first", "b");
  wipc_message m;
  for (uint64_t i = 0; i < 8; i++) CHECK(take_seed(s, &m) == i && m.lost == 0);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

const struct test reliable_tests[] = {
    {"reliable waits for a bound, then counts a drop and names the slow one", times_out_and_counts},
    {"reliable is woken by a take", take_wakes_the_publisher},
    {"reliable does not wait for an evicted subscriber, which moves on", evicted_is_not_waited_for},
    {"reliable does not wait for a stopped subscriber", stopped_subscriber_holds_nobody_up},
    {"reliable keeps everything for a subscriber that starts later", first_start_finds_all},
    {0},
};
