//! From spawning a short task to its end, beside Wasmtime used as its documentation says. `docs/benchmarks.md` says what came out.
//!
//! ```text
//! cargo bench --bench spawn                a Markdown table: medians, quartiles, ratio with its 95 % interval
//! cargo bench --bench spawn -- --quick     the same, shorter and less exact
//! cargo bench --bench spawn -- --test      everything once
//! … --count CONTESTANT GUEST TASKS         so many tasks, one at a time, for counting instructions; with LIVE behind it, so many live, again and again
//! ```
//!
//! *One at a time*: the next is spawned when the last has ended. *1,000 live*: all are spawned, and then take turns of 1 fuel, so that all are suspended at
//! once before the first ends. Whoever measures does all of it: makes the store, the instance and the future, polls it, and drops it.

#[path = "switch/stats.rs"]
mod stats;
#[path = "shared/table.rs"]
mod table;

use fuelsched::guest::{Allocation, Memories};
use fuelsched::policy::RoundRobin;
use fuelsched::{Engine, EngineConfig, Executor, Fuel, Module, Outcome, Value};
use stats::{Estimate, Spread};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Instant;
use table::{Table, has, is_test};

/// Turns round a loop a few times, and ends.
const PURE: &str = r#"(module (func (export "main") (result i32) (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 4))))
    (local.get $i)))"#;

/// The same, and writes into a memory of 64 KiB.
const MEMORY: &str = r#"(module (memory (export "memory") 1) (func (export "main") (result i32) (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (i32.store (i32.const 1024) (local.get $i))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 4))))
    (i32.load (i32.const 1024))))"#;

/// The most tasks that are live at once.
const LIVE: usize = 1000;

/// The place of Wasmtime's default among the contestants: what all are compared with.
const DEFAULT: usize = 0;

/// Many tasks from spawn to finish.
trait Contestant {
    /// Spawns so many and runs them to their ends, with this quantum.
    fn run(&self, tasks: usize, quantum: u64);
}

/// The library, with one of its allocations.
struct Ours(Module);

impl Contestant for Ours {
    fn run(&self, tasks: usize, quantum: u64) {
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
        let turns = if quantum == 1 { 1 } else { tasks };
        for _ in 0..turns {
            for _ in 0..tasks / turns {
                sched.spawn(self.0.call("main", &[])).expect("the call is right");
            }
            sched.run();
            let ended = sched.take_ended();
            assert!(
                ended.len() == tasks / turns
                    && ended.iter().all(
                        |ended| matches!(&ended.outcome, Outcome::Returned(values) if values[..] == [Value::I32(4)])
                    )
            );
        }
    }
}

/// Wasmtime alone, with no ledger and no limits.
struct Plain(wasmtime::Module, wasmtime::InstancePre<()>);

/// A call by Wasmtime alone.
type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Plain {
    /// A module for an engine with these settings.
    fn new(mut config: wasmtime::Config, text: &str) -> Plain {
        let engine = wasmtime::Engine::new(config.consume_fuel(true)).expect("the engine");
        let binary = wat::parse_str(text).expect("the guest is right");
        let module = wasmtime::Module::from_binary(&engine, &binary).expect("the guest compiles");
        let ready = wasmtime::Linker::new(&engine).instantiate_pre(&module).expect("it has no imports");
        Plain(module, ready)
    }

    /// One call.
    fn call(&self, quantum: u64) -> Call {
        let (engine, ready) = (self.0.engine().clone(), self.1.clone());
        Box::pin(async move {
            let mut store = wasmtime::Store::new(&engine, ());
            store.set_fuel(1 << 62).expect("it is metered");
            store.fuel_async_yield_interval(Some(quantum)).expect("it is metered");
            let instance = ready.instantiate_async(&mut store).await.expect("there is room");
            let main = instance.get_typed_func::<(), i32>(&mut store, "main").expect("the export");
            let result = main.call_async(&mut store, ()).await.expect("it returns");
            assert_eq!(result, 4);
        })
    }
}

impl Contestant for Plain {
    fn run(&self, tasks: usize, quantum: u64) {
        let mut cx = Context::from_waker(Waker::noop());
        let at_once = if quantum == 1 { tasks } else { 1 };
        for _ in 0..tasks / at_once {
            let mut calls: Vec<Call> = (0..at_once).map(|_| self.call(quantum)).collect();
            while !calls.is_empty() {
                calls.retain_mut(|call| call.as_mut().poll(&mut cx).is_pending());
            }
        }
    }
}

/// All contestants.
fn contestants(text: &str) -> Vec<(&'static str, Box<dyn Contestant>)> {
    let ours_with = |allocation: Allocation, memories: Memories| -> Box<dyn Contestant> {
        let config = EngineConfig::default().allocation(allocation).memories(memories);
        let engine = Engine::new(&config).expect("the engine");
        Box::new(Ours(Module::from_bytes(&engine, "short", text).expect("the guest compiles")))
    };
    let ours = |allocation| ours_with(allocation, Memories::Reserved);
    let mut pool = wasmtime::PoolingAllocationConfig::new();
    pool.total_core_instances(LIVE as u32 + 8)
        .total_stacks(LIVE as u32 + 8)
        .total_memories(LIVE as u32 + 8)
        .max_memory_size(1 << 20);
    let mut pooling = wasmtime::Config::new();
    pooling.allocation_strategy(pool);
    vec![
        ("wasmtime, on demand", Box::new(Plain::new(wasmtime::Config::new(), text))),
        ("wasmtime, pooling", Box::new(Plain::new(pooling, text))),
        ("fuelsched, dense", ours(Allocation::Dense)),
        ("fuelsched, dense, memories too", ours_with(Allocation::Dense, Memories::Dense)),
        ("fuelsched, on demand", ours(Allocation::OnDemand)),
        ("fuelsched, pooling", ours(Allocation::Pooling { tasks: LIVE as u32 + 8, max_memory: 1 << 20 })),
    ]
}

/// How much is measured.
struct Plan {
    /// Sets of rounds, each with engines made anew.
    sets: usize,
    /// Rounds in each.
    rounds: usize,
    /// Tasks in each measurement.
    tasks: usize,
}

/// By the arguments that other benches know too.
fn plan() -> Plan {
    match (is_test(), has("--quick")) {
        (true, _) => Plan { sets: 1, rounds: 2, tasks: 4 },
        (_, true) => Plan { sets: 4, rounds: 10, tasks: LIVE },
        _ => Plan { sets: 12, rounds: 20, tasks: LIVE },
    }
}

/// Nanoseconds a task of each contestant, round by round. Who is first changes, and so does the direction.
fn measure(text: &str, quantum: u64, plan: &Plan) -> Vec<Vec<f64>> {
    let contestants = contestants(text);
    let n = contestants.len();
    contestants.iter().for_each(|(_, contestant)| contestant.run(plan.tasks, quantum));
    let round = |round: usize| {
        let mut nanos = vec![0.0; n];
        for place in 0..n {
            let place = if round.is_multiple_of(2) { place } else { n - 1 - place };
            let which = (place + round / 2) % n;
            let start = Instant::now();
            contestants[which].1.run(plan.tasks, quantum);
            nanos[which] = start.elapsed().as_nanos() as f64 / plan.tasks as f64;
        }
        nanos
    };
    (0..plan.rounds).map(round).collect()
}

/// Adds a case's rows.
fn rows(table: &mut Table, guest: &str, how: &str, sets: &[Vec<Vec<f64>>]) {
    for (which, (name, _)) in contestants(PURE).iter().enumerate() {
        let Spread { low, median, high } = Spread::of(sets.iter().flatten().map(|round| round[which] / 1e3));
        let faster: Vec<Vec<f64>> =
            sets.iter().map(|set| set.iter().map(|round| round[DEFAULT] / round[which]).collect()).collect();
        let faster = Estimate::of(&faster);
        table.row(vec![
            guest.into(),
            how.into(),
            name.to_string(),
            format!("{median:.2}"),
            format!("{low:.2}–{high:.2}"),
            format!("{:.2}", faster.median),
            format!("{:.2} to {:.2}", faster.low, faster.high),
        ]);
    }
}

/// Runs so many tasks of one contestant, and nothing else.
fn count(args: &[String]) {
    let [name, guest, tasks, live @ ..] = args else { panic!("--count CONTESTANT pure|memory TASKS [LIVE]") };
    let all = contestants(if guest == "memory" { MEMORY } else { PURE });
    let (_, contestant) = all.iter().find(|(known, _)| known == name).expect("a contestant of the table");
    let number = |text: &String| text.parse::<usize>().expect("a number");
    match live.first().map(number) {
        None => contestant.run(number(tasks), 10_000),
        Some(live) => (0..number(tasks) / live).for_each(|_| contestant.run(live, 1)),
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--count") {
        return count(&args[1..]);
    }
    let plan = plan();
    let columns = ["guest", "how", "contestant", "µs", "quartiles", "times as fast as the default", "95 % interval"];
    let mut table = Table::new("spawn", &columns);
    for (guest, text) in [("no memory", PURE), ("64 KiB", MEMORY)] {
        for (how, quantum) in [("one at a time", 10_000), ("1,000 live", 1)] {
            let sets: Vec<_> = (0..plan.sets).map(|_| measure(text, quantum, &plan)).collect();
            rows(&mut table, guest, how, &sets);
        }
    }
    table.finish();
}
