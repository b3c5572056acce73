/* Sleeping and waking. */
#include "../fixture.h"

#include <pthread.h>

struct later {
  wipc_publisher *publisher;
  uint32_t *word;
  unsigned ms;
};

static void *publish_later(void *argument) {
  struct later *later = argument;
  sleep_ms(later->ms);
  if (later->publisher != NULL) CHECK(publish_seed(later->publisher, 1, 64, 0) == 0);
  if (later->word != NULL) wipc_wake_word(later->word);
  return NULL;
}

static void times_out(void) {
  make_channel(&(struct spec){"nothing", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  wipc_subscriber *s = subscriber_of("nothing", "b");
  uint64_t before = now_ms();
  CHECK(wipc_wait(&s, 1, 0) == 0 && wipc_wait(&s, 1, 300) == 0);
  CHECK(now_ms() - before >= 299);
  CHECK(wipc_spin(&s, 1, 100) == 0);
  size_t size;
  struct ack *ack = map_file("nothing", "ack.b", &size);
  CHECK(get(ack->waiting) == 0);
  unmap_file(ack, size);
  wipc_subscriber_close(s);
}

/* Where nothing came soon before, no time is spent; what is there is told at once. */
static void does_not_linger_unasked(void) {
  make_channel(&(struct spec){"seldom", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("seldom", "a");
  wipc_subscriber *s = subscriber_of("seldom", "b");
  CHECK(wipc_linger(&s, 1) == 0 && wipc_linger(NULL, 0) == 0);
  CHECK(publish_seed(p, 1, 64, 0) == 0);
  CHECK(wipc_linger(&s, 1) == 1);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
}

static void publish_wakes_one_of_many(void) {
  make_channel(&(struct spec){"one", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  make_channel(&(struct spec){"two", {"a", "c"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  wipc_subscriber *s[] = {subscriber_of("one", "b"), subscriber_of("two", "b")};
  wipc_publisher *p[] = {publisher_of("one", "a"), publisher_of("two", "a"), publisher_of("two", "c")};
  wipc_message m;
  for (int i = 0; i < 3; i++) {
    struct later later = {p[i], NULL, 50};
    pthread_t thread;
    pthread_create(&thread, NULL, publish_later, &later);
    CHECK(wipc_wait(s, 2, -1) == 1);
    pthread_join(thread, NULL);
    wipc_publisher_stats stats;
    wipc_publisher_stat(p[i], &stats);
    CHECK(stats.wakes == 1);
    CHECK(take_seed(s[i == 0 ? 0 : 1], &m) == 1);
    CHECK(wipc_wait(s, 2, 0) == 0);
  }
  for (int i = 0; i < 3; i++) wipc_publisher_close(p[i]);
  for (int i = 0; i < 2; i++) wipc_subscriber_close(s[i]);
}

static void a_word_ends_the_wait(void) {
  make_channel(&(struct spec){"stop", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  wipc_subscriber *s = subscriber_of("stop", "b");
  uint32_t word = 5;
  CHECK(wipc_wait_or(&s, 1, -1, &word, 4) == 0);
  struct later later = {NULL, &word, 50};
  pthread_t thread;
  pthread_create(&thread, NULL, publish_later, &later);
  CHECK(wipc_wait_or(&s, 1, -1, &word, 5) == 0 && word == 6);
  pthread_join(thread, NULL);
  wipc_subscriber_close(s);
}

static void a_burst_costs_one_wake(void) {
  make_channel(&(struct spec){"burst", {"a"}, {"b", "dead"}, 64, 64, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("burst", "a");
  /* A subscriber that was killed asleep left this behind. */
  size_t size;
  struct ack *ack = map_file("burst", "ack.dead", &size);
  set(ack->waiting, sleep_on(0));
  for (uint64_t i = 0; i < 100; i++) publish_seed(p, i, 64, 0);
  wipc_publisher_stats stats;
  wipc_publisher_stat(p, &stats);
  CHECK(stats.wakes == 1);
  /* It sleeps on the newest: nothing to wake it for, until the next. */
  set(ack->waiting, sleep_on(100));
  publish_seed(p, 100, 64, 0);
  wipc_publisher_stat(p, &stats);
  CHECK(stats.wakes == 2);
  unmap_file(ack, size);
  wipc_publisher_close(p);
}

/* Many more rings than the kernel waits for at once: the poll behind it. */
static void more_rings_than_the_kernel_takes(void) {
  const char *many[] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7",
                        "a8", "a9", "b0", "b1", "b2", "b3", "b4", "b5"};
  wipc_subscriber *s[9];
  for (int i = 0; i < 9; i++) {
    char name[16];
    snprintf(name, sizeof name, "many%d", i);
    struct spec spec = {name, {0}, {"b"}, 64, 2, WIPC_LOSSY, 0};
    for (int j = 0; j < 16; j++) spec.publishers[j] = many[j];
    make_channel(&spec);
    s[i] = subscriber_of(name, "b");
  }
  struct later later = {publisher_of("many8", "b5"), NULL, 30};
  pthread_t thread;
  pthread_create(&thread, NULL, publish_later, &later);
  CHECK(wipc_wait(s, 9, 5000) == 1);
  pthread_join(thread, NULL);
  wipc_message m;
  CHECK(take_seed(s[8], &m) == 1 && m.publisher == 15);
  wipc_publisher_close(later.publisher);
  for (int i = 0; i < 9; i++) wipc_subscriber_close(s[i]);
}

#define EXCHANGES 20000

static void *echo(void *argument) {
  wipc_publisher *p = publisher_of("pong", "b");
  wipc_subscriber *s = argument;
  wipc_message m;
  for (uint64_t i = 0; i < EXCHANGES; i++) {
    CHECK(wipc_wait(&s, 1, 5000) == 1);
    CHECK(publish_seed(p, take_seed(s, &m), 64, 0) == 0);
  }
  wipc_publisher_close(p);
  return NULL;
}

/* A lost wake-up costs what is left of the longest sleep, 250 ms: a few may be this machine's, not many. */
static void no_wake_is_lost(void) {
  make_channel(&(struct spec){"ping", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  make_channel(&(struct spec){"pong", {"b"}, {"a"}, 64, 4, WIPC_LOSSY, 0});
  wipc_subscriber *pings = subscriber_of("ping", "b"), *pongs = subscriber_of("pong", "a");
  wipc_publisher *p = publisher_of("ping", "a");
  pthread_t thread;
  pthread_create(&thread, NULL, echo, pings);
  wipc_message m;
  uint64_t before = now_ms(), slow = 0;
  for (uint64_t i = 0; i < EXCHANGES; i++) {
    uint64_t sent = now_ms();
    CHECK(publish_seed(p, i, 64, 0) == 0);
    CHECK(wipc_wait(&pongs, 1, 5000) == 1);
    CHECK(take_seed(pongs, &m) == i);
    slow += now_ms() - sent >= 200;
  }
  CHECK(slow < 20);
  printf("%d round trips with a sleep each way in %llu ms, %llu of them over 200 ms\n", EXCHANGES,
         (unsigned long long)(now_ms() - before), (unsigned long long)slow);
  pthread_join(thread, NULL);
  wipc_publisher_close(p);
  wipc_subscriber_close(pings);
  wipc_subscriber_close(pongs);
}

const struct test wait_tests[] = {
    {"a wait ends in time and leaves no flag", times_out},
    {"a wait looks before it sleeps only after one that was over soon", does_not_linger_unasked},
    {"a publish wakes whoever waits for several", publish_wakes_one_of_many},
    {"a word ends the wait", a_word_ends_the_wait},
    {"a burst, or a subscriber that died asleep, costs one wake", a_burst_costs_one_wake},
    {"more rings than the kernel waits for at once", more_rings_than_the_kernel_takes},
    {"no wake is lost", no_wake_is_lost},
    {0},
};
