/* Looking on: everything read-only, cursors in memory of its own. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull

struct wipc_observer {
  wipc_subscriber view; /* index -1: no ack file, its `acks` are private */
  size_t page;
  unsigned char *acks; /* of all subscribers, a page each; NULL: there are none */
  bool seen[WIPC_MAX_PEERS];
  struct ack own[WIPC_MAX_PEERS];
};

static size_t ack_bytes(const wipc_observer *observer) {
  return observer->page * observer->view.channel.geometry.subscribers;
}

/* A subscriber's container does not show it the acks of the others: those stay unseen. */
static int map_acks(wipc_observer *observer) {
  const struct channel *channel = &observer->view.channel;
  if (channel->geometry.subscribers == 0) return 0;
  observer->page = (size_t)sysconf(_SC_PAGESIZE);
  void *range = mmap(NULL, ack_bytes(observer), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (range == MAP_FAILED) return WIPC_ENOMEM;
  observer->acks = range;
  for (uint32_t i = 0; i < channel->geometry.subscribers; i++) {
    void *page = NULL;
    observer->seen[i] = channel_map(channel, "ack", channel->meta->subscriber[i].name, observer->page, PEERS,
                                    observer->acks + observer->page * i, &page, NULL) == 0;
  }
  return 0;
}

int wipc_observer_open(const char *channel_dir, wipc_observer **out) {
  if (channel_dir == NULL || out == NULL) return WIPC_EINVAL;
  wipc_observer *observer = calloc(1, sizeof *observer);
  if (observer == NULL) return WIPC_ENOMEM;
  observer->view.index = -1;
  observer->view.lock = -1;
  observer->view.viewing = -1;
  observer->view.acks = observer->own;
  guard_install();
  int rc = channel_open_at(&observer->view.channel, channel_dir);
  if (rc == 0) rc = map_acks(observer);
  if (rc == 0) rc = readers_open(&observer->view);
  if (rc != 0) {
    wipc_observer_close(observer);
    return rc;
  }
  for (uint32_t i = 0; i < observer->view.channel.geometry.publishers; i++)
    add(observer->own[i].cursor, reader_lag(&observer->view.reader[i], &observer->view.channel.geometry));
  *out = observer;
  return 0;
}

void wipc_observer_close(wipc_observer *observer) {
  if (observer == NULL) return;
  readers_close(&observer->view);
  if (observer->acks != NULL) munmap(observer->acks, ack_bytes(observer));
  channel_close(&observer->view.channel);
  free(observer);
}

static int read_ring(struct ring *ring, uint64_t size, wipc_publisher_stats *out) {
  struct guard guard;
  guard_begin(&guard, ring, size);
  if (FAULTED(&guard)) {
    guard_end(&guard);
    return 0;
  }
  out->published = get(ring->head64);
  out->bytes = get(ring->bytes);
  out->dropped = get(ring->dropped);
  out->blocked = get(ring->blocked);
  out->wakes = get(ring->wakes);
  out->last_publish_ns = get(ring->last_publish_ns);
  out->epoch = get(ring->epoch);
  guard_end(&guard);
  return 1;
}

/* Adds up a subscriber's page. `published` is indexed as meta's publishers are. */
static int read_acks(struct ack *acks, size_t size, uint32_t count, const wipc_publisher_state *publisher,
                     wipc_subscriber_state *out) {
  struct guard guard;
  guard_begin(&guard, acks, size);
  if (FAULTED(&guard)) {
    guard_end(&guard);
    return 0;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint64_t lag = publisher[i].stats.published - get(acks[i].cursor);
    uint64_t last = get(acks[i].last_ns);
    out->waiting |= get(acks[i].waiting) != 0;
    out->stats.received += get(acks[i].received);
    out->stats.overruns += get(acks[i].overruns);
    out->stats.resets += get(acks[i].resets);
    out->stats.torn += get(acks[i].torn);
    /* The ring was read a moment before the cursor: a negative lag is none. */
    if (publisher[i].seen && lag <= INT64_MAX) out->stats.lag += lag;
    if (last > out->stats.last_ns) out->stats.last_ns = last;
  }
  guard_end(&guard);
  return 1;
}

int wipc_observer_stat(wipc_observer *observer, wipc_channel_state *out) {
  if (observer == NULL || out == NULL) return WIPC_EINVAL;
  const struct geometry *geometry = &observer->view.channel.geometry;
  struct meta *meta = observer->view.channel.meta;
  memset(out, 0, sizeof *out);
  memcpy(out->channel, meta->name, WIPC_NAME_MAX);
  out->channel_id = geometry->channel_id;
  out->slot_size = geometry->slot_size;
  out->depth = geometry->depth;
  out->mode = geometry->mode;
  out->publishers = geometry->publishers;
  out->subscribers = geometry->subscribers;
  out->ring_bytes = geometry->ring_file_size;
  out->created_ns = meta->created_ns;
  for (uint32_t i = 0; i < geometry->publishers; i++) {
    wipc_publisher_state *state = &out->publisher[i];
    memcpy(state->name, observer->view.names[i], WIPC_NAME_MAX);
    state->up = get(meta->publisher[i].up);
    state->starts = get(meta->publisher[i].starts);
    state->seen = read_ring(observer->view.reader[i].ring, geometry->ring_file_size, &state->stats);
  }
  for (uint32_t i = 0; i < geometry->subscribers; i++) {
    wipc_subscriber_state *state = &out->subscriber[i];
    memcpy(state->name, meta->subscriber[i].name, WIPC_NAME_MAX);
    state->name[WIPC_NAME_MAX - 1] = '\0';
    state->up = get(meta->subscriber[i].up);
    state->evicted = get(meta->subscriber[i].evicted);
    state->evictions = get(meta->subscriber[i].evictions);
    if (observer->seen[i])
      state->seen = read_acks((struct ack *)(observer->acks + observer->page * i), observer->page,
                              geometry->publishers, out->publisher, state);
  }
  return 0;
}

int wipc_observer_take(wipc_observer *observer, void *buffer, size_t cap, wipc_message *out) {
  return observer == NULL ? WIPC_EINVAL : wipc_take(&observer->view, buffer, cap, out);
}

int wipc_observer_wait(wipc_observer *observer, int timeout_ms) {
  if (observer == NULL) return WIPC_EINVAL;
  uint64_t end = timeout_ms < 0 ? UINT64_MAX : clock_ns() + (uint64_t)timeout_ms * NS_PER_MS;
  while (!readers_pending(&observer->view)) {
    uint64_t now = clock_ns();
    if (now >= end) return 0;
    uint64_t ns = end - now < POLL_MS * NS_PER_MS ? end - now : POLL_MS * NS_PER_MS;
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
  }
  return 1;
}
