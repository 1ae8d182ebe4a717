//! `sched bench` through the binary: every file that it writes is read back, and what is wrong with an argument is said.

use crate::cli::{Run, command, file, sched};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::{Value, json};
use std::collections::BTreeMap;
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

/// A new folder.
fn new_dir(name: &str) -> String {
    let dir = format!("{}-dir", place(&format!("bench-{name}")));
    // It is there from an earlier test, or not.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a folder");
    dir
}

/// The names in a folder, in order.
fn names(dir: &str) -> Vec<String> {
    let names = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// The error of a call that has to be refused, with nothing on standard output.
fn refused(words: &[&str]) -> String {
    let run = sched(words);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{words:?}: {run:?}");
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
    for word in [
        "context switch (quantum 1)",
        "turnaround of a task",
        "longest wait",
        "recommended quantum: ",
        "█",
        "metering",
        "a suspended task takes",
        "one of which takes",
        "wasmtime",
    ] {
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
    // Nothing was preempted and nobody woken.
    assert_eq!((rows.len(), rows.iter().all(|row| row.len() == 4)), (21, true), "{csv}");
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
    assert_eq!(found, ["switch_ns", "slice_ns", "turnaround_ns"]);
}

/// The texts of a plot, which is well-formed XML; no text, attribute or element is anything that acts.
fn texts(path: &str) -> Vec<String> {
    let svg = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let tree = roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{path}: {error}"));
    let names: Vec<&str> = tree.descendants().map(|node| node.tag_name().name()).collect();
    assert!(names[1] == "svg" && !names.contains(&"script"), "{path}: {names:?}");
    let texts = tree.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or_default().trim().to_string()).collect()
}

#[test]
fn plots_are_pictures_with_named_axes() {
    let dir = new_dir("plots");
    let run = sched(&short(&["--plots", &dir, "--format", "json"]));
    let report = run.json();
    assert_eq!(names(&dir), ["quantum-curve.svg", "slice_ns.svg", "switch_ns.svg", "turnaround_ns.svg"]);
    let curve = texts(&format!("{dir}/quantum-curve.svg"));
    for text in [
        "quantum (fuel)",
        "million fuel a second",
        "time (log scale)",
        "throughput",
        "longest wait for a turn",
        "longest slice",
        "recommended",
        "1,000",
    ] {
        assert!(curve.iter().any(|t| t == text), "{text}: {curve:?}");
    }
    let slice = texts(&format!("{dir}/slice_ns.svg"));
    let title = format!("Slice: {} measured", report["slice_ns"]["count"]);
    for text in [&*title, "percentile", "time (log scale)", "90 %"] {
        assert!(slice.iter().any(|t| t == text), "{text}: {slice:?}");
    }
    // A point for each quantum in each plot; longest slices are triangles.
    let svg = fs::read_to_string(format!("{dir}/quantum-curve.svg")).expect("written");
    let tree = roxmltree::Document::parse(&svg).expect("XML");
    assert_eq!(tree.descendants().filter(|node| node.has_tag_name("circle")).count(), 4);
    assert_eq!(run.code, 0);
}

#[test]
fn a_file_is_written_whole_and_nothing_is_left_beside_it() {
    let dir = new_dir("whole");
    assert_eq!(sched(&short(&["--csv", &format!("{dir}/a.csv")])).code, 0);
    assert_eq!(names(&dir), ["a.csv"]);
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

/// A short measurement of tasks of which some sleep, three times each, in a run that is always the same.
const SLEEPY: &[&str] =
    &["bench", "--runs=2", "--warmup=1", "--quanta=1_000", "--deterministic", "wasm/sleeper.wat=1000,3"];

#[test]
fn a_wake_up_is_measured_where_somebody_is_woken() {
    let (csv, save) = (place("woken.csv"), place("woken.json"));
    let run = sched(&[SLEEPY, &["wasm/fib.wat=15", "--format=json", "--csv", &csv, "--save", &save]].concat());
    let report = run.json();
    assert_eq!((run.code, run.err.as_str(), &report["wakeup_ns"]["count"]), (0, "", &json!(6)), "{report}");
    let rows = fs::read_to_string(csv).expect("written");
    assert_eq!(rows.lines().filter(|row| row.starts_with("wakeup_ns,") && row.ends_with(",6")).count(), 7, "{rows}");
    let saved: Value = serde_json::from_str(&fs::read_to_string(save).expect("written")).expect("JSON");
    assert_eq!(saved["samples"]["wakeup_ns"].as_array().map(Vec::len), Some(2), "{saved}");
    let human = sched(&[SLEEPY, &["wasm/fib.wat=15"]].concat());
    assert!(human.out.contains(" wake-up to the next slice "), "{human:?}");
    let nobody = sched(&short(&["--format=json"])).json();
    assert_eq!(nobody["wakeup_ns"], json!(null));
}

#[test]
fn the_curve_says_how_long_a_ready_task_waits() {
    let report = sched(&short(&["wasm/main.wat", "--format=json"])).json();
    for point in report["curve"].as_array().expect("points") {
        // Two tasks that take turns: each waits while the other runs.
        assert!(point["longest_wait_ns"].as_u64().is_some_and(|ns| ns > 0), "{report}");
    }
}

#[test]
fn a_suspended_task_takes_memory() {
    let report = sched(&short(&["wasm/main.wat", "--format=json"])).json();
    let memory = &report["memory"];
    if cfg!(target_os = "linux") {
        // A stack is a page at least.
        assert!(memory["bytes"].as_u64().is_some_and(|bytes| (4096..1 << 20).contains(&bytes)), "{report}");
        assert_eq!(memory["tasks"], 100, "the two of them, fifty times");
    } else {
        assert_eq!(memory, &json!(null));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_data_of_a_task_is_part_of_its_memory() {
    let module = format!(
        "(module (memory 16) (data (i32.const 0) \"{}\") (func (export \"main\") (loop (br 0))))",
        "x".repeat(600_000)
    );
    let path = file("bench-data.wat", module);
    let report = sched(&short(&["--fuel=1_000_000", "--format=json", &path])).json();
    // The half of it is the other task's, which has none; it is more than 64 MiB before there are 100, but for one.
    let (bytes, tasks) = (report["memory"]["bytes"].as_u64(), report["memory"]["tasks"].as_u64());
    assert!(bytes.is_some_and(|bytes| (300_000..1 << 20).contains(&bytes)) && tasks == Some(100), "{report}");
}

#[test]
fn tasks_that_wait_are_suspended_as_well() {
    let report = sched(&[SLEEPY, &["--format=json"]].concat()).json();
    assert_eq!(report["memory"]["tasks"], if cfg!(target_os = "linux") { json!(100) } else { json!(null) });
}

#[test]
fn without_a_suspended_task_there_is_no_memory_of_one() {
    let path = file("bench-nothing.wat", "(module (func (export \"main\")))");
    let report =
        sched(&["bench", "--runs=1", "--warmup=0", "--quanta=1_000", "--format=json", "--fuel=1", &path]).json();
    assert_eq!(report["memory"], json!(null), "it ends at its first yield point");
}

#[test]
fn counters_are_there_or_it_is_said_why_not() {
    let report = sched(&short(&["--format=json"])).json();
    let counters = &report["counters"];
    if counters.is_null() {
        assert!(report["counters_unavailable"].as_str().is_some_and(|why| !why.is_empty()), "{report}");
        assert!(sched(&short(&[])).out.contains("\nno hardware counters: "));
    } else {
        assert_eq!(report["counters_unavailable"], json!(null));
        for name in ["cycles", "instructions", "cache_misses", "branch_misses"] {
            assert!(counters[name].is_u64(), "{report}");
        }
    }
}

#[test]
fn the_clock_is_named_and_what_it_costs_is_said() {
    let report = sched(&short(&["--format=json"])).json();
    let trusted =
        fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource").unwrap_or_default();
    if !["tsc", "arch_sys_counter"].contains(&trusted.trim()) {
        assert_eq!(report["clock"], "system's clock");
    }
    let names = [json!("cycle counter"), json!("system's clock")];
    assert!(names.contains(&report["clock"]) && report["clock_read_ns"].as_u64() > Some(0), "{report}");
}

/// The lines of a file of samples, without the first.
fn samples(path: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).expect("written");
    assert!(text.ends_with('\n'), "whole lines only");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("run,task,slice,why,grant,fuel,overshoot,start_ns,length_ns,end"));
    lines.map(|line| line.split(',').map(String::from).collect()).collect()
}

#[test]
fn each_slice_is_a_line_of_the_samples() {
    let path = place("samples.csv");
    let words =
        ["bench", "--runs=2", "--warmup=1", "--quanta=1_000", "--quantum=100", "--format=json", "--samples", &path];
    let run = sched(&[&words[..], &["wasm/fib.wat=8", "wasm/divide-by-zero.wat:none=1"]].concat());
    assert_eq!(run.code, 2, "{run:?}");
    let run = sched(&[&words[..], &["wasm/fib.wat=8", "wasm/main.wat"]].concat());
    let (report, lines) = (run.json(), samples(&path));
    let number = |line: &Vec<String>, column: usize| -> u64 { line[column].parse().expect("a number") };
    let mut runs: BTreeMap<u64, Vec<&Vec<String>>> = BTreeMap::new();
    lines.iter().for_each(|line| runs.entry(number(line, 0)).or_default().push(line));
    assert_eq!(runs.keys().collect::<Vec<_>>(), [&1, &2], "no line of the warm-up");
    for lines in runs.values() {
        // Every slice is there, in order, and the fuel is the run's.
        assert_eq!(
            lines.iter().map(|line| number(line, 5)).sum::<u64>(),
            report["work"]["fuel"].as_u64().expect("fuel")
        );
        assert!(lines.iter().map(|line| number(line, 7)).is_sorted(), "{lines:?}");
        for task in [0, 1] {
            let of: Vec<&&Vec<String>> = lines.iter().filter(|line| number(line, 1) == task).collect();
            assert!(of.iter().map(|line| number(line, 2)).eq(1..=of.len() as u64), "{of:?}");
            let ends: Vec<&str> = of.iter().map(|line| line[9].as_str()).collect();
            let (last, before) = ends.split_last().expect("slices");
            assert!(*last == "ended" && before.iter().all(|end| *end == "preempted"), "{ends:?}");
        }
        for line in lines {
            assert_eq!(number(line, 6), number(line, 5).saturating_sub(number(line, 4)), "{line:?}");
        }
    }
    let steady = |run: u64| runs[&run].iter().map(|line| [&line[1..7], &line[9..]].concat()).collect::<Vec<_>>();
    assert_eq!(steady(1), steady(2));
}

/// Sends Ctrl-C to a measurement once it is in its second round, as its samples show; says what it came to.
#[cfg(unix)]
fn interrupted(words: &[&str], samples: &str) -> Run {
    use std::process::{Command, Stdio};
    let mut child = command();
    child.args(["bench", "--runs=1000000", "--warmup=0", "--quanta=1_000", "--samples", samples]).args(words);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let second = || fs::read_to_string(samples).is_ok_and(|text| text.contains("\n2,"));
    for _ in 0..6_000 {
        if second() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("there is a kill");
    assert!(sent.success() && second());
    child.wait_with_output().expect("it ends").into()
}

#[cfg(unix)]
#[test]
fn after_ctrl_c_there_are_whole_files_and_the_rounds_so_far() {
    let dir = new_dir("interrupted");
    let at = |name: &str| format!("{dir}/{name}");
    let (csv, save, log, lines) = (at("a.csv"), at("a.json"), at("a.hlog"), at("a.samples"));
    let (plots, hgrm) = (at("plots"), at("hgrm"));
    let words = ["--csv", &csv, "--save", &save, "--hdr-log", &log, "--plots", &plots, "--hgrm", &hgrm];
    let run = interrupted(&[&words[..], &["--format=json", "wasm/fib.wat=10"]].concat(), &lines);
    let report = run.json();
    assert_eq!((run.code, run.err.as_str()), (130, ""), "{run:?}");
    let runs = report["runs"].as_u64().expect("a number");
    assert!((1..1_000_000).contains(&runs), "{report}");
    let saved: Value = serde_json::from_str(&fs::read_to_string(&save).expect("written")).expect("JSON");
    assert_eq!(saved["samples"]["preempted_ns"].as_array().map(|all| all.len() as u64), Some(runs));
    assert_eq!(fs::read_to_string(&csv).expect("written").lines().count(), 22);
    assert!(texts(&format!("{plots}/quantum-curve.svg")).contains(&"recommended".to_string()));
    assert!(samples(&lines).iter().all(|line| line.len() == 10));
    assert_eq!(names(&dir), ["a.csv", "a.hlog", "a.json", "a.samples", "hgrm", "plots"]);
    let distributions = ["slice_ns", "switch_ns", "turnaround_ns"];
    assert_eq!(names(&hgrm), distributions.map(|name| format!("{name}.hgrm")));
    assert_eq!(names(&plots).len(), 1 + distributions.len());
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
    tree["settings"]["clock"] = json!("a sundial");
    let other = file("other.json", tree.to_string());
    let run = sched(&["bench", "--compare", &format!("{other},{one}")]);
    assert!(run.out.contains("warning: another machine") && run.out.contains("another setting, quantum"), "{run:?}");
    assert!(run.out.contains("another setting, clock: before, a sundial"), "{run:?}");
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
        (&["--runs=x"], "invalid value"),
        (&["--warmup=-1"], "invalid value"),
        (&["--warmup=1000001"], "1000001 is not in 0..=1000000"),
        (&["--format=xml"], "[possible values: human, json]"),
        (&["--compare="], "a value is required"),
        (&["--memory"], "--density"),
        (&["--density=0"], "it takes a whole number from 1"),
        (&["--density=5", "--samples=x"], "cannot be used with"),
        (&["--density=5", "--plots=x"], "cannot be used with"),
        (&["--quanta=0"], "it takes a whole number from 1"),
        (&["--quanta=5,x"], "it takes a whole number from 1"),
        (&["--pin=100000"], "no such processor"),
        (&["--pin=x"], "invalid value"),
        (&["--pin=1000"], "cannot be used"),
        (&["--log"], "unexpected argument '--log'"),
        (&["--record=x"], "unexpected argument '--record'"),
        (&["--replay=x"], "unexpected argument '--replay'"),
        (&["--run-time=1s"], "leave out --run-time"),
        (&["--slice=1ms"], "leave out --slice"),
        (&["--csv=/no/such/folder/x"], "/no/such/folder/x"),
        (&["--save=/no/such/folder/x"], "/no/such/folder/x"),
        (&["--hdr-log=/no/such/folder/x"], "/no/such/folder/x"),
        (&["--hgrm=README.md/x"], "README.md/x"),
        (&["--plots=README.md"], "README.md"),
        (&["--csv=docs"], "docs: this is a folder"),
        (&["--csv="], "a file without a name"),
        (&["--samples=/no/such/folder/x"], "/no/such/folder/x"),
        (&["--csv=two.csv", "--save=two.csv"], "two.csv: --csv and --save are to write the same file"),
        (&["--samples=docs"], "docs: this is a folder"),
        (&["--plots="], "a folder without a name"),
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
