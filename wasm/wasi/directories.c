// Directories: make, list, list in pieces, remove; and what they refuse.
//
// `directories.wasm --dir DIR::/` with an empty folder; it leaves an empty one behind.
#include "report.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Prints what is in a directory, sorted, with a slash after directories and an `@` after links. A host may list `.` and `..` or not.
static void list(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) {
        report(path, -1);
        return;
    }
    char *names[64], name[300];
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) && count < 64;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        const char *mark = entry->d_type == DT_DIR ? "/" : entry->d_type == DT_LNK ? "@" : "";
        snprintf(name, sizeof name, "%s%s", entry->d_name, mark);
        names[count++] = strdup(name);
    }
    closedir(directory);
    qsort(names, count, sizeof *names, by_name);
    printf("in %s:", path);
    for (size_t i = 0; i < count; i++) printf(" %s", names[i]);
    printf("\n");
}

// Reads a large directory with a buffer that holds a few entries, from cookie to cookie: each name has to come exactly once.
static void in_pieces(const char *path, int expected) {
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    int seen[200] = {0}, dots = 0, pieces = 0, cut = 0;
    __wasi_dircookie_t cookie = __WASI_DIRCOOKIE_START;
    for (;;) {
        uint8_t buffer[100];
        __wasi_size_t used;
        if (__wasi_fd_readdir(directory, buffer, sizeof buffer, cookie, &used) != 0) break;
        pieces++;
        __wasi_size_t at = 0;
        while (at + sizeof(__wasi_dirent_t) <= used) {
            __wasi_dirent_t entry;
            memcpy(&entry, buffer + at, sizeof entry);
            at += sizeof entry;
            if (at + entry.d_namlen > used) break;
            char name[32] = {0};
            memcpy(name, buffer + at, entry.d_namlen < 31 ? entry.d_namlen : 31);
            at += entry.d_namlen;
            cookie = entry.d_next;
            if (name[0] == 'n') seen[atoi(name + 1)]++;
            else dots += name[0] == '.';
        }
        cut += at != used;
        if (used < sizeof buffer) break;
    }
    int once = 0;
    for (int i = 0; i < expected; i++) once += seen[i] == 1;
    printf("%d of %d names came exactly once\n", once, expected);
    FACT("both dots or none", dots == 2 || dots == 0);
    FACT("in several pieces", pieces > 1);
    FACT("some entries did not fit and came again", cut > 0);
    close(directory);
}

int main(void) {
    CALL(mkdir("a", 0777));
    CALL(mkdir("a", 0777));
    CALL(mkdir("a/b", 0777));
    CALL(mkdir("missing/b", 0777));
    CALL(mkdir("", 0777));
    CALL(mkdir("c/", 0777));
    close(open("a/f", O_WRONLY | O_CREAT, 0666));
    symlink("f", "a/l");
    CALL(mkdir("a/f", 0777));
    CALL(mkdir("a/f/g", 0777));
    list(".");
    list("a");
    list("a/");
    list("a/b");
    list("a/f");
    list("missing");
    FACT("a directory can be opened to be read", close(open("a", O_RDONLY)) == 0);
    OPEN(open("a", O_WRONLY));
    char byte;
    int directory = open("a", O_RDONLY | O_DIRECTORY);
    FACT("cannot be read as a file", read(directory, &byte, 1) == -1 && (errno == EISDIR || errno == EBADF));
    FACT("cannot be written", write(directory, "x", 1) == -1 && (errno == EISDIR || errno == EBADF));
    CALL(unlinkat(directory, "f", 0));
    CALL(unlinkat(directory, "l", 0));
    close(directory);

    mkdir("many", 0777);
    char path[32];
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "many/n%03d", i);
        close(open(path, O_WRONLY | O_CREAT, 0666));
    }
    in_pieces("many", 200);
    CALL(rmdir("many"));
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "many/n%03d", i);
        unlink(path);
    }
    list("many");
    CALL(rmdir("many"));
    CALL(rmdir("a"));
    CALL(unlink("a"));
    CALL(rmdir("a/b"));
    FACT("removed by a name with a slash, or not", (rmdir("a/") == 0) != (rmdir("a") == 0));
    CALL(rmdir("c"));
    CALL(rmdir("c"));
    CALL(rmdir("."));
    CALL(rmdir("/"));
    list(".");
    return 0;
}
