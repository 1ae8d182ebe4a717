//! `sched --benchmark`: the demo's two modules, measured as `sched bench` measures anything, and shown module by module.
//!
//! Two modules and no quantum curve leave room for what a table of any number of tasks has none for: each module's own slices, switches and time
//! to completion, and whole runs as distributions.

use super::clock::Clock;
use super::measure::{Distribution, Idle, Lab, Measured, PerModule, median, nanos};
use super::report::{Spread, columns, million, per_second};
use super::work::Work;
use super::{rounds, too_early};
use crate::args::Format;
use crate::job::Job;
use crate::machine::Machine;
use crate::output;
use crate::plan::{self, Plan};
use crate::report::INTERRUPTED;
use crate::run::{catch_interrupt, engine_name};
use anyhow::Result;
use fuelsched::Fuel;
use indicatif::ProgressBar;
use serde::Serialize;
use std::process::ExitCode;

/// How wide the terminal must be for the whole table: narrower, words would break.
const ALL_COLUMNS: u16 = 104;

/// Those columns of it that a narrower one shows.
const FEWER: [usize; 6] = [0, 1, 2, 3, 5, 7];

/// What is measured, whole.
#[derive(Debug, Serialize)]
struct DemoReport {
    /// The version of this form.
    schema: u32,
    /// What ran the guests.
    engine: String,
    /// What it ran on.
    machine: Machine,
    /// Fuel a turn.
    quantum: u64,
    /// Rounds measured.
    runs: usize,
    /// Rounds before that, not measured.
    warm_up: u32,
    /// What it took to compile both modules, for the metered and the unmetered engine.
    compile_ns: [u64; 2],
    /// What the time stamps of slices and switches are made by.
    clock: &'static str,
    /// What one reading of that takes.
    clock_read_ns: u64,
    /// Each module, and all of them.
    modules: Vec<Times>,
    /// The same work done in other ways.
    work: WorkDone,
    /// Speeds.
    rates: Rates,
}

/// The times of one module, or of all.
#[derive(Debug, Serialize)]
struct Times {
    /// Which.
    name: String,
    /// From the task's spawn to its end; of all: from the first spawn to the last end.
    completion_ns: Option<Spread>,
    /// The length of a slice.
    slice_ns: Option<Spread>,
    /// From the end of the slice before, whoever's it was, to the end of one of this module's, at quantum 1.
    switch_ns: Option<Spread>,
}

/// The same work done in several ways, in nanoseconds, from the first spawn to the last end.
#[derive(Debug, Serialize)]
struct WorkDone {
    /// Fuel that one run uses.
    fuel: u64,
    /// Context switches in one run.
    switches: u64,
    /// At the demo's quantum.
    preempted_ns: Option<Spread>,
    /// Each task in one slice.
    unpreempted_ns: Option<Spread>,
    /// Without counting fuel.
    unmetered_ns: Option<Spread>,
    /// Median of preempted by unpreempted.
    preemption_ratio: f64,
    /// Median of unpreempted by unmetered.
    metering_ratio: f64,
}

/// Speeds, from the median of the preempted runs.
#[derive(Debug, Serialize)]
struct Rates {
    /// Context switches a second, at the demo's quantum.
    switches_per_s: f64,
    /// Context switches a second, at quantum 1.
    switches_per_s_at_quantum_1: f64,
    /// Fuel a second.
    fuel_per_s: f64,
    /// Nanoseconds for one fuel.
    ns_per_fuel: f64,
}

/// Measures, and reports. Rounds that were finished before an interrupt are reported, too.
pub(crate) fn run(runs: u32, format: Format) -> Result<ExitCode> {
    let interrupted = catch_interrupt()?;
    let work = Work::new(Plan::demo())?;
    let warm_up = (runs / 10).max(3);
    let mut lab = Lab {
        work: &work,
        clock: Clock::new(),
        quanta: &[],
        modules: work.metered.len(),
        counters: Err("the demo does without".into()),
        samples: None,
        interrupted: &interrupted,
        idle: Idle::default(),
        bar: ProgressBar::hidden(),
    };
    let Some((measured, whole)) = rounds(&mut lab, warm_up, runs)? else {
        return Ok(too_early());
    };
    let report = DemoReport::new(&lab, &measured, warm_up);
    output::result(&match format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Human => report.tables(),
    })?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

/// The distribution of a number for each run.
fn spread(numbers: &[u64]) -> Option<Spread> {
    Spread::of(&numbers.iter().copied().collect::<Distribution>())
}

/// The times of each module, and of all.
fn times(lab: &Lab<'_>, measured: &Measured) -> Vec<Times> {
    let module = |(job, module): (&Job, &PerModule)| Times {
        name: job.name.clone(),
        completion_ns: Spread::of(&module.turnaround),
        slice_ns: Spread::of(&module.slice),
        switch_ns: Spread::of(&module.switch),
    };
    let all = Times {
        name: "all".into(),
        completion_ns: spread(&measured.runs.completion),
        slice_ns: Spread::of(&measured.watched.slice),
        switch_ns: Spread::of(&measured.switch),
    };
    lab.work.metered.iter().zip(&measured.modules).map(module).chain([all]).collect()
}

impl WorkDone {
    /// From all runs.
    fn new(measured: &Measured) -> WorkDone {
        let runs = &measured.runs;
        let ratio = |a: &[u64], b: &[u64]| median(a) as f64 / median(b).max(1) as f64;
        WorkDone {
            fuel: measured.last.fuel,
            switches: measured.last.switches,
            preempted_ns: spread(&runs.preempted),
            unpreempted_ns: spread(&runs.unpreempted),
            unmetered_ns: spread(&runs.unmetered),
            preemption_ratio: ratio(&runs.preempted, &runs.unpreempted),
            metering_ratio: ratio(&runs.unpreempted, &runs.unmetered),
        }
    }
}

impl Rates {
    /// From the median of all runs.
    fn new(measured: &Measured) -> Rates {
        let (took, fuel) = (median(&measured.runs.preempted), measured.last.fuel);
        Rates {
            switches_per_s: per_second(measured.last.switches, took),
            switches_per_s_at_quantum_1: per_second(1, measured.switch.0.value_at_quantile(0.5)),
            fuel_per_s: per_second(fuel, took),
            ns_per_fuel: took as f64 / fuel.max(1) as f64,
        }
    }
}

impl DemoReport {
    /// Puts the numbers together.
    fn new(lab: &Lab<'_>, measured: &Measured, warm_up: u32) -> DemoReport {
        let unmetered = lab.work.unmetered.as_ref().map_or(0, |(_, took)| nanos(*took));
        DemoReport {
            schema: 1,
            engine: engine_name(),
            machine: Machine::here(),
            quantum: plan::DEMO_QUANTUM,
            runs: measured.runs.preempted.len(),
            warm_up,
            compile_ns: [nanos(lab.work.compile), unmetered],
            clock: lab.clock.name(),
            clock_read_ns: lab.clock.reading(),
            modules: times(lab, measured),
            work: WorkDone::new(measured),
            rates: Rates::new(measured),
        }
    }

    /// The report for people.
    fn tables(&self) -> String {
        let mut rows = Vec::new();
        let mut row = |name: &str, what: &str, spread: &Option<Spread>| {
            let cells = spread.as_ref().map(|spread| spread.row(what, output::nanos));
            rows.extend(cells.map(|cells| [vec![name.to_string()], cells].concat()));
        };
        for times in &self.modules {
            row(&times.name, "time to completion", &times.completion_ns);
            row(&times.name, "slice", &times.slice_ns);
            row(&times.name, "context switch (quantum 1)", &times.switch_ns);
        }
        row("all", "whole run", &self.work.preempted_ns);
        row("all", "whole run, unpreempted", &self.work.unpreempted_ns);
        row("all", "whole run, unmetered", &self.work.unmetered_ns);
        let header = ["module", "what", "count", "p50", "p90", "p99", "p99.9", "max"];
        if columns() >= ALL_COLUMNS {
            return output::table(&header, rows, &[2, 3, 4, 5, 6, 7]) + &self.summary();
        }
        let rows = rows.into_iter().map(|row| FEWER.map(|column| row[column].clone()).to_vec());
        let less = output::table(&FEWER.map(|column| header[column]), rows, &[2, 3, 4, 5]);
        less + "p90 and p99.9 are shown where there is room\n" + &self.summary()
    }

    /// What the numbers come to, and what they were measured on.
    fn summary(&self) -> String {
        let DemoReport { work, rates, compile_ns, .. } = self;
        let (fuel, switches, quantum) = (Fuel(work.fuel), work.switches, Fuel(self.quantum));
        [
            format!(
                "one run is {fuel} fuel in {switches} context switches; {} runs, after {} to warm up, round robin, quantum {quantum}",
                self.runs, self.warm_up
            ),
            format!(
                "{} switches a second ({} at quantum 1), {} fuel a second, {:.2} ns for one fuel",
                million(rates.switches_per_s),
                million(rates.switches_per_s_at_quantum_1),
                million(rates.fuel_per_s),
                rates.ns_per_fuel
            ),
            format!(
                "medians: preempted is {:.2} × unpreempted, unpreempted is {:.2} × unmetered",
                work.preemption_ratio, work.metering_ratio
            ),
            format!(
                "compiling both modules took {} metered and {} unmetered; time stamps by the {}, one of which takes {}, in each slice and switch",
                output::nanos(compile_ns[0]),
                output::nanos(compile_ns[1]),
                self.clock,
                output::nanos(self.clock_read_ns)
            ),
            format!("{}; {}\n", self.engine, self.machine.line()),
        ]
        .join("\n")
    }
}
