//! What happened in a run: events in their whole order, and the events of a recording.

use crate::support::{endless, work};
use fuelsched::outcome::Trap;
use fuelsched::policy::{Policy, Priority, RoundRobin};
use fuelsched::reason::Param;
use fuelsched::trace::Retelling;
use fuelsched::trace::events::{self, Events, Happened, Names, Ring, Stop, What, Why};
use fuelsched::{
    Action, BlockedOn, Budget, Clock, Executor, Fuel, Group, Health, Outcome, Recorder, Recording, Supervisor, Task,
};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Lines of what happened.
type Lines = Arc<Mutex<Vec<String>>>;

/// An event as a line, without its time.
fn line(event: &Happened, names: &Names) -> String {
    let at = event.at.0;
    match event.what {
        What::Spawned { task, label, by, released } => {
            format!("{at} spawned {task} ({label}) by {by:?} for {released}")
        }
        What::Ready { task, why, by } => format!("{at} ready {task}: {why:?} {by:?}"),
        What::Input { task, bytes } => format!("{at} input {task}: {bytes}"),
        What::Ran(poll) => {
            let (why, over) = (poll.why.show(names), poll.overshoot());
            let (task, number, grant, used) = (poll.task, poll.number, poll.grant.0, poll.used.0);
            format!("{at} ran {task}.{number} {used}/{grant} +{over} {why}: {}", poll.stop)
        }
        What::Waits { task, on } => format!("{at} waits {task} {}", on.show(names)),
        What::Message { task, channel, number, bytes, sent } => {
            let did = if sent { "sends" } else { "receives" };
            format!("{at} {task} {did} {}.{number}: {bytes}", names.get(channel))
        }
        What::Health { task, incident, action } => {
            format!("{at} health {task}: {}, {}", incident.name(), action.name())
        }
        What::FrameBegins => format!("{at} ["),
        What::FrameEnds => format!("{at} ]"),
        What::Ended { task, how, outcome, used } => format!("{at} {how} {task}: {} ({used})", names.get(outcome)),
        What::Idle { until } => format!("{at} idle until {until}"),
        What::Control { task, act } => format!("{at} control {task}: {act}"),
        What::Group { id, act } => format!("{at} group {id}: {act}"),
        _ => format!("{at} {:?}", event.what),
    }
}

/// What writes the lines.
type Writer = Box<dyn FnMut(&Happened, &Names) + Send>;

/// An executor that writes lines.
fn sched<P: Policy>(policy: P) -> (Lines, Executor<P, Events<Writer>>) {
    let lines = Lines::default();
    let kept = lines.clone();
    let sink: Writer = Box::new(move |event, names| kept.lock().unwrap().push(line(event, names)));
    let sched = Executor::builder().policy(policy).observer(Events::new(sink)).clock(Clock::simulated()).build();
    (lines, sched)
}

/// The lines, all of them.
fn all<P: Policy>(lines: &Lines, sched: &mut Executor<P, Events<Writer>>) -> Vec<String> {
    sched.observer_mut().flush();
    std::mem::take(&mut lines.lock().unwrap())
}

/// The lines, but for those that say where frames begin and end.
fn frameless<P: Policy>(lines: &Lines, sched: &mut Executor<P, Events<Writer>>) -> Vec<String> {
    let mut lines = all(lines, sched);
    lines.retain(|line| !line.ends_with(['[', ']']));
    lines
}

#[test]
fn slices_tell_why_they_were_picked_and_why_they_stopped() {
    let (lines, mut sched) = sched(RoundRobin::new(Fuel(10)));
    sched.spawn(work([10, 12, 3]).label(7)).unwrap();
    sched.spawn(work([30]).budget(Fuel(25))).unwrap();
    sched.run();
    let expected = [
        "0 spawned 0 (7) by None for 0",
        "0 ready 0: Spawned None",
        "0 spawned 1 (0) by None for 0",
        "0 ready 1: Spawned None",
        "0 ran 0.1 10/10 +0 turn: preempted",
        // It used all of its budget and more, and ends.
        "10 ran 1.1 30/10 +20 turn: out-of-fuel",
        "40 out-of-fuel 1: out-of-fuel (30)",
        "40 ran 0.2 12/10 +2 turn: preempted",
        // A debt of 2 shortens the next turn.
        "52 ran 0.3 3/8 +0 turn: yielded",
        "55 ran 0.4 0/10 +0 turn: returned",
        "56 returned 0: returned (25)",
    ];
    assert_eq!(frameless(&lines, &mut sched), expected);
}

#[test]
fn what_the_host_does_stands_between_the_slices() {
    let (lines, mut sched) = sched(Priority::new(Fuel(10)));
    let group = sched.add_group(Group::new().budget(Fuel(30)));
    let a = sched.spawn(endless().param(Param::Priority(3))).unwrap();
    let b = sched.spawn(endless().group(group)).unwrap();
    let _ = sched.step();
    sched.suspend(a).unwrap();
    let _ = sched.step();
    let _ = sched.step();
    sched.refuel_group(group, Fuel(5)).unwrap();
    sched.set(b, Param::Priority(9)).unwrap();
    sched.resume(a).unwrap();
    let _ = sched.step();
    sched.kill(a).unwrap();
    sched.run();
    let expected = [
        "0 group 0.0: add",
        "0 spawned 0 (0) by None for 0",
        "0 ready 0: Spawned None",
        "0 spawned 1 (0) by None for 0",
        "0 ready 1: Spawned None",
        "0 ran 0.1 10/10 +0 level 3: preempted",
        "10 control 0: suspend",
        "10 ran 1.1 10/10 +0 level 0: preempted",
        "20 ran 1.2 10/10 +0 level 0: preempted",
        "30 group 0.0: refuel by 5",
        "30 control 1: set priority to 9",
        "30 ready 0: Resumed None",
        "30 control 0: resume",
        "30 ran 1.3 10/10 +0 level 9: preempted",
        // Killed, so there is no slice that ended it.
        "40 control 0: kill",
        "40 killed 0: killed (10)",
        // All that the group has left.
        "40 ran 1.4 5/5 +0 level 9: out-of-fuel",
        "45 out-of-fuel 1: out-of-fuel (35)",
    ];
    assert_eq!(frameless(&lines, &mut sched), expected);
}

/// A task that sleeps so many nanoseconds, and returns.
fn sleeps(nanos: u64) -> Task {
    Task::with_waker(move |meter| async move {
        meter.sleep_until(meter.now() + Duration::from_nanos(nanos)).await;
        Outcome::Returned(vec![])
    })
}

#[test]
fn a_wake_names_the_task_in_whose_slice_it_came() {
    let (lines, mut sched) = sched(RoundRobin::new(Fuel(100)));
    let bell: Arc<Mutex<Option<Waker>>> = Arc::default();
    let (hung, rung, outside) = (bell.clone(), bell.clone(), bell.clone());
    // Waits twice, whoever wakes it.
    sched
        .spawn(Task::with_waker(move |meter| {
            let mut polls = 0;
            poll_fn(move |cx| {
                polls += 1;
                if polls > 2 {
                    return Poll::Ready(Outcome::Returned(vec![]));
                }
                *hung.lock().unwrap() = Some(cx.waker().clone());
                meter.blocking(BlockedOn::Function("bell".into()));
                Poll::Pending
            })
        }))
        .unwrap();
    // Rings, and waits for the child that it spawned.
    sched
        .spawn(Task::with_waker(move |meter| async move {
            rung.lock().unwrap().take().unwrap().wake();
            let child = meter.spawn(sleeps(50).label(4));
            meter.join(&child).await;
            Outcome::Returned(vec![])
        }))
        .unwrap();
    let _ = sched.run_for(Budget::unlimited());
    // Now the host rings.
    outside.lock().unwrap().take().unwrap().wake();
    sched.spawn(sleeps(0)).unwrap();
    let _ = sched.run_for(Budget::unlimited());
    let expected = [
        "0 spawned 0 (0) by None for 0",
        "0 ready 0: Spawned None",
        "0 spawned 1 (0) by None for 0",
        "0 ready 1: Spawned None",
        "0 ran 0.1 0/100 +0 turn: waits in a function",
        "1 waits 0 in bell",
        "1 ran 1.1 0/100 +0 turn: waits for a task",
        "2 spawned 2 (4) by Some(1) for 2",
        "2 ready 2: Spawned None",
        "2 waits 1 for the end of task 2",
        "2 ready 0: Woken Some(Task(1))",
        "2 ran 2.1 0/100 +0 turn: sleeps",
        "3 waits 2 for a moment",
        "3 ran 0.2 0/100 +0 turn: waits in a function",
        "4 waits 0 in bell",
        "4 idle until 52",
        "52 ready 2: Woken Some(Moment)",
        "52 ran 2.2 0/100 +0 turn: returned",
        "53 returned 2: returned (0)",
        "53 ready 1: Woken Some(Task(2))",
        "53 ran 1.2 0/100 +0 turn: returned",
        "54 returned 1: returned (0)",
        // A task of the host's is told of at once, and the wake when the next step looks for some.
        "54 spawned 3 (0) by None for 54",
        "54 ready 3: Spawned None",
        "54 ready 0: Woken Some(Outside)",
        "54 ran 3.1 0/100 +0 turn: returned",
        "55 returned 3: returned (0)",
        "55 ran 0.3 0/100 +0 turn: returned",
        "56 returned 0: returned (0)",
    ];
    assert_eq!(frameless(&lines, &mut sched), expected);
}

/// A task that takes in three bytes, and traps.
fn takes_in() -> Task {
    Task::with_waker(move |meter| async move {
        meter.take_in(|| vec![1u8, 2, 3]);
        meter.yield_now().await;
        Outcome::Trapped(Trap::new("it was enough"))
    })
}

/// A line of a run as its recording would have it.
fn as_recorded(event: &Happened, names: &Names) -> Option<String> {
    let what = match event.what {
        What::Ready { .. } | What::Waits { .. } | What::FrameBegins | What::FrameEnds => return None,
        What::Ran(poll) => {
            let known = poll.stop.is_end() || poll.stop.is_ready();
            What::Ran(events::Poll { why: Why::Unsaid, stop: if known { poll.stop } else { Stop::Blocked }, ..poll })
        }
        What::Spawned { task, label, .. } => What::Spawned { task, label, by: None, released: event.at },
        what => what,
    };
    Some(line(&Happened { what, ..*event }, names))
}

/// The lines of a recording, and what is wrong with it.
fn retold(file: &[u8]) -> (Vec<String>, fuelsched::Result<()>) {
    let mut lines = Vec::new();
    let mut sink = |event: &Happened, names: &Names| lines.push(line(event, names));
    let read = Recording::new(file).and_then(|recording| Retelling::new(recording).run(&mut sink));
    (lines, read)
}

#[test]
fn a_recording_tells_the_same_but_for_what_it_does_not_hold() {
    let lines = Lines::default();
    let kept = lines.clone();
    let sink = move |event: &Happened, names: &Names| kept.lock().unwrap().extend(as_recorded(event, names));
    let observer = (Some(Recorder::new(Vec::new(), b"").unwrap()), Events::new(sink));
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).observer(observer).build();
    let killed = sched.spawn(endless()).unwrap();
    sched.spawn(work([9, 30, 10]).label(3)).unwrap();
    sched.spawn(takes_in()).unwrap();
    sched.spawn(work([5; 4]).start_at(Fuel(500))).unwrap();
    sched.spawn(endless().replenishing(Fuel(10), Fuel(40)).budget(Fuel(35))).unwrap();
    let _ = sched.run_for(Budget::polls(11));
    sched.set_quantum(killed, Fuel(7)).unwrap();
    let _ = sched.run_for(Budget::polls(3));
    sched.kill(killed).unwrap();
    let _ = sched.run();
    let (recorder, events) = sched.observer_mut();
    let file = recorder.take().unwrap().finish().unwrap();
    events.flush();
    let lines = std::mem::take(&mut *lines.lock().unwrap());
    let (told, read) = retold(&file);
    read.unwrap();
    assert_eq!(told, lines);
    for part in
        [": blocked", ": trapped", "idle until 500", "input 2: ", "set quantum to 7", "killed 0", "out-of-fuel 4"]
    {
        assert!(told.iter().any(|line| line.contains(part)), "{part}: {told:#?}");
    }
    // What is left of it is told, and then what is wrong.
    for length in 0..file.len() {
        let (told, read) = retold(&file[..length]);
        assert!(read.is_err(), "{length}");
        let whole = told.iter().zip(&lines).take_while(|(a, b)| a == b).count();
        assert!(whole + 1 >= told.len(), "{length}: {told:#?}");
    }
}

#[test]
fn times_are_there_if_they_are_asked_for() {
    let run = |events: Events<Ring>| {
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).observer(events).build();
        sched.spawn(work([10; 5])).unwrap();
        sched.run();
        sched.observer_mut().flush().clone()
    };
    assert!(run(Events::new(Ring::new(100))).iter().all(|event| event.time == 0));
    let timed = run(Events::new(Ring::new(5)).timed());
    // Spawned, ready, a frame of six slices, and the end.
    assert_eq!((timed.len(), timed.dropped()), (5, 6));
    let times: Vec<u64> = timed.iter().map(|event| event.time).collect();
    assert!(times.is_sorted() && times[0] > 0, "{times:?}");
}

#[test]
fn a_frame_is_from_one_call_of_the_host_to_its_end() {
    let (lines, mut sched) = sched(RoundRobin::new(Fuel(10)));
    sched.spawn(work([10, 10, 4])).unwrap();
    let _ = sched.run_for(Budget::fuel(15));
    let _ = sched.step();
    let _ = sched.run_for(Budget::unlimited());
    let expected = [
        "0 spawned 0 (0) by None for 0",
        "0 ready 0: Spawned None",
        "0 [",
        "0 ran 0.1 10/10 +0 turn: preempted",
        // The frame leaves 5, and the guest is at its next yield point only after 10.
        "10 ran 0.2 10/5 +5 turn: preempted",
        "20 ]",
        "20 ran 0.3 4/10 +0 turn: yielded",
        "24 [",
        "24 ran 0.4 0/10 +0 turn: returned",
        "25 returned 0: returned (24)",
        "25 ]",
    ];
    assert_eq!(all(&lines, &mut sched), expected);
}

#[test]
fn what_a_supervisor_sees_comes_before_what_it_does() {
    let (lines, mut sched) = sched(RoundRobin::new(Fuel(10)));
    let mut supervisor = Supervisor::new();
    let health = Health { on_trap: Action::Restart, max_restarts: Some(1), ..Health::default() };
    let traps = || Task::from_future(|_| async { Outcome::Trapped(Trap::new("always")) });
    supervisor.spawn(&mut sched, health, traps).unwrap();
    let _ = supervisor.run_for(&mut sched, Budget::unlimited());
    let expected = [
        "0 spawned 0 (0) by None for 0",
        "0 ready 0: Spawned None",
        "0 ran 0.1 0/10 +0 turn: trapped",
        "10 trapped 0: trapped: always (0)",
        "10 health 0: trap, restart",
        "10 spawned 1 (0) by None for 10",
        "10 ready 1: Spawned None",
        "10 ran 1.1 0/10 +0 turn: trapped",
        "20 trapped 1: trapped: always (0)",
        "20 health 1: trap, restart",
    ];
    assert_eq!(frameless(&lines, &mut sched), expected);
}

#[cfg(feature = "host")]
#[test]
fn messages_are_told_of_before_the_slice_in_which_they_pass() {
    use fuelsched::channel::Channels;
    let (lines, mut sched) = sched(RoundRobin::new(Fuel(10)));
    let channel = Channels::default().open("c", 2).unwrap();
    let (to, from) = (channel.clone(), channel);
    let sends = Task::with_waker(move |meter| async move {
        for message in [&b"a"[..], b"bc", b"def"] {
            to.send(&meter, message).await.unwrap();
        }
        Outcome::Returned(vec![])
    });
    let receives = Task::with_waker(move |meter| async move {
        for _ in 0..3 {
            from.recv(&meter).await.unwrap();
        }
        Outcome::Returned(vec![])
    });
    sched.spawn(sends).unwrap();
    sched.spawn(receives).unwrap();
    sched.run();
    let passed: Vec<String> = frameless(&lines, &mut sched).split_off(4);
    let expected = [
        "0 0 sends c.0: 1",
        "0 0 sends c.1: 2",
        "0 ran 0.1 0/10 +0 turn: waits to send",
        "1 waits 0 to send to channel 'c'",
        "1 1 receives c.0: 1",
        "1 1 receives c.1: 2",
        "1 ran 1.1 0/10 +0 turn: waits to receive",
        "2 waits 1 to receive from channel 'c'",
        "2 ready 0: Woken Some(Task(1))",
        "2 0 sends c.2: 3",
        "2 ran 0.2 0/10 +0 turn: returned",
        "3 returned 0: returned (0)",
        "3 ready 1: Woken Some(Task(0))",
        "3 1 receives c.2: 3",
        "3 ran 1.2 0/10 +0 turn: returned",
        "4 returned 1: returned (0)",
    ];
    assert_eq!(passed, expected);
}

#[cfg(feature = "host")]
#[test]
fn of_one_slice_only_so_many_messages_are_kept() {
    use fuelsched::channel::Channels;
    let (lines, mut sched) = sched(RoundRobin::new(Fuel(10)));
    let channel = Channels::default().open("c", 1).unwrap();
    let passes = Task::with_waker(move |meter| async move {
        for _ in 0..5_000 {
            channel.send(&meter, b"").await.unwrap();
            channel.recv(&meter).await.unwrap();
        }
        Outcome::Returned(vec![])
    });
    sched.spawn(passes).unwrap();
    sched.run();
    let told = all(&lines, &mut sched).iter().filter(|line| line.contains(" c.")).count();
    assert_eq!(told, 4_096);
}
