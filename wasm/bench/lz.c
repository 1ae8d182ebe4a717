// Compression: n KiB of text that repeats itself, by LZ77 with a hash table, and back again. At most 1,024 KiB.
#include "guest.h"

#define MOST (1024 * 1024)
#define HASHES 8192

// What goes in, what comes out (two bytes at most for each one), and that unpacked again.
static uint8_t plain[MOST], packed[2 * MOST], unpacked[MOST];
static int32_t last[HASHES];

// A literal is a 0 and the byte; a match its length (4 to 255), and the distance in two bytes.
static int32_t pack(int32_t size) {
  int32_t out = 0, at = 0;
  for (int i = 0; i < HASHES; i++) last[i] = -1;
  while (at < size) {
    int32_t length = 0, from = -1;
    if (at + 4 <= size) {
      uint32_t word = (uint32_t)plain[at] | (uint32_t)plain[at + 1] << 8 | (uint32_t)plain[at + 2] << 16 | (uint32_t)plain[at + 3] << 24;
      uint32_t hash = word * 2654435761u >> 19;
      from = last[hash];
      last[hash] = at;
      if (from >= 0 && at - from < 65536)
        while (length < 255 && at + length < size && plain[from + length] == plain[at + length]) length++;
    }
    if (length < 4) {
      packed[out++] = 0;
      packed[out++] = plain[at++];
    } else {
      packed[out++] = (uint8_t)length;
      packed[out++] = (uint8_t)(at - from);
      packed[out++] = (uint8_t)((at - from) >> 8);
      at += length;
    }
  }
  return out;
}

static int32_t unpack(int32_t size) {
  int32_t out = 0;
  for (int32_t at = 0; at < size;) {
    int32_t length = packed[at];
    if (length == 0) {
      unpacked[out++] = packed[at + 1];
      at += 2;
      continue;
    }
    int32_t distance = packed[at + 1] | packed[at + 2] << 8;
    for (int32_t i = 0; i < length; i++, out++) unpacked[out] = unpacked[out - distance];
    at += 3;
  }
  return out;
}

GUEST(int32_t n) {
  int32_t size = n * 1024 > MOST ? MOST : n * 1024;
  uint32_t random = 11;
  for (int32_t i = 0; i < size; i++) {
    uint32_t x = next_random(&random);
    plain[i] = i > 512 && x % 16 != 0 ? plain[i - 301] : (uint8_t)('a' + (x >> 8) % 26);
  }
  int32_t small = pack(size);
  if (unpack(small) != size) return -1;
  for (int32_t i = 0; i < size; i++)
    if (plain[i] != unpacked[i]) return -2;
  uint64_t sum = (uint64_t)small;
  for (int32_t i = 0; i < small; i++) sum = mix(sum, packed[i]);
  return (int64_t)sum;
}
