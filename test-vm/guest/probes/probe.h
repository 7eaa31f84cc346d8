/* Shared by the probes: a failing call says its name and errno on stderr and ends the program with status 2. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(2);
}

static inline void usage(const char *text) {
  fprintf(stderr, "usage: %s\n", text);
  exit(64);
}

static inline int open_or_die(const char *path, int flags, int mode) {
  int fd = open(path, flags, mode);
  if (fd < 0) die(path);
  return fd;
}

static inline size_t size_or_die(int fd) {
  struct stat st;
  if (fstat(fd, &st) < 0) die("fstat");
  return (size_t)st.st_size;
}

/* Maps a whole range; a length of 0 gives NULL. */
static inline unsigned char *map_or_die(int fd, size_t len, off_t offset, int prot) {
  if (len == 0) return NULL;
  void *at = mmap(NULL, len, prot, MAP_SHARED, fd, offset);
  if (at == MAP_FAILED) die("mmap");
  return at;
}

/* FNV-1a, 64 bits: good enough to tell two contents apart, and short. */
#define FNV_START 0xcbf29ce484222325ull
static inline uint64_t fnv(uint64_t hash, const unsigned char *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) hash = (hash ^ bytes[i]) * 0x100000001b3ull;
  return hash;
}

static inline void read_fully(int fd, unsigned char *to, size_t len, off_t offset) {
  while (len > 0) {
    ssize_t n = pread(fd, to, len, offset);
    if (n < 0) die("pread");
    if (n == 0) { fprintf(stderr, "pread: end of file, %zu bytes missing\n", len); exit(1); }
    to += n; len -= (size_t)n; offset += n;
  }
}

static inline void write_fully(int fd, const unsigned char *from, size_t len, off_t offset) {
  while (len > 0) {
    ssize_t n = pwrite(fd, from, len, offset);
    if (n < 0) die("pwrite");
    from += n; len -= (size_t)n; offset += n;
  }
}
