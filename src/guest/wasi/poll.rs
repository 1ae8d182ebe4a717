//! `poll_oneoff`: waiting for moments and for input, in this scheduler.
//!
//! Files and outputs are always ready, as in POSIX. What is wrong with one subscription is said in its event, and the others count all the same.

use super::Find;
use super::abi::{Awaited, Errno, Event, Subscription};
use super::call::{Call, Door, Failure};
use super::input::Watching;
use super::memory::LARGEST_TRANSFER;
use super::table::Descriptor;
use crate::ledger::Meter;
use crate::reason::BlockedOn;
use std::future::Future;
use std::io::Seek;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The most subscriptions of one call.
const MOST_SUBSCRIPTIONS: u32 = 1024;

/// A subscription, and what it waits for.
#[derive(Debug)]
struct Waiting {
    /// As the guest wrote it.
    subscription: Subscription,
    /// For what.
    on: On,
}

/// What a subscription waits for.
#[derive(Debug)]
enum On {
    /// A moment of the executor's clock.
    Moment(Duration),
    /// Input.
    Input(Watching),
    /// Nothing: so many bytes can be read or written.
    Bytes(u64),
    /// Nothing: it is wrong.
    Wrong(Errno),
}

/// The wait for the first of several.
#[derive(Debug)]
struct Polling {
    /// They.
    waiting: Vec<Waiting>,
    /// The task's.
    meter: Arc<Meter>,
}

impl Call<'_> {
    /// Reads the subscriptions.
    fn subscribe(&mut self, at: u32, events: u32, count: u32, came: u32) -> Result<Polling, Errno> {
        if count == 0 || count > MOST_SUBSCRIPTIONS {
            return Err(Errno::Inval);
        }
        let size = self.version.subscription_size();
        self.charge_bytes((count * size) as usize);
        self.memory.bytes(events, count * Event::SIZE).and(self.memory.bytes(came, 4))?;
        let bytes = self.memory.bytes(at, count * size)?;
        let read = |bytes: &[u8]| Subscription::from_bytes(bytes, self.version);
        let subscriptions = bytes.chunks_exact(size as usize).map(read).collect::<Result<Vec<_>, _>>()?;
        let waiting = |subscription: Subscription| {
            let on = self.awaited(subscription.what).unwrap_or_else(On::Wrong);
            Waiting { subscription, on }
        };
        Ok(Polling { waiting: subscriptions.into_iter().map(waiting).collect(), meter: self.meter.clone() })
    }

    /// What is to be waited for.
    fn awaited(&mut self, what: Awaited) -> Result<On, Errno> {
        match what {
            Awaited::Clock { id, timeout, absolute } => Ok(On::Moment(self.moment(id, timeout, absolute)?)),
            Awaited::Read(fd) => match self.wasi.table.get(fd)? {
                Descriptor::Input { input, .. } => Ok(On::Input(Watching::new(input.clone()))),
                Descriptor::File(file) if file.read => {
                    let (len, position) = (file.file.metadata()?.len(), file.file.stream_position()?);
                    Ok(On::Bytes(len.saturating_sub(position)))
                }
                _ => Err(Errno::Badf),
            },
            Awaited::Write(fd) => match self.wasi.table.get(fd)? {
                Descriptor::Output { .. } => Ok(On::Bytes(LARGEST_TRANSFER as u64)),
                Descriptor::File(file) if file.write => Ok(On::Bytes(LARGEST_TRANSFER as u64)),
                _ => Err(Errno::Badf),
            },
        }
    }

    /// Writes the events.
    fn report(&mut self, at: u32, count: u32, events: &[Event]) -> Result<(), Errno> {
        let bytes: Vec<u8> = events.iter().flat_map(|event| event.to_bytes()).collect();
        self.charge_bytes(bytes.len());
        self.memory.write(at, &bytes)?;
        self.memory.write_u32(count, events.len() as u32)
    }
}

impl Polling {
    /// The moment that comes first, and whether there is nothing but moments.
    fn moments(&self) -> (Option<Duration>, bool) {
        let moment = |waiting: &Waiting| match waiting.on {
            On::Moment(at) => Some(at),
            _ => None,
        };
        (self.waiting.iter().filter_map(moment).min(), self.waiting.iter().all(|waiting| moment(waiting).is_some()))
    }
}

impl Waiting {
    /// The event, if it has come.
    fn look(&mut self, now: Duration, meter: &Meter, cx: &Context<'_>) -> Option<Event> {
        let event = |error, bytes, hangup| Event { subscription: self.subscription, error, bytes, hangup };
        match &mut self.on {
            On::Moment(at) => (now >= *at).then(|| event(Errno::Success, 0, false)),
            On::Input(input) => {
                input.look(meter, cx.waker()).map(|ready| event(Errno::Success, ready.bytes, ready.hangup))
            }
            On::Bytes(bytes) => Some(event(Errno::Success, *bytes, false)),
            On::Wrong(errno) => Some(event(*errno, 0, false)),
        }
    }
}

impl Future for Polling {
    type Output = Vec<Event>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<Event>> {
        let (first, moments_alone) = self.moments();
        let Polling { waiting, meter } = &mut *self;
        // The clock is read only where one matters: a reading is part of a recording.
        let now = first.map_or(Duration::ZERO, |_| meter.now());
        let events: Vec<Event> = waiting.iter_mut().filter_map(|waiting| waiting.look(now, meter, cx)).collect();
        if !events.is_empty() {
            return Poll::Ready(events);
        }
        meter.blocking(if moments_alone { BlockedOn::Time } else { BlockedOn::Events });
        if let Some(at) = first
            && !meter.wake_at(at)
        {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<D: Send + 'static, F: Find<D>> Door<'_, D, F> {
    /// `poll_oneoff`.
    pub(super) async fn poll_oneoff(mut self, at: u32, events: u32, len: u32, count: u32) -> Result<(), Failure> {
        let polling = self.call(|call| call.subscribe(at, events, len, count))?;
        let came = polling.await;
        self.call(|call| call.report(events, count, &came))
    }
}
