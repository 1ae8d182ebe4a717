//! A policy for measuring memory: whoever is ready has its turn, one slice at quantum 1, and nobody pays for what it used too much. So all come
//! equally far, counted in slices. It is as unfair in fuel as a module likes: one that fills a memory in each slice has all the time.

use fuelsched::policy::{Pick, Policy, Run};
use fuelsched::reason::{Param, Params, PickReason, ReadyReason};
use fuelsched::{Fuel, Result, SliceEnd, TaskId};
use std::collections::VecDeque;

/// Turns of one slice.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Who is ready, in the order in which they became so.
    line: VecDeque<TaskId>,
    /// Who was picked last, if it is not in the line again.
    picked: Option<TaskId>,
}

impl Policy for Turns {
    fn name(&self) -> &'static str {
        "turns"
    }

    fn admit(&mut self, _id: TaskId, _params: &Params) -> Result<()> {
        Ok(())
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        self.line.push_back(id);
    }

    fn pick(&mut self, _now: Fuel) -> Pick {
        self.picked = self.line.pop_front();
        self.picked.map_or(Pick::Empty, |id| Pick::Run(Run { id, grant: Fuel(1), why: PickReason::Turn }))
    }

    fn charge(&mut self, id: TaskId, _used: Fuel, end: SliceEnd) {
        if let SliceEnd::Preempted | SliceEnd::Yielded = end {
            self.line.push_back(id);
            self.picked = None;
        }
    }

    fn leave(&mut self, id: TaskId) {
        // Who ends in its own slice is not in the line: there is nothing to look for among a million.
        if self.picked != Some(id) {
            self.line.retain(|other| *other != id);
        }
    }

    fn set(&mut self, _id: TaskId, _param: Param) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuelsched::trace::{Observer, Slice};
    use fuelsched::{Executor, Outcome, Task};
    use std::future::poll_fn;
    use std::task::Poll;

    /// Keeps who ran.
    #[derive(Default)]
    struct Who(Vec<u64>);

    impl Observer for Who {
        fn slice(&mut self, slice: &Slice) {
            self.0.push(slice.spawn_index);
        }
    }

    /// A task that uses so much in each of so many slices.
    fn using(fuel: u64, mut slices: u32) -> Task {
        Task::from_future(move |meter| {
            poll_fn(move |_| {
                meter.record(meter.used().plus(Fuel(fuel)));
                slices -= 1;
                if slices == 0 { Poll::Ready(Outcome::Returned(Vec::new())) } else { Poll::Pending }
            })
        })
    }

    #[test]
    fn nobody_pays_for_an_overshoot_and_who_is_killed_is_gone() {
        let mut sched = Executor::builder().policy(Turns::default()).observer(Who::default()).build();
        let ids = [(1_000_000, 3), (1, 4), (5, 2), (1, 9)].map(|(fuel, slices)| sched.spawn(using(fuel, slices)));
        for _ in 0..4 {
            let _ = sched.step();
        }
        sched.kill(*ids[3].as_ref().expect("spawned")).expect("it lives");
        sched.run();
        assert_eq!(sched.observer().0, [0, 1, 2, 3, 0, 1, 2, 0, 1, 1]);
    }
}
