//! Whoever can poll many futures in turn, brought to one shape.
//!
//! No contestant's futures are wrapped: each polls the boxed future that the library's executor would. Those that cannot be told to
//! stop after so many polls are stopped by their main future, which looks at the fuel that the first task has used whenever the
//! contestant polls it of its own accord, and the switches that were made until then are counted exactly, by the fuel of all tasks.

use crate::guests::{Guests, Meters, Set};
use crate::multi::Multi;
use crate::others::{Epochs, Wasmi};
use crate::threads::Threads;
use async_executor::LocalExecutor;
use fuelsched::ledger::Meter;
use fuelsched::policy::RoundRobin;
use fuelsched::task::TaskFuture;
use fuelsched::{Budget, Executor, Fuel};
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Something that switches between tasks.
pub(crate) trait Contestant {
    /// Makes at least this many switches.
    fn run(&mut self, switches: u64);

    /// Switches made so far, less a constant.
    fn switches(&self) -> u64;

    /// Makes at least this many switches; returns how many it made, and in what time.
    fn measure(&mut self, switches: u64) -> (u64, Duration) {
        let before = self.switches();
        let start = Instant::now();
        self.run(switches);
        let time = start.elapsed();
        (self.switches() - before, time)
    }
}

/// A contestant, or why there is none.
pub(crate) type Made = Result<Box<dyn Contestant>, String>;

/// A contestant's name, and how to make one.
pub(crate) struct Entrant {
    /// The name in tables and on the command line.
    pub(crate) name: &'static str,
    /// Makes one with so many tasks, at this quantum; the reason, if it cannot.
    pub(crate) make: fn(&Guests, usize, u64) -> Made,
    /// By how much fewer switches it makes, because they take so long.
    pub(crate) fewer: u64,
}

/// The library's executor: its place in [`ENTRANTS`].
pub(crate) const OURS: usize = 0;
/// The bare loop over the same futures: its place in [`ENTRANTS`].
pub(crate) const BARE: usize = 1;

/// All of them.
pub(crate) const ENTRANTS: [Entrant; 11] = [
    entrant("fuelsched", |guests, tasks, quantum| made(Ours::whole(guests, tasks, quantum)?)),
    entrant("bare", |guests, tasks, quantum| made(Bare::new(guests.set(tasks, quantum)?.futures))),
    entrant("bare-unhooked", |guests, tasks, quantum| made(Bare::new(guests.raw_set(tasks, quantum)?))),
    entrant("tokio", |guests, tasks, quantum| made(Tokio::plain(guests.set(tasks, quantum)?))),
    entrant("tokio-drivers", |guests, tasks, quantum| made(Tokio::with_drivers(guests.set(tasks, quantum)?))),
    entrant("tokio-multi", |guests, tasks, quantum| made(Multi::new(guests.set(tasks, quantum)?))),
    entrant("async-executor", |guests, tasks, quantum| made(AsyncExecutor::new(guests.set(tasks, quantum)?))),
    entrant("futures-localpool", |guests, tasks, quantum| made(Pool::new(guests.set(tasks, quantum)?))),
    Entrant { name: "os-threads", make: threads, fewer: 20 },
    entrant("epochs", |guests, tasks, quantum| made(Epochs::new(guests, tasks, quantum)?)),
    entrant("wasmi", |guests, tasks, quantum| made(Wasmi::new(guests, tasks, quantum)?)),
];

/// An entrant that makes as many switches as the others.
const fn entrant(name: &'static str, make: fn(&Guests, usize, u64) -> Made) -> Entrant {
    Entrant { name, make, fewer: 1 }
}

/// A contestant.
fn made(contestant: impl Contestant + 'static) -> Made {
    Ok(Box::new(contestant))
}

/// A thread a task. Its stack is two mappings more, and so are the stacks that the standard library and Wasmtime give it for signals. The last is made
/// when it first runs a guest, and a thread that does not get it aborts the process.
fn threads(guests: &Guests, tasks: usize, quantum: u64) -> Made {
    guests.check_room(tasks, 6)?;
    made(Threads::new(guests.set(tasks, quantum)?.futures)?)
}

/// The library's executor, with round robin, its ledger and all.
pub(crate) struct Ours(pub(crate) Executor<RoundRobin>);

impl Ours {
    /// One with so many tasks.
    pub(crate) fn new(guests: &Guests, tasks: usize, quantum: u64) -> Ours {
        let mut executor = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
        for _ in 0..tasks {
            executor.spawn(guests.task()).expect("the call is right");
        }
        Ours(executor)
    }

    /// One with so many tasks, if there is room for them; each has had its first slice.
    fn whole(guests: &Guests, tasks: usize, quantum: u64) -> Result<Ours, String> {
        guests.check_room(tasks, 0)?;
        let mut ours = Ours::new(guests, tasks, quantum);
        ours.run(tasks.max(1) as u64);
        match ours.0.take_ended().first() {
            None => Ok(ours),
            Some(ended) => Err(ended.outcome.to_string()),
        }
    }
}

impl Contestant for Ours {
    fn run(&mut self, switches: u64) {
        self.0.run_for(Budget::polls(switches));
    }

    fn switches(&self) -> u64 {
        self.0.totals().switches
    }
}

/// The floor: a loop that polls, and nothing else.
struct Bare {
    /// What is polled.
    futures: Vec<TaskFuture>,
    /// Polls so far.
    polls: u64,
}

impl Bare {
    /// A loop over these.
    fn new(futures: Vec<TaskFuture>) -> Bare {
        Bare { futures, polls: 0 }
    }
}

impl Contestant for Bare {
    fn run(&mut self, switches: u64) {
        let mut cx = Context::from_waker(Waker::noop());
        let turns = switches.div_ceil(self.futures.len() as u64);
        for _ in 0..turns {
            for future in &mut self.futures {
                assert!(future.as_mut().poll(&mut cx).is_pending(), "an endless loop ended");
            }
        }
        self.polls += turns * self.futures.len() as u64;
    }

    fn switches(&self) -> u64 {
        self.polls
    }
}

/// Tokio's current-thread runtime. Its main future and its look for events, once every 61 polls, cost next to nothing.
///
/// The tasks are spawned from inside: of those that come from outside it takes one every 31 polls. A `LocalSet` is no faster.
struct Tokio {
    /// The runtime.
    runtime: Runtime,
    /// The meters of its tasks.
    meters: Meters,
}

impl Tokio {
    /// The runtime at its fastest: without drivers for events and timers.
    fn plain(set: Set) -> Tokio {
        Tokio::new(&mut Builder::new_current_thread(), set)
    }

    /// The runtime as `#[tokio::main]` sets it up, which looks for events by a system call.
    fn with_drivers(set: Set) -> Tokio {
        Tokio::new(Builder::new_current_thread().enable_all(), set)
    }

    /// A runtime with these tasks.
    fn new(builder: &mut Builder, set: Set) -> Tokio {
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async {
            for future in set.futures {
                tokio::spawn(future);
            }
        });
        Tokio { runtime, meters: set.meters }
    }
}

impl Contestant for Tokio {
    fn run(&mut self, switches: u64) {
        self.runtime.block_on(Goal::new(&self.meters, switches).waking());
    }

    fn switches(&self) -> u64 {
        self.meters.slices()
    }
}

/// The executor of async-executor, for one thread, told to make one poll after another: faster than its `run`.
struct AsyncExecutor {
    /// The executor.
    executor: LocalExecutor<'static>,
    /// The meters of its tasks.
    meters: Meters,
}

impl AsyncExecutor {
    /// An executor with these tasks.
    fn new(set: Set) -> AsyncExecutor {
        let executor = LocalExecutor::new();
        for future in set.futures {
            executor.spawn(future).detach();
        }
        AsyncExecutor { executor, meters: set.meters }
    }
}

impl Contestant for AsyncExecutor {
    fn run(&mut self, switches: u64) {
        for _ in 0..switches {
            assert!(self.executor.try_tick(), "an endless loop ended");
        }
    }

    fn switches(&self) -> u64 {
        self.meters.slices()
    }
}

/// The pool of futures.
struct Pool {
    /// The pool.
    pool: LocalPool,
    /// The meters of its tasks.
    meters: Meters,
}

impl Pool {
    /// A pool with these tasks.
    fn new(set: Set) -> Pool {
        let pool = LocalPool::new();
        let spawner = pool.spawner();
        for future in set.futures {
            let quiet = async {
                future.await;
            };
            spawner.spawn_local(quiet).expect("the pool is there");
        }
        Pool { pool, meters: set.meters }
    }
}

impl Contestant for Pool {
    fn run(&mut self, switches: u64) {
        self.pool.run_until(Goal::new(&self.meters, switches));
    }

    fn switches(&self) -> u64 {
        self.meters.slices()
    }
}

/// Done when the first task has had so many turns.
struct Goal {
    /// The first task's meter.
    meter: Arc<Meter>,
    /// What it shall show.
    fuel: u64,
    /// Whether it must ask to be polled again; the others poll it at every turn of their loops.
    waking: bool,
}

impl Goal {
    /// The goal of so many switches from now.
    fn new(meters: &Meters, switches: u64) -> Goal {
        let (meter, fuel) = meters.goal(switches);
        Goal { meter, fuel, waking: false }
    }

    /// The same, asking to be polled again.
    fn waking(mut self) -> Goal {
        self.waking = true;
        self
    }
}

impl Future for Goal {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.meter.used().0 >= self.fuel {
            return Poll::Ready(());
        }
        if self.waking {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
