/* Sleeping and waking. Raw system calls: no C library wraps futex. */
#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define LINGER_MAX_US 1000
#define WORDS_MAX 128 /* FUTEX_WAITV_MAX */

/* Debian 12's headers have it; spelled out for older ones, since it is a kernel matter. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static uint64_t read_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_ns(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t clock_tick_ns(void) { return read_clock(CLOCK_MONOTONIC_COARSE); }

static struct timespec span(uint64_t ns) {
  return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

/* Shared, not private: waiter and waker are different processes, in different namespaces. */
int futex_wake(word32 *word) { return (int)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

static void doze(uint64_t ns) {
  struct timespec time = span(ns);
  nanosleep(&time, NULL);
}

void futex_wait(word32 *word, uint32_t seen, uint64_t ns) {
  struct timespec time = span(ns);
  /* EFAULT: the page is gone (a truncated ring). Sleep instead, so that the caller does not spin. */
  if (syscall(SYS_futex, word, FUTEX_WAIT, seen, &time, NULL, 0) < 0 && errno == EFAULT)
    doze(ns < POLL_MS * NS_PER_MS ? ns : POLL_MS * NS_PER_MS);
}

/* futex_waitv of Linux 5.16, its structure spelled out as above. */
struct wait_word {
  uint64_t value, address;
  uint32_t flags, reserved;
};
#define WAIT_32 2u
#define WAIT_PRIVATE 128u

static void wait_any(struct wait_word *words, unsigned n, uint64_t ns) {
  struct timespec until = span(clock_ns() + ns);
  if (n <= WORDS_MAX && syscall(SYS_futex_waitv, words, n, 0, &until, CLOCK_MONOTONIC) >= 0) return;
  /* Woken, changed or timed out: look again. Anything else (an older kernel, a profile, a lost page): poll. */
  if (n <= WORDS_MAX && (errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR)) return;
  doze(ns < POLL_MS * NS_PER_MS ? ns : POLL_MS * NS_PER_MS);
}

static bool any_pending(wipc_subscriber *const *subscribers, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (readers_pending(subscribers[i])) return true;
  return false;
}

static void say_awake(wipc_subscriber *const *subscribers, size_t n) {
  for (size_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < subscribers[i]->channel.geometry.publishers; j++) set(subscribers[i]->acks[j].waiting, 0);
}

/*
 * Collects the words to sleep on with what they hold now, and tells each publisher on which value: it wakes once for a
 * value, and not for the one it has just stored. -1: more words than one call can wait for.
 */
static int say_asleep(wipc_subscriber *const *subscribers, size_t n, struct wait_word *words) {
  int count = 0;
  for (size_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < subscribers[i]->channel.geometry.publishers; j++) {
      struct reader *reader = &subscribers[i]->reader[j];
      uint32_t seen;
      if (!reader_head(reader, &subscribers[i]->channel.geometry, &seen)) continue;
      set(subscribers[i]->acks[j].waiting, sleep_on(seen));
      if (count == WORDS_MAX - 1) return -1;
      words[count++] = (struct wait_word){seen, (uint64_t)(uintptr_t)&reader->ring->head, WAIT_32, 0};
    }
  return count;
}

static void sleep_once(wipc_subscriber *const *subscribers, size_t n, uint64_t ns, uint32_t *word, uint32_t seen) {
  struct wait_word words[WORDS_MAX];
  /* Heads are read before any_pending looks: what is published in between changes the word, and nobody sleeps on it. */
  int count = say_asleep(subscribers, n, words);
  /* Pairs with the fence of wipc_commit: either this sees the new head, or the publisher sees `waiting`. */
  fence(memory_order_seq_cst);
  if (any_pending(subscribers, n)) return;
  if (word != NULL) {
    if (count >= 0) words[count++] = (struct wait_word){seen, (uint64_t)(uintptr_t)word, WAIT_32 | WAIT_PRIVATE, 0};
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen) return;
  }
  if (count <= 0)
    doze(ns < POLL_MS * NS_PER_MS ? ns : POLL_MS * NS_PER_MS);
  else if (count == 1 && word == NULL)
    futex_wait((word32 *)(uintptr_t)words[0].address, (uint32_t)words[0].value, ns);
  else
    wait_any(words, (unsigned)count, ns);
}

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Of this process, found out once. 0 on a single processor: nobody could publish meanwhile. */
uint64_t linger_ns(void) {
  static _Atomic int64_t known = -1;
  int64_t ns = get(known);
  if (ns >= 0) return (uint64_t)ns;
  const char *text = getenv("WHERRY_IPC_LINGER_US");
  char *end = NULL;
  long us = text == NULL ? -1 : strtol(text, &end, 10);
  ns = end == NULL || end == text || *end != '\0' || us < 0 || us > LINGER_MAX_US ? LINGER_NS : us * 1000;
  cpu_set_t processors;
  if (sched_getaffinity(0, sizeof processors, &processors) == 0 && CPU_COUNT(&processors) < 2) ns = 0;
  set(known, ns);
  return (uint64_t)ns;
}

void relax_for(unsigned times) {
  while (times-- > 0) relax();
}

int wipc_linger(wipc_subscriber *const *subscribers, size_t n) {
  uint64_t ns = linger_ns();
  if (any_pending(subscribers, n)) return 1;
  if (ns == 0 || n == 0 || get(subscribers[0]->waits_are_short) == 0) return 0;
  uint64_t end = clock_ns() + ns;
  do
    if (wipc_spin(subscribers, n, LOOKS_A_TIME)) return 1;
  while (clock_ns() < end);
  return 0;
}

static void learn(wipc_subscriber *const *subscribers, size_t n, bool was_short) {
  for (size_t i = 0; i < n; i++) set(subscribers[i]->waits_are_short, was_short);
}

int wipc_wait_or(wipc_subscriber *const *subscribers, size_t n, int timeout_ms, uint32_t *word, uint32_t seen) {
  if (n > 0 && subscribers == NULL) return WIPC_EINVAL;
  bool lingers = word == NULL && timeout_ms != 0;
  if (lingers ? wipc_linger(subscribers, n) : any_pending(subscribers, n)) return 1;
  uint64_t start = clock_ns();
  uint64_t end = timeout_ms < 0 ? UINT64_MAX : start + (uint64_t)timeout_ms * NS_PER_MS;
  int ready = 0;
  for (;;) {
    uint64_t now = clock_ns();
    if (now >= end) break;
    uint64_t ns = end - now < WAIT_CAP_MS * NS_PER_MS ? end - now : WAIT_CAP_MS * NS_PER_MS;
    sleep_once(subscribers, n, ns, word, seen);
    if ((ready = any_pending(subscribers, n)) != 0) break;
    if (word != NULL && __atomic_load_n(word, __ATOMIC_ACQUIRE) != seen) break;
  }
  say_awake(subscribers, n);
  learn(subscribers, n, ready != 0 && clock_ns() - start < SOON_NS);
  return ready;
}

int wipc_wait(wipc_subscriber *const *subscribers, size_t n, int timeout_ms) {
  return wipc_wait_or(subscribers, n, timeout_ms, NULL, 0);
}

void wipc_wake_word(uint32_t *word) {
  __atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

int wipc_spin(wipc_subscriber *const *subscribers, size_t n, unsigned spins) {
  for (unsigned i = 0; i < spins; i++) {
    if (any_pending(subscribers, n)) return 1;
    relax();
  }
  return 0;
}
