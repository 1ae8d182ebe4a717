//! Channels by themselves: against a model, over threads, and their limits.

use fuelsched::channel::{ChannelError, ChannelLimits, Channels, HostReceiver, HostSender};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// A waker that remembers.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is waited for: a number, if it is a message received.
type Waiting = Pin<Box<dyn Future<Output = Result<Option<u32>, ChannelError>>>>;

/// Somebody who waits at one end.
struct Waiter {
    /// The number that is to be sent; `None` at the receiving end.
    sends: Option<u32>,
    /// The attempt.
    future: Waiting,
    /// Whether it was woken since the last poll.
    bell: Arc<Bell>,
}

impl Waiter {
    /// Polls once.
    fn poll(&mut self) -> Poll<Result<Option<u32>, ChannelError>> {
        self.bell.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.bell.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Whether it was woken.
    fn woken(&self) -> bool {
        self.bell.0.load(Ordering::Relaxed)
    }
}

/// A message that is a number.
fn number(message: Vec<u8>) -> u32 {
    u32::from_le_bytes(message.try_into().expect("four bytes"))
}

/// What may happen to a channel.
#[derive(Clone, Debug)]
enum Deed {
    /// Somebody sends.
    Send,
    /// Somebody receives.
    Receive,
    /// Somebody sends without waiting.
    TrySend,
    /// Somebody receives without waiting.
    TryReceive,
    /// A waiter is polled, woken or not.
    Poll(prop::sample::Index),
    /// A waiter goes away, woken or not.
    Drop(prop::sample::Index),
    /// The channel is closed.
    Close,
}

/// A random deed.
fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => Just(Deed::Send),
        6 => Just(Deed::Receive),
        2 => Just(Deed::TrySend),
        2 => Just(Deed::TryReceive),
        8 => any::<prop::sample::Index>().prop_map(Deed::Poll),
        4 => any::<prop::sample::Index>().prop_map(Deed::Drop),
        1 => Just(Deed::Close),
    ]
}

/// A channel, who waits for it, and what should be in it.
struct Model {
    /// One end.
    sender: HostSender,
    /// The other.
    receiver: HostReceiver,
    /// Who waits, in the order of arrival.
    waiters: Vec<Waiter>,
    /// What is in the channel.
    messages: VecDeque<u32>,
    /// Whether it takes no more.
    closed: bool,
    /// The next number to be sent.
    next: u32,
}

impl Model {
    /// An empty channel.
    fn new(channels: &Channels, capacity: usize) -> Model {
        Model {
            sender: channels.sender("model", capacity).unwrap(),
            receiver: channels.receiver("model", capacity).unwrap(),
            waiters: Vec::new(),
            messages: VecDeque::new(),
            closed: false,
            next: 0,
        }
    }

    /// How many at an end may go on: messages, or room for them.
    fn places(&self, sends: bool) -> usize {
        if sends { self.sender.channel().capacity() - self.messages.len() } else { self.messages.len() }
    }

    /// How many wait at the end at which this one waits, before it.
    fn before(&self, sends: bool, position: usize) -> usize {
        self.waiters[..position].iter().filter(|other| other.sends.is_some() == sends).count()
    }

    /// Whether it is the turn of somebody with so many before, or the wait is over because the channel is closed.
    fn may_go_on(&self, sends: bool, before: usize) -> bool {
        let over = self.closed && (sends || self.messages.is_empty());
        over || before < self.places(sends)
    }

    /// What should come of an attempt whose turn it is.
    fn carry_out(&mut self, sends: Option<u32>) -> Result<Option<u32>, ChannelError> {
        match sends {
            Some(_) if self.closed => Err(ChannelError::Closed),
            Some(number) => {
                self.messages.push_back(number);
                Ok(None)
            }
            None => self.messages.pop_front().map(Some).ok_or(ChannelError::Closed),
        }
    }

    /// Somebody arrives, and is polled.
    fn arrive(&mut self, sends: Option<u32>) {
        let (sender, receiver) = (self.sender.clone(), self.receiver.clone());
        let future: Waiting = Box::pin(async move {
            match sends {
                Some(number) => sender.send(&number.to_le_bytes()).await.map(|()| None),
                None => receiver.recv().await.map(|message| Some(number(message))),
            }
        });
        self.waiters.push(Waiter { sends, future, bell: Arc::default() });
        self.poll(self.waiters.len() - 1);
    }

    /// A waiter is polled: it goes on exactly when it may, and with what it should.
    fn poll(&mut self, position: usize) {
        let sends = self.waiters[position].sends;
        let may = self.may_go_on(sends.is_some(), self.before(sends.is_some(), position));
        match self.waiters[position].poll() {
            Poll::Pending => assert!(!may, "the waiter {position} should go on"),
            Poll::Ready(result) => {
                assert!(may, "the waiter {position} should wait");
                drop(self.waiters.remove(position));
                assert_eq!(result, self.carry_out(sends));
            }
        }
    }

    /// The next number.
    fn next(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// An attempt that does not wait.
    fn try_it(&mut self, sends: Option<u32>) {
        let result = match sends {
            Some(number) => self.sender.try_send(&number.to_le_bytes()).map(|()| None),
            None => self.receiver.try_recv().map(|message| Some(number(message))),
        };
        let before = self.before(sends.is_some(), self.waiters.len());
        let expected = match self.may_go_on(sends.is_some(), before) {
            true => self.carry_out(sends),
            false => Err(ChannelError::WouldBlock),
        };
        assert_eq!(result, expected);
    }

    /// Does it.
    fn act(&mut self, deed: &Deed) {
        match deed {
            Deed::Send => {
                let number = self.next();
                self.arrive(Some(number));
            }
            Deed::Receive => self.arrive(None),
            Deed::TrySend => {
                let number = self.next();
                self.try_it(Some(number));
            }
            Deed::TryReceive => self.try_it(None),
            Deed::Poll(which) if !self.waiters.is_empty() => self.poll(which.index(self.waiters.len())),
            Deed::Drop(which) if !self.waiters.is_empty() => {
                drop(self.waiters.remove(which.index(self.waiters.len())));
            }
            Deed::Poll(_) | Deed::Drop(_) => {}
            Deed::Close => {
                self.sender.close();
                self.closed = true;
            }
        }
    }

    /// Whoever may go on has been woken, and nobody else.
    fn check(&self) {
        for (position, waiter) in self.waiters.iter().enumerate() {
            let sends = waiter.sends.is_some();
            let may = self.may_go_on(sends, self.before(sends, position));
            assert_eq!(waiter.woken(), may, "the waiter {position}");
        }
        assert_eq!(self.sender.channel().len(), self.messages.len());
        let count = |sends: bool| self.before(sends, self.waiters.len());
        if !self.closed {
            assert_eq!(self.sender.channel().waiting(), (count(true), count(false)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn a_channel_is_a_bounded_queue_with_two_fair_lines(
        capacity in 1..4_usize, deeds in prop::collection::vec(deed(), 1..80)
    ) {
        let channels = Channels::default();
        let mut model = Model::new(&channels, capacity);
        for deed in &deeds {
            model.act(deed);
            model.check();
        }
        // All who can go on do, and then nobody waits whom something could be done for.
        while let Some(position) = model.waiters.iter().position(Waiter::woken) {
            model.poll(position);
            model.check();
        }
        while let Some(left) = model.messages.pop_front() {
            model.waiters.clear();
            prop_assert_eq!(model.receiver.try_recv().map(number), Ok(left));
        }
        let closed = model.closed;
        drop(model);
        prop_assert_eq!((channels.bytes(), channels.len()), (0, usize::from(closed)));
    }
}

#[test]
fn a_turn_that_is_not_taken_is_handed_on() {
    let channels = Channels::default();
    let mut model = Model::new(&channels, 1);
    // Two wait for a message. It comes, the first is woken, and is killed before it is polled.
    model.arrive(None);
    model.arrive(None);
    model.try_it(Some(7));
    assert!(model.waiters[0].woken() && !model.waiters[1].woken());
    model.waiters.remove(0);
    assert!(model.waiters[0].woken(), "the message is the second one's now");
    model.poll(0);
    assert!(model.waiters.is_empty() && model.messages.is_empty());
    // The same at the other end: of two that wait for room the first is killed after it was woken.
    (1..4).for_each(|number| model.arrive(Some(number)));
    model.try_it(None);
    assert!(model.waiters[0].woken() && !model.waiters[1].woken());
    model.waiters.remove(0);
    assert!(model.waiters[0].woken(), "the room is the second one's now");
    model.poll(0);
    assert_eq!(model.messages, [3]);
}

#[test]
fn who_tries_does_not_overtake_who_waits() {
    let channels = Channels::default();
    let mut model = Model::new(&channels, 1);
    model.arrive(None);
    model.try_it(Some(1));
    assert_eq!(model.receiver.try_recv(), Err(ChannelError::WouldBlock), "it is another's");
    model.poll(0);
    // And at the other end.
    model.arrive(Some(2));
    model.arrive(Some(3));
    model.try_it(None);
    assert_eq!(model.sender.try_send(b"here"), Err(ChannelError::WouldBlock), "the room is another's");
    model.poll(0);
    assert_eq!(model.messages, [3]);
}

#[test]
fn all_that_can_be_made_is_bounded() {
    let mut limits = ChannelLimits::default();
    (limits.channels, limits.capacity, limits.message, limits.bytes) = (2, 3, 10, 200);
    let channels = Channels::new(limits);
    let refused = |name: &str, capacity| channels.open(name, capacity).map(drop).unwrap_err();
    assert_eq!(refused("", 1), ChannelError::Invalid);
    assert_eq!(refused("a", 0), ChannelError::Invalid);
    assert_eq!(refused("a", 4), ChannelError::TooLarge);
    assert_eq!(refused(&"a".repeat(129), 1), ChannelError::TooLarge);
    let (a, b) = (channels.open(&"a".repeat(128), 3).unwrap(), channels.open("b", 3).unwrap());
    assert_eq!(refused("c", 1), ChannelError::NoRoom);
    // Another opening of the same is no other channel, and keeps its capacity.
    assert_eq!(channels.open("b", 1).unwrap().capacity(), 3);
    assert_eq!(a.try_send(&[0; 11]), Err(ChannelError::TooLarge));
    assert_eq!(a.try_send(&[0; 10]), Ok(()));
    assert_eq!(b.try_send(&[0; 0]), Ok(()));
    assert_eq!(channels.bytes(), 74 + 64, "an empty message is not free");
    assert_eq!(a.try_send(&[]), Err(ChannelError::NoRoom), "202 would be more than 200");
    assert_eq!(b.try_send(&[]), Err(ChannelError::NoRoom));
    a.try_recv().unwrap();
    assert_eq!(b.try_send(&[]), Ok(()));
}

#[test]
fn a_channel_stays_while_it_is_open_or_holds_something_and_that_it_was_closed_is_remembered() {
    let mut limits = ChannelLimits::default();
    limits.channels = 2;
    let channels = Channels::new(limits);
    drop(channels.open("gone", 1).unwrap());
    assert!(channels.is_empty());
    // Somebody sends and goes; somebody else comes later.
    channels.open("a", 1).unwrap().try_send(b"left").unwrap();
    assert_eq!(channels.open("a", 1).unwrap().try_recv().unwrap(), b"left");
    assert!(channels.is_empty(), "and is gone once it is empty");
    // Somebody closes, and goes.
    let closed = |name: &str| channels.open(name, 1).map(|channel| channel.is_closed());
    channels.open("b", 1).unwrap().close();
    channels.open("c", 1).unwrap().close();
    assert_eq!((closed("b"), closed("c")), (Ok(true), Ok(true)));
    // The room is needed: the one that was left first is forgotten.
    let d = channels.open("d", 1).unwrap();
    assert_eq!((channels.len(), closed("c")), (2, Ok(true)));
    drop(d);
    assert_eq!(closed("b"), Ok(false), "a new one");
    // One that is held, or that holds something, is not forgotten.
    let (_held, full) = (channels.open("c", 1).unwrap(), channels.open("e", 1).unwrap());
    full.try_send(b"kept").unwrap();
    full.close();
    drop(full);
    assert_eq!(channels.open("f", 1).map(drop), Err(ChannelError::NoRoom));
    assert_eq!(channels.open("e", 1).unwrap().try_recv().unwrap(), b"kept");
}

/// Longer than anything here takes: a thread that waits for so long would wait for ever.
const LONG: Option<Duration> = Some(Duration::from_secs(20));

#[test]
fn threads_block_and_are_woken() {
    let channels = Channels::default();
    let (sender, receiver) = (channels.sender("t", 2).unwrap(), channels.receiver("t", 2).unwrap());
    let numbers = thread::spawn(move || {
        let mut numbers = Vec::new();
        while let Ok(message) = receiver.recv_blocking(LONG) {
            numbers.push(number(message));
        }
        numbers
    });
    for i in 0..1_000_u32 {
        sender.send_blocking(&i.to_le_bytes(), LONG).unwrap();
    }
    sender.close();
    assert_eq!(numbers.join().unwrap(), (0..1_000).collect::<Vec<u32>>());
    assert_eq!(sender.send_blocking(b"late", None), Err(ChannelError::Closed));
}

#[test]
fn a_thread_waits_no_longer_than_it_said() {
    let channels = Channels::default();
    let (sender, receiver) = (channels.sender("t", 1).unwrap(), channels.receiver("t", 1).unwrap());
    let brief = Some(Duration::from_millis(2));
    assert_eq!(receiver.recv_blocking(brief), Err(ChannelError::TimedOut));
    sender.send_blocking(b"1", brief).unwrap();
    assert_eq!(sender.send_blocking(b"2", brief), Err(ChannelError::TimedOut));
    // Who gave up is in no line, and what it would have sent is nowhere.
    assert_eq!(sender.channel().waiting(), (0, 0));
    assert_eq!(receiver.recv_blocking(Some(Duration::MAX)).unwrap(), b"1");
    assert_eq!(receiver.try_recv(), Err(ChannelError::WouldBlock));
}

#[test]
fn many_threads_lose_nothing() {
    let channels = Channels::default();
    let receiver = channels.receiver("m", 3).unwrap();
    let senders: Vec<_> = (0..4_u32)
        .map(|n| {
            let sender = channels.sender("m", 3).unwrap();
            thread::spawn(move || {
                (0..500).for_each(|i| sender.send_blocking(&(n * 1_000 + i).to_le_bytes(), LONG).unwrap())
            })
        })
        .collect();
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let receiver = receiver.clone();
            thread::spawn(move || {
                let mut own = Vec::new();
                while let Ok(message) = receiver.recv_blocking(LONG) {
                    own.push(number(message));
                    // Now and then one gives up while it waits.
                    let _ = receiver.recv_blocking(Some(Duration::ZERO)).map(|message| own.push(number(message)));
                }
                own
            })
        })
        .collect();
    senders.into_iter().for_each(|thread| thread.join().unwrap());
    receiver.close();
    let mut all: Vec<u32> = receivers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    all.sort_unstable();
    let sent: Vec<u32> = (0..4).flat_map(|n| (0..500).map(move |i| n * 1_000 + i)).collect();
    assert_eq!(all, sent);
}
