/* mapcheck FILE: the checksum of the whole file by read() and by mmap; status 1 when they differ. */
#include "probe.h"

int main(int argc, char **argv) {
  if (argc != 2) usage("mapcheck FILE");
  int fd = open_or_die(argv[1], O_RDONLY, 0);
  size_t size = size_or_die(fd);
  static unsigned char buffer[1 << 17];
  uint64_t by_read = FNV_START;
  size_t seen = 0;
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) != 0; seen += (size_t)n) {
    if (n < 0) die("read");
    by_read = fnv(by_read, buffer, (size_t)n);
  }
  uint64_t by_map = fnv(FNV_START, map_or_die(fd, size, 0, PROT_READ), size);
  printf("size=%zu read=%016llx mmap=%016llx\n", size, (unsigned long long)by_read, (unsigned long long)by_map);
  if (seen != size) { fprintf(stderr, "read() gave %zu of %zu bytes\n", seen, size); return 1; }
  return by_read == by_map ? 0 : 1;
}
