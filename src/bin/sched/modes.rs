//! The policy `cyclic` as a plan has it: windows of tasks, and changes of mode after so many frames.

use crate::plan::{Frames, Unit};
use fuelsched::policy::{Cyclic, Fault, Mode, Pick, Window};
use fuelsched::reason::{InWindow, Param, Params, ReadyReason};
use fuelsched::{Clock, Fuel, GroupId, Policy, Result, SliceEnd, TaskId};
use std::collections::VecDeque;

/// The policy of a plan's frames, in which tasks that share windows take turns of this quantum.
pub(crate) fn build(frames: &Frames, quantum: Fuel, clock: &Clock) -> Result<Box<dyn Policy>> {
    let window = |w: &crate::plan::WindowPlan| Window {
        partition: w.task.and_then(|task| u32::try_from(task).ok()),
        offset: w.offset,
        length: w.length,
    };
    let mode = |mode: &crate::plan::ModePlan| Mode {
        name: mode.name.clone(),
        frame: mode.frame,
        windows: mode.windows.iter().map(window).collect(),
    };
    let modes = frames.modes.iter().map(mode).collect();
    let cyclic = match frames.unit {
        Unit::Fuel => Cyclic::in_fuel(modes)?,
        Unit::Time => Cyclic::in_time(modes, clock.clone())?,
    };
    let cyclic = cyclic.guard(frames.guard).quantum(quantum);
    cyclic.check()?;
    let mut changes: Vec<(u64, String)> =
        frames.switches.iter().map(|change| (change.after_frames, change.mode.clone())).collect();
    changes.sort_by_key(|(after, _)| *after);
    Ok(Box::new(Changing { cyclic, changes: changes.into() }))
}

/// Frames whose mode changes by plan.
#[derive(Debug)]
struct Changing {
    /// The frames.
    cyclic: Cyclic,
    /// After how many frames which mode begins, the next first.
    changes: VecDeque<(u64, String)>,
}

impl Changing {
    /// Asks for the mode that is to begin when this frame ends. A frame in which nobody is picked is passed over, and a change that was to come in
    /// it comes with the next that is not.
    fn change(&mut self) {
        while let Some((_, mode)) = self.changes.pop_front_if(|(after, _)| *after <= self.cyclic.frames() + 1) {
            // That there is such a mode was checked with the plan.
            let _ = self.cyclic.switch_mode(&mode);
        }
    }
}

impl Policy for Changing {
    fn name(&self) -> &'static str {
        self.cyclic.name()
    }
    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        self.cyclic.admit(id, params)
    }
    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.cyclic.ready(id, why, now);
    }
    fn pick(&mut self, now: Fuel) -> Pick {
        self.change();
        let pick = self.cyclic.pick(now);
        // Only now is it known which frame this is.
        self.change();
        pick
    }
    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        self.cyclic.charge(id, used, end);
    }
    fn leave(&mut self, id: TaskId) {
        self.cyclic.leave(id);
    }
    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        self.cyclic.set(id, param)
    }
    fn group(&mut self, id: GroupId, weight: u32) {
        self.cyclic.group(id, weight);
    }
    fn ungroup(&mut self, id: GroupId) {
        self.cyclic.ungroup(id);
    }
    fn take_fault(&mut self) -> Option<Fault> {
        self.cyclic.take_fault()
    }
    fn window(&self) -> Option<InWindow> {
        self.cyclic.window()
    }
    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        self.cyclic.numbers(id)
    }
}
