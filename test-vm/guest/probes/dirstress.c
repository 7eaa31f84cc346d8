/*
 * dirstress DIR COUNT: makes COUNT files, lists them all, again from a telldir position, then unlinks them while
 * reading the folder, until it is empty. Status 1 when a name is missing, double or left.
 */
#include <dirent.h>
#include "probe.h"

static int list(DIR *dir, unsigned char *seen, size_t count) {
  int found = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    size_t n;
    if (sscanf(entry->d_name, "file-%zu", &n) != 1) continue;
    if (n >= count || seen[n]++) { fprintf(stderr, "%s came twice\n", entry->d_name); exit(1); }
    found++;
  }
  return found;
}

int main(int argc, char **argv) {
  if (argc != 3) usage("dirstress DIR COUNT");
  size_t count = strtoull(argv[2], NULL, 0);
  if (chdir(argv[1]) < 0) die(argv[1]);
  char name[32];
  for (size_t n = 0; n < count; n++) {
    snprintf(name, sizeof name, "file-%zu", n);
    close(open_or_die(name, O_CREAT | O_EXCL | O_WRONLY, 0644));
  }
  DIR *dir = opendir(".");
  if (dir == NULL) die("opendir");
  unsigned char *seen = calloc(count, 1);
  int found = list(dir, seen, count);
  if ((size_t)found != count) { fprintf(stderr, "listed %d of %zu\n", found, count); return 1; }
  /* From a position in the middle: exactly the entries that came after it. */
  rewinddir(dir);
  for (size_t n = 0; n < count / 2; n++) readdir(dir);
  long middle = telldir(dir);
  memset(seen, 0, count);
  int first = list(dir, seen, count);
  seekdir(dir, middle);
  memset(seen, 0, count);
  int again = list(dir, seen, count);
  if (first != again) { fprintf(stderr, "%d entries after telldir, %d after seekdir\n", first, again); return 1; }
  int removed = 0;
  for (int round = 0; round < 100 && (size_t)removed < count; round++) {
    rewinddir(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
      if (strncmp(entry->d_name, "file-", 5) == 0 && unlink(entry->d_name) == 0) removed++;
    }
  }
  closedir(dir);
  printf("made, listed and removed %d\n", removed);
  return (size_t)removed == count ? 0 : 1;
}
