//! Medians, and how far to trust them.

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

/// The middle of some values, with the half of them that is nearest to it.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    /// A quarter of the values is less.
    pub(crate) low: f64,
    /// Half of them is less.
    pub(crate) median: f64,
    /// Three quarters are less.
    pub(crate) high: f64,
}

impl Spread {
    /// Of these values.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.collect();
        Spread {
            low: quantile(&mut values, 0.25),
            median: quantile(&mut values, 0.5),
            high: quantile(&mut values, 0.75),
        }
    }
}

/// A median, and where it lies with 95 % confidence.
#[derive(Clone, Copy)]
pub(crate) struct Estimate {
    /// Lower end.
    pub(crate) low: f64,
    /// The median.
    pub(crate) median: f64,
    /// Upper end.
    pub(crate) high: f64,
}

impl Estimate {
    /// Of values that come in groups: all rounds with one set of futures share that set's luck with addresses.
    ///
    /// Percentile bootstrap in two stages: groups are drawn with replacement, and values within each. So the interval is that of a
    /// repetition with new sets, and not merely of one with new rounds. (A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application",
    /// 1997, section 3.8.)
    pub(crate) fn of(groups: &[Vec<f64>]) -> Estimate {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut sample = Vec::new();
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                sample.clear();
                for _ in groups {
                    let group = random.pick(groups);
                    sample.extend(group.iter().map(|_| *random.pick(group)));
                }
                quantile(&mut sample, 0.5)
            })
            .collect();
        let mut all = groups.concat();
        Estimate {
            low: quantile(&mut medians, 0.025),
            median: quantile(&mut all, 0.5),
            high: quantile(&mut medians, 0.975),
        }
    }
}

/// The value that this part of the values lies below.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    let place = ((values.len() - 1) as f64 * part).round() as usize;
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}

/// A xorshift generator: the same draws in every run. (G. Marsaglia, "Xorshift RNGs", 2003.)
struct Random(u64);

impl Random {
    /// One of these.
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        &from[(self.0 % from.len() as u64) as usize]
    }
}
