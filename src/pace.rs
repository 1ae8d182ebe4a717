//! How long a task's fuel takes: learned from its slices, to turn time into fuel.
//!
//! One unit of fuel takes 0.03 ns where a guest fills memory, half a nanosecond where it counts, several where it divides, and a microsecond
//! where it grows a memory. So whoever wants slices to last so long has to know whose slices they are, and keep watching: the same guest does
//! first the one and then the other.
//!
//! **Algorithm.** A task's pace is one number, in ns per fuel. A slice that was slower than expected sets it at once; one that was faster moves it
//! half the way. So it errs on the slow side, where an error costs another switch, and not a slice that is too long. Two kinds of slices do not mean
//! what they say:
//!
//! * The machine takes the core away now and then, for milliseconds, and some slice looks 100 times as slow as it was. A single slow slice
//!   raises the pace to 4 times of what it was, at most; only if the next one is as slow is it believed. The pace after a lone one is 4, 2.5,
//!   1.75, 1.4 … times the true one. A guest that does become 100 times as slow is believed after its second slice.
//! * A switch takes time without any fuel, so a slice of some units of fuel looks slow. One shorter than a microsecond cannot raise the pace.
//!
//! A task of which nothing is known, an id's next generation included, is expected to take 10 ns a unit: more than nearly all do, so that its first
//! slice is a short one. No pace is below 1/64 ns, for nothing is cheaper; this bounds what a guest gains by being cheap first, which is a
//! slice that lasts as many times longer as it becomes dearer.
//!
//! **Cost.** O(1), 12 bytes a slot of an executor, allocated when a task of the slot is first learned of.

use crate::unit::{Fuel, TaskId};
use std::time::Duration;

/// What a task is expected to take before it has run, in ns per fuel.
const GUESS: f32 = 10.0;
/// The lowest pace, in ns per fuel: filling memory in the nearest cache.
const FASTEST: f32 = 1.0 / 64.0;
/// The highest, in ns per fuel: a second.
const SLOWEST: f32 = 1e9;
/// How many times slower a task is taken to be on the word of one slice.
const DOUBTED: f32 = 4.0;
/// A slice shorter than this is mostly the switch.
const NEGLIGIBLE: Duration = Duration::from_micros(1);

/// The pace of each task, learned from its slices. For policies that want their slices in time, and for hosts that do.
///
/// ```
/// use fuelsched::pace::Pace;
/// use fuelsched::{Fuel, TaskId};
/// use std::time::Duration;
///
/// let (mut pace, id) = (Pace::new(), TaskId::new(0, 0));
/// pace.learn(id, Fuel(10_000), Duration::from_micros(20));
/// assert_eq!(pace.grant_for(id, Duration::from_micros(200)), Fuel(100_000));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// What is known, by [`TaskId::index`].
    known: Vec<Option<Known>>,
}

/// What is known of one task.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Which of the slot's tasks it is.
    generation: u32,
    /// Its pace, in ns per fuel.
    pace: f32,
    /// Whether its last slice was slower than could be believed.
    doubted: bool,
}

impl Pace {
    /// Nothing is known of anybody. Allocates nothing.
    #[must_use]
    pub const fn new() -> Pace {
        Pace { known: Vec::new() }
    }

    /// The fuel with which a slice of this task is expected to last so long; at least 1, because a slice cannot be empty.
    #[must_use]
    pub fn grant_for(&self, id: TaskId, time: Duration) -> Fuel {
        // A cast stops at the ends of the range.
        let fuel = nanos(time) / f64::from(self.nanos_per_fuel(id));
        Fuel((fuel as u64).max(1))
    }

    /// What a unit of fuel takes this task, in nanoseconds.
    #[must_use]
    pub fn nanos_per_fuel(&self, id: TaskId) -> f32 {
        self.get(id).map_or(GUESS, |known| known.pace)
    }

    /// A slice of this task has used so much, and lasted so long.
    pub fn learn(&mut self, id: TaskId, used: Fuel, took: Duration) {
        let seen = ((nanos(took) / used.0.max(1) as f64) as f32).clamp(FASTEST, SLOWEST);
        let known = match self.get(id) {
            Some(known) => known.after(seen, took < NEGLIGIBLE),
            // Making the instance is part of a first slice, so it errs on the slow side by itself.
            None => Known { generation: id.generation(), pace: seen.max(GUESS / 16.0), doubted: false },
        };
        if id.index() >= self.known.len() {
            self.known.resize(id.index() + 1, None);
        }
        self.known[id.index()] = Some(known);
    }

    /// What is known of a task, and not of another that had its slot.
    fn get(&self, id: TaskId) -> Option<Known> {
        let known = (*self.known.get(id.index())?)?;
        (known.generation == id.generation()).then_some(known)
    }
}

impl Known {
    /// What is known after a slice of this pace.
    fn after(self, seen: f32, negligible: bool) -> Known {
        if seen <= self.pace {
            return Known { pace: f32::midpoint(self.pace, seen), doubted: false, ..self };
        }
        if negligible {
            return self;
        }
        let believed = if self.doubted { SLOWEST } else { self.pace * DOUBTED };
        Known { pace: seen.min(believed), doubted: seen > believed, ..self }
    }
}

/// A time as a number. Half the range of a [`Duration`] has more digits than this keeps; nobody sees those.
fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The task of these tests.
    const ID: TaskId = TaskId::new(3, 1);

    /// A pace that knows a task of 1 ns per fuel.
    fn steady() -> Pace {
        let mut pace = Pace::new();
        for _ in 0..40 {
            run(&mut pace, 1.0, Duration::from_micros(100));
        }
        pace
    }

    /// Runs one slice of so many ns per fuel, with the grant for `aim`. Says how long it lasted, by how long it was to last.
    fn run(pace: &mut Pace, cost: f64, aim: Duration) -> f64 {
        let grant = pace.grant_for(ID, aim);
        let took = Duration::from_nanos((grant.0 as f64 * cost) as u64);
        pace.learn(ID, grant, took);
        nanos(took) / nanos(aim)
    }

    /// Runs slices of these costs, and says how long each lasted, in hundredths of what was asked.
    fn lasted(pace: &mut Pace, costs: &[f64]) -> Vec<u64> {
        costs.iter().map(|cost| (run(pace, *cost, Duration::from_micros(100)) * 100.0).round() as u64).collect()
    }

    #[test]
    fn a_task_begins_with_short_slices_and_is_known_after_a_few() {
        let mut pace = Pace::new();
        // 10 ns a unit are expected, and half a ns is true.
        assert_eq!(lasted(&mut pace, &[0.5; 7]), [5, 80, 89, 94, 97, 98, 99]);
    }

    #[test]
    fn one_slow_slice_is_soon_forgotten() {
        let mut pace = steady();
        // The second slice was interrupted for 60 times its length.
        assert_eq!(lasted(&mut pace, &[1.0, 60.0, 1.0, 1.0, 1.0, 1.0, 1.0]), [100, 6_000, 25, 40, 57, 73, 84]);
    }

    #[test]
    fn a_task_that_becomes_dearer_is_believed_after_its_second_slice() {
        let mut pace = steady();
        assert_eq!(lasted(&mut pace, &[100.0; 4]), [10_000, 2_500, 100, 100]);
        // Three times as dear is believed at once.
        assert_eq!(lasted(&mut pace, &[300.0; 2]), [300, 100]);
    }

    #[test]
    fn a_task_that_becomes_cheaper_is_followed_by_halves() {
        let mut pace = steady();
        let lasted = lasted(&mut pace, &[0.03; 9]);
        assert_eq!(lasted, [3, 6, 11, 20, 33, 50, 66, 80, 89]);
    }

    #[test]
    fn the_rest_of_a_slice_does_not_make_a_task_slow() {
        let mut pace = steady();
        // 5 units in 300 ns, most of which is the switch.
        pace.learn(ID, Fuel(5), Duration::from_nanos(300));
        assert_eq!(lasted(&mut pace, &[1.0]), [100]);
    }

    #[test]
    fn nothing_is_so_cheap_that_a_slice_has_no_end() {
        let mut pace = steady();
        for _ in 0..200 {
            pace.learn(ID, Fuel::MAX, Duration::ZERO);
        }
        assert_eq!(pace.grant_for(ID, Duration::from_nanos(1)), Fuel(64));
    }

    #[test]
    fn the_next_task_of_a_slot_is_not_taken_for_the_last() {
        let pace = steady();
        for other in [TaskId::new(3, 2), TaskId::new(3, 0), TaskId::new(2, 1), TaskId::new(9, 0)] {
            assert_eq!(pace.grant_for(other, Duration::from_micros(1)), Fuel(100), "a guess");
        }
    }

    /// Durations of all sizes.
    fn time() -> impl Strategy<Value = Duration> {
        let size = |bits: u32| (0..=u64::MAX >> bits).prop_map(Duration::from_nanos);
        prop_oneof![(0..64_u32).prop_flat_map(size), Just(Duration::ZERO), Just(Duration::MAX)]
    }

    /// Fuel of all sizes.
    fn fuel() -> impl Strategy<Value = Fuel> {
        (0..64_u32).prop_flat_map(|bits| (0..=u64::MAX >> bits).prop_map(Fuel))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_numbers_are_too_hostile(slices in prop::collection::vec((fuel(), time()), 0..40), aim in time(), cost in 0.02..1e6_f64) {
            let mut pace = Pace::new();
            for (used, took) in slices {
                pace.learn(ID, used, took);
                prop_assert!(pace.grant_for(ID, aim) >= Fuel(1));
                let learned = pace.nanos_per_fuel(ID);
                prop_assert!((FASTEST..=SLOWEST).contains(&learned), "{learned}");
            }
            // Whatever it had been through, it learns. Halving from the slowest to the fastest takes 36 slices.
            let aim = Duration::from_millis(10);
            for _ in 0..48 {
                run(&mut pace, cost, aim);
            }
            let lasted = run(&mut pace, cost, aim);
            prop_assert!((0.9..1.05).contains(&lasted), "{lasted} of what was asked");
        }
    }
}
