//! Futures that wait inside a slice: each says through the meter why it is `Pending`, so that the executor knows a task that yields from one
//! that waits, and both from one whose fuel ran out.

use crate::join::{Ending, Join};
use crate::ledger::Meter;
use crate::reason::BlockedOn;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Futures for host functions, made by the meter of the task that waits.
impl Meter {
    /// Waits until the executor's clock shows `at`; by the system's clock, up to a 128th of the sleep longer, so that sleepers whose moments are close
    /// share one wake of the thread. Under an executor the task costs nothing meanwhile; a task that none has taken in
    /// is woken at once, again and again.
    pub fn sleep_until(self: &Arc<Self>, at: Duration) -> Sleep {
        Sleep { meter: self.clone(), at }
    }

    /// Gives the rest of the slice away, once.
    pub fn yield_now(self: &Arc<Self>) -> YieldNow {
        YieldNow { meter: self.clone(), done: false }
    }

    /// Lets others run, once, if the slice is used up; else does nothing. For host work that takes long and is charged as it goes on: it is
    /// preempted as the guest's own code is.
    pub fn give_way(self: &Arc<Self>) -> GiveWay {
        GiveWay { meter: self.clone(), done: false }
    }

    /// Waits for the end of a task that was spawned by [`Meter::spawn`].
    pub fn join(self: &Arc<Self>, join: &Join) -> Joined {
        Joined { meter: self.clone(), join: join.clone(), entry: None, told_in: 0 }
    }
}

/// A task's sleep; made by [`Meter::sleep_until`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Sleep {
    /// Of the task.
    meter: Arc<Meter>,
    /// Until then.
    at: Duration,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.meter.now() >= self.at {
            return Poll::Ready(());
        }
        self.meter.blocking(BlockedOn::Time);
        if !self.meter.wake_at(self.at) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// One turn given away; made by [`Meter::yield_now`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct YieldNow {
    /// Of the task.
    meter: Arc<Meter>,
    /// Whether it was.
    done: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.done, true) {
            return Poll::Ready(());
        }
        self.meter.yielding();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One preemption, if it is due; made by [`Meter::give_way`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct GiveWay {
    /// Of the task.
    meter: Arc<Meter>,
    /// Whether it was looked at.
    done: bool,
}

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.done, true) || !self.meter.slice_is_spent() {
            return Poll::Ready(());
        }
        self.meter.giving_way();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The end of another task; made by [`Meter::join`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Joined {
    /// Of the task that waits.
    meter: Arc<Meter>,
    /// The other.
    join: Join,
    /// Its number among those that wait for that.
    entry: Option<u64>,
    /// The slice that was last told of this wait; 0 for none.
    told_in: u64,
}

impl Future for Joined {
    type Output = Ending;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let Joined { meter, join, entry, told_in } = self.get_mut();
        let polled = join.poll(entry, cx);
        if polled.is_pending() {
            // One waker is held, and it is told of once, however often a slice polls this.
            if *told_in == meter.slice() {
                meter.waits_no_more();
            }
            *told_in = meter.slice();
            meter.joining(join);
        }
        polled
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let waited = self.entry.is_some_and(|number| self.join.leave(number));
        if waited && self.told_in == self.meter.slice() {
            self.meter.waits_no_more();
        }
    }
}

/// A future of the host's in a slice of a task, whatever it is. If it is `Pending` and has not said why, it waits; unless the slice is used
/// up, because then it may be a guest in it that was preempted.
pub(crate) struct Waits<F: ?Sized> {
    /// Of the task.
    meter: Arc<Meter>,
    /// Whose it is.
    name: Arc<str>,
    /// What waits.
    future: Pin<Box<F>>,
}

impl<F: Future + ?Sized> Waits<F> {
    /// The future of the host function of that name.
    pub(crate) fn new(meter: Arc<Meter>, name: Arc<str>, future: Pin<Box<F>>) -> Waits<F> {
        Waits { meter, name, future }
    }
}

impl<F: Future + ?Sized> Future for Waits<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let polled = self.future.as_mut().poll(cx);
        match polled {
            Poll::Pending => self.meter.pending_in_host(&self.name),
            Poll::Ready(_) => self.meter.done_in_host(),
        }
        polled
    }
}
