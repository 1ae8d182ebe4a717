//! Fixed priorities: who may run before whom, equal shares within a level, and with ageing a bound on every wait.

use super::conduct::{Act, Conduct, conduct, quantum};
use crate::support::{Slices, endless, work};
use fuelsched::policy::{Policy, Priority};
use fuelsched::reason::{Param, PickReason};
use fuelsched::trace::{Observer, Slice};
use fuelsched::{Budget, Executor, Fuel, Outcome, RunEnd, SliceEnd, Step, Task, TaskId, TaskState};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

/// The highest priority of a random task.
const TOP: u8 = 4;

/// How one random task behaves.
#[derive(Clone, Debug)]
struct Shape {
    /// Its priority.
    priority: u8,
    /// What it does.
    conduct: Conduct,
}

impl Shape {
    /// The task.
    fn task(&self, now: Fuel) -> Task {
        self.conduct.task(now).param(Param::Priority(self.priority))
    }
}

/// Random shapes: small overshoots, now and then one of many quanta. Those on the highest level often have little to do, or
/// without ageing nobody else would run.
fn shape() -> impl Strategy<Value = Shape> {
    let act = prop_oneof![
        12 => (0..20_u64).prop_map(Act::Past),
        2 => (0..30_000_u64).prop_map(Act::Past),
        3 => (0..3_000_u64).prop_map(Act::Yield),
    ];
    let acts = prop::collection::vec(act, 1..5);
    let polls = prop_oneof![2 => Just(u64::MAX), 2 => 0..20_u64];
    let allowance = prop::option::weighted(0.3, (1..5_000_u64, 1..60_000_u64));
    (0..=TOP, conduct(acts, polls, allowance)).prop_map(|(priority, conduct)| Shape { priority, conduct })
}

/// What a host may do between steps.
#[derive(Clone, Debug)]
enum Deed {
    /// Spawns a task.
    Spawn(Shape),
    /// Kills a task.
    Kill(usize),
    /// Suspends one.
    Suspend(usize),
    /// Resumes one.
    Resume(usize),
    /// Changes a task's priority.
    Priority(usize, u8),
    /// Changes a task's quantum.
    Quantum(usize, u64),
    /// Makes so many polls, of so much fuel in all.
    Run(u64, u64),
}

/// A random deed.
fn deed() -> impl Strategy<Value = Deed> {
    let who = || 0..10_usize;
    prop_oneof![
        4 => shape().prop_map(Deed::Spawn),
        1 => who().prop_map(Deed::Kill),
        2 => who().prop_map(Deed::Suspend),
        2 => who().prop_map(Deed::Resume),
        2 => (who(), 0..=TOP).prop_map(|(who, priority)| Deed::Priority(who, priority)),
        1 => (who(), quantum()).prop_map(|(who, quantum)| Deed::Quantum(who, quantum)),
        3 => (1..4_000_u64, 1..30_u64).prop_map(|(fuel, polls)| Deed::Run(fuel, polls)),
        6 => (1..60_u64).prop_map(|polls| Deed::Run(u64::MAX, polls)),
    ]
}

/// A task, as the rules see it.
#[derive(Clone, Debug)]
struct Known {
    /// Its priority.
    priority: u8,
    /// Its quantum.
    quantum: u64,
    /// Its largest quantum so far.
    largest_quantum: u64,
    /// Its largest overshoot so far.
    overshoot: u64,
    /// Fuel that its last slice used beyond its grant.
    debt: u64,
    /// When its wait began, or when it has sat out what it owes; nothing after a slice.
    since: i128,
    /// Fuel charged so far.
    served: i128,
    /// Where it is in its life.
    state: Option<TaskState>,
    /// Its wait, while it is ready.
    wait: Option<Wait>,
}

/// How long a task may wait.
#[derive(Clone, Debug)]
struct Wait {
    /// From this moment on, whoever begins to wait is behind it.
    turning_point: i128,
    /// Who was ready, suspended or running at that moment; only they may run before it.
    ahead: Option<Vec<usize>>,
}

impl Known {
    /// Whether it is ready.
    fn is_ready(&self) -> bool {
        self.state == Some(TaskState::Ready)
    }

    /// Its longest turn so far.
    fn turn(&self) -> i128 {
        i128::from(self.largest_quantum) + i128::from(self.overshoot)
    }
}

/// An observer that checks what the policy promises at every switch.
#[derive(Debug, Default)]
struct Rules {
    /// The ageing, if there is one.
    ageing: Option<u64>,
    /// The tasks, in the order of spawning.
    tasks: Vec<Known>,
    /// Without ageing, by pair of tasks of one level: the least and the most of the difference in service since both became ready.
    seen: BTreeMap<(usize, usize), (i128, i128)>,
}

impl Rules {
    /// Where a task is by now.
    fn set_state(&mut self, who: usize, state: Option<TaskState>, now: Fuel) {
        let was = self.tasks[who].is_ready();
        self.tasks[who].state = state;
        if was != self.tasks[who].is_ready() {
            self.begin_anew(who, now);
        }
    }

    /// Intervals that this task is in begin anew, and so does its wait.
    fn begin_anew(&mut self, who: usize, now: Fuel) {
        self.seen.retain(|(a, b), _| *a != who && *b != who);
        self.begin_wait(who, now);
    }

    /// A task begins to wait, if it is ready.
    fn begin_wait(&mut self, who: usize, now: Fuel) {
        let others = self.tasks.iter().filter(|task| task.state.is_some()).count() as i128 - 1;
        let task = &mut self.tasks[who];
        let rounds = i128::from(task.debt / task.quantum);
        let owes = if rounds == 0 { 0 } else { rounds * i128::from(task.quantum) * others + i128::from(task.quantum) };
        let rise = i128::from(TOP - task.priority) * i128::from(self.ageing.unwrap_or(0));
        // What it has begun to sit out it sits out, although others have left meanwhile.
        task.since = task.since.max(i128::from(now.0) + owes);
        let turning_point = task.since + rise;
        task.wait = task.is_ready().then_some(Wait { turning_point, ahead: None });
    }

    /// Checks that nobody waits for longer than it may; `ran` is who ran last.
    fn look_at_waits(&mut self, now: Fuel, ran: Option<usize>) {
        if self.ageing.is_none() {
            return;
        }
        let now = i128::from(now.0);
        let can_be_ahead = |task: &Known| matches!(task.state, Some(TaskState::Ready | TaskState::Suspended));
        let all: Vec<usize> =
            (0..self.tasks.len()).filter(|i| Some(*i) == ran || can_be_ahead(&self.tasks[*i])).collect();
        let turns: Vec<i128> = self.tasks.iter().map(Known::turn).collect();
        for (who, task) in self.tasks.iter_mut().enumerate() {
            let Some(wait) = &mut task.wait else { continue };
            if now <= wait.turning_point {
                continue;
            }
            let ahead = wait.ahead.get_or_insert_with(|| all.clone());
            let sum: i128 = ahead.iter().filter(|other| **other != who).map(|other| turns[*other]).sum();
            assert!(now <= wait.turning_point + sum, "task {who} waits at {now}: {wait:?}, {sum} allowed, {turns:?}");
        }
    }

    /// Compares each pair of ready tasks of one level.
    fn look_at_pairs(&mut self) {
        if self.ageing.is_some() {
            return;
        }
        for (a, x) in self.tasks.iter().enumerate().filter(|(_, x)| x.is_ready()) {
            let same = |y: &Known| y.is_ready() && y.priority == x.priority;
            for (b, y) in self.tasks.iter().enumerate().skip(a + 1).filter(|(_, y)| same(y)) {
                let difference = x.served - y.served;
                let (least, most) = self.seen.entry((a, b)).or_insert((difference, difference));
                *least = difference.min(*least);
                *most = difference.max(*most);
                let bound = x.turn() + y.turn();
                assert!(*most - *least <= bound, "{a} {x:?} and {b} {y:?}: {least} to {most}, and {bound} is allowed");
            }
        }
    }

    /// Whether the reason for a pick is a good one.
    fn look_at_reason(&self, slice: &Slice) {
        let priority = self.tasks[slice.spawn_index as usize].priority;
        let higher_than = |task: &&Known| task.priority > priority;
        if slice.why == PickReason::Level(u32::from(priority)) {
            let higher = self.tasks.iter().filter(|task| task.is_ready()).find(higher_than);
            assert!(higher.is_none(), "{slice:?} and {higher:?} is ready");
        } else {
            assert_eq!(slice.why, PickReason::Aged);
            assert!(self.ageing.is_some());
            assert!(self.tasks.iter().filter(|task| task.state.is_some()).any(|task| higher_than(&task)));
        }
    }
}

impl Observer for Rules {
    fn slice(&mut self, slice: &Slice) {
        let who = slice.spawn_index as usize;
        self.look_at_reason(slice);
        // Whose time came within this step was not ready after the one before.
        self.set_state(who, Some(TaskState::Ready), slice.at);
        self.look_at_pairs();
        let task = &mut self.tasks[who];
        task.debt = slice.charged.minus(slice.grant).0;
        task.since = 0;
        task.overshoot = task.overshoot.max(task.debt);
        task.served += i128::from(slice.charged.0);
        self.look_at_pairs();
        let now = slice.at.plus(slice.charged);
        match slice.end {
            SliceEnd::Preempted | SliceEnd::Yielded => self.begin_wait(who, now),
            _ => self.set_state(who, Some(TaskState::Suspended), now),
        }
    }
}

/// A host, and what it has.
struct Host {
    /// Its executor.
    sched: Executor<Priority, Rules>,
    /// Tasks in the order of spawning; some long gone.
    ids: Vec<TaskId>,
}

impl Host {
    /// A host with no tasks.
    fn new(ageing: Option<u64>) -> Host {
        let policy = Priority::new(Fuel(1));
        let policy = match ageing {
            Some(fuel) => policy.ageing(Fuel(fuel)),
            None => policy,
        };
        let rules = Rules { ageing, ..Rules::default() };
        Host { sched: Executor::builder().policy(policy).observer(rules).build(), ids: Vec::new() }
    }

    /// Tells the observer who is where, and lets it look.
    fn look(&mut self, ran: Option<usize>) {
        let now = self.sched.now();
        for (index, id) in self.ids.iter().enumerate() {
            let state = self.sched.state(*id);
            self.sched.observer_mut().set_state(index, state, now);
        }
        self.sched.observer_mut().look_at_waits(now, ran);
        self.sched.observer_mut().look_at_pairs();
    }

    /// Spawns a task.
    fn spawn(&mut self, shape: &Shape) {
        let (priority, quantum) = (shape.priority, shape.conduct.quantum);
        self.sched.observer_mut().tasks.push(Known {
            priority,
            quantum,
            largest_quantum: quantum,
            overshoot: 0,
            debt: 0,
            since: 0,
            served: 0,
            state: None,
            wait: None,
        });
        let task = shape.task(self.sched.now());
        self.ids.push(self.sched.spawn(task).unwrap());
    }

    /// Does what the host does. Whether the task lives is the executor's to know.
    fn act(&mut self, deed: &Deed) {
        let now = self.sched.now();
        let id = |who: &usize| self.ids.get(*who).copied().unwrap_or(TaskId::new(u32::MAX, 0));
        match deed {
            Deed::Spawn(shape) => self.spawn(shape),
            Deed::Kill(who) => drop(self.sched.kill(id(who))),
            Deed::Suspend(who) => drop(self.sched.suspend(id(who))),
            Deed::Resume(who) => drop(self.sched.resume(id(who))),
            Deed::Priority(who, priority) => {
                if self.sched.set_priority(id(who), *priority).is_ok() {
                    self.sched.observer_mut().tasks[*who].priority = *priority;
                    self.sched.observer_mut().begin_anew(*who, now);
                }
            }
            Deed::Quantum(who, quantum) => {
                if self.sched.set_quantum(id(who), Fuel(*quantum)).is_ok() {
                    let task = &mut self.sched.observer_mut().tasks[*who];
                    task.quantum = *quantum;
                    task.largest_quantum = task.largest_quantum.max(*quantum);
                }
            }
            Deed::Run(fuel, polls) => self.run(*fuel, *polls),
        }
        self.look(None);
    }

    /// Makes polls one by one, and looks after each.
    fn run(&mut self, mut fuel: u64, polls: u64) {
        for _ in 0..polls {
            let before: Vec<i128> = self.sched.observer().tasks.iter().map(|task| task.served).collect();
            let ran = self.sched.run_for(Budget::fuel(fuel).or_polls(1));
            let who = self.sched.observer().tasks.iter().zip(before).position(|(task, before)| task.served > before);
            self.look(who);
            if fuel < u64::MAX {
                fuel -= ran.fuel.0.min(fuel);
            }
            if ran.why != RunEnd::BudgetSpent || fuel == 0 {
                break;
            }
        }
    }
}

/// Lets a host do all this.
fn check(ageing: Option<u64>, first: Vec<Shape>, deeds: Vec<Deed>) {
    let mut host = Host::new(ageing);
    for shape in first {
        host.act(&Deed::Spawn(shape));
    }
    for deed in deeds {
        host.act(&deed);
    }
    host.act(&Deed::Run(u64::MAX, 100));
    // Whoever is still there can be ended.
    host.sched.stop_all();
    assert_eq!(host.sched.run().why, RunEnd::Done);
    assert_eq!(host.sched.live(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_lower_level_runs_while_a_higher_is_ready_and_shares_within_one_are_equal(
        first in prop::collection::vec(shape(), 1..6),
        deeds in prop::collection::vec(deed(), 1..40),
    ) {
        check(None, first, deeds);
    }

    #[test]
    fn with_ageing_every_wait_ends(
        ageing in prop_oneof![1..50_u64, 1..20_000_u64],
        first in prop::collection::vec(shape(), 1..6),
        deeds in prop::collection::vec(deed(), 1..40),
    ) {
        check(Some(ageing), first, deeds);
    }
}

/// An executor that remembers its slices.
fn sched(policy: Priority) -> Executor<Priority, Slices> {
    Executor::builder().policy(policy).observer(Slices::default()).build()
}

/// A task of this priority.
fn at(priority: u8, task: Task) -> Task {
    task.param(Param::Priority(priority))
}

/// Makes polls, and says who ran, as letters in the order of spawning, in capitals where the task had aged.
fn polls(sched: &mut Executor<Priority, Slices>, n: u64) -> String {
    sched.run_for(Budget::polls(n));
    let slices = std::mem::take(&mut sched.observer_mut().0);
    let letter = |slice: Slice| {
        let first = if slice.why == PickReason::Aged { b'A' } else { b'a' };
        char::from(first + slice.spawn_index as u8)
    };
    slices.into_iter().map(letter).collect()
}

#[test]
fn the_highest_level_runs_in_turns_until_it_has_nobody() {
    let mut sched = sched(Priority::new(Fuel(10)));
    sched.spawn(endless()).unwrap();
    for _ in 0..2 {
        sched.spawn(at(7, work([10, 10]))).unwrap();
    }
    sched.spawn(at(3, work([10]))).unwrap();
    assert_eq!(polls(&mut sched, 6), "bcbcbc"); // the third poll of each is its end
    assert_eq!(polls(&mut sched, 4), "ddaa");
    // A new one is ahead at once.
    sched.spawn(at(255, work([10]))).unwrap();
    assert_eq!(polls(&mut sched, 3), "eea");
}

#[test]
fn overshoot_is_paid_back_within_a_level() {
    let mut sched = sched(Priority::new(Fuel(10)));
    sched.spawn(work([40, 10, 10])).unwrap();
    sched.spawn(endless()).unwrap();
    assert_eq!(polls(&mut sched, 8), "abbbbaba");
}

#[test]
fn a_turn_that_the_host_cuts_goes_on_before_those_of_its_level() {
    let mut sched = sched(Priority::new(Fuel(10)));
    let [a, _] = [(); 2].map(|()| sched.spawn(endless()).unwrap());
    sched.run_for(Budget::fuel(4));
    let urgent = sched.spawn(at(1, work([10]))).unwrap();
    // a, cut after 4; then whoever is more urgent; then the other 6.
    assert_eq!(polls(&mut sched, 4), "accab");
    assert_eq!(sched.ledger(a).unwrap().used, Fuel(10));
    assert_eq!(sched.state(urgent), Some(TaskState::Ended));
    assert_eq!(polls(&mut sched, 2), "ab");
}

#[test]
fn a_new_priority_counts_at_once_and_debts_go_along() {
    let mut sched = sched(Priority::new(Fuel(10)));
    let a = sched.spawn(work([40, 10, 10])).unwrap();
    let [b, _c] = [(); 2].map(|()| sched.spawn(endless()).unwrap());
    assert_eq!(polls(&mut sched, 3), "abc");
    sched.set_priority(b, 9).unwrap();
    assert_eq!(polls(&mut sched, 2), "bb");
    sched.set_priority(a, 9).unwrap();
    // a is 40 ahead of the level that it left, so it is 40 ahead of where b's latest turn began, and b has three more.
    assert_eq!(polls(&mut sched, 5), "bbbab");
    assert!(sched.set_weight(a, 1).is_err());
}

#[test]
fn whoever_waits_rises() {
    // One level in 20 fuel.
    let mut sched = sched(Priority::new(Fuel(10)).ageing(Fuel(20)));
    let low = sched.spawn(endless()).unwrap();
    sched.spawn(at(2, endless())).unwrap();
    // a waits since 0 and has risen two levels at 40, when b has just ended its fourth turn.
    assert_eq!(polls(&mut sched, 3), "bbb");
    assert_eq!(sched.policy().numbers(low), [("priority", 0), ("level", 1), ("quantum", 10)]);
    assert_eq!(polls(&mut sched, 7), "bAbbbbA");
}

#[test]
fn with_ageing_turns_come_in_order_and_overshoot_is_paid_back() {
    let mut sched = sched(Priority::new(Fuel(10)).ageing(Fuel(1_000)));
    let greedy = Task::from_future(|meter| {
        poll_fn(move |_| {
            meter.record(meter.used().plus(meter.grant()).plus(Fuel(37)));
            Poll::<Outcome>::Pending
        })
    });
    let ids = [greedy, endless(), endless()].map(|task| sched.spawn(task).unwrap());
    sched.run_for(Budget::fuel(300_000));
    for id in ids {
        let used = sched.ledger(id).unwrap().used.0;
        assert!(used.abs_diff(100_000) <= 1_000, "{used} of a third");
    }
}

#[test]
fn a_chain_of_new_tasks_starves_nobody_of_its_level() {
    for policy in [Priority::new(Fuel(10)), Priority::new(Fuel(10)).ageing(Fuel(100))] {
        let mut sched = sched(policy);
        let old = [(); 3].map(|()| sched.spawn(endless()).unwrap());
        for _ in 0..400 {
            // Two new ones for each poll, each of which ends in its first.
            for _ in 0..2 {
                sched.spawn(work([]).detached()).unwrap();
            }
            assert!(matches!(sched.step(), Step::Ran(_)));
        }
        for id in old {
            assert!(sched.ledger(id).unwrap().slices >= 5, "{:?}", sched.ledger(id));
        }
    }
}

#[test]
fn ageing_outlasts_the_clock() {
    let mut sched = sched(Priority::new(Fuel(10)).ageing(Fuel(20)));
    for _ in 0..5 {
        sched.spawn(work([u64::MAX / 2]).detached()).unwrap();
        sched.run();
    }
    assert_eq!(sched.now(), Fuel::MAX);
    let low = sched.spawn(endless()).unwrap();
    sched.spawn(at(2, endless())).unwrap();
    sched.run_for(Budget::polls(60));
    assert_eq!(sched.ledger(low).unwrap().slices, 12, "every fifth turn");
}
