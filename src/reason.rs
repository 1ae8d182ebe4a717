//! Why things happen: why a task was picked, why its slice ended, why it became ready, and what a host may change about it.
//!
//! All of these are closed sets of words that logs, reports and policies share, and all may grow.

use crate::unit::{Fuel, GroupId};
use crate::value::Value;
use std::fmt;
use std::sync::Arc;

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
    /// Of those that are ready it is the furthest behind its share.
    Behind,
    /// It is on the highest level that has anybody ready.
    Level(u32),
    /// It has waited so long that it comes before higher levels.
    Aged,
    /// Its deadline is the earliest.
    Deadline,
    /// Nobody with a reservation wants to run.
    Background,
    /// Its ticket was drawn.
    Drawn,
    /// This window of the frame is its own.
    Window(u32),
    /// A recording says so.
    Replayed,
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
            PickReason::Behind => f.write_str("behind"),
            PickReason::Level(level) => write!(f, "level {level}"),
            PickReason::Aged => f.write_str("aged"),
            PickReason::Deadline => f.write_str("deadline"),
            PickReason::Background => f.write_str("background"),
            PickReason::Drawn => f.write_str("drawn"),
            PickReason::Window(window) => write!(f, "window {window}"),
            PickReason::Replayed => f.write_str("replayed"),
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
    /// The task cannot go on before something happens: what it waits for ([`BlockedOn`]), or its fuel for the period is used up, and that of the
    /// next one is still to come.
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

/// What a task waits for, as the function that it called says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockedOn {
    /// A moment of the executor's clock.
    Time,
    /// Standard input, or another stream from outside.
    Input,
    /// One of several things: a moment, or a stream.
    Events,
    /// Room in the channel of that name.
    Send(Arc<str>),
    /// A message in the channel of that name.
    Receive(Arc<str>),
    /// The end of the task at this place in the order of spawning.
    Join(u64),
    /// The function of that name, one of the embedder's.
    Function(Arc<str>),
}

impl BlockedOn {
    /// Whether only tasks of the same executor can end the wait.
    #[must_use]
    pub const fn is_inside(&self) -> bool {
        matches!(self, BlockedOn::Send(_) | BlockedOn::Receive(_) | BlockedOn::Join(_))
    }
}

impl fmt::Display for BlockedOn {
    /// Writes what stands behind "waits": `to receive from channel 'a'`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockedOn::Time => f.write_str("for a moment"),
            BlockedOn::Input => f.write_str("for input"),
            BlockedOn::Events => f.write_str("for events"),
            BlockedOn::Send(channel) => write!(f, "to send to channel '{channel}'"),
            BlockedOn::Receive(channel) => write!(f, "to receive from channel '{channel}'"),
            BlockedOn::Join(task) => write!(f, "for the end of task {task}"),
            BlockedOn::Function(name) => write!(f, "in {name}"),
        }
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
    /// It had used up its fuel for a period, or its group had, and there is fuel again.
    Replenished,
    /// What it waited for has happened, or may have: its waker was woken, or its sleep is over.
    Woken,
    /// It was ready already, and this policy has just taken over from another.
    Inherited,
}

/// The window in which a task was picked, where the policy is [`Cyclic`](crate::policy::Cyclic), as an observer is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InWindow {
    /// Which frame: how many were completed before it.
    pub frame: u64,
    /// Which mode, by its place among the modes.
    pub mode: u32,
    /// Which window of that, by its place in the mode's list.
    pub window: u32,
    /// When it begins and when it ends, on the virtual clock; `None` where windows are measured in time.
    pub span: Option<(Fuel, Fuel)>,
}

/// A message that a task has sent or received, as an observer is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// The channel's name.
    pub channel: Arc<str>,
    /// Its number in the channel, counted from 0: what is received has the number with which it was sent.
    pub number: u64,
    /// How long it is, in bytes.
    pub bytes: usize,
    /// Whether it was sent; else it was received.
    pub sent: bool,
}

/// Something that a supervisor can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Incident {
    /// The task trapped.
    Trap,
    /// Its budget is used up.
    OutOfFuel,
    /// A slice reached past the end of its window.
    Overrun,
    /// A deadline passed before the task had what it was promised until then.
    DeadlineMiss,
}

impl Incident {
    /// The word for it in logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Incident::Trap => "trap",
            Incident::OutOfFuel => "out-of-fuel",
            Incident::Overrun => "overrun",
            Incident::DeadlineMiss => "deadline-miss",
        }
    }
}

/// What is done about an [`Incident`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// It is counted.
    #[default]
    Ignore,
    /// The task is killed if it lives, taken, and made anew.
    Restart,
    /// The task is killed if it lives, and stays ended.
    Stop,
    /// The run is over.
    Shutdown,
}

impl Action {
    /// The word for it in plans and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Action::Ignore => "ignore",
            Action::Restart => "restart",
            Action::Stop => "stop",
            Action::Shutdown => "shutdown",
        }
    }
}

/// Who ended a task's wait, as an observer is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WokenBy {
    /// The task that was spawned as the so-manieth, in its slice or by its end: it sent or received what was waited for, or ended. A wake by
    /// another thread that comes during the slice of a task that reaches its host is taken for that task's.
    Task(u64),
    /// The moment that it slept until.
    Moment,
    /// The host, between two steps, or another thread; or a task with no functions of its host's, which can only be a plain future that holds
    /// another task's waker.
    Outside,
}

/// What a policy is told about a task when it is admitted. A policy reads the parameters that it knows, and leaves the others alone: the
/// same task can run under any policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Params {
    /// The task's own quantum, where the policy's is not wanted.
    pub quantum: Option<Fuel>,
    /// Its weight, or its tickets; 1 unless given.
    pub weight: Option<u32>,
    /// Its priority; larger is more urgent, 0 unless given.
    pub priority: Option<u8>,
    /// Fuel of virtual time from one release of the task to the next.
    pub period: Option<Fuel>,
    /// Fuel that it is promised in each period.
    pub runtime: Option<Fuel>,
    /// Fuel of virtual time from a release until its runtime is due; the period unless given.
    pub deadline: Option<Fuel>,
    /// The partition whose windows it runs in.
    pub partition: Option<u32>,
    /// The group that it is in. Set by [`Task::group`](crate::Task::group), for good.
    pub group: Option<GroupId>,
}

impl Params {
    /// These parameters with `param` changed.
    #[must_use]
    pub fn with(mut self, param: Param) -> Params {
        match param {
            Param::Quantum(fuel) => self.quantum = Some(fuel),
            Param::Weight(weight) => self.weight = Some(weight),
            Param::Priority(priority) => self.priority = Some(priority),
            Param::Period(fuel) => self.period = Some(fuel),
            Param::Runtime(fuel) => self.runtime = Some(fuel),
            Param::Deadline(fuel) => self.deadline = Some(fuel),
            Param::Partition(partition) => self.partition = Some(partition),
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
    /// The weight, or the tickets.
    Weight(u32),
    /// The priority; larger is more urgent.
    Priority(u8),
    /// Fuel of virtual time from one release to the next.
    Period(Fuel),
    /// Fuel promised in each period.
    Runtime(Fuel),
    /// Fuel of virtual time from a release until the runtime is due.
    Deadline(Fuel),
    /// The partition whose windows the task runs in.
    Partition(u32),
}

impl Param {
    /// The parameter's name, as messages have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Param::Quantum(_) => "quantum",
            Param::Weight(_) => "weight",
            Param::Priority(_) => "priority",
            Param::Period(_) => "period",
            Param::Runtime(_) => "runtime",
            Param::Deadline(_) => "deadline",
            Param::Partition(_) => "partition",
        }
    }
}

/// Something that the host did to a task between two steps, as an observer is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// [`Executor::kill`](crate::Executor::kill).
    Kill,
    /// [`Executor::stop_all`](crate::Executor::stop_all), which says so for each task.
    Stop,
    /// [`Executor::suspend`](crate::Executor::suspend).
    Suspend,
    /// [`Executor::resume`](crate::Executor::resume).
    Resume,
    /// [`Executor::refuel`](crate::Executor::refuel), by so much.
    Refuel(Fuel),
    /// [`Executor::set`](crate::Executor::set).
    Set(Param),
    /// [`Executor::write_memory`](crate::Executor::write_memory), after it was done.
    WriteMemory {
        /// The memory.
        export: String,
        /// To where.
        offset: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// [`Executor::set_global`](crate::Executor::set_global), after it was done.
    SetGlobal {
        /// The global.
        export: String,
        /// What.
        value: Value,
    },
}
