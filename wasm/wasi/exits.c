// The ways in which a program ends: `exits.wasm -- WAY [CODE]`, with a way of return, exit, _Exit, wasi, atexit, abort, trap.
//
// What is still buffered is written by the ways that say so in C, and by no other.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

static void last_words(void) { printf("last words\n"); }

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "return";
    int code = argc > 2 ? atoi(argv[2]) : 0;
    printf("%s\n", way);
    fflush(stdout);
    if (strcmp(way, "atexit") == 0) {
        atexit(last_words);
        exit(code);
    }
    printf("buffered\n");
    if (strcmp(way, "exit") == 0) exit(code);
    if (strcmp(way, "_Exit") == 0) _Exit(code);
    if (strcmp(way, "wasi") == 0) __wasi_proc_exit(code);
    if (strcmp(way, "abort") == 0) abort();
    if (strcmp(way, "trap") == 0) __builtin_trap();
    return code;
}
