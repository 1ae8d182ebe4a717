// Copies files, or standard input, to standard output, as the Unix program does: `-` is standard input.
//
// Exit code 1 if some file could not be read; the others are copied all the same.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Copies everything; 0, or -1 with `errno`.
static int copy(int from) {
    char buffer[4096];
    ssize_t got;
    while ((got = read(from, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(STDOUT_FILENO, buffer + done, got - done);
            if (put < 0) return -1;
            done += put;
        }
    return got < 0 ? -1 : 0;
}

// Copies one file, by its name.
static int copy_named(const char *name) {
    if (strcmp(name, "-") == 0) return copy(STDIN_FILENO);
    int file = open(name, O_RDONLY);
    if (file < 0) return -1;
    int result = copy(file);
    close(file);
    return result;
}

int main(int argc, char **argv) {
    int code = 0;
    if (argc < 2) return copy(STDIN_FILENO) < 0;
    for (int i = 1; i < argc; i++)
        if (copy_named(argv[i]) < 0) {
            fprintf(stderr, "cat: %s: %s\n", argv[i], strerror(errno));
            code = 1;
        }
    return code;
}
