// Floating point with divisions and roots: the sun and four planets, n steps of 0.01 (after the Computer Language Benchmarks Game).
#include "guest.h"

#define PI 3.141592653589793
#define MASS (4 * PI * PI)
#define DAYS 365.24
#define BODIES 5

struct body {
  double x[3], v[3], mass;
};

static const struct body start[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, MASS},
    {{4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01},
     {1.66007664274403694e-03 * DAYS, 7.69901118419740425e-03 * DAYS, -6.90460016972063023e-05 * DAYS},
     9.54791938424326609e-04 * MASS},
    {{8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01},
     {-2.76742510726411499e-03 * DAYS, 4.99852801234917238e-03 * DAYS, 2.30417297573763929e-05 * DAYS},
     2.85885980666130812e-04 * MASS},
    {{1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01},
     {2.96460137564761618e-03 * DAYS, 2.37847173959480950e-03 * DAYS, -2.96589568540237556e-05 * DAYS},
     4.36624404335156298e-05 * MASS},
    {{1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01},
     {2.68067772490389322e-03 * DAYS, 1.62824170038242295e-03 * DAYS, -9.51592254519715870e-05 * DAYS},
     5.15138902046611451e-05 * MASS}};

static struct body bodies[BODIES];

static void pull(struct body *a, struct body *b, double dt) {
  double d[3], square = 0;
  for (int k = 0; k < 3; k++) {
    d[k] = a->x[k] - b->x[k];
    square += d[k] * d[k];
  }
  double force = dt / (square * __builtin_sqrt(square));
  for (int k = 0; k < 3; k++) {
    a->v[k] -= d[k] * b->mass * force;
    b->v[k] += d[k] * a->mass * force;
  }
}

GUEST(int32_t n) {
  for (int i = 0; i < BODIES; i++) bodies[i] = start[i];
  for (int32_t step = 0; step < n; step++) {
    for (int i = 0; i < BODIES; i++)
      for (int j = i + 1; j < BODIES; j++) pull(&bodies[i], &bodies[j], 0.01);
    for (int i = 0; i < BODIES; i++)
      for (int k = 0; k < 3; k++) bodies[i].x[k] += 0.01 * bodies[i].v[k];
  }
  double sum = 0;
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) sum += bodies[i].x[k] * (double)(k + 1);
  return (int64_t)(sum * 1e9);
}
