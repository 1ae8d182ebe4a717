//! Deficit round robin: every task one turn a round, and whoever used too much sits out until it has paid.
//!
//! **Source.** M. Shreedhar and G. Varghese, "Efficient Fair Queueing using Deficit Round Robin", SIGCOMM 1995; IEEE/ACM
//! Transactions on Networking 4(3), 1996. There a packet that does not fit waits, so the balance is never negative. A guest cannot be
//! stopped before its next yield point, so here the balance goes below zero, and the debt is paid from the rounds that follow.
//!
//! **Algorithm.** A turn adds the quantum to the task's balance and grants the balance; what was used is taken off. A task whose
//! balance is `-debt` would get nothing in its next `debt / quantum` rounds. They are not walked through: the round of its next turn
//! is computed, and the task is filed there.
//!
//! **Fairness.** All rounds have one order: who became ready in a later round comes first, and those of one round come as they became
//! ready. Two tasks that are ready throughout an interval keep their order, and whoever came in its first round has the next
//! round's first turns, so in any interval the rounds begun by the two differ by at most one. (At the end of the next round it would
//! find that the others had begun two.) A task that has had `m` rounds used `m × quantum` and the difference of two
//! balances, and after a turn a balance lies between minus the task's largest overshoot and 0. So over any interval the service
//! of two tasks with equal quanta differs by at most **one quantum plus both largest overshoots**. A task that yields forfeits the rest
//! of its turn, a task that waits keeps its debt and no credit, and whoever becomes ready joins the *next* round, so that no
//! chain of arrivals can hold a round open.
//!
//! **Cost.** Turns that come back in order, which is nearly all of them, go through a queue: O(1). So do they where all guests overshoot
//! alike, as they do at a quantum of 1. Where one task's debt puts it far ahead at the end of that queue, those whose turn is in the
//! next round go through a second queue. The others (debts of many sizes, ready in the middle of a round) go through a tree:
//! O(log n), whatever the debt.

use super::{NOBODY, Pick, Policy, Run, refuse, refuse_param};
use crate::error::{Error, Result};
use crate::reason::{Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, TaskId};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Quanta are at most this, so that a balance and a quantum add up without overflow.
const LARGEST_QUANTUM: u64 = 1 << 62;

/// The policy `round-robin`: deficit round robin, charged by exact fuel.
///
/// ```
/// use fuelsched::policy::RoundRobin;
/// use fuelsched::{Executor, Fuel};
///
/// let sched = Executor::builder().policy(RoundRobin::new(Fuel(1000))).build();
/// assert_eq!(sched.policy().quantum(), Fuel(1000));
/// ```
#[derive(Debug)]
pub struct RoundRobin {
    /// Fuel a turn, for tasks with no quantum of their own.
    quantum: Fuel,
    /// The state of each task, by [`TaskId::index`].
    tasks: Vec<Task>,
    /// Turns that came in order.
    queue: Queue,
    /// Turns that were of the next round when they came, but before the end of `queue`; among themselves they came in order.
    next: Queue,
    /// Turns that fit at the end of neither.
    later: BTreeMap<Turn, u32>,
    /// Whether `next` and `later` are known to be empty.
    only_queue: bool,
    /// The round of the latest turn. Wide enough for ever: one guest can owe 2^63 rounds, and then another.
    round: u128,
    /// How many tasks have become ready, so many times each.
    arrivals: u64,
    /// In how many rounds tasks have become ready.
    waves: u64,
    /// The last of those rounds.
    wave: u128,
}

/// Tasks in ascending order of their turns: a list through the tasks themselves.
#[derive(Debug)]
struct Queue {
    /// The first task, or [`NOBODY`].
    first: u32,
    /// The last task, while there is a first.
    last: u32,
    /// How many rounds the last task was put off when it came: [`RoundRobin::file_again`].
    put_off: i64,
}

/// When a task's turn is: first by round, then by place in the order of all rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// The round.
    round: Round,
    /// The task's place, new each time that it becomes ready.
    place: Place,
}

/// A round, as a task keeps it: aligned so that a task is 72 bytes, and not 80.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(Rust, packed(8))]
struct Round(u128);

/// A place in the order that all rounds have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The round in which the task became ready, counted among those in which any did; later ones come first.
    since: Reverse<u64>,
    /// How many tasks became ready before it.
    arrival: u64,
}

/// The state of one task.
#[derive(Debug)]
struct Task {
    /// Which of the slot's tasks this is.
    generation: u32,
    /// Fuel a turn.
    quantum: i64,
    /// Fuel that it may still use; negative while it is in debt.
    balance: i64,
    /// The quanta that are added to the balance at its next turn: 0 while a turn goes on, more than 1 when it paid a debt.
    rounds: i64,
    /// Its next turn, or its present one.
    turn: Turn,
    /// Where that turn is filed.
    filed: Filed,
    /// In a queue, the task before it, unless it is the first.
    previous: u32,
    /// In a queue, the task after it, or [`NOBODY`].
    next: u32,
}

/// Where a task's turn is filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filed {
    /// Nowhere: the task is running, waits, or is gone.
    Out,
    /// In `queue`.
    Queue,
    /// In `next`.
    Next,
    /// In `later`.
    Later,
}

impl Task {
    /// Sets the task's next turn, after this round and the rounds that pay its debt.
    #[inline(always)]
    fn put_off(&mut self, round: u128) {
        let debt = -self.balance;
        self.rounds = match self.quantum {
            // Dividing takes longer than all the rest, and whoever goes from yield point to yield point has debts in each round.
            1 => debt + 1,
            quantum if debt < quantum => 1,
            quantum => debt / quantum + 1,
        };
        self.turn.round = Round(round + u128::from(self.rounds.cast_unsigned()));
    }
}

impl Queue {
    /// Nobody.
    const EMPTY: Queue = Queue { first: NOBODY, last: NOBODY, put_off: 0 };

    /// Puts in a task whose turn is known to come after all others.
    #[inline(always)]
    fn push_last(&mut self, tasks: &mut [Task], index: u32) {
        let task = &mut tasks[index as usize];
        task.previous = self.last;
        task.next = NOBODY;
        self.put_off = task.rounds;
        if self.first == NOBODY {
            self.first = index;
        } else {
            tasks[self.last as usize].next = index;
        }
        self.last = index;
    }

    /// Puts in a task whose turn is known to come before all others.
    fn push_first(&mut self, tasks: &mut [Task], index: u32) {
        tasks[index as usize].next = self.first;
        if self.first == NOBODY {
            self.last = index;
        } else {
            tasks[self.first as usize].previous = index;
        }
        self.first = index;
    }

    /// Takes out the first task.
    #[inline(always)]
    fn pop_first(&mut self, tasks: &[Task]) -> Option<u32> {
        let index = self.first;
        if index == NOBODY {
            return None;
        }
        self.first = tasks[index as usize].next;
        Some(index)
    }

    /// Takes out a task that is in here.
    fn remove(&mut self, tasks: &mut [Task], index: u32) {
        let Task { previous, next, .. } = tasks[index as usize];
        if self.first == index {
            self.first = next;
        } else {
            tasks[previous as usize].next = next;
        }
        if self.last == index {
            self.last = previous;
        } else {
            tasks[next as usize].previous = previous;
        }
    }

    /// The first turn, if there is one.
    fn first_turn(&self, tasks: &[Task]) -> Option<Turn> {
        (self.first != NOBODY).then(|| tasks[self.first as usize].turn)
    }

    /// The last turn, if there is one.
    fn last_turn(&self, tasks: &[Task]) -> Option<Turn> {
        (self.first != NOBODY).then(|| tasks[self.last as usize].turn)
    }
}

impl RoundRobin {
    /// Bytes that it has for each task that is there at once.
    pub const BYTES_A_TASK: usize = size_of::<Task>();

    /// Round robin with this much fuel a turn; a quantum of 0 is taken as 1, because a slice cannot be empty.
    #[must_use]
    pub fn new(quantum: Fuel) -> RoundRobin {
        RoundRobin {
            quantum: Fuel(quantum.0.clamp(1, LARGEST_QUANTUM)),
            tasks: Vec::new(),
            queue: Queue::EMPTY,
            next: Queue::EMPTY,
            later: BTreeMap::new(),
            only_queue: true,
            round: 0,
            arrivals: 0,
            waves: 0,
            wave: 0,
        }
    }

    /// Fuel a turn, for tasks with no quantum of their own.
    #[must_use]
    pub fn quantum(&self) -> Fuel {
        self.quantum
    }

    /// Files the turn of a task that has just run, after the rounds that pay its debt.
    ///
    /// A turn that is put off as long as the one filed before it, or longer, comes after it: both keep their places, and it was picked
    /// later. So the two turns, of three words each, need not be compared.
    #[inline(always)]
    fn file_again(&mut self, index: u32) {
        let task = &mut self.tasks[index as usize];
        task.put_off(self.round);
        if task.rounds >= self.queue.put_off {
            task.filed = Filed::Queue;
            self.queue.push_last(&mut self.tasks, index);
        } else {
            self.file(index);
        }
    }

    /// Files a turn where it belongs.
    #[inline(never)]
    fn file(&mut self, index: u32) {
        let Task { turn, rounds, .. } = self.tasks[index as usize];
        let filed = if self.queue.last_turn(&self.tasks).is_none_or(|last| last < turn) {
            self.queue.push_last(&mut self.tasks, index);
            Filed::Queue
        // One that is put off further would, at the end of `next`, send those of the next round to the tree.
        } else if rounds == 1 && self.next.last_turn(&self.tasks).is_none_or(|last| last < turn) {
            self.next.push_last(&mut self.tasks, index);
            Filed::Next
        } else {
            self.later.insert(turn, index);
            Filed::Later
        };
        self.only_queue &= filed == Filed::Queue;
        self.tasks[index as usize].filed = filed;
    }

    /// Takes out the earliest turn.
    #[inline(always)]
    fn take_first(&mut self) -> Option<u32> {
        if self.only_queue { self.queue.pop_first(&self.tasks) } else { self.take_first_of_all() }
    }

    /// Takes out the earliest turn, wherever it is filed.
    #[inline(never)]
    fn take_first_of_all(&mut self) -> Option<u32> {
        let queued = self.queue.first_turn(&self.tasks);
        let next = self.next.first_turn(&self.tasks);
        let later = self.later.first_key_value().map(|(turn, _)| *turn);
        self.only_queue = next.is_none() && later.is_none();
        let first = [queued, next, later].into_iter().flatten().min()?;
        if queued == Some(first) {
            self.queue.pop_first(&self.tasks)
        } else if next == Some(first) {
            self.next.pop_first(&self.tasks)
        } else {
            self.later.remove(&first)
        }
    }

    /// Takes the task's turn out of wherever it is filed.
    fn withdraw(&mut self, index: u32) {
        let Task { turn, filed, .. } = self.tasks[index as usize];
        self.tasks[index as usize].filed = Filed::Out;
        match filed {
            Filed::Out => {}
            Filed::Queue => self.queue.remove(&mut self.tasks, index),
            Filed::Next => self.next.remove(&mut self.tasks, index),
            Filed::Later => {
                self.later.remove(&turn);
            }
        }
    }
}

/// A quantum as the arithmetic wants it.
fn as_quantum(fuel: Fuel) -> i64 {
    fuel.0.clamp(1, LARGEST_QUANTUM).cast_signed()
}

impl Policy for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        let quantum = params.quantum.unwrap_or(self.quantum);
        if quantum == Fuel::ZERO {
            return Err(refuse_quantum());
        }
        let task = Task {
            generation: id.generation(),
            quantum: as_quantum(quantum),
            balance: 0,
            rounds: 0,
            turn: Turn::default(),
            filed: Filed::Out,
            previous: NOBODY,
            next: NOBODY,
        };
        if id.index() >= self.tasks.len() {
            let vacant = || Task { generation: 0, ..task };
            self.tasks.resize_with(id.index() + 1, vacant);
        }
        self.tasks[id.index()] = task;
        Ok(())
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        if self.wave != self.round {
            (self.wave, self.waves) = (self.round, self.waves + 1);
        }
        let place = Place { since: Reverse(self.waves), arrival: self.arrivals };
        self.arrivals += 1;
        let task = &mut self.tasks[id.index()];
        task.turn.place = place;
        task.put_off(self.round);
        self.file(slot(id));
        // It was not picked before those that follow, so they are to be compared with it.
        self.queue.put_off = i64::MAX;
    }

    #[inline(always)]
    fn pick(&mut self, _now: Fuel) -> Pick {
        let Some(index) = self.take_first() else {
            return Pick::Empty;
        };
        let task = &mut self.tasks[index as usize];
        self.round = task.turn.round.0;
        task.filed = Filed::Out;
        let (why, paid) = match task.rounds {
            0 => (PickReason::Continued, 0),
            1 => (PickReason::Turn, task.quantum),
            more => (PickReason::DebtPaid { rounds: (more - 1).cast_unsigned() }, task.quantum.saturating_mul(more)),
        };
        // Clamped, because the quantum may have been changed since the rounds were counted. Cannot overflow: whoever is paid had nothing.
        task.balance = (task.balance + paid).min(task.quantum).max(1);
        Pick::Run(Run { id: TaskId::new(index, task.generation), grant: Fuel(task.balance.cast_unsigned()), why })
    }

    #[inline(always)]
    fn upcoming(&self) -> [u32; 3] {
        let after = |index: u32| self.tasks.get(index as usize).map_or(NOBODY, |task| task.next);
        // Those of the other two queues are few.
        let next = self.queue.first;
        let second = after(next);
        [next, second, after(second)]
    }

    #[inline(always)]
    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let task = &mut self.tasks[id.index()];
        // Cannot overflow: whoever runs has a balance of at least 1.
        task.balance -= i64::try_from(used.0).unwrap_or(i64::MAX);
        match end {
            SliceEnd::Preempted if task.balance > 0 => {
                // No turn is earlier than this one: every other is of a later round, or of a later place in this round.
                task.rounds = 0;
                task.filed = Filed::Queue;
                self.queue.push_first(&mut self.tasks, slot(id));
            }
            SliceEnd::Preempted | SliceEnd::Yielded => {
                task.balance = task.balance.min(0);
                self.file_again(slot(id));
            }
            SliceEnd::Blocked | SliceEnd::Ended => task.balance = task.balance.min(0),
        }
    }

    fn leave(&mut self, id: TaskId) {
        self.withdraw(slot(id));
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        match param {
            Param::Quantum(Fuel::ZERO) => Err(refuse_quantum()),
            Param::Quantum(quantum) => {
                self.tasks[id.index()].quantum = as_quantum(quantum);
                Ok(())
            }
            other => Err(refuse_param(self.name(), other, "a quantum")),
        }
    }

    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let task = &self.tasks[id.index()];
        vec![("quantum", task.quantum), ("balance", task.balance)]
    }
}

/// With the executor's part it is 200 bytes a task.
const _: () = assert!(size_of::<Task>() <= 72);

/// The slot of a task, as the queue keeps it.
fn slot(id: TaskId) -> u32 {
    id.index() as u32
}

/// The one parameter that cannot be served.
fn refuse_quantum() -> Error {
    refuse("round-robin", "a quantum of 0 would be an empty slice; it must be at least 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upcoming_are_those_who_are_picked() {
        for (tasks, used) in [(5, 10), (5, 1), (5, 25), (5, 10), (2, 10), (1, 10)] {
            let mut policy = ready(tasks, 10);
            let Pick::Run(run) = policy.pick(Fuel::ZERO) else { panic!("nobody is ready") };
            let mut picked = [NOBODY; 3];
            let upcoming = policy.upcoming();
            for index in &mut picked {
                *index = policy.queue.pop_first(&policy.tasks).unwrap_or(NOBODY);
            }
            assert_eq!(upcoming, picked);
            // Back to where they were, in front.
            for index in picked.into_iter().rev().filter(|index| *index != NOBODY) {
                policy.queue.push_first(&mut policy.tasks, index);
            }
            policy.charge(run.id, Fuel(used), SliceEnd::Preempted);
        }
    }

    /// A policy with `n` ready tasks.
    fn ready(n: u32, quantum: u64) -> RoundRobin {
        let mut policy = RoundRobin::new(Fuel(quantum));
        for index in 0..n {
            let id = TaskId::new(index, 0);
            policy.admit(id, &Params::default()).unwrap();
            policy.ready(id, ReadyReason::Spawned, Fuel::ZERO);
        }
        policy
    }

    /// Picks, and says who and for how much.
    fn pick(policy: &mut RoundRobin) -> (usize, u64) {
        match policy.pick(Fuel::ZERO) {
            Pick::Run(run) => (run.id.index(), run.grant.0),
            other => panic!("nobody picked: {other:?}"),
        }
    }

    /// Picks `costs.len()` times; each pick of task `i` uses `costs[i]` fuel. Says who ran.
    fn order(policy: &mut RoundRobin, picks: usize, costs: &[u64]) -> Vec<usize> {
        (0..picks)
            .map(|_| {
                let (who, _) = pick(policy);
                policy.charge(TaskId::new(who as u32, 0), Fuel(costs[who]), SliceEnd::Preempted);
                who
            })
            .collect()
    }

    #[test]
    fn tasks_take_turns_in_the_order_in_which_they_became_ready() {
        let mut policy = ready(3, 10);
        assert_eq!(order(&mut policy, 7, &[10, 10, 10]), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_debt_is_paid_by_sitting_out() {
        let mut policy = ready(2, 10);
        // Task 0 uses 35 of 10: it owes 25, so rounds 2 and 3 pay 20, and round 4 pays the rest and grants 5.
        assert_eq!(order(&mut policy, 2, &[35, 10]), [0, 1]);
        assert_eq!(order(&mut policy, 2, &[35, 10]), [1, 1]);
        let before = policy.numbers(TaskId::new(0, 0));
        assert_eq!(before, [("quantum", 10), ("balance", -25)]);
        assert_eq!(pick(&mut policy), (0, 5), "its place is before task 1's, as in every round");
    }

    #[test]
    fn rounds_in_which_nobody_may_run_are_skipped_at_once() {
        let mut policy = ready(2, 1);
        let huge = 1 << 62;
        assert_eq!(order(&mut policy, 2, &[huge, huge]), [0, 1]);
        // Both owe 2^62 rounds of 1. Walking through them would take a century.
        assert_eq!(order(&mut policy, 2, &[huge, 1]), [0, 1]);
        assert_eq!(order(&mut policy, 3, &[1, 1]), [1, 1, 1]);
    }

    #[test]
    fn no_debt_is_too_large_to_be_counted() {
        let mut policy = ready(1, 1);
        assert_eq!(order(&mut policy, 5, &[u64::MAX]), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_turn_cut_short_by_the_host_goes_on() {
        let mut policy = ready(2, 10);
        assert_eq!(pick(&mut policy), (0, 10));
        policy.charge(TaskId::new(0, 0), Fuel(4), SliceEnd::Preempted);
        assert_eq!(pick(&mut policy), (0, 6));
        policy.charge(TaskId::new(0, 0), Fuel(6), SliceEnd::Preempted);
        assert_eq!(pick(&mut policy), (1, 10));
    }

    #[test]
    fn a_yield_forfeits_and_keeps_no_credit() {
        let mut policy = ready(2, 10);
        assert_eq!(pick(&mut policy), (0, 10));
        policy.charge(TaskId::new(0, 0), Fuel(1), SliceEnd::Yielded);
        assert_eq!(order(&mut policy, 1, &[0, 10]), [1]);
        assert_eq!(pick(&mut policy), (0, 10), "not 19");
    }

    #[test]
    fn arrivals_join_the_next_round_so_that_a_chain_of_them_starves_nobody() {
        let mut policy = ready(2, 10);
        let mut ran = Vec::new();
        for generation in 0..4 {
            let (who, _) = pick(&mut policy);
            ran.push(who);
            let id = TaskId::new(who as u32, generation * u32::from(who == 0));
            if who == 0 {
                // Task 0 ends at once, and another takes its slot.
                policy.charge(id, Fuel(1), SliceEnd::Ended);
                policy.leave(id);
                let next = TaskId::new(0, generation + 1);
                policy.admit(next, &Params::default()).unwrap();
                policy.ready(next, ReadyReason::Spawned, Fuel::ZERO);
            } else {
                policy.charge(id, Fuel(10), SliceEnd::Preempted);
            }
        }
        assert_eq!(ran, [0, 1, 0, 1]);
    }

    #[test]
    fn a_task_that_left_is_never_picked_and_leaves_nothing_behind() {
        let mut policy = ready(3, 10);
        policy.leave(TaskId::new(1, 0));
        assert_eq!(order(&mut policy, 4, &[10, 0, 1_000]), [0, 2, 0, 0]);
        policy.leave(TaskId::new(2, 0));
        assert!(policy.later.is_empty(), "a debtor that leaves leaves the tree");
        policy.leave(TaskId::new(0, 0));
        assert_eq!(policy.pick(Fuel::ZERO), Pick::Empty);
        assert_eq!(policy.queue.first, NOBODY);
    }

    #[test]
    fn a_new_quantum_counts_from_the_next_turn_on() {
        let mut policy = ready(1, 10);
        policy.set(TaskId::new(0, 0), Param::Quantum(Fuel(3))).unwrap();
        assert_eq!(pick(&mut policy), (0, 3));
        let refused = policy.set(TaskId::new(0, 0), Param::Quantum(Fuel(0))).unwrap_err();
        assert!(refused.to_string().contains("at least 1"), "{refused}");
    }

    /// A number below `bound`, from a xorshift generator.
    fn random(state: &mut u64, bound: u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % bound
    }

    #[test]
    fn whatever_happens_the_earliest_turn_is_picked() {
        let mut policy = RoundRobin::new(Fuel(3));
        let mut state = 42;
        // Which tasks are ready; the others wait, or have left.
        let mut ready = [false; 12];
        for generation in 0..40_000 {
            let some = random(&mut state, 12) as usize;
            match random(&mut state, 8) {
                0 if ready[some] => {
                    policy.leave(TaskId::new(some as u32, 0));
                    ready[some] = false;
                }
                1 if !ready[some] => {
                    let id = TaskId::new(some as u32, generation);
                    policy.admit(id, &Params::default()).unwrap();
                    policy.ready(id, ReadyReason::Spawned, Fuel::ZERO);
                    ready[some] = true;
                }
                _ => {
                    let turns = (0..12).filter(|&task| ready[task]).map(|task| policy.tasks[task].turn);
                    let first = turns.min();
                    let Pick::Run(run) = policy.pick(Fuel::ZERO) else {
                        assert_eq!(first, None);
                        continue;
                    };
                    assert_eq!(Some(policy.tasks[run.id.index()].turn), first);
                    let used = [1, 3, 3, 3, 5, 8, 30][random(&mut state, 7) as usize];
                    let blocks = random(&mut state, 16) == 0;
                    let end = if blocks { SliceEnd::Blocked } else { SliceEnd::Preempted };
                    policy.charge(run.id, Fuel(used), end);
                    ready[run.id.index()] = !blocks;
                }
            }
        }
    }
}
