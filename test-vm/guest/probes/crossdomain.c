/*
 * crossdomain SEED CONTEXTS ROUNDS: a program that does to cross-domain contexts what no proxy does: commands of random bytes,
 * of right shape with wrong numbers, cut short, too long; rings that are not its own; SENDs of half messages; floods of pipes
 * and pictures; answers that it never reads. Each call of the kernel must end. Prints "ok submits=N refused=N".
 * The device answers wrong commands with an error, which the kernel only logs: refused counts what the kernel itself refuses.
 */
#include <drm/drm.h>
#include <drm/virtgpu_drm.h>
#include <sys/ioctl.h>
#include "pattern.h"
#include "probe.h"

#define CAPSET_CROSS_DOMAIN 5
#define RING_CHANNEL 1
#define MAX_COMMAND 8192
#define IDENTIFIERS 28
enum { INIT = 1, IMAGE = 2, POLL = 3, SEND = 4, WRITE = 7, LAST = 14 };

static uint32_t word, refused, submits;

static uint32_t any(void) { return word = pattern_word(word, submits + 1); }

/* A number that some check may have missed. */
static uint32_t odd(void) {
  static const uint32_t edges[] = { 0, 1, 27, 28, 29, 352, 3744, 4096, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff };
  uint32_t choice = any() % 16;
  return choice < 12 ? edges[choice] : any();
}

struct guest_blob { uint32_t handle, resource; };

static struct guest_blob ring_blob(int gpu) {
  struct drm_virtgpu_resource_create_blob create = {
    .blob_mem = VIRTGPU_BLOB_MEM_GUEST, .blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE, .size = 4096,
  };
  if (ioctl(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &create) < 0) die("CREATE_BLOB");
  return (struct guest_blob){ create.bo_handle, create.res_handle };
}

static void submit(int gpu, void *bytes, uint32_t size, uint32_t ring) {
  struct drm_virtgpu_execbuffer exec = {
    .flags = VIRTGPU_EXECBUF_RING_IDX, .size = size, .command = (uintptr_t)bytes, .ring_idx = ring,
  };
  submits++;
  if (ioctl(gpu, DRM_IOCTL_VIRTGPU_EXECBUFFER, &exec) < 0) refused++;
}

static void header(unsigned char *at, uint32_t command, uint32_t size) {
  at[0] = (unsigned char)command;
  at[1] = 0;
  memcpy(at + 2, &(uint16_t){ (uint16_t)size }, 2);
  memset(at + 4, 0, 4);
}

static void put(unsigned char *at, size_t offset, uint32_t value) { memcpy(at + offset, &value, 4); }

static void init(int gpu, uint32_t query, uint32_t channel) {
  unsigned char command[20];
  header(command, INIT, sizeof command);
  put(command, 8, query);
  put(command, 12, channel);
  put(command, 16, 1);
  submit(gpu, command, sizeof command, 0);
}

static void poll_once(int gpu) {
  unsigned char command[16] = { 0 };
  header(command, POLL, sizeof command);
  submit(gpu, command, sizeof command, RING_CHANNEL);
}

/* A SEND whose counts, identifiers and sizes may all be wrong; its bytes are half messages of Wayland. */
static void send_odd(int gpu, unsigned char *command) {
  uint32_t data = any() % 600, size = 16 + 12 * IDENTIFIERS + data;
  for (uint32_t at = 8; at < size; at += 4) put(command, at, any() % 3 == 0 ? odd() : any() % 64);
  header(command, SEND, any() % 8 == 0 ? odd() : size);
  if (any() % 2 == 0) put(command, 12, data);
  if (any() % 2 == 0) put(command, 8, any() % (IDENTIFIERS + 2));
  submit(gpu, command, any() % 8 == 0 ? 1 + any() % size : size, any() % 4 == 0 ? any() % 3 : 0);
}

/* Pictures and pipes until the host has enough of them. */
static void flood(int gpu, unsigned char *command, uint32_t round) {
  for (uint32_t n = 0; n < 64; n++) {
    memset(command, 0, 16 + 12 * IDENTIFIERS);
    if (n % 2 == 0) {
      header(command, IMAGE, 24);
      put(command, 8, 1 + odd() % 4096);
      put(command, 12, 1 + any() % 4096);
      put(command, 16, 0x34325258);
      submit(gpu, command, 24, 0);
    } else {
      header(command, SEND, 16 + 12 * IDENTIFIERS);
      put(command, 8, 1);
      put(command, 16, 0x80000001 + round * 64 + n);
      put(command, 16 + 4 * IDENTIFIERS, 3);
      submit(gpu, command, 16 + 12 * IDENTIFIERS, 0);
    }
  }
}

static void random_bytes(int gpu, unsigned char *command) {
  uint32_t size = 1 + any() % 1024;
  for (uint32_t at = 0; at < size; at++) command[at] = (unsigned char)any();
  if (any() % 2 == 0) header(command, any() % (LAST + 1), any() % 4 == 0 ? odd() : size);
  submit(gpu, command, size, any() % 4 == 0 ? any() % 3 : 0);
}

static void one_context(uint32_t rounds) {
  static unsigned char command[MAX_COMMAND];
  int gpu = open_or_die("/dev/dri/renderD128", O_RDWR | O_CLOEXEC, 0);
  struct drm_virtgpu_context_set_param set[] = {
    { VIRTGPU_CONTEXT_PARAM_CAPSET_ID, CAPSET_CROSS_DOMAIN },
    { VIRTGPU_CONTEXT_PARAM_NUM_RINGS, 2 },
    { VIRTGPU_CONTEXT_PARAM_POLL_RINGS_MASK, 1 << RING_CHANNEL },
  };
  struct drm_virtgpu_context_init context = { .num_params = 3, .ctx_set_params = (uintptr_t)set };
  if (ioctl(gpu, DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &context) < 0) die("CONTEXT_INIT");
  struct guest_blob query = ring_blob(gpu), channel = ring_blob(gpu);
  if (any() % 4 != 0) init(gpu, query.resource, any() % 4 == 0 ? odd() : channel.resource);
  if (any() % 4 != 0) poll_once(gpu);
  for (uint32_t round = 0; round < rounds; round++) {
    switch (any() % 8) {
      case 0: flood(gpu, command, round); break;
      case 1: init(gpu, odd(), odd()); break;
      case 2: poll_once(gpu); break;
      case 3: case 4: random_bytes(gpu, command); break;
      default: send_odd(gpu, command);
    }
  }
  /* The rest is the kernel's: fences that wait, blobs and pipes go with the file. */
  close(gpu);
}

int main(int argc, char **argv) {
  if (argc != 4) usage("crossdomain SEED CONTEXTS ROUNDS");
  word = (uint32_t)strtoul(argv[1], NULL, 0);
  uint32_t contexts = (uint32_t)strtoul(argv[2], NULL, 0), rounds = (uint32_t)strtoul(argv[3], NULL, 0);
  for (uint32_t n = 0; n < contexts; n++) one_context(rounds);
  printf("ok submits=%u refused=%u\n", submits, refused);
}
