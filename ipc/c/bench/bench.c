#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define WARM_UP 1000 /* round trips, or messages, that are not measured; at most a tenth */

void bench_fail(const char *action, const char *reason) {
  fprintf(stderr, "Cannot %s: %s\n", action, reason);
  exit(1);
}

void bench_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

uint64_t bench_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double cpu_us(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static uint64_t warm_up(const struct bench *b) { return b->messages / 10 < WARM_UP ? b->messages / 10 : WARM_UP; }

static void print_head(const struct bench *b) {
  printf("{\"transport\":\"%s\",\"role\":\"%s\",\"size\":%zu,\"spin\":%s,", transport_name, b->role, b->size,
         b->spin ? "true" : "false");
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void pace(const struct bench *b, uint64_t start, uint64_t sent) {
  if (b->rate == 0) return;
  uint64_t due = start + sent * 1000000000u / b->rate;
  struct timespec at = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
    ;
}

static void ping(const struct bench *b, void *buffer) {
  uint32_t *ns = malloc(b->messages * sizeof *ns);
  if (ns == NULL) bench_fail("keep the times", "memory is short; lower --messages");
  uint64_t warm = warm_up(b), start = bench_now_ns();
  double cpu = cpu_us();
  for (uint64_t i = 0; i < warm + b->messages; i++) {
    pace(b, start, i);
    uint64_t before = bench_now_ns();
    transport_send(buffer, b->size);
    transport_receive(buffer, b->size);
    uint64_t took = bench_now_ns() - before;
    if (i >= warm) ns[i - warm] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
  }
  cpu = cpu_us() - cpu;
  qsort(ns, b->messages, sizeof *ns, by_value);
  print_head(b);
  printf("\"rounds\":%" PRIu64 ",\"p50Us\":%.3f,\"p90Us\":%.3f,\"p99Us\":%.3f,\"cpuUsPerRound\":%.3f}\n", b->messages,
         ns[b->messages / 2] / 1e3, ns[b->messages * 9 / 10] / 1e3, ns[b->messages * 99 / 100] / 1e3,
         cpu / (double)(warm + b->messages));
  free(ns);
}

static void echo(const struct bench *b, void *buffer) {
  double cpu = cpu_us();
  uint64_t rounds = warm_up(b) + b->messages;
  for (uint64_t i = 0; i < rounds; i++) {
    transport_receive(buffer, b->size);
    transport_send(buffer, b->size);
  }
  print_head(b);
  printf("\"rounds\":%" PRIu64 ",\"cpuUsPerRound\":%.3f}\n", rounds, (cpu_us() - cpu) / (double)rounds);
}

static void print_flow(const struct bench *b, uint64_t count, uint64_t lost, uint64_t ns, double cpu) {
  print_head(b);
  printf("\"messages\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"seconds\":%.4f,\"messagesPerSecond\":%.0f,"
         "\"megabytesPerSecond\":%.1f,\"cpuUsPerMessage\":%.3f}\n",
         count, lost, (double)ns / 1e9, (double)count * 1e9 / (double)ns,
         (double)count * (double)b->size * 1e3 / (double)ns, cpu / (double)count);
}

static void source(const struct bench *b, void *buffer) {
  double cpu = cpu_us();
  uint64_t start = bench_now_ns();
  for (uint64_t i = 0; i < b->messages; i++) {
    pace(b, start, i);
    transport_send(buffer, b->size);
  }
  print_flow(b, b->messages, 0, bench_now_ns() - start, cpu_us() - cpu);
}

/* From the first message after the warm-up to the last. */
static void sink(const struct bench *b, void *buffer) {
  uint64_t warm = warm_up(b) + 1, got = 0, taken = 0, start = 0, measured = 0;
  double cpu = 0;
  while (got < b->messages) {
    got += transport_receive(buffer, b->size);
    taken++;
    if (start == 0 && got >= warm) {
      start = bench_now_ns();
      cpu = cpu_us();
      measured = taken;
    }
  }
  print_flow(b, taken - measured, got - taken, bench_now_ns() - start, cpu_us() - cpu);
}

static uint64_t number(const char *flag, const char *text) {
  char *end;
  uint64_t value = text == NULL ? 0 : strtoull(text, &end, 10);
  if (text == NULL || end == text || *end != '\0') bench_fail("read the arguments", flag);
  return value;
}

static struct bench parse(int argc, char **argv) {
  struct bench b = {.size = 64, .messages = 100000};
  b.role = argc > 1 ? argv[1] : "";
  for (int i = 2; i < argc; i++) {
    const char *flag = argv[i];
    if (strcmp(flag, "--spin") == 0) {
      b.spin = true;
      continue;
    }
    const char *value = i + 1 < argc ? argv[++i] : NULL;
    if (strcmp(flag, "--size") == 0) b.size = (size_t)number(flag, value);
    else if (strcmp(flag, "--messages") == 0) b.messages = number(flag, value);
    else if (strcmp(flag, "--rate") == 0) b.rate = number(flag, value);
    else if (strcmp(flag, "--out") == 0) b.out = value;
    else if (strcmp(flag, "--in") == 0) b.in = value;
    else bench_fail("read the arguments", flag);
  }
  if (b.size < 1 || b.messages < 20) bench_fail("run", "--size must be 1 or more, --messages 20 or more");
  return b;
}

int main(int argc, char **argv) {
  static const struct {
    const char *role;
    bool sends, receives;
    void (*run)(const struct bench *, void *);
  } roles[] = {{"ping", true, true, ping},
               {"echo", true, true, echo},
               {"source", true, false, source},
               {"sink", false, true, sink}};
  struct bench b = parse(argc, argv);
  for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
    if (strcmp(roles[i].role, b.role) != 0) continue;
    void *buffer = aligned_alloc(4096, (b.size + 4095) & ~(size_t)4095);
    if (buffer == NULL) bench_fail("run", "memory is short");
    memset(buffer, 0x5a, b.size);
    transport_open(&b, roles[i].sends, roles[i].receives);
    roles[i].run(&b, buffer);
    transport_close();
    free(buffer);
    return 0;
  }
  bench_fail("run", "the first argument must be ping, echo, source or sink");
}
