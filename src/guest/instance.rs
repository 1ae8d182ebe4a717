//! An instance that stays: called again and again, each call a task of its own, its memory kept between them.
//!
//! ```text
//!            ① call                    ② the call returned
//!   Idle ─────────────► Busy ──────────────────────────────► Idle
//!                        │ │
//!                        │ └── ③ dropped before its first poll ──► Idle
//!                        └──── ④ ended in any other way ─────────► Gone, or Idle where it is warm
//! ```
//!
//! ① `Instance::call`: the guest moves into the task's future. ② ③ ④ `Lease::drop`: it moves back, or is lost, because a guest that was
//! stopped in the middle may have left its memory in any state. Whoever wants it in that state says so: [`Instance::warm`]. When a future
//! is dropped in the middle of a call, the call's part of it, with the fiber, is dropped before the lease is, so the guest is whole.

use super::exports::{Exports, no_such_global, no_such_memory};
use super::hook::{self, HostState};
use super::module::Module;
use super::program::{Guest, Program};
use super::sys;
use crate::error::{Error, ErrorKind, Result};
use crate::outcome::Outcome;
use crate::task::Task;
use crate::value::Value;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::Store;

/// An instance that stays; `D` is the embedder's data in its store. Clones are the same instance.
///
/// ```
/// use fuelsched::{Engine, EngineConfig, Executor, Module, Value};
///
/// # fn main() -> fuelsched::Result<()> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let counter = Module::from_bytes(&engine, "counter", br#"
///     (module (global $n (mut i32) (i32.const 0))
///       (func (export "update") (result i32)
///         (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
/// "#)?;
/// let npc = counter.instance()?;
/// let mut sched = Executor::builder().build();
/// for frame in 1..=3 {
///     let id = sched.spawn(npc.call("update", &[]))?;
///     sched.run();
///     assert_eq!(sched.take_outcome(id).unwrap().values(), Some(&[Value::I32(frame)][..]));
/// }
/// # Ok(())
/// # }
/// ```
pub struct Instance<D: 'static = ()> {
    /// What it is an instance of.
    program: Program<D>,
    /// The guest, between calls.
    state: Arc<Mutex<State<D>>>,
    /// Whether the guest comes back however a call ends.
    warm: bool,
}

/// Where the guest is.
enum State<D: 'static> {
    /// Not made yet: the first call makes it, metered as part of that task.
    New(D),
    /// Here.
    Idle(Box<Guest<D>>),
    /// In the future of a call.
    Busy,
    /// Lost.
    Gone,
}

/// A guest on loan to the future of a call; gives it back when it is dropped.
struct Lease<D: 'static> {
    /// Where to.
    home: Arc<Mutex<State<D>>>,
    /// What; `Gone` while the instance is made.
    state: State<D>,
    /// Whether it is given back as it is now.
    whole: bool,
}

impl<D: 'static> Drop for Lease<D> {
    fn drop(&mut self) {
        let state = if self.whole { self.take() } else { State::Gone };
        // What is lost is dropped after the lock is given back.
        *lock(&self.home) = state;
    }
}

impl<D: 'static> Lease<D> {
    /// Takes what there is; `Gone` is left.
    fn take(&mut self) -> State<D> {
        std::mem::replace(&mut self.state, State::Gone)
    }

    /// The call has ended so. If it returned, the guest is whole.
    fn settle(&mut self, outcome: &Outcome) {
        self.whole |= matches!(outcome, Outcome::Returned(_));
    }

    /// Keeps the guest for the time of the call.
    fn keep(&mut self, guest: Box<Guest<D>>) -> &mut Guest<D> {
        self.state = State::Idle(guest);
        match &mut self.state {
            State::Idle(guest) => guest,
            _ => unreachable!("just put there"),
        }
    }
}

/// The state. Nothing that can panic runs while it is locked except the embedder's closures, which leave it whole.
fn lock<D>(state: &Mutex<State<D>>) -> MutexGuard<'_, State<D>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Send + 'static> Instance<D> {
    /// An instance that its first call will make.
    pub(super) fn new(program: Program<D>, data: D) -> Instance<D> {
        Instance { program, state: Arc::new(Mutex::new(State::New(data))), warm: false }
    }

    /// The same instance, whose guest comes back however a call of it ends, and not only when it returns: after a trap, a kill or a budget
    /// used up, memory and globals are as they were left, and the next call goes on with them. That is what a *warm start* is; whether the guest
    /// can make sense of what it left is the guest's affair. It holds for calls that are made by this handle and its clones.
    ///
    /// An instance that was not made, because its start function trapped or was stopped, is gone all the same.
    #[must_use]
    pub fn warm(mut self) -> Instance<D> {
        self.warm = true;
        self
    }

    /// A call of an export. It ends with the instance idle again if it returns, and with the instance gone if it does not.
    ///
    /// What is wrong with the call is said when it is spawned: what [`Program::call`] says, and [`ErrorKind::InstanceBusy`],
    /// [`ErrorKind::InstanceGone`].
    pub fn call(&self, export: &str, args: &[Value]) -> Task {
        let checked = self.program.entry(export, args).and_then(|entry| Ok((entry, self.lend()?)));
        let (entry, mut lease) = match checked {
            Ok(checked) => checked,
            Err(error) => return Task::from_error(error),
        };
        let (program, warm) = (self.program.clone(), self.warm);
        Task::from_guest(self.program.reach(), sys::fetch, move |meter| async move {
            lease.whole = warm;
            let guest = match lease.take() {
                State::New(data) => program.start(data, &meter).await.map(Box::new),
                State::Idle(mut guest) => match hook::begin(&mut guest.store, meter) {
                    Ok(()) => Ok(guest),
                    Err(error) => Err(super::program::ended_by(&error)),
                },
                State::Busy | State::Gone => unreachable!("a lease is of a guest"),
            };
            let guest = match guest {
                Ok(guest) => lease.keep(guest),
                Err(outcome) => return outcome,
            };
            let outcome = guest.call(program.module(), &entry).await;
            lease.settle(&outcome);
            outcome
        })
    }

    /// Takes the guest out, for a call.
    fn lend(&self) -> Result<Lease<D>> {
        let mut state = lock(&self.state);
        self.available(&state)?;
        let lent = std::mem::replace(&mut *state, State::Busy);
        Ok(Lease { home: self.state.clone(), state: lent, whole: true })
    }

    /// Whether it can be called now: no call is under way, and none has lost it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.available(&lock(&self.state)).is_ok()
    }

    /// Reads or changes the embedder's data.
    ///
    /// # Errors
    /// [`ErrorKind::InstanceBusy`] during a call, [`ErrorKind::InstanceGone`] after one that did not return.
    pub fn with_data<R>(&self, f: impl FnOnce(&mut D) -> R) -> Result<R> {
        let mut state = lock(&self.state);
        self.available(&state)?;
        match &mut *state {
            State::New(data) => Ok(f(data)),
            State::Idle(guest) => Ok(f(&mut guest.store.data_mut().data)),
            State::Busy | State::Gone => unreachable!("checked above"),
        }
    }

    /// Copies bytes out of an exported memory. Before the first call there is no memory yet.
    ///
    /// # Errors
    /// Those of [`Instance::with_data`]; [`ErrorKind::NoSuchMemory`]; [`ErrorKind::OutOfBounds`].
    pub fn read_memory(&self, export: &str, offset: usize, into: &mut [u8]) -> Result<()> {
        self.with_exports(no_such_memory, export, |exports, store| exports.read_memory(store, export, offset, into))
    }

    /// Copies bytes into an exported memory. Before the first call there is no memory yet.
    ///
    /// # Errors
    /// As [`Instance::read_memory`].
    pub fn write_memory(&self, export: &str, offset: usize, from: &[u8]) -> Result<()> {
        self.with_exports(no_such_memory, export, |exports, store| exports.write_memory(store, export, offset, from))
    }

    /// The size of an exported memory, in bytes. Before the first call there is no memory yet.
    ///
    /// # Errors
    /// Those of [`Instance::with_data`]; [`ErrorKind::NoSuchMemory`].
    pub fn memory_size(&self, export: &str) -> Result<usize> {
        self.with_exports(no_such_memory, export, |exports, store| exports.memory_size(store, export))
    }

    /// The value of an exported global. Before the first call there is no global yet.
    ///
    /// # Errors
    /// Those of [`Instance::with_data`]; [`ErrorKind::NoSuchGlobal`]; [`ErrorKind::GlobalType`] when it holds a reference.
    pub fn global(&self, export: &str) -> Result<Value> {
        self.with_exports(no_such_global, export, |exports, store| exports.global(store, export))
    }

    /// Sets an exported global. Before the first call there is no global yet.
    ///
    /// # Errors
    /// Those of [`Instance::with_data`]; [`ErrorKind::NoSuchGlobal`]; [`ErrorKind::ImmutableGlobal`]; [`ErrorKind::GlobalType`].
    pub fn set_global(&self, export: &str, value: Value) -> Result<()> {
        self.with_exports(no_such_global, export, |exports, store| exports.set_global(store, export, &value))
    }

    /// Does something with what the idle guest exports. Where the guest is not made yet, that is missing.
    fn with_exports<R>(
        &self,
        missing: fn(&Module, &str, Option<&'static str>) -> Error,
        export: &str,
        f: impl FnOnce(Exports, &mut Store<HostState<D>>) -> Result<R>,
    ) -> Result<R> {
        let mut state = lock(&self.state);
        self.available(&state)?;
        let module = self.program.module();
        match &mut *state {
            State::Idle(guest) => f(Exports::new(module, guest.instance), &mut guest.store),
            _ => Err(missing(module, export, None)),
        }
    }

    /// An error unless the guest is here, or not made yet.
    fn available(&self, state: &State<D>) -> Result<()> {
        let module = self.program.module().name().to_string();
        match state {
            State::New(_) | State::Idle(_) => Ok(()),
            State::Busy => Err(ErrorKind::InstanceBusy { module }.into()),
            State::Gone => Err(ErrorKind::InstanceGone { module }.into()),
        }
    }
}

impl<D> Clone for Instance<D> {
    fn clone(&self) -> Instance<D> {
        Instance { program: self.program.clone(), state: self.state.clone(), warm: self.warm }
    }
}

impl<D> fmt::Debug for Instance<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*lock(&self.state) {
            State::New(_) => "new",
            State::Idle(_) => "idle",
            State::Busy => "busy",
            State::Gone => "gone",
        };
        f.debug_struct("Instance").field("program", &self.program).field("state", &state).finish()
    }
}
