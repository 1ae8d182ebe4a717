//! What a module's imports are served from: functions of the embedder's, and other modules.

use super::engine::Engine;
use super::hook::HostState;
use super::limits::Limits;
use super::module::{Module, describe_import};
use super::program::{Link, Program};
use super::signature::describe;
use crate::error::{ErrorKind, Result};
use crate::task::Reach;
use crate::wait::Waits;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use wasmtime::{Caller, ExternType, FuncType, ImportType, IntoFunc, Val, WasmRet, WasmTyList};

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
    /// Their names, module and name, and how far each reaches.
    defined: BTreeMap<(String, String), Reach>,
    /// What becomes of imports that nothing serves.
    unknown: UnknownImports,
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
            defined: BTreeMap::new(),
            unknown: UnknownImports::Refuse,
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
        let defined = self.functions.func_wrap(module, name, function).map(drop);
        self.define(module, name, Reach::Host, defined)
    }

    /// Defines a function of the host's that can wait: its future may be any at all, woken from any thread. It is what
    /// [`wasmtime::Linker::func_wrap_async`] takes; the parameters are a tuple. While it waits the calling task is
    /// [blocked](crate::SliceEnd::Blocked), on what the future says by [`Meter::blocking`](crate::ledger::Meter::blocking), and else on a function of this
    /// name; it is polled again once its waker was woken.
    ///
    /// ```
    /// use fuelsched::{Engine, EngineConfig, Executor, HostState, Linker, Module, wasmtime::Caller};
    /// use std::time::Duration;
    ///
    /// # fn main() -> fuelsched::Result<()> {
    /// let engine = Engine::new(&EngineConfig::default())?;
    /// let module = Module::from_bytes(&engine, "napper", br#"
    ///     (module (import "host" "nap" (func $nap (param i64)))
    ///       (func (export "main") (call $nap (i64.const 5))))
    /// "#)?;
    /// let mut linker = Linker::<()>::new(&engine);
    /// linker.func_async("host", "nap", |caller: Caller<'_, HostState>, (millis,): (u64,)| {
    ///     let meter = caller.data().meter().clone();
    ///     Box::new(async move { meter.sleep_until(meter.now() + Duration::from_millis(millis)).await })
    /// })?;
    /// let mut sched = Executor::builder().build();
    /// let id = sched.spawn(linker.link(&module)?.call((), "main", &[]))?;
    /// sched.run();
    /// assert_eq!(sched.ledger(id).unwrap().blocked, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Definition`] when the name is taken.
    pub fn func_async<F, Params, Args>(&mut self, module: &str, name: &str, function: F) -> Result<&mut Linker<D>>
    where
        F: for<'a> Fn(Caller<'a, HostState<D>>, Params) -> Box<dyn Future<Output = Args> + Send + 'a>
            + Send
            + Sync
            + 'static,
        Params: WasmTyList,
        Args: WasmRet + 'static,
    {
        let full: Arc<str> = format!("{module}.{name}").into();
        let defined = self.functions.func_wrap_async(module, name, move |caller: Caller<'_, HostState<D>>, params| {
            let meter = caller.data().meter().clone();
            Box::new(Waits::new(meter, full.clone(), Box::into_pin(function(caller, params))))
        });
        let defined = defined.map(drop);
        self.define(module, name, Reach::Waits, defined)
    }

    /// Notes that a function was defined, or says why it was not.
    fn define(
        &mut self,
        module: &str,
        name: &str,
        reach: Reach,
        defined: wasmtime::Result<()>,
    ) -> Result<&mut Linker<D>> {
        match defined {
            Ok(()) => {
                self.defined.insert((module.into(), name.into()), reach);
                Ok(self)
            }
            Err(error) => Err(ErrorKind::Definition {
                name: format!("{module:?} {name:?}"),
                message: error.root_cause().to_string(),
            }
            .into()),
        }
    }

    /// What becomes of functions that are imported and that nothing serves, in programs that are linked from now on.
    pub fn unknown_imports(&mut self, unknown: UnknownImports) -> &mut Linker<D> {
        self.unknown = unknown;
        self
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
        let (link, reach) = self.resolve(module)?;
        Ok(Program::new(module.clone(), link, reach, self.limits))
    }

    /// Resolves a module's imports, and says how far they reach.
    pub(super) fn resolve(&self, module: &Module) -> Result<(Arc<Link<D>>, Reach)> {
        self.check(module)?;
        let reach = self.reach(module);
        Ok((self.link_with(module)?, reach))
    }

    /// How far calls of a module reach, those of the modules that it imports from included.
    fn reach(&self, module: &Module) -> Reach {
        let of = |module: &Module| {
            let imports = module.wasmtime().imports();
            let reach =
                |import: ImportType<'_>| self.defined.get(&(import.module().into(), import.name().into())).copied();
            imports.filter_map(reach).max().unwrap_or(Reach::Nothing)
        };
        self.modules.iter().map(|(_, other)| of(other)).fold(of(module), Reach::max)
    }

    /// A module's imports, resolved.
    fn link_with(&self, module: &Module) -> Result<Arc<Link<D>>> {
        let mut functions = Cow::Borrowed(&self.functions);
        if self.unknown != UnknownImports::Refuse {
            self.fill_in(functions.to_mut(), module)?;
        }
        if self.modules.is_empty() {
            let mismatch = |error: wasmtime::Error| ErrorKind::ImportMismatch {
                module: module.name().into(),
                message: format!("{error:#}"),
            };
            let ready = functions.instantiate_pre(module.wasmtime()).map_err(mismatch)?;
            return Ok(Arc::new(Link::Ready(ready)));
        }
        let mut functions = functions.into_owned();
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
            if !served && !self.serves_itself(&import) {
                unknown.push(describe_import(&import).to_string());
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        Err(ErrorKind::UnknownImports { module: module.name().into(), imports: unknown }.into())
    }
}

/// What becomes of functions that a module imports and that nothing serves. Other imports (memories, globals, tables) are always refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownImports {
    /// The module is refused, with a message that names each of them.
    #[default]
    Refuse,
    /// The module is linked, and a call of one of them traps.
    Trap,
    /// The module is linked, and a call of one of them does nothing and returns zeros, or null.
    Zero,
}

/// Functions that nothing serves.
impl<D: Send + 'static> Linker<D> {
    /// Whether an import is defined here, or is made up.
    fn serves_itself(&self, import: &ImportType<'_>) -> bool {
        let made_up = self.unknown != UnknownImports::Refuse && matches!(import.ty(), ExternType::Func(_));
        made_up || self.defined.contains_key(&(import.module().into(), import.name().into()))
    }

    /// Makes up the functions that a module imports and that nothing serves.
    fn fill_in(&self, functions: &mut wasmtime::Linker<HostState<D>>, module: &Module) -> Result<()> {
        let all = std::iter::once(module).chain(self.modules.iter().map(|(_, other)| other));
        for import in all.flat_map(|module| module.wasmtime().imports()) {
            let key = (import.module().to_string(), import.name().to_string());
            let from_module = self.modules.iter().any(|(name, _)| *name == key.0);
            let ExternType::Func(ty) = import.ty() else {
                continue;
            };
            if from_module || self.defined.contains_key(&key) {
                continue;
            }
            let what = describe_import(&import).to_string();
            // The same name may be imported twice, as two types: the last one counts, and linking says what is wrong with the other.
            functions.allow_shadowing(true);
            let unknown = self.unknown;
            let made_up = functions.func_new(&key.0, &key.1, ty.clone(), move |_, _, results| match unknown {
                UnknownImports::Zero => zeros(&ty, results),
                _ => wasmtime::bail!("nothing provides {what}, and it was called"),
            });
            made_up.map_err(|error| ErrorKind::Definition {
                name: format!("{:?} {:?}", key.0, key.1),
                message: error.root_cause().to_string(),
            })?;
        }
        functions.allow_shadowing(false);
        Ok(())
    }
}

/// Results of a function that does nothing.
fn zeros(ty: &FuncType, results: &mut [Val]) -> wasmtime::Result<()> {
    for (result, ty) in results.iter_mut().zip(ty.results()) {
        *result = Val::default_for_ty(&ty).ok_or_else(|| wasmtime::format_err!("there is no zero of type {ty}"))?;
    }
    Ok(())
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
