//! `--report` through the binary: its page is read by html5ever, the parser of a browser, and held against the report and the trace of the same run.

use crate::cli::{command, file, sched, sched_json};
use base64::Engine;
use scraper::{ElementRef, Html, Selector};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A path in a folder of this test binary's own.
pub(crate) fn place(name: &str) -> String {
    file(name, "")
}

/// A page that has been read.
pub(crate) struct Page {
    /// As text.
    text: String,
    /// As a tree.
    tree: Html,
    /// What its script draws from.
    data: Value,
}

/// The elements that a selector finds.
fn select<'a>(tree: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    tree.select(&Selector::parse(selector).expect(selector)).collect()
}

/// The text of an element.
fn text(element: &ElementRef<'_>) -> String {
    raw(element).trim().into()
}

/// The text of an element, with spaces at its ends.
fn raw(element: &ElementRef<'_>) -> String {
    element.text().collect()
}

/// The hash of a text as a Content-Security-Policy has it.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text)))
}

/// Reads a page, by the rules that all of them keep.
pub(crate) fn read(path: &str) -> Page {
    let whole = fs::read_to_string(path).expect(path);
    let tree = Html::parse_document(&whole);
    assert_eq!(tree.errors, Vec::<std::borrow::Cow<'static, str>>::new(), "{path}");
    let scripts = select(&tree, "script");
    assert_eq!(scripts.len(), 2, "{path}");
    assert_eq!(scripts[0].attr("type"), Some("application/json"));
    let data = raw(&scripts[0]);
    assert!(!data.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{path}");
    // Nothing comes from elsewhere, and nothing runs but the one script.
    let [style] = &select(&tree, "style")[..] else { panic!("{path}: one style") };
    let policy = select(&tree, "meta[http-equiv=Content-Security-Policy]")[0].attr("content").unwrap();
    let expected = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
        hash(&raw(&scripts[1])),
        hash(&raw(style))
    );
    assert_eq!(policy, expected, "{path}");
    for element in select(&tree, "*") {
        for (name, value) in element.value().attrs() {
            assert!(!name.starts_with("on") && !["src", "style", "srcset", "action"].contains(&name), "{name}={value}");
            assert!(name != "href" || value.starts_with('#'), "{name}={value}");
        }
    }
    let data = serde_json::from_str(&data).expect("JSON");
    Page { text: whole, tree, data }
}

impl Page {
    /// A column of the slices.
    fn column(&self, name: &str) -> Vec<u64> {
        numbers(&self.data["slices"][name])
    }

    /// The rows of a table, cell by cell.
    fn table(&self, selector: &str) -> Vec<Vec<String>> {
        let rows = select(&self.tree, &format!("{selector} tbody tr"));
        let cells = Selector::parse("th, td").expect("a selector");
        rows.iter().map(|row| row.select(&cells).map(|cell| text(&cell)).collect()).collect()
    }

    /// The text of the one element that a selector finds.
    fn one(&self, selector: &str) -> String {
        let [element] = &select(&self.tree, selector)[..] else { panic!("{selector}") };
        text(element)
    }

    /// What is said about a term of a list.
    fn term(&self, list: &str, term: &str) -> String {
        let pairs = select(&self.tree, &format!("{list} div"));
        let pair = pairs.iter().map(text).find_map(|pair| pair.strip_prefix(term).map(str::to_string));
        pair.unwrap_or_else(|| panic!("no {term} in {list}"))
    }

    /// Holds it against the report of the same run, in which no task was started again.
    fn fits(&self, report: &Value) {
        let tasks = report["tasks"].as_array().unwrap();
        let table = self.table("table.tasks");
        assert_eq!(table.len(), tasks.len());
        let promised = select(&self.tree, "table.tasks thead th").iter().any(|head| text(head) == "Promised fuel");
        for ((task, cells), row) in tasks.iter().zip(table).zip(self.data["rows"].as_array().unwrap()) {
            let counted = |n: usize| cells[n + usize::from(promised)].replace(',', "").parse::<u64>().unwrap();
            assert_eq!(cells[0], task["name"], "{cells:?}");
            assert!(cells[1].starts_with(task["outcome"].as_str().unwrap()), "{cells:?}");
            assert_eq!(cells[2].replace(',', ""), task["fuel"]["used"].to_string());
            for (n, field) in ["slices", "preempted", "yielded", "blocked", "max_overshoot"].iter().enumerate() {
                assert_eq!(counted(4 + n), task[field], "{field}: {cells:?}");
            }
            assert_eq!((&row["fuel"], &row["slices"]), (&task["fuel"]["used"], &task["slices"]));
        }
        self.conserves(report);
        assert_eq!(self.term("dl.settings", "Digest of the schedule"), report["digest"].as_str().unwrap());
        assert_eq!(self.term("dl.facts", "Ended by"), report["ended_by"].as_str().unwrap());
        let yes = self.term("dl.facts", "Reproducible") == "yes";
        assert_eq!(yes, report["reproducible"].as_bool().unwrap());
    }

    /// Holds its slices against the ledgers, where all are kept.
    fn conserves(&self, report: &Value) {
        assert_eq!(self.data["exactUntil"], Value::Null);
        assert_eq!(self.data["cells"], Value::Null);
        let (rows, used) = (self.column("row"), self.column("used"));
        for (row, task) in report["tasks"].as_array().unwrap().iter().enumerate() {
            let sum: u64 = rows.iter().zip(&used).filter(|(of, _)| **of == row as u64).map(|(_, used)| used).sum();
            assert_eq!(sum, task["fuel"]["used"], "{task}");
        }
        assert_eq!(rows.len() as u64, report["totals"]["slices"]);
        // What was charged and what was idle is all of the clock, without gaps.
        let spans = self.column("at").into_iter().zip(self.column("charged")).map(|(at, charged)| (at, at + charged));
        let idle = numbers(&self.data["idle"]);
        let mut all: Vec<(u64, u64)> = spans.chain(idle.chunks(2).map(|idle| (idle[0], idle[1]))).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|two| two[0].1 == two[1].0), "gaps");
        assert_eq!((all[0].0, all.last().unwrap().1), (0, self.data["end"].as_u64().unwrap()));
    }
}

/// An array of numbers.
fn numbers(array: &Value) -> Vec<u64> {
    array.as_array().unwrap_or_else(|| panic!("{array}")).iter().map(|n| n.as_u64().unwrap_or(u64::MAX)).collect()
}

#[test]
fn pages_of_all_plans_say_what_the_reports_say() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans");
    for plan in fs::read_dir(plans).expect("the folder of plans") {
        let plan = plan.expect("a plan").path();
        let path = place(&format!("{}.html", plan.file_stem().unwrap().display()));
        let (_, report) = sched_json(&["--plan", &plan.display().to_string(), "--report", &path]);
        let page = read(&path);
        // The monitor of that plan has three lives, each of which has a row.
        match plan.ends_with("cyclic.toml") {
            true => assert_eq!(page.data["rows"].as_array().unwrap().len(), 5),
            false => page.fits(&report),
        }
    }
}

/// The rows of shares of a plan.
fn shares(plan: &str) -> (Page, Vec<[String; 4]>) {
    let path = place(&format!("shares-{plan}.html"));
    sched(&["run", "-q", "--plan", &format!("docs/plans/{plan}.toml"), "--report", &path]);
    let page = read(&path);
    let rows = page.table("table.shares");
    let rows = rows.into_iter().map(|row| [0, 2, 3, 4].map(|column| row[column].clone())).collect();
    (page, rows)
}

#[test]
fn shares_are_held_against_what_each_policy_promises() {
    let (page, rows) = shares("weighted");
    // A third for small until its budget is spent, at 6,000,000; then all for large, whose tasks have 3 and 1 of 4.
    let expected = [
        ["foreground", "62.5 %", "62.5 %", "+500"],
        ["background", "20.8 %", "20.8 %", "+167"],
        ["small[0]", "5.6 %", "5.6 %", "−222"],
        ["small[1]", "5.6 %", "5.6 %", "+444"],
        ["small[2]", "5.5 %", "5.6 %", "−889"],
    ];
    assert_eq!(rows, expected);
    assert!(
        page.one("#shares p:not(.note)").contains("groups share so among themselves"),
        "{}",
        page.one("#shares p:not(.note)")
    );
    // Both are ready all the time, so half of it was promised to each, and they are one slice of the filler's apart.
    let (_, rows) = shares("round-robin");
    assert_eq!(rows, [["filler", "51.6 %", "50.0 %", "+32,828"], ["spin", "48.4 %", "50.0 %", "−32,828"]]);
    // 30,000 in 100,000, and 200,000 in 400,000; what is left over is shared by all three.
    let (_, rows) = shares("edf");
    let expected = [
        ["video", "56.7 %", "50.0 %", "+267,000"],
        ["audio", "36.6 %", "30.0 %", "+266,000"],
        ["runaway", "6.7 %", "–", "–"],
    ];
    assert_eq!(rows, expected);
    let (page, rows) = shares("cyclic");
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["control", "display", "monitor"]);
    assert!(
        page.one("#shares p:not(.note)").contains("promised(task) = the lengths of its windows / the virtual clock")
    );
    for plan in ["priority", "mlfq"] {
        let (page, rows) = shares(plan);
        assert!(rows.iter().all(|row| row[2] == "–" && row[3] == "–"), "{rows:?}");
        assert!(page.one("#shares p:not(.note)").contains("no share of the fuel"));
    }
}

#[test]
fn messages_are_there_with_the_slices_that_passed_them() {
    let path = place("messages.html");
    assert_eq!(sched(&["run", "-q", "--plan", "docs/plans/channels.toml", "--report", &path]).code, 0);
    let page = read(&path);
    let column = |name: &str| numbers(&page.data["messages"][name]);
    assert!(column("channel").iter().all(|word| page.data["words"][*word as usize] == "numbers"));
    assert_eq!(column("number"), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    assert_eq!(column("sent"), [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
    // The first task sends, the second receives.
    let rows = page.column("row");
    let of: Vec<u64> = column("slice").iter().map(|slice| rows[*slice as usize]).collect();
    assert_eq!(of, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn by_fuel_a_page_is_the_same_byte_by_byte() {
    let page = |name: &str| {
        let path = place(name);
        assert_eq!(sched(&["run", "-q", "--plan", "docs/plans/channels.toml", "--report", &path]).code, 0);
        read(&path).text
    };
    assert!(page("once.html") == page("twice.html"));
}

#[test]
fn times_are_there_where_they_are_asked_for() {
    let path = place("timed.html");
    sched(&["run", "-q", "--timing", "--quantum", "1000", "--report", &path, "wasm/fib.wat=10", "wasm/main.wat"]);
    let page = read(&path);
    assert_eq!((&page.data["timed"], page.column("ns").len()), (&true.into(), 82));
    let titles: Vec<String> = select(&page.tree, ".distribution h3").iter().map(text).collect();
    assert_eq!(titles, ["Slice, in fuel used", "Slice, in time", "Switch, in time"]);
    // Each distribution has all of its amounts in its bars: 82 slices, and 81 switches between them.
    for (n, expected) in [82, 82, 81].iter().enumerate() {
        let section = select(&page.tree, ".distribution")[n];
        let counts = Selector::parse("tbody td.n").expect("a selector");
        let sum: u64 = section.select(&counts).map(|cell| text(&cell).replace(',', "").parse::<u64>().unwrap()).sum();
        assert_eq!(sum, *expected, "{}", text(&section));
    }
    let untimed = place("untimed.html");
    sched(&["run", "-q", "--report", &untimed, "wasm/main.wat"]);
    assert!(read(&untimed).data["slices"].get("ns").is_none());
}

#[test]
fn what_is_aggregated_is_what_the_trace_has_to_the_last_unit() {
    let (path, json) = (place("many.html"), place("many.json"));
    let tasks = ["wasm/fib.wat=21", "wasm/main.wat", "wasm/wasi/sleeper.wasm"];
    let options = ["--quantum", "20", "--deterministic", "--stdout", "discard", "--report", &path, "--trace", &json];
    let run = sched(&[&["run", "-q", "--trace-clock", "fuel"], &options[..], &tasks[..]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let page = read(&path);
    let trace: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let slices: Vec<[u64; 4]> = trace["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["cat"] == "slice")
        .map(|event| {
            let number = |value: &Value| value.as_u64().unwrap();
            [&event["tid"], &event["ts"], &event["dur"], &event["args"]["fuel"]].map(number)
        })
        .collect();
    // The first 20,000 are there one by one, and the first that is not says from when on that is so.
    let columns = ["row", "at", "charged", "used"].map(|name| page.column(name));
    assert!(slices.len() > 22_000 && columns[0].len() == 20_000, "{} slices", slices.len());
    for (i, [tid, at, charged, used]) in slices[..20_000].iter().enumerate() {
        assert_eq!(columns.each_ref().map(|column| column[i]), [tid - 1, *at, *charged, *used], "slice {i}");
    }
    assert_eq!(page.data["exactUntil"], slices[20_000][1]);
    // Each cell has what the slices have in it.
    let width = page.data["cells"]["width"].as_u64().unwrap();
    for (row, pairs) in page.data["cells"]["ran"].as_array().unwrap().iter().enumerate() {
        let mut expected = vec![0; 1_024];
        for [_, at, charged, _] in slices.iter().filter(|slice| slice[0] == row as u64 + 1) {
            for cell in at / width..=(at + charged - 1) / width {
                let (from, to) = ((cell * width).max(*at), ((cell + 1) * width).min(at + charged));
                expected[cell as usize] += to - from;
            }
        }
        let expected: Vec<u64> =
            (0_u64..).zip(expected).filter(|(_, n)| *n > 0).flat_map(|(cell, n)| [cell, n]).collect();
        assert_eq!(numbers(pairs), expected, "row {row}");
    }
    let note = page.one("#timeline p.note");
    assert!(note.starts_with("The first 20,000 slices are kept one by one, up to "), "{note}");
}

#[test]
fn of_many_tasks_the_page_says_which_it_leaves_out() {
    let path = place("many-tasks.html");
    let args = ["--copies", "1200", "--quantum", "1000", "--run-fuel", "2_400_000", "--report", &path, "wasm/main.wat"];
    let (_, report) = sched_json(&args);
    let used = |task: &Value| task["fuel"]["used"].as_u64().unwrap();
    let late: u64 = report["tasks"].as_array().unwrap()[1_000..].iter().map(used).sum();
    let page = read(&path);
    let table = page.table("table.tasks");
    assert_eq!((table.len(), table[1000][0].as_str()), (1_001, "200 tasks more"));
    assert_eq!(table[1000][2].replace(',', ""), late.to_string());
    let rows = page.data["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[200]["name"]), (201, &"1,000 others".into()));
    let sum = |field: &str| rows.iter().map(|row| row[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("fuel"), sum("slices")), (2_400_000, report["totals"]["slices"].as_u64().unwrap()));
    let note = page.one("#timeline p.note");
    let expected = "The rows are those of the 200 tasks that used the most fuel; 1,000 tasks more share the row of others, which shows no \
                    waits. Only the first 1,000 tasks that were spawned are counted by themselves.";
    assert_eq!(note, expected);
    assert!(page.text.len() < 1_000_000, "{}", page.text.len());
    // With more slices than are kept, the row of others has what all have that have no row of their own.
    let finer = ["--copies", "1200", "--quantum", "100", "--run-fuel", "2_400_000", "--report", &path, "wasm/main.wat"];
    let (_, report) = sched_json(&finer);
    let page = read(&path);
    let ran = page.data["cells"]["ran"].as_array().unwrap();
    let sums: Vec<u64> = ran.iter().map(|row| numbers(row).chunks(2).map(|pair| pair[1]).sum()).collect();
    assert_eq!((sums.len(), sums.iter().sum::<u64>()), (201, report["totals"]["fuel"].as_u64().unwrap()));
    // Somebody ran all the time, so the rows together fill each cell.
    let width = page.data["cells"]["width"].as_u64().unwrap();
    let mut cells = vec![0; 1_024];
    ran.iter().for_each(|row| numbers(row).chunks(2).for_each(|pair| cells[pair[0] as usize] += pair[1]));
    let end = page.data["end"].as_u64().unwrap();
    let whole = |cell: u64| width.min(end.saturating_sub(cell * width));
    assert_eq!(cells, (0..1_024).map(whole).collect::<Vec<_>>());
    for (row, sum) in page.data["rows"].as_array().unwrap().iter().zip(sums) {
        assert_eq!(row["fuel"], sum, "{row}");
    }
}

#[test]
fn hostile_names_and_outputs_stay_text() {
    let module = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm").join(name).display().to_string();
    let long = "x".repeat(10_000);
    let names = [
        "</script><script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>&amp;{{data}}",
        "<!--<script>",
        "\u{202e}gnp.exe\u{2066}\u{200f}",
        "a\n\u{7f}\u{0}\u{2028}b",
        &long,
    ];
    let quoted = |text: &str| Value::from(text).to_string().replace('\u{7f}', "\\u007f");
    let task = |name: &&str| format!("[[task]]\nname = {}\nmodule = {}\n", quoted(name), quoted(&module("main.wat")));
    let speaker = format!(
        "[[task]]\nname = \"speaker\"\nmodule = {}\nargv = {}\n",
        quoted(&module("wasi/hello.wasm")),
        Value::from(vec!["</pre><script>alert(2)</script>\u{1b}[31m\u{202e}"])
    );
    let plan = names.iter().map(task).collect::<String>() + &speaker;
    let (plan, path) = (file("hostile.toml", format!("stdout = \"capture\"\n{plan}")), place("hostile.html"));
    let run = sched(&["run", "-q", "--plan", &plan, "--report", &path]);
    assert_eq!(run.code, 0, "{run:?}");
    let page = read(&path);
    let cut = format!("{}…", "x".repeat(120));
    let shown = [
        names[0],
        names[1],
        names[2],
        "⟨U+202E⟩gnp.exe⟨U+2066⟩⟨U+200F⟩",
        "a⟨U+000A⟩⟨U+007F⟩⟨U+0000⟩⟨U+2028⟩b",
        &cut,
        "speaker",
    ];
    let table: Vec<String> = page.table("table.tasks").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(table, shown);
    let rows: Vec<&str> =
        page.data["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(rows, shown);
    assert!(select(&page.tree, "img").is_empty());
    assert!(!page.text.contains('\u{202e}') && !page.text.contains('\u{1b}'));
    assert!(page.text.len() < 200_000, "long names are cut: {}", page.text.len());
    let printed = page.one("#printed pre");
    assert!(printed.contains("</pre><script>alert(2)</script>\u{fffd}[31m\u{fffd}"), "{printed}");
}

#[test]
fn a_recording_gives_the_page_of_its_run_but_for_what_it_does_not_tell() {
    let (live, told, rec) = (place("live.html"), place("told.html"), place("told.rec"));
    let args = ["--quantum", "1000", "--record", &rec, "--report", &live, "wasm/fib.wat=10", "wasm/main.wat"];
    sched(&[&["run", "-q"], &args[..]].concat());
    let run = sched(&["trace", &rec, "--report", &told]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{run:?}");
    let pages = [read(&live), read(&told)];
    for column in ["row", "at", "charged", "used", "grant", "number"] {
        assert_eq!(pages[0].column(column), pages[1].column(column), "{column}");
    }
    assert_eq!(pages[0].table("table.shares"), pages[1].table("table.shares"));
    assert_eq!(pages[0].table("table.tasks"), pages[1].table("table.tasks"));
    // A replay is the run once more.
    let again = place("again.html");
    sched(&["run", "-q", "--replay", &rec, "--report", &again]);
    assert_eq!(read(&again).table("table.tasks"), pages[0].table("table.tasks"));
    assert_eq!(read(&again).table("table.shares"), pages[0].table("table.shares"));
    // Who waited, and until when, is not told; and a part is no whole.
    sched(&["run", "-q", "--plan", "docs/plans/channels.toml", "--record", &rec]);
    sched(&["trace", &rec, "--report", &told]);
    assert!(
        read(&told)
            .one("#shares p:not(.note)")
            .contains("A recording does not say when a task that waited could run again")
    );
    sched(&["trace", &rec, "--report", &told, "--task", "consumer", "--to", "5_000"]);
    let part = read(&told);
    assert!(part.one("#shares p:not(.note)").contains("Only a part of the run is looked at"));
    assert_eq!(part.table("table.tasks").len(), 1);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_a_whole_page() {
    let (path, json) = (place("interrupted.html"), place("interrupted.json"));
    let mut endless = command();
    endless.args(["run", "-q", "--quantum", "1000", "--report", &path, "--trace", &json, "wasm/spin.wat"]);
    let child = endless.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    // So many slices that the page cannot keep them one by one.
    while fs::metadata(&json).map_or(0, |file| file.len()) < 8_000_000 {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = crate::cli::Run::from(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, 130, "{run:?}");
    let page = read(&path);
    assert_eq!(page.term("dl.facts", "Ended by"), "interrupt");
    assert_eq!(page.term("dl.facts", "Reproducible"), "no: the run was interrupted");
    assert_eq!(page.column("at").len(), 20_000);
    // Alone, it ran all of the time.
    let ran: u64 = numbers(&page.data["cells"]["ran"][0]).chunks(2).map(|pair| pair[1]).sum();
    assert_eq!(ran, page.data["end"].as_u64().unwrap());
}

#[test]
fn a_page_that_cannot_be_written_is_refused_and_a_full_disk_is_said() {
    let run = sched(&["run", "--report", "no/such/page.html", "wasm/main.wat"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    assert!(run.err.contains("cannot write a report to no/such/page.html"), "{run:?}");
    let run = sched(&["run", "--workers", "2", "--report", "page.html", "wasm/main.wat"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    if cfg!(target_os = "linux") {
        let run = sched(&["run", "--report", "/dev/full", "wasm/main.wat"]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.out.contains("returned   10000"), "the result is there: {run:?}");
        assert!(run.err.contains("the report is not complete: /dev/full: No space left on device"), "{run:?}");
    }
}

#[test]
fn a_run_of_nothing_has_a_page() {
    let path = place("nothing.html");
    let module = file("not-started.wat", "(module (func $start unreachable) (start $start) (func (export \"main\")))");
    sched(&["run", "-q", "--report", &path, &module]);
    let page = read(&path);
    assert_eq!(page.table("table.tasks").len(), 1);
}
