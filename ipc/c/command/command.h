/* What the parts of wherry-ipc share. */
#ifndef WIPC_COMMAND_H
#define WIPC_COMMAND_H

#include <stdbool.h>

#include "../wherry_ipc.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
  const char *dir, *service, *channel, *file;
  bool json, raw;
  long long type, timeout_ms, count; /* timeout_ms -1: not given; count 0: no end */
};

int run_list(const struct options *options);
int run_pub(const struct options *options);
int run_sub(const struct options *options);
int run_stat(const struct options *options);

/* Both print one line to stderr and give the exit code. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int failed(const char *action, const char *object, int code);

const char *mode_name(uint32_t mode);
/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD: the message's bytes are in base64 as well. */
void print_json_string(const void *data, size_t length);

#endif
