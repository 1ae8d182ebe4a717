//! `sched step`: a run under the microscope, one poll at a time.
//!
//! ```text
//!  keys (screen) ──┐                                       ┌─► screen: all of it at once, on a terminal
//!  script ─────────┼─► Command ─► Microscope ─► Session ───┤
//!  the prompt ─────┘              (back: run again)        └─► show: as text, for a script
//! ```
//!
//! Time goes by fuel here and random numbers by a seed, unless the plan says otherwise: then a run is the same every time, and so there is a way back.

mod command;
mod microscope;
mod screen;
mod seen;
mod show;

pub(crate) use seen::Seen;

use crate::args::StepArgs;
use crate::engine_with_frames;
use crate::job;
use crate::output;
use crate::plan::Stdout;
use crate::run::{can_run, catch_interrupt};
use anyhow::{Context, Result, ensure};
use command::{Command, parse};
use microscope::Microscope;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::process::ExitCode;

/// Functions of a stack that are looked up.
const FRAMES: usize = 64;

/// Runs `sched step`.
pub(crate) fn step(args: &StepArgs) -> Result<ExitCode> {
    let mut plan = args.plan()?;
    // So that there is a way back.
    plan.deterministic = plan.deterministic.or(plan.is_in_time().is_none().then_some(0));
    plan.stdout = Some(plan.stdout.filter(|stdout| *stdout == Stdout::Discard).unwrap_or(Stdout::Capture));
    let script = args.script.as_deref().map(open).transpose()?;
    let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    ensure!(
        script.is_some() || terminal,
        "there is no terminal to show it on; --script FILE takes commands from a file, - from standard input"
    );
    let interrupted = catch_interrupt()?;
    let jobs = job::load(&engine_with_frames(plan.max_stack, FRAMES)?, &mut plan)?;
    let mut microscope = Microscope::new(&plan, &jobs, &interrupted)?;
    if !can_run(&microscope.session.spawned) || microscope.tasks().is_empty() {
        return Ok(ExitCode::from(2));
    }
    match script {
        Some(script) => follow(&mut microscope, script),
        None => screen::run(&mut microscope).map(|()| ExitCode::SUCCESS),
    }
}

/// Opens a script.
fn open(path: &str) -> Result<Box<dyn BufRead>> {
    Ok(match path {
        "-" => Box::new(BufReader::new(io::stdin())),
        path => Box::new(BufReader::new(File::open(path).with_context(|| format!("cannot read {path}"))?)),
    })
}

/// Does what a script says, line by line. Says what cannot be done, goes on, and ends with 1 then.
fn follow(microscope: &mut Microscope<'_>, script: Box<dyn BufRead>) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for (number, line) in script.lines().enumerate() {
        let line = line.with_context(|| format!("line {} of the script", number + 1))?;
        let command = match parse(&line) {
            Ok(None) => continue,
            Ok(Some(Command::Quit)) => break,
            Ok(Some(command)) => Ok(command),
            Err(error) => Err(error),
        };
        let said = command.and_then(|command| obey(microscope, command));
        output::result(&format!("> {}\n", output::clean(line.trim())))?;
        match said {
            Ok(text) => output::result(&text)?,
            Err(error) => {
                output::result(&format!("error: {}\n", output::clean(&error)))?;
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

/// Does what a command says, and tells what there is to see then.
fn obey(microscope: &mut Microscope<'_>, command: Command) -> Result<String, String> {
    let stopped = match command {
        Command::Step(polls) => microscope.step(polls),
        Command::Back(polls) => microscope.back(polls)?,
        Command::Until(until) => microscope.until(&until)?,
        Command::Change(change) => {
            microscope.change(change)?;
            return Ok(String::new());
        }
        Command::Show(what) => return show::show(microscope, &what),
        Command::Quit => return Ok(String::new()),
    };
    let mut lines = vec![show::place(microscope)];
    lines.extend(show::last(microscope));
    lines.extend(show::stopped(&stopped));
    Ok(lines.join("\n") + "\n")
}
