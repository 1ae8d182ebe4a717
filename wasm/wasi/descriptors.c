// Descriptors: what they are and may do, their flags, renumbering, closing, preopened folders, and those that are not there.
//
// `descriptors.wasm --dir DIR::/ --dir OTHER::/other` with empty folders; it leaves them empty.
#include "report.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/libc.h>

// A kind of descriptor, in a word.
static const char *kind(__wasi_filetype_t type) {
    switch (type) {
    case __WASI_FILETYPE_REGULAR_FILE: return "file";
    case __WASI_FILETYPE_DIRECTORY: return "directory";
    default: return "stream";
    }
}

// Prints what a descriptor is, and what it may do.
static void show(const char *what, int fd) {
    __wasi_fdstat_t is;
    int error = __wasi_fd_fdstat_get(fd, &is);
    if (error) {
        report_errno(what, error);
        return;
    }
    printf("%s: %s%s%s%s%s\n", what, kind(is.fs_filetype), is.fs_flags & __WASI_FDFLAGS_APPEND ? ", appends" : "",
           is.fs_rights_base & __WASI_RIGHTS_FD_READ ? ", reads" : "",
           is.fs_rights_base & __WASI_RIGHTS_FD_WRITE ? ", writes" : "",
           is.fs_filetype == __WASI_FILETYPE_DIRECTORY && is.fs_rights_base & __WASI_RIGHTS_PATH_OPEN ? ", opens" : "");
}

// Prints the folders that were opened before the program began.
static void preopens(void) {
    int number = 3;
    for (;; number++) {
        __wasi_prestat_t is;
        int error = __wasi_fd_prestat_get(number, &is);
        if (error) break;
        char name[64] = {0};
        error = __wasi_fd_prestat_dir_name(number, (uint8_t *)name, is.u.dir.pr_name_len);
        printf("preopened %d: \"%s\" of length %u, %s\n", number, name, (unsigned)is.u.dir.pr_name_len, error_name(error));
        if (is.u.dir.pr_name_len > 0)
            report_errno("its name in too little room", __wasi_fd_prestat_dir_name(number, (uint8_t *)name, is.u.dir.pr_name_len - 1));
    }
    __wasi_prestat_t is;
    WASI(__wasi_fd_prestat_get(0, &is));
    report_errno("the one after the last", __wasi_fd_prestat_get(number, &is));
}

// Renumbering: moves one descriptor over another, and closes that.
static void renumber(void) {
    int one = open("one", O_RDWR | O_CREAT, 0666), two = open("two", O_RDWR | O_CREAT, 0666);
    write(one, "one", 3);
    write(two, "two!", 4);
    report("one over two", __wasilibc_fd_renumber(one, two));
    char text[8] = {0};
    report("read two", pread(two, text, sizeof text, 0));
    printf("  \"%s\"\n", text);
    report("read one", pread(one, text, sizeof text, 0));
    report("two over nothing", __wasilibc_fd_renumber(two, 999));
    report("nothing over two", __wasilibc_fd_renumber(one, two));
    report("two over itself", __wasilibc_fd_renumber(two, two));
    report("read two", pread(two, text, sizeof text, 0));
    report("close two", close(two));
    unlink("one");
    unlink("two");
}

int main(void) {
    show("standard input", 0);
    show("standard output", 1);
    show("standard error", 2);
    show("a folder", 3);
    preopens();
    int file = open("file", O_RDWR | O_CREAT | O_APPEND, 0666);
    show("a file", file);
    CALL(fcntl(file, F_SETFL, 0));
    show("a file", file);
    FACT("read and write", (fcntl(file, F_GETFL) & O_ACCMODE) == O_RDWR);
    CALL(fcntl(file, F_GETFD));
    close(file);
    file = open("file", O_RDONLY);
    show("opened to be read", file);
    close(file);
    file = open("file", O_WRONLY);
    show("opened to be written", file);
    close(file);
    int other = open("/other/file", O_RDWR | O_CREAT, 0666);
    FACT("a file in the other folder", other >= 0);
    FACT("the first folder has no such file", access("/other", F_OK) != 0 || access("/file", F_OK) == 0);
    close(other);
    CALL(unlink("/other/file"));
    CALL(rename("/file", "/other/moved"));
    CALL(unlink("/other/moved"));
    renumber();
    show("not there", 999);
    WASI(__wasi_fd_close(999));
    WASI(__wasi_fd_close(-1));
    CALL(lseek(1, 0, SEEK_CUR));
    CALL(close(0));
    char byte;
    CALL(read(0, &byte, 1));
    return 0;
}
