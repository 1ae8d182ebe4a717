//! Waiting for the end of a task from within another.

use crate::outcome::Outcome;
use crate::reason::BlockedOn;
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
    /// Who waits for that: one entry for each [`Joined`](crate::wait::Joined) that does, with its number.
    waiting: Vec<(u64, Waker)>,
    /// The next such number.
    next: u64,
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

    /// How the task ended, or a wake when it has. `entry` is where the number of who waits is kept: one clone of the waker is held for each.
    pub(crate) fn poll(&self, entry: &mut Option<u64>, cx: &Context<'_>) -> Poll<Ending> {
        let mut state = self.state();
        if let Some(ending) = &state.ending {
            return Poll::Ready(ending.clone());
        }
        let number = *entry.get_or_insert(state.next);
        match state.waiting.iter_mut().find(|(other, _)| *other == number) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => {
                state.next += 1;
                state.waiting.push((number, cx.waker().clone()));
            }
        }
        Poll::Pending
    }

    /// The one with this number waits no more; says whether it did.
    pub(crate) fn leave(&self, number: u64) -> bool {
        let mut state = self.state();
        let at = state.waiting.iter().position(|(other, _)| *other == number);
        let waker = at.map(|at| state.waiting.swap_remove(at));
        // What the waker's drop does is done without the lock.
        drop(state);
        waker.is_some()
    }

    /// Who waits for its end waits for this.
    pub(crate) fn blocked_on(&self) -> BlockedOn {
        BlockedOn::Join(self.spawn_index().unwrap_or(u64::MAX))
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
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
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
