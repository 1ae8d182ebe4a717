// Sorts the lines of a file into another: `sort.wasm -- IN OUT`. Prints how many lines there were.
//
// A whole program's use of files: buffered reading, memory that grows with the input, buffered writing, an error for either.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: sort IN OUT\n");
        return 2;
    }
    FILE *in = fopen(argv[1], "r");
    if (!in) {
        perror(argv[1]);
        return 1;
    }
    char **lines = NULL, *line = NULL;
    size_t count = 0, room = 0, capacity = 0;
    while (getline(&line, &capacity, in) >= 0) {
        if (count == room) lines = realloc(lines, (room = room * 2 + 64) * sizeof *lines);
        line[strcspn(line, "\n")] = 0;
        lines[count++] = line;
        line = NULL;
        capacity = 0;
    }
    fclose(in);
    qsort(lines, count, sizeof *lines, by_bytes);
    FILE *out = fopen(argv[2], "w");
    if (!out) {
        perror(argv[2]);
        return 1;
    }
    for (size_t i = 0; i < count; i++) fprintf(out, "%s\n", lines[i]);
    if (fclose(out) != 0) {
        perror(argv[2]);
        return 1;
    }
    printf("%zu lines\n", count);
    return 0;
}
