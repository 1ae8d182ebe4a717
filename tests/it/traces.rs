//! `--trace`, `--timeline`, `--timeline-svg` and `sched trace`, through the binary. What they write is read by readers of other people's, and held
//! against the rules of its format.

use crate::cli::{Folder, command, file, sched, sched_json};
use roxmltree::{Document, Node};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A slice, or a wait, of a trace: when it begins and ends, on which track.
type Span = (f64, f64);

/// A trace that has been read and held against the rules.
#[derive(Debug)]
struct Trace {
    /// The whole object.
    whole: Value,
    /// The slices, by track.
    slices: BTreeMap<u64, Vec<Value>>,
    /// The tracks' names.
    names: BTreeMap<u64, String>,
    /// The arrows: what they are, from which track to which.
    arrows: Vec<(String, u64, u64)>,
}

/// A number of an event.
fn number(event: &Value, field: &str) -> f64 {
    event[field].as_f64().unwrap_or_else(|| panic!("{field} of {event}"))
}

/// Reads a trace, by the rules of the Trace Event format.
fn read(path: &str) -> Trace {
    let whole: Value = serde_json::from_str(&fs::read_to_string(path).expect(path)).expect("JSON");
    let known = ["traceEvents", "displayTimeUnit", "otherData"];
    assert!(whole.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())));
    assert!(["ms", "ns"].contains(&whole["displayTimeUnit"].as_str().unwrap()));
    let (mut slices, mut names) = (BTreeMap::<u64, Vec<Value>>::new(), BTreeMap::new());
    let (mut begins, mut ends) = (HashMap::new(), HashMap::new());
    let (mut latest, mut spans) = (HashMap::<(u64, u64, bool), f64>::new(), HashMap::<(u64, u64), Vec<Span>>::new());
    for event in whole["traceEvents"].as_array().unwrap() {
        let [pid, tid] = ["pid", "tid"].map(|field| event[field].as_u64().unwrap_or_else(|| panic!("{event}")));
        let (phase, name) = (event["ph"].as_str().unwrap(), event["name"].as_str().unwrap());
        let at = number(event, "ts");
        assert!(at >= 0.0, "{event}");
        if phase == "M" {
            assert!(["process_name", "thread_name", "process_sort_index", "thread_sort_index"].contains(&name));
            if (pid, name) == (1, "thread_name") {
                names.insert(tid, event["args"]["name"].as_str().unwrap().into());
            }
            continue;
        }
        // Arrows may point back into the slice that has just been written, whose beginning they do not pass.
        let latest = latest.entry((pid, tid, false)).or_default();
        assert!(at >= *latest, "{event}: before {latest}");
        *latest = at;
        match phase {
            "X" => {
                let end = at + number(event, "dur");
                let spans = spans.entry((pid, tid)).or_default();
                // Times are written to the nanosecond, and a sum of them may be off by the last digit.
                assert!(spans.last().is_none_or(|(_, last)| *last <= at + 1e-6), "{event} overlaps {:?}", spans.last());
                spans.push((at, end));
                if event["cat"] == "slice" {
                    slices.entry(tid).or_default().push(event.clone());
                }
            }
            "s" | "f" => {
                assert_eq!(pid, 1, "{event}");
                let key = (event["cat"].to_string(), event["id"].as_u64().unwrap(), name.to_string());
                let ends = if phase == "s" { &mut begins } else { &mut ends };
                assert!(ends.insert(key, (tid, at)).is_none(), "twice: {event}");
                assert_eq!(event["bp"].as_str(), (phase == "f").then_some("e"));
            }
            "C" => assert!(event["args"].as_object().unwrap().values().all(Value::is_number), "{event}"),
            "i" => assert_eq!(event["s"], "t"),
            other => panic!("there is no {other} here"),
        }
    }
    let mut arrows: Vec<_> = begins.iter().collect();
    arrows.sort_by_key(|(key, _)| *key);
    let arrows: Vec<(String, u64, u64)> = arrows
        .into_iter()
        .map(|(key, (from, began))| {
            let (to, ended) = ends.remove(key).unwrap_or_else(|| panic!("{key:?} does not end"));
            assert!(ended >= *began, "{key:?}");
            let inside = |(start, end): &&Span| start <= began && began < end;
            assert!(spans[&(1, *from)].iter().any(|span| inside(&span)), "{key:?} begins in no slice");
            (key.2.clone(), *from, to)
        })
        .collect();
    assert!(ends.is_empty(), "{ends:?} do not begin");
    Trace { whole, slices, names, arrows }
}

impl Trace {
    /// How many slices there are.
    fn count(&self) -> usize {
        self.slices.values().map(Vec::len).sum()
    }

    /// The fuel of all slices.
    fn fuel(&self) -> u64 {
        self.slices.values().flatten().map(|slice| slice["args"]["fuel"].as_u64().unwrap()).sum()
    }

    /// Holds it against the report of the same run.
    fn fits(&self, report: &Value) {
        assert_eq!(self.count(), report["totals"]["slices"], "{report:#}");
        assert_eq!(self.fuel(), report["totals"]["fuel"].as_u64().unwrap());
        assert_eq!(self.whole["otherData"]["digest"], report["digest"]);
        assert_eq!(self.whole["otherData"]["ended_by"], report["ended_by"]);
        let last = |tid: u64| self.slices.get(&tid).and_then(|slices| slices.last()).map(|slice| slice["name"].clone());
        for (tid, name) in &self.names {
            let is = |task: &&Value| task["name"] == name.as_str();
            let Some(task) = report["tasks"].as_array().unwrap().iter().find(is) else { panic!("{name}") };
            let ended = ["returned", "exited", "trapped"].map(Value::from).contains(&task["outcome"]);
            // A task that was started again is told of by its last life.
            if ended && task["restarts"].as_u64().unwrap_or(0) == 0 {
                assert_eq!(last(*tid), Some(task["outcome"].clone()), "{name}");
            }
        }
    }
}

#[test]
fn traces_of_all_plans_keep_the_rules_of_the_format_by_either_clock() {
    let folder = Folder::new("traces-plans");
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans");
    for plan in fs::read_dir(plans).expect("the folder of plans") {
        let plan = plan.expect("a plan").path().display().to_string();
        for clock in ["fuel", "time"] {
            let path = folder.file("run.json");
            let (_, report) = sched_json(&["--plan", &plan, "--trace", &path, "--trace-clock", clock]);
            read(&path).fits(&report);
        }
    }
}

#[test]
fn windows_of_a_cyclic_policy_have_a_track() {
    let folder = Folder::new("traces-windows");
    let path = folder.file("run.json");
    // The second window of three is overrun, and begins and ends where the table says all the same.
    let plan = ["--plan", "docs/lab/overrun.toml", "--run-fuel", "200_000"];
    let windows = |clock: &str| -> Vec<Value> {
        let code = sched(&[&["run", "-q", "--trace", &path, "--trace-clock", clock], &plan[..]].concat()).code;
        let whole = read(&path).whole;
        assert_eq!(code, 0);
        let events = whole["traceEvents"].as_array().unwrap().iter();
        events.filter(|event| event["pid"] == 2 && event["tid"] == 2 && event["ph"] != "M").cloned().collect()
    };
    let by_fuel = windows("fuel");
    let spans: Vec<[u64; 4]> = by_fuel
        .iter()
        .map(|event| {
            let [frame, window] = ["frame", "window"].map(|field| event["args"][field].as_u64().unwrap());
            [frame, window, event["ts"].as_u64().unwrap(), event["dur"].as_u64().unwrap()]
        })
        .collect();
    let expected = [
        [0, 0, 0, 10_000],
        [0, 1, 10_000, 60_000],
        [0, 2, 70_000, 20_000],
        [1, 0, 100_000, 10_000],
        [1, 1, 110_000, 60_000],
        [1, 2, 170_000, 20_000],
    ];
    assert_eq!(spans[..6], expected);
    // By time it is known when somebody first ran in each.
    let by_time = windows("time");
    assert!(by_time.iter().all(|event| event["ph"] == "i"));
    let args = |events: &[Value]| events.iter().map(|event| event["args"].clone()).collect::<Vec<_>>();
    assert_eq!(args(&by_time), args(&by_fuel));
}

#[test]
fn by_fuel_a_trace_is_the_same_byte_by_byte() {
    let folder = Folder::new("traces-bytes");
    let trace = |name: &str| {
        let path = folder.file(name);
        let plan = ["--plan", "docs/plans/channels.toml", "--trace-clock", "fuel"];
        assert_eq!(sched(&[&["run", "-q", "--trace", &path], &plan[..]].concat()).code, 0);
        fs::read(path).unwrap()
    };
    let first = trace("a.json");
    assert!(first == trace("b.json"));
    // No clock is in it, and what is at the end of one slice is where the next begins.
    let trace = read(&folder.file("a.json"));
    assert!(trace.slices.values().flatten().all(|slice| slice["ts"].is_u64() && slice["dur"].is_u64()));
    let mut spans: Vec<(u64, u64)> = trace
        .slices
        .values()
        .flatten()
        .map(|slice| (slice["ts"].as_u64().unwrap(), slice["dur"].as_u64().unwrap()))
        .collect();
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
}

#[test]
fn arrows_go_from_who_sends_to_who_receives() {
    let folder = Folder::new("traces-arrows");
    let path = folder.file("run.json");
    sched_json(&["--plan", "docs/plans/channels.toml", "--trace", &path, "--trace-clock", "fuel"]);
    let trace = read(&path);
    // The producer is the first task: five messages. The consumer waits for each, and for the end of them.
    let mut kinds: BTreeMap<(&str, u64, u64), usize> = BTreeMap::new();
    for (kind, from, to) in &trace.arrows {
        *kinds.entry((kind, *from, *to)).or_default() += 1;
    }
    assert_eq!(kinds[&("message", 1, 2)], 5, "{kinds:?}");
    assert_eq!(kinds[&("wake", 1, 2)], 5, "{kinds:?}");
    assert!(kinds.keys().all(|(_, from, to)| *from <= 2 && *to <= 2), "nobody wakes the sleeper: {kinds:?}");
}

/// A guest that traps, one that ends, and one that does not.
const MIXED: [&str; 3] = ["wasm/unreachable.wat", "wasm/fib.wat=12", "wasm/spin.wat"];

#[test]
fn a_trace_is_whole_however_the_run_ends() {
    let folder = Folder::new("traces-ends");
    let path = folder.file("run.json");
    for limit in [["--run-fuel", "100_000"], ["--run-time", "50ms"], ["--fuel", "30_000"]] {
        let (_, report) = sched_json(&[&limit[..], &["--quantum", "500", "--trace", &path], &MIXED[..]].concat());
        read(&path).fits(&report);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_whole_files() {
    let folder = Folder::new("traces-interrupt");
    let (json, svg) = (folder.file("run.json"), folder.file("run.svg"));
    let mut endless = command();
    endless.args([
        "run",
        "--quantum",
        "100_000",
        "--trace",
        &json,
        "--timeline",
        "--timeline-svg",
        &svg,
        "wasm/spin.wat",
    ]);
    let child = endless.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    // Slices are written, so the run is ready to be interrupted.
    while fs::metadata(&json).map_or(0, |file| file.len()) < 100_000 {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = crate::cli::Run::from(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, 130, "{run:?}");
    assert!(run.out.contains("stopped") && run.out.contains("spin ▕██"), "{run:?}");
    let trace = read(&json);
    assert_eq!(trace.whole["otherData"]["ended_by"], "interrupt");
    assert!(trace.count() > 100);
    Document::parse(&fs::read_to_string(svg).unwrap()).expect("a whole picture");
}

#[cfg(unix)]
#[test]
fn what_was_read_until_an_interrupt_is_shown() {
    use std::io::Write as _;
    let folder = Folder::new("traces-half");
    let (recording, pipe, json) = (folder.file("run.rec"), folder.file("pipe"), folder.file("run.json"));
    sched(&["run", "-q", "--quantum", "100", "--record", &recording, "wasm/main.wat"]);
    let bytes = fs::read(&recording).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = command()
        .args(["trace", &pipe, "--chrome", &json, "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // That it opens means that somebody reads: then Ctrl-C is looked for.
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(&bytes[..bytes.len() / 2]).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    // The read that waits goes on, and after it the flag is seen.
    let _ = writer.write_all(&bytes[bytes.len() / 2..]);
    drop(writer);
    let run = crate::cli::Run::from(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, 130, "{run:?}");
    assert!(run.err.contains("interrupted, so only a part of it was read"), "{run:?}");
    let told: Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!(told["complete"], false);
    assert_eq!(read(&json).whole["otherData"]["ended_by"], "interrupt");
}

#[test]
fn each_worker_has_its_part_of_a_trace() {
    let folder = Folder::new("traces-workers");
    let trace = |name: &str, clock: &str| {
        let path = folder.file(name);
        let args = ["--workers", "2", "--trace", &path, "--trace-clock", clock, "--quantum", "1000"];
        let tasks = ["wasm/fib.wat=12", "wasm/main.wat", "wasm/fib.wat=5"];
        let (_, report) = sched_json(&[&args[..], &tasks].concat());
        (fs::read_to_string(path).unwrap(), report)
    };
    let (text, report) = trace("a.json", "fuel");
    assert!(text == trace("b.json", "fuel").0, "it is the same in every run");
    let whole: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(whole["otherData"]["digest"], report["digest"]);
    let events = whole["traceEvents"].as_array().unwrap();
    let named = |what: &str| -> Vec<(u64, String)> {
        let named = events.iter().filter(|event| event["name"] == what);
        named.map(|event| (event["pid"].as_u64().unwrap(), event["args"]["name"].as_str().unwrap().into())).collect()
    };
    let processes = ["worker 0: tasks", "worker 0: executor", "worker 1: tasks", "worker 1: executor"];
    assert_eq!(named("process_name"), (1..).zip(processes.map(String::from)).collect::<Vec<_>>());
    let threads: Vec<_> = named("thread_name").into_iter().filter(|(_, name)| name != "executor").collect();
    assert_eq!(threads, [(1, "fib[0]".to_string()), (1, "fib[1]".into()), (3, "main".into())]);
    for (worker, pid) in [(0, 1), (1, 3)] {
        let slices = events.iter().filter(|event| event["cat"] == "slice" && event["pid"] == pid);
        let fuel: u64 = slices.map(|slice| slice["args"]["fuel"].as_u64().unwrap()).sum();
        assert_eq!(fuel, report["by_worker"][worker]["fuel"].as_u64().unwrap());
    }
    let by_time: Value = serde_json::from_str(&trace("c.json", "time").0).expect("JSON");
    assert_eq!(by_time["otherData"]["clock"], "time");
    let mut left: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a.json", "b.json", "c.json"], "the parts are gone");
    let run = sched(&["run", "--workers", "2", "--trace", "no/such/folder.json", "wasm/main.wat"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
}

#[test]
fn each_worker_has_a_chart() {
    let folder = Folder::new("traces-charts");
    let tasks = ["wasm/fib.wat=12", "wasm/main.wat", "wasm/fib.wat=5"];
    let shown = |more: &[&str]| {
        let run = sched(&[&["run", "-q", "--timeline", "--quantum", "1000"], more, &tasks].concat());
        assert_eq!((run.code, run.err.as_str()), (0, ""));
        run.out
    };
    let alone = |tasks: &[&str]| sched(&[&["run", "-q", "--timeline", "--quantum", "1000"], tasks].concat()).out;
    let (first, second) = (alone(&[tasks[0], tasks[2]]), alone(&[tasks[1]]));
    let both = format!("\nworker 0{first}\nworker 1{second}");
    assert_eq!(shown(&["--workers", "2"]), both);
    // With a trace as well, and where one has nothing to do.
    assert_eq!(shown(&["--workers", "2", "--trace", &folder.file("run.json")]), both);
    assert_eq!(shown(&["--workers", "4"]).matches("\nworker ").count(), 4);
    let both = sched(&["run", "--workers", "2", "--timeline", "--format", "json", "wasm/main.wat"]);
    assert_eq!((both.code, both.out.as_str()), (2, ""));
}

#[test]
fn a_file_that_cannot_be_written_is_refused_and_a_full_disk_is_said() {
    for option in ["--trace", "--timeline-svg"] {
        let run = sched(&["run", option, "no/such/folder.out", "wasm/main.wat"]);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
        assert!(run.err.contains("cannot write a t") && run.err.contains("no/such/folder.out"), "{run:?}");
        if cfg!(target_os = "linux") {
            let run = sched(&["run", option, "/dev/full", "wasm/main.wat"]);
            assert_eq!(run.code, 1, "{run:?}");
            assert!(run.out.contains("returned   10000"), "the result is there: {run:?}");
            assert!(run.err.contains("is not complete: /dev/full: No space left on device"), "{run:?}");
        }
    }
}

#[test]
fn no_result_is_written_over_another_or_over_what_is_read() {
    let folder = Folder::new("traces-apart");
    let (module, plan, out) = (folder.file("m.wat"), folder.file("p.toml"), folder.file("out"));
    fs::copy(format!("{}/wasm/main.wat", env!("CARGO_MANIFEST_DIR")), &module).unwrap();
    fs::write(&plan, "[[task]]\nmodule = \"m.wat\"\n").unwrap();
    let recording = folder.file("r.rec");
    assert_eq!(sched(&["run", "-q", "--record", &recording, &module]).code, 0);
    let around = format!("{}/./out", folder.0.display());
    let refused = [
        (vec!["run", "--trace", &out, "--report", &around, &module], "--trace and --report are to write the same file"),
        (
            vec!["run", "--record", &out, "--profile", &out, &module],
            "--record and --profile are to write the same file",
        ),
        (vec!["run", "--trace", &module, &module], "--trace would write over what is to be read"),
        (vec!["run", "--timeline-svg", &module, "--plan", &plan], "--timeline-svg would write over what is to be read"),
        (vec!["run", "--record", &plan, "--plan", &plan], "--record would write over what is to be read"),
        (vec!["run", "--replay", &recording, "--trace", &recording], "--trace would write over what is to be read"),
        (vec!["trace", &recording, "--chrome", &recording], "--chrome would write over what is to be read"),
        (vec!["trace", &recording, "--svg", &out, "--report", &out], "--svg and --report are to write the same file"),
        (vec!["bench", "--csv", &module, &module], "--csv would write over what is to be read"),
    ];
    let whole = || [&module, &plan, &recording].map(|path| fs::read(path).unwrap());
    let before = whole();
    for (words, said) in refused {
        let run = sched(&words);
        assert!(run.code == 2 && run.out.is_empty() && run.err.contains(said), "{words:?}: {run:?}");
    }
    assert!(whole() == before && !Path::new(&out).exists());
    assert_eq!(sched(&["run", "-q", "--trace", "/dev/null", "--report", "/dev/null", &module]).code, 0);
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let wrong = [
        &["run", "--trace-clock", "fuel", "wasm/main.wat"][..],
        &["run", "--timeline", "--format", "json", "wasm/main.wat"],
        &["trace"],
        &["trace", "no.rec"],
        &["trace", "wasm/fib.wat"],
        &["trace", "diff", "a.rec"],
    ];
    for args in wrong {
        let run = sched(args);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}: {run:?}");
    }
}

/// A plan with a task of that name.
fn plan_named(folder: &Folder, name: &str) -> String {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm/main.wat").display().to_string();
    let path = folder.file("plan.toml");
    let string = |text: &str| Value::from(text).to_string().replace('\u{7f}', "\\u007f");
    fs::write(&path, format!("[[task]]\nname = {}\nmodule = {}\n", string(name), string(&module))).unwrap();
    path
}

#[test]
fn a_hostile_name_stays_a_name() {
    let folder = Folder::new("traces-names");
    let (json, svg, rec) = (folder.file("run.json"), folder.file("run.svg"), folder.file("run.rec"));
    let hostile = "</title><script>alert(1)</script>&\"'\\ \u{1b}[31m\n\u{7f}é▏]]>";
    let plan = plan_named(&folder, hostile);
    let files = ["--trace", &json, "--timeline-svg", &svg, "--record", &rec, "--timeline"];
    let run = sched(&[&["run", "--plan", &plan], &files[..]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.out.contains('\x1b') && run.out.contains("</title><script>alert(1…"), "{}", run.out);
    assert_eq!(read(&json).names[&1], hostile);
    let picture = fs::read_to_string(&svg).unwrap();
    let document = Document::parse(&picture).expect("XML");
    assert!(document.descendants().all(|node| !node.has_tag_name("script")));
    let titles: Vec<&str> =
        document.descendants().filter(|n| n.tag_name().name() == "title").filter_map(|n| n.text()).collect();
    assert!(titles[1].starts_with("</title><script>alert(1)</script>&\"'\\ \u{fffd}[31m"), "{titles:?}");
    for args in [&["trace", &rec][..], &["trace", &rec, "--log"], &["trace", "diff", &rec, &rec]] {
        let run = sched(args);
        assert!(run.code == 0 && !run.out.contains('\x1b'), "{run:?}");
    }
}

#[test]
fn the_timeline_fits_eighty_columns_and_says_what_it_leaves_out() {
    let run = sched(&["run", "-q", "--timeline", "--quantum", "1000", "wasm/fib.wat=10", "wasm/main.wat"]);
    let expected = "
 fib  ▕█▒░                                                            ▏   2.2 %
 main ▕░▓█████████████████████████████████████████████████████████████▏  97.8 %
 fuel  0                           40,884                       81,768
 a column is 1,298 fuel; at the right is each task's part of all fuel
 █ ran over 3/4 of it, ▓ over 1/2, ▒ over 1/4, ░ less; · was ready, ╌ waited
";
    assert_eq!(run.out, expected, "{}", run.out);
    let many = [
        "run",
        "-q",
        "--timeline",
        "--copies",
        "1200",
        "--run-fuel",
        "2_400_000",
        "--quantum",
        "1000",
        "wasm/main.wat",
    ];
    let run = sched(&many);
    let rest = "\n … and 1,180 more tasks, which used 2,359,980 fuel (only the first 1,000 can\n have a row)\n";
    assert!(run.out.contains(rest), "{}", run.out);
    let rows: Vec<&str> = run.out.lines().filter(|line| line.contains('▕')).collect();
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| row.chars().count() == 79), "{}", run.out);
    assert!(run.out.lines().all(|line| line.chars().count() <= 80), "{}", run.out);
}

#[test]
fn a_timeline_of_nothing_says_so() {
    let module = file("start-traps.wat", "(module (func (export \"main\") unreachable))");
    let run = sched(&["run", "-q", "--timeline", "--plan", "docs/plans/priority.toml", "--run-fuel", "1"]);
    assert!(run.out.contains("▕"), "{run:?}");
    let run = sched(&["run", "-q", "--timeline", &module]);
    assert!(run.out.contains("main") || run.out.contains("start-traps"), "{run:?}");
}

/// The elements of a picture with this class.
fn of_class<'a>(document: &'a Document<'a>, class: &str) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

#[test]
fn the_picture_has_a_row_a_task_and_its_text_is_text() {
    let folder = Folder::new("traces-svg");
    let svg = folder.file("run.svg");
    let run = sched(&["run", "-q", "--plan", "docs/plans/channels.toml", "--timeline-svg", &svg]);
    assert_eq!(run.code, 0, "{run:?}");
    let picture = fs::read_to_string(&svg).unwrap();
    let document = Document::parse(&picture).expect("XML");
    assert!(document.root_element().has_tag_name(("http://www.w3.org/2000/svg", "svg")));
    let texts: Vec<&str> =
        document.descendants().filter(|n| n.tag_name().name() == "text").filter_map(|n| n.text()).collect();
    for text in ["producer", "consumer", "sleeper", "idle", "fuel", "waited"] {
        assert!(texts.contains(&text), "{texts:?}");
    }
    // A row each, and an entry of the legend.
    assert_eq!([of_class(&document, "ran").len(), of_class(&document, "there").len()], [4, 4]);
    // The sleeper and those that wait for messages.
    assert!(of_class(&document, "waits").len() >= 2);
    let [width, height] =
        ["width", "height"].map(|name| document.root_element().attribute(name).unwrap().parse::<f64>().unwrap());
    assert!(width <= 900.0 && height < 300.0);
    for bar in of_class(&document, "ran").iter().filter_map(|bar| bar.attribute("d")) {
        assert!(bar.starts_with('M') && bar.ends_with('z') && !bar.contains("NaN"), "{bar}");
    }
}

/// A recording of the mixed guests, the trace of the same run by fuel, and its report.
fn recorded(folder: &Folder) -> (String, String, Value) {
    let (rec, json) = (folder.file("run.rec"), folder.file("run.json"));
    let args =
        ["--quantum", "500", "--run-fuel", "60_000", "--record", &rec, "--trace", &json, "--trace-clock", "fuel"];
    let (_, report) = sched_json(&[&args, &MIXED[..]].concat());
    (rec, json, report)
}

#[test]
fn a_recording_gives_the_trace_of_its_run_but_for_reasons() {
    let folder = Folder::new("traces-recorded");
    let (rec, json, report) = recorded(&folder);
    let told = folder.file("told.json");
    let run = sched(&["trace", &rec, "--chrome", &told]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{run:?}");
    let (told, live) = (read(&told), read(&json));
    assert_eq!(told.names, live.names);
    for (tid, slices) in &live.slices {
        let without_why = |slice: &Value| {
            let mut slice = slice.clone();
            slice["args"]["why"] = Value::Null;
            slice
        };
        let [live, told] = [slices, &told.slices[tid]].map(|all| all.iter().map(without_why).collect::<Vec<_>>());
        assert_eq!(live, told);
    }
    let summed = sched(&["trace", &rec, "--format", "json"]).json();
    assert_eq!((&summed["schema"], &summed["complete"]), (&1.into(), &true.into()));
    for (task, summed) in report["tasks"].as_array().unwrap().iter().zip(summed["tasks"].as_array().unwrap()) {
        for field in ["name", "slices", "preempted", "yielded", "blocked", "max_overshoot", "ended_at"] {
            assert_eq!(task[field], summed[field], "{field}");
        }
        assert_eq!(task["fuel"]["used"], summed["fuel"]);
        assert!(summed["outcome"].as_str().unwrap().starts_with(task["outcome"].as_str().unwrap()));
    }
}

#[test]
fn filters_leave_in_what_they_say() {
    let folder = Folder::new("traces-filters");
    let (rec, _, _) = recorded(&folder);
    let log = |args: &[&str]| sched(&[&["trace", &rec, "--log"], args].concat()).out;
    let slices = |text: &str| text.lines().filter(|line| line.ends_with("preempted")).count();
    let (all, fib) = (log(&[]), log(&["--task", "fib"]));
    assert!(slices(&fib) > 3 && fib.lines().skip(1).all(|line| line.contains(" fib ")), "{fib}");
    let of_fib = all.lines().filter(|line| line.contains(" fib ")).count();
    assert_eq!(of_fib, fib.lines().count() - 1);
    let [early, late] = [log(&["--to", "20_000"]), log(&["--from", "20_000"])];
    assert_eq!(slices(&early) + slices(&late), slices(&all));
    let moment = |line: &str| line.split_whitespace().next().unwrap().replace(',', "").parse::<u64>().unwrap();
    assert!(early.lines().skip(1).all(|line| moment(line) < 20_000));
    assert!(late.lines().filter(|line| line.ends_with("preempted")).all(|line| moment(line) >= 20_000));
    let nobody = sched(&["trace", &rec, "--task", "nobody"]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.err.contains("no task is called nobody"), "{nobody:?}");
    let part = sched(&["trace", &rec, "--timeline", "--from", "20_000", "--to", "30_000", "--task", "spin", "fib"]);
    assert!(part.out.contains(" fuel  20,000 ") && !part.out.contains("unreach"), "{part:?}");
}

#[test]
fn a_difference_is_found_where_it_is() {
    let folder = Folder::new("traces-diff");
    let record = |name: &str, args: &[&str]| {
        let path = folder.file(name);
        sched(&[&["run", "-q", "--record", &path], args].concat());
        path
    };
    let a = record("a.rec", &["--quantum", "1000", "wasm/fib.wat=10", "wasm/main.wat"]);
    let same = record("same.rec", &["--quantum", "1000", "wasm/fib.wat=10", "wasm/main.wat"]);
    let other = record("other.rec", &["--quantum", "1000", "wasm/fib.wat=10", "wasm/fib.wat=11"]);
    let longer =
        record("longer.rec", &["--quantum", "1000", "--run-fuel", "50_000", "wasm/fib.wat=10", "wasm/main.wat"]);
    let diff = |b: &str| sched(&["trace", "diff", &a, b]);
    assert_eq!((diff(&same).code, diff(&same).out.as_str()), (0, "the same: 82 slices\n"));
    let run = diff(&other);
    let expected = format!(
        "modules: 47f20f5106e3 23a7c744edc6 | 47f20f5106e3
the same for 1 slice, then:
              0  fib                                                  spawned
              0  main                                                 spawned
              0  fib                     1        1,000        1,005  preempted
- {a}
-         1,005  main                    1        1,000        1,001  preempted
-         2,006  fib                     2          995          761  returned
-         2,767  fib                                                  returned 55
-         2,767  main                    2          999        1,000  preempted
+ {other}
+         1,005  fib[1]                  1        1,000        1,003  preempted
+         2,008  fib[0]                  2          995          761  returned
+         2,769  fib[0]                                               returned 55
+         2,769  fib[1]                  2          997        1,000  preempted
"
    );
    assert_eq!((run.code, run.out.as_str()), (1, expected.as_str()), "{}", run.out);
    let run = diff(&longer);
    assert!(run.code == 1 && run.out.starts_with("the same for 50 slices, then:\n"), "{}", run.out);
    assert!(run.out.contains("\n+ ") && run.out.contains("the host: stop\n"), "{}", run.out);
    // What cannot be read to the difference.
    let bytes = fs::read(&a).unwrap();
    let cut = folder.file("cut.rec");
    fs::write(&cut, &bytes[..bytes.len() - 40]).unwrap();
    let run = diff(&cut);
    assert!(run.code == 2 && run.out.is_empty() && run.err.contains("cut.rec: cut off after switch"), "{run:?}");
}

#[test]
fn no_damage_makes_it_panic_or_hang() {
    let folder = Folder::new("traces-damage");
    let (rec, _, _) = recorded(&folder);
    let bytes = fs::read(&rec).unwrap();
    let [damaged, out, svg, html] = ["damaged.rec", "out.json", "out.svg", "out.html"].map(|name| folder.file(name));
    let check = |bytes: &[u8], what: &str| {
        fs::write(&damaged, bytes).unwrap();
        let all = ["--chrome", &out, "--svg", &svg, "--report", &html, "--timeline", "--log"];
        for args in [&[&["trace", &damaged][..], &all].concat()[..], &["trace", "diff", &rec, &damaged]] {
            let run = sched(args);
            assert!([1, 2].contains(&run.code) && !run.err.contains("panicked"), "{what}: {run:?}");
            if run.code == 1 && args.len() > 4 {
                read(&out);
                Document::parse(&fs::read_to_string(&svg).unwrap()).expect("XML");
                crate::html::read(&html);
            }
        }
    };
    let header = bytes.iter().position(|byte| *byte == b'{').unwrap();
    let entries = bytes.len() - 150;
    for length in (0..bytes.len()).step_by(37).chain(bytes.len() - 12..bytes.len()) {
        check(&bytes[..length], &format!("cut at {length}"));
    }
    for at in (entries..bytes.len()).step_by(7).chain([0, 20, header, header + 20]) {
        let mut other = bytes.clone();
        other[at] ^= 0x55;
        check(&other, &format!("changed at {at}"));
    }
    check(&[&bytes[..entries], &[0xff; 64]].concat(), "numbers with no end");
}
