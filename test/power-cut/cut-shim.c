/*
 * Stops a process behind everything it does to the files under CUT_ROOT, so that somebody can copy the disk below.
 * LD_PRELOAD. CUT_OUT: file descriptor that is told of each stop, one line "S <operation> <path>"; CUT_IN: descriptor
 * from which one byte lets it go on. CUT_EAGER: the disk takes everything at once, and so each write and each change
 * of a name is a stop; without it only what is asked of the disk (fsync, fdatasync) is. CUT_CHILDREN: what the process
 * starts is stopped too, if it is given the two descriptors.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *root;
static size_t root_length;
static int out = -1, in = -1, is_eager, root_folder = -1;
/* One operation at a time: while one waits, no other thread changes the disk. */
static pthread_mutex_t turn = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
  const char *out_text = getenv("CUT_OUT"), *in_text = getenv("CUT_IN");
  root = getenv("CUT_ROOT");
  if (!root || !out_text || !in_text) return;
  root_length = strlen(root);
  is_eager = getenv("CUT_EAGER") != NULL;
  root_folder = REAL(open)(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  in = atoi(in_text);
  out = atoi(out_text);
  if (!getenv("CUT_CHILDREN")) unsetenv("LD_PRELOAD");
}

static int is_inside(const char *path) {
  return out >= 0 && path && !strncmp(path, root, root_length) && (!path[root_length] || path[root_length] == '/');
}

static const char *path_of(int file, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = out < 0 ? -1 : readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
  return path;
}

static void stop(const char *operation, const char *path) {
  char line[PATH_MAX + 64], go;
  int kept = errno;
  if (is_eager) syncfs(root_folder);
  const char *inside = path[root_length] ? path + root_length + 1 : "";
  int length = snprintf(line, sizeof line, "S %s %s\n", operation, inside);
  if (REAL(write)(out, line, length) != length) abort();
  while (read(in, &go, 1) != 1)
    if (errno != EINTR) _exit(99);
  errno = kept;
}

#define LOCKED(type, call, condition, operation, path)        \
  do {                                                        \
    pthread_mutex_lock(&turn);                                \
    type result = call;                                       \
    if (result >= 0 && (condition)) stop(operation, path);    \
    pthread_mutex_unlock(&turn);                              \
    return result;                                            \
  } while (0)

#define ON_FILE(type, name, parameters, arguments, when)                                   \
  type name parameters {                                                                   \
    char path[PATH_MAX];                                                                   \
    if (!(when) || !is_inside(path_of(file, path))) return REAL(name) arguments;           \
    LOCKED(type, REAL(name) arguments, 1, #name, path);                                    \
  }

ON_FILE(int, fsync, (int file), (file), 1)
ON_FILE(int, fdatasync, (int file), (file), 1)
ON_FILE(int, sync_file_range, (int file, off64_t at, off64_t length, unsigned flags), (file, at, length, flags), 1)
ON_FILE(ssize_t, write, (int file, const void *data, size_t size), (file, data, size), is_eager)
ON_FILE(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at), is_eager)
ON_FILE(ssize_t, pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at), is_eager)
ON_FILE(ssize_t, writev, (int file, const struct iovec *parts, int count), (file, parts, count), is_eager)
ON_FILE(ssize_t, pwritev, (int file, const struct iovec *parts, int count, off_t at), (file, parts, count, at), is_eager)
ON_FILE(int, ftruncate, (int file, off_t size), (file, size), is_eager)
ON_FILE(int, ftruncate64, (int file, off64_t size), (file, size), is_eager)
ON_FILE(int, fchmod, (int file, mode_t mode), (file, mode), is_eager)

#define ON_NAME(name, parameters, arguments, path)                          \
  int name parameters {                                                     \
    if (!is_eager || !is_inside(path)) return REAL(name) arguments;         \
    LOCKED(int, REAL(name) arguments, 1, #name, path);                      \
  }

ON_NAME(rename, (const char *from, const char *to), (from, to), to)
ON_NAME(link, (const char *from, const char *to), (from, to), to)
ON_NAME(symlink, (const char *from, const char *to), (from, to), to)
ON_NAME(unlink, (const char *path), (path), path)
ON_NAME(rmdir, (const char *path), (path), path)
ON_NAME(mkdir, (const char *path, mode_t mode), (path, mode), path)

#define MAKES (O_CREAT | O_TRUNC)
#define ON_OPEN(name)                                                                           \
  int name(const char *path, int flags, ...) {                                                  \
    va_list rest;                                                                               \
    va_start(rest, flags);                                                                      \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                     \
    va_end(rest);                                                                               \
    if (!is_eager || !(flags & MAKES) || !is_inside(path)) return REAL(name)(path, flags, mode); \
    int is_new = access(path, F_OK) != 0;                                                       \
    LOCKED(int, REAL(name)(path, flags, mode), is_new || (flags & O_TRUNC), "open", path);      \
  }

ON_OPEN(open)
ON_OPEN(open64)
