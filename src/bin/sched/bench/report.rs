//! The report of `sched bench`: what was measured, put together, as a table or JSON.

use super::compare::Comparison;
use super::measure::{Distribution, Measured, Point, median, nanos};
use super::work::Work;
use crate::args::BenchArgs;
use crate::machine::Machine;
use crate::output;
use crate::run::engine_name;
use fuelsched::Fuel;
use serde::Serialize;
use std::time::Instant;

/// The share of the best speed that the recommended quantum has to reach.
const NEARLY: f64 = 0.95;

/// How wide the bars of the plot are.
const BAR: f64 = 40.0;

/// What is measured, whole.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    /// The version of this form.
    schema: u32,
    /// What ran the guests.
    engine: String,
    /// What it ran on.
    machine: Machine,
    /// The policy with its parameters.
    policy: String,
    /// Fuel a turn.
    quantum: u64,
    /// Rounds measured.
    runs: usize,
    /// Rounds before that, not measured.
    warm_up: u32,
    /// The processor that it stayed on, if it was told to.
    pinned: Option<usize>,
    /// What it took to compile the modules, with metering.
    compile_ns: u64,
    /// The same without metering, if they were.
    compile_unmetered_ns: Option<u64>,
    /// What one reading of the clock takes.
    clock_read_ns: u64,
    /// Distributions in nanoseconds: a switch, at quantum 1.
    switch_ns: Option<Spread>,
    /// A slice.
    slice_ns: Option<Spread>,
    /// Fuel past the grant, of slices that were preempted.
    lateness_fuel: Option<Spread>,
    /// From a task's spawn to its end.
    turnaround_ns: Option<Spread>,
    /// One run.
    work: WorkDone,
    /// Speeds, from the median of the runs.
    rates: Rates,
    /// The work at several quanta.
    curve: Vec<CurvePoint>,
    /// The quantum that the curve recommends.
    recommended_quantum: Option<u64>,
    /// The comparison, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

/// A distribution.
#[derive(Debug, Serialize)]
struct Spread {
    /// How many were measured.
    count: u64,
    /// Half are at most this.
    p50: u64,
    /// 90 %.
    p90: u64,
    /// 99 %.
    p99: u64,
    /// 99.9 %.
    p99_9: u64,
    /// The largest.
    max: u64,
}

/// One run, and the same work done in other ways; medians in nanoseconds.
#[derive(Debug, Serialize)]
struct WorkDone {
    /// Fuel.
    fuel: u64,
    /// Context switches.
    switches: u64,
    /// Tasks.
    tasks: u64,
    /// As it was asked for.
    preempted_ns: u64,
    /// Each task in one slice.
    unpreempted_ns: Option<u64>,
    /// Without counting fuel.
    unmetered_ns: Option<u64>,
    /// Preempted by unpreempted.
    preemption_ratio: Option<f64>,
    /// Unpreempted by unmetered.
    metering_ratio: Option<f64>,
}

/// Speeds.
#[derive(Debug, Serialize)]
struct Rates {
    /// Fuel a second.
    fuel_per_s: f64,
    /// Context switches a second.
    switches_per_s: f64,
    /// Tasks a second.
    tasks_per_s: f64,
}

/// The work at one quantum.
#[derive(Debug, Serialize)]
struct CurvePoint {
    /// The quantum.
    quantum: u64,
    /// The median of the whole run.
    run_ns: u64,
    /// Fuel a second.
    fuel_per_s: f64,
    /// The longest slice of any run.
    longest_slice_ns: u64,
}

impl Spread {
    /// The percentiles, if there is anything.
    fn of(Distribution(histogram): &Distribution) -> Option<Spread> {
        let at = |quantile| histogram.value_at_quantile(quantile);
        (!histogram.is_empty()).then(|| Spread {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max(),
        })
    }

    /// The row of a table.
    fn row(&self, what: &str, show: fn(u64) -> String) -> Vec<String> {
        let mut row = vec![what.to_string(), Fuel(self.count).to_string()];
        row.extend([self.p50, self.p90, self.p99, self.p99_9, self.max].map(show));
        row
    }
}

/// So much of something in a second.
fn per_second(amount: u64, nanos: u64) -> f64 {
    amount as f64 * 1e9 / nanos.max(1) as f64
}

/// The median, if there is one.
fn some_median(numbers: &[u64]) -> Option<u64> {
    (!numbers.is_empty()).then(|| median(numbers))
}

/// What one reading of the clock takes: the median of many.
fn clock_read() -> u64 {
    let read = |_| {
        let began = Instant::now();
        for _ in 0..100 {
            std::hint::black_box(Instant::now());
        }
        nanos(began.elapsed()) / 100
    };
    median(&(0..1_000).map(read).collect::<Vec<_>>())
}

impl WorkDone {
    /// The medians.
    fn new(measured: &Measured) -> WorkDone {
        let runs = &measured.runs;
        let [preempted, unpreempted, unmetered] =
            [&runs.preempted, &runs.unpreempted, &runs.unmetered].map(|numbers| some_median(numbers));
        let ratio = |a: Option<u64>, b: Option<u64>| Some(a? as f64 / b?.max(1) as f64);
        WorkDone {
            fuel: measured.last.fuel,
            switches: measured.last.switches,
            tasks: measured.last.tasks,
            preempted_ns: preempted.unwrap_or(0),
            unpreempted_ns: unpreempted,
            unmetered_ns: unmetered,
            preemption_ratio: ratio(preempted, unpreempted),
            metering_ratio: ratio(unpreempted, unmetered),
        }
    }
}

/// The smallest quantum whose speed is nearly that of the best.
fn recommended(curve: &[CurvePoint]) -> Option<u64> {
    let best = curve.iter().map(|point| point.fuel_per_s).fold(0.0, f64::max);
    curve.iter().filter(|point| point.fuel_per_s >= NEARLY * best).map(|point| point.quantum).min()
}

impl BenchReport {
    /// Puts the numbers together.
    pub(crate) fn new(
        args: &BenchArgs,
        work: &Work,
        measured: &Measured,
        comparison: Option<Comparison>,
    ) -> BenchReport {
        let done = WorkDone::new(measured);
        let point = |point: &Point| CurvePoint {
            quantum: point.quantum,
            run_ns: median(&point.took),
            fuel_per_s: per_second(done.fuel, median(&point.took)),
            longest_slice_ns: point.longest_slice,
        };
        let curve: Vec<CurvePoint> = measured.curve.iter().map(point).collect();
        let per_second = |amount| per_second(amount, done.preempted_ns);
        BenchReport {
            schema: 1,
            engine: engine_name(),
            machine: Machine::here(),
            policy: work.plan.policy.written(),
            quantum: work.plan.quantum,
            runs: measured.runs.preempted.len(),
            warm_up: args.warmup,
            pinned: args.pin,
            compile_ns: nanos(work.compile),
            compile_unmetered_ns: work.unmetered.as_ref().map(|(_, took)| nanos(*took)),
            clock_read_ns: clock_read(),
            switch_ns: Spread::of(&measured.switch),
            slice_ns: Spread::of(&measured.slice),
            lateness_fuel: Spread::of(&measured.lateness),
            turnaround_ns: Spread::of(&measured.turnaround),
            rates: Rates {
                fuel_per_s: per_second(done.fuel),
                switches_per_s: per_second(done.switches),
                tasks_per_s: per_second(done.tasks),
            },
            work: done,
            recommended_quantum: recommended(&curve),
            curve,
            comparison,
        }
    }

    /// The report for people.
    pub(crate) fn tables(&self) -> String {
        let fuel = |n| format!("{} fuel", Fuel(n));
        let rows = [
            self.switch_ns.as_ref().map(|spread| spread.row("context switch (quantum 1)", output::nanos)),
            self.slice_ns.as_ref().map(|spread| spread.row("slice", output::nanos)),
            self.lateness_fuel.as_ref().map(|spread| spread.row("lateness of a preemption", fuel)),
            self.turnaround_ns.as_ref().map(|spread| spread.row("turnaround of a task", output::nanos)),
        ];
        let header = ["what", "count", "p50", "p90", "p99", "p99.9", "max"];
        let table = output::table(&header, rows.into_iter().flatten(), &[1, 2, 3, 4, 5, 6]);
        let compared = self.comparison.as_ref().map_or(String::new(), |comparison| format!("\n{}", comparison.table()));
        format!("{table}\n{}\n{}{compared}", self.plot(), self.summary())
    }

    /// The quantum curve, with a bar for the speed of each quantum.
    fn plot(&self) -> String {
        let best = self.curve.iter().map(|point| point.fuel_per_s).fold(f64::MIN_POSITIVE, f64::max);
        let row = |point: &CurvePoint| {
            let mark = if Some(point.quantum) == self.recommended_quantum { "recommended" } else { "" };
            let million = format!("{:.2} million", point.fuel_per_s / 1e6);
            let bar = "█".repeat((point.fuel_per_s / best * BAR).round() as usize);
            vec![Fuel(point.quantum).to_string(), output::nanos(point.longest_slice_ns), million, bar, mark.into()]
        };
        let header = ["quantum", "longest slice", "fuel a second", "", ""];
        output::table(&header, self.curve.iter().map(row), &[0, 1, 2])
    }

    /// What the numbers come to, and what they were measured on.
    fn summary(&self) -> String {
        let BenchReport { work, rates, .. } = self;
        let million = |n: f64| format!("{:.2} million", n / 1e6);
        let ratio = |ratio: Option<f64>| ratio.map_or("not known".into(), |ratio| format!("{ratio:.2} ×"));
        let pinned = self.pinned.map_or(String::new(), |cpu| format!(", on processor {cpu}"));
        [
            format!(
                "one run is {}, {} fuel, {}, and takes {}; {}, after {} to warm up, {}, quantum {}{pinned}",
                output::count(work.tasks, "task"),
                Fuel(work.fuel),
                output::count(work.switches, "context switch"),
                output::nanos(work.preempted_ns),
                output::count(self.runs as u64, "run"),
                self.warm_up,
                self.policy,
                Fuel(self.quantum)
            ),
            format!(
                "{} fuel, {} switches, {:.0} tasks a second",
                million(rates.fuel_per_s),
                million(rates.switches_per_s),
                rates.tasks_per_s
            ),
            format!("preemption costs {}, metering {}", ratio(work.preemption_ratio), ratio(work.metering_ratio)),
            format!(
                "compiling took {}; one reading of the clock takes {}, in each slice and switch",
                output::nanos(self.compile_ns),
                output::nanos(self.clock_read_ns)
            ),
            format!("{}; {}\n", self.engine, self.machine.line()),
        ]
        .join("\n")
    }
}
