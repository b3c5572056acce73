/* Subscribing. Messages are taken in the event loop's own thread, many in one call. */
#include <stdlib.h>

#include "addon.h"

#define ALIGN 8u /* where messages begin in a batch, for typed arrays over them */
/* What is told of a message, in numbers; index.js has the same list. */
enum { OFFSET, LENGTH, TYPE, PUBLISHER, EPOCH, LOST, SEQUENCE, SECONDS, NANOSECONDS, FIELDS };
#define NS_PER_S 1000000000u

static void close_now(struct subscriber *subscriber) {
  if (subscriber->handle == NULL) return;
  waiter_remove(subscriber);
  wipc_subscriber_close(subscriber->handle);
  subscriber->handle = NULL;
  struct subscriber **at = &subscriber->home->subscribers;
  while (*at != subscriber) at = &(*at)->next;
  *at = subscriber->next;
}

void subscribers_close(struct home *home) {
  while (home->subscribers != NULL) close_now(home->subscribers);
}

static void collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct subscriber *subscriber = data;
  struct home *home = subscriber->home;
  close_now(subscriber);
  free(subscriber);
  home_release(home);
}

static struct subscriber *subscriber_of(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok) return NULL;
  struct subscriber *subscriber = data;
  return subscriber->handle == NULL ? NULL : subscriber;
}

/* subscriberOpen(dir?, service?, channel, id): a handle, or a code. dispatch tells the id. */
static napi_value subscriber_open(napi_env env, napi_callback_info info) {
  napi_value argv[4], result;
  struct home *home = arguments(env, info, 4, argv);
  char dir[4096], service[WIPC_NAME_MAX], channel[WIPC_NAME_MAX];
  wipc_subscriber *handle = NULL;
  const char *name = text_of(env, argv[2], channel, sizeof channel);
  int rc = name == NULL ? WIPC_EINVAL
                        : wipc_subscriber_open(text_of(env, argv[0], dir, sizeof dir),
                                               text_of(env, argv[1], service, sizeof service), name, &handle);
  if (rc != 0) return code(env, home, rc);
  struct subscriber *subscriber = calloc(1, sizeof *subscriber);
  if (subscriber == NULL || napi_create_external(env, subscriber, collected, NULL, &result) != napi_ok) {
    wipc_subscriber_close(handle);
    free(subscriber);
    return number(env, WIPC_ENOMEM);
  }
  napi_get_value_uint32(env, argv[3], &subscriber->id);
  subscriber->home = home;
  subscriber->handle = handle;
  subscriber->next = home->subscribers;
  home->subscribers = subscriber;
  home->users++;
  waiter_add(subscriber);
  return result;
}

/* As of wipc_info; publisherNames as well. */
static napi_value subscriber_info(napi_env env, napi_callback_info info) {
  napi_value argv[1], names, name;
  arguments(env, info, 1, argv);
  struct subscriber *subscriber = subscriber_of(env, argv[0]);
  if (subscriber == NULL) return NULL;
  wipc_info it;
  wipc_subscriber_info(subscriber->handle, &it);
  napi_value result = info_object(env, &it);
  TRY(napi_create_array_with_length(env, it.publishers, &names));
  for (uint32_t i = 0; i < it.publishers; i++) {
    TRY(napi_create_string_utf8(env, wipc_subscriber_publisher(subscriber->handle, i), NAPI_AUTO_LENGTH, &name));
    TRY(napi_set_element(env, names, i, name));
  }
  TRY(napi_set_named_property(env, result, "publisherNames", names));
  return result;
}

static void tell(double *fields, const wipc_message *message, size_t offset) {
  fields[OFFSET] = (double)offset;
  fields[LENGTH] = message->length;
  fields[TYPE] = message->type;
  fields[PUBLISHER] = message->publisher;
  fields[EPOCH] = message->epoch;
  fields[LOST] = (double)message->lost;
  fields[SEQUENCE] = (double)message->sequence;
  /* Two numbers: in one, nanoseconds lose digits after 104 days of uptime. */
  fields[SECONDS] = (double)(message->timestamp_ns / NS_PER_S);
  fields[NANOSECONDS] = (double)(message->timestamp_ns % NS_PER_S);
}

/* Room for messages in a Float64Array of FIELDS numbers each. */
static double *fields_of(napi_env env, napi_value array, size_t *messages) {
  napi_typedarray_type type;
  size_t length = 0;
  void *data = NULL;
  TRY(napi_get_typedarray_info(env, array, &type, &length, &data, NULL, NULL));
  *messages = length / FIELDS;
  return type == napi_float64_array ? data : NULL;
}

/*
 * take(handle, buffer, offset, fields): as many as are there and as fit into the buffer from offset on and into the
 * fields. Gives their number; when not even the first fits, fields[LENGTH] of it and WIPC_ETOOBIG.
 */
static napi_value take(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  struct home *home = arguments(env, info, 4, argv);
  struct subscriber *subscriber = subscriber_of(env, argv[0]);
  void *data = NULL;
  size_t size = 0, room = 0, count = 0;
  uint32_t start = 0;
  double *fields = fields_of(env, argv[3], &room);
  if (subscriber == NULL || fields == NULL || napi_get_buffer_info(env, argv[1], &data, &size) != napi_ok)
    return number(env, WIPC_EINVAL);
  napi_get_value_uint32(env, argv[2], &start);
  unsigned char empty[1], *bytes = data == NULL ? empty : data;
  for (size_t offset = start; count < room && offset <= size;) {
    wipc_message message;
    int rc = wipc_take(subscriber->handle, bytes + offset, size - offset, &message);
    if (rc == 0) break;
    if (rc == WIPC_ETOOBIG && count > 0) break;
    if (rc > 0 || rc == WIPC_ETOOBIG) tell(fields + count * FIELDS, &message, offset);
    if (rc < 0) return code(env, home, rc);
    offset = (offset + message.length + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    count++;
  }
  return number(env, (double)count);
}

/* view(handle, fields): the slot as an ArrayBuffer until viewEnd, or a number: 0 none, or a code. */
static napi_value view(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  struct home *home = arguments(env, info, 2, argv);
  struct subscriber *subscriber = subscriber_of(env, argv[0]);
  size_t room = 0;
  double *fields = fields_of(env, argv[1], &room);
  if (subscriber == NULL || fields == NULL || room == 0) return number(env, WIPC_EINVAL);
  wipc_message message;
  int rc = wipc_view(subscriber->handle, &message);
  if (rc != 1) return code(env, home, rc);
  tell(fields, &message, 0);
  if (napi_create_external_arraybuffer(env, (void *)(uintptr_t)message.data, message.length, NULL, NULL, &result) ==
      napi_ok)
    return result;
  wipc_view_end(subscriber->handle);
  return number(env, WIPC_ENOMEM);
}

/* viewEnd(handle, arrayBuffer): takes the memory away from JavaScript; a code, 1 whole, 0 overwritten meanwhile. */
static napi_value view_end(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct home *home = arguments(env, info, 2, argv);
  struct subscriber *subscriber = subscriber_of(env, argv[0]);
  TRY(napi_detach_arraybuffer(env, argv[1]));
  return code(env, home, subscriber == NULL ? WIPC_EINVAL : wipc_view_end(subscriber->handle));
}

/* arm(handle): 1 a message is there; 0 dispatch will be called once there is; or a code. */
static napi_value arm(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  arguments(env, info, 1, argv);
  struct subscriber *subscriber = subscriber_of(env, argv[0]);
  if (subscriber == NULL) return number(env, WIPC_EINVAL);
  if (wipc_linger(&subscriber->handle, 1)) return number(env, 1);
  return number(env, waiter_arm(subscriber) == 0 ? 0 : WIPC_ENOMEM);
}

static napi_value subscriber_stats(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct home *home = arguments(env, info, 1, argv);
  struct subscriber *subscriber = subscriber_of(env, argv[0]);
  wipc_subscriber_stats stats;
  int rc = subscriber == NULL ? WIPC_EINVAL : wipc_subscriber_stat(subscriber->handle, &stats);
  if (rc != 0) return code(env, home, rc);
  TRY(napi_create_object(env, &result));
  put_number(env, result, "received", (double)stats.received);
  put_number(env, result, "overruns", (double)stats.overruns);
  put_number(env, result, "resets", (double)stats.resets);
  put_number(env, result, "torn", (double)stats.torn);
  put_number(env, result, "lost", (double)stats.lost);
  put_number(env, result, "lag", (double)stats.lag);
  return result;
}

static napi_value subscriber_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  arguments(env, info, 1, argv);
  struct subscriber *subscriber = subscriber_of(env, argv[0]);
  if (subscriber != NULL) close_now(subscriber);
  return NULL;
}

const struct method subscriber_methods[] = {
    {"subscriberOpen", subscriber_open},   {"subscriberInfo", subscriber_info},
    {"take", take},                        {"view", view},
    {"viewEnd", view_end},                 {"arm", arm},
    {"subscriberStats", subscriber_stats}, {"subscriberClose", subscriber_close},
    {NULL, NULL}};
