/*
 * One thread a process, from the first wait to the end of the process; it sleeps for good where nobody waits. It only
 * wakes event loops; messages are taken by the loops themselves. A subscriber is armed by its loop when it found nothing, and disarmed
 * when it has something: a loop that is busy is not woken again.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "addon.h"

#define IDS_MAX 64 /* told in one call; what is left makes another */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER; /* somebody is armed */
static pthread_cond_t looked = PTHREAD_COND_INITIALIZER;  /* back from sleep */
static struct subscriber *all;
static uint32_t word; /* changes whenever the sleeper shall look at the list again */
static bool runs, sleeps;

static void rouse(void) {
  if (sleeps) wipc_wake_word(&word);
  pthread_cond_signal(&changed);
}

static void wake_home(struct home *home) {
  if (home->is_woken || home->wake == NULL) return;
  home->is_woken = napi_call_threadsafe_function(home->wake, NULL, napi_tsfn_nonblocking) == napi_ok;
}

/* The armed ones into *list, which grows. */
static size_t collect(wipc_subscriber ***list, size_t *cap) {
  size_t n = 0;
  for (struct subscriber *s = all; s != NULL; s = s->next_waited) {
    if (!s->is_armed) continue;
    if (n == *cap) {
      size_t more = *cap == 0 ? 16 : *cap * 2;
      wipc_subscriber **grown = realloc(*list, more * sizeof *grown);
      if (grown == NULL) return n; /* the others have their turn when these are disarmed */
      *list = grown;
      *cap = more;
    }
    s->is_slept_on = true;
    (*list)[n++] = s->handle;
  }
  return n;
}

static void tell(void) {
  for (struct subscriber *s = all; s != NULL; s = s->next_waited) {
    if (!s->is_slept_on) continue;
    s->is_slept_on = false;
    if (!s->is_armed || !wipc_spin(&s->handle, 1, 1)) continue;
    s->is_armed = false;
    s->is_ready = true;
    wake_home(s->home);
  }
}

static void *run(void *unused) {
  wipc_subscriber **list = NULL;
  size_t cap = 0;
  pthread_mutex_lock(&lock);
  for (;;) {
    uint32_t seen = __atomic_load_n(&word, __ATOMIC_ACQUIRE);
    size_t n = collect(&list, &cap);
    if (n == 0) {
      pthread_cond_wait(&changed, &lock);
      continue;
    }
    sleeps = true;
    pthread_mutex_unlock(&lock);
    wipc_wait_or(list, n, -1, &word, seen);
    pthread_mutex_lock(&lock);
    sleeps = false;
    tell();
    pthread_cond_broadcast(&looked);
  }
  return unused;
}

static int start(void) {
  sigset_t all_signals, before;
  sigfillset(&all_signals);
  /* The process's signals are for its loops; the library's guard needs the faults of this thread. */
  sigdelset(&all_signals, SIGBUS);
  sigdelset(&all_signals, SIGSEGV);
  pthread_sigmask(SIG_SETMASK, &all_signals, &before);
  pthread_t thread;
  runs = pthread_create(&thread, NULL, run, NULL) == 0;
  if (runs) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return runs ? 0 : -1;
}

int waiter_arm(struct subscriber *subscriber) {
  pthread_mutex_lock(&lock);
  int rc = runs ? 0 : start();
  if (rc == 0) {
    subscriber->is_armed = true;
    subscriber->is_ready = false;
    rouse();
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

void waiter_add(struct subscriber *subscriber) {
  pthread_mutex_lock(&lock);
  subscriber->next_waited = all;
  all = subscriber;
  pthread_mutex_unlock(&lock);
}

void waiter_remove(struct subscriber *subscriber) {
  pthread_mutex_lock(&lock);
  subscriber->is_armed = false;
  subscriber->is_ready = false;
  /* It may sleep on these rings: they must not be unmapped before it is back. */
  while (sleeps && subscriber->is_slept_on) {
    rouse();
    pthread_cond_wait(&looked, &lock);
  }
  struct subscriber **at = &all;
  while (*at != subscriber) at = &(*at)->next_waited;
  *at = subscriber->next_waited;
  pthread_mutex_unlock(&lock);
}

/* In the loop of an environment. */
static void dispatch(napi_env env, napi_value js_dispatch, void *context, void *data) {
  struct home *home = context;
  (void)data;
  uint32_t ids[IDS_MAX];
  size_t n = 0;
  pthread_mutex_lock(&lock);
  home->is_woken = false;
  for (struct subscriber *s = all; s != NULL; s = s->next_waited) {
    if (s->home != home || !s->is_ready) continue;
    if (n == IDS_MAX) {
      wake_home(home);
      break;
    }
    s->is_ready = false;
    ids[n++] = s->id;
  }
  pthread_mutex_unlock(&lock);
  if (env == NULL || js_dispatch == NULL || n == 0) return;
  napi_value argv[IDS_MAX], undefined;
  for (size_t i = 0; i < n; i++)
    if (napi_create_uint32(env, ids[i], &argv[i]) != napi_ok) return;
  if (napi_get_undefined(env, &undefined) == napi_ok)
    napi_call_function(env, undefined, js_dispatch, n, argv, NULL);
}

napi_status waiter_join(struct home *home, napi_value js_dispatch) {
  napi_value name;
  napi_status status = napi_create_string_utf8(home->env, "wherry-ipc", NAPI_AUTO_LENGTH, &name);
  if (status == napi_ok)
    status = napi_create_threadsafe_function(home->env, js_dispatch, NULL, name, 0, 1, NULL, NULL, home, dispatch,
                                             &home->wake);
  /* Only a wait that index.js has under way keeps the process. */
  if (status == napi_ok) status = napi_unref_threadsafe_function(home->env, home->wake);
  return status;
}

void waiter_leave(struct home *home) {
  pthread_mutex_lock(&lock);
  napi_threadsafe_function wake = home->wake;
  home->wake = NULL;
  pthread_mutex_unlock(&lock);
  if (wake != NULL) napi_release_threadsafe_function(wake, napi_tsfn_abort);
}
