//! `sched step`, by scripts: what each command shows, and that the way back leads to where one was.

use crate::cli::{Run, command, file, sched};
use std::io::{BufRead as _, Read as _, Write as _};
#[cfg(unix)]
use std::process::Command;
use std::process::{Child, Stdio};
#[cfg(target_os = "linux")]
use std::sync::{Arc, Mutex};

/// The binary, which takes a script on its standard input.
fn started(words: &[&str]) -> Child {
    command()
        .args([&["step", "--script", "-"], words].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

/// What a script prints with these words.
fn script(commands: &str, words: &[&str]) -> Run {
    let mut child = started(words);
    // One that has ended before it has read all does so for a reason of its own.
    let _ = child.stdin.take().expect("piped").write_all(commands.as_bytes());
    Run::from(child.wait_with_output().expect("it ends"))
}

/// The same, one line after the other, and all of it was done.
fn done(commands: &[&str], words: &[&str]) -> String {
    let run = script(&commands.join("\n"), words);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    run.out
}

/// Two tasks and a small quantum.
const TWO: [&str; 4] = ["--quantum", "100", "wasm/fib.wat=8", "wasm/main.wat"];

#[test]
fn a_script_shows_what_each_command_comes_to() {
    let shown = done(&["step", "step 3", "tasks", "ready", "policy", "stack fib", "until fuel 600", "ledger"], &TWO);
    let expected = "\
> step
1 poll, clock 105, 2 live
fib, its slice 1: picked for turn
granted 100, used 105, 5 more than that; then preempted
> step 3
4 polls, clock 406, 2 live
main, its slice 2: picked for turn
granted 95, used 96, 1 more than that; then preempted
> tasks
 #   task   state   fuel
─────────────────────────
 0   fib    ready    205
 1   main   ready    201
> ready
next: fib, main; then: nobody
> policy
round-robin, quantum 100
fib: quantum 100, balance -5
main: quantum 100, balance -1
> stack fib
fib at 0x22
fib at 0x32
fib at 0x32
fib at 0x32
fib at 0x39
fib at 0x32
fib at 0x32
> until fuel 600
6 polls, clock 610, 2 live
main, its slice 3: picked for turn
granted 99, used 104, 5 more than that; then preempted
> ledger
 task   fuel   slices   preempted   yielded   blocked   overshoot
──────────────────────────────────────────────────────────────────
 fib     305        3           3         0         0           5
 main    305        3           3         0         0           5
";
    assert_eq!(shown, expected);
}

#[test]
fn the_way_back_leads_to_where_one_was() {
    let there = |commands: &[&str]| {
        let all = done(&[commands, &["tasks", "policy", "ledger", "last", "stack 0"]].concat(), &TWO);
        all[all.find("> tasks").unwrap()..].to_string()
    };
    for polls in [1, 2, 3, 7] {
        let forwards = there(&[&format!("step {polls}")]);
        assert_eq!(there(&[&format!("step {}", polls + 4), "back 4"]), forwards, "{polls}");
        assert_eq!(there(&[&format!("step {}", polls + 2), "back", "back"]), forwards, "{polls}");
    }
    // What was changed on the way there is changed again, and what came later is not.
    let changed = there(&["step 2", "set fib quantum 30", "step 4"]);
    assert_eq!(there(&["step 2", "set fib quantum 30", "step 6", "kill main", "step 2", "back 4"]), changed);
    assert_ne!(there(&["step 6"]), changed);
}

#[test]
fn going_on_from_the_middle_ends_as_a_run_does() {
    let all = |commands: &[&str]| done(&[commands, &["until end", "ledger"]].concat(), &TWO);
    let ledger = |text: &str| text[text.find("> ledger").unwrap()..].to_string();
    let straight = all(&[]);
    assert!(straight.contains("task 1: returned 10000\nall tasks have ended"), "{straight}");
    assert_eq!(ledger(&all(&["step 9", "back 5", "step 2", "back", "tasks"])), ledger(&straight));
}

#[test]
fn windows_are_shown_where_the_policy_has_some() {
    let shown = done(&["step 5", "policy"], &["--plan", "docs/lab/overrun.toml"]);
    let expected = "\
logger, its slice 2: picked for window 1
granted 54,459, used 65,541, 11,082 more than that; then preempted
window 1 of frame 1: 110,000 to 170,000
> policy
cyclic, quantum 10,000
control: partition 0, debt 0
logger: partition 1, debt 11,082
display: partition 2, debt 0
";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn tasks_can_be_steered() {
    let paused =
        done(&["suspend fib", "step 2", "resume fib", "until task fib", "kill main", "until end", "tasks"], &TWO);
    assert!(paused.contains("> step 2\n2 polls, clock 201, 2 live\nmain, its slice 2"), "{paused}");
    assert!(paused.contains("> until task fib\n3 polls") && paused.contains(" 1   main   killed"), "{paused}");
    let switched = done(&["step", "until switch", "last"], &["--copies", "3", "wasm/fib.wat=5", "--quantum", "50"]);
    assert!(switched.contains("> until switch\n2 polls, clock 116, 3 live\nfib[1], its slice 1"), "{switched}");
    let trapped = done(&["until trap", "tasks"], &["wasm/main.wat", "wasm/unreachable.wat"]);
    assert!(trapped.contains("trapped"), "{trapped}");
}

#[test]
fn memories_and_globals_can_be_seen_and_set() {
    let module = file(
        "looked-into.wat",
        r#"(module (memory (export "memory") 1) (data (i32.const 0) "hello, world") (global (export "g") (mut i32) (i32.const 7))
            (func (export "main") (result i32)
                (loop (br_if 0 (i32.eq (i32.load8_u (i32.const 0)) (i32.const 104)))) (i32.load (i32.const 16))))"#,
    );
    let words = ["--quantum", "100", module.as_str()];
    let commands = [
        "step 2",
        "memory 0 0 20",
        "global 0 g",
        "setglobal 0 g i32 -1",
        "global 0 g",
        "poke 0 16 2a",
        "poke 0 0 48",
        "memory 0 0x10 1",
        "until end",
    ];
    let shown = done(&commands, &words);
    assert!(
        shown.contains(
            "00000000  68 65 6c 6c 6f 2c 20 77 6f 72 6c 64 00 00 00 00  hello, world....\n00000010  00 00 00 00"
        ),
        "{shown}"
    );
    assert!(shown.contains("g = 7 (i32)") && shown.contains("g = -1 (i32)"), "{shown}");
    assert!(shown.contains("00000010  2a ") && shown.contains("returned 42"), "{shown}");
    // On the way back it is written again, and further back it was not yet.
    let back = done(&[&commands[..8], &["step", "back", "memory 0 16 1", "back", "memory 0 16 1"]].concat(), &words);
    assert!(back.contains("> back\n2 polls") && back.contains("00000010  2a "), "{back}");
    assert!(back.ends_with("  .\n") && back.contains("> back\n1 poll, "), "{back}");
}

#[test]
fn a_channel_can_be_fed_and_output_is_kept() {
    let words = ["--quantum", "1000", "wasm/consumer.wat=4"];
    let commands =
        ["until end", "channels", "send numbers abcd", "until end", "close numbers", "until end", "channels"];
    let fed = done(&commands, &words);
    // Nobody else could send to it, and yet it is not ended as deadlocked.
    let waits =
        "task 0 waits to receive from channel 'numbers'\nnobody can run; tasks shows what each waits for\n> channels\n";
    assert!(fed.contains(waits) && fed.contains(" numbers          0    2              0                1"), "{fed}");
    let sum = i32::from_le_bytes(*b"abcd");
    assert!(fed.contains(&format!("task 0 was woken from outside\ntask 0: returned {sum} 1 -1\n")), "{fed}");
    assert!(fed.ends_with("closed\n"), "{fed}");
    // Back where it was sent, it is there once; before that, it is not.
    let again = |back| done(&[&commands[..6], &[back, "until end"]].concat(), &words);
    let waits = waits.trim_end_matches("> channels\n");
    assert!(again("back 2").ends_with(&format!("then blocked\ntask 0 was woken from outside\n{waits}")));
    assert!(again("back 3").ends_with(&format!("then blocked\n{waits}")));
    let early = script("send numbers abcd\nstep\nclose other", &words);
    assert_eq!(early.code, 1);
    assert!(
        early.out.starts_with("> send numbers abcd\nerror: no task has opened a channel 'numbers'; none is open\n")
    );
    assert!(early.out.ends_with("error: no task has opened a channel 'other'; there are numbers\n"), "{early:?}");
    let printed = done(&["until end", "output hello"], &["wasm/wasi/hello.wasm", "--", "you"]);
    assert!(printed.contains("> output hello\nhello, world\nargv[0] = hello.wasm\nargv[1] = you\n"), "{printed}");
}

#[test]
fn a_mistake_in_a_script_is_said_and_the_rest_is_done() {
    let run = script("step\nfly\nkill nobody\nstack main\nback 5\nback\ntasks\nquit\nstep", &TWO);
    assert_eq!(run.code, 1);
    for part in [
        "> fly\nerror: there is no command 'fly'; help lists all\n",
        "error: there is no task 'nobody'; there are fib, main\n",
        "> stack main\nerror: ",
        "> back 5\n0 polls, clock 0, 2 live\nnothing has run yet\n",
        "> back\nerror: nothing has run yet, so there is no way back\n",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(!run.out.contains("> quit"), "that is all");
}

#[test]
fn what_came_from_outside_is_in_the_way_of_going_back() {
    let folder = std::env::temp_dir().display().to_string();
    let run = script("step\nback", &["wasm/wasi/hello.wasm", "--dir", &format!("{folder}::/")]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("error: there is no way back: tasks had the use of folders"), "{}", run.out);
}

#[test]
fn an_export_may_be_called_as_an_index_is_written() {
    let module = file(
        "called-at.wat",
        r#"(module (memory (export "@1") 1) (global (export "@0") (mut i32) (i32.const 7)) (func (export "main") (loop (br 0))))"#,
    );
    let words = ["--quantum", "100", module.as_str()];
    let shown = done(
        &["step", "global 0 @0", "setglobal 0 @0 i32 8", "global 0 @0", "poke 0 0 2a @1", "memory 0 0 1 @1"],
        &words,
    );
    assert!(shown.contains("@0 = 7 (i32)\n") && shown.contains("@0 = 8 (i32)\n"), "{shown}");
    assert!(shown.ends_with("00000000  2a                                               *\n"), "{shown}");
}

#[cfg(feature = "debug")]
#[test]
fn what_is_not_exported_can_be_seen_where_guests_are_instrumented() {
    let module = file(
        "private.wat",
        r#"(module (memory 1) (data (i32.const 0) "secret") (global $turns (mut i32) (i32.const 0)) (global i64 (i64.const 7))
            (global (mut funcref) (ref.null func))
            (func (export "main") (loop $again (global.set $turns (i32.add (global.get $turns) (i32.const 1))) (br $again))))"#,
    );
    let words = ["--debug", "--quantum", "100", module.as_str()];
    let shown = done(&["step", "insides 0", "memory 0 0 8 @0", "global 0 @0", "back", "step 2", "global 0 @0"], &words);
    let expected = "\
1 poll, clock 100, 1 live, instrumented
private, its slice 1: picked for turn
granted 100, used 100; then preempted
> insides 0
 what        value
──────────────────────────
 memory @0   65,536 bytes
 global @0   18 (i32)
 global @1   7 (i64)
 global @2   a reference
> memory 0 0 8 @0
00000000  73 65 63 72 65 74 00 00                          secret..
> global 0 @0
@0 = 18 (i32)
";
    assert!(shown.contains(expected) && shown.ends_with("@0 = 38 (i32)\n"), "{shown}");
    let run = script("step\ninsides 0\nmemory 0 0 8 @1\nglobal 0 @3\nglobal 0 @2\npoke 0 0 00 @0", &words);
    for part in [
        "there is no memory @1\n",
        "private.wat: there is no global 3\n",
        "the global '@2' holds a reference",
        "private.wat: no memory is exported as '@0'\n",
    ] {
        assert!(run.code == 1 && run.out.contains(part), "{part}: {run:?}");
    }
    let plain = script("step\ninsides 0\nglobal 0 @0\nmemory 0 0 1 @0", &words[1..]);
    let refused = "only what it exports can be seen, unless with --debug\n";
    assert_eq!((plain.code, plain.out.matches(refused).count()), (1, 3), "{plain:?}");
}

#[cfg(not(feature = "debug"))]
#[test]
fn a_build_that_cannot_instrument_guests_says_so() {
    let said = "this build can show only what guests export; cargo build --release --features debug makes one";
    let flag = script("step", &["--debug", "wasm/main.wat"]);
    assert!(flag.code == 2 && flag.out.is_empty() && flag.err.contains(said), "{flag:?}");
    let run = script("step 2\ninsides main\nglobal main @0\nmemory main 0 1 @0\npoke main 0 00 @0", &TWO);
    assert!(run.code == 1 && run.out.matches(said).count() == 3, "{run:?}");
    assert!(run.out.ends_with("no memory is exported as '@0'\n"), "{run:?}");
}

#[test]
fn a_limit_of_the_run_is_heeded() {
    let time = done(&["until end", "step"], &["--run-time", "50ms", "wasm/spin.wat"]);
    assert_eq!(time.matches("the time of the run is used up\n").count(), 2, "{time}");
    let waits = done(&["until end"], &["--run-time", "50ms", "wasm/sleeper.wat=3_600_000_000_000,1"]);
    assert!(waits.ends_with("the time of the run is used up\n"), "{waits}");
    let fuel = done(&["until end", "step"], &["--run-fuel", "5_000", "--quantum", "1000", "wasm/spin.wat"]);
    assert_eq!(fuel.matches("the fuel of the run is used up\n").count(), 2, "{fuel}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_script() {
    // One that runs for ever, and one that waits for an hour.
    for words in [&["wasm/spin.wat"][..], &["--run-time", "2h", "wasm/sleeper.wat=3_600_000_000_000,1"]] {
        let mut child = started(words);
        let mut commands = child.stdin.take().expect("piped");
        commands.write_all(b"step\nuntil end\ntasks\n").expect("it reads");
        // The first step is shown once the signals are caught.
        let mut shown = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        shown.read_line(&mut line).expect("it prints");
        std::thread::sleep(std::time::Duration::from_millis(100));
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill is there").success());
        let mut rest = String::new();
        shown.read_to_string(&mut rest).expect("it prints");
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{words:?}: {rest}");
        assert!(rest.ends_with("interrupted\n") && !rest.contains("> tasks"), "{words:?}: {rest}");
    }
}

/// The microscope on a terminal of 80 columns and 24 lines, which util-linux's `script` makes.
#[cfg(target_os = "linux")]
struct Screen {
    /// `script`.
    child: Child,
    /// What it has shown.
    shown: Arc<Mutex<Vec<u8>>>,
    /// The number of the process.
    pid: String,
}

#[cfg(target_os = "linux")]
impl Screen {
    /// Opens it; nothing, and a line about it, where there is no `script`.
    fn open(name: &str, words: &str) -> Option<Screen> {
        let there = Command::new("script").arg("--version").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            println!("skipped: there is no `script`");
            return None;
        }
        let pid = file(name, "");
        let sched = env!("CARGO_BIN_EXE_sched");
        let line = format!("stty rows 24 cols 80; echo $$ > '{pid}'; exec '{sched}' step {words}");
        let mut child = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        let (shown, mut out) = (Arc::new(Mutex::new(Vec::new())), child.stdout.take().expect("piped"));
        let kept = shown.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut bytes) {
                kept.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        });
        Some(Screen { child, shown, pid })
    }

    /// Waits until this is shown.
    fn shows(&self, text: &str) {
        let there = || String::from_utf8_lossy(&self.shown.lock().unwrap()).contains(text);
        let came = (0..600).any(|_| there() || sleep(50));
        assert!(came, "{text}: {}", String::from_utf8_lossy(&self.shown.lock().unwrap()));
    }

    /// Presses keys.
    fn press(&mut self, keys: &str) {
        let keyboard = self.child.stdin.as_mut().expect("piped");
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).expect("it listens");
    }

    /// Waits for the end: the exit code. The terminal is put back.
    fn ends(mut self) -> Option<i32> {
        let ended = (0..600).find_map(|_| self.child.try_wait().expect("it is there").or_else(|| none_after(50)));
        self.shows("\u{1b}[?1049l");
        ended.and_then(|status| status.code())
    }
}

/// Nobody is left behind by a test that fails.
#[cfg(target_os = "linux")]
impl Drop for Screen {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        let pid = std::fs::read_to_string(&self.pid).unwrap_or_default();
        let _ = Command::new("kill").args(["-KILL", pid.trim()]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits so many milliseconds.
#[cfg(target_os = "linux")]
fn sleep(millis: u64) -> bool {
    std::thread::sleep(std::time::Duration::from_millis(millis));
    false
}

/// Nothing, after so many milliseconds.
#[cfg(target_os = "linux")]
fn none_after<T>(millis: u64) -> Option<T> {
    sleep(millis);
    None
}

#[cfg(target_os = "linux")]
#[test]
fn the_screen_can_be_left_while_a_task_waits() {
    let words = "--run-time 2h wasm/sleeper.wat=3_600_000_000_000,1";
    let Some(mut screen) = Screen::open("waits.pid", words) else {
        return;
    };
    screen.shows("sleeper");
    screen.press("e");
    screen.shows("running:");
    screen.press("\u{1b}");
    screen.shows("interrupted");
    screen.press("q");
    assert_eq!(screen.ends(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_puts_the_terminal_back() {
    let Some(mut screen) = Screen::open("spins.pid", "--quantum 4_000_000_000_000_000 wasm/spin.wat") else {
        return;
    };
    screen.shows("spin");
    screen.press("e");
    let pid = std::fs::read_to_string(&screen.pid).expect("written").trim().to_string();
    for _ in 0..2 {
        sleep(300);
        assert!(Command::new("kill").arg(&pid).status().expect("kill is there").success());
    }
    assert_eq!(screen.ends(), Some(130));
}

#[test]
fn a_script_is_read_line_by_line() {
    let run = script(&format!("step\r\n# {}\ntasks\n", "x".repeat(1 << 20)), &TWO);
    assert_eq!(run.code, 2);
    assert!(run.out.starts_with("> step\n1 poll") && !run.out.contains("> tasks"), "{run:?}");
    assert!(run.err.contains("line 2 of the script: it is longer than 1,048,576 bytes"), "{run:?}");
}

#[test]
fn mistakes_are_said_before_anything_runs() {
    let no_terminal = sched(&["step", "wasm/main.wat"]);
    assert_eq!((no_terminal.code, no_terminal.out.as_str()), (2, ""));
    assert!(no_terminal.err.contains("there is no terminal to show it on; --script FILE"), "{no_terminal:?}");
    for words in
        [&["--script", "no/such/file", "wasm/main.wat"][..], &["--script", "-"], &["--script", "-", "no/such.wat"]]
    {
        let run = sched(&[&["step"], words].concat());
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{words:?}: {run:?}");
    }
}
