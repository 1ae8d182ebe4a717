//! How long a run lasts: in fuel, in polls, in time.

use crate::unit::Fuel;
use std::time::Duration;

/// How long [`Executor::run_for`](crate::Executor::run_for) runs. Several limits can be given; the first that is reached ends the run.
///
/// ```
/// # use fuelsched::{Budget, Fuel};
/// # use std::time::Duration;
/// let frame = Budget::fuel(50_000).or_time(Duration::from_millis(2));
/// # let _ = frame;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Fuel to be charged.
    pub(crate) fuel: Option<Fuel>,
    /// Polls to be made.
    pub(crate) polls: Option<u64>,
    /// Time to pass.
    pub(crate) time: Option<Duration>,
}

impl Budget {
    /// Until this much fuel is spent. The last slice is granted what is left, so the run is over by one overshoot at most. A task
    /// whose slice is cut short so goes on with the same turn in the next run.
    #[must_use]
    pub const fn fuel(fuel: u64) -> Budget {
        Budget::unlimited().or_fuel(fuel)
    }

    /// Until this many polls are made.
    #[must_use]
    pub const fn polls(polls: u64) -> Budget {
        Budget::unlimited().or_polls(polls)
    }

    /// Until this much time has passed on the executor's clock, which is read when the run begins and after each slice.
    ///
    /// A slice cannot be stopped while it runs, so each is granted what is expected to fit: the executor learns how long the fuel of each
    /// task takes ([`Pace`](crate::pace::Pace)), and no slice is meant to last longer than a 32nd of the time, or half of what is left of it, or a
    /// millisecond. A turn that is cut short so goes on with the next slice. The run ends a little early, when less is left than a 128th or 20 µs, because
    /// the next slice may be wrong by as much. It ends late by what the last slice takes longer than expected: a guest that becomes dearer all of a
    /// sudden, or one operation that lasts long by itself (filling megabytes, a host function).
    ///
    /// Where the schedule is cut depends on the machine and on what else it does, so such a run is not reproducible. What depends
    /// on fuel alone stays as it is: what each task uses, and what it returns. A recording of the run keeps each decision, and replays it.
    #[must_use]
    pub const fn time(time: Duration) -> Budget {
        Budget::unlimited().or_time(time)
    }

    /// Until there is nothing to run.
    #[must_use]
    pub const fn unlimited() -> Budget {
        Budget { fuel: None, polls: None, time: None }
    }

    /// Also at most this much fuel, as in [`Budget::fuel`].
    #[must_use]
    pub const fn or_fuel(mut self, fuel: u64) -> Budget {
        self.fuel = Some(Fuel(fuel));
        self
    }

    /// Also at most this many polls.
    #[must_use]
    pub const fn or_polls(mut self, polls: u64) -> Budget {
        self.polls = Some(polls);
        self
    }

    /// Also at most this much time, as in [`Budget::time`].
    #[must_use]
    pub const fn or_time(mut self, time: Duration) -> Budget {
        self.time = Some(time);
        self
    }
}
