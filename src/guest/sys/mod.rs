//! What only the system or the processor can do: the one folder with `unsafe`.
//!
//! | file | holds |
//! |---|---|
//! | `near` | bringing memory near that will soon be needed |
//! | `precompiled` | loading machine code that was compiled before |
//! | `trusted` | a program's word that such code is its own; no part of the library |
//! | `stacks` | stacks for fibers, many of them |
//! | `memories` | linear memories, many of them |
//! | `map` | the system calls behind those two |
//! | `shortage` | which limit was met when they fail |
//!
//! Stacks and memories are for Linux on x86-64 and aarch64; elsewhere they are Wasmtime's own.

#![allow(unsafe_code, reason = "each block says why it is sound")]

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod map;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod memories;
mod near;
mod precompiled;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod shortage;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod stacks;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use crate::error::Result;
use std::fmt;

pub(super) use near::fetch;

/// Gives an engine stacks of our own, of at least so many bytes; says how they are guarded. `None`: this system is left to Wasmtime's.
///
/// # Errors
/// [`ErrorKind::Engine`](crate::ErrorKind::Engine): not one page of address space is to be had.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn give_stacks(config: &mut wasmtime::Config, size: usize) -> Result<Option<Guard>> {
    let stacks = stacks::Stacks::new(size)?;
    let guard = stacks.guard();
    config.with_host_stack(std::sync::Arc::new(stacks::Creator(stacks.into())));
    Ok(Some(guard))
}

/// Gives an engine memories of our own, for code that checks its bounds.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn give_memories(config: &mut wasmtime::Config) {
    config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(0).memory_may_move(true);
    config.guard_before_linear_memory(false);
    config.with_host_memory(std::sync::Arc::new(memories::Creator(Default::default())));
}

/// The same, elsewhere: small reservations in place of large ones.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn give_memories(config: &mut wasmtime::Config) {
    config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(0).memory_may_move(true);
    config.guard_before_linear_memory(false);
}

/// The same, elsewhere.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn give_stacks(_config: &mut wasmtime::Config, _size: usize) -> crate::Result<Option<Guard>> {
    Ok(None)
}

/// There is no stack for a task: why.
#[derive(Debug)]
pub(super) struct NoStack(pub(super) String);

impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoStack {}

/// How the pages below a stack are kept from being touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guard {
    /// By marks in the page table: `MADV_GUARD_INSTALL`.
    Marked,
    /// By protecting them: `mprotect`, which costs two mappings a stack.
    Protected,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guard::Marked => "MADV_GUARD_INSTALL",
            Guard::Protected => "mprotect",
        })
    }
}
