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

mod cyclic;
mod edf;
#[cfg(feature = "lottery")]
mod lottery;
mod mlfq;
mod priority;
mod ready_queue;
mod round_robin;
mod timed;
mod weighted;

pub use cyclic::{Cyclic, Mode, Window};
pub use edf::Edf;
#[cfg(feature = "lottery")]
pub use lottery::Lottery;
pub use mlfq::Mlfq;
pub use priority::Priority;
pub use ready_queue::{ReadyQueue, Table};
pub use round_robin::RoundRobin;
pub use timed::Timed;
pub use weighted::Weighted;

use crate::error::{Error, ErrorKind, Result};
use crate::reason::{InWindow, Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, GroupId, TaskId};
use std::time::Duration;

/// No task's index, in [`Policy::upcoming`].
pub const NOBODY: u32 = u32::MAX;

/// What a policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// This task runs next.
    Run(Run),
    /// Nobody may run before the virtual clock shows this. The executor lets the time pass, and asks again.
    IdleUntil(Fuel),
    /// Nobody may run before the executor's clock shows this. The virtual clock stands still, the step is
    /// [`Step::Idle`](crate::Step::Idle) with this moment, and the host waits: a library does not put its host's thread to sleep. For
    /// policies that go by a clock; theirs must be the executor's.
    IdleUntilTime(Duration),
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

/// Something that a policy saw go wrong with a task's timing. It has already been charged; what else becomes of the task is the host's to
/// say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The task.
    pub id: TaskId,
    /// What happened.
    pub kind: FaultKind,
    /// By how much, in the policy's unit: fuel of virtual time, or nanoseconds where the policy goes by a clock.
    pub by: Fuel,
}

/// A kind of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// A slice reached past the end of the task's window.
    Overrun,
    /// A deadline passed before the task had what it was promised until then.
    DeadlineMiss,
}

impl FaultKind {
    /// The word for it in logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::Overrun => "overrun",
            FaultKind::DeadlineMiss => "deadline-miss",
        }
    }
}

/// Who runs next, and for how much.
///
/// The executor promises: a task is admitted once, before anything else is said of it; `ready` comes only for tasks that are
/// neither ready nor running; between a `pick` that returned `Run` and the `charge` of that task nothing else is asked; `now` never
/// goes back. A policy promises: `pick` returns only tasks that are ready, and a task that it returned is running, not ready, until it is
/// charged. It returns `IdleUntil` or `IdleUntilTime` only where somebody that it knows will be able to run then, and otherwise `Empty`, or a run would never end.
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
    /// [`ErrorKind::Refused`] when the policy cannot serve it with these parameters; then the policy knows
    /// nothing of the task.
    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()>;

    /// The task can run from now on.
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel);

    /// Decides who runs next. O(1) or O(log n) in the number of tasks, for policies that mean to serve many.
    fn pick(&mut self, now: Fuel) -> Pick;

    /// Who will be picked next, and after that, and after that, as far as it is known: [`TaskId::index`] of each, or [`NOBODY`].
    ///
    /// With many tasks the executor asks after each pick, to bring near what those will touch; nothing else comes of it. So it has to be quick, it
    /// may be wrong, and a policy that cannot say does without.
    #[inline(always)]
    fn upcoming(&self) -> [u32; 3] {
        [NOBODY; 3]
    }

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
    /// [`ErrorKind::Refused`] when the policy has no such parameter or not that value; then nothing changed.
    fn set(&mut self, id: TaskId, param: Param) -> Result<()>;

    /// A group with this weight exists from now on, or has this weight from now on. Policies without groups need not know.
    fn group(&mut self, id: GroupId, weight: u32) {
        let _ = (id, weight);
    }

    /// The group, which has no tasks, is gone.
    fn ungroup(&mut self, id: GroupId) {
        let _ = id;
    }

    /// The oldest fault that has not been taken yet. Whoever wants to act on faults asks after each step; a policy keeps the latest few
    /// hundred for those who never ask.
    fn take_fault(&mut self) -> Option<Fault> {
        None
    }

    /// The window in which the task that was just picked is to run, if the policy has windows.
    fn window(&self) -> Option<InWindow> {
        None
    }

    /// The policy's own numbers for a task, by name, for display.
    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let _ = id;
        Vec::new()
    }
}

/// A task as [`Policy::upcoming`] names it.
fn slot_of(id: Option<TaskId>) -> u32 {
    id.map_or(NOBODY, |id| id.index() as u32)
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
    fn upcoming(&self) -> [u32; 3] {
        (**self).upcoming()
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
    fn group(&mut self, id: GroupId, weight: u32) {
        (**self).group(id, weight);
    }
    fn ungroup(&mut self, id: GroupId) {
        (**self).ungroup(id);
    }
    fn take_fault(&mut self) -> Option<Fault> {
        (**self).take_fault()
    }
    fn window(&self) -> Option<InWindow> {
        (**self).window()
    }
    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        (**self).numbers(id)
    }
}

/// A parameter that a policy does not have.
fn refuse_param(policy: &'static str, param: Param, known: &str) -> Error {
    let message = format!("it has no {}; it has {known}", param.name());
    ErrorKind::Refused { policy, message }.into()
}

/// A value that a policy does not take.
fn refuse(policy: &'static str, message: impl Into<String>) -> Error {
    ErrorKind::Refused { policy, message: message.into() }.into()
}
