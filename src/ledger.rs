//! What a task has used, and why it stopped: the cell through which guest and executor speak of fuel, and the account that the executor keeps.
//!
//! ```text
//!   executor                      Meter                        guest (the call hook, inside the poll)
//!   ───────────────────────────────────────────────────────────────────────────────────────────────
//!   begin(grant)  ──────────►  grant, slice + 1  ──────────►  sees a new slice: sets Wasmtime's interval
//!   poll ───────────────────────────────────────────────────►  runs
//!   used(), cause ◄──────────  used, cause       ◄──────────  record(used) before it yields
//! ```
//!
//! The executor knows futures and not Wasmtime, the guest knows Wasmtime and not the executor; they meet here.

use crate::control::Mailbox;
use crate::join::Join;
use crate::near::Lines;
use crate::outside::{Outside, Taped};
use crate::reason::{BlockedOn, Message};
use crate::unit::Fuel;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The cell that a task's future and its executor share.
///
/// All of it is written by one thread at a time, the one that polls; the atomics make the future `Send`, and relaxed loads and
/// stores of them are plain moves.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Meter {
    /// Fuel used since the task began, as of the last time that it could be read.
    used: AtomicU64,
    /// Fuel granted for the present slice.
    grant: AtomicU64,
    /// How many slices have begun. A guest that sees another number than before has been polled anew.
    slice: AtomicU64,
    /// What `used` was when the present slice began.
    began: AtomicU64,
    /// Where the guest's stack was left: an address, or 0.
    stack: AtomicUsize,
    /// Where the guest's store is: an address, or 0.
    store: AtomicUsize,
    /// Why the future is about to return `Pending`, if it said so: a [`Cause`].
    cause: AtomicU8,
    /// Whether a host function has charged something, or has been `Pending`, since the hook last settled up.
    unsettled: AtomicBool,
    /// Where the executor asks for what is in the guest's memory; there for inspectable tasks alone.
    mailbox: OnceLock<Box<Mailbox>>,
    /// What goes beyond a slice; there for tasks that call their host.
    outside: OnceLock<Box<Outside>>,
}

/// Why a future was `Pending`. A number, so that a switch compares one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause(u8);

impl Cause {
    /// Its fuel ran out, or it did not say.
    pub(crate) const UNSAID: Cause = Cause(0);
    /// It gave the rest of its slice away.
    pub(crate) const YIELDED: Cause = Cause(1);
    /// It waits.
    pub(crate) const BLOCKED: Cause = Cause(2);
    /// Host work has used up the slice, and goes on in the next one.
    pub(crate) const GAVE_WAY: Cause = Cause(3);
}

/// The executor's side.
impl Meter {
    /// Begins a slice of `grant` fuel. For whoever polls the future; an [`Executor`](crate::Executor) does it by itself.
    #[inline]
    pub fn begin(&self, grant: Fuel) {
        let slice = self.slice.load(Ordering::Relaxed);
        self.slice.store(slice + 1, Ordering::Relaxed);
        self.grant.store(grant.0, Ordering::Relaxed);
        self.began.store(self.used.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Why the future was `Pending`; forgotten once read.
    #[inline]
    pub(crate) fn take_cause(&self) -> Cause {
        let cause = self.cause.load(Ordering::Relaxed);
        if cause != Cause::UNSAID.0 {
            self.cause.store(Cause::UNSAID.0, Ordering::Relaxed);
        }
        Cause(cause)
    }

    /// The memory that the task's next slice will touch first. The numbers of lines are what a switch was seen to touch (`docs/benchmarks.md`);
    /// wrong ones would cost time, and nothing else.
    #[inline(always)]
    pub(crate) fn footprint(&self) -> [Lines; 2] {
        let [stack, store] = [&self.stack, &self.store].map(|address| address.load(Ordering::Relaxed));
        [Lines::around(stack, -2, 13), Lines::around(store, -5, 7)]
    }

    /// Says where the guest's store is.
    pub(crate) fn set_store(&self, address: usize) {
        self.store.store(address, Ordering::Relaxed);
    }

    /// Says where the guest's stack is left.
    #[inline(always)]
    pub(crate) fn set_stack(&self, address: usize) {
        self.stack.store(address, Ordering::Relaxed);
    }

    /// Makes the mailbox of an inspectable task.
    pub(crate) fn open_mailbox(&self) {
        self.mailbox.get_or_init(Box::default);
    }

    /// The mailbox, if the task is inspectable.
    pub(crate) fn mailbox(&self) -> Option<&Mailbox> {
        self.mailbox.get().map(|mailbox| &**mailbox)
    }

    /// Makes what goes beyond a slice.
    pub(crate) fn open_outside(&self) {
        self.outside.get_or_init(|| Box::new(Outside::new()));
    }

    /// What goes beyond a slice, if the task calls its host.
    pub(crate) fn outside(&self) -> Option<&Outside> {
        self.outside.get().map(|outside| &**outside)
    }
}

/// Fuel.
impl Meter {
    /// The number of the present slice, counted from 1; 0 before the first.
    #[inline]
    #[must_use]
    pub fn slice(&self) -> u64 {
        self.slice.load(Ordering::Relaxed)
    }

    /// Fuel granted for the present slice.
    #[inline]
    #[must_use]
    pub fn grant(&self) -> Fuel {
        Fuel(self.grant.load(Ordering::Relaxed))
    }

    /// Fuel used since the task began.
    #[inline]
    #[must_use]
    pub fn used(&self) -> Fuel {
        Fuel(self.used.load(Ordering::Relaxed))
    }

    /// Fuel used in the present slice.
    #[inline]
    #[must_use]
    pub fn used_in_slice(&self) -> Fuel {
        self.used().minus(Fuel(self.began.load(Ordering::Relaxed)))
    }

    /// Whether the present slice has used what it was granted.
    #[must_use]
    pub fn slice_is_spent(&self) -> bool {
        self.used_in_slice() >= self.grant()
    }

    /// Says that the task has used `total` fuel since it began. For the future.
    #[inline]
    pub fn record(&self, total: Fuel) {
        self.used.store(total.0, Ordering::Relaxed);
    }

    /// Charges the task for work that its host does. For functions that guests call: it is in the exact account at once, and the guest is
    /// preempted when the call returns, if that was the rest of its slice.
    pub fn charge(&self, cost: Fuel) {
        self.used.store(self.used().plus(cost).0, Ordering::Relaxed);
        if let Some(outside) = self.outside() {
            outside.owe(cost);
        }
        self.unsettled.store(true, Ordering::Relaxed);
    }

    /// Whether the hook has something to settle.
    #[inline]
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// What was charged since the last time, to be settled now.
    pub(crate) fn take_owed(&self) -> Fuel {
        self.unsettled.store(false, Ordering::Relaxed);
        self.outside().map_or(Fuel::ZERO, Outside::take_owed)
    }

    /// Fuel that the task may still use in all; `None` if there is no limit. An [`Executor`](crate::Executor) knows, of a task that calls its host.
    #[must_use]
    pub fn budget_left(&self) -> Option<Fuel> {
        let budget = self.outside().map_or(Fuel::MAX, Outside::budget);
        (budget < Fuel::MAX).then(|| budget.minus(self.used()))
    }
}

/// Why the future is `Pending`. For the future, which says it just before.
impl Meter {
    /// Says that the `Pending` that follows gives the rest of the slice away.
    pub fn yielding(&self) {
        self.say(Cause::YIELDED);
    }

    /// Says that the `Pending` that follows waits for this: the task is polled again once its waker has been woken, or at the moment that
    /// [`Meter::wake_at`] has named.
    ///
    /// Said of what is [inside](BlockedOn::is_inside), it also says that one clone of the waker is held where only another task of the same executor finds
    /// it. When that is all that is held of all tasks' wakers, they are deadlocked.
    pub fn blocking(&self, on: BlockedOn) {
        let inside = usize::from(on.is_inside());
        self.wait(on, inside);
    }

    /// As [`Meter::blocking`], for the end of a task, which may not yet have its place in the order of spawning.
    pub(crate) fn joining(&self, join: &Join) {
        self.blocking(join.blocked_on());
        if let (None, Some(outside)) = (join.spawn_index(), self.outside()) {
            outside.ask(|asked| asked.end_of = Some(join.clone()));
        }
    }

    /// As [`Meter::blocking`], where somebody outside the executor can end the wait, though it is for a channel or a task.
    pub fn blocking_outside(&self, on: BlockedOn) {
        self.wait(on, 0);
    }

    /// Notes what the future waits for.
    fn wait(&self, on: BlockedOn, inside: usize) {
        self.cause.store(Cause::BLOCKED.0, Ordering::Relaxed);
        if let Some(outside) = self.outside() {
            outside.ask(|asked| {
                (asked.on, asked.end_of) = (Some(on), None);
                asked.inside += inside;
            });
        }
    }

    /// Asks to be polled again at this moment of the executor's clock, if nothing wakes the task before; of several moments named in one poll the
    /// first counts. Says whether somebody will see to it, which is so under an [`Executor`](crate::Executor).
    pub fn wake_at(&self, at: Duration) -> bool {
        let Some(outside) = self.outside() else {
            return false;
        };
        outside.ask(|asked| asked.until = Some(asked.until.map_or(at, |until| until.min(at))));
        outside.is_attached()
    }

    /// A future of a host function is done: nothing that it said of waits on its way is so any more.
    pub(crate) fn done_in_host(&self) {
        self.say(Cause::UNSAID);
    }

    /// Says something else than that the task waits. What was said last in a poll counts, so a wait that was spoken of before is none.
    fn say(&self, cause: Cause) {
        if self.cause.swap(cause.0, Ordering::Relaxed) == Cause::BLOCKED.0
            && let Some(outside) = self.outside()
        {
            outside.ask(|asked| (asked.on, asked.end_of, asked.inside, asked.until) = (None, None, 0, None));
        }
    }

    /// Says that the `Pending` that follows is a preemption.
    pub(crate) fn giving_way(&self) {
        self.say(Cause::GAVE_WAY);
    }

    /// A wait for something inside, of which this slice was told, is given up in the same slice, and its waker dropped.
    pub(crate) fn waits_no_more(&self) {
        if let Some(outside) = self.outside() {
            outside.ask(|asked| asked.inside = asked.inside.saturating_sub(1));
        }
    }

    /// A future of a host function is `Pending`. If it has not said why it waits, or it has used up the slice.
    pub(crate) fn pending_in_host(&self, name: &Arc<str>) {
        if self.cause.load(Ordering::Relaxed) == Cause::UNSAID.0 {
            if self.slice_is_spent() {
                self.giving_way();
            } else {
                self.blocking(BlockedOn::Function(name.clone()));
            }
        }
        self.unsettled.store(true, Ordering::Relaxed);
        if let Some(mailbox) = self.mailbox() {
            mailbox.wait_in_host();
        }
    }
}

/// What is outside. For functions that guests call.
impl Meter {
    /// The time on the executor's clock, since that was made. It is recorded, and a replay shows the same.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.outside().map_or(Duration::ZERO, |outside| outside.now(self.used_in_slice()))
    }

    /// Brings in something from outside: a clock's time, random numbers, what somebody typed. It is what `real` gives; where the run is
    /// recorded it is kept, and in a replay `real` is not called, and what was kept is given instead.
    pub fn take_in<T: Taped>(&self, real: impl FnOnce() -> T) -> T {
        match self.outside() {
            Some(outside) => outside.take_in(real),
            None => real(),
        }
    }

    /// Tells an observer that [follows messages](crate::Observer::follows_messages) of one that the task has sent or received in this slice; else
    /// `message` is not called. The channels of this library do it themselves.
    pub fn passed(&self, message: impl FnOnce() -> Message) {
        if let Some(outside) = self.outside() {
            outside.passed(message);
        }
    }

    /// The task's place in its executor's order of spawning, counted from 0.
    #[must_use]
    pub fn spawn_index(&self) -> u64 {
        self.outside().map_or(0, Outside::spawn_index)
    }
}

/// The account of one task: what it has used, and how its slices ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Fuel used. The true figure while `exact`, also past the budget; otherwise a lower bound.
    pub used: Fuel,
    /// Fuel that the policy and a run's [`Budget`](crate::Budget) were charged: `used`, but at least 1 a slice, and the whole grant of a
    /// slice that trapped. The task's own budget goes by `used`.
    pub charged: Fuel,
    /// Slices: polls that ran code of the task.
    pub slices: u64,
    /// Slices that ended because their fuel ran out.
    pub preempted: u64,
    /// Slices that ended because the task gave the rest away.
    pub yielded: u64,
    /// Slices that ended because the task had to wait; for fuel, too.
    pub blocked: u64,
    /// The most fuel that one slice used past its grant.
    pub max_overshoot: Fuel,
    /// Whether `used` is exact. A trap leaves what the guest had not yet written back uncounted (`docs/fuel.md`).
    pub exact: bool,
}

impl Ledger {
    /// Context switches: slices that did not end the task.
    #[must_use]
    pub const fn switches(&self) -> u64 {
        self.preempted + self.yielded + self.blocked
    }
}

/// What an executor counts of a task, from which the [`Ledger`] follows: a switch writes three words of it, and not eight.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Fuel used.
    pub(crate) used: Fuel,
    /// Slices.
    pub(crate) slices: u64,
    /// The most fuel that one slice used past its grant.
    pub(crate) max_overshoot: Fuel,
    /// Fuel charged beyond what was used.
    pub(crate) surcharge: Fuel,
    /// Slices that ended because the task gave the rest away.
    pub(crate) yielded: u64,
    /// Slices that ended because the task had to wait.
    pub(crate) blocked: u64,
}

impl Tally {
    /// The account; `last` says how the task's last slice ended it, if one did.
    pub(crate) fn ledger(&self, last: Last) -> Ledger {
        let ended = u64::from(last != Last::None);
        Ledger {
            used: self.used,
            charged: self.used.plus(self.surcharge),
            slices: self.slices,
            preempted: self.slices - self.yielded - self.blocked - ended,
            yielded: self.yielded,
            blocked: self.blocked,
            max_overshoot: self.max_overshoot,
            exact: last != Last::Trapped,
        }
    }
}

/// Whether a slice has ended the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// Not yet.
    None,
    /// It has.
    Ended,
    /// It has, by a trap, which leaves fuel uncounted.
    Trapped,
}
