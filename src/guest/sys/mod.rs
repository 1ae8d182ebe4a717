//! What only the system or the processor can do: the one folder with `unsafe`.
//!
//! | file | holds |
//! |---|---|
//! | `near` | bringing memory near that will soon be needed |
//! | `stacks` | stacks for fibers, many of them; on Linux, for x86-64 and aarch64 |

#![allow(unsafe_code, reason = "each block says why it is sound")]

mod near;
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
