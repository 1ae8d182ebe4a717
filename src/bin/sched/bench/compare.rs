//! What `--save` writes, and what `--compare` makes of two such files.
//!
//! A number is compared by the ratio of its medians over the runs. Its interval is found by the bootstrap: runs are drawn from both sides
//! with replacement, many times, by a generator with a fixed seed, and the middle 95 % of the ratios are the interval. It says slower or
//! faster where the interval does not hold 1 and the ratio differs from 1 by more than a hundredth.

use super::files;
use super::measure::{Lab, Measured, median};
use crate::args::Format;
use crate::machine::Machine;
use crate::output;
use crate::run::engine_name;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What the file says that it is.
const KIND: &str = "sched bench";

/// How often runs are drawn.
const DRAWS: usize = 2_000;

/// Runs on each side below which nothing is said.
const FEWEST_RUNS: usize = 5;

/// What is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// What it is.
    kind: String,
    /// The version of this form.
    schema: u32,
    /// What ran the guests.
    engine: String,
    /// What it ran on.
    machine: Machine,
    /// What was run, as far as numbers depend on it.
    settings: BTreeMap<String, String>,
    /// For each number its value in each run, in nanoseconds.
    samples: BTreeMap<String, Vec<u64>>,
}

/// The comparison, whole.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// The version of this form.
    schema: u32,
    /// What is not the same on both sides, beside the numbers.
    warnings: Vec<String>,
    /// A row for each number that both have.
    rows: Vec<Row>,
}

/// One number compared.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    /// Its name.
    what: String,
    /// The median before.
    before: u64,
    /// The median now.
    now: u64,
    /// Now by before.
    ratio: f64,
    /// The interval of the ratio, 95 %; nothing with too few runs.
    interval: Option<[f64; 2]>,
    /// What that comes to.
    verdict: Verdict,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// It takes less time.
    Faster,
    /// It takes more.
    Slower,
    /// Neither can be said.
    NoChange,
    /// There are too few runs to say anything.
    TooFewRuns,
}

impl Verdict {
    /// The word for it.
    const fn name(self) -> &'static str {
        match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::NoChange => "no change",
            Verdict::TooFewRuns => "too few runs",
        }
    }
}

impl Saved {
    /// What was measured, to be kept.
    pub(crate) fn new(lab: &Lab<'_>, measured: &Measured) -> Saved {
        let work = lab.work;
        let tasks = work.metered.iter().map(|job| format!("{} {}", job.name, job.entry)).collect::<Vec<_>>();
        let hashes = work.plan.modules.iter().filter_map(|module| module.sha256.clone()).collect::<Vec<_>>();
        let settings = [
            ("policy", work.plan.policy.written()),
            ("quantum", work.plan.quantum.to_string()),
            ("tasks", tasks.join(", ")),
            ("arguments", work.plan.tasks.iter().flat_map(|task| task.args.clone()).collect::<Vec<_>>().join(", ")),
            ("modules", hashes.join(", ")),
            ("clock", lab.clock.name().into()),
        ];
        let samples = measured.runs.named().into_iter().filter(|(_, numbers)| !numbers.is_empty());
        Saved {
            kind: KIND.into(),
            schema: 1,
            engine: engine_name(),
            machine: Machine::here(),
            settings: settings.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            samples: samples.map(|(name, numbers)| (name.into(), numbers.clone())).collect(),
        }
    }

    /// Reads what was written.
    pub(crate) fn read(path: &str) -> Result<Saved> {
        let text = fs::read_to_string(path).with_context(|| path.to_string())?;
        let tree: serde_json::Value = serde_json::from_str(&text)
            .with_context(|| format!("{path}: this is not what sched bench --save writes"))?;
        ensure!(tree["kind"] == KIND, "{path}: this is not what sched bench --save writes");
        ensure!(tree["schema"] == 1, "{path}: it was written by another version of sched; measure again");
        serde_json::from_value(tree).with_context(|| format!("{path}: this is not what sched bench --save writes"))
    }

    /// Writes it.
    pub(crate) fn write(&self, path: &str) -> Result<()> {
        let text = serde_json::to_string(self)? + "\n";
        files::write_whole(Path::new(path), text.as_bytes())
    }

    /// This, compared with what was before.
    pub(crate) fn against(&self, before: &Saved) -> Comparison {
        let both = self.samples.iter().filter_map(|(what, now)| Some((what, before.samples.get(what)?, now)));
        let rows = both.map(|(what, before, now)| Row::new(what, before, now)).collect();
        Comparison { schema: 1, warnings: self.differences(before), rows }
    }

    /// What is not the same on both sides.
    fn differences(&self, before: &Saved) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.machine != before.machine {
            warnings.push(format!(
                "another machine or build: before, {}; now, {}",
                before.machine.line(),
                self.machine.line()
            ));
        }
        if self.engine != before.engine {
            warnings.push(format!("another engine: before, {}; now, {}", before.engine, self.engine));
        }
        let none = String::from("nothing");
        for (name, now) in &self.settings {
            let then = before.settings.get(name).unwrap_or(&none);
            if then != now {
                warnings.push(format!("another setting, {name}: before, {then}; now, {now}"));
            }
        }
        warnings
    }
}

impl Row {
    /// A number compared.
    fn new(what: &str, before: &[u64], now: &[u64]) -> Row {
        let ratio = ratio(now, before);
        let enough = before.len().min(now.len()) >= FEWEST_RUNS;
        let interval = enough.then(|| interval(before, now));
        let verdict = match interval {
            None => Verdict::TooFewRuns,
            Some([_, high]) if high < 1.0 && ratio < 0.99 => Verdict::Faster,
            Some([low, _]) if low > 1.0 && ratio > 1.01 => Verdict::Slower,
            Some(_) => Verdict::NoChange,
        };
        Row { what: what.into(), before: median(before), now: median(now), ratio, interval, verdict }
    }

    /// The row of a table.
    fn cells(&self) -> Vec<String> {
        let interval = self.interval.map_or("-".into(), |[low, high]| format!("{low:.3} to {high:.3}"));
        let times = [self.before, self.now].map(output::nanos);
        let [before, now] = times;
        vec![self.what.clone(), before, now, format!("{:.3}", self.ratio), interval, self.verdict.name().into()]
    }
}

/// The ratio of two medians.
fn ratio(now: &[u64], before: &[u64]) -> f64 {
    median(now).max(1) as f64 / median(before).max(1) as f64
}

/// The middle 95 % of the ratios of medians of runs drawn from both sides.
fn interval(before: &[u64], now: &[u64]) -> [f64; 2] {
    let mut seed = 1;
    let mut draw = |from: &[u64]| -> Vec<u64> { from.iter().map(|_| from[below(&mut seed, from.len())]).collect() };
    let mut ratios: Vec<f64> = (0..DRAWS).map(|_| ratio(&draw(now), &draw(before))).collect();
    ratios.sort_by(f64::total_cmp);
    [ratios[DRAWS / 40], ratios[DRAWS - 1 - DRAWS / 40]]
}

/// A number below another, by SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn below(seed: &mut u64, bound: usize) -> usize {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
}

impl Comparison {
    /// The comparison in a form.
    pub(crate) fn render(&self, format: Format) -> Result<String> {
        Ok(match format {
            Format::Json => serde_json::to_string_pretty(self)? + "\n",
            Format::Human => self.table(),
        })
    }

    /// The comparison for people.
    pub(crate) fn table(&self) -> String {
        let header = ["compared", "before", "now", "ratio", "95 % interval", "verdict"];
        let text = output::table(&header, self.rows.iter().map(Row::cells), &[1, 2, 3, 4]);
        self.warnings.iter().fold(text, |text, warning| text + &format!("warning: {}\n", output::clean(warning)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_no_change() {
        let runs = [100, 103, 99, 101, 100, 104];
        assert_eq!(Row::new("x", &runs, &runs).verdict, Verdict::NoChange);
    }

    #[test]
    fn twice_is_slower_and_half_is_faster() {
        let (runs, twice) = ([100, 103, 99, 101, 100, 104], [200, 206, 198, 202, 200, 208]);
        let slower = Row::new("x", &runs, &twice);
        assert_eq!((slower.verdict, slower.before, slower.now), (Verdict::Slower, 100, 201));
        assert_eq!(Row::new("x", &twice, &runs).verdict, Verdict::Faster);
    }

    #[test]
    fn a_few_runs_say_nothing() {
        assert_eq!(Row::new("x", &[1, 1, 1, 1], &[9; 9]).verdict, Verdict::TooFewRuns);
        assert_eq!(Row::new("x", &[], &[]).verdict, Verdict::TooFewRuns);
    }

    #[test]
    fn less_than_a_hundredth_is_no_change() {
        assert_eq!(Row::new("x", &[10_000; 9], &[10_050; 9]).verdict, Verdict::NoChange);
        assert_eq!(Row::new("x", &[10_000; 9], &[10_150; 9]).verdict, Verdict::Slower);
    }
}
