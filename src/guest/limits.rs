//! How much of the host's memory a task may hold.

use wasmtime::ResourceLimiter;

/// The limits of one task, over all the instances that it is made of.
///
/// A growth beyond `memory` is refused: `memory.grow` and `table.grow` return -1, and a module that asks for more from the start
/// fails to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in all memories and tables together. 256 MiB, unless set.
    pub memory: usize,
    /// Instances: the module itself, and those that it imports from. 16, unless set.
    pub instances: usize,
    /// Memories. Each costs address space, however small it is. 16, unless set.
    pub memories: usize,
    /// Tables. 64, unless set.
    pub tables: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { memory: 256 << 20, instances: 16, memories: 16, tables: 64 }
    }
}

/// Counts what a task holds. Wasmtime's own `StoreLimits` looks at each memory by itself.
#[derive(Debug)]
pub(super) struct Limiter {
    /// What it may hold.
    limits: Limits,
    /// Bytes that it has been allowed to hold. A growth that the system then refuses stays counted: memory was short just then, and
    /// Wasmtime's report of the failure does not say which growth it was.
    held: usize,
}

impl Limiter {
    /// Nothing held yet.
    pub(super) fn new(limits: Limits) -> Limiter {
        Limiter { limits, held: 0 }
    }

    /// Whether `bytes` more may be held; if so they are counted.
    fn take(&mut self, bytes: usize) -> bool {
        match self.held.checked_add(bytes) {
            Some(held) if held <= self.limits.memory => {
                self.held = held;
                true
            }
            _ => false,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|max| desired <= max) && self.take(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = desired.saturating_sub(current).saturating_mul(size_of::<usize>());
        Ok(maximum.is_none_or(|max| desired <= max) && self.take(bytes))
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }
}
