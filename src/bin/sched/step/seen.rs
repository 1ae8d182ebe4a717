//! What an observer sees of a run that is looked at poll by poll: all tasks, and what the latest poll brought about.

use fuelsched::reason::{BlockedOn, InWindow, ReadyReason, WokenBy};
use fuelsched::trace::{Ended, Observer, Slice, Spawned};
use fuelsched::{Fuel, Outcome, TaskId};

/// A task that has been there.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its id.
    pub(crate) id: TaskId,
    /// The number of what it is a run of.
    pub(crate) label: u64,
    /// How it ended, if it has.
    pub(crate) end: Option<String>,
    /// What it used, once it has ended.
    pub(crate) used: Fuel,
    /// Whether it trapped.
    pub(crate) trapped: bool,
}

/// What has been seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The tasks, in the order of spawning.
    pub(crate) tasks: Vec<Known>,
    /// The latest slice.
    pub(crate) slice: Option<Slice>,
    /// The window in which it was, if the policy has such.
    pub(crate) window: Option<InWindow>,
    /// What came of it, a line each: who was woken, who waits, who is new, who ended.
    pub(crate) since: Vec<String>,
}

impl Seen {
    /// The task in a slot: the latest that was there.
    fn task(&self, id: TaskId) -> Option<usize> {
        self.tasks.iter().rposition(|task| task.id == id)
    }

    /// What a task is called where there is nothing but its number.
    fn number(&self, id: TaskId) -> String {
        self.task(id).map_or_else(|| "?".into(), |task| format!("task {task}"))
    }
}

impl Observer for Seen {
    fn spawned(&mut self, task: &Spawned) {
        self.tasks.push(Known { id: task.id, label: task.label, end: None, used: Fuel::ZERO, trapped: false });
        if let Some(by) = task.by {
            self.since.push(format!("task {} was spawned by task {by}", task.spawn_index));
        }
    }

    fn refused(&mut self, by: u64) {
        self.since.push(format!("task {by} wanted to spawn another, which was not taken in"));
    }

    fn woken(&mut self, id: TaskId, by: WokenBy) {
        let by = match by {
            WokenBy::Task(task) => format!("by task {task}"),
            WokenBy::Moment => "by the clock".into(),
            _ => "from outside".into(),
        };
        self.since.push(format!("{} was woken {by}", self.number(id)));
    }

    fn ready(&mut self, id: TaskId, why: ReadyReason, _now: Fuel) {
        let why = match why {
            ReadyReason::Resumed => "it was resumed",
            ReadyReason::Replenished => "there is fuel again",
            // That it is new, or was woken, is said already.
            _ => return,
        };
        self.since.push(format!("{} is ready: {why}", self.number(id)));
    }

    fn blocked(&mut self, id: TaskId, on: &BlockedOn) {
        self.since.push(format!("{} waits {on}", self.number(id)));
    }

    fn idle(&mut self, from: Fuel, until: Fuel) {
        self.since.push(format!("nobody could run: the clock went from {from} to {until}"));
    }

    fn follows_windows(&self) -> bool {
        true
    }

    fn window(&mut self, window: &InWindow) {
        self.window = Some(*window);
    }

    fn slice(&mut self, slice: &Slice) {
        self.slice = Some(*slice);
    }

    fn ended(&mut self, task: &Ended) {
        self.since.push(format!("task {}: {}", task.spawn_index, task.outcome));
        if let Some(known) = usize::try_from(task.spawn_index).ok().and_then(|task| self.tasks.get_mut(task)) {
            known.end = Some(task.outcome.to_string());
            known.used = task.ledger.used;
            known.trapped = matches!(task.outcome, Outcome::Trapped(_));
        }
    }
}
