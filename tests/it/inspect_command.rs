//! `sched inspect`: what it says of a module, held against what the module does when it is run.
//!
//! Fuel is exact, so what is stated about stretches can be tested exactly: with a quantum of 1 a slice ends at the first yield point, and
//! its fuel is one stretch. No slice may be longer than the longest stretch that is stated, and of guests made for it one must be as long.

use crate::cli::{Run, command, file, sched};
use crate::support::{Slices, engine};
use fuelsched::policy::RoundRobin;
use fuelsched::{Executor, Fuel, Linker, Module, UnknownImports, Value, ValueType};
use serde_json::Value as Json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The fuel that a guest of these tests may use.
const BUDGET: u64 = 100_000;

/// What `sched inspect --format json` says of a file.
fn inspected(path: &str) -> Json {
    let run = sched(&["inspect", "--format", "json", path]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{path}");
    run.json()
}

/// What it says of a module in the text format.
fn inspected_text(name: &str, text: &str) -> Json {
    inspected(&file(name, text))
}

/// A number in it.
fn number(json: &Json, path: &str) -> u64 {
    json.pointer(path).and_then(Json::as_u64).unwrap_or_else(|| panic!("{path} is a number in {json}"))
}

/// The longest stretch that it states, and the longest with bulk operations whose lengths are in bounds.
fn stated(json: &Json) -> (u64, u64) {
    let code = number(json, "/fuel/longest/fuel");
    let bulk = json.pointer("/fuel/longest_with_bulk/fuel").and_then(Json::as_u64);
    (code, bulk.unwrap_or(0))
}

/// The longest slice there can be, with recursions, and with lengths out of bounds if there may be such.
fn bound(json: &Json, out_of_bounds: bool) -> u64 {
    let (code, bulk) = stated(json);
    let recursion = number(json, "/fuel/recursion_per_level") * number(json, "/fuel/recursion_levels");
    let most = json.pointer("/fuel/most_charged").and_then(Json::as_u64).filter(|_| out_of_bounds).unwrap_or(0);
    code.max(bulk).max(code.saturating_add(most)).saturating_add(recursion)
}

/// The longest slice of a call, at a quantum.
fn longest_slice(module: &Module, export: &str, args: &[Value], quantum: u64) -> u64 {
    let mut linker = Linker::<()>::new(engine());
    // What the host does would be charged, and is none of the guest's code.
    linker.unknown_imports(UnknownImports::Zero);
    // Memories and the like are made up by nobody.
    let Ok(program) = linker.link(module) else {
        return 0;
    };
    let task = program.call((), export, args).budget(Fuel(BUDGET));
    let policy = RoundRobin::new(Fuel(quantum));
    let mut sched = Executor::builder().policy(policy).observer(Slices::default()).build();
    sched.spawn(task).expect("it can be spawned");
    sched.run();
    sched.observer_mut().0.iter().map(|slice| slice.used.0).max().unwrap_or(0)
}

/// The functions that a module exports, each with arguments that lead somewhere.
fn calls(module: &Module) -> Vec<(String, Vec<Value>)> {
    let names = module.wasmtime().exports().filter(|export| export.ty().func().is_some());
    let call = |name: &str| {
        let signature = module.signature(name).ok()?;
        let value = |(i, ty): (usize, &ValueType)| match ty {
            ValueType::V128 => Value::V128(3),
            ty => Value::parse(*ty, &format!("{}", 3 + i)).expect("a number"),
        };
        Some((name.to_string(), signature.params().iter().enumerate().map(value).collect()))
    };
    names.filter_map(|export| call(export.name())).collect()
}

/// The modules in a folder.
fn modules_in(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    paths.sort();
    assert!(paths.len() > 5);
    paths
}

/// Runs every export of a file at several quanta, and checks that no slice is longer than what is stated; says how many calls there were.
fn check_file(path: &Path) -> usize {
    let json = inspected(path.to_str().unwrap());
    let out_of_bounds =
        path.file_stem().is_some_and(|stem| ["fill-out-of-bounds", "fill-64-bit"].iter().any(|s| stem == *s));
    let bound = bound(&json, out_of_bounds);
    let module = Module::from_file(engine(), path).unwrap();
    let calls = calls(&module);
    for (export, args) in &calls {
        for quantum in [1, 10] {
            let longest = longest_slice(&module, export, args, quantum);
            let most = bound.saturating_add(quantum - 1);
            assert!(longest <= most, "{} {export} at {quantum}: {longest}, and {most} was stated", path.display());
        }
    }
    calls.len()
}

#[test]
fn no_slice_of_any_guest_is_longer_than_stated() {
    let all = [("wasm", "wat"), ("wasm/bench", "wasm"), ("wasm/wasi", "wasm")];
    let calls: usize = all.iter().flat_map(|(folder, ext)| modules_in(folder, ext)).map(|path| check_file(&path)).sum();
    assert!(calls > 60, "{calls} calls");
}

/// Guests whose longest slice at quantum 1 is exactly what is stated: the name, the text, the longest stretch, and with bulk operations.
const EXACT: &[(&str, &str, u64, u64)] = &[
    ("straight", "(func (export \"main\") nop i32.const 1 drop i32.const 1 drop)", 2, 0),
    // A branch not taken costs as one that is.
    ("two-arms", "(func (export \"main\") (if (i32.const 0) (then nop) (else (drop (i32.const 1)))))", 3, 0),
    ("no-else", "(func (export \"main\") (if (i32.const 0) (then (unreachable))) (drop (i32.const 1)))", 3, 0),
    // The loop's head cuts: 1 before, 4 a round, 1 after.
    ("loop", "(func (export \"main\") (local $i i32) (drop (i32.const 7))
        (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3)))) (drop (i32.const 1)))", 8, 0),
    // 20 constants before a call, then 1 for the call and 1 for the entry.
    ("calls", "(func $f) (func (export \"main\") (drop (i32.const 1)) (drop (i32.const 1)) (call $f))", 4, 0),
    // What a function leaves is what its caller goes on with: 3 in $f, 2 after it, then the call and the entry.
    ("tail", "(func $f (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)))
        (func $g) (func (export \"main\") (call $f) (drop (i32.const 1)) (drop (i32.const 1)) (call $g))", 7, 0),
    // Over two returns: 3, 1, 1.
    ("two-returns", "(func $f (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)))
        (func $g (call $f) (drop (i32.const 1))) (func (export \"main\") (call $g) (drop (i32.const 1)))", 5, 0),
    // Through a table: the longer one of the two that can be reached is not called, so it is called here.
    ("indirect", "(type $t (func)) (table funcref (elem $f $g)) (func $f (drop (i32.const 1)))
        (func $g (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)))
        (func (export \"main\") (call_indirect (type $t) (i32.const 1)) (drop (i32.const 1)))", 5, 0),
    // A tail call leaves what the other leaves.
    ("tail-call", "(func $f (drop (i32.const 1)) (drop (i32.const 1))) (func $g (return_call $f))
        (func (export \"main\") (call $g) (drop (i32.const 1)))", 3, 0),
    ("br-table", "(func (export \"main\") (block $a (block $b (br_table $a $b (i32.const 9))) (drop (i32.const 1)) (drop (i32.const 1))))", 4, 0),
    ("outward", "(func (export \"main\") (block $a (loop $l (br_if $a (i32.const 1)) (br $l))) (drop (i32.const 1)))", 3, 0),
    // A start function, and what was left by it: 2, and the entry of main.
    ("start", "(func $s (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1))) (start $s) (func (export \"main\"))", 4, 0),
    ("initialize", "(func (export \"_initialize\") (drop (i32.const 1)) (drop (i32.const 1))) (func (export \"main\"))", 3, 0),
    // A constant of 128 is part of the code, one of 129 has a yield point before it.
    ("fill-128", "(memory 1) (func (export \"main\") (memory.fill (i32.const 0) (i32.const 0) (i32.const 128)))", 132, 0),
    ("fill-129", "(memory 1) (func (export \"main\") (memory.fill (i32.const 0) (i32.const 0) (i32.const 129)))", 4, 133),
    ("fill-local", "(memory 1) (func (export \"main\") (local i32) (local.set 0 (i32.const 100))
        (memory.fill (i32.const 0) (i32.const 0) (local.get 0)))", 106, 0),
    // A computed length has a yield point however small it is; what fits is the memory.
    ("fill-computed", "(memory 1 1) (func (export \"main\") (memory.fill (i32.const 0) (i32.const 0) (i32.add (i32.const 32768) (i32.const 32768))))", 6, 65_542),
    ("copy-computed", "(memory 1 1) (func (export \"main\") (memory.copy (i32.const 0) (i32.const 0) (i32.mul (i32.const 256) (i32.const 256))) (drop (i32.const 1)))", 6, 65_542),
    ("init", "(memory 1) (data $d \"0123456789\") (func (export \"main\") (memory.init $d (i32.const 0) (i32.const 0) (i32.add (i32.const 5) (i32.const 5))))", 6, 16),
    ("table-fill", "(table $t 50 50 funcref) (func (export \"main\") (table.fill $t (i32.const 0) (ref.null func) (i32.add (i32.const 25) (i32.const 25))))", 6, 56),
    ("table-copy", "(table $t 300 300 funcref) (func (export \"main\") (table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 300)))", 4, 304),
    ("table-grow", "(table $t 0 funcref) (func (export \"main\") (drop (table.grow $t (ref.null func) (i32.const 200))))", 3, 203),
    // Growing a memory costs 1, by however much; if that is no constant, there is a yield point.
    ("grow-constant", "(memory 0) (func (export \"main\") (drop (memory.grow (i32.const 3))) (drop (i32.const 1)))", 3, 0),
    ("grow-computed", "(memory 0) (func (export \"main\") (drop (memory.grow (i32.add (i32.const 1) (i32.const 1)))) (drop (i32.const 1)))", 4, 4),
    // After `unreachable` nothing is counted.
    ("dead", "(func (export \"main\") (drop (i32.const 1)) (return) (drop (i32.const 1)) (drop (i32.const 1)))", 1, 0),
    // What a local begins with is a constant, until control may have come from elsewhere.
    ("fill-unset", "(memory 1) (func (export \"main\") (local i32)
        (memory.fill (i32.const 0) (i32.const 0) (local.get 0)) (drop (i32.const 1)))", 5, 0),
    ("arms-jump", "(func (export \"main\") (if (i32.const 0) (then (br 0)) (else (br 0))) (drop (i32.const 1)))", 4, 0),
    ("dead-after-block", "(func (export \"main\") (block (return)) (loop (drop (i32.const 1)) (drop (i32.const 1))))", 1, 0),
    // Each level comes back with nothing left to do, so no level adds anything.
    ("last-call", "(func $f (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))))
        (func (export \"main\") (call $f (i32.const 9)))", 7, 0),
];

#[test]
fn what_is_stated_is_reached_exactly() {
    let mut wrong = String::new();
    for (name, body, code, bulk) in EXACT {
        let text = format!("(module {body})");
        let stated = stated(&inspected_text(&format!("exact-{name}.wat"), &text));
        let module = Module::from_bytes(engine(), *name, &text).unwrap();
        let ran = longest_slice(&module, "main", &[], 1);
        if stated != (*code, *bulk) || ran != *code.max(bulk) {
            let _ = writeln!(wrong, "{name}: stated {stated:?}, ran {ran}, expected {:?}", (code, bulk));
        }
    }
    assert_eq!(wrong, "");
}

/// Guests of which only a bound can be stated: no slice may be longer.
const BOUNDED: &[(&str, &str)] = &[
    // In the loop the length is no constant, and not always what it was before.
    ("loop-changes", "(memory 1) (func (export \"main\") (local i32 i32) (local.set 0 (i32.const 1))
        (loop $l (memory.fill (i32.const 0) (i32.const 0) (local.get 0)) (local.set 0 (i32.const 5000))
            (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 2)))))"),
    ("loop-sets-first", "(memory 1) (func (export \"main\") (local i32 i32)
        (loop $l (memory.fill (i32.const 0) (i32.const 0) (local.get 0)) (local.set 0 (i32.const 5000))
            (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 2)))))"),
    // A constant from before the block, which nobody assigned to in it.
    ("through-blocks", "(memory 1) (func (export \"main\") (local i32) (local.set 0 (i32.const 50))
        (block (br_if 0 (i32.const 0))) (memory.fill (i32.const 0) (i32.const 0) (local.get 0)) (drop (i32.const 1)))"),
    // Computed in an arm that is not taken, and else the zero from the beginning.
    ("other-arm", "(memory 1) (func (export \"main\") (local i32)
        (if (i32.const 1) (then (nop)) (else (local.set 0 (i32.mul (i32.const 9) (i32.const 9))) (unreachable)))
        (memory.fill (i32.const 0) (i32.const 0) (local.get 0)) (drop (i32.const 1)))"),
    ("global", "(memory 1) (global $g i32 (i32.const 60)) (func (export \"main\")
        (memory.fill (i32.const 0) (i32.const 0) (global.get $g)) (drop (i32.const 1)))"),
    ("block-result", "(memory 1) (func (export \"main\")
        (memory.fill (i32.const 0) (i32.const 0) (block (result i32) (i32.const 60))) (drop (i32.const 1)))"),
    ("table-size", "(table $t 40 40 funcref) (func (export \"main\")
        (table.fill $t (i32.const 0) (ref.null func) (table.size $t)) (drop (i32.const 1)))"),
    ("unset-later", "(memory 0 0) (func (export \"main\") (local i32) (block (br_if 0 (i32.const 0)))
        (memory.fill (i32.const 0) (i32.const 0) (local.get 0)) (drop (i32.const 1)))"),
    // What is refused is charged all the same.
    ("grow-refused", "(table $t 0 9 funcref) (func (export \"main\")
        (drop (table.grow $t (ref.null func) (i32.add (i32.const 100) (i32.const 100)))))"),
    // Functions that get into a table when the guest runs: through a global, and by an instruction.
    ("by-global", "(type $t (func)) (table 1 funcref) (global $g funcref (ref.func $f))
        (func $f (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1))
        (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)))
        (func (export \"main\") (table.set (i32.const 0) (global.get $g)) (call_indirect (type $t) (i32.const 0)) (drop (i32.const 1)))"),
    ("by-instruction", "(type $t (func)) (table 1 funcref)
        (func $f (export \"f\") (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1))
        (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)))
        (func (export \"main\") (table.set (i32.const 0) (ref.func $f)) (call_indirect (type $t) (i32.const 0)) (drop (i32.const 1)))"),
    ("set-up", "(func $f) (memory 1) (table 3 funcref) (table 200 funcref (ref.func $f)) (global i32 (i32.const 7)) (global funcref (ref.func $f))
        (elem (table 0) (i32.const 0) funcref (ref.func $f) (ref.null func)) (elem (table 1) (i32.const 0) func $f $f)
        (data (i32.const 5) \"12345\") (data \"passive\") (data (i32.const 0) \"\") (start $f) (func (export \"main\"))"),
];

#[test]
fn no_slice_is_longer_than_a_bound() {
    for (name, body) in BOUNDED {
        let text = format!("(module {body})");
        let json = inspected_text(&format!("bounded-{name}.wat"), &text);
        let module = Module::from_bytes(engine(), *name, &text).unwrap();
        let ran = longest_slice(&module, "main", &[], 1);
        assert!(ran > 1 && ran <= bound(&json, false), "{name}: {ran}, stated {:?}", stated(&json));
        // And none that is far from what it does.
        assert!(stated(&json).0 <= ran + 128, "{name}: {ran}, stated {:?}", stated(&json));
    }
}

#[test]
fn two_functions_that_call_one_another_add_up() {
    let text = "(module (func $f (export \"main\") (param $n i32)
        (if (local.get $n) (then (call $g (i32.sub (local.get $n) (i32.const 1))) (drop (i32.const 1)))))
        (func $g (param $n i32)
        (if (local.get $n) (then (call $f (i32.sub (local.get $n) (i32.const 1))) (drop (i32.const 1)) (drop (i32.const 1))))))";
    let json = inspected_text("mutual.wat", text);
    assert_eq!(number(&json, "/fuel/recursion_per_level"), 2);
    let module = Module::from_bytes(engine(), "mutual", text).unwrap();
    // The innermost is $f, with 2 to its end; 1 and 2 in turn on the way back.
    assert_eq!(longest_slice(&module, "main", &[Value::I32(100)], 1), 2 + 150);
}

#[test]
fn a_level_of_recursion_adds_what_is_stated() {
    // Each level that returns adds 3: `n - 1`, twice dropped, after the call.
    let text = "(module (func $f (export \"main\") (param $n i32)
        (if (local.get $n) (then (call $f (i32.sub (local.get $n) (i32.const 1))) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1))))))";
    let json = inspected_text("levels.wat", text);
    assert_eq!(number(&json, "/fuel/recursion_per_level"), 3);
    let module = Module::from_bytes(engine(), "levels", text).unwrap();
    let base = longest_slice(&module, "main", &[Value::I32(0)], 1);
    for levels in [10, 100, 1_000] {
        let longest = longest_slice(&module, "main", &[Value::I32(levels)], 1);
        assert_eq!(longest, base + 3 * u64::try_from(levels).unwrap());
    }
    assert!(base <= stated(&json).0);
}

#[test]
fn a_stack_holds_less_than_the_levels_that_are_stated() {
    let text = "(module (global $depth (export \"depth\") (mut i32) (i32.const 0))
        (func $f (export \"main\") (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $f)))";
    let json = inspected_text("deep.wat", text);
    let module = Module::from_bytes(engine(), "deep", text).unwrap();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).observer(Slices::default()).build();
    let id = sched.spawn(module.call("main", &[])).unwrap();
    sched.run();
    let ended = sched.take(id).unwrap();
    assert!(ended.outcome.to_string().contains("call stack exhausted"), "{}", ended.outcome);
    let calls = ended.ledger.used.0 / 5;
    assert!(calls < number(&json, "/fuel/recursion_levels"), "{calls}");
}

/// Random numbers for making modules: a linear congruential generator.
struct Random(u64);

impl Random {
    /// One below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A condition that changes each time: the parity of a counter's upper bits.
const COIN: &str = "(global.set $r (i32.add (i32.mul (global.get $r) (i32.const 1664525)) (i32.const 1013904223)))
    (i32.and (i32.shr_u (global.get $r) (i32.const 17)) (i32.const 1))";

/// How modules are made.
#[derive(Clone, Copy)]
struct Recipe {
    /// How many statements there are in a row at most.
    size: u64,
    /// Whether there are operations whose lengths may or may not be constants, which only a bound can be stated for.
    unsure: bool,
}

/// Code in a function that can call those from `first` to 4, so many blocks deep.
fn code(random: &mut Random, recipe: Recipe, deep: u64, first: u64) -> String {
    let mut text = String::new();
    for _ in 0..random.below(recipe.size + 1) {
        let depth = deep + 1;
        let _ = match random.below(if deep < 3 { 16 } else { 11 }) {
            0..3 => write!(text, "(drop (i32.const 1)) "),
            3 => write!(text, "(local.set $len (i32.add (local.get $p) (i32.const 9))) "),
            4 if recipe.unsure => write!(text, "(local.set $len (i32.const 70)) "),
            5 if recipe.unsure => write!(text, "(memory.fill (i32.const 0) (i32.const 0) (local.get $len)) "),
            5 => write!(text, "(memory.fill (i32.const 0) (i32.const 0) (i32.const 20)) "),
            6 => write!(text, "(memory.copy (i32.const 0) (i32.const 0) (local.get $p)) "),
            7 if first < 5 => write!(text, "(call $f{} (i32.const 3)) ", first + random.below(5 - first)),
            8 => write!(text, "(call_indirect (type $t) (local.get $p) (i32.const 0)) "),
            9 => write!(text, "{COIN} (br_if {}) ", random.below(depth)),
            10 => {
                let [a, b, c] = [(); 3].map(|()| random.below(depth) + 1);
                write!(text, "(if (block (result i32) {COIN}) (then {COIN} (br_table {a} {b} {c}))) ")
            }
            11 => write!(text, "(block {}) ", code(random, recipe, depth, first)),
            12 => write!(text, "(loop {}) ", code(random, recipe, depth, first)),
            13 => write!(text, "(if (block (result i32) {COIN}) (then {})) ", code(random, recipe, depth, first)),
            _ => {
                let [then, other] = [(); 2].map(|()| code(random, recipe, depth, first));
                write!(text, "(if (block (result i32) {COIN}) (then {then}) (else {other})) ")
            }
        };
    }
    text
}

/// A module of functions that call those after them, and one through a table, each called 200 times.
fn random_module(seed: u64, recipe: Recipe) -> String {
    let mut random = Random(seed);
    let mut text = String::from(
        "(module (type $t (func (param i32))) (memory 1 1) (global $r (mut i32) (i32.const 1)) (table funcref (elem $leaf))
        (func $leaf (param i32) (drop (i32.const 1)) (drop (i32.const 1)))\n",
    );
    let mut calls = String::new();
    for index in 0..5 {
        let code = code(&mut random, recipe, 0, index + 1);
        let _ = writeln!(text, "(func $f{index} (param $p i32) (local $len i32) {code})");
        let _ = write!(calls, "(call $f{index} (i32.const 3)) ");
    }
    format!(
        "{text} (func (export \"main\") (local $i i32) (loop $again {calls}
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200))))))"
    )
}

/// The longest slice of a generated guest, and the longest stretch that is stated.
fn generated(seed: u64, recipe: Recipe) -> (u64, u64) {
    let text = random_module(seed, recipe);
    let (code, bulk) = stated(&inspected_text(&format!("random-{seed}-{}.wat", recipe.unsure), &text));
    let module = Module::from_bytes(engine(), "random", &text).unwrap();
    let longest = longest_slice(&module, "main", &[], 1);
    // No length is more than 70 here, and what is stated to fit is the memory.
    let bound = if bulk > 0 { code + 70 } else { code };
    assert!(longest <= bound, "seed {seed}: {longest} of {bound}\n{text}");
    (longest, code)
}

#[test]
fn no_slice_of_generated_guests_is_longer_than_stated_and_many_are_as_long() {
    let mut exact = 0;
    for seed in 0..60 {
        let (longest, code) = generated(seed, Recipe { size: 3, unsure: false });
        exact += usize::from(longest == code);
    }
    assert!(exact >= 40, "{exact} of 60");
}

#[test]
fn no_slice_is_longer_than_stated_where_a_length_may_be_a_constant() {
    for seed in 0..60 {
        generated(seed, Recipe { size: 5, unsure: true });
    }
}

#[test]
fn the_tables_show_what_a_module_is() {
    let run = sched(&["inspect", "wasm/tree.wat"]);
    let expected = "\
module     wasm/tree.wat, 348 bytes in the binary format
entry      main(i32) -> i32
features   none beyond WebAssembly 1.0
debugging  names of 4 functions; no DWARF; no producers

 section        items   bytes
──────────────────────────────
 type               3      20
 import             2      28
 function           3       4
 memory             1       3
 export             2      17
 code               3     155
 data               1      10
 custom: name              81

 import        kind       type                          provided by
──────────────────────────────────────────────────────────────────────────────────
 sched spawn   function   (i32, i32, i32, i32) -> i32   sched's own import module
 sched join    function   (i32, i32) -> i32             sched's own import module

 export   kind       type
────────────────────────────────────
 memory   memory     1 page or more
 main     function   (i32) -> i32

 memory   size
─────────────────────────
 0        1 page or more

Fuel between two yield points
 function     longest   a level   from     to       bulk operations
────────────────────────────────────────────────────────────────────
 (start-up)         1
 main              33             a call   return
 result            19             0x74     return
 child              9             0x5f     return

longest    33 fuel, in main: a slice overshoots by 32 at most
bulk       5 fuel with a bulk operation, in (start-up)
quantum    330 or more: 10 times the longest
";
    assert_eq!((run.code, run.err.as_str(), run.out.as_str()), (0, "", expected));
}

#[test]
fn the_object_says_the_same() {
    let json = inspected("wasm/fill.wat");
    let expected = r#"{
        "schema": 1, "module": "wasm/fill.wat", "bytes": 75, "refused": null, "features": ["bulk-memory-opt"], "entry": "main", "start": null,
        "sections": [
            {"name": "type", "custom": false, "items": 1, "bytes": 4},
            {"name": "function", "custom": false, "items": 1, "bytes": 2},
            {"name": "memory", "custom": false, "items": 1, "bytes": 3},
            {"name": "export", "custom": false, "items": 1, "bytes": 8},
            {"name": "code", "custom": false, "items": 1, "bytes": 21},
            {"name": "name", "custom": true, "items": null, "bytes": 12}
        ],
        "named_functions": 0, "dwarf_bytes": 0, "producers": [], "imports": [],
        "exports": [{"name": "main", "kind": "function", "index": 0, "ty": "()"}],
        "memories": [{"initial": 1, "maximum": null, "wide": false, "ty": "65536 bytes a page"}],
        "tables": [], "globals": [],
        "fuel": {
            "longest": {"fuel": 4, "function": 0, "name": "main", "from": 38, "to": 49},
            "longest_with_bulk": {"fuel": 65540, "function": 0, "name": "main", "from": 38, "to": 49},
            "most_charged": 65536, "recursion_per_level": 0, "recursion_levels": 32768, "overshoot": 3, "smallest_quantum": 40,
            "max_memory": 268435456, "max_stack": 524288, "startup": null,
            "functions": [{
                "fuel": 4, "function": 0, "name": "main", "from": 38, "to": 49, "with_bulk": 65540, "recursion_per_level": 0,
                "bulk": [{"name": "memory.fill", "count": 1, "constant": true, "fits": 65536, "most": 65536}]
            }]
        }
    }"#;
    let expected: Json = serde_json::from_str(expected).unwrap();
    assert_eq!(json, expected);
}

#[test]
fn the_worst_functions_come_first() {
    let named = |json: &Json| -> Vec<String> {
        let functions = json.pointer("/fuel/functions").and_then(Json::as_array).unwrap();
        functions.iter().map(|function| function["name"].as_str().unwrap().to_string()).collect()
    };
    let run = |args: &[&str]| sched(&[&["inspect", "--format", "json"], args].concat()).json();
    assert_eq!(named(&run(&["wasm/tree.wat"])), ["child", "result", "main"]);
    assert_eq!(named(&run(&["--top", "2", "wasm/tree.wat"])), ["main", "result"]);
}

#[test]
fn the_text_format_shows_the_fuel_of_each_instruction() {
    let text = "(module (memory 1) (func $f (export \"main\") (param $n i32)
        (loop $l (br_if $l (local.get $n)) (br $l))
        (call $f (i32.const 1)) (memory.fill (i32.const 0) (i32.const 0) (local.get $n))))";
    let run = sched(&["inspect", "--disassemble", &file("annotated.wat", text)]);
    let lines: Vec<&str> = run.out.lines().skip_while(|line| !line.contains("func $f (;0;)")).collect();
    let expected = "     0x26        1 ●   (func $f (;0;) (type 0) (param $n i32)
     0x27        0 ●     loop $l
     0x29        1         local.get $n
     0x2b        1         br_if $l
     0x2d        1         br $l
     0x2f        -       end
     0x30        -       i32.const 1
     0x32        -       call $f
     0x34        -       i32.const 0
     0x36        -       i32.const 0
     0x38        -       local.get $n
     0x3a        -       memory.fill
     0x3d        -     )
                     )";
    assert_eq!((run.code, run.err.as_str(), lines.join("\n").as_str()), (0, "", expected));
    let run = sched(&["inspect", "--disassemble", "wasm/fill-64-bit.wat"]);
    assert!(run.out.contains("     0x2d      1+n ●     memory.fill\n"), "{}", run.out);
    let run = sched(&["inspect", "--disassemble", "wasm/fill.wat"]);
    assert!(run.out.contains("    65537 ●       memory.fill\n"), "{}", run.out);
}

/// The imports that nobody provides, or that are of another type.
fn missing(json: &Json) -> Vec<String> {
    let imports = json["imports"].as_array().unwrap().iter();
    let missing = imports.filter(|import| !["wasi", "sched"].contains(&import["provider"].as_str().unwrap()));
    missing.map(|import| format!("{} {}", import["module"], import["name"])).collect()
}

#[test]
fn imports_are_provided_if_and_only_if_a_run_provides_them() {
    let all = [("wasm", "wat"), ("wasm/wasi", "wasm")];
    for path in all.iter().flat_map(|(folder, ext)| modules_in(folder, ext)) {
        let path = path.to_str().unwrap();
        let missing = missing(&inspected(path));
        // Whether it has such an export does not matter: imports come first.
        let run = sched(&["run", "--run-fuel", "1", "--stdin", "/dev/null", "--stdout", "discard", path]);
        let refused = run.err.contains("imports that nothing provides");
        assert_eq!(refused, !missing.is_empty(), "{path}: {missing:?} {}", run.err);
        assert!(missing.iter().all(|import| run.err.contains(import)), "{path}: {missing:?} {}", run.err);
    }
}

#[test]
fn who_provides_an_import_goes_by_its_type_too() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func (param i64)))
        (import "wasi_unstable" "fd_close" (func (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "memory" (memory 1))
        (import "wasi_snapshot_preview1" "fd_write" (global i32))
        (import "sched" "yield" (func))
        (import "sched" "yield" (func (param funcref)))
        (import "sched" "yeld" (func))
        (import "sched" "\"\\\n" (func)))"#;
    let json = inspected_text("providers.wat", text);
    let providers: Vec<&str> =
        json["imports"].as_array().unwrap().iter().map(|import| import["provider"].as_str().unwrap()).collect();
    let expected = ["wasi", "other-type", "wasi", "nobody", "other-type", "sched", "other-type", "nobody", "nobody"];
    assert_eq!(providers, expected);
}

#[test]
fn features_are_those_without_which_a_module_is_not_valid() {
    let snippets = [
        ("(func)", ""),
        ("(func (drop (f32.const 1)))", "floats"),
        ("(global (export \"g\") (mut i32) (i32.const 1))", "mutable-global"),
        ("(func (param i32) (result i32) (i32.extend8_s (local.get 0)))", "sign-extension"),
        ("(func (result i32 i32) (i32.const 1) (i32.const 1))", "multi-value"),
        ("(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1)))", "bulk-memory-opt"),
        ("(memory 1) (data \"x\") (func (data.drop 0))", "bulk-memory"),
        ("(memory 1) (memory 1)", "multi-memory"),
        ("(memory i64 1)", "memory64"),
        ("(func $f (return_call $f))", "tail-call"),
        ("(func (drop (v128.const i32x4 1 2 3 4)))", "simd"),
        ("(func (drop (ref.null func)))", "reference-types"),
        ("(global i32 (i32.add (i32.const 1) (i32.const 1)))", "extended-const"),
        ("(memory 1 1 shared)", "threads"),
        ("(tag)", "exceptions"),
    ];
    let used = |(snippet, _): &(&str, &str)| {
        let json = inspected_text("feature.wat", &format!("(module {snippet})"));
        let features = json["features"].as_array().unwrap();
        features.iter().map(|feature| feature.as_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(snippets.iter().map(used).collect::<Vec<_>>(), snippets.map(|(_, features)| features));
}

#[test]
fn a_module_that_runs_are_refused_is_shown_without_its_fuel() {
    let path = file("exceptions.wat", "(module (tag $e) (func (export \"main\") (throw $e)))");
    let json = inspected(&path);
    assert_eq!((json["fuel"].is_null(), json["features"][0].as_str()), (true, Some("exceptions")));
    let refused = json["refused"].as_str().unwrap();
    assert!(sched(&["run", &path]).err.contains(refused.split('(').next().unwrap().trim()), "{refused}");
}

#[test]
fn the_entry_is_the_one_that_a_run_calls() {
    let wasi = "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))";
    let snippets = [
        "(func (export \"main\")) (func (export \"_start\"))".to_string(),
        "(func (export \"_start\"))".into(),
        format!("{wasi} (func (export \"main\")) (func (export \"_start\"))"),
        "(func (export \"other\"))".into(),
    ];
    let entries = snippets.map(|snippet| {
        let path = file("entry.wat", format!("(module {snippet})"));
        let run = sched(&["run", "--format", "json", &path]);
        let called = serde_json::from_str::<Json>(&run.out).map(|json| json["tasks"][0]["entry"].clone());
        let entry = inspected(&path)["entry"].clone();
        assert!(called.is_err() == entry.is_null() && called.is_ok_and(|called| called == entry) != entry.is_null());
        entry
    });
    assert_eq!(
        entries.map(|entry| entry.as_str().map(String::from)),
        [Some("main".into()), Some("_start".into()), Some("_start".into()), None]
    );
}

#[test]
fn what_debuggers_and_compilers_left_is_named() {
    let text = r#"(module $m (func $f) (@custom ".debug_info" "12345") (@custom ".debug_line" "123")
        (@producers (language "C" "17") (processed-by "clang" "14.0")))"#;
    let json = inspected_text("debugging.wat", text);
    let said = (json["named_functions"].as_u64(), json["dwarf_bytes"].as_u64(), json["producers"].to_string());
    assert_eq!(said, (Some(1), Some(8), r#"[["language",["C 17"]],["processed-by",["clang 14.0"]]]"#.into()));
    let run = sched(&["inspect", &file("debugging.wat", text)]);
    let line = "debugging  names of 1 function; 8 bytes of DWARF; language C 17, processed-by clang 14.0\n";
    assert!(run.out.contains(line), "{}", run.out);
}

#[test]
fn a_run_warns_of_a_quantum_that_a_module_cannot_keep_to() {
    let round = "(drop (i32.const 1)) ".repeat(2_000);
    let text = format!("(module (func $slow (export \"main\") {round}))");
    let path = file("slow.wat", text);
    let warning = format!(
        "warning: a quantum of 99 is far below what {path} can keep to: it has 2,000 fuel without a yield point; 20,000 would make \
         sense (sched inspect says more)\n"
    );
    let run = |args: &[&str]| sched(&[&["run"], args].concat()).err;
    assert_eq!(run(&["--quantum", "99", "--copies", "3", &path]), warning);
    assert_eq!(run(&["--quantum", "100", &path]), "");
    assert_eq!(run(&[&path]), "");
    assert_eq!(run(&["--quantum", "1", "wasm/fib.wat=5", "wasm/main.wat"]), "");
    // Of 1,000 fuel and less nothing is said, at any quantum.
    let straight = |n: usize| format!("(module (func (export \"main\") {}))", "(drop (i32.const 1)) ".repeat(n));
    assert_eq!(run(&["--quantum", "1", &file("thousand.wat", straight(1_000))]), "");
    assert_ne!(run(&["--quantum", "1", &file("more.wat", straight(1_001))]), "");
    // What a bulk operation is charged is a matter of its length.
    assert_eq!(run(&["--quantum", "1", "--run-fuel", "1000", "wasm/fill.wat"]), "");
    // Slices that go by time have no quantum of fuel.
    assert_eq!(run(&["--slice", "1ms", &path]), "");
}

#[test]
fn files_that_are_no_modules_are_refused_with_a_word() {
    let precompiled = file("inspected.cwasm", "");
    sched(&["compile", "--force", "-o", &precompiled, "wasm/fib.wat"]);
    let cases = [
        ("/nonexistent".to_string(), "No such file"),
        (precompiled, "precompiled"),
        (file("component.wat", "(component)"), "component"),
        (file("wrong.wat", "(module\n  (func (export))"), "wrong.wat:2:"),
        (file("empty.wasm", ""), "empty"),
        (file("cut.wasm", b"\0asm\x01\0\0\0\x01\x05"), "at offset 0xa"),
        (file("invalid.wat", "(module (func (result i32)))"), "at offset 0x"),
    ];
    for (path, word) in cases {
        let run = sched(&["inspect", &path]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{path}");
        assert!(run.err.starts_with("error: ") && run.err.contains(word), "{path}: {}", run.err);
    }
    assert_eq!(sched(&["inspect"]).code, 2);
    assert_eq!(sched(&["inspect", "--top", "many", "wasm/fib.wat"]).code, 2);
    assert_eq!(sched(&["inspect", "--disassemble", "--format", "json", "wasm/fib.wat"]).code, 2);
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let text = r#"(module (import "\1b[2J\n" "\07evil\e2\80\ae" (func)) (func (export "\1b]0;x\07") (param i32))
        (func $"\1b[31m") (@custom "\1b[1m" "x") (@producers (language "\1b[2m" "\07")))"#;
    let path = file("names.wat", text);
    for args in [&["inspect", &path][..], &["inspect", "--disassemble", &path], &["inspect", "--format", "json", &path]]
    {
        let run = sched(args);
        assert_eq!(run.code, 0, "{}", run.err);
        let moves = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        // JSON escapes control characters; what else is in a text is the reader's.
        let json = args.contains(&"json");
        assert!(!run.out.contains(|c| moves(c) && !(json && c == '\u{202e}')), "{:?}", run.out);
        assert!(run.out.contains("evil"));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for args in [&["inspect", "--disassemble"][..], &["inspect", "--format", "json"], &["inspect", "--top", "1000"]] {
        let mut child = command()
            .args(args)
            .arg("wasm/wasi/sort.wasm")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let run = Run::from(child.wait_with_output().expect("it ends"));
        assert_eq!((run.code, run.err.as_str()), (0, ""));
    }
}

/// A number as the binary format writes it.
fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 128 {
        bytes.push(u8::try_from(n % 128).unwrap() | 128);
        n /= 128;
    }
    bytes.push(u8::try_from(n).unwrap());
    bytes
}

/// Bytes with their number before them.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [leb(bytes.len()), bytes.to_vec()].concat()
}

/// A section.
fn section(id: u8, items: &[Vec<u8>]) -> Vec<u8> {
    let content = [leb(items.len()), items.concat()].concat();
    [vec![id], counted(&content)].concat()
}

/// A module of functions without parameters and locals, the first of which is `main`.
fn of_bodies(bodies: &[Vec<u8>]) -> Vec<u8> {
    let whole = |body: &Vec<u8>| counted(&[&[0], body.as_slice(), &[0x0b]].concat());
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[vec![0x60, 0, 0]]),
        section(3, &vec![vec![0]; bodies.len()]),
        section(7, &[b"\x04main\0\0".to_vec()]),
        section(10, &bodies.iter().map(whole).collect::<Vec<_>>()),
    ]
    .concat()
}

/// Hostile modules: a name, the module, and its longest stretch.
fn hostile() -> Vec<(&'static str, Vec<u8>, u64)> {
    let constant = [0x41, 1, 0x1a];
    let table =
        [vec![0x02, 0x40, 0x41, 0, 0x0e], leb(65_520), (0..65_520).map(|i| (i % 100) as u8).collect(), vec![0, 0x0b]];
    let branches = [[0x02, 0x40].repeat(100), table.concat().repeat(20), vec![0x0b; 100]].concat();
    let blocks = |open: &[u8], n: usize| [open.repeat(n), vec![0x0b; n]].concat();
    // Each calls the next, then drops a constant: what is left grows with each that returns.
    let next = |i: usize| [vec![0x10], leb((i + 1).min(99_999)), constant.to_vec()].concat();
    vec![
        ("a long function", of_bodies(&[constant.repeat(1_700_000)]), 1_700_000),
        ("calls alone", of_bodies(&[[0x10, 0].repeat(2_000_000)]), 2),
        ("100,000 blocks in one another", of_bodies(&[blocks(&[0x02, 0x40], 100_000)]), 1),
        ("100,000 loops in one another", of_bodies(&[blocks(&[0x03, 0x40], 100_000)]), 1),
        ("100,000 ifs in one another", of_bodies(&[blocks(&[0x41, 0, 0x04, 0x40], 100_000)]), 200_000),
        ("20 branches to 65,520 places", of_bodies(&[branches]), 40),
        ("100,000 functions", of_bodies(&vec![Vec::new(); 100_000]), 1),
        ("a chain of 100,000 calls", of_bodies(&(0..100_000).map(next).collect::<Vec<_>>()), 99_999),
    ]
}

#[test]
fn hostile_modules_are_measured_all_the_same() {
    for (name, module, longest) in hostile() {
        let json = inspected(&file("hostile.wasm", module));
        assert_eq!(stated(&json).0, longest, "{name}");
    }
}
