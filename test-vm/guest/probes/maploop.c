/*
 * maploop FILE SIZE FLOOR STOP: maps SIZE bytes of FILE and reads a word of each page, over and over, until STOP exists. The
 * file is pattern_fill(1, 1); bytes below FLOOR are never cut. Says what it read: right, zero, wrong, or SIGBUS.
 */
#include <setjmp.h>
#include <signal.h>
#include "pattern.h"
#include "probe.h"

static sigjmp_buf back;
static void on_bus(int signal) { siglongjmp(back, signal); }

/* 0: right, 1: zero, 2: another word, 3: SIGBUS. Not inlined: nothing of the caller lives in registers across the jump. */
__attribute__((noinline)) static int look(volatile uint32_t *words, size_t index, uint32_t seed) {
  if (sigsetjmp(back, 1) != 0) return 3;
  uint32_t word = words[index];
  return word == pattern_word(seed, (uint32_t)index) ? 0 : word == 0 ? 1 : 2;
}

int main(int argc, char **argv) {
  if (argc != 5) usage("maploop FILE SIZE FLOOR STOP");
  int fd = open_or_die(argv[1], O_RDONLY, 0);
  size_t size = strtoull(argv[2], NULL, 0), floor = strtoull(argv[3], NULL, 0);
  uint32_t *words = (uint32_t *)map_or_die(fd, size, 0, PROT_READ);
  uint32_t seed = pattern_seed(1, 1);
  unsigned long long below[4] = {0}, above[4] = {0}, loops = 0;
  signal(SIGBUS, on_bus);
  for (size_t word = 0; loops % 64 != 0 || access(argv[4], F_OK) != 0; loops++, word = (word + 37) % 1024) {
    for (size_t at = 0; at < size; at += 4096) (at + 4096 <= floor ? below : above)[look(words, at / 4 + word, seed)]++;
  }
  printf("loops=%llu below: right=%llu zero=%llu wrong=%llu bus=%llu above: right=%llu zero=%llu wrong=%llu bus=%llu\n", loops,
         below[0], below[1], below[2], below[3], above[0], above[1], above[2], above[3]);
  return 0;
}
