//! One call of a guest's: its memory, its task's side of WASI, and its meter, together for as long as the guest stands still.
//!
//! A [`Door`] is what an import gets from Wasmtime; [`Door::call`] opens it. What is borrowed in there does not outlive it, so that no function holds
//! on to the guest's memory while it waits: the memory may be another one afterwards.

use super::abi::{Errno, Version};
use super::memory::Memory;
use super::{Find, Wasi};
use crate::guest::HostState;
use crate::ledger::Meter;
use crate::unit::Fuel;
use std::sync::Arc;
use wasmtime::{Caller, Extern};

/// One call, while the guest stands still.
pub(super) struct Call<'a> {
    /// The guest's memory; empty if it exports none.
    pub(super) memory: Memory<'a>,
    /// The task's side.
    pub(super) wasi: &'a mut Wasi,
    /// The task's meter.
    pub(super) meter: &'a Arc<Meter>,
    /// Which layout the guest knows.
    pub(super) version: Version,
}

impl Call<'_> {
    /// Charges for bytes that are moved.
    pub(super) fn charge_bytes(&self, bytes: usize) {
        self.meter.charge(Fuel(self.wasi.costs.byte.0.saturating_mul(bytes as u64)));
    }

    /// Charges for asking the operating system.
    pub(super) fn charge_file(&self) {
        self.meter.charge(self.wasi.costs.file);
    }
}

/// Why a call does not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The guest is told.
    Errno(Errno),
    /// The guest is ended.
    End(wasmtime::Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Errno(errno)
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Failure {
        Failure::End(error)
    }
}

/// What a call returns to the guest.
pub(super) fn answer(result: Result<(), Failure>) -> wasmtime::Result<u32> {
    match result {
        Ok(()) => Ok(Errno::Success as u32),
        Err(Failure::Errno(errno)) => Ok(errno as u32),
        Err(Failure::End(error)) => Err(error),
    }
}

/// What an import gets.
pub(super) struct Door<'a, D: 'static, F> {
    /// Wasmtime's.
    caller: Caller<'a, HostState<D>>,
    /// Where the task's side is in the embedder's data.
    find: F,
    /// Under which name the guest imported the function.
    version: Version,
    /// The task's meter.
    pub(super) meter: Arc<Meter>,
}

impl<'a, D: Send + 'static, F: Find<D>> Door<'a, D, F> {
    /// A call begins, and is charged for.
    pub(super) fn new(mut caller: Caller<'a, HostState<D>>, find: F, version: Version) -> Door<'a, D, F> {
        let meter = caller.data().meter().clone();
        meter.charge(find(&mut caller.data_mut().data).costs.call);
        Door { caller, find, version, meter }
    }

    /// Does something while the guest stands still.
    pub(super) fn call<T>(&mut self, f: impl FnOnce(&mut Call<'_>) -> Result<T, Errno>) -> Result<T, Failure> {
        let memory = self.caller.get_export("memory").and_then(Extern::into_memory);
        let (memory, state) = match memory {
            Some(memory) => memory.data_and_store_mut(&mut self.caller),
            None => (&mut [][..], self.caller.data_mut()),
        };
        let (meter, version) = (&self.meter, self.version);
        let mut call = Call { memory: Memory(memory), wasi: (self.find)(&mut state.data), meter, version };
        Ok(f(&mut call)?)
    }
}
