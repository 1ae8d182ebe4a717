//! Clocks, and waiting for moments and for input, in both layouts.

use super::*;
use fuelsched::wasi::Input;
use fuelsched::{SliceEnd, Step};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// A second.
const SECOND: u64 = 1_000_000_000;

/// A subscription, in the newer layout unless `old`.
fn subscription(userdata: u64, what: &Wait, old: bool) -> Vec<u8> {
    let mut bytes = vec![0xaa; if old { 56 } else { 48 }];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &userdata.to_le_bytes());
    let clock = if old { 24 } else { 16 };
    match what {
        Wait::Clock(id, timeout, flags) => {
            put(8, &[0]);
            put(clock, &u32::to_le_bytes(*id));
            put(clock + 8, &timeout.to_le_bytes());
            put(clock + 24, &u16::to_le_bytes(*flags));
        }
        Wait::Fd(tag, fd) => {
            put(8, &[*tag]);
            put(16, &u32::to_le_bytes(*fd));
        }
    }
    bytes
}

/// What a test waits for.
enum Wait {
    /// A clock's number, a time, 1 if that is absolute.
    Clock(u32, u64, u16),
    /// 1 to read, 2 to write, and a descriptor.
    Fd(u8, u32),
}

/// An event: what was given to it, errno, type, bytes, hangup.
type Event = (u64, u16, u8, u64, u16);

impl Guest {
    /// Writes subscriptions; says how many.
    fn subscribe(&mut self, waits: &[Wait], old: bool) -> i64 {
        let bytes: Vec<u8> =
            (100..).zip(waits).flat_map(|(userdata, wait)| subscription(userdata, wait, old)).collect();
        self.put(PATH, &bytes);
        waits.len() as i64
    }

    /// Reads events.
    fn events(&self) -> Vec<Event> {
        let at = |i| DATA + 32 * i;
        let event =
            |at| (self.u64(at), self.u16(at + 8), self.get(at + 10, 1)[0], self.u64(at + 16), self.u16(at + 24));
        (0..self.u32(OUT)).map(|i| event(at(i))).collect()
    }

    /// Waits.
    fn poll(&mut self, waits: &[Wait]) -> Vec<Event> {
        let count = self.subscribe(waits, false);
        assert_eq!(self.call("poll_oneoff", &[PATH.into(), DATA.into(), count, OUT.into()]), 0);
        self.events()
    }

    /// What a clock shows.
    fn clock(&mut self, id: i64) -> u64 {
        assert_eq!(self.call("clock_time_get", &[id, 0, OUT.into()]), 0);
        self.u64(OUT)
    }
}

#[test]
fn clocks_are_the_executor_s_and_the_system_s() {
    let mut guest = Guest::new(&Wasi::builder());
    let (first, second) = (guest.clock(1), guest.clock(1));
    assert!(first < second && second < SECOND, "{first}, {second}");
    let real = UNIX_EPOCH.elapsed().unwrap();
    assert!(real.abs_diff(Duration::from_nanos(guest.clock(0))) < Duration::from_secs(60));
    for id in [0, 1] {
        assert_eq!(guest.call("clock_res_get", &[id, OUT.into()]), 0);
        assert_eq!(guest.u64(OUT), 1);
    }
    for id in [2, 3, 4, -1] {
        assert_eq!(guest.call("clock_res_get", &[id, OUT.into()]), errno::INVAL);
        assert_eq!(guest.call("clock_time_get", &[id, 0, OUT.into()]), errno::INVAL);
    }
}

#[test]
fn a_wall_clock_can_begin_anywhere_and_goes_with_the_executor_s() {
    let run = || {
        let mut guest = Guest::new(&Wasi::builder().wall_clock_at(Duration::from_secs(1_000)));
        let times = (guest.clock(0), guest.clock(1));
        guest.poll(&[Wait::Clock(0, 5 * SECOND, 0)]);
        [times, (guest.clock(0), guest.clock(1))]
    };
    let [before, after] = run();
    // The two are read some hundred instructions apart.
    let apart = |(wall, monotonic): (u64, u64)| monotonic - (wall - 1_000 * SECOND);
    assert!(apart(before) < 1_000 && apart(after) < 1_000, "{before:?}, {after:?}");
    assert!(after.1 - before.1 >= 5 * SECOND && after.1 - before.1 < 5 * SECOND + 100_000);
    assert_eq!(run(), [before, after], "the same in every run");
}

#[test]
fn a_sleep_takes_its_time_and_costs_nothing() {
    let mut guest = Guest::new(&Wasi::builder());
    let start = Instant::now();
    let before = guest.clock(1);
    // Relative; then absolute, on either clock.
    assert_eq!(guest.poll(&[Wait::Clock(1, 3_600 * SECOND, 0)]), [(100, 0, 0, 0, 0)]);
    assert_eq!(guest.blocked, 1);
    assert!(guest.used < Fuel(1_000), "{:?}", guest.used);
    let now = guest.clock(1);
    assert!((3_600 * SECOND..3_600 * SECOND + 100_000).contains(&(now - before)));
    guest.poll(&[Wait::Clock(1, now + SECOND, 1)]);
    let later = guest.clock(1);
    assert!((SECOND..SECOND + 100_000).contains(&(later - now)), "{}", later - now);
    let mut guest = Guest::new(&Wasi::builder().wall_clock_at(Duration::from_secs(50)));
    guest.poll(&[Wait::Clock(0, 60 * SECOND, 1)]);
    assert!((10 * SECOND..10 * SECOND + 100_000).contains(&guest.clock(1)));
    // What is over is not waited for.
    guest.poll(&[Wait::Clock(1, 0, 1)]);
    assert_eq!(guest.blocked, 0);
    guest.poll(&[Wait::Clock(0, 1, 1)]);
    assert_eq!(guest.blocked, 0);
    guest.poll(&[Wait::Clock(1, 0, 0)]);
    assert_eq!(guest.blocked, 0);
    assert!(start.elapsed() < Duration::from_secs(60), "an hour of a virtual clock");
}

#[test]
fn of_several_moments_the_first_counts() {
    let mut guest = Guest::new(&Wasi::builder());
    let waits = [Wait::Clock(1, 3 * SECOND, 0), Wait::Clock(0, SECOND, 0), Wait::Clock(1, 2 * SECOND, 0)];
    let before = guest.clock(1);
    assert_eq!(guest.poll(&waits), [(101, 0, 0, 0, 0)]);
    assert!((SECOND..SECOND + 100_000).contains(&(guest.clock(1) - before)));
    // Two that come at once are two events.
    assert_eq!(guest.poll(&[Wait::Clock(1, 5, 1), Wait::Clock(1, 6, 1)]), [(100, 0, 0, 0, 0), (101, 0, 0, 0, 0)]);
}

#[test]
fn what_is_ready_or_wrong_is_said_at_once() {
    let dir = TempDir::new();
    dir.write("file", b"content");
    let builder = Wasi::builder().stdin(Input::bytes("abc")).dir(dir.path(), "/", DirAccess::ReadWrite);
    let mut guest = Guest::new(&builder);
    guest.open(3, "file", 0, READ | WRITE, 0).unwrap();
    guest.seek(4, 5, 0).unwrap();
    let hour = Wait::Clock(1, 3_600 * SECOND, 0);
    let badf = errno::BADF as u16;
    let waits = [
        hour,
        Wait::Fd(1, 0),
        Wait::Fd(2, 1),
        Wait::Fd(1, 4),
        Wait::Fd(2, 4),
        Wait::Fd(1, 99),
        Wait::Fd(2, 0),
        Wait::Fd(1, 2),
        Wait::Fd(1, 3),
        Wait::Clock(2, 0, 0),
    ];
    let expected = [
        (101, 0, 1, 3, 0),
        (102, 0, 2, 65_536, 0),
        (103, 0, 1, 2, 0),
        (104, 0, 2, 65_536, 0),
        (105, badf, 1, 0, 0),
        (106, badf, 2, 0, 0),
        (107, badf, 1, 0, 0),
        (108, badf, 1, 0, 0),
        (109, errno::INVAL as u16, 0, 0, 0),
    ];
    assert_eq!((guest.poll(&waits), guest.blocked), (expected.to_vec(), 0));
    guest.read(0, 10).unwrap();
    assert_eq!(guest.poll(&[Wait::Fd(1, 0)]), [(100, 0, 1, 0, 1)], "the end is something to read");
}

#[test]
fn input_or_a_moment_whichever_comes_first() {
    let (sender, input) = Input::channel();
    let mut guest = Guest::new(&Wasi::builder().stdin(input));
    let waits = || [Wait::Fd(1, 0), Wait::Clock(1, SECOND, 0)];
    // Nobody types: the moment comes.
    assert_eq!(guest.poll(&waits()), [(101, 0, 0, 0, 0)]);
    assert_eq!(guest.blocked, 1);
    // Something is there already.
    sender.push(b"abcd");
    assert_eq!((guest.poll(&waits()), guest.blocked), (vec![(100, 0, 1, 4, 0)], 0));
    assert_eq!(guest.read(0, 10), Ok(b"abcd".to_vec()), "it was looked at, and not taken");
    // It comes while the task waits.
    let count = guest.subscribe(&[Wait::Fd(1, 0)], false);
    let args = [PATH as i32, DATA as i32, count as i32, OUT as i32].map(Value::I32);
    let id = guest.sched.spawn(guest.instance.call("poll_oneoff", &args)).unwrap();
    let blocked = |step: &Step| matches!(step, Step::Ran(slice) if slice.end == SliceEnd::Blocked);
    assert!(blocked(&guest.sched.step()));
    assert_eq!(guest.sched.blocked_on(id).unwrap().0.to_string(), "for events");
    assert_eq!(guest.sched.step(), Step::Idle { next_wake: None });
    sender.push(b"xy");
    guest.sched.run();
    assert_eq!(guest.sched.take_outcome(id).unwrap().to_string(), "returned 0");
    assert_eq!(guest.events(), [(100, 0, 1, 2, 0)]);
    sender.close();
    assert_eq!(guest.poll(&waits()), [(100, 0, 1, 2, 1)]);
}

#[test]
fn how_many_are_waited_for_is_limited_and_all_lie_in_memory() {
    let mut guest = Guest::new(&Wasi::builder());
    let args = |at: i64, events: i64, count: i64| [at, events, count, OUT.into()];
    let end = i64::from(MEMORY);
    guest.subscribe(&[Wait::Clock(1, 0, 0)], false);
    for (args, expected) in [
        (args(PATH.into(), DATA.into(), 0), errno::INVAL),
        (args(PATH.into(), DATA.into(), 1025), errno::INVAL),
        (args(PATH.into(), DATA.into(), -1), errno::INVAL),
        (args(end - 47, DATA.into(), 1), errno::FAULT),
        (args(PATH.into(), end - 31, 1), errno::FAULT),
        ([PATH.into(), DATA.into(), 1, end - 3], errno::FAULT),
        // The events may lie over the subscriptions.
        (args(PATH.into(), PATH.into(), 1), 0),
        (args(DATA.into(), PATH.into(), 1), 0),
    ] {
        assert_eq!(guest.call("poll_oneoff", &args), expected, "{args:?}");
    }
    guest.put(PATH + 8, &[3]);
    assert_eq!(guest.call("poll_oneoff", &args(PATH.into(), DATA.into(), 1)), errno::INVAL, "there is no such type");
    // A thousand of them is no work for a host.
    let many: Vec<Wait> = (0..1024).map(|i| Wait::Clock(1, SECOND + i, 0)).collect();
    assert_eq!(guest.poll(&many).len(), 1);
    assert!(guest.used >= Fuel(1024 * 48));
}

#[test]
fn the_older_layout_of_a_subscription_is_read() {
    let mut guest = Guest::under(UNSTABLE, &Wasi::builder());
    let before = guest.clock(1);
    let count = guest.subscribe(&[Wait::Clock(1, SECOND, 0), Wait::Clock(1, 2 * SECOND, 0)], true);
    assert_eq!(guest.call("poll_oneoff", &[PATH.into(), DATA.into(), count, OUT.into()]), 0);
    assert_eq!(guest.events(), [(100, 0, 0, 0, 0)]);
    assert!((SECOND..SECOND + 100_000).contains(&(guest.clock(1) - before)));
    let count = guest.subscribe(&[Wait::Fd(2, 1), Wait::Fd(1, 9)], true);
    assert_eq!(guest.call("poll_oneoff", &[PATH.into(), DATA.into(), count, OUT.into()]), 0);
    assert_eq!(guest.events(), [(100, 0, 2, 65_536, 0), (101, errno::BADF as u16, 1, 0, 0)]);
}
