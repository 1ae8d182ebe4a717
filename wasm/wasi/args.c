// Arguments and environment, through WASI itself: sizes that are exact, strings that end in a zero and follow each other.
//
// `args.wasm --env NAME=value --env EMPTY= -- one "two words" ""`.
#include "report.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Prints strings with their lengths, and checks that each begins where the one before ended, and that they fill the buffer.
static void show(const char *what, char **strings, size_t count, const char *buffer, size_t size) {
    const char *next = buffer;
    int dense = 1;
    for (size_t i = 0; i < count; i++) {
        printf("%s %zu: %zu \"%s\"\n", what, i, strlen(strings[i]), strings[i]);
        dense &= strings[i] == next;
        next += strlen(strings[i]) + 1;
    }
    FACT("one after the other", dense);
    FACT("and that is all", next == buffer + size);
}

// `main` itself comes without arguments, so that libc fetches none.
int main(void) {
    __wasi_size_t count, size;
    WASI(__wasi_args_sizes_get(&count, &size));
    char **strings = calloc(count + 1, sizeof *strings), *buffer = malloc(size + 1);
    WASI(__wasi_args_get((uint8_t **)strings, (uint8_t *)buffer));
    printf("%u arguments\n", (unsigned)count);
    show("argument", strings, count, buffer, size);

    WASI(__wasi_environ_sizes_get(&count, &size));
    strings = calloc(count + 1, sizeof *strings), buffer = malloc(size + 1);
    WASI(__wasi_environ_get((uint8_t **)strings, (uint8_t *)buffer));
    printf("%u variables\n", (unsigned)count);
    show("variable", strings, count, buffer, size);

    const char *name = getenv("NAME"), *empty = getenv("EMPTY");
    printf("NAME is \"%s\", EMPTY is \"%s\"\n", name ? name : "unset", empty ? empty : "unset");
    FACT("UNSET is unset", getenv("UNSET") == NULL);
    return 0;
}
