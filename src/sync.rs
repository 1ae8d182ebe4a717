//! What `signal.rs` synchronises with: the standard library's, and in `tests/loom.rs`, which compiles that file once more, Loom's.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
