/* A file and what it must hold, for exercise.c: the model, random places in it, the log of what was done. */
#pragma once
#include "probe.h"
#include <stdarg.h>

#define PAGE 4096
#define LOG_LINES 400

struct model {
  char *bytes;
  off_t size, max;
};

static uint64_t state;
static char log_lines[LOG_LINES][96];
static unsigned long logged;

/* xorshift64*: the same numbers for a seed everywhere. */
static uint32_t any(uint32_t below) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 2685821657736338717ULL) >> 32) % below;
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(log_lines[logged++ % LOG_LINES], sizeof log_lines[0], format, args);
  va_end(args);
}

__attribute__((format(printf, 1, 2), noreturn)) static void wrong(const char *format, ...) {
  va_list args;
  int error = errno;
  unsigned long from = logged > LOG_LINES ? logged - LOG_LINES : 0;
  for (unsigned long i = from; i < logged; i++) printf("%lu: %s\n", i, log_lines[i % LOG_LINES]);
  printf("WRONG: ");
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  printf(" (errno %d: %s)\n", error, strerror(error));
  exit(1);
}

/* A place and a length; one in two begins or ends at a page, one in eight of those at a range of 2 MiB. */
static void place(off_t max, off_t most, off_t *at, off_t *len) {
  off_t grid = any(8) == 0 ? 2 << 20 : PAGE;
  *at = any((uint32_t)max);
  if (any(2)) *at -= *at % grid;
  *len = 1 + any((uint32_t)most);
  if (any(4) == 0 && (*at + *len) % PAGE < *len) *len -= (*at + *len) % PAGE;
  if (*at + *len > max) *len = max - *at;
}

static void same(const struct model *model, const char *got, off_t at, off_t len, const char *by) {
  if (memcmp(got, model->bytes + at, (size_t)len) == 0) return;
  for (off_t i = 0; i < len; i++)
    if (got[i] != model->bytes[at + i])
      wrong("%s: byte %lld is %02x, wanted %02x (size %lld)", by, (long long)(at + i), (unsigned char)got[i],
            (unsigned char)model->bytes[at + i], (long long)model->size);
}

/* The model's part of a change: what lies between the old end and the new one is zero. */
static void resized(struct model *model, off_t size) {
  if (size < model->size) memset(model->bytes + size, 0, (size_t)(model->size - size));
  model->size = size;
}

static void filled(struct model *model, off_t at, off_t len, const char *from) {
  memcpy(model->bytes + at, from, (size_t)len);
  if (at + len > model->size) model->size = at + len;
}
