/*
 * fileflags FILE [+FLAGS]: a file's birth in seconds, its FS_IOC_GETFLAGS and FS_IOC_FSGETXATTR flags, in hex; first adds FLAGS (hex)
 * by FS_IOC_SETFLAGS.
 */
#include "probe.h"
#include <linux/fs.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
  if (argc < 2) usage("fileflags FILE [+FLAGS]");
  struct statx facts;
  struct fsxattr extended;
  int flags = 0, fd = open_or_die(argv[1], O_RDONLY, 0);
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) die("FS_IOC_GETFLAGS");
  if (argc > 2) {
    flags |= (int)strtol(argv[2] + 1, NULL, 16);
    if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) die("FS_IOC_SETFLAGS");
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) die("FS_IOC_GETFLAGS");
  }
  if (ioctl(fd, FS_IOC_FSGETXATTR, &extended) < 0) die("FS_IOC_FSGETXATTR");
  if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &facts) < 0) die("statx");
  if ((facts.stx_mask & STATX_BTIME) == 0) {
    fprintf(stderr, "no birth\n");
    return 2;
  }
  printf("%lld %x %x\n", (long long)facts.stx_btime.tv_sec, flags, extended.fsx_xflags);
  return 0;
}
