//! Instances that stay, programs linked from modules and host functions, and the limits of a task.

use crate::support::{alone, engine, guest, i32s, wat};
use fuelsched::error::ErrorKind;
use fuelsched::guest::Allocation;
use fuelsched::wasmtime::{Caller, Extern, bail};
use fuelsched::{
    Engine, EngineConfig, Executor, Fuel, HostState, Instance, Limits, Linker, Module, Program, Result, Task, Value,
};

/// Runs a task to its end; its outcome as it is printed.
fn outcome(task: Task) -> String {
    alone(task, 1_000).0.outcome.to_string()
}

/// A call of `update` on an instance of `counter.wat`.
fn update(counter: &Instance, by: i32) -> String {
    outcome(counter.call("update", &i32s([by])))
}

/// The message of an error, without the name of the guest's file.
fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    let text = result.expect_err("an error").to_string();
    text.rsplit_once(".wat: ").expect("it names the file").1.to_string()
}

const BUSY: &str = "the instance is in the middle of another call; wait for its outcome, or make a second instance";
const GONE: &str = "the instance was lost with a call that did not return; make a new one";

// Instances that stay.

#[test]
fn an_instance_keeps_its_memory_from_call_to_call() {
    let module = guest("counter");
    let [one, two] = [(); 2].map(|()| module.instance().unwrap());
    assert_eq!([1, 2, 39].map(|by| update(&one, by)), ["returned 1", "returned 3", "returned 42"]);
    assert_eq!(update(&two, 7), "returned 7", "another instance has another memory");
    assert_eq!(update(&one.clone(), 1), "returned 43", "a clone is the same instance");
}

#[test]
fn the_host_reads_and_writes_memory_between_calls() {
    let counter = guest("counter").instance().unwrap();
    let mut count = [0; 4];
    let unmade = "no memory is exported as 'memory'";
    assert_eq!(message(counter.read_memory("memory", 0, &mut count)), unmade, "before the first call");
    update(&counter, 5);
    counter.read_memory("memory", 0, &mut count).unwrap();
    assert_eq!(count, 5_i32.to_le_bytes());
    counter.write_memory("memory", 0, &1_000_i32.to_le_bytes()).unwrap();
    assert_eq!(update(&counter, 1), "returned 1001");
    let function = "the export 'update' is a function, not a memory";
    assert_eq!(message(counter.read_memory("update", 0, &mut count)), function);
    assert_eq!(message(counter.read_memory("nope", 0, &mut count)), "no memory is exported as 'nope'");
}

#[test]
fn an_access_past_the_end_of_memory_is_an_error() {
    let counter = guest("counter").instance().unwrap();
    update(&counter, 1);
    let mut bytes = [7; 4];
    counter.read_memory("memory", 65_532, &mut bytes).unwrap();
    let expected = "a read of 4 bytes at 65533 reaches past the end of a memory of 65536 bytes";
    assert_eq!(message(counter.read_memory("memory", 65_533, &mut bytes)), expected);
    let expected = "a write of 4 bytes at 18446744073709551615 reaches past the end of a memory of 65536 bytes";
    assert_eq!(message(counter.write_memory("memory", usize::MAX, &bytes)), expected);
    counter.read_memory("memory", 65_536, &mut []).unwrap();
}

#[test]
fn an_instance_in_a_call_is_busy() {
    let counter = guest("counter").instance().unwrap();
    let mut sched = Executor::builder().build();
    let id = sched.spawn(counter.call("update", &i32s([1]))).unwrap();
    assert!(!counter.is_idle());
    assert_eq!(message(sched.spawn(counter.call("update", &i32s([1])))), BUSY);
    assert_eq!(message(counter.with_data(|()| ())), BUSY);
    assert_eq!(message(counter.read_memory("memory", 0, &mut [])), BUSY);
    sched.run();
    assert!(counter.is_idle() && sched.take_outcome(id).unwrap().is_success());
    assert_eq!(update(&counter, 1), "returned 2");
}

#[test]
fn a_call_that_did_not_begin_gives_the_instance_back() {
    let counter = guest("counter").instance().unwrap();
    for count in 1..4 {
        drop(counter.call("update", &i32s([1])));
        assert!(counter.is_idle(), "a task that was never spawned");
        let mut sched = Executor::builder().build();
        let id = sched.spawn(counter.call("update", &i32s([1]))).unwrap();
        sched.kill(id).unwrap();
        assert!(counter.is_idle(), "a task that was killed before its first poll");
        sched.spawn(counter.call("update", &i32s([1]))).unwrap();
        drop(sched);
        assert!(counter.is_idle(), "a task that went with its executor");
        assert!(sched_refuses(&counter), "a task that the policy did not take");
        assert!(counter.call("nope", &[]).budget(Fuel(1)).into_parts().is_err() && counter.is_idle());
        assert_eq!(update(&counter, 1), format!("returned {count}"));
    }
}

/// Offers a call to an executor that refuses it; says whether the instance is idle then.
fn sched_refuses(counter: &Instance) -> bool {
    let task = counter.call("update", &i32s([1]));
    let task = task.param(fuelsched::reason::Param::Quantum(Fuel::ZERO));
    Executor::builder().build().spawn(task).is_err() && counter.is_idle()
}

#[test]
fn an_instance_is_gone_after_a_call_that_did_not_return() {
    let module = guest("counter");
    let spoilt = |how: fn(&Instance) -> String| {
        let counter = module.instance().unwrap();
        update(&counter, 1);
        let end = how(&counter);
        assert!(!counter.is_idle());
        assert_eq!(message(Executor::builder().build().spawn(counter.call("update", &i32s([1])))), GONE);
        assert_eq!(message(counter.with_data(|()| ())), GONE);
        assert_eq!(message(counter.read_memory("memory", 0, &mut [])), GONE);
        end
    };
    let trapped = spoilt(|counter| outcome(counter.call("trap", &[])));
    assert!(trapped.starts_with("trapped: wasm `unreachable` instruction executed"), "{trapped}");
    assert_eq!(spoilt(|counter| outcome(counter.call("spin", &[]).budget(Fuel(5_000)))), "out-of-fuel");
    let killed = spoilt(|counter| {
        let mut sched = Executor::builder().build();
        let id = sched.spawn(counter.call("spin", &[])).unwrap();
        let _ = sched.step();
        sched.kill(id).unwrap();
        sched.take_outcome(id).unwrap().to_string()
    });
    assert_eq!(killed, "killed");
}

#[test]
fn an_instance_that_cannot_be_made_is_gone() {
    let one = guest("trap-start").instance().unwrap();
    assert_eq!(outcome(one.call("main", &[])), "trapped: integer divide by zero, in function start at 0x29");
    assert!(!one.is_idle());
}

#[test]
fn an_instance_moves_from_executor_to_executor_and_from_thread_to_thread() {
    let counter = guest("counter").instance().unwrap();
    let here = counter.clone();
    assert_eq!(update(&here, 1), "returned 1");
    let there = std::thread::spawn(move || update(&counter, 1));
    assert_eq!(there.join().unwrap(), "returned 2");
    assert_eq!(update(&here, 1), "returned 3");
}

#[test]
fn a_reactor_is_initialised_once_for_each_instance() {
    let reactor = guest("reactor").instance().unwrap();
    for _ in 0..3 {
        assert_eq!(outcome(reactor.call("main", &[])), "returned 1");
    }
    assert_eq!(outcome(guest("reactor").call("main", &[])), "returned 1");
    let other = wat(r#"(module (func (export "_initialize") (param i32) (unreachable)) (func (export "main")))"#);
    assert_eq!(outcome(other.call("main", &[])), "returned", "with a parameter it is just a function");
    let failing = wat(r#"(module (func $init (export "_initialize") (unreachable)) (func (export "main")))"#);
    let expected = "trapped: wasm `unreachable` instruction executed, in function init at 0x30";
    assert_eq!(outcome(failing.call("main", &[])), expected);
}

// Host functions, and the embedder's data.

/// A guest that calls "host" "f" with its argument, and returns what that returns.
fn asking() -> Module {
    wat(r#"(module
        (import "host" "f" (func $f (param i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "sprite")
        (func (export "main") (param i32) (result i32) (call $f (local.get 0))))"#)
}

#[test]
fn a_host_function_finds_the_tasks_own_data() {
    let mut linker = Linker::<Vec<i32>>::new(engine());
    let f = |mut caller: Caller<'_, HostState<Vec<i32>>>, n: i32| {
        caller.data_mut().data.push(n);
        caller.data().data.iter().sum::<i32>()
    };
    linker.func("host", "f", f).unwrap();
    let program = linker.link(&asking()).unwrap();
    let npc = program.instance(vec![100]);
    npc.with_data(|data| data.push(1)).unwrap();
    assert_eq!(outcome(npc.call("main", &i32s([10]))), "returned 111");
    assert_eq!(outcome(npc.call("main", &i32s([10]))), "returned 121");
    assert_eq!(npc.with_data(std::mem::take).unwrap(), [100, 1, 10, 10]);
    assert_eq!(outcome(program.call(vec![7], "main", &i32s([1]))), "returned 8");
}

#[test]
fn a_host_function_reaches_the_guests_memory() {
    let mut linker = Linker::<()>::new(engine());
    let f = |mut caller: Caller<'_, HostState>, at: i32| {
        let memory = caller.get_export("memory").and_then(Extern::into_memory);
        memory.map_or(-1, |memory| i32::from(memory.data(&caller)[at as usize]))
    };
    linker.func("host", "f", f).unwrap();
    let program = linker.link(&asking()).unwrap();
    assert_eq!(outcome(program.call((), "main", &i32s([8]))), "returned 115", "an s");
}

/// A program whose host function returns an error for 1, panics for 2, and returns 0 otherwise.
fn failing() -> Program {
    let mut linker = Linker::<()>::new(engine());
    let f = |n: i32| match n {
        1 => bail!("the sprite is locked"),
        2 => panic!("no sprite {n}"),
        _ => Ok(0),
    };
    linker.func("host", "f", f).unwrap();
    linker.link(&asking()).unwrap()
}

#[test]
fn an_error_or_a_panic_of_a_host_function_ends_its_task_alone() {
    let program = failing();
    let mut sched = Executor::builder().build();
    let ids = [0, 1, 2, 0].map(|n| sched.spawn(program.call((), "main", &i32s([n]))).unwrap());
    sched.run();
    let ends = ids.map(|id| sched.take_outcome(id).unwrap().to_string());
    assert_eq!(ends[0], "returned 0");
    assert_eq!(ends[1], "trapped: host error: the sprite is locked, in function 1 at 0x3f");
    assert_eq!(ends[2], "trapped: host panic: no sprite 2");
    assert_eq!(ends[3], "returned 0");
    for n in [1, 2] {
        let npc = program.instance(());
        assert!(outcome(npc.call("main", &i32s([n]))).starts_with("trapped"));
        assert!(!npc.is_idle());
    }
}

#[test]
fn a_host_function_that_fails_in_a_start_function_traps_it() {
    let mut linker = Linker::<()>::new(engine());
    linker.func("host", "f", || -> fuelsched::wasmtime::Result<()> { bail!("not now") }).unwrap();
    let module = wat(r#"(module
        (import "host" "f" (func $f)) (func $start (call $f)) (start $start) (func (export "main")))"#);
    let end = outcome(linker.link(&module).unwrap().call((), "main", &[]));
    assert_eq!(end, "trapped: host error: not now, in function start at 0x31");
}

#[test]
fn a_name_can_be_defined_once() {
    let mut linker = Linker::<()>::new(engine());
    linker.func("host", "f", || ()).unwrap();
    let error = linker.func("host", "f", || ()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Definition { .. }));
    assert!(error.to_string().starts_with("cannot define \"host\" \"f\": "), "{error}");
    linker.module("adder", &guest("adder")).unwrap();
    let error = linker.module("adder", &guest("adder")).unwrap_err().to_string();
    assert_eq!(error, "cannot define \"adder\": another module has that name");
}

#[test]
fn a_host_function_of_another_type_does_not_serve() {
    let mut linker = Linker::<()>::new(engine());
    linker.func("host", "f", |n: i64| n).unwrap();
    let error = linker.link(&asking()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ImportMismatch { .. }), "{error}");
}

// Modules that import from modules.

/// `user.wat`, its imports served by `adder.wat`.
fn user() -> Program {
    let mut linker = Linker::new(engine());
    linker.module("adder", &guest("adder")).unwrap();
    linker.link(&guest("user")).unwrap()
}

#[test]
fn a_module_may_import_from_another() {
    let program = user();
    let task = || program.call((), "main", &i32s([100]));
    assert_eq!(outcome(task()), "returned 5050 100");
    assert_eq!(outcome(task()), "returned 5050 100", "each task has an instance of its own of both");
    let stays = program.instance(());
    assert_eq!(outcome(stays.call("main", &i32s([3]))), "returned 6 3");
    assert_eq!(outcome(stays.call("main", &i32s([4]))), "returned 10 7", "and keeps both");
}

#[test]
fn modules_can_be_linked_in_a_chain() {
    let mut linker = Linker::<()>::new(engine());
    linker.func("host", "base", || 40).unwrap();
    let first = wat(r#"(module
        (import "host" "base" (func $base (result i32)))
        (global $ready (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $ready (i32.const 2)))
        (func (export "get") (result i32) (i32.add (call $base) (global.get $ready))))"#);
    linker.module("first", &first).unwrap();
    let second = wat(r#"(module (import "first" "get" (func $get (result i32)))
        (func (export "twice") (result i32) (i32.mul (call $get) (i32.const 2))))"#);
    linker.module("second", &second).unwrap();
    let third = wat(r#"(module
        (import "second" "twice" (func $twice (result i32))) (import "first" "get" (func $get (result i32)))
        (func (export "main") (result i32 i32) (call $twice) (call $get)))"#);
    let end = outcome(linker.link(&third).unwrap().call((), "main", &[]));
    assert_eq!(end, "returned 84 42", "the reactor in the chain was initialised");
}

#[test]
fn a_module_comes_before_host_functions_of_its_name() {
    let mut linker = Linker::<()>::new(engine());
    linker.func("m", "one", || 100).unwrap();
    linker.func("m", "two", || 200).unwrap();
    linker.module("m", &wat(r#"(module (func (export "one") (result i32) (i32.const 1)))"#)).unwrap();
    let main = wat(r#"(module (import "m" "one" (func $one (result i32))) (import "m" "two" (func $two (result i32)))
        (func (export "main") (result i32 i32) (call $one) (call $two)))"#);
    assert_eq!(outcome(linker.link(&main).unwrap().call((), "main", &[])), "returned 1 200");
}

#[test]
fn what_a_module_does_not_serve_is_said_before_the_run() {
    let mut linker = Linker::<()>::new(engine());
    let unknown = message(linker.module("user", &guest("user")));
    let expected =
        "imports that nothing provides: \"adder\" \"add\" (func(i32, i32) -> i32), \"adder\" \"memory\" (memory)";
    assert_eq!(unknown, expected);
    linker.module("adder", &wat(r#"(module (func (export "add") (param i64)))"#)).unwrap();
    let expected = "the import \"adder\" \"add\" (func(i32, i32) -> i32) is func(i64) in test.wat";
    let error = linker.link(&guest("user")).unwrap_err();
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn what_a_module_serves_as_something_else_fails_the_task() {
    let mut linker = Linker::<()>::new(engine());
    let other = wat(r#"(module
        (func (export "add") (param i32 i32) (result i32) (i32.const 0)) (global (export "memory") i32 (i32.const 0)))"#);
    linker.module("adder", &other).unwrap();
    let end = linker.link(&guest("user")).map(|program| outcome(program.call((), "main", &i32s([1]))));
    match end {
        Ok(end) => assert!(end.starts_with("failed: "), "{end}"),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::ImportMismatch { .. }), "{error}"),
    }
}

// Limits.

/// Limits with this much memory.
fn memory(bytes: usize) -> Limits {
    Limits { memory: bytes, ..Limits::default() }
}

/// The outcome of `main(rounds)` of a guest under these limits.
fn limited(module: &Module, limits: Limits, args: &[Value]) -> String {
    outcome(module.program().unwrap().limits(limits).call((), "main", args))
}

#[test]
fn memory_is_limited_and_a_refused_growth_returns_minus_one() {
    let grow = guest("grow-memory");
    assert_eq!(limited(&grow, memory(10 << 16), &i32s([100])), "returned 10 90");
    assert_eq!(limited(&grow, memory((11 << 16) - 1), &i32s([100])), "returned 10 90");
    assert_eq!(limited(&grow, memory(0), &i32s([100])), "returned 0 100");
    // 1,000 elements are 8,000 bytes.
    assert_eq!(limited(&guest("grow-table"), memory(80_000), &i32s([100])), "returned 10 90");
}

#[test]
fn the_sum_of_all_memories_and_tables_is_limited() {
    let module = wat(r#"(module
        (memory $a 1) (memory $b 2 3) (table $t 8192 funcref)
        (func (export "main") (result i32 i32 i32 i32 i32 i32)
          (memory.grow $a (i32.const 2))
          (memory.grow $b (i32.const 2))
          (memory.grow $b (i32.const 1))
          (table.grow $t (ref.null func) (i32.const 8193))
          (table.grow $t (ref.null func) (i32.const 8192))
          (memory.grow $a (i32.const 1))))"#);
    // Declared: 3 pages, and a table of 64 KiB, which is a page more. Limit: 8 pages. In order: 2 pages are granted; 2 are more than
    // that memory's own maximum; 1 is granted; 8,193 elements are 8 bytes too many; 8,192 fit exactly; a page more does not.
    assert_eq!(limited(&module, memory(8 << 16), &[]), "returned 1 -1 2 -1 8192 -1");
    let end = limited(&module, memory((4 << 16) - 1), &[]);
    assert!(end.starts_with("failed: test.wat: cannot make an instance: "), "{end}");
    assert_eq!(limited(&module, memory(4 << 16), &[]), "returned -1 -1 -1 -1 -1 -1");
}

#[test]
fn memory_is_limited_over_linked_modules_and_over_calls() {
    let program = user();
    let failed = outcome(program.clone().limits(memory(65_535)).call((), "main", &i32s([1])));
    assert!(failed.starts_with("failed: "), "{failed}");
    let enough = outcome(program.limits(memory(65_536)).call((), "main", &i32s([1])));
    assert_eq!(enough, "returned 1 1");
    let stays = guest("grow-memory").program().unwrap().limits(memory(3 << 16)).instance(());
    let call = |rounds| outcome(stays.call("main", &i32s([rounds])));
    assert_eq!([call(2), call(2), call(2)], ["returned 2 0", "returned 1 1", "returned 0 2"]);
}

#[test]
fn instances_memories_and_tables_are_limited_in_number() {
    let program = user();
    let end = |limits| outcome(program.clone().limits(limits).call((), "main", &i32s([1])));
    let default = Limits::default();
    let name = guest("user").name().to_string();
    let failed = |why| format!("failed: {name}: cannot make an instance: resource limit exceeded: {why}");
    assert_eq!(end(Limits { instances: 1, ..default }), failed("instance count too high at 2"));
    assert_eq!(end(Limits { instances: 2, ..default }), "returned 1 1");
    assert_eq!(end(Limits { memories: 0, ..default }), failed("memory count too high at 1"));
    let tables = limited(&guest("grow-table"), Limits { tables: 0, ..default }, &i32s([1]));
    assert!(tables.ends_with("resource limit exceeded: table count too high at 1"), "{tables}");
}

#[test]
fn a_linker_hands_its_limits_to_what_it_links() {
    let mut linker = Linker::<()>::new(engine());
    let program = linker.limits(memory(2 << 16)).link(&guest("grow-memory")).unwrap();
    assert_eq!(outcome(program.call((), "main", &i32s([5]))), "returned 2 3");
}

// Allocation from a pool.

/// A module of a pool for so many tasks.
fn pooled(tasks: u32, name: &str) -> Module {
    let pool = Allocation::Pooling { tasks, max_memory: 1 << 20 };
    let engine = Engine::new(&EngineConfig::default().allocation(pool)).unwrap();
    Module::from_file(&engine, crate::support::guest_path(name)).unwrap()
}

#[test]
fn tasks_run_from_a_pool_as_they_do_without() {
    let counter = pooled(2, "counter").instance().unwrap();
    assert_eq!([1, 1].map(|by| update(&counter, by)), ["returned 1", "returned 2"]);
    // A memory is as large as the pool's are, whatever the limit of the task.
    assert_eq!(outcome(pooled(1, "grow-memory").call("main", &i32s([20]))), "returned 16 4");
}

#[test]
fn a_task_beyond_the_pool_fails_and_the_next_finds_room_again() {
    let module = pooled(2, "spin");
    let mut sched = Executor::builder().build();
    let ids = [(); 3].map(|()| sched.spawn(module.call("main", &[]).budget(Fuel(100_000))).unwrap());
    sched.run();
    let ends = ids.map(|id| sched.take_outcome(id).unwrap());
    assert_eq!(ends.each_ref().map(|end| end.name()), ["out-of-fuel", "out-of-fuel", "failed"]);
    let text = ends[2].to_string();
    assert!(text.contains("cannot make an instance: maximum concurrent"), "{text}");
    let next = sched.spawn(module.call("main", &[]).budget(Fuel(10))).unwrap();
    sched.run();
    assert_eq!(sched.take_outcome(next).unwrap().name(), "out-of-fuel");
}

// Values.

#[test]
fn values_of_every_type_pass_through_unchanged() {
    let module = guest("exports");
    let sets = [
        (0, 0, 0.0, 0.0, 0),
        (i32::MIN, i64::MIN, f32::MIN_POSITIVE, f64::MAX, u128::MAX),
        (-1, -1, -0.0, -0.0, 1 << 127),
        // Quiet and signalling NaNs of either sign, with payloads.
        (1, 1, f32::from_bits(0x7fc0_1234), f64::from_bits(0x7ff8_0000_dead_beef), 0x0123_4567),
        (2, 2, f32::from_bits(0xffa0_0001), f64::from_bits(0xfff0_0000_0000_0001), 7),
    ];
    for (a, b, c, d, e) in sets {
        let args = [Value::I32(a), Value::I64(b), Value::F32(c), Value::F64(d), Value::V128(e)];
        for quantum in [1, 1_000] {
            let (ended, _) = alone(module.call("all", &args), quantum);
            // Values are equal when their bits are.
            assert_eq!(ended.outcome.values(), Some(&args[..]));
        }
    }
}

#[test]
fn arithmetic_on_nans_has_one_result_everywhere() {
    let module = wat(r#"(module (func (export "main") (param f32 f64) (result f32 f64)
        (f32.add (local.get 0) (f32.const 1)) (f64.mul (local.get 1) (f64.const -1))))"#);
    let args = [Value::F32(f32::from_bits(0xffc0_1234)), Value::F64(f64::from_bits(0x7ff8_0000_dead_beef))];
    let (ended, _) = alone(module.call("main", &args), 1_000);
    let canonical = [Value::F32(f32::from_bits(0x7fc0_0000)), Value::F64(f64::from_bits(0x7ff8_0000_0000_0000))];
    assert_eq!(ended.outcome.values(), Some(&canonical[..]));
}
