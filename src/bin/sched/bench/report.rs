//! The report of `sched bench`: what was measured, put together, as a table or JSON.

use super::compare::Comparison;
use super::counters::Counts;
use super::measure::{Distribution, Lab, Measured, Point, median, nanos};
use super::memory::TaskMemory;
use crate::args::BenchArgs;
use crate::machine::Machine;
use crate::output;
use crate::run::engine_name;
use fuelsched::Fuel;
use serde::Serialize;
use terminal_size::{Width, terminal_size};

/// The share of the best speed that the recommended quantum has to reach.
const NEARLY: f64 = 0.95;

/// How wide the longest bar of the plot is: what the other columns leave of the terminal, from this to that.
const BAR: (u16, u16) = (10, 40);

/// Columns of the plot that are no bar.
const BESIDE_BAR: u16 = 69;

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
    /// What the time stamps of slices and switches are made by.
    clock: &'static str,
    /// What one reading of that takes.
    clock_read_ns: u64,
    /// Distributions in nanoseconds: a switch, at quantum 1.
    switch_ns: Option<Spread>,
    /// A slice.
    slice_ns: Option<Spread>,
    /// Fuel past the grant, of slices that were preempted.
    lateness_fuel: Option<Spread>,
    /// From a task's spawn to its end.
    turnaround_ns: Option<Spread>,
    /// From when a task was woken to its next slice.
    wakeup_ns: Option<Spread>,
    /// What a suspended task takes of memory.
    memory: Option<TaskMemory>,
    /// What the processor counted in a run: the medians.
    counters: Option<Counts>,
    /// Why it did not.
    counters_unavailable: Option<String>,
    /// One run.
    work: WorkDone,
    /// Speeds, from the median of the runs.
    rates: Rates,
    /// The work at several quanta.
    pub(super) curve: Vec<CurvePoint>,
    /// The quantum that the curve recommends.
    pub(super) recommended_quantum: Option<u64>,
    /// The comparison, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

/// A distribution.
#[derive(Debug, Serialize)]
pub(super) struct Spread {
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
pub(super) struct CurvePoint {
    /// The quantum.
    pub(super) quantum: u64,
    /// The median of the whole run.
    run_ns: u64,
    /// Fuel a second.
    pub(super) fuel_per_s: f64,
    /// The longest slice of any run.
    pub(super) longest_slice_ns: u64,
    /// The longest time in any run that a task was ready and not picked.
    pub(super) longest_wait_ns: u64,
}

impl Spread {
    /// The percentiles, if there is anything.
    pub(super) fn of(Distribution(histogram): &Distribution) -> Option<Spread> {
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
    pub(super) fn row(&self, what: &str, show: fn(u64) -> String) -> Vec<String> {
        let mut row = vec![what.to_string(), Fuel(self.count).to_string()];
        row.extend([self.p50, self.p90, self.p99, self.p99_9, self.max].map(show));
        row
    }
}

/// So much of something in a second.
pub(super) fn per_second(amount: u64, nanos: u64) -> f64 {
    amount as f64 * 1e9 / nanos.max(1) as f64
}

/// The median, if there is one.
fn some_median(numbers: &[u64]) -> Option<u64> {
    (!numbers.is_empty()).then(|| median(numbers))
}

/// The medians of what was counted.
fn median_counts(counts: &[Counts]) -> Counts {
    let of = |number: fn(&Counts) -> u64| median(&counts.iter().map(number).collect::<Vec<_>>());
    Counts {
        cycles: of(|counts| counts.cycles),
        instructions: of(|counts| counts.instructions),
        cache_misses: of(|counts| counts.cache_misses),
        branch_misses: of(|counts| counts.branch_misses),
    }
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
        lab: &Lab<'_>,
        memory: Option<TaskMemory>,
        measured: &Measured,
        comparison: Option<Comparison>,
    ) -> BenchReport {
        let (work, done, watched) = (lab.work, WorkDone::new(measured), &measured.watched);
        let point = |point: &Point| CurvePoint {
            quantum: point.quantum,
            run_ns: median(&point.took),
            fuel_per_s: per_second(done.fuel, median(&point.took)),
            longest_slice_ns: point.longest_slice,
            longest_wait_ns: point.longest_wait,
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
            clock: lab.clock.name(),
            clock_read_ns: lab.clock.reading(),
            switch_ns: Spread::of(&measured.switch),
            slice_ns: Spread::of(&watched.slice),
            lateness_fuel: Spread::of(&watched.lateness),
            turnaround_ns: Spread::of(&watched.turnaround),
            wakeup_ns: Spread::of(&watched.wakeup),
            memory,
            counters: measured.counts.as_ref().ok().map(|counts| median_counts(counts)),
            counters_unavailable: measured.counts.as_ref().err().cloned(),
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
            self.wakeup_ns.as_ref().map(|spread| spread.row("wake-up to the next slice", output::nanos)),
        ];
        let header = ["what", "count", "p50", "p90", "p99", "p99.9", "max"];
        let table = output::table(&header, rows.into_iter().flatten(), &[1, 2, 3, 4, 5, 6]);
        let compared = self.comparison.as_ref().map_or(String::new(), |comparison| format!("\n{}", comparison.table()));
        format!("{table}\n{}\n{}{compared}", self.plot(), self.summary())
    }

    /// The quantum curve, with a bar for the speed of each quantum.
    fn plot(&self) -> String {
        let best = self.curve.iter().map(|point| point.fuel_per_s).fold(f64::MIN_POSITIVE, f64::max);
        let longest = columns().saturating_sub(BESIDE_BAR).clamp(BAR.0, BAR.1);
        let row = |point: &CurvePoint| {
            let mark = if Some(point.quantum) == self.recommended_quantum { " ←" } else { "" };
            let bar = "█".repeat((point.fuel_per_s / best * f64::from(longest)).round() as usize);
            let times = [point.longest_slice_ns, point.longest_wait_ns].map(output::nanos);
            let [slice, wait] = times;
            vec![Fuel(point.quantum).to_string(), slice, wait, million(point.fuel_per_s), bar + mark]
        };
        let header = ["quantum", "longest slice", "longest wait", "fuel a second", ""];
        let table = output::table(&header, self.curve.iter().map(row), &[0, 1, 2, 3]);
        let recommended = |quantum: u64| format!("recommended quantum: {}\n", Fuel(quantum));
        table + &self.recommended_quantum.map_or(String::new(), recommended)
    }

    /// What the numbers come to, and what they were measured on.
    fn summary(&self) -> String {
        let lines = [self.one_run(), self.speeds(), self.costs(), self.memory(), self.counted(), self.times()];
        format!("{}\n{}; {}\n", lines.join("\n"), self.engine, self.machine.line())
    }

    /// What was run.
    fn one_run(&self) -> String {
        let pinned = self.pinned.map_or(String::new(), |cpu| format!(", on processor {cpu}"));
        format!(
            "one run is {}, {} fuel, {}, and takes {}; {}, after {} to warm up, {}, quantum {}{pinned}",
            output::count(self.work.tasks, "task"),
            Fuel(self.work.fuel),
            output::count(self.work.switches, "context switch"),
            output::nanos(self.work.preempted_ns),
            output::count(self.runs as u64, "run"),
            self.warm_up,
            self.policy,
            Fuel(self.quantum)
        )
    }

    /// How much of all there is in a second.
    fn speeds(&self) -> String {
        let Rates { fuel_per_s, switches_per_s, tasks_per_s } = &self.rates;
        format!("{} fuel, {} switches, {tasks_per_s:.0} tasks a second", million(*fuel_per_s), million(*switches_per_s))
    }

    /// What metering and preemption cost.
    fn costs(&self) -> String {
        let ratio = |ratio: Option<f64>| ratio.map_or("not known".into(), |ratio| format!("{ratio:.2} ×"));
        format!("preemption costs {}, metering {}", ratio(self.work.preemption_ratio), ratio(self.work.metering_ratio))
    }

    /// What a task takes of memory.
    fn memory(&self) -> String {
        self.memory.map_or("memory of a suspended task: not known".into(), |TaskMemory { bytes, tasks }| {
            format!(
                "a suspended task takes {:.1} KiB, the mean of {}",
                bytes as f64 / 1024.0,
                output::count(tasks, "task")
            )
        })
    }

    /// What the processor counted.
    fn counted(&self) -> String {
        match (&self.counters, &self.counters_unavailable) {
            (Some(Counts { cycles, instructions, cache_misses, branch_misses }), _) => format!(
                "one run takes {} cycles, {} instructions, {} cache misses, {} branch misses",
                Fuel(*cycles),
                Fuel(*instructions),
                Fuel(*cache_misses),
                Fuel(*branch_misses)
            ),
            (None, why) => format!("no hardware counters: {}", why.as_deref().unwrap_or("nothing was counted")),
        }
    }

    /// What is in the times, and what is not.
    fn times(&self) -> String {
        format!(
            "compiling took {}; time stamps by the {}, one of which takes {}, in each slice and switch",
            output::nanos(self.compile_ns),
            self.clock,
            output::nanos(self.clock_read_ns)
        )
    }
}

/// How wide the terminal is; as wide as anything, where there is none.
pub(super) fn columns() -> u16 {
    terminal_size().map_or(u16::MAX, |(Width(columns), _)| columns)
}

/// A large number.
pub(super) fn million(n: f64) -> String {
    format!("{:.2} million", n / 1e6)
}
