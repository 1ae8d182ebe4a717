// Sleeps a number of times, and says each time that it slept no less than it asked: `sleeper.wasm -- TIMES MILLISECONDS` (3 and 10).
//
// What is slept through costs no fuel and no processor time. On a virtual clock the sleeps are skipped, and exact.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// The monotonic clock, in nanoseconds.
static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 3;
    long long milliseconds = argc > 2 ? atoll(argv[2]) : 10;
    struct timespec nap = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    for (int i = 1; i <= times; i++) {
        long long before = now();
        int result = nanosleep(&nap, NULL);
        long long slept = now() - before;
        printf("nap %d: %d, %s\n", i, result, slept >= milliseconds * 1000000 ? "long enough" : "too short");
        fflush(stdout);
    }
    return 0;
}
