/* exercise FILE SEED OPERATIONS [MAX]: random operations on one file, compared with a model in memory after each read. The file
 * may grow to MAX bytes (default 5 MiB). The last line tells how often each operation was done; one that the file system refuses
 * counts as 0. A wrong byte ends it with status 1 and the operations that led to it. */
#include "exercise.h"
#include <linux/falloc.h>

#define MOST (128 << 10)

static const char *path;
static int fd;
static struct model model;
static char buffer[MOST];
static unsigned long done[16], refused[16];

enum { READ, WRITE, MAPREAD, MAPWRITE, TRUNCATE, PUNCH, ZERO, ALLOC, COLLAPSE, COPY, SYNC, REOPEN, MSYNC, CHECK, KINDS };
static const char *const names[KINDS] = {"read",  "write",    "mapread", "mapwrite", "truncate", "punch", "zero",
                                         "alloc", "collapse", "copy",    "sync",     "reopen",   "msync", "check"};

static void fill(off_t len) {
  for (off_t i = 0; i < len; i += 4) {
    uint32_t word = any(UINT32_MAX);
    memcpy(buffer + i, &word, (size_t)(len - i < 4 ? len - i : 4));
  }
}

/* Shortens [at, at + len) to what the file has. */
static int inside(off_t at, off_t *len) {
  if (at >= model.size) return 0;
  if (at + *len > model.size) *len = model.size - at;
  return 1;
}

static void do_read(off_t at, off_t len) {
  ssize_t got = pread(fd, buffer, (size_t)len, at);
  off_t want = at >= model.size ? 0 : at + len > model.size ? model.size - at : len;
  if (got != want) wrong("read gave %zd, wanted %lld", got, (long long)want);
  same(&model, buffer, at, want, "read");
}

static void do_write(off_t at, off_t len) {
  fill(len);
  if (pwrite(fd, buffer, (size_t)len, at) != len) wrong("write");
  filled(&model, at, len, buffer);
}

/* A page-aligned mapping over [at, at + len), and where `at` is in it. */
static char *map(off_t at, off_t len, int protection, char **start, size_t *length) {
  off_t skew = at % PAGE;
  *length = (size_t)(len + skew);
  *start = mmap(NULL, *length, protection, MAP_SHARED, fd, at - skew);
  if (*start == MAP_FAILED) wrong("mmap");
  return *start + skew;
}

static void do_mapread(off_t at, off_t len) {
  char *start;
  size_t length;
  if (!inside(at, &len)) return;
  char *memory = map(at, len, PROT_READ, &start, &length);
  same(&model, memory, at, len, "mapread");
  /* Behind the end the last page is zero. */
  if (at + len == model.size)
    for (off_t i = model.size; i % PAGE != 0; i++)
      if (memory[i - at] != 0) wrong("byte %lld behind the end is %02x", (long long)i, (unsigned char)memory[i - at]);
  munmap(start, length);
}

static void do_mapwrite(off_t at, off_t len, int flush) {
  char *start;
  size_t length;
  if (at + len > model.size) {
    if (ftruncate(fd, at + len) < 0) wrong("ftruncate");
    resized(&model, at + len);
  }
  fill(len);
  char *memory = map(at, len, PROT_READ | PROT_WRITE, &start, &length);
  memcpy(memory, buffer, (size_t)len);
  if (flush && msync(start, length, MS_SYNC) < 0) wrong("msync");
  munmap(start, length);
  filled(&model, at, len, buffer);
}

static int do_fallocate(int kind, int mode, off_t at, off_t len) {
  if (fallocate(fd, mode, at, len) == 0) return 1;
  if (errno != EOPNOTSUPP) wrong("%s", names[kind]);
  refused[kind]++;
  return 0;
}

static void do_zeroes(int kind, int mode, off_t at, off_t len) {
  if (!do_fallocate(kind, mode, at, len)) return;
  off_t end = at + len;
  if (!(mode & FALLOC_FL_KEEP_SIZE) && end > model.size) resized(&model, end);
  if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && inside(at, &len)) memset(model.bytes + at, 0, (size_t)len);
}

static void do_collapse(off_t at, off_t len) {
  at -= at % PAGE;
  len -= len % PAGE;
  if (len == 0 || at + len >= model.size || !do_fallocate(COLLAPSE, FALLOC_FL_COLLAPSE_RANGE, at, len)) return;
  memmove(model.bytes + at, model.bytes + at + len, (size_t)(model.size - at - len));
  resized(&model, model.size - len);
}

static void do_copy(off_t from, off_t len) {
  off_t to = any((uint32_t)(model.max - len)), in = from, out = to;
  if (!inside(from, &len) || (from < to + len && to < from + len)) return;
  note("copy to %lld", (long long)to);
  ssize_t got = copy_file_range(fd, &in, fd, &out, (size_t)len, 0);
  if (got < 0 && (errno == EOPNOTSUPP || errno == EXDEV)) {
    refused[COPY]++;
    return;
  }
  if (got <= 0 || got > len) wrong("copy_file_range gave %zd", got);
  memcpy(buffer, model.bytes + from, (size_t)got);
  filled(&model, to, got, buffer);
}

static void do_reopen(void) {
  if (close(fd) < 0) wrong("close");
  fd = open(path, O_RDWR);
  if (fd < 0) wrong("open");
}

static void do_check(void) {
  struct stat status;
  if (fstat(fd, &status) < 0 || status.st_size != model.size)
    wrong("the size is %lld, wanted %lld", (long long)status.st_size, (long long)model.size);
  for (off_t at = 0; at < model.size; at += MOST) do_read(at, MOST);
}

static void step(int kind) {
  off_t at, len;
  place(model.max, kind == CHECK ? 1 : any(4) ? 16 << 10 : MOST, &at, &len);
  note("%s %lld +%lld of %lld", names[kind], (long long)at, (long long)len, (long long)model.size);
  done[kind]++;
  switch (kind) {
    case READ: do_read(at, len); break;
    case WRITE: do_write(at, len); break;
    case MAPREAD: do_mapread(at, len); break;
    case MAPWRITE: do_mapwrite(at, len, 0); break;
    case MSYNC: do_mapwrite(at, len, 1); break;
    case TRUNCATE:
      if (ftruncate(fd, at) < 0) wrong("ftruncate");
      resized(&model, at);
      break;
    case PUNCH: do_zeroes(kind, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len); break;
    case ZERO: do_zeroes(kind, FALLOC_FL_ZERO_RANGE | (any(2) ? FALLOC_FL_KEEP_SIZE : 0), at, len); break;
    case ALLOC: do_zeroes(kind, any(2) ? FALLOC_FL_KEEP_SIZE : 0, at, len); break;
    case COLLAPSE: do_collapse(at, len); break;
    case COPY: do_copy(at, len); break;
    case SYNC:
      if ((any(2) ? fsync(fd) : fdatasync(fd)) < 0) wrong("fsync");
      break;
    case REOPEN: do_reopen(); break;
    default: do_check();
  }
}

int main(int argc, char **argv) {
  if (argc < 4) usage("exercise FILE SEED OPERATIONS [MAX]");
  path = argv[1];
  state = strtoull(argv[2], NULL, 0) * 2 + 1;
  unsigned long operations = strtoul(argv[3], NULL, 0);
  model.max = argc > 4 ? atoll(argv[4]) : 5 << 20;
  model.bytes = calloc(1, (size_t)model.max + MOST);
  printf("seed %s\n", argv[2]);
  fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) die(path);
  for (unsigned long i = 0; i < operations; i++) {
    /* The whole file now and then, and what is slow or ends the file seldom. */
    int kind = i % 2000 == 1999 ? CHECK : (int)any(CHECK);
    if (any(8) && (kind == TRUNCATE || kind == SYNC || kind == MSYNC || kind == REOPEN || kind == COLLAPSE)) kind = any(4);
    step(kind);
  }
  step(CHECK);
  for (int kind = 0; kind < KINDS; kind++) printf("%s=%lu ", names[kind], refused[kind] ? 0 : done[kind]);
  printf("\n");
  return 0;
}
