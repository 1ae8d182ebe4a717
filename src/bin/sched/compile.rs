//! `sched compile`: modules compiled ahead, so that loading them takes no compiler and no time.

use crate::args::CompileArgs;
use crate::plan::Plan;
use crate::progress::Compiling;
use crate::{engine, output};
use anyhow::{Context, Result, ensure};
use fuelsched::{Engine, Module};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

/// What names of precompiled files end with, unless said otherwise.
const EXTENSION: &str = "cwasm";

/// Compiles each file. What is wrong with one does not concern the others.
pub(crate) fn compile(args: &CompileArgs) -> Result<ExitCode> {
    let outputs = outputs(args)?;
    let engine = engine(Plan::new().max_stack)?;
    let mut code = ExitCode::SUCCESS;
    let compiled = compile_all(&engine, &args.files);
    for ((input, output), compiled) in args.files.iter().zip(outputs).zip(compiled) {
        let written = compiled.and_then(|bytes| write(&output, &bytes, args.force).map(|()| bytes.len() as u64));
        match written {
            Ok(bytes) => output::result(&said(input, &output, bytes))?,
            Err(error) => {
                output::error(&format!("{error:#}"));
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

/// The code of each file, or why there is none. Beside the thread that compiles stands one that shows how far it came.
fn compile_all(engine: &Engine, files: &[String]) -> Vec<Result<Vec<u8>>> {
    let (send, compiled) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (place, input) in files.iter().enumerate() {
                let bytes = Module::from_file(engine, input).and_then(|module| module.precompile());
                // Its own message has its source in it. Whoever receives is there until this ends.
                let _ = send.send((place, bytes.map_err(|error| anyhow::anyhow!("{error}"))));
            }
        });
        Compiling::new(files.len()).collect(&compiled).into_values().collect()
    })
}

/// Where each file's code goes: beside it, unless said otherwise, and each to a place of its own.
fn outputs(args: &CompileArgs) -> Result<Vec<PathBuf>> {
    if let Some(output) = &args.output {
        ensure!(args.files.len() == 1, "-o names one file, and there are {} to compile", args.files.len());
        return Ok(vec![output.into()]);
    }
    let outputs: Vec<PathBuf> = args.files.iter().map(|file| Path::new(file).with_extension(EXTENSION)).collect();
    let mut seen = BTreeSet::new();
    for output in &outputs {
        ensure!(seen.insert(output), "two files would be compiled to {}; compile one with -o", output.display());
    }
    Ok(outputs)
}

/// What was done, in a line.
fn said(input: &str, output: &Path, bytes: u64) -> String {
    let line = format!("{input}: compiled to {}, {}", output.display(), output::count(bytes, "byte"));
    output::clean(&line) + "\n"
}

/// Writes a file, which is not there yet unless it is to be overwritten.
fn write(path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(!force).create(force).truncate(force);
    match options.open(path).and_then(|mut file| file.write_all(bytes)) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            anyhow::bail!("{} is there already; --force overwrites it", path.display())
        }
        written => written.with_context(|| format!("cannot write {}", path.display())),
    }
}
