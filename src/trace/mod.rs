//! Watching a run: what happened in each slice, told to an observer of the host's.
//!
//! An [`Executor`](crate::Executor) is generic over its observer, so that the calls are direct and, for the observer `()`, not
//! there at all. The time of a slice, for instance, is the observer's affair: it reads a clock in [`Observer::picked`] and
//! again in [`Observer::slice`], and whoever does not ask for times reads no clock.

#[cfg(feature = "digest")]
mod digest;

#[cfg(feature = "digest")]
pub use digest::{Digest, sha256};

use crate::ledger::Ledger;
use crate::outcome::Outcome;
use crate::reason::{PickReason, SliceEnd};
use crate::unit::{Fuel, TaskId};

/// One slice: a poll that ran code of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slice {
    /// The task.
    pub id: TaskId,
    /// The task's place in the order of spawning, counted from 0; never used again.
    pub spawn_index: u64,
    /// The task's how-manieth slice this was, counted from 1.
    pub number: u64,
    /// Why the task was picked.
    pub why: PickReason,
    /// Fuel granted.
    pub grant: Fuel,
    /// Fuel used, exactly; after a trap a lower bound.
    pub used: Fuel,
    /// Fuel charged: what was used, but at least 1, and after a trap the whole grant.
    pub charged: Fuel,
    /// Why the slice ended.
    pub end: SliceEnd,
}

impl Slice {
    /// Fuel used past the grant.
    #[must_use]
    pub const fn overshoot(&self) -> Fuel {
        self.used.minus(self.grant)
    }
}

/// A task that has ended, and what became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// The id that it had.
    pub id: TaskId,
    /// Its place in the order of spawning, counted from 0.
    pub spawn_index: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub ledger: Ledger,
}

/// What an executor tells its observer. All methods do nothing unless they are written.
pub trait Observer {
    /// A task is about to be polled, with this grant.
    fn picked(&mut self, id: TaskId, grant: Fuel, why: PickReason) {
        let _ = (id, grant, why);
    }

    /// A slice has ended.
    fn slice(&mut self, slice: &Slice) {
        let _ = slice;
    }

    /// A task has ended: in the slice before, or between slices by the host's hand.
    fn ended(&mut self, task: &Ended) {
        let _ = task;
    }
}

/// Nobody watches.
impl Observer for () {}

/// Both watch, in this order.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn picked(&mut self, id: TaskId, grant: Fuel, why: PickReason) {
        self.0.picked(id, grant, why);
        self.1.picked(id, grant, why);
    }
    fn slice(&mut self, slice: &Slice) {
        self.0.slice(slice);
        self.1.slice(slice);
    }
    fn ended(&mut self, task: &Ended) {
        self.0.ended(task);
        self.1.ended(task);
    }
}

/// Watches if it is there.
impl<A: Observer> Observer for Option<A> {
    fn picked(&mut self, id: TaskId, grant: Fuel, why: PickReason) {
        if let Some(observer) = self {
            observer.picked(id, grant, why);
        }
    }
    fn slice(&mut self, slice: &Slice) {
        if let Some(observer) = self {
            observer.slice(slice);
        }
    }
    fn ended(&mut self, task: &Ended) {
        if let Some(observer) = self {
            observer.ended(task);
        }
    }
}
