//! Fixed priorities: the highest level that has anybody ready runs, in turns; with ageing, who waits rises.
//!
//! **Source.** Fixed priorities with round robin within one are POSIX's `SCHED_RR` (IEEE 1003.1). Turns are counted in fuel, as start-time fair
//! queueing counts them (P. Goyal, H. M. Vin and H. Cheng, SIGCOMM 1996, with all weights 1). Ageing that is linear in the time waited is L. Kleinrock's
//! "A delay dependent queue discipline", Naval Research Logistics Quarterly 11, 1964.
//!
//! **Algorithm without ageing.** Ready tasks are ordered by level, the highest first, then by pass, then by arrival. A pass is the fuel that a task
//! was charged on its level; at the end of a turn it moves on by what the turn used. The virtual time of a level is the pass of whoever
//! was picked there last. Who becomes ready gets the larger of its own pass and the virtual time, so debts stay and sleep gives no credit;
//! who is new starts a quantum ahead, so that the virtual time gets on whoever arrives. A task that changes its level takes along
//! what it was ahead. A turn that the host cuts short keeps its place, and goes on.
//!
//! **Fairness.** At any pick nobody of a lower level runs while one of a higher is ready. Of two tasks on one level, both ready throughout an interval,
//! service differs by at most `l_i + l_j`, where `l` is a task's largest quantum and its largest overshoot together. For at every moment
//! the pass of a ready task, with what its unfinished turn has used, lies between the virtual time of its level and `l` beyond: who runs
//! has the smallest pass, which becomes the virtual time, and a turn adds at most `l`.
//!
//! **Algorithm with ageing.** A task that waits rises one level for each `ageing` of fuel that passes on the virtual clock. All who wait rise alike, so
//! their order does not change while they wait: it is that of `since − priority × ageing`, where `since` is when the wait began.
//! Within a level that is the order of waiting, and overshoot is paid back so: what is owed short of a quantum is taken off the next grant, and
//! whole quanta put `since` off by as many rounds of the level. A round is taken to last a quantum for each other task that is ready there, so
//! this second part is exact where those have the same quantum and do not overshoot much, and a good estimate elsewhere.
//!
//! **Waiting with ageing.** Let a task of priority `p` wait since `s`, and let `P` be the highest priority that anybody has meanwhile. Whoever
//! begins to wait after `T = s + (P − p) × ageing` comes behind it. So after `T` each of the others, if it was ahead, ends one turn, and is
//! behind: the task runs **by `T` plus one turn (quantum and overshoot) of each other task that waits or runs at `T`**. For a task that owes
//! whole quanta, `s` is later by what they put it off. New tasks, however many, and tasks that sleep and wake do not add to it.
//!
//! **Cost.** O(log n) for a pick and for a charge.

use super::{Pick, Policy, ReadyQueue, Run, Table, refuse, refuse_param, slot_of};
use crate::error::{Error, Result};
use crate::reason::{Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, TaskId};

/// How many levels there are: one for each `u8`.
const LEVELS: usize = 1 << u8::BITS;

/// The policy `priority`: the most urgent first, in turns, and optionally with ageing.
///
/// It knows the parameters `priority` (larger is more urgent, 0 unless given) and `quantum`.
///
/// ```
/// use fuelsched::policy::Priority;
/// use fuelsched::{Executor, Fuel};
///
/// // Who waits for 50,000 fuel rises by one level.
/// let policy = Priority::new(Fuel(1000)).ageing(Fuel(50_000));
/// let sched = Executor::builder().policy(policy).build();
/// assert_eq!(sched.policy().quantum(), Fuel(1000));
/// ```
#[derive(Debug)]
pub struct Priority {
    /// Fuel a turn, for tasks with no quantum of their own.
    quantum: Fuel,
    /// Fuel of waiting that lifts a task by one level; `None` if nobody rises.
    ageing: Option<u64>,
    /// The state of each task.
    tasks: Table<Task>,
    /// Those that are ready and do not run.
    ready: ReadyQueue<Key>,
    /// By level: how many those are, and the virtual time.
    levels: Vec<Level>,
    /// A bit for each level that has anybody ready; the lowest level is the lowest bit of the first word.
    occupied: [u64; LEVELS / 64],
    /// The virtual clock, with what has been charged since the last pick. Wide enough to go on where the executor's stops.
    now: u128,
    /// How often a task was put among the ready.
    arrivals: u64,
}

/// The order of the ready: by the fields from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Without ageing how far the level is from the highest; with ageing that times the ageing, and the beginning of the wait.
    rank: u128,
    /// The pass; without ageing only.
    pass: u128,
    /// Number of the arrival.
    arrival: u64,
}

/// What the tasks of one level share.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// How many of them are ready and do not run.
    ready: u32,
    /// The virtual time: the pass of whoever was picked last.
    now: u128,
}

/// The state of one task.
#[derive(Clone, Copy, Debug)]
struct Task {
    /// Its priority.
    priority: u8,
    /// Whether it has never been ready.
    new: bool,
    /// Fuel a turn.
    quantum: u64,
    /// Fuel left of the turn that was begun; 0 between turns.
    left: u64,
    /// Fuel that its present turn has used so far.
    used: u64,
    /// Fuel charged in turns that are over, on the scale of its level's virtual time.
    pass: u128,
    /// Fuel that the last turn used beyond what it was granted.
    debt: u64,
    /// Since when it waits; later than it has waited, by what its debts put off.
    since: u128,
    /// The number of its latest arrival among the ready.
    arrival: u64,
}

impl Task {
    /// What the next slice is granted: the rest of the turn, or a new turn less what is owed beyond whole quanta.
    fn grant(&self) -> u64 {
        if self.left > 0 { self.left } else { self.quantum - self.debt % self.quantum }
    }

    /// How long the whole quanta that it owes put off its wait, where there are so many others on its level. Half a quantum more
    /// lets the last of them, whose turn ends then, come before it.
    fn sits_out(&self, others: u128) -> u128 {
        if self.debt < self.quantum {
            return 0;
        }
        let (rounds, quantum) = (u128::from(self.debt / self.quantum), u128::from(self.quantum));
        (rounds * quantum).saturating_mul(others).saturating_add(quantum.div_ceil(2))
    }
}

impl Priority {
    /// Fixed priorities with this much fuel a turn; a quantum of 0 is taken as 1, because a slice cannot be empty.
    #[must_use]
    pub fn new(quantum: Fuel) -> Priority {
        Priority {
            quantum: quantum.max(Fuel(1)),
            ageing: None,
            tasks: Table::new(),
            ready: ReadyQueue::new(),
            levels: vec![Level::default(); LEVELS],
            occupied: [0; LEVELS / 64],
            now: 0,
            arrivals: 0,
        }
    }

    /// Lets a task that waits rise one level for each so much fuel of waiting; 0 is taken as 1. To be said before there are tasks.
    #[must_use]
    pub fn ageing(mut self, fuel: Fuel) -> Priority {
        self.ageing = Some(fuel.0.max(1));
        self
    }

    /// Fuel a turn, for tasks with no quantum of their own.
    #[must_use]
    pub fn quantum(&self) -> Fuel {
        self.quantum
    }

    /// Where a task stands among the ready.
    fn key(&self, task: &Task) -> Key {
        let below = u128::from(u8::MAX - task.priority);
        match self.ageing {
            None => Key { rank: below, pass: task.pass, arrival: task.arrival },
            Some(fuel) => {
                let rank = task.since.saturating_add(below * u128::from(fuel));
                Key { rank, pass: 0, arrival: task.arrival }
            }
        }
    }

    /// Puts a task among the ready, at the place that it has.
    fn insert(&mut self, id: TaskId) {
        let task = &self.tasks[id];
        let key = self.key(task);
        let level = usize::from(task.priority);
        self.ready.insert(key, id);
        self.levels[level].ready += 1;
        self.occupied[level / 64] |= 1 << (level % 64);
    }

    /// Notes that one of a level's tasks is no more among the ready.
    fn left(&mut self, priority: u8) {
        let level = usize::from(priority);
        self.levels[level].ready -= 1;
        if self.levels[level].ready == 0 {
            self.occupied[level / 64] &= !(1 << (level % 64));
        }
    }

    /// Begins a wait: puts a task among the ready, behind its equals, and behind what it owes.
    fn wait(&mut self, id: TaskId) {
        let task = &mut self.tasks[id];
        let others = u128::from(self.levels[usize::from(task.priority)].ready);
        task.since = self.now.saturating_add(task.sits_out(others));
        task.arrival = self.arrivals;
        self.arrivals += 1;
        self.insert(id);
    }

    /// The highest level that has anybody ready.
    fn highest(&self) -> Option<u32> {
        let words = (0_u32..).step_by(64).zip(self.occupied);
        words.filter(|(_, word)| *word > 0).last().map(|(first, word)| first + word.ilog2())
    }

    /// Moves the clock on; it is never behind what has been charged.
    fn look_at_clock(&mut self, now: Fuel) {
        self.now = self.now.max(u128::from(now.0));
    }

    /// Changes a priority. What the task is ahead on its level it is ahead on the other.
    fn promote(&mut self, id: TaskId, priority: u8) {
        let waits = self.ready.remove(id);
        let task = &mut self.tasks[id];
        let old = std::mem::replace(&mut task.priority, priority);
        let lead = task.pass.saturating_sub(self.levels[usize::from(old)].now);
        task.pass = self.levels[usize::from(priority)].now.saturating_add(lead);
        if waits {
            self.left(old);
            self.insert(id);
        }
    }
}

impl Policy for Priority {
    fn name(&self) -> &'static str {
        "priority"
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        let quantum = params.quantum.unwrap_or(self.quantum);
        if quantum == Fuel::ZERO {
            return Err(refuse_quantum());
        }
        let task = Task {
            priority: params.priority.unwrap_or(0),
            new: true,
            quantum: quantum.0,
            left: 0,
            used: 0,
            pass: 0,
            debt: 0,
            since: 0,
            arrival: 0,
        };
        self.tasks.insert(id, task);
        Ok(())
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, now: Fuel) {
        self.look_at_clock(now);
        let task = &mut self.tasks[id];
        let level = self.levels[usize::from(task.priority)].now;
        if std::mem::take(&mut task.new) {
            task.pass = level.saturating_add(u128::from(task.quantum));
        }
        task.pass = task.pass.max(level);
        self.wait(id);
    }

    fn pick(&mut self, now: Fuel) -> Pick {
        self.look_at_clock(now);
        let highest = self.highest();
        let Some((_, id)) = self.ready.pop() else {
            return Pick::Empty;
        };
        let task = &mut self.tasks[id];
        let (priority, pass) = (task.priority, task.pass);
        task.left = task.grant();
        // Whoever has its turn has no more to sit out, should the host cut it short.
        task.since = task.since.min(self.now);
        let grant = Fuel(task.left);
        self.left(priority);
        self.levels[usize::from(priority)].now = pass;
        let level = u32::from(priority);
        let why = if highest > Some(level) { PickReason::Aged } else { PickReason::Level(level) };
        Pick::Run(Run { id, grant, why })
    }

    fn upcoming(&self) -> [u32; 3] {
        self.ready.first_three().map(slot_of)
    }

    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        self.now = self.now.saturating_add(u128::from(used.0));
        let ages = self.ageing.is_some();
        let task = &mut self.tasks[id];
        task.used = task.used.saturating_add(used.0);
        if end == SliceEnd::Preempted && used.0 < task.left {
            // The host cut the turn short: it goes on, at the place that it had.
            task.left -= used.0;
            self.insert(id);
            return;
        }
        task.pass = task.pass.saturating_add(u128::from(std::mem::take(&mut task.used)));
        // Without ageing the pass says what is owed.
        task.debt = if ages { used.0.saturating_sub(task.left) } else { 0 };
        task.left = 0;
        if let SliceEnd::Preempted | SliceEnd::Yielded = end {
            self.wait(id);
        }
    }

    fn leave(&mut self, id: TaskId) {
        let waited = self.ready.remove(id);
        if let Some(task) = self.tasks.remove(id)
            && waited
        {
            self.left(task.priority);
        }
    }

    /// A quantum counts from the next turn on, a priority at once.
    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        match param {
            Param::Quantum(Fuel::ZERO) => return Err(refuse_quantum()),
            Param::Quantum(quantum) => self.tasks[id].quantum = quantum.0,
            Param::Priority(priority) => self.promote(id, priority),
            other => return Err(refuse_param(self.name(), other, "a priority and a quantum")),
        }
        Ok(())
    }

    /// `level` is where the task stands by now: its priority, and what it has risen.
    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let Some(task) = self.tasks.get(id) else {
            return Vec::new();
        };
        let clamped = |fuel: u128| i64::try_from(fuel).unwrap_or(i64::MAX);
        let priority = i64::from(task.priority);
        let risen = match self.ageing {
            Some(fuel) if self.ready.key(id).is_some() => {
                clamped(self.now.saturating_sub(task.since) / u128::from(fuel))
            }
            _ => 0,
        };
        let quantum = clamped(u128::from(task.quantum));
        vec![("priority", priority), ("level", priority.saturating_add(risen)), ("quantum", quantum)]
    }
}

/// The one parameter that cannot be served.
fn refuse_quantum() -> Error {
    refuse("priority", "a quantum of 0 would be an empty slice; it must be at least 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id of a task.
    fn id(index: u32) -> TaskId {
        TaskId::new(index, 0)
    }

    /// A policy with ready tasks of these priorities.
    fn ready(mut policy: Priority, priorities: &[u8]) -> Priority {
        for (index, priority) in (0..).zip(priorities) {
            policy.admit(id(index), &Params::default().with(Param::Priority(*priority))).unwrap();
            policy.ready(id(index), ReadyReason::Spawned, Fuel::ZERO);
        }
        policy
    }

    /// Picks, and says who and for how much.
    fn pick(policy: &mut Priority) -> (usize, u64) {
        match policy.pick(Fuel::ZERO) {
            Pick::Run(run) => (run.id.index(), run.grant.0),
            other => panic!("nobody picked: {other:?}"),
        }
    }

    /// Lets the next one use this much; says who it was.
    fn run(policy: &mut Priority, used: u64, end: SliceEnd) -> usize {
        let (who, _) = pick(policy);
        policy.charge(id(who as u32), Fuel(used), end);
        who
    }

    #[test]
    fn the_highest_occupied_level_is_known() {
        let mut policy = ready(Priority::new(Fuel(10)), &[0, 63, 64, 200, 255]);
        for expected in [255, 200, 64, 63, 0] {
            assert_eq!(policy.highest(), Some(expected));
            run(&mut policy, 10, SliceEnd::Blocked);
        }
        assert_eq!((policy.highest(), policy.pick(Fuel::ZERO)), (None, Pick::Empty));
        policy.ready(id(2), ReadyReason::Resumed, Fuel(50));
        policy.leave(id(2));
        policy.leave(id(2));
        assert_eq!((policy.highest(), policy.pick(Fuel::ZERO)), (None, Pick::Empty));
    }

    #[test]
    fn parameters_are_set_in_every_state() {
        let mut policy = ready(Priority::new(Fuel(10)), &[1, 1, 1]);
        // Ready.
        policy.set(id(2), Param::Priority(2)).unwrap();
        policy.set(id(2), Param::Quantum(Fuel(7))).unwrap();
        assert_eq!(pick(&mut policy), (2, 7));
        // Running.
        policy.set(id(2), Param::Priority(0)).unwrap();
        policy.set(id(2), Param::Quantum(Fuel(8))).unwrap();
        policy.charge(id(2), Fuel(7), SliceEnd::Preempted);
        assert_eq!(run(&mut policy, 10, SliceEnd::Blocked), 0);
        // Waiting.
        policy.set(id(0), Param::Priority(3)).unwrap();
        policy.ready(id(0), ReadyReason::Resumed, Fuel(17));
        let order = [(); 3].map(|()| run(&mut policy, 10, SliceEnd::Blocked));
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn what_a_cut_turn_has_left_outlasts_a_new_quantum_and_ends_with_a_wait() {
        let mut policy = ready(Priority::new(Fuel(10)), &[0]);
        assert_eq!(run(&mut policy, 4, SliceEnd::Preempted), 0);
        policy.set(id(0), Param::Quantum(Fuel(5))).unwrap();
        assert_eq!(pick(&mut policy), (0, 6));
        policy.charge(id(0), Fuel(1), SliceEnd::Blocked);
        policy.ready(id(0), ReadyReason::Resumed, Fuel(5));
        assert_eq!(pick(&mut policy), (0, 5));
    }

    #[test]
    fn a_debt_that_was_paid_does_not_put_off_the_rest_of_a_cut_turn() {
        let mut policy = ready(Priority::new(Fuel(10)).ageing(Fuel(1)), &[0]);
        // It owes four quanta, and is alone: nobody is there to be let ahead.
        assert_eq!(run(&mut policy, 50, SliceEnd::Preempted), 0);
        assert_eq!(run(&mut policy, 1, SliceEnd::Preempted), 0);
        policy.admit(id(1), &Params::default().with(Param::Priority(1))).unwrap();
        policy.ready(id(1), ReadyReason::Spawned, Fuel(51));
        // It has waited since 50, and so risen by one level: as high as the new one, and it came first.
        assert_eq!(pick(&mut policy), (0, 9));
    }

    #[test]
    fn a_new_priority_keeps_the_wait() {
        let mut policy = ready(Priority::new(Fuel(10)).ageing(Fuel(10)), &[0, 3]);
        assert_eq!(run(&mut policy, 10, SliceEnd::Preempted), 1);
        assert_eq!(run(&mut policy, 10, SliceEnd::Preempted), 1);
        // Both on level 2: one waits since 0, the other since 20.
        policy.set(id(0), Param::Priority(2)).unwrap();
        policy.set(id(1), Param::Priority(2)).unwrap();
        assert_eq!(policy.numbers(id(0))[1], ("level", 4));
        assert_eq!(run(&mut policy, 10, SliceEnd::Preempted), 0);
    }

    #[test]
    fn whoever_slept_stands_where_its_level_is() {
        let mut policy = ready(Priority::new(Fuel(10)), &[0, 0]);
        assert_eq!(run(&mut policy, 10, SliceEnd::Blocked), 0);
        (0..50).for_each(|_| assert_eq!(run(&mut policy, 10, SliceEnd::Preempted), 1));
        policy.ready(id(0), ReadyReason::Resumed, Fuel::ZERO);
        assert_eq!([(); 4].map(|()| run(&mut policy, 10, SliceEnd::Preempted)), [0, 1, 0, 1]);
    }

    #[test]
    fn an_old_id_means_nothing() {
        let mut policy = ready(Priority::new(Fuel(10)), &[4]);
        policy.leave(id(0));
        policy.admit(TaskId::new(0, 1), &Params::default()).unwrap();
        policy.ready(TaskId::new(0, 1), ReadyReason::Spawned, Fuel::ZERO);
        policy.leave(id(0));
        assert!(policy.numbers(id(0)).is_empty());
        assert_eq!(pick(&mut policy), (0, 10));
        policy.leave(TaskId::new(0, 1));
        assert_eq!(policy.pick(Fuel::ZERO), Pick::Empty);
    }

    #[test]
    fn no_number_is_too_large() {
        for policy in
            [Priority::new(Fuel::MAX), Priority::new(Fuel(0)).ageing(Fuel::MAX), Priority::new(Fuel(1)).ageing(Fuel(0))]
        {
            let mut policy = ready(policy, &[0, 255, 255, 7]);
            policy.now = u128::MAX - 5;
            policy.levels.iter_mut().for_each(|level| level.now = u128::MAX - 5);
            for round in 0..40 {
                let who = id(run(&mut policy, u64::MAX, SliceEnd::Preempted) as u32);
                policy.set(who, Param::Priority([0, 255][round % 2])).unwrap();
                policy.set(who, Param::Quantum([Fuel(1), Fuel::MAX][round % 2])).unwrap();
                assert_eq!(policy.numbers(who).len(), 3);
            }
        }
    }
}
