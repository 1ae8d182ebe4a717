//! What is to be seen through the microscope, as text: the same in a script and on the screen.

use super::command::{Show, help};
use super::insides;
use super::microscope::{Microscope, Stopped};
use crate::output;
use fuelsched::policy::{NOBODY, Policy as _};
use fuelsched::reason::InWindow;
use fuelsched::{ErrorKind, Fuel, TaskState};
use std::fmt::Write as _;

/// The most bytes of a memory that are shown at once.
const MOST_BYTES: usize = 4096;
/// Bytes in a line of them.
const IN_A_LINE: usize = 16;
/// The most tasks that are listed.
pub(super) const MOST_TASKS: usize = 1000;

/// Where the run is, in a line.
pub(super) fn place(microscope: &Microscope<'_>) -> String {
    let sched = &microscope.session.sched;
    let debug = if microscope.debugs() { ", instrumented" } else { "" };
    format!("{}, clock {}, {} live{debug}", output::count(microscope.polls(), "poll"), sched.now(), sched.live())
}

/// What a walk came to, in a line if there is anything to say.
pub(super) fn stopped(stopped: &Stopped) -> Option<String> {
    match stopped {
        Stopped::There => None,
        Stopped::Over(why) => Some(why.clone()),
        Stopped::Interrupted => Some("interrupted".into()),
    }
}

/// What is asked for. An error says why there is nothing to show.
pub(super) fn show(microscope: &mut Microscope<'_>, show: &Show) -> Result<String, String> {
    Ok(match show {
        Show::Tasks => tasks(microscope),
        Show::Ready => ready(microscope),
        Show::Policy => policy(microscope),
        Show::Ledger => ledger(microscope),
        Show::Channels => channels(microscope),
        Show::Last => last(microscope).join("\n") + "\n",
        Show::Stack(task) => stack(microscope, task)?.join("\n") + "\n",
        Show::Memory(task, export, from, length) => memory(microscope, task, export, *from, *length)?,
        Show::Global(task, export) => {
            let id = microscope.id(task)?;
            let value = match microscope.session.sched.global(id, export) {
                Err(error) => match private(export, &error) {
                    Some(index) => insides::global(microscope, id, index)?,
                    None => return Err(error.to_string()),
                },
                Ok(value) => value,
            };
            format!("{export} = {value} ({})\n", value.ty())
        }
        Show::Insides(task) => insides::all(microscope, task)?,
        Show::Output(task) => printed(microscope, task)?,
        Show::Help => help(),
    })
}

/// The state of a task, in words.
pub(super) fn state(microscope: &Microscope<'_>, task: usize) -> String {
    let known = &microscope.tasks()[task];
    if let Some(end) = &known.end {
        return output::clean(end).replace('\n', " ");
    }
    let sched = &microscope.session.sched;
    match sched.state(known.id) {
        Some(TaskState::Ready) => "ready".into(),
        Some(TaskState::Suspended) => "suspended".into(),
        Some(TaskState::Blocked) => match sched.blocked_on(known.id) {
            Some((on, since)) => format!("waits {on}, since {since}"),
            None => "waits".into(),
        },
        Some(TaskState::Waiting { until }) => format!("waits for {until}"),
        _ => "gone".into(),
    }
}

/// What a task has used.
pub(super) fn used(microscope: &Microscope<'_>, task: usize) -> Fuel {
    let known = &microscope.tasks()[task];
    match &known.end {
        Some(_) => known.used,
        None => microscope.session.sched.ledger(known.id).map_or(Fuel::ZERO, |ledger| ledger.used),
    }
}

/// The policy's numbers for a task, if it lives.
pub(super) fn numbers(microscope: &Microscope<'_>, task: usize) -> String {
    let known = &microscope.tasks()[task];
    if known.end.is_some() {
        return String::new();
    }
    let numbers = microscope.session.sched.policy().numbers(known.id);
    let numbers: Vec<String> =
        numbers.into_iter().map(|(name, number)| format!("{name} {}", grouped(number))).collect();
    numbers.join(", ")
}

/// One of the policy's numbers for a task.
pub(super) fn number(microscope: &Microscope<'_>, task: usize, wanted: &str) -> Option<u64> {
    let known = microscope.tasks().get(task).filter(|known| known.end.is_none())?;
    let numbers = microscope.session.sched.policy().numbers(known.id);
    numbers.into_iter().find(|(name, _)| *name == wanted).and_then(|(_, number)| u64::try_from(number).ok())
}

/// A number with its thousands set apart.
fn grouped(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", Fuel(number.unsigned_abs()))
}

/// All tasks.
fn tasks(microscope: &Microscope<'_>) -> String {
    let count = microscope.tasks().len();
    let row = |task: usize| {
        vec![task.to_string(), microscope.name(task), state(microscope, task), used(microscope, task).to_string()]
    };
    let mut text = output::table(&["#", "task", "state", "fuel"], (0..count.min(MOST_TASKS)).map(row), &[0, 3]);
    if count > MOST_TASKS {
        let _ = writeln!(text, " … and {}", output::count((count - MOST_TASKS) as u64, "more task"));
    }
    text
}

/// Who can run, and who is next as far as the policy says.
pub(super) fn ready(microscope: &Microscope<'_>) -> String {
    let sched = &microscope.session.sched;
    let can = |task: &usize| {
        microscope.tasks()[*task].end.is_none() && sched.state(microscope.tasks()[*task].id) == Some(TaskState::Ready)
    };
    let all: Vec<usize> = (0..microscope.tasks().len()).filter(can).collect();
    let of_slot = |slot: u32| all.iter().copied().find(|task| microscope.tasks()[*task].id.index() == slot as usize);
    let next: Vec<usize> =
        sched.policy().upcoming().into_iter().take_while(|slot| *slot != NOBODY).filter_map(of_slot).collect();
    let names = |tasks: &mut dyn Iterator<Item = usize>| {
        let names: Vec<String> = tasks.take(MOST_TASKS).map(|task| output::clean(&microscope.name(task))).collect();
        if names.is_empty() { "nobody".into() } else { names.join(", ") }
    };
    let rest = names(&mut all.iter().copied().filter(|task| !next.contains(task)));
    match next.is_empty() {
        // Who is next is drawn, or a matter of the moment.
        true => format!("ready: {rest}\n"),
        false => format!("next: {}; then: {rest}\n", names(&mut next.iter().copied())),
    }
}

/// The policy's numbers.
fn policy(microscope: &Microscope<'_>) -> String {
    let mut text = format!("{}, quantum {}\n", microscope.plan().policy.written(), Fuel(microscope.plan().quantum));
    for task in (0..microscope.tasks().len()).take(MOST_TASKS) {
        let numbers = numbers(microscope, task);
        if !numbers.is_empty() {
            let _ = writeln!(text, "{}: {numbers}", output::clean(&microscope.name(task)));
        }
    }
    text
}

/// The accounts.
fn ledger(microscope: &Microscope<'_>) -> String {
    let row = |task: usize| {
        let ledger = microscope.session.sched.ledger(microscope.tasks()[task].id)?;
        let numbers =
            [ledger.used.0, ledger.slices, ledger.preempted, ledger.yielded, ledger.blocked, ledger.max_overshoot.0];
        Some(std::iter::once(microscope.name(task)).chain(numbers.map(|number| Fuel(number).to_string())).collect())
    };
    let rows = (0..microscope.tasks().len()).take(MOST_TASKS).filter_map(row);
    output::table(
        &["task", "fuel", "slices", "preempted", "yielded", "blocked", "overshoot"],
        rows,
        &[1, 2, 3, 4, 5, 6],
    )
}

/// The channels.
fn channels(microscope: &Microscope<'_>) -> String {
    let row = |name: String| {
        let channel = microscope.channel(&name).ok()?;
        let (senders, receivers) = channel.waiting();
        let closed = if channel.is_closed() { "closed" } else { "" };
        let numbers = [channel.len(), channel.capacity(), senders, receivers].map(|number| number.to_string());
        let name = output::clean(&name);
        Some(std::iter::once(name).chain(numbers).chain([closed.to_string()]).collect())
    };
    let rows = microscope.channels().into_iter().take(MOST_TASKS).filter_map(row);
    output::table(&["channel", "messages", "of", "senders wait", "receivers wait", ""], rows, &[1, 2, 3, 4])
}

/// The latest poll, and what came of it.
pub(super) fn last(microscope: &Microscope<'_>) -> Vec<String> {
    let Some(slice) = microscope.slice() else {
        return vec!["nothing has run yet".into()];
    };
    let task = usize::try_from(slice.spawn_index).unwrap_or(usize::MAX);
    let name = output::clean(&microscope.name(task));
    let over = slice.used.minus(slice.grant);
    let over = if over > Fuel::ZERO { format!(", {over} more than that") } else { String::new() };
    let mut lines = vec![
        format!("{name}, its slice {}: picked for {}", Fuel(slice.number), slice.why),
        format!("granted {}, used {}{over}; then {}", slice.grant, slice.used, slice.end),
    ];
    lines.extend(microscope.seen().and_then(|seen| seen.window).map(window));
    lines.extend(microscope.seen().into_iter().flat_map(|seen| seen.since.iter().map(|line| output::clean(line))));
    lines
}

/// A window, in a line.
fn window(window: InWindow) -> String {
    let InWindow { frame, window, span, .. } = window;
    let span = span.map_or_else(String::new, |(begins, ends)| format!(": {begins} to {ends}"));
    format!("window {window} of frame {}{span}", Fuel(frame))
}

/// The functions on a task's stack, the innermost first.
pub(super) fn stack(microscope: &mut Microscope<'_>, task: &str) -> Result<Vec<String>, String> {
    let id = microscope.id(task)?;
    let frames = microscope.session.sched.stack(id).map_err(|error| error.to_string())?;
    let line = |frame: &fuelsched::frame::Frame| {
        let offset = frame.offset.map_or_else(String::new, |offset| format!(" at {offset:#x}"));
        let source = match &frame.source {
            None => String::new(),
            Some(source) if source.line == 0 => format!(", {}", source.file),
            Some(source) => format!(", {}:{}", source.file, source.line),
        };
        output::clean(&format!("{frame}{offset}{source}"))
    };
    Ok(frames.iter().map(line).collect())
}

/// A part of a memory, in hexadecimal digits and as text.
pub(super) fn memory(
    microscope: &mut Microscope<'_>,
    task: &str,
    export: &str,
    from: usize,
    length: usize,
) -> Result<String, String> {
    if length > MOST_BYTES {
        return Err(format!(
            "{} bytes are too many at once; the most are {}",
            Fuel(length as u64),
            Fuel(MOST_BYTES as u64)
        ));
    }
    let id = microscope.id(task)?;
    let sched = &mut microscope.session.sched;
    let bytes = match sched.memory_size(id, export) {
        Err(error) => match private(export, &error) {
            Some(index) => insides::memory(microscope, id, index, from, length)?,
            None => return Err(error.to_string()),
        },
        Ok(size) => {
            let mut bytes = vec![0; in_reach(export, size, from, length)?];
            sched.read_memory(id, export, from, &mut bytes).map_err(|error| error.to_string())?;
            bytes
        }
    };
    let mut text = String::new();
    for (line, chunk) in bytes.chunks(IN_A_LINE).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen: String =
            chunk.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }).collect();
        let width = 3 * IN_A_LINE - 1;
        let _ = writeln!(text, "{:08x}  {:width$}  {seen}", from + line * IN_A_LINE, hex.join(" "));
    }
    Ok(text)
}

/// How many of the bytes that are asked for are there.
pub(super) fn in_reach(memory: &str, size: usize, from: usize, length: usize) -> Result<usize, String> {
    let reach = length.min(size.saturating_sub(from));
    let there = || format!("{memory} has {} bytes, so there is nothing at {from:#x}", Fuel(size as u64));
    if reach > 0 { Ok(reach) } else { Err(there()) }
}

/// The index of what is written as `@1`, where nothing is exported under that name.
fn private(export: &str, error: &fuelsched::Error) -> Option<u32> {
    let missing = matches!(error.kind(), ErrorKind::NoSuchMemory { .. } | ErrorKind::NoSuchGlobal { .. });
    export.strip_prefix('@').filter(|_| missing).and_then(|index| index.parse().ok())
}

/// What a task has printed.
fn printed(microscope: &Microscope<'_>, task: &str) -> Result<String, String> {
    let label = microscope.tasks()[microscope.find(task)?].label;
    let Some(printed) = microscope.session.printed(label) else {
        return Err(format!("'{task}' is not a program that prints"));
    };
    let mut text = output::clean(&printed.stdout);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !printed.stderr.is_empty() {
        let _ = writeln!(text, "-- on standard error\n{}", output::clean(printed.stderr.trim_end()));
    }
    if printed.dropped > 0 {
        let _ = writeln!(text, "-- and {} that there was no room for", output::count(printed.dropped, "byte"));
    }
    Ok(text)
}
