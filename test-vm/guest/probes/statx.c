/* statx PATH...: one line a path: dax attribute, size, mode, links, mtime, owner. Does not follow links. */
#include "probe.h"
#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif

int main(int argc, char **argv) {
  if (argc < 2) usage("statx PATH...");
  for (int i = 1; i < argc; i++) {
    struct statx x;
    if (statx(AT_FDCWD, argv[i], AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &x) < 0) die(argv[i]);
    printf("dax=%d size=%llu mode=%o nlink=%u uid=%u gid=%u ino=%llu mtime=%lld.%09u %s\n",
           (x.stx_attributes & STATX_ATTR_DAX) != 0, (unsigned long long)x.stx_size, x.stx_mode, x.stx_nlink,
           x.stx_uid, x.stx_gid, (unsigned long long)x.stx_ino, (long long)x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec,
           argv[i]);
  }
  return 0;
}
