//! `sched inspect`: what a module is, what it wants and gives, and how far it can run past its quantum, without running it.
//!
//! | file | holds |
//! |---|---|
//! | `survey` | what a module declares |
//! | `imports` | who provides what it imports |
//! | `features` | which features of WebAssembly it uses |
//! | `fuel` | the longest stretches of fuel between two yield points |
//! | `report` | all of that, as tables and as JSON |
//! | `disassemble` | the text format with the fuel of each instruction |
//! | `warn` | what `sched run` says of quanta that are too small |
//!
//! A module may be anything. It is read with limits, validated first, and every pass takes time and memory in proportion to its size; nothing
//! recurses over its contents.

mod disassemble;
mod features;
mod fuel;
mod imports;
mod lengths;
mod operators;
mod report;
mod stretch;
mod survey;
mod tails;
mod walk;
mod warn;

pub(crate) use warn::of_small_quanta as warn_of_small_quanta;

use crate::args::{Format, InspectArgs};
use crate::plan::Plan;
use crate::progress::Passes;
use crate::world::is_wasi;
use crate::{engine, job, output};
use anyhow::Result;
use fuel::{Bounds, Fuel};
use fuelsched::{Engine, Module};
use imports::Provider;
use std::process::ExitCode;
use survey::Survey;

/// How many rows the tables for people have, unless asked for more.
const ROWS: usize = 20;

/// What was found out about a module.
struct Inspection<'a> {
    /// The file.
    path: String,
    /// What it declares.
    module: Survey<'a>,
    /// Who provides each import.
    providers: Vec<Provider>,
    /// The features that it uses.
    features: Vec<String>,
    /// Why `sched run` would refuse it, if it would.
    refused: Option<String>,
    /// The export that is called unless another is named, if there is one.
    entry: Option<&'static str>,
    /// How much a task may hold.
    bounds: Bounds,
    /// The fuel, unless the module is refused: it would be metered by rules that are not known here.
    fuel: Option<Fuel>,
}

/// Inspects a file. That it is no module is an error of the file's, not of the command line.
pub(crate) fn inspect(args: &InspectArgs) -> Result<ExitCode> {
    let shown = look_at(args);
    if let Err(error) = shown {
        output::error(&format!("{error:#}"));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a file, and shows what was asked for.
fn look_at(args: &InspectArgs) -> Result<()> {
    // Its own message has its source in it.
    let binary = Module::read_binary(&args.file).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut progress = Passes::new(binary.len());
    let wrong = |error: &wasmparser::Error| {
        anyhow::anyhow!("{}: {} (at offset {:#x})", args.file, error.message(), error.offset())
    };
    features::validate(&binary, features::all(), |at| progress.at("validating", at)).map_err(|error| wrong(&error))?;
    let module = Survey::of(&binary).map_err(|error| wrong(&error))?;
    let defaults = Plan::new();
    let bounds = Bounds { memory: defaults.max_memory as u64, stack: defaults.max_stack as u64 };
    if args.disassemble {
        progress.done();
        return disassemble::print(&binary, &module, bounds.memory);
    }
    let engine = engine(defaults.max_stack)?;
    let refused = refusal(&engine, &binary);
    let fuel = match refused {
        None => Some(Fuel::of(&module, bounds, |at| progress.at("measuring", at)).map_err(|error| wrong(&error))?),
        Some(_) => None,
    };
    let found = Inspection {
        path: args.file.clone(),
        providers: imports::providers(&engine, &module)?,
        features: features::used(&binary, |at| progress.at("asking for features", at)),
        refused,
        entry: entry(&module),
        bounds,
        fuel,
        module,
    };
    progress.done();
    show(&found, args)
}

/// Shows what was found.
fn show(found: &Inspection<'_>, args: &InspectArgs) -> Result<()> {
    match args.format {
        Format::Human => output::result(&report::human(found, args.top.unwrap_or(ROWS))),
        Format::Json => output::result(&report::json(found, args.top)?),
    }
}

/// Why the engine of `sched run` would refuse a module, if it would.
fn refusal(engine: &Engine, binary: &[u8]) -> Option<String> {
    let error = fuelsched::wasmtime::Module::validate(engine.wasmtime(), binary).err()?;
    Some(error.root_cause().to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The export that `sched run` calls unless told otherwise, if it is there.
fn entry(module: &Survey<'_>) -> Option<&'static str> {
    let wasi = || module.imports.iter().any(|import| is_wasi(import.module));
    let entry = job::default_entry(|name| module.exports_function(name), wasi);
    module.exports_function(entry).then_some(entry)
}
