/*
 * growcheck FILE STEPS STEPBYTES: makes the file, keeps it mapped with room to grow, appends STEPS times and after
 * each step checks every new byte through the mapping and through read(). Status 1 at the first wrong byte.
 */
#include "probe.h"

static unsigned char pattern(size_t at) { return (unsigned char)((at * 2654435761u) >> 13 | 1); }

int main(int argc, char **argv) {
  if (argc != 4) usage("growcheck FILE STEPS STEPBYTES");
  size_t steps = strtoull(argv[2], NULL, 0), step = strtoull(argv[3], NULL, 0);
  int fd = open_or_die(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
  unsigned char *at = map_or_die(fd, steps * step, 0, PROT_READ);
  unsigned char *piece = malloc(step), *back = malloc(step);
  for (size_t n = 0; n < steps; n++) {
    size_t from = n * step;
    for (size_t i = 0; i < step; i++) piece[i] = pattern(from + i);
    write_fully(fd, piece, step, (off_t)from);
    if (size_or_die(fd) != from + step) { fprintf(stderr, "step %zu: size %zu\n", n, size_or_die(fd)); return 1; }
    read_fully(fd, back, step, (off_t)from);
    for (size_t i = 0; i < step; i++) {
      if (back[i] != piece[i]) { fprintf(stderr, "step %zu: read() gives %02x at %zu, not %02x\n", n, back[i], from + i, piece[i]); return 1; }
      if (at[from + i] != piece[i]) { fprintf(stderr, "step %zu: mmap gives %02x at %zu, not %02x\n", n, at[from + i], from + i, piece[i]); return 1; }
    }
  }
  for (size_t i = 0; i < steps * step; i++) {
    if (at[i] != pattern(i)) { fprintf(stderr, "at the end: mmap gives %02x at %zu, not %02x\n", at[i], i, pattern(i)); return 1; }
  }
  printf("grew to %zu\n", steps * step);
  return 0;
}
