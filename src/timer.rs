//! Who becomes ready when, on the virtual clock: tasks that start later, and tasks that wait for the fuel of their next period.

use crate::unit::{Fuel, TaskId};
use std::collections::BTreeSet;

/// Moments of the virtual clock, each with the task that it is for. Entering and taking are O(log n); a task has at most one.
#[derive(Debug)]
pub(crate) struct Timers {
    /// In the order of time; at one moment, in the order of ids.
    set: BTreeSet<(Fuel, TaskId)>,
    /// The first moment, so that a step compares one number. [`Fuel::MAX`] while there is none: nothing is due at the end of all time.
    next: Fuel,
}

impl Timers {
    /// Nobody waits.
    pub(crate) const fn new() -> Timers {
        Timers { set: BTreeSet::new(), next: Fuel::MAX }
    }

    /// The first moment at which somebody is due; [`Fuel::MAX`] if nobody is.
    #[inline(always)]
    pub(crate) fn next(&self) -> Fuel {
        self.next
    }

    /// Enters a task.
    pub(crate) fn insert(&mut self, at: Fuel, id: TaskId) {
        self.set.insert((at, id));
        self.look();
    }

    /// Forgets an entry.
    pub(crate) fn remove(&mut self, at: Fuel, id: TaskId) {
        self.set.remove(&(at, id));
        self.look();
    }

    /// Takes the first task that is due.
    pub(crate) fn take_due(&mut self, now: Fuel) -> Option<TaskId> {
        // A task that waits for the end of all time waits for ever: the clock stands still there, and it would be due again at once.
        if self.next > now || self.next == Fuel::MAX {
            return None;
        }
        let (_, id) = self.set.pop_first()?;
        self.look();
        Some(id)
    }

    /// Sees which moment is the first.
    fn look(&mut self) {
        self.next = self.set.first().map_or(Fuel::MAX, |(at, _)| *at);
    }
}
