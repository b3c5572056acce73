/* Order, overruns, several publishers, restarts, views, observers. */
#include "../fixture.h"

#include <string.h>

static void takes_in_order(void) {
  make_channel(&(struct spec){"order", {"a"}, {"b"}, 100, 8, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("order", "a");
  wipc_subscriber *s = subscriber_of("order", "b");
  unsigned char buffer[100];
  wipc_message m;
  CHECK(wipc_take(s, buffer, sizeof buffer, &m) == 0);
  for (uint64_t round = 0; round < 50; round++) {
    for (uint64_t i = 0; i < 8; i++) CHECK(publish_seed(p, round * 8 + i, (size_t)(i * 100 / 7), 0) == 0);
    for (uint64_t i = 0; i < 8; i++) {
      uint64_t seed = take_seed(s, &m);
      CHECK(m.length == i * 100 / 7 && (m.length < 8 || seed == round * 8 + i));
      CHECK(m.sequence == round * 8 + i && m.type == (uint32_t)m.sequence && m.lost == 0 && m.epoch == 1);
    }
  }
  wipc_subscriber_stats stats;
  CHECK(wipc_subscriber_stat(s, &stats) == 0);
  CHECK(stats.received == 400 && stats.overruns == 0 && stats.torn == 0 && stats.lag == 0 && stats.last_ns > 0);
  wipc_publisher_stats sent;
  CHECK(wipc_publisher_stat(p, &sent) == 0 && sent.published == 400 && sent.dropped == 0 && sent.epoch == 1);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void refuses_what_does_not_fit(void) {
  make_channel(&(struct spec){"sizes", {"a"}, {"b"}, 100, 2, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("sizes", "a");
  wipc_subscriber *s = subscriber_of("sizes", "b");
  unsigned char data[101] = {0};
  wipc_message m;
  void *payload;
  CHECK(wipc_publish(p, data, 101, 0, 0) == WIPC_ETOOBIG && wipc_reserve(p, 101, 0, &payload) == WIPC_ETOOBIG);
  CHECK(wipc_publish(p, NULL, 1, 0, 0) == WIPC_EINVAL && wipc_commit(p, 1, 0) == WIPC_EINVAL);
  CHECK(wipc_publish(p, data, 100, 7, 0) == 0);
  CHECK(wipc_take(s, data, 99, &m) == WIPC_ETOOBIG && m.length == 100);
  CHECK(wipc_take(s, data, 100, &m) == 1 && m.length == 100 && m.type == 7);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void lossy_moves_a_slow_reader_to_half_a_ring(void) {
  make_channel(&(struct spec){"slow", {"a"}, {"b"}, 64, 8, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("slow", "a");
  wipc_subscriber *s = subscriber_of("slow", "b");
  for (uint64_t i = 0; i < 8; i++) publish_seed(p, i, 64, 0);
  wipc_message m;
  CHECK(take_seed(s, &m) == 0);
  for (uint64_t i = 8; i < 30; i++) publish_seed(p, i, 64, 0);
  CHECK(take_seed(s, &m) == 26 && m.lost == 25);
  CHECK(take_seed(s, &m) == 27 && m.lost == 0);
  wipc_subscriber_stats stats;
  wipc_subscriber_stat(s, &stats);
  CHECK(stats.overruns == 1 && stats.lost == 25 && stats.lag == 2);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void latest_gives_the_newest(void) {
  make_channel(&(struct spec){"newest", {"a"}, {"b"}, 64, 4, WIPC_LATEST, 0});
  wipc_publisher *p = publisher_of("newest", "a");
  wipc_subscriber *s = subscriber_of("newest", "b");
  for (uint64_t i = 0; i < 3; i++) publish_seed(p, i, 64, 0);
  wipc_message m;
  CHECK(take_seed(s, &m) == 2 && m.lost == 2);
  unsigned char buffer[64];
  CHECK(wipc_take(s, buffer, sizeof buffer, &m) == 0);
  for (uint64_t i = 3; i < 100; i++) publish_seed(p, i, 64, 0);
  CHECK(take_seed(s, &m) == 99);
  wipc_subscriber_stats stats;
  wipc_subscriber_stat(s, &stats);
  CHECK(stats.overruns == 0 && stats.lag == 0);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void publishers_take_turns(void) {
  make_channel(&(struct spec){"turns", {"a", "c", "d"}, {"b"}, 64, 64, WIPC_LOSSY, 0});
  wipc_publisher *p[] = {publisher_of("turns", "a"), publisher_of("turns", "c"), publisher_of("turns", "d")};
  wipc_subscriber *s = subscriber_of("turns", "b");
  for (uint64_t i = 0; i < 30; i++) publish_seed(p[0], 1000 + i, 64, 0);
  for (uint64_t i = 0; i < 3; i++) publish_seed(p[2], 3000 + i, 64, 0);
  wipc_message m;
  uint64_t next[3] = {1000, 2000, 3000};
  for (int taken = 0; taken < 33; taken++) {
    uint64_t seed = take_seed(s, &m);
    CHECK(seed == next[m.publisher]++);
    /* Behind a publisher with much to say, the one with little waits for one message at most. */
    if (taken == 6) CHECK(next[2] == 3003);
  }
  CHECK(strcmp(wipc_subscriber_publisher(s, 2), "d") == 0 && wipc_subscriber_publisher(s, 3) == NULL);
  for (int i = 0; i < 3; i++) wipc_publisher_close(p[i]);
  wipc_subscriber_close(s);
}

static void restarted_publisher_goes_on(void) {
  make_channel(&(struct spec){"restart", {"a"}, {"b"}, 64, 8, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("restart", "a");
  wipc_subscriber *s = subscriber_of("restart", "b");
  wipc_message m;
  publish_seed(p, 1, 64, 0);
  CHECK(take_seed(s, &m) == 1 && m.epoch == 1);
  /* Died in the middle of a message: the slot is odd, the head has not moved. */
  void *payload;
  CHECK(wipc_reserve(p, 64, 0, &payload) == 0);
  memset(payload, 0xee, 64);
  wipc_publisher_close(p);
  p = publisher_of("restart", "a");
  CHECK(wipc_take(s, payload = malloc(64), 64, &m) == 0);
  free(payload);
  publish_seed(p, 2, 64, 0);
  CHECK(take_seed(s, &m) == 2 && m.sequence == 1 && m.epoch == 2 && m.lost == 0);
  wipc_subscriber_stats stats;
  wipc_subscriber_stat(s, &stats);
  CHECK(stats.resets == 1 && stats.torn == 0);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void restarted_subscriber_goes_on(void) {
  make_channel(&(struct spec){"again", {"a"}, {"b", "late"}, 64, 8, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("again", "a");
  wipc_subscriber *s = subscriber_of("again", "b");
  wipc_message m;
  for (uint64_t i = 0; i < 5; i++) publish_seed(p, i, 64, 0);
  CHECK(take_seed(s, &m) == 0);
  wipc_subscriber_close(s);
  for (uint64_t i = 5; i < 7; i++) publish_seed(p, i, 64, 0);
  s = subscriber_of("again", "b");
  for (uint64_t i = 1; i < 7; i++) CHECK(take_seed(s, &m) == i && m.lost == 0);
  wipc_subscriber *late = subscriber_of("again", "late");
  CHECK(take_seed(late, &m) == 3 && m.lost == 0);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
  wipc_subscriber_close(late);
}

static void view_says_whether_it_was_overwritten(void) {
  make_channel(&(struct spec){"view", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("view", "a");
  wipc_subscriber *s = subscriber_of("view", "b");
  wipc_message m;
  unsigned char buffer[64];
  CHECK(wipc_view(s, &m) == 0 && wipc_view_end(s) == WIPC_EINVAL);
  publish_seed(p, 1, 64, 0);
  publish_seed(p, 2, 64, 0);
  uint64_t seed;
  CHECK(wipc_view(s, &m) == 1 && is_filled(m.data, m.length, &seed) && seed == 1);
  CHECK(wipc_view(s, &m) == WIPC_EINVAL && wipc_take(s, buffer, 64, &m) == WIPC_EINVAL);
  CHECK(wipc_view_end(s) == 1);
  CHECK(wipc_view(s, &m) == 1 && m.sequence == 1);
  for (uint64_t i = 3; i < 7; i++) publish_seed(p, i, 64, 0);
  CHECK(wipc_view_end(s) == 0);
  CHECK(take_seed(s, &m) == 3 && m.lost == 1);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void observer_leaves_no_trace(void) {
  const char *folder = make_channel(&(struct spec){"watch", {"a"}, {"b", "c"}, 64, 8, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("watch", "a");
  wipc_subscriber *s = subscriber_of("watch", "b");
  publish_seed(p, 1, 64, 0);
  wipc_observer *o;
  CHECK(wipc_observer_open(folder, &o) == 0);
  unsigned char buffer[64];
  wipc_message m;
  CHECK(wipc_observer_take(o, buffer, 64, &m) == 0 && wipc_observer_wait(o, 20) == 0);
  publish_seed(p, 2, 64, 0);
  size_t size;
  struct ack *ack = map_file("watch", "ack.b", &size);
  struct ack before;
  memcpy(&before, ack, sizeof before);
  CHECK(wipc_observer_wait(o, 1000) == 1 && wipc_observer_take(o, buffer, 64, &m) == 1 && m.type == 2);
  CHECK(memcmp(&before, ack, sizeof before) == 0);
  wipc_channel_state state;
  CHECK(wipc_observer_stat(o, &state) == 0 && strcmp(state.channel, "watch") == 0);
  CHECK(state.publisher[0].stats.published == 2 && state.publisher[0].seen && state.subscriber[0].stats.lag == 2);
  CHECK(take_seed(s, &m) == 1);
  CHECK(wipc_observer_stat(o, &state) == 0);
  CHECK(state.subscriber[0].stats.received == 1 && state.subscriber[0].stats.lag == 1);
  unmap_file(ack, size);
  wipc_observer_close(o);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

const struct test publish_tests[] = {
    {"takes messages in order, of every length", takes_in_order},
    {"refuses what does not fit a slot or a buffer", refuses_what_does_not_fit},
    {"lossy moves a slow reader to half a ring and counts it", lossy_moves_a_slow_reader_to_half_a_ring},
    {"latest gives the newest", latest_gives_the_newest},
    {"publishers take turns, each in order", publishers_take_turns},
    {"a restarted publisher goes on, its half message unseen", restarted_publisher_goes_on},
    {"a restarted subscriber goes on where it stopped", restarted_subscriber_goes_on},
    {"a view says whether it was overwritten", view_says_whether_it_was_overwritten},
    {"an observer sees all and leaves no trace", observer_leaves_no_trace},
    {0},
};
