//! Who becomes ready when. An executor has two of these: on its virtual clock wait tasks that start later and tasks that wait for the fuel of
//! their next period; on its clock of time, tasks that sleep.

use crate::unit::{Fuel, TaskId};
use std::collections::BTreeSet;
use std::time::Duration;

/// A moment on some clock.
pub(crate) trait Moment: Copy + Ord {
    /// The end of all time, at which nothing is due.
    const END: Self;
}

impl Moment for Fuel {
    const END: Fuel = Fuel::MAX;
}

impl Moment for Duration {
    const END: Duration = Duration::MAX;
}

/// Moments of one clock, each with the task that it is for. Entering and taking are O(log n).
#[derive(Debug)]
pub(crate) struct Timers<M = Fuel> {
    /// In the order of time; at one moment, in the order of ids.
    set: BTreeSet<(M, TaskId)>,
    /// The first moment, so that a step compares one number. [`Moment::END`] while there is none.
    next: M,
}

impl<M: Moment> Timers<M> {
    /// Nobody waits.
    pub(crate) const fn new() -> Timers<M> {
        Timers { set: BTreeSet::new(), next: M::END }
    }

    /// The first moment at which somebody is due; [`Moment::END`] if nobody is.
    #[inline(always)]
    pub(crate) fn next(&self) -> M {
        self.next
    }

    /// Enters a task.
    pub(crate) fn insert(&mut self, at: M, id: TaskId) {
        self.set.insert((at, id));
        self.look();
    }

    /// Forgets an entry.
    pub(crate) fn remove(&mut self, at: M, id: TaskId) {
        self.set.remove(&(at, id));
        self.look();
    }

    /// Takes the first task that is due.
    pub(crate) fn take_due(&mut self, now: M) -> Option<TaskId> {
        // A task that waits for the end of all time waits for ever: the clock stands still there, and it would be due again at once.
        if self.next > now || self.next == M::END {
            return None;
        }
        let (_, id) = self.set.pop_first()?;
        self.look();
        Some(id)
    }

    /// Sees which moment is the first.
    fn look(&mut self) {
        self.next = self.set.first().map_or(M::END, |(at, _)| *at);
    }
}
