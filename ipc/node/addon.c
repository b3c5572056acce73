/* The native half of the Node client: thin over the C library. What a handle may do and when, index.js sees to. */
#include "addon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void home_release(struct home *home) {
  if (--home->users == 0) free(home);
}

struct home *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
  void *home = NULL;
  TRY(napi_get_cb_info(env, info, &count, argv, NULL, &home));
  return home;
}

napi_value number(napi_env env, double value) {
  napi_value result;
  TRY(napi_create_double(env, value, &result));
  return result;
}

napi_value code(napi_env env, struct home *home, int value) {
  if (value == WIPC_ESYSTEM) home->error = errno;
  return number(env, value);
}

int32_t int_of(napi_env env, napi_value value) {
  int32_t result = 0;
  napi_get_value_int32(env, value, &result);
  return result;
}

const char *text_of(napi_env env, napi_value value, char *space, size_t size) {
  return napi_get_value_string_utf8(env, value, space, size, NULL) == napi_ok ? space : NULL;
}

void put_number(napi_env env, napi_value object, const char *name, double value) {
  napi_value property = number(env, value);
  if (property != NULL) napi_set_named_property(env, object, name, property);
}

void put_text(napi_env env, napi_value object, const char *name, const char *value) {
  napi_value property;
  if (napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &property) == napi_ok)
    napi_set_named_property(env, object, name, property);
}

napi_value info_object(napi_env env, const wipc_info *info) {
  static const char *const modes[] = {"lossy", "latest", "reliable"};
  napi_value object;
  TRY(napi_create_object(env, &object));
  put_text(env, object, "channel", info->channel);
  put_text(env, object, "mode", info->mode <= WIPC_RELIABLE ? modes[info->mode] : "unknown");
  put_number(env, object, "slotSize", info->slot_size);
  put_number(env, object, "depth", info->depth);
  put_number(env, object, "publishers", info->publishers);
  put_number(env, object, "subscribers", info->subscribers);
  return object;
}

static napi_value listed(napi_env env, const wipc_info *info) {
  napi_value object = info_object(env, info), property;
  if (object == NULL) return NULL;
  if (napi_get_boolean(env, info->publish, &property) == napi_ok)
    napi_set_named_property(env, object, "publish", property);
  if (napi_get_boolean(env, info->subscribe, &property) == napi_ok)
    napi_set_named_property(env, object, "subscribe", property);
  return object;
}

/* list(dir?, service?): an array, or a code. */
static napi_value list(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  struct home *home = arguments(env, info, 2, argv);
  char dir[4096], service[WIPC_NAME_MAX];
  const char *in = text_of(env, argv[0], dir, sizeof dir), *as = text_of(env, argv[1], service, sizeof service);
  int count = wipc_list(in, as, NULL, 0);
  if (count < 0) return code(env, home, count);
  wipc_info *infos = calloc((size_t)count + 1, sizeof *infos);
  if (infos == NULL) return number(env, WIPC_ENOMEM);
  int found = wipc_list(in, as, infos, (size_t)count);
  /* Between the two looks one may have come or gone. */
  if (found < count) count = found;
  if (count < 0) {
    free(infos);
    return code(env, home, count);
  }
  if (napi_create_array_with_length(env, (size_t)count, &result) != napi_ok) result = NULL;
  for (int i = 0; result != NULL && i < count; i++) {
    napi_value object = listed(env, &infos[i]);
    if (object != NULL) napi_set_element(env, result, (uint32_t)i, object);
  }
  free(infos);
  return result;
}

/* describe(code): what it means, and what the system said. */
static napi_value describe(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct home *home = arguments(env, info, 1, argv);
  int value = int_of(env, argv[0]);
  char text[512];
  const char *meaning = wipc_strerror(value);
  size_t length = strlen(meaning) < sizeof text ? strlen(meaning) : sizeof text - 1;
  memcpy(text, meaning, length);
  if (value == WIPC_ESYSTEM) {
    const char *reason = strerror(home->error);
    if (length + strlen(reason) + 4 < sizeof text) {
      text[length++] = ' ', text[length++] = '(';
      memcpy(text + length, reason, strlen(reason));
      length += strlen(reason);
      text[length++] = ')';
    }
  }
  TRY(napi_create_string_utf8(env, text, length, &result));
  return result;
}

/* keep(true): the process shall not end while a wait is under way. keep(false): it may. */
static napi_value keep(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct home *home = arguments(env, info, 1, argv);
  bool is_kept = false;
  TRY(napi_get_value_bool(env, argv[0], &is_kept));
  if (home->wake == NULL) return NULL;
  if (is_kept) TRY(napi_ref_threadsafe_function(env, home->wake));
  else TRY(napi_unref_threadsafe_function(env, home->wake));
  return NULL;
}

/* The environment ends: the process, or a worker thread. Runs before Node takes the thread-safe function apart. */
static void leave(void *data) {
  struct home *home = data;
  subscribers_close(home);
  publishers_close(home);
  waiter_leave(home);
  home_release(home);
}

/* start(dispatch): once, before anything else. */
static napi_value begin(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct home *home = arguments(env, info, 1, argv);
  if (home->wake != NULL) return NULL;
  TRY(waiter_join(home, argv[0]));
  TRY(napi_add_env_cleanup_hook(env, leave, home));
  home->users++;
  return NULL;
}

static const struct method own_methods[] = {
    {"begin", begin}, {"list", list}, {"describe", describe}, {"keep", keep}, {NULL, NULL}};

static void forget(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  home_release(data);
}

NAPI_MODULE_INIT() {
  struct home *home = calloc(1, sizeof *home);
  if (home == NULL) {
    napi_throw_error(env, "WIPC_ENOMEM", "Cannot load the channel library: memory is short");
    return NULL;
  }
  home->env = env;
  home->users = 1;
  TRY(napi_set_instance_data(env, home, forget, NULL));
  const struct method *const groups[] = {own_methods, publisher_methods, subscriber_methods};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    for (const struct method *method = groups[i]; method->name != NULL; method++) {
      napi_value function;
      TRY(napi_create_function(env, method->name, NAPI_AUTO_LENGTH, method->call, home, &function));
      TRY(napi_set_named_property(env, exports, method->name, function));
    }
  return exports;
}
