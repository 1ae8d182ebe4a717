//! How random tasks behave, under whatever policy.

use fuelsched::reason::Param;
use fuelsched::{Fuel, Outcome, Task};
use proptest::prelude::*;
use std::future::poll_fn;
use std::task::Poll;

/// What a task does in one poll.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Uses its grant and so much more.
    Past(u64),
    /// Uses so much of its grant, at most all, and gives the rest away.
    Yield(u64),
}

/// A task that does these in its polls, in turn, and ends after so many of them.
pub(super) fn acting(acts: Vec<Act>, polls: u64) -> Task {
    let (mut acts, mut left) = (acts.into_iter().cycle(), polls);
    Task::from_future(move |meter| {
        poll_fn(move |_| {
            if left == 0 {
                return Poll::Ready(Outcome::Returned(Vec::new()));
            }
            left -= 1;
            let used = match acts.next() {
                Some(Act::Past(more)) => meter.grant().plus(Fuel(more)),
                Some(Act::Yield(some)) => {
                    meter.yielding();
                    meter.grant().min(Fuel(some))
                }
                None => Fuel::ZERO,
            };
            meter.record(meter.used().plus(used));
            Poll::Pending
        })
    })
}

/// How a random task behaves.
#[derive(Clone, Debug)]
pub(super) struct Conduct {
    /// Its quantum.
    pub(super) quantum: u64,
    /// What it does in its polls, in turn.
    pub(super) acts: Vec<Act>,
    /// After how many polls it ends.
    pub(super) polls: u64,
    /// How long after its spawning it can first run.
    pub(super) delay: u64,
    /// Its allowance: amount and period.
    pub(super) allowance: Option<(u64, u64)>,
}

impl Conduct {
    /// The task, if it is spawned now.
    pub(super) fn task(&self, now: Fuel) -> Task {
        let task = acting(self.acts.clone(), self.polls).param(Param::Quantum(Fuel(self.quantum)));
        let task = task.start_at(now.plus(Fuel(self.delay))).detached();
        match self.allowance {
            Some((amount, period)) => task.replenishing(Fuel(amount), Fuel(period)),
            None => task,
        }
    }
}

/// Quanta.
pub(super) fn quantum() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(1_000_u64), 1 => 1..20_u64, 2 => 1..5_000_u64]
}

/// How tasks behave that do these things.
pub(super) fn conduct(
    acts: impl Strategy<Value = Vec<Act>>,
    polls: impl Strategy<Value = u64>,
    allowance: impl Strategy<Value = Option<(u64, u64)>>,
) -> impl Strategy<Value = Conduct> {
    let delay = prop_oneof![4 => Just(0), 1 => 0..20_000_u64];
    (quantum(), acts, polls, delay, allowance).prop_map(|(quantum, acts, polls, delay, allowance)| Conduct {
        quantum,
        acts,
        polls,
        delay,
        allowance,
    })
}
