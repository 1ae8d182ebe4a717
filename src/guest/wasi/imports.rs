//! The functions as guests import them: one screen to hold beside the specification.
//!
//! Numbers of 8 and 16 bits come as 32, as the binary interface has them. What does not wait is an ordinary function; what may, or may take long, is
//! asynchronous, and a module that imports one of those gets a waker.

use super::abi::{Errno, Version};
use super::call::{Door, answer};
use super::process::proc_exit;
use super::{Find, Wasi};
use crate::error::Result;
use crate::guest::{HostState, Linker};
use wasmtime::Caller;

/// Functions that are done when they return.
macro_rules! prompt {
    ($linker:ident, $version:ident, $find:ident; $($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        $linker.func($version.module(), stringify!($name), move |caller: Caller<'_, HostState<D>>, $($arg: $ty),*| {
            answer(Door::new(caller, $find, $version).call(|call| call.$name($($arg),*)))
        })?;
    )*};
}

/// Functions that may wait.
macro_rules! patient {
    ($linker:ident, $version:ident, $find:ident; $($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        $linker.func_async($version.module(), stringify!($name), move |caller: Caller<'_, HostState<D>>, ($($arg,)*): ($($ty,)*)| {
            Box::new(async move { answer(Door::new(caller, $find, $version).$name($($arg),*).await) })
        })?;
    )*};
}

/// Functions that say that they are not supported.
macro_rules! unsupported {
    ($linker:ident, $version:ident, $find:ident; $($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        $linker.func($version.module(), stringify!($name), move |caller: Caller<'_, HostState<D>>, $($arg: $ty),*| {
            let _ = ($($arg),*);
            answer(Door::new(caller, $find, $version).call(|_| Err(Errno::Notsup)))
        })?;
    )*};
}

/// Adds all functions of WASI preview 1, under both names that are in use: `wasi_snapshot_preview1` and `wasi_unstable`. `find` says where in the
/// embedder's data a task's side of WASI is.
///
/// # Errors
/// [`ErrorKind::Definition`](crate::ErrorKind::Definition) when one of the names is taken.
pub fn add_to_linker<D: Send + 'static>(
    linker: &mut Linker<D>,
    find: impl Fn(&mut D) -> &mut Wasi + Copy + Send + Sync + 'static,
) -> Result<()> {
    Version::ALL.into_iter().try_for_each(|version| add(linker, version, find))
}

/// Adds the functions under one name.
fn add<D: Send + 'static>(linker: &mut Linker<D>, version: Version, find: impl Find<D>) -> Result<()> {
    prompt! { linker, version, find;
        args_get(pointers: u32, buffer: u32);
        args_sizes_get(count: u32, size: u32);
        environ_get(pointers: u32, buffer: u32);
        environ_sizes_get(count: u32, size: u32);
        clock_res_get(id: u32, resolution: u32);
        clock_time_get(id: u32, precision: u64, time: u32);
        fd_advise(fd: u32, at: u64, len: u64, advice: u32);
        fd_close(fd: u32);
        fd_datasync(fd: u32);
        fd_fdstat_get(fd: u32, stat: u32);
        fd_fdstat_set_flags(fd: u32, flags: u32);
        fd_filestat_get(fd: u32, stat: u32);
        fd_filestat_set_size(fd: u32, size: u64);
        fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
        fd_pread(fd: u32, pieces: u32, len: u32, at: u64, count: u32);
        fd_prestat_get(fd: u32, stat: u32);
        fd_prestat_dir_name(fd: u32, name: u32, len: u32);
        fd_pwrite(fd: u32, pieces: u32, len: u32, at: u64, count: u32);
        fd_renumber(from: u32, to: u32);
        fd_seek(fd: u32, by: i64, whence: u32, position: u32);
        fd_sync(fd: u32);
        fd_tell(fd: u32, position: u32);
        fd_write(fd: u32, pieces: u32, len: u32, count: u32);
        path_create_directory(fd: u32, at: u32, len: u32);
        path_filestat_get(fd: u32, lookup: u32, at: u32, len: u32, stat: u32);
        path_filestat_set_times(fd: u32, lookup: u32, at: u32, len: u32, accessed: u64, modified: u64, flags: u32);
        path_link(old: u32, lookup: u32, old_at: u32, old_len: u32, new: u32, new_at: u32, new_len: u32);
        path_open(fd: u32, lookup: u32, at: u32, len: u32, how: u32, rights: u64, inheriting: u64, flags: u32, opened: u32);
        path_readlink(fd: u32, at: u32, len: u32, buffer: u32, buffer_len: u32, count: u32);
        path_remove_directory(fd: u32, at: u32, len: u32);
        path_rename(old: u32, old_at: u32, old_len: u32, new: u32, new_at: u32, new_len: u32);
        path_symlink(at: u32, len: u32, fd: u32, new_at: u32, new_len: u32);
        path_unlink_file(fd: u32, at: u32, len: u32);
    }
    patient! { linker, version, find;
        fd_allocate(fd: u32, at: u64, len: u64);
        fd_read(fd: u32, pieces: u32, len: u32, count: u32);
        fd_readdir(fd: u32, at: u32, len: u32, cookie: u64, count: u32);
        poll_oneoff(at: u32, events: u32, len: u32, count: u32);
        random_get(at: u32, len: u32);
        sched_yield();
    }
    unsupported! { linker, version, find;
        fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
        proc_raise(signal: u32);
        sock_accept(fd: u32, flags: u32, accepted: u32);
        sock_recv(fd: u32, pieces: u32, len: u32, how: u32, count: u32, flags: u32);
        sock_send(fd: u32, pieces: u32, len: u32, how: u32, count: u32);
        sock_shutdown(fd: u32, how: u32);
    }
    linker.func(version.module(), "proc_exit", move |caller: Caller<'_, HostState<D>>, code: u32| {
        Door::new(caller, find, version);
        Err::<(), _>(proc_exit(code))
    })?;
    Ok(())
}
