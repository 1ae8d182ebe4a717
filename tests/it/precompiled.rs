//! Modules compiled ahead: made by `sched compile`, run by the binary and by the library, and refused when they are not what they were.

#[path = "../../src/guest/sys/trusted.rs"]
mod trusted;

use crate::cli::{Run, file, sched, sched_json};
use crate::support::{engine, guest, guest_path};
use fuelsched::guest::Memories;
use fuelsched::{Engine, EngineConfig, ErrorKind, Executor, Fuel, Module, Value};
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use trusted::load_trusted;

/// A guest, compiled to a file of this test's own.
fn compiled(guest: &str, test: &str) -> String {
    let path = file(&format!("{test}.cwasm"), "");
    let run = sched(&["compile", "--force", "-o", &path, &format!("wasm/{guest}.wat")]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    path
}

/// Changed bytes as a file, and what loading it comes to.
fn load(bytes: &[u8], test: &str) -> Result<Module, String> {
    let path = file(&format!("{test}-changed.cwasm"), bytes);
    load_trusted(engine(), &path).map_err(|error| error.to_string().replace(&path, "m"))
}

/// What a run is, without names of files and times.
fn essence(run: &Json) -> Json {
    let of_task = |task: &Json| {
        ["entry", "outcome", "values", "fuel", "slices", "preempted"].map(|name| task[name].clone()).to_vec()
    };
    let tasks: Vec<Vec<Json>> = run["tasks"].as_array().expect("a list").iter().map(of_task).collect();
    serde_json::json!([run["digest"], run["reproducible"], tasks])
}

#[test]
fn a_precompiled_module_runs_as_the_one_it_came_from() {
    for (guest, call) in [("fib", ":main=20"), ("main", ""), ("grow-memory", "=3"), ("spin", "")] {
        let path = compiled(guest, &format!("same-{guest}"));
        let run = |words: &[&str]| sched_json(&[&["--quantum", "100", "--fuel", "300_000"], words].concat()).1;
        let from_text = run(&[&format!("wasm/{guest}.wat{call}")]);
        let ahead = run(&["--allow-precompiled", &format!("{path}{call}")]);
        assert_eq!(essence(&ahead), essence(&from_text), "{guest}");
    }
}

#[test]
fn the_library_loads_it_with_its_hash() {
    let module = load_trusted(engine(), &compiled("fib", "library")).unwrap();
    assert_eq!(module.sha256(), guest("fib").sha256());
    assert_eq!(module.functions(), guest("fib").functions());
    let mut sched = Executor::builder().build();
    let task = sched.spawn(module.call("main", &[Value::I32(10)]).budget(Fuel(1_000_000))).unwrap();
    sched.run();
    assert_eq!(format!("{:?}", sched.take_outcome(task).unwrap()), "Returned([I32(55)])");
}

#[test]
fn a_loaded_one_can_be_precompiled_again() {
    let path = compiled("fib", "again");
    let module = load_trusted(engine(), &path).unwrap();
    assert_eq!(module.precompile().unwrap(), fs::read(&path).unwrap());
}

#[test]
fn it_is_for_any_stack_and_no_other_metering() {
    let path = compiled("fib", "settings");
    let with = |config: EngineConfig| load_trusted(&Engine::new(&config).unwrap(), &path);
    assert!(with(EngineConfig::default().max_stack(64 * 1024)).is_ok());
    let error = with(EngineConfig::default().metering(false)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OtherEngine { .. }));
    assert_eq!(
        error.to_string().replace(&path, "m"),
        "m: precompiled for another engine: it was compiled with metering on, and this engine is metering off; compile it again, with `sched compile`"
    );
}

#[test]
fn what_wasmtime_compares_is_said_in_its_words() {
    let path = compiled("fib", "memories");
    let config = EngineConfig::default().memories(Memories::Dense);
    let error = load_trusted(&Engine::new(&config).unwrap(), &path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OtherEngine { .. }));
    let (before, after) =
        ("precompiled for another engine: Module was compiled with", "compile it again, with `sched compile`");
    let said = error.to_string();
    assert!(said.contains(before) && said.contains("memory") && said.ends_with(after), "{said}");
}

#[test]
fn nobody_runs_machine_code_unasked() {
    let path = compiled("fib", "unasked");
    let refused = "this is a precompiled module, machine code that nothing can check; if you know where it comes from, load it with `sched run --allow-precompiled` or `Module::from_precompiled`";
    let error = Module::from_file(engine(), &path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Precompiled { .. }));
    assert_eq!(error.to_string(), format!("{path}: {refused}"));
    let (run, json) = sched_json(&[&format!("{path}:main=10")]);
    assert_eq!((run.code, &json["tasks"][0]["outcome"]), (1, &"failed".into()));
    assert_eq!(json["tasks"][0]["error"], format!("{path}: {refused}"));
}

#[test]
fn a_plan_cannot_ask_to_be_trusted_and_a_command_line_can() {
    let path = compiled("fib", "plan");
    let text = format!("[[task]]\nmodule = {path:?}\nentry = \"main\"\nargs = [15]\n");
    let from_text = text.replace(&path, guest_path("fib").to_str().unwrap());
    let (plan, reference) = (file("precompiled.toml", text), file("compiled.toml", from_text));
    assert_eq!(sched_json(&["--plan", &plan]).0.code, 1);
    let (run, ahead) = sched_json(&["--plan", &plan, "--allow-precompiled"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(essence(&ahead), essence(&sched_json(&["--plan", &reference]).1));
    let asking = file("asking.toml", "allow_precompiled = true\n[[task]]\nmodule = \"wasm/fib.wat\"\n");
    assert_eq!(sched(&["run", "--plan", &asking]).code, 2);
}

#[test]
fn a_recording_is_replayed_with_it_and_does_not_vouch_for_it() {
    let (path, recording) = (compiled("fib", "recorded"), file("precompiled.rec", ""));
    let task = format!("{path}:main=15");
    let (_, run) = sched_json(&["--allow-precompiled", "--record", &recording, &task]);
    let refused = sched(&["run", "--replay", &recording]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("this is a precompiled module"), "{}", refused.err);
    let (replayed, again) = sched_json(&["--replay", &recording, "--allow-precompiled"]);
    assert_eq!((replayed.code, &again["digest"]), (0, &run["digest"]));
}

#[test]
fn every_file_that_was_changed_is_refused() {
    let good = fs::read(compiled("fib", "mutated")).unwrap();
    assert!(load(&good, "mutated").is_ok());
    // The whole header, and the body in steps that share no factor with its structure.
    for at in (0..160).chain((160..good.len()).step_by(257)) {
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 8);
        let error = load(&changed, "mutated").expect_err("it was changed");
        let expected: &[&str] = match at {
            0..8 => &[
                "m: not a precompiled module of this program (it does not start as one); make one with `sched compile`",
            ],
            8..12 => &["and this build reads format 1; compile it again, with `sched compile`"],
            12..20 => &["bytes, and says that it has "],
            _ => &["m: damaged precompiled module: its checksum is wrong"],
        };
        assert!(error.contains(expected[0]), "byte {at}: {error}");
    }
    for length in (1..200).chain((200..good.len()).step_by(509)) {
        let error = load(&good[..length], "mutated").expect_err("it was cut off");
        let expected = match length {
            1..8 => "not a precompiled module",
            8..28 => "it is cut off after",
            _ => "bytes, and says that it has ",
        };
        assert!(error.contains(expected), "{length} bytes: {error}");
    }
}

#[test]
fn what_is_no_precompiled_module_is_refused() {
    let say = |bytes: &[u8]| load(bytes, "other").unwrap_err();
    let no = "m: not a precompiled module of this program (it does not start as one); make one with `sched compile`";
    assert_eq!(say(b""), "m: the file is empty; a WebAssembly module is wanted");
    assert_eq!([say(b"\0asm\x01\0\0\0"), say(b"\x7fELF\x02"), say(b"(module)")], [no, no, no]);
}

#[test]
fn compiling_says_what_it_did_and_overwrites_nothing() {
    let source = file("twice.wat", "(module (func (export \"main\")))");
    let output = source.replace(".wat", ".cwasm");
    let _ = fs::remove_file(&output);
    let Run { code, out, err } = sched(&["compile", &source]);
    let bytes = fs::read(&output).unwrap();
    let size = Fuel(bytes.len() as u64);
    assert_eq!((code, out, err.as_str()), (0, format!("{source}: compiled to {output}, {size} bytes\n"), ""));
    assert!(Module::is_precompiled(&bytes));

    fs::write(&output, "mine").unwrap();
    let again = sched(&["compile", &source]);
    assert_eq!((again.code, again.out.as_str()), (1, ""));
    assert_eq!(again.err, format!("error: {output} is there already; --force overwrites it\n"));
    assert_eq!(fs::read(&output).unwrap(), b"mine");
    assert_eq!(sched(&["compile", "--force", &source]).code, 0);
    assert_eq!(fs::read(&output).unwrap(), bytes);
}

#[test]
fn one_bad_file_does_not_keep_the_others_from_being_compiled() {
    let (bad, good) = (file("bad.wat", "(module"), file("good.wat", "(module)"));
    let output = good.replace(".wat", ".cwasm");
    let _ = fs::remove_file(&output);
    let run = sched(&["compile", &bad, "/nonexistent.wat", &good]);
    // The system's words once, and not again as their own cause.
    assert_eq!(run.err.matches("No such file").count(), 1, "{}", run.err);
    assert_eq!((run.code, run.out.lines().count()), (1, 1));
    assert!(
        run.err.contains("bad.wat: not a WebAssembly module") && run.err.contains("/nonexistent.wat"),
        "{}",
        run.err
    );
    assert!(Path::new(&output).exists());
}

#[test]
fn a_command_line_that_is_wrong_writes_nothing() {
    let cases: [&[&str]; 3] = [
        &["compile"],
        &["compile", "-o", "/tmp/never.cwasm", "wasm/fib.wat", "wasm/main.wat"],
        &["compile", "x/same.wat", "x/same.wasm"],
    ];
    let said = [
        "required arguments",
        "-o names one file, and there are 2 to compile",
        "two files would be compiled to x/same.cwasm",
    ];
    for (case, said) in cases.iter().zip(said) {
        let run = sched(case);
        assert_eq!((run.code, run.out.as_str()), (2, ""));
        assert!(run.err.contains(said), "{}", run.err);
    }
}
