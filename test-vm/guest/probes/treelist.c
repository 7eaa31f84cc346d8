/*
 * treelist DIR: everything below a folder, one line each, fields split by tabs:
 * path, type (f d l o), mode (octal), size, mtime (seconds.nanoseconds), links, link target.
 */
#include <ftw.h>
#include "probe.h"

static size_t prefix;

static int show(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)flag, (void)ftw;
  if (strlen(path) <= prefix) return 0;
  char type = S_ISREG(st->st_mode) ? 'f' : S_ISDIR(st->st_mode) ? 'd' : S_ISLNK(st->st_mode) ? 'l' : 'o';
  char target[4096] = "";
  if (type == 'l' && readlink(path, target, sizeof target - 1) < 0) die(path);
  printf("%s\t%c\t%o\t%lld\t%lld.%09ld\t%ju\t%s\n", path + prefix + 1, type, st->st_mode & 07777,
         (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (uintmax_t)st->st_nlink, target);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 2) usage("treelist DIR");
  prefix = strlen(argv[1]);
  if (nftw(argv[1], show, 32, FTW_PHYS) < 0) die(argv[1]);
  return 0;
}
