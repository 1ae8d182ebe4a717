//! Recordings and replays: what was recorded comes again, what does not is named, and no bytes do any harm.

use crate::support::{QUANTA, Slices, endless, guest, i32s, work};
use fuelsched::policy::RoundRobin;
use fuelsched::reason::{Control, Param};
use fuelsched::replay::Verdict;
use fuelsched::trace::{Ended, Event, GroupControl, Observer, Slice, Spawned};
use fuelsched::{
    Budget, Clock, ErrorKind, Executor, Fuel, Group, GroupId, Outcome, Recorder, Recording, Replay, Result, SliceEnd,
    Task, TaskId, Value,
};
use proptest::prelude::*;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// All that an observer is told, but for ids and for the reason of a pick, as lines.
#[derive(Debug, Default)]
struct Lines(Vec<String>);

impl Observer for Lines {
    fn spawned(&mut self, task: &Spawned) {
        self.0.push(format!("spawned {} {} from {}", task.spawn_index, task.label, task.released));
    }
    fn control(&mut self, spawn_index: u64, control: &Control) {
        self.0.push(format!("{control:?} {spawn_index}"));
    }
    fn group(&mut self, id: GroupId, control: &GroupControl) {
        self.0.push(format!("{control:?} {id}"));
    }
    fn idle(&mut self, from: Fuel, until: Fuel) {
        self.0.push(format!("idle {from} {until}"));
    }
    fn slice(&mut self, slice: &Slice) {
        let Slice { spawn_index, number, grant, used, charged, end, at, .. } = slice;
        self.0.push(format!("{spawn_index} {number} granted {grant} used {used} {charged} {end} at {at}"));
    }
    fn ended(&mut self, task: &Ended) {
        self.0.push(format!("{} {} {:?} at {}", task.spawn_index, task.outcome, task.ledger, task.at));
    }
}

/// Who watches a run that is recorded.
type Watch = (Recorder<Vec<u8>>, Lines);

/// A recorder of a run with this header, and lines beside it.
fn watch(header: &[u8]) -> Watch {
    (Recorder::new(Vec::new(), header).unwrap(), Lines::default())
}

/// The bytes and the lines of a run.
fn recorded<P: fuelsched::Policy>(mut sched: Executor<P, Watch>) -> (Vec<u8>, Vec<String>) {
    let fresh = watch(b"");
    let (recorder, lines) = std::mem::replace(sched.observer_mut(), fresh);
    (recorder.finish().unwrap(), lines.0)
}

/// Replays bytes; the verdict and the lines.
fn replayed(bytes: &[u8], make: impl FnMut(u64, u64) -> Result<Task>) -> (Result<Verdict>, Vec<String>) {
    let recording = match Recording::new(bytes) {
        Ok(recording) => recording,
        Err(error) => return (Err(error), Vec::new()),
    };
    let mut replay = Replay::observed(recording, make, Lines::default());
    let verdict = replay.run();
    let lines = std::mem::take(&mut replay.observer_mut().0);
    (verdict, lines)
}

/// What diverged, as it is shown.
fn divergence(bytes: &[u8], make: impl FnMut(u64, u64) -> Result<Task>) -> String {
    match replayed(bytes, make).0.unwrap() {
        Verdict::Diverged(divergence) => divergence.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A random task.
#[derive(Clone, Debug)]
struct Shape {
    /// Fuel of each poll: used past the grant, or used in all, or given away.
    polls: Vec<(u8, u64)>,
    /// Whether it goes round its polls for ever.
    endless: bool,
    /// How it ends: by returning, exiting, trapping.
    end: u8,
    /// Budget, if it has one.
    budget: Option<u64>,
    /// Allowance and period.
    allowance: Option<(u64, u64)>,
    /// Its group, by position.
    group: Option<usize>,
    /// When it starts.
    start: u64,
    /// Whether its outcome is dropped.
    detached: bool,
}

impl Shape {
    /// The task.
    fn task(&self, groups: &[GroupId]) -> Task {
        let (polls, endless, end) = (self.polls.clone(), self.endless, self.end);
        let mut at = 0;
        let mut task = Task::from_future(move |meter| {
            poll_fn(move |_| {
                if at >= polls.len() && (!endless || polls.is_empty()) {
                    return Poll::Ready(match end {
                        0 => Outcome::Returned(i32s([7]).into()),
                        1 => Outcome::Exited(3),
                        _ => Outcome::Trapped(fuelsched::outcome::Trap::new("a trap")),
                    });
                }
                let (kind, fuel) = polls[at % polls.len()];
                at += 1;
                match kind {
                    0 => meter.record(meter.used().plus(meter.grant()).plus(Fuel(fuel))),
                    1 => meter.record(meter.used().plus(Fuel(fuel))),
                    _ => {
                        meter.record(meter.used().plus(Fuel(fuel)));
                        meter.yielding();
                    }
                }
                Poll::Pending
            })
        });
        if let Some(budget) = self.budget {
            task = task.budget(Fuel(budget));
        }
        if let Some((amount, period)) = self.allowance {
            task = task.replenishing(Fuel(amount), Fuel(period));
        }
        if let Some(group) = self.group.and_then(|group| groups.get(group)) {
            task = task.group(*group);
        }
        task = task.start_at(Fuel(self.start));
        if self.detached { task.detached() } else { task }
    }
}

/// Random tasks.
fn shape() -> impl Strategy<Value = Shape> {
    let fuel = prop_oneof![4 => 0..20_u64, 4 => 0..3_000_u64, 1 => Just(1_u64 << 62), 1 => Just(u64::MAX)];
    let polls = prop::collection::vec((0..3_u8, fuel), 0..5);
    let start = prop_oneof![2 => Just(0), 1 => 0..20_000_u64];
    (
        polls,
        any::<bool>(),
        0..3_u8,
        prop::option::of(1..20_000_u64),
        prop::option::of((0..3_000_u64, 0..9_000_u64)),
        prop::option::of(0..3_usize),
        start,
        any::<bool>(),
    )
        .prop_map(|(polls, endless, end, budget, allowance, group, start, detached)| Shape {
            polls,
            endless,
            end,
            budget,
            allowance,
            group,
            start,
            detached,
        })
}

/// What a host may do between steps.
#[derive(Clone, Debug)]
enum Deed {
    /// Spawns a task.
    Spawn(Shape),
    /// Kills one, suspends one, resumes one.
    Touch(u8, usize),
    /// Refuels a task.
    Refuel(usize, u64),
    /// Gives a task a quantum.
    Quantum(usize, u64),
    /// Makes a group.
    Group(Option<u64>, Option<(u64, u64)>, Option<u32>),
    /// Removes one, weighs one, refuels one.
    TouchGroup(u8, usize, u64),
    /// Runs.
    Run(u64, u64),
    /// Runs for some time of a clock that the tasks move.
    Time(u64),
    /// Stops all.
    Stop,
    /// Takes all that has ended.
    Take,
    /// Goes over to another policy.
    Policy(u64),
}

/// Random deeds.
fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => shape().prop_map(Deed::Spawn),
        4 => (0..3_u8, 0..10_usize).prop_map(|(what, who)| Deed::Touch(what, who)),
        2 => (0..10_usize, prop_oneof![0..5_000_u64, Just(u64::MAX)]).prop_map(|(who, fuel)| Deed::Refuel(who, fuel)),
        1 => (0..10_usize, 1..3_000_u64).prop_map(|(who, fuel)| Deed::Quantum(who, fuel)),
        2 => (prop::option::of(0..20_000_u64), prop::option::of((0..3_000_u64, 0..9_000_u64)), prop::option::of(any::<u32>()))
            .prop_map(|(budget, allowance, weight)| Deed::Group(budget, allowance, weight)),
        2 => (0..3_u8, 0..3_usize, 0..5_000_u64).prop_map(|(what, who, fuel)| Deed::TouchGroup(what, who, fuel)),
        8 => (prop_oneof![1..5_000_u64, Just(u64::MAX)], 1..40_u64).prop_map(|(fuel, polls)| Deed::Run(fuel, polls)),
        1 => (1..50_u64).prop_map(Deed::Time),
        1 => Just(Deed::Stop),
        1 => Just(Deed::Take),
        1 => (1..3_000_u64).prop_map(Deed::Policy),
    ]
}

/// The tasks that were spawned, each with the groups that there were.
type Made = Vec<(Shape, Vec<GroupId>)>;

/// Does random deeds, recorded. Says what the tasks were, and the groups.
fn live(quantum: u64, deeds: &[Deed]) -> (Vec<u8>, Vec<String>, Made) {
    let policy: Box<dyn fuelsched::Policy> = Box::new(RoundRobin::new(Fuel(quantum)));
    let mut sched = Executor::builder().policy(policy).observer(watch(b"random")).clock(Clock::monotonic()).build();
    let (mut ids, mut groups, mut made): (Vec<TaskId>, Vec<GroupId>, Vec<_>) = Default::default();
    for deed in deeds {
        match deed.clone() {
            Deed::Spawn(shape) => {
                let label = ids.len() as u64 % 3;
                if let Ok(id) = sched.spawn(shape.task(&groups).label(label)) {
                    ids.push(id);
                    made.push((shape, groups.clone()));
                }
            }
            Deed::Touch(what, who) => {
                let _ = ids.get(who).map(|id| match what {
                    0 => sched.kill(*id).map(drop),
                    1 => sched.suspend(*id),
                    _ => sched.resume(*id),
                });
            }
            Deed::Refuel(who, fuel) => {
                let _ = ids.get(who).map(|id| sched.refuel(*id, Fuel(fuel)));
            }
            Deed::Quantum(who, fuel) => {
                let _ = ids.get(who).map(|id| sched.set_quantum(*id, Fuel(fuel)));
            }
            Deed::Group(budget, allowance, weight) => {
                let mut group = Group::new();
                group = budget.map_or(group, |fuel| group.budget(Fuel(fuel)));
                group = allowance.map_or(group, |(amount, period)| group.replenishing(Fuel(amount), Fuel(period)));
                group = weight.map_or(group, |weight| group.weight(weight));
                groups.push(sched.add_group(group));
            }
            Deed::TouchGroup(what, who, fuel) => {
                let _ = groups.get(who).map(|id| match what {
                    0 => sched.remove_group(*id),
                    1 => sched.set_group_weight(*id, fuel as u32),
                    _ => sched.refuel_group(*id, Fuel(fuel)),
                });
            }
            Deed::Run(fuel, polls) => {
                sched.run_for(Budget::fuel(fuel).or_polls(polls));
            }
            Deed::Time(micros) => {
                sched.run_for(Budget::time(Duration::from_micros(micros)).or_polls(100));
            }
            Deed::Stop => sched.stop_all(),
            Deed::Take => drop(sched.take_ended()),
            Deed::Policy(quantum) => drop(sched.set_policy(Box::new(RoundRobin::new(Fuel(quantum)))).unwrap()),
        }
    }
    let (bytes, lines) = recorded(sched);
    (bytes, lines, made)
}

/// Makes the random tasks again.
fn again(made: &[(Shape, Vec<GroupId>)]) -> impl FnMut(u64, u64) -> Result<Task> {
    |label, spawn_index| {
        assert_eq!(label, spawn_index % 3);
        let (shape, groups) = &made[spawn_index as usize];
        Ok(shape.task(groups))
    }
}

/// Whatever bytes there are, reading them comes to an end, with no more events than bytes.
fn read_through(bytes: &[u8]) -> Option<fuelsched::Error> {
    let recording = match Recording::new(bytes) {
        Ok(recording) => recording,
        Err(error) => return Some(error),
    };
    let events: Vec<Result<Event>> = recording.collect();
    assert!(events.len() <= bytes.len() + 1, "an event takes at least a byte");
    let last = events.into_iter().next_back().expect("there is an end or an error");
    last.err()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_host_does_comes_again(
        (quantum, deeds) in (1..2_000_u64, prop::collection::vec(deed(), 1..60))
    ) {
        let (bytes, lines, made) = live(quantum, &deeds);
        let (verdict, seen) = replayed(&bytes, again(&made));
        prop_assert!(matches!(verdict, Ok(Verdict::Same)), "{:?}", verdict);
        prop_assert_eq!(&seen, &lines);
    }

    #[test]
    fn cut_anywhere_it_replays_what_is_left_and_then_says_so(
        (quantum, deeds) in (1..2_000_u64, prop::collection::vec(deed(), 1..12)),
        place in any::<prop::sample::Index>(),
    ) {
        let (bytes, lines, made) = live(quantum, &deeds);
        let cut = place.index(bytes.len());
        let (verdict, seen) = replayed(&bytes[..cut], again(&made));
        prop_assert!(verdict.is_err(), "{:?}", verdict);
        prop_assert_eq!(&seen[..], &lines[..seen.len()]);
    }

    #[test]
    fn one_changed_byte_is_noticed(
        (quantum, deeds) in (1..2_000_u64, prop::collection::vec(deed(), 1..12)),
        place in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let (mut bytes, _, made) = live(quantum, &deeds);
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        prop_assert!(read_through(&bytes).is_some());
        // Replayed, it may ask for tasks that never were.
        let mut make = again(&made);
        let (verdict, _) = replayed(&bytes, |label, index| match made.get(index as usize) {
            Some(_) if label == index % 3 => make(label, index),
            _ => Ok(endless()),
        });
        prop_assert!(verdict.is_err() || matches!(verdict, Ok(Verdict::Diverged(_))), "{:?}", verdict);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_through(&bytes);
        let with_magic = [b"fuelsched recording 1\n\0".as_slice(), &bytes].concat();
        read_through(&with_magic);
        // Tasks to speak of.
        let with_tasks = [b"fuelsched recording 1\n\0\x01\0\x01\0\x01\0".as_slice(), &bytes].concat();
        read_through(&with_tasks);
        let (verdict, _) = replayed(&with_tasks, |_, _| Ok(endless()));
        prop_assert!(!matches!(verdict, Ok(Verdict::Same)));
    }
}

/// Runs endless tasks, recorded, for so many polls, with grants that `make` decides on; bytes a switch.
fn bytes_a_switch(tasks: Vec<Task>, policy: impl fuelsched::Policy, mut cap: impl FnMut() -> u64) -> f64 {
    let recorder = Recorder::new(Vec::new(), b"").unwrap();
    let mut sched = Executor::builder().policy(policy).observer(Some(recorder)).build();
    for task in tasks {
        sched.spawn(task).unwrap();
    }
    const POLLS: u64 = 100_000;
    for _ in 0..POLLS {
        sched.run_for(Budget::polls(1).or_fuel(cap()));
    }
    assert_eq!(sched.totals().switches, POLLS);
    let bytes = sched.observer_mut().take().unwrap().finish().unwrap();
    bytes.len() as f64 / POLLS as f64
}

/// An endless task whose slices go past their grants by numbers below `most`, in no order.
fn overshooting(most: u64, seed: u64) -> Task {
    let mut number = noise(seed);
    Task::from_future(move |meter| {
        poll_fn(move |_| {
            meter.record(meter.used().plus(meter.grant()).plus(Fuel(number() % most)));
            Poll::<Outcome>::Pending
        })
    })
}

/// Numbers in no order: xorshift64 (Marsaglia 2003).
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed * 2 + 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn a_million_switches_take_less_than_8_mb() {
    let mut time = noise(5);
    let sizes = [
        ("2 guests, quantum 1,000", {
            let tasks = ["spin", "spin"].map(|name| guest(name).call("main", &[])).into();
            bytes_a_switch(tasks, RoundRobin::new(Fuel(1_000)), || u64::MAX)
        }),
        ("2 tasks, overshoots below 10", {
            let tasks = (0..2).map(|seed| overshooting(10, seed)).collect();
            bytes_a_switch(tasks, RoundRobin::new(Fuel(1_000)), || u64::MAX)
        }),
        ("1,000 tasks, overshoots below 100", {
            let tasks = (0..1_000).map(|seed| overshooting(100, seed)).collect();
            bytes_a_switch(tasks, RoundRobin::new(Fuel(10_000)), || u64::MAX)
        }),
        ("1,000 tasks, overshoots below 65,541", {
            let tasks = (0..1_000).map(|seed| overshooting(65_541, seed)).collect();
            bytes_a_switch(tasks, RoundRobin::new(Fuel(10_000)), || u64::MAX)
        }),
        ("100 tasks, grants about 200,000 that change every slice", {
            let tasks = (0..100).map(|seed| overshooting(10, seed)).collect();
            bytes_a_switch(tasks, RoundRobin::new(Fuel(1_000_000)), move || 150_000 + time() % 100_000)
        }),
    ];
    for (what, bytes) in sizes {
        println!("{bytes:.2} bytes a switch: {what}");
        assert!(bytes < 8.0, "{bytes} bytes a switch: {what}");
    }
}

/// The guests of a run: one that returns, one that loops for ever, one that traps, one that fills memory.
const GUESTS: [(&str, &str, i32); 5] = [
    ("fib", "main", 12),
    ("main", "main", -1),
    ("spin", "main", -1),
    ("divide-by-zero", "main", 0),
    ("fill", "main", -1),
];

/// The task of a label: a guest with its argument.
fn call(label: u64, budget: Fuel) -> Task {
    let (name, export, argument) = GUESTS[label as usize];
    let arguments = i32s([argument]);
    let arguments = if argument < 0 { &[] } else { &arguments[..] };
    guest(name).call(export, arguments).budget(budget)
}

/// Runs the guests, recorded.
fn run_guests(quantum: u64, budget: Fuel) -> (Vec<u8>, Vec<String>) {
    let policy = RoundRobin::new(Fuel(quantum));
    let mut sched = Executor::builder().policy(policy).observer(watch(b"guests")).build();
    for label in 0..GUESTS.len() as u64 {
        sched.spawn(call(label, budget).label(label)).unwrap();
    }
    sched.run_for(Budget::fuel(100_000).or_polls(50_000));
    sched.stop_all();
    recorded(sched)
}

#[test]
fn guests_do_again_what_they_did() {
    for quantum in QUANTA {
        let (bytes, lines) = run_guests(quantum, Fuel(20_000));
        let (verdict, seen) = replayed(&bytes, |label, _| Ok(call(label, Fuel(20_000))));
        assert_eq!(seen, lines, "quantum {quantum}");
        assert_eq!(verdict.unwrap(), Verdict::Same);
    }
}

#[test]
fn what_the_host_wrote_into_a_guest_is_written_again() {
    let module = guest("inspect");
    let call = || module.call("main", &[]).inspectable();
    let policy = RoundRobin::new(Fuel(1_000));
    let mut sched = Executor::builder().policy(policy).observer(watch(b"")).build();
    let id = sched.spawn(call()).unwrap();
    sched.run_for(Budget::polls(3));
    sched.set_global(id, "step", Value::I32(-7)).unwrap();
    sched.run_for(Budget::polls(2));
    sched.write_memory(id, "memory", 4, &42_u32.to_le_bytes()).unwrap();
    sched.run();
    let (bytes, log) = recorded(sched);
    assert!(log.last().is_some_and(|line| line.contains("returned 42")), "{log:?}");
    let (verdict, again) = replayed(&bytes, |_, _| Ok(call()));
    assert_eq!((verdict.unwrap(), again), (Verdict::Same, log));
    // A task that cannot be inspected cannot be replayed, and it is said why.
    let message = divergence(&bytes, |_, _| Ok(module.call("main", &[])));
    assert!(message.contains("is not inspectable"), "{message}");
}

#[cfg(feature = "digest")]
#[test]
fn a_replay_has_the_digest_of_the_run() {
    use fuelsched::trace::Digest;
    let observer = (Recorder::new(Vec::new(), b"").unwrap(), Digest::new());
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).observer(Some(observer)).build();
    for label in 0..GUESTS.len() as u64 {
        sched.spawn(call(label, Fuel(20_000)).label(label)).unwrap();
    }
    sched.run();
    let (recorder, digest) = sched.observer_mut().take().unwrap();
    let bytes = recorder.finish().unwrap();
    let make = |label, _| Ok(call(label, Fuel(20_000)));
    let mut replay = Replay::observed(Recording::new(&bytes[..]).unwrap(), make, Digest::new());
    assert_eq!(replay.run().unwrap(), Verdict::Same);
    assert_eq!(replay.observer().hex(), digest.hex());
    assert_eq!(replay.executor().totals(), sched.totals());
}

#[test]
fn what_is_another_is_named() {
    let record = |tasks: Vec<Task>| {
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).observer(watch(b"")).build();
        for task in tasks {
            sched.spawn(task).unwrap();
        }
        sched.run();
        recorded(sched).0
    };
    let costs = |last: u64| work([vec![1_000; 8], vec![last]].concat());
    let bytes = record(vec![costs(1_000), costs(1_001)]);
    assert_eq!(replayed(&bytes, |_, i| Ok(costs(1_000 + i))).0.unwrap(), Verdict::Same);
    // Eight switches each, then the ninth of task 0 is the 17th, and that of task 1 the 18th.
    assert_eq!(
        divergence(&bytes, |_, i| Ok(costs(1_000 + 2 * i))),
        "switch 18: task 1 used 1,002 fuel, and 1,001 was recorded"
    );
    assert_eq!(
        divergence(&bytes, |_, _| Ok(costs(1_001))),
        "switch 17: task 0 used 1,001 fuel, and 1,000 was recorded"
    );
    assert_eq!(
        divergence(&bytes, |_, i| Ok(costs(1_000 + i).budget(Fuel(8_500)))),
        "switch 17: task 0 was granted 500 fuel, and 1,000 was recorded: its budget is another"
    );
    assert_eq!(
        divergence(&bytes, |_, i| Ok(if i == 0 { work([1_000; 3]) } else { costs(1_001) })),
        "switch 7: task 0 used 0 fuel, and 1,000 was recorded"
    );
    assert_eq!(
        divergence(&bytes, |_, i| Ok(costs(1_000 + i).start_at(Fuel(i)).replenishing(Fuel(1_000), Fuel(5_000)))),
        "switch 1: task 0 was blocked, and preempted was recorded"
    );
}

#[test]
fn another_argument_is_named_and_another_outcome() {
    let fib = |n: i32| guest("fib").call("main", &i32s([n]));
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(100))).observer(watch(b"")).build();
    sched.spawn(fib(10).label(4)).unwrap();
    sched.spawn(guest("adder").call("add", &i32s([1, 2])).label(5)).unwrap();
    sched.run();
    let bytes = recorded(sched).0;
    let make = |n: i32, a: i32| {
        move |label, _| Ok(if label == 4 { fib(n) } else { guest("adder").call("add", &i32s([a, 2])) })
    };
    assert_eq!(replayed(&bytes, make(10, 1)).0.unwrap(), Verdict::Same);
    let shorter = divergence(&bytes, make(9, 1));
    assert!(shorter.contains("task 0 (label 4) used"), "{shorter}");
    // The same fuel, another sum.
    assert_eq!(
        divergence(&bytes, make(10, 3)),
        "switch 2: task 1 (label 5) ended as 'returned 5', and 'returned 3' was recorded"
    );
}

#[test]
fn a_task_whose_groups_budget_is_used_up_ends_again_without_a_slice() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).observer(watch(b"")).build();
    let group = sched.add_group(Group::new().budget(Fuel(25)));
    for _ in 0..3 {
        sched.spawn(endless().group(group)).unwrap();
    }
    sched.run();
    let (bytes, lines) = recorded(sched);
    let events: Vec<Event> = Recording::new(&bytes[..]).unwrap().map(Result::unwrap).collect();
    let slice = |spawn_index, fuel, end| Event::Slice { spawn_index, grant: Fuel(fuel), used: Fuel(fuel), end };
    let ended = |spawn_index| Event::Ended { spawn_index, outcome: "out-of-fuel".into() };
    assert_eq!(
        events[4..],
        [
            slice(0, 10, SliceEnd::Preempted),
            slice(1, 10, SliceEnd::Preempted),
            slice(2, 5, SliceEnd::Ended),
            ended(2),
            // Picked, and not run.
            ended(0),
            ended(1),
            Event::End { slices: 3, switches: 2, fuel: Fuel(25) },
        ]
    );
    let (verdict, seen) = replayed(&bytes, |_, _| Ok(endless().group(group)));
    assert_eq!((verdict.unwrap(), seen), (Verdict::Same, lines));
    let (verdict, _) = replayed(&bytes, |_, i| Ok(if i == 0 { endless() } else { endless().group(group) }));
    let Verdict::Diverged(divergence) = verdict.unwrap() else { panic!() };
    // Less of the group's budget was used.
    assert_eq!(divergence.to_string(), "switch 3: task 2 was preempted, and ended was recorded");
}

#[test]
fn a_cut_is_told_at_every_byte() {
    let (bytes, lines) = run_guests(1_000, Fuel(5_000));
    let whole = bytes.len();
    assert!(whole > 200 && read_through(&bytes).is_none());
    let mut ended_between = 0;
    for cut in 0..whole {
        let error = read_through(&bytes[..cut]).expect("it is cut").to_string();
        match cut {
            0 => assert_eq!(error, "not a recording: the file is empty"),
            _ => {
                assert!(error.starts_with("cut off after switch "), "{cut}: {error}");
                assert!(error.ends_with(&format!("at byte {}", Fuel(cut as u64))), "{cut}: {error}");
            }
        }
        ended_between += u64::from(error.contains("no end marker"));
    }
    assert!(ended_between > 20, "{ended_between}");
    // What came before can be replayed.
    let (verdict, seen) = replayed(&bytes[..whole - 20], |label, _| Ok(call(label, Fuel(5_000))));
    let error = verdict.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Recording { cut: true, .. }), "{error}");
    assert!(seen.len() > lines.len() / 2 && seen[..] == lines[..seen.len()]);
}

#[test]
fn a_changed_byte_is_damage_and_no_divergence() {
    let (bytes, _) = run_guests(1_000, Fuel(5_000));
    let (mut damaged, mut at_once) = (0, 0);
    for place in 30..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[place] ^= 1;
        let make = |label: u64, _| Ok(if label < 5 { call(label, Fuel(5_000)) } else { endless() });
        match replayed(&bytes, make).0 {
            Err(error) => match error.kind() {
                ErrorKind::Recording { cut: false, .. } => damaged += 1,
                _ => at_once += 1,
            },
            Ok(verdict) => panic!("{place}: {verdict:?}"),
        }
    }
    // A length that was changed may reach past the end.
    assert!(damaged > 9 * at_once, "{damaged} {at_once}");
}

#[test]
fn what_is_no_recording_is_refused() {
    let error = |bytes: &[u8]| Recording::new(bytes).unwrap_err().to_string();
    assert_eq!(error(b""), "not a recording: the file is empty");
    assert_eq!(error(b"\0asm"), "not a recording: it does not begin with \"fuelsched recording\"");
    assert_eq!(error(b"fuelsched recording \n"), "not a recording: its first line has no version");
    assert_eq!(error(b"fuelsched recording 7\n"), "a recording of version 7, and this build reads versions 1, 2 and 3");
    assert_eq!(error(b"fuelsched rec"), "cut off after switch 0: the file ends in the middle of an entry, at byte 13");
    // A header of 2^63 bytes takes up none.
    let long =
        [b"fuelsched recording 1\n".as_slice(), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]].concat();
    assert!(error(&long).starts_with("cut off after switch 0"), "{}", error(&long));
}

#[test]
fn the_header_is_the_hosts() {
    let recorder = Recorder::new(Vec::new(), b"{\"any\": 1}").unwrap();
    let bytes = recorder.finish().unwrap();
    let mut recording = Recording::new(&bytes[..]).unwrap();
    assert_eq!(recording.header(), b"{\"any\": 1}");
    assert_eq!(recording.next().unwrap().unwrap(), Event::End { slices: 0, switches: 0, fuel: Fuel(0) });
    assert!(recording.next().is_none());
}

/// A file on a disk that is soon full.
#[derive(Clone, Debug, Default)]
struct Full(Rc<RefCell<Vec<u8>>>);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.borrow_mut();
        if written.len() > 50_000 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_stops_the_recording_and_not_the_run() {
    let disk = Full::default();
    let observer = (Recorder::new(disk.clone(), b"").unwrap(), Slices::default());
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).observer(Some(observer)).build();
    sched.spawn(overshooting(1 << 40, 1)).unwrap();
    sched.run_for(Budget::polls(100_000));
    let (recorder, slices) = sched.observer_mut().take().unwrap();
    assert_eq!(slices.0.len(), 100_000);
    assert_eq!(recorder.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    let error = read_through(&disk.0.borrow()).unwrap();
    assert!(error.to_string().starts_with("cut off after switch "), "{error}");
}

#[test]
fn a_recorder_that_is_dropped_leaves_what_it_had() {
    let disk = Full::default();
    let recorder = Recorder::new(disk.clone(), b"").unwrap();
    let mut sched = Executor::builder().observer(recorder).build();
    sched.spawn(endless()).unwrap();
    sched.run_for(Budget::polls(100));
    drop(sched);
    let error = read_through(&disk.0.borrow()).unwrap().to_string();
    assert!(error.starts_with("cut off after switch 100: the file ends with no end marker"), "{error}");
}

#[test]
fn a_recording_begins_with_its_run() {
    let mut sched = Executor::builder().observer(None).build();
    sched.spawn(endless()).unwrap();
    *sched.observer_mut() = Some(Recorder::new(Vec::new(), b"").unwrap());
    sched.run_for(Budget::polls(3));
    let error = sched.observer_mut().take().unwrap().finish().unwrap_err();
    assert!(error.to_string().contains("task 0 was spawned before the recording began"), "{error}");
}

#[test]
fn all_that_a_host_can_do_is_kept() {
    let mut sched = Executor::builder().observer(Some(Recorder::new(Vec::new(), b"").unwrap())).build();
    let group = sched.add_group(Group::new().budget(Fuel::MAX).replenishing(Fuel::MAX, Fuel(0)).weight(u32::MAX));
    sched.set_group_weight(group, 0).unwrap();
    sched.refuel_group(group, Fuel::MAX).unwrap();
    let id = sched.spawn(endless().label(u64::MAX)).unwrap();
    sched.suspend(id).unwrap();
    sched.resume(id).unwrap();
    sched.refuel(id, Fuel::MAX).unwrap();
    sched.set_quantum(id, Fuel(u64::MAX)).unwrap();
    sched.kill(id).unwrap();
    sched.remove_group(group).unwrap();
    let second = sched.add_group(Group::new());
    let bytes = sched.observer_mut().take().unwrap().finish().unwrap();
    let events: Vec<Event> = Recording::new(&bytes[..]).unwrap().map(Result::unwrap).collect();
    let of_group = |id, control| Event::Group { id, control };
    let of_task = |control| Event::Control { spawn_index: 0, control };
    let expected = [
        of_group(
            group,
            GroupControl::Add(Group::new().budget(Fuel::MAX).replenishing(Fuel::MAX, Fuel(0)).weight(u32::MAX)),
        ),
        of_group(group, GroupControl::Weight(0)),
        of_group(group, GroupControl::Refuel(Fuel::MAX)),
        Event::Spawned { spawn_index: 0, label: u64::MAX },
        of_task(Control::Suspend),
        of_task(Control::Resume),
        of_task(Control::Refuel(Fuel::MAX)),
        of_task(Control::Set(Param::Quantum(Fuel(u64::MAX)))),
        of_task(Control::Kill),
        Event::Ended { spawn_index: 0, outcome: "killed".into() },
        of_group(group, GroupControl::Remove),
        of_group(second, GroupControl::Add(Group::new())),
        Event::End { slices: 0, switches: 0, fuel: Fuel(0) },
    ];
    assert_eq!(events, expected);
    let (verdict, _) = replayed(&bytes, |_, _| Ok(endless()));
    assert_eq!(verdict.unwrap(), Verdict::Same);
}

#[test]
fn who_cannot_run_is_named() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).observer(watch(b"")).build();
    for _ in 0..2 {
        sched.spawn(endless()).unwrap();
    }
    sched.run_for(Budget::polls(4));
    let bytes = recorded(sched).0;
    assert_eq!(
        divergence(&bytes, |_, i| Ok(endless().start_at(Fuel(500 * i)))),
        "switch 2: task 1 is waiting until 500, and was recorded to run"
    );
}

#[test]
fn an_end_without_its_outcome_is_damage() {
    // A task, a slice of 1 fuel that ends it, and another slice.
    let bytes = b"fuelsched recording 1\n\0\x01\0\x93\x02\x80";
    let error = read_through(bytes).unwrap().to_string();
    assert_eq!(
        error,
        "damaged after switch 0: task 0 has ended, and its outcome does not follow, in the entry at byte 27"
    );
}
