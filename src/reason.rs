//! Why things happen: why a task was picked, why its slice ended, why it became ready, and what a host may change about it.
//!
//! All of these are closed sets of words that logs, reports and policies share, and all may grow.

use crate::unit::Fuel;
use std::fmt;

/// Why a policy picked a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PickReason {
    /// Its turn came.
    Turn,
    /// Its turn was cut short by the host, and goes on.
    Continued,
    /// It sat out this many rounds to pay for an overshoot, and its turn came again.
    DebtPaid {
        /// The rounds that it sat out.
        rounds: u64,
    },
    /// A reason of a policy outside this crate.
    Other(&'static str),
}

impl fmt::Display for PickReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PickReason::Turn => f.write_str("turn"),
            PickReason::Continued => f.write_str("continued"),
            PickReason::DebtPaid { rounds: 1 } => f.write_str("debt paid in 1 round"),
            PickReason::DebtPaid { rounds } => write!(f, "debt paid in {rounds} rounds"),
            PickReason::Other(why) => f.write_str(why),
        }
    }
}

/// Why a slice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SliceEnd {
    /// The fuel of the slice ran out; the task is ready to go on.
    Preempted,
    /// The task gave the rest of its slice away; it is ready to go on.
    Yielded,
    /// The task cannot go on before something happens.
    Blocked,
    /// It was the task's last slice: there is an outcome.
    Ended,
}

impl SliceEnd {
    /// The word for it in logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SliceEnd::Preempted => "preempted",
            SliceEnd::Yielded => "yielded",
            SliceEnd::Blocked => "blocked",
            SliceEnd::Ended => "ended",
        }
    }
}

impl fmt::Display for SliceEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a task became ready without having run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadyReason {
    /// It is new.
    Spawned,
    /// The host had suspended it and resumed it.
    Resumed,
    /// It was ready already, and this policy has just taken over from another.
    Inherited,
}

/// What a policy is told about a task when it is admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Params {
    /// The task's own quantum, where the policy's is not wanted.
    pub quantum: Option<Fuel>,
}

impl Params {
    /// These parameters with `param` changed.
    #[must_use]
    pub fn with(mut self, param: Param) -> Params {
        match param {
            Param::Quantum(fuel) => self.quantum = Some(fuel),
        }
        self
    }
}

/// One parameter of a task, as [`Executor::set`](crate::Executor::set) changes it while the task lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Param {
    /// The quantum, from the task's next turn on.
    Quantum(Fuel),
}
