//! `--profile`: where the fuel goes, function by function.
//!
//! ```text
//!  a slice ends ─► the guest is asked for its stack, by a poll that is no slice ─► Tree ─┬─► folded   a line a stack
//!                  and what the slice used is that stack's                               ├─► flame    a flame graph, SVG
//!                                                                                       └─► firefox  for the Firefox Profiler
//! ```
//!
//! There is no timer: samples are taken where slices end, and each weighs what its slice used. So the weights of a task add up to its ledger,
//! and the same run has the same profile on every machine. That a guest is asked changes nothing for it.

mod firefox;
mod flame;
mod tree;

use crate::args::{ProfileFormat, TraceArgs};
use crate::output;
use crate::trace::TaskNames;
use anyhow::Context;
use fuelsched::frame::Frame;
use fuelsched::reason::SliceEnd;
use fuelsched::trace::{Observer, Slice, Spawned};
use fuelsched::{Error, ErrorKind, Fuel, TaskId};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use tree::Tree;

/// Functions of a stack that are looked at, the innermost ones. Whatever is above them is one function, [`DEEPER`].
pub(crate) const MOST_FRAMES: usize = 256;
/// What stands for the functions above those that are looked at.
const DEEPER: &str = "(deeper)";
/// What a task used in the slice in which it ended. Where that was is not known.
const TO_THE_END: &str = "(to its end)";
/// What a task used in slices after which it waited in a function of its host's, where it cannot be asked.
const IN_HOST: &str = "(until it waits)";
/// What a task used before its call began: data segments, start functions.
const STARTING: &str = "(starting)";
/// Samples that are kept one by one, for those who want to know when they were.
const MOST_SAMPLES: usize = 200_000;

/// A profile that is being made.
pub(crate) struct Profile {
    /// Where it goes.
    path: String,
    /// The file.
    file: File,
    /// In which form.
    format: ProfileFormat,
    /// How the tasks are called.
    names: TaskNames,
    /// The stack of each task that is nothing but its name, by its place in the order of spawning.
    tasks: HashMap<u64, u32>,
    /// All stacks, with what was used in them.
    tree: Tree,
    /// The first samples, in their order.
    samples: Vec<Sample>,
    /// The slice that has just ended.
    last: Option<Taken>,
}

/// A sample.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The virtual clock at its end.
    at: Fuel,
    /// The task: a stack that is nothing but its name.
    task: u32,
    /// The stack.
    stack: u32,
    /// What was used.
    fuel: Fuel,
}

/// A slice whose stack is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// The task.
    id: TaskId,
    /// Its place in the order of spawning.
    spawn_index: u64,
    /// What it used.
    used: Fuel,
    /// The virtual clock at its end.
    at: Fuel,
    /// Whether the task has ended with it.
    ended: bool,
}

impl Taken {
    /// The task, if it can be asked for its stack.
    pub(crate) fn id(&self) -> Option<TaskId> {
        (!self.ended).then_some(self.id)
    }
}

impl Profile {
    /// What these options ask for; nothing if that is nothing. The file is there before anything runs.
    pub(crate) fn new(args: &TraceArgs, names: TaskNames) -> anyhow::Result<Option<Profile>> {
        let Some(path) = &args.profile else {
            return Ok(None);
        };
        let file = File::create(path).with_context(|| format!("cannot write a profile to {path}"))?;
        let format = args.profile_format.unwrap_or_else(|| by_ending(path));
        let tree = Tree::new(format == ProfileFormat::Firefox);
        let (path, tasks, samples) = (path.clone(), HashMap::new(), Vec::new());
        Ok(Some(Profile { path, file, format, names, tasks, tree, samples, last: None }))
    }

    /// The names of tasks that tasks spawn are known there.
    pub(crate) fn names_mut(&mut self) -> &mut TaskNames {
        &mut self.names
    }

    /// The slice that has just ended, to be added with its stack.
    pub(crate) fn take(&mut self) -> Option<Taken> {
        self.last.take()
    }

    /// Adds a slice; `stack` is what its task answered, if it was asked.
    pub(crate) fn add(&mut self, taken: &Taken, stack: Option<Result<Vec<Frame>, Error>>) {
        let task = self.tasks.get(&taken.spawn_index).copied().unwrap_or_default();
        let stack = match stack {
            None => self.tree.called(task, TO_THE_END),
            Some(Ok(frames)) => self.stack(task, &frames),
            Some(Err(error)) => {
                let in_host = matches!(error.kind(), ErrorKind::InHostFunction(_));
                self.tree.called(task, if in_host { IN_HOST } else { STARTING })
            }
        };
        self.tree.add(stack, taken.used);
        if self.samples.len() < MOST_SAMPLES && self.format == ProfileFormat::Firefox {
            self.samples.push(Sample { at: taken.at, task, stack, fuel: taken.used });
        }
    }

    /// The stack of these functions, the innermost first.
    fn stack(&mut self, task: u32, frames: &[Frame]) -> u32 {
        let mut stack = task;
        if frames.len() == MOST_FRAMES {
            stack = self.tree.called(stack, DEEPER);
        }
        for frame in frames.iter().rev() {
            stack = self.tree.calls(stack, frame);
        }
        stack
    }

    /// Writes it. Says what went wrong, if anything.
    pub(crate) fn finish(self) -> Option<String> {
        let mut file = BufWriter::new(&self.file);
        let written = match self.format {
            ProfileFormat::Folded => {
                self.tree.folded().iter().try_for_each(|line| writeln!(file, "{line}")).map_err(anyhow::Error::from)
            }
            ProfileFormat::Svg => flame::draw(&self.tree, &mut file),
            ProfileFormat::Firefox => firefox::write(&self.tree, &self.samples, &mut file),
        };
        let written = written.and_then(|()| Ok(file.flush()?));
        written.err().map(|error| format!("the profile is not complete: {}: {error:#}", self.path))
    }
}

/// The form that goes with the ending of a file's name.
fn by_ending(path: &str) -> ProfileFormat {
    match Path::new(path).extension().and_then(|ending| ending.to_str()) {
        Some("svg") => ProfileFormat::Svg,
        Some("json") => ProfileFormat::Firefox,
        _ => ProfileFormat::Folded,
    }
}

impl Observer for Profile {
    fn spawned(&mut self, task: &Spawned) {
        let name = output::clean(&self.names.name(task.label, task.spawn_index));
        let stack = self.tree.task(&name);
        self.tasks.insert(task.spawn_index, stack);
    }

    fn slice(&mut self, slice: &Slice) {
        let Slice { id, spawn_index, used, .. } = *slice;
        let at = slice.at.plus(slice.charged);
        self.last = Some(Taken { id, spawn_index, used, at, ended: slice.end == SliceEnd::Ended });
    }
}
