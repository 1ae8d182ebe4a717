//! A module with its imports served, and the future of a call on it: the one `async` block that the executor polls.

use super::exports::Exports;
use super::hook::{self, HostState};
use super::instance::Instance;
use super::limits::Limits;
use super::module::Module;
use super::signature::{escape, from_wasmtime, to_wasmtime};
use super::sys;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Meter;
use crate::outcome::{Outcome, Trap};
use crate::task::{Reach, Task};
use crate::value::Value;
use std::fmt;
use std::sync::Arc;
use wasmtime::{InstancePre, Linker, ModuleExport, Store, Val, WasmBacktrace};

/// A module with its imports served, ready to be called; `D` is the embedder's data, which each task has its own of. Clones are cheap.
pub struct Program<D: 'static = ()> {
    /// The module.
    module: Module,
    /// Its imports.
    link: Arc<Link<D>>,
    /// How far its calls reach.
    reach: Reach,
    /// What each task may hold.
    limits: Limits,
}

/// Imports, served.
pub(super) enum Link<D: 'static> {
    /// By functions alone, or there are none: looked up and type-checked once, for all tasks.
    Ready(InstancePre<HostState<D>>),
    /// By functions and by other modules, which are instantiated in each task's store.
    WithModules {
        /// The functions.
        functions: Linker<HostState<D>>,
        /// The modules, in the order of instantiation.
        modules: Vec<(String, Module)>,
    },
}

/// An instance with the store that it lives in.
pub(super) struct Guest<D: 'static> {
    /// The store.
    pub(super) store: Store<HostState<D>>,
    /// The instance.
    pub(super) instance: wasmtime::Instance,
}

/// What is to be called: checked against the export's signature.
pub(super) struct Entry {
    /// The export.
    export: ModuleExport,
    /// The arguments.
    args: Vec<Val>,
    /// How many results there are.
    results: usize,
}

impl<D: Send + 'static> Program<D> {
    /// A module with its imports resolved.
    pub(super) fn new(module: Module, link: Arc<Link<D>>, reach: Reach, limits: Limits) -> Program<D> {
        Program { module, link, reach, limits }
    }

    /// How far its calls reach.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// The same program, each task of which may hold this much.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Program<D> {
        self.limits = limits;
        self
    }

    /// The module.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// A call of an export, in an instance of its own that ends with the task. `data` is what host functions find.
    ///
    /// Instantiation is part of the task: a start function is metered and preempted as any other code. What is wrong with the call
    /// is said when it is spawned: what [`Module::signature`] says, and [`ErrorKind::Signature`] when the arguments do not fit.
    pub fn call(&self, data: D, export: &str, args: &[Value]) -> Task {
        let entry = match self.entry(export, args) {
            Ok(entry) => entry,
            Err(error) => return Task::from_error(error),
        };
        let program = self.clone();
        Task::from_guest(self.reach, sys::fetch, move |meter| async move {
            // Boxed: what making an instance takes is not part of the task for the rest of its life.
            match Box::pin(program.start(data, &meter)).await {
                Ok(mut guest) => guest.call(program.module(), &entry).await,
                Err(outcome) => outcome,
            }
        })
    }

    /// An instance that stays, to be called again and again.
    #[must_use]
    pub fn instance(&self, data: D) -> Instance<D> {
        Instance::new(self.clone(), data)
    }

    /// Checks a call.
    pub(super) fn entry(&self, export: &str, args: &[Value]) -> Result<Entry> {
        let signature = self.module.signature(export)?;
        signature.check(args)?;
        let no_such_export = || ErrorKind::NoSuchExport {
            module: self.module.name().into(),
            export: export.into(),
            functions: self.module.functions(),
        };
        Ok(Entry {
            export: self.module.wasmtime().get_export_index(export).ok_or_else(no_such_export)?,
            args: args.iter().map(to_wasmtime).collect(),
            results: signature.results().len(),
        })
    }

    /// Makes an instance, inside the task's future: data segments, start functions and a reactor's `_initialize` run here.
    pub(super) async fn start(&self, data: D, meter: &Arc<Meter>) -> std::result::Result<Guest<D>, Outcome> {
        let mut store = hook::new_store(self.module.engine(), data, self.limits);
        let started = async {
            hook::begin(&mut store, meter.clone())?;
            let instance = self.instantiate(&mut store).await?;
            initialize(&mut store, &self.module, instance).await?;
            Ok(instance)
        };
        let started: wasmtime::Result<_> = started.await;
        hook::end(&store);
        match started {
            Ok(instance) => Ok(Guest { store, instance }),
            Err(error) => Err(not_started(self.module.name(), &error)),
        }
    }

    /// Instantiates the module, and before it those that it imports from.
    async fn instantiate(&self, store: &mut Store<HostState<D>>) -> wasmtime::Result<wasmtime::Instance> {
        match &*self.link {
            Link::Ready(ready) => ready.instantiate_async(store).await,
            Link::WithModules { functions, modules } => {
                let mut linker = functions.clone();
                for (name, module) in modules {
                    let instance = linker.instantiate_async(&mut *store, module.wasmtime()).await?;
                    initialize(store, module, instance).await?;
                    linker.instance(&mut *store, name, instance)?;
                }
                linker.instantiate_async(store, self.module.wasmtime()).await
            }
        }
    }
}

impl<D: Send + 'static> Guest<D> {
    /// Calls an export, to its end.
    pub(super) async fn call(&mut self, module: &Module, entry: &Entry) -> Outcome {
        let instance = self.instance;
        hook::attend(&mut self.store, || Exports::new(module, instance));
        let result = self.call_export(entry).await;
        hook::end(&self.store);
        match result {
            Ok(results) => Outcome::Returned(results),
            Err(error) => ended_by(&error),
        }
    }

    /// Finds the function and calls it.
    async fn call_export(&mut self, entry: &Entry) -> wasmtime::Result<Vec<Value>> {
        let Guest { store, instance } = self;
        let export = instance.get_module_export(&mut *store, &entry.export);
        let Some(function) = export.and_then(wasmtime::Extern::into_func) else {
            wasmtime::bail!("the export is no function");
        };
        let mut results = vec![Val::I32(0); entry.results];
        function.call_async(store, &entry.args, &mut results).await?;
        Ok(results.iter().filter_map(from_wasmtime).collect())
    }
}

/// The error with which a host function ends the guest that called it as [`Outcome::Exited`]: `Err(wasmtime::Error::new(Exit(1)))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(
    /// The exit code.
    pub u8,
);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit with {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// Runs a reactor's `_initialize`.
async fn initialize<D: Send + 'static>(
    store: &mut Store<HostState<D>>,
    module: &Module,
    instance: wasmtime::Instance,
) -> wasmtime::Result<()> {
    let Some(export) = module.initializer() else {
        return Ok(());
    };
    match instance.get_module_export(&mut *store, export).and_then(wasmtime::Extern::into_func) {
        Some(function) => function.call_async(store, &[], &mut []).await,
        None => Ok(()),
    }
}

/// The outcome of a guest that did not get as far as its call: trapped if it was its own code that failed, else never started.
fn not_started(module: &str, error: &wasmtime::Error) -> Outcome {
    if error.is::<sys::NoStack>() || error.is::<Exit>() || error.is::<wasmtime::Trap>() || error.is::<WasmBacktrace>() {
        return ended_by(error);
    }
    Outcome::Failed(Error::from(ErrorKind::Instantiation {
        module: module.into(),
        message: format!("cannot make an instance: {error:#}"),
    }))
}

/// The outcome of a guest that was ended by this error.
pub(super) fn ended_by(error: &wasmtime::Error) -> Outcome {
    if let Some(Exit(code)) = error.downcast_ref::<Exit>() {
        return Outcome::Exited(*code);
    }
    if let Some(sys::NoStack(message)) = error.downcast_ref() {
        return Outcome::Failed(ErrorKind::NoStack { message: message.clone() }.into());
    }
    let message = match error.downcast_ref::<wasmtime::Trap>() {
        // The tank is empty. Whether that was the task's budget is the executor's to say.
        Some(wasmtime::Trap::OutOfFuel) => return Outcome::OutOfFuel,
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_string(),
        None => format!("host error: {}", error.root_cause()),
    };
    let trap = Trap::new(message);
    let frame = error.downcast_ref::<WasmBacktrace>().and_then(|trace| trace.frames().first());
    Outcome::Trapped(match frame {
        Some(frame) => trap.at(place(frame)),
        None => trap,
    })
}

/// Where a frame is: its function by name or number, and the offset in the module.
fn place(frame: &wasmtime::FrameInfo) -> String {
    let function = match frame.func_name() {
        Some(name) => format!("function {}", escape(name)),
        None => format!("function {}", frame.func_index()),
    };
    match frame.module_offset() {
        Some(offset) => format!("{function} at {offset:#x}"),
        None => function,
    }
}

impl<D> Clone for Program<D> {
    fn clone(&self) -> Program<D> {
        Program { module: self.module.clone(), link: self.link.clone(), reach: self.reach, limits: self.limits }
    }
}

impl<D> fmt::Debug for Program<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("module", &self.module).field("limits", &self.limits).finish_non_exhaustive()
    }
}
