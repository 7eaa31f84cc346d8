/* mapstore FILE OFFSET STRING [sync|async]: stores the string through a MAP_SHARED mapping, then msync if asked. */
#include "probe.h"

int main(int argc, char **argv) {
  if (argc != 4 && argc != 5) usage("mapstore FILE OFFSET STRING [sync|async]");
  int fd = open_or_die(argv[1], O_RDWR, 0);
  off_t offset = strtoll(argv[2], NULL, 0);
  size_t len = strlen(argv[3]);
  off_t page = offset & ~(off_t)4095;
  size_t span = len + (size_t)(offset - page);
  unsigned char *at = map_or_die(fd, span, page, PROT_READ | PROT_WRITE);
  memcpy(at + (offset - page), argv[3], len);
  if (argc == 5 && msync(at, span, strcmp(argv[4], "sync") == 0 ? MS_SYNC : MS_ASYNC) < 0) die("msync");
  return 0;
}
