// Paths that hosts stumble over: dots, slashes in odd places, slashes at the end, links that must not be followed, folders that are closed.
//
// `paths.wasm --dir DIR::/` with an empty folder; it leaves an empty one behind. All by WASI itself, so that libc changes no path.
#include "report.h"

// The folder that was given.
#define ROOT 3
#define FOLLOW __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW
// Rights, so that a host that goes by them opens to read, or to write.
#define READS __WASI_RIGHTS_FD_READ
#define WRITES __WASI_RIGHTS_FD_WRITE

// Opens by WASI itself, and closes again; the error.
static int opens(__wasi_fd_t from, const char *path, __wasi_lookupflags_t lookup, __wasi_oflags_t flags, __wasi_rights_t rights) {
    __wasi_fd_t fd;
    int error = __wasi_path_open(from, lookup, path, flags, rights, 0, 0, &fd);
    if (error == 0 && __wasi_fd_close(fd) != 0) printf("%s cannot be closed\n", path);
    return error;
}

// Says how a path can be opened to be read.
static void opened(const char *path) {
    char what[64];
    snprintf(what, sizeof what, "open %s", path);
    report_errno(what, opens(ROOT, path, 0, 0, READS));
}

// Says that the error is one of two: hosts differ, as their systems do.
static void either(const char *what, int error, int one, int two) {
    if (error == one || error == two) printf("%s: %s or %s\n", what, error_name(one), error_name(two));
    else report_errno(what, error);
}

static int make(const char *path) { return opens(ROOT, path, 0, __WASI_OFLAGS_CREAT, WRITES); }

static void odd_paths(void) {
    WASI(__wasi_path_create_directory(ROOT, "d"));
    WASI(__wasi_path_create_directory(ROOT, "d/e"));
    report_errno("make d/e/f", make("d/e/f"));
    opened("d/e/f");
    opened("./d/e/f");
    opened("d//e///f");
    opened("d/./e/./f");
    opened("d/e/../e/f");
    opened("d/../d/e/f");
    opened("d/e/../../d/../d/e/f");
    opened("d/e/f/");
    opened("d/e/f/.");
    opened("d/e/f/..");
    opened("d/e/missing/..");
    opened("d/missing/../e/f");
    opened("/d/e/f");
    opened("..");
    opened("../");
    opened("d/../..");
    opened("d/e/../../../d/e/f");
    opened("...");
    opened("..d");
    opened("d/e\\f");
    report_errno("open d/e as a directory", opens(ROOT, "d/e", 0, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
    report_errno("open d/e/ as a directory", opens(ROOT, "d/e/", 0, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
    report_errno("open d/e/f as a directory", opens(ROOT, "d/e/f", 0, __WASI_OFLAGS_DIRECTORY, READS));
    report_errno("create d/e/f anew", opens(ROOT, "d/e/f", 0, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, WRITES));
    report_errno("create d/e", opens(ROOT, "d/e", 0, __WASI_OFLAGS_CREAT, WRITES));
    report_errno("create missing/f", opens(ROOT, "missing/f", 0, __WASI_OFLAGS_CREAT, WRITES));
}

// Slashes at the end of a path: fine for directories, wrong for files.
static void slashes(void) {
    report_errno("make s", make("s"));
    either("create t/", make("t/"), EISDIR, ENOENT);
    report_errno("unlink s/", __wasi_path_unlink_file(ROOT, "s/"));
    report_errno("remove directory s/", __wasi_path_remove_directory(ROOT, "s/"));
    report_errno("remove directory s", __wasi_path_remove_directory(ROOT, "s"));
    either("unlink d/e/", __wasi_path_unlink_file(ROOT, "d/e/"), EISDIR, EPERM);
    either("unlink d/e", __wasi_path_unlink_file(ROOT, "d/e"), EISDIR, EPERM);
    report_errno("rename s/ to t", __wasi_path_rename(ROOT, "s/", ROOT, "t"));
    report_errno("rename s to t/", __wasi_path_rename(ROOT, "s", ROOT, "t/"));
    report_errno("rename d/e to d/g", __wasi_path_rename(ROOT, "d/e", ROOT, "d/g"));
    report_errno("rename d/g/ to d/e", __wasi_path_rename(ROOT, "d/g/", ROOT, "d/e"));
    report_errno("rename d/e to d/g/", __wasi_path_rename(ROOT, "d/e", ROOT, "d/g/"));
    report_errno("rename d/g to d/e", __wasi_path_rename(ROOT, "d/g", ROOT, "d/e"));
    either("symlink l/", __wasi_path_symlink("s", ROOT, "l/"), ENOENT, ENOTDIR);
    either("link s to t/", __wasi_path_link(ROOT, 0, "s", ROOT, "t/"), ENOENT, ENOTDIR);
    report_errno("remove directory d/e", __wasi_path_remove_directory(ROOT, "d/e"));
    report_errno("unlink s", __wasi_path_unlink_file(ROOT, "s"));
}

// Links that are not to be followed, and a descriptor that is no directory.
static void links(void) {
    uint8_t target[16];
    __wasi_size_t size;
    __wasi_filestat_t is;
    report_errno("make x", make("x"));
    WASI(__wasi_path_symlink("x", ROOT, "to-x"));
    WASI(__wasi_path_symlink("d", ROOT, "to-d"));
    WASI(__wasi_path_symlink("missing", ROOT, "to-missing"));
    report_errno("open to-x, following", opens(ROOT, "to-x", FOLLOW, 0, READS));
    report_errno("open to-x, not following", opens(ROOT, "to-x", 0, 0, READS));
    report_errno("open to-d, following", opens(ROOT, "to-d", FOLLOW, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
    either("open to-d, not following", opens(ROOT, "to-d", 0, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR), ELOOP, ENOTDIR);
    report_errno("open to-missing, following", opens(ROOT, "to-missing", FOLLOW, 0, READS));
    report_errno("open to-missing, not following", opens(ROOT, "to-missing", 0, 0, READS));
    report_errno("open to-d/e/f, not following at the end", opens(ROOT, "to-d/e/f", 0, 0, READS));
    WASI(__wasi_path_filestat_get(ROOT, FOLLOW, "to-x", &is));
    FACT("to-x, followed, is a file", is.filetype == __WASI_FILETYPE_REGULAR_FILE);
    WASI(__wasi_path_filestat_get(ROOT, 0, "to-x", &is));
    FACT("to-x itself is a link", is.filetype == __WASI_FILETYPE_SYMBOLIC_LINK && is.size == 1);
    report_errno("read the link to-x", __wasi_path_readlink(ROOT, "to-x", target, sizeof target, &size));
    printf("  \"%.*s\"\n", (int)size, (const char *)target);
    report_errno("read the link to-missing into 4 bytes", __wasi_path_readlink(ROOT, "to-missing", target, 4, &size));
    printf("  \"%.*s\"\n", (int)size, (const char *)target);
    report_errno("remove directory to-d", __wasi_path_remove_directory(ROOT, "to-d"));
    WASI(__wasi_path_unlink_file(ROOT, "to-x"));
    WASI(__wasi_path_unlink_file(ROOT, "to-d"));
    WASI(__wasi_path_unlink_file(ROOT, "to-missing"));

    __wasi_fd_t file;
    WASI(__wasi_path_open(ROOT, 0, "x", 0, READS, 0, 0, &file));
    either("open from a file", opens(file, "x", 0, 0, READS), EBADF, ENOTDIR);
    either("make a directory in a file", __wasi_path_create_directory(file, "x"), EBADF, ENOTDIR);
    report_errno("open from nothing", opens(999, "x", 0, 0, READS));
    either("open from standard output", opens(1, "x", 0, 0, READS), EBADF, ENOTDIR);
    WASI(__wasi_fd_close(file));
}

// A file that has no name any more is still a file; a folder can be closed, and another put in its place.
static void without_a_name(void) {
    __wasi_fd_t file, directory;
    __wasi_size_t size;
    __wasi_filestat_t is;
    WASI(__wasi_path_open(ROOT, 0, "x", 0, READS | WRITES, 0, 0, &file));
    report_errno("unlink x", __wasi_path_unlink_file(ROOT, "x"));
    WASI(__wasi_fd_write(file, &(__wasi_ciovec_t){(const uint8_t *)"still", 5}, 1, &size));
    report_errno("what it is", __wasi_fd_filestat_get(file, &is));
    printf("  %d bytes, %d names\n", (int)is.size, (int)is.nlink);
    WASI(__wasi_fd_close(file));
    WASI(__wasi_path_create_directory(ROOT, "gone"));
    WASI(__wasi_path_open(ROOT, 0, "gone", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR, READS, 0, &directory));
    WASI(__wasi_path_remove_directory(ROOT, "gone"));
    report_errno("open in it", opens(directory, "x", 0, __WASI_OFLAGS_CREAT, WRITES));
    report_errno("list it", __wasi_fd_readdir(directory, (uint8_t *)&is, sizeof is, 0, &size));
    WASI(__wasi_fd_close(directory));
    report_errno("unlink d/e/f", __wasi_path_unlink_file(ROOT, "d/e/f"));
    report_errno("remove directory d/e", __wasi_path_remove_directory(ROOT, "d/e"));

    WASI(__wasi_path_open(ROOT, 0, "d", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR | __WASI_RIGHTS_PATH_OPEN, READS | WRITES, 0, &directory));
    report_errno("remove directory d", __wasi_path_remove_directory(ROOT, "d"));
    report_errno("close the folder", __wasi_fd_close(ROOT));
    report_errno("open in it", opens(ROOT, "d", 0, 0, READS));
    report_errno("renumber another to its place", __wasi_fd_renumber(directory, ROOT));
    report_errno("the old number", opens(directory, ".", 0, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
}

int main(void) {
    odd_paths();
    slashes();
    links();
    without_a_name();
    return 0;
}
