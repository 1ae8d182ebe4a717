//! Weighted sharing: the bound that `policy::Weighted` promises, at every switch, for tasks and for groups.
//!
//! Over any interval in which two contestants of one level are ready throughout and no weight changes, their service divided by their
//! weights differs by at most `l_i / w_i + l_j / w_j`. "Any interval" is every pair of switches, so the largest and the
//! smallest difference seen since both became ready is what is compared. All is multiplied by both weights, so that it is compared in integers.

use super::conduct::{Act, Conduct, conduct, quantum};
use crate::support::{Slices, endless, work};
use fuelsched::policy::{Policy, Weighted};
use fuelsched::reason::Param;
use fuelsched::trace::{Observer, Slice};
use fuelsched::{Budget, Executor, Fuel, Group, GroupId, RunEnd, SliceEnd, Step, Task, TaskId, TaskState};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// How one random task behaves.
#[derive(Clone, Debug)]
struct Shape {
    /// Its weight.
    weight: u32,
    /// Which group it is in, if that is one of [`GROUPS`].
    group: usize,
    /// What it does.
    conduct: Conduct,
}

/// How many groups there are.
const GROUPS: usize = 2;

impl Shape {
    /// The task.
    fn task(&self, groups: &[GroupId], now: Fuel) -> Task {
        let task = self.conduct.task(now).param(Param::Weight(self.weight));
        match groups.get(self.group) {
            Some(group) => task.group(*group),
            None => task,
        }
    }
}

/// Weights: small ones, and now and then any.
fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 1..9_u32, 1 => 1..=u32::MAX, 1 => Just(u32::MAX)]
}

/// Random shapes: small overshoots, now and then one of many quanta, and some that could not be paid in a century.
fn shape() -> impl Strategy<Value = Shape> {
    let act = prop_oneof![
        12 => (0..20_u64).prop_map(Act::Past),
        3 => (0..100_000_u64).prop_map(Act::Past),
        3 => (0..3_000_u64).prop_map(Act::Yield),
    ];
    let acts = prop_oneof![
        40 => prop::collection::vec(act, 1..5),
        1 => Just(vec![Act::Past(1), Act::Past(1 << 62)]),
    ];
    let polls = prop_oneof![3 => Just(u64::MAX), 1 => 0..20_u64];
    let allowance = prop::option::weighted(0.15, (1..5_000_u64, 1..20_000_u64));
    (weight(), 0..GROUPS + 2, conduct(acts, polls, allowance)).prop_map(|(weight, group, conduct)| Shape {
        weight,
        group,
        conduct,
    })
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
    /// Changes a task's weight.
    Weight(usize, u32),
    /// Changes a task's quantum.
    Quantum(usize, u64),
    /// Changes a group's weight.
    GroupWeight(usize, u32),
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
        2 => (who(), weight()).prop_map(|(who, weight)| Deed::Weight(who, weight)),
        1 => (who(), quantum()).prop_map(|(who, quantum)| Deed::Quantum(who, quantum)),
        1 => (0..GROUPS, weight()).prop_map(|(group, weight)| Deed::GroupWeight(group, weight)),
        3 => (1..4_000_u64, 1..30_u64).prop_map(|(fuel, polls)| Deed::Run(fuel, polls)),
        6 => (1..60_u64).prop_map(|polls| Deed::Run(u64::MAX, polls)),
    ]
}

/// A task or a group, as the bound sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Contestant {
    /// The group in which it competes; `None` for groups and tasks in none.
    level: Option<usize>,
    /// Its weight.
    weight: u32,
    /// Its largest quantum so far.
    quantum: u64,
    /// Its largest overshoot so far.
    overshoot: u64,
    /// Its largest quantum and its largest overshoot so far together; for a group, that of its tasks.
    largest: i128,
    /// Fuel charged so far.
    served: i128,
    /// Whether it is ready.
    ready: bool,
}

/// An observer that checks the bound at every switch.
#[derive(Debug, Default)]
struct Bound {
    /// The groups, and then the tasks in the order of spawning.
    all: Vec<Contestant>,
    /// By pair of contestants: the least and the most of the difference since both became ready.
    seen: BTreeMap<(usize, usize), (i128, i128)>,
    /// How often a pair was compared.
    compared: u64,
}

impl Bound {
    /// Intervals that this contestant is in begin anew.
    fn begin_anew(&mut self, who: usize) {
        self.seen.retain(|(a, b), _| *a != who && *b != who);
    }

    /// Whether a contestant is ready by now.
    fn set_ready(&mut self, who: usize, ready: bool) {
        if self.all[who].ready != ready {
            self.all[who].ready = ready;
            self.begin_anew(who);
        }
    }

    /// A group is ready if one of its tasks is.
    fn review_groups(&mut self) {
        for group in 0..GROUPS {
            let ready = self.all.iter().any(|task| task.level == Some(group) && task.ready);
            self.set_ready(group, ready);
        }
    }

    /// Enters a task's largest slice so far.
    fn enlarge(&mut self, who: usize, quantum: u64, overshoot: u64) {
        let task = &mut self.all[who];
        task.quantum = quantum.max(task.quantum);
        task.overshoot = overshoot.max(task.overshoot);
        task.largest = i128::from(task.quantum) + i128::from(task.overshoot);
        let (level, largest) = (task.level, task.largest);
        if let Some(group) = level {
            self.all[group].largest = self.all[group].largest.max(largest);
        }
    }

    /// Compares each pair of ready contestants of one level.
    fn look(&mut self) {
        for (a, x) in self.all.iter().enumerate().filter(|(_, x)| x.ready) {
            for (b, y) in self.all.iter().enumerate().skip(a + 1).filter(|(_, y)| y.ready && y.level == x.level) {
                let (wx, wy) = (i128::from(x.weight), i128::from(y.weight));
                let difference = x.served * wy - y.served * wx;
                let (least, most) = self.seen.entry((a, b)).or_insert((difference, difference));
                *least = difference.min(*least);
                *most = difference.max(*most);
                // The last term is 2^-31 fuel for rounding, and 0 unless the weights are huge.
                let bound = x.largest * wy + y.largest * wx + ((wx * wy) >> 31);
                assert!(*most - *least <= bound, "{a} {x:?} and {b} {y:?}: {least} to {most}, and {bound} is allowed");
                self.compared += 1;
            }
        }
    }
}

impl Observer for Bound {
    fn slice(&mut self, slice: &Slice) {
        let who = GROUPS + slice.spawn_index as usize;
        // Whose time came within this step was not ready after the one before.
        self.set_ready(who, true);
        self.review_groups();
        self.look();
        self.enlarge(who, slice.grant.0, slice.overshoot().0);
        let charged = i128::from(slice.charged.0);
        self.all[who].served += charged;
        if let Some(group) = self.all[who].level {
            self.all[group].served += charged;
        }
        // The slice counts for the interval that it ends.
        self.look();
        if let SliceEnd::Blocked | SliceEnd::Ended = slice.end {
            self.set_ready(who, false);
        }
        self.review_groups();
    }
}

/// A host, and what it has.
struct Host {
    /// Its executor.
    sched: Executor<Weighted, Bound>,
    /// Tasks in the order of spawning; some long gone.
    ids: Vec<TaskId>,
    /// Groups.
    groups: Vec<GroupId>,
}

impl Host {
    /// A host with no tasks, and groups of these weights.
    fn new(weights: [u32; GROUPS]) -> Host {
        let mut sched = Executor::builder().policy(Weighted::new(Fuel(1))).observer(Bound::default()).build();
        let groups = weights.map(|weight| {
            sched.observer_mut().all.push(Contestant { weight, ..Contestant::default() });
            sched.add_group(Group::new().weight(weight))
        });
        Host { sched, ids: Vec::new(), groups: groups.into() }
    }

    /// Tells the observer who is ready, and lets it look.
    fn look(&mut self) {
        for (index, id) in self.ids.iter().enumerate() {
            let ready = self.sched.state(*id) == Some(TaskState::Ready);
            self.sched.observer_mut().set_ready(GROUPS + index, ready);
        }
        let bound = self.sched.observer_mut();
        bound.review_groups();
        bound.look();
    }

    /// Spawns a task.
    fn spawn(&mut self, shape: &Shape) {
        let level = (shape.group < GROUPS).then_some(shape.group);
        let contestant = Contestant { level, weight: shape.weight, ..Contestant::default() };
        let bound = self.sched.observer_mut();
        bound.all.push(contestant);
        bound.enlarge(GROUPS + self.ids.len(), shape.conduct.quantum, 0);
        let task = shape.task(&self.groups, self.sched.now());
        self.ids.push(self.sched.spawn(task).unwrap());
    }

    /// Does what the host does. Whether the task lives is the executor's to know.
    fn act(&mut self, deed: &Deed) {
        let id = |who: &usize| self.ids.get(*who).copied().unwrap_or(TaskId::new(u32::MAX, 0));
        match deed {
            Deed::Spawn(shape) => self.spawn(shape),
            Deed::Kill(who) => drop(self.sched.kill(id(who))),
            Deed::Suspend(who) => drop(self.sched.suspend(id(who))),
            Deed::Resume(who) => drop(self.sched.resume(id(who))),
            Deed::Weight(who, weight) => {
                if self.sched.set_weight(id(who), *weight).is_ok() {
                    self.reweigh(GROUPS + who, *weight);
                }
            }
            Deed::Quantum(who, quantum) => {
                if self.sched.set_quantum(id(who), Fuel(*quantum)).is_ok() {
                    self.sched.observer_mut().enlarge(GROUPS + who, *quantum, 0);
                }
            }
            Deed::GroupWeight(group, weight) => {
                self.sched.set_group_weight(self.groups[*group], *weight).unwrap();
                self.reweigh(*group, *weight);
            }
            Deed::Run(fuel, polls) => self.run(*fuel, *polls),
        }
        self.look();
    }

    /// Notes a new weight.
    fn reweigh(&mut self, who: usize, weight: u32) {
        let bound = self.sched.observer_mut();
        bound.all[who].weight = weight;
        bound.begin_anew(who);
    }

    /// Makes polls one by one, and looks after each.
    fn run(&mut self, mut fuel: u64, polls: u64) {
        for _ in 0..polls {
            let ran = self.sched.run_for(Budget::fuel(fuel).or_polls(1));
            self.look();
            if fuel < u64::MAX {
                fuel -= ran.fuel.0.min(fuel);
            }
            if ran.why != RunEnd::BudgetSpent || fuel == 0 {
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn service_follows_weights_whatever_the_host_does(
        weights in [weight(), weight()],
        first in prop::collection::vec(shape(), 1..6),
        deeds in prop::collection::vec(deed(), 1..40),
    ) {
        let mut host = Host::new(weights);
        for shape in first {
            host.act(&Deed::Spawn(shape));
        }
        for deed in deeds {
            host.act(&deed);
        }
        host.act(&Deed::Run(u64::MAX, 100));
        // Whoever is still there can be ended.
        host.sched.stop_all();
        prop_assert_eq!(host.sched.run().why, RunEnd::Done);
        prop_assert_eq!(host.sched.live(), 0);
        for group in host.groups {
            prop_assert!(host.sched.remove_group(group).is_ok());
        }
    }
}

/// An executor that remembers its slices.
fn sched(quantum: u64) -> Executor<Weighted, Slices> {
    Executor::builder().policy(Weighted::new(Fuel(quantum))).observer(Slices::default()).build()
}

/// An endless task of this weight.
fn heavy(weight: u32) -> Task {
    endless().param(Param::Weight(weight))
}

/// Who ran since this was asked last, as letters in the order of spawning.
fn order(sched: &mut Executor<Weighted, Slices>) -> String {
    let slices = std::mem::take(&mut sched.observer_mut().0);
    slices.iter().map(|slice| char::from(b'a' + slice.spawn_index as u8)).collect()
}

/// Makes polls, and says who ran.
fn polls(sched: &mut Executor<Weighted, Slices>, n: u64) -> String {
    sched.run_for(Budget::polls(n));
    order(sched)
}

#[test]
fn the_order_of_one_two_four() {
    let mut sched = sched(4);
    for weight in [1, 2, 4] {
        sched.spawn(heavy(weight)).unwrap();
    }
    // Passes begin at 4, 2, 1, and rise by as much; among equal ones whoever has waited longest comes first.
    assert_eq!(polls(&mut sched, 14), "cbccabccbccabc");
    // The passes are 12, 10 and 9, and the virtual time is 8: b's lead of 2 becomes 1, and from then on it gets as much as c.
    sched.set_weight(TaskId::new(1, 0), 4).unwrap();
    assert_eq!(polls(&mut sched, 9), "bcbcbcabc");
}

#[test]
fn weights_one_two_four_get_ten_twenty_forty_million() {
    let mut sched = sched(10_000);
    let ids = [1, 2, 4].map(|weight| sched.spawn(heavy(weight)).unwrap());
    sched.run_for(Budget::fuel(70_000_000));
    let used = ids.map(|id| sched.ledger(id).unwrap().used.0);
    for (used, share) in used.into_iter().zip([10_000_000, 20_000_000, 40_000_000_u64]) {
        assert!(used.abs_diff(share) <= 20_000, "{used} of {share}");
    }
}

#[test]
fn groups_share_by_their_weights_and_their_tasks_by_theirs() {
    let mut sched = sched(100);
    let [one, three] = [1, 3].map(|weight| sched.add_group(Group::new().weight(weight)));
    let mut spawn = |weight, group| sched.spawn(heavy(weight).group(group)).unwrap();
    // 3 of 5 for the large group: 1 and 5 sixths of it. 1 of 5 for the small one, 1 of 5 for the task in none.
    let ids = [spawn(1, three), spawn(5, three), spawn(7, one), spawn(7, one)];
    let alone = sched.spawn(endless()).unwrap();
    sched.run_for(Budget::fuel(3_000_000));
    let used = |id| sched.ledger(id).unwrap().used.0;
    let expected = [300_000, 1_500_000, 300_000, 300_000];
    for (id, share) in ids.into_iter().zip(expected) {
        assert!(used(id).abs_diff(share) <= 500, "{} of {share}", used(id));
    }
    assert!(used(alone).abs_diff(600_000) <= 500, "{}", used(alone));
}

#[test]
fn a_sleeper_cannot_hoard() {
    let mut sched = sched(10);
    let [sleeper, _other] = [(); 2].map(|()| sched.spawn(endless()).unwrap());
    sched.suspend(sleeper).unwrap();
    assert_eq!(polls(&mut sched, 50), "b".repeat(50));
    sched.resume(sleeper).unwrap();
    assert_eq!(polls(&mut sched, 6), "ababab");
}

#[test]
fn a_debt_outlasts_a_new_weight() {
    let mut sched = sched(10);
    let a = sched.spawn(work([10, 80, 10])).unwrap();
    sched.spawn(endless()).unwrap();
    // Its second slice puts a 70 ahead of what it was granted.
    assert_eq!(polls(&mut sched, 3), "aba");
    assert_eq!(sched.policy().numbers(a), [("weight", 1), ("lead", 80), ("quantum", 10)]);
    // Twice the weight makes half the lead of the same fuel: 40, which b uses up.
    sched.set_weight(a, 2).unwrap();
    assert_eq!(sched.policy().numbers(a), [("weight", 2), ("lead", 80), ("quantum", 10)]);
    assert_eq!(polls(&mut sched, 6), "bbbbab");
}

#[test]
fn a_chain_of_new_tasks_starves_nobody() {
    let mut sched = sched(10);
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

#[test]
fn sharing_outlasts_more_than_a_u64_counts() {
    let mut sched = sched(1);
    for _ in 0..8 {
        sched.spawn(work([u64::MAX / 2]).detached()).unwrap();
        sched.run();
    }
    let [a, b] = [1, 3].map(|weight| sched.spawn(heavy(weight)).unwrap());
    sched.run_for(Budget::polls(1_000));
    assert_eq!([a, b].map(|id| sched.ledger(id).unwrap().used), [Fuel(250), Fuel(750)]);
}

#[test]
fn a_weight_of_nothing_is_refused_and_a_group_of_none_weighs_one() {
    let mut sched = sched(10);
    let refused = sched.spawn(heavy(0)).unwrap_err();
    assert!(refused.to_string().contains("at least 1"), "{refused}");
    let id = sched.spawn(heavy(3)).unwrap();
    assert!(sched.set_weight(id, 0).is_err());
    assert!(sched.set_priority(id, 1).is_err());
    let group = sched.add_group(Group::new().weight(0));
    let member = sched.spawn(endless().group(group)).unwrap();
    sched.run_for(Budget::fuel(4_000));
    assert_eq!([id, member].map(|id| sched.ledger(id).unwrap().used), [Fuel(3_000), Fuel(1_000)]);
}
