//! The executor with plain futures, no Wasmtime: who is polled when, and what the host can do between two polls.
//!
//! Most tests compare a log of all that happened with the log that should be, whole, each entry with the reason for it. Tasks are
//! called a, b, c … in the order of spawning; `used/grant` is the fuel of a slice.

use crate::support::{endless, guest, i32s, work};
use fuelsched::error::ErrorKind;
use fuelsched::policy::{Pick, Policy, RoundRobin, Run};
use fuelsched::reason::{Param, Params, PickReason, ReadyReason};
use fuelsched::trace::{Ended, Observer, Slice};
use fuelsched::{
    Budget, Clock, Executor, Fuel, Outcome, Result, RunEnd, SliceEnd, Step, Task, TaskId, TaskState, Value,
};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

/// An observer that writes a line for each event.
#[derive(Debug, Default)]
struct Log(Vec<String>);

/// The letter of a task.
fn letter(spawn_index: u64) -> char {
    char::from(b'a' + spawn_index as u8)
}

impl Observer for Log {
    fn slice(&mut self, s: &Slice) {
        let (who, used, grant) = (letter(s.spawn_index), s.used.0, s.grant.0);
        self.0.push(format!("{who} {}: {used}/{grant} {}", s.why, s.end));
    }
    fn ended(&mut self, task: &Ended) {
        self.0.push(format!("{} {}", letter(task.spawn_index), task.outcome));
    }
}

/// Round robin with this quantum, and a log.
fn sched(quantum: u64) -> Executor<RoundRobin, Log> {
    Executor::builder().policy(RoundRobin::new(Fuel(quantum))).observer(Log::default()).build()
}

/// Takes what has been logged.
fn logged<P: Policy>(sched: &mut Executor<P, Log>) -> Vec<String> {
    std::mem::take(&mut sched.observer_mut().0)
}

/// Makes a number of steps, each of which must be a poll.
fn steps<P: Policy, O: Observer>(sched: &mut Executor<P, O>, n: usize) {
    (0..n).for_each(|_| assert!(matches!(sched.step(), Step::Ran(_))));
}

/// A future that does this in its first poll.
fn doing(mut what: impl FnMut() -> Poll<Outcome> + Send + 'static) -> Task {
    Task::from_future(move |_| poll_fn(move |_| what()))
}

// The order of polls.

#[test]
fn tasks_take_turns_and_a_debtor_sits_out() {
    let mut sched = sched(10);
    sched.spawn(work([10, 10])).unwrap();
    sched.spawn(work([10])).unwrap();
    sched.spawn(work([25, 5])).unwrap();
    let ran = sched.run();
    let expected = [
        "a turn: 10/10 preempted",
        "b turn: 10/10 preempted",
        "c turn: 25/10 preempted", // owes 15
        "a turn: 10/10 preempted", // round 2: the order of round 1
        "b turn: 0/10 ended",
        "b returned",
        // c pays 10 of its 15 with its turn in round 2
        "a turn: 0/10 ended",
        "a returned",
        "c debt paid in 1 round: 5/5 preempted", // round 3 pays the other 5 and leaves 5
        "c turn: 0/10 ended",
        "c returned",
    ];
    assert_eq!(logged(&mut sched), expected);
    // A poll that used nothing is charged 1, and three did.
    assert_eq!((ran.why, ran.polls, ran.fuel), (RunEnd::Done, 8, Fuel(63)));
    assert_eq!((sched.totals().spawned, sched.totals().slices), (3, 8));
    assert_eq!((sched.totals().switches, sched.totals().fuel), (5, Fuel(60)));
}

#[test]
fn a_step_is_one_poll_and_says_what_it_did() {
    let mut sched = sched(10);
    assert_eq!(sched.step(), Step::Done);
    let id = sched.spawn(work([12])).unwrap();
    let Step::Ran(slice) = sched.step() else { panic!("a task is ready") };
    assert_eq!((slice.id, slice.spawn_index, slice.number), (id, 0, 1));
    assert_eq!((slice.grant, slice.used, slice.charged), (Fuel(10), Fuel(12), Fuel(12)));
    assert_eq!((slice.why, slice.end), (PickReason::Turn, SliceEnd::Preempted));
    assert_eq!((slice.overshoot(), sched.now()), (Fuel(2), Fuel(12)));
    let Step::Ran(last) = sched.step() else { panic!("a task is ready") };
    assert_eq!((last.number, last.end, last.charged), (2, SliceEnd::Ended, Fuel(1)));
    assert_eq!(sched.step(), Step::Done);
}

#[test]
fn a_yield_forfeits_the_rest_of_the_slice() {
    let mut sched = sched(10);
    sched
        .spawn(Task::from_future(|meter| {
            poll_fn(move |_| {
                meter.record(meter.used().plus(Fuel(4)));
                meter.yielding();
                Poll::<Outcome>::Pending
            })
        }))
        .unwrap();
    sched.spawn(endless()).unwrap();
    sched.run_for(Budget::polls(3));
    let expected = [
        "a turn: 4/10 yielded",
        "b turn: 10/10 preempted",
        "a turn: 4/10 yielded", // 10 again, and not 16
    ];
    assert_eq!(logged(&mut sched), expected);
}

#[test]
fn a_pending_that_used_less_than_was_granted_is_a_yield() {
    let mut sched = sched(10);
    let id = sched.spawn(doing(|| Poll::Pending)).unwrap();
    sched.run_for(Budget::polls(2));
    assert_eq!(logged(&mut sched), ["a turn: 0/10 yielded"; 2]);
    let ledger = sched.ledger(id).unwrap();
    assert_eq!((ledger.used, ledger.charged, ledger.yielded), (Fuel(0), Fuel(2), 2));
}

#[test]
fn new_tasks_join_the_next_round_ahead_of_the_old_ones() {
    let mut sched = sched(10);
    sched.spawn(endless()).unwrap();
    sched.spawn(endless()).unwrap();
    steps(&mut sched, 1);
    sched.spawn(endless()).unwrap();
    sched.spawn(endless()).unwrap();
    steps(&mut sched, 6);
    let who: Vec<String> = logged(&mut sched).iter().map(|line| line[..1].to_string()).collect();
    // b had its turn of the first round still to come; c and d come before a in the next, or a and b would have had two turns
    // before their first.
    assert_eq!(who, ["a", "b", "c", "d", "a", "b", "c"]);
}

// How long a run is.

#[test]
fn a_run_of_so_much_fuel_cuts_a_turn_and_the_next_run_goes_on_with_it() {
    let mut sched = sched(10);
    sched.spawn(endless()).unwrap();
    sched.spawn(endless()).unwrap();
    let first = sched.run_for(Budget::fuel(24));
    assert_eq!((first.why, first.polls, first.fuel), (RunEnd::BudgetSpent, 3, Fuel(24)));
    let second = sched.run_for(Budget::fuel(3));
    assert_eq!((second.polls, second.fuel), (1, Fuel(3)));
    let third = sched.run_for(Budget::fuel(13));
    assert_eq!((third.polls, third.fuel), (2, Fuel(13)));
    let expected = [
        "a turn: 10/10 preempted",
        "b turn: 10/10 preempted",
        "a turn: 4/4 preempted",      // all that is left of the 24
        "a continued: 3/3 preempted", // all of the 3
        "a continued: 3/3 preempted", // all that is left of the turn
        "b turn: 10/10 preempted",
    ];
    assert_eq!(logged(&mut sched), expected);
}

#[test]
fn a_run_ends_at_the_first_of_its_limits() {
    let mut sched = sched(10);
    sched.spawn(endless()).unwrap();
    let limits = [
        (Budget::polls(3), 3, 30),
        (Budget::polls(3).or_fuel(15), 2, 15),
        (Budget::fuel(100).or_polls(1), 1, 5), // the rest of the turn that was cut
        (Budget::polls(0), 0, 0),
        (Budget::fuel(0), 0, 0),
        (Budget::time(Duration::ZERO), 0, 0),
    ];
    for (budget, polls, fuel) in limits {
        let ran = sched.run_for(budget);
        assert_eq!((ran.why, ran.polls, ran.fuel), (RunEnd::BudgetSpent, polls, Fuel(fuel)), "{budget:?}");
    }
}

#[test]
fn a_run_of_so_much_time_ends_by_the_executors_clock() {
    let clock = Clock::manual();
    let mut sched = Executor::builder().clock(clock.clone()).build();
    let future = clock.clone();
    let slow = move || {
        future.advance(Duration::from_millis(2));
        Poll::Pending
    };
    sched.spawn(doing(slow)).unwrap();
    let polls = |millis| Budget::time(Duration::from_millis(millis));
    assert_eq!(sched.run_for(polls(5)).polls, 3, "the third poll ends at 6 ms");
    assert_eq!(sched.run_for(polls(2)).polls, 1);
    assert_eq!(sched.run_for(polls(100).or_polls(7)).polls, 7);
    assert_eq!(clock.now(), Duration::from_millis(22));
}

#[test]
fn under_a_time_limit_a_grant_is_capped_so_that_the_limit_can_fire() {
    let mut sched = sched(1 << 40);
    sched.spawn(endless()).unwrap();
    sched.run_for(Budget::time(Duration::from_secs(3_600)).or_polls(2));
    sched.run_for(Budget::polls(1));
    let expected = [
        // A millisecond, at the 10 ns a unit that are expected of a task that nobody knows.
        "a turn: 100000/100000 preempted".to_string(),
        // It took no time at all, which is believed by and by.
        "a continued: 1600000/1600000 preempted".to_string(),
        // Without a time limit there is no cap.
        format!("a continued: {0}/{0} preempted", (1_u64 << 40) - 1_700_000),
    ];
    assert_eq!(logged(&mut sched), expected);
}

#[test]
fn a_run_without_limits_ends_only_when_there_is_nothing_to_run() {
    let mut sched = sched(10);
    // Two fills of a 64-bit memory are charged more than a u64 holds; that is no reason to stop.
    let greedy = [(); 3].map(|()| sched.spawn(work([1 << 63])).unwrap());
    let modest = sched.spawn(work([10; 5])).unwrap();
    let ran = sched.run();
    assert_eq!((ran.why, ran.fuel, sched.live()), (RunEnd::Done, Fuel::MAX, 0));
    assert!(greedy.iter().chain([&modest]).all(|id| sched.take_outcome(*id).is_some()));
}

// Budgets of tasks.

#[test]
fn a_budget_caps_the_grant_and_ends_the_task_where_it_is_used_up() {
    let mut sched = sched(10);
    sched.spawn(endless().budget(Fuel(25))).unwrap();
    sched.spawn(work([30]).budget(Fuel(12))).unwrap();
    sched.spawn(work([]).budget(Fuel::ZERO)).unwrap();
    sched.spawn(endless().budget(Fuel::ZERO)).unwrap();
    sched.run();
    let expected = [
        "a turn: 10/10 preempted",
        "b turn: 30/10 ended", // 30 of 12, and reported as 30
        "b out-of-fuel",
        "c turn: 0/1 ended", // a grant is at least 1, and to return is not to use
        "c returned",
        "d turn: 1/1 ended",
        "d out-of-fuel",
        "a turn: 10/10 preempted",
        "a turn: 5/5 ended", // the 5 that are left
        "a out-of-fuel",
    ];
    assert_eq!(logged(&mut sched), expected);
}

// What the host does between steps.

#[test]
fn suspended_tasks_are_passed_over_until_they_are_resumed() {
    let mut sched = sched(10);
    let [a, b] = [(); 2].map(|()| sched.spawn(endless()).unwrap());
    steps(&mut sched, 1); // a
    sched.suspend(b).unwrap();
    sched.suspend(b).unwrap();
    assert_eq!(sched.state(b), Some(TaskState::Suspended));
    steps(&mut sched, 2); // a, a
    sched.suspend(a).unwrap();
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    let idle = RunEnd::Idle { next_wake: None };
    assert_eq!(sched.run().why, idle);
    sched.resume(b).unwrap();
    sched.resume(b).unwrap();
    assert_eq!(sched.state(b), Some(TaskState::Ready));
    steps(&mut sched, 2); // b, b
    sched.resume(a).unwrap();
    steps(&mut sched, 2); // a, b
    let who: Vec<String> = logged(&mut sched).iter().map(|line| line[..1].to_string()).collect();
    assert_eq!(who, ["a", "a", "a", "b", "b", "a", "b"]);
}

#[test]
fn a_task_that_is_suspended_and_resumed_before_its_turn_keeps_it() {
    let mut sched = sched(10);
    let [a, _b, _c] = [(); 3].map(|()| sched.spawn(endless()).unwrap());
    sched.suspend(a).unwrap();
    sched.resume(a).unwrap();
    steps(&mut sched, 3);
    let expected = ["a", "b", "c"].map(|who| format!("{who} turn: 10/10 preempted"));
    assert_eq!(logged(&mut sched), expected);
}

#[test]
fn debts_outlast_a_suspension() {
    let mut sched = sched(10);
    let debtor = sched.spawn(work([45, 5, 5])).unwrap();
    sched.spawn(endless()).unwrap();
    steps(&mut sched, 1);
    sched.suspend(debtor).unwrap();
    sched.resume(debtor).unwrap();
    steps(&mut sched, 5);
    let expected = [
        "a turn: 45/10 preempted", // owes 35
        "b turn: 10/10 preempted", // rounds 1 to 4 are b's alone
        "b turn: 10/10 preempted",
        "b turn: 10/10 preempted",
        "b turn: 10/10 preempted",
        "a debt paid in 3 rounds: 5/5 preempted",
    ];
    assert_eq!(logged(&mut sched), expected);
}

#[test]
fn killed_tasks_are_gone_at_once_whatever_their_state() {
    let mut sched = sched(10);
    let [a, b, c, d] = [(); 4].map(|()| sched.spawn(endless()).unwrap());
    steps(&mut sched, 1);
    sched.kill(a).unwrap(); // ready, has run
    sched.kill(b).unwrap(); // ready, has not
    sched.suspend(c).unwrap();
    sched.kill(c).unwrap(); // suspended, and nobody knows
    steps(&mut sched, 1);
    sched.suspend(d).unwrap();
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    sched.kill(d).unwrap(); // suspended, and the policy knows
    assert_eq!(sched.step(), Step::Done);
    let expected =
        ["a turn: 10/10 preempted", "a killed", "b killed", "c killed", "d turn: 10/10 preempted", "d killed"];
    assert_eq!(logged(&mut sched), expected);
}

#[test]
fn ids_of_tasks_that_are_gone_are_errors_and_never_another_task() {
    let mut sched = sched(10);
    let first = sched.spawn(endless()).unwrap();
    sched.kill(first).unwrap();
    let ended = |result: Result<()>| assert_eq!(result.unwrap_err().to_string(), "task 0.0 has ended");
    ended(sched.kill(first).map(drop));
    ended(sched.suspend(first));
    ended(sched.resume(first));
    ended(sched.set(first, Param::Quantum(Fuel(1))));
    assert!(sched.take(first).is_some());
    let second = sched.spawn(endless()).unwrap();
    assert_eq!((second.index(), second.generation()), (0, 1));
    for stale in [first, TaskId::new(7, 0), TaskId::new(0, 9)] {
        let gone = |result: Result<()>| {
            let message = format!("there is no task {stale}, or its outcome has been taken");
            assert_eq!(result.unwrap_err().to_string(), message);
        };
        gone(sched.kill(stale).map(drop));
        gone(sched.suspend(stale));
        gone(sched.resume(stale));
        gone(sched.set(stale, Param::Quantum(Fuel(1))));
        assert!(sched.take(stale).is_none());
        assert!(sched.state(stale).is_none() && sched.ledger(stale).is_none());
    }
    assert_eq!(sched.state(second), Some(TaskState::Ready));
}

#[test]
fn stopping_ends_all_that_live_and_leaves_what_has_ended() {
    let mut sched = sched(10);
    sched.spawn(work([])).unwrap();
    let [b, _c] = [(); 2].map(|()| sched.spawn(endless()).unwrap());
    steps(&mut sched, 2);
    sched.suspend(b).unwrap();
    sched.stop_all();
    assert_eq!((sched.live(), sched.step()), (0, Step::Done));
    let expected = ["a turn: 0/10 ended", "a returned", "b turn: 10/10 preempted", "b stopped", "c stopped"];
    assert_eq!(logged(&mut sched), expected);
    let names: Vec<&str> = sched.take_ended().iter().map(|ended| ended.outcome.name()).collect();
    assert_eq!(names, ["returned", "stopped", "stopped"]);
}

// Ends, and what is kept of them.

#[test]
fn outcomes_are_taken_once() {
    let mut sched = sched(10);
    let ids = [(); 3].map(|()| sched.spawn(work([])).unwrap());
    assert!(sched.take(ids[0]).is_none(), "it has not ended");
    sched.run();
    assert_eq!(sched.state(ids[1]), Some(TaskState::Ended));
    assert!(sched.take_outcome(ids[1]).is_some());
    assert!(sched.take_outcome(ids[1]).is_none());
    let rest: Vec<TaskId> = sched.take_ended().iter().map(|ended| ended.id).collect();
    assert_eq!(rest, [ids[0], ids[2]]);
    assert!(sched.take_ended().is_empty());
}

#[test]
fn spawning_can_go_on_for_ever_in_the_same_slots() {
    let mut sched = Executor::builder().build();
    for generation in 0..100_000 {
        let id = sched.spawn(work([])).unwrap();
        assert_eq!((id.index(), id.generation()), (0, generation));
        sched.run();
        assert!(sched.take(id).is_some());
    }
    // Three at a time, each taken before the fourth comes.
    let mut ids = VecDeque::new();
    for _ in 0..10_000 {
        ids.push_back(sched.spawn(work([3])).unwrap());
        if ids.len() == 3 {
            sched.run();
            assert!(sched.take(ids.pop_front().unwrap()).is_some());
        }
    }
    assert!(ids.iter().all(|id| id.index() < 3));
    assert_eq!(sched.totals().spawned, 110_000);
}

#[test]
fn a_detached_task_leaves_nothing_but_what_the_observer_saw() {
    let mut sched = sched(10);
    let id = sched.spawn(work([]).detached()).unwrap();
    let killed = sched.spawn(endless().detached()).unwrap();
    sched.kill(killed).unwrap();
    sched.run();
    assert_eq!(logged(&mut sched), ["b killed", "a turn: 0/10 ended", "a returned"]);
    for id in [id, killed] {
        assert!(sched.state(id).is_none() && sched.take(id).is_none());
    }
    assert!(sched.take_ended().is_empty());
    let reused = sched.spawn(work([])).unwrap();
    assert_eq!((reused.index(), reused.generation()), (0, 1));
}

#[test]
fn a_task_that_cannot_be_spawned_says_why_and_leaves_nothing() {
    let mut sched = sched(10);
    let error = sched.spawn(guest("fib").call("man", &i32s([1]))).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoSuchExport { .. }), "{error}");
    assert_eq!((sched.live(), sched.totals().spawned, sched.step()), (0, 0, Step::Done));
}

// Panics.

/// A value that panics when it is dropped, with another of its kind as the payload, so many times.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Bomb(self.0 - 1));
        }
    }
}

/// Runs a task beside a healthy one, which must not notice, and returns its outcome.
fn beside_a_healthy_one(task: Task) -> String {
    let mut sched = sched(10);
    let healthy = sched.spawn(work([10; 3])).unwrap();
    let id = sched.spawn(task).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(sched.take_outcome(healthy).unwrap().name(), "returned");
    assert_eq!(sched.live(), 0);
    sched.take_outcome(id).unwrap().to_string()
}

#[test]
fn a_panic_in_a_poll_ends_that_task_alone() {
    assert_eq!(beside_a_healthy_one(doing(|| panic!("no such thing"))), "trapped: host panic: no such thing");
    assert_eq!(beside_a_healthy_one(doing(|| panic!("round {}", 7))), "trapped: host panic: round 7");
    let no_text = "trapped: host panic: a value that is no text";
    assert_eq!(beside_a_healthy_one(doing(|| std::panic::panic_any(7_u8))), no_text);
    assert_eq!(beside_a_healthy_one(doing(|| std::panic::panic_any(Bomb(3)))), no_text);
}

#[test]
fn a_panic_while_a_task_is_dropped_is_that_tasks_trouble_alone() {
    for depth in 1..4 {
        let bomb = Bomb(depth);
        let task = doing(move || {
            let _held = &bomb;
            Poll::Ready(Outcome::Returned(vec![Value::I32(1)]))
        });
        assert_eq!(beside_a_healthy_one(task), "returned 1");
    }
}

#[test]
fn a_panic_while_a_killed_task_is_dropped_leaves_the_executor_whole() {
    let mut sched = sched(10);
    let bomb = Bomb(2);
    let id = sched
        .spawn(doing(move || {
            let _held = &bomb;
            Poll::Pending
        }))
        .unwrap();
    sched.kill(id).unwrap();
    assert_eq!((sched.live(), sched.take_outcome(id).unwrap().name()), (0, "killed"));
    assert_eq!(sched.spawn(work([])).unwrap().index(), 0);
    assert_eq!(sched.run().why, RunEnd::Done);
}

// Policies.

/// What a [`Scripted`] policy was told.
type Told = Arc<Mutex<Vec<String>>>;

/// Last in, first out, with a grant of 10; takes so many tasks and no more; lets nobody run before a time.
struct Scripted {
    /// Who is ready.
    ready: Vec<TaskId>,
    /// How many more tasks it takes.
    room: usize,
    /// When the first may run.
    opens: Fuel,
    /// What it was told.
    told: Told,
}

impl Scripted {
    /// A policy that takes so many tasks.
    fn new(room: usize) -> Scripted {
        Scripted { ready: Vec::new(), room, opens: Fuel::ZERO, told: Told::default() }
    }

    /// Notes what it was told.
    fn note(&self, what: String) {
        self.told.lock().unwrap().push(what);
    }
}

impl Policy for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }
    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        self.room = self
            .room
            .checked_sub(1)
            .ok_or_else(|| ErrorKind::Refused { policy: "scripted", message: "it is full".into() })?;
        self.note(format!("admit {id} {:?}", params.quantum.map(|fuel| fuel.0)));
        Ok(())
    }
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.note(format!("ready {id} {why:?} {now}"));
        self.ready.push(id);
    }
    fn pick(&mut self, now: Fuel) -> Pick {
        if now < self.opens && !self.ready.is_empty() {
            return Pick::IdleUntil(self.opens);
        }
        match self.ready.pop() {
            Some(id) => Pick::Run(Run { id, grant: Fuel(10), why: PickReason::Other("last in") }),
            None => Pick::Empty,
        }
    }
    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        self.note(format!("charge {id} {used} {end}"));
        if matches!(end, SliceEnd::Preempted | SliceEnd::Yielded) {
            self.ready.push(id);
        }
    }
    fn leave(&mut self, id: TaskId) {
        self.note(format!("leave {id}"));
        self.ready.retain(|other| *other != id);
    }
    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        self.note(format!("set {id} {param:?}"));
        Ok(())
    }
}

#[test]
fn a_policy_is_told_what_its_contract_says() {
    let policy = Scripted::new(2);
    let told = policy.told.clone();
    let mut sched = Executor::builder().policy(policy).build();
    let a = sched.spawn(work([10]).param(Param::Quantum(Fuel(4)))).unwrap();
    let b = sched.spawn(endless()).unwrap();
    steps(&mut sched, 1);
    sched.set(a, Param::Quantum(Fuel(5))).unwrap();
    sched.suspend(b).unwrap();
    steps(&mut sched, 2);
    sched.resume(b).unwrap();
    sched.kill(b).unwrap();
    assert_eq!(sched.step(), Step::Done);
    let expected = [
        "admit 0.0 Some(4)",
        "ready 0.0 Spawned 0",
        "admit 1.0 None",
        "ready 1.0 Spawned 0",
        "charge 1.0 10 preempted",
        "set 0.0 Quantum(Fuel(5))",
        "charge 1.0 0 blocked", // it was picked, and the executor knew that it is suspended
        "charge 0.0 10 preempted",
        "charge 0.0 1 ended",
        "leave 0.0",
        "ready 1.0 Resumed 21",
        "leave 1.0", // killed while ready
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[test]
fn a_policy_that_refuses_a_task_leaves_nothing_behind() {
    let policy = Scripted::new(1);
    let mut sched = Executor::builder().policy(policy).observer(Log::default()).build();
    let only = sched.spawn(work([])).unwrap();
    let refused = sched.spawn(work([])).unwrap_err();
    assert_eq!(refused.to_string(), "the policy scripted does not take the task: it is full");
    assert_eq!((sched.live(), sched.totals().spawned), (1, 1));
    sched.run();
    assert!(sched.take(only).is_some());
    assert!(sched.spawn(work([])).is_err(), "with a free slot, too");
    sched.policy_mut().room = 2;
    let ids = [(); 2].map(|()| sched.spawn(work([])).unwrap());
    assert_eq!(ids, [TaskId::new(0, 1), TaskId::new(1, 0)]);
    sched.run();
    let ended: Vec<String> = logged(&mut sched).into_iter().filter(|line| line.ends_with("returned")).collect();
    assert_eq!(ended, ["a returned", "c returned", "b returned"], "no letter is lost on the refused");
}

#[test]
fn time_passes_idle_until_the_policy_lets_somebody_run() {
    let mut policy = Scripted::new(9);
    policy.opens = Fuel(1_000);
    let mut sched = Executor::builder().policy(policy).build();
    sched.spawn(work([10])).unwrap();
    let ran = sched.run();
    assert_eq!((ran.why, ran.fuel), (RunEnd::Done, Fuel(11)), "idle time is no fuel");
    assert_eq!(sched.now(), Fuel(1_011));
}

/// Says that nobody may run before now.
struct Past;

impl Policy for Past {
    fn name(&self) -> &'static str {
        "past"
    }
    fn admit(&mut self, _id: TaskId, _params: &Params) -> Result<()> {
        Ok(())
    }
    fn ready(&mut self, _id: TaskId, _why: ReadyReason, _now: Fuel) {}
    fn pick(&mut self, now: Fuel) -> Pick {
        Pick::IdleUntil(now)
    }
    fn charge(&mut self, _id: TaskId, _used: Fuel, _end: SliceEnd) {}
    fn leave(&mut self, _id: TaskId) {}
    fn set(&mut self, _id: TaskId, _param: Param) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_policy_that_idles_until_now_does_not_hang_the_executor() {
    let mut sched = Executor::builder().policy(Past).build();
    sched.spawn(work([])).unwrap();
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    sched.stop_all();
    assert_eq!(sched.step(), Step::Done);
}

/// Picks a task that was never there.
struct Dead;

impl Policy for Dead {
    fn name(&self) -> &'static str {
        "dead"
    }
    fn admit(&mut self, _id: TaskId, _params: &Params) -> Result<()> {
        Ok(())
    }
    fn ready(&mut self, _id: TaskId, _why: ReadyReason, _now: Fuel) {}
    fn pick(&mut self, _now: Fuel) -> Pick {
        Pick::Run(Run { id: TaskId::new(7, 0), grant: Fuel(1), why: PickReason::Turn })
    }
    fn charge(&mut self, _id: TaskId, _used: Fuel, _end: SliceEnd) {}
    fn leave(&mut self, _id: TaskId) {}
    fn set(&mut self, _id: TaskId, _param: Param) -> Result<()> {
        Ok(())
    }
}

#[test]
#[should_panic(expected = "the policy dead picked task 7.0, which does not live")]
fn a_policy_that_picks_the_dead_is_a_bug_and_is_named() {
    let _ = Executor::builder().policy(Dead).build().step();
}

#[test]
fn the_policy_can_be_exchanged_while_tasks_run() {
    let boxed = |policy: RoundRobin| Box::new(policy) as Box<dyn Policy>;
    let mut sched = Executor::builder().policy(boxed(RoundRobin::new(Fuel(10)))).observer(Log::default()).build();
    let [a, b, c] = [(); 3].map(|()| sched.spawn(endless()).unwrap());
    sched.set(c, Param::Quantum(Fuel(3))).unwrap();
    sched.suspend(a).unwrap();
    steps(&mut sched, 1);
    let scripted = Scripted::new(3);
    let told = scripted.told.clone();
    let old = sched.set_policy(Box::new(scripted)).unwrap();
    assert_eq!((old.name(), sched.policy().name()), ("round-robin", "scripted"));
    steps(&mut sched, 1);
    sched.resume(a).unwrap();
    steps(&mut sched, 1);
    sched.kill(b).unwrap();
    sched.set_policy(boxed(RoundRobin::new(Fuel(20)))).unwrap();
    steps(&mut sched, 3);
    let expected = [
        "b turn: 10/10 preempted",
        "c last in: 10/10 preempted", // b and c were inherited, in that order
        "a last in: 10/10 preempted",
        "b killed",
        "a turn: 20/20 preempted", // in the order of spawning
        "c turn: 3/3 preempted",   // its own quantum came along
        "a turn: 20/20 preempted",
    ];
    assert_eq!(logged(&mut sched), expected);
    let inherited =
        ["admit 0.0 None", "admit 1.0 None", "admit 2.0 Some(3)", "ready 1.0 Inherited 10", "ready 2.0 Inherited 10"];
    assert_eq!(told.lock().unwrap()[..5], inherited);
}

#[test]
fn a_new_policy_learns_of_the_tasks_in_the_order_in_which_they_were_spawned() {
    let mut sched: Executor<Box<dyn Policy>> = Executor::builder().policy(Box::new(Scripted::new(9)) as _).build();
    let [first, _] = [(); 2].map(|()| sched.spawn(endless()).unwrap());
    sched.kill(first).unwrap();
    assert!(sched.take(first).is_some());
    // It gets the first slot, and is younger than the task in the second.
    sched.spawn(endless()).unwrap();
    let policy = Scripted::new(9);
    let told = policy.told.clone();
    sched.set_policy(Box::new(policy)).unwrap();
    let expected = ["admit 1.0 None", "admit 0.1 None", "ready 1.0 Inherited 0", "ready 0.1 Inherited 0"];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[test]
fn a_policy_that_does_not_take_all_tasks_is_not_taken() {
    let mut sched: Executor<Box<dyn Policy>> = Executor::builder().policy(Box::new(Scripted::new(9)) as _).build();
    let ids = [(); 3].map(|()| sched.spawn(work([5])).unwrap());
    sched.suspend(ids[0]).unwrap();
    assert!(sched.set_policy(Box::new(Scripted::new(2))).is_err());
    sched.resume(ids[0]).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
}

#[test]
fn a_suspension_that_no_policy_has_learnt_of_outlasts_the_policy() {
    let mut sched = sched(10);
    let [a, b] = [(); 2].map(|()| sched.spawn(endless()).unwrap());
    sched.suspend(a).unwrap();
    sched.set_policy(RoundRobin::new(Fuel(20))).unwrap();
    steps(&mut sched, 2);
    sched.resume(a).unwrap();
    sched.suspend(b).unwrap();
    steps(&mut sched, 1);
    let expected = [
        "b turn: 20/20 preempted", // the new policy was told of b alone
        "b turn: 20/20 preempted",
        "a turn: 20/20 preempted",
    ];
    assert_eq!(logged(&mut sched), expected);
}

#[test]
fn a_task_can_have_a_quantum_of_its_own() {
    let mut sched = sched(10);
    let a = sched.spawn(endless().param(Param::Quantum(Fuel(3)))).unwrap();
    let b = sched.spawn(endless()).unwrap();
    steps(&mut sched, 2);
    sched.set(b, Param::Quantum(Fuel(7))).unwrap();
    let refused = sched.set(a, Param::Quantum(Fuel::ZERO)).unwrap_err();
    let message =
        "the policy round-robin does not take the task: a quantum of 0 would be an empty slice; it must be at least 1";
    assert_eq!(refused.to_string(), message);
    let refused = sched.spawn(endless().param(Param::Quantum(Fuel::ZERO))).unwrap_err();
    assert_eq!(refused.to_string(), message);
    steps(&mut sched, 2);
    let expected =
        ["a turn: 3/3 preempted", "b turn: 10/10 preempted", "a turn: 3/3 preempted", "b turn: 7/7 preempted"];
    assert_eq!(logged(&mut sched), expected);
    assert_eq!(sched.policy().numbers(b), [("quantum", 7), ("balance", 0)]);
}

// Observers.

/// Notes the picks.
#[derive(Debug, Default)]
struct Picks(Vec<(TaskId, Fuel, PickReason)>);

impl Observer for Picks {
    fn picked(&mut self, id: TaskId, grant: Fuel, why: PickReason) {
        self.0.push((id, grant, why));
    }
}

#[test]
fn several_observers_see_the_same() {
    let watching = ((Log::default(), Picks::default()), (Some(Log::default()), None::<Log>));
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).observer(watching).build();
    let id = sched.spawn(work([10])).unwrap();
    sched.run();
    let ((log, picks), (some, none)) = sched.observer();
    assert_eq!(log.0, ["a turn: 10/10 preempted", "a turn: 0/10 ended", "a returned"]);
    assert_eq!(Some(&log.0), some.as_ref().map(|log| &log.0));
    assert!(none.is_none());
    assert_eq!(picks.0, [(id, Fuel(10), PickReason::Turn); 2]);
}

#[test]
fn whoever_waits_at_the_end_of_all_time_waits_for_ever() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).build();
    // Two slices of 2^63 fuel, and the clock stands still.
    for _ in 0..2 {
        sched.spawn(work([1 << 63]).detached()).unwrap();
    }
    sched.run();
    assert_eq!(sched.now(), Fuel::MAX);
    // It owes 2^62 periods.
    let poor = sched.spawn(work([1 << 62]).replenishing(Fuel(1), Fuel(10))).unwrap();
    assert!(matches!(sched.step(), Step::Ran(_)));
    assert_eq!(sched.state(poor), Some(TaskState::Waiting { until: Fuel::MAX }));
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    // More fuel is more fuel.
    sched.refuel(poor, Fuel(1 << 63)).unwrap();
    assert!(matches!(sched.step(), Step::Ran(_)));
}
