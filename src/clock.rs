//! Where time comes from: the system's monotonic clock, one that goes by fuel, or one that a test or a simulation moves by hand.
//!
//! Scheduling itself runs on fuel and reads no clock; time is for tasks that sleep or ask what time it is, for
//! [`Budget::time`](crate::Budget::time), and for [`policy::Timed`](crate::policy::Timed).

use crate::unit::Fuel;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A source of time since some fixed moment.
#[derive(Clone, Debug)]
pub struct Clock(Source);

/// The sources.
#[derive(Clone, Debug)]
enum Source {
    /// The system's clock, counted from this moment.
    Monotonic(Instant),
    /// Nanoseconds, moved only by [`Clock::advance`] and shared by all clones.
    Manual(Arc<AtomicU64>),
    /// Nanoseconds, which are the fuel of the executor that goes by it.
    Simulated(Arc<AtomicU64>),
}

impl Clock {
    /// The system's monotonic clock.
    #[must_use]
    pub fn monotonic() -> Clock {
        Clock(Source::Monotonic(Instant::now()))
    }

    /// A clock that stands at zero until [`Clock::advance`] moves it. Clones show the same time.
    #[must_use]
    pub fn manual() -> Clock {
        Clock(Source::Manual(Arc::default()))
    }

    /// A clock that goes by fuel: it is the virtual clock of its executor ([`Executor::now`](crate::Executor::now)), of which one unit is a nanosecond.
    ///
    /// Time passes while guests compute, the same in every run, and when nobody can run it jumps to the next moment at which somebody can: an
    /// hour of sleeping is over at once. Each such clock, with its clones, is for one executor.
    #[must_use]
    pub fn simulated() -> Clock {
        Clock(Source::Simulated(Arc::default()))
    }

    /// The time since the clock was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::Monotonic(origin) => origin.elapsed(),
            Source::Manual(nanos) | Source::Simulated(nanos) => Duration::from_nanos(nanos.load(Ordering::Relaxed)),
        }
    }

    /// Moves a manual clock, and all its clones, forward; says whether it did, because other clocks cannot be moved.
    pub fn advance(&self, by: Duration) -> bool {
        match &self.0 {
            Source::Monotonic(_) | Source::Simulated(_) => false,
            Source::Manual(nanos) => {
                let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
                nanos.fetch_add(by, Ordering::Relaxed);
                true
            }
        }
    }

    /// Whether it goes by fuel.
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        matches!(self.0, Source::Simulated(_))
    }

    /// Whether waiting makes it go on.
    pub(crate) const fn runs_by_itself(&self) -> bool {
        matches!(self.0, Source::Monotonic(_))
    }

    /// Sets a clock that goes by fuel.
    #[inline(always)]
    pub(crate) fn follow(&self, now: Fuel) {
        if let Source::Simulated(nanos) = &self.0 {
            nanos.store(now.0, Ordering::Relaxed);
        }
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::monotonic()
    }
}
