/* What the parts of the addon share. index.js is the only caller: it checks arguments and turns codes into errors. */
#ifndef WHERRY_IPC_ADDON_H
#define WHERRY_IPC_ADDON_H

#include <node_api.h>
#include <stdbool.h>

#include "../c/wherry_ipc.h"

struct subscriber;
struct publisher;

/* One for each JavaScript environment: the main thread, and each worker thread that loads the addon. */
struct home {
  napi_env env;
  unsigned users; /* the environment itself and each handle that has not been collected; freed with the last */
  int error;      /* errno of the last WIPC_ESYSTEM */
  struct subscriber *subscribers; /* open ones */
  struct publisher *publishers;
  /* Below: under the waiter's lock. */
  napi_threadsafe_function wake; /* NULL once the environment ends */
  bool is_woken;                 /* a call is under way; it will see everything that is ready by then */
};

void home_release(struct home *home);

/* A failed call of Node-API leaves an exception pending; what is returned then is not looked at. */
#define TRY(call)                        \
  do {                                   \
    if ((call) != napi_ok) return NULL;  \
  } while (0)

/* Arguments into `argv`, missing ones are undefined. */
struct home *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *argv);
napi_value number(napi_env env, double value);
/* For a code of the library: kept for describe(). */
napi_value code(napi_env env, struct home *home, int value);
int32_t int_of(napi_env env, napi_value value);
/* A string of at most WIPC_NAME_MAX bytes, or NULL for undefined; `space` holds it. */
const char *text_of(napi_env env, napi_value value, char *space, size_t size);
napi_value info_object(napi_env env, const wipc_info *info);
void put_number(napi_env env, napi_value object, const char *name, double value);
void put_text(napi_env env, napi_value object, const char *name, const char *value);

struct method {
  const char *name;
  napi_callback call;
};
extern const struct method publisher_methods[], subscriber_methods[];

void publishers_close(struct home *home);
void subscribers_close(struct home *home);

/* ---- waiter.c: one thread of the process sleeps for the subscribers of all environments ---- */

struct subscriber {
  struct home *home;
  struct subscriber *next; /* in home->subscribers */
  wipc_subscriber *handle; /* NULL: closed */
  uint32_t id;
  /* Below: under the waiter's lock. */
  struct subscriber *next_waited;
  bool is_armed, is_slept_on, is_ready;
};

/* Creates home->wake; `dispatch` is called with the ids of subscribers that have messages. */
napi_status waiter_join(struct home *home, napi_value dispatch);
void waiter_leave(struct home *home);
void waiter_add(struct subscriber *subscriber);
/* When it returns, the waiter does not touch the subscriber any more. */
void waiter_remove(struct subscriber *subscriber);
/* Calls dispatch once when there is a message. -1: no thread could be started. */
int waiter_arm(struct subscriber *subscriber);

#endif
