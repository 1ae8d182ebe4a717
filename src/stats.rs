//! Distributions: percentiles of many durations, in constant memory.

use hdrhistogram::Histogram;
use std::fmt;
use std::time::Duration;

/// A distribution of durations in nanoseconds, kept to three significant digits.
#[derive(Clone)]
pub struct Durations(Histogram<u64>);

/// The usual percentiles of a [`Durations`], in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Percentiles {
    /// How many durations there were.
    pub count: u64,
    /// The shortest.
    pub min: u64,
    /// Half were at most this.
    pub p50: u64,
    /// Nine in ten were at most this.
    pub p90: u64,
    /// 99 in 100 were at most this.
    pub p99: u64,
    /// 999 in 1000 were at most this.
    pub p99_9: u64,
    /// The longest.
    pub max: u64,
}

impl Durations {
    /// An empty distribution, for durations of up to an hour.
    #[must_use]
    pub fn new() -> Durations {
        let hour = 3_600_000_000_000;
        // The bounds are constants that `hdrhistogram` documents as valid: 1 <= low, 2 * low <= high, at most 5 digits.
        Durations(Histogram::new_with_bounds(1, hour, 3).expect("constant bounds"))
    }

    /// Adds a duration; one of more than an hour counts as an hour.
    pub fn add(&mut self, duration: Duration) {
        self.0.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The percentiles.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.0.len(),
            min: self.0.min(),
            p50: self.0.value_at_quantile(0.5),
            p90: self.0.value_at_quantile(0.9),
            p99: self.0.value_at_quantile(0.99),
            p99_9: self.0.value_at_quantile(0.999),
            max: self.0.max(),
        }
    }
}

impl Default for Durations {
    fn default() -> Durations {
        Durations::new()
    }
}

impl fmt::Debug for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Durations").field(&self.percentiles()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_one_to_a_thousand() {
        let mut durations = Durations::new();
        (1..=1000).for_each(|n| durations.add(Duration::from_nanos(n)));
        let p = durations.percentiles();
        assert_eq!((p.count, p.min, p.p50, p.p90, p.p99, p.p99_9, p.max), (1000, 1, 500, 900, 990, 999, 1000));
    }

    #[test]
    fn more_than_an_hour_is_an_hour() {
        let mut durations = Durations::new();
        durations.add(Duration::from_secs(1 << 40));
        assert!(durations.percentiles().max >= 3_600_000_000_000);
    }
}
