/* seekhole FILE: the data ranges of a file as SEEK_DATA and SEEK_HOLE tell them, one `START END` a line. */
#include "probe.h"

int main(int argc, char **argv) {
  if (argc != 2) usage("seekhole FILE");
  int fd = open_or_die(argv[1], O_RDONLY, 0);
  for (off_t at = 0;;) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) return 0;
      die("SEEK_DATA");
    }
    off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0) die("SEEK_HOLE");
    printf("%lld %lld\n", (long long)data, (long long)hole);
    at = hole;
  }
}
