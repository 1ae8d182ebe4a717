//! The exact ledger: facts 2 to 6 of what Wasmtime's fuel is and is not, each with a test that fails where the rule is not kept.
//!
//! Fuel figures are literals on purpose: they are what the guest costs, and may change only with Wasmtime's cost of an instruction.

use crate::support::{QUANTA, Slices, UNPREEMPTED, alone, engine, guest, i32s, wat};
use fuelsched::guest::Allocation;
use fuelsched::policy::{Pick, Policy, RoundRobin, Run};
use fuelsched::reason::{Param, Params, PickReason, ReadyReason};
use fuelsched::wasmtime::Caller;
use fuelsched::{
    Engine, EngineConfig, Executor, Fuel, HostState, Linker, Module, Outcome, Program, Result, SliceEnd, Step, Task,
    TaskId, Value,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Runs the call at each quantum and unpreempted. All runs must end the same and use the same fuel, and their slices must add up to
/// their ledgers. Says how it ended, the fuel, and how many times the call was preempted at each quantum.
fn same_at_every_quantum(call: impl Fn() -> Task) -> (String, u64, [u64; 4]) {
    let (whole, slices) = alone(call(), UNPREEMPTED);
    assert_eq!(slices.len(), 1, "a run without preemption");
    let preempted = QUANTA.map(|quantum| {
        let (ended, slices) = alone(call(), quantum);
        let ledger = ended.ledger;
        assert_eq!(ended.outcome.to_string(), whole.outcome.to_string(), "at quantum {quantum}");
        assert_eq!(ledger.used, whole.ledger.used, "fuel at quantum {quantum}");
        assert_eq!(slices.iter().map(|s| s.used.0).sum::<u64>(), ledger.used.0, "conservation");
        assert_eq!(slices.iter().map(|s| s.charged.0).sum::<u64>(), ledger.charged.0);
        assert_eq!(slices.iter().map(|s| s.overshoot()).max(), Some(ledger.max_overshoot));
        assert_eq!((slices.len() as u64, ledger.switches() + 1), (ledger.slices, ledger.slices));
        assert!(ledger.exact);
        ledger.preempted
    });
    (whole.outcome.to_string(), whole.ledger.used.0, preempted)
}

/// The expected result of [`same_at_every_quantum`].
fn all(outcome: &str, fuel: u64, preempted: [u64; 4]) -> (String, u64, [u64; 4]) {
    (outcome.into(), fuel, preempted)
}

/// The data of a task whose end is watched: how often it called its host function, and whether it is gone.
#[derive(Clone, Default)]
struct Watched {
    /// Calls of "host" "tick".
    calls: Arc<AtomicU32>,
    /// Set when the store is dropped.
    gone: Arc<AtomicBool>,
}

/// What is put into the store.
struct InStore(Watched);

impl Drop for InStore {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

/// `call-host.wat`, its function served: it counts, and returns 1.
fn ticking() -> Program<InStore> {
    let mut linker = Linker::new(engine());
    let tick = |caller: Caller<'_, HostState<InStore>>, _round: i32| {
        caller.data().data.0.calls.fetch_add(1, Ordering::Relaxed);
        1
    };
    linker.func("host", "tick", tick).unwrap();
    linker.link(&guest("call-host")).unwrap()
}

// Fact 2: the hook reads exactly, and writes only where a slice has begun.

#[test]
fn a_guest_that_calls_an_import_in_every_loop_is_metered_exactly() {
    // Yield points are at 1 (the function's entry) and then every 11: at quantum 7 a slice is 1 round, at 1000 it is 91.
    let program = ticking();
    let watched = Watched::default();
    let call = || program.call(InStore(watched.clone()), "main", &i32s([1_000]));
    assert_eq!(same_at_every_quantum(call), all("returned 1000", 11_002, [1_000, 999, 10, 0]));
    assert_eq!(watched.calls.load(Ordering::Relaxed), 5_000, "1,000 calls in each of 5 runs");
}

#[test]
fn a_guest_that_grows_a_memory_and_a_table_in_every_loop_is_metered_exactly() {
    // 17 a round, and the host is called twice in it with the counter in a register.
    let growing = guest("grow-nothing");
    let call = || growing.call("main", &i32s([1_000]));
    assert_eq!(same_at_every_quantum(call), all("returned 0", 17_002, [1_000, 999, 16, 0]));
}

#[test]
fn the_demo_is_metered_exactly() {
    let (main, fib) = (guest("main"), guest("fib"));
    // 8 a round: at quantum 1000 the first slice ends at 1001, and each after it at 1000 more.
    let (loops, calls) = (|| main.call("main", &[]), || fib.call("main", &i32s([15])));
    assert_eq!(same_at_every_quantum(loops), all("returned 10000", 80_002, [10_000, 9_999, 79, 0]));
    // Function entries are the yield points here, 1,973 of them.
    assert_eq!(same_at_every_quantum(calls), all("returned 610", 19_726, [1_973, 1_972, 19, 0]));
}

#[test]
fn each_call_of_an_instance_that_stays_is_metered_by_itself() {
    for quantum in QUANTA {
        let npc = guest("main").instance().unwrap();
        let fuel = [(); 3].map(|()| alone(npc.call("main", &[]), quantum).0.ledger.used.0);
        assert_eq!(fuel, [80_002; 3], "at quantum {quantum}");
    }
}

/// First in, first out, each pick with the next of these grants: a policy that hands out grants as it likes.
struct Grants {
    /// The grants, used in turn.
    cycle: Vec<u64>,
    /// How many have been used.
    at: usize,
    /// Who is ready.
    ready: VecDeque<TaskId>,
}

impl Policy for Grants {
    fn name(&self) -> &'static str {
        "grants"
    }
    fn admit(&mut self, _id: TaskId, _params: &Params) -> Result<()> {
        Ok(())
    }
    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        self.ready.push_back(id);
    }
    fn pick(&mut self, _now: Fuel) -> Pick {
        let Some(id) = self.ready.pop_front() else {
            return Pick::Empty;
        };
        let grant = Fuel(self.cycle[self.at % self.cycle.len()]);
        self.at += 1;
        let why = PickReason::Other("test");
        Pick::Run(Run { id, grant, why })
    }
    fn charge(&mut self, id: TaskId, _used: Fuel, end: SliceEnd) {
        if matches!(end, SliceEnd::Preempted | SliceEnd::Yielded) {
            self.ready.push_back(id);
        }
    }
    fn leave(&mut self, id: TaskId) {
        self.ready.retain(|other| *other != id);
    }
    fn set(&mut self, _id: TaskId, _param: Param) -> Result<()> {
        Ok(())
    }
}

/// Runs the task under [`Grants`], and checks that every grant was honoured: a preempted slice used all of it, and went past it by
/// less than `stretch`, the guest's longest way between two yield points. Returns the fuel used.
fn under_varied_grants(task: Task, stretch: u64) -> u64 {
    let cycle = vec![1, 50, 7, 1_000, 3, 8, 100_000, 2];
    let policy = Grants { cycle: cycle.clone(), at: 0, ready: VecDeque::new() };
    let mut sched = Executor::builder().policy(policy).observer(Slices::default()).build();
    let id = sched.spawn(task).unwrap();
    sched.run();
    for (slice, wanted) in sched.observer().0.iter().zip(cycle.iter().cycle()) {
        assert_eq!(slice.grant.0, *wanted);
        if slice.end != SliceEnd::Ended {
            assert_eq!(slice.end, SliceEnd::Preempted, "a slice shorter than its grant counts as yielded");
            let range = slice.grant.0..slice.grant.0 + stretch;
            assert!(range.contains(&slice.used.0), "{slice:?}");
        }
    }
    sched.take(id).unwrap().ledger.used.0
}

#[test]
fn the_grant_can_differ_from_slice_to_slice() {
    assert_eq!(under_varied_grants(guest("main").call("main", &[]), 8), 80_002);
    assert_eq!(under_varied_grants(guest("grow-nothing").call("main", &i32s([10_000])), 17), 170_002);
    let calling = ticking().call(InStore(Watched::default()), "main", &i32s([10_000]));
    assert_eq!(under_varied_grants(calling, 11), 110_002);
}

// Fact 3: where the yield points are.

#[test]
fn a_bulk_operation_is_a_yield_point_unless_it_is_known_to_be_small() {
    let fill = |bytes: u32| {
        let text = format!(
            r#"(module (memory 1) (func (export "main") (memory.fill (i32.const 0) (i32.const 1) (i32.const {bytes}))))"#
        );
        alone(wat(&text).call("main", &[]), 1).0.ledger.preempted
    };
    // One at the entry of the function, one before the operation.
    assert_eq!((fill(128), fill(129)), (1, 2));
}

#[test]
fn a_bulk_operation_is_charged_whole_whatever_the_quantum() {
    let task = guest("fill").call("main", &[]).budget(Fuel(200_000));
    let (ended, slices) = alone(task, 1_000);
    let used: Vec<u64> = slices.iter().map(|slice| slice.used.0).collect();
    assert_eq!(used, [65_541; 4]);
    assert_eq!(ended.ledger.max_overshoot, Fuel(64_541 + 623), "granted the 377 that were left");
}

// Fact 4: budgets live in the ledger.

#[test]
fn a_budget_below_one_bulk_operation_is_overrun_truthfully() {
    let (ended, slices) = alone(guest("fill").call("main", &[]).budget(Fuel(100)), 1_000);
    assert_eq!(ended.outcome.to_string(), "out-of-fuel");
    assert_eq!((ended.ledger.used, ended.ledger.exact), (Fuel(65_541), true));
    assert_eq!(slices[0].grant, Fuel(100), "the budget caps the grant");
}

#[test]
fn a_task_ends_at_the_first_yield_point_at_which_its_budget_is_used() {
    let main = guest("main");
    // Yield points of the guest: 1, 9, 17, 25 …
    for (budget, used) in [(0, 1), (1, 1), (2, 9), (9, 9), (20, 25), (1_000, 1_001)] {
        for quantum in QUANTA {
            let (ended, _) = alone(main.call("main", &[]).budget(Fuel(budget)), quantum);
            let got = (ended.outcome.to_string(), ended.ledger.used.0);
            assert_eq!(got, ("out-of-fuel".into(), used), "budget {budget} at quantum {quantum}");
        }
    }
}

#[test]
fn a_task_that_returns_before_a_yield_point_has_returned() {
    let text = format!(
        r#"(module (func (export "main") (result i32) {} (i32.const 42)))"#,
        "(drop (i32.const 1))".repeat(3_000)
    );
    let (ended, _) = alone(wat(&text).call("main", &[]).budget(Fuel(100)), 10);
    assert_eq!(ended.outcome.to_string(), "returned 42");
    assert_eq!((ended.ledger.used, ended.ledger.exact), (Fuel(3_002), true));
}

#[test]
fn a_budget_that_is_just_enough_is_enough() {
    let main = guest("main");
    // The last yield point is at 80,001 - 8: a budget above it is never seen to be used up.
    let outcome = |budget| alone(main.call("main", &[]).budget(Fuel(budget)), 1_000).0.outcome;
    assert_eq!(outcome(79_993).to_string(), "out-of-fuel");
    assert_eq!(outcome(79_994).to_string(), "returned 10000");
}

// Fact 5: what a trap leaves uncounted.

#[test]
fn after_a_trap_the_fuel_is_a_lower_bound_and_the_whole_grant_is_charged() {
    // 1,000 rounds of 8 fuel, then a load past the end of memory: 8,005 fuel in truth.
    let trapping = wat(r#"(module (memory 1) (func (export "main") (param $i i32) (result i32)
        (loop $again
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_s (local.get $i) (i32.const 1000))))
        (i32.load (i32.sub (i32.const 999) (local.get $i)))))"#);
    let got = QUANTA.map(|quantum| {
        let (ended, slices) = alone(trapping.call("main", &i32s([0])), quantum);
        assert!(ended.outcome.to_string().starts_with("trapped: out of bounds memory access"));
        assert!(!ended.ledger.exact);
        let last = slices.last().unwrap();
        assert_eq!(last.charged, last.grant.max(last.used));
        (ended.ledger.used.0, ended.ledger.charged.0)
    });
    // At 7 and at 1,000 the last grants were 1 and 999, because the slices before them had overshot.
    assert_eq!(got, [(7_993, 7_994), (7_993, 7_994), (7_001, 8_000), (0, 1_000_000)]);
}

#[test]
fn an_out_of_bounds_fill_is_charged_although_it_does_nothing() {
    let filling = guest("fill-out-of-bounds");
    let ledger = |quantum| alone(filling.call("main", &i32s([1_000_000])), quantum).0.ledger;
    // Below its cost it is charged at the yield before it, exactly, and then traps in a slice that is charged whole.
    let preempted = ledger(1_000);
    assert_eq!((preempted.used, preempted.charged), (Fuel(1_000_005), Fuel(1_001_000)));
    // Above its cost nothing of it is ever written back.
    let whole = ledger(2_000_000);
    assert_eq!((whole.used, whole.charged, whole.exact), (Fuel(0), Fuel(2_000_000), false));
}

#[test]
fn trapping_and_starting_again_is_not_free() {
    let (trapping, spin) = (guest("divide-by-zero"), guest("spin"));
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    let honest = sched.spawn(spin.call("main", &[])).unwrap();
    let mut starts = 0;
    while sched.now() < Fuel(200_000) {
        if sched.live() < 2 {
            starts += 1;
            sched.spawn(trapping.call("main", &i32s([0])).detached()).unwrap();
        }
        let Step::Ran(_) = sched.step() else { panic!("spin is always ready") };
    }
    // Each start uses 0 fuel as far as Wasmtime tells, and is charged 1,000. The last of the 101 has not run.
    assert_eq!(starts, 101);
    assert_eq!(sched.ledger(honest).unwrap().used, Fuel(100_000));
}

#[test]
fn an_operation_too_large_for_the_tank_overflows_nothing() {
    let filling = guest("fill-64-bit");
    let lengths = [1 << 61, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX];
    for quantum in [1, 1_000, UNPREEMPTED] {
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
        for length in lengths {
            let args = [Value::I64(length.cast_signed())];
            sched.spawn(filling.call("main", &args)).unwrap();
        }
        let healthy = sched.spawn(guest("fib").call("main", &i32s([10]))).unwrap();
        sched.run();
        assert_eq!(sched.take_outcome(healthy).unwrap().to_string(), "returned 55");
        for ended in sched.take_ended() {
            // Either the tank is empty before the operation, or the operation is out of bounds. No figure is exact.
            assert!(matches!(ended.outcome, Outcome::OutOfFuel | Outcome::Trapped(_)), "{ended:?}");
            assert!(!ended.ledger.exact, "{ended:?}");
        }
        // Debts of 2^62 rounds have been paid meanwhile, and the schedule goes on.
        let next = sched.spawn(guest("main").call("main", &[])).unwrap();
        sched.run();
        assert_eq!(sched.take_outcome(next).unwrap().to_string(), "returned 10000");
    }
}

// Fact 6: start functions and data are part of the task.

#[test]
fn a_start_function_is_metered_and_preempted() {
    let module = wat(r#"(module
        (global $n (mut i32) (i32.const 0))
        (func $start (loop $again
          (global.set $n (i32.add (global.get $n) (i32.const 1)))
          (br_if $again (i32.lt_s (global.get $n) (i32.const 1000)))))
        (start $start)
        (func (export "main") (result i32) (global.get $n)))"#);
    let call = || module.call("main", &[]);
    assert_eq!(same_at_every_quantum(call), all("returned 1000", 8_005, [1_002, 1_000, 8, 0]));
}

#[test]
fn an_endless_start_function_runs_into_the_budget() {
    let (ended, slices) = alone(guest("spin-start").call("main", &[]).budget(Fuel(10_000)), 1_000);
    assert_eq!(ended.outcome.to_string(), "out-of-fuel");
    assert_eq!((ended.ledger.used, slices.len()), (Fuel(10_000), 10));
}

/// A module with one data segment of 60,000 of this character.
fn with_data(engine: &Engine, character: &str) -> Module {
    let data = character.repeat(60_000);
    let text = format!(r#"(module (memory 1) (data (i32.const 0) "{data}") (func (export "main")))"#);
    Module::from_bytes(engine, "data.wat", text).unwrap()
}

#[test]
fn data_segments_cost_their_bytes_whatever_is_in_them() {
    for character in ["x", "\\00"] {
        let module = with_data(engine(), character);
        let (_, fuel, preempted) = same_at_every_quantum(|| module.call("main", &[]));
        assert_eq!((fuel, preempted), (60_003, [3, 1, 1, 0]));
    }
}

#[test]
fn a_pool_changes_no_fuel() {
    let pool = Allocation::Pooling { tasks: 4, max_memory: 1 << 20 };
    let engine = Engine::new(&EngineConfig::default().allocation(pool)).unwrap();
    let module = with_data(&engine, "x");
    let (_, fuel, _) = same_at_every_quantum(|| module.call("main", &[]));
    assert_eq!(fuel, 60_003);
}

// Fact 7: a task that is ended from outside.

#[test]
fn a_kill_in_mid_slice_is_exact_and_harms_nobody() {
    let watched = Watched::default();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(100))).build();
    let victim = ticking().call(InStore(watched.clone()), "main", &i32s([1_000_000]));
    let victim = sched.spawn(victim).unwrap();
    let neighbour = sched.spawn(guest("fib").call("main", &i32s([15]))).unwrap();
    (0..20).for_each(|_| assert!(matches!(sched.step(), Step::Ran(_))));
    let (calls, used) = (watched.calls.load(Ordering::Relaxed), sched.ledger(victim).unwrap().used);
    // Ten slices: 1 at the entry and then whole rounds of 11 until 100 are used, with one call in each round.
    assert_eq!((calls, used), (91, Fuel(1 + 11 * 91)));
    sched.kill(victim).unwrap();
    assert!(watched.gone.load(Ordering::Relaxed), "the store is gone when `kill` returns");
    assert_eq!(watched.calls.load(Ordering::Relaxed), calls, "no call while the stack unwound");
    sched.run();
    let ended = sched.take(victim).unwrap();
    assert_eq!(ended.outcome.to_string(), "killed");
    assert_eq!((ended.ledger.used, ended.ledger.exact), (used, true));
    let ended = sched.take(neighbour).unwrap();
    assert_eq!((ended.outcome.to_string(), ended.ledger.used.0), ("returned 610".into(), 19_726));
}

#[test]
fn a_kill_before_the_first_poll_frees_the_data_and_costs_nothing() {
    let watched = Watched::default();
    let mut sched = Executor::builder().build();
    let task = ticking().call(InStore(watched.clone()), "main", &i32s([1]));
    let id = sched.spawn(task).unwrap();
    sched.kill(id).unwrap();
    assert!(watched.gone.load(Ordering::Relaxed));
    let ledger = sched.take(id).unwrap().ledger;
    assert_eq!((ledger.used, ledger.slices, ledger.exact), (Fuel(0), 0, true));
}

#[test]
fn an_executor_that_is_dropped_takes_its_suspended_guests_along() {
    let watched: [Watched; 3] = Default::default();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(100))).build();
    for one in &watched {
        let task = ticking().call(InStore(one.clone()), "main", &i32s([1_000_000]));
        sched.spawn(task).unwrap();
    }
    (0..7).for_each(|_| assert!(matches!(sched.step(), Step::Ran(_))));
    let calls = || watched.each_ref().map(|one| one.calls.load(Ordering::Relaxed));
    let before = calls();
    drop(sched);
    assert_eq!(calls(), before);
    assert!(watched.iter().all(|one| one.gone.load(Ordering::Relaxed)));
}

// Conservation.

#[test]
fn what_the_slices_used_is_what_the_tasks_and_the_run_used() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(500))).observer(Slices::default()).build();
    let (fib, main) = (guest("fib"), guest("main"));
    let fill = guest("fill").call("main", &[]).budget(Fuel(1_000_000));
    let tasks = [fib.call("main", &i32s([15])), main.call("main", &[]), fill];
    let ids = tasks.map(|task| sched.spawn(task).unwrap());
    let ran = sched.run();
    for (spawn_index, (id, used)) in ids.into_iter().zip([19_726, 80_002, 16 * 65_541]).enumerate() {
        let ended = sched.take(id).unwrap();
        let slices = sched.observer().of(spawn_index as u64);
        assert_eq!(ended.ledger.used.0, used);
        assert_eq!(slices.iter().map(|slice| slice.used.0).sum::<u64>(), used);
        assert!(slices.iter().map(|slice| slice.number).eq(1..=ended.ledger.slices));
    }
    let total = 19_726 + 80_002 + 16 * 65_541;
    assert_eq!((sched.totals().fuel, ran.fuel, sched.now()), (Fuel(total), Fuel(total), Fuel(total)));
    assert_eq!(sched.totals().switches + 3, sched.totals().slices);
}
