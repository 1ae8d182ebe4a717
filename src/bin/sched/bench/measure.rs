//! What is collected: distributions over all slices of all runs, and a number for each run.

use super::work::{self, RunOnce, Work};
use anyhow::Result;
use fuelsched::reason::PickReason;
use fuelsched::trace::{Ended, Observer, Slice, Spawned};
use fuelsched::{Fuel, SliceEnd, TaskId};
use hdrhistogram::Histogram;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

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
    fn add(&mut self, value: u64) {
        self.0.saturating_record(value);
    }

    /// Adds a time in nanoseconds.
    fn add_time(&mut self, time: Duration) {
        self.add(nanos(time));
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
    /// The length of a slice.
    pub(crate) slice: Distribution,
    /// Fuel used past the grant, of slices that were preempted.
    pub(crate) lateness: Distribution,
    /// From the spawn of a task to its end.
    pub(crate) turnaround: Distribution,
    /// A number for each run.
    pub(crate) runs: PerRun,
    /// What the last run used and did.
    pub(crate) last: Totals,
    /// The quantum curve.
    pub(crate) curve: Vec<Point>,
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
    /// The run's median of a switch.
    pub(crate) switch: Vec<u64>,
    /// The run's median of a slice.
    pub(crate) slice: Vec<u64>,
    /// The run's median of a turnaround.
    pub(crate) turnaround: Vec<u64>,
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
}

/// Reads the clock around every slice.
#[derive(Debug, Default)]
struct Probe {
    /// When the present slice began.
    slice_began: Option<Instant>,
    /// When each task was spawned, by its place in that order.
    spawned: Vec<Instant>,
    /// Lengths of slices.
    slice: Distribution,
    /// Fuel past the grant.
    lateness: Distribution,
    /// From spawn to end.
    turnaround: Distribution,
}

impl Observer for Probe {
    fn spawned(&mut self, _task: &Spawned) {
        self.spawned.push(Instant::now());
    }

    fn picked(&mut self, _id: TaskId, _grant: Fuel, _why: PickReason) {
        self.slice_began = Some(Instant::now());
    }

    fn slice(&mut self, slice: &Slice) {
        if let Some(began) = self.slice_began {
            self.slice.add_time(began.elapsed());
        }
        if slice.end == SliceEnd::Preempted {
            self.lateness.add(slice.overshoot().0);
        }
    }

    fn ended(&mut self, task: &Ended) {
        let spawned = usize::try_from(task.spawn_index).ok().and_then(|index| self.spawned.get(index));
        if let Some(spawned) = spawned {
            self.turnaround.add_time(spawned.elapsed());
        }
    }
}

/// Reads the clock at the end of every slice.
#[derive(Debug, Default)]
struct Switches {
    /// When the slice before ended, if it was preempted.
    last_end: Option<Instant>,
    /// From end to end.
    switch: Distribution,
}

impl Observer for Switches {
    fn slice(&mut self, slice: &Slice) {
        // The first slice of a task makes its instance, and the last one tears it down: more than a switch.
        let whole = slice.end == SliceEnd::Preempted && slice.number > 1;
        let now = Instant::now();
        if let (Some(last), true) = (self.last_end, whole) {
            self.switch.add_time(now - last);
        }
        // Read again, so that recording the duration is not part of the next.
        self.last_end = whole.then(Instant::now);
    }
}

impl Measured {
    /// Nothing yet.
    pub(crate) fn new(quanta: &[u64]) -> Measured {
        let point = |&quantum: &u64| Point { quantum, took: Vec::new(), longest_slice: 0 };
        Measured {
            switch: Distribution::default(),
            slice: Distribution::default(),
            lateness: Distribution::default(),
            turnaround: Distribution::default(),
            runs: PerRun::default(),
            last: Totals::default(),
            curve: quanta.iter().map(point).collect(),
        }
    }

    /// Runs the work in all ways; says whether nobody interrupted. What an interrupt cut short is not counted.
    pub(crate) fn round(&mut self, work: &Work, interrupted: &AtomicBool) -> Result<bool> {
        // Once for nothing: the way that comes first would find the caches cold, and the others warm.
        work::run(&work.plan, &work.metered, (), None, interrupted)?;
        let plain = work::run(&work.plan, &work.metered, (), None, interrupted)?;
        let timed = work::run(&work.plan, &work.metered, Probe::default(), None, interrupted)?;
        let at_one = work.with_quantum(1);
        let switching = work::run(&at_one, &work.metered, Switches::default(), Some(MOST_SWITCHES), interrupted)?;
        let others = if plain.by_themselves { other_ways(work, interrupted)? } else { Some([None, None]) };
        let (Some([unpreempted, unmetered]), true) = (others, plain.finished && timed.finished && switching.finished)
        else {
            return Ok(false);
        };
        let curve = self.curve.iter().map(|point| at_quantum(work, point.quantum, interrupted));
        let Some(curve) = curve.collect::<Result<Option<Vec<_>>>>()? else {
            return Ok(false);
        };
        for (point, (took, longest)) in self.curve.iter_mut().zip(curve) {
            point.took.push(took);
            point.longest_slice = point.longest_slice.max(longest);
        }
        self.runs.unpreempted.extend(unpreempted);
        self.runs.unmetered.extend(unmetered);
        self.keep(&plain, &timed.observer, &switching.observer);
        Ok(true)
    }

    /// Keeps what a whole round came to.
    fn keep(&mut self, plain: &RunOnce<()>, timed: &Probe, switching: &Switches) {
        let pairs = [
            (&mut self.slice, &timed.slice, &mut self.runs.slice),
            (&mut self.turnaround, &timed.turnaround, &mut self.runs.turnaround),
            (&mut self.switch, &switching.switch, &mut self.runs.switch),
        ];
        for (all, one, medians) in pairs {
            // Of the same bounds, so that nothing is refused.
            let _ = all.0.add(&one.0);
            if !one.0.is_empty() {
                medians.push(one.0.value_at_quantile(0.5));
            }
        }
        let _ = self.lateness.0.add(&timed.lateness.0);
        self.runs.preempted.push(nanos(plain.took));
        self.last = Totals { fuel: plain.fuel.0, switches: plain.switches, tasks: plain.tasks };
    }

    /// The distributions, by name.
    pub(crate) fn distributions(&self) -> [(&'static str, &Distribution); 4] {
        [
            ("switch_ns", &self.switch),
            ("slice_ns", &self.slice),
            ("lateness_fuel", &self.lateness),
            ("turnaround_ns", &self.turnaround),
        ]
    }
}

/// The work unpreempted and unmetered, where that can be; nothing, if somebody interrupted.
fn other_ways(work: &Work, interrupted: &AtomicBool) -> Result<Option<[Option<u64>; 2]>> {
    let Some((unmetered, _)) = &work.unmetered else {
        return Ok(Some([None, None]));
    };
    let plan = work.unpreempted();
    let metered = work::run(&plan, &work.metered, (), None, interrupted)?;
    let free = work::run(&work.unlimited(), unmetered, (), None, interrupted)?;
    let both = metered.finished && free.finished;
    Ok(both.then(|| [Some(nanos(metered.took)), Some(nanos(free.took))]))
}

/// How long the work takes at a quantum, and its longest slice; nothing, if somebody interrupted.
fn at_quantum(work: &Work, quantum: u64, interrupted: &AtomicBool) -> Result<Option<(u64, u64)>> {
    let plan = work.with_quantum(quantum);
    let plain = work::run(&plan, &work.metered, (), None, interrupted)?;
    let timed = work::run(&plan, &work.metered, Probe::default(), None, interrupted)?;
    let both = plain.finished && timed.finished;
    Ok(both.then(|| (nanos(plain.took), timed.observer.slice.0.max())))
}

impl PerRun {
    /// The numbers, by name.
    pub(crate) fn named(&self) -> [(&'static str, &Vec<u64>); 6] {
        [
            ("preempted_ns", &self.preempted),
            ("unpreempted_ns", &self.unpreempted),
            ("unmetered_ns", &self.unmetered),
            ("switch_ns", &self.switch),
            ("slice_ns", &self.slice),
            ("turnaround_ns", &self.turnaround),
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
