/* wherry-ipc pub, sub. */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int publish(wipc_publisher *publisher, const struct options *o, const void *data, size_t length) {
  int rc = wipc_publish(publisher, data, length, (uint32_t)o->type, (int)o->timeout_ms);
  return rc == 0 ? 0 : failed("publish to", o->channel, rc);
}

static int publish_lines(wipc_publisher *publisher, const struct options *o) {
  char *line = NULL;
  size_t cap = 0;
  ssize_t length;
  int rc = 0;
  while (rc == 0 && (length = getline(&line, &cap, stdin)) >= 0) {
    if (length > 0 && line[length - 1] == '\n') length--;
    rc = publish(publisher, o, line, (size_t)length);
  }
  free(line);
  return rc;
}

static int publish_file(wipc_publisher *publisher, const struct options *o) {
  wipc_info info;
  wipc_publisher_info(publisher, &info);
  FILE *file = fopen(o->file, "rb");
  if (file == NULL) {
    fprintf(stderr, "Cannot read \"%s\": %s\n", o->file, strerror(errno));
    return EXIT_FAILED;
  }
  /* One byte more than a slot, so that a longer file is refused and not cut. */
  char *data = malloc((size_t)info.slot_size + 1);
  if (data == NULL) {
    fclose(file);
    return failed("publish to", o->channel, WIPC_ENOMEM);
  }
  size_t length = fread(data, 1, (size_t)info.slot_size + 1, file);
  int rc;
  if (ferror(file)) {
    fprintf(stderr, "Cannot read \"%s\": %s\n", o->file, strerror(errno));
    rc = EXIT_FAILED;
  } else {
    rc = publish(publisher, o, data, length);
  }
  fclose(file);
  free(data);
  return rc;
}

int run_pub(const struct options *o) {
  wipc_publisher *publisher;
  int rc = wipc_publisher_open(o->dir, o->service, o->channel, &publisher);
  if (rc != 0) return failed("publish to", o->channel, rc);
  rc = o->file == NULL ? publish_lines(publisher, o) : publish_file(publisher, o);
  wipc_publisher_close(publisher);
  return rc;
}

static void print_base64(const unsigned char *data, size_t length) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < length; i += 3) {
    uint32_t bits = (uint32_t)data[i] << 16;
    if (i + 1 < length) bits |= (uint32_t)data[i + 1] << 8;
    if (i + 2 < length) bits |= data[i + 2];
    putchar(digits[bits >> 18]);
    putchar(digits[bits >> 12 & 63]);
    putchar(i + 1 < length ? digits[bits >> 6 & 63] : '=');
    putchar(i + 2 < length ? digits[bits & 63] : '=');
  }
}

static void print_message(const wipc_subscriber *subscriber, const struct options *o, const wipc_message *m) {
  if (!o->json) {
    fwrite(m->data, 1, m->length, stdout);
    if (!o->raw) putchar('\n');
    return;
  }
  fputs("{\"publisher\":", stdout);
  const char *name = wipc_subscriber_publisher(subscriber, m->publisher);
  print_json_string(name, strlen(name));
  printf(",\"epoch\":%" PRIu32 ",\"sequence\":%" PRIu64 ",\"timestampNs\":%" PRIu64 ",\"type\":%" PRIu32
         ",\"length\":%" PRIu32 ",\"lost\":%" PRIu64 ",\"text\":",
         m->epoch, m->sequence, m->timestamp_ns, m->type, m->length, m->lost);
  print_json_string(m->data, m->length);
  fputs(",\"base64\":\"", stdout);
  print_base64(m->data, m->length);
  puts("\"}");
}

static int print_all(wipc_subscriber *subscriber, const struct options *o, void *buffer, size_t cap) {
  for (long long printed = 0; o->count == 0 || printed < o->count;) {
    wipc_message message;
    int rc = wipc_take(subscriber, buffer, cap, &message);
    if (rc < 0) return failed("take from", o->channel, rc);
    if (rc == 0) {
      if (fflush(stdout) != 0) return EXIT_FAILED; /* the reader of our output is gone */
      rc = wipc_wait(&subscriber, 1, (int)o->timeout_ms);
      if (rc < 0) return failed("wait for", o->channel, rc);
      if (rc == 1) continue;
      fprintf(stderr, "Cannot take from \"%s\": no message in %lld ms\n", o->channel, o->timeout_ms);
      return EXIT_FAILED;
    }
    print_message(subscriber, o, &message);
    printed++;
  }
  return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

int run_sub(const struct options *o) {
  wipc_subscriber *subscriber;
  int rc = wipc_subscriber_open(o->dir, o->service, o->channel, &subscriber);
  if (rc != 0) return failed("subscribe to", o->channel, rc);
  wipc_info info;
  wipc_subscriber_info(subscriber, &info);
  void *buffer = malloc(info.slot_size);
  rc = buffer == NULL ? failed("subscribe to", o->channel, WIPC_ENOMEM)
                      : print_all(subscriber, o, buffer, info.slot_size);
  free(buffer);
  wipc_subscriber_close(subscriber);
  return rc;
}
