//! Control between steps, on plain futures: fuel added, starts, suspensions of those that wait, groups, another policy; logs compared whole.
//!
//! Tasks are called a, b, c … in the order of spawning; `used/grant` is the fuel of a slice, after `@` stands the virtual clock.

use crate::support::{endless, work};
use fuelsched::policy::RoundRobin;
use fuelsched::trace::{Ended, Observer, Slice};
use fuelsched::{Budget, Error, ErrorKind, Executor, Fuel, Group, Outcome, RunEnd, Step, Task, TaskId, TaskState};
use proptest::prelude::*;
use std::future::poll_fn;
use std::task::Poll;

/// An observer that writes a line for each event.
#[derive(Debug, Default)]
struct Log(Vec<String>);

impl Observer for Log {
    fn idle(&mut self, from: Fuel, until: Fuel) {
        self.0.push(format!("idle @{} to {}", from.0, until.0));
    }
    fn slice(&mut self, s: &Slice) {
        let who = char::from(b'a' + s.spawn_index as u8);
        self.0.push(format!("{who} {}/{} {} @{}", s.used.0, s.grant.0, s.end, s.at.0));
    }
    fn ended(&mut self, task: &Ended) {
        let who = char::from(b'a' + task.spawn_index as u8);
        self.0.push(format!("{who} {} @{}", task.outcome, task.at.0));
    }
}

/// Round robin with this quantum, and a log.
fn sched(quantum: u64) -> Executor<RoundRobin, Log> {
    Executor::builder().policy(RoundRobin::new(Fuel(quantum))).observer(Log::default()).build()
}

/// Steps so often, and returns what was logged.
fn steps(sched: &mut Executor<RoundRobin, Log>, n: usize) -> Vec<String> {
    (0..n).for_each(|_| assert!(matches!(sched.step(), Step::Ran(_))));
    std::mem::take(&mut sched.observer_mut().0)
}

/// The message of an error.
fn message(error: Error) -> String {
    error.to_string()
}

#[test]
fn a_kill_returns_the_account_and_drops_the_future() {
    struct Dropped(std::sync::Arc<()>);
    let held = std::sync::Arc::new(());
    let inside = Dropped(held.clone());
    let task = Task::from_future(move |meter| {
        poll_fn(move |_| {
            let _ = &inside.0;
            meter.record(meter.used().plus(Fuel(3)));
            Poll::<Outcome>::Pending
        })
    });
    let mut sched = sched(2);
    let id = sched.spawn(task).unwrap();
    steps(&mut sched, 2);
    let ledger = sched.kill(id).unwrap();
    assert_eq!(
        (ledger.used, ledger.slices, ledger.max_overshoot),
        (Fuel(6), 2, Fuel(2)),
        "a debt of 1 was taken off the second grant"
    );
    assert_eq!(std::sync::Arc::strong_count(&held), 1);
}

#[test]
fn a_budget_is_refuelled_before_it_is_used_up() {
    let mut sched = sched(10);
    let id = sched.spawn(endless().budget(Fuel(15))).unwrap();
    assert_eq!(steps(&mut sched, 1), ["a 10/10 preempted @0"]);
    sched.refuel(id, Fuel(10)).unwrap();
    // 25 in all.
    assert_eq!(steps(&mut sched, 2), ["a 10/10 preempted @10", "a 5/5 ended @20", "a out-of-fuel @25"]);
    assert!(matches!(sched.refuel(id, Fuel(1)).unwrap_err().kind(), ErrorKind::TaskEnded(_)));
}

#[test]
fn an_allowance_is_replenished_and_a_waiting_one_refuelled() {
    let mut sched = sched(10);
    let id = sched.spawn(endless().replenishing(Fuel(15), Fuel(100))).unwrap();
    assert_eq!(steps(&mut sched, 2), ["a 10/10 preempted @0", "a 5/5 blocked @10"]);
    assert_eq!(sched.state(id), Some(TaskState::Waiting { until: Fuel(100) }));
    sched.refuel(id, Fuel(7)).unwrap();
    assert_eq!(sched.state(id), Some(TaskState::Ready));
    // 7 now, and a whole allowance in the next period.
    assert_eq!(
        steps(&mut sched, 3),
        ["a 7/7 blocked @15", "idle @22 to 100", "a 10/10 preempted @100", "a 5/5 blocked @110"]
    );
}

#[test]
fn a_refuelling_that_does_not_pay_all_debts_brings_the_end_of_the_wait_nearer() {
    let mut sched = sched(10);
    let id = sched.spawn(work([50, 1]).replenishing(Fuel(10), Fuel(100))).unwrap();
    steps(&mut sched, 1);
    // It owes 40: four periods pay, and the fifth has fuel.
    assert_eq!(sched.state(id), Some(TaskState::Waiting { until: Fuel(500) }));
    sched.refuel(id, Fuel(35)).unwrap();
    assert_eq!(sched.state(id), Some(TaskState::Waiting { until: Fuel(100) }));
    // Of the 10 of the next period 5 are left.
    assert_eq!(steps(&mut sched, 2), ["idle @50 to 100", "a 1/5 yielded @100", "a 0/4 ended @101", "a returned @102"]);
}

#[test]
fn a_start_time_is_waited_for_and_no_refuelling_shortens_it() {
    let mut sched = sched(10);
    sched.spawn(work([10, 10])).unwrap();
    let late = sched.spawn(endless().budget(Fuel(5)).start_at(Fuel(50))).unwrap();
    sched.refuel(late, Fuel(1)).unwrap();
    assert_eq!(sched.state(late), Some(TaskState::Waiting { until: Fuel(50) }));
    assert_eq!(
        steps(&mut sched, 4),
        [
            "a 10/10 preempted @0",
            "a 10/10 preempted @10",
            "a 0/10 ended @20",
            "a returned @21",
            "idle @21 to 50",
            "b 6/6 ended @50",
            "b out-of-fuel @56"
        ]
    );
}

#[test]
fn a_task_that_is_suspended_while_it_waits_is_ready_when_both_are_over() {
    for resumed_first in [true, false] {
        let mut sched = sched(10);
        let id = sched.spawn(endless().replenishing(Fuel(10), Fuel(100))).unwrap();
        sched.spawn(endless()).unwrap();
        steps(&mut sched, 2);
        sched.suspend(id).unwrap();
        assert_eq!(sched.state(id), Some(TaskState::Suspended));
        if resumed_first {
            sched.resume(id).unwrap();
            assert_eq!(sched.state(id), Some(TaskState::Waiting { until: Fuel(100) }));
        }
        // b alone, until the clock shows 100; and longer while a is suspended.
        assert!(steps(&mut sched, 8).iter().all(|line| line.starts_with("b 10/10")));
        let next = steps(&mut sched, 2);
        assert_eq!(next.iter().any(|line| line.starts_with("a ")), resumed_first, "{next:?}");
        sched.resume(id).unwrap();
        let next = steps(&mut sched, 2);
        assert_eq!(next.iter().any(|line| line.starts_with("a ")), !resumed_first, "{next:?}");
    }
}

#[test]
fn a_quantum_is_set_and_what_round_robin_does_not_have_is_refused() {
    let mut sched = sched(10);
    let id = sched.spawn(endless()).unwrap();
    steps(&mut sched, 1);
    sched.set_quantum(id, Fuel(3)).unwrap();
    assert_eq!(steps(&mut sched, 1), ["a 3/3 preempted @10"]);
    let refused = [sched.set_weight(id, 2), sched.set_priority(id, 2), sched.set_deadline(id, Fuel(2))];
    let refused = refused.map(|result| message(result.unwrap_err()));
    assert_eq!(
        refused,
        ["weight", "priority", "deadline"]
            .map(|what| format!("the policy round-robin does not take the task: it has no {what}; it has a quantum"))
    );
    assert_eq!(steps(&mut sched, 1), ["a 3/3 preempted @13"]);
}

#[test]
fn a_group_shares_a_budget_and_an_old_id_means_nobody() {
    let mut sched = sched(10);
    let group = sched.add_group(Group::new().budget(Fuel(25)));
    sched.spawn(endless().group(group)).unwrap();
    sched.spawn(endless().group(group)).unwrap();
    assert_eq!(steps(&mut sched, 2), ["a 10/10 preempted @0", "b 10/10 preempted @10"]);
    assert!(matches!(sched.remove_group(group).unwrap_err().kind(), ErrorKind::GroupInUse(_)));
    sched.refuel_group(group, Fuel(3)).unwrap();
    // 8 are left for a, and nothing for b.
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(sched.observer().0, ["a 8/8 ended @20", "a out-of-fuel @28", "b out-of-fuel @28"]);
    assert_eq!(sched.group_used(group), Some(Fuel(28)));
    sched.remove_group(group).unwrap();
    let new = sched.add_group(Group::new());
    assert_eq!((new.index(), sched.group_used(group)), (group.index(), None));
    assert!(matches!(sched.spawn(endless().group(group)).unwrap_err().kind(), ErrorKind::NoSuchGroup(_)));
    assert!(matches!(sched.refuel_group(group, Fuel(1)).unwrap_err().kind(), ErrorKind::NoSuchGroup(_)));
    assert_eq!(sched.live(), 0);
}

#[test]
fn a_group_shares_an_allowance_and_all_that_wait_for_it_are_refuelled() {
    let mut sched = sched(10);
    let group = sched.add_group(Group::new().replenishing(Fuel(15), Fuel(100)));
    let ids = [(); 2].map(|()| sched.spawn(endless().group(group)).unwrap());
    // What is left is 5; then each of them waits when its turn comes.
    assert_eq!(steps(&mut sched, 2), ["a 10/10 preempted @0", "b 5/5 blocked @10"]);
    assert_eq!(steps(&mut sched, 1), ["idle @15 to 100", "a 10/10 preempted @100"]);
    assert_eq!(steps(&mut sched, 1), ["b 5/5 blocked @110"]);
    sched.suspend(ids[0]).unwrap();
    sched.refuel_group(group, Fuel(4)).unwrap();
    assert_eq!(ids.map(|id| sched.state(id)), [Some(TaskState::Suspended), Some(TaskState::Ready)]);
    sched.resume(ids[0]).unwrap();
    assert_eq!(sched.state(ids[0]), Some(TaskState::Ready), "it had not been picked, so it never waited");
    let polls = sched.run_for(Budget::fuel(4));
    assert_eq!((polls.fuel, sched.group_used(group)), (Fuel(4), Some(Fuel(34))));
}

#[test]
fn another_policy_takes_those_that_wait_as_waiting() {
    let mut sched = sched(10);
    let id = sched.spawn(endless().replenishing(Fuel(10), Fuel(100))).unwrap();
    sched.spawn(endless().budget(Fuel(5)).start_at(Fuel(40))).unwrap();
    steps(&mut sched, 1);
    sched.set_policy(RoundRobin::new(Fuel(4))).unwrap();
    assert_eq!(sched.state(id), Some(TaskState::Waiting { until: Fuel(100) }));
    assert_eq!(
        steps(&mut sched, 3),
        [
            "idle @10 to 40",
            "b 4/4 preempted @40",
            "b 1/1 ended @44",
            "b out-of-fuel @45",
            "idle @45 to 100",
            "a 4/4 preempted @100"
        ]
    );
}

#[test]
fn stopping_ends_those_that_wait_and_those_that_are_suspended() {
    let mut sched = sched(10);
    let group = sched.add_group(Group::new());
    let tasks = [endless().replenishing(Fuel(10), Fuel(100)), endless().start_at(Fuel(500)), endless().group(group)];
    let ids: Vec<TaskId> = tasks.into_iter().map(|task| sched.spawn(task).unwrap()).collect();
    steps(&mut sched, 2);
    sched.suspend(ids[2]).unwrap();
    sched.stop_all();
    assert_eq!(steps(&mut sched, 0), ["a stopped @20", "b stopped @20", "c stopped @20"]);
    assert!(matches!(sched.step(), Step::Done), "no timer is left behind");
    sched.remove_group(group).unwrap();
}

/// A task that overshoots by these, in turn, for ever.
fn overshooting(overshoots: Vec<u64>) -> Task {
    let mut overshoots = overshoots.into_iter().cycle();
    Task::from_future(move |meter| {
        poll_fn(move |_| {
            meter.record(meter.used().plus(meter.grant()).plus(Fuel(overshoots.next().unwrap_or_default())));
            Poll::<Outcome>::Pending
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Over k whole periods a group's allowance lets pass no more than k times its amount, and one overshoot of each of its tasks; and when
    /// nobody runs, nobody could.
    #[test]
    fn an_allowance_lets_pass_what_it_is_and_no_more(
        amount in 1..200_u64,
        period in 1..2_000_u64,
        quantum in 1..300_u64,
        tasks in prop::collection::vec(prop::collection::vec(0..400_u64, 1..4), 1..5),
        polls in 1..200_u64,
    ) {
        let mut sched = sched(quantum);
        let group = sched.add_group(Group::new().replenishing(Fuel(amount), Fuel(period)));
        let overshoots: u64 = tasks.iter().map(|all| all.iter().max().copied().unwrap_or_default()).sum();
        for overshoots in tasks {
            sched.spawn(overshooting(overshoots).group(group)).unwrap();
        }
        for _ in 0..polls {
            let Step::Ran(slice) = sched.step() else { panic!("they are endless, and there always is a next period") };
            let periods = u128::from(slice.at.0 / period) + 1;
            let used = u128::from(sched.group_used(group).unwrap().0);
            prop_assert!(used <= periods * u128::from(amount) + u128::from(overshoots), "{used} in {periods} periods");
            // The clock never waits for longer than the debts take.
            let before = used - u128::from(slice.used.0);
            prop_assert!(before < periods * u128::from(amount));
        }
        let used = sched.group_used(group).unwrap();
        prop_assert_eq!(used, sched.totals().fuel, "nothing is lost");
    }
}
