//! The supervisor: each action about each incident, what a restart is, and instances that are started warm.

use crate::support::{Slices, endless, i32s, wat, work};
use fuelsched::error::ErrorKind;
use fuelsched::policy::{Cyclic, Mode, RoundRobin, Window};
use fuelsched::reason::Param;
use fuelsched::supervisor::{Incident, Verdict};
use fuelsched::{
    Action, Budget, Executor, Fuel, Group, Health, Instance, Outcome, RunEnd, Supervisor, Task, TaskId, TaskState,
    Value,
};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

/// A task that traps in its second slice, after the grant of the first and half of the second.
fn trapping() -> Task {
    let mut polls = 0;
    Task::from_future(move |meter| {
        poll_fn(move |_| {
            polls += 1;
            meter.record(meter.used().plus(meter.grant()));
            assert!(polls < 2, "the second slice");
            Poll::<Outcome>::Pending
        })
    })
}

/// An executor with 10 fuel a turn.
fn executor() -> Executor<RoundRobin, Slices> {
    Executor::builder().policy(RoundRobin::new(Fuel(10))).observer(Slices::default()).build()
}

/// About traps.
fn on_trap(action: Action) -> Health {
    Health { on_trap: action, ..Health::default() }
}

#[test]
fn what_is_ignored_is_counted_and_stays_as_it_is() {
    let (mut sched, mut supervisor) = (executor(), Supervisor::new());
    let [trap, fuel] = [trapping as fn() -> Task, || endless().budget(Fuel(25))]
        .map(|make| supervisor.spawn(&mut sched, Health::default(), make).unwrap());
    let run = supervisor.run_for(&mut sched, Budget::unlimited());
    assert_eq!((run.ran.why, run.verdict), (RunEnd::Done, Verdict::GoOn));
    assert_eq!((supervisor.incidents(trap).traps, supervisor.incidents(fuel).out_of_fuel), (1, 1));
    assert_eq!((supervisor.current(trap), supervisor.restarts(trap)), (trap, 0));
    assert_eq!(sched.take_outcome(trap).unwrap().name(), "trapped");
    assert_eq!(sched.take_outcome(fuel).unwrap().name(), "out-of-fuel");
}

#[test]
fn a_restart_makes_the_task_anew_as_often_as_it_may() {
    for (make, health) in [
        (trapping as fn() -> Task, on_trap(Action::Restart)),
        (|| endless().budget(Fuel(20)), Health { on_out_of_fuel: Action::Restart, ..Health::default() }),
    ] {
        let (mut sched, mut supervisor) = (executor(), Supervisor::new());
        let health = Health { max_restarts: Some(3), ..health };
        let first = supervisor.spawn(&mut sched, health, make).unwrap();
        assert_eq!(supervisor.run_for(&mut sched, Budget::unlimited()).ran.why, RunEnd::Done);
        assert_eq!(supervisor.restarts(first), 3);
        let last = supervisor.current(first);
        assert_ne!(first, last);
        // Four incarnations of two slices; the first three were taken, and the last is the host's to take.
        let order: Vec<_> = sched.observer().0.iter().map(|slice| (slice.spawn_index, slice.number)).collect();
        assert_eq!(order, [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]);
        assert_eq!(sched.state(first), None);
        assert!(sched.take_outcome(last).is_some());
        assert!(sched.take_ended().is_empty());
    }
}

#[test]
fn a_shutdown_ends_the_run_and_says_by_whom_and_why() {
    let (mut sched, mut supervisor) = (executor(), Supervisor::new());
    let other = sched.spawn(endless()).unwrap();
    let by = supervisor.spawn(&mut sched, on_trap(Action::Shutdown), trapping).unwrap();
    let run = supervisor.run_for(&mut sched, Budget::unlimited());
    assert_eq!(run.verdict, Verdict::Shutdown { by, why: Incident::Trap });
    assert_eq!((run.ran.why, run.ran.polls, run.ran.fuel), (RunEnd::Shutdown, 4, Fuel(40)));
    assert_eq!(sched.state(other), Some(TaskState::Ready), "what becomes of the others is the host's to say");
}

#[test]
fn tasks_of_others_are_left_alone() {
    let (mut sched, mut supervisor) = (executor(), Supervisor::new());
    let theirs = sched.spawn(trapping()).unwrap();
    supervisor.run_for(&mut sched, Budget::unlimited());
    assert_eq!((supervisor.current(theirs), supervisor.restarts(theirs)), (theirs, 0));
    assert_eq!(sched.take_outcome(theirs).unwrap().name(), "trapped");
    assert!(!supervisor.forget(theirs));
}

#[test]
fn a_task_that_cannot_be_made_anew_ends_alone() {
    let (mut sched, mut supervisor) = (executor(), Supervisor::new());
    let mut made = 0;
    let make = move || {
        made += 1;
        // The second is refused.
        trapping().param(Param::Quantum(Fuel(2 - made)))
    };
    let first = supervisor.spawn(&mut sched, on_trap(Action::Restart), make).unwrap();
    let other = sched.spawn(work([5; 40])).unwrap();
    assert_eq!(supervisor.run_for(&mut sched, Budget::unlimited()).ran.why, RunEnd::Done);
    let failure = supervisor.failure(first).expect("a failure");
    assert!(matches!(failure.kind(), ErrorKind::Refused { .. }), "{failure}");
    assert_eq!((supervisor.current(first), supervisor.restarts(first)), (first, 0));
    assert_eq!(sched.take_outcome(first).unwrap().name(), "trapped");
    assert!(sched.take_outcome(other).unwrap().is_success());
    assert!(supervisor.forget(first) && supervisor.failure(first).is_none());
}

#[test]
fn a_restart_storm_comes_off_the_budget() {
    let (mut sched, mut supervisor) = (executor(), Supervisor::new());
    let first = supervisor.spawn(&mut sched, on_trap(Action::Restart), || trapping().detached()).unwrap();
    let run = supervisor.run_for(&mut sched, Budget::fuel(100_000));
    assert_eq!((run.ran.why, run.ran.fuel, run.ran.polls), (RunEnd::BudgetSpent, Fuel(100_000), 10_000));
    assert_eq!(supervisor.restarts(first), 5_000);
    assert_eq!(sched.live(), 1);
    assert!(sched.take_ended().is_empty());
}

#[test]
fn a_group_without_fuel_is_not_restarted_for_ever() {
    for action in [Action::Restart, Action::Shutdown] {
        let (mut sched, mut supervisor) = (executor(), Supervisor::new());
        let group = sched.add_group(Group::new().budget(Fuel(30)));
        let health = Health { on_out_of_fuel: action, ..Health::default() };
        let ids = [(); 3].map(|()| supervisor.spawn(&mut sched, health, move || endless().group(group)).unwrap());
        let run = supervisor.run_for(&mut sched, Budget::unlimited());
        if action == Action::Shutdown {
            assert_eq!(run.verdict, Verdict::Shutdown { by: ids[2], why: Incident::OutOfFuel });
            continue;
        }
        assert_eq!(run.ran.why, RunEnd::Done);
        // Each had a slice and was made anew; without another slice it is not made a third time.
        assert_eq!(ids.map(|id| supervisor.restarts(id)), [1; 3]);
        assert_eq!(ids.map(|id| supervisor.incidents(id).out_of_fuel), [2; 3]);
    }
}

/// Two partitions of 50 in a frame of 100.
fn windows() -> Cyclic {
    let window = |partition, offset| Window { partition: Some(partition), offset, length: 50 };
    Cyclic::in_fuel(vec![Mode { name: "m".into(), frame: 100, windows: vec![window(1, 0), window(2, 50)] }]).unwrap()
}

/// A task that overruns in its third slice.
fn overrunning() -> Task {
    let mut polls = 0;
    let task = Task::from_future(move |meter| {
        poll_fn(move |_| {
            polls += 1;
            meter.record(meter.used().plus(meter.grant()).plus(Fuel(u64::from(polls == 3) * 7)));
            Poll::<Outcome>::Pending
        })
    });
    task.param(Param::Partition(1))
}

#[test]
fn an_overrun_is_acted_on() {
    for action in [Action::Ignore, Action::Restart, Action::Stop, Action::Shutdown] {
        let (mut sched, mut supervisor) = (Executor::builder().policy(windows()).build(), Supervisor::new());
        let health = Health { on_overrun: action, ..Health::default() };
        let first = supervisor.spawn(&mut sched, health, overrunning).unwrap();
        let other = sched.spawn(endless().param(Param::Partition(2))).unwrap();
        let run = supervisor.run_for(&mut sched, Budget::polls(12));
        let current = supervisor.current(first);
        let shutdown = Verdict::Shutdown { by: first, why: Incident::Overrun };
        let (verdict, state, restarts, overruns) = match action {
            Action::Ignore => (Verdict::GoOn, TaskState::Ready, 0, 1),
            Action::Restart => (Verdict::GoOn, TaskState::Ready, 2, 2),
            Action::Stop => (Verdict::GoOn, TaskState::Ended, 0, 1),
            _ => (shutdown, TaskState::Ready, 0, 1),
        };
        assert_eq!((run.verdict, sched.state(current)), (verdict, Some(state)), "{action:?}");
        assert_eq!((supervisor.restarts(first), supervisor.incidents(first).overruns), (restarts, overruns));
        assert_eq!(sched.state(other), Some(TaskState::Ready));
        if action == Action::Stop {
            assert_eq!(sched.take_outcome(first).unwrap().name(), "killed");
        }
    }
}

#[test]
fn an_end_is_judged_before_the_overrun_that_came_with_it() {
    let (mut sched, mut supervisor) = (Executor::builder().policy(windows()).build(), Supervisor::new());
    let health = Health { on_overrun: Action::Restart, ..Health::default() };
    let returns = || {
        Task::from_future(|meter| {
            poll_fn(move |_| {
                meter.record(Fuel(70));
                Poll::Ready(Outcome::Returned(Vec::new()))
            })
        })
        .param(Param::Partition(1))
    };
    let id = supervisor.spawn(&mut sched, health, returns).unwrap();
    supervisor.run_for(&mut sched, Budget::unlimited());
    assert_eq!((supervisor.restarts(id), supervisor.incidents(id).overruns), (0, 1));
    assert!(sched.take_outcome(id).unwrap().is_success());
}

#[test]
fn a_watched_run_is_the_same_run() {
    let run = |watched: bool, budget: Budget| {
        let mut sched = executor();
        for costs in [[3, 10, 25], [10, 10, 10]] {
            sched.spawn(work(costs.into_iter().cycle().take(50))).unwrap();
        }
        let (mut ends, mut supervisor) = (Vec::new(), Supervisor::new());
        for _ in 0..5 {
            ends.push(if watched { supervisor.run_for(&mut sched, budget).ran } else { sched.run_for(budget) });
        }
        (ends, std::mem::take(&mut sched.observer_mut().0))
    };
    for budget in [Budget::fuel(33), Budget::polls(7), Budget::unlimited(), Budget::fuel(100).or_polls(4)] {
        assert_eq!(run(true, budget), run(false, budget));
    }
}

// Warm and cold.

/// A guest with a counter in memory and one in a global, and ways to end badly after counting.
const GUEST: &str = r#"
(module
  (memory (export "memory") 1)
  (global $g (mut i32) (i32.const 0))
  (func $count (result i32)
    (global.set $g (i32.add (global.get $g) (i32.const 10)))
    (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
    (i32.add (global.get $g) (i32.load (i32.const 8))))
  (func (export "count") (result i32) (call $count))
  (func (export "trap") (result i32) (drop (call $count)) unreachable)
  (func (export "spin") (result i32) (drop (call $count)) (loop (br 0)) unreachable))
"#;

/// Runs one call; its outcome, and what it used.
fn call(guest: &Instance, export: &str, budget: Option<u64>, polls: u64) -> (String, Fuel) {
    let mut sched = executor();
    let task = guest.call(export, &[]);
    let id = sched.spawn(budget.into_iter().fold(task, |task, fuel| task.budget(Fuel(fuel)))).unwrap();
    sched.run_for(Budget::polls(polls));
    if sched.outcome(id).is_none() {
        assert!(sched.kill(id).unwrap().used > Fuel::ZERO);
    }
    let ended = sched.take(id).unwrap();
    (ended.outcome.to_string(), ended.ledger.used)
}

#[test]
fn a_warm_instance_keeps_its_memory_however_a_call_ends() {
    let guest = wat(GUEST).instance().unwrap().warm();
    let (first, fuel) = call(&guest, "count", None, 100);
    assert_eq!(first, "returned 11");
    assert!(call(&guest, "trap", None, 100).0.starts_with("trapped: "));
    assert_eq!(call(&guest, "count", None, 100), ("returned 33".into(), fuel), "and the account begins at 0");
    assert_eq!(call(&guest, "spin", None, 50).0, "killed");
    assert_eq!(call(&guest, "count", None, 100), ("returned 55".into(), fuel));
    assert_eq!(call(&guest, "spin", Some(500), u64::MAX).0, "out-of-fuel");
    assert_eq!(call(&guest, "count", None, 100), ("returned 77".into(), fuel));
    let mut count = [0; 4];
    guest.read_memory("memory", 8, &mut count).unwrap();
    assert_eq!(i32::from_le_bytes(count), 7);
    guest.write_memory("memory", 8, &100_i32.to_le_bytes()).unwrap();
    assert_eq!(call(&guest, "count", None, 100).0, "returned 181");
    // An executor that goes, with the call in the middle.
    let mut sched = executor();
    sched.spawn(guest.call("spin", &[])).unwrap();
    sched.run_for(Budget::polls(9));
    assert!(!guest.is_idle());
    drop(sched);
    assert_eq!(call(&guest, "count", None, 100), ("returned 203".into(), fuel));
}

#[test]
fn a_cold_instance_is_gone_as_before() {
    for (export, polls) in [("trap", 100), ("spin", 50)] {
        let guest = wat(GUEST).instance().unwrap();
        call(&guest, export, None, polls);
        let error = executor().spawn(guest.call("count", &[])).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InstanceGone { .. }), "{error}");
    }
}

#[test]
fn an_instance_whose_start_failed_is_gone_though_it_is_warm() {
    let guest = wat("(module (func $s unreachable) (start $s) (func (export \"count\")))").instance().unwrap().warm();
    assert!(call(&guest, "count", None, 100).0.starts_with("trapped: "));
    assert!(!guest.is_idle());
}

#[test]
fn a_start_policy_is_what_make_calls() {
    let module = wat(r#"(module (memory (export "memory") 1)
             (func (export "run") (result i32)
               (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
               (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 3)) (then unreachable))
               (i32.load (i32.const 0))))"#);
    let warm = module.instance().unwrap().warm();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let (mut sched, mut supervisor) = (executor(), Supervisor::new());
    let health = Health { max_restarts: Some(5), ..on_trap(Action::Restart) };
    let warm = supervisor
        .spawn(&mut sched, health, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            warm.call("run", &[])
        })
        .unwrap();
    let cold = supervisor.spawn(&mut sched, health, move || module.call("run", &[])).unwrap();
    supervisor.run_for(&mut sched, Budget::unlimited());
    // The warm one traps twice, and goes on with its count; the cold one counts to 1 each time.
    let outcome = |sched: &mut Executor<RoundRobin, Slices>, id: TaskId| sched.take_outcome(id).unwrap();
    assert_eq!((supervisor.restarts(warm), calls.load(Ordering::Relaxed)), (2, 3));
    let values: &[Value] = &i32s([3]);
    assert_eq!(outcome(&mut sched, supervisor.current(warm)).values(), Some(values));
    assert_eq!(supervisor.restarts(cold), 5);
    assert_eq!(outcome(&mut sched, supervisor.current(cold)).name(), "trapped");
}
