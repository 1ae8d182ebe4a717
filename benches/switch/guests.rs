//! The futures that all contestants poll: one endless loop, called through the library or through Wasmtime alone.

use fuelsched::ledger::Meter;
use fuelsched::task::TaskFuture;
use fuelsched::{Engine, EngineConfig, Fuel, Module, Outcome, Task};
use std::sync::Arc;

/// What the guests do in each round of their endless loop: count. With the loop itself it is 8 fuel, and every round is a yield point.
pub(crate) const COUNT: &str = "(local.set $i (i32.add (local.get $i) (i32.const 1)))";

/// Fuel that one round of counting costs.
const ROUND: u64 = 8;

/// More fuel than a run can use.
const TANK: u64 = 1 << 62;

/// A module, compiled once for everybody.
pub(crate) struct Guests {
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
        Guests { module }
    }

    /// A task as the executor takes it.
    pub(crate) fn task(&self) -> Task {
        self.module.call("spin", &[])
    }

    /// Many futures of tasks, each with its interval set: nobody but the executor begins slices.
    pub(crate) fn set(&self, tasks: usize, quantum: u64) -> Set {
        let parts = (0..tasks).map(|_| self.task().into_parts().expect("the call is right"));
        let (futures, each): (Vec<_>, Vec<_>) = parts.unzip();
        for meter in &each {
            meter.begin(Fuel(quantum));
        }
        let slice = quantum.next_multiple_of(ROUND);
        Set { futures, meters: Meters { each, slice } }
    }

    /// Many futures of the same call by Wasmtime alone, without the hook that keeps the ledger, and without limits.
    pub(crate) fn raw_set(&self, tasks: usize, quantum: u64) -> Vec<TaskFuture> {
        (0..tasks).map(|_| self.raw(quantum)).collect()
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
