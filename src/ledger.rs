//! What a task has used: the cell through which guest and executor speak of fuel, and the account that the executor keeps.
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
use crate::unit::Fuel;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The cell that a task's future and its executor share.
///
/// All of it is written by one thread at a time, the one that polls; the atomics make the future `Send`, and relaxed loads and
/// stores of them are plain moves.
#[derive(Debug, Default)]
pub struct Meter {
    /// Fuel used since the task began, as of the last time that it could be read.
    used: AtomicU64,
    /// Fuel granted for the present slice.
    grant: AtomicU64,
    /// How many slices have begun. A guest that sees another number than before has been polled anew.
    slice: AtomicU64,
    /// Why the future is about to return `Pending`, if it said so: [`NO_CAUSE`] or [`YIELDED`].
    cause: AtomicU8,
    /// Where the executor asks for what is in the guest's memory; there for inspectable tasks alone.
    mailbox: OnceLock<Box<Mailbox>>,
}

/// The future has said nothing: its fuel ran out.
const NO_CAUSE: u8 = 0;
/// The future gives the rest of its slice away.
const YIELDED: u8 = 1;

impl Meter {
    /// Begins a slice of `grant` fuel. For whoever polls the future; an [`Executor`](crate::Executor) does it by itself.
    #[inline]
    pub fn begin(&self, grant: Fuel) {
        let slice = self.slice.load(Ordering::Relaxed);
        self.slice.store(slice + 1, Ordering::Relaxed);
        self.grant.store(grant.0, Ordering::Relaxed);
    }

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

    /// Says that the task has used `total` fuel since it began. For the future.
    #[inline]
    pub fn record(&self, total: Fuel) {
        self.used.store(total.0, Ordering::Relaxed);
    }

    /// Says that the `Pending` that follows gives the rest of the slice away. For the future.
    pub fn yielding(&self) {
        self.cause.store(YIELDED, Ordering::Relaxed);
    }

    /// Makes the mailbox of an inspectable task.
    pub(crate) fn open_mailbox(&self) {
        self.mailbox.get_or_init(Box::default);
    }

    /// The mailbox, if the task is inspectable.
    pub(crate) fn mailbox(&self) -> Option<&Mailbox> {
        self.mailbox.get().map(|mailbox| &**mailbox)
    }

    /// Whether the future said that it yields; forgotten once read.
    #[inline]
    pub(crate) fn take_yielded(&self) -> bool {
        let yielded = self.cause.load(Ordering::Relaxed) == YIELDED;
        if yielded {
            self.cause.store(NO_CAUSE, Ordering::Relaxed);
        }
        yielded
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
    /// The account of a task that has not run.
    pub(crate) const fn new() -> Ledger {
        Ledger {
            used: Fuel::ZERO,
            charged: Fuel::ZERO,
            slices: 0,
            preempted: 0,
            yielded: 0,
            blocked: 0,
            max_overshoot: Fuel::ZERO,
            exact: true,
        }
    }

    /// Context switches: slices that did not end the task.
    #[must_use]
    pub const fn switches(&self) -> u64 {
        self.preempted + self.yielded + self.blocked
    }
}
