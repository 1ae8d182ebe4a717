// What the guests of this folder share. They are freestanding: no libc, no imports, nothing that can block.
//
// Each exports `main`, which takes how much to do and returns a checksum of what came out. So a compiler cannot leave the work out,
// and a test sees that it was done right.
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

// The one export. Not a function called `main`: clang gives that one a signature of its own.
#ifdef __wasm__
#define GUEST __attribute__((export_name("main"))) int64_t guest
#else
#define GUEST int64_t guest
#endif

// The same numbers everywhere. (G. Marsaglia, "Xorshift RNGs", 2003.)
static inline uint32_t next_random(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

// One step of a checksum that minds order.
static inline uint64_t mix(uint64_t sum, uint64_t value) { return (sum ^ value) * 0x100000001B3u; }

#endif
