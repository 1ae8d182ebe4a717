//! What the parts of a plan say of each other: names that name something, and only one thing; windows that have their time to themselves.

use super::errors::{Mistakes, quoted};
use super::parse::{Draft, WindowDraft, no_such};
use super::{ModePlan, Plan, WindowPlan};
use crate::units::MOST_TASKS;
use std::collections::HashMap;
use std::ops::Range;

/// Looks names up, and checks what can only be checked together. Each step is linear in the plan, or sorts it.
pub(super) fn check(mut draft: Draft, mistakes: &Mistakes) -> Plan {
    groups(&mut draft, mistakes);
    let named = names(&draft, mistakes);
    modes(&mut draft, &named, mistakes);
    spawns(&mut draft, &named, mistakes);
    if let Some(what) = draft.plan.not_deterministic() {
        mistakes.add(0..0, format!("a deterministic run goes by fuel, and this plan has {what}"));
    }
    if draft.plan.policy.name == "cyclic" && draft.plan.frames.as_ref().is_none_or(|frames| frames.modes.is_empty()) {
        mistakes.add(0..0, "the policy cyclic needs a [[policy.mode]]");
    }
    if draft.plan.total() > MOST_TASKS {
        let span = draft.tasks.first().map_or(0..0, |task| task.span.clone());
        mistakes.add(span, format!("these are {} tasks; a run takes {MOST_TASKS}", draft.plan.total()));
    }
    draft.plan
}

/// Groups have different names, and tasks are in groups that are there.
fn groups(draft: &mut Draft, mistakes: &Mistakes) {
    let mut positions: HashMap<&str, usize> = HashMap::new();
    for (position, group) in draft.plan.groups.iter().enumerate() {
        if !group.name.is_empty() && positions.insert(&group.name, position).is_some() {
            mistakes.add(draft.groups[position].clone(), format!("there is another group {}", quoted(&group.name)));
        }
    }
    for (task, places) in draft.plan.tasks.iter_mut().zip(&draft.tasks) {
        let Some(group) = &places.group else {
            continue;
        };
        task.group = positions.get(group.value.as_str()).copied();
        if task.group.is_none() {
            let names: Vec<&str> = draft.plan.groups.iter().map(|group| group.name.as_str()).collect();
            mistakes.add(group.span.clone(), no_such("group", &group.value, &names));
        }
    }
}

/// The tasks by name; a name that was given is given once.
fn names(draft: &Draft, mistakes: &Mistakes) -> HashMap<String, Vec<usize>> {
    let mut named: HashMap<String, Vec<usize>> = HashMap::new();
    for (position, (task, places)) in draft.plan.tasks.iter().zip(&draft.tasks).enumerate() {
        let same = named.entry(task.name.clone()).or_default();
        let given = |position: &usize| draft.tasks[*position].name.is_some();
        if let (Some(span), Some(_)) = (&places.name, same.first().filter(|first| given(first))) {
            mistakes.add(span.clone(), format!("there is another task {}", quoted(&task.name)));
        }
        same.push(position);
    }
    named
}

/// What tasks may spawn is there, and there to be spawned; and there is something else to begin with.
fn spawns(draft: &mut Draft, named: &HashMap<String, Vec<usize>>, mistakes: &Mistakes) {
    if !draft.plan.tasks.is_empty() && draft.plan.tasks.iter().all(|task| task.on_spawn) {
        mistakes
            .add(draft.tasks[0].span.clone(), "every task has `on-spawn`, so that none is there to spawn the first");
    }
    for position in 0..draft.plan.tasks.len() {
        let Some(names) = &draft.tasks[position].spawns else {
            continue;
        };
        for name in &names.value {
            match named.get(name).map(Vec::as_slice) {
                Some(&[other]) if draft.plan.tasks[other].on_spawn => draft.plan.tasks[position].spawns.push(other),
                Some(_) => mistakes.add(
                    names.span.clone(),
                    format!(
                        "{} is not there to be spawned; give it `on-spawn = true`, and a name of its own",
                        quoted(name)
                    ),
                ),
                None => {
                    let there = draft.plan.tasks.iter().filter(|task| task.on_spawn);
                    let all: Vec<&str> = there.map(|task| task.name.as_str()).collect();
                    mistakes.add(names.span.clone(), no_such("task", name, &all));
                }
            }
        }
    }
}

/// Modes have different names, changes go to modes that are there, and windows are of tasks that are.
fn modes(draft: &mut Draft, named: &HashMap<String, Vec<usize>>, mistakes: &Mistakes) {
    let Some(frames) = &mut draft.plan.frames else {
        return;
    };
    let mut positions: HashMap<String, usize> = HashMap::new();
    for (position, (mode, (span, windows))) in frames.modes.iter_mut().zip(&mut draft.modes).enumerate() {
        if positions.insert(mode.name.clone(), position).is_some() {
            mistakes.add(span.clone(), format!("there is another mode {}", quoted(&mode.name)));
        }
        windows.sort_by_key(|window| window.offset);
        overlaps(mode, windows, mistakes);
        let tasks = &draft.plan.tasks;
        let owner = |window: &WindowDraft| {
            let name = window.task.as_ref()?;
            match named.get(&name.value).map(Vec::as_slice) {
                Some([only]) => return Some(*only),
                Some(several) => mistakes.add(
                    name.span.clone(),
                    format!("{} tasks are called {}; give them names", several.len(), quoted(&name.value)),
                ),
                None => {
                    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
                    mistakes.add(name.span.clone(), no_such("task", &name.value, &names));
                }
            }
            None
        };
        let window = |w: &WindowDraft| WindowPlan { task: owner(w), offset: w.offset, length: w.length };
        mode.windows = windows.iter().map(window).collect();
    }
    for (change, span) in frames.switches.iter().zip(&draft.switches) {
        if !positions.contains_key(&change.mode) {
            let names: Vec<&str> = frames.modes.iter().map(|mode| mode.name.as_str()).collect();
            mistakes.add(span.clone(), no_such("mode", &change.mode, &names));
        }
    }
}

/// No two windows overlap, and all end within the frame. They come in the order of their offsets.
fn overlaps(mode: &ModePlan, windows: &[WindowDraft], mistakes: &Mistakes) {
    let mut before: Option<Range<u64>> = None;
    for window in windows {
        let this = window.offset..window.offset.saturating_add(window.length);
        if let Some(before) = before.as_ref().filter(|before| before.end > this.start) {
            let (Range { start, end }, Range { start: from, end: until }) = (this.clone(), before.clone());
            let message = format!("this window, from {start} to {end}, overlaps the one from {from} to {until}");
            mistakes.add(window.span.clone(), message);
        }
        if this.end > mode.frame {
            let message = format!("this window ends at {}, and its frame at {}", this.end, mode.frame);
            mistakes.add(window.span.clone(), message);
        }
        before = Some(before.filter(|before| before.end > this.end).unwrap_or(this));
    }
}
