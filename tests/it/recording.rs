//! `--record` and `--replay`, through the binary.

use crate::cli::{Folder, Run, sched};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The JSON report of a run.
fn report(args: &[&str]) -> Value {
    sched(&[args, &["--format", "json"]].concat()).json()
}

/// The report of a run, without what the clock and the end of a run or of a replay have to do with.
fn schedule(mut report: Value) -> Value {
    report["totals"]["wall_ns"] = Value::Null;
    for name in ["ended_by", "reproducible", "reasons", "shutdown"] {
        report[name] = Value::Null;
    }
    for task in report["tasks"].as_array_mut().expect("a list") {
        // Counted by a supervisor, which a replay has none of.
        let task = task.as_object_mut().expect("an object");
        task.retain(|name, _| name != "restarts" && name != "overruns");
    }
    report
}

#[test]
fn a_child_that_the_policy_refused_is_refused_again() {
    let folder = Folder::new("recording-refused");
    // Spawns two children, of which the policy has no room for the second, and returns what became of both.
    let spawner = r#"(module
        (import "sched" "spawn" (func $spawn (param i32 i32 i32 i32) (result i32)))
        (import "sched" "join" (func $join (param i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "child")
        (func $became (param $child i32) (result i32)
            (drop (call $join (local.get $child) (i32.const 16)))
            (i32.load (i32.const 16)))
        (func (export "main") (result i32 i32) (local $first i32) (local $second i32)
            (local.set $first (call $spawn (i32.const 0) (i32.const 5) (i32.const 8) (i32.const 0)))
            (local.set $second (call $spawn (i32.const 0) (i32.const 5) (i32.const 8) (i32.const 0)))
            (call $became (local.get $first)) (call $became (local.get $second))))"#;
    fs::write(folder.file("spawner.wat"), spawner).unwrap();
    fs::write(folder.file("child.wat"), r#"(module (func (export "main")))"#).unwrap();
    let plan = "quantum = 100_000\n[policy]\nname = \"edf\"\n[[task]]\nmodule = \"spawner.wat\"\nspawns = [\"child\"]\n\
        [[task]]\nname = \"child\"\nmodule = \"child.wat\"\non-spawn = true\nperiod = 100\nruntime = 60\n";
    fs::write(folder.file("plan.toml"), plan).unwrap();
    let recording = folder.file("run.rec");
    let ran = report(&["run", "--plan", &folder.file("plan.toml"), "--record", &recording]);
    // 0 is returned, 7 never started.
    assert_eq!(ran["tasks"][0]["values"], serde_json::json!(["0", "7"]));
    let replayed = report(&["run", "--replay", &recording]);
    assert_eq!((&replayed["ended_by"], &replayed["digest"]), (&Value::from("replay"), &ran["digest"]));
    assert_eq!(schedule(replayed), schedule(ran));
    assert_eq!(sched(&["trace", &recording]).code, 0);
}

#[test]
fn every_plan_of_the_documents_is_replayed_as_it_ran() {
    let folder = Folder::new("recording-plans");
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans");
    let mut count = 0;
    for plan in fs::read_dir(plans).expect("the folder of plans") {
        let (plan, file) = (plan.expect("a plan").path().display().to_string(), folder.file("run.rec"));
        let run = report(&["run", "--plan", &plan, "--record", &file]);
        let again = report(&["run", "--replay", &file]);
        assert_eq!(again["ended_by"], "replay", "{plan}");
        assert_eq!(again["reproducible"], true, "{plan}");
        assert_eq!(schedule(run), schedule(again), "{plan}");
        count += 1;
    }
    assert!(count >= 7);
}

#[test]
fn a_run_that_went_by_the_clock_is_replayed() {
    let folder = Folder::new("recording-clock");
    let file = folder.file("run.rec");
    let tasks = ["wasm/fib.wat=20", "wasm/main.wat", "wasm/unreachable.wat"];
    let run = report(&[&["run", "--slice", "50us", "--run-time", "20s", "--record", &file][..], &tasks].concat());
    assert_eq!(run["reproducible"], false);
    assert_eq!(schedule(run), schedule(report(&["run", "--replay", &file])));
}

#[test]
fn the_first_difference_is_named() {
    let folder = Folder::new("recording-difference");
    let (module, file) = (folder.file("loop.wat"), folder.file("run.rec"));
    let text = |n: u32| {
        format!(
            r#"(module (func (export "main") (local $i i32)
                 (loop $again (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (br_if $again (i32.lt_u (local.get $i) (i32.const {n}))))))"#
        )
    };
    fs::write(&module, text(1_000)).unwrap();
    // 8 fuel a round and 1 for the entry: 1,001 in each slice of 1,000, and 8 slices in all.
    let args = ["run", "--quantum", "1000", "--record", &file, &module];
    assert_eq!(sched(&args).code, 0);
    fs::write(&module, text(900)).unwrap();
    let replay = sched(&["run", "--replay", &file]);
    assert_eq!(replay.code, 1, "{}{}", replay.out, replay.err);
    assert!(replay.err.contains("loop.wat has changed since the recording was made"), "{}", replay.err);
    assert!(replay.out.contains("not as it was recorded: switch 8: loop used "), "{}", replay.out);
    let json = report(&["run", "--replay", &file]);
    assert_eq!(json["ended_by"], "divergence");
    assert!(json["divergence"].as_str().unwrap().starts_with("switch 8: loop used "), "{json}");
    // Without the module there is nothing to replay.
    fs::remove_file(&module).unwrap();
    let replay = sched(&["run", "--replay", &file]);
    assert_eq!((replay.code, replay.out.as_str()), (2, ""));
    assert!(replay.err.contains("and it ran when the recording was made"), "{}", replay.err);
}

#[test]
fn what_is_left_of_a_recording_is_replayed_and_the_cut_is_said() {
    let folder = Folder::new("recording-cut");
    let (whole, cut) = (folder.file("run.rec"), folder.file("cut.rec"));
    assert_eq!(sched(&["run", "--quantum", "100", "--record", &whole, "wasm/main.wat"]).code, 0);
    let bytes = fs::read(&whole).unwrap();
    // The end marker, the outcome and some slices are missing.
    fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    let replay = sched(&["run", "--replay", &cut]);
    assert_eq!(replay.code, 1);
    assert!(replay.err.contains("cut.rec: cut off after switch 7"), "{}", replay.err);
    assert!(replay.out.contains("main   stopped"), "{}", replay.out);
    // In the header.
    fs::write(&cut, &bytes[..40]).unwrap();
    let replay = sched(&["run", "--replay", &cut]);
    assert_eq!((replay.code, replay.out.as_str()), (2, ""));
    assert!(replay.err.contains("cut off after switch 0"), "{}", replay.err);
}

#[test]
fn a_file_that_is_no_recording_is_refused() {
    let folder = Folder::new("recording-wrong");
    let empty = folder.file("empty.rec");
    fs::write(&empty, "").unwrap();
    let foreign = folder.file("foreign.rec");
    fs::write(&foreign, b"fuelsched recording 1\n\x02{}").unwrap();
    let newer = folder.file("newer.rec");
    fs::write(&newer, b"fuelsched recording 7\n\x00").unwrap();
    let wrong = [
        (empty.as_str(), "the file is empty"),
        (&foreign, "it does not say what was run"),
        (&newer, "a recording of version 7, and this build reads versions 1, 2 and 3"),
        ("wasm/fib.wat", "not a recording"),
        ("no/such.rec", "No such file"),
        ("wasm", "Is a directory"),
    ];
    for (file, message) in wrong {
        let replay = sched(&["run", "--replay", file]);
        assert_eq!((replay.code, replay.out.as_str()), (2, ""), "{file}");
        assert!(replay.err.contains(message), "{file}: {}", replay.err);
    }
    let both = sched(&["run", "--replay", "a.rec", "--quantum", "5"]);
    assert_eq!(both.code, 2);
    assert!(both.err.contains("cannot be used with"), "{}", both.err);
    let nowhere = sched(&["run", "--record", "no/such/folder.rec", "wasm/main.wat"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("cannot record in no/such/folder.rec"), "{}", nowhere.err);
}

#[test]
fn a_million_switches_take_less_than_8_mb() {
    let folder = Folder::new("recording-size");
    let file = folder.file("run.rec");
    let args = ["run", "--copies", "100", "--quantum", "100", "--run-fuel", "20_000_000", "--record", &file];
    let run = report(&[&args[..], &["wasm/spin.wat", "wasm/main.wat", "wasm/fib.wat=20"]].concat());
    let (switches, bytes) = (run["totals"]["switches"].as_u64().unwrap(), fs::metadata(&file).unwrap().len());
    assert!(switches > 150_000, "{switches}");
    assert!(bytes < 8 * switches, "{bytes} bytes for {switches} switches");
}

#[test]
fn a_log_of_restarts_and_of_their_replay_names_everybody() {
    let folder = Folder::new("recording-log");
    let (plan, file) = (folder.file("plan.toml"), folder.file("run.rec"));
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm/unreachable.wat");
    let task = "on-trap = \"restart\"\nmax-restarts = 3";
    fs::write(&plan, format!("[[task]]\nname = \"bad\"\nmodule = {:?}\n{task}\n", module.display().to_string()))
        .unwrap();
    let lines = |run: &Run| run.err.lines().filter(|line| line.contains("bad ")).count();
    let run = sched(&["run", "--plan", &plan, "--log", "--record", &file]);
    let again = sched(&["run", "--replay", &file, "--log"]);
    assert_eq!((lines(&run), lines(&again)), (4, 4), "{}{}", run.err, again.err);
    assert_eq!((run.code, again.code), (1, 1));
}

#[test]
fn windows_in_time_run_by_the_clock_and_are_replayed() {
    let folder = Folder::new("recording-windows");
    let (plan, file) = (folder.file("plan.toml"), folder.file("run.rec"));
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm/spin.wat").display().to_string();
    let windows = r#"[{ task = "a", offset = "0ms", length = "3ms" }, { task = "b", offset = "5ms", length = "2ms" }]"#;
    let mode = format!("[[policy.mode]]\nname = \"m\"\nframe = \"10ms\"\nwindows = {windows}\n");
    let task = |name| format!("[[task]]\nname = \"{name}\"\nmodule = {module:?}\n");
    let policy = "run-time = \"100ms\"\n[policy]\nname = \"cyclic\"\nunit = \"time\"\nguard = \"20us\"\n";
    fs::write(&plan, format!("{policy}{mode}{}{}", task("a"), task("b"))).unwrap();
    let run = report(&["run", "--plan", &plan, "--record", &file]);
    assert_eq!((&run["ended_by"], &run["reproducible"]), (&Value::from("run-time"), &Value::from(false)));
    let used: Vec<_> = [0, 1].map(|id| run["tasks"][id]["fuel"]["used"].as_u64().unwrap()).into();
    assert!(used.iter().all(|used| *used > 0), "{used:?}");
    assert_eq!(schedule(run), schedule(report(&["run", "--replay", &file])));
}
