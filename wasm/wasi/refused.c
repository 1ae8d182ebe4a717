// The functions that a host of preview 1 links and refuses: signals, sockets, rights.
//
// A socket call on what is no socket says so; the others say that they are not supported. None may end the program.
#include "report.h"
#include <fcntl.h>
#include <unistd.h>

// Of preview 1, and dropped by the libc that this is built with.
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise"))) int proc_raise(int signal);

// Whether it is one of the answers that hosts give.
static void show(const char *what, int error) {
    int refused = error == ENOTSUP || error == ENOSYS || error == ENOTSOCK || error == EBADF;
    printf("%s: %s\n", what, refused ? "refused" : error_name(error));
}

int main(void) {
    uint8_t byte;
    __wasi_iovec_t in = {&byte, 1};
    __wasi_ciovec_t out = {&byte, 1};
    __wasi_size_t size;
    __wasi_roflags_t flags;
    __wasi_fd_t accepted;
    show("a signal", proc_raise(1));
    show("accept", __wasi_sock_accept(0, 0, &accepted));
    show("receive", __wasi_sock_recv(0, &in, 1, 0, &size, &flags));
    show("send", __wasi_sock_send(1, &out, 1, 0, &size));
    show("shut down", __wasi_sock_shutdown(0, __WASI_SDFLAGS_RD));
    show("accept on nothing", __wasi_sock_accept(999, 0, &accepted));
    show("fewer rights", __wasi_fd_fdstat_set_rights(999, 0, 0));
    printf("and goes on\n");
    return 0;
}
