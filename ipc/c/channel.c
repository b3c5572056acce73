/* What the agent made: meta, checked once and copied; files of exactly the size that meta gives. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint32_t wipc_crc32c(const void *data, size_t length) {
  const unsigned char *bytes = data;
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < length; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
  }
  return ~crc;
}

/* Names become paths: the agent allows [a-z0-9-] only, this refuses what could leave the folder. */
bool channel_name_is_plain(const char *name) {
  size_t length = name == NULL ? 0 : strnlen(name, WIPC_NAME_MAX);
  return length > 0 && length < WIPC_NAME_MAX && name[0] != '.' && strchr(name, '/') == NULL;
}

int channel_defaults(const char **dir, const char **service) {
  if (*dir == NULL) *dir = getenv("WHERRY_IPC_DIR");
  if (*service == NULL) *service = getenv("WHERRY_SERVICE");
  if (*dir == NULL || *service == NULL) return WIPC_ENOENT;
  return channel_name_is_plain(*service) ? 0 : WIPC_EINVAL;
}

static int from_errno(void) {
  if (errno == ENOENT || errno == ENOTDIR) return WIPC_ENOENT;
  if (errno == ENOMEM) return WIPC_ENOMEM;
  return WIPC_ESYSTEM;
}

int channel_map(const struct channel *channel, const char *prefix, const char *name, uint64_t size, enum access access,
                void *place, void **out, int *fd) {
  char path[2 * WIPC_NAME_MAX];
  snprintf(path, sizeof path, "%s%s%s", prefix, name[0] == '\0' ? "" : ".", name);
  int file = openat(channel->folder, path, (access == OWN ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return from_errno();
  int rc = 0;
  /* lseek, not fstat: that would tie the library to glibc 2.33. */
  off_t length = lseek(file, 0, SEEK_END);
  if (length < 0 || (access != PEERS && (uint64_t)length != size)) {
    rc = WIPC_EFORMAT;
  } else {
    int protection = PROT_READ | (access == OWN ? PROT_WRITE : 0);
    *out = mmap(place, (size_t)size, protection, MAP_SHARED | (place != NULL ? MAP_FIXED : 0), file, 0);
    if (*out == MAP_FAILED) rc = from_errno();
  }
  if (rc == 0 && fd != NULL)
    *fd = file;
  else
    close(file);
  return rc;
}

/*
 * Open-file-description locks, not flock: a reader may flock any file it can open, also exclusively, and would keep
 * a restarted publisher out for ever. A write lock here needs a writable descriptor, which only this service can get.
 * A reader's read lock can still be in the way: it is told apart and passed over.
 */
int channel_claim(int fd) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return 0;
  if (errno != EAGAIN && errno != EACCES) return WIPC_ESYSTEM;
  if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_WRLCK) return 0;
  return WIPC_EBUSY;
}

static bool geometry_is_sound(const struct geometry *g) {
  return g->slot_size > 0 && g->slot_size <= SLOT_SIZE_MAX && g->depth >= 2 && g->depth <= DEPTH_MAX &&
         (g->depth & (g->depth - 1)) == 0 && g->stride == SLOT_HEADER + ((g->slot_size + 63u) & ~63u) &&
         g->ring_file_size == RING_HEADER + (uint64_t)g->depth * g->stride &&
         g->ring_file_size <= RING_SIZE_MAX && g->mode <= WIPC_RELIABLE && g->publishers >= 1 &&
         g->publishers <= WIPC_MAX_PEERS && g->subscribers <= WIPC_MAX_PEERS;
}

static int read_meta(struct channel *channel) {
  const struct meta *meta = channel->meta;
  if (meta->magic != META_MAGIC || meta->major != WIPC_VERSION_MAJOR || meta->size != META_SIZE ||
      meta->crc32c != wipc_crc32c(meta, offsetof(struct meta, crc32c)))
    return WIPC_EFORMAT;
  channel->geometry = (struct geometry){
      .channel_id = meta->channel_id,
      .slot_size = meta->slot_size,
      .stride = meta->stride,
      .depth = meta->depth,
      .mode = meta->mode,
      .publishers = meta->publishers,
      .subscribers = meta->subscribers,
      .block_timeout_ms = meta->block_timeout_ms,
      .ring_file_size = meta->ring_file_size,
  };
  if (!geometry_is_sound(&channel->geometry)) return WIPC_EFORMAT;
  if (!channel_name_is_plain(meta->name)) return WIPC_EFORMAT;
  for (uint32_t i = 0; i < meta->publishers; i++)
    if (!channel_name_is_plain(meta->publisher[i].name)) return WIPC_EFORMAT;
  for (uint32_t i = 0; i < meta->subscribers; i++)
    if (!channel_name_is_plain(meta->subscriber[i].name)) return WIPC_EFORMAT;
  return 0;
}

int channel_open_at(struct channel *channel, const char *path) {
  *channel = (struct channel){.folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (channel->folder < 0) return from_errno();
  void *meta = NULL;
  int rc = channel_map(channel, "meta", "", META_SIZE, AGENTS, NULL, &meta, NULL);
  if (rc == 0) {
    channel->meta = meta;
    rc = read_meta(channel);
  }
  if (rc != 0) channel_close(channel);
  return rc;
}

int channel_open(struct channel *channel, const char *dir, const char *service, const char *name,
                 const char **resolved_service) {
  *channel = (struct channel){.folder = -1};
  int rc = channel_defaults(&dir, &service);
  if (rc != 0) return rc;
  if (!channel_name_is_plain(name)) return WIPC_EINVAL;
  char path[4096];
  if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path) return WIPC_EINVAL;
  *resolved_service = service;
  return channel_open_at(channel, path);
}

void channel_close(struct channel *channel) {
  if (channel->meta != NULL) munmap(channel->meta, META_SIZE);
  if (channel->folder >= 0) close(channel->folder);
  *channel = (struct channel){.folder = -1};
}

int channel_publisher(const struct channel *channel, const char *service) {
  for (uint32_t i = 0; i < channel->geometry.publishers; i++)
    if (strcmp(channel->meta->publisher[i].name, service) == 0) return (int)i;
  return -1;
}

int channel_subscriber(const struct channel *channel, const char *service) {
  for (uint32_t i = 0; i < channel->geometry.subscribers; i++)
    if (strcmp(channel->meta->subscriber[i].name, service) == 0) return (int)i;
  return -1;
}

void channel_info(const struct channel *channel, wipc_info *out) {
  const struct geometry *geometry = &channel->geometry;
  *out = (wipc_info){
      .slot_size = geometry->slot_size,
      .depth = geometry->depth,
      .mode = geometry->mode,
      .publishers = geometry->publishers,
      .subscribers = geometry->subscribers,
  };
  memcpy(out->channel, channel->meta->name, WIPC_NAME_MAX);
}
