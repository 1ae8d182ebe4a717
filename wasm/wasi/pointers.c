// What a host must withstand: pointers outside of memory, lengths beyond it, overlapping buffers, numbers that mean nothing.
//
// `pointers.wasm --dir DIR::/` with an empty folder. Each call has to come back with an error; none may read or write what is not
// there, end the host, or take long. A host may also trap such a guest: then this program ends there.
#include "report.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define OUTSIDE ((void *)0xfffffff0)
#define LAST_BYTE ((void *)(__builtin_wasm_memory_size(0) * 65536 - 1))

int main(void) {
    __wasi_size_t size = 7;
    __wasi_filesize_t offset;
    __wasi_timestamp_t moment;
    __wasi_fd_t fd;
    __wasi_ciovec_t out = {OUTSIDE, 16};
    __wasi_iovec_t in = {OUTSIDE, 16};
    int file = open("f", O_RDWR | O_CREAT, 0666);
    write(file, "0123456789", 10);

    printf("pointers\n");
    WASI(__wasi_fd_write(file, &out, 1, &size));
    WASI(__wasi_fd_pread(file, &in, 1, 0, &size));
    WASI(__wasi_fd_pwrite(file, OUTSIDE, 1, 0, &size));
    WASI(__wasi_fd_pread(file, OUTSIDE, 1, 0, &size));
    WASI(__wasi_args_sizes_get(OUTSIDE, &size));
    WASI(__wasi_environ_sizes_get(&size, OUTSIDE));
    WASI(__wasi_random_get(OUTSIDE, 100));
    WASI(__wasi_random_get(LAST_BYTE, 2));
    WASI(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, OUTSIDE));
    WASI(__wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, LAST_BYTE));
    WASI(__wasi_fd_fdstat_get(file, OUTSIDE));
    WASI(__wasi_fd_filestat_get(file, LAST_BYTE));
    WASI(__wasi_fd_seek(file, 0, __WASI_WHENCE_CUR, OUTSIDE));
    WASI(__wasi_fd_tell(file, OUTSIDE));
    WASI(__wasi_fd_readdir(3, OUTSIDE, 100, 0, &size));
    WASI(__wasi_poll_oneoff(OUTSIDE, OUTSIDE, 1, &size));

    printf("lengths\n");
    out = (__wasi_ciovec_t){(uint8_t *)"x", 0xffffffff};
    WASI(__wasi_fd_write(file, &out, 1, &size));
    in = (__wasi_iovec_t){(uint8_t *)&size, 0xffffffff};
    WASI(__wasi_fd_read(file, &in, 1, &size));
    WASI(__wasi_fd_pwrite(file, &out, 0xffffffff, 0, &size));
    WASI(__wasi_fd_pread(file, &in, 0x20000001, 0, &size));
    WASI(__wasi_random_get((uint8_t *)&size, 0xffffffff));
    WASI(__wasi_poll_oneoff((const void *)16, (void *)16, 0xffffffff, &size));
    WASI(__wasi_poll_oneoff((const void *)16, (void *)16, 0x10000001, &size));

    printf("overlaps\n");
    uint8_t bytes[8] = {0};
    __wasi_iovec_t twice[2] = {{bytes, 5}, {bytes + 2, 5}};
    lseek(file, 0, SEEK_SET);
    int error = __wasi_fd_read(file, twice, 2, &size);
    FACT("read to overlapping buffers, or refused", error == 0 ? size == 10 || size == 5 : error == EINVAL || error == EFAULT);
    FACT("nothing beyond them was written", bytes[7] == 0);
    __wasi_ciovec_t same[3] = {{bytes, 4}, {bytes, 4}, {bytes, 4}};
    WASI(__wasi_fd_pwrite(file, same, 3, 0, &size));
    printf("%u bytes written\n", (unsigned)size);

    printf("offsets\n");
    WASI(__wasi_fd_seek(file, INT64_MIN, __WASI_WHENCE_SET, &offset));
    WASI(__wasi_fd_seek(file, INT64_MIN, __WASI_WHENCE_CUR, &offset));
    WASI(__wasi_fd_pread(file, twice, 1, UINT64_MAX, &size));
    WASI(__wasi_fd_pwrite(file, same, 1, UINT64_MAX, &size));
    WASI(__wasi_fd_filestat_set_size(file, UINT64_MAX));
    WASI(__wasi_fd_allocate(file, UINT64_MAX, 1));
    WASI(__wasi_fd_readdir(file, bytes, sizeof bytes, 0, &size));
    WASI(__wasi_fd_readdir(3, bytes, 0, 0, &size));
    printf("%u bytes used\n", (unsigned)size);

    printf("numbers\n");
    WASI(__wasi_clock_time_get(99, 1, &moment));
    WASI(__wasi_clock_res_get(99, &moment));
    WASI(__wasi_fd_seek(file, 0, 99, &offset));
    WASI(__wasi_fd_advise(file, 0, 0, 99));
    WASI(__wasi_fd_fdstat_set_flags(file, 0xffff));
    WASI(__wasi_fd_filestat_set_times(file, 0, 0, 0xffff));
    WASI(__wasi_path_open(3, 0xffffffff, "f", 0xffff, 0, 0, 0xffff, &fd));

    printf("names\n");
    static char name[70000];
    memset(name, 'n', sizeof name);
    name[300] = 0;
    OPEN(open(name, O_RDONLY));
    name[300] = 'n';
    name[sizeof name - 1] = 0;
    OPEN(open(name, O_RDONLY));
    OPEN(open("not \xff UTF-8", O_RDONLY));
    CALL(unlink("f"));
    return 0;
}
