/*
 * trunccheck FILE SIZE: maps the whole file, truncates it to SIZE, and checks: bytes before stay, the rest of SIZE's
 * page reads as zeros, the page after gives SIGBUS. Status 1 when one of them does not hold.
 */
#include <setjmp.h>
#include <signal.h>
#include "probe.h"

static sigjmp_buf back;
static void on_bus(int signal) { siglongjmp(back, signal); }

int main(int argc, char **argv) {
  if (argc != 3) usage("trunccheck FILE SIZE");
  int fd = open_or_die(argv[1], O_RDWR, 0);
  size_t old = size_or_die(fd), size = strtoull(argv[2], NULL, 0);
  volatile unsigned char *at = map_or_die(fd, old, 0, PROT_READ);
  unsigned char *copy = malloc(old);
  for (size_t i = 0; i < old; i++) copy[i] = at[i];
  signal(SIGBUS, on_bus);
  if (ftruncate(fd, (off_t)size) < 0) die("ftruncate");
  if (size_or_die(fd) != size) { fprintf(stderr, "size is %zu\n", size_or_die(fd)); return 1; }
  size_t page_end = (size + 4095) & ~(size_t)4095;
  if (sigsetjmp(back, 1) != 0) { fprintf(stderr, "SIGBUS inside the file\n"); return 1; }
  for (size_t i = 0; i < size; i++) if (at[i] != copy[i]) { fprintf(stderr, "byte %zu changed\n", i); return 1; }
  for (size_t i = size; i < page_end && i < old; i++) {
    if (at[i] != 0) { fprintf(stderr, "byte %zu past the end is %02x\n", i, at[i]); return 1; }
  }
  if (page_end < old) {
    if (sigsetjmp(back, 1) == 0) {
      unsigned char got = at[page_end];
      fprintf(stderr, "page past the end reads as %02x, no SIGBUS\n", got);
      return 1;
    }
  }
  printf("truncated to %zu\n", size);
  return 0;
}
