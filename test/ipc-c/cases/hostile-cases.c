/* A publisher, and a subscriber, that does what it likes with what it may write. */
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#include "../fixture.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct pair {
  wipc_publisher *p;
  wipc_subscriber *s;
  struct ring *ring; /* the hostile publisher's own hand in its ring */
  size_t size;
  struct slot *slot;
};

static struct pair pair_of(const char *name, uint32_t mode) {
  make_channel(&(struct spec){name, {"a"}, {"b"}, 64, 4, mode, 50});
  struct pair pair = {.p = publisher_of(name, "a"), .s = subscriber_of(name, "b")};
  pair.ring = map_file(name, "ring.a", &pair.size);
  pair.slot = (struct slot *)((char *)pair.ring + RING_HEADER);
  return pair;
}

static void end(struct pair *pair) {
  unmap_file(pair->ring, pair->size);
  wipc_publisher_close(pair->p);
  wipc_subscriber_close(pair->s);
}

static int take(struct pair *pair, wipc_message *m) {
  /* Exactly a slot: AddressSanitizer sees a byte more. */
  unsigned char *buffer = malloc(64);
  int rc = wipc_take(pair->s, buffer, 64, m);
  free(buffer);
  return rc;
}

static wipc_subscriber_stats stat_of(const struct pair *pair) {
  wipc_subscriber_stats stats;
  CHECK(wipc_subscriber_stat(pair->s, &stats) == 0);
  return stats;
}

static void set_head(struct pair *pair, uint64_t head) {
  atomic_store(&pair->ring->head64, head);
  atomic_store(&pair->ring->head, (uint32_t)head);
}

static void garbage_in_the_header(void) {
  struct pair pair = pair_of("garbage", WIPC_LOSSY);
  wipc_message m;
  memset(pair.ring, 0xff, 64);
  memset((char *)pair.ring + 128, 0xff, 128);
  publish_seed(pair.p, 5, 64, 0);
  CHECK(take_seed(pair.s, &m) == 5);
  set_head(&pair, UINT64_MAX / 2 - 7);
  CHECK(take(&pair, &m) == 0 && stat_of(&pair).torn == 1 && stat_of(&pair).lag == 0);
  set_head(&pair, 3);
  CHECK(take(&pair, &m) == 0 && stat_of(&pair).resets == 1 && stat_of(&pair).lag == 0);
  set_head(&pair, UINT64_MAX);
  for (int i = 0; i < 10; i++) CHECK(take(&pair, &m) == 0);
  end(&pair);
}

static void lengths_and_locks(void) {
  struct pair pair = pair_of("lengths", WIPC_LOSSY);
  wipc_message m;
  publish_seed(pair.p, 5, 64, 0);
  set(pair.slot->length, UINT32_MAX);
  CHECK(take(&pair, &m) == 1 && m.length == 64);
  publish_seed(pair.p, 6, 64, 0);
  struct slot *second = (struct slot *)((char *)pair.slot + 128);
  set(second->sequence, 77);
  CHECK(take(&pair, &m) == 0 && stat_of(&pair).torn == 1 && stat_of(&pair).lost == 1);
  publish_seed(pair.p, 7, 64, 0);
  struct slot *third = (struct slot *)((char *)pair.slot + 256);
  for (uint32_t lock = 0; lock < 20; lock++) {
    if (lock == 6) continue;
    set(third->lock, lock);
    CHECK(take(&pair, &m) == 0);
  }
  CHECK(stat_of(&pair).torn == 2);
  end(&pair);
}

static void truncates(void) {
  make_channel(&(struct spec){"cut", {"a", "c"}, {"b"}, 8192, 4, WIPC_LOSSY, 50});
  wipc_publisher *a = publisher_of("cut", "a"), *c = publisher_of("cut", "c");
  wipc_subscriber *s = subscriber_of("cut", "b");
  wipc_message m;
  for (uint64_t i = 0; i < 3; i++) publish_seed(a, i, 8192, 0);
  CHECK(take_seed(s, &m) == 0);
  int fd = open_file("cut", "ring.a", O_RDWR);
  off_t size = lseek(fd, 0, SEEK_END);
  unsigned char buffer[8192];
  CHECK(ftruncate(fd, 4096) == 0);
  CHECK(wipc_take(s, buffer, sizeof buffer, &m) == 0);
  publish_seed(c, 9, 8192, 0);
  CHECK(wipc_wait(&s, 1, 1000) == 1 && take_seed(s, &m) == 9 && m.publisher == 1);
  CHECK(ftruncate(fd, 0) == 0);
  uint64_t before = now_ms();
  for (int i = 0; i < 10; i++) CHECK(wipc_take(s, buffer, sizeof buffer, &m) == 0 && wipc_wait(&s, 1, 60) == 0);
  CHECK(now_ms() - before >= 500);
  wipc_subscriber_stats stats;
  CHECK(wipc_subscriber_stat(s, &stats) == 0 && stats.torn >= 2);
  /* A subscriber that starts now still hears the other publisher. */
  wipc_subscriber_close(s);
  s = subscriber_of("cut", "b");
  publish_seed(c, 10, 8192, 0);
  CHECK(take_seed(s, &m) == 10);
  CHECK(ftruncate(fd, size) == 0);
  close(fd);
  wipc_subscriber_close(s);
  wipc_publisher_close(a);
  wipc_publisher_close(c);
}

static void punches_holes(void) {
  struct pair pair = pair_of("holes", WIPC_LOSSY);
  wipc_message m;
  for (uint64_t i = 0; i < 3; i++) publish_seed(pair.p, i, 64, 0);
  CHECK(take_seed(pair.s, &m) == 0);
  int fd = open_file("holes", "ring.a", O_RDWR);
  CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)pair.size) == 0);
  close(fd);
  /* All is zero: the count has gone back. */
  CHECK(take(&pair, &m) == 0 && take(&pair, &m) == 0);
  CHECK(wipc_wait(&pair.s, 1, 20) == 0);
  end(&pair);
}

struct storm {
  struct pair *pair;
  _Atomic int stop;
};

static void *wake_storm(void *argument) {
  struct storm *storm = argument;
  while (!storm->stop) {
    syscall(SYS_futex, &storm->pair->ring->head, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    set(storm->pair->ring->epoch, get(storm->pair->ring->epoch) + 1);
  }
  return NULL;
}

static void wakes_without_end(void) {
  struct pair pair = pair_of("storm", WIPC_LOSSY);
  struct storm storm = {&pair, 0};
  wipc_message m;
  pthread_t thread;
  pthread_create(&thread, NULL, wake_storm, &storm);
  uint64_t before = now_ms();
  CHECK(wipc_wait(&pair.s, 1, 200) == 0);
  CHECK(now_ms() - before >= 199);
  publish_seed(pair.p, 4, 64, 0);
  CHECK(wipc_wait(&pair.s, 1, 1000) == 1 && take_seed(pair.s, &m) == 4);
  storm.stop = 1;
  pthread_join(thread, NULL);
  end(&pair);
}

static uint32_t elsewhere;

static void *requeue(void *argument) {
  struct storm *storm = argument;
  while (!storm->stop)
    syscall(SYS_futex, &storm->pair->ring->head, FUTEX_REQUEUE, 0, (void *)(uintptr_t)INT32_MAX, &elsewhere, 0);
  return NULL;
}

/* A reader moves another's wait to a word that nobody wakes: it looks again when its longest sleep is over. */
static void requeues_a_sleeper(void) {
  struct pair pair = pair_of("requeue", WIPC_LOSSY);
  struct storm storm = {&pair, 0};
  wipc_message m;
  pthread_t thread;
  pthread_create(&thread, NULL, requeue, &storm);
  CHECK(wipc_wait(&pair.s, 1, 100) == 0);
  uint64_t before = now_ms();
  set(pair.ring->head64, 1); /* as a publisher whose wake goes astray */
  CHECK(wipc_wait(&pair.s, 1, 60000) == 1);
  CHECK(now_ms() - before < 10000);
  storm.stop = 1;
  pthread_join(thread, NULL);
  (void)take(&pair, &m);
  end(&pair);
}

static void hostile_acks(void) {
  struct pair pair = pair_of("acks", WIPC_RELIABLE);
  size_t size;
  struct ack *ack = map_file("acks", "ack.b", &size);
  set(ack->waiting, UINT32_MAX);
  /* Ahead of everything: its own loss. */
  set(ack->cursor, UINT64_MAX);
  for (uint64_t i = 0; i < 20; i++) CHECK(publish_seed(pair.p, i, 64, 0) == 0);
  set(ack->cursor, 1000);
  CHECK(publish_seed(pair.p, 20, 64, 0) == 0);
  /* Far behind: bounded by the channel's timeout, and then by the agent. */
  set(ack->cursor, 0);
  uint64_t before = now_ms();
  CHECK(publish_seed(pair.p, 21, 64, WIPC_TIMEOUT_DEFAULT) == WIPC_EAGAIN);
  CHECK(now_ms() - before < 5000 && get(pair.ring->slow) == 1);
  /* Gone: the publisher neither dies nor waits. */
  int fd = open_file("acks", "ack.b", O_RDWR);
  CHECK(ftruncate(fd, 0) == 0);
  for (uint64_t i = 0; i < 20; i++) CHECK(publish_seed(pair.p, i, 64, 0) == 0);
  CHECK(ftruncate(fd, (off_t)size) == 0);
  close(fd);
  unmap_file(ack, size);
  end(&pair);
}

static sigjmp_buf back;

static void on_foreign_fault(int signal) {
  (void)signal;
  siglongjmp(back, 1);
}

void install_host_handler(void) {
  struct sigaction host = {0};
  host.sa_handler = on_foreign_fault;
  CHECK(sigaction(SIGBUS, &host, NULL) == 0);
}

/* The caller's own buffer faults inside a take: that is not the ring's fault, and the host's handler is asked. */
static void foreign_faults_pass(void) {
  struct pair pair = pair_of("foreign", WIPC_LOSSY);
  publish_seed(pair.p, 1, 64, 0);
  char path[] = "/tmp/wherry-ipc-foreign-XXXXXX";
  int fd = mkstemp(path);
  unlink(path);
  CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
  unsigned char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(ftruncate(fd, 0) == 0);
  wipc_message m;
  volatile int faults = 0;
  if (sigsetjmp(back, 1) == 0)
    (void)wipc_take(pair.s, memory, 64, &m);
  else
    faults++;
  CHECK(faults == 1);
  munmap(memory, 4096);
  close(fd);
  /* And a fault of the ring is still caught afterwards. */
  fd = open_file("foreign", "ring.a", O_RDWR);
  CHECK(ftruncate(fd, 0) == 0);
  CHECK(take(&pair, &m) == 0 && stat_of(&pair).torn == 1);
  CHECK(ftruncate(fd, (off_t)pair.size) == 0);
  close(fd);
  end(&pair);
}

static void mapping_cannot_be_made_writable(void) {
  struct pair pair = pair_of("readonly", WIPC_LOSSY);
  publish_seed(pair.p, 1, 64, 0);
  wipc_message m;
  CHECK(wipc_view(pair.s, &m) == 1);
  uintptr_t page = (uintptr_t)m.data & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
  CHECK(mprotect((void *)page, 64, PROT_READ | PROT_WRITE) != 0);
  CHECK(wipc_view_end(pair.s) == 1);
  end(&pair);
}

const struct test hostile_tests[] = {
    {"hostile publisher: garbage in the header", garbage_in_the_header},
    {"hostile publisher: lengths, sequences and locks", lengths_and_locks},
    {"hostile publisher: truncates its ring", truncates},
    {"hostile publisher: punches holes into its ring", punches_holes},
    {"hostile publisher: wakes without end", wakes_without_end},
    {"hostile subscriber: requeues another's wait", requeues_a_sleeper},
    {"hostile subscriber: cursors, flags and a cut ack file", hostile_acks},
    {"hostile subscriber: its mapping stays read-only", mapping_cannot_be_made_writable},
    {"faults in foreign memory go to the host's handler", foreign_faults_pass},
    {0},
};
