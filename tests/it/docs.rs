//! The commands in the documents, run: each `console` block must print what stands below its command.
//!
//! Times are taken for equal, and digests on another architecture than the documents', because they are not the same on two machines;
//! a line `…` stands for any lines.

use crate::cli::{Run, command};
use std::path::Path;
use std::process::Command;

/// The folder of the binary, to be searched for `sched`.
fn binary_folder() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sched")).parent().expect("the binary is in a folder")
}

/// Runs a command line of a document. Cargo's way to run the binary stands for the binary.
fn shell(line: &str) -> String {
    let line = line.replace("cargo run --release -- ", "sched ").replace("cargo run --release", "sched");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {line}")])
        .current_dir(command().get_current_dir().expect("set"))
        .env("PATH", format!("{}:{path}", binary_folder().display()))
        .output();
    Run::from(output.expect("there is a shell")).out
}

/// A line without what differs from run to run.
fn steady(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let unit = |word: &str| ["ns", "µs", "ms", "s"].contains(&word.trim_end_matches([',', ';', '.']));
    let mut steady = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let time = words.get(i + 1).is_some_and(|next| unit(next)) && word.parse::<f64>().is_ok();
        let after_time = i > 0 && unit(word) && words[i - 1].parse::<f64>().is_ok();
        // The documents show those of x86-64.
        let digest =
            word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) && cfg!(not(target_arch = "x86_64"));
        match (time, after_time, digest) {
            (true, _, _) => steady.push("TIME"),
            (_, true, _) => {}
            (_, _, true) => steady.push("DIGEST"),
            _ => steady.push(word),
        }
    }
    steady.join(" ")
}

/// Whether the lines fit, where `…` fits any number of them.
fn fits(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first == "…" => (0..=actual.len()).any(|skip| fits(rest, &actual[skip..])),
        Some((first, rest)) => actual.split_first().is_some_and(|(line, others)| line == first && fits(rest, others)),
    }
}

/// The commands of a document with what should follow each.
fn commands(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            found.push((command.into(), Vec::new()));
        } else if let (true, Some((_, expected))) = (inside, found.last_mut()) {
            expected.push(steady(line));
        }
    }
    found
}

/// Runs the commands of a document, and says how many there were.
fn check(document: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(&path).expect(document);
    let commands = commands(&text);
    for (command, expected) in &commands {
        let printed = shell(command);
        let actual: Vec<String> = printed.lines().map(steady).collect();
        assert!(fits(expected, &actual), "{document}: $ {command}\nprinted\n{printed}");
    }
    commands.len()
}

#[test]
fn the_readme_shows_what_is_printed() {
    assert!(check("README.md") > 0);
}

#[test]
fn the_tour_shows_what_is_printed() {
    assert!(check("docs/polling.md") > 0);
}

#[test]
fn the_page_on_measuring_shows_what_is_printed() {
    assert!(check("docs/bench.md") >= 3);
}

#[test]
fn the_page_on_fuel_shows_what_is_printed() {
    check("docs/fuel.md");
}

#[test]
fn the_page_on_inspecting_shows_what_is_printed() {
    assert!(check("docs/inspect.md") >= 6);
}

#[test]
fn the_page_on_json_shows_what_is_printed() {
    assert!(check("docs/json.md") > 0);
}

#[test]
fn the_page_on_policies_shows_what_is_printed() {
    assert!(check("docs/policies.md") >= 7);
}

#[test]
fn the_page_on_precompiled_modules_shows_what_is_printed() {
    assert!(check("docs/precompiled.md") >= 3);
}

#[test]
fn the_page_on_replays_shows_what_is_printed() {
    assert!(check("docs/replay.md") > 0);
}

#[test]
fn the_page_on_traces_shows_what_is_printed() {
    assert!(check("docs/trace.md") >= 4);
}

#[test]
fn a_wrong_output_would_be_noticed() {
    let found = commands("```console\n$ sched --version\nsched 9.9\n```\n");
    let actual: Vec<String> = shell(&found[0].0).lines().map(steady).collect();
    assert!(!fits(&found[0].1, &actual));
}

#[test]
fn the_page_on_plans_shows_what_is_printed() {
    assert!(check("docs/plan.md") >= 2);
}

#[test]
fn the_page_on_wasi_shows_what_is_printed() {
    assert!(check("docs/wasi.md") >= 3);
}

#[test]
fn the_page_on_workers_shows_what_is_printed() {
    assert!(check("docs/workers.md") > 0);
}

#[test]
fn the_page_on_profiles_shows_what_is_printed() {
    assert!(check("docs/profile.md") > 0);
}

#[test]
fn the_page_on_steps_shows_what_is_printed() {
    assert!(check("docs/step.md") > 0);
}

#[test]
fn the_lab_shows_what_is_printed() {
    assert!(check("docs/lab.md") >= 20);
}
