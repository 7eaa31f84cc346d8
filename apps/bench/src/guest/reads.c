/*
 * Reads one file of a mounted share twice through the same descriptor or mapping: first with nothing of it in the guest's
 * caches (whoever starts this has dropped them), then again. Of each piece some words are added up, so that whoever
 * started it can tell whether they were right.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Multiplier and increment that give each number below a power of two once (Hull and Dobell). */
#define FACTOR 1664525u
#define STEP 1013904223u

struct job {
  int fd;
  const uint8_t *map; /* NULL: by pread */
  uint8_t *buffer;
  uint32_t bytes;  /* of a piece */
  uint32_t pieces; /* in the file, a power of two */
  uint32_t count;  /* pieces that are read */
  uint32_t stride; /* between words that are added up */
  int random;
};

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t sum(const uint8_t *at, const struct job *job) {
  uint32_t total = 0;
  for (uint32_t i = 0; i < job->bytes; i += job->stride) total += *(const uint32_t *)(at + i);
  return total;
}

static void pass(const struct job *job) {
  uint32_t total = 0;
  uint32_t place = 0;
  uint64_t start = now_ns();
  for (uint32_t i = 0; i < job->count; i++) {
    uint64_t offset = (uint64_t)place * job->bytes;
    const uint8_t *piece = job->map == NULL ? job->buffer : job->map + offset;
    if (job->map == NULL && pread(job->fd, job->buffer, job->bytes, (off_t)offset) != (ssize_t)job->bytes) die("pread");
    total += sum(piece, job);
    place = (job->random ? place * FACTOR + STEP : place + 1) & (job->pieces - 1);
  }
  printf("%llu %u\n", (unsigned long long)(now_ns() - start), total);
}

int main(int argc, char **argv) {
  if (argc != 7) {
    fprintf(stderr, "usage: reads FILE read|mmap random|sequential BYTES COUNT STRIDE\n");
    return 2;
  }
  struct job job = {.random = strcmp(argv[3], "random") == 0,
                    .bytes = (uint32_t)atoi(argv[4]),
                    .count = (uint32_t)atoi(argv[5]),
                    .stride = (uint32_t)atoi(argv[6])};
  struct stat st;
  job.fd = open(argv[1], O_RDONLY);
  if (job.fd < 0 || fstat(job.fd, &st) != 0) die(argv[1]);
  job.pieces = (uint32_t)(st.st_size / job.bytes);
  if (strcmp(argv[2], "mmap") == 0) {
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, job.fd, 0);
    if (map == MAP_FAILED) die("mmap");
    job.map = map;
  } else {
    job.buffer = aligned_alloc(4096, job.bytes);
    if (job.buffer == NULL) die("aligned_alloc");
    /* The pages of the buffer are no part of what is measured. */
    memset(job.buffer, 0, job.bytes);
  }
  pass(&job);
  pass(&job);
  return 0;
}
