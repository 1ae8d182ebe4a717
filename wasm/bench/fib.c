// Calls: the n-th Fibonacci number, by two calls each.
#include "guest.h"

static __attribute__((noinline)) int32_t fib(int32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

GUEST(int32_t n) { return fib(n); }
