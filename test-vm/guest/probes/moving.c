/*
 * moving DIR [unlinked]: works in DIR until /tmp/stop is there, while its VM moves. It reads two files past the page cache into
 * memory that nothing else writes, writes records and reads them back, renames, reads a directory, and checks all of it with
 * descriptors and a working directory that it opened at the start. `unlinked`: also through a file that has no name any more.
 * Rounds go to /tmp/moving.rounds. Prints "ok rounds=N", or what is wrong.
 */
#include "probe.h"
#include <dirent.h>

#define SLOT (256 << 10)
#define SLOTS 96
#define FILE_SLOTS 16
#define RECORD 512

static uint64_t mix(uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdull;
  value ^= value >> 29;
  return value * 0x9e3779b97f4a7c15ull;
}

static void wrong(const char *what, unsigned long round) {
  printf("wrong in round %lu: %s (%m)\n", round, what);
  exit(1);
}

static void fill(uint64_t *words, size_t bytes, uint64_t seed) {
  for (size_t i = 0; i < bytes / 8; i++) words[i] = mix(seed * 1000003 + i);
}

static int filled(const uint64_t *words, size_t bytes, uint64_t seed) {
  for (size_t i = 0; i < bytes / 8; i++)
    if (words[i] != mix(seed * 1000003 + i)) return 0;
  return 1;
}

static int make(const char *name, uint64_t seed) {
  uint64_t *piece = malloc(SLOT);
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  for (int slot = 0; slot < FILE_SLOTS; slot++) {
    fill(piece, SLOT, seed + slot);
    if (write(fd, piece, SLOT) != SLOT) wrong(name, 0);
  }
  close(fd);
  free(piece);
  fd = open(name, O_RDONLY | O_DIRECT);
  if (fd < 0) wrong(name, 0);
  return fd;
}

static void report(unsigned long round) {
  char line[32];
  int fd = open("/tmp/moving.new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (write(fd, line, snprintf(line, sizeof line, "%lu\n", round)) < 0) wrong("report", round);
  close(fd);
  rename("/tmp/moving.new", "/tmp/moving.rounds");
}

int main(int argc, char **argv) {
  uint8_t seeds[SLOTS];
  uint64_t record[RECORD / 8];
  unsigned long round = 0;
  if (argc < 2 || chdir(argv[1]) < 0) wrong("chdir", 0);
  int sources[2] = {make("even", 1000), make("odd", 2000)};
  int records = open("records", O_RDWR | O_CREAT | O_TRUNC, 0600);
  int moved = open("name.0", O_RDWR | O_CREAT | O_TRUNC, 0600);
  int lost = argc > 2 ? open("unlinked", O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
  DIR *dir = opendir(".");
  char *memory = mmap(NULL, (size_t)SLOT * SLOTS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (records < 0 || moved < 0 || !dir || memory == MAP_FAILED) wrong("open", 0);
  if (argc > 2 && (lost < 0 || unlink("unlinked") < 0)) wrong("unlink", 0);
  memset(seeds, 0xff, sizeof seeds);
  for (; access("/tmp/stop", F_OK) < 0; round++) {
    char from[32], to[32];
    int slot = round % SLOTS, odd = round / SLOTS % 2, piece = (round * 7) % FILE_SLOTS;
    if (pread(sources[odd], memory + (size_t)slot * SLOT, SLOT, (off_t)piece * SLOT) != SLOT) wrong("read", round);
    seeds[slot] = odd * FILE_SLOTS + piece;
    int old = mix(round) % SLOTS;
    if (seeds[old] != 0xff && !filled((uint64_t *)(memory + (size_t)old * SLOT), SLOT, 1000 + 1000 * (seeds[old] / FILE_SLOTS) + seeds[old] % FILE_SLOTS))
      wrong("memory", round);
    fill(record, RECORD, round);
    if (pwrite(records, record, RECORD, (off_t)round * RECORD) != RECORD) wrong("write", round);
    unsigned long back = mix(round + 1) % (round + 1);
    if (pread(records, record, RECORD, (off_t)back * RECORD) != RECORD || !filled(record, RECORD, back)) wrong("record", round);
    snprintf(from, sizeof from, "name.%lu", round);
    snprintf(to, sizeof to, "name.%lu", round + 1);
    if (rename(from, to) < 0) wrong("rename", round);
    if (pwrite(moved, &round, sizeof round, 0) != sizeof round) wrong("moved", round);
    if (lost >= 0 && pwrite(lost, &round, sizeof round, (off_t)(round % 100) * 8) != sizeof round) wrong("unlinked", round);
    if (round % 50 == 0) {
      int names = 0;
      rewinddir(dir);
      for (struct dirent *entry; (entry = readdir(dir));) names += strcmp(entry->d_name, to) == 0;
      if (names != 1) wrong("directory", round);
      report(round);
    }
  }
  for (int slot = 0; slot < SLOTS; slot++)
    if (seeds[slot] != 0xff && !filled((uint64_t *)(memory + (size_t)slot * SLOT), SLOT, 1000 + 1000 * (seeds[slot] / FILE_SLOTS) + seeds[slot] % FILE_SLOTS))
      wrong("memory at the end", round);
  for (unsigned long back = 0; back < round; back++)
    if (pread(records, record, RECORD, (off_t)back * RECORD) != RECORD || !filled(record, RECORD, back)) wrong("records at the end", back);
  if (lost >= 0) {
    unsigned long last = round - 1, value;
    if (pread(lost, &value, sizeof value, (off_t)(last % 100) * 8) != sizeof value || value != last) wrong("unlinked at the end", round);
  }
  if (fsync(records) < 0) wrong("fsync", round);
  printf("ok rounds=%lu\n", round);
  return 0;
}
