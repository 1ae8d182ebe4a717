// How the programs of this folder say what happened: one line for each call, `what: 0`, `what: 5`, or `what: ENOENT`.
//
// A result is the same on every host only if it carries no pointer, no time and no number of a file. So an error is printed by its name.
#ifndef REPORT_H
#define REPORT_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

// The name of an error of WASI's, the same number as libc's `errno`.
static inline const char *error_name(int number) {
    static const char *const names[] = {
        "0", "E2BIG", "EACCES", "EADDRINUSE", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EAGAIN", "EALREADY", "EBADF", "EBADMSG",
        "EBUSY", "ECANCELED", "ECHILD", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EDEADLK", "EDESTADDRREQ", "EDOM",
        "EDQUOT", "EEXIST", "EFAULT", "EFBIG", "EHOSTUNREACH", "EIDRM", "EILSEQ", "EINPROGRESS", "EINTR", "EINVAL", "EIO",
        "EISCONN", "EISDIR", "ELOOP", "EMFILE", "EMLINK", "EMSGSIZE", "EMULTIHOP", "ENAMETOOLONG", "ENETDOWN", "ENETRESET",
        "ENETUNREACH", "ENFILE", "ENOBUFS", "ENODEV", "ENOENT", "ENOEXEC", "ENOLCK", "ENOLINK", "ENOMEM", "ENOMSG",
        "ENOPROTOOPT", "ENOSPC", "ENOSYS", "ENOTCONN", "ENOTDIR", "ENOTEMPTY", "ENOTRECOVERABLE", "ENOTSOCK", "ENOTSUP",
        "ENOTTY", "ENXIO", "EOVERFLOW", "EOWNERDEAD", "EPERM", "EPIPE", "EPROTO", "EPROTONOSUPPORT", "EPROTOTYPE", "ERANGE",
        "EROFS", "ESPIPE", "ESRCH", "ESTALE", "ETIMEDOUT", "ETXTBSY", "EXDEV", "ENOTCAPABLE",
    };
    return number >= 0 && number < (int)(sizeof names / sizeof *names) ? names[number] : "an unknown error";
}

// Says what a call of libc's returned: a number, or -1 and then the name of `errno`.
static inline long long report(const char *what, long long result) {
    if (result == -1) printf("%s: %s\n", what, error_name(errno));
    else printf("%s: %lld\n", what, result);
    return result;
}

// Says what a function of WASI itself returned: an error, 0 if none.
static inline int report_errno(const char *what, int error) {
    printf("%s: %s\n", what, error_name(error));
    return error;
}

// The same, with the function's name taken from the call: `__wasi_fd_tell(fd, &at)` is `fd_tell`.
static inline int report_wasi(const char *call, int error) {
    const char *name = call + sizeof "__wasi_" - 1;
    printf("%.*s: %s\n", (int)(strchr(name, '(') - name), name, error_name(error));
    return error;
}

// Says whether something could be opened, without its number, and closes it again.
static inline void report_open(const char *what, int fd) {
    report(what, fd < 0 ? -1 : 0);
    if (fd >= 0) close(fd);
}

// A call that is its own caption: `CALL(unlink("a"))` prints `unlink("a"): 0`.
#define CALL(call) report(#call, (call))
#define OPEN(call) report_open(#call, (call))
#define WASI(call) report_wasi(#call, (call))
// A fact that has to be true; the line says whether it is.
#define FACT(what, fact) printf("%s: %s\n", what, (fact) ? "yes" : "no")

#endif
