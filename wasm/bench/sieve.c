// Bytes, and loops of a few instructions: how many primes are less than n, by Eratosthenes. At most 4,000,000.
#include "guest.h"

#define MOST 4000000

static uint8_t composite[MOST];

GUEST(int32_t n) {
  if (n > MOST) n = MOST;
  int64_t primes = 0;
  for (int32_t i = 0; i < n; i++) composite[i] = 0;
  for (int32_t i = 2; i < n; i++) {
    if (composite[i]) continue;
    primes++;
    for (int64_t j = (int64_t)i * i; j < n; j += i) composite[j] = 1;
  }
  return primes;
}
