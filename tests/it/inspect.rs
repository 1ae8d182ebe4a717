//! Inspecting: the memories and globals of a suspended guest read and written by the host, with no instruction of the guest in between, and with
//! no trace in the ledger.

use crate::support::{QUANTA, Slices, endless, engine, guest, i32s, wat};
use fuelsched::guest::Allocation;
use fuelsched::policy::RoundRobin;
use fuelsched::reason::Control;
use fuelsched::trace::{Ended, Observer, Slice};
use fuelsched::{
    Engine, EngineConfig, Executor, Fuel, HostState, Linker, Module, Program, Result, Step, Task, TaskId, TaskState,
    Value,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use wasmtime::Caller;

/// An executor that remembers its slices.
type Sched = Executor<RoundRobin, Slices>;

/// One with this quantum.
fn sched(quantum: u64) -> Sched {
    Executor::builder().policy(RoundRobin::new(Fuel(quantum))).observer(Slices::default()).build()
}

/// Makes a number of steps, each of which must be a poll.
fn steps<O: Observer>(sched: &mut Executor<RoundRobin, O>, n: usize) {
    (0..n).for_each(|_| assert!(matches!(sched.step(), Step::Ran(_))));
}

/// The 32-bit number in the memory.
fn peek<O: Observer>(sched: &mut Executor<RoundRobin, O>, id: TaskId, offset: usize) -> i32 {
    let mut bytes = [0; 4];
    sched.read_memory(id, "memory", offset, &mut bytes).unwrap();
    i32::from_le_bytes(bytes)
}

/// Puts a 32-bit number into the memory.
fn poke<O: Observer>(sched: &mut Executor<RoundRobin, O>, id: TaskId, offset: usize, number: i32) {
    sched.write_memory(id, "memory", offset, &number.to_le_bytes()).unwrap();
}

/// The message of what should have been an error.
fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

/// What an inspection may not change: the clock, the sums, the task's account and state, and what was observed.
fn traces(sched: &Sched, id: TaskId) -> String {
    let (state, ledger, slices) = (sched.state(id), sched.ledger(id), sched.observer().0.len());
    format!("{:?} {:?} {state:?} {ledger:?} {slices}", sched.now(), sched.totals())
}

const NOT_STARTED: &str = "task 0.0 cannot be inspected yet: the instance is made in the task's first slice, and its start functions run \
                           there; let it run until it is preempted in its call";
const NOT_INSPECTABLE: &str = "task 0.0 is not inspectable; spawn a guest's call with `.inspectable()`";

// What it is for.

#[test]
fn a_suspended_guest_is_read_and_written_and_sees_what_was_written() {
    for quantum in QUANTA {
        let mut sched = sched(quantum);
        let id = sched.spawn(guest("inspect").call("main", &[]).inspectable()).unwrap();
        steps(&mut sched, 2);
        let before = traces(&sched, id);
        let count = peek(&mut sched, id, 0);
        assert_eq!(peek(&mut sched, id, 0), count, "nothing runs between two reads");
        assert_eq!(sched.memory_size(id, "memory").unwrap(), 65_536);
        assert_eq!(sched.global(id, "step").unwrap(), Value::I32(1));
        sched.set_global(id, "step", Value::I32(-1)).unwrap();
        poke(&mut sched, id, 0, 1 << 20);
        assert_eq!(peek(&mut sched, id, 0), 1 << 20);
        assert_eq!(sched.global(id, "step").unwrap(), Value::I32(-1));
        assert_eq!(traces(&sched, id), before);

        let (polls, used) = (sched.observer().0.len(), sched.ledger(id).unwrap().used);
        steps(&mut sched, 3);
        assert_eq!(sched.observer().0.len(), polls + 3);
        // A round is 10 fuel.
        let rounds = (sched.ledger(id).unwrap().used.minus(used).0 / 10) as i32;
        assert!(rounds >= 3 && peek(&mut sched, id, 0) == (1 << 20) - rounds, "at quantum {quantum}: {rounds} rounds");
        poke(&mut sched, id, 4, 42);
        sched.run();
        assert_eq!(sched.take_outcome(id).unwrap().to_string(), "returned 42");
    }
}

#[test]
fn the_size_of_a_memory_is_the_present_one() {
    let growing = wat("(module (memory (export \"memory\") 1)
        (func (export \"main\") (loop $l (drop (memory.grow (i32.const 1))) (br $l))))");
    let mut sched = sched(1);
    let id = sched.spawn(growing.call("main", &[]).inspectable()).unwrap();
    // The function's entry, the loop's entry, and then a growth before each jump back.
    let sizes = [(); 4].map(|()| {
        steps(&mut sched, 1);
        sched.memory_size(id, "memory").unwrap() >> 16
    });
    assert_eq!(sizes, [1, 2, 3, 4]);
    sched.write_memory(id, "memory", (4 << 16) - 1, &[7]).unwrap();
}

#[test]
fn values_of_every_type_go_in_and_out() {
    let holder = wat("(module (memory (export \"memory\") 1)
        (global (export \"i32\") (mut i32) (i32.const 0)) (global (export \"i64\") (mut i64) (i64.const 0))
        (global (export \"f32\") (mut f32) (f32.const 0)) (global (export \"f64\") (mut f64) (f64.const 0))
        (global (export \"v128\") (mut v128) (v128.const i64x2 0 0))
        (func (export \"main\") (loop $l (br $l))))");
    let values = [
        Value::I32(i32::MIN),
        Value::I64(i64::MIN),
        Value::F32(f32::from_bits(0x7fa0_0001)),
        Value::F64(-0.0),
        Value::V128(u128::MAX - 1),
    ];
    let mut sched = sched(100);
    let id = sched.spawn(holder.call("main", &[]).inspectable()).unwrap();
    steps(&mut sched, 1);
    for value in values {
        let export = value.ty().to_string();
        sched.set_global(id, &export, value).unwrap();
        assert_eq!(sched.global(id, &export).unwrap(), value);
    }
    steps(&mut sched, 1);
    assert_eq!(values.map(|value| sched.global(id, &value.ty().to_string()).unwrap()), values);
}

#[test]
fn two_tasks_do_not_mix() {
    let mut sched = sched(1_000);
    let ids = [(); 3].map(|()| sched.spawn(guest("inspect").call("main", &[]).inspectable()).unwrap());
    steps(&mut sched, 6);
    for (number, id) in ids.iter().enumerate() {
        sched.set_global(*id, "step", Value::I32(number as i32)).unwrap();
        poke(&mut sched, *id, 0, 1_000 * number as i32);
    }
    assert_eq!(
        ids.map(|id| (peek(&mut sched, id, 0), sched.global(id, "step").unwrap())),
        [(0, Value::I32(0)), (1_000, Value::I32(1)), (2_000, Value::I32(2))]
    );
    steps(&mut sched, 3);
    let counts = ids.map(|id| peek(&mut sched, id, 0));
    assert!(counts[0] == 0 && counts[1] > 1_000 && counts[2] == 2_000 + 2 * (counts[1] - 1_000), "{counts:?}");
    for (number, id) in ids.iter().enumerate() {
        poke(&mut sched, *id, 4, 10 + number as i32);
    }
    sched.run();
    let outcomes = ids.map(|id| sched.take_outcome(id).unwrap().to_string());
    assert_eq!(outcomes, ["returned 10", "returned 11", "returned 12"]);
}

// What is refused.

/// A guest with something of each kind to export.
fn showcase() -> Module {
    wat(r#"(module (memory (export "memory") 1) (table (export "table") 1 funcref)
        (global (export "fixed") i32 (i32.const 7)) (global (export "open") (mut i64) (i64.const 7))
        (global (export "ref") (mut funcref) (ref.null func)) (global (export "fixed-ref") funcref (ref.null func))
        (func (export "main") (loop $l (br $l)))
        (func (export "once")))"#)
}

/// The messages of all that is refused, whoever refuses it.
fn refusals(
    mut read: impl FnMut(&str, usize, &mut [u8]) -> Result<()>,
    mut write: impl FnMut(&str, usize, &[u8]) -> Result<()>,
    mut get: impl FnMut(&str) -> Result<Value>,
    mut set: impl FnMut(&str, Value) -> Result<()>,
) -> Vec<String> {
    let mut bytes = [9; 4];
    let read = [("nope", 0), ("open", 0), ("main", 0), ("memory", 65_533), ("memory", usize::MAX)]
        .map(|(export, offset)| message(read(export, offset, &mut bytes)));
    assert_eq!(bytes, [9; 4], "nothing is read by halves");
    let write = [("table", 0), ("memory", 65_533), ("memory", usize::MAX - 1)]
        .map(|(export, offset)| message(write(export, offset, &bytes)));
    let get = ["nope\n", "memory", "ref"].map(|export| message(get(export)));
    let set = [
        ("nope", Value::I32(1)),
        ("main", Value::I32(1)),
        ("fixed", Value::I32(1)),
        ("fixed", Value::I64(1)),
        ("fixed-ref", Value::I32(1)),
        ("open", Value::I32(1)),
        ("ref", Value::I64(1)),
    ]
    .map(|(export, value)| message(set(export, value)));
    [&read[..], &write, &get, &set].concat()
}

/// What they should be.
const REFUSALS: [&str; 18] = [
    "no memory is exported as 'nope'",
    "the export 'open' is a global, not a memory",
    "the export 'main' is a function, not a memory",
    "a read of 4 bytes at 65533 reaches past the end of a memory of 65536 bytes",
    "a read of 4 bytes at 18446744073709551615 reaches past the end of a memory of 65536 bytes",
    "the export 'table' is a table, not a memory",
    "a write of 4 bytes at 65533 reaches past the end of a memory of 65536 bytes",
    "a write of 4 bytes at 18446744073709551614 reaches past the end of a memory of 65536 bytes",
    "no global is exported as 'nope\\n'",
    "the export 'memory' is a memory, not a global",
    "the global 'ref' holds a reference, which a host can neither read nor set",
    "no global is exported as 'nope'",
    "the export 'main' is a function, not a global",
    "the global 'fixed' is immutable",
    "the global 'fixed' is immutable",
    "the global 'fixed-ref' is immutable",
    "the global 'open' is of type i64, not i32",
    "the global 'ref' holds a reference, which a host can neither read nor set",
];

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let expected = REFUSALS.map(|text| format!("test.wat: {text}"));
    let mut sched = sched(100);
    let id = sched.spawn(showcase().call("main", &[]).inspectable()).unwrap();
    steps(&mut sched, 2);
    let before = traces(&sched, id);
    let cell = std::cell::RefCell::new(&mut sched);
    let refused = refusals(
        |export, offset, into| cell.borrow_mut().read_memory(id, export, offset, into),
        |export, offset, from| cell.borrow_mut().write_memory(id, export, offset, from),
        |export| cell.borrow_mut().global(id, export),
        |export, value| cell.borrow_mut().set_global(id, export, value),
    );
    assert_eq!(refused, expected);
    assert_eq!(message(sched.memory_size(id, "fixed")), "test.wat: the export 'fixed' is a global, not a memory");
    assert_eq!(traces(&sched, id), before);
    // The edges are no errors.
    sched.read_memory(id, "memory", 65_536, &mut []).unwrap();
    sched.write_memory(id, "memory", 65_532, &[1, 2, 3, 4]).unwrap();
    assert_eq!(sched.global(id, "fixed").unwrap(), Value::I32(7));
    assert_eq!(sched.global(id, "open").unwrap(), Value::I64(7));
    steps(&mut sched, 2);
}

#[test]
fn an_instance_that_stays_refuses_the_same_between_calls() {
    let expected = REFUSALS.map(|text| format!("test.wat: {text}"));
    let instance = showcase().instance().unwrap();
    assert_eq!(message(instance.global("open")), "test.wat: no global is exported as 'open'", "there is none yet");
    let mut sched = sched(100);
    let id = sched.spawn(instance.call("once", &[])).unwrap();
    assert!(message(instance.global("open")).contains("in the middle of another call"));
    sched.run();
    assert!(sched.take_outcome(id).unwrap().is_success());
    let refused = refusals(
        |export, offset, into| instance.read_memory(export, offset, into),
        |export, offset, from| instance.write_memory(export, offset, from),
        |export| instance.global(export),
        |export, value| instance.set_global(export, value),
    );
    assert_eq!(refused, expected);
    assert_eq!(instance.memory_size("memory").unwrap(), 65_536);
    instance.set_global("open", Value::I64(8)).unwrap();
    assert_eq!(instance.global("open").unwrap(), Value::I64(8));
}

#[test]
fn a_task_that_was_not_spawned_for_it_is_not_inspectable() {
    let tasks = [guest("inspect").call("main", &[]), endless().inspectable(), endless()];
    for task in tasks {
        let mut sched = sched(100);
        let id = sched.spawn(task).unwrap();
        for _ in 0..3 {
            assert_eq!(message(sched.global(id, "step")), NOT_INSPECTABLE);
            assert_eq!(message(sched.write_memory(id, "memory", 0, &[])), NOT_INSPECTABLE);
            steps(&mut sched, 1);
        }
    }
    // What is wrong with a call is still said by `spawn`.
    assert!(sched(1).spawn(guest("inspect").call("nope", &[]).inspectable()).is_err());
}

#[test]
fn a_task_cannot_be_inspected_before_its_call() {
    // Three rounds of 5 in a start function, as many in `_initialize`, and then the call.
    let text = |name: &str| {
        format!(
            "(func ${name} (local $i i32) (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 3)))))"
        )
    };
    let module = wat(&format!(
        "(module (memory (export \"memory\") 1) {} {} (start $start) (export \"_initialize\" (func $init))
           (func (export \"main\") (loop $l (br $l))))",
        text("start"),
        text("init")
    ));
    let mut sched = sched(1);
    let id = sched.spawn(module.call("main", &[]).inspectable()).unwrap();
    let mut tried = Vec::new();
    for _ in 0..14 {
        tried.push(sched.memory_size(id, "memory").map_err(|error| error.to_string()));
        steps(&mut sched, 1);
    }
    let started = tried.iter().position(Result::is_ok).unwrap();
    // Before the first slice, and after each of the slices that end in the start function or in `_initialize`; then always.
    assert!(tried[..started].iter().all(|result| result.as_ref().unwrap_err() == NOT_STARTED), "{tried:?}");
    assert!(started >= 7 && tried[started..].iter().all(|result| *result == Ok(65_536)), "{tried:?}");
}

#[test]
fn a_task_that_has_ended_is_not_inspected_and_an_old_id_means_nobody() {
    let mut sched = sched(1_000);
    let id = sched.spawn(guest("inspect").call("main", &[]).inspectable()).unwrap();
    steps(&mut sched, 1);
    poke(&mut sched, id, 4, 1);
    sched.run();
    assert_eq!(message(sched.global(id, "step")), "task 0.0 has ended");
    sched.take(id).unwrap();
    let gone = "there is no task 0.0, or its outcome has been taken";
    assert_eq!(message(sched.write_memory(id, "memory", 0, &[1])), gone);
    let new = sched.spawn(guest("inspect").call("main", &[]).inspectable()).unwrap();
    steps(&mut sched, 1);
    assert_eq!(message(sched.set_global(id, "step", Value::I32(3))), gone, "the slot's next task is not meant");
    assert_eq!(sched.global(new, "step").unwrap(), Value::I32(1));
}

#[test]
fn an_unmetered_guest_is_never_left_in_the_middle() {
    let engine = Engine::new(&EngineConfig::default().metering(false)).unwrap();
    let module = Module::from_file(&engine, crate::support::guest_path("counter")).unwrap();
    let counter = module.instance().unwrap();
    let mut sched = sched(1);
    for round in 1..3 {
        let id = sched.spawn(counter.call("update", &i32s([1])).inspectable()).unwrap();
        assert!(message(sched.memory_size(id, "memory")).contains("cannot be inspected yet"));
        steps(&mut sched, 1);
        assert_eq!(sched.take_outcome(id).unwrap().to_string(), format!("returned {round}"));
    }
}

// In every state that a task can be left in.

#[test]
fn a_task_is_inspected_whatever_it_waits_for() {
    let mut sched = sched(1_000);
    let module = guest("inspect");
    let task = module.call("main", &[]).inspectable().replenishing(Fuel(1_000), Fuel(1_000_000));
    let id = sched.spawn(task).unwrap();
    steps(&mut sched, 1);
    assert!(matches!(sched.state(id), Some(TaskState::Waiting { .. })));
    let count = peek(&mut sched, id, 0);
    sched.suspend(id).unwrap();
    poke(&mut sched, id, 0, count);
    assert!(matches!(sched.state(id), Some(TaskState::Suspended)));
    sched.resume(id).unwrap();
    assert_eq!(sched.global(id, "step").unwrap(), Value::I32(1));
    sched.refuel(id, Fuel(10_000)).unwrap();
    assert_eq!(peek(&mut sched, id, 0), count, "it is ready, and has not run");
    sched.set_quantum(id, Fuel(20)).unwrap();
    assert_eq!(peek(&mut sched, id, 0), count);
    steps(&mut sched, 1);
    assert_eq!(peek(&mut sched, id, 0), count + 2, "20 fuel are two rounds");
    sched.suspend(id).unwrap();
    assert!(matches!(sched.step(), Step::Idle { .. }), "the policy now knows");
    poke(&mut sched, id, 4, 5);
    assert!(matches!(sched.step(), Step::Idle { .. }));
    sched.resume(id).unwrap();
    sched.run();
    assert_eq!(sched.take_outcome(id).unwrap().to_string(), "returned 5");
}

#[test]
fn the_kind_of_hook_follows_the_call() {
    let module = guest("inspect");
    let instance = module.instance().unwrap();
    let mut fuel = Vec::new();
    for inspectable in [true, false, false, true, true, false] {
        let mut sched = sched(1);
        let task = instance.call("main", &[]);
        let id = sched.spawn(if inspectable { task.inspectable() } else { task }).unwrap();
        if !fuel.is_empty() {
            // What ended the last call is still there, so this one makes one round, after it was left at its entry.
            steps(&mut sched, 1);
            assert_eq!(sched.global(id, "step").is_ok(), inspectable);
        } else {
            steps(&mut sched, 4);
            poke(&mut sched, id, 4, 3);
        }
        sched.run();
        let ended = sched.take(id).unwrap();
        assert_eq!(ended.outcome.to_string(), "returned 3");
        fuel.push(ended.ledger.used.0);
    }
    assert!(fuel[1..].iter().all(|used| *used == fuel[1]), "{fuel:?}");
}

#[test]
fn a_future_that_somebody_else_polls_runs_as_any_other() {
    let (mut future, meter) = guest("main").call("main", &[]).inspectable().into_parts().unwrap();
    meter.begin(Fuel(1_000));
    let mut cx = Context::from_waker(Waker::noop());
    let polls = (0..).take_while(|_| future.as_mut().poll(&mut cx).is_pending()).count();
    assert_eq!((polls, meter.used()), (79, Fuel(80_002)));
}

#[test]
fn an_executor_moves_to_another_thread_between_two_inspections() {
    let mut sched = sched(1_000);
    let id = sched.spawn(guest("inspect").call("main", &[]).inspectable()).unwrap();
    steps(&mut sched, 1);
    let count = peek(&mut sched, id, 0);
    let outcome = std::thread::spawn(move || {
        assert_eq!(peek(&mut sched, id, 0), count);
        poke(&mut sched, id, 4, 6);
        sched.run();
        sched.take_outcome(id).unwrap().to_string()
    });
    assert_eq!(outcome.join().unwrap(), "returned 6");
}

// Ends.

/// Set when it is dropped.
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A module from a pool for so many tasks.
fn pooled(tasks: u32, name: &str) -> (Engine, Module) {
    let pool = Allocation::Pooling { tasks, max_memory: 1 << 20 };
    let engine = Engine::new(&EngineConfig::default().allocation(pool)).unwrap();
    let module = Module::from_file(&engine, crate::support::guest_path(name)).unwrap();
    (engine, module)
}

/// What of a pool is in use: instances, memories, stacks.
fn in_use(engine: &Engine) -> (u64, usize, usize) {
    let metrics = engine.wasmtime().pooling_allocator_metrics().expect("there is a pool");
    (metrics.core_instances(), metrics.memories(), metrics.stacks())
}

#[test]
fn a_kill_frees_the_instance_whether_or_not_it_was_asked_before() {
    let (engine, module) = pooled(3, "inspect");
    let program = Linker::<Guard>::new(&engine).link(&module).unwrap();
    for inspections in [0, 1, 5] {
        let gone = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
        let mut sched = sched(1_000);
        let ids = gone
            .each_ref()
            .map(|gone| sched.spawn(program.call(Guard(gone.clone()), "main", &[]).inspectable()).unwrap());
        steps(&mut sched, 6);
        for _ in 0..inspections {
            peek(&mut sched, ids[1], 0);
            assert!(sched.global(ids[1], "nope").is_err());
        }
        assert_eq!(in_use(&engine), (3, 3, 3));
        let before = sched.ledger(ids[1]).unwrap();
        assert_eq!(sched.kill(ids[1]).unwrap(), before);
        assert_eq!(gone.each_ref().map(|gone| gone.load(Ordering::Relaxed)), [false, true, false]);
        assert_eq!(in_use(&engine), (2, 2, 2), "after {inspections} inspections");
        // The others have not noticed.
        steps(&mut sched, 4);
        assert!(peek(&mut sched, ids[0], 0) > 0);
        drop(sched);
        assert!(gone.iter().all(|gone| gone.load(Ordering::Relaxed)));
        assert_eq!(in_use(&engine), (0, 0, 0));
    }
}

#[test]
fn a_trap_and_a_budget_end_an_inspected_task_as_they_do_without() {
    let module = wat("(module (memory (export \"memory\") 1) (func (export \"main\") (local $i i32)
        (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 50))))
        (unreachable)))");
    for (quantum, budget) in [(1, 1_000), (7, 1_000), (1, 100), (7, 100), (1_000, 100)] {
        let call = || module.call("main", &[]).budget(Fuel(budget));
        let (log, inspected) = with(call().inspectable(), quantum, &[2]);
        assert_eq!(log, with(call(), quantum, &[]).0, "at {quantum}, {budget}");
        assert!(inspected > 0 || quantum == 1_000);
    }
}

#[test]
fn a_host_function_that_panics_ends_an_inspected_task_as_it_does_without() {
    let mut linker = Linker::<()>::new(engine());
    let tick = |n: i32| {
        assert!(n > 1, "enough");
        n
    };
    linker.func("host", "tick", tick).unwrap();
    let program = linker.link(&guest("call-host")).unwrap();
    let call = || program.call((), "main", &i32s([20]));
    for quantum in QUANTA {
        let (log, _) = with(call().inspectable(), quantum, &[1]);
        assert_eq!(log, with(call(), quantum, &[]).0);
        assert!(log.last().unwrap().contains("trapped: host panic: enough"), "{log:?}");
    }
}

// What an observer is told.

/// An observer that keeps what the host did.
#[derive(Debug, Default)]
struct Deeds(Vec<(u64, Control)>);

impl Observer for Deeds {
    fn control(&mut self, spawn_index: u64, control: &Control) {
        self.0.push((spawn_index, control.clone()));
    }
}

#[test]
fn what_was_written_is_told_and_what_was_read_or_refused_is_not() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(100))).observer(Deeds::default()).build();
    let ids = [(); 2].map(|()| sched.spawn(guest("inspect").call("main", &[]).inspectable()).unwrap());
    assert!(sched.write_memory(ids[1], "memory", 0, &[1]).is_err());
    steps(&mut sched, 2);
    peek(&mut sched, ids[1], 0);
    sched.global(ids[1], "step").unwrap();
    sched.write_memory(ids[1], "memory", 8, &[1, 2]).unwrap();
    assert!(sched.write_memory(ids[1], "memory", 65_536, &[1]).is_err());
    sched.set_global(ids[0], "step", Value::I32(5)).unwrap();
    assert!(sched.set_global(ids[0], "step", Value::I64(5)).is_err());
    assert_eq!(
        sched.observer().0,
        [
            (1, Control::WriteMemory { export: "memory".into(), offset: 8, bytes: vec![1, 2] }),
            (0, Control::SetGlobal { export: "step".into(), value: Value::I32(5) }),
        ]
    );
}

// The exact ledger.

/// Runs a task by itself, inspected so often after each slice, in turn. Returns all slices and the end, and how often it could be inspected.
fn with(task: Task, quantum: u64, inspections: &[u8]) -> (Vec<String>, u64) {
    let mut sched = sched(quantum);
    let id = sched.spawn(task).unwrap();
    let mut times = inspections.iter().cycle();
    let mut inspected = 0;
    while let Step::Ran(_) = sched.step() {
        for _ in 0..times.next().copied().unwrap_or_default() {
            inspected += u64::from(inspect(&mut sched, id));
        }
    }
    let ended: Ended = sched.take(id).unwrap();
    let mut log: Vec<String> = sched.observer().0.iter().map(|slice: &Slice| format!("{slice:?}")).collect();
    log.push(format!("{} {:?} {:?}", ended.outcome, ended.ledger, sched.totals()));
    (log, inspected)
}

/// Asks for this and that, and writes back what it read; says whether the task was there to be asked.
fn inspect(sched: &mut Sched, id: TaskId) -> bool {
    let Ok(size) = sched.memory_size(id, "memory") else {
        return sched.global(id, "g").is_ok();
    };
    let mut bytes = vec![0; size.min(100)];
    sched.read_memory(id, "memory", 0, &mut bytes).unwrap();
    sched.write_memory(id, "memory", 0, &bytes).unwrap();
    assert!(sched.read_memory(id, "memory", size, &mut [0]).is_err());
    if let Ok(global) = sched.global(id, "g") {
        sched.set_global(id, "g", global).unwrap();
    }
    true
}

/// A guest that does what may go wrong: calls imports, grows memories and tables, fills, copies, and computes, so much each time.
fn busy() -> Program {
    let mut linker = Linker::<()>::new(engine());
    let tick = |mut caller: Caller<'_, HostState<()>>, n: i32| {
        let memory = caller.get_export("memory").and_then(wasmtime::Extern::into_memory);
        memory.map_or(0, |memory| n + i32::from(memory.data(&mut caller)[0]))
    };
    linker.func("host", "tick", tick).unwrap();
    let module = wat(r#"(module
        (import "host" "tick" (func $tick (param i32) (result i32)))
        (memory (export "memory") 1) (table $t 0 funcref)
        (global $g (export "g") (mut i64) (i64.const 3))
        (func $fib (param $n i32) (result i32)
          (if (result i32) (i32.lt_s (local.get $n) (i32.const 2)) (then (local.get $n))
            (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)))
                           (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
        (func (export "main") (param $rounds i32) (param $bytes i32) (param $fib i32) (result i64)
          (loop $again
            (global.set $g (i64.add (global.get $g) (i64.extend_i32_s (call $tick (local.get $rounds)))))
            (memory.fill (i32.const 0) (local.get $rounds) (local.get $bytes))
            (memory.copy (i32.const 8) (i32.const 0) (local.get $bytes))
            (global.set $g (i64.add (global.get $g) (i64.extend_i32_s (memory.grow (i32.const 1)))))
            (global.set $g (i64.add (global.get $g)
              (i64.extend_i32_s (table.grow $t (ref.null func) (local.get $bytes)))))
            (global.set $g (i64.add (global.get $g) (i64.extend_i32_s (call $fib (local.get $fib)))))
            (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
            (br_if $again (local.get $rounds)))
          (i64.add (global.get $g) (i64.load (i32.const 8)))))"#);
    linker.link(&module).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// All slices, the end and the sums of an inspected guest are those of the same guest never inspected, and of the same guest that could not
    /// be inspected, whatever the quantum and whenever it is inspected.
    #[test]
    fn an_inspected_guest_runs_as_one_that_is_not(
        (rounds, bytes, fib) in (1..6_i32, 0..3_000_i32, 0..6_i32),
        quantum in prop_oneof![Just(1), Just(7), Just(1_000), Just(1_000_000), 1..5_000_u64],
        inspections in prop::collection::vec(0..3_u8, 1..9),
        stays in any::<bool>(),
    ) {
        let program = busy();
        let instance = program.instance(());
        let call = |stays: bool| {
            let args = i32s([rounds, bytes, fib]);
            if stays { instance.call("main", &args) } else { program.call((), "main", &args) }
        };
        let (plain, _) = with(call(false), quantum, &inspections);
        let (never, _) = with(call(false).inspectable(), quantum, &[0]);
        let (inspected, times) = with(call(stays).inspectable(), quantum, &inspections);
        prop_assert_eq!(&plain, &never);
        prop_assert_eq!(&plain, &inspected);
        let due = inspections.iter().cycle().take(plain.len() - 2).map(|n| u64::from(*n)).sum::<u64>();
        prop_assert_eq!(times, due, "it could be inspected after each slice but the last");
    }

    /// What many hosts' hands write is what the guests see, and each task sees its own.
    #[test]
    fn many_inspected_tasks_keep_apart(
        deeds in prop::collection::vec((0..4_usize, 0..6_u8, any::<i32>()), 1..60),
        quantum in prop_oneof![Just(1), Just(7), Just(1_000), Just(100_000)],
    ) {
        let mut sched = sched(quantum);
        let ids = [(); 4].map(|()| sched.spawn(guest("inspect").call("main", &[]).inspectable()).unwrap());
        steps(&mut sched, 8);
        let mut model = ids.map(|id| (peek(&mut sched, id, 0), 1_i32));
        for (who, what, number) in deeds {
            let id = ids[who];
            match what {
                0 | 1 => {
                    let Step::Ran(slice) = sched.step() else { panic!("they are endless") };
                    let rounds = (slice.used.0 / 10) as i32;
                    let (count, step) = &mut model[slice.spawn_index as usize];
                    *count = count.wrapping_add(step.wrapping_mul(rounds));
                }
                2 => {
                    poke(&mut sched, id, 0, number);
                    model[who].0 = number;
                }
                3 => {
                    sched.set_global(id, "step", Value::I32(number)).unwrap();
                    model[who].1 = number;
                }
                _ => {}
            }
            let seen = ids.map(|id| (peek(&mut sched, id, 0), sched.global(id, "step").unwrap()));
            prop_assert_eq!(seen, model.map(|(count, step)| (count, Value::I32(step))));
        }
    }
}
