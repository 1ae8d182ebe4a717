//! Waiting for the end of a task from within another.

use crate::outcome::Outcome;
use crate::value::Value;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How a task ended, as far as another one can know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ending {
    /// The outcome's word.
    pub outcome: &'static str,
    /// What it returned.
    pub values: Vec<Value>,
    /// What it exited with.
    pub exit_code: Option<u8>,
}

impl Ending {
    /// The end of a task that ended so.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Ending {
        let exit_code = match outcome {
            Outcome::Exited(code) => Some(*code),
            _ => None,
        };
        Ending { outcome: outcome.name(), values: outcome.values().unwrap_or_default().to_vec(), exit_code }
    }
}

/// A handle on a task that another task has spawned. Clones are of the same task.
#[derive(Clone, Default)]
pub struct Join(Arc<Mutex<State>>);

/// What is known of the task.
#[derive(Default)]
struct State {
    /// Its place in the order of spawning, once it has one.
    spawn_index: Option<u64>,
    /// How it ended, once it has.
    ending: Option<Ending>,
    /// Who waits for that.
    waiting: Vec<Waker>,
}

impl Join {
    /// How the task ended, if it has.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.state().ending.clone()
    }

    /// The task's place in the order of spawning; `None` before the executor has taken it in, and if it did not.
    #[must_use]
    pub fn spawn_index(&self) -> Option<u64> {
        self.state().spawn_index
    }

    /// How the task ended, or a wake when it has.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Ending> {
        let mut state = self.state();
        if let Some(ending) = &state.ending {
            return Poll::Ready(ending.clone());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The executor has taken the task in.
    pub(crate) fn spawned(&self, spawn_index: u64) {
        self.state().spawn_index = Some(spawn_index);
    }

    /// The task has ended.
    pub(crate) fn end(&self, ending: Ending) {
        let waiting = {
            let mut state = self.state();
            state.ending = Some(ending);
            std::mem::take(&mut state.waiting)
        };
        waiting.iter().for_each(Waker::wake_by_ref);
    }

    /// What is known. Nothing that panics runs while it is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Join").field("spawn_index", &state.spawn_index).field("ending", &state.ending).finish()
    }
}
