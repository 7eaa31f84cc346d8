/*
 * wlround WHAT COUNT: what a Wayland client waits for, at $XDG_RUNTIME_DIR/$WAYLAND_DISPLAY.
 *   sync    wl_display.sync and its answer, COUNT times, one after the other
 *   commit  the same behind attach, damage and commit of a 1920 x 1080 buffer, all of it damaged and written anew
 * Prints each time in nanoseconds.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include "pattern.h"
#include "probe.h"

#define WIDTH 1920
#define HEIGHT 1080
#define BYTES (WIDTH * HEIGHT * 4)
#define XRGB8888 1
/* Objects, in the order in which they are made. */
enum { DISPLAY = 1, REGISTRY, CALLBACK, COMPOSITOR, SHM, SURFACE, POOL, BUFFER, NEXT };

static int sock;
static uint32_t next = NEXT;
static uint32_t globals[2];

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void request(uint32_t object, uint32_t opcode, const uint32_t *words, size_t count, int fd) {
  uint32_t message[32] = { object, (uint32_t)((count + 2) * 4) << 16 | opcode };
  memcpy(message + 2, words, count * 4);
  struct iovec part = { message, (count + 2) * 4 };
  union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { 0 };
  struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
  if (fd >= 0) {
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    *rights = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  if (sendmsg(sock, &header, MSG_NOSIGNAL) != (ssize_t)part.iov_len) die("sendmsg");
}
#define REQUEST(object, opcode, fd, ...) \
  request(object, opcode, (uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, fd)

/* Reads until the callback is done; remembers the globals on the way. */
static void until_done(uint32_t callback) {
  static unsigned char bytes[65536];
  static size_t have;
  for (;;) {
    size_t at = 0;
    while (have - at >= 8) {
      uint32_t object, rest;
      memcpy(&object, bytes + at, 4);
      memcpy(&rest, bytes + at + 4, 4);
      size_t size = rest >> 16;
      if (size < 8) { errno = EBADMSG; die("message"); }
      if (have - at < size) break;
      if (object == DISPLAY && (rest & 0xffff) == 0) { errno = EPROTO; die((char *)bytes + at + 20); }
      if (object == REGISTRY) {
        const char *name = (char *)bytes + at + 16;
        for (int i = 0; i < 2; i++) {
          if (strcmp(name, i == 0 ? "wl_compositor" : "wl_shm") == 0) memcpy(&globals[i], bytes + at + 8, 4);
        }
      }
      at += size;
      if (object == callback) {
        have -= at;
        memmove(bytes, bytes + at, have);
        return;
      }
    }
    have -= at;
    memmove(bytes, bytes + at, have);
    ssize_t got = read(sock, bytes + have, sizeof bytes - have);
    if (got <= 0) die("read");
    have += (size_t)got;
  }
}

static void sync_with(uint32_t callback) {
  REQUEST(DISPLAY, 0, -1, callback);
  until_done(callback);
}

static void bind_global(uint32_t name, const char *interface, uint32_t version, uint32_t id) {
  uint32_t words[16] = { name, (uint32_t)strlen(interface) + 1 };
  size_t letters = (words[1] + 3) / 4;
  memcpy(words + 2, interface, words[1]);
  words[2 + letters] = version;
  words[3 + letters] = id;
  request(REGISTRY, 0, words, 4 + letters, -1);
}

int main(int argc, char **argv) {
  if (argc != 3) usage("wlround sync|commit COUNT");
  const char *dir = getenv("XDG_RUNTIME_DIR"), *name = getenv("WAYLAND_DISPLAY");
  if (dir == NULL || name == NULL) usage("XDG_RUNTIME_DIR and WAYLAND_DISPLAY must be set");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", dir, name);
  sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(sock, (struct sockaddr *)&address, sizeof address) < 0) die(address.sun_path);
  REQUEST(DISPLAY, 1, -1, REGISTRY);
  sync_with(CALLBACK);
  bind_global(globals[0], "wl_compositor", 4, COMPOSITOR);
  bind_global(globals[1], "wl_shm", 1, SHM);
  int file = memfd_create("pool", MFD_CLOEXEC);
  if (ftruncate(file, BYTES) < 0) die("ftruncate");
  uint32_t *pixels = (uint32_t *)map_or_die(file, BYTES, 0, PROT_READ | PROT_WRITE);
  REQUEST(COMPOSITOR, 0, -1, SURFACE);
  REQUEST(SHM, 0, file, POOL, BYTES);
  REQUEST(POOL, 0, -1, BUFFER, 0, WIDTH, HEIGHT, WIDTH * 4, XRGB8888);
  int commits = strcmp(argv[1], "commit") == 0;
  for (long left = strtol(argv[2], NULL, 10); left > 0; left--) {
    if (commits) memset(pixels, (int)left, BYTES);
    uint64_t start = now();
    if (commits) {
      REQUEST(SURFACE, 1, -1, BUFFER, 0, 0);
      REQUEST(SURFACE, 9, -1, 0, 0, WIDTH, HEIGHT);
      request(SURFACE, 6, NULL, 0, -1);
    }
    sync_with(next++);
    printf("%llu\n", (unsigned long long)(now() - start));
  }
}
