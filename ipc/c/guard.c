/*
 * A publisher that truncates its ring makes readers of the lost pages fault (SIGBUS), until the agent has set the file
 * right. This keeps the reader alive: while a guard is set, a fault inside its memory jumps back to where it was set.
 * Every other fault goes to the handler that was there before.
 */
#include "internal.h"

#include <signal.h>
#include <string.h>

/* Initial-exec: reading it in the handler must not allocate. One pointer, so it fits where a library is dlopened. */
__attribute__((tls_model("initial-exec"))) _Thread_local struct guard *guard_now;

static struct sigaction before;

static void pass_on(int signal, siginfo_t *info, void *context) {
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(signal, info, context);
    return;
  }
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
    return;
  }
  /* Returning runs the faulting instruction again, now with the default action: the process ends as it would have. */
  sigaction(SIGBUS, &before, NULL);
}

static void on_bus(int signal, siginfo_t *info, void *context) {
  struct guard *guard = guard_now;
  uintptr_t at = (uintptr_t)info->si_addr;
  if (guard != NULL && info->si_code > 0 && at >= guard->from && at < guard->to) siglongjmp(guard->back, 1);
  /* The host's handler may jump out of us for good: then no guard of ours is left. */
  guard_now = NULL;
  pass_on(signal, info, context);
  guard_now = guard;
}

/* Once for the process, and never again: a handler set after ours that passes on to ours must not become `before`. */
void guard_install(void) {
  static atomic_flag done = ATOMIC_FLAG_INIT;
  if (atomic_flag_test_and_set(&done)) return;
  struct sigaction ours;
  memset(&ours, 0, sizeof ours);
  ours.sa_sigaction = on_bus;
  /* NODEFER: the jump leaves the handler without restoring the mask. ONSTACK: hosts such as Go and Node use one. */
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&ours.sa_mask);
  sigaction(SIGBUS, &ours, &before);
}
