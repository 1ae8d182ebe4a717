//! Policies: who runs next, and for how much fuel.
//!
//! ```text
//!            admit            ready                 pick
//!   (new) ─────────► admitted ──────────► ready ──────────► running
//!                       ▲                   ▲                  │
//!                       │                   │  charge(…,       │
//!                       │                   └─ Preempted or ───┤
//!                       │                      Yielded)        │
//!                       ├── charge(…, Blocked) ────────────────┤
//!                       └── charge(…, Ended) ──────────────────┘
//!   leave: from any state; the id is forgotten
//! ```
//!
//! One file a policy. An executor owns its policy and calls it for every slice, so the trait is small, and a call for each switch
//! is made once: [`Policy::charge`] both books the slice and, where the task can go on, puts it back among the ready.

mod round_robin;

pub use round_robin::RoundRobin;

use crate::error::Result;
use crate::reason::{Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, TaskId};

/// What a policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// This task runs next.
    Run(Run),
    /// Nobody may run before the virtual clock shows this. The executor lets the time pass, and asks again.
    IdleUntil(Fuel),
    /// Nobody is ready.
    Empty,
}

/// A task to run, and for how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The task.
    pub id: TaskId,
    /// The quantum: the fuel of the slice. The executor grants less where a budget ends first, and never less than 1.
    pub grant: Fuel,
    /// Why this task.
    pub why: PickReason,
}

/// Who runs next, and for how much.
///
/// The executor promises: a task is admitted once, before anything else is said of it; `ready` comes only for tasks that are
/// neither ready nor running; between a `pick` that returned `Run` and the `charge` of that task nothing else is asked; `now` never
/// goes back. A policy promises: `pick` returns only tasks that are ready, and a task that it returned is running, not ready, until it is
/// charged.
///
/// `now` is the executor's virtual clock: all fuel charged so far and all that was let pass idle. It is the same in every run of
/// the same tasks, which a wall clock is not.
///
/// The example `custom` writes a policy from these parts.
pub trait Policy: Send {
    /// The policy's name in reports.
    fn name(&self) -> &'static str;

    /// Takes a new task, not yet ready.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) when the policy cannot serve it with these parameters; then the policy knows
    /// nothing of the task.
    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()>;

    /// The task can run from now on.
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel);

    /// Decides who runs next. O(1) or O(log n) in the number of tasks, for policies that mean to serve many.
    fn pick(&mut self, now: Fuel) -> Pick;

    /// The running task used this much fuel, and its slice ended so. After `Preempted` and `Yielded` the task is ready again,
    /// after `Blocked` it waits for `ready`, after `Ended` it waits for `leave`.
    ///
    /// `Preempted` with less used than was granted means that the host cut the slice short: the task's turn is not over.
    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd);

    /// The task is gone, whatever its state.
    fn leave(&mut self, id: TaskId);

    /// Changes a parameter of a task.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) when the policy has no such parameter or not that value; then nothing changed.
    fn set(&mut self, id: TaskId, param: Param) -> Result<()>;

    /// The policy's own numbers for a task, by name, for display.
    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let _ = id;
        Vec::new()
    }
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        (**self).admit(id, params)
    }
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        (**self).ready(id, why, now);
    }
    fn pick(&mut self, now: Fuel) -> Pick {
        (**self).pick(now)
    }
    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        (**self).charge(id, used, end);
    }
    fn leave(&mut self, id: TaskId) {
        (**self).leave(id);
    }
    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        (**self).set(id, param)
    }
    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        (**self).numbers(id)
    }
}
