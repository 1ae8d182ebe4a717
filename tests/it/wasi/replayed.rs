//! A recorded run is replayed without what was outside: no clock is read, no random number drawn, nothing taken from standard input.

use super::*;
use fuelsched::policy::RoundRobin;
use fuelsched::replay::Verdict;
use fuelsched::wasi::{Input, InputSender};
use fuelsched::{Recorder, Recording, Replay};
use std::thread;
use std::time::Duration;

/// A program that returns the wall clock, a random number, how many events a wait for input or 5 ms brought, what it then read, how much more
/// there was, and the monotonic clock.
fn program() -> Program<Wasi> {
    let module = crate::support::wat(
        r#"(module
             (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
             (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (data (i32.const 0) "\00\08\00\00\08\00\00\00")
             (func (export "main") (result i64 i64 i32 i64 i32 i32 i64)
               (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 64)))
               (i64.load (i32.const 64))
               (drop (call $random (i32.const 72) (i32.const 8)))
               (i64.load (i32.const 72))
               ;; Standard input, or 5 ms on the monotonic clock.
               (i32.store8 (i32.const 264) (i32.const 1))
               (i32.store (i32.const 320) (i32.const 1))
               (i64.store (i32.const 328) (i64.const 5000000))
               (drop (call $poll (i32.const 256) (i32.const 512) (i32.const 2) (i32.const 80)))
               (i32.load8_u (i32.const 522))
               (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 84)))
               (i64.load (i32.const 2048))
               (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 88)))
               (i32.load (i32.const 88))
               (drop (call $stat (i32.const 1) (i32.const 96)))
               (i32.load8_u (i32.const 96))
               (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 64)))
               (i64.load (i32.const 64))))"#,
    );
    let mut linker = Linker::<Wasi>::new(engine());
    wasi::add_to_linker(&mut linker, |wasi| wasi).unwrap();
    linker.link(&module).unwrap()
}

/// Types a line now and then.
fn typist(sender: InputSender) {
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(7));
        sender.push(b"a line\n\n");
    }
}

#[test]
fn what_came_from_outside_comes_from_the_recording() {
    let program = program();
    let task = |input: &Input, label: u64| {
        let wasi = Wasi::builder().stdin(input.clone()).build().unwrap();
        program.call(wasi, "main", &[]).label(label)
    };
    let (sender, input) = Input::channel();
    let recorder = Recorder::new(Vec::new(), b"").unwrap();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(50))).observer(Some(recorder)).build();
    let ids: Vec<_> = (0..4).map(|label| sched.spawn(task(&input, label)).unwrap()).collect();
    let typist = thread::spawn(move || typist(sender));
    sched.run();
    typist.join().unwrap();
    let returned: Vec<String> = ids.iter().map(|id| sched.take_outcome(*id).unwrap().to_string()).collect();
    let file = sched.observer_mut().take().unwrap().finish().unwrap();
    // What they saw is of this run alone.
    let mut different = returned.clone();
    different.dedup();
    assert_eq!(different.len(), 4, "{returned:?}");

    // Now nobody types, the pipe is open, and the clocks show something else.
    let (_sender, input) = Input::channel();
    let mut replay = Replay::new(Recording::new(&file[..]).unwrap(), |label, _| Ok(task(&input, label)));
    assert_eq!(replay.run().unwrap(), Verdict::Same);
    let ended = replay.executor_mut().take_ended();
    let mut again: Vec<(u64, String)> =
        ended.iter().map(|ended| (ended.spawn_index, ended.outcome.to_string())).collect();
    again.sort();
    assert_eq!(again.into_iter().map(|(_, outcome)| outcome).collect::<Vec<_>>(), returned);
}
