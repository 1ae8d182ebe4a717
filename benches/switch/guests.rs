//! The futures that all contestants poll: one endless loop, called through the library or through Wasmtime alone.

use fuelsched::ledger::Meter;
use fuelsched::task::TaskFuture;
use fuelsched::{Engine, EngineConfig, Fuel, Module, Outcome, Task};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What the guests do in each round of their endless loop: count. With the loop itself it is 8 fuel, and every round is a yield point.
pub(crate) const COUNT: &str = "(local.set $i (i32.add (local.get $i) (i32.const 1)))";

/// Fuel that one round of counting costs.
pub(crate) const ROUND: u64 = 8;

/// More fuel than a run can use.
const TANK: u64 = 1 << 62;

/// From so many tasks on it is asked first whether there is room.
pub(crate) const MANY: usize = 10_000;

/// Mappings that the rest of the process may need.
const SPARE: u64 = 2000;

/// A module, compiled once for everybody.
pub(crate) struct Guests {
    /// Its text.
    text: String,
    /// The module, which knows its engine.
    module: Module,
}

/// Futures that have not been polled, with their meters.
pub(crate) struct Set {
    /// The futures.
    pub(crate) futures: Vec<TaskFuture>,
    /// The meter of each.
    pub(crate) meters: Meters,
}

/// The meters of a set: they count the switches of contestants that cannot count their own.
pub(crate) struct Meters {
    /// The meter of each task.
    each: Vec<Arc<Meter>>,
    /// Fuel that every slice but a task's first uses.
    slice: u64,
}

impl Guests {
    /// Guests that count, in an engine with the library's own settings.
    pub(crate) fn new() -> Guests {
        Guests::that("", COUNT)
    }

    /// Guests that have this and do that in each round of their loop.
    pub(crate) fn that(have: &str, work: &str) -> Guests {
        let text = format!(
            r#"(module
                 {have}
                 (func (export "spin") (local $i i32)
                   (loop $again
                     {work}
                     (br_if $again (i32.or (local.get $i) (i32.const 1))))))"#
        );
        let engine = Engine::new(&EngineConfig::default()).expect("the default engine");
        let module = Module::from_bytes(&engine, "spin", text.as_bytes()).expect("the guest compiles");
        Guests { text, module }
    }

    /// The module, for those who compile it themselves.
    pub(crate) fn binary(&self) -> Vec<u8> {
        wat::parse_str(&self.text).expect("it has compiled before")
    }

    /// A task as the executor takes it.
    pub(crate) fn task(&self) -> Task {
        self.module.call("spin", &[])
    }

    /// Many futures of tasks, started, each with its interval set: nobody but the executor begins slices.
    pub(crate) fn set(&self, tasks: usize, quantum: u64) -> Result<Set, String> {
        self.check_room(tasks, 0)?;
        let parts = (0..tasks).map(|_| self.task().into_parts().expect("the call is right"));
        let (futures, each): (Vec<_>, Vec<_>) = parts.unzip();
        for meter in &each {
            meter.begin(Fuel(quantum));
        }
        let slice = quantum.next_multiple_of(ROUND);
        Ok(Set { futures: started(futures)?, meters: Meters { each, slice } })
    }

    /// Many futures of the same call by Wasmtime alone, without the hook that keeps the ledger, and without limits.
    pub(crate) fn raw_set(&self, tasks: usize, quantum: u64) -> Result<Vec<TaskFuture>, String> {
        self.check_room(tasks, 0)?;
        started((0..tasks).map(|_| self.raw(quantum)).collect())
    }

    /// Whether the system has room for so many of them, each with so many mappings more.
    pub(crate) fn check_room(&self, tasks: usize, more: u64) -> Result<(), String> {
        check_room(tasks, more, || self.raw(1))
    }

    /// One of [`Guests::raw_set`].
    fn raw(&self, quantum: u64) -> TaskFuture {
        let module = self.module.wasmtime().clone();
        Box::pin(async move {
            let mut store = wasmtime::Store::new(module.engine(), ());
            store.set_fuel(TANK).expect("the engine is metered");
            store.fuel_async_yield_interval(Some(quantum)).expect("a quantum is at least 1");
            let instance =
                wasmtime::Instance::new_async(&mut store, &module, &[]).await.expect("the guest has no imports");
            let spin = instance.get_func(&mut store, "spin").expect("the export");
            spin.call_async(&mut store, &[], &mut []).await.expect("an endless loop");
            Outcome::OutOfFuel
        })
    }
}

impl Meters {
    /// The slices that the tasks have had, give or take one that is the same at every call: the exact fuel, divided by that of a slice.
    ///
    /// # Panics
    /// When a task has not had its first slice: then the others were measured with too few tasks.
    pub(crate) fn slices(&self) -> u64 {
        let slices = |meter: &Arc<Meter>| {
            assert!(meter.used() > Fuel::ZERO, "a task never ran");
            meter.used().0 / self.slice
        };
        self.each.iter().map(slices).sum()
    }

    /// The first task's meter, and what it will show after about this many slices of all tasks together, where all take turns.
    pub(crate) fn goal(&self, slices: u64) -> (Arc<Meter>, u64) {
        let meter = &self.each[0];
        let turns = slices.div_ceil(self.each.len() as u64);
        (meter.clone(), meter.used().0 + turns * self.slice)
    }
}

/// Polls each once: it makes its instance, and stands at its first yield point. The reason, if one cannot.
pub(crate) fn started(mut futures: Vec<TaskFuture>) -> Result<Vec<TaskFuture>, String> {
    let mut cx = Context::from_waker(Waker::noop());
    for (which, future) in futures.iter_mut().enumerate() {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut cx) {
            return Err(format!("task {}: {outcome}", which + 1));
        }
    }
    Ok(futures)
}

/// Whether the system has room for so many guests, where some are made to see how many mappings each takes. Once they have run out nothing in
/// the process can be relied on, and so it is asked before.
pub(crate) fn check_room(tasks: usize, more: u64, one: impl Fn() -> TaskFuture) -> Result<(), String> {
    let (Some(limit), Some(before)) = (largest_map_count(), mappings()) else { return Ok(()) };
    if tasks < MANY {
        return Ok(());
    }
    const SAMPLE: u64 = 64;
    // The first sample brings what is there once, such as a reservation of stacks; the second shows what each takes.
    let first = started((0..SAMPLE).map(|_| one()).collect())?;
    let once = mappings().unwrap_or(before);
    let second = started((0..SAMPLE).map(|_| one()).collect())?;
    let each = (mappings().unwrap_or(once).saturating_sub(once) + SAMPLE / 2) / SAMPLE + more;
    drop((first, second));
    if before + tasks as u64 * each + SPARE < limit {
        return Ok(());
    }
    Err(format!("{each} mappings a task, and `vm.max_map_count` is {limit}"))
}

/// How many mappings this process may have, where the system says so.
fn largest_map_count() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

/// How many mappings it has.
fn mappings() -> Option<u64> {
    Some(std::fs::read_to_string("/proc/self/maps").ok()?.lines().count() as u64)
}
