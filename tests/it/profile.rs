//! `--profile`, through the binary, and `Executor::stack` below it.

use crate::cli::{command, file, sched, sched_json};
use crate::support::{guest_path, i32s};
use fuelsched::policy::RoundRobin;
use fuelsched::{Engine, EngineConfig, ErrorKind, Executor, Fuel, Module, SliceEnd, Step};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};

/// A path for a profile.
fn path(name: &str) -> String {
    std::env::temp_dir().join(format!("fuelsched-profile-{}-{name}", std::process::id())).display().to_string()
}

/// The profile of a run, its report, and then neither is left on disk.
fn profile(name: &str, words: &[&str]) -> (String, Value) {
    let path = path(name);
    let (_, report) = sched_json(&[&["--profile", &path], words].concat());
    let text = fs::read_to_string(&path).expect("a profile");
    let _ = fs::remove_file(path);
    (text, report)
}

/// The fuel of each task, by a folded profile.
fn by_task(folded: &str) -> BTreeMap<String, u64> {
    let mut tasks = BTreeMap::new();
    for line in folded.lines() {
        let (stack, fuel) = line.rsplit_once(' ').expect("a stack and a number");
        let task = stack.split(';').next().expect("a task").to_string();
        *tasks.entry(task).or_default() += fuel.parse::<u64>().expect("a number");
    }
    tasks
}

/// The fuel of each task, by a report.
fn reported(report: &Value) -> BTreeMap<String, u64> {
    let task = |task: &Value| {
        (task["name"].as_str().expect("a name").to_string(), task["fuel"]["used"].as_u64().expect("fuel"))
    };
    report["tasks"].as_array().expect("tasks").iter().map(task).collect()
}

#[test]
fn a_small_run_has_this_profile_every_time() {
    let words = ["--quantum", "60", "wasm/fib.wat=5", "wasm/debug/lines.wasm=9"];
    let (text, report) = profile("small.folded", &words);
    let expected = "\
fib;(to its end) 18
fib;fib;fib;fib 69
fib;fib;fib;fib;fib 59
lines;(to its end) 17
lines;main_;even 474
lines;main_;odd 134
";
    assert_eq!(text, expected);
    assert_eq!(by_task(&text), reported(&report));
    assert_eq!(profile("again.folded", &words).0, expected);
}

#[test]
fn what_is_no_function_has_a_name_of_its_own() {
    let (text, report) = profile("channels.folded", &["--plan", "docs/plans/channels.toml"]);
    assert_eq!(by_task(&text), reported(&report));
    for part in ["consumer;(starting) ", "consumer;(until it waits) ", "producer;(to its end) "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn plans_give_their_fuel_away_to_the_last_unit() {
    for plan in ["cyclic", "edf", "lottery", "mlfq", "priority", "round-robin", "weighted"] {
        let path = format!("docs/plans/{plan}.toml");
        let (text, report) = profile(&format!("{plan}.folded"), &["--plan", &path]);
        let used: u64 = by_task(&text).values().sum();
        // Tasks that are started again are one in the profile and one in the report.
        assert_eq!(used, report["totals"]["fuel"].as_u64().unwrap(), "{plan}");
    }
}

#[test]
fn a_replay_has_the_profile_of_its_run() {
    let (recording, path) = (path("run.rec"), path("replayed.folded"));
    let words = ["--record", &recording, "--plan", "docs/plans/channels.toml"];
    let (text, _) = profile("recorded.folded", &words);
    let run = sched(&["run", "-q", "--replay", &recording, "--profile", &path]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let _ = (fs::remove_file(path), fs::remove_file(recording));
}

#[test]
fn a_flame_graph_has_all_functions_and_is_well_formed() {
    let words = ["--quantum", "60", "wasm/fib.wat=5", "wasm/debug/lines.wasm=9"];
    let (text, _) = profile("flame.svg", &words);
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(&text, options).expect("XML");
    let titles: Vec<&str> =
        document.descendants().filter(|node| node.has_tag_name("title")).filter_map(|node| node.text()).collect();
    for title in ["all (771 fuel, 100%)", "odd (134 fuel, 17.38%)", "(to its end) (17 fuel, 2.20%)"] {
        assert!(titles.contains(&title), "{title}: {titles:?}");
    }
    assert_eq!(profile("again.svg", &words).0, text);
}

/// What a thread of a Firefox profile comes to: its name, and its weights by stack.
fn thread(whole: &Value, thread: &Value) -> (String, BTreeMap<Vec<String>, u64>) {
    let index = |table: &str, column: &str, row: u64| thread[table][column][row as usize].clone();
    let strings = &whole["shared"]["stringArray"];
    let strings = if strings.is_null() { &thread["stringArray"] } else { strings };
    let name = |stack: u64| {
        let function = index("frameTable", "func", index("stackTable", "frame", stack).as_u64().unwrap());
        let name = index("funcTable", "name", function.as_u64().unwrap()).as_u64().unwrap();
        strings[name as usize].as_str().unwrap().to_string()
    };
    let mut weights = BTreeMap::new();
    let samples = &thread["samples"];
    let columns = ["stack", "weight"].map(|column| samples[column].as_array().unwrap().clone());
    for (stack, weight) in columns[0].iter().zip(&columns[1]) {
        let mut path = Vec::new();
        let mut at = stack.as_u64();
        while let Some(stack) = at {
            path.insert(0, name(stack));
            at = index("stackTable", "prefix", stack).as_u64();
        }
        *weights.entry(path).or_default() += weight.as_u64().unwrap();
    }
    (thread["name"].as_str().unwrap().into(), weights)
}

#[test]
fn the_firefox_profiler_gets_a_thread_a_task_with_lines() {
    let words = ["--quantum", "60", "wasm/fib.wat=5", "wasm/debug/lines.wasm=9"];
    let (text, report) = profile("firefox.json", &words);
    let whole: Value = serde_json::from_str(&text).expect("JSON");
    let threads: BTreeMap<_, _> = whole["threads"].as_array().unwrap().iter().map(|one| thread(&whole, one)).collect();
    let sums: BTreeMap<String, u64> = threads.iter().map(|(name, all)| (name.clone(), all.values().sum())).collect();
    assert_eq!(sums, reported(&report));
    let lines: Vec<&str> = threads["lines"].keys().filter_map(|stack| stack.last()).map(String::as_str).collect();
    assert_eq!(lines, ["(to its end)", "even (./lines.c:10)", "even (./lines.c:8)", "odd (./lines.c)"]);
    let times: Vec<f64> = whole["threads"][0]["samples"]["timeDeltas"]
        .as_array()
        .or(whole["threads"][0]["samples"]["time"].as_array())
        .unwrap()
        .iter()
        .map(|time| time.as_f64().unwrap())
        .collect();
    assert!(times.iter().all(|time| *time >= 0.0), "{times:?}");
    assert_eq!(profile("again.json", &words).0, text);
}

#[test]
fn hostile_names_stay_names() {
    let wat = r#"(module
        (func $f (@name "a;b </svg> \1b[2J \n \"&amp;") (param i32)
            (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "main") (call $f (i32.const 100))))"#;
    let module = file("hostile <name>;.wat", wat);
    let (text, report) = profile("hostile.folded", &["--quantum", "50", &module]);
    assert_eq!(by_task(&text).values().sum::<u64>(), report["totals"]["fuel"].as_u64().unwrap());
    assert!(text.lines().all(|line| line.split(';').count() <= 3), "{text:?}");
    assert!(text.contains(r"a:b </svg> \u{1b}[2J"), "{text:?}");
    let (svg, _) = profile("hostile.svg", &["--quantum", "50", &module]);
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    roxmltree::Document::parse_with_options(&svg, options).expect("XML");
    let (json, _) = profile("hostile.json", &["--quantum", "50", &module]);
    serde_json::from_str::<Value>(&json).expect("JSON");
}

#[test]
fn a_recursion_bomb_is_cut_and_a_profile_is_whole_after_an_interrupt() {
    let (text, report) = profile("deep.folded", &["--quantum", "1000", "wasm/recurse.wat=0"]);
    assert_eq!(by_task(&text), reported(&report));
    assert!(text.contains(";(deeper);"), "{text}");
    assert!(text.lines().all(|line| line.split(';').count() <= 258));

    let path = path("interrupted.svg");
    let mut endless = command();
    endless.args(["run", "--profile", &path, "wasm/spin.wat", "--log"]);
    let mut child = endless.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    // It has begun: there is something to read.
    let mut log = child.stderr.take().expect("piped");
    std::io::Read::read_exact(&mut log, &mut [0; 200]).expect("some of a log");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let svg = fs::read_to_string(&path).expect("a profile");
    assert!(svg.contains("spin") && svg.trim_end().ends_with("</svg>"));
    let _ = fs::remove_file(path);
}

#[test]
fn mistakes_are_said_before_anything_runs() {
    let run = sched(&["run", "--profile", "no/such/folder.svg", "wasm/main.wat"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    assert!(run.err.contains("cannot write a profile to no/such/folder.svg"), "{run:?}");
    for words in [
        &["--profile", "x", "--workers", "2"][..],
        &["--profile-format", "svg"],
        &["--profile", "x", "--profile-format", "pdf"],
    ] {
        let run = sched(&[&["run", "wasm/main.wat"], words].concat());
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{words:?}: {run:?}");
    }
    if cfg!(target_os = "linux") {
        let run = sched(&["run", "--profile", "/dev/full", "wasm/main.wat"]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.err.contains("the profile is not complete: /dev/full"), "{run:?}");
    }
}

/// An engine that keeps so many frames.
fn engine(frames: usize) -> Engine {
    Engine::new(&EngineConfig::default().stack_frames(NonZeroUsize::new(frames).unwrap())).unwrap()
}

#[test]
fn a_suspended_guest_tells_where_it_is() {
    let fib = Module::from_file(&engine(3), guest_path("fib")).unwrap();
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(100))).build();
    let id = sched.spawn(fib.call("main", &i32s([9])).inspectable()).unwrap();
    let unasked = sched.spawn(fib.call("main", &i32s([9]))).unwrap();
    assert!(matches!(sched.stack(id).unwrap_err().kind(), ErrorKind::NotStarted(_)));
    let (_, _) = (sched.step(), sched.step());
    let stack = sched.stack(id).unwrap();
    assert_eq!(stack.iter().map(ToString::to_string).collect::<Vec<_>>(), ["fib"; 3], "no more than the engine keeps");
    assert!(stack.iter().all(|frame| frame.function == 0 && frame.offset.is_some() && frame.source.is_none()));
    assert!(matches!(sched.stack(unasked).unwrap_err().kind(), ErrorKind::NotInspectable(_)));
    let (used, now) = (sched.ledger(id).unwrap().used, sched.now());
    sched.stack(id).unwrap();
    assert_eq!((sched.ledger(id).unwrap().used, sched.now()), (used, now), "asking costs nothing");
    sched.run();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever is asked, however often: the schedule and the fuel are those of tasks that are not.
    #[test]
    fn asking_changes_nothing(quantum in 1u64..400, n in 3i32..12, every in 1usize..4) {
        let fib = Module::from_file(&engine(8), guest_path("fib")).unwrap();
        let run = |asked: bool| {
            let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
            for n in [n, n + 1] {
                let task = fib.call("main", &i32s([n]));
                sched.spawn(if asked { task.inspectable() } else { task }).unwrap();
            }
            let mut slices = Vec::new();
            while let Step::Ran(slice) = sched.step() {
                if asked && slices.len() % every == 0 && slice.end == SliceEnd::Preempted {
                    assert!(!sched.stack(slice.id).unwrap().is_empty());
                }
                slices.push((slice.spawn_index, slice.grant, slice.used, slice.end));
            }
            slices
        };
        prop_assert_eq!(run(true), run(false));
    }
}
