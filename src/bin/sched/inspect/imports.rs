//! Who provides a module's imports. Nobody knows better than the linker of `sched run`, so that is what is asked: with modules that
//! import the same and do
//! nothing else.

use super::survey::{Import, Survey};
use crate::plan::Unknown;
use crate::world::{self, is_wasi};
use fuelsched::{Engine, ErrorKind, Linker, Module};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use wasmparser::{FuncType, TypeRef, ValType};

/// How many imports are asked about at a time.
const AT_ONCE: usize = 4_096;

/// How many different imports are asked about one by one, where some are of other types than what is there.
const ONE_BY_ONE: usize = 4_096;

/// Who provides an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    /// WASI preview 1.
    Wasi,
    /// The import module `sched`.
    Sched,
    /// There is something of that name, and it is of another type.
    OtherType,
    /// Nobody.
    Nobody,
}

impl Provider {
    /// In words.
    pub(super) fn word(self) -> &'static str {
        match self {
            Provider::Wasi => "wasi",
            Provider::Sched => "sched",
            Provider::OtherType => "other-type",
            Provider::Nobody => "nobody",
        }
    }
}

/// Who provides each import of a module, in its order.
pub(super) fn providers(engine: &Engine, module: &Survey<'_>) -> fuelsched::Result<Vec<Provider>> {
    let linker = world::linker(engine, Unknown::Error)?;
    let mut answers: BTreeMap<String, Provider> = BTreeMap::new();
    let questions: Vec<String> = module.imports.iter().map(|import| question(import, module)).collect();
    for (questions, imports) in questions.chunks(AT_ONCE).zip(module.imports.chunks(AT_ONCE)) {
        let known = ask_together(engine, &linker, questions, imports)?;
        for ((question, import), known) in questions.iter().zip(imports).zip(known) {
            if answers.contains_key(question) {
                continue;
            }
            let answer = match known {
                Some(answer) => answer,
                None if answers.len() < ONE_BY_ONE => ask(engine, &linker, question, import),
                None => Provider::Nobody,
            };
            answers.insert(question.clone(), answer);
        }
    }
    Ok(questions.iter().map(|question| answers[question]).collect())
}

/// Asks about many at once: who provides each, where that is clear.
fn ask_together(
    engine: &Engine,
    linker: &Linker<world::Guest>,
    questions: &[String],
    imports: &[Import<'_>],
) -> fuelsched::Result<Vec<Option<Provider>>> {
    let text = format!("(module {})", questions.join("\n"));
    let Ok(module) = Module::from_bytes(engine, "imports", text) else {
        return Ok(vec![None; questions.len()]);
    };
    let missing = match linker.link(&module) {
        Ok(_) => return Ok(imports.iter().map(|import| Some(provided(import))).collect()),
        Err(error) => match error.kind() {
            ErrorKind::UnknownImports { imports, .. } => imports.clone(),
            _ => Vec::new(),
        },
    };
    let missing: std::collections::BTreeSet<String> = missing.into_iter().collect();
    let answer = |import: fuelsched::guest::Import| missing.contains(&import.to_string()).then_some(Provider::Nobody);
    Ok(module.imports().into_iter().map(answer).collect())
}

/// Asks about one.
fn ask(engine: &Engine, linker: &Linker<world::Guest>, question: &str, import: &Import<'_>) -> Provider {
    let Ok(module) = Module::from_bytes(engine, "import", format!("(module {question})")) else {
        return Provider::Nobody;
    };
    match linker.link(&module) {
        Ok(_) => provided(import),
        Err(error) if matches!(error.kind(), ErrorKind::ImportMismatch { .. }) => Provider::OtherType,
        Err(_) => Provider::Nobody,
    }
}

/// Who provides what is provided.
fn provided(import: &Import<'_>) -> Provider {
    if is_wasi(import.module) { Provider::Wasi } else { Provider::Sched }
}

/// An import in the text format.
fn question(import: &Import<'_>, module: &Survey<'_>) -> String {
    let what = match import.ty {
        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => module.function_type_at(ty).map_or("(func)".into(), function),
        TypeRef::Table(_) => "(table 0 funcref)".into(),
        TypeRef::Memory(_) => "(memory 0)".into(),
        TypeRef::Global(_) => "(global i32)".into(),
        TypeRef::Tag(_) => "(tag)".into(),
    };
    format!("(import {} {} {what})", quoted(import.module), quoted(import.name))
}

/// A function's type in the text format.
fn function(ty: &FuncType) -> String {
    let list = |word: &str, types: &[ValType]| {
        let all = types.iter().map(|ty| format!(" {ty}")).collect::<String>();
        format!("({word}{all})")
    };
    format!("(func {} {})", list("param", ty.params()), list("result", ty.results()))
}

/// A text in quotation marks, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        // Writing to a text cannot fail.
        let _ = write!(quoted, "\\{byte:02x}");
    }
    quoted + "\""
}
