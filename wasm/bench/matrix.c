// Floating point and strided loads: multiplies two n × n matrices. At most 256.
#include "guest.h"

#define MOST 256

static double a[MOST][MOST], b[MOST][MOST], c[MOST][MOST];

GUEST(int32_t n) {
  if (n > MOST) n = MOST;
  for (int32_t i = 0; i < n; i++)
    for (int32_t j = 0; j < n; j++) {
      a[i][j] = (double)(i * j % 7) + 0.5;
      b[i][j] = (double)(i + j) / (double)n;
      c[i][j] = 0;
    }
  for (int32_t i = 0; i < n; i++)
    for (int32_t k = 0; k < n; k++)
      for (int32_t j = 0; j < n; j++) c[i][j] += a[i][k] * b[k][j];
  double trace = 0;
  for (int32_t i = 0; i < n; i++) trace += c[i][i] - c[i][n - 1 - i] / 2;
  return (int64_t)(trace * 1024);
}
