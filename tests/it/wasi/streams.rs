//! Arguments, environment, standard input, output and error, exit, random numbers, and what is not supported.

use super::*;
use fuelsched::costs::Costs;
use fuelsched::policy::RoundRobin;
use fuelsched::wasi::{Input, Output};
use fuelsched::{Step, TaskState};
use std::io;
use std::thread;
use std::time::Duration;

#[test]
fn arguments_and_variables_are_packed_and_pointed_to() {
    let builder = Wasi::builder().args(["prog", "", "ä"]).env("A", "1").env("B", "x=y").env("A", "2");
    let mut guest = Guest::new(&builder);
    for (what, strings, count) in [("args", "prog\0\0ä\0", 3), ("environ", "A=2\0B=x=y\0", 2)] {
        assert_eq!(guest.call(&format!("{what}_sizes_get"), &[64, 68]), 0);
        assert_eq!((guest.u32(64), guest.u32(68)), (count, strings.len() as u32));
        assert_eq!(guest.call(&format!("{what}_get"), &[128, 256]), 0);
        assert_eq!(guest.get(256, strings.len()), strings.as_bytes());
        let starts: Vec<u32> = (0..count).map(|i| guest.u32(128 + 4 * i) - 256).collect();
        assert_eq!(starts, if what == "args" { vec![0, 5, 6] } else { vec![0, 4] });
        // Not enough memory for the strings, or for the pointers.
        let end = i64::from(MEMORY);
        assert_eq!(guest.call(&format!("{what}_get"), &[128, end - 4]), errno::FAULT);
        assert_eq!(guest.call(&format!("{what}_get"), &[end - 4, 128]), errno::FAULT);
        assert_eq!(guest.call(&format!("{what}_sizes_get"), &[end, 0]), errno::FAULT);
        assert_eq!(guest.call(&format!("{what}_sizes_get"), &[0, end - 3]), errno::FAULT);
    }
}

#[test]
fn what_a_guest_cannot_be_given_is_said_when_it_is_built() {
    let message = |builder: WasiBuilder| builder.build().unwrap_err().to_string();
    let nul = "WASI: arguments and variables cannot have a NUL in them, nor be longer than a memory";
    assert_eq!(message(Wasi::builder().arg("a\0b")), nul);
    assert_eq!(message(Wasi::builder().env("a", "b\0")), nul);
    for name in ["", "a=b"] {
        let expected = "WASI: the name of a variable is empty, or has a '=' in it";
        assert_eq!(message(Wasi::builder().env(name, "")), expected);
    }
    let missing = message(Wasi::builder().dir("/nonexistent/dir", "/", DirAccess::ReadOnly));
    assert!(missing.starts_with("/nonexistent/dir: "), "{missing}");
    let expected = "WASI: the guest's name of a directory is empty, or has a NUL in it";
    assert_eq!(message(Wasi::builder().dir("/", "", DirAccess::ReadOnly)), expected);
}

#[test]
fn pieces_are_written_in_their_order_and_counted() {
    let (stdout, printed) = Output::captured(100);
    let (stderr, complained) = Output::captured(100);
    let mut guest = Guest::new(&Wasi::builder().stdout(stdout).stderr(stderr));
    guest.put(DATA, b"hello, world");
    guest.pieces(&[(DATA + 7, 5), (DATA, 0), (DATA + 5, 2), (DATA, 5)]);
    assert_eq!(guest.call("fd_write", &[1, PIECES.into(), 4, OUT.into()]), 0);
    assert_eq!(guest.u32(OUT), 12);
    assert_eq!(guest.write(2, b"oh"), Ok(2));
    assert_eq!((printed.take_string(), complained.take_string()), ("world, hello".into(), "oh".into()));
    assert_eq!(guest.write(0, b"x"), Err(errno::BADF));
    assert_eq!(guest.write(3, b"x"), Err(errno::BADF));
    assert_eq!(guest.read(1, 1), Err(errno::BADF));
}

#[test]
fn a_large_write_is_cut_and_every_byte_is_charged() {
    let (stdout, printed) = Output::captured(1 << 20);
    let mut guest = Guest::new(&Wasi::builder().stdout(stdout));
    assert_eq!(guest.write(1, &[b'x'; 100_000]), Ok(65_536));
    assert_eq!(printed.take_string().len(), 65_536);
    let large = guest.used;
    assert_eq!(guest.write(1, b""), Ok(0));
    assert_eq!(large.minus(guest.used), Fuel(65_536));
    let costly = guest.used;
    // Free, a call is what the guest's own instructions cost.
    let mut guest = Guest::new(&Wasi::builder().costs(Costs::free()));
    assert_eq!(guest.write(1, &[0; 1000]), Ok(1000));
    assert_eq!(costly.minus(guest.used), Fuel(500));
}

/// A writer whose reader is gone.
struct Gone;

impl io::Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_an_errno() {
    let mut guest = Guest::new(&Wasi::builder().stdout(Output::writer(Gone)));
    assert_eq!(guest.write(1, b"x"), Err(errno::PIPE));
}

#[test]
fn tasks_of_one_builder_have_lines_of_their_own() {
    let (all, printed) = Output::captured(1000);
    let builder = |name: &str| Wasi::builder().stdout(Output::lines(format!("{name}: "), all.clone()));
    let (mut a, mut b) = (Guest::new(&builder("a")), Guest::new(&builder("b")));
    a.write(1, b"one").unwrap();
    b.write(1, b"two\nthree").unwrap();
    a.write(1, b"\n").unwrap();
    drop(b);
    assert_eq!(printed.take_string(), "b: two\na: one\nb: three\n");
}

#[test]
fn input_from_memory_comes_in_pieces_and_ends() {
    let mut guest = Guest::new(&Wasi::builder().stdin(Input::bytes("abcdefgh")));
    guest.pieces(&[(DATA, 2), (DATA + 10, 0), (DATA + 20, 3)]);
    assert_eq!(guest.call("fd_read", &[0, PIECES.into(), 3, OUT.into()]), 0);
    assert_eq!((guest.u32(OUT), guest.get(DATA, 2), guest.get(DATA + 20, 3)), (5, b"ab".to_vec(), b"cde".to_vec()));
    assert_eq!(guest.read(0, 0), Ok(vec![]), "nothing is wanted, and nothing is lost");
    assert_eq!(guest.read(0, 10), Ok(b"fgh".to_vec()));
    assert_eq!(guest.read(0, 10), Ok(vec![]));
    assert_eq!(Guest::new(&Wasi::builder()).read(0, 10), Ok(vec![]));
    // Tasks of one builder get all of it, each of them.
    let builder = Wasi::builder().stdin(Input::bytes("all"));
    for _ in 0..2 {
        assert_eq!(Guest::new(&builder).read(0, 10), Ok(b"all".to_vec()));
    }
}

#[test]
fn input_from_a_file_is_there_at_once() {
    let dir = TempDir::new();
    dir.write("in", b"content");
    let input = Input::file(fs::File::open(dir.join("in")).unwrap()).unwrap();
    let mut guest = Guest::new(&Wasi::builder().stdin(input));
    assert_eq!(guest.read(0, 100), Ok(b"content".to_vec()));
    assert_eq!((guest.read(0, 100), guest.blocked), (Ok(vec![]), 0));
}

/// An executor with some tasks that read 4 bytes from standard input and return how many came.
fn readers(input: &Input, count: usize) -> (Executor<RoundRobin>, Vec<fuelsched::TaskId>) {
    let reader = crate::support::wat(
        r#"(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (data (i32.const 0) "\20\00\00\00\04\00\00\00")
             (func (export "main") (result i32 i32 i32)
               (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16))
               (i32.load (i32.const 16)) (i32.load8_u (i32.const 32))))"#,
    );
    let mut linker = Linker::<Wasi>::new(engine());
    wasi::add_to_linker(&mut linker, |wasi| wasi).unwrap();
    let program = linker.link(&reader).unwrap();
    let mut sched = Executor::builder().build();
    let wasi = || Wasi::builder().stdin(input.clone()).build().unwrap();
    let ids = (0..count).map(|_| sched.spawn(program.call(wasi(), "main", &[])).unwrap()).collect();
    (sched, ids)
}

/// Runs what can run.
fn run_ready(sched: &mut Executor<RoundRobin>) {
    while let Step::Ran(_) = sched.step() {}
}

#[test]
fn readers_of_one_input_wait_and_are_served_in_their_order() {
    let (sender, input) = Input::channel();
    let (mut sched, ids) = readers(&input, 4);
    run_ready(&mut sched);
    let waits = |sched: &Executor<RoundRobin>, id| sched.blocked_on(id).map(|(on, _)| on.to_string());
    assert!(ids.iter().all(|id| waits(&sched, *id).as_deref() == Some("for input")));
    // The first is killed; the second gets four bytes, the third what is left.
    sched.kill(ids[0]).unwrap();
    assert!(sender.push(b"abcdef"));
    run_ready(&mut sched);
    let mut returned = |id| sched.take_outcome(id).map(|outcome| outcome.to_string());
    assert_eq!(returned(ids[1]).as_deref(), Some("returned 0 4 97"));
    assert_eq!(returned(ids[2]).as_deref(), Some("returned 0 2 101"));
    assert_eq!(returned(ids[3]), None);
    // The last end of the pipe is dropped: that is the end.
    drop(sender);
    run_ready(&mut sched);
    let mut returned = |id| sched.take_outcome(id).map(|outcome| outcome.to_string());
    assert_eq!(returned(ids[3]).as_deref(), Some("returned 0 0 0"));
}

#[test]
fn an_executor_that_sleeps_is_woken_by_input_from_another_thread() {
    let (sender, input) = Input::channel();
    let (mut sched, ids) = readers(&input, 3);
    let typist = thread::spawn(move || {
        for bytes in [b"one!", b"two!", b"tree"] {
            thread::sleep(Duration::from_millis(10));
            sender.push(bytes);
        }
    });
    sched.run();
    let returned: Vec<String> = ids.iter().map(|id| sched.take_outcome(*id).unwrap().to_string()).collect();
    assert_eq!(returned, ["returned 0 4 111", "returned 0 4 116", "returned 0 4 116"]);
    typist.join().unwrap();
}

#[test]
fn a_reader_that_takes_its_time_holds_nobody_up() {
    let (theirs, ours) = io::pipe().unwrap();
    let (mut sched, ids) = readers(&Input::reader(theirs), 1);
    run_ready(&mut sched);
    assert_eq!(sched.state(ids[0]), Some(TaskState::Blocked));
    io::Write::write_all(&mut { ours }, b"late").unwrap();
    sched.run();
    assert_eq!(sched.take_outcome(ids[0]).unwrap().to_string(), "returned 0 4 108");
}

#[test]
fn a_read_that_may_not_wait_says_so() {
    let (sender, input) = Input::channel();
    let mut guest = Guest::new(&Wasi::builder().stdin(input));
    assert_eq!(guest.call("fd_fdstat_set_flags", &[0, NONBLOCK]), 0);
    assert_eq!(guest.read(0, 10), Err(errno::AGAIN));
    sender.push(b"now");
    assert_eq!((guest.read(0, 10), guest.blocked), (Ok(b"now".to_vec()), 0));
    assert_eq!(guest.read(0, 10), Err(errno::AGAIN));
    sender.close();
    assert_eq!(guest.read(0, 10), Ok(vec![]));
    assert!(!sender.push(b"after the end"));
}

#[test]
fn streams_have_no_position_and_say_what_they_are() {
    let mut guest = Guest::new(&Wasi::builder());
    for fd in 0..3 {
        assert_eq!(guest.seek(fd, 0, 1), Err(errno::SPIPE));
        assert_eq!(guest.call("fd_tell", &[fd.into(), OUT.into()]), errno::SPIPE);
        guest.pieces(&[(DATA, 1)]);
        for function in ["fd_pread", "fd_pwrite"] {
            assert_eq!(guest.call(function, &[fd.into(), PIECES.into(), 1, 0, OUT.into()]), errno::SPIPE);
        }
        assert_eq!(guest.call("fd_fdstat_get", &[fd.into(), OUT.into()]), 0);
        // Unknown, because it is no terminal; no flags; one of reading and writing.
        let rights = guest.u64(OUT + 8) as i64;
        assert_eq!((guest.get(OUT, 1)[0], guest.u16(OUT + 2), guest.u64(OUT + 16)), (0, 0, 0));
        assert_eq!(rights & (READ | WRITE), if fd == 0 { READ } else { WRITE });
        assert_eq!(guest.call("fd_filestat_get", &[fd.into(), OUT.into()]), 0);
        assert_eq!((guest.get(OUT + 16, 1)[0], guest.u64(OUT + 8)), (0, fd.into()));
        for function in ["fd_sync", "fd_datasync"] {
            assert_eq!(guest.call(function, &[fd.into()]), 0);
        }
        assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 0]), errno::INVAL);
        assert_eq!(guest.call("fd_filestat_set_times", &[fd.into(), 0, 0, 0]), errno::BADF);
        assert_eq!(guest.call("fd_allocate", &[fd.into(), 0, 1]), errno::SPIPE);
        assert_eq!(guest.call("fd_advise", &[fd.into(), 0, 1, 0]), errno::SPIPE);
        assert_eq!(guest.call("fd_prestat_get", &[fd.into(), OUT.into()]), errno::BADF);
        assert_eq!(guest.list(fd, 0, 100), Err(errno::NOTDIR));
        assert_eq!(guest.open(fd, "a", 0, READ, 0), Err(errno::NOTDIR));
    }
}

#[test]
fn an_exit_is_one_with_any_code_that_a_process_can_have() {
    for code in [0, 1, 126, 255] {
        let outcome = Guest::new(&Wasi::builder()).outcome("proc_exit", &[code]);
        assert_eq!(outcome.to_string(), format!("exited {code}"));
        assert_eq!(outcome.is_success(), code == 0);
    }
    for code in [256_i64, 65_536, -1] {
        let outcome = Guest::new(&Wasi::builder()).outcome("proc_exit", &[code]).to_string();
        let code = code as u32;
        let expected = format!("trapped: host error: proc_exit({code}): an exit code is a number from 0 to 255");
        assert!(outcome.starts_with(&expected), "{outcome}");
    }
}

#[test]
fn seeded_random_numbers_are_the_same_and_others_are_not() {
    let random = |builder: &WasiBuilder, calls: &[i64]| {
        let mut guest = Guest::new(builder);
        let mut at = DATA.into();
        for len in calls {
            assert_eq!(guest.call("random_get", &[at, *len]), 0);
            at += len;
        }
        guest.get(DATA, 20_000)
    };
    let seeded = |seed| Wasi::builder().random_seed(seed);
    assert_eq!(random(&seeded(1), &[20_000]), random(&seeded(1), &[20_000]));
    assert_ne!(random(&seeded(1), &[20_000]), random(&seeded(2), &[20_000]));
    assert_ne!(random(&Wasi::builder(), &[20_000]), random(&Wasi::builder(), &[20_000]));
    let zeros = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == 0).count();
    assert!((40..120).contains(&zeros(&random(&Wasi::builder(), &[20_000]))), "one byte in 256 is 0");
}

#[test]
fn many_random_bytes_are_made_in_slices() {
    let mut guest = Guest::new(&Wasi::builder().random_seed(0));
    let id =
        guest.sched.spawn(guest.instance.call("random_get", &crate::support::i32s([DATA as i32, 1 << 20]))).unwrap();
    guest.sched.run();
    let ledger = guest.sched.take(id).unwrap().ledger;
    // 1 MiB in chunks of 1,024 bytes, each of which costs more than the quantum of 10,000: each ends a slice.
    let chunk = 2_000 + 16 * 1_024;
    assert!(ledger.preempted >= 1_023 && ledger.max_overshoot <= Fuel(chunk), "{ledger:?}");
    assert!((1_024 * chunk..1_024 * chunk + 600).contains(&ledger.used.0), "{ledger:?}");
}

#[test]
fn what_is_not_supported_links_and_says_so() {
    let mut guest = Guest::new(&Wasi::builder());
    for (function, args) in [
        ("fd_fdstat_set_rights", &[1, 0, 0][..]),
        ("proc_raise", &[6]),
        ("sock_accept", &[3, 0, 0]),
        ("sock_recv", &[3, 0, 0, 0, 0, 0]),
        ("sock_send", &[3, 0, 0, 0, 0]),
        ("sock_shutdown", &[3, 0]),
    ] {
        assert_eq!(guest.call(function, args), errno::NOTSUP, "{function}");
    }
}

#[test]
fn yielding_gives_the_slice_away() {
    let mut guest = Guest::new(&Wasi::builder());
    let id = guest.sched.spawn(guest.instance.call("sched_yield", &[])).unwrap();
    guest.sched.run();
    let ended = guest.sched.take(id).unwrap();
    assert_eq!((ended.outcome.to_string().as_str(), ended.ledger.yielded), ("returned 0", 1));
}

#[test]
fn a_stream_that_is_closed_is_gone_and_its_number_is_not_given_again() {
    let dir = TempDir::new();
    dir.write("file", b"");
    let mut guest = Guest::in_dir(&dir, DirAccess::ReadWrite);
    assert_eq!(guest.call("fd_close", &[1]), 0);
    assert_eq!(guest.call("fd_close", &[1]), errno::BADF);
    assert_eq!(guest.write(1, b"x"), Err(errno::BADF));
    assert_eq!(guest.open(3, "file", 0, READ, 0), Ok(4));
    // A descriptor takes the place of a stream.
    assert_eq!(guest.call("fd_renumber", &[4, 2]), 0);
    assert_eq!(guest.read(2, 1), Ok(vec![]));
    assert_eq!(guest.call("fd_renumber", &[2, 1]), errno::BADF, "to what is not open");
}
