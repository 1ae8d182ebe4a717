//! Numbers as they are written, on the command line and in plans: fuel, times, sizes.

use bytesize::ByteSize;
use std::time::Duration;

/// The most fuel that anything takes: more than anything can use, and far enough from overflow.
pub(crate) const MOST_FUEL: u64 = 1 << 62;

/// The most tasks that a run takes, copies counted.
pub(crate) const MOST_TASKS: u64 = 1_000_000;

/// The sizes that a stack may have.
const STACKS: std::ops::RangeInclusive<usize> = 16 << 10..=256 << 20;

/// What is allowed for a time.
pub(crate) const A_TIME: &str = "a time longer than zero, such as 2s or 500ms";

/// What is allowed for a size.
pub(crate) const A_SIZE: &str = "a size such as 64KiB, 256MiB or a number of bytes";

/// What is allowed for a size of stack.
pub(crate) const A_STACK: &str = "a size from 16KiB to 256MiB";

/// A whole number in digits, with `_` between them where that helps: `10000`, `10_000`.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// A time that is not zero and not longer than a clock can tell.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let time = humantime::parse_duration(text).ok()?;
    (!time.is_zero() && u64::try_from(time.as_nanos()).is_ok()).then_some(time)
}

/// Whether a text is a time of zero: `0ms`, where it may be.
pub(crate) fn no_time(text: &str) -> bool {
    humantime::parse_duration(text).is_ok_and(|time| time.is_zero())
}

/// A size of memory.
pub(crate) fn size(text: &str) -> Option<usize> {
    let size = text.replace('_', "").parse::<ByteSize>().ok()?;
    usize::try_from(size.as_u64()).ok()
}

/// A size of stack.
pub(crate) fn stack(text: &str) -> Option<usize> {
    size(text).filter(|size| STACKS.contains(size))
}

/// A duration in nanoseconds.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
