//! `sched compare` through the binary.

use crate::cli::{Run, file, sched};
use serde_json::{Value, json};

/// A comparison as JSON.
fn compare(words: &[&str]) -> (Run, Value) {
    let run = sched(&[&["compare", "--format", "json"], words].concat());
    let json = run.json();
    (run, json)
}

/// The row of a policy.
fn row<'a>(comparison: &'a Value, policy: &str) -> &'a Value {
    let rows = comparison["policies"].as_array().expect("rows");
    let named = |row: &&Value| row["policy"].as_str().is_some_and(|name| name.split(':').next() == Some(policy));
    rows.iter().find(named).unwrap_or_else(|| panic!("no {policy} in {comparison}"))
}

#[test]
fn the_same_tasks_fare_as_each_policy_lets_them() {
    let (run, comparison) = compare(&["--plan", "docs/plans/priority.toml"]);
    let names: Vec<&str> =
        comparison["policies"].as_array().expect("rows").iter().filter_map(|row| row["policy"].as_str()).collect();
    // No windows and no periods, so neither cyclic nor edf.
    assert_eq!((run.code, names), (0, vec!["round-robin", "weighted", "priority:ageing=20000", "mlfq", "lottery"]));
    for name in ["round-robin", "weighted", "priority", "mlfq", "lottery"] {
        let measured = &row(&comparison, name)["measured"];
        assert_eq!(
            (&measured["fuel"], &measured["finished"], &measured["clock"]),
            (&json!(318_634), &json!(3), &json!(318_634))
        );
        // All that a task does is run or wait, and they run 318,634 together.
        let sum = |what: &str| measured[what]["mean"].as_u64().expect("a mean") * 3;
        assert!((sum("waiting") + 318_634).abs_diff(sum("turnaround")) < 6, "{measured}");
    }
}

#[test]
fn a_policy_is_compared_by_what_it_is_for() {
    let (_, comparison) = compare(&["--plan", "docs/plans/edf.toml", "--policy", "edf,round-robin"]);
    let misses = |policy| row(&comparison, policy)["measured"]["deadline_misses"].as_u64();
    assert_eq!(misses("edf"), Some(0));
    // A third of the machine is not half of it: video misses each of its ten periods. For audio it is enough, but for the first.
    assert_eq!(misses("round-robin"), Some(11), "{comparison}");
    let (_, comparison) = compare(&["--plan", "docs/plans/lottery.toml", "--policy", "weighted,round-robin,lottery"]);
    let fairness = |policy| row(&comparison, policy)["measured"]["fairness"].as_f64().expect("an index");
    assert!(fairness("weighted") > 0.9999 && fairness("lottery") > 0.99, "{comparison}");
    // (1 + 1/2 + 1/4)² / (3 × (1 + 1/4 + 1/16))
    assert!((fairness("round-robin") - 3.0625 / 3.9375).abs() < 0.001, "{comparison}");
    assert_eq!(row(&comparison, "lottery")["policy"], "lottery:seed=7", "with what the plan says of it");
}

#[test]
fn a_row_is_the_run_that_it_tells_of() {
    let (_, comparison) = compare(&["--policy", "mlfq", "wasm/fib.wat=15", "wasm/main.wat"]);
    let run = sched(&["run", "--format", "json", "--policy", "mlfq", "wasm/fib.wat=15", "wasm/main.wat"]).json();
    let measured = &row(&comparison, "mlfq")["measured"];
    assert_eq!((&measured["digest"], &measured["switches"]), (&run["digest"], &run["totals"]["switches"]));
}

#[test]
fn a_policy_that_refuses_says_so_and_the_others_go_on() {
    let task = "{ module = \"MODULE\", period = 100, runtime = 80 },\n"
        .replace("MODULE", concat!(env!("CARGO_MANIFEST_DIR"), "/wasm/main.wat"));
    let path = file("overload.toml", format!("task = [\n{}]", task.repeat(2)));
    let (run, comparison) = compare(&["--plan", &path, "--policy", "edf,round-robin,cyclic"]);
    assert_eq!((run.code, &row(&comparison, "edf")["refusals"]), (1, &json!(1)));
    assert!(
        row(&comparison, "edf")["refused"][0]
            .as_str()
            .is_some_and(|why| why.contains("main[1]: the policy edf does not take"))
    );
    assert_eq!(row(&comparison, "round-robin")["measured"]["finished"], 2);
    assert_eq!(
        (&row(&comparison, "cyclic")["measured"], &row(&comparison, "cyclic")["refusals"]),
        (&json!(null), &json!(2))
    );
    let human = sched(&["compare", "--plan", &path, "--policy", "edf,cyclic"]);
    assert!(human.out.contains("refused") && human.out.contains("edf: main[1]: the policy edf"), "{human:?}");
}

#[test]
fn help_says_what_is_measured() {
    let help = sched(&["compare", "--help"]);
    assert_eq!(help.code, 0);
    for word in ["turnaround", "Jain's index", "lottery", ":seed=N", "Examples:", "Exit codes:", "TASK is PATH"] {
        assert!(help.out.contains(word), "{word}: {help:?}");
    }
    let wrong = sched(&["compare", "wasm/nothing.wat"]);
    assert!(wrong.code == 2 && wrong.err.contains("there is nothing to compare"), "{wrong:?}");
}
