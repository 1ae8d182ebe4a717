//! What several modules of these tests share: guests, plain futures, and observers that remember.

use fuelsched::policy::RoundRobin;
use fuelsched::trace::{Ended, Observer, Slice};
use fuelsched::{Engine, EngineConfig, Executor, Fuel, Module, Outcome, Task, Value};
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::task::Poll;

/// The quanta at which fuel totals have to be the same.
pub(crate) const QUANTA: [u64; 4] = [1, 7, 1_000, 1_000_000];

/// A quantum that no guest of these tests uses up: a run without preemption.
pub(crate) const UNPREEMPTED: u64 = 1 << 62;

/// The one engine of these tests, where none with other settings is wanted.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&EngineConfig::default()).expect("the default engine"))
}

/// The path of `wasm/<name>.wat`.
pub(crate) fn guest_path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "wasm", &format!("{name}.wat")].iter().collect()
}

/// The guest `wasm/<name>.wat`.
pub(crate) fn guest(name: &str) -> Module {
    Module::from_file(engine(), guest_path(name)).expect("a guest of this repository loads")
}

/// A guest that only one test needs.
pub(crate) fn wat(text: &str) -> Module {
    Module::from_bytes(engine(), "test.wat", text).expect("a guest written for a test loads")
}

/// A plain future that uses `costs[i]` fuel in its i-th poll, and returns in the one after the last cost.
pub(crate) fn work(costs: impl IntoIterator<Item = u64, IntoIter: Send + 'static>) -> Task {
    let mut costs = costs.into_iter();
    Task::from_future(move |meter| {
        poll_fn(move |_| match costs.next() {
            Some(cost) => {
                meter.record(meter.used().plus(Fuel(cost)));
                Poll::Pending
            }
            None => Poll::Ready(Outcome::Returned(Vec::new())),
        })
    })
}

/// A plain future that uses exactly what it is granted, for ever.
pub(crate) fn endless() -> Task {
    Task::from_future(|meter| {
        poll_fn(move |_| {
            meter.record(meter.used().plus(meter.grant()));
            Poll::<Outcome>::Pending
        })
    })
}

/// An observer that keeps all slices.
#[derive(Debug, Default)]
pub(crate) struct Slices(pub(crate) Vec<Slice>);

impl Slices {
    /// The slices of the task that was spawned as the `spawn_index`-th.
    pub(crate) fn of(&self, spawn_index: u64) -> Vec<Slice> {
        let own = |slice: &&Slice| slice.spawn_index == spawn_index;
        self.0.iter().filter(own).copied().collect()
    }
}

impl Observer for Slices {
    fn slice(&mut self, slice: &Slice) {
        self.0.push(*slice);
    }
}

/// Runs one task by itself in round robin with this quantum; says how it ended, and in which slices it ran.
pub(crate) fn alone(task: Task, quantum: u64) -> (Ended, Vec<Slice>) {
    let policy = RoundRobin::new(Fuel(quantum));
    let mut sched = Executor::builder().policy(policy).observer(Slices::default()).build();
    let id = sched.spawn(task).expect("the task can be spawned");
    sched.run();
    let ended = sched.take(id).expect("it has ended");
    (ended, std::mem::take(&mut sched.observer_mut().0))
}

/// A list of `i32`s as arguments or results.
pub(crate) fn i32s<const N: usize>(numbers: [i32; N]) -> [Value; N] {
    numbers.map(Value::I32)
}
