/* falloc FILE alloc|keep|punch|zero OFFSET LEN: one fallocate call; status 3 where the file system has no such mode. */
#include "probe.h"

int main(int argc, char **argv) {
  if (argc != 5) usage("falloc FILE alloc|keep|punch|zero OFFSET LEN");
  int mode = strcmp(argv[2], "keep") == 0    ? FALLOC_FL_KEEP_SIZE
             : strcmp(argv[2], "punch") == 0 ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
             : strcmp(argv[2], "zero") == 0  ? FALLOC_FL_ZERO_RANGE
                                             : 0;
  int fd = open_or_die(argv[1], O_RDWR | O_CREAT, 0644);
  if (fallocate(fd, mode, strtoll(argv[3], NULL, 0), strtoll(argv[4], NULL, 0)) < 0) {
    int unsupported = errno == EOPNOTSUPP;
    perror("fallocate");
    return unsupported ? 3 : 2;
  }
  return 0;
}
