//! The futures that all contestants poll: one endless loop, called through the library or through Wasmtime alone.

use fuelsched::ledger::Meter;
use fuelsched::task::TaskFuture;
use fuelsched::{Engine, EngineConfig, Fuel, Module, Outcome, Task};
use std::sync::Arc;

/// Counts for ever. One round of the loop is 8 fuel, and every round is a yield point.
const SPIN: &str = r#"
(module
  (func (export "spin") (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.or (local.get $i) (i32.const 1))))))
"#;

/// Fuel that one round of the loop costs.
const ROUND: u64 = 8;

/// More fuel than a run can use.
const TANK: u64 = 1 << 62;

/// The module, compiled once for everybody.
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
    /// Compiles the module, in an engine with the library's own settings.
    pub(crate) fn new() -> Guests {
        let engine = Engine::new(&EngineConfig::default()).expect("the default engine");
        let module = Module::from_bytes(&engine, "spin", SPIN.as_bytes()).expect("the guest compiles");
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
    pub(crate) fn slices(&self) -> u64 {
        self.each.iter().map(|meter| meter.used().0 / self.slice).sum()
    }

    /// The first task's meter, and what it will show after about this many slices of all tasks together, where all take turns.
    pub(crate) fn goal(&self, slices: u64) -> (Arc<Meter>, u64) {
        let meter = &self.each[0];
        let turns = slices.div_ceil(self.each.len() as u64);
        (meter.clone(), meter.used().0 + turns * self.slice)
    }
}
