/* Opening: roles, one process an end, files that are not what they should be. */
#include "../fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int try_publisher(const char *channel, const char *service) {
  wipc_publisher *p = NULL;
  int rc = wipc_publisher_open(scratch, service, channel, &p);
  wipc_publisher_close(p);
  return rc;
}

static int try_subscriber(const char *channel, const char *service) {
  wipc_subscriber *s = NULL;
  int rc = wipc_subscriber_open(scratch, service, channel, &s);
  wipc_subscriber_close(s);
  return rc;
}

static void says_why_not(void) {
  make_channel(&(struct spec){"roles", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  CHECK(try_publisher("roles", "b") == WIPC_EROLE && try_subscriber("roles", "a") == WIPC_EROLE);
  CHECK(try_publisher("absent", "a") == WIPC_ENOENT && try_publisher("../roles", "a") == WIPC_EINVAL);
  CHECK(try_publisher("roles", "../a") == WIPC_EINVAL && try_publisher("roles", "") == WIPC_EINVAL);
  CHECK(try_publisher(".", "a") == WIPC_EINVAL && try_publisher(NULL, "a") == WIPC_EINVAL);
  unsetenv("WHERRY_SERVICE");
  CHECK(try_publisher("roles", NULL) == WIPC_ENOENT);
  setenv("WHERRY_SERVICE", "a", 1);
  CHECK(try_publisher("roles", NULL) == 0);
  for (int code = -10; code <= 0; code++) CHECK(strlen(wipc_strerror(code)) > 0);
}

static void one_process_an_end(void) {
  make_channel(&(struct spec){"lone", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  wipc_publisher *p = publisher_of("lone", "a");
  wipc_subscriber *s = subscriber_of("lone", "b");
  CHECK(try_publisher("lone", "a") == WIPC_EBUSY && try_subscriber("lone", "b") == WIPC_EBUSY);
  wipc_publisher_close(p);
  wipc_subscriber_close(s);
  CHECK(try_publisher("lone", "a") == 0 && try_subscriber("lone", "b") == 0);
}

/* A subscriber sees the ring read-only: none of the locks it can take there keeps the publisher out. */
static void reader_cannot_lock_a_publisher_out(void) {
  make_channel(&(struct spec){"locks", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  int flocked = open_file("locks", "ring.a", O_RDONLY), shared = open_file("locks", "ring.a", O_RDONLY);
  CHECK(flock(flocked, LOCK_EX | LOCK_NB) == 0);
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
  CHECK(fcntl(shared, F_OFD_SETLK, &lock) == 0);
  CHECK(try_publisher("locks", "a") == 0);
  close(flocked);
  close(shared);
}

static void lists_channels(void) {
  make_channel(&(struct spec){"list2", {"lister"}, {"b"}, 64, 4, WIPC_RELIABLE, 0});
  make_channel(&(struct spec){"list1", {"a"}, {"lister", "b"}, 32, 8, WIPC_LATEST, 0});
  wipc_info infos[2];
  CHECK(wipc_list(scratch, "lister", NULL, 0) == 2 && wipc_list(scratch, "lister", infos, 1) == 2);
  CHECK(wipc_list(scratch, "lister", infos, 2) == 2);
  CHECK(strcmp(infos[0].channel, "list1") == 0 && infos[0].subscribe && !infos[0].publish);
  CHECK(infos[0].slot_size == 32 && infos[0].depth == 8 && infos[0].mode == WIPC_LATEST && infos[0].subscribers == 2);
  CHECK(strcmp(infos[1].channel, "list2") == 0 && infos[1].publish && infos[1].mode == WIPC_RELIABLE);
  CHECK(wipc_list(scratch, "nobody", infos, 2) == 0 && wipc_list("/nowhere", "a", infos, 2) == WIPC_ENOENT);
}

static void set_crc(struct meta *meta) { meta->crc32c = crc32c_of(meta, offsetof(struct meta, crc32c)); }

static void refuses_a_faulty_meta(void) {
  make_channel(&(struct spec){"meta", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  size_t size;
  struct meta *meta = map_file("meta", "meta", &size), good = *meta;
#define FAULTY(change)                                                                             \
  do {                                                                                             \
    change;                                                                                        \
    CHECK(try_publisher("meta", "a") == WIPC_EFORMAT && try_subscriber("meta", "b") == WIPC_EFORMAT); \
    memcpy((void *)meta, (const void *)&good, sizeof good);                                        \
  } while (0)
  FAULTY(meta->depth = 8);
  FAULTY((meta->magic++, set_crc(meta)));
  FAULTY((meta->major++, set_crc(meta)));
  FAULTY((meta->depth = 3, set_crc(meta)));
  FAULTY((meta->depth = 0, set_crc(meta)));
  FAULTY((meta->stride = 64, set_crc(meta)));
  FAULTY((meta->slot_size = 0, set_crc(meta)));
  FAULTY((meta->slot_size = UINT32_MAX, set_crc(meta)));
  FAULTY((meta->ring_file_size += 64, set_crc(meta)));
  FAULTY((meta->publishers = 0, set_crc(meta)));
  FAULTY((meta->subscribers = 17, set_crc(meta)));
  FAULTY((meta->mode = 3, set_crc(meta)));
  FAULTY(memset(meta->publisher[0].name, 'x', WIPC_NAME_MAX));
  CHECK(try_publisher("meta", "a") == 0);
  unmap_file(meta, size);
  int fd = open_file("meta", "meta", O_RDWR);
  CHECK(ftruncate(fd, 4096) == 0);
  close(fd);
  CHECK(try_publisher("meta", "a") == WIPC_EFORMAT);
}

static void refuses_a_ring_of_another_channel(void) {
  make_channel(&(struct spec){"other", {"a"}, {"b"}, 64, 4, WIPC_LOSSY, 0});
  size_t size;
  struct ring *ring = map_file("other", "ring.a", &size);
  ring->channel_id++;
  CHECK(try_publisher("other", "a") == WIPC_EFORMAT);
  unmap_file(ring, size);
}

const struct test open_tests[] = {
    {"an open says why not", says_why_not},
    {"one process of a service has an end", one_process_an_end},
    {"a reader cannot lock a publisher out", reader_cannot_lock_a_publisher_out},
    {"lists the channels of a service", lists_channels},
    {"refuses a faulty meta", refuses_a_faulty_meta},
    {"refuses a ring of another channel", refuses_a_ring_of_another_channel},
    {0},
};
