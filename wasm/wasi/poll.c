// Waiting for several things at once: timers, input, both; what `poll`, `select` and `poll_oneoff` say.
//
// `poll.wasm --stdin FILE` with a file of at least one line: input that is there is ready at once, and so is its end.
#include "report.h"
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

// Longer than any of this takes, if a host waits for what comes first: 30 s.
#define LONG 30000000000

// The monotonic clock, in nanoseconds.
static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

// A subscription to a clock.
static __wasi_subscription_t timer(uint64_t name, uint64_t timeout, uint16_t flags) {
    __wasi_subscription_t wanted = {.userdata = name};
    wanted.u.tag = __WASI_EVENTTYPE_CLOCK;
    wanted.u.u.clock = (__wasi_subscription_clock_t){.id = __WASI_CLOCKID_MONOTONIC, .timeout = timeout, .flags = flags};
    return wanted;
}

// A subscription to reading or writing.
static __wasi_subscription_t descriptor(uint64_t name, uint8_t tag, int fd) {
    __wasi_subscription_t wanted = {.userdata = name};
    wanted.u.tag = tag;
    wanted.u.u.fd_read.file_descriptor = fd;
    return wanted;
}

// Waits, and prints the events in the order of their names.
static void wait_for(const char *what, const __wasi_subscription_t *wanted, __wasi_size_t count) {
    __wasi_event_t events[8];
    __wasi_size_t got = 0;
    int error = __wasi_poll_oneoff(wanted, events, count, &got);
    if (error) {
        report_errno(what, error);
        return;
    }
    printf("%s: %u\n", what, (unsigned)got);
    for (uint64_t name = 0; name < 100; name++)
        for (__wasi_size_t i = 0; i < got; i++)
            if (events[i].userdata == name)
                printf("  %llu: type %d, %s\n", (unsigned long long)name, events[i].type, error_name(events[i].error));
}

static void by_wasi(void) {
    long long before = now();
    __wasi_subscription_t one[] = {timer(1, 20000000, 0)};
    wait_for("a timer", one, 1);
    FACT("after 20 ms", now() - before >= 20000000);
    __wasi_subscription_t passed[] = {timer(1, 1, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME)};
    wait_for("a moment long past", passed, 1);
    before = now();
    __wasi_subscription_t absolute[] = {timer(1, before + 20000000, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME)};
    wait_for("a moment to come", absolute, 1);
    FACT("after 20 ms", now() - before >= 20000000);
    before = now();
    __wasi_subscription_t two[] = {timer(1, LONG, 0), timer(2, 10000000, 0)};
    wait_for("the earlier of two timers", two, 2);
    FACT("long before the later", now() - before < LONG);
    __wasi_subscription_t either[] = {timer(1, LONG, 0), descriptor(2, __WASI_EVENTTYPE_FD_READ, 0)};
    wait_for("long, or input", either, 2);
    __wasi_subscription_t output[] = {timer(1, LONG, 0), descriptor(2, __WASI_EVENTTYPE_FD_WRITE, 1)};
    wait_for("long, or output", output, 2);
    __wasi_subscription_t wrong[] = {timer(1, LONG, 0), descriptor(2, __WASI_EVENTTYPE_FD_READ, 999)};
    __wasi_event_t events[2];
    __wasi_size_t got = 0;
    int error = __wasi_poll_oneoff(wrong, events, 2, &got);
    FACT("what is not there is an error, of its own or of the whole", error == EBADF || (got == 1 && events[0].error == EBADF));
    wait_for("nothing", one, 0);
}

static void by_poll(void) {
    struct pollfd in = {.fd = 0, .events = POLLIN}, gone = {.fd = 999, .events = POLLIN};
    CALL(poll(&in, 1, -1));
    FACT("there is input", in.revents & POLLIN);
    CALL(poll(&in, 1, 0));
    int found = poll(&gone, 1, LONG / 1000000);
    FACT("there is no such descriptor", found < 0 ? errno == EBADF : gone.revents & POLLNVAL);
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(0, &readable);
    FD_SET(1, &writable);
    FACT("select found something", select(2, &readable, &writable, NULL, NULL) >= 1);
    FACT("input or output is ready", FD_ISSET(0, &readable) || FD_ISSET(1, &writable));
    struct timeval short_time = {.tv_usec = 10000};
    long long before = now();
    CALL(select(0, NULL, NULL, NULL, &short_time));
    FACT("after 10 ms", now() - before >= 10000000);
}

int main(void) {
    by_wasi();
    by_poll();
    char text[4096];
    ssize_t all = 0, got;
    while ((got = read(0, text, sizeof text)) > 0) all += got;
    printf("read %zd bytes in all\n", all);
    struct pollfd in = {.fd = 0, .events = POLLIN};
    report("poll at the end of input", poll(&in, 1, -1));
    return 0;
}
