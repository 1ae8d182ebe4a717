//! Who waits at one end of a channel, in the order of arrival, and whose turn it is.
//!
//! At the receiving end there are so many messages to be had, at the sending end so much room. In one word, so many *places*.
//!
//! ```text
//!            ① wait                 ② call: a place more              ③ enter: the place is used
//!   arrives ─────────► waiting ─────────────────────────► called ──────────────────────────► gone
//!      │                  │ ④ leave: dropped, killed         │ ④ leave, and the next is called
//!      │                  └───────────► gone ◄───────────────┘
//!      └──────── ③ enter, where there are more places than are called: nobody waits ──────────► gone
//! ```
//!
//! **The invariant.** Of those in the line the first are called, as many as there are places: `called = min(places, waiting + called)`. So
//! whoever arrives and finds more places than are called finds nobody waiting, and may enter; everybody else waits behind those that came before.
//! Nobody overtakes.
//!
//! **No lost wake.** A call is not a place that was handed over, it is the right to take one. Whoever was called and leaves without having entered,
//! because its task was killed between the wake and the poll, hands the call on (④): the place is still there, and the next is woken for it.
//!
//! All operations are O(log n), however many wait.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Waker};

/// A line at one end of a channel.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Those that wait, by the number of their arrival, and how to wake them.
    waiting: BTreeMap<u64, Waker>,
    /// Those whose turn it is. Each was woken when it was called.
    called: BTreeSet<u64>,
    /// The number of the next arrival.
    next: u64,
}

/// What is to be done with wakers once no lock is held: a waker is somebody else's code.
#[derive(Debug, Default)]
pub(super) struct Afterwards {
    /// To be woken.
    wake: Vec<Waker>,
    /// To be dropped, no more.
    drop: Vec<Waker>,
}

impl Afterwards {
    /// Does it.
    pub(super) fn run(self) {
        self.wake.into_iter().for_each(Waker::wake);
        drop(self.drop);
    }
}

impl Line {
    /// ③ Whether the one with this number, or a newcomer, may take one of so many places.
    pub(super) fn admits(&self, number: Option<u64>, places: usize) -> bool {
        match number {
            Some(number) => self.called.contains(&number),
            None => places > self.called.len(),
        }
    }

    /// ③ The place is used, by the one with this number or by a newcomer.
    pub(super) fn enter(&mut self, number: &mut Option<u64>) {
        if let Some(number) = number.take() {
            self.called.remove(&number);
        }
    }

    /// ① Waits, behind all who came before; keeps its place if it waits already.
    pub(super) fn wait(&mut self, number: &mut Option<u64>, cx: &Context<'_>, after: &mut Afterwards) {
        let number = *number.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.waiting.get_mut(&number) {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            Some(waker) => after.drop.push(std::mem::replace(waker, cx.waker().clone())),
            None => {
                self.waiting.insert(number, cx.waker().clone());
            }
        }
    }

    /// ② There is a place more: calls the one who has waited longest.
    pub(super) fn call(&mut self, after: &mut Afterwards) {
        if let Some((number, waker)) = self.waiting.pop_first() {
            self.called.insert(number);
            after.wake.push(waker);
        }
    }

    /// ④ Leaves without having entered.
    pub(super) fn leave(&mut self, number: &mut Option<u64>, after: &mut Afterwards) {
        let Some(number) = number.take() else {
            return;
        };
        after.drop.extend(self.waiting.remove(&number));
        if self.called.remove(&number) {
            self.call(after);
        }
    }

    /// Sends everybody away: there will be no more places. Each is woken, and finds that out.
    pub(super) fn dismiss(&mut self, after: &mut Afterwards) {
        self.called.clear();
        after.wake.extend(std::mem::take(&mut self.waiting).into_values());
    }

    /// Wakes all who wait, who keep their places. Each waits anew when it is polled.
    pub(super) fn stir(&mut self, after: &mut Afterwards) {
        let wakers = self.waiting.values_mut().map(|waker| std::mem::replace(waker, Waker::noop().clone()));
        after.wake.extend(wakers);
    }

    /// How many are in line.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.called.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What may happen to a line.
    #[derive(Clone, Copy, Debug)]
    enum Deed {
        /// Somebody comes, and enters or waits.
        Arrive,
        /// There is a place more.
        Place,
        /// Somebody in line enters, if it may.
        Enter(usize),
        /// Somebody in line leaves.
        Leave(usize),
        /// All are stirred.
        Stir,
    }

    /// A random deed.
    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            4 => Just(Deed::Arrive),
            3 => Just(Deed::Place),
            4 => (0..6_usize).prop_map(Deed::Enter),
            2 => (0..6_usize).prop_map(Deed::Leave),
            1 => Just(Deed::Stir),
        ]
    }

    /// Whether the invariant holds: the first are called, as many as there are places.
    fn is_sound(line: &Line, places: usize) -> bool {
        let (called, waits) = (line.called.last(), line.waiting.keys().next());
        line.called.len() == places.min(line.len()) && called.zip(waits).is_none_or(|(called, waits)| called < waits)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_first_are_called_as_many_as_there_are_places(deeds in prop::collection::vec(deed(), 1..200)) {
            let (mut line, mut places, mut queue) = (Line::default(), 0, Vec::new());
            let cx = Context::from_waker(Waker::noop());
            for deed in deeds {
                let mut after = Afterwards::default();
                match deed {
                    Deed::Arrive if line.admits(None, places) => {
                        line.enter(&mut None);
                        places -= 1;
                    }
                    Deed::Arrive => {
                        let mut number = None;
                        line.wait(&mut number, &cx, &mut after);
                        queue.push(number);
                    }
                    Deed::Place => {
                        places += 1;
                        line.call(&mut after);
                    }
                    Deed::Enter(i) if queue.get(i).is_some_and(|number| line.admits(*number, places)) => {
                        line.enter(&mut queue.remove(i));
                        places -= 1;
                    }
                    Deed::Leave(i) if i < queue.len() => line.leave(&mut queue.remove(i), &mut after),
                    Deed::Stir => line.stir(&mut after),
                    Deed::Enter(_) | Deed::Leave(_) => {}
                }
                after.run();
                prop_assert!(is_sound(&line, places), "{:?} and {} places after {:?}", line, places, deed);
                prop_assert_eq!(line.len(), queue.len());
            }
        }
    }
}
