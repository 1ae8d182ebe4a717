//! `sched --benchmark`: the demo's modules, run many times, and what that says about the cost of preemption.
//!
//! Each round runs the same work five ways, one after the other, so that whatever disturbs the machine disturbs all of them:
//!
//! | way | what is different | what it gives |
//! |---|---|---|
//! | `timed` | the clock is read around every slice | slice lengths, times to completion |
//! | `preempted` | nothing: the demo as it is | the rates |
//! | `unpreempted` | a quantum larger than the work | what preemption costs |
//! | `unmetered` | an engine that counts no fuel | what metering costs |
//! | `switching` | quantum 1: a switch at every yield point | the cost of a context switch |
//!
//! A context switch is timed from the end of one slice to the end of the next at quantum 1: out of a guest and its fiber, through
//! ledger, policy and pick, into the next fiber and guest, and up to its next yield point, some 10 instructions on. One reading
//! of the clock is in it; what that costs is measured and shown.

use crate::args::Format;
use crate::job::{self, Job};
use crate::machine::Machine;
use crate::output::{self, nanos};
use crate::plan::{self, Plan};
use crate::progress;
use crate::report::INTERRUPTED;
use crate::run::{catch_interrupt, engine_name};
use crate::world::Guest;
use anyhow::{Context, Result, ensure};
use fuelsched::policy::RoundRobin;
use fuelsched::reason::PickReason;
use fuelsched::stats::{Durations, Percentiles};
use fuelsched::trace::{Observer, Slice};
use fuelsched::{Engine, EngineConfig, Executor, Fuel, SliceEnd, TaskId};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is measured, whole.
#[derive(Debug, Serialize)]
struct BenchReport {
    /// The version of this form.
    schema: u32,
    /// What ran the guests.
    engine: String,
    /// What it ran on.
    machine: Machine,
    /// Fuel a turn.
    quantum: u64,
    /// Rounds measured.
    runs: u32,
    /// Rounds before that, not measured.
    warm_up: u32,
    /// What it took to compile both modules, for the metered and the unmetered engine.
    compile_ns: [u64; 2],
    /// What one reading of the clock takes.
    clock_read_ns: u64,
    /// Each module, and all of them.
    modules: Vec<Times>,
    /// The same work done in other ways.
    work: Work,
    /// Speeds.
    rates: Rates,
}

/// The times of one module, or of all.
#[derive(Debug, Serialize)]
struct Times {
    /// Which.
    name: String,
    /// From the start of the run to the task's end; of all: to the end of the last.
    completion_ns: Spread,
    /// The length of a slice.
    slice_ns: Spread,
    /// From the end of the slice before, whoever's it was, to the end of one of this module's, at quantum 1.
    switch_ns: Spread,
}

/// A distribution in nanoseconds.
#[derive(Debug, Serialize)]
struct Spread {
    /// How many were measured.
    count: u64,
    /// The percentiles.
    p50: u64,
    /// 90 %.
    p90: u64,
    /// 99 %.
    p99: u64,
    /// 99.9 %.
    p99_9: u64,
    /// The longest.
    max: u64,
}

/// The same work done in several ways, in nanoseconds, from the first spawn to the last end.
#[derive(Debug, Serialize)]
struct Work {
    /// Fuel that one run uses.
    fuel: u64,
    /// Context switches in one run.
    switches: u64,
    /// At the demo's quantum.
    preempted_ns: Spread,
    /// Each task in one slice.
    unpreempted_ns: Spread,
    /// Without counting fuel.
    unmetered_ns: Spread,
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

/// What is collected over the rounds.
#[derive(Default)]
struct Measured {
    /// What is known of each module, and at the end of all.
    modules: Vec<Module>,
    /// Whole runs: preempted, unpreempted, unmetered.
    works: [Durations; 3],
}

/// What is collected of one module, or of all.
#[derive(Default)]
struct Module {
    /// Time to completion.
    completion: Durations,
    /// Slice lengths.
    slices: Durations,
    /// From slice end to slice end, at quantum 1.
    switches: Durations,
}

/// The modules, compiled for both engines.
struct Guests {
    /// Counting fuel.
    metered: Vec<Job>,
    /// Not counting it.
    unmetered: Vec<Job>,
    /// How long compiling took.
    compile: [Duration; 2],
}

/// The demo's quantum.
const DEMO_QUANTUM: Fuel = Fuel(plan::DEMO_QUANTUM);

/// Nobody's policy: a quantum that is never used up.
const WHOLE: Fuel = Fuel(1 << 62);

/// Measures, and reports. Rounds that were finished before an interrupt are reported, too.
pub(crate) fn run(runs: u32, format: Format) -> Result<ExitCode> {
    let interrupted = catch_interrupt()?;
    let guests = compile()?;
    let warm_up = (runs / 10).max(3);
    for _ in 0..warm_up {
        round(&guests, &mut Measured::new(&guests))?;
    }
    let mut measured = Measured::new(&guests);
    let bar = progress::bar(u64::from(runs), "measuring");
    let mut done = 0;
    while done < runs && !interrupted.load(Ordering::Relaxed) {
        round(&guests, &mut measured)?;
        done += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    ensure!(done > 0, "interrupted before the first round was over");
    let report = report(&guests, &measured, done, warm_up)?;
    output::result(&match format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Human => report.tables(),
    })?;
    Ok(if done < runs { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// Compiles the demo's modules, with fuel and without.
fn compile() -> Result<Guests> {
    let timed = |metering| -> Result<_> {
        let began = Instant::now();
        let engine = Engine::new(&EngineConfig::default().parallel_compilation(true).metering(metering))?;
        Ok((job::load(&engine, &mut Plan::demo())?, began.elapsed()))
    };
    let (metered, with) = timed(true)?;
    let (unmetered, without) = timed(false)?;
    Ok(Guests { metered, unmetered, compile: [with, without] })
}

/// Runs the work in all five ways.
fn round(guests: &Guests, measured: &mut Measured) -> Result<()> {
    timed(guests, measured)?;
    switching(guests, measured)?;
    let ways = [(DEMO_QUANTUM, &guests.metered), (WHOLE, &guests.metered), (WHOLE, &guests.unmetered)];
    for (works, (quantum, jobs)) in measured.works.iter_mut().zip(ways) {
        let began = Instant::now();
        run_once(jobs, quantum, ())?;
        works.add(began.elapsed());
    }
    Ok(())
}

/// Runs the work with the clock read around every slice.
fn timed(guests: &Guests, measured: &mut Measured) -> Result<()> {
    let (now, left) = (Instant::now(), guests.metered.len());
    let clock = Slices { began: now, slice_began: now, left, modules: &mut measured.modules };
    run_once(&guests.metered, DEMO_QUANTUM, clock)?;
    Ok(())
}

/// Runs the work at quantum 1.
fn switching(guests: &Guests, measured: &mut Measured) -> Result<()> {
    let clock = Switches { last_end: None, modules: &mut measured.modules };
    run_once(&guests.metered, Fuel(1), clock)?;
    Ok(())
}

/// Spawns the jobs and runs them to their ends; says how many switches and how much fuel that took.
fn run_once<O: Observer>(jobs: &[Job], quantum: Fuel, observer: O) -> Result<(u64, Fuel)> {
    let mut sched = Executor::builder().policy(RoundRobin::new(quantum)).observer(observer).build();
    for job in jobs {
        let call = job.call.as_ref().ok().context("the demo's modules compile")?;
        sched.spawn(call.program.call(Guest::default(), &job.entry, &call.args))?;
    }
    sched.run();
    let fine = sched.take_ended().iter().all(|task| task.outcome.is_success());
    ensure!(fine, "a task of the demo did not return");
    Ok((sched.totals().switches, sched.totals().fuel))
}

/// Reads the clock around every slice.
struct Slices<'a> {
    /// When the run began.
    began: Instant,
    /// When the present slice did.
    slice_began: Instant,
    /// Tasks that have not ended.
    left: usize,
    /// Where it goes.
    modules: &'a mut [Module],
}

impl Observer for Slices<'_> {
    fn picked(&mut self, _id: TaskId, _grant: Fuel, _why: PickReason) {
        self.slice_began = Instant::now();
    }

    fn slice(&mut self, slice: &Slice) {
        let now = Instant::now();
        let (all, task) = all_and(self.modules, slice.id);
        all.slices.add(now - self.slice_began);
        task.slices.add(now - self.slice_began);
        if slice.end == SliceEnd::Ended {
            task.completion.add(now - self.began);
            self.left -= 1;
            if self.left == 0 {
                all.completion.add(now - self.began);
            }
        }
    }
}

/// Reads the clock at the end of every slice.
struct Switches<'a> {
    /// When the slice before ended, if it was preempted.
    last_end: Option<Instant>,
    /// Where it goes.
    modules: &'a mut [Module],
}

impl Observer for Switches<'_> {
    fn slice(&mut self, slice: &Slice) {
        // The first slice of a task makes its instance, and the last one tears it down: more than a switch.
        let whole = slice.end == SliceEnd::Preempted && slice.number > 1;
        let now = Instant::now();
        if let (Some(last), true) = (self.last_end, whole) {
            let (all, task) = all_and(self.modules, slice.id);
            all.switches.add(now - last);
            task.switches.add(now - last);
        }
        // Read again, so that recording the duration is not part of the next.
        self.last_end = whole.then(Instant::now);
    }
}

impl Measured {
    /// Nothing yet.
    fn new(guests: &Guests) -> Measured {
        // One for each, and one for all.
        let modules = (0..=guests.metered.len()).map(|_| Module::default()).collect();
        Measured { modules, ..Measured::default() }
    }
}

/// Where a slice of that task goes. The slots are given out in the order of the jobs, and all is the last.
fn all_and(modules: &mut [Module], id: TaskId) -> (&mut Module, &mut Module) {
    match modules.split_last_mut() {
        Some((all, each)) => (all, &mut each[id.index()]),
        None => unreachable!("there is one for all"),
    }
}

impl From<&Durations> for Spread {
    fn from(durations: &Durations) -> Spread {
        let Percentiles { count, p50, p90, p99, p99_9, max, .. } = durations.percentiles();
        Spread { count, p50, p90, p99, p99_9, max }
    }
}

/// What one reading of the clock takes: the median of many.
fn clock_read() -> u64 {
    let mut reads = Durations::new();
    for _ in 0..1_000 {
        let began = Instant::now();
        for _ in 0..100 {
            std::hint::black_box(Instant::now());
        }
        reads.add(began.elapsed() / 100);
    }
    reads.percentiles().p50
}

/// Puts the numbers together.
fn report(guests: &Guests, measured: &Measured, runs: u32, warm_up: u32) -> Result<BenchReport> {
    let (switches, fuel) = run_once(&guests.metered, DEMO_QUANTUM, ())?;
    let [preempted, unpreempted, unmetered] = measured.works.each_ref().map(Spread::from);
    let ratio = |a: &Spread, b: &Spread| a.p50 as f64 / b.p50.max(1) as f64;
    let modules = measured.times(guests);
    let switch = modules.last().map_or(1, |all| all.switch_ns.p50.max(1));
    let seconds = preempted.p50 as f64 / 1e9;
    Ok(BenchReport {
        schema: 1,
        engine: engine_name(),
        machine: Machine::here(),
        quantum: DEMO_QUANTUM.0,
        runs,
        warm_up,
        compile_ns: guests.compile.map(|time| time.as_nanos() as u64),
        clock_read_ns: clock_read(),
        modules,
        rates: Rates {
            switches_per_s: switches as f64 / seconds,
            switches_per_s_at_quantum_1: 1e9 / switch as f64,
            fuel_per_s: fuel.0 as f64 / seconds,
            ns_per_fuel: preempted.p50 as f64 / fuel.0 as f64,
        },
        work: Work {
            fuel: fuel.0,
            switches,
            preemption_ratio: ratio(&preempted, &unpreempted),
            metering_ratio: ratio(&unpreempted, &unmetered),
            preempted_ns: preempted,
            unpreempted_ns: unpreempted,
            unmetered_ns: unmetered,
        },
    })
}

impl Measured {
    /// The times of each module, and of all.
    fn times(&self, guests: &Guests) -> Vec<Times> {
        let names = guests.metered.iter().map(|job| job.name.as_str()).chain(["all"]);
        let times = |(name, module): (&str, &Module)| Times {
            name: name.into(),
            completion_ns: (&module.completion).into(),
            slice_ns: (&module.slices).into(),
            switch_ns: (&module.switches).into(),
        };
        names.zip(&self.modules).map(times).collect()
    }
}

impl Spread {
    /// The row of a table.
    fn row(&self, name: &str, what: &str) -> Vec<String> {
        let times = [self.p50, self.p90, self.p99, self.p99_9, self.max].map(nanos);
        let mut row = vec![name.to_string(), what.to_string(), Fuel(self.count).to_string()];
        row.extend(times);
        row
    }
}

impl BenchReport {
    /// The report for people.
    fn tables(&self) -> String {
        let mut rows = Vec::new();
        for times in &self.modules {
            rows.push(times.completion_ns.row(&times.name, "time to completion"));
            rows.push(times.slice_ns.row(&times.name, "slice"));
            rows.push(times.switch_ns.row(&times.name, "context switch (quantum 1)"));
        }
        rows.push(self.work.preempted_ns.row("all", "whole run"));
        rows.push(self.work.unpreempted_ns.row("all", "whole run, unpreempted"));
        rows.push(self.work.unmetered_ns.row("all", "whole run, unmetered"));
        let header = ["module", "what", "count", "p50", "p90", "p99", "p99.9", "max"];
        output::table(&header, rows, &[2, 3, 4, 5, 6, 7]) + &self.summary()
    }

    /// What the numbers come to, and what they were measured on.
    fn summary(&self) -> String {
        let BenchReport { work, rates, .. } = self;
        let million = |n: f64| format!("{:.2} million", n / 1e6);
        [
            format!(
                "one run is {} fuel in {} context switches; {} runs, after {} to warm up, round robin, quantum {}",
                Fuel(work.fuel), work.switches, self.runs, self.warm_up, Fuel(self.quantum)
            ),
            format!(
                "{} switches a second ({} at quantum 1), {} fuel a second, {:.2} ns for one fuel",
                million(rates.switches_per_s), million(rates.switches_per_s_at_quantum_1), million(rates.fuel_per_s), rates.ns_per_fuel
            ),
            format!(
                "medians: preempted is {:.2} × unpreempted, unpreempted is {:.2} × unmetered",
                work.preemption_ratio, work.metering_ratio
            ),
            format!(
                "compiling both modules took {} metered and {} unmetered; one reading of the clock takes {}, in each slice and switch",
                nanos(self.compile_ns[0]), nanos(self.compile_ns[1]), nanos(self.clock_read_ns)
            ),
            format!("{}; {}\n", self.engine, self.machine.line()),
        ]
        .join("\n")
    }
}
