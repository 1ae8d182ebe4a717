//! Guests whose engine debugs them: what they do not export can be seen, and they do what they do otherwise, to the unit of fuel.

use fuelsched::policy::RoundRobin;
use fuelsched::{Engine, EngineConfig, ErrorKind, Executor, Fuel, Module, Step, TaskId, Value};

/// A guest that keeps everything for itself: two memories, and three globals.
const PRIVATE: &str = r#"(module
    (memory $a 1) (memory $b 2)
    (data (memory $b) (i32.const 4) "secret")
    (global $constant i64 (i64.const -7))
    (global $turns (mut i32) (i32.const 0))
    (global $reference (mut funcref) (ref.null func))
    (func $inner (param $n i32) (param $x f64) (result i32)
        (local $i i32) (local $wide i64)
        (local.set $wide (i64.const 1_000_000_007))
        (loop $again
            (global.set $turns (i32.add (global.get $turns) (i32.const 1)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_s (local.get $i) (local.get $n))))
        (local.get $i))
    (func (export "main") (param $n i32) (result i32)
        (i32.const 41)
        (call $inner (local.get $n) (f64.const 0.5))
        (i32.add)))"#;

/// An engine that debugs its guests, or one that does not.
fn engine(debug: bool) -> Engine {
    Engine::new(&EngineConfig::default().guest_debug(debug)).unwrap()
}

/// The guest after so many slices of 100 fuel.
fn suspended(debug: bool, slices: usize) -> (Executor<RoundRobin>, TaskId) {
    let module = Module::from_bytes(&engine(debug), "private", PRIVATE).unwrap();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(100))).build();
    let task = module.call("main", &[Value::I32(1_000)]).inspectable();
    let id = sched.spawn(task).unwrap();
    for _ in 0..slices {
        assert!(matches!(sched.step(), Step::Ran(_)));
    }
    (sched, id)
}

#[test]
fn what_is_not_exported_can_be_seen() {
    let (mut sched, id) = suspended(true, 3);
    let insides = sched.insides(id, 100).unwrap();
    assert_eq!(insides.memories, [65_536, 131_072]);
    let turns = sched.private_global(id, 1).unwrap();
    assert_eq!(insides.globals, [Some(Value::I64(-7)), Some(turns), None]);
    let Value::I32(turns) = turns else { panic!("{turns:?}") };
    assert!((10..100).contains(&turns), "{turns}");
    let mut bytes = [0; 8];
    sched.read_private_memory(id, 1, 4, &mut bytes).unwrap();
    assert_eq!(&bytes, b"secret\0\0");
}

/// What a task comes to, and what it uses, looked into after each slice, or never.
fn run(engine: &Engine, name: &str, source: &[u8], args: &[Value], quantum: u64, look: bool) -> (String, Fuel, u64) {
    let module = Module::from_bytes(engine, name, source).unwrap();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
    let id = sched.spawn(module.call("main", args).inspectable()).unwrap();
    let mut slices = 0;
    while let Step::Ran(_) = sched.step() {
        slices += 1;
        if look && sched.live() == 1 {
            sched.insides(id, 64).unwrap();
        }
    }
    let ledger = sched.ledger(id).unwrap();
    (sched.take_outcome(id).unwrap().to_string(), ledger.used, slices)
}

#[test]
fn a_guest_that_is_debugged_uses_the_same_fuel() {
    let (plain, debugged) = (engine(false), engine(true));
    let guests: [(&str, &[Value]); 8] = [
        ("fib", &[Value::I32(9)]),
        ("main", &[]),
        ("divide-by-zero", &[Value::I32(0)]),
        ("load-out-of-bounds", &[Value::I32(-1)]),
        ("unreachable", &[]),
        ("grow-memory", &[Value::I32(3)]),
        ("grow-table", &[Value::I32(3)]),
        ("fill-out-of-bounds", &[Value::I32(-1)]),
    ];
    for (name, args) in guests {
        let source = std::fs::read(format!("{}/wasm/{name}.wat", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for quantum in [1, 7, 1_000, 1_000_000] {
            let expected = run(&plain, name, &source, args, quantum, false);
            for look in [false, true] {
                assert_eq!(run(&debugged, name, &source, args, quantum, look), expected, "{name}, {quantum}");
            }
        }
    }
}

#[test]
fn what_is_not_there_or_not_debugged_is_an_error() {
    let said = |result: fuelsched::Result<()>| result.unwrap_err().to_string();
    let (mut sched, id) = suspended(true, 1);
    let reads = [
        sched.read_private_memory(id, 2, 0, &mut [0]),
        sched.read_private_memory(id, 0, 65_536, &mut [0]),
        sched.private_global(id, 3).map(drop),
        sched.private_global(id, 2).map(drop),
    ];
    assert_eq!(
        reads.map(said),
        [
            "private: there is no memory 2",
            "private: a read of 1 bytes at 65536 reaches past the end of a memory of 65536 bytes",
            "private: there is no global 3",
            "private: the global '@2' holds a reference, which a host can neither read nor set",
        ]
    );
    let some = sched.insides(id, 2).unwrap();
    assert_eq!((some.globals.len(), some.more), (2, true));
    assert!(!sched.insides(id, 3).unwrap().more);
    let (mut sched, id) = suspended(false, 1);
    let refused = [
        sched.insides(id, 1).map(drop),
        sched.read_private_memory(id, 0, 0, &mut [0]),
        sched.private_global(id, 0).map(drop),
    ];
    assert!(refused.iter().all(|result| matches!(
        result.as_ref().unwrap_err().kind(),
        ErrorKind::NotInstrumented { module } if module == "private"
    )));
    assert!(sched.insides(id, 1).unwrap_err().to_string().contains("EngineConfig::guest_debug"));
}
