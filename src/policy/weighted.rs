//! Weighted fair sharing by virtual time, in two levels: whoever is furthest behind its share runs next.
//!
//! **Source.** Stride scheduling: C. A. Waldspurger and W. E. Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource Management",
//! MIT/LCS/TM-528, 1995; and Waldspurger's thesis of the same year, whose `client_modify` is how a weight changes here. There a pass is
//! advanced by a whole quantum, or by the part that was used. Here it is advanced after the slice by what was charged, however much, and that
//! makes it start-time fair queueing: P. Goyal, H. M. Vin and H. Cheng, "Start-time Fair Queueing", SIGCOMM 1996, with its virtual time.
//!
//! **Why not EEVDF** (I. Stoica and H. Abdel-Wahab, 1995). It orders by virtual deadlines, so it needs the length of a request beforehand, and a
//! guest stops at the yield point that it comes to: one `memory.fill` makes a slice of any length. Start-time fair queueing looks at the
//! beginning of a slice only, wants nothing declared, and is still fair when the capacity that it has to give varies, which is what makes two
//! levels compose: the tasks of a group share what the group gets, whenever it gets it.
//!
//! **Algorithm.** A contestant has a *pass*: fuel that it was charged, divided by its weight. The smallest pass runs next, among equal ones who
//! came first. The *virtual time* of a level is the pass of whoever was picked last; it never goes back. Who becomes ready gets
//! the larger of its own pass and the virtual time: a debt stays, and there is no credit for having slept. Who is new starts one quantum ahead
//! of the virtual time, as in Waldspurger's `client_init`, so that the virtual time gets on whoever arrives: a chain of new tasks
//! starves nobody. When a weight changes, the fuel that the contestant is ahead stays what it is, and its lead over the virtual time
//! becomes that fuel divided by the new weight.
//!
//! **Groups.** A group competes with its weight among the other groups and the tasks in none, and whatever it gets its tasks share by their
//! own weights, in a level with a virtual time of its own. A tenant that starts a new task for each thing it does gains nothing by it.
//!
//! **Fairness.** Let `l` be a task's largest quantum and its largest overshoot together, and of a group the largest `l` of its tasks. *At every
//! moment each ready contestant `k` of a level, whose virtual time is `v`, has a pass from `v` to `v + l_k / w_k`.* Proof: who is picked has the
//! smallest pass, so `v` becomes that pass and is still no larger than any; the slice adds at most `l_k` to what was charged, so the pass
//! becomes at most `v + l_k / w_k`. Since `v` never goes back, a pass that is let stand keeps within the bound, ready or not. Whoever
//! becomes ready is raised to `v` at most, a newcomer to `v + quantum / w_k`. A new weight takes a lead of `f / w` to `f / w'`, and `f` is at
//! most `l_k`. ∎ A contestant that is ready throughout an interval in which no weight changes has been charged its weight times what its pass rose.
//! So for two of them, over any interval,
//!
//! ```text
//! |W_i / w_i − W_j / w_j|  ≤  l_i / w_i + l_j / w_j
//! ```
//!
//! for two tasks of one group, for two tasks of none, for two groups, and for a group and a task of none. Arrivals, departures, kills,
//! sleep, and slices that the host cuts short (each is charged what it used) change nothing in it. And who is ready waits, while nobody arrives, at
//! most until each other contestant `i` has had `l_i + w_i × l_k / w_k`.
//!
//! **Arithmetic.** Passes are 128-bit fixed-point numbers with 32 bits of fraction, and the remainder of each division is carried to the next, so a
//! pass is exact but for less than 2^-32, however many slices there were; that adds 2^-31 fuel to the bound, which is nothing where the
//! product of the weights is less than 2^31. Sums saturate: after 2^32 slices of 2^64 fuel all passes are equal, and tasks take turns.
//!
//! **Cost.** O(log n) in the contestants of a level; for a task in a group once in the group and once among the groups.

use super::{Pick, Policy, ReadyQueue, Run, Table, refuse, refuse_param, slot_of};
use crate::error::{Error, Result};
use crate::reason::{Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, GroupId, TaskId};

/// Bits of a pass that are fractions of fuel.
const FRACTION: u32 = 32;

/// The policy `weighted`: service in proportion to weights, charged by exact fuel.
///
/// It knows the parameters `weight` (1 unless given) and `quantum`, and groups with weights.
///
/// ```
/// use fuelsched::policy::Weighted;
/// use fuelsched::{Executor, Fuel};
///
/// let sched = Executor::builder().policy(Weighted::new(Fuel(1000))).build();
/// assert_eq!(sched.policy().quantum(), Fuel(1000));
/// ```
#[derive(Debug)]
pub struct Weighted {
    /// Fuel a slice, for tasks with no quantum of their own.
    quantum: Fuel,
    /// The tasks that are in no group, and the groups.
    top: Level,
    /// The tasks in groups, by group: see [`row`].
    groups: Table<Group>,
    /// The state of each task.
    tasks: Table<Task>,
}

/// What the policy knows of a task beside its share.
#[derive(Clone, Copy, Debug)]
struct Task {
    /// Fuel a slice.
    quantum: Fuel,
    /// The row of the group that it is in.
    group: Option<TaskId>,
    /// Its seat in the level where it competes.
    seat: u32,
}

/// A group of tasks.
#[derive(Debug)]
struct Group {
    /// Its seat among the groups and the tasks in none.
    seat: u32,
    /// Its tasks.
    tasks: Level,
}

/// Contestants who share what they get by their weights.
#[derive(Debug, Default)]
struct Level {
    /// All of them, ready or not. Seats of those who are gone stay, and are used again.
    seats: Vec<Seat>,
    /// Seats that are free.
    free: Vec<u32>,
    /// Those who are ready and do not run, by seat, in the order of pass and arrival.
    ready: ReadyQueue<(u128, u64)>,
    /// The virtual time: the pass of whoever was picked last.
    now: u128,
    /// How often somebody was put among the ready.
    arrivals: u64,
}

/// The share of one contestant.
#[derive(Clone, Copy, Debug)]
struct Seat {
    /// Who it is.
    who: Contestant,
    /// Its weight; at least 1.
    weight: u32,
    /// Whether it has never been ready.
    new: bool,
    /// Fuel charged for each unit of weight, in units of 2^-32.
    pass: u128,
    /// What the last division left: less than the weight.
    rest: u32,
}

/// Who competes in a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    /// A task.
    Task(TaskId),
    /// A group, by its row.
    Group(TaskId),
}

impl Seat {
    /// Moves the pass on by fuel, which is given in units of 2^-32.
    #[inline]
    fn advance(&mut self, fuel: u128) {
        let fuel = fuel.saturating_add(u128::from(self.rest));
        let weight = u128::from(self.weight);
        self.pass = self.pass.saturating_add(fuel / weight);
        self.rest = (fuel % weight) as u32;
    }

    /// The fuel that it is ahead of this virtual time, in units of 2^-32; exact.
    fn ahead(&self, now: u128) -> u128 {
        let lead = self.pass.saturating_sub(now);
        lead.saturating_mul(u128::from(self.weight)).saturating_add(u128::from(self.rest))
    }

    /// Puts it where the virtual time is.
    fn stand_at(&mut self, now: u128) {
        self.pass = now;
        self.rest = 0;
    }
}

impl Level {
    /// Takes somebody in, not yet ready. Says which seat.
    fn join(&mut self, who: Contestant, weight: u32) -> u32 {
        let seat = Seat { who, weight, new: true, pass: 0, rest: 0 };
        match self.free.pop() {
            Some(index) => {
                self.seats[index as usize] = seat;
                index
            }
            None => {
                self.seats.push(seat);
                self.seats.len() as u32 - 1
            }
        }
    }

    /// Forgets whoever has the seat.
    fn part(&mut self, seat: u32) {
        self.ready.remove(entry(seat));
        self.free.push(seat);
    }

    /// Whether all seats are free.
    fn is_deserted(&self) -> bool {
        self.seats.len() == self.free.len()
    }

    /// Whoever has the seat can run from now on: at its own pass, but not before the virtual time.
    fn wake(&mut self, seat: u32, quantum: Fuel) {
        let now = self.now;
        let share = &mut self.seats[seat as usize];
        if share.new {
            share.new = false;
            share.stand_at(now);
            share.advance(u128::from(quantum.0) << FRACTION);
        } else if share.pass < now {
            share.stand_at(now);
        }
        self.enter(seat);
    }

    /// Puts whoever has the seat among the ready, behind those with the same pass.
    #[inline]
    fn enter(&mut self, seat: u32) {
        self.ready.insert((self.seats[seat as usize].pass, self.arrivals), entry(seat));
        self.arrivals += 1;
    }

    /// Takes out who is furthest behind.
    #[inline]
    fn pick(&mut self) -> Option<Contestant> {
        let ((pass, _), entry) = self.ready.pop()?;
        self.now = pass;
        Some(self.seats[entry.index()].who)
    }

    /// Books what whoever has the seat was charged.
    #[inline]
    fn charge(&mut self, seat: u32, used: Fuel) {
        self.seats[seat as usize].advance(u128::from(used.0) << FRACTION);
    }

    /// Changes a weight. The fuel that the contestant is ahead stays.
    fn weigh(&mut self, seat: u32, weight: u32) {
        let now = self.now;
        let share = &mut self.seats[seat as usize];
        let ahead = if share.pass >= now { share.ahead(now) } else { 0 };
        share.weight = weight;
        share.stand_at(share.pass.min(now));
        share.advance(ahead);
        let pass = share.pass;
        if let Some((_, arrival)) = self.ready.key(entry(seat)) {
            self.ready.insert((pass, arrival), entry(seat));
        }
    }
}

/// A seat as the queue names it.
fn entry(seat: u32) -> TaskId {
    TaskId::new(seat, 0)
}

/// The row of a group, in a table whose rows go by tasks: positions of groups are as dense as those of tasks.
fn row(group: GroupId) -> TaskId {
    TaskId::new(group.index() as u32, group.generation())
}

impl Weighted {
    /// Weighted sharing with this much fuel a slice; a quantum of 0 is taken as 1, because a slice cannot be empty.
    #[must_use]
    pub fn new(quantum: Fuel) -> Weighted {
        Weighted { quantum: quantum.max(Fuel(1)), top: Level::default(), groups: Table::new(), tasks: Table::new() }
    }

    /// Fuel a slice, for tasks with no quantum of their own.
    #[must_use]
    pub fn quantum(&self) -> Fuel {
        self.quantum
    }

    /// The level in which a task competes.
    #[inline]
    fn level(&mut self, task: Task) -> &mut Level {
        match task.group {
            Some(group) => &mut self.groups[group].tasks,
            None => &mut self.top,
        }
    }

    /// Sees to it that a group is among the ready if one of its tasks is.
    fn review(&mut self, group: TaskId) {
        let Group { seat, tasks } = &self.groups[group];
        if tasks.ready.is_empty() {
            self.top.ready.remove(entry(*seat));
        } else if self.top.ready.key(entry(*seat)).is_none() {
            self.top.enter(*seat);
        }
    }
}

impl Policy for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        let quantum = params.quantum.unwrap_or(self.quantum);
        let weight = params.weight.unwrap_or(1);
        check(quantum, weight)?;
        let group = params.group.map(row);
        if group.is_some_and(|group| self.groups.get(group).is_none()) {
            return Err(refuse("weighted", "the task is in a group that was never made, or is gone"));
        }
        let mut task = Task { quantum, group, seat: 0 };
        task.seat = self.level(task).join(Contestant::Task(id), weight);
        self.tasks.insert(id, task);
        Ok(())
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        let task = self.tasks[id];
        self.level(task).wake(task.seat, task.quantum);
        if let Some(group) = task.group {
            let seat = self.groups[group].seat;
            if self.top.ready.key(entry(seat)).is_none() {
                self.top.wake(seat, task.quantum);
            }
        }
    }

    #[inline]
    fn pick(&mut self, _now: Fuel) -> Pick {
        let picked = match self.top.pick() {
            // A group is among the ready only while one of its tasks is.
            Some(Contestant::Group(group)) => self.groups[group].tasks.pick(),
            other => other,
        };
        match picked {
            Some(Contestant::Task(id)) => Pick::Run(Run { id, grant: self.tasks[id].quantum, why: PickReason::Behind }),
            _ => Pick::Empty,
        }
    }

    fn upcoming(&self) -> [u32; 3] {
        // Of the tasks that are in no group.
        let task = |seat: TaskId| match self.top.seats[seat.index()].who {
            Contestant::Task(id) => Some(id),
            Contestant::Group(_) => None,
        };
        self.top.ready.first_three().map(|seat| slot_of(seat.and_then(task)))
    }

    #[inline]
    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let task = self.tasks[id];
        let level = self.level(task);
        level.charge(task.seat, used);
        if let SliceEnd::Preempted | SliceEnd::Yielded = end {
            level.enter(task.seat);
        }
        if let Some(group) = task.group {
            self.top.charge(self.groups[group].seat, used);
            self.review(group);
        }
    }

    fn leave(&mut self, id: TaskId) {
        let Some(task) = self.tasks.remove(id) else {
            return;
        };
        self.level(task).part(task.seat);
        if let Some(group) = task.group {
            self.review(group);
        }
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        let task = self.tasks[id];
        match param {
            Param::Quantum(quantum) => {
                check(quantum, 1)?;
                self.tasks[id].quantum = quantum;
            }
            Param::Weight(weight) => {
                check(Fuel(1), weight)?;
                self.level(task).weigh(task.seat, weight);
            }
            other => return Err(refuse_param(self.name(), other, "a weight and a quantum")),
        }
        Ok(())
    }

    /// Takes a weight of 0, which cannot be refused here, as 1.
    fn group(&mut self, id: GroupId, weight: u32) {
        let weight = weight.max(1);
        match self.groups.get(row(id)) {
            Some(group) => self.top.weigh(group.seat, weight),
            None => {
                let seat = self.top.join(Contestant::Group(row(id)), weight);
                self.groups.insert(row(id), Group { seat, tasks: Level::default() });
            }
        }
    }

    fn ungroup(&mut self, id: GroupId) {
        if self.groups.get(row(id)).is_some_and(|group| group.tasks.is_deserted())
            && let Some(group) = self.groups.remove(row(id))
        {
            self.top.part(group.seat);
        }
    }

    /// `lead` is the fuel that the task is ahead of the virtual time of its level: how far its pass is, times its weight.
    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let Some(task) = self.tasks.get(id) else {
            return Vec::new();
        };
        let level = task.group.map_or(&self.top, |group| &self.groups[group].tasks);
        let share = &level.seats[task.seat as usize];
        let clamped = |fuel: u128| i64::try_from(fuel).unwrap_or(i64::MAX);
        let behind = level.now.saturating_sub(share.pass).saturating_mul(u128::from(share.weight)) >> FRACTION;
        let lead = clamped(share.ahead(level.now) >> FRACTION) - clamped(behind);
        vec![("weight", i64::from(share.weight)), ("lead", lead), ("quantum", clamped(u128::from(task.quantum.0)))]
    }
}

/// Refuses what cannot be served.
fn check(quantum: Fuel, weight: u32) -> Result<(), Error> {
    if quantum == Fuel::ZERO {
        return Err(refuse("weighted", "a quantum of 0 would be an empty slice; it must be at least 1"));
    }
    if weight == 0 {
        return Err(refuse("weighted", "a weight of 0 would be no share at all; it must be at least 1"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id of a task.
    fn id(index: u32) -> TaskId {
        TaskId::new(index, 0)
    }

    /// Takes a task in, and makes it ready.
    fn spawn(policy: &mut Weighted, id: TaskId, params: &Params) {
        policy.admit(id, params).unwrap();
        policy.ready(id, ReadyReason::Spawned, Fuel::ZERO);
    }

    /// A policy with ready tasks of these weights.
    fn ready(quantum: u64, weights: &[u32]) -> Weighted {
        let mut policy = Weighted::new(Fuel(quantum));
        for (index, weight) in (0..).zip(weights) {
            spawn(&mut policy, id(index), &Params::default().with(Param::Weight(*weight)));
        }
        policy
    }

    /// Parameters of a task in a group.
    fn member(group: GroupId) -> Params {
        Params { group: Some(group), ..Params::default() }
    }

    /// Picks, and says who.
    fn pick(policy: &mut Weighted) -> TaskId {
        match policy.pick(Fuel::ZERO) {
            Pick::Run(run) => run.id,
            other => panic!("nobody picked: {other:?}"),
        }
    }

    /// Lets the next one use this much; says who it was.
    fn run(policy: &mut Weighted, used: u64, end: SliceEnd) -> usize {
        let id = pick(policy);
        policy.charge(id, Fuel(used), end);
        id.index()
    }

    #[test]
    fn remainders_are_carried() {
        let mut seat = Seat { who: Contestant::Task(id(0)), weight: 3, new: false, pass: 0, rest: 0 };
        (0..3_000_000).for_each(|_| seat.advance(1 << FRACTION));
        assert_eq!((seat.pass, seat.rest), (1_000_000 << FRACTION, 0));
        seat.advance(u128::from(u64::MAX) << FRACTION);
        assert_eq!(seat.pass, (1_000_000 + u128::from(u64::MAX) / 3) << FRACTION);
    }

    #[test]
    fn a_new_weight_loses_nothing_of_what_is_owed() {
        let mut policy = ready(10, &[7, 1]);
        let seat = policy.tasks[id(0)].seat;
        let owed = |policy: &Weighted| policy.top.seats[seat as usize].ahead(policy.top.now);
        assert_eq!(run(&mut policy, 1_001, SliceEnd::Preempted), 0);
        let before = owed(&policy);
        for weight in [13, u32::MAX, 3, 1 << 31, 7] {
            policy.set(id(0), Param::Weight(weight)).unwrap();
            assert_eq!(owed(&policy), before, "with the weight {weight}");
        }
    }

    #[test]
    fn a_weight_that_changes_while_the_task_waits_or_runs_changes_its_lead() {
        let mut policy = ready(10, &[1, 1]);
        assert_eq!(run(&mut policy, 90, SliceEnd::Blocked), 0);
        policy.set(id(0), Param::Weight(3)).unwrap();
        policy.ready(id(0), ReadyReason::Replenished, Fuel::ZERO);
        // 30 ahead: b gets level in its third slice, and a came first.
        let order = [(); 5].map(|()| run(&mut policy, 10, SliceEnd::Preempted));
        assert_eq!(order, [1, 1, 1, 0, 1]);
        // In the middle of a slice: the slice is charged by the new weight.
        let mut policy = ready(10, &[1, 1]);
        assert_eq!(pick(&mut policy), id(0));
        policy.set(id(0), Param::Weight(2)).unwrap();
        policy.charge(id(0), Fuel(40), SliceEnd::Preempted);
        assert_eq!(policy.numbers(id(0))[1], ("lead", 40));
        assert_eq!([(); 3].map(|()| run(&mut policy, 10, SliceEnd::Preempted)), [1, 1, 0]);
    }

    #[test]
    fn whoever_slept_stands_where_the_others_are() {
        let mut policy = ready(10, &[1, 1]);
        assert_eq!(run(&mut policy, 10, SliceEnd::Blocked), 0);
        (0..100).for_each(|_| assert_eq!(run(&mut policy, 10, SliceEnd::Preempted), 1));
        assert_eq!(policy.numbers(id(0))[1], ("lead", -980));
        policy.ready(id(0), ReadyReason::Replenished, Fuel::ZERO);
        assert_eq!([(); 4].map(|()| run(&mut policy, 10, SliceEnd::Preempted)), [0, 1, 0, 1]);
    }

    #[test]
    fn a_group_is_ready_while_one_of_its_tasks_is() {
        let mut policy = Weighted::new(Fuel(10));
        let group = GroupId::new(0, 0);
        policy.group(group, 2);
        assert_eq!(policy.pick(Fuel::ZERO), Pick::Empty);
        for index in [0, 1] {
            spawn(&mut policy, id(index), &member(group));
        }
        assert_eq!(run(&mut policy, 10, SliceEnd::Blocked), 0);
        assert_eq!(run(&mut policy, 10, SliceEnd::Blocked), 1);
        assert_eq!(policy.pick(Fuel::ZERO), Pick::Empty);
        policy.ready(id(0), ReadyReason::Resumed, Fuel::ZERO);
        policy.leave(id(0));
        assert_eq!(policy.pick(Fuel::ZERO), Pick::Empty);
        policy.ready(id(1), ReadyReason::Resumed, Fuel::ZERO);
        assert_eq!(pick(&mut policy), id(1));
    }

    #[test]
    fn a_task_that_leaves_while_it_runs_leaves_its_group_running() {
        let mut policy = Weighted::new(Fuel(10));
        let group = GroupId::new(3, 1);
        policy.group(group, 1);
        for index in [0, 1] {
            spawn(&mut policy, id(index), &member(group));
        }
        assert_eq!(pick(&mut policy), id(0));
        policy.leave(id(0));
        assert_eq!(pick(&mut policy), id(1));
        policy.leave(id(1));
        assert_eq!(policy.pick(Fuel::ZERO), Pick::Empty);
        policy.ungroup(group);
        assert!(policy.top.is_deserted());
    }

    #[test]
    fn seats_and_groups_are_used_again_and_old_ids_mean_nothing() {
        let mut policy = ready(10, &[1, 1]);
        policy.leave(id(0));
        spawn(&mut policy, TaskId::new(0, 1), &Params::default());
        policy.leave(id(0));
        assert_eq!(policy.top.seats.len(), 2);
        assert_eq!((policy.numbers(id(0)), policy.numbers(TaskId::new(0, 1)).len()), (Vec::new(), 3));
        let [old, new] = [0, 1].map(|generation| GroupId::new(0, generation));
        policy.group(old, 1);
        spawn(&mut policy, id(5), &member(old));
        policy.ungroup(old);
        assert!(policy.admit(id(6), &member(old)).is_ok(), "a group with tasks in it stays");
        for index in [5, 6] {
            policy.leave(id(index));
        }
        policy.ungroup(old);
        assert!(policy.admit(id(6), &member(old)).is_err());
        policy.group(new, 1);
        assert!(policy.admit(id(6), &member(old)).is_err());
        assert!(policy.admit(id(6), &member(new)).is_ok());
    }

    #[test]
    fn no_number_is_too_large() {
        let mut policy = ready(u64::MAX, &[1, u32::MAX, 1]);
        policy.top.now = u128::MAX - 10;
        policy.set(id(0), Param::Quantum(Fuel::MAX)).unwrap();
        for round in 0..40 {
            let who = id(run(&mut policy, u64::MAX, SliceEnd::Preempted) as u32);
            policy.set(who, Param::Weight([1, u32::MAX][round % 2])).unwrap();
            assert_eq!(policy.numbers(who).len(), 3);
        }
        spawn(&mut policy, id(3), &Params::default());
        policy.top.seats.iter_mut().for_each(|seat| seat.pass = u128::MAX);
        // All passes are equal for good: tasks take turns.
        let mut ran = [0; 4];
        (0..80).for_each(|_| ran[run(&mut policy, 1, SliceEnd::Preempted)] += 1);
        assert!(ran.iter().all(|n| *n >= 18), "{ran:?}");
    }
}
