//! Lottery: each slice is drawn among the tickets of those that are ready, and shares of fuel follow the tickets.
//!
//! **Source.** C. A. Waldspurger and W. E. Weihl, "Lottery Scheduling: Flexible Proportional-Share Resource Management", OSDI 1994;
//! compensation tickets are section 4.5 there. The tree is that of P. M. Fenwick, "A New Data Structure for Cumulative Frequency Tables",
//! Software: Practice and Experience 24(3), 1994.
//!
//! **Algorithm.** A task holds as many tickets as its weight says. Whoever used only a fraction `f` of a quantum has its tickets counted `1 / f`
//! times until it has won again, and whoever used more than a quantum, because a guest cannot be stopped before its next yield
//! point, has them counted that much less: there `f` is more than 1. A quantum is the policy's here, also for a task with a quantum of its
//! own: such a task wins more seldom or more often, and its share stays what its tickets say. A turn that the host cut short goes on
//! without a draw, so the draws are the same however the host cuts.
//!
//! **Fairness.** A draw among `t / f` counted tickets each is the race of as many clocks, each of which rings after an exponentially
//! distributed time of mean `f / t`: memory-less, so whoever enters, leaves or waits disturbs no other clock. While a task is ready its clock
//! rings on by itself; after a slice of `f` quanta it takes `f / t` on average until it rings again. So by any moment `T` of
//! that race the task has used `T × t` quanta but for chance, whatever it uses in each slice and whatever the others do. What
//! chance does is bounded: with `v` for the sum of the squares of a task's slices and `b` for its largest slice, its service over an
//! interval in which it is ready throughout is off by more than **`√(2vx) + b(x + 2)`** with a probability of at most `2e⁻ˣ`: a tail bound
//! (Bernstein's) on sums of exponential variables, and one slice at each end. Off, that is, by about the square root of the number of
//! slices; relative to the service this goes to nothing. How long somebody waits is a matter of luck, but nobody waits for ever. A
//! sleeper cannot hoard: it comes back with what its last slice left it.
//!
//! **Limits.** A slice counts as 2⁻²⁷ quanta at the least and as 2³⁶ quanta at the most.
//!
//! **Cost.** A tree of sums over the tasks' slots: O(log n) a draw, and O(log n) where a task's counted tickets change. A slice of exactly one
//! quantum, over and over, changes nothing. The draw throws away what lies past the last ticket, less than half of all draws, so that it is
//! exact. Nothing is allocated but by the first tasks.

use super::{Pick, Policy, Run, Table, refuse, refuse_param};
use crate::error::Result;
use crate::reason::{Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, TaskId};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// Binary digits after the point of [`Row::factor`]: a factor of 1 is `1 << POINT`.
const POINT: u32 = 36;

/// The largest factor: 2²⁷. 2³² tasks of 2³² tickets each at 2⁶³ have sums that a `u128` holds.
const LARGEST_FACTOR: u64 = 1 << (POINT + 27);

/// The policy `lottery`: a random draw by tickets, the same for the same seed.
///
/// Behind the cargo feature `lottery`.
///
/// ```
/// use fuelsched::policy::Lottery;
/// use fuelsched::{Executor, Fuel};
///
/// let sched = Executor::builder().policy(Lottery::new(Fuel(1000), 42)).build();
/// assert_eq!(sched.policy().quantum(), Fuel(1000));
/// ```
#[derive(Debug)]
pub struct Lottery {
    /// What a slice is measured by, and its fuel for tasks with no quantum of their own.
    quantum: Fuel,
    /// Where chance comes from.
    random: Pcg64,
    /// The state of each task.
    tasks: Table<Row>,
    /// Counted tickets of those that may be drawn, by slot.
    drum: Fenwick,
    /// Whose turn the host cut short, if that task can go on with it.
    cut: Option<TaskId>,
}

/// The state of one task.
#[derive(Debug)]
struct Row {
    /// Its tickets; at least 1.
    tickets: u32,
    /// Fuel a turn; at least 1.
    quantum: u64,
    /// How many times each of the tickets is counted, as a fixed-point number; at least the smallest there is.
    factor: u64,
    /// Fuel used in the present turn; 0 between turns.
    used: u64,
    /// Fuel left of the present turn; 0 between turns.
    rest: u64,
}

impl Row {
    /// The tickets as they are counted.
    fn counted(&self) -> u128 {
        u128::from(self.tickets) * u128::from(self.factor)
    }

    /// Ends the turn, and counts the tickets anew by what it used. A turn that used nothing, because the task could not run after all, leaves
    /// them as they were: debts, too.
    fn settle(&mut self, quantum: Fuel) {
        if self.used > 0 {
            self.factor = factor(quantum.0, self.used);
        }
        (self.used, self.rest) = (0, 0);
    }
}

/// How often a ticket counts for whoever used this much, where a quantum counts once.
fn factor(quantum: u64, used: u64) -> u64 {
    if used == quantum {
        // Nearly always, and dividing takes longer than all the rest.
        return 1 << POINT;
    }
    let exact = (u128::from(quantum) << POINT) / u128::from(used.max(1));
    u64::try_from(exact).unwrap_or(u64::MAX).clamp(1, LARGEST_FACTOR)
}

/// Numbers by slot, and a tree of their sums: one can be changed, and the one that a point falls in can be found, both in O(log n).
#[derive(Debug, Default)]
struct Fenwick {
    /// The number of each slot.
    numbers: Vec<u128>,
    /// At `i`, the sum of the numbers of slots `i & (i + 1)` to `i`.
    sums: Vec<u128>,
    /// The sum of all.
    total: u128,
}

impl Fenwick {
    /// Changes the number of a slot.
    fn set(&mut self, slot: usize, number: u128) {
        self.grow(slot);
        let old = std::mem::replace(&mut self.numbers[slot], number);
        if old == number {
            return;
        }
        // Never below zero in the end: `old` is a part of each of these sums.
        self.total = self.total - old + number;
        let mut place = slot;
        while let Some(sum) = self.sums.get_mut(place) {
            *sum = *sum - old + number;
            place |= place + 1;
        }
    }

    /// Makes room for a slot.
    fn grow(&mut self, slot: usize) {
        while self.sums.len() <= slot {
            let (last, mut sum) = (self.sums.len(), 0);
            // The new place holds the sum of the places below it that it covers, and its own number, which is 0.
            let (mut place, first) = (last, last & (last + 1));
            while place > first {
                sum += self.sums[place - 1];
                place &= place - 1;
            }
            self.sums.push(sum);
            self.numbers.push(0);
        }
    }

    /// The slot that a point falls in, if the numbers are laid end to end. The point must be less than the total.
    fn find(&self, mut point: u128) -> usize {
        let mut slot = 0;
        let mut step = self.sums.len().checked_ilog2().map_or(0, |bits| 1 << bits);
        while step > 0 {
            if let Some(sum) = self.sums.get(slot + step - 1)
                && *sum <= point
            {
                point -= sum;
                slot += step;
            }
            step >>= 1;
        }
        slot
    }
}

impl Lottery {
    /// A lottery with this much fuel a slice, and this seed. A quantum of 0 is taken as 1, because a slice cannot be empty.
    #[must_use]
    pub fn new(quantum: Fuel, seed: u64) -> Lottery {
        Lottery {
            quantum: quantum.max(Fuel(1)),
            random: Pcg64::seed_from_u64(seed),
            tasks: Table::new(),
            drum: Fenwick::default(),
            cut: None,
        }
    }

    /// Fuel a slice, for tasks with no quantum of their own.
    #[must_use]
    pub fn quantum(&self) -> Fuel {
        self.quantum
    }

    /// A number below `bound`, which is more than 0; each is as likely as any other. Of as many random bits as the largest has; numbers that are
    /// too large are thrown away.
    fn below(&mut self, bound: u128) -> u128 {
        let spare = (bound - 1).leading_zeros();
        loop {
            let drawn = if spare >= 64 {
                u128::from(self.random.next_u64()) >> (spare - 64)
            } else {
                let high = u128::from(self.random.next_u64()) << 64;
                (high | u128::from(self.random.next_u64())) >> spare
            };
            if drawn < bound {
                return drawn;
            }
        }
    }

    /// Whose turn it is, and why.
    fn next(&mut self) -> Option<(TaskId, PickReason)> {
        if let Some(id) = self.cut.take() {
            return Some((id, PickReason::Continued));
        }
        if self.drum.total == 0 {
            return None;
        }
        let point = self.below(self.drum.total);
        let (id, _) = self.tasks.at(self.drum.find(point))?;
        Some((id, PickReason::Drawn))
    }
}

impl Policy for Lottery {
    fn name(&self) -> &'static str {
        "lottery"
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        let quantum = params.quantum.unwrap_or(self.quantum).0;
        let tickets = params.weight.unwrap_or(1);
        check(Param::Quantum(Fuel(quantum)))?;
        check(Param::Weight(tickets))?;
        // What it will use in its first slice, for all that is known.
        let factor = factor(self.quantum.0, quantum);
        self.tasks.insert(id, Row { tickets, quantum, factor, used: 0, rest: 0 });
        Ok(())
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        self.drum.set(id.index(), self.tasks[id].counted());
    }

    fn pick(&mut self, _now: Fuel) -> Pick {
        let Some((id, why)) = self.next() else {
            return Pick::Empty;
        };
        let row = &mut self.tasks[id];
        if why == PickReason::Drawn {
            row.rest = row.quantum;
        }
        // Its tickets stay in the drum while it runs: nobody draws meanwhile, and mostly `charge` need not change them.
        Pick::Run(Run { id, grant: Fuel(row.rest), why })
    }

    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let row = &mut self.tasks[id];
        row.used = row.used.saturating_add(used.0);
        row.rest = row.rest.saturating_sub(used.0);
        if end == SliceEnd::Preempted && row.rest > 0 {
            self.cut = Some(id);
            return;
        }
        row.settle(self.quantum);
        let goes_on = matches!(end, SliceEnd::Preempted | SliceEnd::Yielded);
        let counted = if goes_on { row.counted() } else { 0 };
        self.drum.set(id.index(), counted);
    }

    fn leave(&mut self, id: TaskId) {
        if self.tasks.remove(id).is_some() {
            self.drum.set(id.index(), 0);
            self.cut = self.cut.filter(|cut| *cut != id);
        }
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        check(param)?;
        let row = &mut self.tasks[id];
        match param {
            Param::Quantum(quantum) => row.quantum = quantum.0,
            Param::Weight(tickets) => {
                row.tickets = tickets;
                if self.drum.numbers.get(id.index()).is_some_and(|counted| *counted > 0) {
                    self.drum.set(id.index(), row.counted());
                }
            }
            other => return Err(refuse_param("lottery", other, "a quantum and a weight")),
        }
        Ok(())
    }

    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let Some(row) = self.tasks.get(id) else {
            return Vec::new();
        };
        let effective = i64::try_from(row.counted() >> POINT).unwrap_or(i64::MAX);
        vec![("tickets", i64::from(row.tickets)), ("effective tickets", effective)]
    }
}

/// Refuses the values that no ticket and no slice can have.
fn check(param: Param) -> Result<()> {
    match param {
        Param::Quantum(Fuel::ZERO) => {
            Err(refuse("lottery", "a quantum of 0 would be an empty slice; it must be at least 1"))
        }
        Param::Weight(0) => {
            Err(refuse("lottery", "whoever has no ticket is never drawn; the weight must be at least 1"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A policy with `n` ready tasks.
    fn ready(quantum: u64, seed: u64, n: u32) -> Lottery {
        let mut policy = Lottery::new(Fuel(quantum), seed);
        for id in (0..n).map(|index| TaskId::new(index, 0)) {
            policy.admit(id, &Params::default()).unwrap();
            policy.ready(id, ReadyReason::Spawned, Fuel::ZERO);
        }
        policy
    }

    /// Draws, and uses this much.
    fn slice(policy: &mut Lottery, used: u64, end: SliceEnd) -> (u32, PickReason) {
        let Pick::Run(run) = policy.pick(Fuel::ZERO) else { panic!("somebody is ready") };
        policy.charge(run.id, Fuel(used), end);
        (run.id.index() as u32, run.why)
    }

    /// The tickets of task 0 as they are counted, in 2⁻³⁶ tickets.
    fn counted(policy: &Lottery) -> u128 {
        policy.drum.numbers[0]
    }

    #[test]
    fn the_draws_of_a_seed_are_these_for_ever() {
        // They change only with the generator: whoever sees this fail has changed every schedule that was ever recorded.
        let drawn = |seed| {
            let mut policy = ready(10, seed, 5);
            [(); 20].map(|()| slice(&mut policy, 10, SliceEnd::Preempted).0)
        };
        assert_eq!(drawn(0), [1, 2, 0, 1, 1, 4, 3, 0, 1, 4, 0, 3, 3, 3, 0, 4, 0, 1, 4, 1]);
        assert_eq!(drawn(42), [1, 1, 4, 3, 1, 4, 2, 1, 3, 3, 2, 0, 4, 1, 3, 2, 1, 0, 3, 4]);
    }

    #[test]
    fn tickets_are_compensated_for_what_a_slice_used() {
        let one = 1 << POINT;
        let mut policy = ready(1_000, 1, 1);
        for (used, end, times) in [
            (1_000, SliceEnd::Preempted, one),
            (250, SliceEnd::Yielded, 4 * one),
            (65_000, SliceEnd::Preempted, one / 65),
            (0, SliceEnd::Yielded, one / 65), // could not run: the debt stays
            (1_000, SliceEnd::Yielded, one),
        ] {
            slice(&mut policy, used, end);
            assert_eq!(counted(&policy), times, "after {used}");
        }
        slice(&mut policy, 250, SliceEnd::Blocked);
        assert_eq!(counted(&policy), 0);
        policy.set(TaskId::new(0, 0), Param::Weight(3)).unwrap();
        assert_eq!(counted(&policy), 0, "who waits is not drawn");
        policy.ready(TaskId::new(0, 0), ReadyReason::Resumed, Fuel::ZERO);
        assert_eq!(counted(&policy), 12 * one);
        assert_eq!(policy.numbers(TaskId::new(0, 0)), [("tickets", 3), ("effective tickets", 12)]);
    }

    #[test]
    fn a_quantum_of_its_own_is_compensated_from_the_first_draw_on() {
        let mut policy = Lottery::new(Fuel(1_000), 1);
        let id = TaskId::new(0, 0);
        policy.admit(id, &Params::default().with(Param::Quantum(Fuel(250)))).unwrap();
        policy.ready(id, ReadyReason::Spawned, Fuel::ZERO);
        assert_eq!(counted(&policy), 4 << POINT);
        let expected = Run { id, grant: Fuel(250), why: PickReason::Drawn };
        assert_eq!(policy.pick(Fuel::ZERO), Pick::Run(expected));
    }

    #[test]
    fn a_turn_that_was_cut_goes_on_without_a_draw_and_counts_as_one() {
        let mut policy = ready(1_000, 7, 3);
        let (who, _) = slice(&mut policy, 100, SliceEnd::Preempted);
        let state = policy.random.clone();
        assert_eq!(slice(&mut policy, 300, SliceEnd::Preempted), (who, PickReason::Continued));
        assert_eq!(slice(&mut policy, 100, SliceEnd::Yielded), (who, PickReason::Continued));
        assert_eq!(policy.random, state, "no draw yet");
        assert_eq!(policy.drum.numbers[who as usize], 2 << POINT, "half a quantum in all");
        // Whoever is gone does not go on.
        let (who, _) = slice(&mut policy, 1, SliceEnd::Preempted);
        policy.leave(TaskId::new(who, 0));
        assert_eq!(policy.cut, None);
        let (other, why) = slice(&mut policy, 1, SliceEnd::Ended);
        assert!(other != who && why == PickReason::Drawn);
    }

    #[test]
    fn absurd_numbers_do_no_harm() {
        for quantum in [0, 1, 1 << 62, u64::MAX] {
            let mut policy = ready(quantum, 3, 3);
            for index in 0..3 {
                policy.set(TaskId::new(index, 0), Param::Weight(u32::MAX)).unwrap();
            }
            for used in [1, 1 << 62, u64::MAX, 0, 7, u64::MAX, 1] {
                slice(&mut policy, used, SliceEnd::Preempted);
                slice(&mut policy, used, SliceEnd::Yielded);
            }
            for index in [1, 0, 2] {
                policy.leave(TaskId::new(index, 0));
            }
            assert_eq!((policy.pick(Fuel::MAX), policy.drum.total), (Pick::Empty, 0));
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let mut policy = ready(10, 1, 1);
        for (param, message) in [
            (
                Param::Weight(0),
                "the policy lottery does not take the task: whoever has no ticket is never drawn; the weight must be at least 1",
            ),
            (
                Param::Quantum(Fuel::ZERO),
                "the policy lottery does not take the task: a quantum of 0 would be an empty slice; it must be at least 1",
            ),
            (
                Param::Priority(1),
                "the policy lottery does not take the task: it has no priority; it has a quantum and a weight",
            ),
        ] {
            assert_eq!(policy.set(TaskId::new(0, 0), param).unwrap_err().to_string(), message);
        }
        assert!(policy.admit(TaskId::new(1, 0), &Params::default().with(Param::Weight(0))).is_err());
        assert!(policy.admit(TaskId::new(1, 0), &Params::default().with(Param::Quantum(Fuel::ZERO))).is_err());
        assert_eq!(policy.tasks.iter().count(), 1);
    }

    #[test]
    fn every_number_is_as_likely_as_any_other() {
        // With bounds just above a power of two, where folding the range would favour the lower half twofold.
        for bound in [3, 5, (1 << 63) + 1, (1 << 64) + 1, (1 << 100) + 1] {
            let mut policy = Lottery::new(Fuel(1), 9);
            let draws = 30_000;
            let lower = (0..draws).filter(|_| policy.below(bound) < bound / 2).count() as f64;
            let expected = f64::from(draws) * ((bound / 2) as f64 / bound as f64);
            // Six standard deviations of the fairest coin.
            assert!((lower - expected).abs() < 6.0 * (f64::from(draws) / 4.0).sqrt(), "{bound}: {lower} of {expected}");
        }
        assert_eq!(Lottery::new(Fuel(1), 9).below(1), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_tree_finds_what_a_walk_finds(
            changes in prop::collection::vec((0..70_usize, prop_oneof![Just(0_u128), 1..9_u128, Just(1 << 95)]), 1..80)
        ) {
            let (mut tree, mut numbers) = (Fenwick::default(), vec![0; 70]);
            for (slot, number) in changes {
                tree.set(slot, number);
                numbers[slot] = number;
                prop_assert_eq!(tree.total, numbers.iter().sum::<u128>());
                let mut before = 0;
                for (slot, number) in numbers.iter().enumerate().filter(|(_, number)| **number > 0) {
                    prop_assert_eq!(tree.find(before), slot);
                    prop_assert_eq!(tree.find(before + number - 1), slot);
                    before += number;
                }
            }
        }
    }
}
