//! What a module's imports are served from: functions of the embedder's, and other modules.

use super::engine::Engine;
use super::hook::HostState;
use super::limits::Limits;
use super::module::{Module, describe_import};
use super::program::{Link, Program};
use super::signature::describe;
use crate::error::{ErrorKind, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use wasmtime::{ExternType, ImportType, IntoFunc};

/// Definitions that imports are served from; `D` is the embedder's data, which each task has its own of.
///
/// ```
/// use fuelsched::{Engine, EngineConfig, Executor, HostState, Linker, Module, wasmtime::Caller};
///
/// # fn main() -> fuelsched::Result<()> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let module = Module::from_bytes(&engine, "greeter", br#"
///     (module (import "host" "add" (func $add (param i32)))
///       (func (export "main") (call $add (i32.const 40)) (call $add (i32.const 2))))
/// "#)?;
/// let mut linker = Linker::<i32>::new(&engine);
/// linker.func("host", "add", |mut caller: Caller<'_, HostState<i32>>, n: i32| caller.data_mut().data += n)?;
///
/// let mut counter = linker.link(&module)?.instance(0);
/// let mut sched = Executor::builder().build();
/// sched.spawn(counter.call("main", &[]))?;
/// sched.run();
/// assert_eq!(counter.with_data(|sum| *sum)?, 42);
/// # Ok(())
/// # }
/// ```
pub struct Linker<D: 'static = ()> {
    /// For which engine.
    engine: Engine,
    /// The functions.
    functions: wasmtime::Linker<HostState<D>>,
    /// Their names: module and name.
    defined: BTreeSet<(String, String)>,
    /// Modules that serve imports under a name, in the order in which they are instantiated.
    modules: Vec<(String, Module)>,
    /// The limits of the programs linked.
    limits: Limits,
}

impl<D: Send + 'static> Linker<D> {
    /// No definitions yet.
    #[must_use]
    pub fn new(engine: &Engine) -> Linker<D> {
        Linker {
            engine: engine.clone(),
            functions: wasmtime::Linker::new(engine.wasmtime()),
            defined: BTreeSet::new(),
            modules: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Sets the limits of the programs that are linked from now on.
    pub fn limits(&mut self, limits: Limits) -> &mut Linker<D> {
        self.limits = limits;
        self
    }

    /// Defines a function of the host's. Its first parameter may be a `Caller<'_, HostState<D>>`, from which it reaches the task's data
    /// and the guest's memory; the others, and its result, are numbers; it may return a `wasmtime::Result`. An error or a panic
    /// ends the calling task as `trapped`, and no other.
    ///
    /// It runs on the guest's stack and holds up the whole executor until it returns.
    ///
    /// # Errors
    /// [`ErrorKind::Definition`] when the name is taken.
    pub fn func<Params, Args>(
        &mut self,
        module: &str,
        name: &str,
        function: impl IntoFunc<HostState<D>, Params, Args>,
    ) -> Result<&mut Linker<D>> {
        match self.functions.func_wrap(module, name, function) {
            Ok(_) => {
                self.defined.insert((module.into(), name.into()));
                Ok(self)
            }
            Err(error) => Err(ErrorKind::Definition {
                name: format!("{module:?} {name:?}"),
                message: error.root_cause().to_string(),
            }
            .into()),
        }
    }

    /// Serves imports from `name` with the exports of another module, of which each task gets an instance of its own. That module's
    /// imports are served by what is defined so far.
    ///
    /// # Errors
    /// [`ErrorKind::Definition`] when another module has the name, [`ErrorKind::UnknownImports`] when nothing serves its imports.
    pub fn module(&mut self, name: &str, module: &Module) -> Result<&mut Linker<D>> {
        if self.modules.iter().any(|(taken, _)| taken == name) {
            return Err(ErrorKind::Definition {
                name: format!("{name:?}"),
                message: "another module has that name".into(),
            }
            .into());
        }
        self.check(module)?;
        self.modules.push((name.into(), module.clone()));
        Ok(self)
    }

    /// A module with its imports served.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownImports`], which names each one; [`ErrorKind::ImportMismatch`].
    pub fn link(&self, module: &Module) -> Result<Program<D>> {
        Ok(Program::new(module.clone(), self.resolve(module)?, self.limits))
    }

    /// Resolves a module's imports.
    pub(super) fn resolve(&self, module: &Module) -> Result<Arc<Link<D>>> {
        self.check(module)?;
        if self.modules.is_empty() {
            let mismatch = |error: wasmtime::Error| ErrorKind::ImportMismatch {
                module: module.name().into(),
                message: format!("{error:#}"),
            };
            let ready = self.functions.instantiate_pre(module.wasmtime()).map_err(mismatch)?;
            return Ok(Arc::new(Link::Ready(ready)));
        }
        let mut functions = self.functions.clone();
        // A module under a name comes before host functions under the same one.
        functions.allow_shadowing(true);
        let modules = self.modules.clone();
        Ok(Arc::new(Link::WithModules { functions, modules }))
    }

    /// Checks that everything a module imports is there, and that functions from other modules are of the type wanted. Wasmtime
    /// checks the rest, but stops at the first that is missing.
    fn check(&self, module: &Module) -> Result<()> {
        if !wasmtime::Engine::same(self.engine.wasmtime(), module.engine().wasmtime()) {
            return Err(ErrorKind::ImportMismatch {
                module: module.name().into(),
                message: "compiled by another engine than the linker's".into(),
            }
            .into());
        }
        let mut unknown = Vec::new();
        for import in module.wasmtime().imports() {
            let served = match self.modules.iter().find(|(name, _)| name == import.module()) {
                Some((_, other)) => serves(module, &import, other)?,
                None => false,
            };
            if !served && !self.defined.contains(&(import.module().into(), import.name().into())) {
                unknown.push(describe_import(&import).to_string());
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        Err(ErrorKind::UnknownImports { module: module.name().into(), imports: unknown }.into())
    }
}

/// Whether `other` exports what `module` imports.
fn serves(module: &Module, import: &ImportType<'_>, other: &Module) -> Result<bool> {
    match (import.ty(), other.wasmtime().get_export(import.name())) {
        (_, None) => Ok(false),
        (ExternType::Func(wanted), Some(ExternType::Func(given))) if !given.matches(&wanted) => {
            Err(ErrorKind::ImportMismatch {
                module: module.name().into(),
                message: format!(
                    "the import {} is {} in {}",
                    describe_import(import),
                    describe("func", &given),
                    other.name()
                ),
            }
            .into())
        }
        _ => Ok(true),
    }
}

impl<D> fmt::Debug for Linker<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linker")
            .field("functions", &self.defined)
            .field("modules", &self.modules)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
