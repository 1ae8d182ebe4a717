//! Watching a run: what happened in each slice, told to an observer of the host's.
//!
//! An [`Executor`](crate::Executor) is generic over its observer, so that the calls are direct and, for the observer `()`, not
//! there at all. The time of a slice, for instance, is the observer's affair: it reads a clock in [`Observer::picked`] and
//! again in [`Observer::slice`], and whoever does not ask for times reads no clock.

#[cfg(feature = "digest")]
mod digest;
pub mod events;
mod record;
mod retell;
mod summary;

#[cfg(feature = "digest")]
pub use digest::{Digest, sha256};
pub use events::{Events, Happened};
pub use record::{Event, Recorder, Recording};
pub use retell::Retelling;
pub use summary::{Fare, Spread, Summary};

use crate::account::Group;

use crate::ledger::Ledger;
use crate::outcome::Outcome;
use crate::reason::{
    Action, BlockedOn, Control, InWindow, Incident, Message, Params, PickReason, ReadyReason, SliceEnd, WokenBy,
};
use crate::unit::{Fuel, GroupId, TaskId};

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
    /// The virtual clock when it began.
    pub at: Fuel,
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
    /// The host's own number for it: see [`Task::label`](crate::Task::label).
    pub label: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub ledger: Ledger,
    /// The virtual clock when it could first run.
    pub released: Fuel,
    /// The virtual clock when it ended.
    pub at: Fuel,
}

/// A task that has just been taken in.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Spawned {
    /// Its id.
    pub id: TaskId,
    /// Its place in the order of spawning, counted from 0.
    pub spawn_index: u64,
    /// The host's own number for it: see [`Task::label`](crate::Task::label).
    pub label: u64,
    /// What the policy was told about it.
    pub params: Params,
    /// The virtual clock when it can first run: now, or later.
    pub released: Fuel,
    /// The task that spawned it, by its place in the order of spawning; `None` where that was the host.
    pub by: Option<u64>,
}

/// Something that the host did to a group of tasks between two steps, as an observer is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupControl {
    /// [`Executor::add_group`](crate::Executor::add_group).
    Add(Group),
    /// [`Executor::remove_group`](crate::Executor::remove_group).
    Remove,
    /// [`Executor::set_group_weight`](crate::Executor::set_group_weight).
    Weight(u32),
    /// [`Executor::refuel_group`](crate::Executor::refuel_group), by so much.
    Refuel(Fuel),
}

/// What an executor tells its observer, in the order in which it happens. All methods do nothing unless they are written.
pub trait Observer {
    /// A task has been taken in.
    fn spawned(&mut self, task: &Spawned) {
        let _ = task;
    }

    /// A task that the task spawned as the `by`-th wanted to spawn in its last slice was not taken in: the policy refused it.
    fn refused(&mut self, by: u64) {
        let _ = by;
    }

    /// The host did something to the task that was spawned as the `spawn_index`-th. What follows from it, such as its end, comes after.
    fn control(&mut self, spawn_index: u64, control: &Control) {
        let _ = (spawn_index, control);
    }

    /// The host made a group, changed one, or removed one.
    fn group(&mut self, id: GroupId, control: &GroupControl) {
        let _ = (id, control);
    }

    /// Nobody could run, and the virtual clock was moved.
    fn idle(&mut self, from: Fuel, until: Fuel) {
        let _ = (from, until);
    }

    /// Whether it wants to know what comes in from outside to tasks, of those that are spawned from now on. Keeping it costs a copy of it.
    fn records(&self) -> bool {
        false
    }

    /// Something came in from outside to the task that was spawned as the `spawn_index`-th, in the slice that is told of next.
    fn input(&mut self, spawn_index: u64, bytes: &[u8]) {
        let _ = (spawn_index, bytes);
    }

    /// Whether it wants to know of the messages that tasks pass, of those that are spawned from now on.
    fn follows_messages(&self) -> bool {
        false
    }

    /// The task that was spawned as the `spawn_index`-th has sent or received a message, in the slice that is told of next. Of one slice the first
    /// 4,096 are told of.
    fn message(&mut self, spawn_index: u64, message: &Message) {
        let _ = (spawn_index, message);
    }

    /// What a task waited for in a function of its host's has happened, or may have. It is [ready](Observer::ready) next, unless it waits for
    /// something else as well.
    fn woken(&mut self, id: TaskId, by: WokenBy) {
        let _ = (id, by);
    }

    /// A task can go on that could not, or is new: from now on the policy may pick it. `now` is the virtual clock.
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        let _ = (id, why, now);
    }

    /// A task waits in a function of its host's since the slice that was told of last. Told before it is [ready](Observer::ready) again, and not
    /// at all if it was woken while it was polled and so goes on at once.
    fn blocked(&mut self, id: TaskId, on: &BlockedOn) {
        let _ = (id, on);
    }

    /// A call of [`Executor::run_for`](crate::Executor::run_for) or the like begins, at this moment of the virtual clock: a frame of the host's.
    fn run_begins(&mut self, now: Fuel) {
        let _ = now;
    }

    /// It is over.
    fn run_ends(&mut self, now: Fuel) {
        let _ = now;
    }

    /// A [`Supervisor`](crate::Supervisor) has seen an incident, about which its table says this. What it then does comes after.
    fn health(&mut self, id: TaskId, incident: Incident, action: Action) {
        let _ = (id, incident, action);
    }

    /// Whether it wants to know of the windows of a policy that has some.
    fn follows_windows(&self) -> bool {
        false
    }

    /// The task that is told of next as picked runs in this window.
    fn window(&mut self, window: &InWindow) {
        let _ = window;
    }

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
    fn spawned(&mut self, task: &Spawned) {
        self.0.spawned(task);
        self.1.spawned(task);
    }
    fn refused(&mut self, by: u64) {
        self.0.refused(by);
        self.1.refused(by);
    }
    fn control(&mut self, spawn_index: u64, control: &Control) {
        self.0.control(spawn_index, control);
        self.1.control(spawn_index, control);
    }
    fn group(&mut self, id: GroupId, control: &GroupControl) {
        self.0.group(id, control);
        self.1.group(id, control);
    }
    fn idle(&mut self, from: Fuel, until: Fuel) {
        self.0.idle(from, until);
        self.1.idle(from, until);
    }
    fn records(&self) -> bool {
        self.0.records() || self.1.records()
    }
    fn input(&mut self, spawn_index: u64, bytes: &[u8]) {
        self.0.input(spawn_index, bytes);
        self.1.input(spawn_index, bytes);
    }
    fn follows_messages(&self) -> bool {
        self.0.follows_messages() || self.1.follows_messages()
    }
    fn message(&mut self, spawn_index: u64, message: &Message) {
        self.0.message(spawn_index, message);
        self.1.message(spawn_index, message);
    }
    fn run_begins(&mut self, now: Fuel) {
        self.0.run_begins(now);
        self.1.run_begins(now);
    }
    fn run_ends(&mut self, now: Fuel) {
        self.0.run_ends(now);
        self.1.run_ends(now);
    }
    fn health(&mut self, id: TaskId, incident: Incident, action: Action) {
        self.0.health(id, incident, action);
        self.1.health(id, incident, action);
    }
    fn woken(&mut self, id: TaskId, by: WokenBy) {
        self.0.woken(id, by);
        self.1.woken(id, by);
    }
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.0.ready(id, why, now);
        self.1.ready(id, why, now);
    }
    fn blocked(&mut self, id: TaskId, on: &BlockedOn) {
        self.0.blocked(id, on);
        self.1.blocked(id, on);
    }
    fn follows_windows(&self) -> bool {
        self.0.follows_windows() || self.1.follows_windows()
    }
    fn window(&mut self, window: &InWindow) {
        self.0.window(window);
        self.1.window(window);
    }
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
    fn spawned(&mut self, task: &Spawned) {
        if let Some(observer) = self {
            observer.spawned(task);
        }
    }
    fn refused(&mut self, by: u64) {
        if let Some(observer) = self {
            observer.refused(by);
        }
    }
    fn control(&mut self, spawn_index: u64, control: &Control) {
        if let Some(observer) = self {
            observer.control(spawn_index, control);
        }
    }
    fn group(&mut self, id: GroupId, control: &GroupControl) {
        if let Some(observer) = self {
            observer.group(id, control);
        }
    }
    fn idle(&mut self, from: Fuel, until: Fuel) {
        if let Some(observer) = self {
            observer.idle(from, until);
        }
    }
    fn records(&self) -> bool {
        self.as_ref().is_some_and(Observer::records)
    }
    fn input(&mut self, spawn_index: u64, bytes: &[u8]) {
        if let Some(observer) = self {
            observer.input(spawn_index, bytes);
        }
    }
    fn follows_messages(&self) -> bool {
        self.as_ref().is_some_and(Observer::follows_messages)
    }
    fn message(&mut self, spawn_index: u64, message: &Message) {
        if let Some(observer) = self {
            observer.message(spawn_index, message);
        }
    }
    fn run_begins(&mut self, now: Fuel) {
        if let Some(observer) = self {
            observer.run_begins(now);
        }
    }
    fn run_ends(&mut self, now: Fuel) {
        if let Some(observer) = self {
            observer.run_ends(now);
        }
    }
    fn health(&mut self, id: TaskId, incident: Incident, action: Action) {
        if let Some(observer) = self {
            observer.health(id, incident, action);
        }
    }
    fn woken(&mut self, id: TaskId, by: WokenBy) {
        if let Some(observer) = self {
            observer.woken(id, by);
        }
    }
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        if let Some(observer) = self {
            observer.ready(id, why, now);
        }
    }
    fn blocked(&mut self, id: TaskId, on: &BlockedOn) {
        if let Some(observer) = self {
            observer.blocked(id, on);
        }
    }
    fn follows_windows(&self) -> bool {
        self.as_ref().is_some_and(Observer::follows_windows)
    }
    fn window(&mut self, window: &InWindow) {
        if let Some(observer) = self {
            observer.window(window);
        }
    }
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
