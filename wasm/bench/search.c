// String search (R. N. Horspool, 1980): how often eight words occur in n KiB of random letters, and where. At most 1,024 KiB.
#include "guest.h"

#define MOST (1024 * 1024)

static uint8_t text[MOST];

static uint64_t find(const char *word, int32_t length, int32_t size, uint64_t sum) {
  int32_t skip[256];
  for (int i = 0; i < 256; i++) skip[i] = length;
  for (int32_t i = 0; i < length - 1; i++) skip[(uint8_t)word[i]] = length - 1 - i;
  for (int32_t at = 0; at + length <= size; at += skip[text[at + length - 1]]) {
    int32_t i = length - 1;
    while (i >= 0 && text[at + i] == (uint8_t)word[i]) i--;
    if (i < 0) sum = mix(sum, (uint64_t)at);
  }
  return sum;
}

GUEST(int32_t n) {
  static const char words[8][5] = {"aced", "bead", "cafe", "dada", "edea", "fade", "gage", "high"};
  int32_t size = n * 1024 > MOST ? MOST : n * 1024;
  uint32_t random = 7;
  for (int32_t i = 0; i < size; i++) text[i] = (uint8_t)('a' + next_random(&random) % 9);
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++)
    for (int length = 2; length <= 4; length++) sum = find(words[i], length, size, sum);
  return (int64_t)sum;
}
