/* A subscriber: the rings of all publishers, read-only, and the service's own ack file. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t ack_bytes(const wipc_subscriber *subscriber) {
  return sizeof(struct ack) * subscriber->channel.geometry.publishers;
}

/* Maps the rings. The acks are there already. */
int readers_open(wipc_subscriber *subscriber) {
  const struct channel *channel = &subscriber->channel;
  for (uint32_t i = 0; i < channel->geometry.publishers; i++) {
    struct reader *reader = &subscriber->reader[i];
    memcpy(subscriber->names[i], channel->meta->publisher[i].name, WIPC_NAME_MAX);
    void *ring = NULL;
    int rc = channel_map(channel, "ring", subscriber->names[i], channel->geometry.ring_file_size, PEERS, NULL,
                         &ring, NULL);
    if (rc != 0) return rc == WIPC_ENOENT ? WIPC_EFORMAT : rc;
    reader->ring = ring;
    reader->ack = &subscriber->acks[i];
    reader_open(reader, &channel->geometry);
  }
  return 0;
}

void readers_close(wipc_subscriber *subscriber) {
  for (uint32_t i = 0; i < subscriber->channel.geometry.publishers; i++)
    if (subscriber->reader[i].ring != NULL)
      munmap(subscriber->reader[i].ring, (size_t)subscriber->channel.geometry.ring_file_size);
}

bool readers_pending(wipc_subscriber *subscriber) {
  for (uint32_t i = 0; i < subscriber->channel.geometry.publishers; i++)
    if (reader_pending(&subscriber->reader[i], &subscriber->channel.geometry)) return true;
  return false;
}

static int open_acks(wipc_subscriber *subscriber, const char *service) {
  subscriber->index = channel_subscriber(&subscriber->channel, service);
  if (subscriber->index < 0) return WIPC_EROLE;
  void *acks = NULL;
  int rc = channel_map(&subscriber->channel, "ack", service, ack_bytes(subscriber), OWN, NULL, &acks,
                       &subscriber->lock);
  if (rc != 0) return rc == WIPC_ENOENT ? WIPC_EFORMAT : rc;
  subscriber->acks = acks;
  return channel_claim(subscriber->lock);
}

int wipc_subscriber_open(const char *dir, const char *service, const char *channel, wipc_subscriber **out) {
  if (out == NULL) return WIPC_EINVAL;
  wipc_subscriber *subscriber = calloc(1, sizeof *subscriber);
  if (subscriber == NULL) return WIPC_ENOMEM;
  subscriber->lock = -1;
  subscriber->viewing = -1;
  guard_install();
  int rc = channel_open(&subscriber->channel, dir, service, channel, &service);
  if (rc == 0) rc = open_acks(subscriber, service);
  if (rc == 0) rc = readers_open(subscriber);
  if (rc != 0) {
    wipc_subscriber_close(subscriber);
    return rc;
  }
  *out = subscriber;
  return 0;
}

void wipc_subscriber_close(wipc_subscriber *subscriber) {
  if (subscriber == NULL) return;
  readers_close(subscriber);
  if (subscriber->acks != NULL) {
    for (uint32_t i = 0; i < subscriber->channel.geometry.publishers; i++) set(subscriber->acks[i].waiting, 0);
    munmap(subscriber->acks, ack_bytes(subscriber));
  }
  if (subscriber->lock >= 0) close(subscriber->lock);
  channel_close(&subscriber->channel);
  free(subscriber);
}

static bool is_evicted(const wipc_subscriber *subscriber) {
  return subscriber->index >= 0 && get(subscriber->channel.meta->subscriber[subscriber->index].evicted) != 0;
}

/* The rings take turns, so that a busy publisher cannot starve another. */
static int take(wipc_subscriber *subscriber, void *buffer, size_t cap, wipc_message *out) {
  const struct geometry *geometry = &subscriber->channel.geometry;
  bool evicted = is_evicted(subscriber);
  for (uint32_t tried = 0; tried < geometry->publishers; tried++) {
    uint32_t turn = subscriber->next;
    int rc = reader_take(&subscriber->reader[turn], geometry, evicted, buffer, cap, out);
    if (rc == WIPC_ETOOBIG) {
      out->publisher = turn;
      return rc;
    }
    subscriber->next = turn + 1 == geometry->publishers ? 0 : turn + 1;
    if (rc == 1) {
      out->publisher = turn;
      return 1;
    }
  }
  return 0;
}

int wipc_take(wipc_subscriber *subscriber, void *buffer, size_t cap, wipc_message *out) {
  if (subscriber == NULL || buffer == NULL || out == NULL || subscriber->viewing >= 0) return WIPC_EINVAL;
  return take(subscriber, buffer, cap, out);
}

int wipc_view(wipc_subscriber *subscriber, wipc_message *out) {
  if (subscriber == NULL || out == NULL || subscriber->viewing >= 0) return WIPC_EINVAL;
  int rc = take(subscriber, NULL, 0, out);
  if (rc == 1) {
    subscriber->viewing = (int)out->publisher;
    subscriber->viewed = out->sequence;
  }
  return rc;
}

int wipc_view_end(wipc_subscriber *subscriber) {
  if (subscriber == NULL || subscriber->viewing < 0) return WIPC_EINVAL;
  struct reader *reader = &subscriber->reader[subscriber->viewing];
  subscriber->viewing = -1;
  return reader_view_end(reader, &subscriber->channel.geometry, subscriber->viewed);
}

void wipc_subscriber_info(const wipc_subscriber *subscriber, wipc_info *out) {
  channel_info(&subscriber->channel, out);
  out->subscribe = 1;
}

const char *wipc_subscriber_publisher(const wipc_subscriber *subscriber, uint32_t publisher) {
  return publisher < subscriber->channel.geometry.publishers ? subscriber->names[publisher] : NULL;
}

int wipc_subscriber_stat(const wipc_subscriber *subscriber, wipc_subscriber_stats *out) {
  if (subscriber == NULL || out == NULL) return WIPC_EINVAL;
  wipc_subscriber_stats sum = {0};
  for (uint32_t i = 0; i < subscriber->channel.geometry.publishers; i++) {
    struct reader *reader = (struct reader *)&subscriber->reader[i];
    uint64_t last = get(reader->ack->last_ns);
    sum.received += get(reader->ack->received);
    sum.overruns += get(reader->ack->overruns);
    sum.resets += get(reader->ack->resets);
    sum.torn += get(reader->ack->torn);
    sum.lost += reader->lost_sum;
    sum.lag += reader_lag(reader, &subscriber->channel.geometry);
    if (last > sum.last_ns) sum.last_ns = last;
  }
  *out = sum;
  return 0;
}
