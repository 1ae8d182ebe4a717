//! The import module `sched`, from guests: `wasm/ping-pong.wat` and its like.

use crate::support::{QUANTA, Slices, UNPREEMPTED, engine, guest, i32s, wat};
use fuelsched::channel::{ChannelLimits, Channels};
use fuelsched::costs::Costs;
use fuelsched::policy::RoundRobin;
use fuelsched::replay::Verdict;
use fuelsched::sched::{self, GuestError, Host, SpawnRefusal, Spawner};
use fuelsched::wasmtime::Caller;
use fuelsched::{BlockedOn, Clock, Executor, Fuel, HostState, Linker, Outcome, Program};
use fuelsched::{Recorder, Recording, Replay, RunEnd, SliceEnd, Step, Task, TaskId, Value};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A guest of this repository, with `sched` to import.
fn program(name: &str) -> Program<Host> {
    let mut linker = Linker::<Host>::new(engine());
    sched::add_to_linker(&mut linker, |host| host).unwrap();
    linker.link(&guest(name)).unwrap()
}

/// A call of a guest's `main`, which shares these channels.
fn call(name: &str, channels: &Channels, args: &[Value]) -> Task {
    program(name).call(Host::new(name).channels(channels.clone()), "main", args)
}

/// An executor that keeps its slices, in round robin with this quantum.
fn executor(quantum: u64) -> Executor<RoundRobin, Slices> {
    Executor::builder().policy(RoundRobin::new(Fuel(quantum))).observer(Slices::default()).build()
}

/// Who ran, and how the slice ended.
fn order(sched: &Executor<RoundRobin, Slices>) -> Vec<(u64, SliceEnd)> {
    sched.observer().0.iter().map(|slice| (slice.spawn_index, slice.end)).collect()
}

/// How a task ended, in words.
fn end<O: fuelsched::Observer>(sched: &mut Executor<RoundRobin, O>, id: TaskId) -> String {
    sched.take_outcome(id).map_or("lives".into(), |outcome| outcome.to_string())
}

/// A sink that keeps lines, with the time on a clock in milliseconds.
type Lines = Arc<Mutex<Vec<(String, String, u128)>>>;

/// A log that keeps what it is told.
fn kept(lines: &Lines, clock: &Clock) -> sched::LogSink {
    let (lines, clock) = (lines.clone(), clock.clone());
    Arc::new(move |name, line| {
        lines.lock().unwrap().push((name.into(), line.into(), clock.now().as_millis()));
    })
}

#[test]
fn two_tasks_that_wake_each_other_take_turns() {
    use SliceEnd::{Blocked, Ended};
    let channels = Channels::default();
    let mut sched = executor(UNPREEMPTED);
    let sides = [0, 1].map(|side| sched.spawn(call("ping-pong", &channels, &i32s([side, 3]))).unwrap());
    assert_eq!(sched.run().why, RunEnd::Done);
    let expected = [
        (0, Blocked), // sends 1, and waits for an answer
        (1, Blocked), // receives 1, sends 2, waits
        (0, Blocked), // receives 2, sends 3, waits
        (1, Blocked), // receives 3, sends 4, waits
        (0, Blocked), // receives 4, sends 5, waits
        (1, Ended),   // receives 5, sends 6
        (0, Ended),   // receives 6
    ];
    assert_eq!(order(&sched), expected);
    assert_eq!(sides.map(|side| end(&mut sched, side)), ["returned 6", "returned 5"]);
    assert_eq!((channels.len(), channels.bytes()), (0, 0));
}

#[test]
fn a_full_channel_holds_its_sender_up() {
    let channels = Channels::default();
    let mut sched = executor(UNPREEMPTED);
    let producer = sched.spawn(call("producer", &channels, &i32s([1, 10, 2, 1]))).unwrap();
    let consumer = sched.spawn(call("consumer", &channels, &i32s([100]))).unwrap();
    sched.run();
    // Two go in at a time: the 3rd, the 5th, the 7th and the 9th wait for room, and after each pair the consumer waits for more.
    assert_eq!(sched.ledger(producer).unwrap().blocked, 4);
    assert_eq!(sched.ledger(consumer).unwrap().blocked, 4);
    assert_eq!(end(&mut sched, producer), "returned 10");
    assert_eq!(end(&mut sched, consumer), "returned 55 10 -1", "the sum, how many, and that it is closed");
}

#[test]
fn messages_outlive_their_sender_and_so_does_the_end_of_them() {
    let channels = Channels::default();
    let mut sched = executor(1_000);
    let producer = sched.spawn(call("producer", &channels, &i32s([1, 3, 8, 1]))).unwrap();
    sched.run();
    assert_eq!(end(&mut sched, producer), "returned 3");
    let consumer = sched.spawn(call("consumer", &channels, &i32s([100]))).unwrap();
    sched.run();
    assert_eq!(end(&mut sched, consumer), "returned 6 3 -1");
    // And whoever comes after that can send nothing.
    let late = sched.spawn(call("producer", &channels, &i32s([1, 3, 8, 1]))).unwrap();
    sched.run();
    assert_eq!(end(&mut sched, late), "returned -1");
}

#[test]
fn the_order_of_messages_and_the_fuel_do_not_depend_on_the_quantum() {
    let run = |quantum: u64, costs: Costs| {
        let channels = Channels::default();
        let host = |name: &str| Host::new(name).channels(channels.clone()).costs(costs);
        let mut sched = executor(quantum);
        let producer = program("producer").call(host("p"), "main", &i32s([1, 10, 2, 1]));
        let consumer = program("consumer").call(host("c"), "main", &i32s([100]));
        let ids = [producer, consumer].map(|task| sched.spawn(task).unwrap());
        sched.run();
        let used = ids.map(|id| sched.ledger(id).unwrap().used.0);
        (ids.map(|id| end(&mut sched, id)), used)
    };
    let (ends, free) = run(UNPREEMPTED, Costs::free());
    assert_eq!(ends, ["returned 10", "returned 55 10 -1"]);
    // `open` moves the 7 bytes of the name, each message is 4 bytes, and `close` and the last `recv` move none.
    let priced = [free[0] + 507 + 10 * 504 + 500, free[1] + 507 + 10 * 504 + 500];
    for quantum in QUANTA {
        assert_eq!(run(quantum, Costs::free()), (ends.clone(), free), "quantum {quantum}");
        assert_eq!(run(quantum, Costs::default()), (ends.clone(), priced), "quantum {quantum}");
    }
}

#[test]
fn each_call_has_its_price() {
    // What a call of `wasm/any-call.wat` uses, with these costs; the calls before it are to make what it needs.
    let used = |costs: Costs, before: &[(i32, [i64; 4])], function: i32, args: [i64; 4]| {
        let mut script = Script::new(&Channels::default(), UNPREEMPTED);
        script.instance.with_data(|host| *host = std::mem::replace(host, Host::new("")).costs(costs)).unwrap();
        for (function, args) in before {
            assert!(script.call(*function, *args).is_some_and(|result| result >= 0));
        }
        script.sched.observer_mut().0.clear();
        assert!(script.call(function, args).is_some());
        // Slices of the call; a child that it spawns has the next place in the order of spawning.
        let own = script.sched.observer().0[0].spawn_index;
        script.sched.observer().of(own).iter().map(|slice| slice.used.0).sum::<u64>()
    };
    let price = |before: &[(i32, [i64; 4])], function, args| {
        used(Costs::default(), before, function, args) - used(Costs::free(), before, function, args)
    };
    let (open, sent) = ((OPEN, [0, 7, 4, 0]), (SEND, [0, 0, 50, 0]));
    let spawned = (SPAWN, [16, 5, 1_024, 1]);
    for function in [YIELD, SLEEP, NOW, TASK_ID, FUEL_LEFT] {
        assert_eq!(price(&[], function, [5, 0, 0, 0]), 500, "{function}");
    }
    assert_eq!(price(&[], LOG, [0, 30, 0, 0]), 530);
    assert_eq!(price(&[], LOG, [0, 9_000, 0, 0]), 500 + 4_096, "what is left out is free");
    assert_eq!(price(&[], open.0, open.1), 507);
    for function in [SEND, TRY_SEND] {
        assert_eq!(price(&[open], function, [0, 0, 50, 0]), 550);
    }
    for function in [RECV, TRY_RECV] {
        assert_eq!(price(&[open, sent], function, [0, 0, 9_000, 0]), 550, "the message, not the room");
    }
    assert_eq!(price(&[open], CLOSE, [0; 4]), 500);
    assert_eq!(price(&[], spawned.0, spawned.1), 500 + 5 + 8 + 10_000);
    assert_eq!(price(&[spawned], JOIN, [0, 64, 0, 0]), 532);
    // What fails is not free, and not dear.
    assert_eq!(price(&[], SEND, [0, 0, 60_000, 0]), 500);
    assert_eq!(price(&[open], SEND, [0, 0, 65_537, 0]), 500);
    assert_eq!(price(&[], SPAWN, [0, 7, 0, 0]), 500 + 7 + 10_000);
}

#[test]
fn whoever_uses_up_a_slice_in_calls_is_preempted() {
    // The slices of a task that does nothing but call: none is longer than the quantum and one call.
    let module = wat(r#"(module (import "sched" "now_ns" (func $now (result i64)))
        (func (export "main") (param $n i32) (loop $again (drop (call $now))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#);
    let mut linker = Linker::<Host>::new(engine());
    sched::add_to_linker(&mut linker, |host| host).unwrap();
    let mut sched = executor(1_000);
    let task = linker.link(&module).unwrap().call(Host::new("calls"), "main", &i32s([100]));
    let id = sched.spawn(task).unwrap();
    sched.run();
    let ledger = sched.ledger(id).unwrap();
    assert!(ledger.used.0 > 50_000 && ledger.used.0 < 52_000, "{ledger:?}");
    assert!(ledger.max_overshoot.0 < 520 && ledger.preempted >= 45, "{ledger:?}");
}

#[test]
fn sleeps_end_in_the_order_of_their_time() {
    let clock = Clock::simulated();
    let lines = Lines::default();
    let policy = RoundRobin::new(Fuel(1_000));
    let mut sched = Executor::builder().policy(policy).clock(clock.clone()).build();
    let sleepers = [("a", 5_000_000_i64, 1), ("b", 2_000_000, 3), ("c", 3_000_000, 1)];
    let ids = sleepers.map(|(name, time, times)| {
        let host = Host::new(name).log(kept(&lines, &clock));
        let args = [Value::I64(time), Value::I32(times)];
        sched.spawn(program("sleeper").call(host, "main", &args)).unwrap()
    });
    assert_eq!(sched.run().why, RunEnd::Done);
    let woke: Vec<(String, u128)> = lines.lock().unwrap().iter().map(|(name, _, at)| (name.clone(), *at)).collect();
    let expected = [("b", 2), ("c", 3), ("b", 4), ("a", 5), ("b", 6)].map(|(name, at)| (name.to_string(), at));
    assert_eq!(woke, expected);
    assert!(lines.lock().unwrap().iter().all(|(_, line, _)| line == "."), "{lines:?}");
    for (id, least) in ids.into_iter().zip([5_000_000, 6_000_000, 3_000_000]) {
        let Some(Outcome::Returned(values)) = sched.take_outcome(id) else {
            panic!("it returns");
        };
        assert!(matches!(values[..], [Value::I64(time)] if (least..least + 10_000).contains(&time)), "{values:?}");
    }
}

#[test]
fn an_hour_of_sleeping_is_over_at_once_and_the_same_each_time() {
    let run = || {
        let policy = RoundRobin::new(Fuel(1_000));
        let mut sched =
            Executor::builder().policy(policy).observer(Slices::default()).clock(Clock::simulated()).build();
        let args = [Value::I64(1_000_000_000), Value::I32(3_600)];
        let id = sched.spawn(program("sleeper").call(Host::new("s"), "main", &args)).unwrap();
        sched.run();
        (end(&mut sched, id), std::mem::take(&mut sched.observer_mut().0))
    };
    let began = Instant::now();
    let first = run();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(first.0.starts_with("returned 3600"), "{}", first.0);
    assert_eq!(first, run());
}

#[test]
fn a_host_with_its_own_loop_is_told_when_the_next_one_wakes() {
    let clock = Clock::manual();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).clock(clock.clone()).build();
    let args = [Value::I64(7_000_000), Value::I32(1)];
    let id = sched.spawn(program("sleeper").call(Host::new("s"), "main", &args)).unwrap();
    let moment = Some(Duration::from_millis(7));
    let idle = loop {
        match sched.step() {
            Step::Ran(_) => {}
            step => break step,
        }
    };
    assert_eq!(idle, Step::Idle { next_wake: moment });
    clock.advance(Duration::from_millis(7));
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(end(&mut sched, id), "returned 7000000");
}

#[test]
fn tasks_that_wait_for_each_other_end_and_say_for_what() {
    let channels = Channels::default();
    let mut sched = executor(UNPREEMPTED);
    let sides = [0, 1].map(|side| sched.spawn(call("crossed", &channels, &i32s([side]))).unwrap());
    assert_eq!(sched.run().why, RunEnd::Done);
    let used = sched.observer().0.iter().map(|slice| slice.charged).collect::<Vec<_>>();
    let expected = [
        format!("deadlocked: waits to receive from channel 'left' since {} fuel", used[0]),
        format!("deadlocked: waits to receive from channel 'right' since {} fuel", used[0].plus(used[1])),
    ];
    assert_eq!(sides.map(|side| end(&mut sched, side)), expected);
}

#[test]
fn while_the_host_has_an_end_nobody_is_deadlocked() {
    let channels = Channels::default();
    let mut sched = executor(1_000);
    let consumer = sched.spawn(call("consumer", &channels, &i32s([1]))).unwrap();
    // It waits, and nobody else is there. But before that is noticed the host takes an end.
    while sched.blocked_on(consumer).is_none() {
        let _ = sched.step();
    }
    let sender = channels.sender("numbers", 2).unwrap();
    for _ in 0..3 {
        while let Step::Ran(_) = sched.step() {}
        assert_eq!(sched.step(), Step::Idle { next_wake: None });
    }
    // It lets go of the end, and now it is one.
    drop(sender.clone());
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    drop(sender);
    while let Step::Ran(_) = sched.step() {}
    let said = end(&mut sched, consumer);
    assert!(said.starts_with("deadlocked: waits to receive from channel 'numbers' since "), "{said}");
}

#[test]
fn a_receiver_killed_in_the_middle_of_a_handover_loses_nothing() {
    let channels = Channels::default();
    let mut sched = executor(UNPREEMPTED);
    let consumers = [(); 2].map(|()| sched.spawn(call("consumer", &channels, &i32s([1]))).unwrap());
    let (_, _) = (sched.step(), sched.step());
    let producer = sched.spawn(call("producer", &channels, &i32s([7, 1, 2, 0]))).unwrap();
    let _ = sched.step();
    assert_eq!(end(&mut sched, producer), "returned 1");
    // The first one has been woken for it, and never runs again.
    sched.kill(consumers[0]).unwrap();
    sched.run();
    assert_eq!(consumers.map(|id| end(&mut sched, id)), ["killed", "returned 7 1 4"]);
}

#[test]
fn a_receiver_with_too_little_room_hands_its_turn_on() {
    let module = wat(r#"(module
        (import "sched" "open" (func $open (param i32 i32 i32) (result i32)))
        (import "sched" "recv" (func $recv (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "numbers")
        (func (export "main") (param $room i32) (result i32)
          (call $recv (call $open (i32.const 0) (i32.const 7) (i32.const 2)) (i32.const 8) (local.get $room))))"#);
    let mut linker = Linker::<Host>::new(engine());
    sched::add_to_linker(&mut linker, |host| host).unwrap();
    let (program, channels) = (linker.link(&module).unwrap(), Channels::default());
    let mut sched = executor(UNPREEMPTED);
    let receivers = [3, 0, 4].map(|room| {
        let host = Host::new("r").channels(channels.clone());
        sched.spawn(program.call(host, "main", &i32s([room]))).unwrap()
    });
    // All three wait. A message of four bytes is the first one's to take, then the second one's, then the third one's.
    (0..3).for_each(|_| _ = sched.step());
    sched.spawn(call("producer", &channels, &i32s([1, 1, 2, 0]))).unwrap();
    sched.run();
    assert_eq!(receivers.map(|id| end(&mut sched, id)), ["returned -5", "returned -5", "returned 4"]);
}

/// A task that receives until the channel is closed, and notes what.
fn notes(channels: &Channels, seen: &Arc<Mutex<Vec<u8>>>) -> Task {
    let (channel, seen) = (channels.open("n", 2).unwrap(), seen.clone());
    Task::with_waker(|meter| async move {
        while let Ok(message) = channel.recv(&meter).await {
            seen.lock().unwrap().push(message[0]);
            meter.yield_now().await;
        }
        Outcome::Returned(vec![])
    })
}

#[test]
fn whenever_a_receiver_is_killed_each_message_is_received_once() {
    for steps in 0..60 {
        let (channels, seen) = (Channels::default(), Arc::default());
        let mut sched = executor(UNPREEMPTED);
        let receivers = [(); 3].map(|()| sched.spawn(notes(&channels, &seen)).unwrap());
        let channel = channels.open("n", 2).unwrap();
        let sender = Task::with_waker(|meter| async move {
            for i in 0..20_u8 {
                channel.send(&meter, &[i]).await.unwrap();
            }
            channel.close();
            Outcome::Returned(vec![])
        });
        let sender = sched.spawn(sender).unwrap();
        (0..steps).for_each(|_| _ = sched.step());
        let _ = sched.kill(receivers[steps % 3]);
        sched.run();
        assert_eq!(end(&mut sched, sender), "returned");
        assert_eq!(*seen.lock().unwrap(), (0..20).collect::<Vec<u8>>(), "killed after {steps} steps");
    }
}

/// Longer than anything here takes: a thread that waits for so long would wait for ever.
const LONG: Option<Duration> = Some(Duration::from_secs(20));

#[test]
fn threads_of_the_host_send_to_guests_and_receive_from_them() {
    let channels = Channels::default();
    let mut sched = executor(1_000);
    // In: a thread sends to a consumer.
    let consumer = sched.spawn(call("consumer", &channels, &i32s([1_000]))).unwrap();
    let sender = channels.sender("numbers", 2).unwrap();
    let feeder = thread::spawn(move || {
        for i in 1..=100_u32 {
            sender.send_blocking(&i.to_le_bytes(), LONG).unwrap();
        }
        sender.close();
    });
    assert_eq!(sched.run().why, RunEnd::Done);
    feeder.join().unwrap();
    assert_eq!(end(&mut sched, consumer), "returned 5050 100 -1");
    // Out: a thread receives from a producer.
    let channels = Channels::default();
    let receiver = channels.receiver("numbers", 2).unwrap();
    let drain = thread::spawn(move || {
        let mut sum = 0;
        while let Ok(message) = receiver.recv_blocking(LONG) {
            sum += u32::from_le_bytes(message.try_into().unwrap());
        }
        sum
    });
    let producer = sched.spawn(call("producer", &channels, &i32s([1, 100, 2, 1]))).unwrap();
    sched.run();
    assert_eq!((drain.join().unwrap(), end(&mut sched, producer)), (5050, "returned 100".into()));
}

#[test]
fn a_wake_from_a_thread_is_never_missed() {
    // Each message finds the other side waiting, so the run looks thousands of times whether anybody can still be woken.
    let channels = Channels::default();
    let (to, from) = (channels.sender("to", 1).unwrap(), channels.receiver("from", 1).unwrap());
    let (requests, answers) = (channels.open("to", 1).unwrap(), channels.open("from", 1).unwrap());
    let other = thread::spawn(move || {
        for i in 0..5_000_u32 {
            to.send_blocking(&i.to_le_bytes(), LONG).unwrap();
            assert_eq!(from.recv_blocking(LONG).unwrap(), i.to_le_bytes());
        }
        to.close();
    });
    let task = Task::with_waker(|meter| async move {
        while let Ok(message) = requests.recv(&meter).await {
            answers.send(&meter, &message).await.unwrap();
        }
        Outcome::Returned(vec![])
    });
    let mut sched = executor(1_000);
    let id = sched.spawn(task).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    assert_eq!(end(&mut sched, id), "returned");
    other.join().unwrap();
}

/// A spawner of trees.
fn trees() -> Spawner {
    let tree = program("tree");
    Spawner::new(move |spawner, name, words| {
        if name != "tree" {
            return Err(SpawnRefusal::NotAllowed);
        }
        let args = sched::arguments(&tree.module().signature("main").unwrap(), words)?;
        Ok(tree.call(Host::new(name).spawner(spawner.clone()), "main", &args))
    })
}

/// What the root of a tree of this depth ends with.
fn grow(host: Host, depth: i32, quantum: u64) -> (String, Vec<u64>) {
    let mut sched = executor(quantum);
    let root = sched.spawn(program("tree").call(host, "main", &i32s([depth]))).unwrap();
    assert_eq!(sched.run().why, RunEnd::Done);
    let ended: Vec<u64> =
        order(&sched).into_iter().filter(|(_, end)| *end == SliceEnd::Ended).map(|(who, _)| who).collect();
    (end(&mut sched, root), ended)
}

#[test]
fn a_tree_of_tasks_grows_and_is_joined() {
    let (end, ended) = grow(Host::new("root").spawner(trees()), 2, UNPREEMPTED);
    // 0 spawns 1 and 2; 1 spawns 3 and 4, 2 spawns 5 and 6; leaves end in that order, and their parents when both have.
    assert_eq!((end.as_str(), ended), ("returned 7", vec![3, 4, 5, 6, 1, 2, 0]));
    for quantum in QUANTA {
        assert_eq!(grow(Host::new("root").spawner(trees()), 5, quantum).0, "returned 63");
    }
}

#[test]
fn what_may_not_be_spawned_is_not() {
    let root = || Host::new("root");
    let grown = |host: Host| grow(host, 4, 1_000).0;
    assert_eq!(grown(root()), "returned -7", "nobody has allowed anything");
    assert_eq!(grown(root().spawner(Spawner::new(|_, _, _| Err(SpawnRefusal::NotAllowed)))), "returned -7");
    assert_eq!(grown(root().spawner(trees()).children(1)), "returned -6");
    assert_eq!(grown(root().spawner(trees()).handles(1)), "returned -6");
    assert_eq!(grown(root().spawner(trees().live(3))), "returned -6");
    assert_eq!(grown(root().spawner(trees().total(20))), "returned -6");
    // What is refused uses nothing up.
    let mut script = Script::new(&Channels::default(), 1_000);
    for _ in 0..20 {
        assert_eq!(script.call(SPAWN, [0, 7, 0, 0]), Some(GuestError::NotAllowed as i64));
    }
    for handle in 0..8 {
        assert_eq!(script.call(SPAWN, [16, 5, 1_024, 1]), Some(handle));
    }
    assert_eq!(script.call(SPAWN, [16, 5, 1_024, 1]), Some(GuestError::NoRoom as i64), "8 in all");
    // A task that cannot be spawned, and one that traps, are children that did not return.
    let divide = guest("divide-by-zero");
    let (failed, trapped) = (divide.clone(), divide);
    let fails = Spawner::new(move |_, _, _| Ok(failed.call("no such export", &[])));
    assert_eq!(grown(root().spawner(fails)), "returned -107");
    let traps = Spawner::new(move |_, _, _| Ok(trapped.call("main", &i32s([0]))));
    assert_eq!(grown(root().spawner(traps)), "returned -102");
}

#[test]
fn a_deadlock_over_a_join_says_for_whom() {
    let (channels, crossed) = (Channels::default(), program("crossed"));
    let waits = channels.clone();
    let spawner =
        Spawner::new(move |_, name, _| Ok(crossed.call(Host::new(name).channels(waits.clone()), "main", &i32s([0]))));
    let (end, _) = grow(Host::new("root").spawner(spawner), 1, UNPREEMPTED);
    assert!(end.starts_with("deadlocked: waits for the end of task 1 since "), "{end}");
}

#[test]
fn a_recorded_run_of_tasks_that_talk_and_spawn_is_replayed() {
    // Two that play ping-pong, one that sleeps by the system's clock, and a tree, whose tasks are spawned by tasks again.
    let maker = || {
        let channels = Channels::default();
        move |label: u64| match label {
            0 | 1 => call("ping-pong", &channels, &i32s([label as i32, 5])),
            2 => call("sleeper", &channels, &[Value::I64(200_000), Value::I32(2)]),
            _ => program("tree").call(Host::new("root").spawner(trees()), "main", &i32s([3])),
        }
    };
    let recorder = Recorder::new(Vec::new(), b"").unwrap();
    let policy = RoundRobin::new(Fuel(200));
    let mut sched = Executor::builder().policy(policy).observer(Some(recorder)).build();
    let make = maker();
    let ids = [0, 1, 2, 3].map(|label| sched.spawn(make(label).label(label)).unwrap());
    assert_eq!(sched.run().why, RunEnd::Done);
    let ends = ids.map(|id| end(&mut sched, id));
    assert_eq!((&*ends[0], &*ends[1], &*ends[3]), ("returned 10", "returned 9", "returned 15"));
    let file: Vec<u8> = sched.observer_mut().take().unwrap().finish().unwrap();
    let make = maker();
    let mut replay = Replay::new(Recording::new(&file[..]).unwrap(), |label, _| Ok(make(label).label(label)));
    assert_eq!(replay.run().unwrap(), Verdict::Same);
}

/// Calls of one guest, one after another, and their results. A call that never returns ends the instance, and the next is another one's.
struct Script {
    /// The executor.
    sched: Executor<RoundRobin, Slices>,
    /// The guest.
    instance: fuelsched::Instance<Host>,
    /// What the next instance has.
    channels: Channels,
    /// How calls ended that did not return.
    ends: Vec<String>,
}

impl Script {
    /// A guest that can spawn `child`.
    fn new(channels: &Channels, quantum: u64) -> Script {
        let policy = RoundRobin::new(Fuel(quantum));
        let sched = Executor::builder().policy(policy).observer(Slices::default()).clock(Clock::simulated()).build();
        Script { sched, instance: Script::instance(channels), channels: channels.clone(), ends: Vec::new() }
    }

    /// A new instance.
    fn instance(channels: &Channels) -> fuelsched::Instance<Host> {
        let fib = guest("fib");
        let spawner = Spawner::new(move |_, name, words| match name {
            "child" => {
                Ok(fib.call("main", &sched::arguments(&fib.signature("main").unwrap(), words)?).budget(Fuel(1_000)))
            }
            _ => Err(SpawnRefusal::NotAllowed),
        });
        let sink: sched::LogSink = Arc::new(|_, line| assert!(!line.contains(char::is_control)));
        program("any-call").instance(Host::new("any").channels(channels.clone()).spawner(spawner.total(8)).log(sink))
    }

    /// A call; `None` if it did not return.
    fn call(&mut self, function: i32, args: [i64; 4]) -> Option<i64> {
        let args: Vec<Value> = std::iter::once(Value::I32(function)).chain(args.map(Value::I64)).collect();
        let id = self.sched.spawn(self.instance.call("call", &args).budget(Fuel(200_000))).unwrap();
        self.sched.run();
        match self.sched.take_outcome(id) {
            Some(Outcome::Returned(values)) => match values[..] {
                [Value::I64(value)] => Some(value),
                _ => panic!("{values:?}"),
            },
            other => {
                self.ends.push(other.map_or("lives", |outcome| outcome.name()).into());
                self.instance = Script::instance(&self.channels);
                None
            }
        }
    }
}

/// The functions of `wasm/any-call.wat`, by number.
const YIELD: i32 = 0;
const SLEEP: i32 = 1;
const NOW: i32 = 2;
const TASK_ID: i32 = 3;
const FUEL_LEFT: i32 = 4;
const LOG: i32 = 5;
const OPEN: i32 = 6;
const SEND: i32 = 7;
const RECV: i32 = 8;
const TRY_SEND: i32 = 9;
const TRY_RECV: i32 = 10;
const CLOSE: i32 = 11;
const SPAWN: i32 = 12;
const JOIN: i32 = 13;

/// The last byte of the guest's memory.
const FAR: i64 = 65_535;

#[test]
fn every_wrong_argument_has_its_code() {
    use GuestError::{BadAddress, BadHandle, Invalid, NotAllowed, TooLarge};
    let mut caller = Script::new(&Channels::default(), 1_000);
    let mut gives = |function: i32, args: [i64; 4], expected: GuestError| {
        assert_eq!(caller.call(function, args), Some(expected as i64), "{function} {args:?}");
    };
    const MAX: i64 = u32::MAX as i64;
    // Addresses, before there is any handle that would be right.
    for (address, bytes) in [(FAR, 2), (FAR + 2, 0), (0, FAR + 2), (MAX, 1), (1, MAX), (MAX, MAX)] {
        gives(LOG, [address, bytes, 0, 0], BadAddress);
        gives(OPEN, [address, bytes, 1, 0], BadAddress);
        gives(SPAWN, [address, bytes, 0, 0], BadAddress);
    }
    gives(SPAWN, [16, 5, FAR, 1], BadAddress);
    gives(SPAWN, [16, 5, 0, MAX], BadAddress);
    gives(SPAWN, [16, 5, 0, 1_001], TooLarge);
    gives(SPAWN, [16, 5, 0, 0], Invalid);
    gives(SPAWN, [0, 7, 0, 0], NotAllowed);
    gives(SPAWN, [32, 2, 0, 0], Invalid);
    gives(OPEN, [0, 0, 1, 0], Invalid);
    gives(OPEN, [32, 2, 1, 0], Invalid);
    gives(OPEN, [0, 129, 1, 0], TooLarge);
    gives(OPEN, [0, 7, 0, 0], Invalid);
    gives(OPEN, [0, 7, -1, 0], Invalid);
    gives(OPEN, [0, 7, 1_025, 0], TooLarge);
    for handle in [0, -1, i64::from(i32::MAX), i64::from(i32::MIN)] {
        for function in [SEND, RECV, TRY_SEND, TRY_RECV, CLOSE, JOIN] {
            gives(function, [handle, 0, 1, 0], BadHandle);
        }
    }
    // The last byte of memory, and none behind it, are fine.
    assert_eq!(caller.call(LOG, [FAR, 1, 0, 0]), Some(1));
    assert_eq!(caller.call(LOG, [FAR + 1, 0, 0, 0]), Some(0));
}

#[test]
fn what_is_wrong_with_a_channel_or_a_child_has_its_code() {
    use GuestError::{BadAddress, BadHandle, Closed, NoRoom, TooLarge, WouldBlock};
    let mut limits = ChannelLimits::default();
    (limits.channels, limits.message) = (1, 100);
    let mut caller = Script::new(&Channels::new(limits), 1_000);
    assert_eq!(caller.call(OPEN, [0, 7, 1, 0]), Some(0));
    assert_eq!(caller.call(SPAWN, [16, 5, 1_024, 1]), Some(1));
    let mut gives = |function: i32, args: [i64; 4], expected: GuestError| {
        assert_eq!(caller.call(function, args), Some(expected as i64), "{function} {args:?}");
    };
    gives(OPEN, [1, 6, 1, 0], NoRoom);
    for function in [SEND, RECV, TRY_SEND, TRY_RECV] {
        gives(function, [0, FAR, 2, 0], BadAddress);
        gives(function, [1, 0, 1, 0], BadHandle);
    }
    gives(JOIN, [0, 0, 0, 0], BadHandle);
    gives(JOIN, [1, FAR - 30, 0, 0], BadAddress);
    gives(SEND, [0, 0, 101, 0], TooLarge);
    gives(TRY_SEND, [0, 0, 101, 0], TooLarge);
    gives(TRY_RECV, [0, 0, 100, 0], WouldBlock);
    assert_eq!(caller.call(SEND, [0, 0, 7, 0]), Some(0));
    assert_eq!(caller.call(TRY_SEND, [0, 0, 7, 0]), Some(WouldBlock as i64));
    // A message that is too large for the room stays.
    assert_eq!(caller.call(TRY_RECV, [0, 2_048, 6, 0]), Some(TooLarge as i64));
    assert_eq!(caller.call(RECV, [0, 2_048, 6, 0]), Some(TooLarge as i64));
    assert_eq!(caller.call(RECV, [0, 2_048, 7, 0]), Some(7));
    let mut text = [0; 8];
    caller.instance.read_memory("memory", 2_048, &mut text).unwrap();
    assert_eq!(&text, b"channel\0");
    // The child has ended long since, and is joined once.
    assert_eq!(caller.call(JOIN, [1, 4_096, 0, 0]), Some(0));
    assert_eq!(caller.call(JOIN, [1, 4_096, 0, 0]), Some(BadHandle as i64));
    let mut ending = [0; 32];
    caller.instance.read_memory("memory", 4_096, &mut ending).unwrap();
    let expected = [0_i32, 0, 1, 0x7f, 0, 0, 0, 0].map(i32::to_le_bytes).concat();
    assert_eq!(ending[..], expected);
    // Closed, for both.
    let second = caller.call(OPEN, [0, 7, 1, 0]).unwrap();
    assert_eq!(caller.call(CLOSE, [0; 4]), Some(0));
    for function in [SEND, RECV, TRY_SEND, TRY_RECV] {
        assert_eq!(caller.call(function, [second, 0, 1, 0]), Some(Closed as i64));
    }
    assert!(caller.ends.is_empty());
}

#[test]
fn a_task_learns_about_itself() {
    let mut caller = Script::new(&Channels::default(), 1_000);
    assert_eq!(caller.call(TASK_ID, [0; 4]), Some(0));
    assert_eq!(caller.call(TASK_ID, [0; 4]), Some(1));
    let left = caller.call(FUEL_LEFT, [0; 4]).unwrap();
    assert!((199_400..199_500).contains(&left), "{left}");
    let (before, _, after) = (caller.call(NOW, [0; 4]), caller.call(SLEEP, [1_000, 0, 0, 0]), caller.call(NOW, [0; 4]));
    assert!(after.unwrap() - before.unwrap() >= 1_000);
    for time in [0, -1, i64::MIN] {
        assert_eq!(caller.call(SLEEP, [time, 0, 0, 0]), Some(0), "a yield");
    }
    assert_eq!(caller.call(YIELD, [0; 4]), Some(0));
    assert_eq!(caller.call(LOG, [0, 5_000, 0, 0]), Some(4_096), "the rest is left out");
    // A task without a budget.
    let channels = Channels::default();
    let mut sched = executor(1_000);
    let args = [Value::I32(FUEL_LEFT), Value::I64(0), Value::I64(0), Value::I64(0), Value::I64(0)];
    let id = sched.spawn(program("any-call").call(Host::new("x").channels(channels), "call", &args)).unwrap();
    sched.run();
    assert_eq!(end(&mut sched, id), "returned -1");
}

/// A file of this repository.
fn file(path: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

#[test]
fn the_document_and_the_header_have_each_function_and_each_code() {
    let (document, header) = (file("docs/host.md"), file("wasm/include/sched.h"));
    let imports = guest("any-call").imports();
    for import in &imports {
        let row = format!("\n| `{}` | `{}` | ", import.name, import.what.replacen("func", &import.name, 1));
        assert!(document.contains(&row), "{row}");
        assert!(header.contains(&format!("SCHED_IMPORT(\"{}\")", import.name)), "{import}");
    }
    assert_eq!(header.matches("SCHED_IMPORT(\"").count(), imports.len());
    use GuestError::{BadAddress, BadHandle, Closed, Invalid, NoRoom, NotAllowed, TooLarge, WouldBlock};
    for error in [Closed, WouldBlock, BadHandle, BadAddress, TooLarge, NoRoom, NotAllowed, Invalid] {
        // `BadHandle` is `BAD_HANDLE`.
        let mut name = String::new();
        for (i, c) in format!("{error:?}").chars().enumerate() {
            let gap = if i > 0 && c.is_uppercase() { "_" } else { "" };
            name += &format!("{gap}{}", c.to_ascii_uppercase());
        }
        assert!(document.contains(&format!("\n| {} | `{name}` | ", error as i32)), "{name}");
        assert!(header.contains(&format!("    SCHED_{name} = {}", error as i32)), "{name}");
    }
}

#[test]
fn a_function_of_the_embedders_waits_on_a_channel() {
    let channels = Channels::default();
    let waits = channels.clone();
    let mut linker = Linker::<()>::new(engine());
    linker
        .func_async("host", "next", move |caller: Caller<'_, HostState>, ()| {
            let (meter, channel) = (caller.data().meter().clone(), waits.open("numbers", 2));
            Box::new(async move {
                let message = channel.unwrap().recv(&meter).await;
                message.map_or(-1, |message| i32::from_le_bytes(message.try_into().unwrap()))
            })
        })
        .unwrap();
    let module = wat(r#"(module (import "host" "next" (func $next (result i32)))
        (func (export "main") (result i32 i32) (call $next) (call $next)))"#);
    let mut sched = executor(UNPREEMPTED);
    let waiter = sched.spawn(linker.link(&module).unwrap().call((), "main", &[])).unwrap();
    let _ = sched.step();
    let on = BlockedOn::Receive("numbers".into());
    assert_eq!(sched.blocked_on(waiter).map(|(on, _)| on.clone()), Some(on));
    sched.spawn(call("producer", &channels, &i32s([8, 1, 2, 1]))).unwrap();
    sched.run();
    assert_eq!(end(&mut sched, waiter), "returned 8 -1");
}

/// Arguments: small ones, which may be handles or lengths; those near the end of memory; and any.
fn argument() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => -1..40_i64,
        2 => 65_400..65_600_i64,
        1 => any::<i32>().prop_map(i64::from),
        1 => any::<i64>(),
        1 => Just(i64::from(i32::MIN)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_guest_calls_the_host_goes_on_and_so_do_others(
        quantum in prop_oneof![Just(1_u64), Just(100), Just(10_000)],
        calls in prop::collection::vec((0..14_i32, [argument(), argument(), argument(), argument()]), 1..40)
    ) {
        let channels = Channels::default();
        let mut caller = Script::new(&channels, quantum);
        for (function, args) in calls {
            // Two that mind their own business, over channels of their own.
            let own = Channels::default();
            let others = [call("producer", &own, &i32s([1, 4, 1, 1])), call("consumer", &own, &i32s([9]))];
            let others = others.map(|task| caller.sched.spawn(task).unwrap());
            // A name that is there, more often than chance would have it.
            let args = if [OPEN, SPAWN].contains(&function) && args[3] % 2 == 0 {
                [i64::from(function == SPAWN) * 16, 5, args[2], args[3] & 1]
            } else {
                args
            };
            let ends = caller.ends.len();
            let result = caller.call(function, args);
            match function {
                LOG | OPEN | SEND | RECV | TRY_SEND | TRY_RECV | CLOSE | SPAWN | JOIN => {
                    prop_assert!(result.is_none_or(|value| (-8..=65_536).contains(&value)), "{:?}", result);
                }
                _ => {}
            }
            for end in &caller.ends[ends..] {
                prop_assert!(["deadlocked", "out-of-fuel"].contains(&end.as_str()), "{}", end);
            }
            prop_assert_eq!(others.map(|id| end(&mut caller.sched, id)), ["returned 4", "returned 10 4 -1"]);
        }
    }
}
