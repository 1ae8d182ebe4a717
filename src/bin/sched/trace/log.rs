//! A line a slice, of a run that was recorded; and how an event is written in one line.

use crate::output::clean;
use fuelsched::Fuel;
use fuelsched::trace::events::{Happened, Names, What};
use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

/// Writes lines.
#[derive(Debug)]
pub(super) struct Lines {
    /// Where to.
    out: BufWriter<io::Stdout>,
    /// The names of the tasks that have not ended.
    tasks: HashMap<u64, String>,
    /// What went wrong. A reader that has gone away is the end, and no fault.
    pub(super) failed: Option<io::Error>,
}

impl Lines {
    /// Lines on standard output, with a header.
    pub(super) fn new() -> Lines {
        let mut lines = Lines { out: BufWriter::new(io::stdout()), tasks: HashMap::new(), failed: None };
        lines.write(&columns("at", "task", ["slice", "granted", "used"], "then"));
        lines
    }

    /// Takes what happened; `name` is that of a task that was spawned.
    pub(super) fn take(&mut self, event: &Happened, names: &Names, name: &str) {
        if let What::Spawned { task, .. } = event.what {
            self.tasks.insert(task, name.into());
        }
        let line =
            describe(event, names, |task| self.tasks.get(&task).cloned().unwrap_or_else(|| format!("task {task}")));
        if let Some(line) = line {
            self.write(&line);
        }
        if let What::Ended { task, .. } = event.what {
            self.tasks.remove(&task);
        }
    }

    /// Writes a line.
    fn write(&mut self, line: &str) {
        if self.failed.is_none()
            && let Err(error) = writeln!(self.out, "{}", clean(line.trim_end()))
        {
            self.failed = Some(error);
        }
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }
}

/// The columns of a line.
fn columns(at: &str, task: &str, numbers: [&str; 3], then: &str) -> String {
    let [slice, granted, used] = numbers;
    format!("{at:>13}  {task:<16}  {slice:>7}  {granted:>11}  {used:>11}  {then}")
}

/// What happened in one line; nothing for what is said in another.
pub(super) fn describe(event: &Happened, names: &Names, name: impl Fn(u64) -> String) -> Option<String> {
    let at = event.at.to_string();
    let note = |task: &str, what: &str| Some(columns(&at, task, [""; 3], what));
    match event.what {
        What::Ran(poll) => {
            let numbers = [Fuel(poll.number), poll.grant, poll.used].map(|number| number.to_string());
            let [slice, granted, used] = &numbers;
            Some(columns(&at, &name(poll.task), [slice, granted, used], poll.stop.name()))
        }
        What::Spawned { task, .. } => note(&name(task), "spawned"),
        What::Ended { task, outcome, .. } => note(&name(task), names.get(outcome)),
        What::Idle { until } => note("-", &format!("idle until {until}")),
        What::Control { task, act } => note(&name(task), &format!("the host: {act}")),
        What::Group { id, act } => note(&format!("group {id}"), &format!("the host: {act}")),
        What::Input { task, bytes } => note(&name(task), &format!("{} bytes came in", Fuel(bytes))),
        _ => None,
    }
}
