//! The multi-level feedback queue: the whole order of slices against the rules written down naively, and the two bounds that it promises
//! against nothing but the slices themselves.

use super::conduct::{Act, acting};
use crate::support::{Slices, endless, work};
use fuelsched::policy::{Mlfq, Pick, Policy, Run};
use fuelsched::reason::{Control, Param, Params, PickReason, ReadyReason};
use fuelsched::trace::{Ended, Observer, Slice, Spawned};
use fuelsched::{Budget, Executor, Fuel, Result, SliceEnd, TaskId};
use proptest::prelude::*;

/// The rules, with no thought for cost.
#[derive(Debug, Default)]
struct Naive {
    /// Allotment of level 0, boost, and lowest level.
    settings: (u64, u64, u32),
    /// When the next boost is due.
    next_boost: u64,
    /// Everybody that is known.
    all: Vec<Known>,
    /// The order in which those that are ready stand, whatever their levels.
    line: Vec<TaskId>,
}

/// What [`Naive`] knows of a task.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Who.
    id: TaskId,
    /// Allotment of level 0.
    quantum: u64,
    /// Level.
    level: u32,
    /// Used of the allotment.
    used: u64,
    /// Left of an open turn.
    rest: u64,
}

impl Naive {
    /// With these settings.
    fn new(quantum: u64, boost: u64, levels: u8) -> Naive {
        Naive { settings: (quantum, boost, u32::from(levels) - 1), next_boost: boost, ..Naive::default() }
    }

    /// What is known of a task.
    fn known(&mut self, id: TaskId) -> &mut Known {
        self.all.iter_mut().find(|known| known.id == id).unwrap()
    }

    /// The level of a task.
    fn level(&self, id: TaskId) -> u32 {
        self.all.iter().find(|known| known.id == id).unwrap().level
    }
}

impl Policy for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }
    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        let quantum = params.quantum.map_or(self.settings.0, |fuel| fuel.0);
        self.all.push(Known { id, quantum, level: 0, used: 0, rest: 0 });
        Ok(())
    }
    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        self.line.push(id);
    }
    fn pick(&mut self, now: Fuel) -> Pick {
        if now.0 >= self.next_boost {
            self.next_boost = now.0 + self.settings.1;
            let levels: Vec<u32> = self.all.iter().map(|known| known.level).collect();
            let level = |id: &TaskId| levels[self.all.iter().position(|known| known.id == *id).unwrap()];
            self.line.sort_by_key(level);
            for known in &mut self.all {
                (known.level, known.used, known.rest) = (0, 0, known.rest.min(known.quantum));
            }
        }
        let first = self.line.iter().copied().enumerate().min_by_key(|(place, id)| (self.level(*id), *place));
        let Some((place, id)) = first else { return Pick::Empty };
        self.line.remove(place);
        let known = self.known(id);
        let why = if known.rest > 0 { PickReason::Continued } else { PickReason::Level(known.level) };
        if known.rest == 0 {
            known.rest = (known.quantum << known.level).saturating_sub(known.used).max(1);
        }
        Pick::Run(Run { id, grant: Fuel(known.rest), why })
    }
    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let lowest = self.settings.2;
        let known = self.known(id);
        known.used += used.0;
        if end == SliceEnd::Preempted && used.0 < known.rest {
            known.rest -= used.0;
            return self.line.insert(0, id);
        }
        known.rest = 0;
        while known.used >= known.quantum << known.level {
            known.used -= known.quantum << known.level;
            if known.level == lowest {
                break;
            }
            known.level += 1;
        }
        if matches!(end, SliceEnd::Preempted | SliceEnd::Yielded) {
            self.line.push(id);
        }
    }
    fn leave(&mut self, id: TaskId) {
        self.all.retain(|known| known.id != id);
        self.line.retain(|other| *other != id);
    }
    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        if let Param::Quantum(quantum) = param {
            self.known(id).quantum = quantum.0;
        }
        Ok(())
    }
}

/// What a host does.
#[derive(Clone, Debug)]
enum Deed {
    /// Spawns a task with a quantum of its own, perhaps.
    Spawn(Vec<Act>, Option<u64>),
    /// Spawns one that waits for fuel every so often.
    Sleeper(u64, u64),
    /// Kills one.
    Kill(usize),
    /// Suspends one.
    Suspend(usize),
    /// Resumes one.
    Resume(usize),
    /// Changes the quantum of one.
    Set(usize, u64),
    /// Runs for so much fuel and so many polls.
    Run(u64, u64),
}

/// What a task may do: small overshoots, now and then a large one, and yields.
fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Past(0)),
        2 => (0..20_u64).prop_map(Act::Past),
        1 => (0..5_000_u64).prop_map(Act::Past),
        3 => (1..40_u64).prop_map(Act::Yield),
    ]
}

/// What a host may do.
fn deed() -> impl Strategy<Value = Deed> {
    let acts = prop::collection::vec(act(), 1..4);
    let fuel = prop_oneof![1..300_u64, Just(u64::MAX)];
    prop_oneof![
        4 => (acts, prop::option::of(1..60_u64)).prop_map(|(acts, quantum)| Deed::Spawn(acts, quantum)),
        1 => (1..50_u64, 1..500_u64).prop_map(|(amount, period)| Deed::Sleeper(amount, period)),
        1 => (0..9_usize).prop_map(Deed::Kill),
        2 => (0..9_usize).prop_map(Deed::Suspend),
        2 => (0..9_usize).prop_map(Deed::Resume),
        1 => (0..9_usize, 1..60_u64).prop_map(|(who, quantum)| Deed::Set(who, quantum)),
        8 => (fuel, 1..40_u64).prop_map(|(fuel, polls)| Deed::Run(fuel, polls)),
    ]
}

/// Quantum, boost and levels.
fn settings() -> impl Strategy<Value = (u64, u64, u8)> {
    (1..50_u64, prop_oneof![1..20_u64, 100..3_000_u64], 1..6_u8)
}

/// Does the deeds.
fn act_out<P: Policy, O: Observer>(policy: P, observer: O, deeds: &[Deed]) -> Executor<P, O> {
    let mut sched = Executor::builder().policy(policy).observer(observer).build();
    let mut ids: Vec<TaskId> = Vec::new();
    for deed in deeds {
        let who = |place: usize| ids.get(place).copied().unwrap_or(TaskId::new(u32::MAX, 0));
        // Whether the task lives is the executor's to know.
        let _ = match deed {
            Deed::Spawn(acts, quantum) => {
                let task = quantum
                    .iter()
                    .fold(acting(acts.clone(), u64::MAX), |task, quantum| task.param(Param::Quantum(Fuel(*quantum))));
                ids.push(sched.spawn(task.detached()).unwrap());
                Ok(())
            }
            Deed::Sleeper(amount, period) => {
                let task = endless().replenishing(Fuel(*amount), Fuel(*period));
                ids.push(sched.spawn(task.detached()).unwrap());
                Ok(())
            }
            Deed::Kill(place) => sched.kill(who(*place)).map(|_| ()),
            Deed::Suspend(place) => sched.suspend(who(*place)),
            Deed::Resume(place) => sched.resume(who(*place)),
            Deed::Set(place, quantum) => sched.set_quantum(who(*place), Fuel(*quantum)),
            Deed::Run(fuel, polls) => {
                sched.run_for(Budget::fuel(*fuel).or_polls(*polls));
                Ok(())
            }
        };
    }
    sched
}

/// Checks both bounds at each slice, by what an observer sees.
#[derive(Debug)]
struct Bounds {
    /// The policy's quantum, its boost, and its lowest level.
    settings: (u64, u64, u32),
    /// By the order of spawning.
    tasks: Vec<Watched>,
    /// The virtual clock after the latest slice.
    now: u64,
}

/// What [`Bounds`] knows of a task.
#[derive(Clone, Debug)]
struct Watched {
    /// Whether it is ready.
    ready: bool,
    /// Since when it waits for a slice.
    since: u64,
    /// Fuel used in all.
    used: u64,
    /// The largest quantum that it ever had.
    quantum: u64,
    /// The largest overshoot of its slices.
    over: u64,
    /// By task: turns begun since `since`.
    turns: Vec<u32>,
}

impl Bounds {
    /// Nobody.
    fn new(settings: (u64, u64, u8)) -> Bounds {
        Bounds { settings: (settings.0, settings.1, u32::from(settings.2) - 1), tasks: Vec::new(), now: 0 }
    }

    /// A task begins to wait.
    fn wait(&mut self, who: usize) {
        let tasks = self.tasks.len();
        let task = &mut self.tasks[who];
        (task.ready, task.since, task.turns) = (true, self.now, vec![0; tasks]);
    }

    /// The longest that anybody may wait: boost, the slice in which it falls due, and a turn of level 0 of each other.
    fn longest(&self, who: usize) -> u64 {
        let (_, boost, lowest) = self.settings;
        let due = self.tasks.iter().map(|task| (task.quantum << lowest) + task.over).max().unwrap_or_default();
        let others = self.tasks.iter().enumerate().filter(|(other, _)| *other != who);
        boost + due + others.map(|(_, task)| task.quantum + task.over).sum::<u64>()
    }
}

impl Observer for Bounds {
    fn spawned(&mut self, task: &Spawned) {
        let quantum = task.params.quantum.map_or(self.settings.0, |fuel| fuel.0);
        let new = Watched { ready: true, since: self.now, used: 0, quantum, over: 0, turns: Vec::new() };
        self.tasks.push(new);
        self.wait(self.tasks.len() - 1);
    }
    fn control(&mut self, spawn_index: u64, control: &Control) {
        let who = spawn_index as usize;
        match control {
            Control::Suspend => self.tasks[who].ready = false,
            Control::Resume => self.wait(who),
            _ => {}
        }
    }
    fn slice(&mut self, slice: &Slice) {
        let who = slice.spawn_index as usize;
        let begins = slice.why != PickReason::Continued;
        self.tasks[who].over = self.tasks[who].over.max(slice.overshoot().0);
        self.now = slice.at.0 + slice.charged.0;
        for other in 0..self.tasks.len() {
            if other == who || !self.tasks[other].ready {
                continue;
            }
            let most = self.longest(other);
            let task = &mut self.tasks[other];
            task.turns.resize(task.turns.len().max(who + 1), 0);
            task.turns[who] += u32::from(begins);
            let waited = self.now - task.since;
            assert!(waited <= most, "task {other} waits for {waited}, and {most} is the most");
            // Whoever has never used a quantum has never left level 0.
            if task.used < task.quantum {
                assert!(task.turns[who] <= 1, "task {who} gets ahead of task {other} twice");
                let lower = matches!(slice.why, PickReason::Level(level) if level > 0);
                assert!(!lower, "task {who} runs on {} ahead of task {other}", slice.why);
            }
        }
        self.tasks[who].used += slice.charged.0;
        self.wait(who);
        self.tasks[who].ready = slice.end != SliceEnd::Blocked;
    }
    fn ended(&mut self, task: &Ended) {
        self.tasks[task.spawn_index as usize].ready = false;
    }
}

/// Deeds without those that an observer cannot follow: tasks that wait for fuel, and quanta that change.
fn observable(deeds: Vec<Deed>) -> Vec<Deed> {
    deeds.into_iter().filter(|deed| !matches!(deed, Deed::Sleeper(..) | Deed::Set(..))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_that_of_the_rules(settings in settings(), deeds in prop::collection::vec(deed(), 1..50)) {
        let (quantum, boost, levels) = settings;
        let policy = Mlfq::new(Fuel(quantum)).boost(Fuel(boost)).levels(levels);
        let ours = act_out(policy, Slices::default(), &deeds);
        let rules = act_out(Naive::new(quantum, boost, levels), Slices::default(), &deeds);
        prop_assert_eq!(&ours.observer().0, &rules.observer().0);
    }

    #[test]
    fn the_interactive_get_ahead_and_nobody_starves(
        settings in settings(), deeds in prop::collection::vec(deed(), 1..50)
    ) {
        let (quantum, boost, levels) = settings;
        let policy = Mlfq::new(Fuel(quantum)).boost(Fuel(boost)).levels(levels);
        act_out(policy, Bounds::new(settings), &observable(deeds));
    }
}

/// The slices as `task why: used/grant`.
fn log<P: Policy>(sched: &Executor<P, Slices>) -> Vec<String> {
    let line = |s: &Slice| format!("{} {}: {}/{}", char::from(b'a' + s.spawn_index as u8), s.why, s.used.0, s.grant.0);
    sched.observer().0.iter().map(line).collect()
}

#[test]
fn hogs_go_down_and_come_back_with_the_boost() {
    let policy = Mlfq::new(Fuel(10)).levels(3).boost(Fuel(150));
    let mut sched = Executor::builder().policy(policy).observer(Slices::default()).build();
    sched.spawn(endless()).unwrap();
    sched.spawn(acting(vec![Act::Yield(4)], u64::MAX)).unwrap();
    sched.run_for(Budget::polls(7));
    sched.spawn(work([3])).unwrap();
    sched.run_for(Budget::polls(7));
    let expected = [
        "a level 0: 10/10", // all of it: down
        "b level 0: 4/10",
        "b level 0: 4/6",   // it is alone up there
        "b level 0: 2/2",   // yields, and has used up its 10 all the same
        "a level 1: 20/20", // it was there first
        "b level 1: 4/20",
        "b level 1: 4/16", // 48 so far
        "c level 0: 3/10", // a new one begins on top
        "c level 0: 0/7",  // and ends; charged 1
        "b level 1: 4/12",
        "b level 1: 4/8",
        "b level 1: 4/4",
        "a level 2: 40/40", // 104
        "b level 2: 4/40",
    ];
    assert_eq!(log(&sched), expected);
    assert_eq!(sched.policy().numbers(TaskId::new(1, 0)), [("level", 2), ("used", 4), ("quantum", 10)]);
    sched.run_for(Budget::polls(12));
    let expected = [
        "a level 2: 40/40", // 148, and the next boost is due at 150
        "b level 2: 4/36",
        "a level 0: 10/10", // both are back, in the order in which they stood
        "b level 0: 4/10",
    ];
    assert_eq!(log(&sched)[14..18], expected);
}

#[test]
fn a_turn_that_was_cut_goes_on_after_whoever_is_above() {
    let policy = Mlfq::new(Fuel(10));
    let mut sched = Executor::builder().policy(policy).observer(Slices::default()).build();
    sched.spawn(endless()).unwrap();
    sched.spawn(endless()).unwrap();
    sched.run_for(Budget::fuel(25));
    sched.spawn(work([])).unwrap();
    sched.run_for(Budget::polls(3));
    let expected = [
        "a level 0: 10/10",
        "b level 0: 10/10",
        "a level 1: 5/5", // cut
        "c level 0: 0/10",
        "a continued: 15/15",
        "b level 1: 20/20",
    ];
    assert_eq!(log(&sched), expected);
}
