/* wherry-ipc list, stat. */
#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *mode_name(uint32_t mode) {
  static const char *const names[] = {"lossy", "latest", "reliable"};
  return mode < 3 ? names[mode] : "unknown";
}

/* Bytes of the UTF-8 sequence at `at`; 0: none (RFC 3629 §4). */
static size_t utf8_length(const unsigned char *at, size_t left) {
  size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3 :
                  at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : 0;
  if (length == 0 || length > left) return 0;
  for (size_t i = 1; i < length; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  if (length > 2) {
    unsigned char lowest = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char highest = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < lowest || at[1] > highest) return 0;
  }
  return length;
}

void print_json_string(const void *data, size_t length) {
  const unsigned char *bytes = data;
  putchar('"');
  for (size_t i = 0; i < length;) {
    size_t step = utf8_length(bytes + i, length - i);
    if (step == 0) {
      fputs("\xef\xbf\xbd", stdout);
      step = 1;
    } else if (bytes[i] == '"' || bytes[i] == '\\') {
      printf("\\%c", bytes[i]);
    } else if (bytes[i] < 0x20) {
      printf("\\u%04x", bytes[i]);
    } else {
      fwrite(bytes + i, 1, step, stdout);
    }
    i += step;
  }
  putchar('"');
}

/* Channels of the service; the caller frees *out. */
static int channels(const struct options *o, wipc_info **out) {
  int count = wipc_list(o->dir, o->service, NULL, 0);
  if (count <= 0) return count;
  *out = calloc((size_t)count, sizeof **out);
  if (*out == NULL) return WIPC_ENOMEM;
  int again = wipc_list(o->dir, o->service, *out, (size_t)count);
  return again < count ? again : count;
}

int run_list(const struct options *o) {
  wipc_info *infos = NULL;
  int count = channels(o, &infos);
  if (count < 0) return failed("list channels in", o->dir, count);
  if (!o->json && count > 0)
    printf("%-24s %-8s %-9s %10s %6s %4s %4s\n", "CHANNEL", "ROLE", "MODE", "SLOT", "DEPTH", "PUBS", "SUBS");
  for (int i = 0; i < count; i++) {
    const wipc_info *info = &infos[i];
    const char *role = info->publish && info->subscribe ? "pub,sub" : info->publish ? "pub" : "sub";
    if (o->json)
      printf("{\"channel\":\"%s\",\"publish\":%s,\"subscribe\":%s,\"mode\":\"%s\",\"slotSize\":%" PRIu32
             ",\"depth\":%" PRIu32 ",\"publishers\":%" PRIu32 ",\"subscribers\":%" PRIu32 "}\n",
             info->channel, info->publish ? "true" : "false", info->subscribe ? "true" : "false",
             mode_name(info->mode), info->slot_size, info->depth, info->publishers, info->subscribers);
    else
      printf("%-24s %-8s %-9s %10" PRIu32 " %6" PRIu32 " %4" PRIu32 " %4" PRIu32 "\n", info->channel, role,
             mode_name(info->mode), info->slot_size, info->depth, info->publishers, info->subscribers);
  }
  free(infos);
  return 0;
}

static uint64_t age_ms(uint64_t then_ns) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  return now_ns > then_ns ? (now_ns - then_ns) / 1000000u : 0;
}

static void print_age(uint64_t then_ns) {
  if (then_ns == 0)
    fputs(" never", stdout);
  else
    printf(" %" PRIu64 " ms ago", age_ms(then_ns));
}

static void print_state(const wipc_channel_state *s) {
  printf("%s (%s, %" PRIu32 " x %" PRIu32 " bytes)\n", s->channel, mode_name(s->mode), s->depth, s->slot_size);
  for (uint32_t i = 0; i < s->publishers; i++) {
    const wipc_publisher_state *p = &s->publisher[i];
    printf("  pub %-20s %-5s published %" PRIu64 ", %" PRIu64 " bytes, wakes %" PRIu64 ", blocked %" PRIu64
           ", dropped %" PRIu64 ", epoch %" PRIu32 ", last",
           p->name, p->up ? "up" : "down", p->stats.published, p->stats.bytes, p->stats.wakes, p->stats.blocked,
           p->stats.dropped, p->stats.epoch);
    print_age(p->stats.last_publish_ns);
    puts(p->seen ? "" : ", ring unreadable");
  }
  for (uint32_t i = 0; i < s->subscribers; i++) {
    const wipc_subscriber_state *p = &s->subscriber[i];
    printf("  sub %-20s %-5s", p->name, p->evicted ? "slow" : p->up ? "up" : "down");
    if (!p->seen) {
      puts(" not shown to this service");
      continue;
    }
    printf(" received %" PRIu64 ", lag %" PRIu64 ", overruns %" PRIu64 ", resets %" PRIu64 ", torn %" PRIu64
           ", evictions %" PRIu32 ", last",
           p->stats.received, p->stats.lag, p->stats.overruns, p->stats.resets, p->stats.torn, p->evictions);
    print_age(p->stats.last_ns);
    puts(p->waiting ? ", waiting" : "");
  }
}

static void print_state_json(const wipc_channel_state *s) {
  printf("{\"channel\":\"%s\",\"mode\":\"%s\",\"slotSize\":%" PRIu32 ",\"depth\":%" PRIu32 ",\"ringBytes\":%" PRIu64
         ",\"channelId\":%" PRIu32 ",\"publishers\":[",
         s->channel, mode_name(s->mode), s->slot_size, s->depth, s->ring_bytes, s->channel_id);
  for (uint32_t i = 0; i < s->publishers; i++) {
    const wipc_publisher_state *p = &s->publisher[i];
    printf("%s{\"name\":\"%s\",\"up\":%s,\"starts\":%" PRIu32 ",\"seen\":%s,\"epoch\":%" PRIu32
           ",\"published\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"wakes\":%" PRIu64 ",\"blocked\":%" PRIu64
           ",\"dropped\":%" PRIu64 ",\"lastPublishNs\":%" PRIu64 "}",
           i > 0 ? "," : "", p->name, p->up ? "true" : "false", p->starts, p->seen ? "true" : "false",
           p->stats.epoch, p->stats.published, p->stats.bytes, p->stats.wakes, p->stats.blocked, p->stats.dropped,
           p->stats.last_publish_ns);
  }
  fputs("],\"subscribers\":[", stdout);
  for (uint32_t i = 0; i < s->subscribers; i++) {
    const wipc_subscriber_state *p = &s->subscriber[i];
    printf("%s{\"name\":\"%s\",\"up\":%s,\"evicted\":%s,\"evictions\":%" PRIu32 ",\"seen\":%s", i > 0 ? "," : "",
           p->name, p->up ? "true" : "false", p->evicted ? "true" : "false", p->evictions,
           p->seen ? "true" : "false");
    if (p->seen)
      printf(",\"waiting\":%s,\"received\":%" PRIu64 ",\"lag\":%" PRIu64 ",\"overruns\":%" PRIu64
             ",\"resets\":%" PRIu64 ",\"torn\":%" PRIu64 ",\"lastNs\":%" PRIu64,
             p->waiting ? "true" : "false", p->stats.received, p->stats.lag, p->stats.overruns, p->stats.resets,
             p->stats.torn, p->stats.last_ns);
    putchar('}');
  }
  puts("]}");
}

static int show(const struct options *o, const char *channel) {
  char path[4096];
  if (strchr(channel, '/') != NULL || (size_t)snprintf(path, sizeof path, "%s/%s", o->dir, channel) >= sizeof path)
    return failed("look at", channel, WIPC_EINVAL);
  wipc_observer *observer;
  int rc = wipc_observer_open(path, &observer);
  if (rc != 0) return failed("look at", channel, rc);
  wipc_channel_state state;
  rc = wipc_observer_stat(observer, &state);
  if (rc != 0)
    rc = failed("look at", channel, rc);
  else
    (o->json ? print_state_json : print_state)(&state);
  wipc_observer_close(observer);
  return rc;
}

int run_stat(const struct options *o) {
  if (o->channel != NULL) return show(o, o->channel);
  wipc_info *infos = NULL;
  int count = channels(o, &infos);
  if (count < 0) return failed("look at channels in", o->dir, count);
  int rc = 0;
  for (int i = 0; i < count && rc == 0; i++) rc = show(o, infos[i].channel);
  free(infos);
  return rc;
}
