//! A hundred WASI programs that print, sleep and pass messages, on one thread: each prints what it prints alone, whatever becomes of others.

use crate::support::engine;
use fuelsched::channel::Channels;
use fuelsched::policy::RoundRobin;
use fuelsched::sched::{self, Host};
use fuelsched::wasi::{self, Captured, Output, Wasi};
use fuelsched::{Budget, Clock, Executor, Fuel, Linker, Module, Program, RunEnd, Task, TaskId};
use std::sync::OnceLock;

/// What each program has.
struct World {
    /// Its streams.
    wasi: Wasi,
    /// Its channels.
    host: Host,
}

/// The programs: one that has a channel to itself, and two that share one.
struct Programs {
    chatter: Program<World>,
    producer: Program<World>,
    consumer: Program<World>,
}

/// Loaded once.
fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let mut linker = Linker::<World>::new(engine());
        wasi::add_to_linker(&mut linker, |world| &mut world.wasi).unwrap();
        sched::add_to_linker(&mut linker, |world| &mut world.host).unwrap();
        let load = |name: &str| {
            let path = format!("{}/wasm/wasi/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
            linker.link(&Module::from_file(engine(), path).unwrap()).unwrap()
        };
        Programs { chatter: load("chatter"), producer: load("producer"), consumer: load("consumer") }
    })
}

/// The `number`-th program of a hundred, and what it prints.
fn task(number: usize, channels: &Channels) -> (Task, Captured) {
    let all = programs();
    let pair = format!("pair{}", number / 4);
    let (program, args) = match number % 4 {
        0 => (&all.producer, vec!["producer".into(), pair, "9".into()]),
        1 => (&all.consumer, vec!["consumer".into(), pair]),
        _ => (&all.chatter, vec!["chatter".into(), format!("chatter{number}"), "4".into(), (number % 5).to_string()]),
    };
    let (output, captured) = Output::captured(1 << 16);
    let wasi = Wasi::builder().args(args).stdout(output).build().unwrap();
    let host = Host::new(format!("task {number}")).channels(channels.clone());
    (program.call(World { wasi, host }, "_start", &[]), captured)
}

/// These of the hundred programs, spawned under a quantum.
fn spawned(numbers: &[usize], quantum: u64, clock: Clock) -> (Executor<RoundRobin>, Vec<(usize, TaskId, Captured)>) {
    let channels = Channels::default();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).clock(clock).build();
    let spawn = |number: &usize| {
        let (task, captured) = task(*number, &channels);
        (*number, sched.spawn(task).unwrap(), captured)
    };
    let tasks = numbers.iter().map(spawn).collect();
    (sched, tasks)
}

/// What each program prints when nobody else is there but the other of its pair.
fn alone() -> &'static Vec<String> {
    static ALONE: OnceLock<Vec<String>> = OnceLock::new();
    ALONE.get_or_init(|| {
        let one = |number: usize| {
            let others = match number % 4 {
                0 => vec![number, number + 1],
                1 => vec![number - 1, number],
                _ => vec![number],
            };
            let (mut sched, tasks) = spawned(&others, 1 << 40, Clock::simulated());
            assert_eq!(sched.run().why, RunEnd::Done);
            let (_, id, captured) = tasks.iter().find(|(other, ..)| *other == number).unwrap();
            assert!(sched.take_outcome(*id).unwrap().is_success());
            captured.take_string()
        };
        (0..100).map(one).collect()
    })
}

#[test]
fn a_hundred_programs_print_among_each_other_what_they_print_alone() {
    let all: Vec<usize> = (0..100).collect();
    for clock in [Clock::monotonic(), Clock::simulated()] {
        let (mut sched, tasks) = spawned(&all, 1_000, clock);
        assert_eq!(sched.run().why, RunEnd::Done);
        let mut blocked = 0;
        for (number, id, captured) in &tasks {
            let ended = sched.take(*id).unwrap();
            assert!(ended.outcome.is_success(), "{number}: {}", ended.outcome);
            assert_eq!(captured.take_string(), alone()[*number], "program {number}");
            assert!(ended.ledger.preempted > 0, "program {number} was preempted");
            blocked += ended.ledger.blocked;
        }
        assert!(blocked > 200, "they waited {blocked} times");
    }
    assert!(alone().iter().all(|printed| printed.ends_with("\n")), "and each printed lines");
}

#[test]
fn a_run_by_fuel_is_the_same_run_every_time() {
    let all: Vec<usize> = (0..100).collect();
    let run = || {
        let (mut sched, tasks) = spawned(&all, 1_000, Clock::simulated());
        sched.run();
        let ledgers: Vec<_> = tasks.iter().map(|(_, id, _)| sched.take(*id).unwrap().ledger).collect();
        (ledgers, sched.now(), sched.totals())
    };
    assert_eq!(run(), run());
}

#[test]
fn whoever_is_killed_wherever_it_is_the_others_print_what_they_print_alone() {
    let all: Vec<usize> = (0..100).collect();
    // A victim of each kind, at moments from the first slice to the last.
    for round in 0..30u64 {
        let (mut sched, tasks) = spawned(&all, 1_000, Clock::simulated());
        sched.run_for(Budget::polls(1 + round * 173));
        let (victim, id, captured) = &tasks[(round as usize * 37) % 100];
        let killed = sched.kill(*id).is_ok();
        let printed = captured.take_string();
        assert!(alone()[*victim].starts_with(&printed), "what was printed stays");
        assert_eq!(sched.run().why, RunEnd::Done);
        assert_eq!(captured.take_string(), if killed { "" } else { &alone()[*victim][printed.len()..] });
        for (number, id, captured) in &tasks {
            let partner = number / 4 == victim / 4 && number % 4 < 2 && victim % 4 < 2;
            if number == victim {
                continue;
            }
            let (outcome, printed) = (sched.take_outcome(*id).unwrap(), captured.take_string());
            if partner && killed {
                assert!(alone()[*number].starts_with(&printed) || outcome.name() != "returned", "{number}: {outcome}");
            } else {
                assert!(outcome.is_success(), "round {round}, program {number}: {outcome}");
                assert_eq!(printed, alone()[*number], "round {round}, program {number}");
            }
        }
    }
}
