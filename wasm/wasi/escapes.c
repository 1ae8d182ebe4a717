// Tries to get out of the folder that it was given, in all the ways that paths and links offer, and says what happened.
//
// `escapes.wasm --dir DIR::/ -- SECRET`, where DIR is empty, is called `jail`, and has a file `secret` beside it; SECRET is the
// host's absolute path of that file. A line `… ESCAPED` must never be printed, and nothing outside of the folder may change.
// It leaves the folder empty.
#include "report.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The directory that a path starts from: the one preopened, by its number, so that libc changes nothing about the path.
#define ROOT 3

// Counts the escapes.
static int escapes;

// Says how an attempt ended that must not succeed.
static void attempt(const char *what, int error) {
    if (error == 0) escapes++;
    printf("%s: %s\n", what, error == 0 ? "ESCAPED" : error_name(error));
}

// Tries to open by WASI itself, with these flags of lookup and opening.
static int try_open(const char *path, __wasi_lookupflags_t lookup, __wasi_oflags_t flags, __wasi_rights_t rights) {
    __wasi_fd_t fd;
    int error = __wasi_path_open(ROOT, lookup, path, flags, rights, rights, 0, &fd);
    if (error == 0) close(fd);
    return error;
}

// All that can be done with a path from outside, each a line.
static void everything(const char *what, const char *path) {
    char line[64];
    __wasi_filestat_t is;
    const __wasi_lookupflags_t follow = __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW;
#define TRY(how, error) (snprintf(line, sizeof line, "%s, %s", what, how), attempt(line, error))
    TRY("read", try_open(path, follow, 0, __WASI_RIGHTS_FD_READ));
    TRY("write", try_open(path, follow, __WASI_OFLAGS_TRUNC, __WASI_RIGHTS_FD_WRITE));
    TRY("create", try_open(path, follow, __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_WRITE));
    TRY("stat", __wasi_path_filestat_get(ROOT, follow, path, &is));
    TRY("set times", __wasi_path_filestat_set_times(ROOT, follow, path, 0, 0, __WASI_FSTFLAGS_MTIM));
#undef TRY
}

// What changes names, and does not follow a link at the end of a path: only paths that lead outside by themselves.
static void names(const char *what, const char *path) {
    char line[64];
    uint8_t target[64];
    __wasi_size_t size;
#define TRY(how, error) (snprintf(line, sizeof line, "%s, %s", what, how), attempt(line, error))
    TRY("unlink", __wasi_path_unlink_file(ROOT, path));
    TRY("rename from", __wasi_path_rename(ROOT, path, ROOT, "taken"));
    TRY("rename to", __wasi_path_rename(ROOT, "inside", ROOT, path));
    TRY("link from", __wasi_path_link(ROOT, 0, path, ROOT, "taken"));
    TRY("link to", __wasi_path_link(ROOT, 0, "inside", ROOT, path));
    TRY("link at", __wasi_path_symlink("inside", ROOT, path));
    TRY("make directory", __wasi_path_create_directory(ROOT, path));
    TRY("remove directory", __wasi_path_remove_directory(ROOT, path));
    TRY("read link", __wasi_path_readlink(ROOT, path, target, sizeof target, &size));
#undef TRY
}

// Makes a symbolic link that leads outside. A host may refuse that already.
static int made(const char *target, const char *path) {
    int error = __wasi_path_symlink(target, ROOT, path);
    if (error) printf("symlink %s: refused\n", path);
    return error == 0;
}

// Attempts through a link that leads outside, which is then removed.
static void through_link(const char *target, const char *link) {
    char what[64], below[64];
    if (!made(target, link)) return;
    snprintf(what, sizeof what, "through %s", link);
    everything(what, link);
    snprintf(below, sizeof below, "%s/secret", link);
    snprintf(what, sizeof what, "below %s", link);
    everything(what, below);
    names(what, below);
    unlink(link);
}

int main(int argc, char **argv) {
    const char *absolute = argc > 1 ? argv[1] : "/etc/passwd";
    close(open("inside", O_WRONLY | O_CREAT, 0666));
    mkdir("d", 0777);
    FACT("inside can be read", try_open("inside", 0, 0, __WASI_RIGHTS_FD_READ) == 0);
    FACT("d/../inside can be read", try_open("d/../inside", 0, 0, __WASI_RIGHTS_FD_READ) == 0);

    everything("../secret", "../secret");
    names("../secret", "../secret");
    everything("d/../../secret", "d/../../secret");
    names("d/../../secret", "d/../../secret");
    everything("./.././secret", "./.././secret");
    everything("d/..//..//secret", "d/..//..//secret");
    everything("absolute", absolute);
    names("absolute", absolute);
    attempt("..", try_open("..", 0, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
    attempt("../", try_open("../", 0, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
    attempt("/", try_open("/", 0, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
    attempt("d/../..", try_open("d/../..", 0, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));

    through_link("../secret", "to-secret");
    through_link("..", "to-parent");
    through_link("d/../..", "to-parent-by-d");
    through_link(absolute, "to-absolute");
    through_link("/", "to-root");
    if (made("..", "d/up-twice")) {
        // Inside: up one from `d` is the folder itself.
        FACT("d/up-twice/inside can be read", try_open("d/up-twice/inside", 1, 0, __WASI_RIGHTS_FD_READ) == 0);
        attempt("d/up-twice/../secret", try_open("d/up-twice/../secret", 1, 0, __WASI_RIGHTS_FD_READ));
        unlink("d/up-twice");
    }
    // Out and in again is out.
    attempt("out and in again", try_open("../jail/inside", 0, 0, __WASI_RIGHTS_FD_READ));
    // A directory by its number is a root of its own.
    int d = open("d", O_RDONLY | O_DIRECTORY);
    __wasi_fd_t fd;
    attempt("up from a directory", __wasi_path_open(d, 0, "../../secret", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
    attempt("up from a directory to its own parent", __wasi_path_open(d, 0, "../inside", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
    close(d);
    CALL(unlink("inside"));
    CALL(rmdir("d"));
    printf("escapes: %d\n", escapes);
    return escapes != 0;
}
