/* What the parts of the library share. */
#ifndef WIPC_INTERNAL_H
#define WIPC_INTERNAL_H

#include <setjmp.h>
#include <stdbool.h>

#include "layout.h"

/* ---- channel.c: what the agent made, checked ---- */

/* An own copy of the numbers of meta, so that no later write can change them. */
struct geometry {
  uint32_t channel_id, slot_size, stride, depth, mode, publishers, subscribers, block_timeout_ms;
  uint64_t ring_file_size;
};

struct channel {
  int folder; /* O_PATH */
  struct meta *meta;
  struct geometry geometry;
};

int channel_open(struct channel *channel, const char *dir, const char *service, const char *name,
                 const char **resolved_service);
int channel_open_at(struct channel *channel, const char *path);
void channel_close(struct channel *channel);
void channel_info(const struct channel *channel, wipc_info *out);
/* Index of a name among the publishers, or the subscribers; -1: not there. */
int channel_publisher(const struct channel *channel, const char *service);
int channel_subscriber(const struct channel *channel, const char *service);
/* Whose file: our own is writable; a peer's may be cut at any moment, so its size is no promise: the guard answers. */
enum access { AGENTS, OWN, PEERS };
/* Maps `size` bytes of <prefix>.<name>, at `place` if not NULL. *fd is left open if fd is not NULL. */
int channel_map(const struct channel *channel, const char *prefix, const char *name, uint64_t size, enum access access,
                void *place, void **out, int *fd);
/* Makes this process the only one of its service at this end; lasts as long as the descriptor. */
int channel_claim(int fd);
/* Folders and names from the arguments or the environment. */
int channel_defaults(const char **dir, const char **service);
bool channel_name_is_plain(const char *name);
uint32_t wipc_crc32c(const void *data, size_t length);

static inline struct slot *slot_of(const struct geometry *geometry, struct ring *ring, uint64_t sequence) {
  return (struct slot *)((unsigned char *)ring + RING_HEADER +
                         (sequence & (geometry->depth - 1)) * (uint64_t)geometry->stride);
}

/* ---- guard.c: faults in memory whose file somebody else holds ---- */

struct guard {
  sigjmp_buf back;
  uintptr_t from, to;
  struct guard *outer;
};

void guard_install(void);
extern _Thread_local struct guard *guard_now;

/*
 * guard_begin(&g, memory, size); if (FAULTED(&g)) { guard_end(&g); … return; } … guard_end(&g);
 * A function that does this keeps no locals of its own across it (C11 7.13.2.1), so it calls another one.
 */
static inline void guard_begin(struct guard *guard, const void *memory, size_t size) {
  guard->from = (uintptr_t)memory;
  guard->to = guard->from + size;
  guard->outer = guard_now;
  /* The handler runs in this thread: only the compiler must keep the order. */
  atomic_signal_fence(memory_order_seq_cst);
  guard_now = guard;
  atomic_signal_fence(memory_order_seq_cst);
}
static inline void guard_end(const struct guard *guard) {
  atomic_signal_fence(memory_order_seq_cst);
  guard_now = guard->outer;
}
#define FAULTED(guard) (sigsetjmp((guard)->back, 0) != 0)

/* ---- copy.c ---- */

/* Payload in and out. Races with the other side by design: the slot's lock says afterwards whether it was whole. */
void copy_in(void *slot, const void *from, size_t length);
void copy_out(void *to, const void *slot, size_t length);
void fence(memory_order order);

/* ---- wait.c ---- */

#define WAIT_CAP_MS 250 /* the longest sleep: a reader could requeue another's wait away */
#define POLL_MS 5       /* where nobody wakes: observers, kernels before futex_waitv */

/*
 * How long a wait looks before it sleeps: about what going to sleep and being woken costs, so that looking in vain at most
 * doubles the cost of a wait. Only after a wait that was over soon: where messages come seldom nothing is spent.
 */
#define LINGER_NS 20000u
#define SOON_NS (3 * LINGER_NS)
#define LOOKS_A_TIME 8 /* between looks at the clock */
uint64_t linger_ns(void); /* LINGER_NS, or what the environment says; 0 on a single processor */
void relax_for(unsigned times);

uint64_t clock_ns(void);
uint64_t clock_tick_ns(void); /* cheap, as old as a scheduler tick */
int futex_wake(word32 *word);
/* Sleeps while *word is `seen`, at most `ns`. Whatever ends it: look again. */
void futex_wait(word32 *word, uint32_t seen, uint64_t ns);

/* ---- reader.c: one ring, seen from a subscriber or an observer ---- */

struct reader {
  struct ring *ring;
  struct ack *ack; /* an observer's own memory, not shared */
  uint64_t known;  /* a head that was seen: up to here no look at the ring's is needed */
  uint64_t lost;   /* not yet told in a message */
  uint64_t lost_sum;
  _Atomic uint64_t lame_until; /* CLOCK_MONOTONIC ns: it faulted and is left alone until then; 0: well */
};

int reader_open(struct reader *reader, const struct geometry *geometry);
bool reader_pending(struct reader *reader, const struct geometry *geometry);
/* The futex word; false: the ring faults. */
bool reader_head(struct reader *reader, const struct geometry *geometry, uint32_t *seen);
/* 1, 0 or WIPC_ETOOBIG. buffer NULL: a view, the caller advances. */
int reader_take(struct reader *reader, const struct geometry *geometry, bool evicted, void *buffer, size_t cap,
                wipc_message *out);
int reader_view_end(struct reader *reader, const struct geometry *geometry, uint64_t sequence);
uint64_t reader_lag(struct reader *reader, const struct geometry *geometry);

struct wipc_subscriber {
  struct channel channel;
  int index; /* among meta's subscribers; -1: an observer */
  int lock;  /* descriptor of the ack file */
  struct ack *acks;
  uint32_t next; /* the ring that has its turn */
  int viewing;   /* ring of the open view; -1: none */
  uint64_t viewed;
  char names[WIPC_MAX_PEERS][WIPC_NAME_MAX];
  word32 waits_are_short; /* the last sleep was over before one pays; wait.c */
  struct reader reader[WIPC_MAX_PEERS];
};

int readers_open(wipc_subscriber *subscriber);
void readers_close(wipc_subscriber *subscriber);
bool readers_pending(wipc_subscriber *subscriber);

#endif
