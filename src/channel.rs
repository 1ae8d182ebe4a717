//! Bounded channels by name: how tasks pass messages to each other, and to and from the host.
//!
//! | file | holds |
//! |---|---|
//! | `line` | who waits at one end of a channel, and whose turn it is |
//! | `outside` | the host's ends |
//!
//! A message is some bytes. It goes into the channel whole and comes out whole, once, and messages leave in the order in which they came. A full
//! channel holds its senders up: that is the back-pressure which keeps a fast producer from filling the host's memory.
//!
//! **Nothing is in between.** A message is in the channel until the very poll in which somebody receives it, and the sender's poll puts it there. A task
//! that is killed, whenever that is, has received a message or has not, and what it has not received is there for the next.
//!
//! **Limits.** A guest names the channels and fills them, so all of it is bounded ([`ChannelLimits`]): how many channels there are, how much each holds,
//! how large a message is, and what all of them hold together. Whoever shares a [`Channels`] shares its limits; tenants that must not get into each
//! other's way get one each.
//!
//! **How long a channel lives.** As long as anybody has it open, or something is in it: who sends first and ends may be received from later. That a
//! channel was closed is remembered as well, so that a late receiver learns of it, until there are so many channels that the room is needed.
//!
//! Nothing here knows who polls: a waiter is a [`Waker`](std::task::Waker).

mod line;
mod outside;

pub use outside::{HostReceiver, HostSender};

use crate::ledger::Meter;
use crate::reason::{BlockedOn, Message};
use line::{Afterwards, Line};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

/// What a message takes beside its own bytes, for the limit on what all channels hold: empty messages are not free.
const OVERHEAD: usize = 64;
/// The longest name of a channel, in bytes.
pub(crate) const LONGEST_NAME: usize = 128;

/// How much there may be in the channels of one [`Channels`].
///
/// ```
/// use fuelsched::channel::{ChannelLimits, Channels};
///
/// let mut limits = ChannelLimits::default();
/// limits.message = 1024;
/// let channels = Channels::new(limits);
/// assert_eq!(channels.len(), 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelLimits {
    /// Channels at a time. 1,024, unless set.
    pub channels: usize,
    /// The largest capacity of a channel, in messages. 1,024, unless set.
    pub capacity: usize,
    /// The largest message, in bytes. 64 KiB, unless set.
    pub message: usize,
    /// What all channels hold together, in bytes; a message counts as its length and 64 more. 64 MiB, unless set.
    pub bytes: usize,
}

impl Default for ChannelLimits {
    fn default() -> ChannelLimits {
        ChannelLimits { channels: 1024, capacity: 1024, message: 64 << 10, bytes: 64 << 20 }
    }
}

/// What can be wrong with a call on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelError {
    /// The channel is closed, and there is nothing left in it to receive.
    Closed,
    /// There is nothing to receive, or no room to send, without waiting.
    WouldBlock,
    /// It did not happen in the time given.
    TimedOut,
    /// A name, a capacity or a message is above its limit; or a message, which stays in the channel, above the room for it.
    TooLarge,
    /// There are as many channels, or as many bytes in them, as there may be.
    NoRoom,
    /// A name is empty, or a capacity is 0.
    Invalid,
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChannelError::Closed => "the channel is closed",
            ChannelError::WouldBlock => "that would have to wait",
            ChannelError::TimedOut => "the time for it is over",
            ChannelError::TooLarge => "a name, a capacity or a message is larger than it may be",
            ChannelError::NoRoom => "the channels are as many, or as full, as they may be",
            ChannelError::Invalid => "a channel needs a name, and room for a message",
        })
    }
}

impl std::error::Error for ChannelError {}

/// A set of channels, each with a name of its own. Clones are the same set.
///
/// ```
/// use fuelsched::channel::{ChannelError, Channels};
///
/// # fn main() -> Result<(), ChannelError> {
/// let channels = Channels::default();
/// let sender = channels.sender("orders", 2)?;
/// let receiver = channels.receiver("orders", 2)?;
/// sender.try_send(b"one")?;
/// sender.try_send(b"two")?;
/// assert_eq!(sender.try_send(b"three"), Err(ChannelError::WouldBlock));
/// assert_eq!(receiver.try_recv()?, b"one");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Channels(Arc<Registry>);

/// What the clones of a [`Channels`] share, and all its channels with them.
#[derive(Default)]
struct Registry {
    /// How much there may be.
    limits: ChannelLimits,
    /// Bytes in all channels, with [`OVERHEAD`].
    bytes: AtomicUsize,
    /// The channels. Locked before a channel is, never after.
    names: Mutex<Names>,
}

/// The channels of a registry.
#[derive(Default)]
struct Names {
    /// By name.
    entries: BTreeMap<Arc<str>, Entry>,
    /// Those that are kept only because it is remembered that they were closed, oldest first.
    finished: BTreeMap<u64, Arc<str>>,
    /// The number of the next that is finished.
    next: u64,
}

/// One channel of a registry.
struct Entry {
    /// The channel.
    core: Arc<Core>,
    /// How many [`Channel`]s there are of it.
    holders: usize,
    /// Its number among the finished, if it is one.
    finished: Option<u64>,
}

impl Channels {
    /// No channels yet, and at most so much of them.
    #[must_use]
    pub fn new(limits: ChannelLimits) -> Channels {
        Channels(Arc::new(Registry { limits, ..Registry::default() }))
    }

    /// The channel of that name, which is made if there is none. The capacity, in messages, counts where it is made.
    ///
    /// This is for tasks. A host that sends or receives beside them takes an end by [`Channels::sender`] or [`Channels::receiver`], or tasks that wait for
    /// it are taken for deadlocked.
    ///
    /// # Errors
    /// [`ChannelError::Invalid`], [`ChannelError::TooLarge`], [`ChannelError::NoRoom`].
    pub fn open(&self, name: &str, capacity: usize) -> Result<Channel, ChannelError> {
        let limits = &self.0.limits;
        if name.is_empty() || capacity == 0 {
            return Err(ChannelError::Invalid);
        }
        if name.len() > LONGEST_NAME || capacity > limits.capacity {
            return Err(ChannelError::TooLarge);
        }
        let core = self.0.names().open(name, capacity, limits.channels)?;
        Ok(Channel { registry: self.0.clone(), core })
    }

    /// An end of the channel for the host to send at; opened as by [`Channels::open`].
    ///
    /// # Errors
    /// As [`Channels::open`].
    pub fn sender(&self, name: &str, capacity: usize) -> Result<HostSender, ChannelError> {
        self.open(name, capacity).map(HostSender::new)
    }

    /// An end of the channel for the host to receive at; opened as by [`Channels::open`].
    ///
    /// # Errors
    /// As [`Channels::open`].
    pub fn receiver(&self, name: &str, capacity: usize) -> Result<HostReceiver, ChannelError> {
        self.open(name, capacity).map(HostReceiver::new)
    }

    /// The names of all channels, in order, those included that are only remembered.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.names().entries.keys().map(ToString::to_string).collect()
    }

    /// How many channels there are, those included that are only remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.names().entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in all channels together, as [`ChannelLimits::bytes`] counts them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("len", &self.len()).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl Registry {
    /// The channels. Nothing that panics runs while they are locked.
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a message of this length in, if there is room for it.
    fn take_in(&self, length: usize) -> Result<(), ChannelError> {
        let with = |bytes: usize| bytes.checked_add(length + OVERHEAD).filter(|sum| *sum <= self.limits.bytes);
        let counted = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with);
        counted.map(|_| ()).map_err(|_| ChannelError::NoRoom)
    }

    /// Counts a message out.
    fn let_out(&self, length: usize) {
        self.bytes.fetch_sub(length + OVERHEAD, Ordering::Relaxed);
    }
}

impl Names {
    /// Finds a channel, or makes one.
    fn open(&mut self, name: &str, capacity: usize, at_most: usize) -> Result<Arc<Core>, ChannelError> {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.holders += 1;
            if let Some(number) = entry.finished.take() {
                self.finished.remove(&number);
            }
            return Ok(entry.core.clone());
        }
        if self.entries.len() >= at_most {
            let (_, oldest) = self.finished.pop_first().ok_or(ChannelError::NoRoom)?;
            self.entries.remove(&oldest);
        }
        let name: Arc<str> = name.into();
        let core = Arc::new(Core { name: name.clone(), capacity, state: Mutex::default() });
        self.entries.insert(name, Entry { core: core.clone(), holders: 1, finished: None });
        Ok(core)
    }

    /// Nobody has this channel open any more: it stays if something is in it, or if it was closed.
    fn leave(&mut self, core: &Core) {
        let (closed, empty) = core.look(|state| (state.closed, state.messages.is_empty()));
        if closed && empty {
            let (number, name) = (self.next, core.name.clone());
            self.next += 1;
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.finished = Some(number);
                self.finished.insert(number, name);
            }
        } else if empty {
            self.entries.remove(&core.name);
        }
    }
}

/// A channel, open: it can be sent to and received from. Clones are the same channel.
pub struct Channel {
    /// Whose channel it is.
    registry: Arc<Registry>,
    /// The channel.
    core: Arc<Core>,
}

/// What all who have a channel open share.
struct Core {
    /// Its name.
    name: Arc<str>,
    /// How many messages it holds.
    capacity: usize,
    /// The rest.
    state: Mutex<State>,
}

/// What is in a channel, and who waits for it.
#[derive(Debug, Default)]
struct State {
    /// The messages, oldest first.
    messages: VecDeque<Box<[u8]>>,
    /// Whether it takes no more.
    closed: bool,
    /// Who waits to receive. The places are the messages.
    receivers: Line,
    /// Who waits to send. The places are the room that is left.
    senders: Line,
    /// How many ends the host has.
    outside: usize,
    /// How many messages have been sent and received so far.
    passed: (u64, u64),
}

/// A message, with its number in the channel.
type Numbered = (u64, Box<[u8]>);

impl Core {
    /// What is in it. Nothing that panics runs while it is locked, and no waker.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is in it.
    fn look<R>(&self, f: impl FnOnce(&State) -> R) -> R {
        f(&self.lock())
    }

    /// Changes what is in it, and then, without the lock, wakes who is to be woken.
    fn change<R>(&self, f: impl FnOnce(&mut State, &mut Afterwards) -> R) -> R {
        let mut after = Afterwards::default();
        let result = f(&mut self.lock(), &mut after);
        after.run();
        result
    }
}

/// One attempt to send or to receive, and its place in line. Dropped before it has come to an end, it hands its turn on.
pub(crate) struct Turn<'a> {
    /// The channel.
    core: &'a Core,
    /// At which end.
    side: Side,
    /// Its number in line, if it waits.
    number: Option<u64>,
}

/// An end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Where messages go in.
    Send,
    /// Where they come out.
    Receive,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.number.is_some() {
            self.core.change(|state, after| state.line(self.side).leave(&mut self.number, after));
        }
    }
}

impl State {
    /// The line at an end.
    fn line(&mut self, side: Side) -> &mut Line {
        match side {
            Side::Send => &mut self.senders,
            Side::Receive => &mut self.receivers,
        }
    }

    /// Puts a message in, if it is the turn of whoever has this number, and gives the message's own. [`ChannelError::WouldBlock`] if it is not.
    fn send(
        &mut self,
        channel: &Channel,
        number: &mut Option<u64>,
        message: &[u8],
        after: &mut Afterwards,
    ) -> Result<u64, ChannelError> {
        if self.closed {
            return Err(ChannelError::Closed);
        }
        if !self.senders.admits(*number, channel.core.capacity - self.messages.len()) {
            return Err(ChannelError::WouldBlock);
        }
        channel.registry.take_in(message.len())?;
        self.messages.push_back(message.into());
        self.senders.enter(number);
        self.receivers.call(after);
        self.passed.0 += 1;
        Ok(self.passed.0 - 1)
    }

    /// Takes a message out that fits in so many bytes, if it is the turn of whoever has this number. [`ChannelError::WouldBlock`] if it is not.
    fn receive(
        &mut self,
        channel: &Channel,
        number: &mut Option<u64>,
        room: usize,
        after: &mut Afterwards,
    ) -> Result<Numbered, ChannelError> {
        let Some(first) = self.messages.front() else {
            return Err(if self.closed { ChannelError::Closed } else { ChannelError::WouldBlock });
        };
        if !self.receivers.admits(*number, self.messages.len()) {
            return Err(ChannelError::WouldBlock);
        }
        if first.len() > room {
            return Err(ChannelError::TooLarge);
        }
        let message = self.messages.pop_front().unwrap_or_default();
        channel.registry.let_out(message.len());
        self.receivers.enter(number);
        if !self.closed {
            self.senders.call(after);
        } else if self.messages.is_empty() {
            self.receivers.dismiss(after);
        }
        self.passed.1 += 1;
        Ok((self.passed.1 - 1, message))
    }

    /// Takes no more. Whoever waits to receive waits on while there is something left, because a turn may be handed on.
    fn close(&mut self, after: &mut Afterwards) {
        self.closed = true;
        self.senders.dismiss(after);
        if self.messages.is_empty() {
            self.receivers.dismiss(after);
        }
    }

    /// Ends an attempt, or lets it wait.
    fn conclude<T>(
        &mut self,
        turn: &mut Turn<'_>,
        result: Result<T, ChannelError>,
        cx: &Context<'_>,
        after: &mut Afterwards,
    ) -> Poll<Result<T, ChannelError>> {
        let line = self.line(turn.side);
        match result {
            Err(ChannelError::WouldBlock) => {
                line.wait(&mut turn.number, cx, after);
                Poll::Pending
            }
            Err(error) => {
                line.leave(&mut turn.number, after);
                Poll::Ready(Err(error))
            }
            Ok(value) => Poll::Ready(Ok(value)),
        }
    }
}

impl Channel {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// How many messages it holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.core.capacity
    }

    /// The longest message that it takes, in bytes.
    pub(crate) fn longest_message(&self) -> usize {
        self.registry.limits.message
    }

    /// How many messages are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.look(|state| state.messages.len())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it takes no more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.look(|state| state.closed)
    }

    /// How many wait to send, and how many wait to receive.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.core.look(|state| (state.senders.len(), state.receivers.len()))
    }

    /// Sends a message, for the task with this meter, which waits while the channel is full.
    ///
    /// # Errors
    /// [`ChannelError::Closed`], [`ChannelError::TooLarge`], [`ChannelError::NoRoom`].
    pub async fn send(&self, meter: &Meter, message: &[u8]) -> Result<(), ChannelError> {
        let mut turn = self.sending();
        poll_fn(|cx| {
            let polled = self.poll_send(&mut turn, message, cx);
            self.conclude_send(meter, &turn, message.len(), polled)
        })
        .await
    }

    /// Receives a message, for the task with this meter, which waits for one.
    ///
    /// # Errors
    /// [`ChannelError::Closed`].
    pub async fn recv(&self, meter: &Meter) -> Result<Vec<u8>, ChannelError> {
        self.recv_within(meter, usize::MAX).await.map(Vec::from)
    }

    /// Receives a message of at most so many bytes; a larger one stays.
    pub(crate) async fn recv_within(&self, meter: &Meter, room: usize) -> Result<Box<[u8]>, ChannelError> {
        let mut turn = self.receiving();
        let received = poll_fn(|cx| {
            let polled = self.poll_recv(&mut turn, room, cx);
            self.state_wait(meter, &turn, polled)
        });
        Ok(self.note_received(meter, received.await?))
    }

    /// Sends a message if there is room and nobody waits for it.
    ///
    /// # Errors
    /// As [`Channel::send`], and [`ChannelError::WouldBlock`].
    pub fn try_send(&self, message: &[u8]) -> Result<(), ChannelError> {
        self.put(message).map(drop)
    }

    /// As [`Channel::try_send`], for the task with this meter.
    pub(crate) fn try_send_for(&self, meter: &Meter, message: &[u8]) -> Result<(), ChannelError> {
        let number = self.put(message)?;
        self.note_sent(meter, number, message.len());
        Ok(())
    }

    /// Receives a message if there is one and nobody waits for it.
    ///
    /// # Errors
    /// [`ChannelError::Closed`], [`ChannelError::WouldBlock`].
    pub fn try_recv(&self) -> Result<Vec<u8>, ChannelError> {
        self.get(usize::MAX).map(|(_, message)| message.into())
    }

    /// As [`Channel::try_recv`], of at most so many bytes, for the task with this meter; a larger message stays.
    pub(crate) fn try_recv_for(&self, meter: &Meter, room: usize) -> Result<Box<[u8]>, ChannelError> {
        Ok(self.note_received(meter, self.get(room)?))
    }

    /// Puts a message in, if there is room and nobody waits for it.
    fn put(&self, message: &[u8]) -> Result<u64, ChannelError> {
        self.check(message)?;
        self.core.change(|state, after| state.send(self, &mut None, message, after))
    }

    /// Takes a message out, if there is one and nobody waits for it.
    fn get(&self, room: usize) -> Result<Numbered, ChannelError> {
        self.core.change(|state, after| state.receive(self, &mut None, room, after))
    }

    /// Closes the channel, for everybody: nothing more can be sent, and once what is in it has been received, nothing received.
    pub fn close(&self) {
        self.core.change(State::close);
    }

    /// An attempt to send.
    pub(crate) fn sending(&self) -> Turn<'_> {
        Turn { core: &self.core, side: Side::Send, number: None }
    }

    /// An attempt to receive.
    pub(crate) fn receiving(&self) -> Turn<'_> {
        Turn { core: &self.core, side: Side::Receive, number: None }
    }

    /// Sends a message when the turn has come.
    pub(crate) fn poll_send(
        &self,
        turn: &mut Turn<'_>,
        message: &[u8],
        cx: &Context<'_>,
    ) -> Poll<Result<u64, ChannelError>> {
        self.check(message)?;
        self.core.change(|state, after| {
            let sent = state.send(self, &mut turn.number, message, after);
            state.conclude(turn, sent, cx, after)
        })
    }

    /// Receives a message of at most so many bytes when the turn has come.
    pub(crate) fn poll_recv(
        &self,
        turn: &mut Turn<'_>,
        room: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<Numbered, ChannelError>> {
        self.core.change(|state, after| {
            let received = state.receive(self, &mut turn.number, room, after);
            state.conclude(turn, received, cx, after)
        })
    }

    /// Says to the meter that the task waits to send, or that it has sent so many bytes.
    pub(crate) fn conclude_send<E>(
        &self,
        meter: &Meter,
        turn: &Turn<'_>,
        bytes: usize,
        polled: Poll<Result<u64, E>>,
    ) -> Poll<Result<(), E>> {
        let sent = ready!(self.state_wait(meter, turn, polled));
        Poll::Ready(sent.map(|number| self.note_sent(meter, number, bytes)))
    }

    /// Notes for whoever wants to know that the task with this meter has sent a message.
    fn note_sent(&self, meter: &Meter, number: u64, bytes: usize) {
        meter.passed(|| Message { channel: self.core.name.clone(), number, bytes, sent: true });
    }

    /// Notes for whoever wants to know that the task with this meter has received a message, and gives that.
    fn note_received(&self, meter: &Meter, (number, message): Numbered) -> Box<[u8]> {
        meter.passed(|| Message { channel: self.core.name.clone(), number, bytes: message.len(), sent: false });
        message
    }

    /// Says to the meter what the task waits for, if it does.
    ///
    /// The task is in line already, and the first end of the host's that is made, as the last that is dropped, stirs the line. So whatever changes
    /// between the look and the statement, the task is polled again and states it anew.
    fn state_wait<T>(&self, meter: &Meter, turn: &Turn<'_>, polled: Poll<T>) -> Poll<T> {
        if polled.is_pending() {
            let name = self.core.name.clone();
            let on = if turn.side == Side::Send { BlockedOn::Send(name) } else { BlockedOn::Receive(name) };
            if self.core.look(|state| state.outside > 0) {
                meter.blocking_outside(on);
            } else {
                meter.blocking(on);
            }
        }
        Poll::Ready(ready!(polled))
    }

    /// Refuses a message that is too large.
    fn check(&self, message: &[u8]) -> Result<(), ChannelError> {
        if message.len() > self.longest_message() { Err(ChannelError::TooLarge) } else { Ok(()) }
    }
}

impl Clone for Channel {
    fn clone(&self) -> Channel {
        if let Some(entry) = self.registry.names().entries.get_mut(&self.core.name) {
            entry.holders += 1;
        }
        Channel { registry: self.registry.clone(), core: self.core.clone() }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let mut names = self.registry.names();
        if let Some(entry) = names.entries.get_mut(&self.core.name) {
            entry.holders -= 1;
            if entry.holders == 0 {
                names.leave(&self.core);
            }
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("name", &self.core.name)
            .field("capacity", &self.core.capacity)
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
