//! The binary as a user runs it: the demo, `sched run`, the benchmark, their forms of output.

use crate::cli::{command, file, sched, sched_json};
use serde_json::{Value, json};
use std::process::Stdio;

/// The fields of a task that say what became of it.
fn brief(task: &Value) -> Value {
    json!([task["name"], task["outcome"], task["values"], task["fuel"]["used"], task["slices"]])
}

#[test]
fn the_demo_runs_from_any_folder() {
    let output = command().current_dir(std::env::temp_dir()).args(["--format", "json"]).output();
    let json: Value = serde_json::from_slice(&output.expect("the binary starts").stdout).expect("JSON");
    assert_eq!(brief(&json["tasks"][0]), json!(["fib", "returned", ["55"], 1766, 2]));
    assert_eq!(brief(&json["tasks"][1]), json!(["main", "returned", ["10000"], 80_002, 80]));
    assert_eq!((&json["policy"], &json["quantum"]), (&json!("round-robin"), &json!(1000)));
    assert_eq!(json["tasks"][0]["fuel"]["budget"], 10_000_000);
}

#[test]
fn the_report_has_the_fields_that_were_promised_and_they_add_up() {
    let (_, report) = sched_json(&["--quantum", "500", "--copies", "3", "wasm/main.wat"]);
    let keys: Vec<&String> = report.as_object().expect("an object").keys().collect();
    let promised =
        ["schema", "engine", "policy", "quantum", "workers", "tasks", "totals", "digest", "reproducible", "reasons"];
    assert!(promised.iter().all(|key| keys.iter().any(|k| k == key)), "{keys:?}");
    assert!(report["engine"].as_str().is_some_and(|engine| engine.starts_with("wasmtime 48.")), "{}", report["engine"]);
    let sum = |field: &str| -> u64 {
        let tasks = report["tasks"].as_array().expect("tasks");
        tasks.iter().map(|task| task[field].as_u64().expect("a number")).sum()
    };
    let totals = &report["totals"];
    assert_eq!(totals["switches"], sum("preempted") + sum("yielded") + sum("blocked"));
    assert_eq!(totals["slices"], totals["switches"].as_u64().expect("a number") + 3);
    assert_eq!(totals["slices"], sum("slices"));
    assert_eq!(totals["fuel"], 3 * 80_002);
    let task = &report["tasks"][2];
    assert_eq!(task["id"], 2);
    for (field, value) in
        [("error", json!(null)), ("exit_code", json!(null)), ("cpu_ns", json!(null)), ("stdout", json!(null))]
    {
        assert_eq!(task[field], value, "{field}");
    }
    assert_eq!(task["fuel"], json!({ "used": 80_002, "budget": null, "exact": true }));
}

#[test]
fn fuel_totals_are_the_same_at_every_quantum() {
    for quantum in ["1", "7", "1000", "1000000", "4611686018427387904"] {
        let (_, report) = sched_json(&["--quantum", quantum, "wasm/fib.wat=12", "wasm/main.wat"]);
        let used: Vec<&Value> = (0..2).map(|i| &report["tasks"][i]["fuel"]["used"]).collect();
        assert_eq!(used, [4646, 80_002], "quantum {quantum}");
    }
}

#[test]
fn the_same_command_gives_the_same_digest_and_another_gives_another() {
    let digest = |args: &[&str]| sched_json(args).1["digest"].as_str().expect("a digest").to_string();
    let words = ["--quantum", "100", "wasm/fib.wat=12", "wasm/main.wat"];
    assert_eq!(digest(&words), digest(&words));
    assert_eq!(digest(&words).len(), 64);
    assert_ne!(digest(&words), digest(&["--quantum", "101", "wasm/fib.wat=12", "wasm/main.wat"]));
    assert_ne!(digest(&words), digest(&["--quantum", "100", "wasm/fib.wat=13", "wasm/main.wat"]));
}

#[test]
fn a_digest_depends_on_what_a_module_is_and_not_on_where_it_lies() {
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/wasm/main.wat")).expect("the guest is there");
    let copy = file("main.wat", &text);
    assert_eq!(sched_json(&[&copy]).1["digest"], sched_json(&["wasm/main.wat"]).1["digest"]);
}

#[test]
fn a_line_for_every_switch() {
    let run = sched(&["run", "--log", "--quantum", "50", "wasm/fib.wat=5", "wasm/fib.wat=3"]);
    let lines: Vec<Vec<&str>> = run.err.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines,
        [
            // It used 8 more than its 50, and owes them.
            vec!["1", "fib[0]", "50", "58", "58", "turn", "fib[1]", "preempted"],
            // Done before its grant was.
            vec!["2", "fib[1]", "50", "46", "46", "turn", "fib[0]", "returned", "2"],
            // 50 less the debt.
            vec!["3", "fib[0]", "42", "42", "100", "turn", "fib[0]", "preempted"],
            // Nobody is next.
            vec!["4", "fib[0]", "50", "46", "146", "turn", "-", "returned", "5"],
        ]
    );
}

#[test]
fn values_are_read_and_written_by_the_signature() {
    let call = "wasm/exports.wat:all=-5,0x7fff_ffff_ffff_ffff,nan,-inf,i32x4 1 2 3 4";
    let (run, report) = sched_json(&[call]);
    let vector = "i32x4 0x00000001 0x00000002 0x00000003 0x00000004";
    let expected = json!(["-5", "9223372036854775807", "nan", "-inf", vector]);
    assert_eq!(report["tasks"][0]["values"], expected, "{run:?}");
}

#[test]
fn time_is_measured_when_it_is_asked_for() {
    let (_, report) = sched_json(&["--timing", "wasm/main.wat"]);
    assert!(report["tasks"][0]["cpu_ns"].as_u64().is_some_and(|ns| ns > 0), "{report}");
    let human = sched(&["run", "--timing", "wasm/main.wat"]);
    assert!(human.out.lines().next().is_some_and(|header| header.trim_end().ends_with("time")), "{human:?}");
}

#[test]
fn a_thousand_copies_of_one_module() {
    let (run, report) = sched_json(&["--copies", "1000", "--quantum", "100", "wasm/fib.wat=8"]);
    let tasks = report["tasks"].as_array().expect("tasks");
    assert_eq!((run.code, tasks.len()), (0, 1000));
    assert!(tasks.iter().all(|task| task["values"] == json!(["21"])));
    assert_eq!(tasks[999]["name"], "fib[999]");
}

#[test]
fn the_entry_is_main_unless_there_is_only_start() {
    let start = file("start-only.wat", "(module (func (export \"_start\")))");
    let both = file("both.wat", "(module (func (export \"_start\")) (func (export \"main\")))");
    let (_, report) = sched_json(&[&start, &both]);
    assert_eq!((&report["tasks"][0]["entry"], &report["tasks"][1]["entry"]), (&json!("_start"), &json!("main")));
}

#[test]
fn a_module_is_told_by_its_content() {
    let text_as_binary = file("text.wasm", "(module (func (export \"main\") (result i32) (i32.const 7)))");
    let binary_as_text = file(
        "binary.wat",
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x08\x01\x04main\0\0\x0a\x04\x01\x02\0\x0b",
    );
    let (run, report) = sched_json(&[&text_as_binary, &binary_as_text]);
    assert_eq!((run.code, &report["tasks"][0]["values"]), (0, &json!(["7"])), "{run:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut long = command();
    long.args(["run", "--copies", "20000", "--fuel", "1", "wasm/main.wat"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = long.spawn().expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), ""));
}

#[test]
fn a_log_that_nobody_reads_any_more_ends_an_endless_run() {
    let mut endless = command();
    endless.args(["run", "--log", "wasm/spin.wat"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = endless.spawn().expect("the binary starts");
    drop(child.stderr.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stdout).contains("stopped"), "{output:?}");
}

#[test]
fn the_benchmark_reports_every_number_that_it_names() {
    let run = sched(&["--benchmark", "--runs", "2", "--format", "json"]);
    let report = run.json();
    assert_eq!((run.code, &report["runs"], &report["modules"][2]["name"]), (0, &json!(2), &json!("all")), "{run:?}");
    assert_eq!((&report["work"]["fuel"], &report["work"]["switches"]), (&json!(81_768), &json!(80)));
    let spreads = [
        &report["modules"][2]["switch_ns"],
        &report["modules"][0]["switch_ns"],
        &report["work"]["preempted_ns"],
        &report["work"]["unpreempted_ns"],
        &report["work"]["unmetered_ns"],
        &report["modules"][0]["completion_ns"],
        &report["modules"][1]["slice_ns"],
    ];
    for spread in spreads {
        let at = |name: &str| spread[name].as_u64().unwrap_or_else(|| panic!("{name} of {spread}"));
        let rising = [at("p50"), at("p90"), at("p99"), at("p99_9"), at("max")];
        assert!(at("count") > 0 && at("p50") > 0 && rising.is_sorted(), "{spread}");
    }
    assert!(report["machine"]["cpu"].is_string() && report["clock_read_ns"].is_u64());
    let human = sched(&["--benchmark", "--runs", "1"]);
    assert!(human.out.contains("context switch (quantum 1)") && human.out.contains("ns for one fuel"), "{human:?}");
}

#[test]
fn help_and_version_are_results() {
    let version = sched(&["--version"]);
    assert_eq!(version.code, 0);
    assert!(version.out.starts_with(concat!("sched ", env!("CARGO_PKG_VERSION"), " (wasmtime 48.")), "{version:?}");
    for words in [&["--help"][..], &["run", "--help"], &["help", "run"]] {
        let help = sched(words);
        assert_eq!((help.code, help.err.as_str()), (0, ""));
        assert!(help.out.contains("Examples:") && help.out.contains("Exit codes:"), "{help:?}");
        assert!(!help.out.contains('\x1b'), "no colours without a terminal");
    }
}
