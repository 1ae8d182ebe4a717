//! Where time comes from: the system's monotonic clock, or one that a test or a simulation moves by hand.
//!
//! Scheduling itself runs on fuel and reads no clock; time is for [`Budget::time`](crate::Budget::time) and for
//! [`policy::Timed`](crate::policy::Timed).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A source of time since some fixed moment.
#[derive(Clone, Debug)]
pub struct Clock(Source);

/// The two sources.
#[derive(Clone, Debug)]
enum Source {
    /// The system's clock, counted from this moment.
    Monotonic(Instant),
    /// Nanoseconds, moved only by [`Clock::advance`] and shared by all clones.
    Virtual(Arc<AtomicU64>),
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
        Clock(Source::Virtual(Arc::default()))
    }

    /// The time since the clock was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::Monotonic(origin) => origin.elapsed(),
            Source::Virtual(nanos) => Duration::from_nanos(nanos.load(Ordering::Relaxed)),
        }
    }

    /// Moves a manual clock, and all its clones, forward; says whether it did, because the system's clock cannot be moved.
    pub fn advance(&self, by: Duration) -> bool {
        match &self.0 {
            Source::Monotonic(_) => false,
            Source::Virtual(nanos) => {
                let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
                nanos.fetch_add(by, Ordering::Relaxed);
                true
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::monotonic()
    }
}
