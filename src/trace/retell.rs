//! The events of a run from its recording, with no guest, no module and no executor.
//!
//! A recording holds slices, ends, and what the host did. It does not hold why a task was picked, when it was woken and by whom, what it
//! waited for, what it sent and received, where frames begin, what a supervisor saw, nor any time; so there is nothing of these here, and picks
//! are [`Why::Unsaid`]. The virtual clock follows from the slices.

use super::events::{Act, GroupAct, Happened, Length, Names, Poll, Sink, Stop, What, Why};
use super::record::{Event, Recording};
use crate::error::Result;
use crate::reason::SliceEnd;
use crate::unit::Fuel;
use std::collections::HashMap;
use std::io;

/// Reads a recording, and hands its events to a [`Sink`].
///
/// ```
/// use fuelsched::trace::events::{Happened, Names, What};
/// use fuelsched::trace::Retelling;
/// use fuelsched::{Executor, Recorder, Recording};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut sched = Executor::builder().observer(Some(Recorder::new(Vec::new(), b"")?)).build();
/// # use fuelsched::{Engine, EngineConfig, Module};
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let module = Module::from_bytes(&engine, "nop", br#"(module (func (export "nop")))"#)?;
/// sched.spawn(module.call("nop", &[]))?;
/// sched.run();
/// let file = sched.observer_mut().take().ok_or("it is there")?.finish()?;
/// let mut slices = 0;
/// let mut sink = |event: &Happened, _: &Names| slices += u64::from(matches!(event.what, What::Ran(_)));
/// Retelling::new(Recording::new(&file[..])?).run(&mut sink)?;
/// assert_eq!(slices, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Retelling<R> {
    /// What is read.
    recording: Recording<R>,
    /// The words of the events.
    names: Names,
    /// The virtual clock.
    now: Fuel,
    /// Slices and fuel so far of the tasks that have not ended.
    tasks: HashMap<u64, (u64, Fuel)>,
    /// A slice that ended its task: how is in the next entry.
    last: Option<Happened>,
}

impl<R: io::BufRead> Retelling<R> {
    /// The events of this recording.
    pub fn new(recording: Recording<R>) -> Retelling<R> {
        Retelling { recording, names: Names::new(), now: Fuel::ZERO, tasks: HashMap::new(), last: None }
    }

    /// The host's own bytes, with which the recording begins.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.recording.header()
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// [`ErrorKind::Recording`](crate::ErrorKind::Recording) where it is cut off or damaged, [`ErrorKind::ReadRecording`](crate::ErrorKind::ReadRecording). What could
    /// be read has been handed on then.
    pub fn run(&mut self, sink: &mut impl Sink) -> Result<()> {
        while self.step(sink)? {}
        Ok(())
    }

    /// Reads one entry; says whether there may be more.
    ///
    /// # Errors
    /// As [`Retelling::run`].
    pub fn step(&mut self, sink: &mut impl Sink) -> Result<bool> {
        let Some(event) = self.recording.next() else {
            return Ok(false);
        };
        match event {
            Ok(event) => self.tell(event, sink),
            Err(error) => {
                self.tell_last(Stop::Ended, sink);
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Hands on what an entry says.
    fn tell(&mut self, event: Event, sink: &mut impl Sink) {
        let what = match event {
            Event::Slice { spawn_index, grant, used, end } => return self.slice(spawn_index, grant, used, end, sink),
            Event::Ended { spawn_index, outcome } => {
                let how = Stop::of_text(&outcome);
                self.tell_last(how, sink);
                let (_, used) = self.tasks.remove(&spawn_index).unwrap_or_default();
                What::Ended { task: spawn_index, how, outcome: self.names.number(&outcome), used }
            }
            Event::Idle { until } => {
                let what = What::Idle { until };
                self.hand_on(what, sink);
                self.now = self.now.max(until);
                return;
            }
            Event::Spawned { spawn_index, label } => {
                self.tasks.insert(spawn_index, Default::default());
                What::Spawned { task: spawn_index, label, by: None, released: self.now }
            }
            Event::Input { spawn_index, bytes } => What::Input { task: spawn_index, bytes: bytes.len() as u64 },
            Event::Control { spawn_index, control } => What::Control { task: spawn_index, act: Act::of(&control) },
            Event::Group { id, control } => What::Group { id, act: GroupAct::of(&control) },
            Event::Refused | Event::End { .. } => return,
        };
        self.hand_on(what, sink);
    }

    /// Hands on something that happens now.
    fn hand_on(&self, what: What, sink: &mut impl Sink) {
        sink.take(&Happened { at: self.now, time: 0, what }, &self.names);
    }

    /// A slice. One that ended its task is kept until it is known how.
    fn slice(&mut self, task: u64, grant: Fuel, used: Fuel, end: SliceEnd, sink: &mut impl Sink) {
        let (slices, in_all) = self.tasks.entry(task).or_default();
        (*slices, *in_all) = (slices.saturating_add(1), in_all.plus(used));
        let (number, length, stop) = (*slices, Length::default(), Stop::of(end));
        let poll = Poll { task, number, grant, used, length, why: Why::Unsaid, stop };
        self.last = Some(Happened { at: self.now, time: 0, what: What::Ran(poll) });
        if end != SliceEnd::Ended {
            self.tell_last(stop, sink);
        }
    }

    /// Hands on the slice that was kept, which stopped so.
    fn tell_last(&mut self, stop: Stop, sink: &mut impl Sink) {
        if let Some(Happened { at, what: What::Ran(poll), .. }) = self.last.take() {
            let poll = Poll { stop, ..poll };
            self.now = self.now.plus(poll.charged());
            sink.take(&Happened { at, time: 0, what: What::Ran(poll) }, &self.names);
        }
    }
}
