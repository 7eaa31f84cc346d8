/* The words that both sides expect: blobs and pictures are filled with them. src/pattern.ts is the host's copy. */
#pragma once
#include <stddef.h>
#include <stdint.h>

static inline uint32_t pattern_seed(uint32_t id, uint32_t salt) {
  uint32_t seed = id * 0x9e3779b1u + salt * 0x85ebca77u;
  return (seed ^ (seed >> 13)) * 0xc2b2ae3du;
}

static inline uint32_t pattern_word(uint32_t seed, uint32_t index) {
  uint32_t word = seed + index * 0x9e3779b1u;
  word = (word ^ (word >> 16)) * 0x21f0aaadu;
  return word ^ (word >> 15);
}

static inline void pattern_fill(uint32_t *words, size_t bytes, uint32_t seed) {
  for (size_t i = 0; i < bytes / 4; i++) words[i] = pattern_word(seed, (uint32_t)i);
}

/* The byte offset of the first word that differs; `bytes` when none does. */
static inline size_t pattern_check(const uint32_t *words, size_t bytes, uint32_t seed) {
  for (size_t i = 0; i < bytes / 4; i++) {
    if (words[i] != pattern_word(seed, (uint32_t)i)) return i * 4;
  }
  return bytes;
}
