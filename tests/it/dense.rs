//! Many tasks at once on stacks of this library's own: how many, that an overflow is caught, and what happens when something runs out.

#[cfg(feature = "cli")]
use crate::cli::{command, sched};
use crate::support::{engine, guest, wat};
use fuelsched::guest::{Allocation, Memories};
use fuelsched::policy::RoundRobin;
use fuelsched::{Budget, Engine, EngineConfig, Executor, Fuel, Linker, Module, Value};
use std::process::Command;

/// Set in a child process that is to use its address space up.
const SHORT: &str = "FUELSCHED_TEST_SHORT";

/// Set in a child process that is to overflow a stack.
const OVERFLOW: &str = "FUELSCHED_TEST_OVERFLOW";

/// An engine of this allocation.
fn engine_of(allocation: Allocation) -> Engine {
    Engine::new(&EngineConfig::default().allocation(allocation)).unwrap()
}

#[test]
fn more_tasks_than_wasmtimes_own_stacks_allow_are_suspended_at_once_and_all_come_right() {
    let count = wat(r#"
        (module (func (export "count") (param $to i32) (result i32) (local $i i32)
          (loop $again
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (local.get $to))))
          (local.get $i)))"#);
    // Wasmtime's own stop near 32,000, at two mappings each.
    let tasks = 33_000;
    let program = count.program().unwrap();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(50))).build();
    for index in 0..tasks {
        sched.spawn(program.call((), "count", &[Value::I32(20 + index % 7)])).unwrap();
    }
    sched.run_for(Budget::polls(2 * tasks as u64));
    assert_eq!((sched.live(), sched.totals().switches), (tasks as usize, 2 * tasks as u64));
    sched.run();
    let ended = sched.take_ended();
    assert_eq!(ended.len(), tasks as usize);
    for task in ended {
        let expected = 20 + task.spawn_index as i32 % 7;
        assert_eq!(task.outcome.values(), Some(&[Value::I32(expected)][..]), "task {}", task.spawn_index);
        assert_eq!((task.ledger.preempted, task.ledger.exact), (task.ledger.slices - 1, true));
    }
}

#[test]
fn fuel_and_results_are_the_same_whatever_the_allocation() {
    let run = |allocation| {
        let module = Module::from_file(&engine_of(allocation), crate::support::guest_path("grow-memory")).unwrap();
        let fib = Module::from_file(module.engine(), crate::support::guest_path("fib")).unwrap();
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(77))).build();
        for task in [module.call("main", &[Value::I32(3)]), fib.call("main", &[Value::I32(12)])] {
            sched.spawn(task).unwrap();
        }
        sched.run();
        sched.take_ended().into_iter().map(|task| (task.outcome.to_string(), task.ledger)).collect::<Vec<_>>()
    };
    let dense = run(Allocation::Dense);
    assert_eq!(dense, run(Allocation::OnDemand));
    assert_eq!(dense, run(Allocation::Pooling { tasks: 4, max_memory: 1 << 24 }));
}

/// How `main` of a guest ends with memories of this kind, and what it used.
fn end_with(memories: Memories, text: &str, args: &[Value]) -> (String, Fuel, bool) {
    let engine = Engine::new(&EngineConfig::default().memories(memories)).unwrap();
    let module = Module::from_bytes(&engine, "test.wat", text).unwrap();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(77))).build();
    let id = sched.spawn(module.call("main", args)).unwrap();
    sched.run();
    let ended = sched.take(id).unwrap();
    (ended.outcome.to_string(), ended.ledger.used, ended.ledger.exact)
}

#[test]
fn dense_memories_change_neither_results_nor_fuel_and_keep_their_bounds() {
    let read = |name: &str| std::fs::read_to_string(crate::support::guest_path(name)).unwrap();
    let at = |byte: u32| vec![Value::I32(byte.cast_signed())];
    let far = r#"(module (memory 1 3) (data (i32.const 65530) "abcdef")
        (func (export "main") (param $at i32) (result i32)
          (drop (memory.grow (i32.const 2)))
          (i32.load offset=4294901760 (local.get $at))))"#;
    let grown = r#"(module (memory 1) (data (i32.const 7) "x")
        (func (export "main") (param $pages i32) (result i32 i32)
          (i32.store8 (i32.const 65535) (i32.const 9))
          (drop (memory.grow (local.get $pages)))
          (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 5))
          (i32.add (i32.load8_u (i32.const 7)) (i32.load8_u (i32.const 65535)))
          (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))))"#;
    let mut cases = vec![(read("grow-memory"), at(40)), (read("fill-out-of-bounds"), at(1_000_000))];
    cases.extend([0, 65_532, 65_533, 65_536, 131_068, u32::MAX].map(|byte| (read("load-out-of-bounds"), at(byte))));
    cases.extend([0, 1, 65_535, u32::MAX].map(|byte| (far.to_string(), at(byte))));
    cases.extend([0, 1, 2, 600, 3_000].map(|pages| (grown.to_string(), at(pages))));
    for (text, args) in cases {
        let [reserved, dense] = [Memories::Reserved, Memories::Dense].map(|kind| end_with(kind, &text, &args));
        assert_eq!(dense, reserved, "{args:?} of {text}");
    }
}

#[test]
fn more_memories_than_reservations_of_4_gib_allow_are_there_at_once() {
    let engine = Engine::new(&EngineConfig::default().memories(Memories::Dense)).unwrap();
    let text = r#"(module (memory 1) (func (export "main") (param $value i32) (result i32)
        (i32.store (i32.const 40000) (local.get $value))
        (loop $again
          (local.set $value (i32.sub (local.get $value) (i32.const 1)))
          (br_if $again (local.get $value)))
        (i32.load (i32.const 40000))))"#;
    let program = Module::from_bytes(&engine, "memory", text).unwrap().program().unwrap();
    let tasks = 33_000;
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(50))).build();
    for index in 0..tasks {
        sched.spawn(program.call((), "main", &[Value::I32(20 + index)])).unwrap();
    }
    sched.run_for(Budget::polls(2 * tasks as u64));
    assert_eq!(sched.live(), tasks as usize);
    // Each has its own memory: killing all but a few leaves those whole.
    for index in 0..tasks {
        if index % 1_000 != 0 {
            sched.kill(fuelsched::TaskId::new(index as u32, 0)).unwrap();
        }
    }
    sched.run();
    let returned: Vec<_> = sched.take_ended().into_iter().filter(|task| task.outcome.is_success()).collect();
    assert_eq!(returned.len(), 33);
    for task in returned {
        assert_eq!(task.outcome.values(), Some(&[Value::I32(20 + task.spawn_index as i32)][..]));
    }
}

#[test]
fn a_guest_that_recurses_traps_and_its_stack_serves_the_next() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000_000))).build();
    let recurse = guest("recurse");
    for _ in 0..20 {
        let id = sched.spawn(recurse.call("main", &[Value::I32(0)])).unwrap();
        let fib = sched.spawn(guest("fib").call("main", &[Value::I32(10)])).unwrap();
        sched.run();
        assert!(sched.take_outcome(id).unwrap().to_string().contains("call stack exhausted"));
        assert_eq!(sched.take_outcome(fib).unwrap().values(), Some(&[Value::I32(55)][..]));
    }
}

/// Recurses until the stack is used up, touching every page.
#[inline(never)]
fn devour(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { room[3] } else { devour(depth + 1) + room[1] }
}

/// What the child process does: a host function that recurses without end, on the guest's fiber.
fn overflow() {
    let text = r#"(module (import "host" "devour" (func $devour)) (func (export "main") (call $devour)))"#;
    let module = Module::from_bytes(engine(), "overflow", text).unwrap();
    let mut linker: Linker<()> = Linker::new(engine());
    linker
        .func("host", "devour", || {
            std::hint::black_box(devour(0));
        })
        .unwrap();
    let mut sched = Executor::builder().build();
    sched.spawn(linker.link(&module).unwrap().call((), "main", &[])).unwrap();
    sched.run();
}

#[cfg(unix)]
#[test]
fn a_host_function_that_overflows_its_stack_hits_the_guard() {
    use std::os::unix::process::ExitStatusExt;
    if std::env::var_os(OVERFLOW).is_some() {
        return overflow();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "dense::a_host_function_that_overflows_its_stack_hits_the_guard", "--nocapture"]);
    let output = child.env(OVERFLOW, "1").output().unwrap();
    // A signal ended it, at once; it did not go on with somebody else's memory.
    assert!(matches!(output.status.signal(), Some(6 | 11)), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn how_an_overflow_is_caught_is_known() {
    let guard = engine_of(Allocation::Dense).stack_guard().map(|guard| guard.to_string());
    assert!(guard.is_some_and(|guard| guard == "MADV_GUARD_INSTALL" || guard == "mprotect"));
    assert_eq!(engine_of(Allocation::OnDemand).stack_guard(), None);
}

/// The command line of the binary under a limit of its address space.
#[cfg(all(feature = "cli", target_os = "linux"))]
fn limited(kib: u64, words: &str) -> crate::cli::Run {
    let binary = command().get_program().to_owned();
    let mut shell = Command::new("sh");
    let line = format!("ulimit -v {kib} && exec \"$0\" {words}");
    shell.args(["-c", &line]).arg(binary).current_dir(env!("CARGO_MANIFEST_DIR"));
    shell.output().unwrap().into()
}

#[cfg(all(feature = "cli", target_os = "linux"))]
#[test]
fn when_the_address_space_is_used_up_the_limit_is_named_and_the_others_go_on() {
    // 1 GiB is enough for some hundred tasks.
    let run = limited(1 << 20, "run --format json --quantum 100 --copies 2000 wasm/fib.wat:main=10");
    let json = run.json();
    assert_eq!(run.code, 1, "{}", run.err);
    let tasks = json["tasks"].as_array().unwrap();
    let (returned, failed): (Vec<_>, Vec<_>) = tasks.iter().partition(|task| task["outcome"] == "returned");
    assert!(returned.len() > 300 && !failed.is_empty(), "{} returned, {} failed", returned.len(), failed.len());
    assert!(
        returned.iter().all(|task| task["values"][0] == "55" && task["fuel"]["used"] == returned[0]["fuel"]["used"])
    );
    for task in failed {
        assert_eq!(task["outcome"], "failed");
        let error = task["error"].as_str().unwrap();
        assert!(error.contains("no stack for another task") && error.contains("ulimit -v"), "{error}");
    }
}

#[cfg(all(feature = "cli", target_os = "linux"))]
#[test]
fn a_short_address_space_never_ends_the_process_however_short_it_is() {
    for mib in [250, 350, 500] {
        for guest in ["wasm/fib.wat:main=10", "wasm/grow-memory.wat:main=3"] {
            let run = limited(mib << 10, &format!("run --format json --quantum 100 --copies 1500 {guest}"));
            // Some did not get a stack or a memory; nothing was ended by a signal, and all have an outcome.
            assert_eq!(run.code, 1, "{mib} MiB, {guest}: {}", run.err);
            let json = run.json();
            let tasks = json["tasks"].as_array().unwrap();
            assert_eq!(tasks.len(), 1500);
            for task in tasks.iter().filter(|task| task["outcome"] == "failed") {
                let error = task["error"].as_str().unwrap();
                assert!(!error.contains("no stack") || error.contains("RLIMIT_AS"), "{error}");
            }
        }
    }
}

/// What the child process does: takes all the stacks that there are, and then wants some address space for something else.
#[cfg(target_os = "linux")]
fn use_up() {
    let program = guest("spin").program().unwrap();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(100))).build();
    for _ in 0..3_000 {
        sched.spawn(program.call((), "main", &[])).unwrap();
    }
    sched.run_for(Budget::polls(3_000));
    assert!(sched.live() > 100 && sched.live() < 3_000, "{}", sched.live());
    // A thread's stack is a mapping, as what a heap grows by is, but a heap may have some in store.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(|| ());
    assert!(thread.is_ok_and(|thread| thread.join().is_ok()), "the rest of the process was left no room");
    // Those that have a stack go on.
    let switches = sched.totals().switches;
    sched.run_for(Budget::polls(1_000));
    assert_eq!(sched.totals().switches, switches + 1_000);
}

#[cfg(target_os = "linux")]
#[test]
fn stacks_leave_the_rest_of_the_process_some_room() {
    if std::env::var_os(SHORT).is_some() {
        return use_up();
    }
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "ulimit -v 1000000 && exec \"$0\" --exact dense::stacks_leave_the_rest_of_the_process_some_room --test-threads 1",
    ]);
    let output = shell.arg(std::env::current_exe().unwrap()).env(SHORT, "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[cfg(all(feature = "cli", target_os = "linux"))]
#[test]
fn the_density_that_cannot_be_had_is_an_error() {
    let run = limited(1 << 20, "bench --density 5000");
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert!(run.err.contains("no stack for another task") && run.err.contains("ulimit -v"), "{}", run.err);
}

#[cfg(all(feature = "cli", target_os = "linux"))]
#[test]
fn density_is_measured_and_all_tasks_are_right() {
    for words in [
        &["bench", "--density", "2000", "--format", "json"][..],
        &["bench", "--density", "100", "--memory", "--format", "json"],
    ] {
        let run = sched(words);
        assert_eq!(run.code, 0, "{}", run.err);
        let json = run.json();
        assert_eq!(json["right"], json["tasks"]);
        assert!(json["fewest_preemptions"].as_u64().unwrap() >= 10 && json["mappings"].as_u64().unwrap() > 10);
        let bytes = |what: &str| json["task"][what].as_f64().unwrap();
        assert_eq!(bytes("executor"), 200.0);
        assert!(bytes("stack") >= 4096.0 && bytes("heap") > 1000.0 && bytes("all") > bytes("stack"), "{json}");
    }
    let table = sched(&["bench", "--density", "10"]);
    assert!(
        table.out.contains("10 of 10 returned what they should") && table.out.contains("guarded by"),
        "{}",
        table.out
    );
}

#[cfg(all(feature = "cli", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn the_version_at_length_says_how_stacks_are_guarded() {
    let guard = engine().stack_guard().unwrap();
    let short = sched(&["--version"]);
    for words in [&["--version", "--verbose"][..], &["-V", "--verbose"]] {
        let run = sched(words);
        assert_eq!((run.code, run.err.as_str()), (0, ""));
        let expected = format!("{}stacks   of this program's own, guarded by {guard}\nmachine  ", short.out);
        assert!(run.out.starts_with(&expected) && run.out.lines().count() == 3, "{}", run.out);
    }
    assert_eq!(sched(&["--verbose"]).code, 2);
}

#[cfg(feature = "cli")]
#[test]
fn mistakes_are_said() {
    for (words, expected) in [
        (&["bench", "--density", "0"][..], "a whole number from 1 to 100000000"),
        (&["bench", "--density", "many"], "such as 100_000"),
        (&["bench", "--density", "10", "--max-stack", "1"], "16KiB"),
        (&["bench", "--density", "10", "wasm/fib.wat"], "cannot be used with"),
        (&["bench", "--density", "10", "--runs", "3"], "cannot be used with"),
        (&["bench", "--memory"], "--density <N>"),
    ] {
        let run = sched(words);
        assert_eq!(run.code, 2, "{words:?}");
        assert!(run.err.contains(expected), "{words:?}: {}", run.err);
    }
}
