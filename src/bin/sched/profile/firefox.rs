//! The profile for the [Firefox Profiler](https://profiler.firefox.com): a thread a task, and on its clock a nanosecond is one unit of fuel.

use super::Sample;
use super::tree::Tree;
use anyhow::Result;
use fuelsched::Fuel;
use fxprof_processed_profile::{
    CategoryHandle, CpuDelta, Frame, FrameFlags, FrameInfo, Profile, ReferenceTimestamp, SamplingInterval, StackHandle,
    ThreadHandle, Timestamp,
};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;

/// What weights are counted in is said in the title, since the format has no name for fuel.
const TITLE: &str = "sched: samples are fuel, and a nanosecond is one unit of it";

/// A profile of theirs that is being filled.
struct Filling<'a> {
    /// Ours.
    tree: &'a Tree,
    /// Theirs.
    profile: Profile,
    /// Their threads, by our tasks.
    threads: BTreeMap<String, ThreadHandle>,
    /// Their stacks, by ours.
    stacks: HashMap<u32, (ThreadHandle, Option<StackHandle>)>,
}

/// Writes it. Samples that were not kept one by one stand at the end of all, summed by stack.
pub(super) fn write(tree: &Tree, samples: &[Sample], out: &mut impl Write) -> Result<()> {
    let interval = SamplingInterval::from_nanos(1_000);
    let profile = Profile::new(TITLE, ReferenceTimestamp::from_millis_since_unix_epoch(0.0), interval);
    let mut filling = Filling { tree, profile, threads: BTreeMap::new(), stacks: HashMap::new() };
    let process = filling.profile.add_process("sched", 1, Timestamp::from_nanos_since_reference(0));
    let mut rest: BTreeMap<u32, Fuel> = tree.used().collect();
    let tasks: Vec<&str> =
        samples.iter().map(|sample| sample.task).chain(rest.keys().copied()).map(|s| root(tree, s)).collect();
    let mut number = 0;
    for task in tasks {
        if !filling.threads.contains_key(task) {
            number += 1;
            let thread = filling.profile.add_thread(process, number, Timestamp::from_nanos_since_reference(0), false);
            filling.profile.set_thread_name(thread, task);
            filling.threads.insert(task.into(), thread);
        }
    }
    let mut end = Fuel::ZERO;
    for sample in samples {
        filling.add(sample.stack, sample.at, sample.fuel);
        end = sample.at;
        if let Some(left) = rest.get_mut(&sample.stack) {
            *left = left.minus(sample.fuel);
        }
    }
    for (stack, fuel) in rest {
        filling.add(stack, end, fuel);
    }
    Ok(serde_json::to_writer(out, &filling.profile)?)
}

/// The name of a stack's task.
fn root(tree: &Tree, stack: u32) -> &str {
    tree.path(stack).first().copied().unwrap_or_default()
}

impl Filling<'_> {
    /// Adds a sample. Their weights are of 31 bits, so a heavy one is several.
    fn add(&mut self, stack: u32, at: Fuel, fuel: Fuel) {
        let (thread, stack) = self.stack(stack);
        let at = Timestamp::from_nanos_since_reference(at.0);
        let mut left = fuel.0;
        while left > 0 {
            let weight = i32::try_from(left).unwrap_or(i32::MAX);
            self.profile.add_sample(thread, at, stack, CpuDelta::ZERO, weight);
            left -= u64::from(weight.unsigned_abs());
        }
    }

    /// Their stack for one of ours.
    fn stack(&mut self, stack: u32) -> (ThreadHandle, Option<StackHandle>) {
        if let Some(known) = self.stacks.get(&stack) {
            return *known;
        }
        let path = self.tree.path(stack);
        let thread = self.threads[path[0]];
        let frames: Vec<FrameInfo> = path[1..]
            .iter()
            .map(|name| FrameInfo {
                frame: Frame::Label(self.profile.intern_string(name)),
                category_pair: CategoryHandle::OTHER.into(),
                flags: FrameFlags::empty(),
            })
            .collect();
        let theirs = (thread, self.profile.intern_stack_frames(thread, frames.into_iter()));
        self.stacks.insert(stack, theirs);
        theirs
    }
}
