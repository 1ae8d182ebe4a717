//! What tasks find beside their own code, as the command line and plans give it: arguments, variables, folders, standard streams, channels,
//! tasks to spawn; and runs that are the same every time.

use crate::cli::{Run, command, file, sched, sched_json};
use std::io::Write as _;
use std::process::Stdio;

/// A program of this repository.
fn program(name: &str) -> String {
    format!("wasm/wasi/{name}.wasm")
}

/// An empty folder of one test's.
fn folder(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("world").join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path.to_str().unwrap().into()
}

#[test]
fn a_program_finds_its_arguments_and_variables() {
    let run = sched(&[
        "run",
        "-q",
        &program("hello"),
        "--env",
        "A=1",
        "--env",
        "B=2=3",
        "--env",
        "A=4",
        "--",
        "x",
        "-y",
        "--format",
    ]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let expected =
        "hello, world\nargv[0] = hello.wasm\nargv[1] = x\nargv[2] = -y\nargv[3] = --format\nenv A=4\nenv B=2=3\n";
    assert_eq!(run.out, expected);
}

#[test]
fn standard_input_is_a_file_or_this_programs_own() {
    let text = file("typed.txt", "one\ntwo\n");
    let run = sched(&["run", "-q", &program("cat"), "--stdin", &text]);
    assert_eq!(run.out, "one\ntwo\n");
    let mut child = command();
    let mut child =
        child.args(["run", "-q", &program("cat")]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut typing = child.stdin.take().unwrap();
    typing.write_all(b"typed ").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    typing.write_all(b"slowly\n").unwrap();
    drop(typing);
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!((run.code, run.out.as_str()), (0, "typed slowly\n"));
}

#[test]
fn others_run_while_a_task_waits_for_input() {
    let mut child = command();
    child
        .args(["run", "--format", "json", &program("cat"), "wasm/fib.wat=20"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.stdin.take().unwrap().write_all(b"late\n").unwrap();
    let run: Run = child.wait_with_output().unwrap().into();
    let json = run.json();
    assert_eq!(json["tasks"][0]["stdout"], "late\n");
    assert_eq!(json["tasks"][1]["values"][0], "6765");
    assert!(json["tasks"][0]["blocked"].as_u64().unwrap() >= 1);
    assert_eq!(json["reproducible"], false);
}

#[test]
fn folders_are_there_under_the_names_that_were_given() {
    let data = folder("sort");
    std::fs::write(format!("{data}/in.txt"), "b\nc\na\n").unwrap();
    let run = sched(&[
        "run",
        "-q",
        &program("sort"),
        "--dir",
        &format!("{data}::/data"),
        "--",
        "/data/in.txt",
        "/data/out.txt",
    ]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(std::fs::read_to_string(format!("{data}/out.txt")).unwrap(), "a\nb\nc\n");
    let run = sched(&["run", "--format", "json", &program("sort"), "--", "/data/in.txt", "/data/out.txt"]);
    assert_eq!(
        (run.code, &run.json()["tasks"][0]["outcome"]),
        (1, &"exited".into()),
        "nothing is there unless it is given"
    );
}

#[test]
fn what_is_printed_is_kept_thrown_away_or_told_apart() {
    let both = [program("hello"), program("exits")];
    let (_, json) = sched_json(&[&both[0], "wasm/fib.wat=5"]);
    assert!(json["tasks"][0]["stdout"].as_str().unwrap().starts_with("hello, world\n"));
    assert_eq!((&json["tasks"][0]["stderr"], &json["tasks"][1]["stdout"]), (&"".into(), &serde_json::Value::Null));
    let run = sched(&["run", "-q", "--stdout", "lines", &both[0], "--copies", "2"]);
    let mut lines: Vec<&str> = run.out.lines().filter(|line| line.contains("world")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["[hello[0]] hello, world", "[hello[1]] hello, world"]);
    assert_eq!(sched(&["run", "-q", "--stdout", "discard", &both[0]]).out, "");
    let run = sched(&["run", "--stdout", "capture", &both[0]]);
    assert!(run.out.contains("-- stdout of hello\nhello, world\n"), "{}", run.out);
}

#[test]
fn an_exit_code_is_an_outcome() {
    for (code, expected) in [("0", 0), ("3", 1), ("255", 1)] {
        let (run, json) = sched_json(&[&program("exits"), "--", "exit", code]);
        let task = &json["tasks"][0];
        assert_eq!(
            (task["outcome"].as_str(), task["exit_code"].to_string().as_str(), run.code),
            (Some("exited"), code, expected)
        );
    }
}

#[test]
fn a_deterministic_run_is_the_same_every_time_and_sleeps_take_no_time() {
    let names = ["clocks", "random", "sleeper", "chatter"].map(program);
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = |seed: &str| {
        let (run, json) = sched_json(&[&words[..], &["--quantum", "1000", seed]].concat());
        assert_eq!(run.code, 0, "{run:?}");
        (json["digest"].clone(), json["tasks"].clone(), json["reproducible"].clone(), json["reasons"].clone())
    };
    let first = run("--deterministic");
    assert_eq!((&first.2, &first.3), (&true.into(), &serde_json::json!([])));
    assert_eq!(run("--deterministic=0"), first);
    let other = run("--deterministic=7");
    assert_ne!((&other.0, &other.1[1]["stdout"]), (&first.0, &first.1[1]["stdout"]), "another seed");
}

#[test]
fn a_recorded_run_is_replayed_with_the_time_and_the_numbers_that_it_had() {
    let path = file("world.rec", "");
    let names = ["clocks", "random", "sleeper", "chatter", "poll"].map(program);
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let (run, recorded) = sched_json(&[&words[..], &["--quantum", "1000", "--record", &path]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(recorded["reproducible"], false);
    let (run, replayed) = sched_json(&["--replay", &path]);
    assert_eq!((run.code, &replayed["ended_by"]), (0, &"replay".into()), "{run:?}");
    assert_eq!(replayed["digest"], recorded["digest"]);
    for (then, now) in recorded["tasks"].as_array().unwrap().iter().zip(replayed["tasks"].as_array().unwrap()) {
        assert_eq!((&then["stdout"], &then["fuel"], &then["blocked"]), (&now["stdout"], &now["fuel"], &now["blocked"]));
    }
}

#[test]
fn unknown_imports_are_refused_or_let_in() {
    let module = file(
        "unknown.wat",
        r#"(module (import "env" "f" (func $f (result i32))) (func (export "main") (result i32) (call $f)))"#,
    );
    let end = |how: &[&str]| {
        let (run, json) = sched_json(&[&[module.as_str()], how].concat());
        let text = |field: &serde_json::Value| field.as_str().unwrap_or_default().to_string();
        (run.code, text(&json["tasks"][0]["outcome"]), json["tasks"][0]["values"].to_string())
    };
    assert_eq!(end(&[]), (1, "failed".into(), "[]".into()));
    assert_eq!(end(&["--unknown-imports", "error"]), (1, "failed".into(), "[]".into()));
    assert_eq!(end(&["--unknown-imports", "trap"]), (1, "trapped".into(), "[]".into()));
    assert_eq!(end(&["--unknown-imports", "default"]), (0, "returned".into(), r#"["0"]"#.into()));
}

#[test]
fn mistakes_in_the_world_are_said_before_anything_runs() {
    let hello = program("hello");
    let wrong = |words: &[&str], expected: &str| {
        let run = sched(&[&["run", &hello], words].concat());
        assert!(run.code == 2 && run.err.contains(expected) && run.out.is_empty(), "{words:?}: {run:?}");
    };
    wrong(&["--env", "A"], "it takes NAME=VALUE, such as LANG=C");
    wrong(&["--env", "=1"], "it takes NAME=VALUE, such as LANG=C");
    wrong(&["--dir", "::/x"], "it takes HOST::GUEST");
    wrong(&["--dir", "no/such/folder::/x"], "no/such/folder");
    wrong(&["--dir", "Cargo.toml::/x"], "Cargo.toml");
    wrong(&["--stdin", "no/such/file"], "cannot read no/such/file as standard input");
    wrong(&["--stdout", "aside"], "[possible values: inherit, lines, capture, discard]");
    wrong(&["--unknown-imports", "maybe"], "[possible values: error, trap, default]");
    wrong(&["--deterministic=x"], "invalid value 'x'");
    wrong(
        &["--deterministic", "--run-time", "1s"],
        "--deterministic lets time go by fuel, and this run has a time for the run",
    );
    wrong(&["wasm/fib.wat", "--", "x"], "what is behind -- goes with exactly one TASK");
    wrong(&["--copies", "2", "--", "x"], "what is behind -- goes with exactly one TASK");
}

#[test]
fn a_plan_gives_each_task_its_own_world() {
    let data = folder("plan");
    std::fs::write(format!("{data}/text"), "from a plan\n").unwrap();
    let wasm = format!("{}/wasm/wasi", env!("CARGO_MANIFEST_DIR"));
    let plan = format!(
        r#"
        stdout = "capture"
        deterministic = 5
        [[task]]
        module = "{wasm}/hello.wasm"
        argv = ["a", "b c"]
        env = {{ K = "V" }}
        [[task]]
        module = "{wasm}/cat.wasm"
        name = "from-stdin"
        stdin = "text"
        [[task]]
        module = "{wasm}/cat.wasm"
        name = "from-folder"
        argv = ["/data/text"]
        dirs = [".::/data"]
        "#
    );
    let path = format!("{data}/plan.toml");
    std::fs::write(&path, plan).unwrap();
    let run = sched(&["run", "--format", "json", "--plan", &path]);
    let json = run.json();
    let printed: Vec<&str> =
        json["tasks"].as_array().unwrap().iter().map(|task| task["stdout"].as_str().unwrap()).collect();
    assert_eq!(
        printed,
        ["hello, world\nargv[0] = hello.wasm\nargv[1] = a\nargv[2] = b c\nenv K=V\n", "from a plan\n", "from a plan\n"]
    );
}

#[test]
fn a_plan_says_what_may_be_spawned() {
    let data = folder("spawn");
    let parent = r#"(module
        (import "sched" "spawn" (func $spawn (param i32 i32 i32 i32) (result i32)))
        (import "sched" "join" (func $join (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "fib") (data (i32.const 8) "other") (data (i32.const 16) "\14\00\00\00\00\00\00\00")
        (func (export "main") (result i32 i64)
          (local $h i32)
          (local.set $h (call $spawn (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 1)))
          (drop (call $join (local.get $h) (i32.const 64)))
          (call $spawn (i32.const 8) (i32.const 5) (i32.const 16) (i32.const 1))
          (i64.load (i32.const 80))))"#;
    std::fs::write(format!("{data}/parent.wat"), parent).unwrap();
    let fib = format!("{}/wasm/fib.wat", env!("CARGO_MANIFEST_DIR"));
    let plan = |rest: &str| {
        let path = format!("{data}/plan.toml");
        let text = format!("{rest}\n[[task]]\nmodule = \"{fib}\"\nname = \"fib\"\nentry = \"main\"\non-spawn = true\n");
        std::fs::write(&path, text).unwrap();
        sched(&["run", "--format", "json", "--plan", &path])
    };
    let run = plan("[[task]]\nmodule = \"parent.wat\"\nspawns = [\"fib\"]");
    let json = run.json();
    let rows: Vec<String> = json["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| format!("{} {} {}", task["name"], task["outcome"], task["values"]))
        .collect();
    // The other may not be spawned: -7.
    assert_eq!(rows, [r#""parent" "returned" ["-7","6765"]"#, r##""fib#0" "returned" ["6765"]"##]);
    assert_eq!(json["reproducible"], true);
    let run = plan("max-spawned = 0\n[[task]]\nmodule = \"parent.wat\"\nspawns = [\"fib\"]");
    assert_eq!(run.json()["tasks"].as_array().unwrap().len(), 1, "no room");
    let run = plan("[[task]]\nmodule = \"parent.wat\"\nspawns = [\"fibb\"]");
    assert!(run.code == 2 && run.err.contains("there is no task `fibb`; did you mean `fib`?"), "{run:?}");
    let run = plan("[[task]]\nmodule = \"parent.wat\"\nspawns = [\"parent\"]");
    assert!(run.err.contains("`parent` is not there to be spawned; give it `on-spawn = true`"), "{run:?}");
    let run = plan("");
    assert!(run.code == 2 && run.err.contains("every task has `on-spawn`"), "{run:?}");
}

#[test]
fn a_deadlock_says_who_waits_for_what_since_when() {
    let (run, json) = sched_json(&[&program("consumer"), "wasm/fib.wat=10"]);
    let task = &json["tasks"][0];
    assert_eq!((run.code, task["outcome"].as_str()), (1, Some("deadlocked")));
    let error = task["error"].as_str().unwrap();
    assert!(error.starts_with("waits to receive from channel 'numbers' since ") && error.ends_with(" fuel"), "{error}");
    assert_eq!(json["tasks"][1]["outcome"], "returned");
}
