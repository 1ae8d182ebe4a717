//! A run to look at: what happens in it, written as it happens, or read from its recording.
//!
//! ```text
//!  run, replay ─► Events ─────┐                     ┌─► chrome    a file for Perfetto and chrome://tracing
//!                             ├─► Exports (filter) ─┼─► timeline  a chart in the terminal ─► svg, for paper
//!  recording ───► Retelling ──┘                     ├─► report    a page for a browser
//!                                                   └─► log       a line a slice, from recordings
//! ```
//!
//! Nothing here keeps all that happens: a file is written while the run goes on, and a chart has so many columns and rows.

mod chrome;
mod diff;
mod file;
mod filter;
mod log;
mod parts;
mod report;
mod svg;
mod timeline;

pub(crate) use diff::diff;
pub(crate) use file::trace;
pub(crate) use parts::Parts;

use crate::args::{TraceArgs, TraceClock};
use crate::make::Workshop;
use crate::output;
use crate::plan::Plan;
use crate::run::engine_name;
use anyhow::Context;
use chrome::Chrome;
use filter::Filter;
use fuelsched::trace::Events;
use fuelsched::trace::events::{Happened, Names, Sink, What};
use log::Lines;
use report::Page;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Instant;
use timeline::Timeline;

/// How a task is called, by its label and its place in the order of spawning.
#[derive(Debug)]
pub(crate) struct TaskNames {
    /// The names of the jobs, by label.
    jobs: Vec<String>,
    /// Who knows the names of those that tasks spawn.
    shop: Option<Arc<Workshop>>,
}

impl TaskNames {
    /// Tasks of jobs with these names.
    pub(crate) fn new(jobs: Vec<String>) -> TaskNames {
        TaskNames { jobs, shop: None }
    }

    /// Asks this workshop for the names of tasks that tasks spawn.
    pub(crate) fn ask(&mut self, shop: &Arc<Workshop>) {
        self.shop = Some(shop.clone());
    }

    /// The name of a task.
    pub(crate) fn name(&self, label: u64, task: u64) -> String {
        let job = usize::try_from(label).ok().and_then(|label| self.jobs.get(label));
        let spawned = || self.shop.as_ref()?.spawned_name(label);
        job.cloned().or_else(spawned).unwrap_or_else(|| format!("task {task}"))
    }
}

/// All that is made of what happens in a run.
#[derive(Debug)]
pub(crate) struct Exports {
    /// How tasks are called.
    tasks: TaskNames,
    /// What is left out.
    filter: Filter,
    /// The file for Perfetto.
    chrome: Option<(String, Chrome<BufWriter<File>>)>,
    /// The chart.
    timeline: Option<Timeline>,
    /// Whether the chart is shown.
    shown: bool,
    /// Where the chart goes, for paper.
    svg: Option<(String, File)>,
    /// The page.
    report: Option<(String, Page)>,
    /// Whether times are wanted for the page.
    timing: bool,
    /// The lines, one a slice.
    lines: Option<Lines>,
}

/// What there is to say of a run beside what happened in it.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// Why it cannot be had again.
    pub(crate) reasons: Vec<String>,
    /// What tasks printed, where that was kept: the task, the stream, and what.
    pub(crate) printed: Vec<(String, &'static str, String)>,
}

/// What there is to show when a run is over, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Exported {
    /// The chart.
    pub(crate) text: String,
    /// Messages about files that are not complete.
    pub(crate) errors: Vec<String>,
}

impl Exported {
    /// Shows it; says whether all went well.
    pub(crate) fn show(&self) -> anyhow::Result<bool> {
        output::result(&self.text)?;
        self.errors.iter().for_each(|error| output::error(error));
        Ok(self.errors.is_empty())
    }
}

/// A file that is to be written; that it cannot be is known before anything runs.
fn create(path: &str, what: &str) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write {what} to {path}"))
}

impl Exports {
    /// What these options ask for of a run of this plan; nothing if that is nothing. `timing` says that times are wanted.
    pub(crate) fn new(
        args: &TraceArgs,
        plan: &Plan,
        tasks: TaskNames,
        timing: bool,
    ) -> anyhow::Result<Option<Exports>> {
        let mut exports = Exports::of_nothing(tasks, Filter::default());
        if let Some(path) = &args.trace {
            exports.write_chrome(path, args.trace_clock)?;
        }
        if let Some(path) = &args.timeline_svg {
            exports.write_svg(path)?;
        }
        if let Some(path) = &args.report {
            exports.write_report(path, plan, true, false)?;
        }
        exports.timing = timing;
        exports.show_timeline(args.timeline);
        let any = exports.chrome.is_some() || exports.timeline.is_some() || exports.report.is_some();
        Ok(any.then_some(exports))
    }

    /// Nothing is made of what happens.
    fn of_nothing(tasks: TaskNames, filter: Filter) -> Exports {
        Exports {
            tasks,
            filter,
            chrome: None,
            timeline: None,
            shown: false,
            svg: None,
            report: None,
            timing: false,
            lines: None,
        }
    }

    /// Nothing but the chart, where it is wanted.
    pub(crate) fn of_chart(tasks: TaskNames, wanted: bool) -> Option<Exports> {
        let mut exports = Exports::of_nothing(tasks, Filter::default());
        exports.show_timeline(wanted);
        wanted.then_some(exports)
    }

    /// Writes a file for Perfetto.
    fn write_chrome(&mut self, path: &str, clock: TraceClock) -> anyhow::Result<()> {
        let file = create(path, "a trace")?;
        self.chrome = Some((path.into(), Chrome::new(BufWriter::new(file), clock, None)));
        Ok(())
    }

    /// A worker's part of a file for Perfetto, which is written to a file of its own.
    fn of_worker(tasks: TaskNames, (path, clock): (&str, TraceClock), worker: u32) -> anyhow::Result<Exports> {
        let mut exports = Exports::of_nothing(tasks, Filter::default());
        let file = create(path, "a trace")?;
        exports.chrome = Some((path.into(), Chrome::new(BufWriter::new(file), clock, Some(worker))));
        Ok(exports)
    }

    /// Draws the chart for paper.
    fn write_svg(&mut self, path: &str) -> anyhow::Result<()> {
        self.svg = Some((path.into(), create(path, "a timeline")?));
        self.timeline.get_or_insert_with(|| Timeline::new(self.filter.from()));
        Ok(())
    }

    /// Makes the page, of all of a run or a part, which is told by a recording or not.
    fn write_report(&mut self, path: &str, plan: &Plan, whole: bool, told: bool) -> anyhow::Result<()> {
        let page = Page::new(create(path, "a report")?, plan, self.filter.from(), whole, told);
        self.report = Some((path.into(), page));
        Ok(())
    }

    /// Shows the chart, if so.
    fn show_timeline(&mut self, shown: bool) {
        self.shown = shown;
        if shown {
            self.timeline.get_or_insert_with(|| Timeline::new(self.filter.from()));
        }
    }

    /// Makes events of a run for them, with times from this moment on where somebody wants some.
    pub(crate) fn events(mut self, origin: Instant) -> Events<Exports> {
        let by_time = self.chrome.as_ref().is_some_and(|(_, chrome)| chrome.clock() == TraceClock::Time);
        let timed = by_time || (self.timing && self.report.is_some());
        if let (Some((_, page)), true) = (&mut self.report, timed) {
            page.timed();
        }
        let events = Events::new(self);
        if timed { events.timed_from(origin) } else { events }
    }

    /// Asks this workshop for the names of tasks that tasks spawn.
    pub(crate) fn ask(&mut self, shop: &Arc<Workshop>) {
        self.tasks.ask(shop);
    }

    /// The run is over: files are completed, with what there is to say about all of it.
    pub(crate) fn finish(self, about: &Map<String, Value>, aside: &Aside) -> Exported {
        let mut exported = Exported::default();
        let mut check = |what: &str, path: &str, written: io::Result<()>| {
            if let Err(error) = written {
                exported.errors.push(format!("the {what} is not complete: {path}: {error}"));
            }
        };
        if let Some((path, chrome)) = self.chrome {
            check("trace", &path, chrome.finish(about));
        }
        if let (Some(timeline), Some((path, mut file))) = (&self.timeline, self.svg) {
            check("timeline", &path, file.write_all(svg::draw(timeline).as_bytes()));
        }
        if let Some((path, page)) = self.report {
            check("report", &path, page.finish(about, aside));
        }
        if let (Some(timeline), true) = (&self.timeline, self.shown) {
            exported.text = timeline.render(output::width(80));
        }
        exported
    }
}

impl Sink for Exports {
    fn take(&mut self, event: &Happened, names: &Names) {
        if let What::Spawned { task, label, .. } = event.what {
            self.filter.name(task, &self.tasks.name(label, task));
        }
        if !self.filter.lets(event) {
            return;
        }
        let name = match event.what {
            What::Spawned { task, label, .. } => self.tasks.name(label, task),
            _ => String::new(),
        };
        if let Some((_, chrome)) = &mut self.chrome {
            chrome.take(event, names, &name);
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.take(event, &name);
        }
        if let Some((_, page)) = &mut self.report {
            page.take(event, names, &name, self.tasks.shop.as_deref());
        }
        if let Some(lines) = &mut self.lines {
            lines.take(event, names, &name);
        }
    }
}

/// What there is to say about a whole run, in a file for programs.
pub(crate) fn about(plan: &Plan, digest: &str, ended_by: &str) -> Map<String, Value> {
    let Value::Object(about) = json!({
        "program": format!("sched {}", crate::args::VERSION),
        "engine": engine_name(),
        "policy": plan.policy.written(),
        "quantum": plan.quantum,
        "digest": digest,
        "ended_by": ended_by,
    }) else {
        return Map::new();
    };
    about
}
