//! The lab of docs/lab.md: what each exercise is about does happen, and what mends it does.

use crate::cli::{sched, sched_json};
use serde_json::Value;

/// The report of a plan of the lab, run with these words beside it.
fn report(plan: &str, words: &[&str]) -> Value {
    sched_json(&[&["--plan", &format!("docs/lab/{plan}.toml")], words].concat()).1
}

/// A number of each task, by its place.
fn each(report: &Value, pointer: &str) -> Vec<u64> {
    let tasks = report["tasks"].as_array().expect("tasks");
    tasks.iter().map(|task| task.pointer(pointer).and_then(Value::as_u64).expect("a number")).collect()
}

/// How each task ended.
fn outcomes(report: &Value) -> Vec<&str> {
    report["tasks"].as_array().expect("tasks").iter().map(|task| task["outcome"].as_str().expect("a text")).collect()
}

/// The slices of a run: task, granted, how it ended.
fn slices(plan: &str) -> Vec<(String, u64, String)> {
    let run = sched(&["run", "-q", "--log", "--plan", &format!("docs/lab/{plan}.toml")]);
    let slice = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let granted = words.get(2)?.replace(',', "").parse().ok()?;
        Some((words[1].to_string(), granted, line.trim_end().rsplit_once("  ")?.1.to_string()))
    };
    run.err.lines().filter_map(slice).collect()
}

#[test]
fn who_is_humble_starves_unless_waiting_counts() {
    let used = |policy| each(&report("starvation", &["--policy", policy]), "/fuel/used")[1];
    assert_eq!(used("priority"), 0);
    let (slow, fast) = (used("priority:ageing=10_000"), used("priority:ageing=1_000"));
    assert!(0 < slow && slow < fast, "{slow}, {fast}");
    assert_eq!(outcomes(&report("starvation", &["--policy", "priority:ageing=1_000"])), ["stopped", "returned"]);
}

#[test]
fn a_convoy_forms_and_stays_unless_nobody_stands_in_line() {
    let numbers = |plan| {
        let report = report(plan, &[]);
        (each(&report, "/blocked").iter().sum::<u64>(), report["totals"]["switches"].as_u64().expect("a number"))
    };
    let ((blocked, switches), (none, mended)) = (numbers("convoy"), numbers("convoy-mended"));
    // Of 800 uses of the lock nearly all wait for it.
    assert!(blocked > 700 && none == 0 && mended * 10 < switches, "{blocked} {switches}, {none} {mended}");
}

#[test]
fn who_is_urgent_waits_for_the_medium_unless_there_is_a_ceiling() {
    let order = |plan| {
        let ends = slices(plan).into_iter().filter(|(_, _, end)| end.starts_with("returned"));
        ends.map(|(task, ..)| task).collect::<Vec<_>>()
    };
    assert_eq!(order("inversion"), ["medium", "high", "low"]);
    assert_eq!(order("inversion-mended"), ["high", "low", "medium"]);
}

#[test]
fn overshooting_gains_nothing_where_fuel_is_charged() {
    let attacker = |policy| each(&report("overshoot", &["--policy", policy]), "/fuel/used")[0];
    let quarter = 1_000_000;
    for policy in ["round-robin", "weighted"] {
        assert!(attacker(policy).abs_diff(quarter) <= 65_541, "{policy}");
    }
    assert!(attacker("mlfq") > 2 * quarter);
}

#[test]
fn deadlines_are_met_up_to_full_load_by_deadline_only() {
    let misses = |plan: &str| -> Vec<u64> {
        let words = ["compare", "--policy", "priority,edf", "--format", "json", "--plan", plan];
        let policies = sched(&words).json()["policies"].as_array().expect("policies").clone();
        policies.iter().map(|policy| policy["measured"]["deadline_misses"].as_u64().expect("a number")).collect()
    };
    assert_eq!(misses("docs/lab/deadlines.toml"), [11, 0]);
    let text = std::fs::read_to_string(format!("{}/docs/lab/deadlines.toml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let with = |runtime: &str| {
        let text = text.replace("70_000", runtime).replace("../..", env!("CARGO_MANIFEST_DIR"));
        crate::cli::file(&format!("deadlines-{runtime}.toml"), text)
    };
    assert_eq!((misses(&with("50_000")), misses(&with("51_000"))), (vec![0, 0], vec![12, 0]));
}

#[test]
fn a_lottery_is_fair_in_the_long_run() {
    for (fuel, drawings) in [("10_000", 10_u64), ("1_000_000", 1_000)] {
        for seed in 1..=5 {
            let policy = format!("lottery:seed={seed}");
            let heads = each(&report("lottery", &["--run-fuel", fuel, "--policy", &policy]), "/slices")[0];
            // Four standard deviations.
            let most = 4.0 * (drawings as f64 / 4.0).sqrt();
            assert!((heads as f64 - drawings as f64 / 2.0).abs() <= most, "{heads} of {drawings}");
        }
    }
}

#[test]
fn an_overrun_is_felt_by_the_next_window_only() {
    let granted = |plan, task: &str| -> Vec<u64> {
        slices(plan).into_iter().filter(|(name, ..)| name == task).map(|(_, granted, _)| granted).collect()
    };
    assert_eq!((granted("overrun", "control"), granted("overrun", "display")), (vec![10_000; 5], vec![14_459; 4]));
    let mended = |task| granted("overrun-mended", task);
    assert_eq!((mended("control"), mended("display")), (vec![10_000; 5], vec![20_000; 5]));
}

#[test]
fn philosophers_starve_at_some_quanta_unless_forks_have_an_order() {
    let ends = |plan, quantum: u64| {
        let report = report(plan, &["--quantum", &quantum.to_string()]);
        outcomes(&report).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (eaten, starved) = (["returned"; 3], ["deadlocked"; 3]);
    let quanta = [(5_000, eaten), (4_500, starved), (4_000, eaten), (3_500, starved), (1_000, eaten)];
    for (quantum, end) in quanta {
        assert_eq!(ends("philosophers", quantum), end, "{quantum}");
    }
    for quantum in (500..=7_500).step_by(500) {
        assert_eq!(ends("philosophers-mended", quantum), eaten, "{quantum}");
    }
}

#[test]
fn the_quantum_is_a_matter_of_switches_and_not_of_fuel() {
    let numbers = |quantum| {
        let report = report("quantum", &["--quantum", quantum]);
        let total = |name: &str| report["totals"][name].as_u64().expect("a number");
        (total("fuel"), total("switches"))
    };
    let (one, eight, ten_thousand, all) = (numbers("1"), numbers("8"), numbers("10_000"), numbers("1_000_000"));
    assert_eq!([one.0, eight.0, ten_thousand.0, all.0], [2_400_808; 4]);
    // A round of the guest is 8 fuel, and cannot be stopped in the middle.
    assert!(one.1 - eight.1 < 10 && one.1 > 1_000 * ten_thousand.1 && all.1 == 0, "{one:?} {eight:?}");
}

#[test]
fn a_short_task_waits_as_long_as_turns_are() {
    let path = crate::cli::file("lab.rec", "");
    let done = |quantum, policy| -> u64 {
        let words = ["run", "-q", "--plan", "docs/lab/quantum.toml", "--record", &path, "--quantum", quantum];
        assert_eq!(sched(&[&words[..], &["--policy", policy]].concat()).code, 0);
        let shown = sched(&["trace", &path]).out;
        let line = shown.lines().find(|line| line.contains("query")).expect("a line").to_string();
        line.split_whitespace().last().expect("when it was done").replace(',', "").parse().expect("a number")
    };
    let after = |quantum, policy| done(quantum, policy) - 500_000;
    assert!(after("1_000", "round-robin") < 4_000 && after("100_000", "round-robin") > 100_000);
    assert!(after("1_000_000", "round-robin") > 1_800_000 && after("100_000", "mlfq") <= 100_802);
}
