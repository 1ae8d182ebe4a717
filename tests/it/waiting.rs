//! Tasks that wait: wakes, sleeps, what they are blocked on, deadlocks, and fuel that host functions charge.

use crate::support::{QUANTA, Slices, engine, wat};
use fuelsched::ledger::Meter;
use fuelsched::policy::{Policy, RoundRobin, Weighted};
use fuelsched::reason::ReadyReason;
use fuelsched::replay::{Difference, Verdict};
use fuelsched::wasmtime::{self, Caller};
use fuelsched::{BlockedOn, Budget, Clock, Executor, Exit, Fuel, HostState, Linker, Outcome, Program, RunEnd};
use fuelsched::{
    Observer, Recorder, Recording, Replay, Slice, SliceEnd, Step, Task, TaskId, TaskState, UnknownImports, Value,
};
use proptest::prelude::*;
use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// An executor that keeps its slices, in round robin with this quantum.
fn sched(quantum: u64, clock: Clock) -> Executor<RoundRobin, Slices> {
    Executor::builder().policy(RoundRobin::new(Fuel(quantum))).observer(Slices::default()).clock(clock).build()
}

/// Who ran, and how the slice ended.
fn order(sched: &Executor<RoundRobin, Slices>) -> Vec<(u64, SliceEnd)> {
    sched.observer().0.iter().map(|slice| (slice.spawn_index, slice.end)).collect()
}

/// Something that is set once, from anywhere.
#[derive(Clone, Default)]
struct Flag(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Flag {
    fn set(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        state.1.iter().for_each(Waker::wake_by_ref);
    }

    fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let flag = self.clone();
        poll_fn(move |cx| {
            let mut state = flag.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        })
    }
}

/// A task that waits for a flag.
fn waits_for(flag: &Flag) -> Task {
    let flag = flag.clone();
    Task::with_waker(move |_| async move {
        flag.wait().await;
        Outcome::Returned(vec![])
    })
}

/// A task that sets a flag, and gives way first.
fn sets(flag: &Flag) -> Task {
    let flag = flag.clone();
    Task::with_waker(move |meter| async move {
        meter.yield_now().await;
        flag.set();
        Outcome::Returned(vec![])
    })
}

/// A task that sleeps so long, so many times.
fn sleeps(time: Duration, times: u32) -> Task {
    Task::with_waker(move |meter| async move {
        for _ in 0..times {
            meter.sleep_until(meter.now() + time).await;
        }
        Outcome::Returned(vec![])
    })
}

/// Writes down who became able to run, and who waits.
#[derive(Default)]
struct Readiness(Vec<String>);

impl Observer for Readiness {
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.0.push(format!("{} ready: {why:?} at {now}", id.index()));
    }
    fn blocked(&mut self, id: TaskId, on: &BlockedOn) {
        self.0.push(format!("{} waits {on}", id.index()));
    }
    fn slice(&mut self, slice: &Slice) {
        self.0.push(format!("{} {}", slice.id.index(), slice.end));
    }
}

#[test]
fn an_observer_is_told_who_can_run_again_and_who_waits() {
    let clock = Clock::simulated();
    let mut sched = Executor::builder().observer(Readiness::default()).clock(clock).build();
    let flag = Flag::default();
    sched.spawn(sleeps(Duration::from_nanos(50), 1)).unwrap();
    let waiter = sched.spawn(waits_for(&flag)).unwrap();
    let late = sched.spawn(sleeps(Duration::ZERO, 0).start_at(Fuel(100))).unwrap();
    sched.spawn(sets(&flag)).unwrap();
    sched.suspend(late).unwrap();
    while let Step::Ran(_) = sched.step() {}
    sched.resume(late).unwrap();
    sched.run();
    assert!(matches!(sched.outcome(waiter), Some(Outcome::Returned(_))));
    let expected = [
        "0 ready: Spawned at 0",
        "1 ready: Spawned at 0",
        "3 ready: Spawned at 0",
        "0 blocked",
        "0 waits for a moment",
        "1 blocked",
        "1 waits in a future",
        "3 yielded",
        "3 ended",
        "1 ready: Woken at 4",
        "1 ended",
        "0 ready: Woken at 50",
        "0 ended",
        "2 ready: Resumed at 100",
        "2 ended",
    ];
    assert_eq!(sched.observer().0, expected);
}

/// A program with functions of the host's: `nap(ms)`, `never()`, `charge(fuel)`, `slow(fuel)` that naps in between, and `exit(code)`.
fn program(text: &str) -> Program {
    let mut linker = Linker::<()>::new(engine());
    linker
        .func_async("host", "nap", |caller: Caller<'_, HostState>, (millis,): (u64,)| {
            let meter = caller.data().meter().clone();
            Box::new(async move { meter.sleep_until(meter.now() + Duration::from_millis(millis)).await })
        })
        .unwrap()
        .func_async("host", "never", |_: Caller<'_, HostState>, ()| Box::new(pending::<()>()))
        .unwrap()
        .func("host", "charge", |caller: Caller<'_, HostState>, fuel: u64| caller.data().meter().charge(Fuel(fuel)))
        .unwrap()
        .func_async("host", "slow", |caller: Caller<'_, HostState>, (fuel,): (u64,)| {
            let meter = caller.data().meter().clone();
            Box::new(async move {
                meter.charge(Fuel(fuel));
                meter.give_way().await;
                meter.sleep_until(meter.now() + Duration::from_nanos(10)).await;
                meter.charge(Fuel(fuel));
            })
        })
        .unwrap()
        .func("host", "exit", |_: Caller<'_, HostState>, code: u32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::new(Exit(code as u8)))
        })
        .unwrap();
    linker.link(&wat(text)).unwrap()
}

#[test]
fn sleepers_wake_in_the_order_of_their_moments_and_an_hour_is_over_at_once() {
    let run = || {
        let clock = Clock::simulated();
        let mut sched = sched(1_000, clock.clone());
        for seconds in [3_600, 10, 1_800] {
            sched.spawn(sleeps(Duration::from_secs(seconds), 1)).unwrap();
        }
        let began = Instant::now();
        assert_eq!(sched.run().why, RunEnd::Done);
        assert!(began.elapsed() < Duration::from_secs(600), "it did not wait");
        assert!(clock.now() >= Duration::from_secs(3_600) && clock.now() < Duration::from_secs(3_601));
        (order(&sched), sched.now())
    };
    let blocked = SliceEnd::Blocked;
    let ended = SliceEnd::Ended;
    let (order, now) = run();
    assert_eq!(order, [(0, blocked), (1, blocked), (2, blocked), (1, ended), (2, ended), (0, ended)]);
    assert_eq!(run(), (order, now), "and again");
}

#[test]
fn a_host_with_a_loop_of_its_own_is_told_when_to_step_again() {
    let clock = Clock::manual();
    let mut sched = sched(1_000, clock.clone());
    let id = sched.spawn(sleeps(Duration::from_millis(20), 2)).unwrap();
    assert!(matches!(sched.step(), Step::Ran(_)));
    assert_eq!(sched.state(id), Some(TaskState::Blocked));
    assert_eq!(sched.blocked_on(id), Some((&BlockedOn::Time, Fuel(1))));
    let at = |millis| Step::Idle { next_wake: Some(Duration::from_millis(millis)) };
    assert_eq!(sched.step(), at(20));
    assert_eq!(
        sched.run().why,
        RunEnd::Idle { next_wake: Some(Duration::from_millis(20)) },
        "nothing moves this clock"
    );
    clock.advance(Duration::from_millis(19));
    assert_eq!(sched.step(), at(20));
    clock.advance(Duration::from_millis(1));
    assert!(matches!(sched.step(), Step::Ran(_)));
    assert_eq!(sched.step(), at(40));
    clock.advance(Duration::from_millis(20));
    assert!(matches!(sched.step(), Step::Ran(_)));
    assert_eq!(sched.step(), Step::Done);
}

#[test]
fn run_parks_the_thread_until_another_thread_wakes_a_task() {
    let flag = Flag::default();
    let mut sched = sched(1_000, Clock::monotonic());
    sched.spawn(waits_for(&flag)).unwrap();
    let setter = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        flag.set();
    });
    assert_eq!(sched.run().why, RunEnd::Done);
    setter.join().unwrap();
    assert_eq!(order(&sched), [(0, SliceEnd::Blocked), (0, SliceEnd::Ended)], "two polls, and none while it waited");
}

#[test]
fn run_for_never_waits() {
    let flag = Flag::default();
    let mut sched = sched(1_000, Clock::monotonic());
    let waiter = sched.spawn(waits_for(&flag)).unwrap();
    sched.spawn(sleeps(Duration::from_secs(3_600), 1)).unwrap();
    let RunEnd::Idle { next_wake: Some(_) } = sched.run_for(Budget::unlimited()).why else { panic!("it sleeps") };
    flag.set();
    assert!(matches!(sched.run_for(Budget::unlimited()).why, RunEnd::Idle { next_wake: Some(_) }));
    assert!(sched.take_outcome(waiter).unwrap().is_success());
}

#[test]
fn a_wake_during_the_poll_is_not_lost() {
    let mut sched = sched(1_000, Clock::monotonic());
    let task = Task::with_waker(|meter| {
        let mut polls = 0;
        poll_fn(move |cx| {
            polls += 1;
            meter.blocking(BlockedOn::Input);
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(Outcome::Exited(0)) } else { Poll::Pending }
        })
    });
    sched.spawn(task).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(order(&sched), [(0, SliceEnd::Blocked), (0, SliceEnd::Blocked), (0, SliceEnd::Ended)]);
}

#[test]
fn two_wakes_are_one_and_a_wake_after_the_end_is_none() {
    let flag = Flag::default();
    let mut sched = sched(1_000, Clock::monotonic());
    let (first, second) = (sched.spawn(waits_for(&flag)).unwrap(), sched.spawn(waits_for(&flag)).unwrap());
    assert!(matches!(sched.run_for(Budget::unlimited()).why, RunEnd::Idle { next_wake: None }));
    let wakers = flag.0.lock().unwrap().1.clone();
    sched.kill(second).unwrap();
    sched.take(second).unwrap();
    let third = sched.spawn(waits_for(&flag)).unwrap();
    assert_eq!(third.index(), second.index(), "it has the slot of the one that was killed");
    assert!(matches!(sched.run_for(Budget::unlimited()).why, RunEnd::Idle { next_wake: None }));
    wakers[1].wake_by_ref();
    assert_eq!(sched.step(), Step::Idle { next_wake: None }, "nobody was woken");
    wakers[0].wake_by_ref();
    wakers[0].wake_by_ref();
    assert!(matches!(sched.step(), Step::Ran(slice) if slice.id == first && slice.end == SliceEnd::Blocked));
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    flag.set();
    assert!(matches!(sched.run_for(Budget::unlimited()).why, RunEnd::Done));
    wakers[0].wake_by_ref();
    assert_eq!(sched.step(), Step::Done);
}

#[test]
fn a_suspended_task_that_is_woken_runs_once_it_is_resumed() {
    let flag = Flag::default();
    let mut sched = sched(1_000, Clock::monotonic());
    let id = sched.spawn(waits_for(&flag)).unwrap();
    assert!(matches!(sched.step(), Step::Ran(_)));
    sched.suspend(id).unwrap();
    flag.set();
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    sched.resume(id).unwrap();
    assert!(matches!(sched.step(), Step::Ran(slice) if slice.end == SliceEnd::Ended));

    let flag = Flag::default();
    let id = sched.spawn(waits_for(&flag)).unwrap();
    assert!(matches!(sched.step(), Step::Ran(_)));
    sched.suspend(id).unwrap();
    sched.resume(id).unwrap();
    assert_eq!(sched.step(), Step::Idle { next_wake: None }, "it still waits");
    flag.set();
    assert!(matches!(sched.step(), Step::Ran(slice) if slice.end == SliceEnd::Ended));
}

#[test]
fn a_task_waits_for_its_wake_and_for_its_fuel() {
    let mut sched = sched(100, Clock::simulated());
    let task = Task::with_waker(|meter| async move {
        meter.charge(Fuel(100));
        meter.sleep_until(Duration::from_nanos(150)).await;
        meter.charge(Fuel(100));
        meter.sleep_until(Duration::from_nanos(5_000)).await;
        Outcome::Exited(0)
    });
    sched.spawn(task.replenishing(Fuel(100), Fuel(1_000))).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    let slices: Vec<_> = sched.observer().0.iter().map(|slice| (slice.at.0, slice.used.0, slice.end)).collect();
    let blocked = SliceEnd::Blocked;
    // Awake at 150, and fuel at 1,000; fuel at 2,000, and awake at 5,000.
    assert_eq!(slices, [(0, 100, blocked), (1_000, 100, blocked), (5_000, 0, SliceEnd::Ended)]);
}

#[test]
fn who_waits_for_nobody_is_deadlocked() {
    let mut sched = sched(1_000, Clock::monotonic());
    let never = program(r#"(module (import "host" "never" (func $never)) (func (export "main") (call $never)))"#);
    let id = sched.spawn(never.call((), "main", &[])).unwrap();
    let other = sched.spawn(Task::with_waker(|_| pending())).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(sched.take_outcome(id).unwrap().to_string(), "deadlocked: waits in host.never since 2 fuel");
    assert_eq!(sched.take_outcome(other).unwrap().to_string(), "deadlocked: waits in a future since 3 fuel");
}

#[test]
fn who_can_still_be_woken_is_not_deadlocked() {
    let flag = Flag::default();
    let mut sched = sched(1_000, Clock::monotonic());
    sched.spawn(waits_for(&flag)).unwrap();
    sched.spawn(Task::with_waker(|_| pending())).unwrap();
    assert!(matches!(sched.run_for(Budget::unlimited()).why, RunEnd::Idle { next_wake: None }));
    assert_eq!(sched.live(), 2);
    // Nobody can set it now.
    flag.0.lock().unwrap().1.clear();
    assert_eq!(sched.step(), Step::Done);
    assert_eq!(sched.live(), 0);
}

#[test]
fn a_host_that_will_wake_somebody_ends_no_deadlock() {
    let mut sched = Executor::builder().end_deadlocks(false).build();
    sched.spawn(Task::with_waker(|_| pending())).unwrap();
    assert!(matches!(sched.run_for(Budget::unlimited()).why, RunEnd::Idle { next_wake: None }));
    assert_eq!(sched.run().why, RunEnd::Idle { next_wake: None }, "and there is nothing to park for");
    assert_eq!(sched.live(), 1);
}

#[test]
fn a_sleep_until_the_end_of_all_time_is_no_sleep() {
    for clock in [Clock::simulated(), Clock::monotonic()] {
        let mut sched = sched(1_000, clock);
        let task = Task::with_waker(|meter| async move {
            meter.sleep_until(Duration::MAX).await;
            Outcome::Exited(0)
        });
        let id = sched.spawn(task).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done);
        assert_eq!(sched.take_outcome(id).unwrap().name(), "deadlocked");
        // One that joins in the slice in which it spawns says whom it waits for, all the same.
        let parent = Task::with_waker(|meter| async move {
            meter.join(&meter.spawn(Task::with_waker(|_| pending()))).await;
            Outcome::Exited(0)
        });
        let mut sched = Executor::builder().build();
        let id = sched.spawn(parent).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done);
        assert_eq!(sched.take_outcome(id).unwrap().to_string(), "deadlocked: waits for the end of task 1 since 1 fuel");
    }
}

#[test]
fn unpark_ends_a_park() {
    let mut sched = sched(1_000, Clock::monotonic());
    let unparker = sched.unparker();
    unparker.unpark();
    sched.park(None);
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        unparker.unpark();
    });
    sched.park(None);
    other.join().unwrap();
    let began = Instant::now();
    sched.park(Some(Duration::ZERO));
    // A clock that does not go on by itself has no moments to wait for; the limit is the system's.
    let mut simulated = self::sched(1_000, Clock::simulated());
    simulated.park_at_most(Some(Duration::from_secs(3_600)), Duration::from_millis(10));
    simulated.park_at_most(None, Duration::from_millis(10));
    assert!((20..60_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

/// A guest that counts to 100, and in each turn calls the host with 37.
const CALLS: &str = r#"(module
    (import "host" "charge" (func $charge (param i64))) (import "host" "slow" (func $slow (param i64)))
    (func (export "charge") (result i32) (local $i i32)
      (loop $again (call $charge (i64.const 37))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))) (local.get $i))
    (func (export "slow") (result i32) (local $i i32)
      (loop $again (call $slow (i64.const 37))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))) (local.get $i)))"#;

#[test]
fn what_the_host_charges_is_in_the_exact_account_at_every_quantum() {
    for (export, each) in [("charge", 37), ("slow", 74)] {
        let used: Vec<u64> = QUANTA
            .iter()
            .map(|quantum| {
                let mut sched = sched(*quantum, Clock::simulated());
                let id = sched.spawn(program(CALLS).call((), export, &[])).unwrap();
                sched.run();
                let ended = sched.take(id).unwrap();
                assert_eq!(ended.outcome.values(), Some(&[Value::I32(100)][..]));
                let slices: u64 = sched.observer().0.iter().map(|slice| slice.used.0).sum();
                assert_eq!(slices, ended.ledger.used.0, "conservation, at quantum {quantum}");
                ended.ledger.used.0
            })
            .collect();
        assert!(used.iter().all(|fuel| *fuel == used[0]), "{export}: {used:?}");
        assert!(used[0] > 100 * each && used[0] < 100 * (each + 20), "{export}: {used:?}");
    }
}

#[test]
fn a_call_that_used_up_the_slice_is_the_last_of_it() {
    let guest = program(
        r#"(module (import "host" "charge" (func $charge (param i64)))
             (func (export "main") (loop $again (call $charge (i64.const 1000000)) (br $again))))"#,
    );
    let mut sched = sched(1_000, Clock::monotonic());
    sched.spawn(guest.call((), "main", &[])).unwrap();
    let ran = sched.run_for(Budget::polls(10));
    assert!(ran.fuel >= Fuel(10_000_000) && ran.fuel < Fuel(10_001_000), "one call a slice: {ran:?}");
    assert!(sched.observer().0.iter().all(|slice| slice.end == SliceEnd::Preempted));
}

#[test]
fn after_a_wait_the_slice_is_a_whole_one() {
    let guest = program(
        r#"(module (import "host" "nap" (func $nap (param i64)))
             (func (export "main") (loop $spin (br $spin)))
             (func (export "nap") (call $nap (i64.const 1)) (loop $spin (br $spin))))"#,
    );
    let slices = |export: &str| {
        let mut sched = sched(1_000, Clock::simulated());
        sched.spawn(guest.call((), export, &[])).unwrap();
        sched.run_for(Budget::polls(6));
        sched.observer().0.iter().map(|slice| (slice.used.0, slice.end)).collect::<Vec<_>>()
    };
    assert!(slices("main").iter().all(|slice| *slice == (1_000, SliceEnd::Preempted) || slice.0 == 1_001));
    let napped = slices("nap");
    assert_eq!(napped[0].1, SliceEnd::Blocked);
    assert!(napped[0].0 < 10, "it called at once: {napped:?}");
    assert!(napped[1..].iter().all(|(used, end)| *used >= 1_000 && *end == SliceEnd::Preempted), "{napped:?}");
}

#[test]
fn a_guest_that_exits_has_exited_with_any_code() {
    let guest = program(
        r#"(module (import "host" "exit" (func $exit (param i32)))
             (func (export "main") (param i32) (call $exit (local.get 0))))"#,
    );
    for code in [0, 1, 255] {
        let mut sched = sched(1_000, Clock::monotonic());
        let id = sched.spawn(guest.call((), "main", &[Value::I32(code)])).unwrap();
        sched.run();
        let ended = sched.take(id).unwrap();
        assert_eq!(ended.outcome.to_string(), format!("exited {code}"));
        assert_eq!((ended.outcome.is_success(), ended.ledger.exact), (code == 0, true));
    }
}

#[test]
fn a_task_spawns_others_and_waits_for_their_ends() {
    let mut sched = sched(1_000, Clock::monotonic());
    let parent = Task::with_waker(|meter| async move {
        let ends =
            [7, 8].map(|code| meter.spawn(Task::from_future(move |_| async move { Outcome::Exited(code) }).detached()));
        let mut sum = 0;
        for join in &ends {
            sum += meter.join(join).await.exit_code.unwrap_or(100);
        }
        let failed = meter.join(&meter.spawn(wat("(module)").call("main", &[]))).await;
        assert_eq!((failed.outcome, ends[1].spawn_index()), ("failed", Some(2)));
        Outcome::Exited(sum)
    });
    let id = sched.spawn(parent).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(sched.take_outcome(id).unwrap().to_string(), "exited 15");
    let (blocked, ended) = (SliceEnd::Blocked, SliceEnd::Ended);
    // The first child wakes the parent, which then finds that the second has ended as well; the third never runs.
    assert_eq!(order(&sched), [(0, blocked), (1, ended), (2, ended), (0, blocked), (0, ended)]);
}

#[test]
fn unknown_imports_trap_or_do_nothing_if_they_are_let_in() {
    let guest = wat(r#"(module (import "env" "f" (func $f (param i32) (result i64 f64)))
        (func (export "main") (result i64 f64) (call $f (i32.const 1)))
        (func (export "other") (result i32) (i32.const 5)))"#);
    let mut linker = Linker::<()>::new(engine());
    assert!(linker.link(&guest).is_err());
    let end = |linker: &Linker, export: &str| {
        let mut sched = sched(1_000, Clock::monotonic());
        let id: TaskId = sched.spawn(linker.link(&guest).unwrap().call((), export, &[])).unwrap();
        sched.run();
        sched.take_outcome(id).unwrap().to_string()
    };
    linker.unknown_imports(UnknownImports::Zero);
    assert_eq!(end(&linker, "main"), "returned 0 0");
    linker.unknown_imports(UnknownImports::Trap);
    let trapped = end(&linker, "main");
    assert!(
        trapped.starts_with(
            r#"trapped: host error: nothing provides "env" "f" (func(i32) -> (i64, f64)), and it was called"#
        ),
        "{trapped}"
    );
    assert_eq!(end(&linker, "other"), "returned 5");
    let memory = wat(r#"(module (import "env" "m" (memory 1)))"#);
    assert!(linker.link(&memory).is_err(), "only functions are made up");
}

#[test]
fn a_task_that_waits_in_the_host_says_so_when_it_is_inspected() {
    let guest = program(
        r#"(module (import "host" "nap" (func $nap (param i64))) (memory (export "memory") 1)
             (func (export "main") (loop $spin (call $nap (i64.const 1)) (br $spin))))"#,
    );
    let mut sched = sched(1_000, Clock::simulated());
    let id = sched.spawn(guest.call((), "main", &[]).inspectable()).unwrap();
    assert!(matches!(sched.step(), Step::Ran(_)));
    let error = sched.memory_size(id, "memory").unwrap_err().to_string();
    assert!(error.starts_with("task 0.0 cannot be inspected now: it waits in a function of its host's"), "{error}");
    assert!(
        matches!(sched.step(), Step::Ran(slice) if slice.end == SliceEnd::Blocked),
        "and it goes on as if nobody had asked"
    );
    sched.kill(id).unwrap();
}

/// A parent that asks for the time and for a number, sleeps, and spawns a child that does the same and uses as much fuel as the number says.
fn curious(number: u64, depth: u32) -> Task {
    Task::with_waker(move |meter| async move {
        let came = meter.take_in(|| number);
        let time = meter.now();
        meter.charge(Fuel(came % 97 + 3));
        if depth > 0 {
            let child = meter.spawn(curious(number + 1, depth - 1).label(u64::from(depth)));
            assert_eq!(meter.join(&child).await.outcome, "exited");
        }
        meter.sleep_until(time + Duration::from_millis(2)).await;
        meter.charge(Fuel(u64::from(meter.now().subsec_nanos()) % 50 + 1));
        Outcome::Exited((came % 256) as u8)
    })
}

#[test]
fn what_came_in_from_outside_comes_in_again_in_a_replay() {
    for clock in [Clock::monotonic, Clock::simulated] {
        let recorder = Recorder::new(Vec::new(), b"").unwrap();
        let seen = (recorder, Slices::default());
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(50))).observer(seen).clock(clock()).build();
        for number in [1_000, 2_000] {
            sched.spawn(curious(number, 2).label(number)).unwrap();
        }
        sched.spawn(Task::with_waker(|_| pending()).label(7)).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done);
        let slices = std::mem::take(&mut sched.observer_mut().1.0);
        let recorded = std::mem::replace(&mut sched.observer_mut().0, Recorder::new(Vec::new(), b"").unwrap());
        let recorded = recorded.finish().unwrap();
        let replay = |number| {
            let make = move |label: u64, _| match label {
                7 => Ok(Task::with_waker(|_| pending())),
                // Another number, as another day would bring it.
                label => Ok(curious(label + number, 2)),
            };
            let recording = Recording::new(&recorded[..]).unwrap();
            let mut replay = Replay::observed(recording, make, Slices::default()).clock(clock());
            (replay.run().unwrap(), std::mem::take(&mut replay.observer_mut().0))
        };
        for number in [0, 55] {
            let (verdict, again) = replay(number);
            assert_eq!(verdict, Verdict::Same);
            let bare =
                |slices: &[fuelsched::Slice]| slices.iter().map(|s| (s.spawn_index, s.used, s.end)).collect::<Vec<_>>();
            assert_eq!(bare(&again), bare(&slices));
        }
    }
}

#[test]
fn a_task_that_takes_something_else_in_has_diverged() {
    let takes = |times: u64| {
        Task::with_waker(move |meter| async move {
            (0..times).for_each(|n| assert_eq!(meter.take_in(|| n), n));
            meter.yield_now().await;
            Outcome::Exited(0)
        })
    };
    let mut sched = Executor::builder().observer(Recorder::new(Vec::new(), b"").unwrap()).build();
    sched.spawn(takes(3)).unwrap();
    sched.run();
    let recorder = std::mem::replace(sched.observer_mut(), Recorder::new(Vec::new(), b"").unwrap());
    let recorded = recorder.finish().unwrap();
    for (times, same) in [(3, true), (2, false), (4, false)] {
        let mut replay = Replay::new(Recording::new(&recorded[..]).unwrap(), |_, _| Ok(takes(times)));
        let verdict = replay.run().unwrap();
        let astray = matches!(&verdict, Verdict::Diverged(divergence) if divergence.what == Difference::Input);
        assert_eq!((verdict == Verdict::Same, astray), (same, !same), "{times}: {verdict:?}");
    }
}

/// A future that is ready as soon as one of two is.
fn first<T>(
    one: impl Future<Output = T> + Send,
    two: impl Future<Output = T> + Send,
) -> impl Future<Output = T> + Send {
    let (mut one, mut two) = (Box::pin(one), Box::pin(two));
    poll_fn(move |cx| match one.as_mut().poll(cx) {
        Poll::Pending => two.as_mut().poll(cx),
        ready => ready,
    })
}

#[test]
fn a_sleep_and_a_wait_for_fuel_until_the_same_moment_share_no_fate() {
    let task = || {
        let task = Task::with_waker(|meter| async move {
            meter.charge(Fuel(100));
            meter.sleep_until(Duration::from_nanos(1_000)).await;
            Outcome::Exited(0)
        });
        task.replenishing(Fuel(100), Fuel(1_000))
    };
    // With fuel again it still sleeps; and with a debt that is paid sooner.
    for (refuel, used) in [(50, 100), (150, 350)] {
        let mut sched = sched(100, Clock::simulated());
        let id = if used == 100 { sched.spawn(task()) } else { sched.spawn(owes(350, 2_000)) }.unwrap();
        assert!(matches!(sched.step(), Step::Ran(slice) if slice.used == Fuel(used)));
        sched.refuel(id, Fuel(refuel)).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done, "refuelled by {refuel}");
        assert_eq!(sched.take_outcome(id).unwrap().to_string(), "exited 0");
    }
}

/// A task of 100 fuel in 1,000 that uses so much at once, and sleeps until the moment at which that is paid.
fn owes(used: u64, paid_at: u64) -> Task {
    let task = Task::with_waker(move |meter| async move {
        meter.charge(Fuel(used));
        meter.sleep_until(Duration::from_nanos(paid_at.max(3_000))).await;
        Outcome::Exited(0)
    });
    task.replenishing(Fuel(100), Fuel(1_000))
}

#[test]
fn who_waited_for_two_moments_that_have_passed_is_ready_once() {
    let mut sched = sched(10_000, Clock::simulated());
    // Both of its moments, 1,000 and 1,500, come in the one slice of the other task.
    let waits = Task::with_waker(|meter| async move {
        meter.charge(Fuel(100));
        meter.sleep_until(Duration::from_nanos(1_500)).await;
        Outcome::Exited(0)
    });
    sched.spawn(waits.replenishing(Fuel(100), Fuel(1_000))).unwrap();
    sched.spawn(crate::support::work([5_000, 5_000])).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    let ended = SliceEnd::Ended;
    let yielded = SliceEnd::Yielded;
    assert_eq!(order(&sched), [(0, SliceEnd::Blocked), (1, yielded), (0, ended), (1, yielded), (1, ended)]);
}

#[test]
fn of_what_a_future_says_in_a_poll_the_last_counts() {
    let task = |yields: bool| {
        Task::with_waker(move |meter| {
            let mut polls = 0;
            poll_fn(move |cx| {
                polls += 1;
                if polls == 3 {
                    return Poll::Ready(Outcome::Exited(0));
                }
                cx.waker().wake_by_ref();
                if yields {
                    meter.blocking(BlockedOn::Input);
                    meter.yielding();
                } else {
                    meter.yielding();
                    meter.blocking(BlockedOn::Input);
                }
                Poll::Pending
            })
        })
    };
    for (yields, end) in [(true, SliceEnd::Yielded), (false, SliceEnd::Blocked)] {
        let mut sched = sched(1_000, Clock::monotonic());
        sched.spawn(task(yields)).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done);
        assert_eq!(order(&sched), [(0, end), (0, end), (0, SliceEnd::Ended)]);
        assert_eq!(sched.step(), Step::Done, "nobody is left on a list");
    }
    // A wait that is given up for a turn that is given away.
    let mut sched = sched(1_000, Clock::monotonic());
    let task = Task::with_waker(|meter| async move {
        for _ in 0..3 {
            first(meter.sleep_until(Duration::from_secs(3_600)), meter.yield_now()).await;
        }
        Outcome::Exited(0)
    });
    sched.spawn(task).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(sched.step(), Step::Done);
}

/// A task that spawns one that waits for ever, and does something about it.
fn parent_of_a_stuck_one<F: Future<Output = Outcome> + Send + 'static>(
    then: impl FnOnce(Arc<Meter>, fuelsched::join::Join) -> F + Send + 'static,
) -> Task {
    Task::with_waker(|meter| async move {
        let child = meter.spawn(Task::with_waker(|_| pending()));
        meter.yield_now().await;
        then(meter, child).await
    })
}

#[test]
fn a_join_that_was_given_up_keeps_no_waker() {
    let mut sched = sched(1_000, Clock::simulated());
    let parent = parent_of_a_stuck_one(|meter, child| async move {
        let never = async {
            meter.join(&child).await;
        };
        first(never, meter.sleep_until(Duration::from_secs(1))).await;
        pending().await
    });
    let id = sched.spawn(parent).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done, "all of them are stuck, and nobody holds a waker");
    assert_eq!(sched.take_outcome(id).unwrap().name(), "deadlocked");
}

#[test]
fn who_waits_for_two_joins_and_somebody_outside_is_not_deadlocked() {
    for twice in [false, true] {
        let flag = Flag::default();
        let waits = flag.clone();
        let mut sched = sched(1_000, Clock::monotonic());
        let parent = parent_of_a_stuck_one(move |meter, child| async move {
            let join = || async {
                meter.join(&child).await;
            };
            if twice {
                first(first(join(), join()), waits.wait()).await;
            } else {
                // Told of and given up in the same poll, and one that is polled twice in it.
                first(join(), async {}).await;
                let mut again = Box::pin(join());
                let twice = poll_fn(|cx| {
                    assert!(again.as_mut().poll(cx).is_pending());
                    again.as_mut().poll(cx)
                });
                first(twice, waits.wait()).await;
            }
            Outcome::Exited(0)
        });
        let id = sched.spawn(parent).unwrap();
        assert_eq!(sched.run_for(Budget::unlimited()).why, RunEnd::Idle { next_wake: None }, "twice: {twice}");
        assert_eq!(sched.live(), 2);
        flag.set();
        flag.0.lock().unwrap().1.clear();
        assert_eq!(sched.run().why, RunEnd::Done);
        assert_eq!(sched.take_outcome(id).unwrap().to_string(), "exited 0");
    }
}

#[test]
fn a_run_does_not_wait_for_whom_the_host_has_suspended() {
    let flag = Flag::default();
    let mut sched = sched(1_000, Clock::monotonic());
    let ids = [sched.spawn(waits_for(&flag)).unwrap(), sched.spawn(sleeps(Duration::from_secs(3_600), 1)).unwrap()];
    assert!(matches!(sched.run_for(Budget::unlimited()).why, RunEnd::Idle { .. }));
    ids.iter().for_each(|id| sched.suspend(*id).unwrap());
    assert!(matches!(sched.run().why, RunEnd::Idle { next_wake: Some(_) }), "it returns at once");
    assert_eq!(sched.state(ids[0]), Some(TaskState::Suspended));
    sched.kill(ids[1]).unwrap();
    sched.resume(ids[0]).unwrap();
    flag.set();
    assert_eq!(sched.run().why, RunEnd::Done);
}

#[test]
fn a_wake_by_the_last_waker_is_no_deadlock() {
    // The other thread takes the waker while the first slice still runs, and uses it a little later in each turn: also just when wakers are counted.
    const TURNS: u32 = 20_000;
    let place = Arc::new(Mutex::new(None::<Waker>));
    let (over, taken) = (Arc::new(AtomicBool::new(false)), place.clone());
    let stop = over.clone();
    let other = thread::spawn(move || {
        let mut turn = 0;
        while !stop.load(Ordering::Relaxed) {
            let Some(waker) = taken.lock().unwrap().take() else { continue };
            turn += 1;
            (0..turn % 400).for_each(|_| std::hint::spin_loop());
            waker.wake();
        }
    });
    let mut sched = Executor::builder().build();
    for turn in 0..TURNS {
        let place = place.clone();
        let task = Task::with_waker(move |meter| {
            let mut polls = 0;
            poll_fn(move |cx| {
                polls += 1;
                if polls == 2 {
                    return Poll::Ready(Outcome::Exited(0));
                }
                meter.blocking(BlockedOn::Input);
                *place.lock().unwrap() = Some(cx.waker().clone());
                Poll::Pending
            })
        });
        let id = sched.spawn(task).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done);
        assert_eq!(sched.take_outcome(id).unwrap().to_string(), "exited 0", "turn {turn}");
    }
    over.store(true, Ordering::Relaxed);
    other.join().unwrap();
}

#[test]
fn a_task_that_waits_goes_on_under_the_next_policy() {
    let policy = |quantum| Box::new(RoundRobin::new(Fuel(quantum))) as Box<dyn Policy>;
    let flag = Flag::default();
    let mut sched = Executor::builder().policy(policy(1_000)).build();
    let waiting = sched.spawn(waits_for(&flag)).unwrap();
    let suspended = sched.spawn(waits_for(&flag)).unwrap();
    sched.run_for(Budget::unlimited());
    sched.suspend(suspended).unwrap();
    sched.set_policy(policy(7)).unwrap();
    assert_eq!(sched.step(), Step::Idle { next_wake: None }, "it still waits");
    flag.set();
    sched.set_policy(policy(70)).unwrap();
    assert!(matches!(sched.step(), Step::Ran(slice) if slice.id == waiting && slice.grant == Fuel(70)));
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    sched.resume(suspended).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(sched.step(), Step::Done);
}

#[test]
fn under_no_policy_does_a_task_that_waits_keep_a_run_from_being_idle() {
    use fuelsched::policy::{Cyclic, Edf, Mlfq, Mode, Priority, Window};
    use fuelsched::reason::Param;
    let window = Window { partition: Some(0), offset: 0, length: 400 };
    let policies: Vec<Box<dyn Policy>> = vec![
        Box::new(RoundRobin::new(Fuel(100))),
        Box::new(Weighted::new(Fuel(100))),
        Box::new(Mlfq::new(Fuel(100))),
        Box::new(Priority::new(Fuel(100))),
        #[cfg(feature = "lottery")]
        Box::new(fuelsched::policy::Lottery::new(Fuel(100), 7)),
        Box::new(Edf::new(Fuel(100))),
        Box::new(Cyclic::in_fuel(vec![Mode { name: "m".into(), frame: 1_000, windows: vec![window] }]).unwrap()),
    ];
    for policy in policies {
        let name = policy.name();
        let flag = Flag::default();
        let mut sched = Executor::builder().policy(policy).build();
        for _ in 0..3 {
            let waits = flag.clone();
            let task = Task::with_waker(move |meter| async move {
                meter.charge(Fuel(250));
                meter.give_way().await;
                waits.wait().await;
                meter.charge(Fuel(50));
                Outcome::Exited(0)
            });
            let task = task.param(Param::Partition(0));
            let reserved = [Param::Period(Fuel(10_000)), Param::Runtime(Fuel(1_000))];
            let task = if name == "edf" { reserved.into_iter().fold(task, Task::param) } else { task };
            sched.spawn(task).unwrap();
        }
        let end = sched.run_for(Budget::polls(1_000)).why;
        assert_eq!(end, RunEnd::Idle { next_wake: None }, "{name}");
        flag.set();
        assert_eq!(sched.run().why, RunEnd::Done, "{name}");
        assert!(sched.take_ended().iter().all(|ended| ended.outcome.is_success() && ended.ledger.used == Fuel(300)));
    }
}

#[test]
fn a_deadlock_that_ends_ends_all_though_the_end_of_one_wakes_another() {
    /// Sets a flag when it is dropped.
    struct Sets(Flag);
    impl Drop for Sets {
        fn drop(&mut self) {
            self.0.set();
        }
    }
    let flag = Flag::default();
    let sets = Sets(flag.clone());
    let mut sched = sched(1_000, Clock::monotonic());
    let stuck = Task::with_waker(move |meter| {
        poll_fn(move |_| {
            let _ = &sets;
            meter.blocking(BlockedOn::Time);
            Poll::<Outcome>::Pending
        })
    });
    let receives = Task::with_waker(move |meter| {
        poll_fn(move |cx| {
            let mut state = flag.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(Outcome::Exited(0));
            }
            state.1.push(cx.waker().clone());
            meter.blocking(BlockedOn::Receive("c".into()));
            Poll::Pending
        })
    });
    let ids = [stuck, receives].map(|task| sched.spawn(task).unwrap());
    assert_eq!(sched.run().why, RunEnd::Done);
    let ends = ids.map(|id| sched.take_outcome(id).unwrap().to_string());
    assert_eq!(
        ends,
        ["deadlocked: waits for a moment since 1 fuel", "deadlocked: waits to receive from channel 'c' since 2 fuel"]
    );
    // The slot's next task is not woken by that.
    let flag = Flag::default();
    sched.spawn(waits_for(&flag)).unwrap();
    assert!(matches!(sched.step(), Step::Ran(_)));
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
}

#[test]
fn a_supervisor_sees_the_end_of_a_deadlocked_ward() {
    let mut sched = sched(1_000, Clock::monotonic());
    let mut supervisor = fuelsched::Supervisor::new();
    let health = fuelsched::Health::default();
    let make = || Task::with_waker(|_| pending()).detached();
    let id = supervisor.spawn(&mut sched, health, make).unwrap();
    assert_eq!(supervisor.run_for(&mut sched, Budget::unlimited()).ran.why, RunEnd::Done);
    assert_eq!((sched.state(id), supervisor.restarts(id)), (None, 0), "it was detached, so nobody keeps it");
}

#[test]
fn a_child_that_the_policy_refuses_has_failed() {
    let mut sched = Executor::builder().policy(fuelsched::policy::Edf::new(Fuel(100))).build();
    let parent = Task::with_waker(|meter| async move {
        let reserved = [fuelsched::reason::Param::Period(Fuel(100)), fuelsched::reason::Param::Runtime(Fuel(90))];
        let child = || reserved.into_iter().fold(Task::from_future(|_| async { Outcome::Exited(3) }), Task::param);
        let ends = [meter.spawn(child()), meter.spawn(child())];
        let first = meter.join(&ends[0]).await;
        let second = meter.join(&ends[1]).await;
        assert_eq!((first.exit_code, second.outcome, ends[1].spawn_index()), (Some(3), "failed", None));
        Outcome::Exited(0)
    });
    let id = sched.spawn(parent).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(sched.take_outcome(id).unwrap().to_string(), "exited 0");
}

#[test]
fn a_panic_in_a_function_that_waits_is_its_tasks_trouble_alone() {
    let mut linker = Linker::<()>::new(engine());
    linker
        .func_async("host", "boom", |caller: Caller<'_, HostState>, ()| {
            let meter = caller.data().meter().clone();
            Box::new(async move {
                meter.charge(Fuel(70));
                meter.sleep_until(meter.now() + Duration::from_nanos(50)).await;
                assert!(meter.now() < Duration::ZERO, "no such thing");
            })
        })
        .unwrap();
    let guest = linker
        .link(&wat(r#"(module (import "host" "boom" (func $boom)) (func (export "main") (call $boom)))"#))
        .unwrap();
    let mut sched = sched(1_000, Clock::simulated());
    let id = sched.spawn(guest.call((), "main", &[])).unwrap();
    let other = sched.spawn(sleeps(Duration::from_micros(1), 2)).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    let ended = sched.take(id).unwrap();
    assert_eq!(ended.outcome.to_string(), "trapped: host panic: no such thing");
    assert!(ended.ledger.used >= Fuel(70), "{:?}", ended.ledger);
    assert!(sched.take_outcome(other).unwrap().is_success());
}

/// What imports do that call their guest back: charge, wait, and charge again, around each call.
fn calls_back() -> Program {
    let mut linker = Linker::<()>::new(engine());
    linker
        .func_async("host", "back", |mut caller: Caller<'_, HostState>, (fuel,): (u64,)| {
            Box::new(async move {
                let meter = caller.data().meter().clone();
                meter.charge(Fuel(fuel));
                let inner = caller.get_export("inner").and_then(wasmtime::Extern::into_func).unwrap();
                inner.call_async(&mut caller, &[], &mut []).await.unwrap();
                meter.charge(Fuel(fuel));
                meter.sleep_until(meter.now() + Duration::from_nanos(5)).await;
                inner.call_async(&mut caller, &[], &mut []).await.unwrap();
            })
        })
        .unwrap();
    // `inner` grows its memory before anything else, where the hook fires while the counter is in a register.
    let guest = wat(r#"(module (import "host" "back" (func $back (param i64))) (memory 1)
        (func (export "inner") (local $i i32)
          (drop (memory.grow (i32.const 1)))
          (loop $again
            (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50)))))
        (func (export "main") (call $back (i64.const 3000)) (call $back (i64.const 1)) (call $back (i64.const 0))))"#);
    linker.link(&guest).unwrap()
}

#[test]
fn the_account_is_exact_where_a_host_function_calls_its_guest_back() {
    let guest = calls_back();
    let used = QUANTA.map(|quantum| {
        let mut sched = sched(quantum, Clock::simulated());
        let id = sched.spawn(guest.call((), "main", &[])).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done);
        let ended = sched.take(id).unwrap();
        assert_eq!(ended.outcome.to_string(), "returned");
        ended.ledger.used
    });
    assert_eq!(used, [used[0]; 4]);
    // 6 calls of `inner` with 50 turns each, and 2 × 3,001 by the host.
    assert!(used[0] > Fuel(6_002 + 6 * 50 * 7) && used[0] < Fuel(6_002 + 6 * 50 * 9), "{used:?}");
}

#[test]
fn what_start_functions_call_is_charged_and_waited_for_and_may_exit() {
    let guest = |start: &str| {
        program(&format!(
            r#"(module (import "host" "slow" (func $slow (param i64))) (import "host" "exit" (func $exit (param i32)))
                 (import "host" "charge" (func $charge (param i64)))
                 (func $start {start}) (start $start) (func (export "main") (call $charge (i64.const 5))))"#
        ))
    };
    let run = |start: &str, quantum: u64| {
        let mut sched = sched(quantum, Clock::simulated());
        let id = sched.spawn(guest(start).call((), "main", &[])).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done);
        let ended = sched.take(id).unwrap();
        (ended.outcome.to_string(), ended.ledger.used.0)
    };
    let fuel = QUANTA.map(|quantum| run("(call $slow (i64.const 1000))", quantum));
    assert!(fuel.iter().all(|ended| *ended == fuel[0]), "{fuel:?}");
    assert!(fuel[0].0 == "returned" && (2_005..2_020).contains(&fuel[0].1), "{fuel:?}");
    let (outcome, used) = run("(call $charge (i64.const 40)) (call $exit (i32.const 7))", 10);
    assert_eq!(outcome, "exited 7");
    assert!((40..50).contains(&used), "{used}");
}

#[test]
fn a_warm_instance_goes_on_after_a_call_that_was_killed_while_it_waited() {
    let guest = program(
        r#"(module (import "host" "never" (func $never)) (import "host" "nap" (func $nap (param i64)))
             (global $calls (mut i32) (i32.const 0))
             (func $count (global.set $calls (i32.add (global.get $calls) (i32.const 1))))
             (func (export "stuck") (call $count) (call $never))
             (func (export "naps") (result i32) (call $count) (call $nap (i64.const 1)) (global.get $calls)))"#,
    );
    let instance = guest.instance(()).warm();
    let mut sched = Executor::builder().clock(Clock::simulated()).end_deadlocks(false).build();
    for calls in [2, 4, 6] {
        let id = sched.spawn(instance.call("stuck", &[])).unwrap();
        assert_eq!(sched.run().why, RunEnd::Idle { next_wake: None });
        assert_eq!(sched.blocked_on(id).unwrap().0, &BlockedOn::Function("host.never".into()));
        sched.kill(id).unwrap();
        let id = sched.spawn(instance.call("naps", &[])).unwrap();
        assert_eq!(sched.run().why, RunEnd::Done);
        assert_eq!(sched.take_outcome(id).unwrap().values(), Some(&[Value::I32(calls)][..]));
    }
}

#[test]
fn a_budget_used_up_by_host_work_while_it_waits_ends_the_task() {
    let mut sched = sched(1_000, Clock::simulated());
    let task = |charge| {
        Task::with_waker(move |meter| async move {
            assert_eq!(meter.budget_left(), Some(Fuel(500)));
            meter.charge(Fuel(charge));
            meter.sleep_until(Duration::from_millis(1)).await;
            Outcome::Exited(0)
        })
        .budget(Fuel(500))
    };
    let ids = [499, 500, 10_000].map(|charge| sched.spawn(task(charge)).unwrap());
    assert_eq!(sched.run().why, RunEnd::Done);
    let ends = ids.map(|id| sched.take_outcome(id).unwrap().name());
    assert_eq!(ends, ["exited", "out-of-fuel", "out-of-fuel"]);
}

/// Flags of one run, by number.
#[derive(Clone, Default)]
struct Flags(Arc<Mutex<[FlagState; FLAGS]>>);

/// How many there are.
const FLAGS: usize = 3;

/// Whether it is set, and who waits for it: one waker for each wait, under a number.
#[derive(Default)]
struct FlagState {
    set: bool,
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Flags {
    fn set(&self, flag: usize) {
        let waiting = {
            let state = &mut self.0.lock().unwrap()[flag];
            state.set = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn is_set(&self, flag: usize) -> bool {
        self.0.lock().unwrap()[flag].set
    }
}

/// A wait for a flag, as a channel would write it.
struct FlagWait {
    flags: Flags,
    flag: usize,
    meter: Arc<Meter>,
    number: Option<u64>,
    /// Whether nothing else wakes the task.
    alone: bool,
    /// The slice of the last poll.
    slice: u64,
}

impl Future for FlagWait {
    type Output = ();
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let state = &mut this.flags.0.lock().unwrap()[this.flag];
        if state.set {
            return Poll::Ready(());
        }
        assert!(!this.alone || this.slice == 0, "polled again, and not woken");
        this.slice = this.meter.slice();
        if this.number.is_none() {
            this.number = Some(state.next);
            state.waiting.push((state.next, cx.waker().clone()));
            state.next += 1;
        }
        this.meter.blocking(BlockedOn::Receive(this.flag.to_string().into()));
        Poll::Pending
    }
}

impl Drop for FlagWait {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.flags.0.lock().unwrap()[self.flag].waiting.retain(|(other, _)| *other != number);
        }
    }
}

/// What a task does.
#[derive(Clone, Debug)]
enum Act {
    Charge(u64),
    /// Until the next moment of a coarse grid after so much, so that moments coincide.
    Sleep(u64),
    /// Waits, and is woken before the poll is over.
    Nudge,
    Yield,
    GiveWay,
    Set(usize),
    Wait(usize),
    /// For a flag, but no longer than so much.
    WaitAtMost(usize, u64),
    /// A child that does this.
    Spawn(Vec<Act>),
    /// The end of the last child.
    Join,
}

/// A task that does it all, and exits with 0.
fn acts(script: Vec<Act>, flags: Flags) -> Task {
    Task::with_waker(move |meter| async move {
        let wait =
            |flag, alone| FlagWait { flags: flags.clone(), flag, meter: meter.clone(), number: None, alone, slice: 0 };
        let sleep = |nanos: u64| {
            let at: u64 = meter.now().as_nanos() as u64 + nanos;
            meter.sleep_until(Duration::from_nanos(at.next_multiple_of(500)))
        };
        let mut last = None;
        for act in script {
            match act {
                Act::Charge(fuel) => meter.charge(Fuel(fuel)),
                Act::Sleep(nanos) => sleep(nanos).await,
                Act::Yield => meter.yield_now().await,
                Act::GiveWay => meter.give_way().await,
                Act::Set(flag) => flags.set(flag),
                Act::Nudge => {
                    let mut waited = false;
                    let nudge = poll_fn(|cx| {
                        if std::mem::replace(&mut waited, true) {
                            return Poll::Ready(());
                        }
                        meter.blocking(BlockedOn::Input);
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    });
                    nudge.await;
                }
                Act::Wait(flag) => wait(flag, true).await,
                Act::WaitAtMost(flag, nanos) => first(wait(flag, false), sleep(nanos)).await,
                Act::Spawn(script) => {
                    let label = CHILD + charges(&script);
                    last = Some(meter.spawn(acts(script, flags.clone()).label(label)));
                }
                Act::Join => {
                    if let Some(child) = &last {
                        meter.join(child).await;
                    }
                }
            }
        }
        Outcome::Exited(0)
    })
}

/// The label of a child that charges nothing.
const CHILD: u64 = 1 << 32;

/// What a script charges in all.
fn charges(script: &[Act]) -> u64 {
    script.iter().map(|act| if let Act::Charge(fuel) = act { *fuel } else { 0 }).sum()
}

/// What a task does, without children.
fn leaf() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..400_u64).prop_map(Act::Charge),
        1 => (400..2_000_u64).prop_map(Act::Charge),
        3 => (0..2_000_u64).prop_map(Act::Sleep),
        1 => Just(Act::Nudge),
        1 => Just(Act::Yield),
        1 => Just(Act::GiveWay),
        1 => (0..FLAGS).prop_map(Act::Set),
        2 => (0..FLAGS).prop_map(Act::Wait),
        2 => (0..FLAGS, 0..2_000_u64).prop_map(|(flag, nanos)| Act::WaitAtMost(flag, nanos)),
    ]
}

/// What a task does.
fn act() -> impl Strategy<Value = Act> {
    prop_oneof![6 => leaf(), 1 => prop::collection::vec(leaf(), 0..5).prop_map(Act::Spawn), 1 => Just(Act::Join)]
}

/// What the host does after so many polls, to which task.
#[derive(Clone, Debug)]
enum Doing {
    Suspend,
    Resume,
    Kill,
    Refuel(u64),
}

/// What a run is made of.
#[derive(Clone, Debug)]
struct Scene {
    /// The tasks; a number is the fuel that they may use in 1,000, if it is not 0.
    tasks: Vec<(u64, Vec<Act>)>,
    /// What the host does.
    host: Vec<(u64, usize, Doing)>,
    quantum: u64,
    weighted: bool,
}

impl Scene {
    fn task(&self, label: usize, flags: &Flags) -> Task {
        let (allowance, script) = &self.tasks[label];
        let task = acts(script.clone(), flags.clone()).label(label as u64);
        if *allowance == 0 { task } else { task.replenishing(Fuel(*allowance), Fuel(1_000)) }
    }

    fn policy(&self) -> Box<dyn Policy> {
        if self.weighted {
            Box::new(Weighted::new(Fuel(self.quantum)))
        } else {
            Box::new(RoundRobin::new(Fuel(self.quantum)))
        }
    }

    /// Runs it to its end: the slices, the ends, the recording.
    fn run(&self) -> (Vec<fuelsched::Slice>, Vec<fuelsched::Ended>, Vec<u8>, Flags) {
        let flags = Flags::default();
        let seen = (Slices::default(), Recorder::new(Vec::new(), b"").unwrap());
        let mut sched = Executor::builder().policy(self.policy()).observer(seen).clock(Clock::simulated()).build();
        let ids: Vec<TaskId> = (0..self.tasks.len()).map(|n| sched.spawn(self.task(n, &flags)).unwrap()).collect();
        for (polls, task, doing) in &self.host {
            sched.run_for(Budget::polls(*polls));
            let id = ids[task % ids.len()];
            // An error says that it has ended.
            let _ = match doing {
                Doing::Suspend => sched.suspend(id),
                Doing::Resume => sched.resume(id),
                Doing::Kill => sched.kill(id).map(drop),
                Doing::Refuel(fuel) => sched.refuel(id, Fuel(*fuel)),
            };
        }
        for id in ids {
            let _ = sched.resume(id);
        }
        assert_eq!(sched.run().why, RunEnd::Done, "nobody is suspended, so nobody is left");
        let totals = sched.totals();
        let ended = sched.take_ended();
        let (slices, recorder) = sched.observer_mut();
        let slices = std::mem::take(&mut slices.0);
        let recorder = std::mem::replace(recorder, Recorder::new(Vec::new(), b"").unwrap());
        let used: u64 = slices.iter().map(|slice| slice.used.0).sum();
        let booked: u64 = ended.iter().map(|ended| ended.ledger.used.0).sum();
        assert_eq!((used, booked), (totals.fuel.0, totals.fuel.0), "conservation");
        assert_eq!(totals.slices, slices.len() as u64);
        for ended in ended.iter().filter(|ended| ended.outcome.is_success()) {
            let charged = ended.label.checked_sub(CHILD);
            let charged = charged.unwrap_or_else(|| charges(&self.tasks[ended.label as usize].1));
            assert_eq!(ended.ledger.used, Fuel(charged), "{ended:?}");
        }
        (slices, ended, recorder.finish().unwrap(), flags)
    }
}

/// Whether everybody ended as what came to pass allows: who is deadlocked waits for what never happened.
fn nobody_missed_a_wake(ended: &[fuelsched::Ended], flags: &Flags) {
    let outcome = |spawn_index| &ended.iter().find(|ended| ended.spawn_index == spawn_index).unwrap().outcome;
    for task in ended {
        match &task.outcome {
            Outcome::Exited(0) | Outcome::Killed => {}
            Outcome::Deadlocked(deadlock) => match &deadlock.on {
                BlockedOn::Receive(flag) => assert!(!flags.is_set(flag.parse().unwrap()), "{task:?}: a lost wake"),
                BlockedOn::Join(child) => assert_eq!(outcome(*child).name(), "deadlocked", "{task:?}: a lost wake"),
                _ => panic!("{task:?}: what it waits for comes by itself"),
            },
            _ => panic!("{task:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever tasks and host do: fuel is conserved, no wake is lost, a second run is the same, and so is a replay.
    #[test]
    fn whatever_waits_for_whatever_no_wake_and_no_fuel_is_lost(
        tasks in prop::collection::vec((prop_oneof![Just(0), 1..600_u64], prop::collection::vec(act(), 0..10)), 1..6),
        host in prop::collection::vec((0..8_u64, 0..6_usize, prop_oneof![
            3 => Just(Doing::Suspend), 3 => Just(Doing::Resume), 1 => Just(Doing::Kill), 4 => (0..2_000_u64).prop_map(Doing::Refuel),
        ]), 0..12),
        quantum in 1..300_u64,
        weighted in any::<bool>(),
    ) {
        let scene = Scene { tasks, host, quantum, weighted };
        let (slices, ended, recorded, flags) = scene.run();
        nobody_missed_a_wake(&ended, &flags);
        let (again, _, recorded_again, _) = scene.run();
        prop_assert_eq!(&again, &slices);
        prop_assert!(recorded == recorded_again, "the recordings differ");
        let flags = Flags::default();
        let make = |label: u64, _| Ok(scene.task(label as usize, &flags));
        let recording = Recording::new(&recorded[..]).unwrap();
        let mut replay = Replay::observed(recording, make, Slices::default()).clock(Clock::simulated());
        prop_assert_eq!(replay.run().unwrap(), Verdict::Same);
        let bare = |slices: &[fuelsched::Slice]| slices.iter().map(|s| (s.spawn_index, s.used, s.at, s.end)).collect::<Vec<_>>();
        prop_assert_eq!(bare(&replay.observer().0), bare(&slices));
    }
}
