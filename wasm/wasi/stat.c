// What is known of a file: its kind, size, links and times; times that are set, by the descriptor and by the path.
//
// `stat.wasm --dir DIR::/` with an empty folder; it leaves an empty one behind.
#include "report.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// A kind of file, in a word.
static const char *kind(mode_t mode) {
    return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : S_ISCHR(mode) ? "device" : "other";
}

// What is the same everywhere of what `stat` knows.
static void show(const char *what, int result, const struct stat *is) {
    if (result < 0) report(what, result);
    else if (S_ISREG(is->st_mode)) printf("%s: file of %lld bytes, %d links\n", what, (long long)is->st_size, (int)is->st_nlink);
    else printf("%s: %s\n", what, kind(is->st_mode));
}

// The seconds and nanoseconds of both times.
static void show_times(const struct stat *is) {
    printf("  accessed %lld.%09ld, modified %lld.%09ld\n", (long long)is->st_atim.tv_sec, is->st_atim.tv_nsec,
           (long long)is->st_mtim.tv_sec, is->st_mtim.tv_nsec);
}

int main(void) {
    struct stat is, other;
    int file = open("f", O_RDWR | O_CREAT, 0666);
    write(file, "twelve bytes", 12);
    show("fstat f", fstat(file, &is), &is);
    show("stat f", stat("f", &other), &other);
    FACT("they are the same file", is.st_ino == other.st_ino && is.st_dev == other.st_dev);
    show("stat .", stat(".", &is), &is);
    show("stat missing", stat("missing", &is), &is);
    show("stat f/", stat("f/", &is), &is);
    CALL(symlink("f", "link"));
    show("stat link", stat("link", &is), &is);
    FACT("it is f", is.st_ino == other.st_ino);
    show("lstat link", lstat("link", &is), &is);
    CALL(link("f", "second"));
    show("fstat f", fstat(file, &is), &is);

    struct timespec both[2] = {{1000000000, 123000000}, {1500000000, 456000000}};
    CALL(futimens(file, both));
    fstat(file, &is);
    show_times(&is);
    struct timespec one[2] = {{0, UTIME_OMIT}, {86400, 0}};
    CALL(utimensat(AT_FDCWD, "f", one, 0));
    stat("f", &is);
    show_times(&is);
    WASI(__wasi_fd_filestat_set_times(file, 0, 0, __WASI_FSTFLAGS_ATIM_NOW));
    fstat(file, &is);
    FACT("accessed later than modified", is.st_atim.tv_sec > is.st_mtim.tv_sec);
    CALL(utimensat(AT_FDCWD, "link", both, AT_SYMLINK_NOFOLLOW));
    lstat("link", &is);
    printf("  the link was modified %lld\n", (long long)is.st_mtim.tv_sec);
    stat("link", &is);
    printf("  the file was modified %lld\n", (long long)is.st_mtim.tv_sec);
    CALL(utimensat(AT_FDCWD, "missing", both, 0));
    // Now, and a given time, for the same time: a contradiction.
    uint16_t contradiction = __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW;
    WASI(__wasi_fd_filestat_set_times(file, 0, 0, contradiction));
    CALL(close(file));
    CALL(fstat(file, &is));
    CALL(access("f", R_OK | W_OK));
    CALL(access("missing", F_OK));
    CALL(unlink("f"));
    CALL(unlink("second"));
    show("stat link", stat("link", &is), &is);
    CALL(unlink("link"));
    return 0;
}
