//! How much gets through: messages through channels, and bytes through WASI's `fd_write`. `docs/benchmarks.md` says what came out.
//!
//! ```text
//! cargo bench --bench throughput                Markdown tables
//! cargo bench --bench throughput -- --quick     the same, shorter and less exact
//! cargo bench --bench throughput -- --test      everything once
//! ```
//!
//! Whole runs are timed, each with an executor and channels of its own, and all kinds of runs take turns.

#[path = "switch/stats.rs"]
#[expect(dead_code, reason = "nothing here is compared with another, so there are no ratios")]
mod stats;
#[path = "shared/table.rs"]
mod table;

use fuelsched::channel::Channels;
use fuelsched::policy::RoundRobin;
use fuelsched::sched::Host;
use fuelsched::wasi::{self, Output, Wasi};
use fuelsched::{Engine, EngineConfig, Executor, Fuel, Linker, Module, Outcome, Program, Task, Value};
use stats::Spread;
use std::thread;
use std::time::{Duration, Instant};
use table::{Table, grouped, has, is_test};

/// Writes as many bytes as the second number says, as often as the first does, to standard output.
const WRITER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "main") (param $times i32) (param $bytes i32)
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (local.get $bytes))
      (loop $again
        (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
        (if (i32.ne (i32.load (i32.const 8)) (local.get $bytes)) (then (unreachable)))
        (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))))"#;

/// A run to be timed: how many messages or calls, and what it is.
struct Case {
    /// What gets through.
    name: &'static str,
    /// Messages in the channel at most; `None` where there is none.
    room: Option<usize>,
    /// Bytes each.
    bytes: usize,
    /// Does so many.
    run: Box<dyn Fn(u32)>,
    /// One in how many of the plan's are made, because each takes long.
    fewer: u32,
}

/// How much is measured.
struct Plan {
    /// Rounds.
    rounds: usize,
    /// Messages or calls in each run.
    times: u32,
}

/// By the arguments that other benches know too.
fn plan() -> Plan {
    match (is_test(), has("--quick")) {
        (true, _) => Plan { rounds: 2, times: 16 },
        (_, true) => Plan { rounds: 20, times: 10_000 },
        _ => Plan { rounds: 100, times: 20_000 },
    }
}

/// An executor whose slices are long enough that waiting alone ends them.
fn executor() -> Executor<RoundRobin> {
    Executor::builder().policy(RoundRobin::new(Fuel(10_000_000))).build()
}

/// Runs all tasks to their ends, which must be good ones.
fn finish(mut sched: Executor<RoundRobin>) {
    sched.run();
    for ended in sched.take_ended() {
        assert!(matches!(ended.outcome, Outcome::Returned(_) | Outcome::Exited(0)), "{}", ended.outcome);
    }
}

/// A task that receives so many messages.
fn receiver(channels: &Channels, room: usize, times: u32) -> Task {
    let channel = channels.open("line", room).expect("there is room");
    Task::with_waker(move |meter| async move {
        for _ in 0..times {
            channel.recv(&meter).await.expect("it is open");
        }
        Outcome::Exited(0)
    })
}

/// From task to task: futures of the host's.
fn task_to_task(room: usize, bytes: usize, times: u32) {
    let (channels, mut sched) = (Channels::default(), executor());
    let channel = channels.open("line", room).expect("there is room");
    let sender = Task::with_waker(move |meter| async move {
        let message = vec![7; bytes];
        for _ in 0..times {
            channel.send(&meter, &message).await.expect("it is open");
        }
        Outcome::Exited(0)
    });
    sched.spawn(receiver(&channels, room, times)).expect("nothing refuses it");
    sched.spawn(sender).expect("nothing refuses it");
    finish(sched);
}

/// From another thread of the host to a task.
fn host_to_task(room: usize, bytes: usize, times: u32) {
    let (channels, mut sched) = (Channels::default(), executor());
    let end = channels.sender("line", room).expect("there is room");
    sched.spawn(receiver(&channels, room, times)).expect("nothing refuses it");
    let sending = thread::spawn(move || {
        let message = vec![7; bytes];
        (0..times).try_for_each(|_| end.send_blocking(&message, None))
    });
    finish(sched);
    sending.join().expect("it does not panic").expect("the channel was open");
}

/// Two guests that pass a number back and forth: half as many rounds as messages.
fn guests(program: &Program<Host>, times: u32) {
    let (channels, mut sched) = (Channels::default(), executor());
    for side in 0..2 {
        let host = Host::new("player").channels(channels.clone());
        let args = [Value::I32(side), Value::I32(times.div_ceil(2).cast_signed())];
        sched.spawn(program.call(host, "main", &args)).expect("the call is right");
    }
    finish(sched);
}

/// A guest that writes, and whose output nobody reads.
fn writes(program: &Program<Wasi>, bytes: usize, times: u32) {
    let mut sched = executor();
    let wasi = Wasi::builder().stdout(Output::discard()).build().expect("it is right");
    let args = [Value::I32(times.cast_signed()), Value::I32(i32::try_from(bytes).expect("few"))];
    sched.spawn(program.call(wasi, "main", &args)).expect("the call is right");
    finish(sched);
}

/// Everything that is measured.
fn cases() -> Vec<Case> {
    let engine = Engine::new(&EngineConfig::default()).expect("the default engine");
    let load = |text: &str| Module::from_bytes(&engine, "guest", text).expect("the guest compiles");
    let mut cases = Vec::new();
    for (room, bytes) in [(1, 16), (64, 16), (64, 4096), (64, 65_536)] {
        // A message takes up to 64 KiB; all of a full channel are within the limit on what channels hold.
        let fewer = if bytes > 10_000 { 10 } else { 1 };
        cases.push(Case {
            name: "task to task",
            room: Some(room),
            bytes,
            fewer,
            run: Box::new(move |times| task_to_task(room, bytes, times)),
        });
        cases.push(Case {
            name: "host's thread to task",
            room: Some(room),
            bytes,
            fewer,
            run: Box::new(move |times| host_to_task(room, bytes, times)),
        });
    }
    let mut linker = Linker::<Host>::new(&engine);
    fuelsched::sched::add_to_linker(&mut linker, |host| host).expect("the names are free");
    let players = linker.link(&load(include_str!("../wasm/ping-pong.wat"))).expect("it is served");
    cases.push(Case {
        name: "guest to guest, back and forth",
        room: Some(1),
        bytes: 4,
        fewer: 1,
        run: Box::new(move |times| guests(&players, times)),
    });
    let mut linker = Linker::<Wasi>::new(&engine);
    wasi::add_to_linker(&mut linker, |wasi| wasi).expect("the names are free");
    let writer = linker.link(&load(WRITER)).expect("it is served");
    for bytes in [16, 1024, 65_536] {
        let writer = writer.clone();
        cases.push(Case {
            name: "`fd_write`, discarded",
            room: None,
            bytes,
            fewer: 1,
            run: Box::new(move |times| writes(&writer, bytes, times)),
        });
    }
    cases
}

/// Nanoseconds for one of what a case does.
fn time(case: &Case, times: u32) -> f64 {
    let times = (times / case.fewer).max(1);
    let start = Instant::now();
    (case.run)(times);
    start.elapsed().as_nanos() as f64 / f64::from(times)
}

fn main() {
    let (plan, cases, start) = (plan(), cases(), Instant::now());
    let mut nanos = vec![Vec::new(); cases.len()];
    for round in 0..plan.rounds {
        for place in 0..cases.len() {
            let place = if round.is_multiple_of(2) { place } else { cases.len() - 1 - place };
            nanos[place].push(time(&cases[place], plan.times));
        }
    }
    let columns = ["what", "room", "bytes", "ns each", "quartiles", "a second", "MiB a second"];
    let mut table = Table::new("throughput", &columns);
    for (case, nanos) in cases.iter().zip(&nanos) {
        let Spread { low, median, high } = Spread::of(nanos.iter().copied());
        let second = Duration::from_secs(1).as_nanos() as f64 / median;
        table.row(vec![
            case.name.into(),
            case.room.map_or("–".into(), |room| room.to_string()),
            grouped(case.bytes as u64),
            format!("{median:.0}"),
            format!("{low:.0}–{high:.0}"),
            grouped(second as u64),
            grouped((second * case.bytes as f64 / f64::from(1 << 20)) as u64),
        ]);
    }
    table.finish();
    println!("\nin {:.0} s", start.elapsed().as_secs_f64());
}
