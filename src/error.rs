//! The one error type: misuse of the library, or an environment that does not play along.
//!
//! How a task ends is never an error: see [`Outcome`](crate::Outcome).

use crate::unit::{Fuel, GroupId, TaskId};
use std::path::PathBuf;
use std::{fmt, io};

/// The result of whatever can go wrong before a task runs, or beside it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that could not be done: what was wrong, where, and what would be right.
///
/// One word in size, so that a `Result` costs nothing to pass on.
pub struct Error {
    /// What happened; boxed, because it is rare and large.
    kind: Box<ErrorKind>,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A module's file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A module's file is larger than any module may be.
    TooLarge {
        /// The file.
        module: String,
        /// The largest size that is read, in bytes.
        limit: u64,
    },
    /// The file is empty.
    EmptyFile {
        /// The file.
        module: String,
    },
    /// The content is neither the binary nor the text format.
    NotWasm {
        /// The file.
        module: String,
    },
    /// The text format has a syntax error.
    Text {
        /// The file.
        module: String,
        /// What is wrong, with line, column and the line itself.
        message: String,
    },
    /// The file is a component, and this library runs core modules.
    Component {
        /// The file.
        module: String,
    },
    /// The binary is cut off, damaged, not valid, or uses a feature that this build has not.
    Malformed {
        /// The file.
        module: String,
        /// What is wrong, and at which offset.
        message: String,
    },
    /// The module is precompiled, and was to be compiled.
    Precompiled {
        /// The file.
        module: String,
    },
    /// The module is not precompiled, and was to be loaded as it is.
    NotPrecompiled {
        /// The file.
        module: String,
    },
    /// The precompiled module is cut off or damaged.
    DamagedPrecompiled {
        /// The file.
        module: String,
        /// What is wrong.
        message: String,
    },
    /// The precompiled module was made by another version, for another machine, or with other settings.
    OtherEngine {
        /// The file.
        module: String,
        /// What differs.
        message: String,
    },
    /// The module would have to be compiled, and this build has no compiler.
    NoCompiler {
        /// The file.
        module: String,
    },
    /// The module imports what nothing provides.
    UnknownImports {
        /// The file.
        module: String,
        /// Each of them: `"module" "name" (type)`.
        imports: Vec<String>,
    },
    /// An import is provided, but as something else.
    ImportMismatch {
        /// The file.
        module: String,
        /// Which one, what was wanted and what was provided.
        message: String,
    },
    /// The module exports nothing of that name.
    NoSuchExport {
        /// The file.
        module: String,
        /// The name that was asked for.
        export: String,
        /// The functions that it does export, with their signatures.
        functions: Vec<String>,
    },
    /// The export is no function.
    NotAFunction {
        /// The file.
        module: String,
        /// The name that was asked for.
        export: String,
        /// What it is: a memory, a global, a table.
        actual: &'static str,
    },
    /// The arguments do not fit the function, or its signature has types that a host cannot pass.
    Signature {
        /// The file.
        module: String,
        /// The function with its signature.
        signature: String,
        /// What does not fit.
        message: String,
    },
    /// A function of that name is defined already, or a definition is not possible.
    Definition {
        /// What was to be defined.
        name: String,
        /// Why it was not.
        message: String,
    },
    /// The engine cannot be set up as asked.
    Engine {
        /// Which setting, and why.
        message: String,
    },
    /// There is no stack for the task: the process has used up one of its limits. It is what the task ends with, as
    /// [`Outcome::Failed`](crate::Outcome::Failed); the others go on.
    NoStack {
        /// Which limit.
        message: String,
    },
    /// There is no such task, or its outcome has been taken.
    NoSuchTask(TaskId),
    /// The task has ended.
    TaskEnded(TaskId),
    /// The policy does not take the task, or not with these parameters.
    Refused {
        /// The policy.
        policy: &'static str,
        /// Why.
        message: String,
    },
    /// A policy cannot be set up, or changed, as asked.
    Policy {
        /// The policy.
        policy: &'static str,
        /// What is wrong, and where.
        message: String,
    },
    /// There is no such group.
    NoSuchGroup(GroupId),
    /// The group still has tasks.
    GroupInUse(GroupId),
    /// The bytes are no recording that this build reads.
    NotARecording {
        /// What they are.
        message: String,
    },
    /// A recording cannot be read any further. What came before is good.
    Recording {
        /// Switches that came before.
        switches: u64,
        /// The offset of the entry that cannot be read.
        at: u64,
        /// Whether the file ends too early; else it is damaged.
        cut: bool,
        /// What is wrong.
        message: String,
    },
    /// A recording could not be read from where it is kept.
    ReadRecording {
        /// What the system said.
        source: io::Error,
    },
    /// The instance is in the middle of another call.
    InstanceBusy {
        /// The module of the instance.
        module: String,
    },
    /// The instance was lost with a call that did not return.
    InstanceGone {
        /// The module of the instance.
        module: String,
    },
    /// The task was not spawned to be inspected, or is no guest's.
    NotInspectable(TaskId),
    /// The task's guest cannot be inspected yet: there is no instance, or its start functions are at work.
    NotStarted(TaskId),
    /// The task's guest cannot be inspected now: it waits in a function of its host's.
    InHostFunction(TaskId),
    /// The task's engine does not debug its guests, so only what they export can be seen.
    NotInstrumented {
        /// The module of the instance.
        module: String,
    },
    /// There is no memory or global of that number.
    NoSuchIndex {
        /// The module of the instance.
        module: String,
        /// What was asked for: a memory, a global.
        what: &'static str,
        /// The number.
        index: u32,
    },
    /// The export is no memory.
    NoSuchMemory {
        /// The module of the instance.
        module: String,
        /// The name that was asked for.
        export: String,
        /// What it is instead, if it is there: a function, a global, a table.
        actual: Option<&'static str>,
    },
    /// The export is no global.
    NoSuchGlobal {
        /// The module of the instance.
        module: String,
        /// The name that was asked for.
        export: String,
        /// What it is instead, if it is there: a function, a memory, a table.
        actual: Option<&'static str>,
    },
    /// The global never changes.
    ImmutableGlobal {
        /// The module of the instance.
        module: String,
        /// The global.
        export: String,
    },
    /// The value is not of the global's type, or the global holds a reference.
    GlobalType {
        /// The module of the instance.
        module: String,
        /// What does not fit.
        message: String,
    },
    /// An access by the host reaches past the end of a memory.
    OutOfBounds {
        /// The module of the instance.
        module: String,
        /// What was accessed, and how large the memory is.
        message: String,
    },
    /// A guest cannot be given this by WASI.
    Wasi {
        /// What, and why.
        message: String,
    },
    /// The instance could not be made.
    Instantiation {
        /// The file.
        module: String,
        /// Why.
        message: String,
    },
    /// A thread that ran tasks panicked, or there was none to be had.
    Worker {
        /// Which, counted from 0.
        worker: usize,
        /// What happened.
        message: String,
    },
}

impl Error {
    /// What went wrong, to be matched on.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error { kind: Box::new(kind) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.kind() {
            ErrorKind::Read { source, .. } | ErrorKind::ReadRecording { source } => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ErrorKind::Read { path, source } => write!(f, "{}: {source}", path.display()),
            ErrorKind::TooLarge { module, limit } => {
                write!(f, "{module}: larger than {limit} bytes, the largest module that is read")
            }
            ErrorKind::EmptyFile { module } => {
                write!(f, "{module}: the file is empty; a WebAssembly module is wanted")
            }
            ErrorKind::NotWasm { module } => write!(
                f,
                "{module}: not a WebAssembly module: neither the binary format (it does not start with \"\\0asm\") nor text (it is not UTF-8)"
            ),
            ErrorKind::Text { module, message } => {
                write!(f, "{module}: not a WebAssembly module in the text format: {message}")
            }
            ErrorKind::Component { module } => write!(
                f,
                "{module}: this is a component; a core module is wanted (compilers make one for wasm32-unknown-unknown or wasm32-wasip1)"
            ),
            ErrorKind::Malformed { module, message } if message.starts_with("unexpected end") => {
                write!(f, "{module}: truncated WebAssembly: {message}")
            }
            ErrorKind::Malformed { module, message } => {
                write!(f, "{module}: invalid or unsupported WebAssembly: {message}")
            }
            ErrorKind::Precompiled { .. }
            | ErrorKind::NotPrecompiled { .. }
            | ErrorKind::DamagedPrecompiled { .. }
            | ErrorKind::OtherEngine { .. }
            | ErrorKind::NoCompiler { .. } => self.kind().fmt_precompiled(f),
            ErrorKind::Worker { worker, message } => {
                write!(f, "worker {worker} is lost, and its tasks with it: {message}")
            }
            other => other.fmt_use(f),
        }
    }
}

impl ErrorKind {
    /// Writes what went wrong with a module that had been loaded.
    fn fmt_use(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::UnknownImports { module, imports } => {
                write!(f, "{module}: imports that nothing provides: {}", imports.join(", "))
            }
            ErrorKind::ImportMismatch { module, message }
            | ErrorKind::OutOfBounds { module, message }
            | ErrorKind::GlobalType { module, message }
            | ErrorKind::Instantiation { module, message } => {
                write!(f, "{module}: {message}")
            }
            ErrorKind::NoSuchExport { module, export, functions } => {
                write!(f, "{module}: no export named '{export}'; ")?;
                if functions.is_empty() {
                    f.write_str("the module exports no function")
                } else {
                    write!(f, "it exports {}", functions.join(", "))
                }
            }
            ErrorKind::NotAFunction { module, export, actual } => {
                write!(f, "{module}: the export '{export}' is a {actual}, not a function")
            }
            ErrorKind::Signature { module, signature, message } => {
                write!(f, "{module}: {message}; the signature is {signature}")
            }
            ErrorKind::Definition { name, message } => write!(f, "cannot define {name}: {message}"),
            ErrorKind::Wasi { message } => write!(f, "WASI: {message}"),
            ErrorKind::Engine { message } => write!(f, "cannot set up the engine: {message}"),
            ErrorKind::NoStack { message } => write!(f, "no stack for another task: {message}"),
            ErrorKind::NoSuchTask(id) => {
                write!(f, "there is no task {id}, or its outcome has been taken")
            }
            ErrorKind::TaskEnded(id) => write!(f, "task {id} has ended"),
            ErrorKind::Refused { policy, message } => {
                write!(f, "the policy {policy} does not take the task: {message}")
            }
            ErrorKind::Policy { policy, message } => write!(f, "the policy {policy}: {message}"),
            ErrorKind::NoSuchGroup(id) => write!(f, "there is no group {id}"),
            ErrorKind::GroupInUse(id) => write!(f, "group {id} still has tasks; end them first"),
            ErrorKind::NotARecording { .. } | ErrorKind::Recording { .. } | ErrorKind::ReadRecording { .. } => {
                self.fmt_recording(f)
            }
            ErrorKind::NotInspectable(_)
            | ErrorKind::NotStarted(_)
            | ErrorKind::InHostFunction(_)
            | ErrorKind::NotInstrumented { .. }
            | ErrorKind::NoSuchIndex { .. }
            | ErrorKind::NoSuchMemory { .. }
            | ErrorKind::NoSuchGlobal { .. }
            | ErrorKind::ImmutableGlobal { .. } => self.fmt_inspection(f),
            ErrorKind::InstanceBusy { module } => write!(
                f,
                "{module}: the instance is in the middle of another call; wait for its outcome, or make a second instance"
            ),
            ErrorKind::InstanceGone { module } => {
                write!(f, "{module}: the instance was lost with a call that did not return; make a new one")
            }
            // What goes wrong in loading is written by `Error`.
            loading => write!(f, "{loading:?}"),
        }
    }

    /// Writes what is wrong with a precompiled module, or with one that should have been.
    fn fmt_precompiled(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::Precompiled { module } => write!(
                f,
                "{module}: this is a precompiled module, machine code that nothing can check; if you know where it comes from, load it with `sched run --allow-precompiled` or `Module::from_precompiled`"
            ),
            ErrorKind::NotPrecompiled { module } => write!(
                f,
                "{module}: not a precompiled module of this program (it does not start as one); make one with `sched compile`"
            ),
            ErrorKind::DamagedPrecompiled { module, message } => {
                write!(f, "{module}: damaged precompiled module: {message}")
            }
            ErrorKind::OtherEngine { module, message } => {
                write!(f, "{module}: precompiled for another engine: {message}; compile it again, with `sched compile`")
            }
            ErrorKind::NoCompiler { module } => write!(
                f,
                "{module}: this build has no compiler; compile the module ahead with `sched compile` and load it with `Module::from_precompiled`, or build with the feature `cranelift`"
            ),
            other => write!(f, "{other:?}"),
        }
    }

    /// Writes why a guest cannot be looked into.
    fn fmt_inspection(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::NotInspectable(id) => {
                write!(f, "task {id} is not inspectable; spawn a guest's call with `.inspectable()`")
            }
            ErrorKind::NotStarted(id) => write!(
                f,
                "task {id} cannot be inspected yet: the instance is made in the task's first slice, and its start functions run there; let it run until it is preempted in its call"
            ),
            ErrorKind::InHostFunction(id) => write!(
                f,
                "task {id} cannot be inspected now: it waits in a function of its host's; ask again when it has been preempted in its own code"
            ),
            ErrorKind::NotInstrumented { module } => write!(
                f,
                "{module}: only what it exports can be seen; its engine does not debug its guests (EngineConfig::guest_debug)"
            ),
            ErrorKind::NoSuchIndex { module, what, index } => write!(f, "{module}: there is no {what} {index}"),
            ErrorKind::NoSuchMemory { module, export, actual } => {
                f.write_str(&wrong_export(module, export, "memory", *actual))
            }
            ErrorKind::NoSuchGlobal { module, export, actual } => {
                f.write_str(&wrong_export(module, export, "global", *actual))
            }
            ErrorKind::ImmutableGlobal { module, export } => {
                write!(f, "{module}: the global '{export}' is immutable")
            }
            other => write!(f, "{other:?}"),
        }
    }

    /// Writes what is wrong with a recording.
    fn fmt_recording(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::NotARecording { message } => f.write_str(message),
            ErrorKind::Recording { switches, at, cut: true, message } => {
                write!(f, "cut off after switch {}: {message} at byte {}", Fuel(*switches), Fuel(*at))
            }
            ErrorKind::Recording { switches, at, message, .. } => {
                write!(f, "damaged after switch {}: {message}, in the entry at byte {}", Fuel(*switches), Fuel(*at))
            }
            ErrorKind::ReadRecording { source } => write!(f, "the recording cannot be read: {source}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// An export that is not there, or is something else than was wanted.
fn wrong_export(module: &str, export: &str, wanted: &str, actual: Option<&str>) -> String {
    match actual {
        Some(actual) => format!("{module}: the export '{export}' is a {actual}, not a {wanted}"),
        None => format!("{module}: no {wanted} is exported as '{export}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
