//! The WASI programs of `wasm/wasi/`, run through the binary as a user runs them, and all that they print.
//!
//! What they must print is in `wasi_programs/`. It was taken from another host, Wasmtime's own WASI, where that has an answer: programs are to run
//! here as they run there. `pointers.txt` alone is ours, because that host traps where this one returns an error.

use crate::cli::{Run, command, file, sched};
use crate::support;
use fuelsched::Module;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What every program of C's imports, to print and to end.
const FIVE: [&str; 5] = ["fd_close", "fd_fdstat_get", "fd_seek", "fd_write", "proc_exit"];

/// A folder that only one test uses: `jail` and `other` for programs, and a secret beside them.
struct Folder(PathBuf);

impl Folder {
    /// A fresh one.
    fn new(name: &str) -> Folder {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasi").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("what an earlier test left can be removed");
        }
        for inner in ["jail", "other"] {
            fs::create_dir_all(folder.join(inner)).expect("a folder for a program");
        }
        fs::write(folder.join("secret"), "top").expect("a secret");
        Folder(folder)
    }

    /// A path in it.
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a UTF-8 path").into()
    }

    /// The option that gives `jail` to a program as its root.
    fn jail(&self) -> String {
        format!("{}::/", self.path("jail"))
    }

    /// What is in one of its folders, sorted.
    fn list(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(name)).expect("the folder is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a UTF-8 name")).collect();
        names.sort();
        names
    }

    /// Checks that programs left nothing behind, and nothing outside of their folders changed.
    fn is_clean(&self) {
        assert_eq!((self.list("jail"), self.list("other")), (vec![], vec![]));
        assert_eq!(self.list("."), ["jail", "other", "secret"]);
        assert_eq!(fs::read_to_string(self.0.join("secret")).expect("the secret"), "top");
    }
}

/// Runs `wasm/wasi/<program>.wasm` with options before it and arguments after it.
fn run(program: &str, options: &[&str], argv: &[&str]) -> (Run, Value) {
    let module = format!("wasm/wasi/{program}.wasm");
    let run = sched(&[&["run", "--format", "json"], options, &[&module, "--"], argv].concat());
    let task = run.json()["tasks"][0].take();
    (run, task)
}

/// What a task printed.
fn printed(task: &Value) -> &str {
    task["stdout"].as_str().unwrap_or_else(|| panic!("nothing was captured: {task}"))
}

/// Runs a program that has to return, and compares all that it prints.
fn prints(program: &str, options: &[&str], argv: &[&str], expected: &str) {
    let (run, task) = run(program, options, argv);
    assert_eq!(printed(&task), expected, "{run:?}");
    assert_eq!((&task["outcome"], run.code), (&json!("returned"), 0), "{run:?}");
}

/// A file of words and numbers, as standard input.
fn words(name: &str) -> String {
    file(name, "one 1\ntwo 2\nthree 3\n")
}

/// Runs a plan of WASI programs at this quantum; its tasks.
fn plan(name: &str, quantum: u64, tasks: &str) -> (Run, Vec<Value>) {
    let plan = file(name, tasks.replace("WASI/", concat!(env!("CARGO_MANIFEST_DIR"), "/wasm/wasi/")));
    let run = sched(&["run", "--format", "json", "--quantum", &quantum.to_string(), "--plan", &plan]);
    let Value::Array(tasks) = run.json()["tasks"].take() else { panic!("{run:?}") };
    (run, tasks)
}

/// A task of a plan: a name, a program, what it is called with.
fn task(name: &str, program: &str, argv: &[&str]) -> String {
    format!("[[task]]\nname = \"{name}\"\nmodule = \"WASI/{program}.wasm\"\nargv = {argv:?}\n")
}

#[test]
fn hello_shows_arguments_and_environment_in_their_order() {
    prints("hello", &["--env", "K=V", "--env", "A=b"], &["a", "b"], include_str!("wasi_programs/hello.txt"));
    prints("hello", &[], &[], "hello, world\nargv[0] = hello.wasm\n");
    let options = ["--env", "NAME=value", "--env", "EMPTY="];
    prints("args", &options, &["one", "two words", ""], include_str!("wasi_programs/args.txt"));
}

#[test]
fn the_table_of_programs_is_true_and_misses_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm/wasi");
    let table = fs::read_to_string(folder.join("README.md")).expect("the table");
    let mut listed = BTreeMap::new();
    for row in table.lines().filter(|row| row.starts_with("| [") && row.contains(".c)")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let name = cells[0].trim_start_matches("| [").split(']').next().expect("a name");
        let functions = cells[3].split('`').skip(1).step_by(2).filter(|&word| word != "sched");
        listed.insert(name.to_string(), functions.map(String::from).collect::<BTreeSet<_>>());
    }
    let mut all = BTreeSet::new();
    let names = fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    for path in names.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")) {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(path.with_extension("c").exists(), "{name} has a source");
        let module = Module::from_file(support::engine(), &path).expect("it loads");
        let imports = module.imports();
        let of_wasi = imports.iter().filter(|import| import.module == "wasi_snapshot_preview1");
        all.extend(of_wasi.map(|import| import.name.to_string()));
        let beside = imports.iter().map(|import| import.name.to_string()).filter(|name| !FIVE.contains(&name.as_str()));
        assert_eq!(listed.remove(&name), Some(beside.collect()), "the row of {name}");
    }
    assert_eq!((listed.len(), all.len()), (0, 46), "rows without a program, functions that some program imports");
}

#[test]
fn output_goes_where_that_of_the_binary_goes() {
    let run = sched(&["run", "wasm/wasi/hello.wasm", "--", "a"]);
    assert!(run.out.starts_with("hello, world\nargv[0] = hello.wasm\nargv[1] = a\n"), "{run:?}");
    let run = sched(&["run", "--format", "json", "--stdout", "discard", "wasm/wasi/hello.wasm"]);
    assert_eq!((run.code, &run.json()["tasks"][0]["stdout"]), (0, &Value::Null), "{run:?}");
}

#[test]
fn cat_copies_files_and_standard_input() {
    let (folder, input) = (Folder::new("cat"), words("cat.txt"));
    fs::write(folder.path("jail/one"), "first\n").expect("a file");
    let dir = folder.jail();
    prints("cat", &["--stdin", &input], &[], "one 1\ntwo 2\nthree 3\n");
    prints("cat", &["--stdin", &input, "--dir", &dir], &["one", "-", "/one"], "first\none 1\ntwo 2\nthree 3\nfirst\n");
    let (run, task) = run("cat", &["--dir", &dir], &["missing", "one"]);
    assert_eq!((printed(&task), &task["exit_code"], run.code), ("first\n", &json!(1), 1), "{run:?}");
    let (_, task) = self::run("cat", &[], &["one"]);
    assert_eq!((printed(&task), &task["exit_code"]), ("", &json!(1)), "nothing is preopened unless it is said");
}

#[test]
fn cat_copies_what_is_larger_than_any_buffer() {
    let folder = Folder::new("large");
    let large: String = (0..40_000).map(|i| format!("line {i}\n")).collect();
    fs::write(folder.path("jail/large"), &large).expect("a file");
    let (run, task) = run("cat", &["--dir", &folder.jail()], &["large"]);
    assert!(printed(&task) == large, "{} bytes of {} came, code {}", printed(&task).len(), large.len(), run.code);
}

#[test]
fn sort_sorts_the_lines_of_a_file_into_another() {
    let folder = Folder::new("sort");
    let line = |i: u64| format!("{:05}", i * 7919 % 10_007);
    let shuffled: Vec<String> = (0..2_000).map(line).collect();
    fs::write(folder.path("jail/in"), shuffled.join("\n")).expect("a file");
    prints("sort", &["--dir", &folder.jail()], &["in", "out"], "2000 lines\n");
    let mut sorted = shuffled;
    sorted.sort();
    assert_eq!(fs::read_to_string(folder.path("jail/out")).expect("the output"), sorted.join("\n") + "\n");
    let (_, task) = run("sort", &["--dir", &folder.jail()], &["missing", "out"]);
    assert_eq!((&task["outcome"], &task["exit_code"]), (&json!("exited"), &json!(1)));
}

#[test]
fn a_sleeper_sleeps_as_long_as_it_asks() {
    prints("sleeper", &[], &["3", "10"], "nap 1: 0, long enough\nnap 2: 0, long enough\nnap 3: 0, long enough\n");
    let (_, task) = run("sleeper", &[], &["5", "1"]);
    assert_eq!((&task["blocked"], &task["preempted"]), (&json!(5), &task["preempted"]), "each nap blocks once");
}

#[test]
fn an_hour_of_sleep_is_skipped_on_a_virtual_clock_and_the_same_each_time() {
    let sleep =
        || sched(&["run", "--format", "json", "--deterministic", "wasm/wasi/sleeper.wasm", "--", "60", "60000"]);
    let (first, second) = (sleep().json(), sleep().json());
    let expected: String = (1..=60).map(|i| format!("nap {i}: 0, long enough\n")).collect();
    assert_eq!(first["tasks"][0]["stdout"], expected);
    assert_eq!((&first["digest"], &first["reproducible"]), (&second["digest"], &json!(true)), "{first}");
}

#[test]
fn a_random_program_is_reproducible_if_it_is_told_to() {
    let run =
        |options: &[&str]| sched(&[&["run", "--format", "json"], options, &["wasm/wasi/random.wasm"]].concat()).json();
    let (first, second) = (run(&["--deterministic"]), run(&["--deterministic"]));
    assert_eq!(first["tasks"][0]["stdout"], include_str!("wasi_programs/random.txt"));
    assert_eq!((&first["digest"], &first["reproducible"]), (&second["digest"], &json!(true)));
    assert_eq!(run(&[])["reproducible"], false);
}

#[test]
fn clocks_and_random_numbers_behave() {
    prints("clocks", &[], &[], include_str!("wasi_programs/clocks.txt"));
    prints("clocks", &["--deterministic"], &[], include_str!("wasi_programs/clocks.txt"));
    prints("random", &[], &[], include_str!("wasi_programs/random.txt"));
}

#[test]
fn everything_that_a_file_can_do() {
    let folder = Folder::new("files");
    prints("files", &["--dir", &folder.jail()], &[], include_str!("wasi_programs/files.txt"));
    prints("stat", &["--dir", &folder.jail()], &[], include_str!("wasi_programs/stat.txt"));
    folder.is_clean();
}

#[test]
fn directories_are_made_listed_and_removed() {
    let folder = Folder::new("directories");
    prints("directories", &["--dir", &folder.jail()], &[], include_str!("wasi_programs/directories.txt"));
    folder.is_clean();
}

#[test]
fn links_and_renames() {
    let folder = Folder::new("links");
    prints("links", &["--dir", &folder.jail()], &[], include_str!("wasi_programs/links.txt"));
    folder.is_clean();
}

#[test]
fn odd_paths_are_taken_as_posix_takes_them() {
    let folder = Folder::new("paths");
    prints("paths", &["--dir", &folder.jail()], &[], include_str!("wasi_programs/paths.txt"));
    folder.is_clean();
}

#[test]
fn nothing_escapes_from_a_folder() {
    let folder = Folder::new("escapes");
    let secret = folder.path("secret");
    prints("escapes", &["--dir", &folder.jail()], &[&secret], include_str!("wasi_programs/escapes.txt"));
    folder.is_clean();
}

#[test]
fn descriptors_know_what_they_are() {
    let folder = Folder::new("descriptors");
    let other = format!("{}::/other", folder.path("other"));
    let options = ["--dir", &folder.jail(), "--dir", &other];
    prints("descriptors", &options, &[], include_str!("wasi_programs/descriptors.txt"));
    folder.is_clean();
}

#[test]
fn waiting_for_several_things_at_once() {
    prints("poll", &["--stdin", &words("poll.txt")], &[], include_str!("wasi_programs/poll.txt"));
}

#[test]
fn standard_streams_buffered_and_not() {
    let lines = format!("{}\n", "=".repeat(100)).repeat(100);
    let expected = format!("{}{lines}done", include_str!("wasi_programs/stdio.txt"));
    let input = words("stdio.txt");
    prints("stdio", &["--stdin", &input], &[], &expected);
    let run = sched(&["run", "--stdin", &input, "wasm/wasi/stdio.wasm"]);
    assert!(run.err.contains("to standard error\n") && !run.out.contains("to standard error"), "{run:?}");
}

#[test]
fn what_is_not_served_is_refused_and_ends_nobody() {
    prints("refused", &[], &[], include_str!("wasi_programs/refused.txt"));
}

#[test]
fn wrong_pointers_lengths_and_numbers_are_errors() {
    let folder = Folder::new("pointers");
    prints("pointers", &["--dir", &folder.jail()], &[], include_str!("wasi_programs/pointers.txt"));
    folder.is_clean();
}

#[test]
fn each_way_to_end_a_program() {
    let ended = |argv: &[&str]| {
        let (run, task) = run("exits", &[], argv);
        (run.code, json!([task["outcome"], task["exit_code"], task["stdout"]]))
    };
    let exited = |code: i32, out: &str| (1, json!(["exited", code, out]));
    assert_eq!(ended(&["return", "0"]), (0, json!(["returned", null, "return\nbuffered\n"])));
    assert_eq!(ended(&["return", "5"]), exited(5, "return\nbuffered\n"));
    assert_eq!(ended(&["exit", "0"]), (0, json!(["exited", 0, "exit\nbuffered\n"])));
    assert_eq!(ended(&["exit", "255"]), exited(255, "exit\nbuffered\n"));
    assert_eq!(ended(&["atexit", "1"]), exited(1, "atexit\nlast words\n"));
    assert_eq!(ended(&["_Exit", "2"]), exited(2, "_Exit\n"), "what is buffered is lost, as C says");
    assert_eq!(ended(&["wasi", "3"]), exited(3, "wasi\n"));
    assert_eq!(ended(&["wasi", "256"]), (1, json!(["trapped", null, "wasi\n"])));
    assert_eq!(ended(&["abort"]), (1, json!(["trapped", null, "abort\n"])));
    assert_eq!(ended(&["trap"]), (1, json!(["trapped", null, "trap\n"])));
}

#[test]
fn who_yields_lets_the_other_go_on() {
    let tasks = [task("a", "yields", &["a", "3"]), task("b", "yields", &["b", "3"])].concat();
    let plan = file("yields.toml", tasks.replace("WASI/", concat!(env!("CARGO_MANIFEST_DIR"), "/wasm/wasi/")));
    let run = sched(&["run", "--quantum", "1_000_000", "--stdout", "inherit", "--plan", &plan]);
    let turns =
        "a 1\nb 1\na 2\nb 2\na 3\nb 3\na gave way 3 times, refused 0 times\nb gave way 3 times, refused 0 times\n";
    assert!(run.out.starts_with(turns), "{run:?}");
}

#[test]
fn a_producer_and_a_consumer_wait_for_each_other() {
    let (producer, consumer) =
        (task("p", "producer", &["numbers", "5", "2"]), task("c", "consumer", &["numbers", "2"]));
    let received: String = (1..=5).map(|i| format!("numbers {i}\n")).collect::<String>() + "received 5, then the end\n";
    // Whoever comes first, and whatever the turns.
    for (name, tasks) in [("p-c.toml", format!("{producer}{consumer}")), ("c-p.toml", format!("{consumer}{producer}"))]
    {
        for quantum in [100, 1_000_000] {
            let (run, tasks) = plan(name, quantum, &tasks);
            let of = |name: &str| tasks.iter().find(|task| task["name"] == name).map(printed);
            assert_eq!((of("p"), of("c")), (Some("sent 5\n"), Some(received.as_str())), "{run:?}");
            assert_eq!(run.code, 0);
        }
    }
}

#[test]
fn a_consumer_without_a_producer_is_deadlocked() {
    let (run, task) = run("consumer", &[], &["numbers"]);
    assert_eq!((&task["outcome"], run.code, printed(&task)), (&json!("deadlocked"), 1, ""), "{run:?}");
}

/// The `i`-th of those who print, sleep and pass messages, with this budget.
fn chatter(i: usize, budget: Option<u64>) -> String {
    let fuel = budget.map_or(String::new(), |fuel| format!("fuel = {fuel}\n"));
    let (name, milliseconds) = (format!("chatter-{i}"), (i % 3).to_string());
    task(&name, "chatter", &[&name, "4", &milliseconds]) + &fuel
}

/// What it prints if it is alone.
fn alone(i: usize) -> String {
    let (_, task) = run("chatter", &[], &[&format!("chatter-{i}"), "4", "0"]);
    printed(&task).into()
}

#[test]
fn a_hundred_programs_print_the_same_together_as_alone() {
    let all: String = (0..100).map(|i| chatter(i, None)).collect();
    let (run, tasks) = plan("hundred.toml", 1_000, &all);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(tasks.iter().all(|task| task["preempted"].as_u64() > Some(100)));
    for (i, task) in tasks.iter().enumerate().step_by(9) {
        assert_eq!(printed(task), alone(i));
    }
    // All alike, but for their names.
    for (i, task) in tasks.iter().enumerate() {
        assert!(
            printed(task).ends_with(&format!("chatter-{i} is done\n")) && printed(task).lines().count() == 5,
            "{task}"
        );
    }
}

#[test]
fn who_ends_in_the_middle_spoils_nobody_elses_output() {
    // Every other one ends somewhere between its first instruction and its last.
    let all: String = (0..60).map(|i| chatter(i, (i % 2 == 1).then_some(1 + i as u64 * 1_800))).collect();
    let (_, tasks) = plan("some-end.toml", 1_000, &all);
    let (ended, others): (Vec<_>, Vec<_>) = tasks.iter().enumerate().partition(|(i, _)| i % 2 == 1);
    let out_of_fuel = ended.iter().filter(|(_, task)| task["outcome"] == "out-of-fuel").count();
    assert_eq!(out_of_fuel, ended.len());
    let lengths: BTreeSet<usize> = ended.iter().map(|(_, task)| printed(task).lines().count()).collect();
    assert_eq!(Vec::from_iter(lengths), [0, 1, 2, 3], "they ended at different points");
    for (i, task) in others {
        assert_eq!(printed(task).lines().count(), 5);
        assert!(i % 10 != 0 || printed(task) == alone(i), "{task}");
    }
}

#[test]
fn programs_of_other_languages_run_unchanged() {
    for (language, file) in [("C++", "words-cpp"), ("Rust", "words-rust"), ("Zig", "words-zig")] {
        let folder = Folder::new(file);
        fs::write(folder.path("jail/in"), "the cat saw the dog\nand the dog ran\n").expect("a file");
        let options = ["--env", "GREETING=hello", "--dir", &folder.jail()];
        let (run, task) = run(&format!("other/{file}"), &options, &["in", "out"]);
        let list = "and 1\ncat 1\ndog 2\nran 1\nsaw 1\nthe 3\n";
        let head = format!("hello from a program in {language}\nargument 1: in\nargument 2: out\n");
        assert_eq!(printed(&task), format!("{head}{list}6 words, read back as written\nslept\n"), "{run:?}");
        assert_eq!((&task["outcome"], &task["exit_code"], &task["blocked"]), (&json!("exited"), &json!(3), &json!(1)));
        assert_eq!(fs::read_to_string(folder.path("jail/out")).expect("the list"), list);
    }
}

#[test]
fn programs_wait_for_standard_input_that_comes_late() {
    let mut child = command()
        .args(["run", "--format", "json", "wasm/wasi/cat.wasm"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut input = child.stdin.take().expect("it is piped");
    for line in ["first\n", "second\n"] {
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::io::Write::write_all(&mut input, line.as_bytes()).expect("it reads");
    }
    drop(input);
    let run: Run = child.wait_with_output().expect("it ends").into();
    let task = run.json()["tasks"][0].take();
    assert_eq!((printed(&task), &task["outcome"]), ("first\nsecond\n", &json!("returned")), "{run:?}");
    assert!(task["blocked"].as_u64() >= Some(2), "it waited, and did not ask again and again: {task}");
}
