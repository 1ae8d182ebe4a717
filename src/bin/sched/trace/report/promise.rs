//! What the policy promised to each task, to hold against what it had.
//!
//! | policy | promise |
//! |---|---|
//! | `round-robin`, `weighted`, `lottery` | a share of each slice by weight, among the tasks that were ready in it; on two levels where there are groups |
//! | `edf` | the runtime in each period, to tasks that have reserved one |
//! | `cyclic` | the windows of the frames |
//! | `priority`, `mlfq`, others | none |
//!
//! **Shares.** Of a slice that was charged `c`, a task that is ready in it is promised `c × w / Σw` over all that are. Added up over the slices
//! that is what an ideal machine would have given it that runs all of them at once (the fluid server of A. Demers, S. Keshav and S. Shenker, "Analysis and
//! Simulation of a Fair Queueing Algorithm", SIGCOMM 1989). The sums need no walk over the tasks: a level keeps what a weight of 1 has been
//! promised so far, and a task takes the difference between when it became ready and when it no longer is.
//!
//! **Where it is not known who was ready**, in recordings with waits, nothing is promised rather than something wrong.

use crate::make::Workshop;
use crate::plan::{Frames, GroupPlan, ModePlan, Plan, TaskPlan, Unit};
use crate::trace::timeline::MOST_ROWS;
use fuelsched::trace::events::{Act, Happened, What};
use std::collections::HashMap;

/// What was promised.
#[derive(Debug)]
pub(super) enum Promise {
    /// Shares by weight.
    Shares(Box<Fluid>),
    /// Fuel in periods.
    Reservations,
    /// Windows of a frame.
    Windows,
    /// Nothing, and why.
    Nothing(&'static str),
}

/// What stands for the part of a run that is looked at.
const PART: &str = "Only a part of the run is looked at, and promises are about all of it.";
/// What stands for a recording that says too little.
const UNTOLD: &str = "A recording does not say when a task that waited could run again, so its share among those that were ready is not known. \
                      Run it again with `sched run --replay FILE --report OUT.html`.";
/// What stands for policies with no shares.
const NO_SHARES: &str = "This policy promises who comes first, and no share of the fuel.";
/// What stands for windows by the system's clock.
const IN_TIME: &str = "The windows of this plan are measured in time, and this page goes by fuel.";

impl Promise {
    /// What the policy of a plan promises of a run that is looked at as a whole, or not.
    pub(super) fn of(plan: &Plan, whole: bool) -> Promise {
        let in_time = |frames: &Frames| frames.unit == Unit::Time;
        match plan.policy.name.as_str() {
            _ if !whole => Promise::Nothing(PART),
            "round-robin" => Promise::Shares(Box::new(Fluid::new(plan, false, false))),
            "lottery" => Promise::Shares(Box::new(Fluid::new(plan, true, false))),
            "weighted" => Promise::Shares(Box::new(Fluid::new(plan, true, true))),
            "edf" => Promise::Reservations,
            "cyclic" if plan.frames.as_ref().is_some_and(in_time) => Promise::Nothing(IN_TIME),
            "cyclic" => Promise::Windows,
            _ => Promise::Nothing(NO_SHARES),
        }
    }

    /// Takes what happened in a run of this plan; `of` is the place in it of a task that was spawned. `told` says that it is a recording's.
    pub(super) fn take(&mut self, event: &Happened, plan: &Plan, of: Option<usize>, told: bool) {
        let Promise::Shares(fluid) = self else {
            return;
        };
        if told && untold(event, plan, of) {
            *self = Promise::Nothing(UNTOLD);
            return;
        }
        fluid.take(event, of.map(|task| &plan.tasks[task]), told);
    }
}

/// Whether this leads to something that a recording does not tell.
fn untold(event: &Happened, plan: &Plan, of: Option<usize>) -> bool {
    match event.what {
        What::Ran(poll) => !poll.stop.is_ready() && !poll.stop.is_end(),
        What::Spawned { .. } => of.is_none_or(|task| plan.tasks[task].start > 0),
        _ => false,
    }
}

/// Which task of the plan it is that has this label.
pub(super) fn task_of(plan: &Plan, shop: Option<&Workshop>, label: u64) -> Option<usize> {
    let mut before = 0;
    for (position, task) in plan.tasks.iter().enumerate() {
        before += u64::from(task.copies);
        if label < before {
            return Some(position);
        }
    }
    shop?.task_of_spawned(label)
}

/// Those who share by weight.
#[derive(Debug, Default)]
struct Level {
    /// The weights of those that are ready, together.
    weight: u64,
    /// What a weight of 1 has been promised so far.
    each: f64,
}

/// A group among the others.
#[derive(Debug, Default)]
struct Group {
    /// Its weight.
    weight: u64,
    /// Its tasks.
    level: Level,
    /// What a weight of 1 had been promised on the level above when that was last handed down.
    since: f64,
}

/// A task that has not ended.
#[derive(Debug)]
struct Member {
    /// Its weight.
    weight: u64,
    /// Its group.
    group: Option<usize>,
    /// What a weight of 1 had been promised on its level when it became ready; nothing if it is not.
    since: Option<f64>,
    /// What it was promised before.
    promised: f64,
}

/// The ideal machine.
#[derive(Debug)]
pub(super) struct Fluid {
    /// Whether weights count.
    weighted: bool,
    /// Whether groups do.
    grouped: bool,
    /// Groups, and tasks in none.
    top: Level,
    /// The groups.
    groups: Vec<Group>,
    /// The tasks that have not ended, by their places in the order of spawning.
    members: HashMap<u64, Member>,
    /// What those that ended were promised, if they have a row.
    ended: HashMap<u64, f64>,
}

impl Fluid {
    /// A machine with no tasks.
    fn new(plan: &Plan, weighted: bool, grouped: bool) -> Fluid {
        let group = |group: &GroupPlan| Group { weight: group.weight.unwrap_or(1).into(), ..Group::default() };
        Fluid {
            weighted,
            grouped,
            top: Level::default(),
            groups: plan.groups.iter().map(group).collect(),
            members: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    /// Whether weights count, and whether groups do.
    pub(super) fn counts(&self) -> (bool, bool) {
        (self.weighted, self.grouped && !self.groups.is_empty())
    }

    /// What a task was promised, by its place in the order of spawning; nothing if that is not known.
    pub(super) fn promised(&self, task: u64) -> Option<f64> {
        let Some(member) = self.members.get(&task) else {
            return self.ended.get(&task).copied();
        };
        let each = member.group.map_or(self.top.each, |group| self.groups[group].each(&self.top));
        Some(member.promised + member.since.map_or(0.0, |since| member.weight as f64 * (each - since)))
    }

    /// Takes what happened; to this task of the plan, if one was spawned.
    fn take(&mut self, event: &Happened, of: Option<&TaskPlan>, told: bool) {
        match event.what {
            What::Spawned { task, .. } => {
                self.spawned(task, of);
                if told {
                    self.set_ready(task, true);
                }
            }
            What::Ready { task, .. } => self.set_ready(task, true),
            What::Ran(poll) => {
                self.set_ready(poll.task, true);
                self.top.each += poll.charged().0 as f64 / self.top.weight.max(1) as f64;
                if !poll.stop.is_ready() {
                    self.set_ready(poll.task, false);
                }
            }
            What::Control { task, act: Act::Suspend } => self.set_ready(task, false),
            What::Ended { task, .. } => self.leave(task),
            _ => {}
        }
    }

    /// A task is there.
    fn spawned(&mut self, task: u64, plan: Option<&TaskPlan>) {
        let weight = plan.and_then(|plan| plan.weight).filter(|_| self.weighted).unwrap_or(1).into();
        let group = plan.and_then(|plan| plan.group).filter(|group| self.grouped && *group < self.groups.len());
        self.members.insert(task, Member { weight, group, since: None, promised: 0.0 });
    }

    /// A task can run, or no longer can.
    fn set_ready(&mut self, task: u64, ready: bool) {
        let Some(member) = self.members.get_mut(&task).filter(|member| member.since.is_some() != ready) else {
            return;
        };
        let level = match member.group {
            Some(group) => self.groups[group].handed_down(&mut self.top, member.weight, ready),
            None => &mut self.top,
        };
        match member.since.take() {
            Some(since) => {
                level.weight -= member.weight;
                member.promised += member.weight as f64 * (level.each - since);
            }
            None => {
                level.weight += member.weight;
                member.since = Some(level.each);
            }
        }
    }

    /// A task is there no more.
    fn leave(&mut self, task: u64) {
        self.set_ready(task, false);
        if let Some(member) = self.members.remove(&task).filter(|_| task < MOST_ROWS as u64) {
            self.ended.insert(task, member.promised);
        }
    }
}

impl Group {
    /// What a weight of 1 in it has been promised so far.
    fn each(&self, top: &Level) -> f64 {
        let all = self.weight as f64 * (top.each - self.since);
        self.level.each + if self.level.weight > 0 { all / self.level.weight as f64 } else { 0.0 }
    }

    /// Its level, to which is handed down what the group was promised; and a task of this weight is about to come or to go.
    fn handed_down(&mut self, top: &mut Level, weight: u64, comes: bool) -> &mut Level {
        self.level.each = self.each(top);
        self.since = top.each;
        match comes {
            true if self.level.weight == 0 => top.weight += self.weight,
            false if self.level.weight == weight => top.weight -= self.weight,
            _ => {}
        }
        &mut self.level
    }
}

/// Fuel that the windows of each task come to, by its place in the plan, from the beginning of the virtual clock to `end`.
pub(super) fn windows(plan: &Plan, end: u64) -> Vec<f64> {
    let mut fuel = vec![0.0; plan.tasks.len()];
    let Some(frames) = &plan.frames else {
        return fuel;
    };
    let named = |name: &str| frames.modes.iter().find(|mode| mode.name == name);
    let mut changes: Vec<(u64, &ModePlan)> =
        frames.switches.iter().filter_map(|change| Some((change.after_frames, named(&change.mode)?))).collect();
    changes.sort_by_key(|(after, _)| *after);
    let (mut at, mut done, mut mode) = (0, 0, frames.modes.first());
    for (after, next) in changes.into_iter().map(|(after, next)| (after, Some(next))).chain([(u64::MAX, None)]) {
        let Some(present) = mode.filter(|mode| mode.frame > 0) else {
            return fuel;
        };
        let whole = (after - done).min((end - at) / present.frame);
        add_windows(&mut fuel, present, whole, present.frame);
        at += whole * present.frame;
        if done + whole < after {
            add_windows(&mut fuel, present, 1, end - at);
            return fuel;
        }
        (done, mode) = (after, next);
    }
    fuel
}

/// Adds the windows of so many frames, up to a place in them.
fn add_windows(fuel: &mut [f64], mode: &ModePlan, frames: u64, until: u64) {
    for window in &mode.windows {
        let length = window.length.min(until.saturating_sub(window.offset));
        if let Some(fuel) = window.task.and_then(|task| fuel.get_mut(task)) {
            *fuel += length as f64 * frames as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{SwitchPlan, WindowPlan};
    use fuelsched::Fuel;
    use fuelsched::reason::ReadyReason;
    use fuelsched::trace::events::{Length, Poll, Stop, Why};

    /// A plan of tasks with these weights and groups.
    fn plan(tasks: &[(u32, Option<usize>)], groups: &[u32]) -> Plan {
        let task = |(weight, group): &(u32, Option<usize>)| TaskPlan {
            weight: Some(*weight),
            group: *group,
            copies: 1,
            ..TaskPlan::default()
        };
        let group =
            |weight: &u32| GroupPlan { name: String::new(), weight: Some(*weight), budget: None, replenish: None };
        let (tasks, groups) = (tasks.iter().map(task).collect(), groups.iter().map(group).collect());
        Plan { tasks, groups, ..Plan::new() }
    }

    /// What was promised in a run in which all of these happened.
    fn promised(fluid: Fluid, plan: &Plan, events: &[What]) -> Vec<f64> {
        let mut promise = Promise::Shares(Box::new(fluid));
        for what in events {
            let of = matches!(what, What::Spawned { .. }).then(|| spawned_task(*what));
            promise.take(&Happened { at: Fuel::ZERO, time: 0, what: *what }, plan, of, false);
        }
        let Promise::Shares(fluid) = promise else { panic!("{promise:?}") };
        (0..plan.tasks.len() as u64).map(|task| fluid.promised(task).unwrap()).collect()
    }

    /// Which task it is that was spawned.
    fn spawned_task(what: What) -> usize {
        let What::Spawned { task, .. } = what else { panic!("{what:?}") };
        task as usize
    }

    fn spawned(task: u64) -> What {
        What::Spawned { task, label: task, by: None, released: Fuel::ZERO }
    }

    fn ready(task: u64) -> What {
        What::Ready { task, why: ReadyReason::Spawned, by: None }
    }

    fn ran(task: u64, used: u64, stop: Stop) -> What {
        let (grant, used) = (Fuel(used), Fuel(used));
        What::Ran(Poll { task, number: 1, grant, used, length: Length::default(), why: Why::Turn, stop })
    }

    #[test]
    fn shares_are_by_weight_among_those_that_are_ready() {
        let plan = plan(&[(1, None), (3, None)], &[]);
        let events = [
            spawned(0),
            spawned(1),
            ready(0),
            ran(0, 100, Stop::Preempted), // alone: 100
            ready(1),
            ran(0, 400, Stop::Preempted), // 100 and 300
            ran(1, 80, Stop::Blocked),    // 20 and 60
            ran(0, 50, Stop::Yielded),    // alone: 50
            ready(1),
            ran(1, 40, Stop::Returned), // 10 and 30
        ];
        assert_eq!(promised(Fluid::new(&plan, true, true), &plan, &events), [280.0, 390.0]);
        // Weights do not count for everybody: half of 400, 80 and 40.
        assert_eq!(promised(Fluid::new(&plan, false, false), &plan, &events), [410.0, 260.0]);
    }

    #[test]
    fn a_group_shares_what_it_is_promised() {
        let plan = plan(&[(1, Some(0)), (1, Some(0)), (1, Some(1)), (2, None)], &[2, 1]);
        let mut events: Vec<What> = (0..4).map(spawned).collect();
        events.extend([0, 2, 3].map(ready));
        // Group 0 has 2 of 5, group 1 has 1, the last task 2.
        events.push(ran(0, 500, Stop::Preempted));
        events.push(ready(1));
        events.push(ran(1, 500, Stop::Preempted));
        events.push(ran(2, 500, Stop::Exited));
        // Group 1 has nobody left: 2 and 2 of 4.
        events.push(ran(3, 400, Stop::Preempted));
        let all = promised(Fluid::new(&plan, true, true), &plan, &events);
        assert_eq!(all, [200.0 + 100.0 + 100.0 + 100.0, 100.0 + 100.0 + 100.0, 300.0, 600.0 + 200.0]);
    }

    #[test]
    fn a_recording_promises_nothing_once_somebody_waits() {
        let plan = plan(&[(1, None)], &[]);
        let mut promise = Promise::Shares(Box::new(Fluid::new(&plan, true, true)));
        let mut take = |what| {
            promise.take(&Happened { at: Fuel::ZERO, time: 0, what }, &plan, Some(0), true);
            matches!(promise, Promise::Nothing(_))
        };
        assert!(!take(spawned(0)) && !take(ran(0, 10, Stop::Preempted)) && take(ran(0, 10, Stop::Blocked)));
    }

    #[test]
    fn windows_are_counted_through_changes_of_mode() {
        let window = |task, offset, length| WindowPlan { task, offset, length };
        let mode = |name: &str, frame, windows| ModePlan { name: name.into(), frame, windows };
        let mut plan = plan(&[(1, None), (1, None)], &[]);
        let switches = vec![SwitchPlan { after_frames: 3, mode: "b".into() }];
        let a = mode("a", 100, vec![window(Some(0), 0, 30), window(None, 30, 20), window(Some(1), 50, 50)]);
        let b = mode("b", 10, vec![window(Some(1), 5, 5)]);
        plan.frames = Some(Frames { unit: Unit::Fuel, guard: 0, modes: vec![a, b], switches });
        assert_eq!(windows(&plan, 0), [0.0, 0.0]);
        assert_eq!(windows(&plan, 170), [60.0, 70.0]);
        assert_eq!(windows(&plan, 300), [90.0, 150.0]);
        assert_eq!(windows(&plan, 327), [90.0, 150.0 + 10.0 + 2.0]);
        assert!(windows(&plan, u64::MAX)[1] > 9e18);
    }
}
