//! TASK arguments, taken apart: `PATH[:EXPORT][=ARG,ARG…]`.

use super::{DirPlan, Modules, Plan, TaskPlan, stem};
use std::path::Path;

/// The plan with these TASKs, each so many times.
pub(crate) fn from_words(words: &[String], copies: u32, mut plan: Plan) -> Plan {
    let mut modules = Modules::default();
    for word in words {
        let word = Word::parse(word, |path| Path::new(path).is_file());
        plan.tasks.push(TaskPlan {
            name: stem(&word.path),
            module: modules.position(word.path),
            entry: word.export,
            args: word.args,
            copies,
            ..TaskPlan::default()
        });
    }
    plan.modules = modules.all;
    plan
}

/// What is allowed for a variable of the environment.
pub(crate) const VARIABLE: &str = "NAME=VALUE, such as LANG=C";

/// What is allowed for a folder.
pub(crate) const DIR: &str = "HOST::GUEST, such as data::/data, or one path for both";

/// `NAME=VALUE`, which WASI hands on as a C string.
pub(crate) fn variable(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    (!name.is_empty() && !text.contains('\0')).then(|| (name.into(), value.into()))
}

/// `HOST::GUEST`.
pub(crate) fn dir(text: &str) -> Option<DirPlan> {
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    (!host.is_empty() && !guest.is_empty()).then(|| DirPlan { host: host.into(), guest: guest.into() })
}

/// A TASK argument, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// The module's path.
    path: String,
    /// The export, if one is named.
    export: Option<String>,
    /// The arguments.
    args: Vec<String>,
}

impl Word {
    /// Takes a TASK apart, where a file whose name is all of it comes first.
    fn parse(task: &str, exists: impl Fn(&str) -> bool) -> Word {
        let bare = |path: &str| Word { path: path.into(), export: None, args: Vec::new() };
        if exists(task) {
            return bare(task);
        }
        let file = task.rfind('/').map_or(0, |slash| slash + 1);
        let (call, args) = match task[file..].find('=') {
            Some(equals) => (&task[..file + equals], &task[file + equals + 1..]),
            None => (task, ""),
        };
        let mut word = match call.rsplit_once(':') {
            Some((path, export)) if !exists(call) && !export.contains('/') => {
                Word { export: Some(export.into()), ..bare(path) }
            }
            _ => bare(call),
        };
        if !args.is_empty() {
            word.args = args.split(',').map(String::from).collect();
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TASK taken apart, with these files there.
    fn word(task: &str, files: &[&str]) -> (String, Option<String>, Vec<String>) {
        let word = Word::parse(task, |path| files.contains(&path));
        (word.path, word.export, word.args)
    }

    /// What it should be.
    fn parts(path: &str, export: Option<&str>, args: &[&str]) -> (String, Option<String>, Vec<String>) {
        let args = args.iter().map(ToString::to_string).collect();
        (path.into(), export.map(String::from), args)
    }

    #[test]
    fn a_task_is_split_at_the_first_equals_and_the_last_colon() {
        let there = &["wasm/fib.wat"];
        assert_eq!(word("wasm/fib.wat", there), parts("wasm/fib.wat", None, &[]));
        assert_eq!(word("wasm/fib.wat:main", there), parts("wasm/fib.wat", Some("main"), &[]));
        assert_eq!(word("wasm/fib.wat:main=1,-2", there), parts("wasm/fib.wat", Some("main"), &["1", "-2"]));
        assert_eq!(word("wasm/fib.wat=30", there), parts("wasm/fib.wat", None, &["30"]));
        assert_eq!(word("wasm/fib.wat:main=", there), parts("wasm/fib.wat", Some("main"), &[]));
        assert_eq!(word("a=b/x.wat:f=1", &[]), parts("a=b/x.wat", Some("f"), &["1"]));
        assert_eq!(word("ns:x.wat:f:g", &[]), parts("ns:x.wat:f", Some("g"), &[]));
        assert_eq!(word("a:b/x.wat", &[]), parts("a:b/x.wat", None, &[]));
    }

    #[test]
    fn a_file_of_the_whole_name_comes_first() {
        assert_eq!(word("odd:name=1.wat", &["odd:name=1.wat"]), parts("odd:name=1.wat", None, &[]));
        assert_eq!(word("odd:name.wat=1", &["odd:name.wat"]), parts("odd:name.wat", None, &["1"]));
    }
}
