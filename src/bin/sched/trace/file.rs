//! `sched trace`: what is in a recording, with no guest run and no module read.

use super::filter::Filter;
use super::log::Lines;
use super::{Aside, Exports, TaskNames, about};
use crate::args::{Format, TraceClock, TraceFileArgs};
use crate::job;
use crate::output::{self, count};
use crate::places::keep_apart;
use crate::progress::Reading;
use crate::recording::{Header, header};
use crate::report::INTERRUPTED;
use crate::run::catch_interrupt;
use anyhow::{Context, Result, ensure};
use fuelsched::trace::Retelling;
use fuelsched::trace::events::{Happened, Names, Sink, Stop, What};
use fuelsched::{Fuel, Recording};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tasks that the table has a row for; all are in the JSON form.
const MOST_ROWS: usize = 100;
/// The version of the JSON form.
const SCHEMA: u32 = 1;

/// A recording that is open.
pub(super) struct Opened {
    /// Its events.
    pub(super) retelling: Retelling<BufReader<Reading<File>>>,
    /// What was run.
    pub(super) header: Header,
}

impl Opened {
    /// Opens a recording that `sched` made.
    pub(super) fn new(path: &str) -> Result<Opened> {
        let open = || -> Result<Opened> {
            let file = File::open(path)?;
            let length = file.metadata().map_or(0, |file| file.len());
            let recording = Recording::new(BufReader::new(Reading::new(file, length)))?;
            let header = header(&recording)?;
            Ok(Opened { retelling: Retelling::new(recording), header })
        };
        open().with_context(|| path.to_string())
    }

    /// How its tasks are called.
    pub(super) fn names(&self) -> TaskNames {
        TaskNames::new(job::names(&self.header.plan))
    }
}

/// Prints what was asked for of a recording.
pub(crate) fn trace(args: &TraceFileArgs) -> Result<ExitCode> {
    let path = args.file.as_deref().unwrap_or_default();
    let outputs =
        [("--chrome", args.chrome.as_deref()), ("--svg", args.svg.as_deref()), ("--report", args.report.as_deref())];
    keep_apart(&outputs, [path])?;
    let interrupted = catch_interrupt()?;
    let Opened { mut retelling, header } = Opened::new(path)?;
    let nothing_asked =
        args.chrome.is_none() && args.svg.is_none() && args.report.is_none() && !args.timeline && !args.log;
    let tables = nothing_asked || args.format == Format::Json;
    ensure!(
        args.format == Format::Human || !(args.timeline || args.log),
        "--format json is one object on standard output, and so no place for --timeline or --log"
    );
    let names = || TaskNames::new(job::names(&header.plan));
    let filter = || Filter::new(args.task.clone(), args.from, args.to);
    let mut exports = Exports::of_nothing(names(), filter());
    if let Some(chrome) = &args.chrome {
        exports.write_chrome(chrome, TraceClock::Fuel)?;
    }
    if let Some(svg) = &args.svg {
        exports.write_svg(svg)?;
    }
    if let Some(report) = &args.report {
        let whole = args.task.is_empty() && args.from.is_none() && args.to.is_none();
        exports.write_report(report, &header.plan, whole, true)?;
    }
    exports.show_timeline(args.timeline);
    exports.lines = args.log.then(Lines::new);
    let mut sums = Sums::new(names(), filter());
    let read = read(&mut retelling, &mut Both(&mut exports, &mut sums), &interrupted);
    // With the file goes its bar.
    drop(retelling);
    if let Some(lines) = exports.lines.take() {
        output::heard(lines.finish())?;
    }
    let unseen: Vec<String> = exports.filter.unseen().map(str::to_string).collect();
    let ended_by = match read {
        Ok(true) => "done",
        Ok(false) => "interrupt",
        Err(_) => "damage",
    };
    let cut = !matches!(read, Ok(true));
    let exported = exports.finish(&about(&header.plan, "", ended_by), &Aside::default());
    output::result(&exported.text)?;
    if tables {
        output::result(&sums.render(path, &header, cut, args.format)?)?;
    }
    let mut wrong = exported.errors;
    wrong.extend(unseen.iter().map(|name| format!("no task is called {name}")));
    let interrupt = read.as_ref().is_ok_and(|whole| !whole);
    match read {
        Ok(true) => {}
        Ok(false) => wrong.push(format!("{path}: interrupted, so only a part of it was read")),
        Err(error) => wrong.push(format!("{path}: {error}")),
    }
    wrong.iter().for_each(|message| output::error(message));
    Ok(ExitCode::from(if interrupt { INTERRUPTED } else { u8::from(!wrong.is_empty()) }))
}

/// Reads all of a recording; says whether it did, or Ctrl-C came before.
fn read(
    retelling: &mut Retelling<impl BufRead>,
    sink: &mut impl Sink,
    interrupted: &AtomicBool,
) -> fuelsched::Result<bool> {
    while !interrupted.load(Ordering::Relaxed) {
        if !retelling.step(sink)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Two sinks.
struct Both<'a>(&'a mut Exports, &'a mut Sums);

impl Sink for Both<'_> {
    fn take(&mut self, event: &Happened, names: &Names) {
        self.0.take(event, names);
        self.1.take(event, names);
    }
}

/// What the tasks of a recording come to.
struct Sums {
    /// How they are called.
    names: TaskNames,
    /// What is left out.
    filter: Filter,
    /// The tasks, by their places in the order of spawning.
    tasks: BTreeMap<u64, Summed>,
}

/// What a task comes to.
#[derive(Debug, Serialize)]
struct Summed {
    /// Its place in the order of spawning.
    task: u64,
    /// Its name.
    name: String,
    /// When it was spawned, on the virtual clock.
    spawned_at: u64,
    /// When it ended; nothing if it did not, in what was read.
    ended_at: Option<u64>,
    /// How, as it is displayed.
    outcome: Option<String>,
    /// Slices.
    slices: u64,
    /// Slices whose fuel ran out.
    preempted: u64,
    /// Slices that it gave away.
    yielded: u64,
    /// Slices at whose end it waited.
    blocked: u64,
    /// Fuel used.
    fuel: u64,
    /// The most fuel that a slice used past its grant.
    max_overshoot: u64,
}

/// A recording in the form for programs.
#[derive(Serialize)]
struct Told<'a> {
    /// The version of this form.
    schema: u32,
    /// The file.
    file: &'a str,
    /// What ran the guests.
    engine: &'a str,
    /// On which architecture.
    architecture: &'a str,
    /// The policy.
    policy: String,
    /// Fuel a turn.
    quantum: u64,
    /// Whether all could be read.
    complete: bool,
    /// The tasks.
    tasks: Vec<&'a Summed>,
}

impl Sums {
    /// Of no tasks yet.
    fn new(names: TaskNames, filter: Filter) -> Sums {
        Sums { names, filter, tasks: BTreeMap::new() }
    }

    /// A task is there.
    fn spawned(&mut self, task: u64, label: u64, at: Fuel) {
        let name = self.names.name(label, task);
        self.filter.name(task, &name);
        let summed = Summed {
            task,
            name,
            spawned_at: at.0,
            ended_at: None,
            outcome: None,
            slices: 0,
            preempted: 0,
            yielded: 0,
            blocked: 0,
            fuel: 0,
            max_overshoot: 0,
        };
        self.tasks.insert(task, summed);
    }

    /// The tables, or the object.
    fn render(&self, file: &str, header: &Header, cut: bool, format: Format) -> Result<String> {
        let tasks: Vec<&Summed> = self.tasks.values().filter(|task| self.filter.has(task.task)).collect();
        let policy = header.plan.policy.written();
        if format == Format::Json {
            let (engine, architecture) = (header.engine.as_str(), header.architecture.as_str());
            let quantum = header.plan.quantum;
            let told = Told { schema: SCHEMA, file, engine, architecture, policy, quantum, complete: !cut, tasks };
            return Ok(serde_json::to_string_pretty(&told)? + "\n");
        }
        let rows = tasks.iter().take(MOST_ROWS).map(|task| task.row());
        let mut text =
            output::table(&["task", "outcome", "fuel", "slices", "overshoot", "from", "to"], rows, &[2, 3, 4, 5, 6]);
        if tasks.len() > MOST_ROWS {
            text += &format!(" … and {}\n", count((tasks.len() - MOST_ROWS) as u64, "more task"));
        }
        let sum = |of: fn(&Summed) -> u64| tasks.iter().fold(Fuel::ZERO, |sum, task| sum.plus(Fuel(of(task))));
        text += &format!(
            "{}, {} fuel in {}\n{policy}, quantum {}, {} on {}\n",
            count(tasks.len() as u64, "task"),
            sum(|task| task.fuel),
            count(sum(|task| task.slices).0, "slice"),
            Fuel(header.plan.quantum),
            header.engine,
            header.architecture,
        );
        Ok(output::clean(&text))
    }
}

impl Summed {
    /// The row of the table.
    fn row(&self) -> Vec<String> {
        let number = |n: u64| Fuel(n).to_string();
        vec![
            self.name.clone(),
            self.outcome.as_deref().unwrap_or("-").lines().next().unwrap_or_default().into(),
            number(self.fuel),
            number(self.slices),
            number(self.max_overshoot),
            number(self.spawned_at),
            self.ended_at.map_or_else(|| "-".into(), number),
        ]
    }
}

impl Sink for Sums {
    fn take(&mut self, event: &Happened, names: &Names) {
        if let What::Spawned { task, label, .. } = event.what {
            self.spawned(task, label, event.at);
        }
        if !self.filter.lets(event) {
            return;
        }
        match event.what {
            What::Ran(poll) => {
                let Some(task) = self.tasks.get_mut(&poll.task) else {
                    return;
                };
                task.slices += 1;
                task.fuel = task.fuel.saturating_add(poll.used.0);
                task.max_overshoot = task.max_overshoot.max(poll.overshoot().0);
                match poll.stop {
                    Stop::Preempted => task.preempted += 1,
                    Stop::Yielded => task.yielded += 1,
                    stop if !stop.is_end() => task.blocked += 1,
                    _ => {}
                }
            }
            What::Ended { task, outcome, .. } => {
                if let Some(task) = self.tasks.get_mut(&task) {
                    (task.ended_at, task.outcome) = (Some(event.at.0), Some(names.get(outcome).into()));
                }
            }
            _ => {}
        }
    }
}
