/* The one publisher of a ring. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK_POLL_NS 20000000ull /* how often a blocked publisher looks whether its subscriber was evicted */
#define NS_PER_MS 1000000ull
#define PREFETCH_AHEAD 4u /* slots */

struct wipc_publisher {
  struct channel channel;
  int index; /* among meta's publishers */
  int lock;  /* descriptor of the ring file */
  struct ring *ring;
  unsigned char *acks; /* one page for each subscriber, side by side: one range for the guard */
  size_t page;
  uint64_t next; /* own count: what stands in the ring is for the others */
  bool reserved;
  bool waits_are_short; /* the last sleep for room was over before one pays */
  uint32_t woken[WIPC_MAX_PEERS]; /* the `waiting` that each subscriber was last woken from */
  uint64_t blocked_since[WIPC_MAX_PEERS]; /* ns; 0: this subscriber does not hold us up */
  uint64_t room[WIPC_MAX_PEERS];          /* messages before this one overwrite nothing that it has not taken */
};

/* The fence of each message waits for the lines that it wrote: those of a later slot are on their way by then. */
static void prefetch_for_writing(const struct slot *slot) {
  for (size_t line = 0; line < 2; line++) {
    const unsigned char *at = (const unsigned char *)slot + 64 * line;
#if defined(__x86_64__)
    /* The compiler's own would be a prefetch for reading, as not every x86-64 has this one; to those it is a no-op. */
    __asm__ volatile("prefetchw %0" : : "m"(*at));
#else
    __builtin_prefetch(at, 1);
#endif
  }
}

static size_t ack_bytes(const wipc_publisher *p) { return p->page * p->channel.geometry.subscribers; }

static struct ack *ack_of(const wipc_publisher *p, uint32_t subscriber) {
  return (struct ack *)(p->acks + p->page * subscriber) + p->index;
}

static int open_ring(wipc_publisher *p, const char *service) {
  p->index = channel_publisher(&p->channel, service);
  if (p->index < 0) return WIPC_EROLE;
  void *ring = NULL;
  int rc = channel_map(&p->channel, "ring", service, p->channel.geometry.ring_file_size, OWN, NULL, &ring, &p->lock);
  if (rc != 0) return rc == WIPC_ENOENT ? WIPC_EFORMAT : rc;
  p->ring = ring;
  if (p->ring->magic != RING_MAGIC || p->ring->major != WIPC_VERSION_MAJOR ||
      p->ring->channel_id != p->channel.geometry.channel_id)
    return WIPC_EFORMAT;
  return channel_claim(p->lock);
}

static int open_acks(wipc_publisher *p) {
  uint32_t count = p->channel.geometry.subscribers;
  if (count == 0) return 0;
  p->page = (size_t)sysconf(_SC_PAGESIZE);
  void *range = mmap(NULL, ack_bytes(p), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (range == MAP_FAILED) return WIPC_ENOMEM;
  p->acks = range;
  for (uint32_t i = 0; i < count; i++) {
    void *page = NULL;
    /* At most 1 KiB each, so a page on every kernel. */
    int rc = channel_map(&p->channel, "ack", p->channel.meta->subscriber[i].name, p->page, PEERS,
                         p->acks + p->page * i, &page, NULL);
    if (rc != 0) return rc == WIPC_ENOENT ? WIPC_EFORMAT : rc;
  }
  return 0;
}

/*
 * Somebody may be asleep who has not been woken. One that sleeps on the head just stored has seen everything; one that
 * was woken from this value before cannot have gone to sleep on it again, for the head has moved on. So a burst, or a
 * subscriber that died asleep, costs one call.
 */
static bool must_wake(wipc_publisher *p) {
  struct guard guard;
  guard_begin(&guard, p->acks, ack_bytes(p));
  if (FAULTED(&guard)) {
    guard_end(&guard);
    return true; /* a cut ack file: wake once too often rather than once too seldom */
  }
  bool any = false;
  for (uint32_t i = 0; i < p->channel.geometry.subscribers; i++) {
    uint32_t waiting = get(ack_of(p, i)->waiting);
    if (waiting == 0 || waiting == p->woken[i] || waiting == sleep_on((uint32_t)p->next)) continue;
    p->woken[i] = waiting;
    any = true;
  }
  guard_end(&guard);
  return any;
}

static void wake(wipc_publisher *p) {
  if (p->channel.geometry.subscribers == 0 || !must_wake(p)) return;
  futex_wake(&p->ring->head);
  add(p->ring->wakes, 1);
}

int wipc_publisher_open(const char *dir, const char *service, const char *channel, wipc_publisher **out) {
  if (out == NULL) return WIPC_EINVAL;
  wipc_publisher *p = calloc(1, sizeof *p);
  if (p == NULL) return WIPC_ENOMEM;
  p->lock = -1;
  guard_install();
  int rc = channel_open(&p->channel, dir, service, channel, &service);
  if (rc == 0) rc = open_ring(p, service);
  if (rc == 0) rc = open_acks(p);
  if (rc != 0) {
    wipc_publisher_close(p);
    return rc;
  }
  p->next = get(p->ring->head64);
  set(p->ring->publisher_waiting, 0);
  set(p->ring->slow, 0);
  /* One killed between head64 and head left waiters behind the old head. */
  atomic_store_explicit(&p->ring->head, (uint32_t)p->next, memory_order_release);
  uint32_t epoch = get(p->ring->epoch) + 1;
  set(p->ring->epoch, epoch == 0 ? 1 : epoch);
  fence(memory_order_seq_cst);
  wake(p);
  *out = p;
  return 0;
}

void wipc_publisher_close(wipc_publisher *p) {
  if (p == NULL) return;
  if (p->acks != NULL) munmap(p->acks, ack_bytes(p));
  if (p->ring != NULL) munmap(p->ring, (size_t)p->channel.geometry.ring_file_size);
  if (p->lock >= 0) close(p->lock);
  channel_close(&p->channel);
  free(p);
}

static bool is_waited_for(const wipc_publisher *p, uint32_t subscriber) {
  struct meta_subscriber *state = &p->channel.meta->subscriber[subscriber];
  return get(state->up) != 0 && get(state->evicted) == 0;
}

/*
 * Message `next` would overwrite what this subscriber has not taken; *cursor is the low half of where it stands. One
 * that makes no sense (ahead of us, or its page is gone) holds nobody up: what it misses is its own loss.
 */
static bool holds_up(wipc_publisher *p, uint32_t subscriber, uint32_t *cursor) {
  p->room[subscriber] = 0;
  if (!is_waited_for(p, subscriber)) return false;
  struct guard guard;
  guard_begin(&guard, p->acks, ack_bytes(p));
  if (FAULTED(&guard)) {
    guard_end(&guard);
    return false;
  }
  uint64_t at = atomic_load_explicit(&ack_of(p, subscriber)->cursor, memory_order_acquire);
  guard_end(&guard);
  *cursor = (uint32_t)at;
  if (at > p->next) return false;
  p->room[subscriber] = at + p->channel.geometry.depth;
  return p->next >= p->room[subscriber];
}

/* By what was seen before: cursors only grow, and each look fetches a line that its subscriber is busy writing. */
static bool has_room(wipc_publisher *p, uint32_t subscriber) {
  return p->next < p->room[subscriber] && is_waited_for(p, subscriber);
}

/* Index of a subscriber that holds this publisher up; -1: there is room. Keeps since when each does. */
static int find_slow(wipc_publisher *p) {
  int found = -1;
  uint32_t cursor;
  for (uint32_t i = 0; i < p->channel.geometry.subscribers; i++) {
    if (has_room(p, i) || !holds_up(p, i, &cursor)) {
      p->blocked_since[i] = 0;
      continue;
    }
    if (p->blocked_since[i] == 0) p->blocked_since[i] = clock_ns();
    found = (int)i;
  }
  return found;
}

/* Sleeps until this subscriber moves its cursor. */
static void wait_for(wipc_publisher *p, uint32_t subscriber, uint64_t ns) {
  uint32_t cursor;
  set(p->ring->publisher_waiting, 1);
  /* Pairs with the fence of set_cursor in reader.c. */
  fence(memory_order_seq_cst);
  if (holds_up(p, subscriber, &cursor)) futex_wait((word32 *)&ack_of(p, subscriber)->cursor, cursor, ns);
  set(p->ring->publisher_waiting, 0);
}

/* Enough to go on for a while: with one slot at a time the two would fetch each other's lines for every message. */
enum room { NONE, LITTLE, ENOUGH };
static enum room look_for_room(wipc_publisher *p) {
  enum room room = ENOUGH;
  uint32_t cursor;
  for (uint32_t i = 0; i < p->channel.geometry.subscribers; i++) {
    if (holds_up(p, i, &cursor)) return NONE;
    if (p->room[i] != 0 && p->room[i] - p->next < p->channel.geometry.depth / 4) room = LITTLE;
  }
  return room;
}

/* Before the sleep, as wipc_linger of the other side. */
static bool linger_for_room(wipc_publisher *p) {
  uint64_t ns = p->waits_are_short ? linger_ns() : 0;
  if (ns == 0) return false;
  uint64_t end = clock_ns() + ns;
  enum room room;
  do {
    relax_for(LOOKS_A_TIME);
    room = look_for_room(p);
  } while (room != ENOUGH && clock_ns() < end);
  return room != NONE;
}

/* Tells the agent whom to evict. It looks for itself as well: this word is only our side of the story. */
static void accuse(wipc_publisher *p, uint64_t now) {
  uint32_t slow = 0;
  uint64_t bound = p->channel.geometry.block_timeout_ms * NS_PER_MS;
  for (uint32_t i = 0; i < p->channel.geometry.subscribers; i++)
    if (p->blocked_since[i] != 0 && now - p->blocked_since[i] >= bound) slow |= 1u << i;
  if (slow != get(p->ring->slow)) set(p->ring->slow, slow);
}

static int wait_for_room(wipc_publisher *p, int timeout_ms) {
  int slow = find_slow(p);
  if (slow < 0) {
    if (get(p->ring->slow) != 0) set(p->ring->slow, 0);
    return 0;
  }
  add(p->ring->blocked, 1);
  if (timeout_ms != 0 && linger_for_room(p)) return 0;
  uint64_t bound = timeout_ms < 0 ? p->channel.geometry.block_timeout_ms : (uint64_t)timeout_ms;
  uint64_t start = clock_ns(), now = start;
  uint64_t end = now + bound * NS_PER_MS;
  p->waits_are_short = false;
  while (now < end) {
    wait_for(p, (uint32_t)slow, end - now < BLOCK_POLL_NS ? end - now : BLOCK_POLL_NS);
    slow = find_slow(p);
    now = clock_ns();
    p->waits_are_short = slow < 0 && now - start < SOON_NS;
    if (slow < 0) return 0;
    accuse(p, now);
  }
  accuse(p, now);
  add(p->ring->dropped, 1);
  return WIPC_EAGAIN;
}

int wipc_reserve(wipc_publisher *p, size_t length, int timeout_ms, void **payload) {
  if (p == NULL || payload == NULL) return WIPC_EINVAL;
  if (length > p->channel.geometry.slot_size) return WIPC_ETOOBIG;
  if (p->channel.geometry.mode == WIPC_RELIABLE) {
    int rc = wait_for_room(p, timeout_ms);
    if (rc != 0) return rc;
  }
  struct slot *slot = slot_of(&p->channel.geometry, p->ring, p->next);
  set(slot->lock, (uint32_t)(2 * p->next + 1));
  /* A reader that sees any of the payload's new bytes also sees the odd lock when it looks again. */
  fence(memory_order_release);
  p->reserved = true;
  *payload = slot->payload;
  return 0;
}

int wipc_commit(wipc_publisher *p, size_t length, uint32_t type) {
  if (p == NULL || !p->reserved) return WIPC_EINVAL;
  if (length > p->channel.geometry.slot_size) return WIPC_ETOOBIG;
  struct ring *ring = p->ring;
  uint64_t n = p->next;
  struct slot *slot = slot_of(&p->channel.geometry, ring, n);
  uint64_t now = clock_ns();
  set(slot->length, (uint32_t)length);
  set(slot->sequence, n);
  set(slot->timestamp_ns, now);
  set(slot->type, type);
  set(slot->flags, 0);
  atomic_store_explicit(&slot->lock, (uint32_t)(2 * n + 2), memory_order_release);
  atomic_store_explicit(&ring->head64, n + 1, memory_order_release);
  atomic_store_explicit(&ring->head, (uint32_t)(n + 1), memory_order_release);
  p->next = n + 1;
  p->reserved = false;
  add(ring->bytes, length);
  set(ring->last_publish_ns, now);
  prefetch_for_writing(slot_of(&p->channel.geometry, ring, n + PREFETCH_AHEAD));
  /* Pairs with the fence of wipc_wait; also keeps the next message's odd lock behind this head. */
  fence(memory_order_seq_cst);
  wake(p);
  return 0;
}

int wipc_publish(wipc_publisher *p, const void *data, size_t length, uint32_t type, int timeout_ms) {
  if (p == NULL || (data == NULL && length > 0)) return WIPC_EINVAL;
  void *payload = NULL;
  int rc = wipc_reserve(p, length, timeout_ms, &payload);
  if (rc != 0) return rc;
  copy_in(payload, data, length);
  return wipc_commit(p, length, type);
}

void wipc_publisher_info(const wipc_publisher *p, wipc_info *out) {
  channel_info(&p->channel, out);
  out->publish = 1;
}

int wipc_publisher_stat(const wipc_publisher *p, wipc_publisher_stats *out) {
  if (p == NULL || out == NULL) return WIPC_EINVAL;
  *out = (wipc_publisher_stats){
      .published = p->next,
      .bytes = get(p->ring->bytes),
      .dropped = get(p->ring->dropped),
      .blocked = get(p->ring->blocked),
      .wakes = get(p->ring->wakes),
      .last_publish_ns = get(p->ring->last_publish_ns),
      .epoch = get(p->ring->epoch),
  };
  return 0;
}
