//! What is collected: distributions over all slices of all runs, and a number for each run.

use super::clock::Clock;
use super::counters::{Counters, Counts};
use super::probe::{Probe, Switches};
use super::samples::Samples;
use super::work::{self, RunOnce, Work};
use crate::job::Job;
use crate::plan::Plan;
use anyhow::Result;
use fuelsched::trace::Observer;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The most polls of the run at quantum 1: enough for a distribution, and an end for work of any length.
const MOST_SWITCHES: u64 = 100_000;

/// The largest value of a distribution: an hour in nanoseconds.
const MOST: u64 = 3_600_000_000_000;

/// A distribution, kept to three significant digits.
#[derive(Clone, Debug)]
pub(crate) struct Distribution(pub(crate) Histogram<u64>);

impl Default for Distribution {
    fn default() -> Distribution {
        // The bounds are constants that `hdrhistogram` documents as valid.
        Distribution(Histogram::new_with_bounds(1, MOST, 3).unwrap_or_else(|_| unreachable!("constant bounds")))
    }
}

impl Distribution {
    /// Adds a number; what is too large counts as the largest.
    pub(crate) fn add(&mut self, value: u64) {
        self.0.saturating_record(value);
    }

    /// Forgets all, and writes to all of its memory.
    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: &Distribution) {
        // Of the same bounds, so that nothing is refused.
        let _ = self.0.add(&other.0);
    }

    /// The median, if there is anything.
    fn median(&self) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(0.5))
    }
}

impl FromIterator<u64> for Distribution {
    fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Distribution {
        let mut all = Distribution::default();
        values.into_iter().for_each(|value| all.add(value));
        all
    }
}

/// A time as a number.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// All that is measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// From the end of a slice to the end of the next, at quantum 1.
    pub(crate) switch: Distribution,
    /// What the clock says of all other slices.
    pub(crate) watched: Watched,
    /// The same and the switches for each module, where they are asked for.
    pub(crate) modules: Vec<PerModule>,
    /// A number for each run.
    pub(crate) runs: PerRun,
    /// What the last run used and did.
    pub(crate) last: Totals,
    /// What the processor counted in each run, or why it did not.
    pub(crate) counts: Result<Vec<Counts>, String>,
    /// The quantum curve.
    pub(crate) curve: Vec<Point>,
}

/// What a clock that is read around every slice says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// The length of a slice.
    pub(crate) slice: Distribution,
    /// Fuel used past the grant, of slices that were preempted.
    pub(crate) lateness: Distribution,
    /// From the spawn of a task to its end.
    pub(crate) turnaround: Distribution,
    /// From when a task was woken to its next slice.
    pub(crate) wakeup: Distribution,
}

/// What is known of one module.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerModule {
    /// The length of a slice.
    pub(crate) slice: Distribution,
    /// From the spawn of its task to the end.
    pub(crate) turnaround: Distribution,
    /// From the end of the slice before, whoever's it was, to the end of one of its own, at quantum 1.
    pub(crate) switch: Distribution,
}

impl Watched {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        let Watched { slice, lateness, turnaround, wakeup } = self;
        [slice, lateness, turnaround, wakeup].into_iter().for_each(Distribution::clear);
    }
}

impl PerModule {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        let PerModule { slice, turnaround, switch } = self;
        [slice, turnaround, switch].into_iter().for_each(Distribution::clear);
    }
}

/// Numbers in nanoseconds, one for each run.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerRun {
    /// The whole run, as it was asked for.
    pub(crate) preempted: Vec<u64>,
    /// The whole run, each task in one slice; empty where tasks do not end by themselves.
    pub(crate) unpreempted: Vec<u64>,
    /// The whole run without metering; empty where metering is needed.
    pub(crate) unmetered: Vec<u64>,
    /// From the first spawn to the last end, watched.
    pub(crate) completion: Vec<u64>,
    /// The run's median of a switch.
    pub(crate) switch: Vec<u64>,
    /// The run's median of a slice.
    pub(crate) slice: Vec<u64>,
    /// The run's median of a turnaround.
    pub(crate) turnaround: Vec<u64>,
    /// The run's median of a wake-up.
    pub(crate) wakeup: Vec<u64>,
}

/// What a run did; the same in every run, where nothing comes in from outside.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Fuel used.
    pub(crate) fuel: u64,
    /// Context switches.
    pub(crate) switches: u64,
    /// Tasks.
    pub(crate) tasks: u64,
}

/// The work at one quantum.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// The quantum.
    pub(crate) quantum: u64,
    /// The whole run, in nanoseconds, for each round.
    pub(crate) took: Vec<u64>,
    /// The longest slice of any round, in nanoseconds.
    pub(crate) longest_slice: u64,
    /// The longest time that a task was ready and not picked, in nanoseconds.
    pub(crate) longest_wait: u64,
}

/// What measures: the work, and what it is measured with.
pub(crate) struct Lab<'a> {
    /// What is run.
    pub(crate) work: &'a Work,
    /// Makes the time stamps.
    pub(crate) clock: Clock,
    /// The quanta of the curve.
    pub(crate) quanta: &'a [u64],
    /// How many modules are told apart.
    pub(crate) modules: usize,
    /// The processor's counters, or why there are none.
    pub(crate) counters: Result<Counters, String>,
    /// Where each slice goes, if it is asked for.
    pub(crate) samples: Option<Samples>,
    /// The flag that Ctrl-C raises.
    pub(crate) interrupted: &'a AtomicBool,
    /// Who has watched, and can again.
    pub(crate) idle: Idle,
    /// Shows how far it came, in runs.
    pub(crate) bar: ProgressBar,
}

/// Watchers that have nothing to watch.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// Around every slice.
    probes: Vec<Probe>,
    /// After every slice.
    switches: Vec<Switches>,
}

/// What one round came to.
struct Round {
    /// The run that nobody watched.
    plain: RunOnce<()>,
    /// What the processor counted meanwhile, or why it did not.
    counts: Result<Counts, String>,
    /// Who watched the same.
    probe: Probe,
    /// Who watched it at quantum 1.
    switches: Switches,
    /// The run unpreempted and unmetered, where that can be.
    others: [Option<u64>; 2],
    /// For each quantum how long it took, the longest slice, and the longest wait.
    curve: Vec<[u64; 3]>,
}

/// Nothing if somebody interrupted; else what was found.
type Unless<T> = Result<Option<T>>;

impl Lab<'_> {
    /// Nothing measured yet.
    pub(crate) fn nothing(&self) -> Measured {
        let point = |&quantum: &u64| Point { quantum, took: Vec::new(), longest_slice: 0, longest_wait: 0 };
        Measured {
            switch: Distribution::default(),
            watched: Watched::default(),
            modules: vec![PerModule::default(); self.modules],
            runs: PerRun::default(),
            last: Totals::default(),
            counts: self.counters.as_ref().map(|_| Vec::new()).map_err(Clone::clone),
            curve: self.quanta.iter().map(point).collect(),
        }
    }

    /// Runs the work in all ways, and adds that to what was measured; says whether nobody interrupted. What an interrupt cut short is not counted.
    pub(crate) fn round(&mut self, measured: &mut Measured, run: u32) -> Result<bool> {
        let round = self.all_ways()?;
        let sampled = self.sample(run)?;
        let (Some(round), true) = (round, sampled) else {
            return Ok(false);
        };
        measured.keep(&round);
        self.idle.probes.push(round.probe);
        self.idle.switches.push(round.switches);
        Ok(true)
    }

    /// Runs the work in all ways.
    fn all_ways(&mut self) -> Unless<Round> {
        let work = self.work;
        // Those that nobody watches come one after the other, each after a run for nothing that warms its caches: their times are compared.
        self.plain(&work.plan, &work.metered)?;
        let (plain, counts) = self.counted();
        let Some(plain) = plain? else { return Ok(None) };
        let others = if plain.by_themselves { self.other_ways()? } else { Some([None, None]) };
        let Some(others) = others else { return Ok(None) };
        let Some(probe) = self.watched(&work.plan)? else { return Ok(None) };
        let Some(switches) = self.switches()? else { return Ok(None) };
        let quanta = self.quanta;
        let curve = quanta.iter().map(|quantum| self.at_quantum(*quantum)).collect::<Unless<Vec<_>>>()?;
        Ok(curve.map(|curve| Round { plain, counts, probe, switches, others, curve }))
    }

    /// How many runs are in a round, if all ways can be gone.
    pub(crate) fn runs_in_a_round(&self) -> u64 {
        let others = if self.work.unmetered.is_some() { 4 } else { 0 };
        4 + others + u64::from(self.samples.is_some()) + 2 * self.quanta.len() as u64
    }

    /// One run, after which the bar moves on.
    fn run<O: Observer + Default>(
        &self,
        plan: &Plan,
        jobs: &[Job],
        observer: O,
        most_polls: Option<u64>,
    ) -> Unless<RunOnce<O>> {
        let run = work::run(plan, jobs, observer, most_polls, self.interrupted)?;
        self.bar.inc(1);
        Ok(run.finished.then_some(run))
    }

    /// One run that nobody watches.
    fn plain(&self, plan: &Plan, jobs: &[Job]) -> Unless<RunOnce<()>> {
        self.run(plan, jobs, (), None)
    }

    /// One run that nobody watches, after another that does not count.
    fn warm(&self, plan: &Plan, jobs: &[Job]) -> Unless<RunOnce<()>> {
        self.plain(plan, jobs)?;
        self.plain(plan, jobs)
    }

    /// One run that nobody but the processor watches.
    fn counted(&mut self) -> (Unless<RunOnce<()>>, Result<Counts, String>) {
        let (work, interrupted) = (self.work, self.interrupted);
        let run = || {
            let run = work::run(&work.plan, &work.metered, (), None, interrupted)?;
            Ok(run.finished.then_some(run))
        };
        let counted = match &mut self.counters {
            Ok(counters) => counters.count(run),
            Err(why) => (run(), Err(why.clone())),
        };
        self.bar.inc(1);
        counted
    }

    /// One run with the clock read around every slice.
    fn watched(&mut self, plan: &Plan) -> Unless<Probe> {
        let idle = self.idle.probes.pop().map(Probe::forgetful);
        let probe = idle.unwrap_or_else(|| Probe::new(self.clock.clone(), self.modules));
        let run = self.run(plan, &self.work.metered, Some(probe), None)?;
        Ok(run.and_then(|run| run.observer))
    }

    /// One run at quantum 1 with the clock read after every slice.
    fn switches(&mut self) -> Unless<Switches> {
        let plan = self.work.with_quantum(1);
        let idle = self.idle.switches.pop().map(Switches::forgetful);
        let switches = idle.unwrap_or_else(|| Switches::new(self.clock.clone(), self.modules));
        let run = self.run(&plan, &self.work.metered, Some(switches), Some(MOST_SWITCHES))?;
        Ok(run.and_then(|run| run.observer))
    }

    /// The work unpreempted and unmetered, where that can be.
    fn other_ways(&self) -> Unless<[Option<u64>; 2]> {
        let Some((unmetered, _)) = &self.work.unmetered else {
            return Ok(Some([None, None]));
        };
        let metered = self.warm(&self.work.unpreempted(), &self.work.metered)?;
        let free = self.warm(&self.work.unlimited(), unmetered)?;
        let both = metered.zip(free);
        Ok(both.map(|(metered, free)| [Some(nanos(metered.took)), Some(nanos(free.took))]))
    }

    /// How long the work takes at a quantum, its longest slice, and its longest wait.
    fn at_quantum(&mut self, quantum: u64) -> Unless<[u64; 3]> {
        let plan = self.work.with_quantum(quantum);
        let Some(plain) = self.plain(&plan, &self.work.metered)? else { return Ok(None) };
        let Some(probe) = self.watched(&plan)? else { return Ok(None) };
        let found = [nanos(plain.took), probe.found.slice.0.max(), probe.longest_wait];
        self.idle.probes.push(probe);
        Ok(Some(found))
    }

    /// One run each slice of which goes to the file, if there is one and this run counts; says whether nobody interrupted.
    fn sample(&mut self, run: u32) -> Result<bool> {
        let clock = self.clock.clone();
        let Some(samples) = self.samples.as_mut().filter(|_| run > 0) else {
            return Ok(true);
        };
        let sampler = samples.watch(&clock, run);
        let run = work::run(&self.work.plan, &self.work.metered, sampler, None, self.interrupted)?;
        samples.take_back(run.observer)?;
        self.bar.inc(1);
        Ok(run.finished)
    }
}

impl Measured {
    /// Keeps what a whole round came to.
    fn keep(&mut self, round: &Round) {
        let Round { plain, counts, probe, switches, others: [unpreempted, unmetered], curve } = round;
        let (all, one, runs) = (&mut self.watched, &probe.found, &mut self.runs);
        for (all, one, medians) in [
            (&mut all.slice, &one.slice, &mut runs.slice),
            (&mut all.turnaround, &one.turnaround, &mut runs.turnaround),
            (&mut all.wakeup, &one.wakeup, &mut runs.wakeup),
            (&mut self.switch, &switches.switch, &mut runs.switch),
        ] {
            all.merge(one);
            medians.extend(one.median());
        }
        all.lateness.merge(&one.lateness);
        for (all, (watched, switch)) in self.modules.iter_mut().zip(probe.modules.iter().zip(&switches.modules)) {
            all.slice.merge(&watched.slice);
            all.turnaround.merge(&watched.turnaround);
            all.switch.merge(switch);
        }
        for (point, [took, slice, wait]) in self.curve.iter_mut().zip(curve) {
            point.took.push(*took);
            point.longest_slice = point.longest_slice.max(*slice);
            point.longest_wait = point.longest_wait.max(*wait);
        }
        runs.unpreempted.extend(unpreempted);
        runs.unmetered.extend(unmetered);
        runs.completion.push(probe.completion);
        runs.preempted.push(nanos(plain.took));
        self.last = Totals { fuel: plain.fuel.0, switches: plain.switches, tasks: plain.tasks };
        self.count(counts.clone());
    }

    /// Keeps what the processor counted; nothing of it once it did not.
    fn count(&mut self, counts: Result<Counts, String>) {
        match (&mut self.counts, counts) {
            (Ok(all), Ok(one)) => all.push(one),
            (all @ Ok(_), Err(why)) => *all = Err(why),
            (Err(_), _) => {}
        }
    }

    /// The distributions that have anything, by name.
    pub(crate) fn distributions(&self) -> Vec<(&'static str, &Distribution)> {
        let Watched { slice, lateness, turnaround, wakeup } = &self.watched;
        let all = [
            ("switch_ns", &self.switch),
            ("slice_ns", slice),
            ("lateness_fuel", lateness),
            ("turnaround_ns", turnaround),
            ("wakeup_ns", wakeup),
        ];
        all.into_iter().filter(|(_, distribution)| !distribution.0.is_empty()).collect()
    }
}

impl PerRun {
    /// The numbers, by name.
    pub(crate) fn named(&self) -> [(&'static str, &Vec<u64>); 7] {
        [
            ("preempted_ns", &self.preempted),
            ("unpreempted_ns", &self.unpreempted),
            ("unmetered_ns", &self.unmetered),
            ("switch_ns", &self.switch),
            ("slice_ns", &self.slice),
            ("turnaround_ns", &self.turnaround),
            ("wakeup_ns", &self.wakeup),
        ]
    }
}

/// The median; 0 of nothing.
pub(crate) fn median(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0,
        n if n % 2 == 1 => sorted[middle],
        _ => sorted[middle - 1].midpoint(sorted[middle]),
    }
}
