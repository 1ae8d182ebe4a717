//! `--log`: one line a switch, saying who ran, for how much of how much fuel, why it stopped, and who is next.

use crate::output::clean;
use fuelsched::reason::PickReason;
use fuelsched::trace::{Ended, Observer, Slice, Spawned};
use fuelsched::{Fuel, SliceEnd, TaskId};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An observer that writes lines.
///
/// A line names the task that runs next, which is known when the next slice begins; until then the line is kept.
pub(crate) struct Log<W: Write> {
    /// Where to.
    out: W,
    /// The names of the jobs, by the labels of their tasks.
    names: Vec<String>,
    /// How wide a name is.
    width: usize,
    /// The task in each slot: its label, and the fuel that it has used.
    tasks: Vec<(u64, Fuel)>,
    /// Slices so far.
    slices: u64,
    /// Raised when nobody reads the log any more.
    interrupt: Arc<AtomicBool>,
    /// The latest slice, and what is to be said about its end.
    kept: Option<(Slice, String)>,
    /// Whose log it is, of several workers.
    worker: Option<usize>,
}

impl<W: Write> Log<W> {
    /// A log of tasks with these names, by label, with its header; of several workers the first writes it. It raises `interrupt` when nobody
    /// reads it any more.
    pub(crate) fn new(out: W, names: Vec<String>, interrupt: Arc<AtomicBool>, worker: Option<usize>) -> Log<W> {
        let width = names.iter().map(String::len).max().unwrap_or(0).max(4);
        let header = ["slice", "task", "granted", "used", "in all", "picked for", "next", "then"];
        let mut log = Log { out, names, width, tasks: Vec::new(), slices: 0, interrupt, kept: None, worker };
        match worker {
            None => log.write_line(&line(width, header)),
            Some(0) => log.write_line(&format!("worker {}", line(width, header))),
            Some(_) => {}
        }
        log
    }

    /// Writes the line that was kept, now that it is known who is next.
    fn write(&mut self, next: Option<TaskId>) {
        let Some((slice, end)) = self.kept.take() else {
            return;
        };
        let total = self.tasks.get(slice.id.index()).map_or(Fuel::ZERO, |(_, total)| *total);
        let next = next.map_or("-", |id| self.name(id)).to_string();
        let line = line(
            self.width,
            [
                &self.slices.to_string(),
                self.name(slice.id),
                &slice.grant.to_string(),
                &slice.used.to_string(),
                &total.to_string(),
                &slice.why.to_string(),
                &next,
                &end,
            ],
        );
        self.say(&line);
    }

    /// Writes a line, with the worker before it if there are several.
    fn say(&mut self, line: &str) {
        match self.worker {
            None => self.write_line(line),
            Some(worker) => self.write_line(&format!("{worker:>6} {line}")),
        }
    }

    /// Writes a line. If nobody reads the log any more, nobody waits for the run.
    fn write_line(&mut self, line: &str) {
        if writeln!(self.out, "{}", clean(line.trim_end())).is_err() {
            self.interrupt.store(true, Ordering::Relaxed);
        }
    }

    /// A task's name.
    fn name(&self, id: TaskId) -> &str {
        let label = self.tasks.get(id.index()).and_then(|(label, _)| usize::try_from(*label).ok());
        label.and_then(|label| self.names.get(label)).map_or("?", String::as_str)
    }
}

/// The columns of a line. What a slice ended in comes last, because an outcome may be long.
fn line(width: usize, columns: [&str; 8]) -> String {
    let [slice, task, granted, used, total, why, next, end] = columns;
    format!("{slice:>7}  {task:<width$}  {granted:>9}  {used:>9}  {total:>11}  {why:<10}  {next:<width$}  {end}")
}

impl<W: Write> Observer for Log<W> {
    fn spawned(&mut self, task: &Spawned) {
        let slot = task.id.index();
        if slot >= self.tasks.len() {
            self.tasks.resize(slot + 1, (u64::MAX, Fuel::ZERO));
        }
        self.tasks[slot] = (task.label, Fuel::ZERO);
    }

    fn picked(&mut self, id: TaskId, _grant: Fuel, _why: PickReason) {
        self.write(Some(id));
    }

    fn slice(&mut self, slice: &Slice) {
        self.slices += 1;
        if let Some((_, total)) = self.tasks.get_mut(slice.id.index()) {
            *total = total.plus(slice.used);
        }
        self.kept = Some((*slice, slice.end.to_string()));
    }

    fn ended(&mut self, task: &Ended) {
        match &mut self.kept {
            Some((slice, end)) if slice.end == SliceEnd::Ended && slice.id == task.id => {
                *end = task.outcome.to_string();
            }
            _ => {
                self.write(None);
                let line = format!("{:>7}  {} {}", "", self.name(task.id), task.outcome);
                self.say(&line);
            }
        }
    }
}

/// Nobody is next after the last slice.
impl<W: Write> Drop for Log<W> {
    fn drop(&mut self) {
        self.write(None);
    }
}
