// Prints, sleeps, and passes messages, round by round: `chatter.wasm -- NAME ROUNDS [MILLISECONDS]` (chatter, 5, 1).
//
// The channel is its own, by its own name, so that its output is the same alone as among any number of others with other names.
#include "../include/sched.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "chatter";
    int rounds = argc > 2 ? atoi(argv[2]) : 5, milliseconds = argc > 3 ? atoi(argv[3]) : 1;
    int32_t channel = sched_open(name, strlen(name), 2);
    char message[64];
    unsigned long long sum = 0;
    for (int round = 1; round <= rounds; round++) {
        int length = snprintf(message, sizeof message, "%s/%d", name, round);
        if (sched_send(channel, message, length) != 0 || sched_send(channel, "", 0) != 0) return 1;
        int64_t before = sched_now_ns();
        sched_sleep_ns(milliseconds * 1000000LL);
        int slept = sched_now_ns() - before >= milliseconds * 1000000LL;
        memset(message, 0, sizeof message);
        int32_t got = sched_recv(channel, message, sizeof message);
        if (got != length || sched_recv(channel, NULL, 0) != 0) return 2;
        // Some work between, so that a small quantum preempts it.
        for (int i = 0; i < 1000; i++) sum = sum * 31 + (unsigned char)message[i % length];
        printf("round %d: %s, %s, %llu\n", round, message, slept ? "slept" : "did not sleep", sum);
        fflush(stdout);
    }
    printf("%s is done\n", name);
    return sched_close(channel) != 0;
}
