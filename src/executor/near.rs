//! Many tasks: what the next ones touch is brought near while one runs.
//!
//! A switch touches some thirty lines of memory that are the task's own: its slot and meter, the top of its stack, parts of its store. With ten tasks they are
//! all in the processor's nearest cache. With a thousand they are not, and waiting for one after the other takes longer than all the rest of
//! the switch. But a policy knows who comes next, and a slice takes long enough to fetch all of it:
//!
//! ```text
//!   now running     next               the one after         the third
//!   ─────────────────────────────────────────────────────────────────────
//!                   stack, store  ◄──  meter            ◄──  slot
//!                   (addresses in the  (address in the       (by its index)
//!                   meter)             slot)
//! ```
//!
//! Each step needs an address that the one before has fetched in time, so three tasks are looked ahead. What it gains, and from how many tasks on, is in
//! `docs/benchmarks.md`.

use super::{Executor, Slot, State};
use crate::near::{Fetch, Lines};
use crate::policy::Policy;
use crate::trace::Observer;

/// From so many tasks on it gains more than it costs.
pub(super) const MANY: usize = 256;

/// Where nothing is known of the tasks' memory.
pub(super) const NOTHING: Fetch = |_| {};

impl<P: Policy, O: Observer> Executor<P, O> {
    /// Brings near what the next tasks will touch.
    #[inline(never)]
    pub(super) fn look_ahead(&self) {
        let [next, second, third] = self.policy.upcoming().map(|index| self.slots.get(index as usize));
        let [stack, store] = match next {
            Some(Slot { state: State::Live(task), .. }) => task.meter.footprint(),
            _ => Default::default(),
        };
        let meter = match second {
            Some(Slot { state: State::Live(task), .. }) => Lines::of(&*task.meter),
            _ => Lines::default(),
        };
        (self.fetch)(&[stack, store, meter, third.map(Lines::of).unwrap_or_default()]);
    }
}
