//! Cyclic windows: what is refused, the frame log, and an oracle that walks through time unit by unit.

use crate::support::{Slices, endless, work};
use fuelsched::policy::{Cyclic, Fault, FaultKind, Mode, Pick, Window};
use fuelsched::reason::{Param, Params, PickReason, ReadyReason};
use fuelsched::trace::{Ended, Observer, Slice};
use fuelsched::{Budget, Clock, Executor, Fuel, Outcome, Policy, RunEnd, SliceEnd, Step, Task, TaskId};
use proptest::prelude::*;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// A window of a table in short: whose, offset, length.
type Short = (Option<u32>, u64, u64);

/// A mode.
fn mode(name: &str, frame: u64, windows: &[Short]) -> Mode {
    let window = |&(partition, offset, length): &Short| Window { partition, offset, length };
    Mode { name: name.into(), frame, windows: windows.iter().map(window).collect() }
}

/// A task that uses what it is granted and so much more, in turn, for ever.
fn overshooting(overshoots: impl IntoIterator<Item = u64>) -> Task {
    let overshoots: Vec<u64> = overshoots.into_iter().collect();
    let mut overshoots = overshoots.into_iter().cycle();
    Task::from_future(move |meter| {
        poll_fn(move |_| {
            let overshoot = overshoots.next().unwrap_or_default();
            meter.record(meter.used().plus(meter.grant()).plus(Fuel(overshoot)));
            Poll::<Outcome>::Pending
        })
    })
}

/// The task in a partition.
fn of(partition: u32, task: Task) -> Task {
    task.param(Param::Partition(partition))
}

/// An executor under a policy, all of whose slices are kept.
fn under(policy: Cyclic) -> Executor<Cyclic, Slices> {
    Executor::builder().policy(policy).observer(Slices::default()).build()
}

/// The log: when, who, granted, used, in which window.
fn log(sched: &Executor<Cyclic, Slices>) -> Vec<(u64, u64, u64, u64, u32)> {
    let line = |slice: &Slice| {
        let PickReason::Window(window) = slice.why else { panic!("{:?}", slice.why) };
        (slice.at.0, slice.spawn_index, slice.grant.0, slice.used.0, window)
    };
    sched.observer().0.iter().map(line).collect()
}

/// All faults, by whom and how much.
fn faults(sched: &mut Executor<Cyclic, impl Observer>) -> Vec<(TaskId, u64)> {
    let mut all = Vec::new();
    while let Some(Fault { id, kind, by, .. }) = sched.policy_mut().take_fault() {
        assert_eq!(kind, FaultKind::Overrun);
        all.push((id, by.0));
    }
    all
}

#[test]
fn unsound_tables_are_refused_with_mode_window_and_numbers() {
    let refused = |modes: Vec<Mode>| Cyclic::in_fuel(modes).expect_err("refused").to_string();
    let one = |frame, windows: &[Short]| refused(vec![mode("m", frame, windows)]);
    assert_eq!(refused(vec![]), "the policy cyclic: there are no modes; one with a frame and its windows is wanted");
    assert_eq!(
        refused(vec![mode("a", 1, &[]), mode("b", 1, &[]), mode("a", 1, &[])]),
        "the policy cyclic: mode 'a': modes 0 and 2 both have this name; each needs one of its own"
    );
    assert_eq!(
        one(0, &[]),
        "the policy cyclic: mode 'm': a frame of 0; it must be at least 1, and at most 4611686018427387904"
    );
    assert!(one(u64::MAX, &[]).contains("a frame of 18446744073709551615"));
    assert_eq!(
        one(10, &[(Some(1), 3, 0)]),
        "the policy cyclic: mode 'm': window 0 (offset 3, length 0): it is empty; a window must have a length of at least 1"
    );
    let past = "it reaches past the end of the frame, which is 10 long";
    assert_eq!(
        one(10, &[(Some(1), 0, 1), (None, 5, 6)]),
        format!("the policy cyclic: mode 'm': window 1 (offset 5, length 6): {past}")
    );
    assert!(one(10, &[(Some(1), u64::MAX, 2)]).ends_with(past));
    assert_eq!(
        one(10, &[(Some(1), 6, 4), (Some(2), 0, 7)]),
        "the policy cyclic: mode 'm': window 0 (offset 6, length 4): it begins before the end of window 1, at offset 0, which ends at 7"
    );
    assert!(one(10, &[(None, 0, 5), (Some(2), 4, 1)]).contains("window 1 (offset 4, length 1)"), "idle windows, too");
    let many: Vec<Short> = (0..70_000).map(|i| (Some(1), i, 1)).collect();
    assert!(one(70_000, &many).contains("70000 windows"));
    let modes = (0..300).map(|i| mode(&i.to_string(), 1, &[])).collect();
    assert!(refused(modes).contains("there are 300 modes; at most 256 are possible"));
    assert!(Cyclic::in_time(vec![], Clock::manual()).is_err());
}

#[test]
fn tasks_that_no_window_is_for_are_refused_with_the_partitions_that_there_are() {
    let modes = vec![mode("a", 10, &[(Some(7), 0, 5)]), mode("b", 10, &[(Some(2), 0, 5), (None, 5, 5)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap());
    let refused = |result: fuelsched::Result<TaskId>| result.expect_err("refused").to_string();
    let prefix = "the policy cyclic does not take the task:";
    assert_eq!(
        refused(sched.spawn(endless())),
        format!("{prefix} it must say in which partition it is; the partitions are: 2, 7")
    );
    assert_eq!(
        refused(sched.spawn(of(3, endless()))),
        format!("{prefix} no window is partition 3's; the partitions are: 2, 7")
    );
    assert!(refused(sched.spawn(of(7, endless()).param(Param::Quantum(Fuel(0))))).contains("at least 1"));
    let id = sched.spawn(of(7, endless()).param(Param::Weight(0))).unwrap();
    assert!(sched.set(id, Param::Partition(8)).is_err());
    let weight = sched.set(id, Param::Weight(2)).unwrap_err().to_string();
    assert!(weight.ends_with("it has no weight; it has a partition and a quantum"), "{weight}");
    let message = sched.policy_mut().switch_mode("c").unwrap_err().to_string();
    assert_eq!(message, "the policy cyclic: there is no mode 'c'; there are a, b");
}

#[test]
fn a_guard_as_long_as_a_window_lets_nobody_in() {
    let modes = || vec![mode("m", 20, &[(Some(1), 0, 10), (Some(1), 12, 4)])];
    assert!(Cyclic::in_fuel(modes()).unwrap().guard(3).check().is_ok());
    let policy = Cyclic::in_fuel(modes()).unwrap().guard(4);
    let message = policy.check().unwrap_err().to_string();
    assert_eq!(
        message,
        "the policy cyclic: mode 'm': window 1 (offset 12, length 4): a guard of 4 leaves nothing of it; the guard must be shorter than the shortest window"
    );
    assert_eq!(under(policy).spawn(of(1, endless())).unwrap_err().to_string(), message);
}

#[test]
fn windows_come_at_their_offsets_in_every_frame() {
    let modes = vec![mode("m", 100, &[(Some(2), 50, 20), (Some(1), 0, 30), (None, 30, 10), (Some(1), 90, 10)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap());
    sched.spawn(of(1, endless())).unwrap();
    sched.spawn(of(2, endless())).unwrap();
    sched.run_for(Budget::polls(6));
    let expected = [
        (0, 0, 30, 30, 1),
        (50, 1, 20, 20, 0), // The time from 30 to 50 is idle: partly by the table, partly because it is nobody's.
        (90, 0, 10, 10, 3),
        (100, 0, 30, 30, 1), // The next frame.
        (150, 1, 20, 20, 0),
        (190, 0, 10, 10, 3),
    ];
    assert_eq!(log(&sched), expected);
    assert_eq!((sched.policy().mode(), sched.policy().frames()), ("m", 2));
}

#[test]
fn an_overrun_is_detected_charged_and_does_not_move_the_grid() {
    let modes = vec![mode("m", 100, &[(Some(1), 0, 50), (Some(2), 50, 50)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap());
    let over = sched.spawn(of(1, overshooting([20, 0, 130, 0, 0, 0, 0, 0]))).unwrap();
    sched.spawn(of(2, endless())).unwrap();
    sched.run_for(Budget::polls(8));
    let expected = [
        (0, 0, 50, 70, 0),    // 20 past the end.
        (70, 1, 30, 30, 1),   // The other gets the rest of its window, not the whole of it.
        (100, 0, 30, 30, 0),  // It owes 20.
        (150, 1, 50, 50, 1),  // What is idle has paid it.
        (200, 0, 50, 180, 0), // 130 past the end: 80 of it not its own.
        (380, 1, 20, 20, 1), // The window at 300 was used by the overrun itself; the one at 400 pays 50, that at 500 the rest.
        (450, 1, 50, 50, 1),
        (500, 0, 20, 20, 0),
    ];
    assert_eq!(log(&sched), expected);
    assert_eq!(faults(&mut sched), [(over, 20), (over, 130)]);
    sched.run_for(Budget::polls(2));
    assert_eq!(log(&sched)[9], (600, 0, 50, 50, 0), "paid");
}

#[test]
fn whoever_always_overshoots_harms_the_others_once() {
    let modes = vec![mode("m", 100, &[(Some(1), 0, 50), (Some(2), 50, 50)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap());
    sched.spawn(of(1, overshooting([20]))).unwrap();
    sched.spawn(of(2, endless())).unwrap();
    sched.run_for(Budget::polls(200));
    let late = sched.observer().of(1).iter().filter(|slice| slice.at.0 % 100 != 50).count();
    assert_eq!(late, 1);
    assert_eq!(faults(&mut sched).len(), 1);
    assert_eq!(sched.observer().of(0)[50].grant, Fuel(30));
}

#[test]
fn a_task_that_becomes_ready_within_its_window_gets_the_rest_of_it() {
    let modes = vec![mode("m", 100, &[(Some(1), 0, 50), (Some(2), 50, 50)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap());
    sched.spawn(of(1, endless()).start_at(Fuel(30))).unwrap();
    sched.spawn(of(2, endless())).unwrap();
    sched.run_for(Budget::polls(3));
    assert_eq!(log(&sched), [(30, 0, 20, 20, 0), (50, 1, 50, 50, 1), (100, 0, 50, 50, 0)]);
}

#[test]
fn modes_switch_when_the_frame_ends() {
    let modes = || vec![mode("a", 100, &[(Some(1), 0, 50)]), mode("b", 30, &[(Some(2), 10, 5), (Some(1), 20, 5)])];
    let mut sched = under(Cyclic::in_fuel(modes()).unwrap());
    sched.spawn(of(1, endless())).unwrap();
    sched.spawn(of(2, endless())).unwrap();
    sched.run_for(Budget::polls(1));
    sched.policy_mut().switch_mode("b").unwrap();
    assert_eq!(sched.policy().mode(), "a");
    sched.run_for(Budget::polls(4));
    let expected = [(0, 0, 50, 50, 0), (110, 1, 5, 5, 0), (120, 0, 5, 5, 1), (140, 1, 5, 5, 0), (150, 0, 5, 5, 1)];
    assert_eq!(log(&sched), expected);
    assert_eq!((sched.policy().mode(), sched.policy().frames()), ("b", 2));
    // The latest call counts; the present mode means that nothing changes.
    sched.policy_mut().switch_mode("a").unwrap();
    sched.policy_mut().switch_mode("b").unwrap();
    sched.run_for(Budget::polls(1));
    assert_eq!(log(&sched)[5].0, 170);
}

#[test]
fn where_nobody_ready_has_a_window_the_run_is_idle_until_a_mode_helps() {
    let modes = vec![mode("a", 100, &[(Some(1), 0, 50)]), mode("b", 30, &[(Some(2), 10, 5)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap());
    sched.spawn(of(2, endless())).unwrap();
    assert_eq!(sched.step(), Step::Idle { next_wake: None });
    assert_eq!(sched.now(), Fuel(0));
    sched.policy_mut().switch_mode("b").unwrap();
    sched.run_for(Budget::polls(2));
    assert_eq!(log(&sched), [(110, 0, 5, 5, 0), (140, 0, 5, 5, 0)]);
}

/// Lets a policy decide so often, with tasks that use their grants and `over(task)` more, and a clock that ends. Says how often each ran.
fn drive(policy: &mut Cyclic, tasks: usize, picks: usize, over: impl FnMut(usize) -> u64) -> Vec<usize> {
    let mut now = Fuel::ZERO;
    drive_on(policy, &mut now, tasks, picks, over)
}

/// The same, from a moment on.
fn drive_on(
    policy: &mut Cyclic,
    now: &mut Fuel,
    tasks: usize,
    picks: usize,
    mut over: impl FnMut(usize) -> u64,
) -> Vec<usize> {
    let mut ran = vec![0; tasks];
    for index in 0..tasks {
        let id = TaskId::new(index as u32, 0);
        policy.admit(id, &Params::default().with(Param::Partition(index as u32))).unwrap();
        policy.ready(id, ReadyReason::Spawned, *now);
    }
    while ran.iter().sum::<usize>() < picks {
        match policy.pick(*now) {
            Pick::Run(run) => {
                let used = run.grant.plus(Fuel(over(run.id.index())));
                ran[run.id.index()] += 1;
                *now = now.plus(used);
                policy.charge(run.id, used, SliceEnd::Preempted);
            }
            Pick::IdleUntil(then) => {
                assert!(then > *now);
                *now = then;
            }
            other => panic!("{other:?}"),
        }
    }
    ran
}

#[test]
fn no_debt_is_walked_through_and_none_stops_the_others() {
    // 2^62 frames of debt and more, and a clock that comes to its end.
    let mut policy = Cyclic::in_fuel(vec![mode("m", 100, &[(Some(0), 0, 1), (Some(1), 50, 50)])]).unwrap();
    let mut hostile = [1 << 62, u64::MAX, 7, u64::MAX / 2].into_iter().cycle();
    let ran = drive(&mut policy, 2, 10_000, |task| if task == 0 { hostile.next().unwrap() } else { 0 });
    assert_eq!(ran, [1, 9_999], "who owes 2^62 windows of 1");
    // By itself it is waited for, whatever it owes, and in whichever mode.
    let whole = 1 << 62;
    let modes = || vec![mode("m", whole, &[(Some(0), whole / 2, 1)]), mode("n", whole, &[(Some(0), 0, whole)])];
    let ran = drive(&mut Cyclic::in_fuel(modes()).unwrap(), 1, 1_000, |_| u64::MAX);
    assert_eq!(ran, [1_000]);
    let (mut policy, mut now) = (Cyclic::in_fuel(modes()).unwrap(), Fuel::ZERO);
    for i in 0..40 {
        policy.switch_mode(["n", "m"][i % 2]).unwrap();
        let ran = drive_on(&mut policy, &mut now, 1, 5, |_| u64::MAX - 5);
        assert_eq!(ran, [5]);
        policy.leave(TaskId::new(0, 0));
    }
    // Frames of 1, of which each slice passes more than anybody counts.
    let mut policy = Cyclic::in_fuel(vec![mode("m", 1, &[(Some(0), 0, 1)])]).unwrap();
    assert_eq!(drive(&mut policy, 1, 1_000, |_| u64::MAX), [1_000]);
    assert_eq!(policy.frames(), u64::MAX);
}

#[test]
fn faults_that_nobody_takes_are_forgotten_in_the_end() {
    let modes = vec![mode("m", 100, &[(Some(1), 0, 10)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap());
    sched.spawn(of(1, overshooting((0..).step_by(60).take(2)))).unwrap();
    sched.run_for(Budget::polls(10_000));
    let kept = faults(&mut sched).len();
    assert!((200..500).contains(&kept), "{kept}");
}

#[test]
fn tasks_of_a_partition_take_turns_and_a_window_cuts_no_turn_short() {
    let modes = vec![mode("m", 100, &[(Some(1), 0, 50)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap().quantum(Fuel(30)));
    sched.spawn(of(1, endless())).unwrap();
    sched.spawn(of(1, endless())).unwrap();
    sched.run_for(Budget::polls(5));
    let expected =
        [(0, 0, 30, 30, 0), (30, 1, 20, 20, 0), (100, 1, 10, 10, 0), (110, 0, 30, 30, 0), (140, 1, 10, 10, 0)];
    assert_eq!(log(&sched), expected);
    // Without a quantum a turn is a window, though the host cuts it.
    let modes = vec![mode("m", 100, &[(Some(1), 0, 50)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap());
    sched.spawn(of(1, endless())).unwrap();
    sched.spawn(of(1, endless())).unwrap();
    sched.run_for(Budget::fuel(20));
    sched.run_for(Budget::polls(3));
    let expected = [(0, 0, 20, 20, 0), (20, 0, 30, 30, 0), (100, 1, 50, 50, 0), (200, 0, 50, 50, 0)];
    assert_eq!(log(&sched), expected);
}

#[test]
fn a_newcomer_is_not_paid_for_time_that_nobody_else_wanted() {
    let modes = vec![mode("m", 100, &[(Some(1), 0, 90)])];
    let mut sched = under(Cyclic::in_fuel(modes).unwrap().quantum(Fuel(10)));
    sched.spawn(of(1, endless())).unwrap();
    sched.run_for(Budget::polls(50));
    sched.spawn(of(1, endless())).unwrap();
    sched.run_for(Budget::polls(18));
    let turns = |task| sched.observer().of(task).iter().filter(|slice| slice.at.0 >= 5_000).count();
    assert_eq!((turns(0), turns(1)), (9, 9));
}

#[test]
fn in_time_an_idle_window_is_for_the_host_to_wait_for() {
    let clock = Clock::manual();
    let modes = vec![mode("m", 1_000_000, &[(Some(1), 0, 100_000), (Some(2), 400_000, 200_000)])];
    let policy = Cyclic::in_time(modes, clock.clone()).unwrap().guard(1_000);
    let mut sched = Executor::builder().policy(policy).clock(clock.clone()).observer(Slices::default()).build();
    for partition in [1, 2] {
        let hand = clock.clone();
        // 2 ns a unit of fuel.
        let task = Task::from_future(move |meter| {
            poll_fn(move |_| {
                meter.record(meter.used().plus(meter.grant()));
                hand.advance(Duration::from_nanos(meter.grant().0 * 2));
                Poll::<Outcome>::Pending
            })
        });
        sched.spawn(of(partition, task)).unwrap();
    }
    for frame in 0..50_u64 {
        for (offset, length, task) in [(0, 100_000, 0), (400_000, 200_000, 1)] {
            let start = frame * 1_000_000 + offset;
            let before = sched.observer().of(task).len();
            let end = sched.run();
            let now = u64::try_from(clock.now().as_nanos()).unwrap();
            assert!(sched.observer().of(task).len() > before);
            assert!((start + length - 1_100..=start + length).contains(&now), "{now}");
            let RunEnd::Idle { next_wake: Some(wake) } = end.why else { panic!("{end:?}") };
            let next = if offset == 0 { start + 400_000 } else { (frame + 1) * 1_000_000 };
            assert_eq!(wake, Duration::from_nanos(next));
            clock.advance(wake - clock.now());
        }
    }
    assert_eq!(sched.policy().frames(), 49);
    assert_eq!(sched.policy_mut().take_fault(), None);
}

#[test]
fn in_time_an_overrun_is_a_debt_of_time() {
    let clock = Clock::manual();
    let modes = vec![mode("m", 1_000, &[(Some(1), 0, 500), (Some(2), 500, 500)])];
    let policy = Cyclic::in_time(modes, clock.clone()).unwrap();
    let mut sched = Executor::builder().policy(policy).clock(clock.clone()).build();
    let hand = clock.clone();
    let id = sched
        .spawn(of(
            1,
            Task::from_future(move |meter| {
                poll_fn(move |_| {
                    meter.record(meter.used().plus(Fuel(1)));
                    hand.advance(Duration::from_nanos(600));
                    Poll::<Outcome>::Pending
                })
            }),
        ))
        .unwrap();
    assert!(matches!(sched.step(), Step::Ran(_)));
    let fault = sched.policy_mut().take_fault().unwrap();
    assert_eq!((fault.id, fault.by), (id, Fuel(100)));
    assert_eq!(sched.policy().numbers(id), [("partition", 1), ("debt", 100)]);
    assert_eq!(sched.step(), Step::Idle { next_wake: Some(Duration::from_nanos(1_000)) });
}

// The same in every frame.

/// A random table: gaps and lengths in turn, and whose they are; at most `partitions` of them.
fn table(partitions: u32) -> impl Strategy<Value = (u64, Vec<Short>)> {
    let piece = (0..8_u64, 3..30_u64, prop::option::weighted(0.85, 0..partitions));
    (prop::collection::vec(piece, 1..10), 0..20_u64, any::<prop::sample::Index>()).prop_map(|(pieces, tail, turn)| {
        let mut end = 0;
        let mut windows = Vec::new();
        for (gap, length, whose) in pieces {
            windows.push((whose, end + gap, length));
            end += gap + length;
        }
        let turn = turn.index(windows.len());
        windows.rotate_left(turn);
        (end + tail, windows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_of_every_frame_is_the_table(
        (frame, windows) in table(4),
        guard in 0..3_u64,
        overshoots in prop::collection::vec(0..3_u64, 4),
        quantum in prop::option::of(1..20_u64),
        absent in 0..5_u32,
    ) {
        let mut policy = Cyclic::in_fuel(vec![mode("m", frame, &windows)]).unwrap().guard(guard);
        if let Some(quantum) = quantum {
            policy = policy.quantum(Fuel(quantum));
        }
        let mut sched = under(policy);
        // Partitions that nobody is in are idle; others have one task each.
        let mut tasks = Vec::new();
        for partition in (0..4).filter(|&partition| partition != absent) {
            let cost = overshoots[partition as usize].min(guard);
            if sched.spawn(of(partition, overshooting([cost, 0, guard]))).is_ok() {
                tasks.push(partition);
            }
        }
        let task_of = |whose: Option<u32>| tasks.iter().position(|&partition| Some(partition) == whose);
        let mut expected: Vec<(u64, u64, u64, u32)> = windows.iter().enumerate().filter_map(|(index, &(whose, offset, length))| {
            Some((offset, task_of(whose)? as u64, length - guard, index as u32))
        }).collect();
        expected.sort_unstable();
        let polls = expected.len() * 20;
        prop_assert_eq!(sched.run_for(Budget::polls(polls as u64)).polls, polls as u64);
        for (number, frames) in log(&sched).chunks(expected.len().max(1)).enumerate() {
            let seen: Vec<_> = frames.iter().map(|&(at, who, grant, _, window)| (at - number as u64 * frame, who, grant, window)).collect();
            prop_assert_eq!(&seen, &expected, "frame {}", number);
        }
        prop_assert_eq!(faults(&mut sched), []);
    }

    #[test]
    fn within_a_partition_service_differs_by_a_quantum_and_both_overshoots(
        (frame, mut windows) in table(2),
        quantum in 1..40_u64,
        overshoots in prop::collection::vec(prop::collection::vec(prop_oneof![4 => 0..4_u64, 1 => 0..200_u64], 1..4), 2..4),
        runs in prop::collection::vec((1..100_u64, 1..40_u64), 1..10),
    ) {
        windows[0].0 = Some(0);
        let policy = Cyclic::in_fuel(vec![mode("m", frame, &windows)]).unwrap().quantum(Fuel(quantum));
        let mut sched = under(policy);
        for task in &overshoots {
            sched.spawn(of(0, overshooting(task.clone()))).unwrap();
        }
        for (fuel, polls) in runs {
            sched.run_for(Budget::fuel(fuel).or_polls(polls));
        }
        let largest: Vec<u64> = overshoots.iter().map(|task| *task.iter().max().unwrap()).collect();
        let mut used = vec![0_u64; overshoots.len()];
        for slice in &sched.observer().0 {
            used[slice.spawn_index as usize] += slice.used.0;
            for a in 0..used.len() {
                for b in 0..a {
                    prop_assert!(used[a].abs_diff(used[b]) <= quantum + largest[a] + largest[b], "{:?}", used);
                }
            }
        }
    }

    #[test]
    fn whatever_happens_the_windows_are_kept(
        modes in prop::collection::vec(table(4), 1..4),
        guard in 0..3_u64,
        quantum in prop::option::of(1..30_u64),
        deeds in prop::collection::vec(deed(), 1..60),
    ) {
        let named = modes.iter().enumerate().map(|(i, (frame, windows))| mode(&i.to_string(), *frame, windows)).collect();
        let mut policy = Cyclic::in_fuel(named).unwrap().guard(guard);
        if let Some(quantum) = quantum {
            policy = policy.quantum(Fuel(quantum));
        }
        let mut host = Host::new(policy, Oracle::new(modes, guard, quantum.is_some()));
        for deed in deeds {
            host.act(deed);
        }
    }
}

/// What a host may do between steps.
#[derive(Clone, Debug)]
enum Deed {
    /// Spawns an endless task in a partition, that overshoots so.
    Spawn(u32, Vec<u64>),
    /// Spawns a task of a few slices.
    Brief(u32, Vec<u64>),
    /// Kills a task.
    Kill(usize),
    /// Suspends one.
    Suspend(usize),
    /// Resumes one.
    Resume(usize),
    /// Moves one to another partition.
    Move(usize, u32),
    /// Asks for a mode.
    Switch(usize),
    /// Runs for so much fuel and so many polls.
    Run(Option<u64>, u64),
}

/// A random deed.
fn deed() -> impl Strategy<Value = Deed> {
    let overshoot = prop_oneof![4 => 0..4_u64, 2 => 0..60_u64, 1 => 0..2_000_u64];
    let overshoots = prop::collection::vec(overshoot, 1..4);
    prop_oneof![
        4 => (0..4_u32, overshoots).prop_map(|(partition, overshoots)| Deed::Spawn(partition, overshoots)),
        2 => (0..4_u32, prop::collection::vec(0..40_u64, 0..4)).prop_map(|(partition, costs)| Deed::Brief(partition, costs)),
        1 => (0..8_usize).prop_map(Deed::Kill),
        2 => (0..8_usize).prop_map(Deed::Suspend),
        2 => (0..8_usize).prop_map(Deed::Resume),
        1 => (0..8_usize, 0..4_u32).prop_map(|(task, to)| Deed::Move(task, to)),
        1 => (0..3_usize).prop_map(Deed::Switch),
        6 => (prop::option::of(1..200_u64), 1..20_u64).prop_map(|(fuel, polls)| Deed::Run(fuel, polls)),
    ]
}

/// The rules, followed unit by unit of time.
#[derive(Debug)]
struct Oracle {
    /// Frames and windows of the modes.
    modes: Vec<(u64, Vec<Short>)>,
    /// The present mode, and the one that is asked for.
    mode: usize,
    next: Option<usize>,
    /// The guard.
    guard: u64,
    /// Whether turns are shorter than windows.
    turns: bool,
    /// Whether the host's budget may cut grants.
    cut: bool,
    /// The time, where it is in the frame, and frames completed.
    now: u64,
    position: u64,
    frames: u64,
    /// Debts by partition.
    debts: [u64; 4],
    /// Partition of each task, and whether it is ready.
    tasks: Vec<(u32, bool)>,
    /// Overruns that must have been seen.
    faults: Vec<(TaskId, u64)>,
}

impl Oracle {
    fn new(modes: Vec<(u64, Vec<Short>)>, guard: u64, turns: bool) -> Oracle {
        Oracle {
            modes,
            mode: 0,
            next: None,
            guard,
            turns,
            cut: false,
            now: 0,
            position: 0,
            frames: 0,
            debts: [0; 4],
            tasks: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The window that is now, and what of it can be granted.
    fn here(&self) -> Option<(usize, u32, u64, u64)> {
        let covers = |&(_, offset, length): &Short| (offset..offset + length).contains(&self.position);
        let windows = &self.modes[self.mode].1;
        let index = windows.iter().position(covers)?;
        let (whose, offset, length) = windows[index];
        let (whose, room) = (whose?, offset + length - self.position);
        let usable = room.saturating_sub(self.guard).saturating_sub(self.debts[whose as usize]);
        Some((index, whose, room, usable))
    }

    /// One unit of time passes, in which this partition ran, or nobody.
    fn tick(&mut self, runner: Option<u32>) {
        let owner = self.here().map(|(_, whose, ..)| whose);
        if let Some(runner) = runner.filter(|_| runner != owner) {
            self.debts[runner as usize] += 1;
        }
        if let Some(owner) = owner.filter(|_| runner != owner) {
            self.debts[owner as usize] = self.debts[owner as usize].saturating_sub(1);
        }
        self.now += 1;
        self.position += 1;
        if self.position == self.modes[self.mode].0 {
            self.position = 0;
            self.frames += 1;
            self.mode = self.next.take().unwrap_or(self.mode);
        }
    }
}

impl Observer for Oracle {
    fn idle(&mut self, from: Fuel, until: Fuel) {
        assert_eq!(self.now, from.0);
        while self.now < until.0 {
            if let Some((index, whose, _, usable)) = self.here() {
                let wanted = self.tasks.contains(&(whose, true));
                assert!(!wanted || usable == 0, "{} is idle, in window {index}", self.now);
            }
            self.tick(None);
        }
    }

    fn slice(&mut self, slice: &Slice) {
        let (partition, ready) = self.tasks[slice.spawn_index as usize];
        assert!(ready && self.now == slice.at.0);
        let (index, whose, room, usable) = self.here().expect("a window");
        assert_eq!((slice.why, whose), (PickReason::Window(index as u32), partition));
        assert!(slice.grant.0 <= usable, "{} of {usable}", slice.grant);
        if !self.cut && !self.turns {
            assert_eq!(slice.grant.0, usable, "the whole window");
        }
        if slice.charged.0 > room {
            self.faults.push((slice.id, slice.charged.0 - room));
        }
        for _ in 0..slice.charged.0 {
            self.tick(Some(whose));
        }
    }

    fn ended(&mut self, task: &Ended) {
        self.tasks[task.spawn_index as usize].1 = false;
    }
}

/// A host, and the ids that it has.
struct Host {
    sched: Executor<Cyclic, Oracle>,
    ids: Vec<TaskId>,
}

impl Host {
    fn new(policy: Cyclic, oracle: Oracle) -> Host {
        Host { sched: Executor::builder().policy(policy).observer(oracle).build(), ids: Vec::new() }
    }

    fn spawn(&mut self, partition: u32, task: Task) {
        if let Ok(id) = self.sched.spawn(of(partition, task)) {
            self.ids.push(id);
            self.sched.observer_mut().tasks.push((partition, true));
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Spawn(partition, overshoots) => self.spawn(partition, overshooting(overshoots)),
            Deed::Brief(partition, costs) => self.spawn(partition, work(costs).detached()),
            Deed::Kill(i) => {
                let _ = self.ids.get(i).map(|id| self.sched.kill(*id));
            }
            Deed::Suspend(i) => {
                if self.ids.get(i).is_some_and(|id| self.sched.suspend(*id).is_ok()) {
                    self.sched.observer_mut().tasks[i].1 = false;
                }
            }
            Deed::Resume(i) => {
                if self.ids.get(i).is_some_and(|id| self.sched.resume(*id).is_ok()) {
                    self.sched.observer_mut().tasks[i].1 = true;
                }
            }
            Deed::Move(i, to) => {
                if self.ids.get(i).is_some_and(|id| self.sched.set(*id, Param::Partition(to)).is_ok()) {
                    self.sched.observer_mut().tasks[i].0 = to;
                }
            }
            Deed::Switch(to) => {
                if self.sched.policy_mut().switch_mode(&to.to_string()).is_ok() {
                    let oracle = self.sched.observer_mut();
                    oracle.next = (oracle.mode != to).then_some(to);
                }
            }
            Deed::Run(fuel, polls) => self.run(fuel, polls),
        }
    }

    /// Runs, and compares what the oracle cannot see from inside.
    fn run(&mut self, fuel: Option<u64>, polls: u64) {
        self.sched.observer_mut().cut = fuel.is_some();
        let budget = fuel.map_or(Budget::unlimited(), Budget::fuel).or_polls(polls);
        let ran = self.sched.run_for(budget);
        let seen = faults(&mut self.sched);
        let oracle = self.sched.observer_mut();
        assert_eq!(seen, std::mem::take(&mut oracle.faults));
        let (mode, frames, now) = (oracle.mode.to_string(), oracle.frames, oracle.now);
        assert_eq!((self.sched.policy().mode(), self.sched.now()), (mode.as_str(), Fuel(now)));
        if ran.polls > 0 {
            assert_eq!(self.sched.policy().frames(), frames);
        }
        // Whoever is ready, and has a window in this mode, is not left alone.
        if matches!(ran.why, RunEnd::Idle { .. }) {
            let oracle = self.sched.observer();
            let windows = &oracle.modes[oracle.mode].1;
            let served = |partition| windows.iter().any(|window| window.0 == Some(partition));
            assert!(!oracle.tasks.iter().any(|&(partition, ready)| ready && served(partition)));
        }
        for (id, &(partition, _)) in self.ids.iter().zip(&self.sched.observer().tasks) {
            if self.sched.state(*id).is_some_and(|state| state != fuelsched::TaskState::Ended) {
                let debt = self.sched.observer().debts[partition as usize];
                let numbers = self.sched.policy().numbers(*id);
                assert_eq!(numbers, [("partition", i64::from(partition)), ("debt", debt as i64)]);
            }
        }
    }
}
