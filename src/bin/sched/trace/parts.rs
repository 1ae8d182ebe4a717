//! A trace of several workers: each writes its part to a file beside the one that was asked for, and when all are over they are put together.
//!
//! So nobody waits for another one to write, and by fuel the file is the same in every run, whoever was when how far.

use super::{Exports, TaskNames, about, chrome, create};
use crate::args::TraceClock;
use crate::plan::Plan;
use fuelsched::trace::Events;
use std::fs::{self, File};
use std::io::{self, Write};
use std::time::Instant;

/// The file that was asked for, and its parts.
pub(crate) struct Parts {
    /// Its path.
    path: String,
    /// The file.
    file: File,
    /// By which clock.
    clock: TraceClock,
    /// When all workers' times begin.
    origin: Instant,
    /// The paths of the parts, worker by worker. They go when this goes.
    parts: Vec<String>,
}

impl Parts {
    /// No parts yet.
    ///
    /// An error means that the file cannot be written.
    pub(crate) fn new(path: &str, clock: TraceClock) -> anyhow::Result<Parts> {
        let file = create(path, "a trace")?;
        Ok(Parts { path: path.into(), file, clock, origin: Instant::now(), parts: Vec::new() })
    }

    /// The part of the next worker, and its chart, if that is wanted.
    pub(crate) fn add(&mut self, tasks: TaskNames, timeline: bool) -> anyhow::Result<Events<Exports>> {
        let worker = self.parts.len() as u32;
        let path = format!("{}.worker-{worker}", self.path);
        let mut exports = Exports::of_worker(tasks, (&path, self.clock), worker)?;
        exports.show_timeline(timeline);
        self.parts.push(path);
        Ok(exports.events(self.origin))
    }

    /// Puts them together, once all are written. Says what went wrong, if anything.
    pub(crate) fn join(mut self, plan: &Plan, digest: &str, ended_by: &str) -> Option<String> {
        let footer = chrome::footer(&about(plan, digest, ended_by), self.clock);
        let parts = std::mem::take(&mut self.parts);
        let copied = parts.iter().try_for_each(|part| append(&mut self.file, part));
        self.parts = parts;
        let written = copied.and_then(|()| self.file.write_all(footer.as_bytes()));
        written.err().map(|error| format!("the trace is not complete: {}: {error}", self.path))
    }
}

/// Writes a file behind another.
fn append(file: &mut File, part: &str) -> io::Result<()> {
    io::copy(&mut File::open(part)?, file).map(drop)
}

impl Drop for Parts {
    fn drop(&mut self) {
        for part in &self.parts {
            // One that is gone already is no loss.
            let _ = fs::remove_file(part);
        }
    }
}
