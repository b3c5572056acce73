/*
 * Taking from one ring. Everything in it was written by another process and may be wrong: geometry comes from meta,
 * each word is read once, the length is clamped, one try is made and no word of a peer is ever waited on in a loop.
 */
#include "internal.h"

#define LAME_NS 250000000ull /* how long a ring that faulted is left alone */

static uint64_t head_of(const struct reader *reader) {
  return atomic_load_explicit(&reader->ring->head64, memory_order_acquire);
}

/* Whether the publisher waits is looked at with every quarter of a ring and, as its head stands still then, at the head. */
static bool is_time_to_wake(const struct reader *reader, const struct geometry *geometry, uint64_t cursor) {
  uint32_t quarter = geometry->depth < 4 ? 1 : geometry->depth / 4;
  return cursor >= reader->known || (cursor & (quarter - 1)) == 0;
}

static void set_cursor(struct reader *reader, const struct geometry *geometry, uint64_t cursor) {
  atomic_store_explicit(&reader->ack->cursor, cursor, memory_order_release);
  if (geometry->mode != WIPC_RELIABLE || !is_time_to_wake(reader, geometry, cursor)) return;
  /* Pairs with the fence of wait_for: either the publisher sees this cursor, or this sees that it waits. */
  fence(memory_order_seq_cst);
  if (get(reader->ring->publisher_waiting) == 0) return;
  /* At half a ring, not at each slot, or the two would take turns. Who takes slowly is left to the publisher's clock. */
  if (head_of(reader) - cursor <= geometry->depth / 2) futex_wake((word32 *)&reader->ack->cursor);
}

/* Messages in [from, to) are given up. */
static void skip(struct reader *reader, const struct geometry *geometry, uint64_t from, uint64_t to) {
  reader->lost += to - from;
  reader->lost_sum += to - from;
  set_cursor(reader, geometry, to);
}

static void attach(struct reader *reader) {
  uint32_t epoch = get(reader->ring->epoch);
  uint32_t attached = get(reader->ack->attached_epoch);
  if (epoch == attached) return;
  if (attached != 0) add(reader->ack->resets, 1);
  set(reader->ack->attached_epoch, epoch);
}

/* Where a service that never took from this ring begins. */
static void start_cursor(struct reader *reader, const struct geometry *geometry) {
  if (get(reader->ack->attached_epoch) == 0) {
    uint64_t head = head_of(reader);
    /* Reliable: the publisher has waited for us. Lossy: half a ring, or the oldest would be gone before it is taken. */
    uint64_t past = geometry->mode == WIPC_LATEST ? 1 : geometry->depth / 2;
    if (geometry->mode == WIPC_RELIABLE) past = geometry->depth;
    set_cursor(reader, geometry, head > past ? head - past : 0);
  }
  attach(reader);
}

/* 1: copied and whole. 0: not what the ring said, or overwritten meanwhile. */
static int copy_slot(struct reader *reader, const struct geometry *geometry, uint64_t n, void *buffer, size_t cap,
                     wipc_message *out) {
  struct slot *slot = slot_of(geometry, reader->ring, n);
  uint32_t whole = (uint32_t)(2 * n + 2);
  if (atomic_load_explicit(&slot->lock, memory_order_acquire) != whole) return 0;
  uint32_t length = get(slot->length);
  if (length > geometry->slot_size) length = geometry->slot_size;
  uint64_t sequence = get(slot->sequence);
  out->sequence = n;
  out->timestamp_ns = get(slot->timestamp_ns);
  out->type = get(slot->type);
  out->length = length;
  out->epoch = get(reader->ack->attached_epoch);
  out->data = buffer == NULL ? slot->payload : buffer;
  bool fits = buffer == NULL || length <= cap;
  if (buffer != NULL && fits) copy_out(buffer, slot->payload, length);
  /* The loads above come before the second look at the lock. */
  fence(memory_order_acquire);
  if (get(slot->lock) != whole || sequence != n) return 0;
  return fits ? 1 : WIPC_ETOOBIG;
}

static void took(struct reader *reader, const struct geometry *geometry, uint64_t n) {
  add(reader->ack->received, 1);
  set(reader->ack->last_ns, clock_tick_ns());
  reader->lost = 0;
  set_cursor(reader, geometry, n + 1);
}

static void overrun(struct reader *reader, const struct geometry *geometry, uint64_t cursor, uint64_t head) {
  add(reader->ack->overruns, 1);
  skip(reader, geometry, cursor, head - geometry->depth / 2);
}

/* The count went back: only a faulty publisher does that. Follow it, or it would be deaf to us for ever. */
static bool went_back(struct reader *reader, const struct geometry *geometry, uint64_t cursor, uint64_t head) {
  if (head - cursor <= INT64_MAX) return false;
  add(reader->ack->resets, 1);
  set_cursor(reader, geometry, head);
  return true;
}

/* The next sequence worth a look; false: none. Moves a cursor that the ring has left behind. */
static bool choose(struct reader *reader, const struct geometry *geometry, bool evicted, uint64_t *n) {
  uint64_t cursor = get(reader->ack->cursor);
  *n = cursor;
  if (cursor < reader->known && geometry->mode != WIPC_LATEST && !evicted) return true;
  uint64_t head = head_of(reader);
  reader->known = head;
  attach(reader);
  uint64_t lag = head - cursor;
  if (lag == 0 || went_back(reader, geometry, cursor, head)) return false;
  if (geometry->mode == WIPC_LATEST && lag > 1)
    skip(reader, geometry, cursor, head - 1);
  else if (lag > geometry->depth || (evicted && lag > geometry->depth / 2))
    overrun(reader, geometry, cursor, head);
  *n = get(reader->ack->cursor);
  return true;
}

static int take_once(struct reader *reader, const struct geometry *geometry, bool evicted, void *buffer, size_t cap,
                     wipc_message *out) {
  uint64_t n;
  if (!choose(reader, geometry, evicted, &n)) return 0;
  int rc = copy_slot(reader, geometry, n, buffer, cap, out);
  if (rc == 0) {
    uint64_t head = head_of(reader);
    reader->known = head;
    if (went_back(reader, geometry, n, head)) return 0;
    if (head - n < geometry->depth) {
      /* Not overtaken, and yet not the message that the head promised: give up all that it promised. */
      add(reader->ack->torn, 1);
      skip(reader, geometry, n, head);
      return 0;
    }
    overrun(reader, geometry, n, head);
    attach(reader);
    n = get(reader->ack->cursor);
    rc = copy_slot(reader, geometry, n, buffer, cap, out);
  }
  if (rc != 1) return rc;
  out->lost = reader->lost;
  if (buffer != NULL) took(reader, geometry, n);
  return 1;
}

static void fault(struct reader *reader) {
  add(reader->ack->torn, 1);
  set(reader->lame_until, clock_tick_ns() + LAME_NS);
}

static bool is_lame(struct reader *reader) {
  uint64_t until = get(reader->lame_until);
  if (until == 0) return false;
  if (clock_tick_ns() < until) return true;
  set(reader->lame_until, 0);
  return false;
}

int reader_take(struct reader *reader, const struct geometry *geometry, bool evicted, void *buffer, size_t cap,
                wipc_message *out) {
  if (is_lame(reader)) return 0;
  struct guard guard;
  guard_begin(&guard, reader->ring, geometry->ring_file_size);
  if (FAULTED(&guard)) {
    guard_end(&guard);
    fault(reader);
    return 0;
  }
  int rc = take_once(reader, geometry, evicted, buffer, cap, out);
  guard_end(&guard);
  return rc;
}

int reader_view_end(struct reader *reader, const struct geometry *geometry, uint64_t sequence) {
  struct guard guard;
  guard_begin(&guard, reader->ring, geometry->ring_file_size);
  if (FAULTED(&guard)) {
    guard_end(&guard);
    fault(reader);
    return 0;
  }
  struct slot *slot = slot_of(geometry, reader->ring, sequence);
  fence(memory_order_acquire);
  int whole = get(slot->lock) == (uint32_t)(2 * sequence + 2);
  if (whole) {
    took(reader, geometry, sequence);
  } else {
    add(reader->ack->overruns, 1);
    skip(reader, geometry, sequence, sequence + 1);
  }
  guard_end(&guard);
  return whole;
}

int reader_open(struct reader *reader, const struct geometry *geometry) {
  struct guard guard;
  guard_begin(&guard, reader->ring, geometry->ring_file_size);
  if (FAULTED(&guard)) {
    guard_end(&guard);
    fault(reader);
    return 0;
  }
  start_cursor(reader, geometry);
  guard_end(&guard);
  return 0;
}

bool reader_pending(struct reader *reader, const struct geometry *geometry) {
  if (is_lame(reader)) return false;
  return reader_lag(reader, geometry) != 0;
}

uint64_t reader_lag(struct reader *reader, const struct geometry *geometry) {
  struct guard guard;
  guard_begin(&guard, reader->ring, geometry->ring_file_size);
  if (FAULTED(&guard)) {
    guard_end(&guard);
    fault(reader);
    return 0;
  }
  uint64_t lag = head_of(reader) - get(reader->ack->cursor);
  guard_end(&guard);
  return lag;
}

bool reader_head(struct reader *reader, const struct geometry *geometry, uint32_t *seen) {
  if (is_lame(reader)) return false;
  struct guard guard;
  guard_begin(&guard, reader->ring, geometry->ring_file_size);
  if (FAULTED(&guard)) {
    guard_end(&guard);
    fault(reader);
    return false;
  }
  /* Acquire: a new head brings the new head64 with it, which the caller looks at next. */
  *seen = atomic_load_explicit(&reader->ring->head, memory_order_acquire);
  guard_end(&guard);
  return true;
}
