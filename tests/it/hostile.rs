//! Hostile and broken input through the binary: each case with its exact message and exit code, and a healthy task beside it that
//! finishes as if nothing were.

use crate::cli::{Run, command, file, sched_json};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The task that must not be harmed.
const HEALTHY: &str = "wasm/fib.wat=10";

/// What a hostile task should come to.
struct Expected<'a> {
    /// The outcome.
    outcome: &'a str,
    /// The whole error, if there is one.
    error: Option<&'a str>,
    /// The exit code of the run.
    code: i32,
}

/// An end without an error message.
fn ends(outcome: &str, code: i32) -> Expected<'_> {
    Expected { outcome, error: None, code }
}

/// A trap.
fn traps(error: &str) -> Expected<'_> {
    Expected { outcome: "trapped", error: Some(error), code: 1 }
}

/// A task that cannot start.
fn fails(error: &str) -> Expected<'_> {
    Expected { outcome: "failed", error: Some(error), code: 1 }
}

/// Runs a hostile task after a healthy one, and before another, and compares. Returns the hostile task's report.
fn check(words: &[&str], expected: &Expected<'_>) -> Value {
    let (run, json) = sched_json(&[&[HEALTHY], words, &[HEALTHY]].concat());
    let tasks = json["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 3, "{run:?}");
    for healthy in [&tasks[0], &tasks[2]] {
        assert_eq!((&healthy["outcome"], &healthy["values"][0]), (&"returned".into(), &"55".into()), "{run:?}");
        assert_eq!(healthy["fuel"]["used"], 1766, "{run:?}");
    }
    let hostile = tasks[1].clone();
    assert_eq!(hostile["outcome"], expected.outcome, "{run:?}");
    assert_eq!(hostile["error"].as_str(), expected.error, "{run:?}");
    assert_eq!(run.code, expected.code, "{run:?}");
    if expected.outcome == "failed" && hostile["slices"] == 0 {
        assert_eq!(run.err, format!("error: {}\n", expected.error.unwrap_or_default()));
    } else {
        assert_eq!(run.err, "");
    }
    hostile
}

#[test]
fn an_endless_loop_ends_by_its_budget() {
    let task = check(&["--fuel", "100_000", "wasm/spin.wat"], &ends("out-of-fuel", 1));
    assert_eq!(task["fuel"]["used"], 100_000);
}

#[test]
fn an_endless_loop_ends_by_the_fuel_of_the_run() {
    let task = check(&["--run-fuel", "100_000", "wasm/spin.wat"], &ends("stopped", 0));
    assert_eq!(task["fuel"]["used"], 100_000 - 2 * 1766);
}

#[test]
fn an_endless_loop_ends_by_the_time_of_the_run() {
    check(&["--run-time", "100ms", "wasm/spin.wat"], &ends("stopped", 0));
}

#[test]
fn a_time_limit_fires_whatever_the_quantum() {
    // The endless task comes last: with that quantum its turn never ends.
    let quantum = (1u64 << 62).to_string();
    let (run, json) = sched_json(&["--run-time", "100ms", "--quantum", &quantum, HEALTHY, "wasm/spin.wat"]);
    assert_eq!((run.code, &json["ended_by"]), (0, &"run-time".into()), "{run:?}");
    assert_eq!((&json["tasks"][0]["values"][0], &json["tasks"][1]["outcome"]), (&"55".into(), &"stopped".into()));
    assert_eq!((&json["reproducible"], &json["reasons"][0]), (&false.into(), &"the run was cut by --run-time".into()));
}

#[test]
fn an_endless_start_function_is_preempted_like_any_code() {
    let task = check(&["--fuel", "100_000", "wasm/spin-start.wat"], &ends("out-of-fuel", 1));
    assert_eq!(task["slices"], 10);
}

#[test]
fn a_recursion_bomb_uses_up_its_own_stack() {
    check(&["wasm/recurse.wat=0"], &traps("call stack exhausted, in function deeper"));
}

#[test]
fn a_memory_bomb_gets_what_it_may_have_and_no_more() {
    let task = check(&["--max-memory", "1MiB", "wasm/grow-memory.wat=100"], &ends("returned", 0));
    assert_eq!(task["values"], serde_json::json!(["16", "84"]));
    check(&["--fuel", "1_000_000", "wasm/grow-memory.wat:bomb"], &ends("out-of-fuel", 1));
}

#[test]
fn a_table_bomb_gets_what_it_may_have_and_no_more() {
    let task = check(&["--max-memory", "80_000", "wasm/grow-table.wat=100"], &ends("returned", 0));
    assert_eq!(task["values"], serde_json::json!(["10", "90"]));
    check(&["--fuel", "1_000_000", "wasm/grow-table.wat:bomb"], &ends("out-of-fuel", 1));
}

#[test]
fn a_fill_of_the_largest_memory_is_one_slice_and_no_more() {
    let words = ["--max-memory", "16MiB", "--fuel", "100_000_000", "wasm/fill-largest.wat"];
    let task = check(&words, &ends("out-of-fuel", 1));
    assert_eq!(task["fuel"]["exact"], true);
    assert!(task["max_overshoot"].as_u64() > Some(16_000_000), "{task}");
}

#[test]
fn a_fill_of_more_bytes_than_there_is_fuel() {
    let absurd = "one operation costs more fuel than any task can have";
    check(&["wasm/fill-64-bit.wat=0x7fff_ffff_ffff_ffff"], &traps(absurd));
    check(&["--fuel", "5000", "wasm/fill-64-bit.wat=0x7fff_ffff_ffff_ffff"], &ends("out-of-fuel", 1));
}

#[test]
fn a_straight_line_of_a_hundred_thousand_instructions() {
    let flat = "local.get 0 ".to_string() + &"i32.const 1 i32.add ".repeat(50_000);
    let path = file("straight.wat", format!("(module (func (export \"main\") (param i32) (result i32) {flat}))"));
    let task = check(&[&format!("{path}=5")], &ends("returned", 0));
    assert_eq!((&task["values"][0], &task["fuel"]["used"]), (&"50005".into(), &100_002.into()));
    assert_eq!(task["max_overshoot"], 90_002, "all of it is one stretch between two yield points");
}

#[test]
fn traps_end_their_own_task() {
    check(&["wasm/unreachable.wat"], &traps("wasm `unreachable` instruction executed, in function main at 0x22"));
    check(&["wasm/divide-by-zero.wat=0"], &traps("integer divide by zero, in function main at 0x27"));
    check(&["wasm/load-out-of-bounds.wat=65533"], &traps("out of bounds memory access, in function main at 0x2a"));
    let task = check(&["wasm/trap-start.wat"], &traps("integer divide by zero, in function start at 0x29"));
    assert_eq!(task["fuel"]["exact"], false, "after a trap it is a lower bound");
}

#[test]
fn calls_that_cannot_be_made() {
    let fib = "wasm/fib.wat: ";
    let signature = "; the signature is main(i32) -> i32";
    for (task, message) in [
        ("wasm/fib.wat:nope", "no export named 'nope'; it exports main(i32) -> i32".to_string()),
        ("wasm/fib.wat:main", format!("it takes 1 argument, and 0 were given{signature}")),
        ("wasm/fib.wat:main=1,2", format!("it takes 1 argument, and 2 were given{signature}")),
        (
            "wasm/fib.wat:main=1.5",
            format!(
                "argument 1 is '1.5', which is no i32: it takes an integer from -2147483648 to 4294967295, such as -5, 0xff or 1_000{signature}"
            ),
        ),
    ] {
        check(&[task], &fails(&format!("{fib}{message}")));
    }
    let memory = "wasm/exports.wat: the export 'memory' is a memory, not a function";
    check(&["wasm/exports.wat:memory"], &fails(memory));
}

#[test]
fn imports_that_nothing_provides_are_all_named() {
    let message = "wasm/unknown-imports.wat: imports that nothing provides: \"env\" \"log\" (func(i32, i32)), \
                   \"env\" \"now\" (func() -> i64), \"env\" \"memory\" (memory), \"env\" \"__stack_pointer\" (global), \
                   \"game\" \"sprites\" (table)";
    check(&["wasm/unknown-imports.wat"], &fails(message));
}

#[test]
fn files_that_are_no_modules() {
    let component =
        "this is a component; a core module is wanted (compilers make one for wasm32-unknown-unknown or wasm32-wasip1)";
    let cases: [(&str, &[u8], &str); 8] = [
        ("empty.wasm", b"", "the file is empty; a WebAssembly module is wanted"),
        ("truncated.wasm", b"\0asm\x01\0\0\0\x01\x07", "truncated WebAssembly: unexpected end-of-file (at offset 0xa)"),
        (
            "malformed.wasm",
            b"\0asm\x01\0\0\0\xff\xff",
            "invalid or unsupported WebAssembly: malformed section id (at offset 0x8)",
        ),
        (
            "version.wasm",
            b"\0asm\x02\0\0\0",
            "invalid or unsupported WebAssembly: unknown binary version: 0x2 (at offset 0x4)",
        ),
        ("component.wasm", b"\0asm\x0d\0\x01\0", component),
        ("component.wat", b"(component)", component),
        (
            "garbage",
            b"\xff\xfe\x00",
            "not a WebAssembly module: neither the binary format (it does not start with \"\\0asm\") nor text (it is not UTF-8)",
        ),
        (
            "type.wat",
            b"(module (func (result i32) (i64.const 1)))",
            "invalid or unsupported WebAssembly: Invalid input WebAssembly code at offset 26: type mismatch: expected i32, found i64",
        ),
    ];
    for (name, content, message) in cases {
        let path = file(name, content);
        check(&[&path], &fails(&format!("{path}: {message}")));
    }
}

#[test]
fn a_text_file_is_shown_where_it_stops_being_a_module() {
    let path = file("hello.txt", "hello \x1b[31mworld\n");
    let message = format!(
        "{path}: not a WebAssembly module in the text format: unexpected character '\\u{{1b}}'\n     --> {path}:1:7\n      |\n    1 | hello \u{fffd}[31mworld\n      |       ^"
    );
    check(&[&path], &fails(&message));
}

#[test]
fn paths_that_cannot_be_read() {
    check(&["wasm/"], &fails("wasm/: Is a directory (os error 21)"));
    check(&["wasm/nothing.wat"], &fails("wasm/nothing.wat: No such file or directory (os error 2)"));
    check(&["/dev/zero"], &fails("/dev/zero: larger than 268435456 bytes, the largest module that is read"));
}

#[cfg(unix)]
#[test]
fn a_file_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let path = file("secret.wat", "(module)");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("it is our file");
    // Whoever may read everything has no such case.
    if std::fs::read(&path).is_err() {
        check(&[&path], &fails(&format!("{path}: Permission denied (os error 13)")));
    }
    std::fs::remove_file(path).expect("it is our file");
}

#[test]
fn four_gib_of_memory_are_refused() {
    let message =
        "wasm/four-gib.wat: cannot make an instance: memory minimum size of 65536 pages exceeds memory limits";
    check(&["wasm/four-gib.wat"], &fails(message));
}

/// A command line that is wrong: exit code 2, nothing on standard output, and this in the message.
fn refused(words: &[&str], message: &str) {
    let run: Run = command().args(words).output().expect("the binary starts").into();
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{words:?}: {run:?}");
    assert!(run.err.contains(message), "{words:?}: {run:?}");
}

#[test]
fn options_out_of_range_are_refused_before_anything_runs() {
    let fuel = "it takes a whole number from 1 to 4611686018427387904, such as 10_000";
    for option in ["--quantum", "--fuel", "--run-fuel"] {
        for value in ["0", "-1", "x", "1.5", "4611686018427387905", "99999999999999999999", ""] {
            refused(&["run", &format!("{option}={value}"), HEALTHY], fuel);
        }
    }
    refused(&["run", "--copies=0", HEALTHY], "0 is not in 1..=1000000");
    refused(&["run", "--run-time=0s", HEALTHY], "longer than zero");
    refused(&["run", "--run-time=soon", HEALTHY], "such as 2s or 500ms");
    refused(&["run", "--max-memory=much", HEALTHY], "such as 64KiB, 256MiB");
    refused(&["run", "--max-stack=1KiB", HEALTHY], "from 16KiB to 256MiB");
    refused(&["run", "--max-stack=1GiB", HEALTHY], "from 16KiB to 256MiB");
    refused(&["--benchmark", "--runs=0"], "0 is not in 1..=1000000");
}

#[test]
fn a_mistyped_word_gets_a_suggestion() {
    refused(&["run", "--quantun=5", HEALTHY], "a similar argument exists: '--quantum'");
    refused(&["rum", HEALTHY], "a similar subcommand exists: 'run'");
    refused(&["run", "--format=jsn", HEALTHY], "a similar value exists: 'json'");
    refused(&["run", "--policy=roundrobin", HEALTHY], "did you mean 'round-robin'? there are round-robin, weighted");
    refused(&["run"], "there is nothing to run: name a TASK");
    refused(&["--runs=5"], "--benchmark");
}

#[test]
fn a_call_mistyped_alone_runs_nothing() {
    refused(&["run", "wasm/fib.wat:main=x"], "the signature is main(i32) -> i32");
    refused(&["run", "wasm/fib.wat:mian=3"], "no export named 'mian'; it exports main(i32) -> i32");
}

#[cfg(unix)]
#[test]
fn a_name_cannot_move_the_cursor() {
    let path = file("red\x1b[31m.wat", "(module (func (export \"main\")))");
    for words in [&["run", "--log", &path][..], &["run", &format!("{path}:nope"), HEALTHY]] {
        let run: Run = command().args(words).output().expect("the binary starts").into();
        assert!(!run.out.contains('\x1b') && !run.err.contains('\x1b'), "{run:?}");
        assert!(run.out.contains("red\u{fffd}[31m"), "{run:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_run_in_good_order() {
    let mut endless = command();
    endless.args(["run", "--format", "json", "--log", "--quantum", "1_000_000", HEALTHY, "wasm/spin.wat"]);
    let mut child = endless.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    // The log's first line is written when the run is ready to be interrupted.
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    log.read_line(&mut String::new()).expect("a header");
    let rest = std::thread::spawn(move || log.lines().count());
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("there is a kill").success());
    let run: Run = child.wait_with_output().expect("it ends").into();
    assert!(rest.join().expect("no panic") > 0, "the log goes on until the end");
    let json = run.json();
    assert_eq!((run.code, &json["ended_by"]), (130, &"interrupt".into()), "{run:?}");
    assert_eq!((&json["tasks"][0]["outcome"], &json["tasks"][1]["outcome"]), (&"returned".into(), &"stopped".into()));
    assert_eq!((&json["reproducible"], &json["reasons"][0]), (&false.into(), &"the run was interrupted".into()));
}

/// The most memory that a run of this plan had, in KiB, until so much fuel was used.
#[cfg(target_os = "linux")]
fn peak(plan: &str, fuel: &str) -> u64 {
    let mut child = command();
    child.args(["run", "-q", "--plan", plan, "--run-fuel", fuel]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.spawn().expect("the binary starts");
    let (status, mut peak) = (format!("/proc/{}/status", child.id()), 0);
    while child.try_wait().expect("it can be waited for").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn a_task_that_is_started_again_for_ever_takes_no_more_memory() {
    let module = format!("{}/wasm/unreachable.wat", env!("CARGO_MANIFEST_DIR"));
    let plan = file("for-ever.toml", format!("[[task]]\nmodule = \"{module}\"\non-trap = \"restart\"\n"));
    // A trap is charged the whole quantum, 10,000: so 2,000 restarts, and 60,000.
    let (few, many) = (peak(&plan, "20_000_000"), peak(&plan, "600_000_000"));
    assert!(few > 0 && many < few + 6_000, "{few} KiB, and {many} KiB");
}
