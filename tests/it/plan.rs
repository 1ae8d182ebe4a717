//! Plans through the binary: each of `docs/plans`, each kind of mistake with its exact message, and large ones.

use crate::cli::{Run, file, sched, sched_json};
use serde_json::{Value, json};

/// A plan of `docs/plans`, run: exit code and report.
fn documented(name: &str) -> (i32, Value) {
    let (run, report) = sched_json(&["--plan", &format!("docs/plans/{name}.toml")]);
    (run.code, report)
}

/// A plan that is wrong: exit code 2, nothing on standard output. Returns what is said.
fn mistaken(name: &str, text: impl AsRef<[u8]>) -> String {
    let path = file(name, text);
    let run = sched(&["run", "--plan", &path]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    run.err.replace(&path, "plan.toml")
}

/// A plan's path, and the report of running it.
fn run(name: &str, text: &str) -> (Run, Value) {
    sched_json(&["--plan", &file(name, text)])
}

/// A field of each task of a report.
fn each(report: &Value, field: &str) -> Vec<Value> {
    let tasks = report["tasks"].as_array().expect("tasks");
    tasks.iter().map(|task| field.split('.').fold(task, |value, key| &value[key]).clone()).collect()
}

/// Fuel used by each task.
fn used(report: &Value) -> Vec<u64> {
    each(report, "fuel.used").iter().map(|fuel| fuel.as_u64().expect("a number")).collect()
}

/// The path of a guest, for plans that lie elsewhere.
fn wasm(name: &str) -> String {
    format!("{}/wasm/{name}.wat", env!("CARGO_MANIFEST_DIR"))
}

// The plans of the documents, each with what it tells.

#[test]
fn round_robin_charges_a_bulk_operation_as_what_it_is() {
    let (code, report) = documented("round-robin");
    let [filler, spin] = used(&report)[..] else { panic!("{report}") };
    assert_eq!((code, &report["ended_by"]), (0, &json!("run-fuel")));
    assert!(filler.abs_diff(spin) <= 65_541 + 1_000, "{filler} and {spin}");
}

#[test]
fn weighted_shares_on_two_levels() {
    let (code, report) = documented("weighted");
    // The fuel of the group is used up, to its tasks' last slices.
    assert_eq!((code, each(&report, "outcome")[2].clone()), (1, json!("out-of-fuel")));
    let used = used(&report);
    assert!(used[..3].iter().sum::<u64>().abs_diff(2_000_000) <= 1_000, "{used:?}");
    assert_eq!(used[3].div_ceil(used[4]), 3, "{used:?}");
    assert_eq!(each(&report, "group"), ["small", "small", "small", "large", "large"]);
    assert_eq!(each(&report, "name")[..2], ["small[0]", "small[1]"]);
}

#[test]
fn priority_lets_the_urgent_overtake() {
    let (code, report) = documented("priority");
    let ended: Vec<u64> = each(&report, "ended_at").iter().map(|at| at.as_u64().expect("a number")).collect();
    assert_eq!((code, &report["policy"]), (0, &json!("priority")));
    assert_eq!(report["policy_parameters"], json!({ "ageing": 20_000 }));
    // The alarm came at 30,000, and is done before the others; nobody ran beside it but whom ageing let.
    assert!(ended[2] < ended[1] && ended[2] < ended[0] && ended[2] < 30_000 + 2 * 19_726, "{ended:?}");
    assert_eq!(each(&report, "released"), [0, 0, 30_000]);
}

#[test]
fn edf_keeps_its_promises_whatever_a_runaway_does() {
    let (code, report) = documented("edf");
    assert_eq!(code, 0);
    assert_eq!(each(&report, "deadline_misses"), [json!(0), json!(0), Value::Null]);
    let used = used(&report);
    assert!(used[0] >= 39 * 30_000 && used[1] >= 9 * 200_000, "{used:?}");
}

#[test]
fn edf_refuses_what_it_cannot_promise_and_says_by_how_much() {
    let module = wasm("spin");
    let text = format!(
        "run-fuel = 100_000\npolicy.name = \"edf\"\ntask = [\n{}]",
        [60_000, 30_000, 20_000]
            .map(|n| format!("{{ name = \"t{n}\", module = \"{module}\", period = 100_000, runtime = {n} }},\n"))
            .concat()
    );
    let (run, report) = run("edf-too-much.toml", &text);
    assert_eq!((run.code, each(&report, "outcome")), (1, vec![json!("stopped"), json!("stopped"), json!("failed")]));
    assert!(run.err.contains("t20000") && run.err.contains("the policy edf does not take the task"), "{run:?}");
    assert_eq!(report["tasks"][2]["error"], run.err.trim_start_matches("error: ").trim_end());
}

#[test]
fn mlfq_lets_the_short_get_ahead() {
    let (code, report) = documented("mlfq");
    let ended: Vec<u64> = each(&report, "ended_at").iter().map(|at| at.as_u64().expect("a number")).collect();
    assert_eq!(code, 0);
    // It came at 100,000, and waited for no more than the slice under way, which is at most 8 quanta on the lowest level.
    assert!(ended[3] < 100_000 + 16_000 + 1_766 + 1_000 && ended[3] < ended[0], "{ended:?}");
}

#[test]
fn lottery_draws_the_same_for_the_same_seed() {
    let (code, report) = documented("lottery");
    let used = used(&report);
    for (used, share) in used.iter().zip([1_000_000, 2_000_000, 4_000_000]) {
        assert!(used.abs_diff(share) < share / 5, "{used} of {share}");
    }
    assert_eq!((code, &documented("lottery").1["digest"]), (0, &report["digest"]));
    let other = sched_json(&["--plan", "docs/plans/lottery.toml", "--policy", "lottery:seed=8"]).1;
    assert_ne!(other["digest"], report["digest"]);
}

#[test]
fn cyclic_is_the_same_in_every_frame() {
    let (code, report) = documented("cyclic");
    let run = sched(&["run", "--log", "--plan", "docs/plans/cyclic.toml"]);
    assert_eq!((code, each(&report, "restarts")), (1, vec![json!(0), json!(0), json!(2)]));
    assert_eq!(each(&report, "overruns"), [0, 0, 0]);
    // Of each line: the task, what it was granted, what it used, and what it was picked for.
    let lines: Vec<Vec<&str>> = run.err.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let frame = [
        ["control", "29,990", "29,990", "window", "0"],
        ["display", "29,990", "29,990", "window", "1"],
        ["control", "29,990", "29,990", "window", "2"],
    ];
    let logged: Vec<[&str; 5]> = lines.iter().take(15).map(|w| [w[1], w[2], w[3], w[5], w[6]]).collect();
    assert_eq!(logged, [frame; 5].concat(), "{}", run.err);
    assert_eq!(lines[15][1..4], ["control", "79,990", "79,990"], "the sixth frame is of the other mode");
}

// What a plan can say beside.

#[test]
fn weights_decide_within_a_hundredth() {
    let spin = wasm("spin");
    let tasks = [1, 2, 4].map(|n| format!("[[task]]\nname = \"w{n}\"\nmodule = \"{spin}\"\nweight = {n}\n")).concat();
    let path = file("weights.toml", format!("policy.name = \"weighted\"\n{tasks}"));
    let (run, report) = sched_json(&["--plan", &path, "--run-fuel", "70000000"]);
    assert_eq!(run.code, 0);
    for (used, share) in used(&report).into_iter().zip([10_000_000_u64, 20_000_000, 40_000_000]) {
        assert!(used.abs_diff(share) <= share / 100, "{used} of {share}");
    }
}

#[test]
fn a_task_that_replenishes_waits_for_its_next_period() {
    let text = format!(
        "quantum = 1_000\nrun-fuel = 100_000\n[[task]]\nmodule = \"{0}\"\nreplenish = {{ fuel = 1_000, period = 10_000 }}\n[[task]]\nmodule = \"{0}\"",
        wasm("spin")
    );
    let (_, report) = run("replenish.toml", &text);
    assert_eq!((used(&report)[0], &report["tasks"][0]["blocked"]), (10_000, &json!(10)), "{report}");
}

#[test]
fn a_shutdown_is_said_with_who_and_why() {
    let text = format!(
        "[[task]]\nname = \"bad\"\nmodule = \"{}\"\non-trap = \"shutdown\"\n[[task]]\nmodule = \"{}\"",
        wasm("unreachable"),
        wasm("spin")
    );
    let (run, report) = run("shutdown.toml", &text);
    assert_eq!((run.code, &report["ended_by"], &report["shutdown"]), (1, &json!("shutdown"), &json!("bad: trap")));
    assert_eq!(each(&report, "outcome"), ["trapped", "stopped"]);
}

#[test]
fn a_warm_restart_keeps_the_memory_and_a_cold_one_does_not() {
    let guest = file(
        "lives.wat",
        "(module (memory 1) (func (export \"main\") (result i32)
           (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
           (if (i32.lt_s (i32.load (i32.const 0)) (i32.const 3)) (then unreachable))
           (i32.load (i32.const 0))))",
    );
    let task =
        |how| format!("[[task]]\nmodule = \"{guest}\"\non-trap = \"restart\"\nmax-restarts = 5\nrestart = \"{how}\"\n");
    let (_, report) = run("lives.toml", &[task("warm"), task("cold")].concat());
    assert_eq!(each(&report, "outcome"), ["returned", "trapped"], "{report}");
    assert_eq!((each(&report, "restarts"), &report["tasks"][0]["values"]), (vec![json!(2), json!(5)], &json!(["3"])));
}

#[test]
fn options_go_before_what_a_plan_says() {
    let plan = "docs/plans/lottery.toml";
    let (_, report) =
        sched_json(&["--plan", plan, "--run-fuel", "10_000", "--quantum", "500", "--policy", "round-robin"]);
    assert_eq!(
        (&report["policy"], &report["quantum"], &report["totals"]["fuel"]),
        (&json!("round-robin"), &json!(500), &json!(10_000))
    );
    for words in [&["--plan", plan, "wasm/main.wat"][..], &["--plan", plan, "--copies", "2"]] {
        let run = sched(&[&["run"], words].concat());
        assert!(run.code == 2 && run.err.contains("cannot be used with"), "{run:?}");
    }
    let (_, report) = sched_json(&["--slice", "200us", "--run-fuel", "1_000_000", "wasm/spin.wat"]);
    assert_eq!((&report["reproducible"], &report["reasons"]), (&json!(false), &json!(["slices were aimed at a time"])));
}

#[test]
fn a_digest_depends_on_every_parameter() {
    let digest = |policy: &str, line: &str| {
        let text = format!("run-fuel = 50_000\n[policy]\n{policy}\n[[task]]\nmodule = \"{}\"\n{line}", wasm("spin"));
        let (_, report) = run("digest.toml", &text);
        report["digest"].as_str().expect("a digest").to_string()
    };
    let mut all = vec![
        digest("name = \"priority\"", ""),
        digest("name = \"priority\"\nageing = 5", ""),
        digest("name = \"mlfq\"", ""),
        digest("name = \"mlfq\"\nlevels = 3", ""),
        digest("name = \"mlfq\"\nboost = 5", ""),
    ];
    for line in ["weight = 2", "priority = 2", "fuel = 60_000", "quantum = 10_001", "start = 1", "period = 5"] {
        all.push(digest("name = \"priority\"", line));
    }
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn a_module_that_is_not_there_fails_and_the_others_run() {
    let text = format!("[[task]]\nmodule = \"nowhere.wat\"\n[[task]]\nmodule = \"{}\"", wasm("main"));
    let (run, report) = run("missing-module.toml", &text);
    assert_eq!((run.code, each(&report, "outcome")), (1, vec![json!("failed"), json!("returned")]));
    assert!(run.err.contains("/nowhere.wat: No such file or directory"), "{run:?}");
}

#[test]
fn ten_thousand_tasks_load_and_run() {
    let fib = wasm("fib");
    let tables: String =
        (0..10_000).map(|n| format!("[[task]]\nname = \"t{n}\"\nmodule = \"{fib}\"\nargs = [{}]\n", n % 8)).collect();
    let copies = format!("[[task]]\nmodule = \"{fib}\"\nargs = [5]\ncopies = 10_000\n");
    for (name, text, last) in [("tables.toml", tables, "t9999"), ("copies.toml", copies, "fib[9999]")] {
        let began = std::time::Instant::now();
        let (run, report) = run(name, &text);
        assert_eq!((run.code, each(&report, "name")[9_999].clone()), (0, json!(last)));
        assert!(began.elapsed().as_secs() < 60, "{name} took {:?}", began.elapsed());
    }
}

// Mistakes.

#[test]
fn mistakes_are_shown_where_they_are_all_in_one_go() {
    let said = mistaken(
        "mistakes.toml",
        "quantum = 0\n[policy]\nname = \"prioritty\"\n\n[[task]]\nmodule = \"a.wat\"\nwieght = 3\npriority = \"high\"\ngroup = \"g\"\n",
    );
    assert_eq!(
        said,
        "\
error: `quantum` takes a whole number from 1 to 4611686018427387904, such as 10_000; this is 0
 --> plan.toml:1:11
  |
1 | quantum = 0
  |           ^
error: there is no such policy; did you mean 'priority'? there are round-robin, weighted, priority, edf, mlfq, lottery, cyclic
 --> plan.toml:3:8
  |
3 | name = \"prioritty\"
  |        ^^^^^^^^^^^
error: unknown key `wieght` in [[task]]; did you mean `weight`? There are `name`, `module`, `entry`, `args`, `copies`, `fuel`, `replenish`, `weight`, `priority`, `period`, `runtime`, `deadline`, `quantum`, `start`, `on-trap`, `on-out-of-fuel`, `on-overrun`, `on-deadline-miss`, `max-restarts`, `restart`, `argv`, `env`, `dirs`, `stdin`, `on-spawn`, `group`, `spawns`
 --> plan.toml:7:1
  |
7 | wieght = 3
  | ^^^^^^
error: `priority` takes a whole number from 0 to 255; this is \"high\"
 --> plan.toml:8:12
  |
8 | priority = \"high\"
  |            ^^^^^^
error: there is no group `g`; there is none
 --> plan.toml:9:9
  |
9 | group = \"g\"
  |         ^^^
"
    );
}

/// The first line of what is said about a plan, and the place.
fn first(name: &str, text: impl AsRef<[u8]>) -> String {
    let said = mistaken(name, text);
    said.lines().take(2).collect::<Vec<_>>().join("\n")
}

/// Each of these, with a task behind it, is said with this message at this place; a message that ends in a colon goes on.
/// Tests run side by side, so each has a file of its own.
fn each_is_said(file: &str, cases: &[(&str, &str, &str)]) {
    let task = "[[task]]\nname = \"a\"\nmodule = \"a.wat\"\n";
    for (text, message, place) in cases {
        let said = first(file, format!("{text}\n{task}"));
        assert!(said.starts_with(&format!("error: {message}")), "{text}:\n{said}");
        assert!(said.ends_with(&format!("--> plan.toml:{place}")) || message.ends_with(": "), "{text}:\n{said}");
    }
}

#[test]
fn each_kind_of_mistake_in_windows_has_its_message() {
    let cyclic = "[policy]\nname = \"cyclic\"\n[[policy.mode]]\nname = \"m\"\nframe = 100\n";
    each_is_said(
        "windows.toml",
        &[
            (&format!("{cyclic}windows = 1"), "`windows` takes a list of tables, each under windows", "6:11"),
            (
                &format!("{cyclic}windows = [{{ task = \"b\", offset = 0, length = 1 }}]"),
                "there is no task `b`; there are `a`",
                "6:21",
            ),
            (
                &format!(
                    "{cyclic}windows = [\n{{ task = \"a\", offset = 0, length = 10 }},\n{{ idle = true, offset = 9, length = 1 }}]"
                ),
                "this window, from 9 to 10, overlaps the one from 0 to 10",
                "8:1",
            ),
            (
                &format!("{cyclic}windows = [{{ task = \"a\", offset = 1, length = 100 }}]"),
                "this window ends at 101, and its frame at 100",
                "6:12",
            ),
            (
                &format!("{cyclic}windows = []\n[[policy.switch]]\nafter-frames = 1\nmode = \"n\""),
                "there is no mode `n`; there are `m`",
                "9:8",
            ),
        ],
    );
}

#[test]
fn each_kind_of_mistake_has_its_message() {
    each_is_said(
        "case.toml",
        &[
            (
                "quantum = \"5\"",
                "`quantum` takes a whole number from 1 to 4611686018427387904, such as 10_000; this is \"5\"",
                "1:11",
            ),
            (
                "run-time = \"0s\"",
                "`run-time` takes a time longer than zero, such as 2s or 500ms, in quotes; this is \"0s\"",
                "1:12",
            ),
            (
                "max-memory = \"much\"",
                "`max-memory` takes a size such as 64KiB, 256MiB or a number of bytes; this is \"much\"",
                "1:14",
            ),
            ("max-stack = 1", "`max-stack` takes a size from 16KiB to 256MiB; this is 1", "1:13"),
            ("policy = 5", "`policy` takes a table; this is 5", "1:10"),
            ("[policy]\nageing = 5", "[policy] needs `name`", "1:1"),
            ("[policy]\nname = \"lottery\"\nageing = 5", "lottery has no `ageing`; it has `seed`", "3:10"),
            (
                "[policy]\nname = \"mlfq\"\nlevels = 33",
                "`levels` takes a whole number from 1 to 32; this is 33",
                "3:10",
            ),
            ("group = 5", "`group` takes a list of tables, each under [[group]]", "1:9"),
            ("[[group]]\nweight = 1", "[[group]] needs `name`", "1:1"),
            (
                "[[group]]\nname = \"g\"\nweight = 0",
                "`weight` takes a whole number from 1 to 4294967295; this is 0",
                "3:10",
            ),
            ("[[group]]\nname = \"g\"\n[[group]]\nname = \"g\"", "there is another group `g`", "4:8"),
            ("[[group]]\nname = \"g\"\nreplenish = { fuel = 1 }", "replenish needs `period`", "3:13"),
            ("[policy]\nname = \"cyclic\"", "the policy cyclic needs a [[policy.mode]]", "1:1"),
            ("x = [", "this is not TOML: ", "1:5"),
            ("x = 1\nx = 2", "this is not TOML: duplicate key", "2:1"),
        ],
    );
}

#[test]
fn each_kind_of_mistake_in_a_world_has_its_message() {
    let task = "[[task]]\nmodule = \"b.wat\"\n";
    let texts = "a list of texts without NUL, such as [\"a\", \"b\"]";
    each_is_said(
        "world.toml",
        &[
            ("stdout = 5", "`stdout` takes \"inherit\", \"lines\", \"capture\" or \"discard\"; this is 5", "1:10"),
            (
                "unknown-imports = \"maybe\"",
                "`unknown-imports` takes \"error\", \"trap\" or \"default\"; this is \"maybe\"",
                "1:19",
            ),
            (
                "deterministic = -1",
                "`deterministic` takes true, false or a whole number from 0 to 18446744073709551615; this is -1",
                "1:17",
            ),
            (
                "deterministic = true\nrun-time = \"1s\"",
                "a deterministic run goes by fuel, and this plan has a time for the run",
                "1:1",
            ),
            ("max-spawned = -1", "`max-spawned` takes a whole number from 0 to 1000000; this is -1", "1:15"),
            (&format!("{task}argv = \"a\""), &format!("`argv` takes {texts}; this is \"a\""), "3:8"),
            (&format!("{task}argv = [\"\\u0000\"]"), &format!("`argv` takes {texts}; this is a list"), "3:8"),
            (
                &format!("{task}env = [\"A=1\"]"),
                "`env` takes a table of texts, such as { LANG = \"C\" }; this is a list",
                "3:7",
            ),
            (
                &format!("{task}env = {{ \"A=B\" = \"1\" }}"),
                "`env` takes a table of names and texts without NUL; this is a table",
                "3:7",
            ),
            (
                &format!("{task}dirs = [\"::/x\"]"),
                "`dirs` takes a list of texts, each HOST::GUEST, such as data::/data, or one path for both; this is a list",
                "3:8",
            ),
            (&format!("{task}stdin = \"\""), "`stdin` takes a name in quotes; this is \"\"", "3:9"),
            (&format!("{task}on-spawn = 1"), "`on-spawn` takes true or false; this is 1", "3:12"),
            (&format!("{task}spawns = [\"c\"]"), "there is no task `c`; there is none", "3:10"),
        ],
    );
}

#[test]
fn each_kind_of_mistake_about_tasks_has_its_message() {
    let cases = [
        ("", "there is no [[task]], so there is nothing to run", "1:1"),
        ("[[task]]\nname = \"a\"", "[[task]] needs `module`", "1:1"),
        ("[[task]]\nmodule = \"m\"\ncopies = 0", "`copies` takes a whole number from 1 to 1000000; this is 0", "3:10"),
        (
            "[[task]]\nmodule = \"m\"\nargs = 5",
            "`args` takes a list of numbers and texts, such as [30, \"0x1.8p3\"]; this is 5",
            "3:8",
        ),
        (
            "[[task]]\nmodule = \"m\"\non-trap = \"die\"",
            "`on-trap` takes \"ignore\", \"restart\", \"stop\" or \"shutdown\"; this is \"die\"",
            "3:11",
        ),
        ("[[task]]\nmodule = \"m\"\nrestart = true", "`restart` takes \"cold\" or \"warm\"; this is true", "3:11"),
        ("task = 1", "`task` takes a list of tables, each under [[task]]", "1:8"),
        ("task = [1]", "`task` takes a table; this is 1", "1:9"),
        (
            "[[task]]\nname = \"a\"\nmodule = \"m\"\n[[task]]\nname = \"a\"\nmodule = \"m\"",
            "there is another task `a`",
            "5:8",
        ),
        (
            "[[task]]\nmodule = \"m\"\ncopies = 600_000\n[[task]]\nmodule = \"m\"\ncopies = 600_000",
            "these are 1200000 tasks; a run takes 1000000",
            "1:1",
        ),
    ];
    for (text, message, place) in cases {
        assert_eq!(first("case2.toml", text), format!("error: {message}\n --> plan.toml:{place}"), "{text}");
    }
}

#[test]
fn files_that_are_no_plans() {
    let bytes = mistaken("latin1.toml", b"# ok\nquantum = 5 # \xfcber\n");
    assert_eq!(bytes, "error: plan.toml:2:15: this is not UTF-8; a plan is a text in TOML\n");
    for (path, message) in [
        ("docs", "docs: Is a directory (os error 21)"),
        ("docs/nothing.toml", "docs/nothing.toml: No such file or directory (os error 2)"),
        ("/dev/zero", "/dev/zero: larger than 16777216 bytes, the largest plan that is read"),
    ] {
        let run = sched(&["run", "--plan", path]);
        assert_eq!((run.code, run.err.as_str()), (2, format!("error: {message}\n").as_str()));
    }
    for (name, deep) in [
        ("arrays.toml", format!("x = {}", "[".repeat(1_000_000))),
        ("keys.toml", format!("x{} = 1", ".x".repeat(1_000_000))),
        ("tables.toml", format!("x = {}", "{x=".repeat(1_000_000))),
        ("mistakes.toml", "a = 1\n".repeat(1_000_000)),
        ("keys2.toml", (0..200_000).map(|n| format!("key{n} = 1\n")).collect()),
    ] {
        let said = mistaken(name, deep);
        assert!(said.starts_with("error: ") && said.len() < 20_000, "{name}: {} bytes", said.len());
    }
}

#[test]
fn a_policy_on_the_command_line_is_checked() {
    for (policy, message) in [
        ("fair", "there is no such policy; there are round-robin, weighted, priority, edf, mlfq, lottery, cyclic"),
        ("lotery", "did you mean 'lottery'?"),
        ("lottery:sed=1", "lottery has no 'sed'; it has `seed`"),
        ("weighted:seed=1", "weighted has no 'seed'; it has no parameters"),
        ("mlfq:levels=0", "levels takes a whole number from 1 to 32, such as mlfq:levels=32"),
        ("priority:ageing", "ageing takes a whole number from 1 to 4611686018427387904, such as priority:ageing=1000"),
        ("cyclic", "cyclic needs windows, which only a plan can say: [[policy.mode]] in docs/plan.md"),
    ] {
        let run = sched(&["run", "--policy", policy, "wasm/main.wat"]);
        assert!(run.code == 2 && run.out.is_empty() && run.err.contains(message), "{policy}: {run:?}");
    }
}

#[test]
fn tasks_that_share_a_window_take_turns_of_the_quantum() {
    let windows = "windows = [{ task = \"a\", offset = 0, length = 800 }]";
    let policy = format!("[policy]\nname = \"cyclic\"\n[[policy.mode]]\nname = \"m\"\nframe = 1000\n{windows}\n");
    let task = format!("[[task]]\nname = \"a\"\nmodule = {:?}\ncopies = 2\n", wasm("spin"));
    let plan = file("shared-window.toml", format!("run-fuel = 1_600\n{policy}{task}"));
    // What a window's end cuts off a turn goes on in the next window.
    let cases = [("100", [800, 800], 16), ("400", [800, 800], 4), ("10_000", [1_600, 0], 2)];
    for (quantum, fuel, slices) in cases {
        let (_, report) = sched_json(&["--plan", &plan, "--quantum", quantum]);
        assert_eq!((used(&report), &report["totals"]["slices"]), (fuel.into(), &json!(slices)), "{quantum}: {report}");
    }
}
