// What a file can do: create, write, read, seek, read and write at a place, append, truncate, grow, advise, sync.
//
// `files.wasm --dir DIR::/` with an empty folder; it leaves an empty one behind.
#include "report.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char buffer[64];

// Prints the whole file, from its start, with zeros as dots, and leaves the offset alone.
static void show(int file) {
    ssize_t got = pread(file, buffer, sizeof buffer, 0);
    for (ssize_t i = 0; i < got; i++)
        if (buffer[i] == 0) buffer[i] = '.';
    printf("  now \"%.*s\"\n", got < 0 ? 0 : (int)got, buffer);
}

// How a file comes to be, and what opening refuses.
static void opening(void) {
    OPEN(open("missing", O_RDONLY));
    OPEN(open("f", O_RDWR));
    int file = open("f", O_RDWR | O_CREAT | O_EXCL, 0666);
    FACT("created", file >= 0);
    OPEN(open("f", O_RDWR | O_CREAT | O_EXCL, 0666));
    OPEN(open("f", O_RDONLY | O_DIRECTORY));
    OPEN(open("f/below", O_RDONLY));
    OPEN(open("", O_RDONLY));
    CALL(close(file));
    CALL(close(file));
    CALL(read(file, buffer, 1));
}

// Reading and writing where the offset is, and at a place.
static void places(void) {
    int file = open("f", O_RDWR);
    CALL(write(file, "hello, world", 12));
    CALL(lseek(file, 0, SEEK_CUR));
    CALL(read(file, buffer, 10));
    CALL(lseek(file, 7, SEEK_SET));
    CALL(read(file, buffer, 10));
    CALL(lseek(file, -5, SEEK_END));
    CALL(write(file, "there", 5));
    show(file);
    CALL(pwrite(file, "H", 1, 0));
    CALL(pread(file, buffer, 5, 7));
    CALL(pread(file, buffer, 5, 100));
    CALL(lseek(file, 0, SEEK_CUR));
    show(file);
    CALL(lseek(file, -5, SEEK_CUR));
    CALL(lseek(file, 2, SEEK_CUR));
    CALL(lseek(file, -1, SEEK_SET));
    CALL(lseek(file, -100, SEEK_CUR));
    CALL(lseek(file, 15, SEEK_SET));
    CALL(write(file, "!", 1));
    show(file);
    CALL(close(file));
}

// Several buffers in one call. A host may stop after any of them, so the rest follows by itself.
static void buffers(void) {
    int file = open("f", O_RDWR);
    struct iovec parts[3] = {{"ab", 2}, {NULL, 0}, {"cd", 2}};
    ssize_t put = pwritev(file, parts, 3, 0);
    FACT("wrote some", put >= 2 && put <= 4);
    pwrite(file, &"abcd"[put], 4 - put, put);
    show(file);
    char first[2], second[4];
    struct iovec into[2] = {{first, 2}, {second, 4}};
    ssize_t got = readv(file, into, 2);
    FACT("read some", got >= 2 && got <= 6);
    FACT("each in its place", memcmp(first, "ab", 2) == 0 && memcmp(second, "cdo,", got - 2) == 0);
    pread(file, second, 4, 2);
    printf("  \"%.2s\" and \"%.4s\"\n", first, second);
    CALL(close(file));
}

// Sizes: cut, grown, allocated; what reading and writing the wrong way say.
static void sizes(void) {
    int file = open("f", O_RDWR);
    struct stat is;
    CALL(ftruncate(file, 4));
    show(file);
    CALL(ftruncate(file, 6));
    show(file);
    CALL(ftruncate(file, -1));
    // The rest is 0 where the file's system can allocate, and ENOTSUP where it cannot; the size then stays.
    int allocated = posix_fallocate(file, 0, 10);
    fstat(file, &is);
    FACT("allocated, or not supported", allocated == 0 ? is.st_size == 10 : allocated == ENOTSUP && is.st_size == 6);
    CALL(posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL));
    CALL(fsync(file));
    CALL(fdatasync(file));
    CALL(close(file));
    file = open("f", O_WRONLY | O_TRUNC);
    FACT("truncated when opened", fstat(file, &is) == 0 && is.st_size == 0);
    CALL(read(file, buffer, 1));
    CALL(write(file, "read only", 9));
    CALL(close(file));
    file = open("f", O_RDONLY);
    CALL(write(file, "x", 1));
    FACT("cannot be truncated", ftruncate(file, 0) == -1 && (errno == EBADF || errno == EINVAL));
    show(file);
    CALL(close(file));
}

// Appending goes to the end wherever the offset is; the flag can be set later.
static void appending(void) {
    int file = open("f", O_RDWR | O_APPEND);
    CALL(lseek(file, 0, SEEK_SET));
    CALL(write(file, "+a", 2));
    CALL(lseek(file, 0, SEEK_CUR));
    show(file);
    CALL(close(file));
    file = open("f", O_RDWR);
    CALL(fcntl(file, F_SETFL, O_APPEND));
    FACT("appends now", fcntl(file, F_GETFL) & O_APPEND);
    CALL(write(file, "+b", 2));
    show(file);
    CALL(fcntl(file, F_SETFL, 0));
    CALL(lseek(file, 0, SEEK_SET));
    CALL(write(file, "R", 1));
    show(file);
    CALL(close(file));
}

int main(void) {
    opening();
    places();
    buffers();
    sizes();
    appending();
    CALL(unlink("f"));
    CALL(unlink("f"));
    return 0;
}
