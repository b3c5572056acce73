/*
 * The one data race of the library, on purpose: a reader copies a payload that its publisher may be overwriting. What
 * it copied is used only if the slot's lock is the same before and after (a sequence lock), so a torn copy is never
 * seen. C11 has no word for "racy but checked" other than relaxed atomics; the shipped build uses memcpy, which on
 * every supported target is loads and stores that the fences around it order, and the build for ThreadSanitizer uses
 * relaxed atomic words, so that this race is declared and every other one is still reported.
 */
#include "internal.h"

#include <string.h>

#if defined(__SANITIZE_THREAD__)

static void copy_words(unsigned char *to, const unsigned char *from, size_t length) {
  /* Slots are 64-byte aligned, callers' buffers need not be: bytes keep it simple, speed is not the point here. */
  for (size_t i = 0; i < length; i++)
    __atomic_store_n(to + i, __atomic_load_n(from + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

void copy_in(void *slot, const void *from, size_t length) { copy_words(slot, from, length); }
void copy_out(void *to, const void *slot, size_t length) { copy_words(to, slot, length); }

/* ThreadSanitizer knows no fences (gcc: -Wtsan). They are proved by the model and the argument in docs/channels.md. */
void fence(memory_order order) {
  (void)order;
  __sync_synchronize();
}

#else

void copy_in(void *slot, const void *from, size_t length) {
  if (length > 0) memcpy(slot, from, length);
}
void copy_out(void *to, const void *slot, size_t length) {
  if (length > 0) memcpy(to, slot, length);
}
void fence(memory_order order) { atomic_thread_fence(order); }

#endif
