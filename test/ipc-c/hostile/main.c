/*
 * A subscriber, as root, that tries to write what it may only read: `hostile <WHERRY_IPC_DIR> <channel> <publisher>
 * <subscriber>`, where the channel is mounted as in a container (all read-only, its own ack file writable).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fixture.h"

static int tried;

/* The attempt must fail, and with one of these. */
static void refused(const char *what, int rc, int error, int other) {
  int got = errno;
  tried++;
  if (rc >= 0 || (got != error && got != other)) {
    fprintf(stderr, "%s: %s\n", what, rc >= 0 ? "succeeded" : strerror(got));
    exit(1);
  }
}

static void try_path(const char *path) {
  refused("open for writing", open(path, O_RDWR), EROFS, EROFS);
  refused("open to truncate", open(path, O_WRONLY | O_TRUNC), EROFS, EROFS);
  refused("truncate", truncate(path, 0), EROFS, EROFS);
  refused("remove", unlink(path), EROFS, EBUSY);
  refused("change the mode", chmod(path, 0777), EROFS, EROFS);
}

static void try_descriptor(int fd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  refused("reopen for writing", open(path, O_RDWR), EROFS, EROFS);
  refused("write", (int)pwrite(fd, "x", 1, 0), EBADF, EBADF);
  refused("cut", ftruncate(fd, 0), EINVAL, EBADF);
  refused("punch a hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EBADF, EBADF);
  void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  refused("map writable", memory == MAP_FAILED ? -1 : 0, EACCES, EACCES);
  memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  refused("take a page out", madvise(memory, 4096, MADV_REMOVE), EACCES, EACCES);
  refused("make a mapping writable", mprotect(memory, 4096, PROT_READ | PROT_WRITE), EACCES, EACCES);
}

/* The library's own mappings, through the kernel's links to their files. */
static void try_mappings(const char *file) {
  DIR *maps = opendir("/proc/self/map_files");
  CHECK(maps != NULL);
  int seen = 0;
  struct dirent *entry;
  while ((entry = readdir(maps)) != NULL) {
    char path[512], target[512];
    snprintf(path, sizeof path, "/proc/self/map_files/%s", entry->d_name);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) continue;
    target[length] = '\0';
    if (strstr(target, file) == NULL) continue;
    refused("open a mapping for writing", open(path, O_RDWR), EROFS, EPERM);
    seen++;
  }
  CHECK(seen > 0);
  closedir(maps);
}

int main(int argc, char **argv) {
  CHECK(argc == 5);
  scratch = argv[1];
  wipc_subscriber *s = subscriber_of(argv[2], argv[4]);
  char ring[64];
  snprintf(ring, sizeof ring, "ring.%s", argv[3]);
  const char *files[] = {ring, "meta"};
  for (int i = 0; i < 2; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", scratch, argv[2], files[i]);
    try_path(path);
    try_descriptor(open_file(argv[2], files[i], O_RDONLY));
    try_mappings(files[i]);
  }
  char path[512];
  snprintf(path, sizeof path, "%s/%s/ring.mine", scratch, argv[2]);
  refused("add a file", open(path, O_RDWR | O_CREAT, 0600), EROFS, EROFS);
  wipc_subscriber_close(s);
  printf("%d attempts refused\n", tried);
  return 0;
}
