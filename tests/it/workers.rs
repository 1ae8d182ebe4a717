//! One executor a thread: who runs where, what stays the same, and what ends a run early.

use crate::support::{Slices, endless, guest, work};
use fuelsched::policy::{Policy, RoundRobin};
use fuelsched::workers::Finished;
use fuelsched::{Executor, Fuel, Outcome, Task, Value, Workers};
use proptest::prelude::*;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// So many workers.
fn workers(count: usize) -> Workers {
    Workers::new(NonZeroUsize::new(count).expect("at least one"))
}

/// An executor that remembers its slices.
fn make(_: usize) -> Executor<RoundRobin, Slices> {
    Executor::builder().policy(RoundRobin::new(Fuel(100))).observer(Slices::default()).build()
}

/// How each task ended, and what it used.
fn ends<O>(finished: &Finished<O>) -> Vec<(String, u64)> {
    let end = |task: &fuelsched::workers::Done| {
        let ended = task.end.as_ref().expect("it ran");
        (format!("{:?}", ended.outcome), ended.ledger.used.0)
    };
    finished.tasks.iter().map(end).collect()
}

/// Which worker ran each task.
fn homes<O>(finished: &Finished<O>) -> Vec<usize> {
    finished.tasks.iter().map(|task| task.worker).collect()
}

#[test]
fn tasks_go_round_the_workers_unless_one_is_named() {
    let mut all = workers(3);
    (0..5).for_each(|_| {
        all.spawn(work([1]));
    });
    assert_eq!(all.spawn_on(7, work([1])), 5);
    assert_eq!(all.spawn(work([1])), 6);
    let finished = all.run(make);
    assert_eq!(homes(&finished), [0, 1, 2, 0, 1, 1, 0]);
    let spawned: Vec<u64> = finished.workers.iter().map(|w| w.as_ref().unwrap().totals.spawned).collect();
    assert_eq!(spawned, [3, 3, 1]);
}

#[test]
fn guests_return_the_same_whoever_runs_them() {
    let fib = guest("fib");
    let run = |count, rebalance| {
        let mut all = workers(count).rebalancing(rebalance);
        (0..12).for_each(|n| {
            all.spawn(fib.call("main", &[Value::I32(n)]));
        });
        ends(&all.run(make))
    };
    let one = run(1, false);
    assert_eq!(one[10].0, format!("{:?}", Outcome::Returned(vec![Value::I32(55)])));
    for count in [2, 3, 20] {
        assert_eq!((run(count, false), run(count, true)), (one.clone(), one.clone()), "{count} workers");
    }
}

#[test]
fn what_a_task_costs_another_worker_is_nothing_once_it_panics() {
    let mut all = workers(2);
    (0..4).for_each(|_| {
        all.spawn(work([5]));
    });
    let finished = all.run(|worker| {
        assert_ne!(worker, 1, "no such policy");
        make(worker)
    });
    let lost: Vec<bool> = finished.tasks.iter().map(|task| task.end.is_err()).collect();
    assert_eq!(lost, [false, true, false, true]);
    let message = finished.tasks[3].end.as_ref().unwrap_err().to_string();
    assert!(message.starts_with("worker 1 is lost, and its tasks with it: it panicked: "), "{message}");
    assert!(message.contains("no such policy"), "{message}");
    assert!(finished.workers[0].is_ok() && finished.workers[1].is_err());
}

#[test]
fn others_take_over_what_a_worker_that_panicked_had_not_started() {
    let mut all = workers(2).rebalancing(true);
    (0..8).for_each(|_| {
        all.spawn(work([5]));
    });
    let finished = all.run(|worker| {
        assert_ne!(worker, 1, "no such policy");
        make(worker)
    });
    let lost: Vec<bool> = finished.tasks.iter().map(|task| task.end.is_err()).collect();
    assert_eq!(lost, [false, true, false, true, false, false, false, false]);
    assert_eq!(homes(&finished), [0, 1, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn fuel_for_the_run_is_split_evenly() {
    let mut all = workers(3).run_fuel(Fuel(1_001));
    (0..3).for_each(|_| {
        all.spawn(endless());
    });
    let finished = all.run(make);
    let stopped = |used| (format!("{:?}", Outcome::Stopped), used);
    assert_eq!(ends(&finished), [stopped(334), stopped(334), stopped(333)]);
}

#[test]
fn a_run_stops_for_its_flag_and_for_time_and_tells_of_all_tasks() {
    for rebalance in [false, true] {
        let flagged = workers(2).rebalancing(rebalance);
        flagged.stop_flag().store(true, Ordering::Relaxed);
        for mut all in [flagged, workers(2).rebalancing(rebalance).run_time(Duration::from_millis(5))] {
            (0..9).for_each(|_| {
                all.spawn(endless());
            });
            let finished = all.run(make);
            assert!(finished.tasks.iter().all(|t| matches!(t.end.as_ref().unwrap().outcome, Outcome::Stopped)));
        }
    }
}

#[test]
fn a_task_that_cannot_be_spawned_says_why_and_a_detached_one_is_kept() {
    let mut all = workers(2);
    all.spawn(guest("fib").call("nobody", &[]));
    all.spawn(work([5]).detached());
    let finished = all.run(|_| {
        let policy: Box<dyn Policy> = Box::new(RoundRobin::new(Fuel(100)));
        Executor::builder().policy(policy).build()
    });
    assert!(finished.tasks[0].end.as_ref().unwrap_err().to_string().contains("nobody"));
    assert!(finished.tasks[1].end.is_ok());
}

#[test]
fn no_tasks_are_no_trouble() {
    assert!(workers(4).rebalancing(true).run(make).tasks.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Results and fuel do not depend on how many run them; what each worker does is the same in each run.
    #[test]
    fn fuel_is_the_same_for_any_number_of_workers(
        costs in prop::collection::vec(prop::collection::vec(1_u64..300, 0..6), 0..30),
        count in 1_usize..6,
    ) {
        let run = |count, rebalance| {
            let mut all = workers(count).rebalancing(rebalance);
            let task = |costs: &Vec<u64>| -> Task { work(costs.clone()) };
            costs.iter().for_each(|costs| { all.spawn(task(costs)); });
            all.run(make)
        };
        let slices = |finished: &Finished<Slices>| -> Vec<_> {
            finished.workers.iter().map(|worker| worker.as_ref().unwrap().observer.0.clone()).collect()
        };
        let (one, first, second, moved) = (run(1, false), run(count, false), run(count, false), run(count, true));
        prop_assert_eq!(ends(&one), ends(&first));
        prop_assert_eq!(ends(&one), ends(&moved));
        prop_assert_eq!(slices(&first), slices(&second));
    }
}
