// The clocks: resolutions, that time never goes back, that a sleep is no shorter than it was asked to be.
#include "report.h"
#include <time.h>

// Reads a clock through WASI itself.
static __wasi_timestamp_t at(__wasi_clockid_t clock) {
    __wasi_timestamp_t time = 0;
    if (__wasi_clock_time_get(clock, 1, &time) != 0) printf("clock %u cannot be read\n", (unsigned)clock);
    return time;
}

int main(void) {
    __wasi_timestamp_t resolution = 0, moment = 0;
    WASI(__wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &resolution));
    FACT("it is between 1 ns and 1 s", resolution >= 1 && resolution <= 1000000000);
    WASI(__wasi_clock_res_get(__WASI_CLOCKID_REALTIME, &resolution));
    FACT("it is between 1 ns and 1 s", resolution >= 1 && resolution <= 1000000000);
    WASI(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &moment));
    WASI(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &moment));

    int back = 0;
    __wasi_timestamp_t last = at(__WASI_CLOCKID_MONOTONIC);
    for (int i = 0; i < 1000; i++) {
        __wasi_timestamp_t now = at(__WASI_CLOCKID_MONOTONIC);
        back += now < last;
        last = now;
    }
    printf("times that the monotonic clock went back in 1000: %d\n", back);

    __wasi_timestamp_t before = at(__WASI_CLOCKID_MONOTONIC);
    struct timespec nap = {.tv_nsec = 20000000};
    CALL(clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL));
    FACT("20 ms later by the monotonic clock", at(__WASI_CLOCKID_MONOTONIC) - before >= 20000000);
    before = at(__WASI_CLOCKID_MONOTONIC);
    CALL(clock_nanosleep(CLOCK_REALTIME, 0, &nap, NULL));
    FACT("20 ms later once more", at(__WASI_CLOCKID_MONOTONIC) - before >= 20000000);
    return 0;
}
