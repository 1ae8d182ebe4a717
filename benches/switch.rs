//! What one context switch costs with the exact ledger on, beside a bare loop that only polls and beside other executors, all over
//! the same futures. `docs/benchmarks.md` says how it is measured and what came out.
//!
//! ```text
//! cargo bench --bench switch                      all of it
//! cargo bench --bench switch -- --quick           the same, shorter and less exact
//! cargo bench --bench switch -- paired            the comparison alone
//! cargo bench --bench switch -- absolute          criterion's part alone
//! cargo bench --bench switch -- --test            everything once
//! … --count CONTESTANT TASKS QUANTUM SWITCHES     so many switches of one contestant, for counting instructions
//! ```

#[path = "switch/contestants.rs"]
mod contestants;
#[path = "switch/guests.rs"]
mod guests;
#[path = "switch/multi.rs"]
mod multi;
#[path = "switch/others.rs"]
mod others;
#[path = "switch/paired.rs"]
mod paired;
#[path = "switch/report.rs"]
mod report;
#[path = "switch/stats.rs"]
mod stats;
#[path = "shared/table.rs"]
mod table;
#[path = "switch/threads.rs"]
mod threads;

use contestants::{Contestant, ENTRANTS, Ours};
use criterion::Criterion;
use fuelsched::policy::{Policy, RoundRobin};
use fuelsched::trace::events::{Events, Ring};
use fuelsched::{Executor, Fuel, Observer, Step};
use guests::{COUNT, Guests};
use paired::{Plan, cases};
use std::hint::black_box;
use std::process::exit;
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--count") {
        return count(&args[1..]);
    }
    if wants(&args, "paired") {
        compare(plan(&args));
    }
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    absolute(&mut criterion);
    criterion.final_summary();
}

/// How much is to be measured, by the arguments that criterion knows too. Without `--bench` it is `cargo test` that runs this.
fn plan(args: &[String]) -> Plan {
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has("--test") || !has("--bench") {
        Plan::TEST
    } else if has("--quick") {
        Plan::QUICK
    } else {
        Plan::FULL
    }
}

/// Whether the arguments leave this part in: they name no part, or this one.
fn wants(args: &[String], part: &str) -> bool {
    let mut names = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|name| part.contains(name.as_str()))
}

/// Measures and prints all cases.
fn compare(plan: Plan) {
    let guests = Guests::new();
    let measured: Vec<_> = cases()
        .filter(|case| case.tasks <= plan.most)
        .map(|case| {
            let measured = paired::measure(&guests, case, plan);
            report::print(&measured);
            measured
        })
        .collect();
    report::tables(&measured);
    match report::write(&measured) {
        Ok(folder) => println!("\nevery round: {}", folder.join("rounds.csv").display()),
        Err(error) => println!("\ncannot write the files: {error}"),
    }
}

/// Makes so many switches with one contestant, and nothing else.
fn count(args: &[String]) {
    let [name, numbers @ ..] = args else { usage() };
    let Some(entrant) = ENTRANTS.iter().find(|entrant| entrant.name == name) else { usage() };
    let numbers: Vec<u64> = numbers.iter().flat_map(|number| number.parse()).collect();
    let [tasks, quantum, switches] = numbers[..] else { usage() };
    let guests = Guests::new();
    let mut contestant = (entrant.make)(&guests, tasks as usize, quantum).expect("it can have so many");
    contestant.run(2 * tasks);
    let (made, _) = contestant.measure(switches);
    println!("{made}");
}

/// Says what `--count` takes.
fn usage() -> ! {
    let names: Vec<_> = ENTRANTS.iter().map(|entrant| entrant.name).collect();
    eprintln!("--count CONTESTANT TASKS QUANTUM SWITCHES, where CONTESTANT is one of {}", names.join(", "));
    exit(2)
}

/// Absolute times of the library's own executor.
fn absolute(criterion: &mut Criterion) {
    ways(criterion);
    debts(criterion);
}

/// With debts of ten sizes, which come out of order; and with one large debt among tasks that have none.
fn debts(criterion: &mut Criterion) {
    let mixed = (1..=10).map(|times| Guests::that("", &COUNT.repeat(times)));
    let fill = "(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))";
    let lone = (0..10).map(|task| if task == 0 { Guests::that("(memory 1)", fill) } else { Guests::new() });
    let (mixed, lone) = (executor(&mixed.collect::<Vec<_>>(), 1), executor(&lone.collect::<Vec<_>>(), 1000));
    let mut group = criterion.benchmark_group("absolute/debts");
    for (name, mut executor) in [("of ten sizes, quantum 1", mixed), ("one of 65,000 fuel, quantum 1000", lone)] {
        group.bench_function(name, |bencher| bencher.iter_custom(|switches| step(&mut executor, switches)));
    }
}

/// An executor with a task of each.
fn executor(guests: &[Guests], quantum: u64) -> Executor<RoundRobin> {
    let mut executor = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
    for guests in guests {
        executor.spawn(guests.task()).expect("the call is right");
    }
    executor
}

/// Ways to drive it, with 10 tasks.
fn ways(criterion: &mut Criterion) {
    let guests = Guests::new();
    for quantum in [1, 1000] {
        let mut group = criterion.benchmark_group(format!("absolute/quantum {quantum}"));
        group.bench_function("run_for", |bencher| {
            let mut ours = Ours::new(&guests, 10, quantum);
            bencher.iter_custom(|switches| ours.measure(switches).1);
        });
        group.bench_function("step", |bencher| {
            let mut ours = Ours::new(&guests, 10, quantum);
            bencher.iter_custom(|switches| step(&mut ours.0, switches));
        });
        group.bench_function("step, boxed policy", |bencher| {
            let policy: Box<dyn Policy> = Box::new(RoundRobin::new(Fuel(quantum)));
            let mut boxed = Executor::builder().policy(policy).build();
            for _ in 0..10 {
                boxed.spawn(guests.task()).expect("the call is right");
            }
            bencher.iter_custom(|switches| step(&mut boxed, switches));
        });
        for (name, timed) in [("step, events", false), ("step, events with times", true)] {
            group.bench_function(name, |bencher| {
                let events = Events::new(Ring::new(10_000));
                let events = if timed { events.timed() } else { events };
                let policy = RoundRobin::new(Fuel(quantum));
                let mut watched = Executor::builder().policy(policy).observer(events).build();
                for _ in 0..10 {
                    watched.spawn(guests.task()).expect("the call is right");
                }
                bencher.iter_custom(|switches| step(&mut watched, switches));
            });
        }
    }
}

/// The time of so many steps.
fn step<P: Policy, O: Observer>(executor: &mut Executor<P, O>, steps: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..steps {
        let Step::Ran(slice) = black_box(executor.step()) else {
            panic!("an endless loop ended");
        };
        black_box(slice);
    }
    start.elapsed()
}
