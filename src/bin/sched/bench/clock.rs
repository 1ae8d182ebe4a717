//! Time stamps: from the processor's cycle counter where that is sound, and otherwise from the system's clock.
//!
//! It is sound where the kernel itself keeps time by that counter: then it goes on at one rate whatever the processor does, and is the same on all
//! of them. `quanta` looks once more whether the processor says so, and finds the rate. The counter is read without a fence: the processor may
//! read it some instructions early or late, which is a few nanoseconds.

use super::measure::{median, nanos};
use std::fs;
use std::hint::black_box;
use std::time::Instant;

/// The clocks by which a kernel keeps time and that are such counters.
const COUNTERS: [&str; 2] = ["tsc", "arch_sys_counter"];

/// Where Linux says by which clock it keeps time.
const KERNELS: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// What time stamps are made by.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Source);

/// The source of a clock.
#[derive(Clone, Debug)]
enum Source {
    /// The cycle counter.
    Counter(quanta::Clock),
    /// The system's clock, counted from then.
    System(Instant),
    /// Moved by hand.
    #[cfg(test)]
    Manual(std::sync::Arc<std::sync::atomic::AtomicU64>),
}

/// A moment; only its clock knows how long it is to another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp(u64);

impl Clock {
    /// The best that there is. Finding the counter's rate takes some milliseconds.
    pub(crate) fn new() -> Clock {
        let trusted = fs::read_to_string(KERNELS).is_ok_and(|name| COUNTERS.contains(&name.trim()));
        let counter = trusted.then(quanta::Clock::new).filter(is_counter);
        Clock(counter.map_or_else(|| Source::System(Instant::now()), Source::Counter))
    }

    /// Now.
    pub(crate) fn now(&self) -> Stamp {
        match &self.0 {
            Source::Counter(clock) => Stamp(clock.raw()),
            Source::System(from) => Stamp(nanos(from.elapsed())),
            #[cfg(test)]
            Source::Manual(now) => Stamp(now.load(std::sync::atomic::Ordering::Relaxed)),
        }
    }

    /// Nanoseconds from one moment to another; 0 if it was before.
    pub(crate) fn between(&self, from: Stamp, to: Stamp) -> u64 {
        match &self.0 {
            Source::Counter(clock) => clock.delta_as_nanos(from.0, to.0),
            _ => to.0.saturating_sub(from.0),
        }
    }

    /// What it reads, as reports name it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.0 {
            Source::Counter(_) => "cycle counter",
            _ => "system's clock",
        }
    }

    /// What one reading takes, in nanoseconds: the median of many, by the system's clock.
    pub(crate) fn reading(&self) -> u64 {
        let read = |_| {
            let began = Instant::now();
            for _ in 0..100 {
                black_box(self.now());
            }
            nanos(began.elapsed()).div_ceil(100)
        };
        median(&(0..1_000).map(read).collect::<Vec<_>>())
    }
}

/// Whether `quanta` reads the counter, and not the system's clock: then what it scales it counts from when it found the rate, so that all
/// moments before that are one.
fn is_counter(clock: &quanta::Clock) -> bool {
    clock.scaled(0) == clock.scaled(1)
}

#[cfg(test)]
impl Clock {
    /// One that is moved by hand.
    pub(crate) fn manual(now: &std::sync::Arc<std::sync::atomic::AtomicU64>) -> Clock {
        Clock(Source::Manual(now.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_go_forward_and_never_back() {
        for clock in [Clock::new(), Clock(Source::System(Instant::now()))] {
            let (before, after) = (clock.now(), clock.now());
            assert_eq!(clock.between(after, before), 0, "{}", clock.name());
            assert!(clock.between(before, after) < u64::MAX / 2);
        }
    }

    #[test]
    fn both_sources_measure_the_same_span() {
        let (one, other) = (Clock::new(), Clock(Source::System(Instant::now())));
        let began = (other.now(), one.now());
        std::thread::sleep(std::time::Duration::from_millis(5));
        let ended = (one.now(), other.now());
        // The second began first and ended last, whatever the machine is busy with; its rate may be found to a thousandth.
        let (inner, outer) = (one.between(began.1, ended.0), other.between(began.0, ended.1));
        assert!(inner > 0 && inner <= outer + outer / 100, "{inner} {outer}");
    }
}
