// 64-bit multiplication in a tight loop: XXH64 (Y. Collet) with seed 0 over 64 KiB, n times, each seeded by the one before.
#include "guest.h"

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define SIZE 65536

static uint64_t data[SIZE / 8];

static inline uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

static inline uint64_t round_of(uint64_t sum, uint64_t word) { return rotate(sum + word * P2, 31) * P1; }

static inline uint64_t merge(uint64_t hash, uint64_t sum) { return (hash ^ round_of(0, sum)) * P1 + P4; }

static uint64_t hash(uint64_t seed) {
  uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
  for (int i = 0; i < SIZE / 8; i += 4) {
    a = round_of(a, data[i]);
    b = round_of(b, data[i + 1]);
    c = round_of(c, data[i + 2]);
    d = round_of(d, data[i + 3]);
  }
  uint64_t h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
  h = merge(merge(merge(merge(h, a), b), c), d) + SIZE;
  h = (h ^ h >> 33) * P2;
  h = (h ^ h >> 29) * P3;
  return h ^ h >> 32;
}

GUEST(int32_t n) {
  uint32_t random = 1;
  for (int i = 0; i < SIZE / 8; i++) data[i] = (uint64_t)next_random(&random) << 32 | i;
  uint64_t sum = 0;
  for (int32_t i = 0; i < n; i++) sum = hash(sum);
  return (int64_t)sum;
}
