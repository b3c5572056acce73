#include "fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *scratch;

static uint32_t stride_of(const struct spec *spec) { return SLOT_HEADER + ((spec->slot_size + 63u) & ~63u); }

static uint32_t count(const char *const *names) {
  uint32_t n = 0;
  while (names[n] != NULL) n++;
  return n;
}

static void write_file(const char *folder, const char *prefix, const char *name, const void *data, size_t length,
                       size_t size) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s%s%s", folder, prefix, *name ? "." : "", name);
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  CHECK(file >= 0 && ftruncate(file, (off_t)size) == 0);
  CHECK(length == 0 || pwrite(file, data, length, 0) == (ssize_t)length);
  close(file);
}

static void write_rings(const struct spec *spec, const char *folder, uint64_t size, uint32_t id) {
  struct ring ring = {.magic = RING_MAGIC, .major = 1, .header_size = RING_HEADER, .stride = stride_of(spec)};
  ring.slot_size = spec->slot_size;
  ring.depth = spec->depth;
  ring.channel_id = id;
  ring.file_size = size;
  ring.crc32c = crc32c_of(&ring, offsetof(struct ring, crc32c));
  for (uint32_t i = 0; spec->publishers[i] != NULL; i++)
    write_file(folder, "ring", spec->publishers[i], &ring, 64, (size_t)size);
}

const char *make_channel(const struct spec *spec) {
  static char folder[512];
  static uint32_t last_id;
  snprintf(folder, sizeof folder, "%s/%s", scratch, spec->name);
  CHECK(mkdir(folder, 0755) == 0);
  struct meta *meta = calloc(1, sizeof *meta);
  meta->magic = META_MAGIC;
  meta->major = 1;
  meta->size = META_SIZE;
  meta->channel_id = ++last_id;
  meta->slot_size = spec->slot_size;
  meta->stride = stride_of(spec);
  meta->depth = spec->depth;
  meta->mode = spec->mode;
  meta->publishers = count(spec->publishers);
  meta->subscribers = count(spec->subscribers);
  meta->ring_file_size = RING_HEADER + (uint64_t)spec->depth * stride_of(spec);
  meta->block_timeout_ms = spec->block_timeout_ms;
  meta->crc32c = crc32c_of(meta, offsetof(struct meta, crc32c));
  strcpy(meta->name, spec->name);
  for (uint32_t i = 0; i < meta->publishers; i++) {
    strcpy(meta->publisher[i].name, spec->publishers[i]);
    meta->publisher[i].up = 1;
  }
  for (uint32_t i = 0; i < meta->subscribers; i++) {
    strcpy(meta->subscriber[i].name, spec->subscribers[i]);
    meta->subscriber[i].up = 1;
    write_file(folder, "ack", spec->subscribers[i], NULL, 0, sizeof(struct ack) * meta->publishers);
  }
  write_file(folder, "meta", "", meta, sizeof *meta, sizeof *meta);
  write_rings(spec, folder, meta->ring_file_size, meta->channel_id);
  free(meta);
  return folder;
}

int open_file(const char *channel, const char *file, int flags) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s/%s", scratch, channel, file);
  int fd = open(path, flags | O_CLOEXEC);
  CHECK(fd >= 0);
  return fd;
}

void *map_file(const char *channel, const char *file, size_t *size) {
  int fd = open_file(channel, file, O_RDWR);
  *size = (size_t)lseek(fd, 0, SEEK_END);
  void *memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(memory != MAP_FAILED);
  close(fd);
  return memory;
}

void unmap_file(void *memory, size_t size) { munmap(memory, size); }

wipc_publisher *publisher_of(const char *channel, const char *service) {
  wipc_publisher *publisher = NULL;
  int rc = wipc_publisher_open(scratch, service, channel, &publisher);
  if (rc != 0) fprintf(stderr, "publisher %s of %s: %s\n", service, channel, wipc_strerror(rc));
  CHECK(rc == 0);
  return publisher;
}

wipc_subscriber *subscriber_of(const char *channel, const char *service) {
  wipc_subscriber *subscriber = NULL;
  int rc = wipc_subscriber_open(scratch, service, channel, &subscriber);
  if (rc != 0) fprintf(stderr, "subscriber %s of %s: %s\n", service, channel, wipc_strerror(rc));
  CHECK(rc == 0);
  return subscriber;
}

/* The seed in front, then words that follow from it and from where they are: a mixture of two messages shows. */
void fill(unsigned char *data, size_t length, uint64_t seed) {
  for (size_t i = 0; i < length; i += 8) {
    uint64_t word = i == 0 ? seed : (seed + i) * 0x9e3779b97f4a7c15u;
    memcpy(data + i, &word, length - i < 8 ? length - i : 8);
  }
}

int is_filled(const unsigned char *data, size_t length, uint64_t *seed) {
  *seed = 0;
  memcpy(seed, data, length < 8 ? length : 8);
  for (size_t i = 8; i < length; i += 8) {
    uint64_t word = (*seed + i) * 0x9e3779b97f4a7c15u;
    if (memcmp(&word, data + i, length - i < 8 ? length - i : 8) != 0) return 0;
  }
  return 1;
}

int publish_seed(wipc_publisher *publisher, uint64_t seed, size_t length, int timeout_ms) {
  unsigned char *data = malloc(length + 1);
  fill(data, length, seed);
  int rc = wipc_publish(publisher, data, length, (uint32_t)seed, timeout_ms);
  free(data);
  return rc;
}

uint64_t take_seed(wipc_subscriber *subscriber, wipc_message *message) {
  wipc_info info;
  wipc_subscriber_info(subscriber, &info);
  unsigned char *buffer = malloc(info.slot_size);
  int rc = wipc_take(subscriber, buffer, info.slot_size, message);
  CHECK(rc == 1);
  uint64_t seed;
  CHECK(is_filled(buffer, message->length, &seed));
  free(buffer);
  return seed;
}

uint32_t crc32c_of(const void *data, size_t length) {
  uint32_t crc = UINT32_MAX;
  for (const unsigned char *byte = data; length-- > 0; byte++)
    for (int bit = 0, mixed = *byte; bit < 8; bit++, mixed >>= 1)
      crc = crc >> 1 ^ ((crc ^ (uint32_t)mixed) & 1 ? 0x82f63b78u : 0);
  return ~crc;
}

uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  nanosleep(&time, NULL);
}
