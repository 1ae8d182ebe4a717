//! Everything that knows Wasmtime: engine, modules, instances, and the futures that the executor polls.
//!
//! | file | holds |
//! |---|---|
//! | `engine` | the settings under which modules compile and run |
//! | `module` | loading: text or binary, what can be wrong with a file, compiled once |
//! | `artifact` | the form of a precompiled module, and what is checked of it |
//! | `signature` | what an export takes and returns, and arguments read by it |
//! | `host` | what a module's imports are served from |
//! | `sched` | functions for guests: yield, sleep, log, channels, tasks |
//! | `program` | a module with its imports resolved, and the future of a call on it |
//! | `instance` | an instance that stays between calls |
//! | `hook` | the exact ledger: fuel read and granted at every switch |
//! | `inspect` | the hook of a task that can be asked while it is suspended |
//! | `exports` | memories and globals, read and written by the host |
//! | `sys` | what only the system or the processor can do |
//! | `limits` | memory, tables and instances of a task |
//! | `wasi` | WASI preview 1 |
//!
//! A call's future is one `async` block: make a store, instantiate, call, read the fuel. Wasmtime runs the guest in it on a fiber of its
//! own, and when the fuel of a slice is used up the fiber is left and the future returns `Pending`. Nobody in here knows who polls.

mod artifact;
mod engine;
mod exports;
mod hook;
mod host;
#[cfg(feature = "debug")]
mod insides;
mod inspect;
mod instance;
mod limits;
mod module;
mod program;
#[cfg(feature = "host")]
pub mod sched;
mod signature;
mod stack;
mod sys;
#[cfg(feature = "wasi")]
pub mod wasi;

pub use engine::{Allocation, Engine, EngineConfig, Memories, WASMTIME_VERSION};
pub use hook::HostState;
pub use host::{Linker, UnknownImports};
pub use instance::Instance;
pub use limits::Limits;
pub use module::{Import, Module};
pub use program::{Exit, Program};
pub use signature::Signature;
pub use sys::Guard;
