//! Time, as a guest sees it.
//!
//! The monotonic clock is the executor's, real or virtual, and begins with it. The wall clock is the system's, and recorded where somebody records; or
//! it is the executor's, counted from a moment of the embedder's choice. The two clocks of processor time are not supported: fuel is what a
//! guest's work is measured in here.

use super::abi::Errno;
use super::call::Call;
use crate::ledger::Meter;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The number of the wall clock.
const REALTIME: u32 = 0;
/// The number of the monotonic clock.
const MONOTONIC: u32 = 1;

/// What the wall clock shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wall {
    /// The system's time.
    System,
    /// This, since 1970, when the executor's clock shows zero.
    From(Duration),
}

impl Wall {
    /// The time since 1970.
    pub(super) fn now(self, meter: &Meter) -> Duration {
        match self {
            Wall::System => Duration::from_nanos(meter.take_in(|| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                whole_nanos(since)
            })),
            Wall::From(start) => start.saturating_add(meter.now()),
        }
    }
}

/// A time in nanoseconds; the largest there is, if it is further away.
pub(super) fn whole_nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Call<'_> {
    /// `clock_res_get`: a nanosecond.
    pub(super) fn clock_res_get(&mut self, id: u32, resolution: u32) -> Result<(), Errno> {
        match id {
            REALTIME | MONOTONIC => self.memory.write_u64(resolution, 1),
            _ => Err(Errno::Inval),
        }
    }

    /// `clock_time_get`. The precision is whatever the guest says: a clock is read anew each time.
    pub(super) fn clock_time_get(&mut self, id: u32, _precision: u64, time: u32) -> Result<(), Errno> {
        let now = self.clock(id)?;
        self.memory.write_u64(time, whole_nanos(now))
    }

    /// What a clock shows.
    fn clock(&self, id: u32) -> Result<Duration, Errno> {
        match id {
            REALTIME => Ok(self.wasi.wall.now(self.meter)),
            MONOTONIC => Ok(self.meter.now()),
            _ => Err(Errno::Inval),
        }
    }

    /// The moment on the executor's clock at which a timeout is over.
    pub(super) fn moment(&self, id: u32, timeout: u64, absolute: bool) -> Result<Duration, Errno> {
        let timeout = Duration::from_nanos(timeout);
        match (id, absolute) {
            (MONOTONIC, true) => Ok(timeout),
            (REALTIME, true) => {
                let left = timeout.saturating_sub(self.wasi.wall.now(self.meter));
                Ok(self.meter.now().saturating_add(left))
            }
            (REALTIME | MONOTONIC, false) => Ok(self.meter.now().saturating_add(timeout)),
            _ => Err(Errno::Inval),
        }
    }
}
