//! Running the binary as a user runs it.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Run {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("results are UTF-8"),
            err: String::from_utf8(output.stderr).expect("messages are UTF-8"),
        }
    }
}

/// The binary, in the repository's folder, with no terminal anywhere.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sched"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

/// Runs the binary with these words.
pub(crate) fn sched(args: &[&str]) -> Run {
    command().args(args).output().expect("the binary starts").into()
}

/// Runs `sched run --format json` with these words.
pub(crate) fn sched_json(args: &[&str]) -> (Run, Value) {
    let run = sched(&[&["run", "--format", "json"], args].concat());
    let json = run.json();
    (run, json)
}

/// A file in a folder that only this test uses.
pub(crate) fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli");
    std::fs::create_dir_all(&folder).expect("a folder for test files");
    let path = folder.join(name);
    std::fs::write(&path, content).expect("a test file");
    path.to_str().expect("a UTF-8 path").into()
}

/// A folder of this process's own for a test, removed at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// A new one, of which no other test has the name.
    pub(crate) fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("fuelsched-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
