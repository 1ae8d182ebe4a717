#![doc = include_str!("../README.md")]

// Floor by floor: a module imports only from those above it in this list.

pub mod budget;
pub mod clock;
pub mod costs;
pub mod error;
pub mod frame;
#[cfg(feature = "debug")]
pub mod insides;
mod near;
pub mod reason;
mod sync;
pub mod unit;
pub mod value;

pub mod outcome;
pub mod pace;

pub mod account;
mod control;
pub mod join;
pub mod outside;
mod signal;
pub mod stats;
mod timer;

pub mod ledger;

#[cfg(feature = "host")]
pub mod channel;
pub mod policy;
pub mod trace;
pub mod wait;

pub mod task;

pub mod executor;
pub mod guest;

pub mod replay;
pub mod supervisor;
pub mod workers;

pub use account::Group;
pub use budget::Budget;
pub use clock::Clock;
pub use error::{Error, ErrorKind, Result};
pub use executor::{Executor, Ran, RunEnd, Step, TaskState};
#[cfg(feature = "host")]
pub use guest::sched;
#[cfg(feature = "wasi")]
pub use guest::wasi;
pub use guest::{Engine, EngineConfig, Exit, HostState, Instance, Limits, Linker, Module, Program, UnknownImports};
pub use ledger::Ledger;
pub use outcome::Outcome;
pub use policy::Policy;
pub use reason::{BlockedOn, SliceEnd};
pub use replay::{Divergence, Replay};
pub use supervisor::{Action, Health, Supervisor};
pub use task::Task;
pub use trace::{Ended, Observer, Recorder, Recording, Slice};
pub use unit::{Fuel, GroupId, TaskId};
pub use value::{Value, ValueType};
pub use workers::Workers;

/// Wasmtime itself, of the version that this crate is built with: for `Caller` and the like in host functions.
pub use wasmtime;

/// The documents, so that their Rust examples are compiled and run.
#[cfg(doctest)]
mod docs {
    #[doc = include_str!("../docs/polling.md")]
    struct Polling;
    #[doc = include_str!("../docs/fuel.md")]
    struct Fuel;
    #[doc = include_str!("../docs/design.md")]
    struct Design;
    #[cfg(feature = "wasi")]
    #[doc = include_str!("../docs/wasi.md")]
    struct Wasi;
    #[cfg(feature = "host")]
    #[doc = include_str!("../docs/host.md")]
    struct Host;
    #[doc = include_str!("../docs/control.md")]
    struct Control;
    #[cfg(all(feature = "cranelift", feature = "digest"))]
    #[doc = include_str!("../docs/precompiled.md")]
    struct Precompiled;
    #[doc = include_str!("../docs/replay.md")]
    struct Replay;
    #[doc = include_str!("../docs/trace.md")]
    struct Trace;
    #[doc = include_str!("../docs/workers.md")]
    struct Workers;
    #[doc = include_str!("../docs/profile.md")]
    struct Profile;
    #[doc = include_str!("../docs/wakers.md")]
    struct Wakers;
}
