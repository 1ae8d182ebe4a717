// Branches that nobody can predict: sorts n numbers by quicksort, small parts by insertion. At most 1,000,000.
#include "guest.h"

#define MOST 1000000

static uint32_t numbers[MOST];

static void insertion(uint32_t *a, int32_t n) {
  for (int32_t i = 1; i < n; i++) {
    uint32_t x = a[i];
    int32_t j = i;
    for (; j > 0 && a[j - 1] > x; j--) a[j] = a[j - 1];
    a[j] = x;
  }
}

static void sort(uint32_t *a, int32_t n) {
  while (n > 16) {
    uint32_t pivot = a[n / 2];
    int32_t i = -1, j = n;
    for (;;) {
      do i++; while (a[i] < pivot);
      do j--; while (a[j] > pivot);
      if (i >= j) break;
      uint32_t x = a[i];
      a[i] = a[j];
      a[j] = x;
    }
    sort(a, j + 1);
    a += j + 1;
    n -= j + 1;
  }
  insertion(a, n);
}

GUEST(int32_t n) {
  if (n > MOST) n = MOST;
  uint32_t random = 2463534242u;
  for (int32_t i = 0; i < n; i++) numbers[i] = next_random(&random);
  sort(numbers, n);
  uint64_t sum = 0;
  for (int32_t i = 0; i < n; i++) {
    if (i > 0 && numbers[i - 1] > numbers[i]) return -1;
    sum = mix(sum, numbers[i]);
  }
  return (int64_t)sum;
}
