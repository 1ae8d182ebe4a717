//! WASI preview 1, function by function, from the guest's side of the fence.
//!
//! No compiler of C is needed: the guest is a module of wrappers, one for each import, exported under the same name. A test calls them one by one on an
//! instance that stays, and looks at the guest's memory in between. Errnos and layouts are written here by their numbers, from the specification.

mod escape;
mod files;
mod hostile;
mod replayed;
mod streams;
mod time;

use crate::support::engine;
use fuelsched::wasi::{self, DirAccess, Wasi, WasiBuilder};
use fuelsched::{Clock, Executor, Fuel, Instance, Linker, Module, Outcome, Program, Value};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The functions that return an errno, with the types of their parameters: `i` for 32 bits, `I` for 64.
const FUNCTIONS: [(&str, &str); 45] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// The names under which they are imported.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// The older one.
const UNSTABLE: &str = "wasi_unstable";

/// Errnos, by their numbers in the specification.
mod errno {
    pub(super) const ACCES: i32 = 2;
    pub(super) const AGAIN: i32 = 6;
    pub(super) const BADF: i32 = 8;
    pub(super) const EXIST: i32 = 20;
    pub(super) const FAULT: i32 = 21;
    pub(super) const FBIG: i32 = 22;
    pub(super) const ILSEQ: i32 = 25;
    pub(super) const INVAL: i32 = 28;
    pub(super) const ISDIR: i32 = 31;
    pub(super) const LOOP: i32 = 32;
    pub(super) const MFILE: i32 = 33;
    pub(super) const NAMETOOLONG: i32 = 37;
    pub(super) const NOENT: i32 = 44;
    pub(super) const NOTDIR: i32 = 54;
    pub(super) const NOTEMPTY: i32 = 55;
    pub(super) const NOTSUP: i32 = 58;
    pub(super) const PERM: i32 = 63;
    pub(super) const PIPE: i32 = 64;
    pub(super) const ROFS: i32 = 69;
    pub(super) const SPIPE: i32 = 70;
}

/// The right to read.
const READ: i64 = 1 << 1;
/// The right to write.
const WRITE: i64 = 1 << 6;
/// Open: make the file.
const CREAT: i64 = 1;
/// Open: a directory.
const DIRECTORY: i64 = 2;
/// Open: it must not be there.
const EXCL: i64 = 4;
/// Open: cut it.
const TRUNC: i64 = 8;
/// Descriptor: write at the end.
const APPEND: i64 = 1;
/// Descriptor: do not wait.
const NONBLOCK: i64 = 4;

/// Where results go in the guest's memory.
const OUT: u32 = 64;
/// Where a vector of pieces is.
const PIECES: u32 = 128;
/// Where a path is.
const PATH: u32 = 1024;
/// Where another path is.
const OTHER_PATH: u32 = 8 << 10;
/// Where data are.
const DATA: u32 = 64 << 10;
/// The size of the guest's memory.
const MEMORY: u32 = 4 << 20;

/// The module of wrappers.
fn wrappers(name: &str) -> Module {
    let mut text = String::from("(module\n");
    for (function, params) in functions(name) {
        let types: String = params.chars().map(|ty| if ty == 'i' { " i32" } else { " i64" }).collect();
        writeln!(text, "(import {name:?} {function:?} (func ${function} (param{types}) (result i32)))").unwrap();
    }
    writeln!(text, "(import {name:?} \"proc_exit\" (func $proc_exit (param i32)))").unwrap();
    writeln!(text, "(memory (export \"memory\") {} {})", MEMORY >> 16, MEMORY >> 16).unwrap();
    for (function, params) in functions(name) {
        let types: String = params.chars().map(|ty| if ty == 'i' { " i32" } else { " i64" }).collect();
        let passed: String = (0..params.len()).map(|i| format!(" (local.get {i})")).collect();
        writeln!(text, "(func (export {function:?}) (param{types}) (result i32) (call ${function}{passed}))").unwrap();
    }
    text.push_str("(func (export \"proc_exit\") (param i32) (call $proc_exit (local.get 0))))\n");
    Module::from_bytes(engine(), "wrappers", text).expect("the wrappers are a module")
}

/// The functions that there are under this name.
fn functions(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = name == PREVIEW1;
    FUNCTIONS.into_iter().filter(move |(function, _)| all || *function != "sock_accept")
}

/// A guest whose functions are called one by one.
struct Guest {
    /// It.
    instance: Instance<Wasi>,
    /// Who runs it.
    sched: Executor<fuelsched::policy::RoundRobin>,
    /// What the last call used.
    used: Fuel,
    /// How often it was blocked.
    blocked: u64,
}

impl Guest {
    /// A guest with this of WASI.
    fn new(builder: &WasiBuilder) -> Guest {
        Guest::under(PREVIEW1, builder)
    }

    /// A guest that imports from that name.
    fn under(name: &str, builder: &WasiBuilder) -> Guest {
        static PROGRAMS: OnceLock<[Program<Wasi>; 2]> = OnceLock::new();
        let [newer, older] = PROGRAMS.get_or_init(|| {
            let mut linker = Linker::<Wasi>::new(engine());
            wasi::add_to_linker(&mut linker, |wasi| wasi).unwrap();
            [PREVIEW1, UNSTABLE].map(|name| linker.link(&wrappers(name)).unwrap())
        });
        let program = if name == PREVIEW1 { newer } else { older };
        let instance = program.instance(builder.build().unwrap());
        let sched = Executor::builder().clock(Clock::simulated()).build();
        let mut guest = Guest { instance, sched, used: Fuel::ZERO, blocked: 0 };
        // So that there is a memory to write into.
        assert_eq!(guest.call("args_sizes_get", &[OUT.into(), OUT.into()]), 0);
        guest
    }

    /// A guest with a directory at descriptor 3.
    fn in_dir(dir: &TempDir, access: DirAccess) -> Guest {
        Guest::new(&Wasi::builder().dir(dir.path(), "/", access))
    }

    /// Calls a function; says how it ended.
    fn outcome(&mut self, function: &str, args: &[i64]) -> Outcome {
        let params = FUNCTIONS.iter().find(|(name, _)| *name == function).map_or("i", |(_, params)| params);
        assert_eq!(params.len(), args.len(), "{function} takes {params:?}");
        let value = |(ty, arg): (char, &i64)| if ty == 'i' { Value::I32(*arg as i32) } else { Value::I64(*arg) };
        let args: Vec<Value> = params.chars().zip(args).map(value).collect();
        let id = self.sched.spawn(self.instance.call(function, &args)).unwrap();
        self.sched.run();
        let ended = self.sched.take(id).unwrap_or_else(|| panic!("{function} waits"));
        (self.used, self.blocked) = (ended.ledger.used, ended.ledger.blocked);
        ended.outcome
    }

    /// Calls a function; returns its errno.
    fn call(&mut self, function: &str, args: &[i64]) -> i32 {
        match self.outcome(function, args) {
            Outcome::Returned(values) => match values[..] {
                [Value::I32(errno)] => errno,
                _ => panic!("{function} returned {values:?}"),
            },
            other => panic!("{function}: {other}"),
        }
    }

    /// Writes into the guest's memory.
    fn put(&mut self, at: u32, bytes: &[u8]) {
        self.instance.write_memory("memory", at as usize, bytes).unwrap();
    }

    /// Reads from it.
    fn get(&self, at: u32, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.instance.read_memory("memory", at as usize, &mut bytes).unwrap();
        bytes
    }

    /// Reads a number of 16 bits.
    fn u16(&self, at: u32) -> u16 {
        u16::from_le_bytes(self.get(at, 2).try_into().unwrap())
    }

    /// Reads a number of 32 bits.
    fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.get(at, 4).try_into().unwrap())
    }

    /// Reads a number of 64 bits.
    fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.get(at, 8).try_into().unwrap())
    }

    /// Writes a vector of pieces.
    fn pieces(&mut self, pieces: &[(u32, u32)]) {
        let words = pieces.iter().flat_map(|(at, len)| [*at, *len]);
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        self.put(PIECES, &bytes);
    }

    /// Calls a function of a descriptor and a path.
    fn path_call(&mut self, function: &str, fd: u32, path: &str) -> i32 {
        self.put(PATH, path.as_bytes());
        self.call(function, &[fd.into(), PATH.into(), path.len() as i64])
    }

    /// Calls a function of two descriptors and two paths.
    fn two_paths(&mut self, function: &str, from: &str, to: &str) -> i32 {
        self.put(PATH, from.as_bytes());
        self.put(OTHER_PATH, to.as_bytes());
        let (from, to) = ([PATH.into(), from.len() as i64], [OTHER_PATH.into(), to.len() as i64]);
        match function {
            "path_symlink" => self.call(function, &[from[0], from[1], 3, to[0], to[1]]),
            "path_link" => self.call(function, &[3, 0, from[0], from[1], 3, to[0], to[1]]),
            _ => self.call(function, &[3, from[0], from[1], 3, to[0], to[1]]),
        }
    }

    /// Opens a path, following links.
    fn open(&mut self, fd: u32, path: &str, how: i64, rights: i64, flags: i64) -> Result<u32, i32> {
        self.open_with(fd, 1, path, how, rights, flags)
    }

    /// Opens a path.
    fn open_with(&mut self, fd: u32, lookup: i64, path: &str, how: i64, rights: i64, flags: i64) -> Result<u32, i32> {
        self.put(PATH, path.as_bytes());
        let args = [fd.into(), lookup, PATH.into(), path.len() as i64, how, rights, 0, flags, OUT.into()];
        match self.call("path_open", &args) {
            0 => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    /// Writes to a descriptor.
    fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, i32> {
        self.put(DATA, bytes);
        self.pieces(&[(DATA, bytes.len() as u32)]);
        match self.call("fd_write", &[fd.into(), PIECES.into(), 1, OUT.into()]) {
            0 => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    /// Reads from a descriptor.
    fn read(&mut self, fd: u32, most: u32) -> Result<Vec<u8>, i32> {
        self.pieces(&[(DATA, most)]);
        match self.call("fd_read", &[fd.into(), PIECES.into(), 1, OUT.into()]) {
            0 => Ok(self.get(DATA, self.u32(OUT) as usize)),
            errno => Err(errno),
        }
    }

    /// Seeks.
    fn seek(&mut self, fd: u32, by: i64, whence: i64) -> Result<u64, i32> {
        match self.call("fd_seek", &[fd.into(), by, whence, OUT.into()]) {
            0 => Ok(self.u64(OUT)),
            errno => Err(errno),
        }
    }

    /// The names that a listing shows from a place on, with their places, through a buffer of this size.
    fn list(&mut self, fd: u32, mut cookie: u64, buffer: u32) -> Result<Vec<(u64, String)>, i32> {
        let mut names = Vec::new();
        loop {
            let args = [fd.into(), DATA.into(), buffer.into(), cookie as i64, OUT.into()];
            match self.call("fd_readdir", &args) {
                0 => {}
                errno => return Err(errno),
            }
            let used = self.u32(OUT);
            let (mut at, end) = (DATA, DATA + used);
            while at + 24 <= end && at + 24 + self.u32(at + 16) <= end {
                let len = self.u32(at + 16);
                let name = String::from_utf8(self.get(at + 24, len as usize)).unwrap();
                names.push((cookie, name));
                cookie = self.u64(at);
                at += 24 + len;
            }
            if used < buffer {
                return Ok(names);
            }
        }
    }
}

/// A directory that is removed at the end of a test, with another beside it that guests must not get into.
struct TempDir(PathBuf);

impl TempDir {
    /// An empty directory.
    fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wasi-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("inside")).unwrap();
        TempDir(path)
    }

    /// The guest's directory.
    fn path(&self) -> PathBuf {
        self.0.join("inside")
    }

    /// A path in it.
    fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// Writes a file into it.
    fn write(&self, path: &str, content: &[u8]) {
        fs::write(self.join(path), content).unwrap();
    }

    /// Reads one.
    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.join(path)).unwrap()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
