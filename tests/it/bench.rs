//! `sched bench` through the binary: every file that it writes is read back, and what is wrong with an argument is said.

use crate::cli::{file, sched};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::{Value, json};
use std::fs;

/// A short measurement of one small task.
const SHORT: &[&str] = &["bench", "--runs", "2", "--warmup", "0", "--quanta", "100,1_000", "wasm/fib.wat=10"];

/// A short measurement with more words.
fn short<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [SHORT, words].concat()
}

/// A place for a file that is not there yet.
fn place(name: &str) -> String {
    let path = file(name, "");
    fs::remove_file(&path).expect("it was just made");
    path
}

/// The error of a call that has to be refused, with nothing on standard output.
fn refused(words: &[&str]) -> String {
    let run = sched(words);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    run.err
}

/// A file as `--save` writes it, with these samples of one number.
fn saved(name: &str, samples: &[u64]) -> String {
    let path = place(&format!("{name}-made.json"));
    let run = sched(&short(&["--save", &path]));
    assert_eq!(run.code, 0, "{run:?}");
    let mut tree: Value = serde_json::from_str(&fs::read_to_string(&path).expect("written")).expect("JSON");
    tree["samples"] = json!({ "preempted_ns": samples });
    file(&format!("{name}.json"), tree.to_string())
}

#[test]
fn every_number_is_reported() {
    let run = sched(&short(&["--format", "json"]));
    let report = run.json();
    assert_eq!((run.code, &report["runs"], &report["warm_up"]), (0, &json!(2), &json!(0)), "{run:?}");
    let alone = sched(&["run", "--format", "json", "wasm/fib.wat=10"]).json();
    assert_eq!((&report["work"]["fuel"], &report["work"]["tasks"]), (&alone["totals"]["fuel"], &json!(1)));
    assert_eq!(report["work"]["switches"], alone["totals"]["switches"]);
    for name in ["switch_ns", "slice_ns", "turnaround_ns"] {
        let at = |part: &str| report[name][part].as_u64().unwrap_or_else(|| panic!("{name}.{part} of {report}"));
        let rising = [at("p50"), at("p90"), at("p99"), at("p99_9"), at("max")];
        assert!(at("count") > 0 && rising.is_sorted(), "{report}");
    }
    let quanta: Vec<&Value> = report["curve"].as_array().expect("points").iter().map(|p| &p["quantum"]).collect();
    assert_eq!(quanta, [&json!(100), &json!(1_000)]);
    assert!(quanta.contains(&&report["recommended_quantum"]), "{report}");
    assert!(report["work"]["metering_ratio"].is_f64() && report["work"]["preemption_ratio"].is_f64(), "{report}");
    assert!(report["machine"]["rustc"].as_str().is_some_and(|rustc| rustc.starts_with("rustc 1.")), "{report}");
}

#[test]
fn people_see_a_table_and_a_plot() {
    let run = sched(&short(&[]));
    assert_eq!(run.code, 0, "{run:?}");
    for word in ["context switch (quantum 1)", "turnaround of a task", "recommended", "█", "metering", "wasmtime"] {
        assert!(run.out.contains(word), "{word}: {run:?}");
    }
}

#[test]
fn without_a_task_it_measures_the_demo() {
    let report = sched(&["bench", "--runs", "1", "--warmup", "0", "--quanta", "1_000", "--format", "json"]).json();
    assert_eq!((&report["work"]["fuel"], &report["work"]["switches"]), (&json!(81_768), &json!(80)), "{report}");
    // The demo's own quantum, and no budget that would forbid an engine without fuel.
    assert_eq!(report["quantum"], 1_000);
    assert!(report["work"]["unmetered_ns"].is_u64(), "{report}");
}

#[test]
fn a_task_that_needs_a_limit_is_measured_with_metering_alone() {
    let words =
        ["bench", "--runs", "1", "--warmup", "0", "--quanta", "1_000", "--run-fuel", "50_000", "--format", "json"];
    let report = sched(&[&words[..], &["wasm/fib.wat=30"]].concat()).json();
    assert_eq!((&report["work"]["unmetered_ns"], &report["work"]["metering_ratio"]), (&json!(null), &json!(null)));
    assert!(report["work"]["fuel"].as_u64().is_some_and(|fuel| fuel >= 50_000), "{report}");
}

#[test]
fn an_endless_task_with_a_budget_is_not_run_without_metering() {
    let path = file("bench-endless.wat", "(module (func (export \"main\") (loop (br 0))))");
    let words = ["bench", "--runs", "1", "--warmup", "0", "--quanta", "1_000", "--fuel", "9_000", "--format", "json"];
    let report = sched(&[&words[..], &[&path]].concat()).json();
    assert_eq!((&report["work"]["unpreempted_ns"], &report["work"]["unmetered_ns"]), (&json!(null), &json!(null)));
    assert!(report["work"]["fuel"].as_u64().is_some_and(|fuel| fuel >= 9_000), "{report}");
}

#[test]
fn every_file_can_be_read_back() {
    let (csv, log) = (place("bench.csv"), place("bench.hlog"));
    let dir = format!("{csv}-hgrm");
    let run = sched(&short(&["--csv", &csv, "--hdr-log", &log, "--hgrm", &dir, "--format", "json"]));
    let report = run.json();
    let count = |name: &str| report[name]["count"].as_u64().unwrap_or(0);
    let csv = fs::read_to_string(csv).expect("written");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("distribution,percentile,value,count"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!((rows.len(), rows.iter().all(|row| row.len() == 4)), (28, true), "{csv}");
    let top = rows.iter().find(|row| row[0] == "slice_ns" && row[1] == "100").expect("a row");
    assert_eq!((top[2], top[3]), (&*report["slice_ns"]["max"].to_string(), &*count("slice_ns").to_string()));
    let hgrm = fs::read_to_string(format!("{dir}/slice_ns.hgrm")).expect("written");
    let last = hgrm.lines().rfind(|line| !line.starts_with('#')).expect("lines");
    let words: Vec<&str> = last.split_whitespace().collect();
    assert_eq!((words[1], words[2]), ("1.000000000000", &*count("slice_ns").to_string()), "{hgrm}");
    let bytes = fs::read(log).expect("written");
    let mut found = Vec::new();
    for entry in IntervalLogIterator::new(&bytes) {
        if let LogEntry::Interval(interval) = entry.expect("a line of a log") {
            let tag = interval.tag().expect("a tag").as_str().to_string();
            let packed = base64(interval.encoded_histogram());
            let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &packed[..]).expect("a histogram");
            assert_eq!(histogram.len(), count(&tag), "{tag}");
            found.push(tag);
        }
    }
    assert_eq!(found, ["switch_ns", "slice_ns", "lateness_fuel", "turnaround_ns"]);
}

/// The bytes of a text in base 64.
fn base64(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        let value = digits.iter().position(|other| *other == digit).expect("a digit");
        (bits, held) = (bits << 6 | u32::try_from(value).expect("small"), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).expect("a byte"));
        }
    }
    bytes
}

#[test]
fn a_file_compared_with_itself_is_no_change() {
    let same = saved("same", &[100_000, 103_000, 99_000, 101_000, 100_000, 104_000]);
    let run = sched(&["bench", "--format", "json", "--compare", &format!("{same},{same}")]);
    let comparison = run.json();
    assert_eq!((run.code, &comparison["warnings"]), (0, &json!([])));
    assert_eq!(comparison["rows"][0]["verdict"], "no-change", "{comparison}");
}

#[test]
fn a_doctored_file_is_slower_one_way_and_faster_the_other() {
    let runs = [100_000, 103_000, 99_000, 101_000, 100_000, 104_000];
    let (fast, slow) = (saved("fast", &runs), saved("slow", &runs.map(|time| time * 2)));
    let verdict =
        |files: String| sched(&["bench", "--format", "json", "--compare", &files]).json()["rows"][0]["verdict"].clone();
    assert_eq!(
        (verdict(format!("{fast},{slow}")), verdict(format!("{slow},{fast}"))),
        (json!("slower"), json!("faster"))
    );
    let human = sched(&["bench", "--compare", &format!("{fast},{slow}")]);
    assert!(human.out.contains("slower") && human.out.contains("preempted_ns"), "{human:?}");
}

#[test]
fn another_machine_or_setting_is_warned_about() {
    let one = saved("one", &[1_000; 6]);
    let text = fs::read_to_string(&one).expect("written");
    let mut tree: Value = serde_json::from_str(&text).expect("JSON");
    tree["machine"]["cpu"] = json!("another");
    tree["settings"]["quantum"] = json!("7");
    let other = file("other.json", tree.to_string());
    let run = sched(&["bench", "--compare", &format!("{other},{one}")]);
    assert!(run.out.contains("warning: another machine") && run.out.contains("another setting, quantum"), "{run:?}");
}

#[test]
fn a_run_is_compared_with_a_file() {
    let before = saved("before", &[1; 6]);
    let report = sched(&short(&["--compare", &before, "--format", "json"])).json();
    // Two runs only.
    assert_eq!(report["comparison"]["rows"][0]["verdict"], "too-few-runs", "{report}");
}

#[test]
fn a_file_of_another_kind_is_refused_before_anything_runs() {
    for (name, text) in [
        ("a.txt", "fuel"),
        ("b.json", "{}"),
        ("c.json", "[1]"),
        ("d.json", "{\"kind\": \"sched bench\", \"schema\": 1}"),
    ] {
        let path = file(name, text);
        let error = refused(&short(&["--compare", &path]));
        assert!(error.contains("not what sched bench --save writes"), "{name}: {error}");
    }
    let newer = file("e.json", "{\"kind\": \"sched bench\", \"schema\": 2}");
    assert!(refused(&short(&["--compare", &newer])).contains("another version of sched"));
    assert!(refused(&short(&["--compare", "nothing.json"])).contains("nothing.json"));
    assert!(refused(&["bench", "--compare", "a,b,c"]).contains("one file, or two"));
}

#[test]
fn mistakes_in_arguments_are_said() {
    let cases: &[(&[&str], &str)] = &[
        (&["--runs=0"], "0 is not in 1..=1000000"),
        (&["--warmup=-1"], "invalid value"),
        (&["--quanta=0"], "it takes a whole number from 1"),
        (&["--quanta=5,x"], "it takes a whole number from 1"),
        (&["--pin=100000"], "no such processor"),
        (&["--pin=1000"], "cannot be used"),
        (&["--log"], "unexpected argument '--log'"),
        (&["--record=x"], "unexpected argument '--record'"),
        (&["--replay=x"], "unexpected argument '--replay'"),
        (&["--run-time=1s"], "leave out --run-time"),
        (&["--slice=1ms"], "leave out --slice"),
        (&["--csv=/no/such/folder/x"], "/no/such/folder/x"),
        (&["--save=/no/such/folder/x"], "/no/such/folder/x"),
    ];
    for (words, message) in cases {
        let error = refused(&[&["bench", "wasm/fib.wat=10"], *words].concat());
        assert!(error.contains(message), "{words:?}: {error}");
    }
    assert!(refused(&["bench", "wasm/nothing.wat"]).contains("nothing.wat"));
}

#[test]
fn a_task_that_traps_is_not_measured() {
    let path = file("bench-trap.wat", "(module (func (export \"main\") unreachable))");
    let error = refused(&["bench", "--runs", "1", "--quanta", "10", &path]);
    assert!(error.contains("it trapped, so there is nothing to measure"), "{error}");
}
