//! The import module `sched`: what a guest can ask of its scheduler. Yield, sleep, the time, a log, channels, and tasks of its own.
//!
//! | file | holds |
//! |---|---|
//! | `call` | one call from a guest: its arguments checked, its memory looked up, its fuel charged |
//! | `functions` | the functions |
//! | `handles` | the numbers by which a guest names what it has opened |
//! | `spawner` | what a guest may spawn, as the embedder says |
//!
//! ```
//! use fuelsched::{Engine, EngineConfig, Executor, Linker, Module, sched::{self, Host}};
//! use fuelsched::channel::Channels;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(&EngineConfig::default())?;
//! let module = Module::from_bytes(&engine, "greeter", br#"
//!     (module
//!       (import "sched" "open" (func $open (param i32 i32 i32) (result i32)))
//!       (import "sched" "send" (func $send (param i32 i32 i32) (result i32)))
//!       (memory (export "memory") 1)
//!       (data (i32.const 0) "greetings")
//!       (func (export "main") (result i32)
//!         (call $send (call $open (i32.const 0) (i32.const 9) (i32.const 4)) (i32.const 0) (i32.const 5))))
//! "#)?;
//! let mut linker = Linker::<Host>::new(&engine);
//! sched::add_to_linker(&mut linker, |host| host)?;
//!
//! let channels = Channels::default();
//! let greetings = channels.receiver("greetings", 4)?;
//! let mut sched = Executor::builder().build();
//! sched.spawn(linker.link(&module)?.call(Host::new("greeter").channels(channels), "main", &[]))?;
//! sched.run();
//! assert_eq!(greetings.try_recv()?, b"greet");
//! # Ok(())
//! # }
//! ```
//!
//! `docs/host.md` has each function with its type, its price and its errors; `wasm/include/sched.h` declares them for C.
//!
//! **A guest can be wrong in every argument.** It gets an error code, never a trap, and the host never panics: addresses are checked before anything
//! is done, everything that a guest can make is bounded, and what it does is charged to it.

mod call;
mod functions;
mod handles;
mod spawner;

pub use call::GuestError;
pub use functions::add_to_linker;
pub use spawner::{SpawnRefusal, Spawner, arguments};

use crate::channel::Channels;
use crate::costs::Costs;
use handles::Handles;
use std::fmt;
use std::sync::Arc;

/// Where the lines go that guests log: it is called with the task's name and the line, in which control characters are escaped.
pub type LogSink = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// What one task has of the import module `sched`: part of the embedder's data.
///
/// Without more it can yield, sleep, and use channels that nobody else has; spawning is refused, and what it logs is dropped.
pub struct Host {
    /// The task's name, for its log.
    name: Arc<str>,
    /// The channels that it can open.
    channels: Channels,
    /// What it can spawn.
    spawner: Option<Spawner>,
    /// Where its log goes.
    log: Option<LogSink>,
    /// What it pays.
    costs: Costs,
    /// What it has opened.
    handles: Handles,
}

impl Host {
    /// That of a task with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Host {
        Host {
            name: name.into(),
            channels: Channels::default(),
            spawner: None,
            log: None,
            costs: Costs::default(),
            handles: Handles::new(),
        }
    }

    /// The channels that it can open: the same for all that are to talk with each other.
    #[must_use]
    pub fn channels(mut self, channels: Channels) -> Host {
        self.channels = channels;
        self
    }

    /// What it can spawn.
    #[must_use]
    pub fn spawner(mut self, spawner: Spawner) -> Host {
        self.spawner = Some(spawner);
        self
    }

    /// Where the lines go that it logs.
    #[must_use]
    pub fn log(mut self, sink: LogSink) -> Host {
        self.log = Some(sink);
        self
    }

    /// What it pays for its calls.
    #[must_use]
    pub fn costs(mut self, costs: Costs) -> Host {
        self.costs = costs;
        self
    }

    /// How many handles it can have at a time; 256, unless set.
    #[must_use]
    pub fn handles(mut self, at_most: usize) -> Host {
        self.handles.at_most = at_most;
        self
    }

    /// How many tasks that it has spawned can live at a time; 64, unless set.
    #[must_use]
    pub fn children(mut self, at_most: usize) -> Host {
        self.handles.children_at_most = at_most;
        self
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .field("channels", &self.channels)
            .field("spawner", &self.spawner)
            .field("costs", &self.costs)
            .field("handles", &self.handles)
            .finish_non_exhaustive()
    }
}
