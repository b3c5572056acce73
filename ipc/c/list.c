/* Which channels a service has, and what the errors mean. */
#include "internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
  return strcmp(((const wipc_info *)a)->channel, ((const wipc_info *)b)->channel);
}

/* false: no channel, or none of this service's. */
static bool describe(const char *dir, const char *service, const char *name, wipc_info *info) {
  struct channel channel;
  if (channel_open(&channel, dir, service, name, &service) != 0) return false;
  channel_info(&channel, info);
  info->publish = channel_publisher(&channel, service) >= 0;
  info->subscribe = channel_subscriber(&channel, service) >= 0;
  channel_close(&channel);
  return info->publish || info->subscribe;
}

int wipc_list(const char *dir, const char *service, wipc_info *out, size_t cap) {
  if (out == NULL && cap > 0) return WIPC_EINVAL;
  int rc = channel_defaults(&dir, &service);
  if (rc != 0) return rc;
  DIR *folder = opendir(dir);
  if (folder == NULL) return WIPC_ENOENT;
  wipc_info *found = NULL;
  int count = 0;
  struct dirent *entry;
  while (rc == 0 && (entry = readdir(folder)) != NULL) {
    wipc_info info;
    if (!channel_name_is_plain(entry->d_name) || !describe(dir, service, entry->d_name, &info)) continue;
    wipc_info *more = realloc(found, sizeof *found * ((size_t)count + 1));
    if (more == NULL) {
      rc = WIPC_ENOMEM;
      break;
    }
    found = more;
    found[count++] = info;
  }
  closedir(folder);
  if (count > 0) qsort(found, (size_t)count, sizeof *found, by_name);
  if (rc == 0 && cap > 0 && count > 0)
    memcpy(out, found, sizeof *found * ((size_t)count < cap ? (size_t)count : cap));
  free(found);
  return rc == 0 ? count : rc;
}

const char *wipc_strerror(int code) {
  switch (code) {
    case WIPC_EINVAL:
      return "an argument is not usable";
    case WIPC_ENOENT:
      return "there is no such channel; the release must declare it for this service, and WHERRY_IPC_DIR and "
             "WHERRY_SERVICE must be set";
    case WIPC_EROLE:
      return "the release does not give this service this end of the channel";
    case WIPC_EFORMAT:
      return "its files are not what this library reads; it needs layout version 1";
    case WIPC_EBUSY:
      return "another process of this service has it open; end that one first";
    case WIPC_ETOOBIG:
      return "the message is longer than the slot or the buffer; declare a larger slotSize";
    case WIPC_EAGAIN:
      return "a subscriber of a reliable channel is too slow; the message was not published";
    case WIPC_ENOMEM:
      return "memory is short";
    case WIPC_ESYSTEM:
      return "a system call failed; errno says how";
    default:
      return "no such error code";
  }
}
