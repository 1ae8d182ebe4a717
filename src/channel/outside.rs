//! The host's ends of a channel: for a plain thread, which may block, and for any executor, as futures.
//!
//! While the host has an end, a task that waits on the channel may be woken from outside, so it is not part of a deadlock. When the first end
//! is made and when the last is dropped, those who wait are stirred, and state anew what they wait for.

use super::{Channel, ChannelError, State};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// An end of a channel at which the host sends, from any thread. Clones are ends of the same channel.
#[derive(Clone, Debug)]
pub struct HostSender(End);

/// An end of a channel at which the host receives, on any thread. Clones are ends of the same channel.
#[derive(Clone, Debug)]
pub struct HostReceiver(End);

/// An end, counted as one of the host's.
#[derive(Debug)]
struct End(Channel);

impl End {
    /// One end more.
    fn new(channel: Channel) -> End {
        channel.core.change(|state, after| {
            state.outside += 1;
            if state.outside == 1 {
                state.stir(after);
            }
        });
        End(channel)
    }
}

impl Clone for End {
    fn clone(&self) -> End {
        End::new(self.0.clone())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.core.change(|state, after| {
            state.outside -= 1;
            if state.outside == 0 {
                state.stir(after);
            }
        });
    }
}

impl State {
    /// Lets all who wait say anew what they wait for.
    fn stir(&mut self, after: &mut super::Afterwards) {
        self.senders.stir(after);
        self.receivers.stir(after);
    }
}

impl HostSender {
    /// An end of this channel.
    pub(super) fn new(channel: Channel) -> HostSender {
        HostSender(End::new(channel))
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.0.0
    }

    /// Sends a message if there is room and nobody waits for it.
    ///
    /// # Errors
    /// As [`Channel::try_send`].
    pub fn try_send(&self, message: &[u8]) -> Result<(), ChannelError> {
        self.channel().try_send(message)
    }

    /// Sends a message; waits while the channel is full. For any executor; a task's own future sends by [`Channel::send`].
    ///
    /// # Errors
    /// As [`Channel::send`].
    pub async fn send(&self, message: &[u8]) -> Result<(), ChannelError> {
        let mut turn = self.channel().sending();
        poll_fn(|cx| self.channel().poll_send(&mut turn, message, cx)).await.map(drop)
    }

    /// Sends a message; blocks the calling thread while the channel is full, at most so long if a time is given. Not for the thread of the
    /// executor whose tasks are to receive it: they would never run.
    ///
    /// # Errors
    /// As [`Channel::send`], and [`ChannelError::TimedOut`].
    pub fn send_blocking(&self, message: &[u8], timeout: Option<Duration>) -> Result<(), ChannelError> {
        wait(self.send(message), timeout)
    }

    /// Closes the channel, as [`Channel::close`].
    pub fn close(&self) {
        self.channel().close();
    }
}

impl HostReceiver {
    /// An end of this channel.
    pub(super) fn new(channel: Channel) -> HostReceiver {
        HostReceiver(End::new(channel))
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.0.0
    }

    /// Receives a message if there is one and nobody waits for it.
    ///
    /// # Errors
    /// As [`Channel::try_recv`].
    pub fn try_recv(&self) -> Result<Vec<u8>, ChannelError> {
        self.channel().try_recv()
    }

    /// Receives a message; waits for one. For any executor; a task's own future receives by [`Channel::recv`].
    ///
    /// # Errors
    /// As [`Channel::recv`].
    pub async fn recv(&self) -> Result<Vec<u8>, ChannelError> {
        let mut turn = self.channel().receiving();
        poll_fn(|cx| self.channel().poll_recv(&mut turn, usize::MAX, cx)).await.map(|(_, message)| message.into())
    }

    /// Receives a message; blocks the calling thread until there is one, at most so long if a time is given. Not for the thread of the
    /// executor whose tasks are to send it: they would never run.
    ///
    /// # Errors
    /// As [`Channel::recv`], and [`ChannelError::TimedOut`].
    pub fn recv_blocking(&self, timeout: Option<Duration>) -> Result<Vec<u8>, ChannelError> {
        wait(self.recv(), timeout)
    }

    /// Closes the channel, as [`Channel::close`].
    pub fn close(&self) {
        self.channel().close();
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future to its end on the calling thread, which is parked in between. A wake before the park makes the park return at once.
fn wait<T>(
    future: impl Future<Output = Result<T, ChannelError>>,
    timeout: Option<Duration>,
) -> Result<T, ChannelError> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    // A time too long to be told is no limit.
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        match end.map(|end| end.saturating_duration_since(Instant::now())) {
            None => std::thread::park(),
            Some(Duration::ZERO) => return Err(ChannelError::TimedOut),
            Some(left) => std::thread::park_timeout(left),
        }
    }
}
