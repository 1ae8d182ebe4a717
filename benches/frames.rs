//! How well a run of so much time keeps to it, and how well slices last as long as they are meant to, with real guests.
//!
//! ```text
//! cargo bench --bench frames                      10,000 frames of 16 ms, and twice as many of 2 ms, each way: eight minutes
//! cargo bench --bench frames -- --quick           the same, shorter and less exact
//! cargo bench --bench frames -- --test            everything once
//! … 16ms  … 2ms  … turns  … slices                one part: 2 ms is with long turns, `turns` with short ones
//! ```
//!
//! Frames run in rounds. In each, the library's frames ("paced") and frames with a fixed largest grant of 10,000,000 fuel ("fixed") alternate, each with
//! its own executor over the same guests, so that whatever disturbs the machine disturbs both. Whoever ends is spawned again between two frames.
//!
//! On a machine that others use a frame is late because the thread was waiting for a core. Linux counts that wait, so lateness is also shown without it.

use fuelsched::policy::{RoundRobin, Timed};
use fuelsched::stats::Durations;
use fuelsched::{Budget, Clock, Ended, Engine, EngineConfig, Executor, Fuel, Module, RunEnd, Step, TaskId, Value};
use std::time::{Duration, Instant};

/// Fuel a turn: more than a slice of a frame is granted, so that the frame decides, and not the policy.
const LONG_TURN: Fuel = Fuel(20_000_000);
/// Fuel a turn: everybody has one in each frame.
const SHORT_TURN: Fuel = Fuel(200_000);
/// The largest grant of the frames to compare with.
const FIXED: u64 = 10_000_000;
/// How long a slice is to last.
const SLICE: Duration = Duration::from_micros(200);

/// Divides for ever: a few units of fuel a round, most of whose time is two divisions.
const DIVIDE: &str = r#"(module (func (export "main") (local $i i64) (local $sum i64)
  (loop $again
    (local.set $i (i64.add (local.get $i) (i64.const 0x123456789)))
    (local.set $sum (i64.add
      (i64.div_u (i64.const -1) (i64.or (local.get $i) (i64.const 1)))
      (i64.rem_s (local.get $i) (i64.const 1000003))))
    (br $again))))"#;

/// Fills memory for some milliseconds, then divides, then counts, for ever: its fuel changes its price by a factor of 100.
const CHANGE: &str = r#"(module (memory 1)
  (func (export "main") (local $i i64) (local $sum i64)
    (loop $again
      (local.set $i (i64.const 2000))
      (loop $fill
        (memory.fill (i32.const 0) (i32.const 170) (i32.const 65536))
        (br_if $fill (i64.ne (local.tee $i (i64.sub (local.get $i) (i64.const 1))) (i64.const 0))))
      (local.set $i (i64.const 2000000))
      (loop $divide
        (local.set $sum (i64.add (local.get $sum) (i64.div_u (i64.const -1) (local.get $i))))
        (br_if $divide (i64.ne (local.tee $i (i64.sub (local.get $i) (i64.const 1))) (i64.const 0))))
      (local.set $i (i64.const 5000000))
      (loop $count
        (br_if $count (i64.ne (local.tee $i (i64.sub (local.get $i) (i64.const 1))) (i64.const 0))))
      (br $again))))"#;

/// How much is measured.
struct Plan {
    /// Rounds.
    rounds: usize,
    /// Frames of each kind in a round.
    frames: usize,
    /// Slices of each guest.
    slices: usize,
}

/// A guest, and how it is called.
struct Guest {
    /// Its name.
    name: &'static str,
    /// The module.
    module: Module,
    /// What `main` is called with.
    args: Vec<Value>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let plan = plan(&args);
    let guests = guests();
    let parts = [("16ms", 16, LONG_TURN), ("2ms", 2, LONG_TURN), ("turns", 2, SHORT_TURN)];
    for (_, millis, turn) in parts.into_iter().filter(|(name, ..)| wants(&args, name)) {
        frames(&guests, &plan, Duration::from_millis(millis), turn);
    }
    if wants(&args, "slices") {
        slices(&guests, &plan);
    }
}

/// How much is to be measured, by the arguments that other benches know too. Without `--bench` it is `cargo test` that runs this.
fn plan(args: &[String]) -> Plan {
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has("--test") || !has("--bench") {
        Plan { rounds: 2, frames: 2, slices: 5 }
    } else if has("--quick") {
        Plan { rounds: 5, frames: 100, slices: 1_000 }
    } else {
        Plan { rounds: 20, frames: 500, slices: 10_000 }
    }
}

/// Whether the arguments leave this part in: they name no part, or this one.
fn wants(args: &[String], part: &str) -> bool {
    let mut names = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|name| part.contains(name.as_str()))
}

/// All guests: brief ones and endless ones, cheap ones and dear ones.
fn guests() -> Vec<Guest> {
    let engine = Engine::new(&EngineConfig::default()).expect("the default engine");
    let guest = |name: &'static str, text: &str, args: &[i32]| Guest {
        name,
        module: Module::from_bytes(&engine, name, text.as_bytes()).expect("the guest compiles"),
        args: args.iter().copied().map(Value::I32).collect(),
    };
    vec![
        guest("fib", include_str!("../wasm/fib.wat"), &[24]),
        guest("main", include_str!("../wasm/main.wat"), &[]),
        guest("spin", include_str!("../wasm/spin.wat"), &[]),
        guest("fill", include_str!("../wasm/fill.wat"), &[]),
        guest("grow", include_str!("../wasm/grow-memory.wat"), &[3_000]),
        guest("divide", DIVIDE, &[]),
        guest("change", CHANGE, &[]),
    ]
}

impl Guest {
    /// Spawns it.
    fn spawn<P: fuelsched::Policy>(&self, sched: &mut Executor<P>) -> TaskId {
        sched.spawn(self.module.call("main", &self.args)).expect("the call is right")
    }
}

/// An executor with all guests, and the frames that it has run.
struct Host<'a> {
    /// The guests.
    guests: &'a [Guest],
    /// Which guest each slot runs.
    ids: Vec<TaskId>,
    /// The executor.
    sched: Executor<RoundRobin>,
    /// One frame.
    frame: fn(&mut Executor<RoundRobin>, Duration) -> u64,
    /// How late the frames ended; 0 where they were early.
    late: Durations,
    /// The same without the time that the thread waited for a core.
    late_by_itself: Durations,
    /// Time asked for, time taken, and slices, of the present round and of all rounds before.
    sums: Vec<(Duration, Duration, u64)>,
}

impl<'a> Host<'a> {
    /// A host whose frames are run so.
    fn new(guests: &'a [Guest], turn: Fuel, frame: fn(&mut Executor<RoundRobin>, Duration) -> u64) -> Host<'a> {
        let mut sched = Executor::builder().policy(RoundRobin::new(turn)).build();
        let ids = guests.iter().map(|guest| guest.spawn(&mut sched)).collect();
        Host { guests, ids, sched, frame, late: Durations::new(), late_by_itself: Durations::new(), sums: Vec::new() }
    }

    /// Runs a frame, and then spawns again whoever has ended.
    fn run(&mut self, time: Duration) {
        let (waited, start) = (waited(), Instant::now());
        let slices = (self.frame)(&mut self.sched, time);
        let took = start.elapsed();
        let waited = self::waited().saturating_sub(waited);
        self.late.add(took.saturating_sub(time));
        self.late_by_itself.add(took.saturating_sub(time).saturating_sub(waited));
        if let Some(sums) = self.sums.last_mut() {
            *sums = (sums.0 + time, sums.1 + took, sums.2 + slices);
        }
        for Ended { id, .. } in self.sched.take_ended() {
            let who = self.ids.iter().position(|own| *own == id).expect("a task of this host");
            self.ids[who] = self.guests[who].spawn(&mut self.sched);
        }
    }

    /// Prints what was seen.
    fn print(&self, name: &str, time: Duration) {
        let part = |nanos: u64| nanos as f64 / time.as_nanos() as f64 * 100.0;
        println!("  {name}, {} frames", self.late.percentiles().count);
        for (what, late) in [("late", &self.late), ("late by itself", &self.late_by_itself)] {
            let late = late.percentiles();
            let at =
                [("p50", late.p50), ("p90", late.p90), ("p99", late.p99), ("p99.9", late.p99_9), ("max", late.max)];
            for (at, nanos) in at {
                println!("    {what:<14} {at:<6} {:>9.1} µs {:>6.1} %", nanos as f64 / 1e3, part(nanos));
            }
        }
        let used: Vec<f64> =
            self.sums.iter().map(|(time, took, _)| took.as_secs_f64() / time.as_secs_f64() * 100.0).collect();
        let frames = self.late.percentiles().count as f64 / self.sums.len() as f64;
        let slices: Vec<f64> = self.sums.iter().map(|(_, _, slices)| *slices as f64 / frames).collect();
        println!("    time taken, by time asked for, by round: {} %", spread(used));
        println!("    slices a frame, by round: {}", spread(slices));
    }
}

/// How long this thread has waited for a core so far; nothing where the system does not say.
fn waited() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// The median of some values, and their range.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    format!("{:.1} ({:.1} to {:.1})", values[values.len() / 2], values[0], values[values.len() - 1])
}

/// A frame by the library.
fn paced(sched: &mut Executor<RoundRobin>, time: Duration) -> u64 {
    sched.run_for(Budget::time(time)).polls
}

/// A frame whose slices have a fixed largest grant.
fn fixed(sched: &mut Executor<RoundRobin>, time: Duration) -> u64 {
    let (start, mut polls) = (Instant::now(), 0);
    while start.elapsed() < time {
        let ran = sched.run_for(Budget::fuel(FIXED).or_polls(1));
        polls += ran.polls;
        if ran.why != RunEnd::BudgetSpent {
            break;
        }
    }
    polls
}

/// Frames of this length, both ways.
fn frames(guests: &[Guest], plan: &Plan, time: Duration, turn: Fuel) {
    let mut hosts = [Host::new(guests, turn, paced), Host::new(guests, turn, fixed)];
    for _ in 0..plan.rounds {
        hosts.iter_mut().for_each(|host| host.sums.push(Default::default()));
        for frame in 0..2 * plan.frames {
            hosts[frame % 2].run(time);
        }
    }
    println!("\nframes of {time:?}, turns of {turn} fuel");
    hosts[0].print("paced", time);
    hosts[1].print("fixed", time);
}

/// Slices of a wanted length, by guest.
fn slices(guests: &[Guest], plan: &Plan) {
    let clock = Clock::monotonic();
    let mut sched = Executor::builder().policy(Timed::new(RoundRobin::new(LONG_TURN), SLICE, clock.clone())).build();
    let mut ids: Vec<TaskId> = guests.iter().map(|guest| guest.spawn(&mut sched)).collect();
    let mut lasted: Vec<Vec<f64>> = guests.iter().map(|_| Vec::new()).collect();
    for _ in 0..plan.slices * guests.len() {
        let start = clock.now();
        let Step::Ran(slice) = sched.step() else { unreachable!("there is always somebody") };
        let took = clock.now().saturating_sub(start);
        let who = ids.iter().position(|id| *id == slice.id).expect("a task of this host");
        // The last slice of a call is as long as what is left of it.
        match sched.take_outcome(slice.id) {
            None => lasted[who].push(took.as_secs_f64() * 1e6),
            Some(_) => ids[who] = guests[who].spawn(&mut sched),
        }
    }
    println!("\nslices of {SLICE:?}, in µs\n  guest      slices      p10      p50      p90      p99      sum");
    for (guest, lasted) in guests.iter().zip(&mut lasted) {
        lasted.sort_by(f64::total_cmp);
        let at = |part: f64| lasted.get((lasted.len() as f64 * part) as usize).copied().unwrap_or_default();
        let [p10, p50, p90, p99] = [0.1, 0.5, 0.9, 0.99].map(at);
        let sum: f64 = lasted.iter().sum();
        println!(
            "  {:<8} {:>8} {p10:>8.1} {p50:>8.1} {p90:>8.1} {p99:>8.1} {:>5.2} s",
            guest.name,
            lasted.len(),
            sum / 1e6
        );
    }
}
