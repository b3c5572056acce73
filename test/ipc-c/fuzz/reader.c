/*
 * libFuzzer against everything that reads what another process wrote: the input is a list of what a hostile publisher
 * does to its ring (or somebody to meta), between the calls of a subscriber and an observer. AddressSanitizer, UBSan
 * and the checks below judge. One operation: a byte of what to do, then its arguments.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fixture.h"

#define SLOT 100
#define DEPTH 4
#define STRIDE 192
#define RING (RING_HEADER + DEPTH * STRIDE)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ring_file, meta_file, ack_file;
static char folder[512];
static unsigned char clean_ring[RING], clean_meta[META_SIZE];

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  scratch = getenv("WHERRY_IPC_DIR");
  CHECK(scratch != NULL);
  /* Each worker a channel of its own: the claim of the ack file is exclusive. */
  char name[32];
  snprintf(name, sizeof name, "fuzz%d", (int)getpid());
  strcpy(folder, make_channel(&(struct spec){name, {"a", "c"}, {"b"}, SLOT, DEPTH, WIPC_LOSSY, 0}));
  wipc_publisher *p = publisher_of(name, "a");
  for (uint64_t i = 0; i < 6; i++) CHECK(publish_seed(p, i, 20 * i, 0) == 0);
  wipc_publisher_close(p);
  ring_file = open_file(name, "ring.a", O_RDWR);
  meta_file = open_file(name, "meta", O_RDWR);
  ack_file = open_file(name, "ack.b", O_RDWR);
  CHECK(pread(ring_file, clean_ring, RING, 0) == RING);
  CHECK(pread(meta_file, clean_meta, META_SIZE, 0) == (ssize_t)META_SIZE);
  return 0;
}

struct input {
  const uint8_t *at;
  size_t left;
};

static uint32_t next(struct input *input, unsigned bytes) {
  uint32_t value = 0;
  for (unsigned i = 0; i < bytes && input->left > 0; i++, input->left--) value |= (uint32_t)*input->at++ << (8 * i);
  return value;
}

/* Overwrites a part of a file with bytes of the input. */
static void patch(struct input *input, int file, uint32_t size) {
  uint32_t offset = next(input, 2) % size, length = next(input, 1) % 64;
  if (length > input->left) length = (uint32_t)input->left;
  if (length > size - offset) length = size - offset;
  CHECK(pwrite(file, input->at, length, offset) == (ssize_t)length);
  input->at += length;
  input->left -= length;
}

static void sign_meta(void) {
  struct meta meta;
  CHECK(pread(meta_file, &meta, sizeof meta, 0) == sizeof meta);
  uint32_t crc = crc32c_of(&meta, offsetof(struct meta, crc32c));
  CHECK(pwrite(meta_file, &crc, 4, offsetof(struct meta, crc32c)) == 4);
}

static void take(wipc_subscriber *s, size_t cap) {
  unsigned char *buffer = malloc(cap);
  wipc_message m;
  int rc = wipc_take(s, buffer, cap, &m);
  CHECK(rc == 0 || rc == 1 || rc == WIPC_ETOOBIG || rc == WIPC_EINVAL);
  if (rc == 1) CHECK(m.length <= cap && m.publisher < WIPC_MAX_PEERS && m.data == buffer);
  free(buffer);
}

static void view(wipc_subscriber *s) {
  wipc_message m;
  if (wipc_view(s, &m) != 1) return;
  CHECK(m.length <= SLOT);
  int whole = wipc_view_end(s);
  CHECK(whole == 0 || whole == 1);
}

static void look(wipc_observer *o) {
  wipc_channel_state state;
  CHECK(wipc_observer_stat(o, &state) == 0);
  unsigned char buffer[SLOT];
  wipc_message m;
  if (wipc_observer_take(o, buffer, sizeof buffer, &m) == 1) CHECK(m.length <= sizeof buffer);
}

static void play(struct input *input, wipc_subscriber *s, wipc_observer *o) {
  wipc_subscriber_stats stats;
  while (input->left > 0) {
    switch (next(input, 1) % 9) {
      case 0: take(s, SLOT); break;
      case 1: take(s, next(input, 1) % SLOT + 1); break;
      case 2: view(s); break;
      case 3: patch(input, ring_file, RING); break;
      case 4: CHECK(ftruncate(ring_file, next(input, 2) % (RING + 1)) == 0); break;
      case 5: CHECK(ftruncate(ring_file, RING) == 0); break;
      case 6: CHECK(wipc_wait(&s, 1, 0) >= 0 && wipc_spin(&s, 1, 2) >= 0); break;
      case 7: CHECK(wipc_subscriber_stat(s, &stats) == 0); break;
      default: look(o);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input input = {data, size};
  /* An ack of zeros, as the agent makes it; a ring with messages in it. */
  CHECK(ftruncate(ack_file, 0) == 0 && ftruncate(ack_file, 2 * sizeof(struct ack)) == 0);
  CHECK(ftruncate(ring_file, RING) == 0 && pwrite(ring_file, clean_ring, RING, 0) == RING);
  CHECK(pwrite(meta_file, clean_meta, META_SIZE, 0) == (ssize_t)META_SIZE);
  uint32_t start = next(&input, 1);
  if (start & 1) patch(&input, meta_file, META_SIZE);
  if (start & 2) patch(&input, meta_file, 64);
  if (start & 4) sign_meta();
  wipc_subscriber *s = NULL;
  wipc_observer *o = NULL;
  if (wipc_subscriber_open(scratch, "b", strrchr(folder, '/') + 1, &s) == 0 && wipc_observer_open(folder, &o) == 0)
    play(&input, s, o);
  wipc_observer_close(o);
  wipc_subscriber_close(s);
  return 0;
}
