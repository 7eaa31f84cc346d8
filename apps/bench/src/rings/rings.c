/*
 * What a ring costs in plain C: `rings split|packed iterate|pieces|headers BATCH SECONDS` prints chains, seconds, calls. A
 * ring of 1,024 entries that never runs dry, each chain an indirect table of four buffers above 4 GiB of guest memory. Every
 * descriptor is copied once and checked: bounds, order, loops, sizes, heads in flight; the pieces go to an array.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define GPA 0x140000000ull
#define RAM 0x800000ull
#define SIZE 1024u
#define TABLES 0x10000u
#define DATA (TABLES + SIZE * 64)
enum { NEXT = 1, WRITE = 2, INDIRECT = 4, AVAIL = 1 << 7, USED = 1 << 15, EVENT_DESC = 2 };

struct desc { uint64_t addr; uint32_t len; uint16_t flags, next; };
struct packed { uint64_t addr; uint32_t len; uint16_t id, flags; };
struct used { uint32_t id, len; };
struct piece { uint8_t *base; uint32_t len; };

static uint8_t *ram;
static struct piece pieces[SIZE];
static uint8_t busy[SIZE];
static uint32_t readable, count;
static uint64_t calls;
static const uint32_t lens[4] = {40, 64, 16, 4096};

static void fail(const char *what) { fprintf(stderr, "rings: %s\n", what); exit(1); }

/* The pieces of an indirect table. In a packed ring's, order says what is next. */
static void walk(uint64_t addr, uint32_t len, int in_order) {
  if (len == 0 || len % 16 != 0 || addr < GPA || addr - GPA + len > RAM) fail("table");
  const volatile struct desc *table = (struct desc *)(ram + (addr - GPA));
  uint32_t entries = len / 16, index = 0, writing = 0;
  uint64_t bytes = 0;
  count = 0;
  for (uint32_t left = entries;; left--) {
    if (left == 0) fail("loop");
    uint64_t at = table[index].addr;
    uint32_t size = table[index].len;
    uint16_t flags = table[index].flags, next = table[index].next;
    if (flags & INDIRECT) fail("nested");
    if (flags & WRITE) {
      if (!writing) writing = 1, readable = count;
    } else if (writing) fail("order");
    bytes += size;
    if (bytes > 1ull << 32 || at < GPA || at - GPA + size > RAM) fail("buffer");
    pieces[count].base = ram + (at - GPA);
    pieces[count++].len = size;
    if (in_order) {
      if (++index == entries) break;
    } else {
      if (!(flags & NEXT)) break;
      index = next;
      if (index >= entries) fail("next");
    }
  }
  if (!writing) readable = count;
}

static uint8_t request[40], answer[16];

static void carry_out(int headers) {
  if (!headers) return;
  memcpy(request, pieces[0].base, 40);
  memcpy(pieces[readable].base, answer, 16);
  /* The copies count, though no one looks at them. */
  __asm__ volatile("" : : "r"(request), "r"(pieces[readable].base) : "memory");
}

/* ---- split ---- */
static struct desc *descs;
static uint16_t *avail;
static _Atomic uint16_t *avail_idx, *used_idx, *used_event, *avail_event;
static struct used *elems;
static uint16_t next_avail, seen, done, announced;

static void split_start(void) {
  descs = (struct desc *)ram;
  avail = (uint16_t *)(ram + 16 * SIZE);
  uint16_t *ring = (uint16_t *)(ram + 16 * SIZE + 8 + 2 * SIZE);
  avail_idx = (_Atomic uint16_t *)(avail + 1);
  used_event = (_Atomic uint16_t *)(avail + 2 + SIZE);
  used_idx = (_Atomic uint16_t *)(ring + 1);
  elems = (struct used *)(ring + 2);
  avail_event = (_Atomic uint16_t *)(ring + 2 + 4 * SIZE);
  for (uint32_t i = 0; i < SIZE; i++) {
    descs[i] = (struct desc){GPA + TABLES + i * 64, 64, INDIRECT, 0};
    avail[2 + i] = i;
  }
}

static void announce(void) {
  uint16_t event = atomic_load(used_event);
  if ((uint16_t)(done - event - 1) < (uint16_t)(done - announced)) calls++;
  announced = done;
}

static uint32_t split_serve(int headers) {
  uint32_t chains = 0, batch = 0;
  for (;;) {
    if (next_avail == seen) {
      seen = atomic_load_explicit(avail_idx, memory_order_acquire);
      if (next_avail == seen) {
        if (done != announced) announce();
        atomic_store(avail_event, next_avail);
        seen = atomic_load(avail_idx);
        if (next_avail == seen) return chains;
      }
      if ((uint16_t)(seen - next_avail) > SIZE) fail("idx");
    }
    uint16_t head = avail[2 + next_avail % SIZE];
    if (head >= SIZE || busy[head]) fail("head");
    struct desc d = *(volatile struct desc *)&descs[head];
    if (!(d.flags & INDIRECT) || (d.flags & NEXT)) fail("indirect");
    walk(d.addr, d.len, 0);
    busy[head] = 1;
    next_avail++;
    carry_out(headers);
    busy[head] = 0;
    elems[done % SIZE] = (struct used){head, 16};
    atomic_store_explicit(used_idx, ++done, memory_order_release);
    chains++;
    if (++batch % 8 == 1) announce();
  }
}

/* ---- packed ---- */
static struct packed *ring;
static _Atomic uint32_t *driver_area, *device_area;
static uint32_t take_at, take_wrap = 1, use_at, use_wrap = 1, offer_at, offer_wrap = 1;

static void packed_start(void) {
  ring = (struct packed *)ram;
  driver_area = (_Atomic uint32_t *)(ram + 16 * SIZE);
  device_area = driver_area + 1;
  *driver_area = 1u << 15 | EVENT_DESC << 16;
  for (uint32_t i = 0; i < SIZE; i++) ring[i] = (struct packed){GPA + TABLES + i * 64, 64, i, 0};
}

static void packed_offer(uint32_t n) {
  while (n--) {
    ring[offer_at].len = 64;
    uint32_t word = offer_at | (uint32_t)(INDIRECT | (offer_wrap ? AVAIL : USED)) << 16;
    atomic_store_explicit((_Atomic uint32_t *)&ring[offer_at].id, word, memory_order_release);
    if (++offer_at == SIZE) offer_at = 0, offer_wrap ^= 1;
  }
}

static void packed_announce(uint32_t slots) {
  uint32_t word = atomic_load(driver_area);
  uint32_t event = word & 0x7fff, wrap = word >> 15 & 1;
  if (word >> 16 != EVENT_DESC) { calls++; return; }
  uint32_t now = use_at + (use_wrap ? 0 : SIZE), then = event + (wrap ? 0 : SIZE);
  uint32_t ago = now >= then ? now - then : now + 2 * SIZE - then;
  if (ago >= 1 && ago <= slots) calls++;
}

static uint32_t packed_serve(int headers) {
  uint32_t chains = 0, batch = 0, slots = 0;
  for (;;) {
    uint32_t word = atomic_load_explicit((_Atomic uint32_t *)&ring[take_at].id, memory_order_acquire);
    uint32_t there = take_wrap ? AVAIL : USED;
    if ((word >> 16 & (AVAIL | USED)) != there) {
      if (slots) packed_announce(slots), slots = 0;
      atomic_store(device_area, take_at | take_wrap << 15 | EVENT_DESC << 16);
      word = atomic_load((_Atomic uint32_t *)&ring[take_at].id);
      if ((word >> 16 & (AVAIL | USED)) != there) return chains;
    }
    uint16_t id = word & 0xffff;
    if (!(word >> 16 & INDIRECT) || (word >> 16 & NEXT)) fail("indirect");
    if (busy[id % SIZE]) fail("id");
    walk(*(volatile uint64_t *)&ring[take_at].addr, *(volatile uint32_t *)&ring[take_at].len, 1);
    busy[id % SIZE] = 1;
    if (++take_at == SIZE) take_at = 0, take_wrap ^= 1;
    carry_out(headers);
    busy[id % SIZE] = 0;
    ring[use_at].len = 16;
    uint32_t flags = WRITE | (use_wrap ? AVAIL | USED : 0);
    atomic_store_explicit((_Atomic uint32_t *)&ring[use_at].id, id | flags << 16, memory_order_release);
    if (++use_at == SIZE) use_at = 0, use_wrap ^= 1;
    chains++;
    slots++;
    if (++batch % 8 == 1) packed_announce(slots), slots = 0;
  }
}

/* CPU time: other work on the machine then counts little. */
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc != 5) fail("split|packed iterate|pieces|headers BATCH SECONDS");
  int packed = strcmp(argv[1], "packed") == 0, headers = strcmp(argv[2], "headers") == 0;
  uint32_t batch = atoi(argv[3]);
  double seconds = atof(argv[4]);
  ram = mmap(0, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (ram == MAP_FAILED) fail("mmap");
  for (uint32_t i = 0; i < SIZE; i++) {
    struct desc *table = (struct desc *)(ram + TABLES + i * 64);
    for (uint32_t k = 0; k < 4; k++) {
      uint16_t flags = (k < 3 ? NEXT : 0) | (k < 2 ? 0 : WRITE);
      table[k] = (struct desc){GPA + DATA + (i * 4 + k) * 64, lens[k], flags, k < 3 ? k + 1 : 0};
    }
  }
  packed ? packed_start() : split_start();
  uint64_t chains = 0;
  uint16_t idx = 0;
  double start = now(), passed;
  do {
    for (int i = 0; i < 256; i++) {
      if (packed) {
        packed_offer(batch);
        chains += packed_serve(headers);
      } else {
        atomic_store(avail_idx, idx += batch);
        chains += split_serve(headers);
      }
    }
    passed = now() - start;
  } while (passed < seconds);
  printf("%llu %.9f %llu\n", (unsigned long long)chains, passed, (unsigned long long)calls);
  return 0;
}
