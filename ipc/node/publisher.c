/* Publishing. A wait for a slow subscriber happens in a thread of the pool, never in the event loop unless asked for. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

struct publisher {
  struct home *home;
  struct publisher *next;
  wipc_publisher *handle; /* NULL: closed */
  /* A send() under way: the pool's thread owns the handle. */
  napi_async_work work; /* NULL: none */
  napi_deferred promise;
  napi_ref data; /* keeps the bytes where they are */
  const void *bytes;
  size_t length;
  uint32_t type;
  int timeout_ms, result;
  /* Whether the message goes out is settled once: by abort(), or by the thread when there is room. */
  int is_settled;
  bool shall_close;
};

static void close_now(struct publisher *publisher) {
  if (publisher->handle == NULL) return;
  wipc_publisher_close(publisher->handle);
  publisher->handle = NULL;
  struct publisher **at = &publisher->home->publishers;
  while (*at != publisher) at = &(*at)->next;
  *at = publisher->next;
}

static void close_or_mark(struct publisher *publisher) {
  if (publisher->work == NULL) close_now(publisher);
  else publisher->shall_close = true;
}

void publishers_close(struct home *home) {
  for (struct publisher *p = home->publishers, *next; p != NULL; p = next) {
    next = p->next;
    close_or_mark(p);
  }
}

static void collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct publisher *publisher = data;
  struct home *home = publisher->home;
  close_now(publisher);
  free(publisher);
  home_release(home);
}

static struct publisher *publisher_of(napi_env env, napi_value value) {
  void *publisher = NULL;
  return napi_get_value_external(env, value, &publisher) == napi_ok ? publisher : NULL;
}

/* publisherOpen(dir?, service?, channel): a handle, or a code. */
static napi_value publisher_open(napi_env env, napi_callback_info info) {
  napi_value argv[3], result;
  struct home *home = arguments(env, info, 3, argv);
  char dir[4096], service[WIPC_NAME_MAX], channel[WIPC_NAME_MAX];
  wipc_publisher *handle = NULL;
  const char *name = text_of(env, argv[2], channel, sizeof channel);
  int rc = name == NULL ? WIPC_EINVAL
                        : wipc_publisher_open(text_of(env, argv[0], dir, sizeof dir),
                                              text_of(env, argv[1], service, sizeof service), name, &handle);
  if (rc != 0) return code(env, home, rc);
  struct publisher *publisher = calloc(1, sizeof *publisher);
  if (publisher == NULL || napi_create_external(env, publisher, collected, NULL, &result) != napi_ok) {
    wipc_publisher_close(handle);
    free(publisher);
    return number(env, WIPC_ENOMEM);
  }
  publisher->home = home;
  publisher->handle = handle;
  publisher->next = home->publishers;
  home->publishers = publisher;
  home->users++;
  return result;
}

static napi_value publisher_info(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  arguments(env, info, 1, argv);
  struct publisher *publisher = publisher_of(env, argv[0]);
  if (publisher == NULL || publisher->handle == NULL) return NULL;
  wipc_info it;
  wipc_publisher_info(publisher->handle, &it);
  return info_object(env, &it);
}

/* publish(handle, data, type, timeoutMs): a code. */
static napi_value publish(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  struct home *home = arguments(env, info, 4, argv);
  struct publisher *publisher = publisher_of(env, argv[0]);
  void *bytes = NULL;
  size_t length = 0;
  uint32_t type = 0;
  if (publisher == NULL || publisher->handle == NULL || publisher->work != NULL ||
      napi_get_buffer_info(env, argv[1], &bytes, &length) != napi_ok)
    return number(env, WIPC_EINVAL);
  napi_get_value_uint32(env, argv[2], &type);
  return code(env, home, wipc_publish(publisher->handle, bytes == NULL ? "" : bytes, length, type, int_of(env, argv[3])));
}

/* reserve(handle, length, timeoutMs): the slot as an ArrayBuffer until commit, or a code. */
static napi_value reserve(napi_env env, napi_callback_info info) {
  napi_value argv[3], result;
  struct home *home = arguments(env, info, 3, argv);
  struct publisher *publisher = publisher_of(env, argv[0]);
  uint32_t length = 0;
  void *payload = NULL;
  if (publisher == NULL || publisher->handle == NULL || publisher->work != NULL) return number(env, WIPC_EINVAL);
  napi_get_value_uint32(env, argv[1], &length);
  int rc = wipc_reserve(publisher->handle, length, int_of(env, argv[2]), &payload);
  if (rc != 0) return code(env, home, rc);
  if (napi_create_external_arraybuffer(env, payload, length, NULL, NULL, &result) != napi_ok)
    return number(env, WIPC_ENOMEM);
  return result;
}

/* commit(handle, arrayBuffer, length, type): a code. length -1: only take the slot away from JavaScript. */
static napi_value commit(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  struct home *home = arguments(env, info, 4, argv);
  struct publisher *publisher = publisher_of(env, argv[0]);
  uint32_t type = 0;
  int32_t length = int_of(env, argv[2]);
  TRY(napi_detach_arraybuffer(env, argv[1]));
  if (publisher == NULL || publisher->handle == NULL) return number(env, WIPC_EINVAL);
  if (length < 0) return number(env, 0);
  napi_get_value_uint32(env, argv[3], &type);
  return code(env, home, wipc_commit(publisher->handle, (size_t)length, type));
}

/* In a thread of the pool. */
static void send_in_pool(napi_env env, void *data) {
  (void)env;
  struct publisher *p = data;
  void *payload = NULL;
  p->result = wipc_reserve(p->handle, p->length, p->timeout_ms, &payload);
  if (__atomic_exchange_n(&p->is_settled, 1, __ATOMIC_ACQ_REL) != 0) p->result = WIPC_EAGAIN;
  /* A reservation that is not committed is invisible. */
  if (p->result != 0) return;
  memcpy(payload, p->bytes, p->length);
  p->result = wipc_commit(p->handle, p->length, p->type);
}

static void sent(napi_env env, napi_status status, void *data) {
  struct publisher *p = data;
  napi_delete_async_work(env, p->work);
  p->work = NULL;
  napi_delete_reference(env, p->data);
  napi_value result = number(env, status == napi_ok ? p->result : WIPC_EAGAIN);
  if (p->shall_close) close_now(p);
  if (result != NULL) napi_resolve_deferred(env, p->promise, result);
}

/* send(handle, data, type, timeoutMs): a promise of a code. */
static napi_value send_later(napi_env env, napi_callback_info info) {
  napi_value argv[4], name, promise;
  arguments(env, info, 4, argv);
  struct publisher *p = publisher_of(env, argv[0]);
  void *bytes = NULL;
  if (p == NULL || p->handle == NULL || p->work != NULL ||
      napi_get_buffer_info(env, argv[1], &bytes, &p->length) != napi_ok)
    return number(env, WIPC_EINVAL);
  p->bytes = bytes == NULL ? "" : bytes;
  p->timeout_ms = int_of(env, argv[3]);
  p->is_settled = 0;
  napi_get_value_uint32(env, argv[2], &p->type);
  TRY(napi_create_string_utf8(env, "wherry-ipc send", NAPI_AUTO_LENGTH, &name));
  TRY(napi_create_promise(env, &p->promise, &promise));
  TRY(napi_create_reference(env, argv[1], 1, &p->data));
  TRY(napi_create_async_work(env, argv[0], name, send_in_pool, sent, p, &p->work));
  TRY(napi_queue_async_work(env, p->work));
  return promise;
}

/* abort(handle): true when the message of send() will not go out any more. */
static napi_value abort_send(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  arguments(env, info, 1, argv);
  struct publisher *p = publisher_of(env, argv[0]);
  bool is_stopped = p != NULL && p->work != NULL && __atomic_exchange_n(&p->is_settled, 1, __ATOMIC_ACQ_REL) == 0;
  TRY(napi_get_boolean(env, is_stopped, &result));
  return result;
}

static napi_value publisher_stats(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct home *home = arguments(env, info, 1, argv);
  struct publisher *publisher = publisher_of(env, argv[0]);
  wipc_publisher_stats stats;
  int rc = publisher == NULL || publisher->handle == NULL ? WIPC_EINVAL
                                                          : wipc_publisher_stat(publisher->handle, &stats);
  if (rc != 0) return code(env, home, rc);
  TRY(napi_create_object(env, &result));
  put_number(env, result, "published", (double)stats.published);
  put_number(env, result, "bytes", (double)stats.bytes);
  put_number(env, result, "dropped", (double)stats.dropped);
  put_number(env, result, "blocked", (double)stats.blocked);
  put_number(env, result, "wakes", (double)stats.wakes);
  put_number(env, result, "epoch", stats.epoch);
  return result;
}

static napi_value publisher_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  arguments(env, info, 1, argv);
  struct publisher *publisher = publisher_of(env, argv[0]);
  if (publisher != NULL) close_or_mark(publisher);
  return NULL;
}

const struct method publisher_methods[] = {
    {"publisherOpen", publisher_open},   {"publisherInfo", publisher_info}, {"publish", publish},
    {"reserve", reserve},                {"commit", commit},                {"send", send_later},
    {"abort", abort_send},               {"publisherStats", publisher_stats},
    {"publisherClose", publisher_close}, {NULL, NULL}};
