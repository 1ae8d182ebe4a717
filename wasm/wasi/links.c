// Links and names: hard links, symbolic links, renames, removals.
//
// `links.wasm --dir DIR::/` with an empty folder; it leaves an empty one behind.
#include "report.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Makes a file of these bytes.
static void make(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    write(file, text, strlen(text));
    close(file);
}

// Prints what is in a file.
static void show(const char *path) {
    char text[64];
    int file = open(path, O_RDONLY);
    ssize_t got = file < 0 ? -1 : read(file, text, sizeof text);
    if (got < 0) report(path, -1);
    else printf("%s holds \"%.*s\"\n", path, (int)got, text);
    if (file >= 0) close(file);
}

// Prints where a symbolic link points.
static void target(const char *path) {
    char text[64];
    ssize_t got = readlink(path, text, sizeof text);
    if (got < 0) report(path, -1);
    else printf("%s points to \"%.*s\"\n", path, (int)got, text);
}

static void hard_links(void) {
    make("one", "first");
    CALL(link("one", "two"));
    CALL(link("one", "two"));
    CALL(link("missing", "three"));
    CALL(link("d", "e"));
    make("two", "changed");
    show("one");
    CALL(unlink("one"));
    show("one");
    show("two");
}

static void symbolic_links(void) {
    CALL(symlink("two", "soft"));
    CALL(symlink("two", "soft"));
    CALL(symlink("nowhere", "dangling"));
    CALL(symlink("loop", "loop"));
    CALL(symlink("d", "to-d"));
    CALL(symlink("", "empty"));
    target("soft");
    target("dangling");
    target("two");
    target("missing");
    char text[3];
    CALL(readlink("soft", text, 2));
    show("soft");
    show("dangling");
    show("loop");
    make("to-d/in", "through a link");
    show("d/in");
    OPEN(open("soft", O_RDONLY | O_NOFOLLOW));
    OPEN(open("to-d", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    OPEN(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0666));
    CALL(link("soft", "hard-to-soft"));
    target("hard-to-soft");
    CALL(unlink("soft"));
    show("two");
}

static void renames(void) {
    make("x", "ex");
    make("y", "why");
    CALL(rename("x", "y"));
    show("x");
    show("y");
    CALL(rename("y", "y"));
    CALL(rename("missing", "y"));
    CALL(rename("y", "d/y"));
    show("d/y");
    CALL(rename("d", "d2"));
    show("d2/y");
    CALL(rename("d2", "two"));
    CALL(rename("two", "d2"));
    CALL(rename("d2", "d2/inside"));
    CALL(mkdir("e", 0777));
    CALL(rename("e", "d2"));
    CALL(rename("d2", "e"));
    show("e/y");
    CALL(rename("dangling", "still-dangling"));
    target("still-dangling");
}

int main(void) {
    mkdir("d", 0777);
    hard_links();
    symbolic_links();
    renames();
    CALL(unlink("e/in"));
    CALL(unlink("e/y"));
    CALL(rmdir("e"));
    CALL(unlink("to-d"));
    CALL(unlink("loop"));
    CALL(unlink("hard-to-soft"));
    CALL(unlink("still-dangling"));
    CALL(unlink("two"));
    return 0;
}
