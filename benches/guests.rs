//! What metering costs real guests, and what preemption adds to that. `docs/metering.md` says what came out.
//!
//! ```text
//! cargo bench --bench guests                    Markdown tables; every run to `target/guests.csv`
//! cargo bench --bench guests -- --quick         the same, shorter and less exact
//! cargo bench --bench guests -- --settings      instead, metered code under other settings of the compiler
//! cargo bench --bench guests -- --test          everything once, little of it
//! ```
//!
//! Each guest of `wasm/bench` runs from spawn to its end, in rounds: in each round each contestant runs once, so whatever disturbs the machine
//! disturbs all. The figure is the quotient of a contestant's time and the first one's in the same round; of those the median, and where
//! it lies with 95 % confidence. Engines differ in nothing but what the contestant is named for. A task is spawned anew for each run,
//! and its module is compiled once, outside of what is measured.

#[path = "switch/stats.rs"]
#[expect(dead_code, reason = "the other benches' spread")]
mod stats;

use fuelsched::policy::RoundRobin;
use fuelsched::wasmtime::{self, Inlining, OptLevel, RegallocAlgorithm};
use fuelsched::{Engine, EngineConfig, Executor, Fuel, Module, Value};
use stats::Estimate;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

/// Each guest, how much it does in a run (some milliseconds), and how much in a test.
const GUESTS: [(&str, i32, i32); 11] = [
    ("fib", 27, 10),
    ("json", 60, 1),
    ("lz", 512, 1),
    ("matrix", 128, 4),
    ("nbody", 20_000, 5),
    ("search", 256, 1),
    ("sha256", 512, 1),
    ("sieve", 1_000_000, 100),
    ("sort", 50_000, 100),
    ("vm", 4_000, 5),
    ("xxhash", 150, 1),
];

/// A quantum that no guest uses up.
const UNPREEMPTED: u64 = 1 << 62;

/// A way to run a guest with so much to do: the seconds that it took, and what it returned.
type Run = Box<dyn FnMut(i32) -> (f64, i64)>;

/// A name, and how the guest of this name is run.
type Contestant = (&'static str, fn(&[u8]) -> Run);

/// What metering and preemption cost, through the library, as it is set up by default.
const COSTS: [Contestant; 3] = [
    ("unmetered", |wasm| scheduled(wasm, false, UNPREEMPTED)),
    ("metered", |wasm| scheduled(wasm, true, UNPREEMPTED)),
    ("quantum 10,000", |wasm| scheduled(wasm, true, 10_000)),
];

/// What one setting makes of metered code, through Wasmtime alone. Each but the first two is the second with one thing changed.
const SETTINGS: [Contestant; 9] = [
    ("unmetered", |wasm| plain(wasm, |config| config.consume_fuel(false))),
    ("metered", |wasm| plain(wasm, |config| config)),
    ("inlining", |wasm| plain(wasm, |config| config.compiler_inlining(Inlining::Yes))),
    ("unmetered, inlining", |wasm| plain(wasm, |config| config.consume_fuel(false).compiler_inlining(Inlining::Yes))),
    ("speed and size", |wasm| plain(wasm, |config| config.cranelift_opt_level(OptLevel::SpeedAndSize))),
    ("unoptimised", |wasm| plain(wasm, |config| config.cranelift_opt_level(OptLevel::None))),
    ("single pass registers", |wasm| {
        plain(wasm, |config| config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass))
    }),
    ("NaNs as they come", |wasm| plain(wasm, |config| config.cranelift_nan_canonicalization(false))),
    ("bounds checked", |wasm| plain(wasm, |config| config.memory_reservation(0).memory_guard_size(0))),
];

/// By a scheduler of one task, with an engine of the library's settings.
fn scheduled(wasm: &[u8], metering: bool, quantum: u64) -> Run {
    let engine = Engine::new(&EngineConfig::default().metering(metering)).expect("the engine");
    let module = Module::from_bytes(&engine, "guest", wasm).expect("the guest compiles");
    Box::new(move |amount| {
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
        let start = Instant::now();
        let id = sched.spawn(module.call("main", &[Value::I32(amount)])).expect("the task can be spawned");
        sched.run();
        let seconds = start.elapsed().as_secs_f64();
        let outcome = sched.take_outcome(id).expect("it has ended").to_string();
        (seconds, outcome.strip_prefix("returned ").and_then(|value| value.parse().ok()).expect("the guest returns"))
    })
}

/// By Wasmtime alone: the library's settings that bear on code, and one more.
fn plain(wasm: &[u8], set: fn(&mut wasmtime::Config) -> &mut wasmtime::Config) -> Run {
    let mut config = wasmtime::Config::new();
    config.consume_fuel(true).cranelift_nan_canonicalization(true).memory_init_cow(false);
    set(&mut config);
    let engine = wasmtime::Engine::new(&config).expect("the engine");
    let module = wasmtime::Module::new(&engine, wasm).expect("the guest compiles");
    Box::new(move |amount| {
        let mut store = wasmtime::Store::new(&engine, ());
        // An error where nothing is metered, and then nothing is needed.
        let _ = store.set_fuel(UNPREEMPTED);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("the guest starts");
        let main = instance.get_typed_func::<i32, i64>(&mut store, "main").expect("it has a main");
        let start = Instant::now();
        let returned = main.call(&mut store, amount).expect("the guest returns");
        (start.elapsed().as_secs_f64(), returned)
    })
}

/// Runs all contestants of one guest in rounds; the seconds of each, round by round.
fn rounds(contestants: &[Contestant], wasm: &[u8], amount: i32, rounds: usize) -> Vec<Vec<f64>> {
    let mut runs: Vec<Run> = contestants.iter().map(|(_, make)| make(wasm)).collect();
    let mut seconds = vec![Vec::new(); runs.len()];
    // The first round warms caches, and says what all have to return.
    let expected = runs[0](amount).1;
    for round in 0..=rounds {
        for (run, seconds) in runs.iter_mut().zip(&mut seconds) {
            let (took, returned) = run(amount);
            assert_eq!(returned, expected, "all contestants return the same");
            if round > 0 {
                seconds.push(took);
            }
        }
    }
    seconds
}

/// How long the others took as parts of the first, each in its own round.
fn quotients(seconds: &[Vec<f64>]) -> Vec<Estimate> {
    let quotient = |other: &Vec<f64>| vec![other.iter().zip(&seconds[0]).map(|(other, first)| other / first).collect()];
    seconds[1..].iter().map(|other| Estimate::of(&quotient(other))).collect()
}

/// The bytes of a guest.
fn load(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "wasm", "bench", &format!("{name}.wasm")].iter().collect();
    std::fs::read(path).expect("a guest of this repository")
}

/// One line of a table.
fn row(name: &str, cells: impl Iterator<Item = String>) {
    println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

/// The head of a table.
fn head(contestants: &[Contestant]) {
    row(
        "guest",
        contestants
            .iter()
            .enumerate()
            .map(|(i, (name, _))| if i == 0 { format!("{name}, ms") } else { (*name).to_owned() }),
    );
    println!("|---|{}", "--:|".repeat(contestants.len()));
}

/// Measures all guests; prints a table, and returns all runs as lines of CSV.
fn measure(contestants: &[Contestant], count: usize, short: bool) -> String {
    let mut csv = String::from("guest,amount,contestant,round,seconds\n");
    let mut logs = vec![0.0; contestants.len() - 1];
    head(contestants);
    for (name, long, little) in GUESTS {
        let amount = if short { little } else { long };
        let seconds = rounds(contestants, &load(name), amount, count);
        for ((contestant, _), seconds) in contestants.iter().zip(&seconds) {
            for (round, seconds) in seconds.iter().enumerate() {
                writeln!(csv, "{name},{amount},\"{contestant}\",{round},{seconds:e}").expect("a string takes all");
            }
        }
        let first = Estimate::of(&[seconds[0].clone()]).median * 1e3;
        let others = quotients(&seconds);
        for (sum, other) in logs.iter_mut().zip(&others) {
            *sum += other.median.ln();
        }
        let cells = others.iter().map(|e| format!("{:.2} ({:.2}–{:.2})", e.median, e.low, e.high));
        row(name, std::iter::once(format!("{first:.2}")).chain(cells));
    }
    let means = logs.iter().map(|sum| format!("**{:.3}**", (sum / GUESTS.len() as f64).exp()));
    row("geometric mean", std::iter::once(String::new()).chain(means));
    csv
}

/// Without `--bench` it is `cargo test` that runs this.
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    let short = has("--test") || !has("--bench");
    let count = if short {
        1
    } else if has("--quick") {
        7
    } else {
        41
    };
    let mut csv = String::new();
    if short || !has("--settings") {
        csv += &measure(&COSTS, count, short);
    }
    if short || has("--settings") {
        csv += &measure(&SETTINGS, count, short);
    }
    if !short {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/guests.csv");
        std::fs::write(&path, csv).expect("target/ can be written to");
        eprintln!("every run: {}", path.display());
    }
}
