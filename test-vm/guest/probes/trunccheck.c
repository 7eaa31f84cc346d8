/*
 * trunccheck FILE SIZE: maps the whole file, truncates it to SIZE, and checks: bytes before stay, the rest of SIZE's
 * page reads as zeros, the page after gives SIGBUS. Status 1 when one of them does not hold.
 */
#include <setjmp.h>
#include <signal.h>
#include "probe.h"

static sigjmp_buf back;
static void on_bus(int signal) { siglongjmp(back, signal); }

/* The byte there, or -1 for SIGBUS. Not inlined: nothing of the caller lives in registers across the jump. */
__attribute__((noinline)) static int peek(volatile unsigned char *at) {
  if (sigsetjmp(back, 1) != 0) return -1;
  return *at;
}

int main(int argc, char **argv) {
  if (argc != 3) usage("trunccheck FILE SIZE");
  int fd = open_or_die(argv[1], O_RDWR, 0);
  size_t old = size_or_die(fd), size = strtoull(argv[2], NULL, 0);
  unsigned char *at = map_or_die(fd, old, 0, PROT_READ);
  unsigned char *copy = malloc(old);
  memcpy(copy, at, old);
  signal(SIGBUS, on_bus);
  if (ftruncate(fd, (off_t)size) < 0) die("ftruncate");
  if (size_or_die(fd) != size) { fprintf(stderr, "size is %zu\n", size_or_die(fd)); return 1; }
  size_t page_end = (size + 4095) & ~(size_t)4095;
  for (size_t i = 0; i < page_end && i < old; i++) {
    int want = i < size ? copy[i] : 0, got = peek(at + i);
    if (got != want) { fprintf(stderr, "byte %zu is %d, not %d (-1: SIGBUS)\n", i, got, want); return 1; }
  }
  if (page_end < old && peek(at + page_end) != -1) { fprintf(stderr, "no SIGBUS past the end\n"); return 1; }
  printf("truncated to %zu\n", size);
  return 0;
}
