/*
 * kill -9 at random: `storm <empty folder> <messages> <most seconds> lossy|reliable`. Two publishers and two subscribers
 * of a channel, each a process of its own that is started again when it was killed, until the subscribers have checked
 * so many messages. What each saw last is kept in memory that survives it, so going back shows across restarts.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../fixture.h"

#define SLOT 4096
#define DEPTH 16
#define ENDS 4 /* publishers 0 and 1, subscribers 2 and 3 */

static const char *const names[ENDS] = {"camera", "mic", "detector", "recorder"};

/* Written by the children, read by the parent when they are gone. */
static struct seen {
  _Atomic uint64_t taken, lost, torn, wrong, backward, gaps;
  _Atomic uint64_t next[2], epoch[2];
} *seen;

static void publish_for_ever(const char *service) {
  wipc_publisher *p = publisher_of("storm", service);
  wipc_publisher_stats stats;
  wipc_publisher_stat(p, &stats);
  unsigned char data[SLOT];
  for (uint64_t n = stats.published;; n++) {
    /* Mostly small, some as long as a slot: a kill in the middle of a long one is what tears. */
    size_t length = n % 16 == 0 ? SLOT - n % 64 : 16 + n * 7 % 240;
    fill(data, length, n);
    /* As its type: in which start it was published. */
    int rc;
    while ((rc = wipc_publish(p, data, length, stats.epoch, 1000)) == WIPC_EAGAIN)
      ;
    CHECK(rc == 0);
  }
}

static void check(struct seen *own, const unsigned char *data, const wipc_message *m) {
  uint64_t seed;
  size_t length = m->sequence % 16 == 0 ? SLOT - m->sequence % 64 : 16 + m->sequence * 7 % 240;
  if (!is_filled(data, m->length, &seed)) own->torn++;
  if (seed != m->sequence || length != m->length) own->wrong++;
  uint64_t next = own->next[m->publisher];
  /* Killed after it took a message and before it wrote that down, it is one ahead; never behind. */
  if (m->sequence < next) own->backward++;
  if (m->sequence > next + 1) own->gaps++;
  if (m->type < own->epoch[m->publisher] || m->type > m->epoch) own->backward++;
  own->next[m->publisher] = m->sequence + 1;
  own->epoch[m->publisher] = m->type;
  own->lost += m->lost;
  own->taken++;
}

static void take_for_ever(const char *service, struct seen *own) {
  wipc_subscriber *s = subscriber_of("storm", service);
  unsigned char buffer[SLOT];
  for (;;) {
    wipc_message m;
    int rc = wipc_take(s, buffer, sizeof buffer, &m);
    if (rc == 1)
      check(own, buffer, &m);
    else
      CHECK(rc == 0 && wipc_wait(&s, 1, 1000) >= 0);
  }
}

static pid_t start(int end) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (end < 2)
    publish_for_ever(names[end]);
  else
    take_for_ever(names[end], &seen[end - 2]);
  _exit(1);
}

/* 1: the publisher died in the middle of a message. */
static int died_writing(int end) {
  char file[32];
  snprintf(file, sizeof file, "ring.%s", names[end]);
  size_t size;
  struct ring *ring = map_file("storm", file, &size);
  uint64_t head = get(ring->head64);
  struct slot *slot = (struct slot *)((char *)ring + RING_HEADER + head % DEPTH * (SLOT_HEADER + SLOT));
  int writing = get(slot->lock) == (uint32_t)(2 * head + 1);
  unmap_file(ring, size);
  return writing;
}

int main(int argc, char **argv) {
  CHECK(argc == 5);
  uint32_t mode = strcmp(argv[4], "reliable") == 0 ? WIPC_RELIABLE : WIPC_LOSSY;
  scratch = argv[1];
  uint64_t wanted = strtoull(argv[2], NULL, 10), until = now_ms() + 1000 * strtoull(argv[3], NULL, 10);
  seen = mmap(NULL, 2 * sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  make_channel(&(struct spec){"storm", {names[0], names[1]}, {names[2], names[3]}, SLOT, DEPTH, mode, 1000});
  pid_t child[ENDS];
  for (int i = 0; i < ENDS; i++) child[i] = start(i);
  uint64_t kills[ENDS] = {0}, writing = 0;
  srandom((unsigned)getpid());
  while (seen[0].taken + seen[1].taken < wanted && now_ms() < until) {
    nanosleep(&(struct timespec){.tv_nsec = 200000 + random() % 8000000}, NULL);
    int end = (int)(random() % ENDS), status;
    CHECK(kill(child[end], SIGKILL) == 0 && waitpid(child[end], &status, 0) == child[end]);
    /* Anything else ended it before we did: a failed check of its own. */
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    kills[end]++;
    if (end < 2) writing += (uint64_t)died_writing(end);
    child[end] = start(end);
  }
  for (int i = 0; i < ENDS; i++) CHECK(kill(child[i], SIGKILL) == 0 && waitpid(child[i], NULL, 0) == child[i]);
  printf("{\"taken\":%llu,\"lost\":%llu,\"torn\":%llu,\"wrong\":%llu,\"backward\":%llu,\"gaps\":%llu,\"publisherKills\":%llu,"
         "\"subscriberKills\":%llu,\"killedWriting\":%llu}\n",
         (unsigned long long)(seen[0].taken + seen[1].taken), (unsigned long long)(seen[0].lost + seen[1].lost),
         (unsigned long long)(seen[0].torn + seen[1].torn), (unsigned long long)(seen[0].wrong + seen[1].wrong),
         (unsigned long long)(seen[0].backward + seen[1].backward),
         (unsigned long long)(seen[0].gaps + seen[1].gaps), (unsigned long long)(kills[0] + kills[1]),
         (unsigned long long)(kills[2] + kills[3]), (unsigned long long)writing);
  return 0;
}
