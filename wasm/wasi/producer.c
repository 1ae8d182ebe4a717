// Sends numbered messages over a channel, and then closes it: `producer.wasm -- CHANNEL COUNT [CAPACITY]` (numbers, 5, 2).
//
// Runs beside `consumer.wasm`. The channel holds fewer messages than there are, so the producer has to wait for the consumer.
#include "../include/sched.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "numbers";
    int count = argc > 2 ? atoi(argv[2]) : 5, capacity = argc > 3 ? atoi(argv[3]) : 2;
    int32_t channel = sched_open(name, strlen(name), capacity);
    if (channel < 0) {
        printf("cannot open %s: %d\n", name, (int)channel);
        return 1;
    }
    char message[64];
    for (int i = 1; i <= count; i++) {
        int length = snprintf(message, sizeof message, "%s %d", name, i);
        int32_t result = sched_send(channel, message, length);
        if (result < 0) {
            printf("cannot send %d: %d\n", i, (int)result);
            return 1;
        }
    }
    printf("sent %d\n", count);
    return sched_close(channel) != 0;
}
