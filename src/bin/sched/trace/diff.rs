//! `sched trace diff`: where two recorded schedules part.
//!
//! Both are read side by side, event by event, and no further than the first that is another: all that comes after it follows from it, or may. What is
//! compared is what a recording holds: who ran, for how much of how much fuel, how it stopped; ends, idle times, what came in, and what
//! the host did. What the tasks are called is shown, and not compared.

use super::TaskNames;
use super::file::Opened;
use super::log::describe;
use crate::output;
use anyhow::Result;
use fuelsched::Fuel;
use fuelsched::trace::events::{Happened, Names, What};
use std::collections::{HashMap, VecDeque};
use std::process::ExitCode;

/// Lines that are shown on both sides of the difference.
const CONTEXT: usize = 3;

/// One of the two.
struct Side<'a> {
    /// Its path.
    path: &'a str,
    /// What is read.
    opened: Opened,
    /// How tasks are called, by label.
    labels: TaskNames,
    /// How those are called that are there.
    names: HashMap<u64, String>,
    /// Events that have been read and not been taken, each with its line, and whether it was a slice.
    read: VecDeque<Line>,
    /// Whether there are no more.
    over: bool,
}

/// An event, so that it can be compared and shown.
#[derive(Clone)]
struct Line {
    /// What is compared.
    event: String,
    /// What is shown.
    shown: String,
    /// Whether it was a slice.
    slice: bool,
}

impl<'a> Side<'a> {
    /// Opens a recording.
    fn new(path: &'a str) -> Result<Side<'a>> {
        let opened = Opened::new(path)?;
        let labels = opened.names();
        Ok(Side { path, opened, labels, names: HashMap::new(), read: VecDeque::new(), over: false })
    }

    /// The next event; nothing at the end.
    fn next(&mut self) -> Result<Option<Line>, String> {
        while self.read.is_empty() && !self.over {
            let (names, labels, read) = (&mut self.names, &self.labels, &mut self.read);
            let mut sink = |event: &Happened, words: &Names| read.extend(as_line(event, words, names, labels));
            match self.opened.retelling.step(&mut sink) {
                Ok(more) => self.over = !more,
                Err(error) => return Err(format!("{}: {error}", self.path)),
            }
        }
        Ok(self.read.pop_front())
    }

    /// The lines that follow, as many as are shown and there are.
    fn following(&mut self) -> Vec<Line> {
        (0..CONTEXT).map_while(|_| self.next().ok().flatten()).collect()
    }
}

/// An event as a line.
fn as_line(event: &Happened, words: &Names, names: &mut HashMap<u64, String>, labels: &TaskNames) -> Option<Line> {
    if let What::Spawned { task, label, .. } = event.what {
        names.insert(task, labels.name(label, task));
    }
    let name = |task| names.get(&task).cloned().unwrap_or_else(|| format!("task {task}"));
    let shown = describe(event, words, name)?;
    let number = |task: u64| task.to_string();
    let line = Line {
        event: format!("{:?} {}", label_of(event), describe(event, words, number)?),
        shown,
        slice: matches!(event.what, What::Ran(_)),
    };
    if let What::Ended { task, .. } = event.what {
        names.remove(&task);
    }
    Some(line)
}

/// The label of a task that is spawned: another label is another task.
fn label_of(event: &Happened) -> Option<u64> {
    match event.what {
        What::Spawned { label, .. } => Some(label),
        _ => None,
    }
}

/// What was found.
enum Found {
    /// Nothing: so many slices are the same.
    Same(u64),
    /// A difference, after so many slices that are the same.
    Parted {
        /// Slices before.
        slices: u64,
        /// What came just before.
        before: VecDeque<Line>,
        /// What is at the place itself, on each side.
        here: [Option<Line>; 2],
    },
    /// One of the two cannot be read on.
    Unreadable(String),
}

/// Looks for the first difference.
fn compare(sides: &mut [Side<'_>; 2]) -> Found {
    let (mut slices, mut before) = (0, VecDeque::new());
    loop {
        let [a, b] = sides.each_mut().map(Side::next);
        let here = match (a, b) {
            (Ok(a), Ok(b)) => [a, b],
            (Err(error), _) | (_, Err(error)) => return Found::Unreadable(error),
        };
        match here {
            [None, None] => return Found::Same(slices),
            [Some(a), Some(b)] if a.event == b.event => {
                slices += u64::from(a.slice);
                before.push_back(a);
                if before.len() > CONTEXT {
                    before.pop_front();
                }
            }
            here => return Found::Parted { slices, before, here },
        }
    }
}

/// Compares two recordings: 0 if they are the same, 1 if not, 2 if they cannot be read.
pub(crate) fn diff(a: &str, b: &str) -> Result<ExitCode> {
    let mut sides = [Side::new(a)?, Side::new(b)?];
    let settings = settings(&sides);
    match compare(&mut sides) {
        Found::Same(slices) => {
            output::result(&format!("{settings}the same: {}\n", output::count(slices, "slice")))?;
            Ok(ExitCode::SUCCESS)
        }
        Found::Parted { slices, before, here } => {
            let mut text = format!("{settings}the same for {}, then:\n", output::count(slices, "slice"));
            before.iter().for_each(|line| text += &shown(' ', line));
            for (mark, (side, here)) in ['-', '+'].into_iter().zip(sides.iter_mut().zip(here)) {
                text += &format!("{mark} {}\n", side.path);
                let lines: Vec<Line> = here.into_iter().chain(side.following()).take(1 + CONTEXT).collect();
                lines.iter().for_each(|line| text += &shown(mark, line));
                if lines.is_empty() {
                    text += &format!("{mark}     it ends here\n");
                }
            }
            output::result(&output::clean(&text))?;
            Ok(ExitCode::from(1))
        }
        Found::Unreadable(error) => {
            output::error(&error);
            Ok(ExitCode::from(2))
        }
    }
}

/// A line of the difference.
fn shown(mark: char, line: &Line) -> String {
    format!("{mark} {}\n", line.shown.trim_end())
}

/// What was set otherwise, a line each.
fn settings(sides: &[Side<'_>; 2]) -> String {
    let of = |side: &Side<'_>| {
        let plan = &side.opened.header.plan;
        let hashes: Vec<&str> = plan.modules.iter().map(|module| module.sha256.as_deref().unwrap_or("none")).collect();
        [
            ("engine", side.opened.header.engine.clone()),
            ("architecture", side.opened.header.architecture.clone()),
            ("policy", plan.policy.written()),
            ("quantum", Fuel(plan.quantum).to_string()),
            ("modules", hashes.iter().map(|hash| hash.get(..12).unwrap_or(hash)).collect::<Vec<_>>().join(" ")),
        ]
    };
    let [a, b] = sides.each_ref().map(of);
    let other = a.iter().zip(&b).filter(|((_, a), (_, b))| a != b);
    output::clean(&other.map(|((what, a), (_, b))| format!("{what}: {a} | {b}\n")).collect::<String>())
}
