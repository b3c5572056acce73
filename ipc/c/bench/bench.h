/*
 * One benchmark, several transports: bench.c has the roles, each transport file how to send and receive.
 *
 *   <program> ping|echo      round trip: ping sends, echo sends back what came
 *   <program> source|sink    one way: source sends --messages, sink takes them
 *   --size <bytes>  --messages <n>  --rate <messages a second; 0: as fast as it goes>  --out <where>  --in <where>
 *   --spin                   do not sleep, where the transport has the choice
 *
 * Both ends are given the same --size and --messages; each prints one line of JSON when it has sent or received them.
 */
#ifndef WIPC_BENCH_H
#define WIPC_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench {
  const char *role, *out, *in;
  size_t size;
  uint64_t messages, rate;
  bool spin;
};

/* One end of a transport. Every failure ends the process with a message. */
void transport_open(const struct bench *bench, bool sends, bool receives);
void transport_send(const void *data, size_t length);
/* Waits; gives how many messages came, which is more than 1 when some were lost before it. */
uint64_t transport_receive(void *buffer, size_t size);
void transport_close(void);
extern const char transport_name[];

void bench_fail(const char *action, const char *reason);
void bench_relax(void);
uint64_t bench_now_ns(void);

#endif
