//! Hostile guests, each with its exact end and a healthy neighbour that finishes beside it as if it were alone.

use crate::support::{Slices, engine, guest, i32s, wat};
use fuelsched::policy::RoundRobin;
use fuelsched::trace::Ended;
use fuelsched::{
    Budget, Engine, EngineConfig, Executor, Fuel, Limits, Linker, Module, RunEnd, SliceEnd, Task, TaskState, Value,
};
use std::time::Duration;

/// What `fib(15)` uses.
const NEIGHBOUR: Fuel = Fuel(19_726);

/// Runs a hostile task before and after a healthy one, which must return what it returns alone, for what it costs alone. Says how
/// the hostile one ended.
fn beside_a_neighbour(task: impl Fn() -> Task) -> Ended {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    let hostile = sched.spawn(task()).unwrap();
    let healthy = sched.spawn(guest("fib").call("main", &i32s([15]))).unwrap();
    let again = sched.spawn(task()).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    let ended = sched.take(healthy).unwrap();
    assert_eq!((ended.outcome.to_string(), ended.ledger.used), ("returned 610".into(), NEIGHBOUR));
    let [first, second] = [hostile, again].map(|id| sched.take(id).unwrap());
    assert_eq!(first.outcome.to_string(), second.outcome.to_string());
    assert_eq!(first.ledger.used, second.ledger.used, "the same guest ends the same");
    first
}

/// How `main` of a guest ends beside a neighbour.
fn end_of(name: &str, args: &[Value]) -> String {
    let module = guest(name);
    beside_a_neighbour(|| module.call("main", args)).outcome.to_string()
}

// Guests without an end.

#[test]
fn an_endless_loop_ends_with_its_budget() {
    for name in ["spin", "spin-start"] {
        let module = guest(name);
        let ended = beside_a_neighbour(|| module.call("main", &[]).budget(Fuel(500_000)));
        let got = (ended.outcome.to_string(), ended.ledger.used, ended.ledger.preempted);
        assert_eq!(got, ("out-of-fuel".into(), Fuel(500_000), 499), "{name}");
    }
}

#[test]
fn an_endless_loop_ends_with_the_run() {
    for name in ["spin", "spin-start"] {
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
        let endless = sched.spawn(guest(name).call("main", &[])).unwrap();
        let healthy = sched.spawn(guest("fib").call("main", &i32s([15]))).unwrap();
        assert_eq!(sched.run_for(Budget::fuel(100_000)).why, RunEnd::BudgetSpent);
        assert_eq!(sched.run_for(Budget::time(Duration::from_millis(2))).why, RunEnd::BudgetSpent);
        assert_eq!(sched.state(healthy), Some(TaskState::Ended));
        sched.stop_all();
        assert_eq!(sched.take_outcome(endless).unwrap().to_string(), "stopped");
        assert_eq!(sched.take_outcome(healthy).unwrap().to_string(), "returned 610");
    }
}

#[test]
fn a_recursion_bomb_exhausts_its_own_stack() {
    let module = guest("recurse");
    let ended = beside_a_neighbour(|| module.call("main", &i32s([0])));
    assert_eq!(ended.outcome.to_string(), "trapped: call stack exhausted, in function deeper");
}

#[test]
fn a_smaller_stack_is_exhausted_sooner() {
    let depth = |bytes: usize| {
        let engine = Engine::new(&EngineConfig::default().max_stack(bytes)).unwrap();
        let module = Module::from_file(&engine, crate::support::guest_path("recurse")).unwrap();
        let ended = beside_a_neighbour(|| module.call("main", &i32s([0])));
        assert_eq!(ended.outcome.to_string(), "trapped: call stack exhausted, in function deeper");
        ended.ledger.used.0
    };
    let [small, large] = [16 * 1024, 1024 * 1024].map(depth);
    assert!(small * 50 < large, "{small} {large}");
}

#[test]
fn a_host_function_called_at_the_end_of_the_stack_has_room() {
    let module = wat(r#"(module
        (import "host" "f" (func $f (param i32) (result i32)))
        (func $deeper (export "main") (param i32) (result i32)
          (drop (call $f (local.get 0)))
          (i32.add (local.get 0) (call $deeper (i32.add (local.get 0) (i32.const 1))))))"#);
    let mut linker = Linker::<()>::new(engine());
    linker
        .func("host", "f", |n: i32| {
            let buffer = std::hint::black_box([n as u8; 64 * 1024]);
            i32::from(buffer[7])
        })
        .unwrap();
    let program = linker.link(&module).unwrap();
    let ended = beside_a_neighbour(|| program.call((), "main", &i32s([0])));
    let text = ended.outcome.to_string();
    assert!(text.starts_with("trapped: call stack exhausted"), "{text}");
}

// Guests that want all memory.

/// A guest with limits of 1 MiB.
fn limited(name: &str, export: &str, args: &[Value]) -> impl Fn() -> Task {
    let limits = Limits { memory: 1 << 20, ..Limits::default() };
    let program = guest(name).program().unwrap().limits(limits);
    let (export, args) = (export.to_string(), args.to_vec());
    move || program.call((), &export, &args).budget(Fuel(3_000_000))
}

#[test]
fn grow_bombs_are_refused_beyond_the_limit() {
    let grown = |name, rounds| {
        let ended = beside_a_neighbour(limited(name, "main", &i32s([rounds])));
        ended.outcome.to_string()
    };
    assert_eq!(grown("grow-memory", 1_000), "returned 16 984");
    assert_eq!(grown("grow-table", 1_000), "returned 131 869");
    for name in ["grow-memory", "grow-table"] {
        let ended = beside_a_neighbour(limited(name, "bomb", &[]));
        assert_eq!(ended.outcome.to_string(), "out-of-fuel", "{name}");
    }
}

#[test]
fn filling_all_memory_is_one_slice_and_is_paid_for() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).observer(Slices::default()).build();
    let filling = sched.spawn(limited("fill-largest", "main", &[])()).unwrap();
    let spin = sched.spawn(guest("spin").call("main", &[])).unwrap();
    sched.run_for(Budget::fuel(2_500_000));
    assert!(sched.observer().of(0).iter().any(|slice| slice.used >= Fuel(1 << 20)));
    let [filling, spin] = [filling, spin].map(|id| sched.ledger(id).unwrap());
    let bound = 1_000 + filling.max_overshoot.0;
    assert!(filling.used.0.abs_diff(spin.used.0) <= bound, "{filling:?} {spin:?}");
}

#[test]
fn the_largest_memory_of_all_is_filled_within_the_limit() {
    // 256 MiB, which is the limit unless it is set: one operation of 268,435,456 fuel, and then the budget is used up.
    let module = guest("fill-largest");
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    let filling = sched.spawn(module.call("main", &[]).budget(Fuel(1_000_000))).unwrap();
    let healthy = sched.spawn(guest("fib").call("main", &i32s([15]))).unwrap();
    sched.run();
    let ended = sched.take(filling).unwrap();
    assert_eq!(ended.outcome.to_string(), "out-of-fuel");
    assert_eq!(ended.ledger.used, Fuel(268_435_533));
    assert_eq!(sched.take_outcome(healthy).unwrap().to_string(), "returned 610");
}

#[test]
fn four_gibibytes_are_refused_at_the_start() {
    let expected = format!(
        "failed: {}: cannot make an instance: memory minimum size of 65536 pages exceeds memory limits",
        guest("four-gib").name()
    );
    assert_eq!(end_of("four-gib", &[]), expected);
}

// Long ways between two yield points.

#[test]
fn a_body_of_100_000_instructions_is_one_slice() {
    // Each pair is a constant and a set of a local: 2 fuel, and nowhere to stop.
    let pairs = "i32.const 7 local.set 0 ".repeat(50_000);
    let module = wat(&format!("(module (func (export \"main\") (result i32) (local i32) {pairs} local.get 0))"));
    let ended = beside_a_neighbour(|| module.call("main", &[]));
    assert_eq!(ended.outcome.to_string(), "returned 7");
    assert_eq!((ended.ledger.used, ended.ledger.slices), (Fuel(100_002), 1));
    assert_eq!(ended.ledger.max_overshoot, Fuel(100_002 - 1_000));
}

#[test]
fn a_long_body_in_a_loop_gets_no_more_than_its_share() {
    let body = "i32.const 7 local.set 0 ".repeat(10_000);
    let text = format!("(module (func (export \"main\") (local i32) (loop $again {body} br $again)))");
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    let [long, short] = [wat(&text), guest("spin")].map(|module| sched.spawn(module.call("main", &[])).unwrap());
    sched.run_for(Budget::fuel(4_000_000));
    let [long, short] = [long, short].map(|id| sched.ledger(id).unwrap());
    assert!(long.used.0.abs_diff(short.used.0) <= 1_000 + long.max_overshoot.0, "{long:?} {short:?}");
}

// Guests that trap.

#[test]
fn each_trap_says_what_and_where() {
    let unreachable = "trapped: wasm `unreachable` instruction executed, in function main at 0x22";
    assert_eq!(end_of("unreachable", &[]), unreachable);
    let divided = "trapped: integer divide by zero, in function main at 0x27";
    assert_eq!(end_of("divide-by-zero", &i32s([0])), divided);
    assert_eq!(end_of("divide-by-zero", &i32s([7])), "returned 6");
    let loaded = "trapped: out of bounds memory access, in function main at 0x2a";
    for at in [65_533, 65_536, i32::MAX, -1] {
        assert_eq!(end_of("load-out-of-bounds", &i32s([at])), loaded);
    }
    assert_eq!(end_of("load-out-of-bounds", &i32s([65_532])), "returned 0");
    let filled = "trapped: out of bounds memory access, in function main at 0x2d";
    assert_eq!(end_of("fill-out-of-bounds", &i32s([65_537])), filled);
    assert_eq!(end_of("fill-out-of-bounds", &i32s([65_536])), "returned");
    let started = "trapped: integer divide by zero, in function start at 0x29";
    assert_eq!(end_of("trap-start", &[]), started);
}

#[test]
fn data_that_does_not_fit_its_memory_is_a_trap() {
    let module = wat(r#"(module (memory 1) (data (i32.const 65535) "ab") (func (export "main")))"#);
    let ended = beside_a_neighbour(|| module.call("main", &[]));
    let text = ended.outcome.to_string();
    assert!(text.starts_with("trapped: out of bounds memory access"), "{text}");
}

#[test]
fn a_hundred_hostile_guests_at_once_harm_no_healthy_one() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    let hostile = ["spin", "spin-start", "fill", "unreachable", "trap-start"].map(guest);
    for module in hostile.iter().cycle().take(100) {
        sched.spawn(module.call("main", &[]).budget(Fuel(200_000)).detached()).unwrap();
    }
    let healthy = [(); 5].map(|()| sched.spawn(guest("fib").call("main", &i32s([15]))).unwrap());
    assert_eq!(sched.run().why, RunEnd::Done);
    for id in healthy {
        let ended = sched.take(id).unwrap();
        assert_eq!((ended.outcome.to_string(), ended.ledger.used), ("returned 610".into(), NEIGHBOUR));
    }
    assert_eq!(sched.live(), 0);
}

#[test]
fn a_preempted_slice_is_never_shorter_than_its_grant() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(777))).observer(Slices::default()).build();
    for (name, args) in [("fib", &i32s([15])[..]), ("main", &[]), ("fill", &[]), ("recurse", &i32s([0]))] {
        sched.spawn(guest(name).call("main", args).budget(Fuel(300_000))).unwrap();
    }
    sched.run();
    let slices = &sched.observer().0;
    let short = slices.iter().find(|slice| slice.end == SliceEnd::Preempted && slice.used < slice.grant);
    assert_eq!(short, None);
    assert!(slices.iter().all(|slice| slice.end != SliceEnd::Yielded), "no guest yields of itself");
}
