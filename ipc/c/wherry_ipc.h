/*
 * Wherry channels: messages between the services of one device through shared memory.
 *
 * The agent makes the memory and mounts it below WHERRY_IPC_DIR; this library only maps what is there.
 * No lock and no reference count crosses a process, so the death of one never holds up another.
 * docs/channels.md has the layout, the guarantees and a quick start.
 *
 * A handle belongs to one thread at a time, with one exception: wipc_wait, wipc_wait_or and wipc_spin may run in
 * one thread while another takes from the same subscribers. Handles do not survive fork().
 *
 * Functions that return int give a WIPC_E… (negative) when they fail.
 */
#ifndef WHERRY_IPC_H
#define WHERRY_IPC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(WIPC_BUILD)
#define WIPC_API __attribute__((visibility("default")))
#else
#define WIPC_API
#endif

#define WIPC_VERSION_MAJOR 1
#define WIPC_VERSION_MINOR 0
#define WIPC_MAX_PEERS 16       /* publishers of a channel, and subscribers of a channel */
#define WIPC_NAME_MAX 64        /* bytes of a name, with its NUL */
#define WIPC_TIMEOUT_DEFAULT (-1) /* publish: the channel's own bound; wait: no end */

enum {
  WIPC_EINVAL = -1,  /* an argument is not usable */
  WIPC_ENOENT = -2,  /* no such channel here, or no folder or service name given */
  WIPC_EROLE = -3,   /* the service does not publish, or does not subscribe to, this channel */
  WIPC_EFORMAT = -4, /* meta, a ring or an ack file is not what this library reads */
  WIPC_EBUSY = -5,   /* another process of this service holds this end of the channel */
  WIPC_ETOOBIG = -6, /* longer than a slot; wipc_take: longer than the buffer, still there */
  WIPC_EAGAIN = -7,  /* reliable: a subscriber was too slow; not published, counted as dropped */
  WIPC_ENOMEM = -8,
  WIPC_ESYSTEM = -9  /* a system call failed; errno says how */
};

enum { WIPC_LOSSY = 0, WIPC_LATEST = 1, WIPC_RELIABLE = 2 };

typedef struct wipc_publisher wipc_publisher;
typedef struct wipc_subscriber wipc_subscriber;
typedef struct wipc_observer wipc_observer;

typedef struct {
  char channel[WIPC_NAME_MAX];
  int publish;   /* 1: the service may publish */
  int subscribe; /* 1: the service may subscribe */
  uint32_t slot_size, depth, mode, publishers, subscribers;
} wipc_info;

typedef struct {
  uint64_t sequence;     /* from 0, per publisher; never repeats and never goes back within an epoch */
  uint64_t timestamp_ns; /* CLOCK_MONOTONIC of the publisher */
  uint32_t type;         /* the publisher's word, passed through */
  uint32_t length;
  uint32_t publisher;    /* index; wipc_subscriber_publisher gives the name */
  uint32_t epoch;        /* starts of this publisher as the message was taken: higher than before, it restarted */
  uint64_t lost;         /* messages of this publisher skipped since the one before */
  const void *data;      /* the caller's buffer; wipc_view: the slot itself */
} wipc_message;

typedef struct {
  uint64_t published;       /* sequence of the next message: counts every start of this publisher */
  uint64_t bytes;           /* payload, since the channel was made, as all that follow */
  uint64_t dropped;         /* reliable: WIPC_EAGAIN given */
  uint64_t blocked;         /* reliable: waits for a subscriber */
  uint64_t wakes;           /* FUTEX_WAKE calls: somebody was waiting */
  uint64_t last_publish_ns; /* CLOCK_MONOTONIC; 0: never */
  uint32_t epoch;
} wipc_publisher_stats;

typedef struct {
  uint64_t received; /* messages given; summed over publishers, as all that follow */
  uint64_t overruns; /* times it fell behind by more than the ring and was moved forward */
  uint64_t resets;   /* publisher restarts seen, and rings whose count went back */
  uint64_t torn;     /* slots that were not what their ring said; only a faulty publisher makes them */
  uint64_t lost;     /* messages skipped, since this handle was opened */
  uint64_t lag;      /* messages published and not yet taken */
  uint64_t last_ns;  /* CLOCK_MONOTONIC, to a scheduler tick, of the last take; 0: never */
} wipc_subscriber_stats;

/* ------------------------------------------------------------------------------------------------------------
 * Channels of a service. `dir` NULL: $WHERRY_IPC_DIR; `service` NULL: $WHERRY_SERVICE, here and below.
 * Gives how many channels there are, which may be more than `cap`, sorted by name.
 */
WIPC_API int wipc_list(const char *dir, const char *service, wipc_info *out, size_t cap);

/* ------------------------------------------------------------------------------------------------------------
 * Publish. One process of a service at a time (WIPC_EBUSY). Goes on at the count where the one before it stopped.
 */
WIPC_API int wipc_publisher_open(const char *dir, const char *service, const char *channel, wipc_publisher **out);
/*
 * Copies the message into the ring and wakes who waits. Lossy and latest: never blocks. Reliable: waits at most
 * timeout_ms (0: not at all, WIPC_TIMEOUT_DEFAULT: the channel's bound) for the slowest subscriber, then WIPC_EAGAIN.
 */
WIPC_API int wipc_publish(wipc_publisher *publisher, const void *data, size_t length, uint32_t type,
                          int timeout_ms);
/*
 * Without a copy: write at most slot_size bytes at *payload, then commit. A reservation that is never committed is
 * invisible; the next reserve or publish takes its place.
 */
WIPC_API int wipc_reserve(wipc_publisher *publisher, size_t length, int timeout_ms, void **payload);
WIPC_API int wipc_commit(wipc_publisher *publisher, size_t length, uint32_t type);
WIPC_API void wipc_publisher_info(const wipc_publisher *publisher, wipc_info *out);
WIPC_API int wipc_publisher_stat(const wipc_publisher *publisher, wipc_publisher_stats *out);
WIPC_API void wipc_publisher_close(wipc_publisher *publisher);

/* ------------------------------------------------------------------------------------------------------------
 * Subscribe. One process of a service at a time (WIPC_EBUSY). A service that starts again goes on where it stopped,
 * as far as the ring still has it; its first start begins with at most half a ring of the past
 * (latest: the newest; reliable: all that is there).
 * With several publishers the messages of each come in order; the rings take turns, timestamp_ns compares them.
 */
WIPC_API int wipc_subscriber_open(const char *dir, const char *service, const char *channel,
                                  wipc_subscriber **out);
/*
 * 1: a message is in `buffer` (slot_size bytes hold any). 0: none now; wipc_wait next.
 * WIPC_ETOOBIG: out->length says how much it needs; the message is still there.
 * Never blocks, never gives a torn message, survives whatever a publisher writes into its ring or does to its file.
 */
WIPC_API int wipc_take(wipc_subscriber *subscriber, void *buffer, size_t cap, wipc_message *out);
/*
 * Without a copy: out->data is the slot, read-only, which its publisher may overwrite at any time and may truncate
 * (SIGBUS here). For publishers that you trust. wipc_view_end says whether it was whole: 1 what was read is the
 * message, 0 it was overwritten meanwhile and must be thrown away.
 */
WIPC_API int wipc_view(wipc_subscriber *subscriber, wipc_message *out);
WIPC_API int wipc_view_end(wipc_subscriber *subscriber);
/*
 * Sleeps until one of the subscribers has a message: 1, or until timeout_ms has passed: 0. A negative one: no end.
 * All publishers of all n subscribers are waited for at once; with more than 126 rings, or before Linux 5.16, by
 * looking every few milliseconds. After 1 a take may still give 0, when what came was not whole: wait again.
 */
WIPC_API int wipc_wait(wipc_subscriber *const *subscribers, size_t n, int timeout_ms);
/* As wipc_wait; also gives 0 when *word is no longer `seen`. wipc_wake_word adds one to it and wakes who waits. */
WIPC_API int wipc_wait_or(wipc_subscriber *const *subscribers, size_t n, int timeout_ms, uint32_t *word,
                          uint32_t seen);
WIPC_API void wipc_wake_word(uint32_t *word);
/*
 * What wipc_wait does before it sleeps, for callers of wipc_wait_or, which does not: looks for 20 µs
 * ($WHERRY_IPC_LINGER_US, at most 1000; 0: never) if the last sleep was over soon. 1 a message is there, 0 not.
 */
WIPC_API int wipc_linger(wipc_subscriber *const *subscribers, size_t n);
/* Looks up to `spins` times without sleeping: 1 a message is there, 0 not. For a core that has nothing else to do. */
WIPC_API int wipc_spin(wipc_subscriber *const *subscribers, size_t n, unsigned spins);
WIPC_API void wipc_subscriber_info(const wipc_subscriber *subscriber, wipc_info *out);
/* The name of wipc_message.publisher; NULL past the last. */
WIPC_API const char *wipc_subscriber_publisher(const wipc_subscriber *subscriber, uint32_t publisher);
WIPC_API int wipc_subscriber_stat(const wipc_subscriber *subscriber, wipc_subscriber_stats *out);
WIPC_API void wipc_subscriber_close(wipc_subscriber *subscriber);

/* ------------------------------------------------------------------------------------------------------------
 * Look on: needs only read access, leaves no trace in the channel. Ack files that cannot be read are marked unseen.
 */
typedef struct {
  char name[WIPC_NAME_MAX];
  uint32_t up, starts;
  int seen; /* 1: the ring can be read; `stats` is what it says */
  wipc_publisher_stats stats;
} wipc_publisher_state;

typedef struct {
  char name[WIPC_NAME_MAX];
  uint32_t up, evicted, evictions;
  int seen;    /* 1: the ack file can be read; what follows is what it says */
  int waiting; /* 1: asleep for a message */
  wipc_subscriber_stats stats; /* lost: always 0 */
} wipc_subscriber_state;

typedef struct {
  char channel[WIPC_NAME_MAX];
  uint32_t channel_id, slot_size, depth, mode, publishers, subscribers;
  uint64_t ring_bytes, created_ns; /* CLOCK_REALTIME */
  wipc_publisher_state publisher[WIPC_MAX_PEERS];
  wipc_subscriber_state subscriber[WIPC_MAX_PEERS];
} wipc_channel_state;

/* `channel_dir` is the folder of one channel: $WHERRY_IPC_DIR/<channel>. */
WIPC_API int wipc_observer_open(const char *channel_dir, wipc_observer **out);
WIPC_API int wipc_observer_stat(wipc_observer *observer, wipc_channel_state *out);
/* As wipc_take, from what is published after the open. */
WIPC_API int wipc_observer_take(wipc_observer *observer, void *buffer, size_t cap, wipc_message *out);
/* Looks every few milliseconds: nobody wakes an observer. 1 a message is there, 0 time is up. */
WIPC_API int wipc_observer_wait(wipc_observer *observer, int timeout_ms);
WIPC_API void wipc_observer_close(wipc_observer *observer);

/* A sentence part, as in "Cannot open the channel: <it>". */
WIPC_API const char *wipc_strerror(int code);

#ifdef __cplusplus
}
#endif
#endif
