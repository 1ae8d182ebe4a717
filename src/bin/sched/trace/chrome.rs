//! The Trace Event format, which [Perfetto](https://ui.perfetto.dev) and chrome://tracing open: one JSON object, written while the run goes on.
//!
//! | where | what |
//! |---|---|
//! | process 1, *tasks* | a thread a task, whose number is its place in the order of spawning, and 1: its slices, and what it waited for between them |
//! | process 2, *executor* | a thread with spawns, ends, idle times and what the host did; one with the windows of a cyclic policy in which somebody ran; counters of ready tasks and of fuel by time |
//! | arrows | from the slice that woke a task, or spawned it, to the slice in which that went on; from the slice that sent a message to the one that received it |
//!
//! Of several workers each has two processes of its own, and its part of the file.
//!
//! The format is Google's "Trace Event Format" (the document of that name, 2016): `X` a slice with its length, `i` an instant, `C` a counter, `s` and `f` the
//! ends of an arrow, `M` a name. Times are in microseconds; with fuel as the clock one unit of fuel is shown as one microsecond, no clock is
//! read, and the file is a function of the schedule.
//!
//! Beginnings on one thread never go back. An arrow begins in the last nanosecond of its slice, or in the last unit of fuel, because what is at
//! the very end of a slice is not in it. Each arrow ends: with the run, if its task did not go on or nobody received its message.

use crate::args::TraceClock;
use fuelsched::reason::{InWindow, ReadyReason, WokenBy};
use fuelsched::trace::events::{Act, Happened, Names, On, Poll, Stop, What};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};

/// The process whose threads are the tasks.
const TASKS: u32 = 1;
/// The process of the executor.
const EXECUTOR: u32 = 2;
/// What all channels are called for whose names there was no room.
const NO_NAME: &str = "…";
/// Nanoseconds from one look at how fast fuel is used to the next.
const RATE_EVERY: u64 = 1_000_000;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Chrome<W> {
    /// Where to; once that has failed nothing more is written.
    out: W,
    /// What went wrong.
    failed: Option<io::Error>,
    /// By which clock.
    clock: TraceClock,
    /// Which worker's part of a file it is, if it is not the whole.
    worker: Option<u32>,
    /// Whether nothing has been written yet.
    empty: bool,
    /// What is known of the tasks that have not ended.
    tasks: HashMap<u64, Task>,
    /// The latest slice: whose, and from when to when.
    slice: (u64, u64, u64),
    /// How many tasks are ready, and how many were when that was last written.
    ready: (u64, u64),
    /// The latest moment on the executor's thread.
    latest: u64,
    /// Whether there has been a window.
    windows: bool,
    /// Arrows so far.
    arrows: u64,
    /// What the slice that follows sent and received: the channel, the message's number, and whether it was sent.
    passed: Vec<(String, u64, bool)>,
    /// Messages that have not been received: who sent them, and their arrows. There are as many as all channels hold, which is bounded.
    sent: HashMap<(String, u64), (u64, u64)>,
    /// Since when fuel has been counted, and how much.
    rate: (u64, u64),
}

/// What is known of a task.
#[derive(Debug, Default)]
struct Task {
    /// Its name.
    name: String,
    /// Whether the policy may pick it.
    ready: bool,
    /// Whether the host has suspended it.
    suspended: bool,
    /// Since when it waits, and for what.
    waits: Option<(u64, String)>,
    /// What an arrow to it would be called.
    kind: Option<&'static str>,
    /// The arrow that ends where it runs next: its number, and what it is.
    arrow: Option<(u64, &'static str)>,
}

impl Task {
    /// Whether it counts among the ready.
    const fn counts(&self) -> bool {
        self.ready && !self.suspended
    }
}

/// A moment, or a length, as the format has it.
#[derive(Clone, Copy)]
struct Micros(u64, TraceClock);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            TraceClock::Fuel => write!(f, "{}", self.0),
            TraceClock::Time => write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000),
        }
    }
}

/// What ends a file: the list of events, and what there is to say about all of it.
pub(super) fn footer(about: &Map<String, Value>, clock: TraceClock) -> String {
    let clock = match clock {
        TraceClock::Fuel => "fuel: a microsecond is one unit of it",
        TraceClock::Time => "time",
    };
    let mut about = about.clone();
    about.insert("clock".into(), clock.into());
    format!("\n],\n\"displayTimeUnit\":\"ns\",\n\"otherData\":{}\n}}\n", Value::Object(about))
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl<W: Write> Chrome<W> {
    /// A file with nothing in it yet but who is who; or a worker's part of one, the first of which begins the file.
    pub(super) fn new(out: W, clock: TraceClock, worker: Option<u32>) -> Chrome<W> {
        let first = worker.is_none_or(|worker| worker == 0);
        let mut chrome = Chrome {
            out,
            failed: None,
            clock,
            worker,
            empty: first,
            tasks: HashMap::new(),
            slice: (u64::MAX, 0, 0),
            ready: (0, 0),
            latest: 0,
            windows: false,
            arrows: u64::from(worker.unwrap_or(0)) << 32,
            passed: Vec::new(),
            sent: HashMap::new(),
            rate: (0, 0),
        };
        if first {
            chrome.write(format_args!("{{\"traceEvents\":["));
        }
        let of = worker.map_or_else(String::new, |worker| format!("worker {worker}: "));
        for (pid, name, place) in [(TASKS, "tasks", 1), (EXECUTOR, "executor", 0)] {
            let (name, place) = (format!("{of}{name}"), place + 2 * worker.unwrap_or(0));
            chrome.meta(pid, 0, "process_name", format_args!("\"name\":\"{name}\""));
            chrome.meta(pid, 0, "process_sort_index", format_args!("\"sort_index\":{place}"));
        }
        chrome.meta(EXECUTOR, 1, "thread_name", format_args!("\"name\":\"executor\""));
        chrome
    }

    /// By which clock it goes.
    pub(super) const fn clock(&self) -> TraceClock {
        self.clock
    }

    /// Takes what happened; `name` is that of a task that was spawned.
    pub(super) fn take(&mut self, event: &Happened, names: &Names, name: &str) {
        if self.failed.is_some() {
            return;
        }
        let at = match self.clock {
            TraceClock::Fuel => event.at.0,
            TraceClock::Time => event.time,
        };
        match event.what {
            What::Spawned { task, by, .. } => self.spawned(at, task, by, name),
            What::Ready { task, why, by } => self.became_ready(at, task, why, by),
            What::Ran(poll) => self.ran(at, &poll, names),
            What::Message { channel, number, sent, .. } => self.passed.push((names.get(channel).into(), number, sent)),
            What::Health { task, incident, action } => {
                let name = self.name(task);
                self.note(at, &format!("{}: {name}: {}", incident.name(), action.name()));
            }
            What::Waits { task, on } => self.waits(task, on, names),
            What::Ended { task, outcome, .. } => self.ended(at, task, names.get(outcome)),
            What::Idle { until } => self.idle(at, event.at.0, until.0),
            What::Window(window) => self.window(at, &window),
            What::Control { task, act } => {
                let name = self.name(task);
                self.note(at, &format!("{act}: {name}"));
                self.suspend(at, task, act);
            }
            What::Group { id, act } => self.note(at, &format!("group {id}: {act}")),
            _ => {}
        }
    }

    /// Completes the file, or the part of it: what is about all of it comes behind the last part then.
    pub(super) fn finish(mut self, about: &Map<String, Value>) -> io::Result<()> {
        let (_, _, end) = self.slice;
        let mut arrows: Vec<_> = self.tasks.iter().filter_map(|(task, known)| Some((*task, known.arrow?))).collect();
        arrows.extend(self.sent.values().map(|(task, number)| (*task, (*number, "message"))));
        arrows.sort_unstable();
        for (task, arrow) in arrows {
            self.arrow('f', task, end.max(self.latest), arrow);
        }
        if self.worker.is_none() {
            self.write(format_args!("{}", footer(about, self.clock)));
        }
        match self.failed {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }

    /// Writes, unless that has failed before.
    fn write(&mut self, text: fmt::Arguments<'_>) {
        if self.failed.is_none()
            && let Err(error) = self.out.write_fmt(text)
        {
            self.failed = Some(error);
        }
    }

    /// Writes an event: its head, and what else is in it.
    fn event(&mut self, phase: char, pid: u32, tid: u64, at: u64, rest: fmt::Arguments<'_>) {
        let comma = if std::mem::take(&mut self.empty) { "" } else { "," };
        let (at, pid) = (Micros(at, self.clock), pid + 2 * self.worker.unwrap_or(0));
        self.write(format_args!("{comma}\n{{\"ph\":\"{phase}\",\"pid\":{pid},\"tid\":{tid},\"ts\":{at},{rest}}}"));
    }

    /// Writes a name, or a place in the order.
    fn meta(&mut self, pid: u32, tid: u64, what: &str, args: fmt::Arguments<'_>) {
        self.event('M', pid, tid, 0, format_args!("\"name\":\"{what}\",\"args\":{{{args}}}"));
    }

    /// Writes an instant on the executor's thread.
    fn note(&mut self, at: u64, what: &str) {
        self.latest = self.latest.max(at);
        self.event('i', EXECUTOR, 1, self.latest, format_args!("\"s\":\"t\",\"name\":{}", quoted(what)));
    }

    /// The name of a task.
    fn name(&self, task: u64) -> String {
        self.tasks.get(&task).map_or_else(|| format!("task {task}"), |known| known.name.clone())
    }

    /// Writes one end of an arrow, at a task.
    fn arrow(&mut self, end: char, task: u64, at: u64, (number, kind): (u64, &str)) {
        let bound = if end == 'f' { ",\"bp\":\"e\"" } else { "" };
        let rest = format_args!("\"cat\":\"{kind}\",\"name\":\"{kind}\",\"id\":{number}{bound}");
        self.event(end, TASKS, task.saturating_add(1), at, rest);
    }

    /// Begins an arrow in the latest slice, if that was this task's.
    fn begin_arrow(&mut self, from: u64, to: u64, kind: &'static str) {
        let (task, began, ended) = self.slice;
        if task != from || from == to {
            return;
        }
        self.arrows += 1;
        let arrow = (self.arrows, kind);
        if let Some(known) = self.tasks.get_mut(&to) {
            known.arrow = Some(arrow);
            self.arrow('s', from, ended.saturating_sub(1).max(began), arrow);
        }
    }

    /// A task is there.
    fn spawned(&mut self, at: u64, task: u64, by: Option<u64>, name: &str) {
        let tid = task.saturating_add(1);
        self.meta(TASKS, tid, "thread_name", format_args!("\"name\":{}", quoted(name)));
        self.meta(TASKS, tid, "thread_sort_index", format_args!("\"sort_index\":{task}"));
        self.tasks.insert(task, Task { name: name.into(), ..Task::default() });
        if let Some(by) = by {
            self.begin_arrow(by, task, "spawn");
        }
        self.note(at, &format!("spawn: {name}"));
    }

    /// A task can run.
    fn became_ready(&mut self, at: u64, task: u64, why: ReadyReason, by: Option<WokenBy>) {
        self.end_wait(at, task);
        self.change(task, |known| known.ready = true);
        if let (ReadyReason::Woken, Some(WokenBy::Task(by))) = (why, by) {
            let kind = self.tasks.get(&task).and_then(|known| known.kind).unwrap_or("wake");
            self.begin_arrow(by, task, kind);
        }
        self.count(at);
    }

    /// A task ran.
    fn ran(&mut self, at: u64, poll: &Poll, names: &Names) {
        self.end_wait(at, poll.task);
        let length = match self.clock {
            TraceClock::Fuel => poll.charged().0,
            TraceClock::Time => poll.length.nanos(),
        };
        let end = at.saturating_add(length);
        let tid = poll.task.saturating_add(1);
        let Poll { task, number, grant, used, why, stop, .. } = *poll;
        self.event(
            'X',
            TASKS,
            tid,
            at,
            format_args!(
                "\"dur\":{},\"cat\":\"slice\",\"name\":\"{stop}\",\"args\":{{\"number\":{number},\"why\":{},\"grant\":{},\"fuel\":{},\"overshoot\":{},\"end\":\"{stop}\"}}",
                Micros(length, self.clock),
                quoted(&why.show(names)),
                grant.0,
                used.0,
                poll.overshoot().0,
            ),
        );
        self.slice = (task, at, end);
        // A recording does not say that it was ready.
        let arrow = self.change(task, |known| {
            known.ready = true;
            known.arrow.take()
        });
        if let Some(arrow) = arrow {
            self.arrow('f', task, at, arrow);
        }
        self.pass_messages(task, at, end);
        self.stopped(end, task, stop);
        self.measure(end, used.0);
    }

    /// Ends the arrows of what was received in a slice, and begins those of what was sent. What it sent to itself has none.
    fn pass_messages(&mut self, task: u64, began: u64, ended: u64) {
        let passed = std::mem::take(&mut self.passed);
        let (sent, received): (Vec<_>, Vec<_>) = passed.into_iter().partition(|(_, _, sent)| *sent);
        let mut received: HashSet<(String, u64)> =
            received.into_iter().map(|(name, number, _)| (name, number)).collect();
        let mut sent: Vec<(String, u64)> = sent.into_iter().map(|(name, number, _)| (name, number)).collect();
        sent.retain(|message| !received.remove(message));
        let mut arrows: Vec<u64> = received.iter().filter_map(|message| Some(self.sent.remove(message)?.1)).collect();
        arrows.sort_unstable();
        for arrow in arrows {
            self.arrow('f', task, began, (arrow, "message"));
        }
        for message in sent.into_iter().filter(|(channel, _)| channel != NO_NAME) {
            self.arrows += 1;
            self.arrow('s', task, ended.saturating_sub(1).max(began), (self.arrows, "message"));
            self.sent.insert(message, (task, self.arrows));
        }
    }

    /// A slice is over.
    fn stopped(&mut self, end: u64, task: u64, stop: Stop) {
        if !stop.is_ready() {
            let what = if stop == Stop::Blocked { "waits" } else { stop.name() };
            self.change(task, |known| {
                (known.ready, known.kind) = (false, None);
                known.waits = (!stop.is_end()).then(|| (end, what.into()));
            });
        }
        self.count(end);
    }

    /// It is known what a task waits for.
    fn waits(&mut self, task: u64, on: On, names: &Names) {
        let Some(known) = self.tasks.get_mut(&task) else {
            return;
        };
        known.kind = Some(match on {
            On::Send(_) => "room",
            On::Join(_) => "end",
            _ => "wake",
        });
        if let Some((_, what)) = &mut known.waits {
            *what = format!("waits {}", on.show(names));
        }
    }

    /// A task waits no more.
    fn end_wait(&mut self, at: u64, task: u64) {
        let Some((since, what)) = self.tasks.get_mut(&task).and_then(|known| known.waits.take()) else {
            return;
        };
        if at > since {
            let (length, what) = (Micros(at - since, self.clock), quoted(&what));
            let tid = task.saturating_add(1);
            self.event('X', TASKS, tid, since, format_args!("\"dur\":{length},\"cat\":\"wait\",\"name\":{what}"));
        }
    }

    /// A task has ended.
    fn ended(&mut self, at: u64, task: u64, outcome: &str) {
        self.end_wait(at, task);
        self.change(task, |known| known.ready = false);
        let Some(known) = self.tasks.remove(&task) else {
            return;
        };
        if let Some(arrow) = known.arrow {
            self.arrow('f', task, at.max(self.slice.2), arrow);
        }
        self.note(at, &format!("{}: {outcome}", known.name));
        self.count(at);
    }

    /// The virtual clock was moved. By the system's that took no time.
    fn idle(&mut self, at: u64, from: u64, until: u64) {
        match self.clock {
            TraceClock::Fuel => {
                self.latest = self.latest.max(at);
                let length = until.saturating_sub(from);
                let rest = format_args!("\"dur\":{length},\"cat\":\"idle\",\"name\":\"idle\"");
                self.event('X', EXECUTOR, 1, self.latest, rest);
            }
            TraceClock::Time => self.note(at, &format!("idle: from {from} to {until} fuel")),
        }
    }

    /// Somebody runs in another window than the one before. By fuel it is known from when to when it lasts.
    fn window(&mut self, at: u64, window: &InWindow) {
        if !std::mem::replace(&mut self.windows, true) {
            self.meta(EXECUTOR, 2, "thread_name", format_args!("\"name\":\"windows\""));
        }
        let InWindow { frame, mode, window, span } = *window;
        let rest = format_args!(
            "\"name\":\"window {window}\",\"args\":{{\"frame\":{frame},\"mode\":{mode},\"window\":{window}}}"
        );
        match (self.clock, span) {
            (TraceClock::Fuel, Some((begins, ends))) => {
                let length = ends.minus(begins).0;
                self.event('X', EXECUTOR, 2, begins.0, format_args!("\"dur\":{length},\"cat\":\"window\",{rest}"));
            }
            _ => self.event('i', EXECUTOR, 2, at, format_args!("\"s\":\"t\",{rest}")),
        }
    }

    /// The host suspends a task, or resumes one.
    fn suspend(&mut self, at: u64, task: u64, act: Act) {
        if let Act::Suspend | Act::Resume = act {
            self.change(task, |known| known.suspended = act == Act::Suspend);
            self.count(at);
        }
    }

    /// Changes what is known of a task, and counts.
    fn change<T>(&mut self, task: u64, change: impl FnOnce(&mut Task) -> T) -> T {
        let known = self.tasks.entry(task).or_default();
        let before = u64::from(known.counts());
        let result = change(known);
        self.ready.0 = self.ready.0 + u64::from(known.counts()) - before;
        result
    }

    /// Writes how many tasks are ready, if that is another number than before.
    fn count(&mut self, at: u64) {
        let (ready, written) = self.ready;
        if ready != written {
            self.ready.1 = ready;
            self.counter(at, "ready tasks", format_args!("\"tasks\":{ready}"));
        }
    }

    /// Writes how fast fuel is used, from time to time. By fuel there is nothing to measure it by.
    fn measure(&mut self, at: u64, used: u64) {
        let (since, fuel) = &mut self.rate;
        *fuel = fuel.saturating_add(used);
        let time = at.saturating_sub(*since);
        if self.clock == TraceClock::Time && time >= RATE_EVERY {
            let rate = *fuel as f64 * 1e3 / time as f64;
            self.rate = (at, 0);
            self.counter(at, "fuel rate", format_args!("\"fuel a microsecond\":{rate:.1}"));
        }
    }

    /// Writes a counter.
    fn counter(&mut self, at: u64, name: &str, args: fmt::Arguments<'_>) {
        self.latest = self.latest.max(at);
        self.event('C', EXECUTOR, 1, self.latest, format_args!("\"name\":\"{name}\",\"args\":{{{args}}}"));
    }
}
