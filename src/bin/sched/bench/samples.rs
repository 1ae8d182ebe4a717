//! `--samples FILE`: a line for each slice of runs of their own, so that writing is in no other number.
//!
//! Lines go to the file by the block, whole lines only, so that what is held is bounded however long the measurement takes; the file grows by some
//! 60 bytes a slice, without a limit.

use super::clock::{Clock, Stamp};
use anyhow::{Context, Result};
use fuelsched::reason::PickReason;
use fuelsched::trace::{Observer, Slice, Spawned};
use fuelsched::{Fuel, TaskId};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::mem;

/// The first line.
const HEADER: &str = "run,task,slice,why,grant,fuel,overshoot,start_ns,length_ns,end\n";

/// Bytes that are held before they are written.
const BLOCK: usize = 64 << 10;

/// The file, between runs.
#[derive(Debug)]
pub(crate) struct Samples {
    /// Its name.
    path: String,
    /// Where lines go; nothing while a run has it.
    lines: Option<Lines>,
}

/// Lines on their way to a file.
#[derive(Debug)]
struct Lines {
    /// The file.
    file: File,
    /// What is not written yet.
    held: String,
    /// What went wrong first; after that nothing is written.
    failed: Option<io::Error>,
}

/// Writes a line for each slice of one run.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// Reads the time.
    clock: Clock,
    /// Which run it is, counted from 1.
    run: u32,
    /// When its first task was spawned.
    run_began: Stamp,
    /// When the present slice did.
    slice_began: Stamp,
    /// Where lines go.
    lines: Lines,
}

impl Samples {
    /// A new file with its first line.
    pub(crate) fn create(path: &str) -> Result<Samples> {
        let mut file = File::create(path).with_context(|| path.to_string())?;
        file.write_all(HEADER.as_bytes()).with_context(|| path.to_string())?;
        let lines = Lines { file, held: String::with_capacity(BLOCK), failed: None };
        Ok(Samples { path: path.into(), lines: Some(lines) })
    }

    /// Who watches a run; nobody, if the last one has not brought its lines back.
    pub(crate) fn watch(&mut self, clock: &Clock, run: u32) -> Option<Sampler> {
        let (lines, now) = (self.lines.take()?, clock.now());
        Some(Sampler { clock: clock.clone(), run, run_began: now, slice_began: now, lines })
    }

    /// Writes what a run has left, and fails if anything was not written.
    pub(crate) fn take_back(&mut self, sampler: Option<Sampler>) -> Result<()> {
        let Some(Sampler { mut lines, .. }) = sampler else {
            return Ok(());
        };
        lines.write();
        if let Some(error) = lines.failed.take() {
            return Err(error).with_context(|| self.path.clone());
        }
        self.lines = Some(lines);
        Ok(())
    }
}

impl Lines {
    /// Writes what is held.
    fn write(&mut self) {
        let held = mem::take(&mut self.held);
        if self.failed.is_none() {
            self.failed = self.file.write_all(held.as_bytes()).err();
        }
        self.held = held;
        self.held.clear();
    }
}

impl Observer for Sampler {
    fn spawned(&mut self, task: &Spawned) {
        if task.spawn_index == 0 {
            self.run_began = self.clock.now();
        }
    }

    fn picked(&mut self, _id: TaskId, _grant: Fuel, _why: PickReason) {
        self.slice_began = self.clock.now();
    }

    fn slice(&mut self, slice: &Slice) {
        let now = self.clock.now();
        let start = self.clock.between(self.run_began, self.slice_began);
        let length = self.clock.between(self.slice_began, now);
        let (run, Slice { spawn_index, number, why, grant, used, end, .. }) = (self.run, slice);
        let overshoot = slice.overshoot().0;
        let (grant, used) = (grant.0, used.0);
        let line =
            format_args!("{run},{spawn_index},{number},{why},{grant},{used},{overshoot},{start},{length},{end}\n");
        // A string takes everything.
        let _ = self.lines.held.write_fmt(line);
        if self.lines.held.len() >= BLOCK {
            self.lines.write();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_by_a_block() {
        let path = std::env::temp_dir().join(format!("sched-samples-{}", std::process::id()));
        let path = path.to_str().expect("UTF-8");
        let mut samples = Samples::create(path).expect("a file");
        let mut sampler = samples.watch(&Clock::new(), 1).expect("a first run");
        assert!(samples.watch(&Clock::new(), 2).is_none(), "its lines are with the first");
        for _ in 0..3 {
            sampler.lines.held += &"x".repeat(BLOCK - 1);
            sampler.lines.held += "\n";
            sampler.lines.write();
            assert!(sampler.lines.held.is_empty());
        }
        samples.take_back(Some(sampler)).expect("written");
        let written = std::fs::metadata(path).expect("there").len();
        assert_eq!(written, (HEADER.len() + 3 * BLOCK) as u64);
        std::fs::remove_file(path).expect("removed");
    }
}
