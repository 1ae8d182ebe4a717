// Receives messages over a channel until it is closed, and prints them: `consumer.wasm -- CHANNEL [CAPACITY]` (numbers, 2).
//
// Runs beside `producer.wasm`. It waits for each message; a channel that is closed still gives out what it holds.
#include "../include/sched.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "numbers";
    int32_t channel = sched_open(name, strlen(name), argc > 2 ? atoi(argv[2]) : 2);
    if (channel < 0) {
        printf("cannot open %s: %d\n", name, (int)channel);
        return 1;
    }
    char message[64];
    int received = 0;
    int32_t length;
    while ((length = sched_recv(channel, message, sizeof message)) >= 0) {
        printf("%.*s\n", (int)length, message);
        received++;
    }
    printf("received %d, then %s\n", received, length == SCHED_CLOSED ? "the end" : "an error");
    return length != SCHED_CLOSED;
}
