//! Everything that happens in a run, one small event after the other: for traces, timelines and profiles.
//!
//! [`Events`] is an observer that makes of what it is told a stream of [`Happened`], and hands it to a [`Sink`]: a [`Ring`], which keeps the
//! latest, or whatever is made of them while they come.
//!
//! ```text
//!  executor ─► Events ─┬─ kept until the next pick: the slice, and what came of it ─► Sink ─┬─ Ring: the latest so many
//!              (Observer)  (its end is known only then: blocked on what, returned …)        └─ a closure, a file, a picture
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `names` | the words that events speak of by number |
//! | `ring` | the latest events, and how many came before |
//!
//! **In which order.** As it happened, but that what a slice brought about (spawned children) comes behind that slice; the ends of slices are
//! filled in before they are handed on.
//!
//! **What it costs.** An event is 64 bytes. Without a clock none is read, and the stream is a function of the schedule alone. With one
//! ([`Events::timed`]) it is read twice a slice, and once for whatever happens between slices.
//!
//! **What a guest can do to it.** Names come from guests and are bounded ([`Names`]); all else is numbers.

mod names;
mod ring;

pub use names::{Name, Names};
pub use ring::Ring;

use super::{Ended, GroupControl, Observer, Slice, Spawned};
use crate::outcome::Outcome;
use crate::reason::{
    Action, BlockedOn, Control, InWindow, Incident, Message, Param, PickReason, ReadyReason, SliceEnd, WokenBy,
};
use crate::unit::{Fuel, GroupId, TaskId};
use std::fmt;
use std::time::Instant;

/// Something that happened in a run. Tasks are named by their places in the order of spawning, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When, on the virtual clock.
    pub at: Fuel,
    /// When, in nanoseconds since the moment from which the events are [timed](Events::timed); 0 where no clock is read.
    pub time: u64,
    /// What.
    pub what: What,
}

/// An event is one line of the cache.
const _: () = assert!(size_of::<Happened>() == 64);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A task was taken in.
    Spawned {
        /// The task.
        task: u64,
        /// The host's own number for it: see [`Task::label`](crate::Task::label).
        label: u64,
        /// The task that spawned it; `None` where that was the host.
        by: Option<u64>,
        /// When it can first run.
        released: Fuel,
    },
    /// A task can run that could not, or is new.
    Ready {
        /// The task.
        task: u64,
        /// Why.
        why: ReadyReason,
        /// Who woke it, if it was woken.
        by: Option<WokenBy>,
    },
    /// Something came in from outside to a task, in the slice that follows.
    Input {
        /// The task.
        task: u64,
        /// How much.
        bytes: u64,
    },
    /// A task sent or received a message, in the slice that follows.
    Message {
        /// The task.
        task: u64,
        /// The channel.
        channel: Name,
        /// The message's number in the channel, counted from 0.
        number: u64,
        /// How long it is; what is 4 GiB and more is `u32::MAX`.
        bytes: u32,
        /// Whether it was sent.
        sent: bool,
    },
    /// A task ran.
    Ran(Poll),
    /// What the slice before has left its task waiting for.
    Waits {
        /// The task.
        task: u64,
        /// What for.
        on: On,
    },
    /// A task ended: in the slice before, or by the host's hand.
    Ended {
        /// The task.
        task: u64,
        /// How: a [`Stop`] that [is an end](Stop::is_end).
        how: Stop,
        /// What there is to say about it: the outcome, as it is displayed.
        outcome: Name,
        /// Fuel that it used in all.
        used: Fuel,
    },
    /// Nobody could run, and the virtual clock was moved.
    Idle {
        /// To this moment.
        until: Fuel,
    },
    /// The host did something to a task.
    Control {
        /// The task.
        task: u64,
        /// What.
        act: Act,
    },
    /// The window of a policy's in which the slice that follows is, if it is another than before.
    Window(InWindow),
    /// A supervisor saw an incident.
    Health {
        /// The task.
        task: u64,
        /// What it was.
        incident: Incident,
        /// What its table says about that.
        action: Action,
    },
    /// A frame of the host's begins: a call of [`Executor::run_for`](crate::Executor::run_for) or the like.
    FrameBegins,
    /// It is over.
    FrameEnds,
    /// The host did something to a group.
    Group {
        /// The group.
        id: GroupId,
        /// What.
        act: GroupAct,
    },
}

/// A slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The task.
    pub task: u64,
    /// The task's how-manieth slice this was, counted from 1.
    pub number: u64,
    /// Fuel granted.
    pub grant: Fuel,
    /// Fuel used, exactly; after a trap a lower bound.
    pub used: Fuel,
    /// How long it took.
    pub length: Length,
    /// Why the task was picked.
    pub why: Why,
    /// Why it stopped.
    pub stop: Stop,
}

impl Poll {
    /// Fuel used past the grant.
    #[must_use]
    pub const fn overshoot(&self) -> Fuel {
        self.used.minus(self.grant)
    }

    /// By how much the virtual clock went on: what was used, but at least 1, and after a trap the whole grant.
    #[must_use]
    pub fn charged(&self) -> Fuel {
        if self.stop == Stop::Trapped { self.used.max(self.grant).max(Fuel(1)) } else { self.used.max(Fuel(1)) }
    }
}

/// How long something took, in four bytes: exact to the nanosecond below two seconds, to the microsecond above, and half an hour at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length(u32);

impl Length {
    /// The bit that says that it is microseconds.
    const MICROS: u32 = 1 << 31;

    /// So many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Length {
        if nanos < Length::MICROS as u64 {
            return Length(nanos as u32);
        }
        let micros = nanos / 1_000;
        let most = Length::MICROS as u64 - 1;
        Length(Length::MICROS | if micros < most { micros } else { most } as u32)
    }

    /// In nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        match self.0 & Length::MICROS {
            0 => self.0 as u64,
            _ => (self.0 ^ Length::MICROS) as u64 * 1_000,
        }
    }
}

/// Why a task was picked: a [`PickReason`] in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It is not known.
    Unsaid,
    /// See [`PickReason::Turn`].
    Turn,
    /// See [`PickReason::Continued`].
    Continued,
    /// See [`PickReason::DebtPaid`]: the rounds, or the largest number that there is room for.
    DebtPaid(u32),
    /// See [`PickReason::Behind`].
    Behind,
    /// See [`PickReason::Level`].
    Level(u32),
    /// See [`PickReason::Aged`].
    Aged,
    /// See [`PickReason::Deadline`].
    Deadline,
    /// See [`PickReason::Background`].
    Background,
    /// See [`PickReason::Drawn`].
    Drawn,
    /// See [`PickReason::Window`].
    Window(u32),
    /// See [`PickReason::Replayed`].
    Replayed,
    /// See [`PickReason::Other`].
    Other(Name),
}

impl Why {
    /// As events have it.
    fn of(why: PickReason, names: &mut Names) -> Why {
        match why {
            PickReason::Turn => Why::Turn,
            PickReason::Continued => Why::Continued,
            PickReason::DebtPaid { rounds } => Why::DebtPaid(u32::try_from(rounds).unwrap_or(u32::MAX)),
            PickReason::Behind => Why::Behind,
            PickReason::Level(level) => Why::Level(level),
            PickReason::Aged => Why::Aged,
            PickReason::Deadline => Why::Deadline,
            PickReason::Background => Why::Background,
            PickReason::Drawn => Why::Drawn,
            PickReason::Window(window) => Why::Window(window),
            PickReason::Replayed => Why::Replayed,
            PickReason::Other(why) => Why::Other(names.number(why)),
        }
    }

    /// As logs have it; nothing if it is not known.
    #[must_use]
    pub fn show(self, names: &Names) -> String {
        let reason = match self {
            Why::Unsaid => return String::new(),
            Why::Other(name) => return names.get(name).into(),
            Why::Turn => PickReason::Turn,
            Why::Continued => PickReason::Continued,
            Why::DebtPaid(rounds) => PickReason::DebtPaid { rounds: rounds.into() },
            Why::Behind => PickReason::Behind,
            Why::Level(level) => PickReason::Level(level),
            Why::Aged => PickReason::Aged,
            Why::Deadline => PickReason::Deadline,
            Why::Background => PickReason::Background,
            Why::Drawn => PickReason::Drawn,
            Why::Window(window) => PickReason::Window(window),
            Why::Replayed => PickReason::Replayed,
        };
        reason.to_string()
    }
}

/// Why a slice stopped, and how a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// The fuel of the slice ran out.
    Preempted,
    /// The task gave the rest away.
    Yielded,
    /// It waits; for fuel, or it is not known what for.
    Blocked,
    /// It waits for a moment.
    Time,
    /// For input.
    Input,
    /// For one of several things.
    Events,
    /// For room in a channel.
    Send,
    /// For a message.
    Receive,
    /// For the end of a task.
    Join,
    /// In another function of its host's.
    Function,
    /// It ended, and it is not known how.
    Ended,
    /// It returned.
    Returned,
    /// It exited.
    Exited,
    /// It trapped.
    Trapped,
    /// It had used up its budget.
    OutOfFuel,
    /// It was killed.
    Killed,
    /// The run ended first.
    Stopped,
    /// It waited for others that waited.
    Deadlocked,
    /// It never started.
    Failed,
}

impl Stop {
    /// The end of a slice.
    pub(super) const fn of(end: SliceEnd) -> Stop {
        match end {
            SliceEnd::Preempted => Stop::Preempted,
            SliceEnd::Yielded => Stop::Yielded,
            SliceEnd::Blocked => Stop::Blocked,
            SliceEnd::Ended => Stop::Ended,
        }
    }

    /// The end of a task.
    const fn of_outcome(outcome: &Outcome) -> Stop {
        match outcome {
            Outcome::Returned(_) => Stop::Returned,
            Outcome::Exited(_) => Stop::Exited,
            Outcome::Trapped(_) => Stop::Trapped,
            Outcome::OutOfFuel => Stop::OutOfFuel,
            Outcome::Killed => Stop::Killed,
            Outcome::Stopped => Stop::Stopped,
            Outcome::Deadlocked(_) => Stop::Deadlocked,
            Outcome::Failed(_) => Stop::Failed,
        }
    }

    /// All that are ends of tasks, in the order of the list of outcomes.
    const ENDS: [Stop; 8] = [
        Stop::Returned,
        Stop::Exited,
        Stop::Trapped,
        Stop::OutOfFuel,
        Stop::Killed,
        Stop::Stopped,
        Stop::Deadlocked,
        Stop::Failed,
    ];

    /// The end of a task, by what stands first in an outcome that is displayed.
    pub(super) fn of_text(outcome: &str) -> Stop {
        let word = outcome.split([' ', ':']).next().unwrap_or_default();
        Stop::ENDS.into_iter().find(|stop| stop.name() == word).unwrap_or(Stop::Ended)
    }

    /// The word for it in logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stop::Preempted => "preempted",
            Stop::Yielded => "yielded",
            Stop::Blocked => "blocked",
            Stop::Time => "sleeps",
            Stop::Input => "waits for input",
            Stop::Events => "waits for events",
            Stop::Send => "waits to send",
            Stop::Receive => "waits to receive",
            Stop::Join => "waits for a task",
            Stop::Function => "waits in a function",
            Stop::Ended => "ended",
            Stop::Returned => "returned",
            Stop::Exited => "exited",
            Stop::Trapped => "trapped",
            Stop::OutOfFuel => "out-of-fuel",
            Stop::Killed => "killed",
            Stop::Stopped => "stopped",
            Stop::Deadlocked => "deadlocked",
            Stop::Failed => "failed",
        }
    }

    /// Whether the task can go on at once.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Stop::Preempted | Stop::Yielded)
    }

    /// Whether it was the task's end.
    #[must_use]
    pub const fn is_end(self) -> bool {
        self as u8 >= Stop::Ended as u8
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a task waits for: a [`BlockedOn`] of two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum On {
    /// See [`BlockedOn::Time`].
    Time,
    /// See [`BlockedOn::Input`].
    Input,
    /// See [`BlockedOn::Events`].
    Events,
    /// See [`BlockedOn::Send`].
    Send(Name),
    /// See [`BlockedOn::Receive`].
    Receive(Name),
    /// See [`BlockedOn::Join`].
    Join(u64),
    /// See [`BlockedOn::Function`].
    Function(Name),
}

impl On {
    /// As events have it.
    fn of(on: &BlockedOn, names: &mut Names) -> On {
        match on {
            BlockedOn::Time => On::Time,
            BlockedOn::Input => On::Input,
            BlockedOn::Events => On::Events,
            BlockedOn::Send(name) => On::Send(names.number(name)),
            BlockedOn::Receive(name) => On::Receive(names.number(name)),
            BlockedOn::Join(task) => On::Join(*task),
            BlockedOn::Function(name) => On::Function(names.number(name)),
        }
    }

    /// As logs have it.
    #[must_use]
    pub fn show(self, names: &Names) -> String {
        let named = |name| names.get(name).into();
        let on = match self {
            On::Time => BlockedOn::Time,
            On::Input => BlockedOn::Input,
            On::Events => BlockedOn::Events,
            On::Send(name) => BlockedOn::Send(named(name)),
            On::Receive(name) => BlockedOn::Receive(named(name)),
            On::Join(task) => BlockedOn::Join(task),
            On::Function(name) => BlockedOn::Function(named(name)),
        };
        on.to_string()
    }

    /// The end of a slice that it is.
    const fn stop(self) -> Stop {
        match self {
            On::Time => Stop::Time,
            On::Input => Stop::Input,
            On::Events => Stop::Events,
            On::Send(_) => Stop::Send,
            On::Receive(_) => Stop::Receive,
            On::Join(_) => Stop::Join,
            On::Function(_) => Stop::Function,
        }
    }
}

/// What a host did to a task: a [`Control`] without what it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// See [`Control::Kill`].
    Kill,
    /// See [`Control::Stop`].
    Stop,
    /// See [`Control::Suspend`].
    Suspend,
    /// See [`Control::Resume`].
    Resume,
    /// See [`Control::Refuel`].
    Refuel(Fuel),
    /// See [`Control::Set`].
    Set(Param),
    /// See [`Control::WriteMemory`]: so many bytes.
    WriteMemory(u64),
    /// See [`Control::SetGlobal`].
    SetGlobal,
}

impl Act {
    /// As events have it.
    pub(super) fn of(control: &Control) -> Act {
        match control {
            Control::Kill => Act::Kill,
            Control::Stop => Act::Stop,
            Control::Suspend => Act::Suspend,
            Control::Resume => Act::Resume,
            Control::Refuel(fuel) => Act::Refuel(*fuel),
            Control::Set(param) => Act::Set(*param),
            Control::WriteMemory { bytes, .. } => Act::WriteMemory(bytes.len() as u64),
            Control::SetGlobal { .. } => Act::SetGlobal,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Kill => f.write_str("kill"),
            Act::Stop => f.write_str("stop"),
            Act::Suspend => f.write_str("suspend"),
            Act::Resume => f.write_str("resume"),
            Act::Refuel(fuel) => write!(f, "refuel by {fuel}"),
            Act::Set(param) => match param {
                Param::Quantum(n) | Param::Period(n) | Param::Runtime(n) | Param::Deadline(n) => {
                    write!(f, "set {} to {n}", param.name())
                }
                Param::Weight(n) | Param::Partition(n) => write!(f, "set {} to {n}", param.name()),
                Param::Priority(n) => write!(f, "set {} to {n}", param.name()),
            },
            Act::WriteMemory(bytes) => write!(f, "write {} bytes to its memory", Fuel(*bytes)),
            Act::SetGlobal => f.write_str("set a global"),
        }
    }
}

/// What a host did to a group: a [`GroupControl`] without what the group was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupAct {
    /// See [`GroupControl::Add`].
    Add,
    /// See [`GroupControl::Remove`].
    Remove,
    /// See [`GroupControl::Weight`].
    Weight(u32),
    /// See [`GroupControl::Refuel`].
    Refuel(Fuel),
}

impl GroupAct {
    /// As events have it.
    pub(super) const fn of(control: &GroupControl) -> GroupAct {
        match control {
            GroupControl::Add(_) => GroupAct::Add,
            GroupControl::Remove => GroupAct::Remove,
            GroupControl::Weight(weight) => GroupAct::Weight(*weight),
            GroupControl::Refuel(fuel) => GroupAct::Refuel(*fuel),
        }
    }
}

impl fmt::Display for GroupAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupAct::Add => f.write_str("add"),
            GroupAct::Remove => f.write_str("remove"),
            GroupAct::Weight(weight) => write!(f, "set weight to {weight}"),
            GroupAct::Refuel(fuel) => write!(f, "refuel by {fuel}"),
        }
    }
}

/// Where events go. A closure is one.
pub trait Sink {
    /// Takes the next event; `names` holds the words that it speaks of.
    fn take(&mut self, event: &Happened, names: &Names);
}

impl<F: FnMut(&Happened, &Names)> Sink for F {
    fn take(&mut self, event: &Happened, names: &Names) {
        self(event, names);
    }
}

/// An observer that hands events on.
///
/// ```
/// use fuelsched::policy::RoundRobin;
/// use fuelsched::trace::events::{Events, Ring, What};
/// use fuelsched::{Engine, EngineConfig, Executor, Fuel, Module, Value};
///
/// # fn main() -> fuelsched::Result<()> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let down = Module::from_bytes(&engine, "down", br#"
///     (module (func (export "down") (param i32)
///         (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
/// "#)?;
/// let events = Events::new(Ring::new(1_000)).timed();
/// let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(100))).observer(events).build();
/// sched.spawn(down.call("down", &[Value::I32(50)]))?;
/// sched.run();
/// let ring = sched.observer_mut().flush();
/// for event in ring.iter() {
///     if let What::Ran(poll) = event.what {
///         println!("{}: task {} used {} of {}, {}", event.at, poll.task, poll.used, poll.grant, poll.stop);
///     }
/// }
/// assert_eq!(ring.dropped(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Events<S = Ring> {
    /// Where to.
    sink: S,
    /// The words.
    names: Names,
    /// The tasks in each slot, by their places in the order of spawning.
    tasks: Vec<u64>,
    /// The virtual clock, as far as it is known.
    now: Fuel,
    /// What reads the system's clock.
    watch: Option<Watch>,
    /// Events that have not been handed on: the latest slice, and what happened around it.
    kept: Vec<Happened>,
    /// Where among them the latest slice is.
    slice: Option<usize>,
    /// Who woke the task that is ready next.
    woken: Option<WokenBy>,
    /// The latest window.
    window: Option<InWindow>,
}

/// A clock that is read.
#[derive(Debug)]
struct Watch {
    /// What the nanoseconds are counted from.
    origin: Instant,
    /// When the present slice began, or the last one.
    began: u64,
    /// When the last one ended.
    ended: u64,
}

impl Watch {
    /// Nanoseconds since the origin.
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl<S: Sink> Events<S> {
    /// Events for this sink, with no times.
    pub fn new(sink: S) -> Events<S> {
        Events {
            sink,
            names: Names::new(),
            tasks: Vec::new(),
            now: Fuel::ZERO,
            watch: None,
            kept: Vec::new(),
            slice: None,
            woken: None,
            window: None,
        }
    }

    /// With times, from now on: the system's clock is read twice a slice, and once for each other event.
    #[must_use]
    pub fn timed(self) -> Events<S> {
        self.timed_from(Instant::now())
    }

    /// With times from this moment on, which may be that of other executors' events as well.
    #[must_use]
    pub fn timed_from(mut self, origin: Instant) -> Events<S> {
        self.watch = Some(Watch { origin, began: 0, ended: 0 });
        self
    }

    /// Hands on what has not been handed on yet, and gives the sink. What a slice that is not yet followed by another has brought about
    /// after this comes as events of its own.
    pub fn flush(&mut self) -> &mut S {
        for event in self.kept.drain(..) {
            self.sink.take(&event, &self.names);
        }
        self.slice = None;
        &mut self.sink
    }

    /// The sink, which has all events once they are [flushed](Events::flush).
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// The sink, to be changed.
    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// The sink with all events, and the words in them.
    pub fn finish(mut self) -> (S, Names) {
        self.flush();
        (self.sink, self.names)
    }

    /// The words that events speak of.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Keeps something that happens now.
    fn note(&mut self, what: What) {
        let time = self.watch.as_ref().map_or(0, Watch::now);
        self.kept.push(Happened { at: self.now, time, what });
    }

    /// Keeps something that the last slice brought about, when that ended.
    fn note_after_slice(&mut self, what: What) {
        let time = self.watch.as_ref().map_or(0, |watch| watch.ended);
        self.kept.push(Happened { at: self.now, time, what });
    }

    /// Keeps something of the slice that follows, when that began.
    fn note_before_slice(&mut self, what: What) {
        let time = self.watch.as_ref().map_or(0, |watch| watch.began);
        self.kept.push(Happened { at: self.now, time, what });
    }

    /// The task in a slot.
    fn task(&self, id: TaskId) -> u64 {
        self.tasks.get(id.index()).copied().unwrap_or(u64::MAX)
    }

    /// Fills in why the latest slice stopped, if it was this task's and as much is known.
    fn complete(&mut self, task: u64, known: Stop, stop: Stop) -> bool {
        let slice = self.slice.and_then(|slice| self.kept.get_mut(slice));
        match slice.map(|slice| &mut slice.what) {
            Some(What::Ran(poll)) if poll.task == task && poll.stop == known => {
                poll.stop = stop;
                true
            }
            _ => false,
        }
    }
}

impl<S: Sink> Observer for Events<S> {
    fn spawned(&mut self, task: &Spawned) {
        let slot = task.id.index();
        if slot >= self.tasks.len() {
            self.tasks.resize(slot + 1, u64::MAX);
        }
        self.tasks[slot] = task.spawn_index;
        let Spawned { spawn_index, label, by, released, .. } = *task;
        self.note(What::Spawned { task: spawn_index, label, by, released });
    }

    fn control(&mut self, spawn_index: u64, control: &Control) {
        self.note(What::Control { task: spawn_index, act: Act::of(control) });
    }

    fn group(&mut self, id: GroupId, control: &GroupControl) {
        self.note(What::Group { id, act: GroupAct::of(control) });
    }

    fn idle(&mut self, from: Fuel, until: Fuel) {
        self.now = from;
        self.note(What::Idle { until });
        self.now = until;
    }

    fn input(&mut self, spawn_index: u64, bytes: &[u8]) {
        self.note_before_slice(What::Input { task: spawn_index, bytes: bytes.len() as u64 });
    }

    fn follows_messages(&self) -> bool {
        true
    }

    fn message(&mut self, spawn_index: u64, message: &Message) {
        let channel = self.names.number(&message.channel);
        let bytes = u32::try_from(message.bytes).unwrap_or(u32::MAX);
        let Message { number, sent, .. } = *message;
        self.note_before_slice(What::Message { task: spawn_index, channel, number, bytes, sent });
    }

    fn run_begins(&mut self, now: Fuel) {
        self.now = now;
        self.note(What::FrameBegins);
    }

    fn run_ends(&mut self, now: Fuel) {
        self.now = now;
        self.note(What::FrameEnds);
    }

    fn follows_windows(&self) -> bool {
        true
    }

    fn window(&mut self, window: &InWindow) {
        if self.window.replace(*window) != Some(*window) {
            self.note(What::Window(*window));
        }
    }

    fn health(&mut self, id: TaskId, incident: Incident, action: Action) {
        let task = self.task(id);
        self.note(What::Health { task, incident, action });
    }

    fn woken(&mut self, _id: TaskId, by: WokenBy) {
        self.woken = Some(by);
    }

    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.now = now;
        let by = self.woken.take().filter(|_| why == ReadyReason::Woken);
        let what = What::Ready { task: self.task(id), why, by };
        match by {
            Some(WokenBy::Task(_)) => self.note_after_slice(what),
            _ => self.note(what),
        }
    }

    fn blocked(&mut self, id: TaskId, on: &BlockedOn) {
        let (task, on) = (self.task(id), On::of(on, &mut self.names));
        self.complete(task, Stop::Blocked, on.stop());
        self.note_after_slice(What::Waits { task, on });
    }

    #[inline]
    fn picked(&mut self, _id: TaskId, _grant: Fuel, _why: PickReason) {
        self.flush();
        if let Some(watch) = &mut self.watch {
            watch.began = watch.now();
        }
    }

    #[inline]
    fn slice(&mut self, slice: &Slice) {
        let (mut time, mut length) = (0, 0);
        if let Some(watch) = &mut self.watch {
            watch.ended = watch.now();
            (time, length) = (watch.began, watch.ended - watch.began);
        }
        let poll = Poll {
            task: slice.spawn_index,
            number: slice.number,
            grant: slice.grant,
            used: slice.used,
            length: Length::from_nanos(length),
            why: Why::of(slice.why, &mut self.names),
            stop: Stop::of(slice.end),
        };
        self.slice = Some(self.kept.len());
        self.kept.push(Happened { at: slice.at, time, what: What::Ran(poll) });
        self.now = slice.at.plus(slice.charged);
    }

    fn ended(&mut self, task: &Ended) {
        self.now = task.at;
        let how = Stop::of_outcome(&task.outcome);
        let outcome = self.names.number(&task.outcome.to_string());
        let what = What::Ended { task: task.spawn_index, how, outcome, used: task.ledger.used };
        match self.complete(task.spawn_index, Stop::Ended, how) {
            true => self.note_after_slice(what),
            false => self.note(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_exact_below_two_seconds_and_never_over_half_an_hour() {
        for nanos in [0, 1, 999_999_999, (1 << 31) - 1] {
            assert_eq!(Length::from_nanos(nanos).nanos(), nanos);
        }
        assert_eq!(Length::from_nanos(1 << 31).nanos(), 2_147_483_000);
        assert_eq!(Length::from_nanos(5_000_000_999).nanos(), 5_000_000_000);
        assert_eq!(Length::from_nanos(u64::MAX).nanos(), 2_147_483_647_000);
    }

    #[test]
    fn an_end_is_known_by_its_first_word() {
        let texts = ["returned 55", "exited 3", "trapped: unreachable", "out-of-fuel", "deadlocked: waits", "odd", ""];
        let stops =
            [Stop::Returned, Stop::Exited, Stop::Trapped, Stop::OutOfFuel, Stop::Deadlocked, Stop::Ended, Stop::Ended];
        assert_eq!(texts.map(Stop::of_text), stops);
        assert!(stops.iter().all(|stop| stop.is_end()));
        assert!([Stop::Preempted, Stop::Blocked, Stop::Function].iter().all(|stop| !stop.is_end()));
    }

    #[test]
    fn reasons_read_as_they_do_in_logs() {
        let mut names = Names::new();
        let reasons = [
            PickReason::Turn,
            PickReason::Continued,
            PickReason::DebtPaid { rounds: 3 },
            PickReason::Behind,
            PickReason::Level(7),
            PickReason::Aged,
            PickReason::Deadline,
            PickReason::Background,
            PickReason::Drawn,
            PickReason::Window(2),
            PickReason::Replayed,
            PickReason::Other("as told"),
        ];
        for reason in reasons {
            assert_eq!(Why::of(reason, &mut names).show(&names), reason.to_string());
        }
        for on in [BlockedOn::Time, BlockedOn::Receive("a".into()), BlockedOn::Join(4), BlockedOn::Function("f".into())]
        {
            assert_eq!(On::of(&on, &mut names).show(&names), on.to_string());
        }
    }
}
