/*
 * What two processors can copy one after the other, the bound of every transport that copies in and out: a ring of plain
 * memory between two processes that both spin, a count at each end, and nothing else. --out and --in name one file.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char transport_name[] = "bare";

#define RING_BYTES (8u << 20)
#define HEADER 4096u

struct counts {
  _Atomic uint64_t written;
  uint8_t pad[56];
  _Atomic uint64_t read;
};

static struct counts *counts;
static unsigned char *slots;
static size_t stride, depth, bytes;
static uint64_t here, there; /* this end's count, and what is known of the other's */

void transport_open(const struct bench *b, bool sends, bool receives) {
  if (sends == receives) bench_fail("run", "bare has a source and a sink only");
  stride = (b->size + 63) & ~(size_t)63;
  depth = RING_BYTES / stride;
  bytes = HEADER + depth * stride;
  int fd = open(sends ? b->out : b->in, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) bench_fail("open the file", "--out or --in must be on a tmpfs");
  /* No page is to be made while the clock runs. */
  counts = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (counts == MAP_FAILED) bench_fail("run", "memory is short");
  slots = (unsigned char *)counts + HEADER;
  close(fd);
}

static void *slot(uint64_t n) { return slots + n % depth * stride; }

void transport_send(const void *data, size_t length) {
  while (here - there == depth) {
    there = atomic_load_explicit(&counts->read, memory_order_acquire);
    if (here - there == depth) bench_relax();
  }
  memcpy(slot(here), data, length);
  atomic_store_explicit(&counts->written, ++here, memory_order_release);
}

uint64_t transport_receive(void *buffer, size_t size) {
  while (here == there) {
    there = atomic_load_explicit(&counts->written, memory_order_acquire);
    if (here == there) bench_relax();
  }
  memcpy(buffer, slot(here), size);
  atomic_store_explicit(&counts->read, ++here, memory_order_release);
  return 1;
}

void transport_close(void) { munmap(counts, bytes); }
