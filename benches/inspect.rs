//! What it costs that a task can be inspected: a switch of inspectable guests beside a switch of others, and reading a suspended guest's memory.
//! `docs/control.md` says what came out.
//!
//! ```text
//! cargo bench --bench inspect                a Markdown table: medians, quartiles, ratio with its 95 % interval
//! cargo bench --bench inspect -- --quick     the same, shorter and less exact
//! cargo bench --bench inspect -- --test      everything once
//! ```
//!
//! Both run the same endless loop, in an executor each, in paired rounds, with sets of futures made anew: see `docs/benchmarks.md`.

#[path = "switch/guests.rs"]
#[expect(dead_code, reason = "the other bench's contestants")]
mod guests;
#[path = "switch/stats.rs"]
mod stats;

use fuelsched::policy::RoundRobin;
use fuelsched::{Budget, Executor, Fuel, TaskId};
use guests::{COUNT, Guests};
use stats::{Estimate, Spread};
use std::time::Instant;

/// How many tasks, and how much fuel each is granted at a time.
const CASES: [(usize, u64); 4] = [(1, 1), (100, 1), (1, 1000), (100, 1000)];

/// How much is measured.
struct Plan {
    /// Sets of futures.
    sets: usize,
    /// Rounds with each set.
    rounds: usize,
    /// Switches in each measurement.
    switches: u64,
}

/// By the arguments that other benches know too. Without `--bench` it is `cargo test` that runs this.
fn plan() -> Plan {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has("--test") || !has("--bench") {
        Plan { sets: 1, rounds: 2, switches: 10 }
    } else if has("--quick") {
        Plan { sets: 4, rounds: 20, switches: 2000 }
    } else {
        Plan { sets: 16, rounds: 40, switches: 4000 }
    }
}

/// An executor with so many endless tasks, and their ids.
fn executor(guests: &Guests, tasks: usize, quantum: u64, inspectable: bool) -> (Executor<RoundRobin>, Vec<TaskId>) {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
    let task = || if inspectable { guests.task().inspectable() } else { guests.task() };
    let ids = (0..tasks).map(|_| sched.spawn(task()).expect("the call is right")).collect();
    (sched, ids)
}

/// Nanoseconds a switch, after two turns of each task that are not timed.
fn switches(sched: &mut Executor<RoundRobin>, plan: &Plan) -> f64 {
    let _ = sched.run_for(Budget::polls(2 * sched.live() as u64));
    let start = Instant::now();
    let ran = sched.run_for(Budget::polls(plan.switches));
    start.elapsed().as_nanos() as f64 / ran.polls as f64
}

/// Nanoseconds for one reading of 64 bytes, of one guest after the other.
fn reads(sched: &mut Executor<RoundRobin>, ids: &[TaskId], plan: &Plan) -> f64 {
    let mut bytes = [0; 64];
    let start = Instant::now();
    for read in 0..plan.switches {
        let id = ids[read as usize % ids.len()];
        sched.read_memory(id, "memory", 0, &mut bytes).expect("the guest is suspended");
    }
    start.elapsed().as_nanos() as f64 / plan.switches as f64
}

fn main() {
    let plan = plan();
    let guests = Guests::that("(memory (export \"memory\") 1)", COUNT);
    println!("| tasks | quantum | plain, ns | inspectable, ns | ratio | 95 % interval | reading 64 bytes, ns |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for (tasks, quantum) in CASES {
        let sets: Vec<Vec<[f64; 3]>> = (0..plan.sets).map(|set| measure(&guests, tasks, quantum, &plan, set)).collect();
        print(tasks, quantum, &sets);
    }
}

/// All rounds with one set of futures: plain, inspectable, a reading. Who comes first changes from set to set and from round to round.
fn measure(guests: &Guests, tasks: usize, quantum: u64, plan: &Plan, set: usize) -> Vec<[f64; 3]> {
    let first = !set.is_multiple_of(2);
    let mut made = [first, !first].map(|inspectable| executor(guests, tasks, quantum, inspectable));
    if first {
        made.reverse();
    }
    let [(mut plain, _), (mut open, ids)] = made;
    let round = |round: usize| {
        let (a, b) = if round.is_multiple_of(2) {
            let a = switches(&mut plain, plan);
            (a, switches(&mut open, plan))
        } else {
            let b = switches(&mut open, plan);
            (switches(&mut plain, plan), b)
        };
        [a, b, reads(&mut open, &ids, plan)]
    };
    (0..plan.rounds).map(round).collect()
}

/// Prints a row.
fn print(tasks: usize, quantum: u64, sets: &[Vec<[f64; 3]>]) {
    let times = |which: usize| {
        let Spread { low, median, high } = Spread::of(sets.iter().flatten().map(|round| round[which]));
        format!("{median:.1} ({low:.1} to {high:.1})")
    };
    let ratios: Vec<Vec<f64>> = sets.iter().map(|set| set.iter().map(|round| round[1] / round[0]).collect()).collect();
    let Estimate { low, median, high } = Estimate::of(&ratios);
    let (plain, open, read) = (times(0), times(1), times(2));
    println!("| {tasks} | {quantum} | {plain} | {open} | {median:.3} | {low:.3} to {high:.3} | {read} |");
}
