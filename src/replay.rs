//! Replaying a recording: the same tasks, in the same slices, with the same grants, and the host's doings where they came.
//!
//! A [`Replay`] decides nothing. It reads a [`Recording`] entry by entry, tells an executor whom to poll and for how much, does to the tasks
//! what their host did, and compares what comes of it. Where that is something else than was recorded it stops, and says what: a
//! [`Divergence`].
//!
//! ```text
//!   Recording ─► Event ─┬─ Spawned ─► the host's closure makes the task ─► Executor::spawn
//!                       ├─ Slice ───► Executor::run_as_told ─► a Slice, compared; what it spawns is taken in or refused as the entries behind it say
//!                       ├─ Ended ───► the end that the observer was told, compared
//!                       ├─ Idle ────► Executor::idle_as_told
//!                       ├─ Control, Group ─► kill, suspend, refuel, set, add_group …
//!                       └─ End ─────► Verdict::Same
//! ```
//!
//! **Why the schedule is the same.** What a slice can use depends on the guest, the grant, the budgets and the virtual clock. The recorded
//! grant is the one that took effect, after all limits, so the limits of the run that was recorded (a policy's quantum, `run_for`, wall time)
//! are in it. Budgets, allowances and groups move only with slices, with the clock and by the host's hand, all of which come in the
//! recorded order. A policy's own state decides only who is next, which is recorded; so is every jump of the clock. What is declined in a
//! run, because it is suspended or waits for fuel, leaves no trace but a timer; a replay has fewer of those, and the clock goes by
//! the recording.

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Executor, TaskState};
use crate::policy::{Pick, Policy};
use crate::reason::{Control, Param, Params, ReadyReason, SliceEnd};
use crate::task::Task;
use crate::trace::{Ended, Event, GroupControl, Observer, Recording, Slice, Spawned};
use crate::unit::{Fuel, GroupId, TaskId};
use std::collections::{HashMap, VecDeque};
use std::{fmt, io};

/// Entries behind a slice that are read before it is run, at most: more than tasks spawn in a slice.
const MOST_AHEAD: usize = 1 << 16;

/// The policy of a replay's executor. It takes tasks in as the recording says, with all parameters, and picks nobody: the recording says who runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AsRecorded {
    /// Whether the next tasks are taken in; those after them are.
    takes: VecDeque<bool>,
}

impl Policy for AsRecorded {
    fn name(&self) -> &'static str {
        "replay"
    }
    fn admit(&mut self, _id: TaskId, _params: &Params) -> Result<()> {
        match self.takes.pop_front() {
            Some(false) => {
                let message = "it was refused when this was recorded".into();
                Err(ErrorKind::Refused { policy: self.name(), message }.into())
            }
            _ => Ok(()),
        }
    }
    fn ready(&mut self, _id: TaskId, _why: ReadyReason, _now: Fuel) {}
    fn pick(&mut self, _now: Fuel) -> Pick {
        Pick::Empty
    }
    fn charge(&mut self, _id: TaskId, _used: Fuel, _end: SliceEnd) {}
    fn leave(&mut self, _id: TaskId) {}
    fn set(&mut self, _id: TaskId, _param: Param) -> Result<()> {
        Ok(())
    }
}

/// The observer with which a replay learns how tasks end, and which tasks others spawn.
#[derive(Clone, Debug, Default)]
pub struct Ends(VecDeque<(u64, String)>, VecDeque<(TaskId, u64)>);

impl Observer for Ends {
    fn spawned(&mut self, task: &Spawned) {
        self.1.push_back((task.id, task.label));
    }

    fn ended(&mut self, task: &Ended) {
        self.0.push_back((task.spawn_index, task.outcome.to_string()));
    }
}

/// The executor of a replay.
pub type ReplayExecutor<O> = Executor<AsRecorded, (Ends, O)>;

/// How a replay came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Verdict {
    /// All went as it was recorded.
    Same,
    /// This did not, and nothing was done after it.
    Diverged(Divergence),
}

/// The first thing in a replay that did not go as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// The switch that it happened in, or before: slices before it that did not end their task, and one.
    pub switch: u64,
    /// The task, by its place in the order of spawning; `None` where it is about a group, or about the clock.
    pub spawn_index: Option<u64>,
    /// The task's label.
    pub label: u64,
    /// What it was.
    pub what: Difference,
}

/// What went otherwise than it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The task was granted something else, because it has another budget.
    Grant {
        /// In the recording.
        expected: Fuel,
        /// In the replay.
        seen: Fuel,
    },
    /// A slice used something else.
    Used {
        /// In the recording.
        expected: Fuel,
        /// In the replay.
        seen: Fuel,
    },
    /// A slice ended otherwise.
    End {
        /// In the recording.
        expected: SliceEnd,
        /// In the replay.
        seen: SliceEnd,
    },
    /// The task ended otherwise.
    Outcome {
        /// In the recording.
        expected: String,
        /// In the replay.
        seen: String,
    },
    /// The task took something else in from outside, or not as much, or more.
    Input,
    /// It was recorded to run, and cannot.
    NotReady {
        /// Where it is in its life.
        state: String,
    },
    /// It was recorded to end when it was picked, because its group's budget was used up, and it ran.
    Ran {
        /// What it used.
        used: Fuel,
    },
    /// What the host did to it, or to a group, is not possible.
    Control {
        /// What it did.
        control: String,
        /// Why it cannot be done.
        error: String,
    },
    /// The virtual clock was recorded to jump back.
    Clock {
        /// To this moment.
        expected: Fuel,
        /// What it shows.
        seen: Fuel,
    },
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "switch {}: ", Fuel(self.switch))?;
        if let Some(spawn_index) = self.spawn_index {
            write!(f, "task {spawn_index} ")?;
            if self.label != 0 && self.label != spawn_index {
                write!(f, "(label {}) ", self.label)?;
            }
        }
        self.what.fmt(f)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Grant { expected, seen } => {
                write!(f, "was granted {seen} fuel, and {expected} was recorded: its budget is another")
            }
            Difference::Used { expected, seen } => write!(f, "used {seen} fuel, and {expected} was recorded"),
            Difference::End { expected, seen: SliceEnd::Ended } => write!(f, "ended, and {expected} was recorded"),
            Difference::End { expected, seen } => write!(f, "was {seen}, and {expected} was recorded"),
            Difference::Outcome { expected, seen } => write!(f, "ended as '{seen}', and '{expected}' was recorded"),
            Difference::Input => f.write_str("took something else in from outside than was recorded"),
            Difference::NotReady { state } => write!(f, "is {state}, and was recorded to run"),
            Difference::Ran { used } => {
                write!(f, "used {used} fuel, and was recorded to end without running, its group's budget being used up")
            }
            Difference::Control { control, error } => write!(f, "was recorded to have {control} done to it: {error}"),
            Difference::Clock { expected, seen } => {
                write!(f, "the virtual clock shows {seen}, and was recorded to be moved to {expected}")
            }
        }
    }
}

/// Runs a recording again.
///
/// `make` makes the tasks, as the host that recorded made them: it is given the label ([`Task::label`]) and the place in the order of
/// spawning. Groups are there when their tasks are made, with the ids that they had. A task that is [`detached`](Task::detached) takes up no
/// memory once it has ended; others stay in the executor until they are taken, as ever.
pub struct Replay<R, F, O = ()> {
    /// What is replayed.
    recording: Recording<R>,
    /// What was read of it beforehand.
    ahead: VecDeque<Result<Event>>,
    /// Makes the tasks.
    make: F,
    /// What runs them.
    sched: ReplayExecutor<O>,
    /// Id and label of each task that lives, by its place in the order of spawning.
    tasks: HashMap<u64, (TaskId, u64)>,
    /// How it came to its end.
    verdict: Option<Verdict>,
}

impl<R: io::BufRead, F: FnMut(u64, u64) -> Result<Task>> Replay<R, F> {
    /// A replay that nobody watches.
    pub fn new(recording: Recording<R>, make: F) -> Replay<R, F> {
        Replay::observed(recording, make, ())
    }
}

impl<R: io::BufRead, F: FnMut(u64, u64) -> Result<Task>, O: Observer> Replay<R, F, O> {
    /// A replay that is watched as a run is: by a [`Digest`](crate::trace), say, which is then that of the run.
    pub fn observed(recording: Recording<R>, make: F, observer: O) -> Replay<R, F, O> {
        let sched = Executor::builder().policy(AsRecorded::default()).observer((Ends::default(), observer)).build();
        Replay { recording, ahead: VecDeque::new(), make, sched, tasks: HashMap::new(), verdict: None }
    }

    /// The clock by which tasks go, where the run that was recorded had a [simulated](crate::Clock::simulated) one; what another clock showed is in the
    /// recording.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Replay<R, F, O> {
        self.sched.set_clock(clock);
        self
    }

    /// Replays until the end of the recording, or until something is not as it was recorded.
    ///
    /// # Errors
    /// Those of [`Replay::step`]. All that could be read has been replayed then.
    pub fn run(&mut self) -> Result<Verdict> {
        loop {
            if let Some(verdict) = self.step()? {
                return Ok(verdict);
            }
        }
    }

    /// Replays one entry. `None` if it went as it was recorded, and there may be more.
    ///
    /// # Errors
    /// [`ErrorKind::Recording`] where the recording is cut off or damaged, also if that is only known behind the entry from which the replay
    /// diverges; [`ErrorKind::ReadRecording`]; and what `make` and [`Executor::spawn`] say when a task cannot be made.
    pub fn step(&mut self) -> Result<Option<Verdict>> {
        if self.verdict.is_some() {
            return Ok(self.verdict.clone());
        }
        let event = self.next()?;
        let switch = self.sched.totals().switches + 1;
        let about = about(&event);
        let label = about.and_then(|about| self.tasks.get(&about)).map_or(0, |(_, label)| *label);
        match self.play(event)? {
            Ok(verdict) => self.verdict = verdict,
            Err(what) => {
                self.look_for_damage()?;
                let divergence = Divergence { switch, spawn_index: about, label, what };
                self.verdict = Some(Verdict::Diverged(divergence));
            }
        }
        Ok(self.verdict.clone())
    }

    /// The next entry.
    fn next(&mut self) -> Result<Event> {
        let read = self.ahead.pop_front().or_else(|| self.recording.next());
        let event = read.unwrap_or_else(|| Err(read_before()))?;
        if let Event::Slice { .. } = event {
            self.look_ahead();
        }
        Ok(event)
    }

    /// Which of the tasks that a slice spawns are taken in stands behind the slice, and has to be known before.
    fn look_ahead(&mut self) {
        let takes = &mut self.sched.policy_mut().takes;
        takes.clear();
        for place in 0..MOST_AHEAD {
            if place == self.ahead.len() {
                match self.recording.next() {
                    Some(read) => self.ahead.push_back(read),
                    None => return,
                }
            }
            match self.ahead[place] {
                Ok(Event::Spawned { .. }) => takes.push_back(true),
                Ok(Event::Refused) => takes.push_back(false),
                Ok(Event::Ended { .. }) => {}
                _ => return,
            }
        }
    }

    /// Reads up to the next checksum, so that what was changed in the file is not taken for what went otherwise in the run.
    #[cold]
    fn look_for_damage(&mut self) -> Result<()> {
        let read = self.ahead.iter().position(Result::is_err).and_then(|place| self.ahead.remove(place));
        match read.map_or_else(|| self.recording.verify(), |read| read.map(drop)) {
            Err(error) if matches!(error.kind(), ErrorKind::Recording { cut: false, .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Does what an entry says: the end if it was the last one, or what went otherwise.
    fn play(&mut self, event: Event) -> Result<Result<Option<Verdict>, Difference>> {
        Ok(match event {
            Event::Spawned { spawn_index, label } => {
                self.spawn(spawn_index, label)?;
                Ok(None)
            }
            Event::Slice { spawn_index, grant, used, end } => self.slice(spawn_index, grant, used, end),
            Event::Ended { spawn_index, outcome } => self.ended(spawn_index, outcome),
            Event::Input { spawn_index, bytes } => self.id(spawn_index).map(|id| {
                self.sched.feed(id, bytes);
                None
            }),
            Event::Control { spawn_index, control } => self.control(spawn_index, &control),
            Event::Group { id, control } => self.group(id, control),
            // Whoever spawned it has been told.
            Event::Refused => Ok(None),
            Event::Idle { until } => self.idle(until),
            Event::End { .. } => Ok(Some(Verdict::Same)),
        })
    }

    /// Spawns a task, unless another task has just done so.
    fn spawn(&mut self, spawn_index: u64, label: u64) -> Result<()> {
        if self.sched.observer().0.1.is_empty() {
            // Whom the host spawned was taken in.
            self.sched.policy_mut().takes.clear();
            let task = (self.make)(label, spawn_index)?.label(label);
            self.sched.spawn(task)?;
        }
        if let Some((id, label)) = self.sched.observer_mut().0.1.pop_front() {
            self.sched.replay_inputs(id);
            self.tasks.insert(spawn_index, (id, label));
        }
        Ok(())
    }

    /// Polls a task, and compares the slice.
    fn slice(&mut self, spawn_index: u64, grant: Fuel, used: Fuel, end: SliceEnd) -> Played {
        let id = self.id(spawn_index)?;
        let Some(seen) = self.sched.run_as_told(id, grant) else {
            return Err(self.not_ready(id));
        };
        let Slice { grant: seen_grant, used: seen_used, end: seen_end, .. } = seen;
        if seen_grant != grant {
            return Err(Difference::Grant { expected: grant, seen: seen_grant });
        } else if seen_used != used {
            return Err(Difference::Used { expected: used, seen: seen_used });
        } else if seen_end != end {
            return Err(Difference::End { expected: end, seen: seen_end });
        } else if self.sched.is_astray(id) {
            return Err(Difference::Input);
        }
        Ok(None)
    }

    /// Compares the outcome of a task that has just ended, or picks it so that it ends because of its group.
    fn ended(&mut self, spawn_index: u64, outcome: String) -> Played {
        let id = self.id(spawn_index)?;
        let ends = |sched: &mut ReplayExecutor<O>| sched.observer_mut().0.0.pop_front();
        let mut end = ends(&mut self.sched);
        if end.is_none() && outcome.starts_with("deadlocked") {
            self.sched.end_deadlocked(id);
            end = ends(&mut self.sched);
        }
        if end.is_none() {
            if let Some(Slice { used, .. }) = self.sched.run_as_told(id, Fuel(1)) {
                return Err(Difference::Ran { used });
            }
            end = ends(&mut self.sched);
        }
        let Some((_, seen)) = end else {
            return Err(self.not_ready(id));
        };
        if seen != outcome {
            return Err(Difference::Outcome { expected: outcome, seen });
        }
        self.tasks.remove(&spawn_index);
        Ok(None)
    }

    /// Lets the virtual clock jump.
    fn idle(&mut self, until: Fuel) -> Played {
        let seen = self.sched.now();
        if until <= seen {
            return Err(Difference::Clock { expected: until, seen });
        }
        self.sched.idle_as_told(until);
        Ok(None)
    }

    /// Does to a task what its host did.
    fn control(&mut self, spawn_index: u64, control: &Control) -> Played {
        let id = self.id(spawn_index)?;
        let done = match control {
            Control::Kill => self.sched.kill(id).map(drop),
            Control::Stop => self.sched.stop(id),
            Control::Suspend => self.sched.suspend(id),
            Control::Resume => self.sched.resume(id),
            Control::Refuel(fuel) => self.sched.refuel(id, *fuel),
            Control::Set(param) => self.sched.set(id, *param),
            Control::WriteMemory { export, offset, bytes } => self.sched.write_memory(id, export, *offset, bytes),
            Control::SetGlobal { export, value } => self.sched.set_global(id, export, *value),
        };
        possible(done, control)
    }

    /// Does to a group what its host did.
    fn group(&mut self, id: GroupId, control: GroupControl) -> Played {
        let done = match control {
            GroupControl::Add(group) => {
                let seen = self.sched.add_group(group);
                if seen == id { Ok(()) } else { Err(ErrorKind::NoSuchGroup(id).into()) }
            }
            GroupControl::Remove => self.sched.remove_group(id),
            GroupControl::Weight(weight) => self.sched.set_group_weight(id, weight),
            GroupControl::Refuel(fuel) => self.sched.refuel_group(id, fuel),
        };
        possible(done, &control)
    }

    /// The id of a task that the recording speaks of.
    fn id(&self, spawn_index: u64) -> Result<TaskId, Difference> {
        self.tasks
            .get(&spawn_index)
            .map(|(id, _)| *id)
            .ok_or_else(|| Difference::NotReady { state: "not there".into() })
    }

    /// Why a task did not run.
    fn not_ready(&mut self, id: TaskId) -> Difference {
        let state = match (self.sched.observer_mut().0.0.pop_front(), self.sched.state(id)) {
            (Some((_, outcome)), _) => format!("ended as '{outcome}'"),
            (None, Some(TaskState::Suspended)) => "suspended".into(),
            (None, Some(TaskState::Waiting { until })) => format!("waiting until {until}"),
            (None, _) => "gone".into(),
        };
        Difference::NotReady { state }
    }

    /// The recording, as far as it has been read.
    #[must_use]
    pub fn recording(&self) -> &Recording<R> {
        &self.recording
    }

    /// The executor, to be looked at.
    #[must_use]
    pub fn executor(&self) -> &ReplayExecutor<O> {
        &self.sched
    }

    /// The executor, for taking what has ended. Whatever else is done to it is not in the recording, and makes the replay another run.
    pub fn executor_mut(&mut self) -> &mut ReplayExecutor<O> {
        &mut self.sched
    }

    /// Who watches.
    #[must_use]
    pub fn observer(&self) -> &O {
        &self.sched.observer().1
    }

    /// Who watches, to be changed.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.sched.observer_mut().1
    }
}

/// What came of one entry: the verdict if it was the last, or what went otherwise.
type Played = Result<Option<Verdict>, Difference>;

/// The task that an entry is about.
const fn about(event: &Event) -> Option<u64> {
    match event {
        Event::Spawned { spawn_index, .. }
        | Event::Slice { spawn_index, .. }
        | Event::Ended { spawn_index, .. }
        | Event::Input { spawn_index, .. }
        | Event::Control { spawn_index, .. } => Some(*spawn_index),
        Event::Refused | Event::Group { .. } | Event::Idle { .. } | Event::End { .. } => None,
    }
}

/// That something could be done.
fn possible(done: Result<()>, control: &impl fmt::Debug) -> Played {
    match done {
        Ok(()) => Ok(None),
        Err(error) => Err(Difference::Control { control: format!("{control:?}"), error: error.to_string() }),
    }
}

/// The recording came to an error before.
#[cold]
fn read_before() -> Error {
    ErrorKind::ReadRecording { source: io::Error::other("it was read up to its fault before") }.into()
}

impl<R, F, O: Observer> fmt::Debug for Replay<R, F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("recording", &self.recording)
            .field("sched", &self.sched)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}
