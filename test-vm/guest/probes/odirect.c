/*
 * odirect SRC MAPPED [LEN]: reads SRC with O_DIRECT straight into a MAP_SHARED mapping of MAPPED (which must be as
 * long; LEN a multiple of 4096), then compares with a buffered read of SRC. With MAPPED on DAX the device is given
 * buffers inside its own window.
 */
#include "probe.h"

int main(int argc, char **argv) {
  if (argc != 3 && argc != 4) usage("odirect SRC MAPPED [LEN]");
  int direct = open_or_die(argv[1], O_RDONLY | O_DIRECT, 0);
  int buffered = open_or_die(argv[1], O_RDONLY, 0);
  int target = open_or_die(argv[2], O_RDWR, 0);
  size_t len = argc == 4 ? strtoull(argv[3], NULL, 0) : size_or_die(direct) & ~(size_t)4095;
  if (len == 0 || size_or_die(target) < len) { fprintf(stderr, "the files are too short for %zu bytes\n", len); return 2; }
  unsigned char *at = map_or_die(target, len, 0, PROT_READ | PROT_WRITE);
  read_fully(direct, at, len, 0);
  unsigned char *want = malloc(len);
  read_fully(buffered, want, len, 0);
  for (size_t i = 0; i < len; i++) {
    if (at[i] != want[i]) { fprintf(stderr, "byte %zu is %02x, not %02x\n", i, at[i], want[i]); return 1; }
  }
  printf("read %zu\n", len);
  return 0;
}
