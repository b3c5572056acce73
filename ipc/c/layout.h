/* The shared memory, byte by byte: docs/channels.md. Little endian, every hot word on a 64-byte line of its own. */
#ifndef WIPC_LAYOUT_H
#define WIPC_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "wherry_ipc.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Wherry channels are little endian"
#endif

typedef _Atomic uint32_t word32;
typedef _Atomic uint64_t word64;
_Static_assert(sizeof(word32) == 4 && sizeof(word64) == 8, "atomic words carry no lock");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "shared words must be lock-free");

#define META_MAGIC 0x4d504957u /* "WIPM" */
#define RING_MAGIC 0x43504957u /* "WIPC" */
#define META_SIZE 8192u
#define RING_HEADER 256u
#define SLOT_HEADER 64u
#define SLOT_SIZE_MAX (16u << 20)
#define DEPTH_MAX 65536u
#define RING_SIZE_MAX (256ull << 20)

/* meta: written by the agent only, and the only place that geometry is taken from. */
struct meta_publisher {
  char name[WIPC_NAME_MAX];
  word32 up, starts;
  uint8_t pad[56];
};

struct meta_subscriber {
  char name[WIPC_NAME_MAX];
  word32 up, evicted, evictions;
  uint8_t pad[52];
};

struct meta {
  uint32_t magic;
  uint16_t major, minor;
  uint32_t size, channel_id, slot_size, stride, depth, mode;
  uint32_t publishers, subscribers;
  uint64_t ring_file_size, created_ns;
  uint32_t block_timeout_ms, crc32c; /* of bytes 0..59 */
  char name[WIPC_NAME_MAX];
  word32 changes;
  uint8_t pad[60];
  struct meta_publisher publisher[WIPC_MAX_PEERS];
  struct meta_subscriber subscriber[WIPC_MAX_PEERS];
  uint8_t zero[META_SIZE - 4288];
};
_Static_assert(offsetof(struct meta, ring_file_size) == 40 && offsetof(struct meta, crc32c) == 60, "meta");
_Static_assert(offsetof(struct meta, changes) == 128 && offsetof(struct meta, publisher) == 192, "meta");
_Static_assert(offsetof(struct meta, subscriber) == 2240 && sizeof(struct meta) == META_SIZE, "meta");

/* ring.<publisher>: bytes 0..63 by the agent before anyone maps, the rest by its one publisher. */
struct ring {
  uint32_t magic;
  uint16_t major, minor;
  uint32_t header_size, stride, slot_size, depth, flags, channel_id;
  uint64_t file_size, created_ns;
  uint32_t crc32c; /* of bytes 0..47 */
  uint8_t pad[12];
  word32 head; /* low half of head64, and the futex word of waiting subscribers */
  word32 epoch;
  word64 head64; /* messages published; stored before head */
  uint8_t pad_head[48];
  word64 bytes, last_publish_ns, wakes; /* written with each message, read by observers */
  uint8_t pad_stats[40];
  word32 publisher_waiting; /* reliable: a take must wake the publisher. Read by takes: on a line that stays as it is */
  word32 slow;              /* reliable: bit j: subscriber j has held this publisher up for block_timeout_ms */
  word64 blocked, dropped;
  uint8_t pad_waiting[40];
};
_Static_assert(offsetof(struct ring, file_size) == 32 && offsetof(struct ring, crc32c) == 48, "ring");
_Static_assert(offsetof(struct ring, head) == 64 && offsetof(struct ring, head64) == 72, "ring");
_Static_assert(offsetof(struct ring, bytes) == 128 && offsetof(struct ring, publisher_waiting) == 192, "ring");
_Static_assert(sizeof(struct ring) == RING_HEADER, "ring");

struct slot {
  word32 lock; /* 2n+1: message n is being written; 2n+2: it is whole */
  word32 length;
  word64 sequence, timestamp_ns;
  word32 type, flags;
  uint8_t pad[32];
  unsigned char payload[];
};
_Static_assert(sizeof(struct slot) == SLOT_HEADER && offsetof(struct slot, type) == 24, "slot");

/* ack.<subscriber>: one for each ring in the order of meta's publishers; written by its one subscriber. */
struct ack {
  word32 waiting;        /* sleep_on(the head it sleeps on); 0: awake */
  word32 attached_epoch; /* 0: never took from this ring */
  word64 overruns, resets, torn;
  uint8_t pad[32];
  /* Written with each take: on a line of their own, for the publisher reads `waiting` with each message. */
  word64 cursor; /* sequence of the next message to take; its low half is the futex word of the publisher */
  word64 received, last_ns;
  uint8_t pad_takes[40];
};
_Static_assert(sizeof(struct ack) == 128 && offsetof(struct ack, torn) == 24, "ack");
_Static_assert(offsetof(struct ack, cursor) == 64, "ack");

/* Odd, so never 0; tells heads apart that are less than 2^31 messages apart. */
static inline uint32_t sleep_on(uint32_t head) { return head << 1 | 1; }

#define RELAXED memory_order_relaxed
#define get(word) atomic_load_explicit(&(word), RELAXED)
#define set(word, value) atomic_store_explicit(&(word), (value), RELAXED)
/* For words with one writer: no locked instruction. */
#define add(word, value) set(word, get(word) + (value))

#endif
