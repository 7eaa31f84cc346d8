/* mapread FILE OFFSET LEN: writes that range to stdout, read through a mapping. */
#include "probe.h"

int main(int argc, char **argv) {
  if (argc != 4) usage("mapread FILE OFFSET LEN");
  int fd = open_or_die(argv[1], O_RDONLY, 0);
  off_t offset = strtoll(argv[2], NULL, 0);
  size_t len = strtoull(argv[3], NULL, 0);
  off_t page = offset & ~(off_t)4095;
  unsigned char *at = map_or_die(fd, len + (size_t)(offset - page), page, PROT_READ);
  for (size_t i = 0; i < len; i++) putchar(at[(size_t)(offset - page) + i]);
  return fflush(stdout) == 0 ? 0 : 2;
}
