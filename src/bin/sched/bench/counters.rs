//! Hardware counters over the unwatched runs: what the processor did for this thread in user mode, where the kernel lets it be counted.
//!
//! The four are one group, so that all count the same instructions. Where the processor has too few counters for that, or somebody else has
//! them, the kernel counts in turns or not at all; what was not counted from the beginning to the end is not reported.

#[cfg(target_os = "linux")]
pub(crate) use linux::Counters;
use serde::Serialize;

/// What was counted in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Cycles of the processor.
    pub(crate) cycles: u64,
    /// Instructions that were retired.
    pub(crate) instructions: u64,
    /// Reads and writes that missed the last cache.
    pub(crate) cache_misses: u64,
    /// Branches that went the other way than predicted.
    pub(crate) branch_misses: u64,
}

/// Why there is nothing: the kernel's error, in words.
#[cfg(target_os = "linux")]
fn refusal(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    const LEVEL: &str = "/proc/sys/kernel/perf_event_paranoid";
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Unsupported => {
            format!("this machine shows none, as virtual machines often do not: {error}")
        }
        ErrorKind::PermissionDenied => {
            let level = std::fs::read_to_string(LEVEL).map_or("unknown".into(), |level| level.trim().to_string());
            format!("the kernel does not allow it: {LEVEL} is {level} ({error})")
        }
        _ => format!("the kernel refuses: {error}"),
    }
}

/// Counting by the kernel's `perf_event_open`.
#[cfg(target_os = "linux")]
mod linux {
    use super::{Counts, refusal};
    use perf_event::events::{Event, Hardware};
    use perf_event::{Builder, Counter, Group};
    use std::io;
    use std::time::Duration;

    /// Why a run has no counts although the kernel gave counters.
    const IN_TURNS: &str = "the processor has too few free counters to count all four at once";

    /// The counters, not counting yet.
    ///
    /// The leader of the group is started and stopped, and the others with it: they are enabled from the beginning. Starting each of them, as
    /// [`Group::enable`] does, has Linux 6.18 count them only from its next switch of tasks on.
    pub(crate) struct Counters {
        /// What starts and stops all of them.
        group: Group,
        /// One for each number, in the order of [`Counts`].
        members: [Counter; 4],
    }

    impl Counters {
        /// The counters of this thread, or why there are none.
        pub(crate) fn new() -> Result<Counters, String> {
            use Hardware as H;
            Counters::of([H::CPU_CYCLES, H::INSTRUCTIONS, H::CACHE_MISSES, H::BRANCH_MISSES])
                .map_err(|error| refusal(&error))
        }

        /// Counters of these events.
        fn of<E: Event>(events: [E; 4]) -> io::Result<Counters> {
            let mut group = Group::new()?;
            let [a, b, c, d] = events.map(|event| group.add(Builder::new(event).enabled(true)));
            Ok(Counters { members: [a?, b?, c?, d?], group })
        }

        /// Counts what `work` does, or says why not.
        pub(crate) fn count<T>(&mut self, work: impl FnOnce() -> T) -> (T, Result<Counts, String>) {
            let began = self.group.reset().and_then(|()| self.group.as_counter_mut().enable());
            let done = work();
            let counts = began.and_then(|()| self.group.as_counter_mut().disable()).and_then(|()| self.read());
            (done, counts.map_err(|error| refusal(&error)).and_then(|counts| counts.ok_or_else(|| IN_TURNS.into())))
        }

        /// What was counted; nothing, if that was not all the time.
        fn read(&mut self) -> io::Result<Option<Counts>> {
            let data = self.group.read()?;
            let whole = data.time_enabled() == data.time_running() && data.time_running() > Some(Duration::ZERO);
            let [cycles, instructions, cache_misses, branch_misses] =
                self.members.each_ref().map(|member| data.get(member).map_or(0, |entry| entry.value()));
            Ok((whole && cycles > 0).then_some(Counts { cycles, instructions, cache_misses, branch_misses }))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use perf_event::events::Software;

        #[test]
        fn a_group_counts_what_is_done_between_its_start_and_its_end() {
            // The kernel's own events, which a virtual machine has, too. This one counts nanoseconds.
            let Ok(mut counters) = Counters::of([Software::TASK_CLOCK; 4]) else {
                return;
            };
            let mut ran = Duration::ZERO;
            for round in 0..5 {
                let (done, counts) = counters.count(|| (0..100_000_u64).fold(0, |a, b| std::hint::black_box(a ^ b)));
                let counts = counts.expect("nobody else has them");
                let until = counters.group.read().expect("there").time_running().expect("asked for");
                // From 0 each time, and all four from the beginning to the end: not only since the kernel's last look at them.
                let of = until - ran;
                let all = [counts.cycles, counts.instructions, counts.cache_misses, counts.branch_misses];
                let whole = |ns: &u64| (of / 2..of * 2).contains(&Duration::from_nanos(*ns));
                assert!(done < 1 << 17 && all.iter().all(whole), "round {round}: {counts:?} of {of:?}");
                ran = until;
            }
        }

        #[test]
        fn a_refusal_is_said_in_words() {
            let words = |kind: io::ErrorKind| refusal(&io::Error::from(kind));
            assert!(words(io::ErrorKind::NotFound).contains("this machine shows none"));
            assert!(words(io::ErrorKind::PermissionDenied).contains("perf_event_paranoid is "));
            assert!(words(io::ErrorKind::OutOfMemory).contains("the kernel refuses"));
        }
    }
}

/// There are none here.
#[cfg(not(target_os = "linux"))]
pub(crate) enum Counters {}

#[cfg(not(target_os = "linux"))]
impl Counters {
    /// Says why there are none.
    pub(crate) fn new() -> Result<Counters, String> {
        Err("on this system it is not known how".into())
    }

    /// Nobody calls it.
    pub(crate) fn count<T>(&mut self, _work: impl FnOnce() -> T) -> (T, Result<Counts, String>) {
        match *self {}
    }
}
