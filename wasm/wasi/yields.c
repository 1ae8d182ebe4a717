// Gives way between any two of its steps: `yields.wasm -- NAME TIMES`. Two of them in one run print in turn.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "task";
    int times = argc > 2 ? atoi(argv[2]) : 3, refused = 0;
    for (int i = 1; i <= times; i++) {
        printf("%s %d\n", name, i);
        fflush(stdout);
        refused += sched_yield() != 0;
    }
    printf("%s gave way %d times, refused %d times\n", name, times, refused);
    return 0;
}
