//! Slices and frames in time, on a clock that the tasks themselves move: how long fuel takes is the task's to say, so every run is the same.
//!
//! Logs are compared whole. Tasks are called a, b … in the order of spawning; `used/grant` is the fuel of a slice, then how long it took.

use crate::support::work;
use fuelsched::policy::{Pick, Policy, RoundRobin, Run, Timed};
use fuelsched::reason::{Param, Params, PickReason, ReadyReason};
use fuelsched::trace::{Observer, Slice};
use fuelsched::{Budget, Clock, ErrorKind, Executor, Fuel, Outcome, Ran, Result, RunEnd, SliceEnd, Step, Task, TaskId};
use proptest::prelude::*;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// An endless task that uses what it is granted. Its i-th slice takes `costs[i]` ns a unit, and all after the last cost take the last.
fn costing(clock: &Clock, costs: &[f64]) -> Task {
    let (clock, costs) = (clock.clone(), costs.to_vec());
    let mut slice = 0;
    Task::from_future(move |meter| {
        poll_fn(move |_| {
            let cost = costs[slice.min(costs.len() - 1)];
            slice += 1;
            meter.record(meter.used().plus(meter.grant()));
            clock.advance(Duration::from_nanos((meter.grant().0 as f64 * cost) as u64));
            Poll::<Outcome>::Pending
        })
    })
}

/// An observer that writes a line for each slice, with its time.
struct Log {
    /// What shows the time.
    clock: Clock,
    /// When the last slice ended.
    since: Duration,
    /// The lines.
    lines: Vec<String>,
    /// Time that each task took, by the order of spawning.
    took: Vec<Duration>,
}

impl Observer for Log {
    fn slice(&mut self, s: &Slice) {
        let now = self.clock.now();
        let (who, took) = (s.spawn_index as usize, now - self.since);
        self.since = now;
        self.lines.push(format!("{} {}: {}/{} {took:?}", char::from(b'a' + who as u8), s.why, s.used.0, s.grant.0));
        self.took.resize(self.took.len().max(who + 1), Duration::ZERO);
        self.took[who] += took;
    }
}

/// An executor with this policy on this clock, and a log.
fn sched<P: Policy>(policy: P, clock: &Clock) -> Executor<P, Log> {
    let log = Log { clock: clock.clone(), since: Duration::ZERO, lines: Vec::new(), took: Vec::new() };
    Executor::builder().policy(policy).observer(log).clock(clock.clone()).build()
}

/// Takes what has been logged.
fn logged<P: Policy>(sched: &mut Executor<P, Log>) -> Vec<String> {
    std::mem::take(&mut sched.observer_mut().lines)
}

/// Makes a number of polls, and says what was logged.
fn polls<P: Policy>(sched: &mut Executor<P, Log>, n: u64) -> Vec<String> {
    sched.run_for(Budget::polls(n));
    logged(sched)
}

/// A quantum that no slice of a frame uses up.
const LARGE: Fuel = Fuel(1 << 40);

/// A frame of this many microseconds.
fn frame<P: Policy>(sched: &mut Executor<P, Log>, micros: u64) -> Ran {
    sched.run_for(Budget::time(Duration::from_micros(micros)))
}

/// Slices in time, of a millisecond, with a clock.
fn timed() -> (Executor<Timed<RoundRobin>, Log>, Clock) {
    let clock = Clock::manual();
    let policy = Timed::new(RoundRobin::new(Fuel(10)), Duration::from_millis(1), clock.clone());
    (sched(policy, &clock), clock)
}

// Frames.

#[test]
fn slices_get_shorter_towards_the_end_of_a_frame() {
    let clock = Clock::manual();
    let mut sched = sched(RoundRobin::new(LARGE), &clock);
    sched.spawn(costing(&clock, &[1.0])).unwrap();
    frame(&mut sched, 3_200);
    logged(&mut sched);
    // By now its pace is known well: it is nearly 1 ns a unit.
    for _ in 0..3 {
        sched.run_for(Budget::time(Duration::from_millis(32)));
    }
    logged(&mut sched);
    let before = clock.now();
    frame(&mut sched, 3_200);
    let lines = logged(&mut sched);
    let (whole, rest) = lines.split_at(30);
    // A 32nd of the frame, as long as it is less than half of what is left …
    assert!(whole.iter().all(|line| line == "a continued: 100000/100000 100µs"), "{whole:?}");
    // … then half of what is left, until that is not more than 20 µs.
    let expected = [
        "a continued: 100000/100000 100µs",
        "a continued: 50000/50000 50µs",
        "a continued: 25000/25000 25µs",
        "a continued: 12500/12500 12.5µs",
    ];
    assert_eq!(rest, expected);
    assert_eq!(clock.now() - before, Duration::from_nanos(3_187_500));
}

#[test]
fn a_task_whose_fuel_takes_longer_gets_less_of_it() {
    let clock = Clock::manual();
    let mut sched = sched(RoundRobin::new(Fuel(150_000)), &clock);
    sched.spawn(costing(&clock, &[1.0])).unwrap();
    sched.spawn(costing(&clock, &[100.0])).unwrap();
    sched.run_for(Budget::time(Duration::from_millis(32)).or_polls(10));
    let expected = [
        // Nobody is known: 1 ms at 10 ns a unit. The one is faster than that …
        "a turn: 100000/100000 100µs",
        // … and goes on with its turn, which the host has cut short.
        "a continued: 50000/50000 50µs",
        // The other is 10 times as slow, and takes 10 times too long: once.
        "b turn: 100000/100000 10ms",
        "b continued: 10000/10000 1ms",
        "b continued: 10000/10000 1ms",
        "b continued: 10000/10000 1ms",
        "b continued: 10000/10000 1ms",
        "b continued: 10000/10000 1ms",
        "a turn: 150000/150000 150µs",
        "b turn: 10000/10000 1ms",
    ];
    assert_eq!(logged(&mut sched), expected);
}

#[test]
fn a_task_that_becomes_dearer_makes_one_frame_late_and_no_more() {
    let clock = Clock::manual();
    let mut sched = sched(RoundRobin::new(LARGE), &clock);
    let mut costs = vec![1.0; 36];
    costs.push(100.0);
    sched.spawn(costing(&clock, &costs)).unwrap();
    let mut ended = Vec::new();
    for _ in 0..4 {
        let before = clock.now();
        frame(&mut sched, 3_200);
        ended.push((clock.now() - before).as_micros());
    }
    // The second frame begins with a slice of 100 times the length. The third begins with one of 25 times, and still ends in time.
    assert_eq!(ended, [3_188, 10_100, 3_187, 3_187]);
}

#[test]
fn without_a_time_limit_nothing_is_capped_and_no_clock_matters() {
    let clock = Clock::manual();
    let mut sched = sched(RoundRobin::new(Fuel(70_000_000)), &clock);
    sched.spawn(costing(&clock, &[100.0])).unwrap();
    assert_eq!(polls(&mut sched, 1), ["a turn: 70000000/70000000 7s"]);
    assert!(matches!(sched.step(), Step::Ran(slice) if slice.grant == Fuel(70_000_000)));
    sched.run_for(Budget::fuel(70_000_001));
    let last = logged(&mut sched).pop();
    assert_eq!(last.as_deref(), Some("a turn: 1/1 100ns"));
}

#[test]
fn hostile_frames_end() {
    let clock = Clock::manual();
    let mut sched = sched(RoundRobin::new(LARGE), &clock);
    // Moves the clock to where it cannot go further, and back past its end.
    for cost in [0.0, 1e30, 1e-9] {
        sched.spawn(costing(&clock, &[cost])).unwrap();
    }
    sched.spawn(work([u64::MAX, 1 << 62, 0])).unwrap();
    for time in [Duration::ZERO, Duration::from_nanos(1), Duration::from_nanos(127), Duration::MAX] {
        let ran = sched.run_for(Budget::time(time).or_polls(50));
        assert!(ran.why == RunEnd::BudgetSpent && ran.polls <= 50, "{ran:?}");
    }
}

// Slices.

#[test]
fn quanta_follow_the_pace_of_each_task() {
    let (mut sched, clock) = timed();
    sched.spawn(costing(&clock, &[1.0])).unwrap();
    sched.spawn(costing(&clock, &[100.0])).unwrap();
    let expected = [
        // A millisecond at the guess.
        "a turn: 100000/100000 100µs",
        "b turn: 100000/100000 10ms",
        // Both are known.
        "a turn: 1000000/1000000 1ms",
        "b turn: 10000/10000 1ms",
        "a turn: 1000000/1000000 1ms",
        "b turn: 10000/10000 1ms",
    ];
    assert_eq!(polls(&mut sched, 6), expected);
}

#[test]
fn quanta_follow_a_change_and_not_a_wobble() {
    let (mut sched, clock) = timed();
    sched.spawn(costing(&clock, &[1.0, 1.0, 1.05, 0.95, 1.0, 50.0, 50.0, 50.0, 1.0, 1.0, 1.0])).unwrap();
    let expected = [
        "a turn: 100000/100000 100µs",
        "a turn: 1000000/1000000 1ms",
        // An eighth more or less is left as it is.
        "a turn: 1000000/1000000 1.05ms",
        "a turn: 1000000/1000000 950µs",
        "a turn: 1000000/1000000 1ms",
        // 50 times as dear: not quite believed, and then believed.
        "a turn: 1000000/1000000 50ms",
        "a turn: 250000/250000 12.5ms",
        "a turn: 20000/20000 1ms",
        // Cheap again, which is believed by halves.
        "a turn: 20000/20000 20µs",
        "a turn: 39215/39215 39.215µs",
        "a turn: 75471/75471 75.471µs",
    ];
    assert_eq!(polls(&mut sched, 11), expected);
}

#[test]
fn a_turn_that_the_host_cuts_short_keeps_its_quantum() {
    let (mut sched, clock) = timed();
    sched.spawn(costing(&clock, &[1.0])).unwrap();
    sched.spawn(costing(&clock, &[100.0])).unwrap();
    for fuel in [40_000, 60_000, 40_000, u64::MAX] {
        sched.run_for(Budget::fuel(fuel).or_polls(1));
    }
    let expected = [
        "a turn: 40000/40000 40µs",
        "a continued: 60000/60000 60µs",
        "b turn: 40000/40000 4ms",
        // Its pace is known by now, and the turn is still one of 100,000.
        "b continued: 60000/60000 6ms",
    ];
    assert_eq!(logged(&mut sched), expected);
    assert_eq!(polls(&mut sched, 2), ["a turn: 1000000/1000000 1ms", "b turn: 10000/10000 1ms"]);
    let numbers = sched.policy().numbers(TaskId::new(1, 0));
    assert_eq!(numbers, [("quantum", 10_000), ("balance", 0), ("ps-per-fuel", 100_000)]);
}

#[test]
fn a_task_that_does_not_run_after_all_teaches_nothing() {
    let (mut sched, clock) = timed();
    let id = sched.spawn(costing(&clock, &[1.0])).unwrap();
    polls(&mut sched, 3);
    let before = sched.policy().numbers(id);
    sched.suspend(id).unwrap();
    // The policy picks it, and is told that it waits.
    assert!(matches!(sched.step(), Step::Idle { .. }));
    sched.resume(id).unwrap();
    assert_eq!(sched.policy().numbers(id), before);
}

#[test]
fn a_task_with_a_quantum_of_its_own_keeps_it() {
    let (mut sched, clock) = timed();
    sched.spawn(costing(&clock, &[1.0]).param(Param::Quantum(Fuel(7_000)))).unwrap();
    let later = sched.spawn(costing(&clock, &[1.0])).unwrap();
    sched.set_quantum(later, Fuel(5_000)).unwrap();
    let expected = ["a turn: 7000/7000 7µs", "b turn: 5000/5000 5µs", "a turn: 7000/7000 7µs", "b turn: 5000/5000 5µs"];
    assert_eq!(polls(&mut sched, 4), expected);
    assert!(matches!(sched.set_quantum(later, Fuel::ZERO).unwrap_err().kind(), ErrorKind::Refused { .. }));
}

/// A policy of one task that has no quantum to set; asserts that it is asked nothing between `pick` and `charge`.
#[derive(Debug, Default)]
struct Stubborn {
    /// The task, while it is ready.
    ready: Option<TaskId>,
    /// Whether it is running.
    running: bool,
    /// How often a quantum was refused.
    refused: u64,
}

impl Policy for Stubborn {
    fn name(&self) -> &'static str {
        "stubborn"
    }
    fn admit(&mut self, _id: TaskId, params: &Params) -> Result<()> {
        match params.quantum {
            Some(_) => Err(ErrorKind::Refused { policy: "stubborn", message: "no quantum".into() }.into()),
            None => Ok(()),
        }
    }
    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        self.ready = Some(id);
    }
    fn pick(&mut self, _now: Fuel) -> Pick {
        let Some(id) = self.ready.take() else { return Pick::Empty };
        self.running = true;
        Pick::Run(Run { id, grant: Fuel(500), why: PickReason::Drawn })
    }
    fn charge(&mut self, id: TaskId, _used: Fuel, end: SliceEnd) {
        self.running = false;
        self.ready = (end == SliceEnd::Preempted).then_some(id);
    }
    fn leave(&mut self, _id: TaskId) {
        self.ready = None;
    }
    fn set(&mut self, _id: TaskId, _param: Param) -> Result<()> {
        assert!(!self.running, "nothing is set while a task runs");
        self.refused += 1;
        Err(ErrorKind::Refused { policy: "stubborn", message: "no quantum".into() }.into())
    }
}

#[test]
fn a_policy_without_quanta_runs_as_it_would_by_itself() {
    let clock = Clock::manual();
    let mut sched = sched(Timed::new(Stubborn::default(), Duration::from_millis(1), clock.clone()), &clock);
    sched.spawn(costing(&clock, &[1.0])).unwrap();
    assert_eq!(polls(&mut sched, 3), ["a drawn: 500/500 500ns"; 3]);
    assert_eq!(sched.policy().name(), "stubborn");
    assert_eq!(sched.policy().inner().refused, 0, "it said so when the task was admitted");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Costs within a factor of 1,000 of each other: shares of time are equal to within two slices, once every pace is known, whatever frames
    /// the run is cut into. No fuel is lost.
    #[test]
    fn tasks_get_equal_time_whatever_their_fuel_costs(
        costs in prop::collection::vec(0.1..100.0_f64, 2..7),
        frames in prop::collection::vec(prop_oneof![Just(None), (50..20_000_u64).prop_map(Some)], 40),
    ) {
        let (mut sched, clock) = timed();
        for cost in &costs {
            sched.spawn(costing(&clock, &[*cost])).unwrap();
        }
        // Until every pace is known.
        sched.run_for(Budget::polls(30 * costs.len() as u64));
        let before = sched.observer().took.clone();
        for micros in frames {
            match micros {
                Some(micros) => frame(&mut sched, micros),
                None => sched.run_for(Budget::polls(7)),
            };
        }
        let took = sched.observer().took.iter().zip(&before).map(|(after, before)| *after - *before);
        let (least, most) = (took.clone().min().unwrap(), took.clone().max().unwrap());
        // A turn lasts a millisecond, but for an eighth; every turn adds what it is wrong by.
        let turns = most.as_micros() / 800 + 2;
        let bound = Duration::from_millis(2) + Duration::from_micros((turns * 300) as u64);
        prop_assert!(most - least <= bound, "{least:?} to {most:?}");
        prop_assert!(least * 2 + Duration::from_millis(2) >= most, "nobody starves: {least:?} to {most:?}");
        let used: u64 = (0..costs.len()).map(|i| sched.ledger(TaskId::new(i as u32, 0)).unwrap().used.0).sum();
        prop_assert_eq!(Fuel(used), sched.totals().fuel);
    }

    /// A frame is late by no more than its last slice, and the least that it uses is all but a 128th, or 20 µs.
    #[test]
    fn a_frame_of_steady_tasks_ends_in_time(
        costs in prop::collection::vec(0.3..100.0_f64, 1..7),
        quantum in 10_000..1_000_000_000_u64,
        micros in 500..40_000_u64,
    ) {
        let clock = Clock::manual();
        let mut sched = sched(RoundRobin::new(Fuel(1_000)), &clock);
        let ids: Vec<TaskId> = costs.iter().map(|cost| sched.spawn(costing(&clock, &[*cost])).unwrap()).collect();
        // Until every pace is known.
        sched.run_for(Budget::time(Duration::from_secs(1)).or_polls(30 * costs.len() as u64));
        for id in ids {
            sched.set_quantum(id, Fuel(quantum)).unwrap();
        }
        for _ in 0..20 {
            let before = clock.now();
            let ran = frame(&mut sched, micros);
            let took = (clock.now() - before).as_nanos() as u64;
            prop_assert_eq!(ran.why, RunEnd::BudgetSpent);
            let margin = (micros * 1_000 / 128).min(20_000);
            prop_assert!(took >= micros * 1_000 - margin, "{took} of {micros} µs");
            prop_assert!(took <= micros * 1_000 + 2 * margin, "{took} of {micros} µs");
        }
    }
}
