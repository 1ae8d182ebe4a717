//! How a run's tasks fared, in fuel of the virtual clock: what a policy is judged by.
//!
//! | number | of a task |
//! |---|---|
//! | *turnaround* | from when it could first run to its end |
//! | *response* | from when it could first run to its first slice |
//! | *waiting* | turnaround, less the fuel charged to it, less the time in which it waited for something or was suspended |
//! | *deadline misses* | its periods in which it did not get its runtime in time |
//!
//! **Deadlines.** Task with release `r`, period `P`, runtime `R` and relative deadline `D` (`P`, unless given): period `k` begins at
//! `r + k × P`, and is due `D` later. It is missed if the task, until then, has had neither `R` since the period began nor `(k + 1) × R` since
//! its release, although it wanted to run throughout. So whoever was a little ahead, because a slice cannot be stopped anywhere, may be as much
//! behind. This is counted alike under any policy, also under those that know no deadlines. The numbers of a task that declares
//! no period and runtime are not touched.
//!
//! **Fairness** is the index of R. Jain, D. Chiu and W. Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource Allocation in
//! Shared Computer Systems", DEC-TR-301, 1984: `(Σx)² / (n × Σx²)`, where `x` is a task's fuel by its weight, over the time in which all tasks
//! had been released and none had ended. It is 1 where all had their share, and 1/n where one of n had everything.
//!
//! **Cost.** O(1) a slice, however many periods have passed.

use super::{Ended, Observer, Slice, Spawned};
use crate::outcome::Outcome;
use crate::reason::{Control, Params, ReadyReason, SliceEnd};
use crate::unit::{Fuel, TaskId};

/// An observer that adds up how the tasks of a run fare.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The tasks, in the order of spawning.
    tasks: Vec<Fare>,
    /// When the last of them could first run.
    all_released: Fuel,
    /// Whether one has ended.
    one_ended: bool,
    /// The virtual clock, as far as it is known.
    now: Fuel,
    /// Which task is in each slot: its place in the order of spawning.
    slots: Vec<u64>,
}

/// How one task fared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fare {
    /// When it could first run.
    pub released: Fuel,
    /// When its first slice began.
    pub first: Option<Fuel>,
    /// When it ended, if it came to an end of its own and was not stopped with the run.
    pub ended: Option<Fuel>,
    /// Whether it returned, or exited with 0.
    pub succeeded: bool,
    /// Fuel charged to it.
    pub service: Fuel,
    /// While it waited for something, or was suspended: until it was ready again.
    pub blocked: Fuel,
    /// Fuel charged to it while all tasks had been released and none had ended.
    shared: Fuel,
    /// Its weight.
    weight: u32,
    /// Since when it has been blocked or suspended, if it is.
    away: Option<Fuel>,
    /// Its deadlines, if it has any.
    deadlines: Option<Deadlines>,
}

/// The mean, the 99th percentile and the largest of some amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// The mean, rounded down.
    pub mean: Fuel,
    /// The least that 99 in 100 do not exceed.
    pub p99: Fuel,
    /// The largest.
    pub max: Fuel,
}

impl Spread {
    /// What these amounts come to; `None` if there are none.
    fn of(amounts: impl Iterator<Item = Fuel>) -> Option<Spread> {
        let mut all: Vec<u64> = amounts.map(|fuel| fuel.0).collect();
        all.sort_unstable();
        let max = Fuel(*all.last()?);
        let sum: u128 = all.iter().map(|n| u128::from(*n)).sum();
        let mean = Fuel((sum / all.len() as u128) as u64);
        let p99 = Fuel(all[(all.len() * 99).div_ceil(100) - 1]);
        Some(Spread { count: all.len(), mean, p99, max })
    }
}

impl Fare {
    /// A task that has just been taken in.
    fn new(released: Fuel, params: &Params) -> Fare {
        Fare {
            released,
            first: None,
            ended: None,
            succeeded: false,
            service: Fuel::ZERO,
            blocked: Fuel::ZERO,
            shared: Fuel::ZERO,
            weight: params.weight.unwrap_or(1).max(1),
            away: None,
            deadlines: Deadlines::of(released, params),
        }
    }

    /// From when it could first run to its end.
    #[must_use]
    pub fn turnaround(&self) -> Option<Fuel> {
        Some(self.ended?.minus(self.released))
    }

    /// From when it could first run to its first slice.
    #[must_use]
    pub fn response(&self) -> Option<Fuel> {
        Some(self.first?.minus(self.released))
    }

    /// How long it was ready and did not run.
    #[must_use]
    pub fn waiting(&self) -> Option<Fuel> {
        Some(self.turnaround()?.minus(self.service).minus(self.blocked))
    }

    /// Its periods in which it did not get its runtime in time; `None` if it declared none.
    #[must_use]
    pub fn deadline_misses(&self) -> Option<u64> {
        self.deadlines.as_ref().map(|deadlines| deadlines.misses)
    }

    /// It has not run until now: it waited, or was away.
    fn idle_until(&mut self, now: Fuel) {
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.advance(now, false, self.away.is_none());
        }
    }

    /// It could run again from now on.
    fn back(&mut self, now: Fuel) {
        self.idle_until(now);
        if let Some(since) = self.away.take() {
            self.blocked = self.blocked.plus(now.minus(since));
        }
    }
}

impl Summary {
    /// Of no tasks yet.
    #[must_use]
    pub fn new() -> Summary {
        Summary::default()
    }

    /// The tasks, in the order of spawning.
    #[must_use]
    pub fn tasks(&self) -> &[Fare] {
        &self.tasks
    }

    /// Turnaround times of all that came to an end.
    #[must_use]
    pub fn turnaround(&self) -> Option<Spread> {
        Spread::of(self.tasks.iter().filter_map(Fare::turnaround))
    }

    /// Response times of all that ran.
    #[must_use]
    pub fn response(&self) -> Option<Spread> {
        Spread::of(self.tasks.iter().filter_map(Fare::response))
    }

    /// Waiting times of all that came to an end.
    #[must_use]
    pub fn waiting(&self) -> Option<Spread> {
        Spread::of(self.tasks.iter().filter_map(Fare::waiting))
    }

    /// Deadline misses of all tasks; `None` if none declared a period.
    #[must_use]
    pub fn deadline_misses(&self) -> Option<u64> {
        self.tasks.iter().filter_map(Fare::deadline_misses).reduce(u64::saturating_add)
    }

    /// Jain's index of fuel by weight; `None` if there was no time in which all tasks had been released and none had ended.
    #[must_use]
    pub fn fairness(&self) -> Option<f64> {
        let shares = || self.tasks.iter().map(|task| task.shared.0 as f64 / f64::from(task.weight));
        let (sum, squares) = shares().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
        (squares > 0.0).then(|| sum * sum / (self.tasks.len() as f64 * squares))
    }

    /// Tasks that returned, or exited with 0.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.tasks.iter().filter(|task| task.succeeded).count()
    }

    /// Finished tasks in a million fuel of the virtual clock.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        self.finished() as f64 * 1e6 / self.now.0.max(1) as f64
    }

    /// The task of a place in the order of spawning.
    fn task(&mut self, spawn_index: u64) -> Option<&mut Fare> {
        self.tasks.get_mut(usize::try_from(spawn_index).ok()?)
    }
}

impl Observer for Summary {
    fn spawned(&mut self, task: &Spawned) {
        self.all_released = self.all_released.max(task.released);
        self.tasks.push(Fare::new(task.released, &task.params));
        let slot = task.id.index();
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, u64::MAX);
        }
        self.slots[slot] = task.spawn_index;
    }

    fn control(&mut self, spawn_index: u64, control: &Control) {
        let now = self.now;
        let Some(task) = self.task(spawn_index) else {
            return;
        };
        // Until it is ready again: a task that is resumed may still wait for something.
        if *control == Control::Suspend && task.away.is_none() {
            task.idle_until(now);
            task.away = Some(now);
        }
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, now: Fuel) {
        let task = self.slots.get(id.index()).copied().and_then(|spawn_index| self.task(spawn_index));
        // What is new counts from its release.
        if let Some(task) = task.filter(|task| task.away.is_some()) {
            task.back(now);
        }
    }

    fn idle(&mut self, _from: Fuel, until: Fuel) {
        self.now = until;
    }

    fn slice(&mut self, slice: &Slice) {
        self.now = slice.at.plus(slice.charged);
        let (now, shared) = (self.now, !self.one_ended && slice.at >= self.all_released);
        let Some(task) = self.task(slice.spawn_index) else {
            return;
        };
        task.back(slice.at);
        task.first.get_or_insert(slice.at);
        task.service = task.service.plus(slice.charged);
        if shared {
            task.shared = task.shared.plus(slice.charged);
        }
        if let Some(deadlines) = &mut task.deadlines {
            deadlines.advance(now, true, true);
        }
        task.away = (slice.end == SliceEnd::Blocked).then_some(now);
    }

    fn ended(&mut self, task: &Ended) {
        self.one_ended = true;
        self.now = self.now.max(task.at);
        let Some(fare) = self.task(task.spawn_index) else {
            return;
        };
        fare.idle_until(task.at);
        fare.ended = (!matches!(task.outcome, Outcome::Stopped)).then_some(task.at);
        fare.succeeded = task.outcome.is_success();
    }
}

/// The deadlines of one task. All times are of the virtual clock, and wide enough to add up.
#[derive(Clone, Debug)]
struct Deadlines {
    /// Its release.
    released: u128,
    /// From one period's beginning to the next.
    period: u128,
    /// What it is to have in each.
    runtime: u128,
    /// From a period's beginning to when that is due.
    deadline: u128,
    /// The period that is to be judged next.
    next: u128,
    /// What it had had when that began, if it has begun.
    begun: Option<u128>,
    /// Whether it was away in that period.
    excused: bool,
    /// Until when its time has been looked at.
    now: u128,
    /// What it has had until then.
    service: u128,
    /// Periods that were missed.
    misses: u64,
}

impl Deadlines {
    /// Those that a task declares.
    fn of(released: Fuel, params: &Params) -> Option<Deadlines> {
        let (period, runtime) = (params.period?, params.runtime?);
        Some(Deadlines {
            released: released.0.into(),
            period: period.0.max(1).into(),
            runtime: runtime.0.into(),
            deadline: params.deadline.unwrap_or(period).0.into(),
            next: 0,
            begun: None,
            excused: false,
            now: released.0.into(),
            service: 0,
            misses: 0,
        })
    }

    /// Goes on to `until`. The task ran all the time, or not at all; it wanted to all the time, or not at all.
    fn advance(&mut self, until: Fuel, ran: bool, wanted: bool) {
        let until = u128::from(until.0);
        loop {
            let begins = self.released + self.next * self.period;
            let at = if self.begun.is_some() { begins + self.deadline } else { begins.max(self.now) };
            if at > until {
                break;
            }
            self.go(at, ran, wanted);
            match self.begun.take() {
                None => {
                    self.begun = Some(self.service);
                    self.excused = false;
                }
                Some(before) => {
                    let met = self.service - before >= self.runtime || self.service >= self.runtime * (self.next + 1);
                    self.misses += u64::from(!(met || self.excused));
                    self.next += 1;
                    self.skip(until, ran, wanted);
                }
            }
        }
        self.go(until, ran, wanted);
    }

    /// Lets time pass in which nothing is due.
    fn go(&mut self, at: u128, ran: bool, wanted: bool) {
        let passed = at.saturating_sub(self.now);
        self.service += if ran { passed } else { 0 };
        // Whoever comes back at the very beginning of a period was not away in it.
        self.excused |= passed > 0 && !wanted;
        self.now = self.now.max(at);
    }

    /// Goes over the periods that begin and are due before `until`, but for the last: each is like the one before it.
    fn skip(&mut self, until: u128, ran: bool, wanted: bool) {
        let whole = (until.saturating_sub(self.now) / self.period).saturating_sub(2);
        if whole == 0 {
            return;
        }
        let missed = match (ran, wanted) {
            (_, false) => 0,
            (true, true) if self.deadline >= self.runtime => 0,
            (true, true) => whole,
            // Those for which it had got enough before.
            (false, true) => whole - (self.service / self.runtime.max(1)).saturating_sub(self.next).min(whole),
        };
        self.misses = self.misses.saturating_add(u64::try_from(missed).unwrap_or(u64::MAX));
        self.next += whole;
        self.go(self.now + whole * self.period, ran, wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Param, PickReason};
    use crate::value::Value;

    /// A run, told event by event.
    struct Told(Summary);

    impl Told {
        /// A task comes.
        fn spawn(&mut self, spawn_index: u64, released: u64, params: &[Param]) {
            let params = params.iter().fold(Params::default(), |params, param| params.with(*param));
            let id = TaskId::new(spawn_index as u32, 0);
            self.0.spawned(&Spawned { id, spawn_index, label: 0, params, released: Fuel(released), by: None });
        }

        /// A task runs.
        fn run(&mut self, spawn_index: u64, at: u64, used: u64, end: SliceEnd) {
            let (id, grant) = (TaskId::new(spawn_index as u32, 0), Fuel(used));
            let (at, used, why) = (Fuel(at), Fuel(used), PickReason::Turn);
            self.0.slice(&Slice { id, spawn_index, number: 1, why, grant, used, charged: used, end, at });
            if end == SliceEnd::Ended {
                self.end(spawn_index, at.0 + used.0, Outcome::Returned(vec![Value::I32(1)]));
            }
        }

        /// A task ends.
        fn end(&mut self, spawn_index: u64, at: u64, outcome: Outcome) {
            let id = TaskId::new(spawn_index as u32, 0);
            let (ledger, released) = (
                crate::ledger::Tally::default().ledger(crate::ledger::Last::None),
                self.0.tasks[spawn_index as usize].released,
            );
            self.0.ended(&Ended { id, spawn_index, label: 0, outcome, ledger, released, at: Fuel(at) });
        }
    }

    /// The amounts as numbers.
    fn numbers(spread: Option<Spread>) -> [u64; 3] {
        spread.map_or([u64::MAX; 3], |spread| [spread.mean.0, spread.p99.0, spread.max.0])
    }

    #[test]
    fn times_are_those_of_a_schedule_computed_by_hand() {
        use SliceEnd::{Blocked, Ended, Preempted};
        let mut told = Told(Summary::new());
        // A is there from the beginning, B from 10 on.
        told.spawn(0, 0, &[]);
        told.spawn(1, 10, &[]);
        // 0 A 20, blocked until 50; 20 B 15; 35 B 10; nobody from 45 to 50; 50 A 5, and done; 55 B 5, and done.
        told.run(0, 0, 20, Blocked);
        told.run(1, 20, 15, Preempted);
        told.run(1, 35, 10, Preempted);
        told.0.idle(Fuel(45), Fuel(50));
        told.run(0, 50, 5, Ended);
        told.run(1, 55, 5, Ended);
        // A: 55 in all, of which it ran 25 and was blocked for 30. B: 50 in all, from 10 to 60, of which it ran 30.
        assert_eq!(numbers(told.0.turnaround()), [52, 55, 55]);
        assert_eq!(numbers(told.0.response()), [5, 10, 10]);
        assert_eq!(numbers(told.0.waiting()), [10, 20, 20]);
        assert_eq!((told.0.finished(), told.0.deadline_misses()), (2, None));
        assert!((told.0.throughput() - 2e6 / 60.0).abs() < 1e-9);
        // From 10 on: B had 25, A 5 in its last slice. 30² / (2 × (25² + 5²)).
        assert!((told.0.fairness().unwrap() - 900.0 / 1300.0).abs() < 1e-12);
    }

    #[test]
    fn shares_are_counted_by_weight() {
        let mut told = Told(Summary::new());
        told.spawn(0, 0, &[Param::Weight(1)]);
        told.spawn(1, 0, &[Param::Weight(4)]);
        told.run(0, 0, 10, SliceEnd::Preempted);
        told.run(1, 10, 40, SliceEnd::Preempted);
        assert!((told.0.fairness().unwrap() - 1.0).abs() < 1e-12);
        told.end(0, 50, Outcome::Stopped);
        // Nobody competes any more.
        told.run(1, 50, 1_000_000, SliceEnd::Preempted);
        assert!((told.0.fairness().unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(told.0.turnaround(), None, "whoever is stopped with the run has no turnaround");
    }

    /// The misses of a task with period 100, runtime 10 and deadline 50 after these slices, until `end`.
    fn misses(slices: &[(u64, u64)], end: u64) -> u64 {
        let mut told = Told(Summary::new());
        told.spawn(0, 0, &[Param::Period(Fuel(100)), Param::Runtime(Fuel(10)), Param::Deadline(Fuel(50))]);
        slices.iter().for_each(|&(at, used)| told.run(0, at, used, SliceEnd::Preempted));
        told.end(0, end, Outcome::Stopped);
        told.0.deadline_misses().unwrap()
    }

    #[test]
    fn a_deadline_is_missed_by_what_was_had_until_then() {
        assert_eq!(misses(&[(40, 10), (140, 10), (240, 10)], 250), 0, "just in time, thrice");
        assert_eq!(misses(&[(41, 10), (140, 10)], 150), 1, "one late; then its due, though it is still behind in all");
        assert_eq!(
            misses(&[(45, 14), (190, 10)], 200),
            2,
            "5 of 10 in time; then nothing in time, and 14 of 20 in all"
        );
        assert_eq!(misses(&[(0, 30)], 350), 1, "it had the fuel of three periods, and misses the fourth");
        assert_eq!(misses(&[], 49), 0, "nothing was due");
        assert_eq!(misses(&[], 50), 1);
        assert_eq!(misses(&[(0, 450)], 450), 0, "it had everything");
    }

    #[test]
    fn periods_that_pass_unseen_are_counted_and_not_walked_through() {
        let idle = misses(&[], 1 << 62);
        assert_eq!(idle, ((1 << 62) - 50) / 100 + 1);
        assert_eq!(misses(&[(0, 1_000)], 1 << 62), idle - 100, "100 periods' fuel in the beginning");
        assert_eq!(misses(&[(1_000_000, 1 << 61)], 1_000_000 + (1 << 61)), 10_000, "ran ever since");
        let mut told = Told(Summary::new());
        told.spawn(0, 5, &[Param::Period(Fuel(1)), Param::Runtime(Fuel(0)), Param::Deadline(Fuel::MAX)]);
        told.spawn(1, 5, &[Param::Period(Fuel::MAX), Param::Runtime(Fuel::MAX), Param::Deadline(Fuel(0))]);
        for at in 0..10 {
            told.run(at % 2, at << 60, 1 << 60, SliceEnd::Preempted);
        }
        assert!(told.0.deadline_misses() <= Some(2), "{told:?}", told = told.0);
    }

    #[test]
    fn whoever_waits_for_its_own_fuel_misses_nothing() {
        let mut told = Told(Summary::new());
        told.spawn(0, 0, &[Param::Period(Fuel(100)), Param::Runtime(Fuel(10))]);
        told.run(0, 0, 5, SliceEnd::Blocked);
        told.run(0, 250, 10, SliceEnd::Preempted);
        told.end(0, 399, Outcome::Stopped);
        assert_eq!(told.0.deadline_misses(), Some(0));
    }

    #[test]
    fn whoever_is_back_when_a_period_begins_is_not_excused_in_it() {
        let mut told = Told(Summary::new());
        told.spawn(0, 0, &[Param::Period(Fuel(100)), Param::Runtime(Fuel(10))]);
        told.run(0, 50, 10, SliceEnd::Blocked);
        // Another has the second period, in which this one is ready from the beginning.
        told.0.ready(TaskId::new(0, 0), ReadyReason::Replenished, Fuel(100));
        told.run(0, 230, 10, SliceEnd::Preempted);
        told.end(0, 240, Outcome::Returned(Vec::new()));
        assert_eq!((told.0.deadline_misses(), told.0.waiting().unwrap().max), (Some(1), Fuel(50 + 130)));
    }
}
