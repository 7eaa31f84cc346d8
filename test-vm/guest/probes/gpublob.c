/*
 * gpublob NAME CAPSET [NODE]: holds HOST3D blobs of a context of that capset, mapped into this process. Commands (see serve.h):
 *   caps               what the device offers
 *   make ID:SIZE ...   a blob each, mapped at once
 *   fill SALT          writes each blob's pattern
 *   check SALT         compares each blob with its pattern
 *   export SALT NEXT   each as a dma-buf, mapped through that: compares with SALT, writes NEXT
 *   exhaust ID SIZE    blobs until there is no room; all of them stay
 *   drop [ID ...]      unmaps and closes those, or all
 *   churn SECONDS ID   makes, fills, checks and drops blobs of 4 KiB to 4 MiB, some at a time, for that long
 *   wait ID SIZE       makes a blob as soon as the kernel has room again (it gives ranges back later than it closes)
 */
#include <drm/drm.h>
#include <drm/virtgpu_drm.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include "pattern.h"
#include "serve.h"

#define MAX_BLOBS 4096

struct blob {
  uint32_t id, handle;
  size_t size;
  uint32_t *at;
};

static int gpu;
static struct blob blobs[MAX_BLOBS];
static size_t count;

static int param(uint64_t which) {
  int value = -1;
  struct drm_virtgpu_getparam get = { .param = which, .value = (uintptr_t)&value };
  return ioctl(gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get) < 0 ? -errno : value;
}

static void close_handle(uint32_t handle) {
  struct drm_gem_close args = { .handle = handle };
  ioctl(gpu, DRM_IOCTL_GEM_CLOSE, &args);
}

static int make(uint32_t id, size_t size) {
  if (count == MAX_BLOBS) { errno = EMFILE; return -1; }
  struct drm_virtgpu_resource_create_blob create = {
    .blob_mem = VIRTGPU_BLOB_MEM_HOST3D,
    .blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE | VIRTGPU_BLOB_FLAG_USE_SHAREABLE,
    .size = size,
    .blob_id = id,
  };
  if (ioctl(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &create) < 0) return -1;
  struct drm_virtgpu_map map = { .handle = create.bo_handle };
  void *at = MAP_FAILED;
  if (ioctl(gpu, DRM_IOCTL_VIRTGPU_MAP, &map) == 0) {
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu, (off_t)map.offset);
  }
  if (at == MAP_FAILED) {
    int error = errno;
    close_handle(create.bo_handle);
    errno = error;
    return -1;
  }
  blobs[count++] = (struct blob){ .id = id, .handle = create.bo_handle, .size = size, .at = at };
  return 0;
}

static void drop(size_t index) {
  munmap(blobs[index].at, blobs[index].size);
  close_handle(blobs[index].handle);
  blobs[index] = blobs[--count];
}

static int check(const struct blob *blob, const uint32_t *at, uint32_t salt) {
  size_t wrong = pattern_check(at, blob->size, pattern_seed(blob->id, salt));
  if (wrong == blob->size) return 0;
  say("blob %u of %zu bytes is wrong at %zu", blob->id, blob->size, wrong);
  return -1;
}

static int export(struct blob *blob, uint32_t salt, uint32_t next) {
  struct drm_prime_handle prime = { .handle = blob->handle, .flags = DRM_CLOEXEC | DRM_RDWR };
  if (ioctl(gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) < 0) return -1;
  uint32_t *at = mmap(NULL, blob->size, PROT_READ | PROT_WRITE, MAP_SHARED, prime.fd, 0);
  int ok = -1;
  if (at != MAP_FAILED) {
    ok = check(blob, at, salt);
    if (ok < 0) errno = EILSEQ;
    pattern_fill(at, blob->size, pattern_seed(blob->id, next));
    munmap(at, blob->size);
  }
  close(prime.fd);
  return ok;
}

static int caps(void) {
  struct drm_version version = { 0 };
  char name[32] = { 0 };
  version.name = name;
  version.name_len = sizeof name - 1;
  if (ioctl(gpu, DRM_IOCTL_VERSION, &version) < 0) return failed("VERSION");
  unsigned char capset[64] = { 0 };
  struct drm_virtgpu_get_caps get = { .cap_set_id = 0, .size = sizeof capset, .addr = (uintptr_t)capset };
  int mask = param(VIRTGPU_PARAM_SUPPORTED_CAPSET_IDs);
  say("driver=%s 3d=%d blob=%d host_visible=%d cross_device=%d context_init=%d capsets=%#x", name,
      param(VIRTGPU_PARAM_3D_FEATURES), param(VIRTGPU_PARAM_RESOURCE_BLOB), param(VIRTGPU_PARAM_HOST_VISIBLE),
      param(VIRTGPU_PARAM_CROSS_DEVICE), param(VIRTGPU_PARAM_CONTEXT_INIT), (unsigned)mask);
  for (uint32_t id = 1; id < 32; id++) {
    if (!((unsigned)mask >> id & 1)) continue;
    get.cap_set_id = id;
    if (ioctl(gpu, DRM_IOCTL_VIRTGPU_GET_CAPS, &get) < 0) return failed("GET_CAPS");
    say("capset %u", id);
  }
  return done();
}

static int make_list(char *list) {
  for (char *word = strtok(list, " "); word != NULL; word = strtok(NULL, " ")) {
    char *end;
    uint32_t id = (uint32_t)strtoul(word, &end, 0);
    if (*end != ':') { errno = EINVAL; return failed(word); }
    if (make(id, strtoull(end + 1, NULL, 0)) < 0) return failed(word);
  }
  say("%zu live", count);
  return done();
}

static int drop_list(char *list) {
  char *word = strtok(list, " ");
  if (word == NULL) while (count > 0) drop(count - 1);
  for (; word != NULL; word = strtok(NULL, " ")) {
    uint32_t id = (uint32_t)strtoul(word, NULL, 0);
    size_t index = 0;
    while (index < count && blobs[index].id != id) index++;
    if (index == count) { errno = ENOENT; return failed(word); }
    drop(index);
  }
  say("%zu live", count);
  return done();
}

/* A size of 1 to 1024 pages, the small ones more often. */
static size_t some_size(uint32_t id) {
  uint32_t word = pattern_word(pattern_seed(id, 3), 0);
  return 4096 * (size_t)(1 + (word >> 8) % (1u << (word % 11)));
}

static int churn(time_t seconds, uint32_t id) {
  const uint32_t first = id, at_a_time = 24;
  const time_t end = time(NULL) + seconds;
  while (time(NULL) < end) {
    for (uint32_t n = 0; n < at_a_time; n++, id++) {
      int tries = 0;
      while (make(id, some_size(id)) < 0) {
        if (errno != ENOSPC || ++tries > 10000) return failed("make");
        poll(NULL, 0, 1);
      }
      struct blob *made = &blobs[count - 1];
      pattern_fill(made->at, made->size, pattern_seed(made->id, id - first));
    }
    for (uint32_t n = 0; n < at_a_time; n++) {
      const struct blob *last = &blobs[count - 1];
      if (check(last, last->at, last->id - first) < 0) { errno = EILSEQ; return failed("check"); }
      drop(count - 1);
    }
  }
  say("%u blobs", id - first);
  return done();
}

static int command(char *line) {
  char *words = line + strcspn(line, " ");
  if (*words != '\0') *words++ = '\0';
  char *rest;
  uint32_t first = (uint32_t)strtoul(words, &rest, 0), second = (uint32_t)strtoul(rest, NULL, 0);
  if (strcmp(line, "caps") == 0) return caps();
  if (strcmp(line, "make") == 0) return make_list(words);
  if (strcmp(line, "drop") == 0) return drop_list(words);
  if (strcmp(line, "fill") == 0) {
    for (size_t i = 0; i < count; i++) pattern_fill(blobs[i].at, blobs[i].size, pattern_seed(blobs[i].id, first));
    return done();
  }
  if (strcmp(line, "check") == 0) {
    int wrong = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < count; bytes += blobs[i++].size) wrong |= check(&blobs[i], blobs[i].at, first);
    say("%zu blobs of %zu bytes", count, bytes);
    errno = EILSEQ;
    return wrong == 0 ? done() : failed("check");
  }
  if (strcmp(line, "churn") == 0) return churn((time_t)first, second);
  if (strcmp(line, "export") == 0) {
    for (size_t i = 0; i < count; i++) {
      if (export(&blobs[i], first, second) < 0) return failed("export");
    }
    return done();
  }
  if (strcmp(line, "exhaust") == 0) {
    size_t made = 0;
    while (make(first + (uint32_t)made, second) == 0) made++;
    say("%zu made, then: %s", made, strerror(errno));
    return done();
  }
  if (strcmp(line, "wait") == 0) {
    for (int tries = 0; tries < 10000; tries++) {
      if (make(first, second) == 0) { say("%zu live", count); return done(); }
      if (errno != ENOSPC) break;
      poll(NULL, 0, 1);
    }
    return failed("make");
  }
  errno = EINVAL;
  return failed(line);
}

int main(int argc, char **argv) {
  if (argc < 3) usage("gpublob NAME CAPSET [NODE]");
  gpu = open_or_die(argc > 3 ? argv[3] : "/dev/dri/renderD128", O_RDWR | O_CLOEXEC, 0);
  struct drm_virtgpu_context_set_param set[] = {
    { VIRTGPU_CONTEXT_PARAM_CAPSET_ID, strtoul(argv[2], NULL, 0) },
    { VIRTGPU_CONTEXT_PARAM_NUM_RINGS, 1 },
  };
  struct drm_virtgpu_context_init init = { .num_params = 2, .ctx_set_params = (uintptr_t)set };
  if (ioctl(gpu, DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &init) < 0) die("CONTEXT_INIT");
  serve(argv[1], command);
}
