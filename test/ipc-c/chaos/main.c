/*
 * A hostile publisher beside an honest one: `chaos <empty folder> <messages>`. A process scribbles over its whole ring
 * without pause, cuts the file, grows it again, empties its pages and wakes whoever sleeps, while the subscriber takes so
 * many messages of the honest publisher, all of which must be whole and in order.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fixture.h"

#define SLOT 1000

/* Values that are near something: what plain noise seldom hits. */
static uint64_t tempting(const struct ring *ring) {
  uint64_t head = get(ring->head64);
  const uint64_t values[] = {0, 1, head, head + 1, head - 1, head + 8, 2 * head + 1, 2 * head + 2, SLOT, SLOT + 1,
                             UINT32_MAX, UINT64_MAX, (uint64_t)random() << 33 | (uint64_t)random()};
  return values[(size_t)random() % (sizeof values / sizeof *values)];
}

static void scribble(struct ring *ring, size_t size) {
  size_t at = (size_t)random() % (size / 4);
  /* Mostly where it matters: the heads and the fronts of slots. */
  if (random() % 4 != 0)
    at = random() % 2 ? 16 + (size_t)random() % 4 : 64 + (size_t)random() % 8 * 272 + (size_t)random() % 8;
  atomic_store_explicit((word32 *)ring + at, (uint32_t)tempting(ring), RELAXED);
}

/* A message as it should be but for its length, whose bytes change while it is read. */
static void pretend(struct ring *ring) {
  uint64_t n = get(ring->head64);
  struct slot *slot = (struct slot *)((unsigned char *)ring + RING_HEADER + n % 8 * 1088);
  set(slot->sequence, n);
  set(slot->length, (uint32_t)tempting(ring));
  set(slot->lock, (uint32_t)(2 * n + 2));
  set(ring->head64, n + 1);
  set(ring->head, (uint32_t)(n + 1));
}

static void attack_for_ever(void) {
  size_t size;
  struct ring *ring = map_file("chaos", "ring.evil", &size);
  int file = open_file("chaos", "ring.evil", O_RDWR);
  for (unsigned round = 1;; round++) {
    if (round % 3 == 0)
      scribble(ring, size);
    else
      pretend(ring);
    if (round % 64 == 0) syscall(SYS_futex, &ring->head, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    if (round % 5000 == 0) CHECK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size) == 0);
    if (round % 20000 != 0) continue;
    unmap_file(ring, size);
    CHECK(ftruncate(file, random() % (off_t)size) == 0);
    sleep_ms(1);
    CHECK(ftruncate(file, (off_t)size) == 0);
    ring = map_file("chaos", "ring.evil", &size);
  }
}

static void publish_for_ever(void) {
  wipc_publisher *p = publisher_of("chaos", "good");
  for (uint64_t i = 0;; i++) CHECK(publish_seed(p, i, 16 + i * 7 % (SLOT - 16), 10000) == 0);
}

static pid_t start(void (*run)(void)) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  run();
  _exit(1);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  scratch = argv[1];
  uint64_t wanted = strtoull(argv[2], NULL, 10), next = 0, from_evil = 0;
  make_channel(&(struct spec){"chaos", {"evil", "good"}, {"b"}, SLOT, 8, WIPC_RELIABLE, 10000});
  wipc_subscriber *s = subscriber_of("chaos", "b");
  pid_t children[] = {start(attack_for_ever), start(publish_for_ever)};
  while (next < wanted) {
    wipc_message m;
    /* Exactly a slot: AddressSanitizer sees a byte more. */
    unsigned char *buffer = malloc(SLOT);
    int rc = wipc_take(s, buffer, SLOT, &m);
    CHECK(rc == 0 || rc == 1);
    if (rc == 0) CHECK(wipc_wait(&s, 1, 10000) >= 0);
    if (rc == 1) CHECK(m.length <= SLOT);
    if (rc == 1 && m.publisher == 0) from_evil++;
    if (rc == 1 && m.publisher == 1) {
      uint64_t seed;
      CHECK(is_filled(buffer, m.length, &seed) && seed == next && m.sequence == next && m.lost == 0);
      next++;
    }
    free(buffer);
  }
  wipc_subscriber_stats stats;
  CHECK(wipc_subscriber_stat(s, &stats) == 0);
  for (int i = 0; i < 2; i++) {
    int status;
    CHECK(kill(children[i], SIGKILL) == 0 && waitpid(children[i], &status, 0) == children[i]);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  wipc_subscriber_close(s);
  printf("{\"honest\":%llu,\"hostile\":%llu,\"torn\":%llu,\"resets\":%llu}\n", (unsigned long long)next,
         (unsigned long long)from_evil, (unsigned long long)stats.torn, (unsigned long long)stats.resets);
  return 0;
}
