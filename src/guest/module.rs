//! Modules: read from a file or from memory, told text from binary by their content, compiled once. Loading what was compiled before
//! is `unsafe`, and in `sys/precompiled`.

use super::artifact;
use super::engine::Engine;
use super::hook::HostState;
use super::host::Linker;
use super::instance::Instance;
use super::limits::Limits;
use super::program::{Link, Program};
use super::signature::{Signature, describe, escape};
use crate::error::{Error, ErrorKind, Result};
use crate::task::{Reach, Task};
use crate::value::Value;
use std::borrow::Cow;
use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use wasmtime::{ExternType, ModuleExport};

/// The largest file that is read, in bytes. A module of this size takes minutes to compile, and `/dev/zero` has no end.
const LARGEST_FILE: u64 = 256 << 20;

/// The most characters of one line of a syntax error that are shown; a module may be one line.
const LONGEST_ERROR_LINE: usize = 160;

/// A compiled module. Clones are the same module, and any number of tasks can run it.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

/// What clones share.
struct Inner {
    /// The file, or whatever the embedder calls it.
    name: String,
    /// The engine that compiled it.
    engine: Engine,
    /// Wasmtime's module.
    compiled: wasmtime::Module,
    /// SHA-256 of its binary form.
    #[cfg(feature = "digest")]
    sha256: String,
    /// What `_initialize` exports, if the module is a reactor.
    initialize: Option<ModuleExport>,
    /// The module linked to nothing, made when first needed.
    pure: OnceLock<Arc<Link<()>>>,
}

/// Something that a module wants from others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// From which module.
    pub module: String,
    /// Under which name.
    pub name: String,
    /// What: a function with its type, a memory, a global, a table.
    pub what: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} ({})", self.module, self.name, self.what)
    }
}

impl Module {
    /// Reads and compiles a file, in the text or the binary format, whatever its name. Takes as long as compiling takes: load before
    /// you spawn, or on a thread of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Read`], [`ErrorKind::TooLarge`], and those of [`Module::from_bytes`].
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        let (name, bytes) = read_file(path.as_ref())?;
        Module::from_bytes(engine, name, bytes)
    }

    /// The binary form of the module in a file, read and told from text as [`Module::from_file`] does it, and not compiled: for tools that look into
    /// modules. That it is a valid one is not said.
    ///
    /// # Errors
    /// [`ErrorKind::Read`], [`ErrorKind::TooLarge`], and those of [`Module::from_bytes`] but for [`ErrorKind::Malformed`].
    pub fn read_binary(path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let (name, bytes) = read_file(path.as_ref())?;
        Ok(to_binary(&name, &bytes)?.into_owned())
    }

    /// Compiles a module from memory, in the text or the binary format. The name is for messages.
    ///
    /// # Errors
    /// [`ErrorKind::EmptyFile`], [`ErrorKind::NotWasm`], [`ErrorKind::Text`], [`ErrorKind::Component`], [`ErrorKind::Malformed`];
    /// [`ErrorKind::Precompiled`] for what [`Module::from_precompiled`] is there for; [`ErrorKind::NoCompiler`] in a build without the
    /// feature `cranelift`.
    pub fn from_bytes(engine: &Engine, name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Result<Module> {
        let name = name.into();
        let binary = to_binary(&name, bytes.as_ref())?;
        let compiled = compile(engine, &name, &binary)?;
        Ok(Module::assemble(
            name,
            engine,
            compiled,
            #[cfg(feature = "digest")]
            crate::trace::sha256(&binary),
        ))
    }

    /// A module of its parts.
    pub(super) fn assemble(
        name: String,
        engine: &Engine,
        compiled: wasmtime::Module,
        #[cfg(feature = "digest")] sha256: String,
    ) -> Module {
        Module(Arc::new(Inner {
            #[cfg(feature = "digest")]
            sha256,
            initialize: initializer(&compiled),
            engine: engine.clone(),
            pure: OnceLock::new(),
            compiled,
            name,
        }))
    }

    /// Its machine code, to be kept and loaded with [`Module::from_precompiled`], also by a build without a compiler. It is for this
    /// version of Wasmtime, this architecture and system, a processor that has what this one has, and an engine with equal settings;
    /// `max_stack` and `parallel_compilation` may differ. The name is not kept, the SHA-256 of the binary form is.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], if Wasmtime cannot write it.
    #[cfg(all(feature = "cranelift", feature = "digest"))]
    pub fn precompile(&self) -> Result<Vec<u8>> {
        let code = self.0.compiled.serialize().map_err(|error| malformed(self.name(), &error))?;
        Ok(artifact::write(self.engine(), self.sha256(), &code))
    }

    /// Whether something begins as a precompiled module does. That it can be loaded, or trusted, is not said.
    #[must_use]
    pub fn is_precompiled(bytes: &[u8]) -> bool {
        artifact::is_precompiled(bytes)
    }

    /// The file that it was read from, or the name that it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The engine that compiled it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The SHA-256 of its binary form, as 64 hexadecimal digits.
    #[cfg(feature = "digest")]
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// What it imports, in order.
    #[must_use]
    pub fn imports(&self) -> Vec<Import> {
        self.0.compiled.imports().map(|import| describe_import(&import)).collect()
    }

    /// The type of an exported function.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchExport`], [`ErrorKind::NotAFunction`], or [`ErrorKind::Signature`] when it takes or returns references.
    pub fn signature(&self, export: &str) -> Result<Signature> {
        match self.0.compiled.get_export(export) {
            Some(ExternType::Func(ty)) => Signature::of(self.name(), export, &ty),
            Some(other) => Err(ErrorKind::NotAFunction {
                module: self.name().into(),
                export: escape(export).to_string(),
                actual: kind(&other),
            }
            .into()),
            None => Err(ErrorKind::NoSuchExport {
                module: self.name().into(),
                export: escape(export).to_string(),
                functions: self.functions(),
            }
            .into()),
        }
    }

    /// Whether it exports a function of that name.
    #[must_use]
    pub fn has_function(&self, export: &str) -> bool {
        matches!(self.0.compiled.get_export(export), Some(ExternType::Func(_)))
    }

    /// The functions that it exports, with their types, as people read them.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        let function = |export: wasmtime::ExportType<'_>| match export.ty() {
            ExternType::Func(ty) => Some(describe(export.name(), &ty)),
            _ => None,
        };
        self.0.compiled.exports().filter_map(function).collect()
    }

    /// The module as a program, its imports served by nothing. For a module that imports, see [`Linker`].
    ///
    /// # Errors
    /// [`ErrorKind::UnknownImports`].
    pub fn program(&self) -> Result<Program> {
        let link = match self.0.pure.get() {
            Some(link) => link.clone(),
            None => {
                let (link, _) = Linker::new(&self.0.engine).resolve(self)?;
                self.0.pure.get_or_init(|| link).clone()
            }
        };
        Ok(Program::new(self.clone(), link, Reach::Nothing, Limits::default()))
    }

    /// A call of an export, in an instance of its own that ends with the task.
    ///
    /// What is wrong with the call is said when it is spawned: what [`Module::program`] and [`Module::signature`] say, and
    /// [`ErrorKind::Signature`] when the arguments do not fit.
    pub fn call(&self, export: &str, args: &[Value]) -> Task {
        match self.program() {
            Ok(program) => program.call((), export, args),
            Err(error) => Task::from_error(error),
        }
    }

    /// An instance that stays, to be called again and again.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownImports`].
    pub fn instance(&self) -> Result<Instance> {
        Ok(self.program()?.instance(()))
    }

    /// Wasmtime's module.
    #[must_use]
    pub fn wasmtime(&self) -> &wasmtime::Module {
        &self.0.compiled
    }

    /// What `_initialize` exports, if the module is a reactor.
    pub(super) fn initializer(&self) -> Option<&ModuleExport> {
        self.0.initialize.as_ref()
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Module").field(&self.0.name).finish()
    }
}

/// What an import is, for people.
pub(super) fn describe_import(import: &wasmtime::ImportType<'_>) -> Import {
    let what = match import.ty() {
        ExternType::Func(ty) => describe("func", &ty),
        other => kind(&other).into(),
    };
    Import { module: import.module().into(), name: import.name().into(), what }
}

/// What kind of thing it is.
pub(super) fn kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Func(_) => "function",
        ExternType::Global(_) => "global",
        ExternType::Table(_) => "table",
        ExternType::Memory(_) => "memory",
        ExternType::Tag(_) => "tag",
    }
}

/// The `_initialize` of a reactor: a function of no parameters and no results, to be called before any other.
fn initializer(module: &wasmtime::Module) -> Option<ModuleExport> {
    match module.get_export("_initialize") {
        Some(ExternType::Func(ty)) if ty.params().len() == 0 && ty.results().len() == 0 => {
            module.get_export_index("_initialize")
        }
        _ => None,
    }
}

/// The content of a module's file, and what the module is called.
pub(super) fn read_file(path: &Path) -> Result<(String, Vec<u8>)> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|source| ErrorKind::Read { path: path.into(), source })?;
    if bytes.len() as u64 > LARGEST_FILE {
        let limit = LARGEST_FILE;
        return Err(ErrorKind::TooLarge { module: name, limit }.into());
    }
    Ok((name, bytes))
}

/// Compiles.
#[cfg(feature = "cranelift")]
fn compile(engine: &Engine, name: &str, binary: &[u8]) -> Result<wasmtime::Module> {
    wasmtime::Module::from_binary(engine.wasmtime(), binary).map_err(|error| malformed(name, &error))
}

/// Says that this build cannot.
#[cfg(not(feature = "cranelift"))]
fn compile(_: &Engine, name: &str, _: &[u8]) -> Result<wasmtime::Module> {
    Err(ErrorKind::NoCompiler { module: name.into() }.into())
}

/// The binary form of a file's content, by what it is and not by what it is called.
fn to_binary<'a>(name: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let module = name.to_string();
    if bytes.is_empty() {
        return Err(ErrorKind::EmptyFile { module }.into());
    }
    if artifact::is_precompiled(bytes) {
        return Err(ErrorKind::Precompiled { module }.into());
    }
    let binary = if bytes.starts_with(b"\0asm") {
        Cow::Borrowed(bytes)
    } else {
        let text = std::str::from_utf8(bytes).map_err(|_| ErrorKind::NotWasm { module: module.clone() })?;
        Cow::Owned(from_text(name, text)?)
    };
    // A version number, and after it what a module has 0 and a component 1 for.
    match binary.get(4..8) {
        Some([_, _, 1, 0]) => Err(ErrorKind::Component { module }.into()),
        _ => Ok(binary),
    }
}

/// The binary form of a module in the text format.
fn from_text(name: &str, text: &str) -> Result<Vec<u8>> {
    wat::Parser::new().parse_str(Some(Path::new(name)), text).map_err(|error| {
        Error::from(ErrorKind::Text {
            module: name.into(),
            message: error.to_string().lines().map(printable).collect::<Vec<_>>().join("\n"),
        })
    })
}

/// A line of an error that quotes a file, as it can safely be printed: of bounded length, and without control characters.
fn printable(line: &str) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    line.chars().take(LONGEST_ERROR_LINE).map(visible).collect()
}

/// Wasmtime did not take the binary.
#[cfg(feature = "cranelift")]
fn malformed(name: &str, error: &wasmtime::Error) -> Error {
    ErrorKind::Malformed { module: name.into(), message: wasmtime_says(error) }.into()
}

/// What Wasmtime says is wrong, in one line.
pub(super) fn wasmtime_says(error: &wasmtime::Error) -> String {
    printable(&one_line(&error.root_cause().to_string()))
}

/// A message with its lines and runs of blanks folded into one line.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A module linked to nothing has no data of the embedder's in its store.
const _: fn() = || {
    fn send<T: Send + Sync>() {}
    send::<Module>();
    send::<HostState<()>>();
};
