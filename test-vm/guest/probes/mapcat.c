/* mapcat FILE: writes the file to stdout out of a mapping of all of it, so that sha256sum sees what mmap shows. */
#include "probe.h"

int main(int argc, char **argv) {
  if (argc != 2) usage("mapcat FILE");
  int fd = open_or_die(argv[1], O_RDONLY, 0);
  size_t size = size_or_die(fd);
  unsigned char *at = map_or_die(fd, size, 0, PROT_READ);
  static unsigned char buffer[1 << 16];
  for (size_t done = 0; done < size;) {
    size_t len = size - done < sizeof buffer ? size - done : sizeof buffer;
    /* Copied by the CPU: a write() straight from the mapping would be the kernel's access, not ours. */
    memcpy(buffer, at + done, len);
    for (size_t sent = 0; sent < len;) {
      ssize_t n = write(1, buffer + sent, len - sent);
      if (n < 0) die("write");
      sent += (size_t)n;
    }
    done += len;
  }
  return 0;
}
