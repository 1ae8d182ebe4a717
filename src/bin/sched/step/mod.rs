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
mod insides;
mod microscope;
mod screen;
mod seen;
mod show;

pub(crate) use seen::Seen;

use crate::args::StepArgs;
use crate::engine_config;
use crate::job;
use crate::output;
use crate::plan::Stdout;
use crate::progress::{Limits, Running};
use crate::report::INTERRUPTED;
use crate::run::{Sched, can_run, catch_interrupt};
use anyhow::{Context, Result, ensure};
use command::{Command, parse};
use fuelsched::{Engine, Fuel};
use microscope::{Microscope, Watch};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read as _};
use std::process::ExitCode;
use std::time::Duration;

/// Functions of a stack that are looked up.
const FRAMES: usize = 64;
/// The longest line of a script, in bytes: none has to be longer than what a channel may hold.
const LONGEST_LINE: u64 = 1 << 20;

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
    let interrupted = if script.is_some() { catch_interrupt()? } else { screen::catch_interrupt()? };
    let engine = Engine::new(&insides::config(engine_config(plan.max_stack, FRAMES), args.debug)?)?;
    let jobs = job::load(&engine, &mut plan)?;
    let mut microscope = Microscope::new(&plan, &jobs, &interrupted, args.debug)?;
    if !can_run(&microscope.session.spawned) || microscope.tasks().is_empty() {
        return Ok(ExitCode::from(2));
    }
    let Some(script) = script else {
        screen::run(&mut microscope)?;
        return Ok(ended(&microscope, ExitCode::SUCCESS));
    };
    let limits = Limits { fuel: plan.run_fuel.map(Fuel), time: plan.run_time_ns.map(Duration::from_nanos) };
    microscope.watch(Box::new(Spinner { limits, running: None }));
    let code = follow(&mut microscope, script)?;
    Ok(ended(&microscope, code))
}

/// How the program ends: so, unless a signal has ended it.
fn ended(microscope: &Microscope<'_>, code: ExitCode) -> ExitCode {
    if microscope.is_ended_by_signal() { ExitCode::from(INTERRUPTED) } else { code }
}

/// Shows how far a walk of a script came, on a terminal.
struct Spinner {
    /// Where a walk ends at the latest.
    limits: Limits,
    /// What is shown of this one.
    running: Option<Running>,
}

impl Watch for Spinner {
    fn goes_on(&mut self, _polls: u64, sched: &Sched) -> bool {
        if self.running.is_none() {
            self.running = Running::new(self.limits);
        }
        if let Some(running) = &mut self.running {
            running.show(sched.live(), sched.totals().fuel);
        }
        true
    }

    fn over(&mut self) {
        self.running = None;
    }
}

/// Opens a script.
fn open(path: &str) -> Result<Box<dyn BufRead>> {
    Ok(match path {
        "-" => Box::new(BufReader::new(io::stdin())),
        path => Box::new(BufReader::new(File::open(path).with_context(|| format!("cannot read {path}"))?)),
    })
}

/// The next line of a script without its end, if there is one.
fn next_line(script: &mut dyn BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    script.take(LONGEST_LINE + 1).read_until(b'\n', &mut line)?;
    ensure!(line.len() as u64 <= LONGEST_LINE, "it is longer than {} bytes", Fuel(LONGEST_LINE));
    let line = String::from_utf8(line).context("it is not UTF-8")?;
    let without_end = line.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok((!line.is_empty()).then(|| without_end.unwrap_or(&line).to_string()))
}

/// Does what a script says, line by line, until a signal. Says what cannot be done, goes on, and ends with 1 then.
fn follow(microscope: &mut Microscope<'_>, mut script: Box<dyn BufRead>) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let mut number = 0_u64;
    while !microscope.is_ended_by_signal() {
        number += 1;
        let line = next_line(&mut *script).with_context(|| format!("line {number} of the script"))?;
        let Some(line) = line else {
            break;
        };
        let command = match parse(&line) {
            Ok(None) => continue,
            Ok(Some(Command::Quit)) => break,
            command => command,
        };
        let said = command.and_then(|command| command.map_or(Ok(String::new()), |command| obey(microscope, command)));
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
