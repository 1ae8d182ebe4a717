//! Whatever a guest passes, it gets an errno. Addresses at and over the end of the memory, lengths and counts of all sizes, descriptors of nothing:
//! each parameter of each function takes each value, alone and together with others.

use super::*;
use fuelsched::wasi::Input;
use proptest::prelude::*;

/// Values that are at an edge of something.
const EDGES: [i64; 20] = [
    0,
    1,
    3,
    4,
    7,
    64,
    1024,
    1023,
    65_535,
    MEMORY as i64 - 8,
    MEMORY as i64 - 1,
    MEMORY as i64,
    MEMORY as i64 + 1,
    i32::MAX as i64,
    i32::MIN as i64,
    -8,
    -1,
    i64::MAX,
    i64::MIN,
    1 << 32,
];

/// A guest with something of everything.
fn guest(dir: &TempDir) -> Guest {
    dir.write("file", b"content");
    let builder = Wasi::builder().arg("a").env("b", "c").stdin(Input::bytes("input")).random_seed(1);
    let mut guest = Guest::new(&builder.dir(dir.path(), "/", DirAccess::ReadWrite));
    guest.open(3, "file", 0, READ | WRITE, 0).unwrap();
    guest
}

/// Calls whatever there is to call, but for what would take long, or fill the disk.
fn call(guest: &mut Guest, function: &str, args: &[i64]) {
    let harmless = match function {
        // So much would be reserved in earnest.
        "fd_allocate" => args[2] < 1 << 20 || args[2] > 1 << 60,
        _ => true,
    };
    if harmless {
        let errno = guest.call(function, args);
        assert!((0..=76).contains(&errno), "{function} {args:?} said {errno}");
    }
}

#[test]
fn one_parameter_at_a_time_takes_any_value() {
    let dir = TempDir::new();
    for (function, params) in FUNCTIONS {
        for fill in [0, 3, 4, 64] {
            for place in 0..params.len() {
                let mut guest = guest(&dir);
                for edge in EDGES {
                    let mut args = vec![fill; params.len()];
                    args[place] = edge;
                    call(&mut guest, function, &args);
                }
            }
        }
    }
}

#[test]
fn results_are_never_written_past_the_end() {
    let dir = TempDir::new();
    let end = i64::from(MEMORY);
    let piece = [DATA, 1];
    for (function, args, size) in [
        ("clock_res_get", &[1, 0][..], 8),
        ("clock_time_get", &[1, 0, 0], 8),
        ("fd_fdstat_get", &[4, 0], 24),
        ("fd_filestat_get", &[4, 0], 64),
        ("fd_prestat_get", &[3, 0], 8),
        ("fd_tell", &[4, 0], 8),
        ("fd_seek", &[4, 0, 1, 0], 8),
        ("fd_read", &[4, PIECES.into(), 1, 0], 4),
        ("fd_read", &[0, PIECES.into(), 1, 0], 4),
        ("fd_write", &[1, PIECES.into(), 1, 0], 4),
        ("fd_pread", &[4, PIECES.into(), 1, 0, 0], 4),
        ("fd_pwrite", &[4, PIECES.into(), 1, 0, 0], 4),
        ("fd_readdir", &[3, DATA.into(), 100, 0, 0], 4),
        ("path_open", &[3, 0, PATH.into(), 4, 0, READ, 0, 0, 0], 4),
        ("path_filestat_get", &[3, 0, PATH.into(), 4, 0], 64),
    ] {
        let mut guest = guest(&dir);
        guest.put(PATH, b"file");
        guest.pieces(&[(piece[0], piece[1])]);
        let mut args = args.to_vec();
        let last = args.len() - 1;
        args[last] = end - size;
        assert_eq!(guest.call(function, &args), 0, "{function} at the end");
        args[last] = end - size + 1;
        assert_eq!(guest.call(function, &args), errno::FAULT, "{function} over the end");
    }
}

#[test]
fn a_read_that_cannot_be_reported_takes_nothing() {
    let dir = TempDir::new();
    let mut guest = guest(&dir);
    guest.pieces(&[(DATA, 3)]);
    for fd in [0, 4] {
        assert_eq!(guest.call("fd_read", &[fd, PIECES.into(), 1, MEMORY.into()]), errno::FAULT);
        let all = if fd == 0 { &b"input"[..] } else { b"content" };
        assert_eq!(guest.read(fd as u32, 100), Ok(all.to_vec()));
    }
}

#[test]
fn a_guest_without_memory_can_call_what_needs_none() {
    let module = crate::support::wat(
        r#"(module (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
             (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
             (func (export "main") (result i32 i32 i32)
               (call $close (i32.const 0)) (call $random (i32.const 0) (i32.const 0)) (call $random (i32.const 0) (i32.const 1))))"#,
    );
    let mut linker = Linker::<Wasi>::new(engine());
    wasi::add_to_linker(&mut linker, |wasi| wasi).unwrap();
    let mut sched = Executor::builder().build();
    let call = linker.link(&module).unwrap().call(Wasi::builder().build().unwrap(), "main", &[]);
    let id = sched.spawn(call).unwrap();
    sched.run();
    assert_eq!(sched.take_outcome(id).unwrap().to_string(), "returned 0 0 21");
}

/// One value of a parameter.
fn value() -> impl Strategy<Value = i64> {
    prop_oneof![3 => prop::sample::select(&EDGES[..]), 2 => 0..6_i64, 1 => any::<i64>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_in_any_order_are_answered(
        calls in prop::collection::vec((0..FUNCTIONS.len(), prop::collection::vec(value(), 9)), 1..60),
        memory in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0x40), any::<u8>()], 256),
    ) {
        let dir = TempDir::new();
        let mut guest = guest(&dir);
        guest.put(0, &memory);
        for (function, values) in calls {
            let (function, params) = FUNCTIONS[function];
            call(&mut guest, function, &values[..params.len()]);
        }
    }
}
