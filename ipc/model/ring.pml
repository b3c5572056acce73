/*
 * The ring of a channel: publish, take, sleep, wake, and a publisher that is killed at any step and starts again.
 * test/contract/ipc-model.test.ts searches every interleaving with spin, and shows that each of the broken variants
 * below is caught. Steps are those of ipc/c/publisher.c, reader.c and wait.c.
 *
 * Memory is weaker than any supported processor's: each process's stores wait in a buffer and reach memory in any order
 * that C11 allows (same word: in order; a release store: after all before it; after a release fence: after all before
 * the fence; a seq_cst fence: the buffer is empty), and loads between two fences happen in any order. Sleeping has no
 * timeout here, so a lost wake-up is a state from which nothing goes on, which spin reports.
 *
 *   SPURIOUS           a sleeper may wake once for no reason, as it does every 250 ms
 *   RELIABLE           the publisher waits for room
 *   LOOK_EVERY         RELIABLE: takes between looks whether it waits; the code's is a quarter of a ring
 *   NO_RELEASE_FENCE   payload may become visible before the odd lock
 *   NO_ACQUIRE_FENCE   the lock may be looked at again before the payload is read
 *   NO_SECOND_LOOK     the copy is used without looking at the lock again
 *   NO_WAKE_FENCE      the publisher may look who waits before its new head is visible
 *   NO_SLEEP_FENCE     the subscriber may look at the head before its flag is visible
 *   WAKE_ONCE_A_SLEEP  `waiting` counts sleeps instead of naming the head: a wake may come before the sleep it is for
 *   NO_ROOM_FENCE      RELIABLE: the subscriber may look whether the publisher waits before its cursor is visible
 */
#ifndef DEPTH
#define DEPTH 2
#endif
#ifndef LOOK_EVERY
#define LOOK_EVERY 1
#endif
#ifndef MESSAGES
#define MESSAGES 4
#endif

#define LOCK(n) ((n) % DEPTH)
#define FIRST(n) (DEPTH + (n) % DEPTH)     /* two words of payload, which must belong together */
#define SECOND(n) (2 * DEPTH + (n) % DEPTH)
#define HEAD64 (3 * DEPTH)
#define HEAD (3 * DEPTH + 1)
#define WAITING (3 * DEPTH + 2)
#define CURSOR (3 * DEPTH + 3)
#define PUBLISHER_WAITING (3 * DEPTH + 4)
#define WORDS (3 * DEPTH + 5)

byte memory[WORDS];

#define P 0
#define S 1
#define CAPACITY 6
typedef Stores {
  byte count;
  byte group; /* grows with each release fence */
  byte word[CAPACITY];
  byte value[CAPACITY];
  byte after[CAPACITY]; /* the group it belongs to */
  bit release[CAPACITY];
}
Stores pending[2];

bit asleep, publisher_asleep;
byte restarts;

#define store(who, what, new, is_release) \
  d_step { \
    pending[who].count < CAPACITY -> \
    pending[who].word[pending[who].count] = what; \
    pending[who].value[pending[who].count] = new; \
    pending[who].after[pending[who].count] = pending[who].group; \
    pending[who].release[pending[who].count] = is_release; \
    pending[who].count++ \
  }
#define release_fence(who) d_step { if :: pending[who].count > 0 -> pending[who].group++ :: else fi }
#define seq_cst_fence(who) pending[who].count == 0

/* Lets store `chosen` of `who` reach memory, if the rules let it. */
inline flush(who, chosen) {
  d_step {
    may = 1;
    other = 0;
    do
    :: other < chosen ->
      if
      :: pending[who].word[other] == pending[who].word[chosen] || pending[who].release[chosen] ||
         pending[who].after[other] < pending[who].after[chosen] -> may = 0
      :: else
      fi;
      other++
    :: else -> break
    od;
    if
    :: may ->
      memory[pending[who].word[chosen]] = pending[who].value[chosen];
      pending[who].count--;
      other = chosen;
      do
      :: other < pending[who].count ->
        pending[who].word[other] = pending[who].word[other + 1];
        pending[who].value[other] = pending[who].value[other + 1];
        pending[who].after[other] = pending[who].after[other + 1];
        pending[who].release[other] = pending[who].release[other + 1];
        other++
      :: else -> break
      od;
      /* What is empty looks the same however it came to be: fewer states. */
      pending[who].word[other] = 0; pending[who].value[other] = 0;
      pending[who].after[other] = 0; pending[who].release[other] = 0;
      if :: pending[who].count == 0 -> pending[who].group = 0 :: else fi
    :: else
    fi;
    may = 0; other = 0; at = 0
  }
}

active proctype Memory() {
  byte may, other, at;
end:
  do
  :: atomic { pending[P].count > 0 -> at = 0; do :: at + 1 < pending[P].count -> at++ :: break od; flush(P, at) }
  :: atomic { pending[S].count > 0 -> at = 0; do :: at + 1 < pending[S].count -> at++ :: break od; flush(S, at) }
  od
}

#ifdef WAKE_ONCE_A_SLEEP
#define sleep_on(head) (sleeps)
#define nothing_new(head) false
#else
#define sleep_on(head) (2 * (head) + 1)
#define nothing_new(head) (waiting == sleep_on(head))
#endif

#define wake_if_waiting \
  waiting = memory[WAITING]; \
  if \
  :: waiting == 0 || waiting == woken || nothing_new(n) -> waiting = 0 \
  :: else -> atomic { woken = waiting; waiting = 0; asleep = 0 } \
  fi

/* kill -9 here, once. What it has stored still reaches memory. */
#define or_die if :: restarts < 1 -> restarts++; goto start :: true fi

active proctype Publisher() {
  byte n, waiting, woken, cursor, room;
start:
  seq_cst_fence(P);
  atomic { n = memory[HEAD64]; woken = 0; waiting = 0; cursor = 0; room = 0 }
  store(P, PUBLISHER_WAITING, 0, 0);
  store(P, HEAD, n, 1);
  seq_cst_fence(P);
  wake_if_waiting;
  do
  :: n < MESSAGES ->
#ifdef RELIABLE
    do
    :: n < room -> break
    :: n >= room && n - memory[CURSOR] < DEPTH -> room = memory[CURSOR] + DEPTH; break
    :: n >= room && n - memory[CURSOR] >= DEPTH ->
      store(P, PUBLISHER_WAITING, 1, 0);
      seq_cst_fence(P);
      cursor = memory[CURSOR];
      if
      :: n - cursor >= DEPTH ->
        if
        :: atomic { memory[CURSOR] == cursor -> publisher_asleep = 1 };
          !publisher_asleep
        :: memory[CURSOR] != cursor
        fi
      :: else
      fi;
      cursor = 0;
      store(P, PUBLISHER_WAITING, 0, 0)
    od;
    or_die;
#endif
    store(P, LOCK(n), 2 * n + 1, 0);
    or_die;
#ifndef NO_RELEASE_FENCE
    release_fence(P);
#endif
    store(P, FIRST(n), n + 1, 0);
    or_die;
    store(P, SECOND(n), n + 1, 0);
    store(P, LOCK(n), 2 * n + 2, 1);
    or_die;
    store(P, HEAD64, n + 1, 1);
    or_die;
    store(P, HEAD, n + 1, 1);
    n++;
    or_die;
#ifndef NO_WAKE_FENCE
    seq_cst_fence(P);
#endif
    wake_if_waiting
  :: n == MESSAGES -> break
  od
}

#ifdef NO_ACQUIRE_FENCE
#define look_again true
#else
#define look_again (seen_first && seen_second)
#endif

/* Loads of the payload in any order, the second look at the lock where its fence puts it. */
#define copy \
  do \
  :: !seen_first -> first = memory[FIRST(n)]; seen_first = 1 \
  :: !seen_second -> second = memory[SECOND(n)]; seen_second = 1 \
  :: !seen_lock && look_again -> again = memory[LOCK(n)]; seen_lock = 1 \
  :: seen_first && seen_second && seen_lock -> break \
  od

#ifdef RELIABLE
#ifdef NO_ROOM_FENCE
#define room_fence true
#else
#define room_fence seq_cst_fence(S)
#endif
#define set_cursor \
  store(S, CURSOR, n, 1); \
  if \
  :: n < known && n % LOOK_EVERY != 0 \
  :: else -> \
    room_fence; \
    if \
    :: memory[PUBLISHER_WAITING] == 1 -> \
      if :: memory[HEAD64] - n <= DEPTH / 2 -> publisher_asleep = 0 :: else fi \
    :: else \
    fi \
  fi
#else
#define set_cursor skip
#endif

active proctype Subscriber() {
  byte n; /* the cursor */
  byte known; /* a head that was seen */
  byte head, lock, again, first, second;
  bit seen_first, seen_second, seen_lock;
#ifdef WAKE_ONCE_A_SLEEP
  byte sleeps;
#endif
#ifdef SPURIOUS
  byte spurious;
#endif
  do
  :: n == MESSAGES -> break
  :: n < MESSAGES ->
    if
    :: n < known -> head = known
    :: else -> head = memory[HEAD64]; known = head
    fi;
    if
    :: head == n ->
      head = memory[HEAD];
#ifdef WAKE_ONCE_A_SLEEP
      sleeps++;
#endif
      store(S, WAITING, sleep_on(head), 0);
#ifndef NO_SLEEP_FENCE
      seq_cst_fence(S);
#endif
      if
      :: memory[HEAD64] != n
      :: memory[HEAD64] == n ->
        if
        :: atomic { memory[HEAD] == head -> asleep = 1 };
          if
          :: !asleep
#ifdef SPURIOUS
          :: spurious < 1 -> atomic { spurious++; asleep = 0 }
#endif
          fi
        :: memory[HEAD] != head
        fi
      fi;
      store(S, WAITING, 0, 0)
    :: else ->
#ifdef RELIABLE
      assert(head - n <= DEPTH);
#endif
      if
      :: head - n > DEPTH -> n = head - DEPTH / 2
      :: else
      fi;
      lock = memory[LOCK(n)];
      if
      :: lock == 2 * n + 2 -> copy
      :: else
      fi;
#ifdef NO_SECOND_LOOK
      again = lock;
#endif
      if
      :: lock == 2 * n + 2 && again == lock ->
        /* What is given is one whole message, and the one that was asked for. */
        assert(first == n + 1 && second == n + 1);
        n++;
        set_cursor
      :: else ->
        head = memory[HEAD64];
        known = head;
#ifdef RELIABLE
        assert(false); /* nothing is overwritten that has not been taken */
#endif
        /* An honest publisher, killed or not, only overwrites what its head says it does. */
        assert(head - n >= DEPTH);
        n = head - DEPTH / 2
      fi
    fi;
    atomic { head = 0; lock = 0; again = 0; first = 0; second = 0; seen_first = 0; seen_second = 0; seen_lock = 0 }
  od
}
