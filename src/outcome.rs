//! How a task ended. All of these are expected ends: a host looks at them, it does not handle them as errors.

use crate::error::Error;
use crate::reason::BlockedOn;
use crate::unit::Fuel;
use crate::value::Value;
use std::fmt;

/// How a task ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The call returned these values.
    Returned(Vec<Value>),
    /// The guest ended itself with this exit code.
    Exited(u8),
    /// The guest did something that it may not, or a host function that it called failed.
    Trapped(Trap),
    /// The task had used its budget and was not done.
    OutOfFuel,
    /// The host killed it.
    Killed,
    /// The run ended before the task did.
    Stopped,
    /// It waited for what only others could do, and all of those waited too.
    Deadlocked(Deadlock),
    /// It never started: the instance could not be made.
    Failed(Error),
}

impl Outcome {
    /// The outcome's word in logs and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Outcome::Returned(_) => "returned",
            Outcome::Exited(_) => "exited",
            Outcome::Trapped(_) => "trapped",
            Outcome::OutOfFuel => "out-of-fuel",
            Outcome::Killed => "killed",
            Outcome::Stopped => "stopped",
            Outcome::Deadlocked(_) => "deadlocked",
            Outcome::Failed(_) => "failed",
        }
    }

    /// The values that the task returned, if it did.
    #[must_use]
    pub fn values(&self) -> Option<&[Value]> {
        match self {
            Outcome::Returned(values) => Some(values),
            _ => None,
        }
    }

    /// Whether the task did what it was asked: it returned, or exited with 0.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Outcome::Returned(_) | Outcome::Exited(0))
    }
}

impl fmt::Display for Outcome {
    /// Writes the word, and what there is to add to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Outcome::Returned(values) => values.iter().try_for_each(|v| write!(f, " {v}")),
            Outcome::Exited(code) => write!(f, " {code}"),
            Outcome::Trapped(trap) => write!(f, ": {trap}"),
            Outcome::Failed(error) => write!(f, ": {error}"),
            Outcome::Deadlocked(deadlock) => write!(f, ": {deadlock}"),
            _ => Ok(()),
        }
    }
}

/// What a task waited for when nobody was left to make it happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlock {
    /// What.
    pub on: BlockedOn,
    /// Since when, on the virtual clock.
    pub since: Fuel,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waits {} since {} fuel", self.on, self.since)
    }
}

/// Why and where a guest was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trap {
    /// What happened, in one line: `integer divide by zero`, `host panic: …`.
    pub message: String,
    /// Where, as far as it is known: the function, by name or number, and the offset of the instruction in the module.
    pub at: Option<String>,
}

impl Trap {
    /// A trap that happened nowhere in particular.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Trap {
        Trap { message: message.into(), at: None }
    }

    /// A trap that happened there.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Trap {
        self.at = Some(place.into());
        self
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.at {
            Some(place) => write!(f, ", in {place}"),
            None => Ok(()),
        }
    }
}
