//! Multi-level feedback queue: whoever uses little fuel at a time comes first, and nobody has to say beforehand who that is.
//!
//! **Source.** F. J. Corbató, M. Merwin-Daggett and R. C. Daley, "An Experimental Time-Sharing System", AFIPS Spring Joint Computer
//! Conference 1962. The rules, by number, are those of R. H. and A. C. Arpaci-Dusseau, "Operating Systems: Three Easy Pieces", chapter 8:
//!
//! 1. Whoever is on a higher level runs first. Level 0 is the highest.
//! 2. Those on one level take turns.
//! 3. Whoever is new begins on level 0.
//! 4. Whoever has used up its allotment on a level goes one level down, in however many slices it did.
//! 5. Every so much virtual time everybody goes back to level 0: the boost.
//!
//! **Algorithm.** On level `k` a task has an allotment of `quantum << k`, and a turn grants what is left of it. So a task that yields just
//! before the end of its allotment has little left for its next turn, and then goes down: rule 4 cannot be gamed. What a slice used past the
//! allotment is taken off the next one, and where that is too little the task goes down further. On the lowest level there is no further
//! down: a debt is paid there one allotment a turn, in turns of 1 fuel. A boost forgives what is owed.
//! A turn that the host cut short goes on when its level's turn comes, ahead of the others there.
//!
//! **Response.** A task that becomes ready on level 0, or goes on there, waits for at most **one turn of each of those that were on level 0
//! before it**: at most a quantum and an overshoot each. Whoever comes later, comes back or is boosted queues behind it, and of the hogs
//! on the levels below none runs meanwhile. A task stays on level 0 as long as it has used less than its quantum since the last boost.
//!
//! **No starvation.** A task that is ready waits, wherever it is, for at most **the time between boosts, the slice in which the boost
//! falls due, and one turn on level 0 of each of those that are then ready**. For the boost puts it at the end of level 0 at the
//! latest; from there the argument above holds, and a further boost takes nobody ahead of it. A turn that was cut before a boost goes on after it
//! with what was left, and at most a quantum: however often the host cuts and however short the boost, no turn is longer than one.
//!
//! **Cost.** O(1) a decision. Each level is a list through its tasks, and one word says which are not empty. A boost hangs the lists one after
//! the other, O(levels), and counts up an epoch: a task whose epoch is old is on level 0 with a whole allotment, whatever its row
//! says, until the row is next looked at. So a boost of 100,000 tasks costs what a boost of 10 does.

use super::{Pick, Policy, Run, Table, refuse, refuse_param, slot_of};
use crate::error::{Error, Result};
use crate::reason::{Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, TaskId};

/// Levels unless [`Mlfq::levels`] says otherwise.
const LEVELS: u8 = 4;

/// The most levels: as many as there are bits in [`Mlfq`]'s word of those that are not empty.
const MOST_LEVELS: u8 = 32;

/// Quanta of virtual time from one boost to the next, unless [`Mlfq::boost`] says otherwise.
const QUANTA_A_BOOST: u64 = 100;

/// The policy `mlfq`: a multi-level feedback queue with a periodic boost.
///
/// ```
/// use fuelsched::policy::Mlfq;
/// use fuelsched::{Executor, Fuel};
///
/// let policy = Mlfq::new(Fuel(1000)).levels(3).boost(Fuel(50_000));
/// let sched = Executor::builder().policy(policy).build();
/// assert_eq!(sched.policy().quantum(), Fuel(1000));
/// ```
#[derive(Debug)]
pub struct Mlfq {
    /// The allotment on level 0, for tasks with no quantum of their own.
    quantum: Fuel,
    /// Virtual time from one boost to the next; at least 1.
    every: Fuel,
    /// When the next boost is due.
    next_boost: Fuel,
    /// How many boosts there were.
    epoch: u64,
    /// The lowest level.
    lowest: u8,
    /// Bit `k` is set when somebody is ready on level `k`.
    occupied: u32,
    /// Those that are ready, level by level.
    ready: [List; MOST_LEVELS as usize],
    /// The state of each task.
    tasks: Table<Row>,
}

/// The ready tasks of one level in the order of their turns: a list through their rows.
#[derive(Clone, Copy, Debug)]
struct List {
    /// Whose turn comes first.
    first: Option<TaskId>,
    /// Whose turn comes last.
    last: Option<TaskId>,
}

/// The state of one task.
#[derive(Debug)]
struct Row {
    /// The boost that `level` and `used` have seen. If there was one since, then the task is on level 0 and has used nothing.
    epoch: u64,
    /// The allotment on level 0; at least 1.
    quantum: u64,
    /// Fuel used of the allotment on this level; that and more while a debt is paid on the lowest.
    used: u64,
    /// Fuel left of a turn that has begun and is not over; 0 between turns.
    rest: u64,
    /// The level.
    level: u8,
    /// Whether it is in a list.
    listed: bool,
    /// The task before it in the list.
    previous: Option<TaskId>,
    /// The task after it in the list.
    next: Option<TaskId>,
}

impl Row {
    /// The allotment on a level.
    fn allotment(&self, level: u8) -> u64 {
        self.quantum.saturating_mul(1 << level)
    }

    /// Level and use, as they are after so many boosts.
    fn standing(&self, epoch: u64) -> (u8, u64) {
        if self.epoch == epoch { (self.level, self.used) } else { (0, 0) }
    }

    /// Makes up for the boosts that the row has not seen. A turn that was cut goes on as one of level 0.
    fn freshen(&mut self, epoch: u64) {
        if self.epoch != epoch {
            (self.epoch, self.level, self.used) = (epoch, 0, 0);
            self.rest = self.rest.min(self.quantum);
        }
    }

    /// Goes down for each allotment that is used up (rule 4). On the lowest level one is paid off.
    fn demote(&mut self, lowest: u8) {
        while self.used >= self.allotment(self.level) {
            self.used -= self.allotment(self.level);
            if self.level == lowest {
                break;
            }
            self.level += 1;
        }
    }
}

impl List {
    /// Nobody.
    const EMPTY: List = List { first: None, last: None };

    /// Puts a task at the end.
    fn push_last(&mut self, tasks: &mut Table<Row>, id: TaskId) {
        let row = &mut tasks[id];
        (row.listed, row.previous, row.next) = (true, self.last, None);
        match self.last.replace(id) {
            Some(last) => tasks[last].next = Some(id),
            None => self.first = Some(id),
        }
    }

    /// Puts a task at the front.
    fn push_first(&mut self, tasks: &mut Table<Row>, id: TaskId) {
        let row = &mut tasks[id];
        (row.listed, row.previous, row.next) = (true, None, self.first);
        match self.first.replace(id) {
            Some(first) => tasks[first].previous = Some(id),
            None => self.last = Some(id),
        }
    }

    /// Takes out a task that is in here.
    fn remove(&mut self, tasks: &mut Table<Row>, id: TaskId) {
        let row = &mut tasks[id];
        let (previous, next) = (row.previous, row.next);
        row.listed = false;
        match previous {
            Some(previous) => tasks[previous].next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => tasks[next].previous = previous,
            None => self.last = previous,
        }
    }

    /// Hangs all of another list behind this one.
    fn append(&mut self, tasks: &mut Table<Row>, other: &mut List) {
        let Some(first) = other.first else {
            return;
        };
        tasks[first].previous = self.last;
        match self.last {
            Some(last) => tasks[last].next = Some(first),
            None => self.first = Some(first),
        }
        self.last = other.last;
        *other = List::EMPTY;
    }
}

impl Mlfq {
    /// A multi-level feedback queue with this allotment on the highest level: 4 levels, and a boost every 100 quanta. A quantum of 0 is
    /// taken as 1, because a slice cannot be empty.
    #[must_use]
    pub fn new(quantum: Fuel) -> Mlfq {
        let quantum = quantum.max(Fuel(1));
        let every = Fuel(quantum.0.saturating_mul(QUANTA_A_BOOST));
        Mlfq {
            quantum,
            every,
            next_boost: every,
            epoch: 0,
            lowest: LEVELS - 1,
            occupied: 0,
            ready: [List::EMPTY; MOST_LEVELS as usize],
            tasks: Table::new(),
        }
    }

    /// How many levels there are: 1 to 32, and what is beyond that is taken as the nearest of them.
    #[must_use]
    pub fn levels(mut self, levels: u8) -> Mlfq {
        self.lowest = levels.clamp(1, MOST_LEVELS) - 1;
        self
    }

    /// Virtual time from one boost to the next. [`Fuel::MAX`] is no boost, and whoever is on a low level may then starve; 0 is taken as 1.
    #[must_use]
    pub fn boost(mut self, every: Fuel) -> Mlfq {
        self.every = every.max(Fuel(1));
        self.next_boost = self.every;
        self
    }

    /// The allotment on the highest level, for tasks with no quantum of their own.
    #[must_use]
    pub fn quantum(&self) -> Fuel {
        self.quantum
    }

    /// Sends everybody back to level 0 (rule 5): those of higher levels first, and each level in its order.
    #[cold]
    fn boost_all(&mut self, now: Fuel) {
        self.next_boost = now.plus(self.every);
        self.epoch += 1;
        let (top, below) = self.ready.split_at_mut(1);
        for list in below {
            top[0].append(&mut self.tasks, list);
        }
        self.occupied = u32::from(top[0].first.is_some());
    }

    /// Puts a task among the ready of its level: at the end, or at the front where its turn goes on.
    fn enter(&mut self, id: TaskId, goes_on: bool) {
        let level = self.tasks[id].level;
        let list = &mut self.ready[usize::from(level)];
        if goes_on {
            list.push_first(&mut self.tasks, id);
        } else {
            list.push_last(&mut self.tasks, id);
        }
        self.occupied |= 1 << level;
    }

    /// Takes a task out of the list of this level.
    fn withdraw(&mut self, id: TaskId, level: u8) {
        let list = &mut self.ready[usize::from(level)];
        list.remove(&mut self.tasks, id);
        if list.first.is_none() {
            self.occupied &= !(1 << level);
        }
    }
}

impl Policy for Mlfq {
    fn name(&self) -> &'static str {
        "mlfq"
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        let quantum = params.quantum.unwrap_or(self.quantum);
        if quantum == Fuel::ZERO {
            return Err(refuse_quantum());
        }
        let row = Row {
            epoch: self.epoch,
            quantum: quantum.0,
            used: 0,
            rest: 0,
            level: 0,
            listed: false,
            previous: None,
            next: None,
        };
        self.tasks.insert(id, row);
        Ok(())
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        self.tasks[id].freshen(self.epoch);
        self.enter(id, false);
    }

    fn pick(&mut self, now: Fuel) -> Pick {
        if now >= self.next_boost {
            self.boost_all(now);
        }
        let level = self.occupied.trailing_zeros() as u8;
        let Some(id) = self.ready.get(usize::from(level)).and_then(|list| list.first) else {
            return Pick::Empty;
        };
        self.withdraw(id, level);
        let row = &mut self.tasks[id];
        row.freshen(self.epoch);
        let why = if row.rest > 0 { PickReason::Continued } else { PickReason::Level(u32::from(level)) };
        if row.rest == 0 {
            // At least 1: it may be in debt, or its quantum was made smaller.
            row.rest = row.allotment(level).saturating_sub(row.used).max(1);
        }
        Pick::Run(Run { id, grant: Fuel(row.rest), why })
    }

    fn upcoming(&self) -> [u32; 3] {
        // Of those on the highest level.
        let first = self.ready.get(self.occupied.trailing_zeros() as usize).and_then(|list| list.first);
        let after = |id: Option<TaskId>| id.and_then(|id| self.tasks[id].next);
        let second = after(first);
        [first, second, after(second)].map(slot_of)
    }

    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let row = &mut self.tasks[id];
        row.used = row.used.saturating_add(used.0);
        row.rest = if end == SliceEnd::Preempted { row.rest.saturating_sub(used.0) } else { 0 };
        let goes_on = row.rest > 0;
        if !goes_on {
            row.demote(self.lowest);
        }
        if let SliceEnd::Preempted | SliceEnd::Yielded = end {
            self.enter(id, goes_on);
        }
    }

    fn leave(&mut self, id: TaskId) {
        let listed = self.tasks.get(id).filter(|row| row.listed);
        if let Some((level, _)) = listed.map(|row| row.standing(self.epoch)) {
            self.withdraw(id, level);
        }
        self.tasks.remove(id);
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        match param {
            Param::Quantum(Fuel::ZERO) => Err(refuse_quantum()),
            Param::Quantum(quantum) => {
                let row = &mut self.tasks[id];
                // A boost before now goes by the quantum before now.
                row.freshen(self.epoch);
                row.quantum = quantum.0;
                Ok(())
            }
            other => Err(refuse_param(self.name(), other, "a quantum")),
        }
    }

    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let Some(row) = self.tasks.get(id) else {
            return Vec::new();
        };
        let (level, used) = row.standing(self.epoch);
        let shown = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        vec![("level", i64::from(level)), ("used", shown(used)), ("quantum", shown(row.quantum))]
    }
}

/// The one parameter that cannot be served.
fn refuse_quantum() -> Error {
    refuse("mlfq", "a quantum of 0 would be an empty slice; it must be at least 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy with `n` ready tasks.
    fn ready(mut policy: Mlfq, n: u32) -> Mlfq {
        for id in (0..n).map(|index| TaskId::new(index, 0)) {
            policy.admit(id, &Params::default()).unwrap();
            policy.ready(id, ReadyReason::Spawned, Fuel::ZERO);
        }
        policy
    }

    /// Picks, and says who and how much.
    fn pick(policy: &mut Mlfq, now: u64) -> (u32, u64, PickReason) {
        let Pick::Run(run) = policy.pick(Fuel(now)) else { panic!("somebody is ready") };
        (run.id.index() as u32, run.grant.0, run.why)
    }

    /// A slice of this much, which ends so.
    fn slice(policy: &mut Mlfq, now: u64, used: u64, end: SliceEnd) -> (u32, u64, PickReason) {
        let picked = pick(policy, now);
        policy.charge(TaskId::new(picked.0, 0), Fuel(used), end);
        picked
    }

    #[test]
    fn an_overshoot_is_taken_off_the_allotments_that_follow() {
        let mut policy = ready(Mlfq::new(Fuel(10)), 1);
        // 10 of level 0, 20 of level 1, and 5 of the 40 of level 2.
        assert_eq!(slice(&mut policy, 0, 35, SliceEnd::Preempted), (0, 10, PickReason::Level(0)));
        assert_eq!(slice(&mut policy, 35, 35, SliceEnd::Preempted), (0, 35, PickReason::Level(2)));
        // The lowest: 200 is its whole allotment of 80, and a debt of 120, which is 1 allotment and a half.
        assert_eq!(slice(&mut policy, 70, 200, SliceEnd::Preempted), (0, 80, PickReason::Level(3)));
        assert_eq!(slice(&mut policy, 270, 1, SliceEnd::Preempted), (0, 1, PickReason::Level(3)));
        assert_eq!(slice(&mut policy, 271, 1, SliceEnd::Preempted), (0, 39, PickReason::Level(3)));
    }

    #[test]
    fn absurd_numbers_do_no_harm() {
        for quantum in [0, 1, 1 << 62, u64::MAX] {
            let mut policy = ready(Mlfq::new(Fuel(quantum)).levels(u8::MAX).boost(Fuel(0)), 3);
            for used in [1, 1 << 62, u64::MAX, u64::MAX, u64::MAX, 0, 7] {
                slice(&mut policy, 0, used, SliceEnd::Preempted);
                slice(&mut policy, u64::MAX, used, SliceEnd::Yielded);
            }
        }
        let mut policy = ready(Mlfq::new(Fuel(1)).levels(0).boost(Fuel::MAX), 1);
        for _ in 0..5 {
            assert_eq!(slice(&mut policy, 9, u64::MAX, SliceEnd::Preempted), (0, 1, PickReason::Level(0)));
        }
    }

    #[test]
    fn whoever_leaves_leaves_no_trace() {
        let mut policy = ready(Mlfq::new(Fuel(10)).boost(Fuel(1_000)), 4);
        slice(&mut policy, 0, 10, SliceEnd::Preempted);
        slice(&mut policy, 10, 10, SliceEnd::Preempted);
        // A boost, and 0 and 1 are where their rows do not say.
        assert_eq!(slice(&mut policy, 1_000, 10, SliceEnd::Ended).0, 2);
        for index in [0, 3, 1, 2] {
            policy.leave(TaskId::new(index, 0));
        }
        assert_eq!(policy.pick(Fuel(1_000)), Pick::Empty);
        assert_eq!(policy.occupied, 0);
        assert!(policy.ready.iter().all(|list| list.first.is_none() && list.last.is_none()));
        assert_eq!(policy.tasks.iter().count(), 0);
        assert!(policy.numbers(TaskId::new(0, 0)).is_empty());
    }

    #[test]
    fn a_new_task_in_a_used_slot_begins_anew() {
        let mut policy = ready(Mlfq::new(Fuel(10)), 1);
        slice(&mut policy, 0, 70, SliceEnd::Preempted);
        policy.leave(TaskId::new(0, 0));
        let id = TaskId::new(0, 1);
        policy.admit(id, &Params::default()).unwrap();
        policy.leave(TaskId::new(0, 0)); // long gone
        policy.ready(id, ReadyReason::Spawned, Fuel(70));
        assert_eq!(policy.numbers(id), [("level", 0), ("used", 0), ("quantum", 10)]);
        assert_eq!(pick(&mut policy, 70), (0, 10, PickReason::Level(0)));
        policy.leave(id);
        assert_eq!(policy.pick(Fuel(70)), Pick::Empty);
    }
}
