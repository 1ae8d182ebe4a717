//! What a task finds beside its own code: standard streams, folders, clocks and random numbers as WASI has them, and channels, a log and
//! tasks to spawn as the import module `sched` has them.

use crate::output;
use crate::plan::{Plan, Stdout, Unknown, World};
use anyhow::{Context, Result};
use fuelsched::channel::Channels;
use fuelsched::sched::{self, Host, Spawner};
use fuelsched::wasi::{self, Captured, DirAccess, Input, Output, Wasi, WasiBuilder};
use fuelsched::{Engine, Linker, Module, UnknownImports};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Bytes that are kept of what a task prints, to each of its two outputs.
const MOST_KEPT: usize = 1 << 20;

/// What lives in a task's store: a WASI program's world, and what the scheduler gives, each where the module imports it.
#[derive(Debug, Default)]
pub(crate) struct Guest {
    /// Streams, folders, clocks.
    wasi: Option<Box<Wasi>>,
    /// Channels, log, tasks.
    host: Option<Box<Host>>,
}

/// What a module imports of the two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    /// WASI, in either version.
    pub(crate) wasi: bool,
    /// The import module `sched`.
    pub(crate) host: bool,
}

impl Wants {
    /// What this module imports.
    pub(crate) fn of(module: &Module) -> Wants {
        let from = |wanted: fn(&str) -> bool| module.imports().iter().any(|import| wanted(&import.module));
        Wants { wasi: from(is_wasi), host: from(|name| name == "sched") }
    }
}

/// Whether this is the name of WASI, in either version.
pub(crate) fn is_wasi(import_module: &str) -> bool {
    ["wasi_snapshot_preview1", "wasi_unstable"].contains(&import_module)
}

/// What serves the imports of a run's modules.
pub(crate) fn linker(engine: &Engine, unknown: Unknown) -> fuelsched::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker, |guest: &mut Guest| &mut **guest.wasi.get_or_insert_default())?;
    sched::add_to_linker(&mut linker, |guest: &mut Guest| {
        &mut **guest.host.get_or_insert_with(|| Box::new(Host::new("")))
    })?;
    linker.unknown_imports(match unknown {
        Unknown::Error => UnknownImports::Refuse,
        Unknown::Trap => UnknownImports::Trap,
        Unknown::Default => UnknownImports::Zero,
    });
    Ok(linker)
}

/// What the tasks of a run share, and what they have printed.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The channels.
    channels: Channels,
    /// What becomes of what is printed.
    stdout: Stdout,
    /// The seed, in a deterministic run.
    seed: Option<u64>,
    /// What was printed, by label: to standard output, and to standard error.
    printed: Mutex<BTreeMap<u64, [(Output, Captured); 2]>>,
}

impl Surroundings {
    /// Those of a run of this plan. `kept` says that a report will show what was printed, where nothing else is said.
    pub(crate) fn new(plan: &Plan, kept: bool) -> Surroundings {
        let several = plan.total() > 1 || plan.tasks.iter().any(|task| task.on_spawn);
        let usual = match () {
            () if kept => Stdout::Capture,
            () if several && io::stdout().is_terminal() => Stdout::Lines,
            () => Stdout::Inherit,
        };
        Surroundings {
            channels: Channels::default(),
            stdout: plan.stdout.unwrap_or(usual),
            seed: plan.deterministic,
            printed: Mutex::default(),
        }
    }

    /// What all tasks have of WASI that are made of one in the plan. Its folders are opened once for all of them.
    pub(crate) fn basis(&self, module: &str, world: &World) -> WasiBuilder {
        let program = std::path::Path::new(module).file_name().unwrap_or_default().to_string_lossy();
        let mut wasi = Wasi::builder().arg(program).args(&world.argv);
        for (name, value) in &world.env {
            wasi = wasi.env(name, value);
        }
        for dir in &world.dirs {
            wasi = wasi.dir(&dir.host, &dir.guest, DirAccess::ReadWrite);
        }
        wasi
    }

    /// The data of a task that imports so much.
    pub(crate) fn guest(&self, who: &Who<'_>, wants: Wants, spawner: Option<Spawner>) -> Result<Guest> {
        let wasi = wants.wasi.then(|| self.wasi(who)).transpose()?;
        let host = wants.host.then(|| self.host(who.name, spawner));
        Ok(Guest { wasi: wasi.map(Box::new), host: host.map(Box::new) })
    }

    /// A WASI program's world.
    fn wasi(&self, who: &Who<'_>) -> Result<Wasi> {
        let (out, err) = self.outputs(who);
        let mut wasi = who.basis.clone().stdin(self.stdin(who.stdin)?).stdout(out).stderr(err);
        if let Some(seed) = self.seed {
            // Another sequence for each task, and the same in each run.
            wasi = wasi.random_seed(seed ^ who.label.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wall_clock_at(Duration::ZERO);
        }
        Ok(wasi.build()?)
    }

    /// Standard input: a file, or this program's own, unless the run is to be the same whoever types.
    fn stdin(&self, file: Option<&str>) -> Result<Input> {
        match file {
            Some(path) => {
                let open = || Input::file(File::open(path)?);
                open().with_context(|| format!("cannot read {path} as standard input"))
            }
            None if self.seed.is_some() => Ok(Input::empty()),
            None => Ok(Input::stdin()),
        }
    }

    /// Where a task prints. Incarnations of one task print to the same place.
    fn outputs(&self, who: &Who<'_>) -> (Output, Output) {
        // A program prints otherwise where it finds a terminal: what is to be the same everywhere finds none.
        let own = || match self.seed {
            None => (Output::stdout(), Output::stderr()),
            Some(_) => (Output::writer(io::stdout()), Output::writer(io::stderr())),
        };
        match self.stdout {
            Stdout::Inherit => own(),
            Stdout::Discard => (Output::discard(), Output::discard()),
            Stdout::Lines => {
                let prefix = format!("[{}] ", output::clean(who.name));
                let (out, err) = own();
                (Output::lines(prefix.clone(), out), Output::lines(prefix, err))
            }
            Stdout::Capture => {
                let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
                let both = printed.entry(who.label).or_insert_with(|| [MOST_KEPT; 2].map(Output::captured));
                let [(out, _), (err, _)] = both;
                (out.clone(), err.clone())
            }
        }
    }

    /// What the scheduler gives to a task.
    fn host(&self, name: &str, spawner: Option<Spawner>) -> Host {
        let heard = self.stdout != Stdout::Discard;
        let log = move |name: &str, line: &str| {
            if heard {
                output::note(&format!("[{name}] {line}"))
            }
        };
        let host = Host::new(name).channels(self.channels.clone()).log(std::sync::Arc::new(log));
        match spawner {
            Some(spawner) => host.spawner(spawner),
            None => host,
        }
    }

    /// The channels that all tasks share.
    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    /// What the task of this label has printed, if that was kept.
    pub(crate) fn printed(&self, label: u64) -> Option<Printed> {
        let printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        let [(_, out), (_, err)] = printed.get(&label)?;
        let text = |captured: &Captured| String::from_utf8_lossy(&captured.contents()).into_owned();
        Some(Printed { stdout: text(out), stderr: text(err), dropped: out.dropped() + err.dropped() })
    }
}

/// Whose world it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    /// The task's name.
    pub(crate) name: &'a str,
    /// Its label.
    pub(crate) label: u64,
    /// What it has in common with others of its kind.
    pub(crate) basis: &'a WasiBuilder,
    /// The file that is its standard input.
    pub(crate) stdin: Option<&'a str>,
}

/// What a task has printed.
#[derive(Debug)]
pub(crate) struct Printed {
    /// To standard output.
    pub(crate) stdout: String,
    /// To standard error.
    pub(crate) stderr: String,
    /// Bytes that there was no room for.
    pub(crate) dropped: u64,
}
