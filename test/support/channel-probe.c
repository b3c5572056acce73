/*
 * What a service could try on the files of its channels: channel-probe <what> <file> [number]. Prints "ok" or the
 * errno's number, a line each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const char *what, long result) {
  if (result < 0) printf("%s %d\n", what, errno);
  else printf("%s ok\n", what);
}

/* Each way to get a writable view of a file that may only be read. */
static int write_attempts(const char *path) {
  tell("open-rw", open(path, O_RDWR));
  tell("open-truncate", open(path, O_WRONLY | O_TRUNC));
  tell("truncate", truncate(path, 0));
  tell("chmod", chmod(path, 0666));
  tell("unlink", unlink(path));
  tell("remount", mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL));
  tell("umount", umount2(path, MNT_DETACH));
  int fd = open(path, O_RDONLY);
  tell("open-ro", fd);
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  tell("reopen", open(link, O_RDWR));
  tell("map-shared-rw", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
  void *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  tell("mprotect", mprotect(view, 4096, PROT_READ | PROT_WRITE));
  tell("remove", madvise(view, 4096, MADV_REMOVE));
  tell("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  tell("ftruncate", ftruncate(fd, 0));
  return 0;
}

/* Fills what it may write from end to end. */
static int fill(const char *path) {
  int fd = open(path, O_RDWR);
  struct stat stats;
  if (fd < 0 || fstat(fd, &stats) < 0) return tell("open", -1), 1;
  unsigned char *bytes = mmap(NULL, stats.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (bytes == MAP_FAILED) return tell("map", -1), 1;
  memset(bytes + 256, 0x5a, stats.st_size - 256);
  printf("filled %lld\n", (long long)stats.st_size);
  return 0;
}

/* What a hostile publisher does to its own ring. */
static int own_attempts(const char *path) {
  int fd = open(path, O_RDWR);
  tell("open", fd);
  struct stat stats;
  fstat(fd, &stats);
  void *view = mmap(NULL, stats.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  tell("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, stats.st_size));
  tell("remove", madvise(view, stats.st_size, MADV_REMOVE));
  tell("fallocate", fallocate(fd, 0, 0, stats.st_size));
  tell("dontneed", madvise(view, stats.st_size, MADV_DONTNEED));
  tell("grow", fallocate(fd, 0, 0, stats.st_size + (1 << 20)));
  return 0;
}

static int cut(const char *path, long size) {
  tell("truncate", truncate(path, size));
  return 0;
}

/* Garbage over the header, the counters, and every slot's header. */
static int garble(const char *path) {
  int fd = open(path, O_RDWR);
  struct stat stats;
  fstat(fd, &stats);
  unsigned char *bytes = mmap(NULL, stats.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (bytes == MAP_FAILED) return tell("map", -1), 1;
  for (off_t at = 0; at < stats.st_size; at++) bytes[at] = (unsigned char)(at * 2654435761u >> 13);
  printf("garbled\n");
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc < 3) return 2;
  if (strcmp(argv[1], "write") == 0) return write_attempts(argv[2]);
  if (strcmp(argv[1], "fill") == 0) return fill(argv[2]);
  if (strcmp(argv[1], "own") == 0) return own_attempts(argv[2]);
  if (strcmp(argv[1], "cut") == 0) return cut(argv[2], argc > 3 ? atol(argv[3]) : 0);
  if (strcmp(argv[1], "garble") == 0) return garble(argv[2]);
  return 2;
}
