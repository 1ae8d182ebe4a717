//! Tasks that wait: wakes, sleeps, what they are blocked on, deadlocks, and fuel that host functions charge.

use crate::support::{QUANTA, Slices, engine, wat};
use fuelsched::policy::RoundRobin;
use fuelsched::replay::{Difference, Verdict};
use fuelsched::wasmtime::{self, Caller};
use fuelsched::{BlockedOn, Budget, Clock, Executor, Exit, Fuel, HostState, Linker, Outcome, Program, RunEnd};
use fuelsched::{Recorder, Recording, Replay, SliceEnd, Step, Task, TaskId, TaskState, UnknownImports, Value};
use std::future::{Future, pending, poll_fn};
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

/// A task that sleeps so long, so many times.
fn sleeps(time: Duration, times: u32) -> Task {
    Task::with_waker(move |meter| async move {
        for _ in 0..times {
            meter.sleep_until(meter.now() + time).await;
        }
        Outcome::Returned(vec![])
    })
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
    assert!(began.elapsed() < Duration::from_secs(60), "that moment has passed");
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
