//! `sched run --workers`: who runs where, what stays the same, and what ends a run early.

use crate::cli::{Run, command, file, sched, sched_json};
use fuelsched::trace::sha256;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

/// The tasks of most tests.
const TASKS: [&str; 4] = ["wasm/fib.wat=12", "wasm/main.wat", "wasm/fib.wat=5", "wasm/fib.wat=9"];

/// A report of these words with so many workers.
fn with(workers: usize, words: &[&str]) -> Value {
    sched_json(&[&["--workers", &workers.to_string()], words].concat()).1
}

/// A field of each task.
fn each(report: &Value, field: &str) -> Vec<Value> {
    report["tasks"].as_array().expect("tasks").iter().map(|task| task[field].clone()).collect()
}

/// A field of each worker.
fn by_worker(report: &Value, field: &str) -> Vec<Value> {
    report["by_worker"].as_array().expect("workers").iter().map(|worker| worker[field].clone()).collect()
}

/// A report without what may be another in each run.
fn timeless(mut report: Value) -> Value {
    report["totals"]["wall_ns"] = Value::Null;
    report
}

/// A plan with a module of this repository for each name.
fn plan(name: &str, head: &str, tasks: &[(&str, &str)]) -> String {
    let wasm = |path: &str| format!("{}/wasm/{path}", env!("CARGO_MANIFEST_DIR"));
    let task = |(module, rest): &(&str, &str)| format!("[[task]]\nmodule = \"{}\"\n{rest}\n", wasm(module));
    file(name, format!("{head}\n{}", tasks.iter().map(task).collect::<String>()))
}

#[test]
fn each_worker_has_the_digest_of_its_tasks_run_by_themselves() {
    let report = with(2, &TASKS);
    assert_eq!(
        (&report["workers"], each(&report, "worker")),
        (&json!(2), vec![json!(0), json!(1), json!(0), json!(1)])
    );
    let alone = |tasks: &[&str]| sched_json(tasks).1["digest"].clone();
    let digests = by_worker(&report, "digest");
    assert_eq!(digests, [alone(&[TASKS[0], TASKS[2]]), alone(&[TASKS[1], TASKS[3]])]);
    let hex: String = digests.iter().map(|digest| digest.as_str().expect("text")).collect();
    assert_eq!(report["digest"], sha256(hex.as_bytes()));
    assert_eq!(report["reproducible"], true);
    for _ in 0..5 {
        assert_eq!(timeless(with(2, &TASKS)), timeless(report.clone()));
    }
}

#[test]
fn results_and_fuel_are_the_same_for_any_number_of_workers() {
    let fields = ["name", "outcome", "values", "fuel"];
    let (_, one) = sched_json(&TASKS);
    for workers in [1, 2, 3, 4, 9] {
        let report = with(workers, &TASKS);
        for field in fields {
            assert_eq!(each(&report, field), each(&one, field), "{field} with {workers} workers");
        }
        for sum in ["fuel", "slices", "switches"] {
            let parts: u64 = match workers {
                1 => continue,
                _ => by_worker(&report, sum).iter().map(|part| part.as_u64().expect("a number")).sum(),
            };
            assert_eq!(report["totals"][sum], parts, "{sum}");
        }
    }
    assert_eq!(with(1, &TASKS)["digest"], one["digest"], "one worker is none");
    assert!(one.get("by_worker").is_none() && one["tasks"][0].get("worker").is_none());
}

#[test]
fn tasks_that_have_to_do_with_each_other_stay_together() {
    let (_, one) = sched_json(&["--plan", "docs/plans/channels.toml"]);
    let two = with(2, &["--plan", "docs/plans/channels.toml"]);
    assert_eq!(each(&two, "worker"), [0, 0, 1], "whoever opens channels; the sleeper does not");
    for field in ["outcome", "stdout"] {
        assert_eq!(each(&two, field), each(&one, field));
    }
    // Groups: a and c are of one, so the fuel of both is one budget. The others go round.
    let path = plan(
        "parties.toml",
        "[[group]]\nname = \"g\"\nbudget = 5_000",
        &[
            ("spin.wat", "name = \"a\"\ngroup = \"g\""),
            ("fib.wat", "name = \"b\"\nargs = [3]"),
            ("spin.wat", "name = \"c\"\ngroup = \"g\""),
            ("fib.wat", "name = \"d\"\nargs = [3]"),
            ("fib.wat", "name = \"e\"\nargs = [3]"),
        ],
    );
    let report = with(2, &["--quantum", "1000", "--plan", &path]);
    assert_eq!(each(&report, "worker"), [0, 1, 0, 0, 1]);
    let used = [0, 2].map(|task| report["tasks"][task]["fuel"]["used"].as_u64().expect("a number"));
    assert!(used[0] + used[1] < 7_000 && used.iter().all(|used| *used > 1_000), "{used:?}");
    assert_eq!(each(&report, "outcome")[0], "out-of-fuel");
}

#[test]
fn who_may_spawn_what_opens_channels_is_with_those_that_do() {
    let spawner = file("may-spawn.wat", "(module (func (export \"main\")))");
    let opener = file(
        "opens.wat",
        "(module (import \"sched\" \"open\" (func (param i32 i32 i32) (result i32))) (func (export \"main\")))",
    );
    let task = |name: &str, path: &str, rest: &str| {
        format!("[[task]]\nname = \"{name}\"\nmodule = \"{path}\"\nentry = \"main\"\n{rest}\n")
    };
    let text = [
        task("opens", &opener, ""),
        task("alone", &spawner, ""),
        task("spawns", &spawner, "spawns = [\"between\"]"),
        task("between", &spawner, "on-spawn = true\nspawns = [\"child\"]"),
        task("child", &opener, "on-spawn = true"),
        task("last", &spawner, ""),
    ];
    let report = with(3, &["--plan", &file("spawning-parties.toml", text.concat())]);
    let homes: Vec<(Value, Value)> = each(&report, "name").into_iter().zip(each(&report, "worker")).collect();
    let expected = [("opens", 0), ("alone", 1), ("spawns", 0), ("last", 2)];
    assert_eq!(homes, expected.map(|(name, worker)| (json!(name), json!(worker))));
}

#[test]
fn what_tasks_spawn_stays_with_them_and_has_ids_of_its_own() {
    let tree = "name = \"root\"\nentry = \"main\"\nargs = [2]\ncopies = 2\nspawns = [\"tree\"]";
    let path = plan(
        "trees.toml",
        "",
        &[("tree.wat", tree), ("tree.wat", "name = \"tree\"\nentry = \"main\"\non-spawn = true\nspawns = [\"tree\"]")],
    );
    let run = sched(&["run", "--workers", "2", "--format", "json", "--plan", &path]);
    let report = run.json();
    assert_eq!(each(&report, "worker"), [0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], "{run:?}");
    let ids: Vec<u64> = each(&report, "id").iter().map(|id| id.as_u64().expect("a number")).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(each(&report, "values")[..2], [json!(["7"]), json!(["7"])]);
}

#[test]
fn the_fuel_of_a_run_is_split() {
    let report = with(2, &["--run-fuel", "10_001", "--quantum", "100", "wasm/spin.wat", "wasm/spin.wat"]);
    assert_eq!((&report["ended_by"], &report["reproducible"]), (&json!("run-fuel"), &json!(true)));
    assert_eq!(each(&report, "outcome"), ["stopped", "stopped"]);
    for fuel in by_worker(&report, "fuel") {
        let fuel = fuel.as_u64().expect("a number");
        assert!((5_000..5_200).contains(&fuel), "{fuel}");
    }
    let report = with(2, &["--run-time", "50ms", "wasm/spin.wat", "wasm/fib.wat=3"]);
    assert_eq!((&report["ended_by"], &report["reproducible"]), (&json!("run-time"), &json!(false)));
    assert_eq!(each(&report, "outcome"), ["stopped", "returned"]);
}

#[test]
fn a_shutdown_on_one_worker_ends_the_others() {
    let path = plan("halt.toml", "", &[("spin.wat", ""), ("unreachable.wat", "on-trap = \"shutdown\"")]);
    let run = sched(&["run", "--workers", "2", "--format", "json", "--plan", &path]);
    let report = run.json();
    assert_eq!(
        (run.code, &report["ended_by"], &report["shutdown"]),
        (1, &json!("shutdown"), &json!("unreachable: trap"))
    );
    assert_eq!(each(&report, "outcome"), ["stopped", "trapped"]);
}

#[test]
fn ctrl_c_ends_all_workers_in_good_order() {
    let mut child = command();
    let words = ["run", "--workers", "2", "--log", "--quantum", "1_000_000", "wasm/spin.wat", "wasm/spin.wat"];
    let mut child = child.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    // Once there is a line of a slice, the run goes on.
    let mut line = String::new();
    while !line.contains("preempted") {
        line.clear();
        log.read_line(&mut line).unwrap();
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    std::io::copy(&mut log, &mut std::io::sink()).unwrap();
    let mut table = String::new();
    child.stdout.take().unwrap().read_to_string(&mut table).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(table.matches("stopped").count(), 3, "two rows and the sum: {table}");
    assert!(table.contains("not reproducible: the run was interrupted"), "{table}");
}

#[test]
fn a_log_says_whose_line_it_is() {
    let run = sched(&["run", "--workers", "2", "--log", "wasm/fib.wat=3", "wasm/fib.wat=4"]);
    let mut lines: Vec<Vec<&str>> = run.err.lines().map(|line| line.split_whitespace().collect()).collect();
    lines.sort_unstable();
    let rows = [
        "0 1 fib[0] 10,000 46 46 turn - returned 2",
        "1 1 fib[1] 10,000 86 86 turn - returned 3",
        "worker slice task granted used in all picked for next then",
    ];
    assert_eq!(lines, rows.map(|row| row.split_whitespace().collect::<Vec<_>>()));
    let table: Vec<Vec<&str>> = run.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(table[0], ["task", "worker", "outcome", "result", "fuel", "slices", "overshoot"]);
    assert_eq!(table[3], ["fib[1]", "1", "returned", "3", "86", "1", "0"]);
    assert_eq!(table[5], ["worker", "tasks", "fuel", "slices", "switches", "digest"]);
    assert_eq!(table[8][..5], ["1", "1", "86", "1", "0"]);
}

#[test]
fn what_cannot_be_with_workers_is_refused() {
    let refused = |words: &[&str]| {
        let Run { code, out, err } = sched(&[&["run"], words].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}");
        err
    };
    for words in ["0", "1025", "two", "4294967297"] {
        let err = refused(&["--workers", words, "wasm/fib.wat=3"]);
        assert!(err.starts_with("error: ") && err.contains("--workers"), "{err}");
    }
    let err = refused(&["--workers", "2", "--record", "never.rec", "wasm/fib.wat=3"]);
    assert!(err.contains("'--workers <N>' cannot be used with '--record <FILE>'"), "{err}");
    let err = refused(&["--workers", "2", "--replay", "never.rec"]);
    assert!(err.contains("cannot be used with"), "{err}");
    let err = refused(&["--workers", "2", "--plan", "docs/plans/cyclic.toml"]);
    assert_eq!(err, "error: the windows of cyclic are of one processor's time; leave out --workers\n");
    let err = refused(&["--workers", "2", "wasm/fib.wat:nope=3"]);
    assert!(err.contains("no export named 'nope'"), "{err}");
    // What is wrong with one task is said, and the others run.
    let run = sched(&["run", "--workers", "2", "wasm/fib.wat=3", "wasm/not-there.wat"]);
    assert!(run.code == 1 && run.out.contains("returned") && run.out.contains("failed"), "{run:?}");
}
