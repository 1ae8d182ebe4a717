//! The page as text: everything but the chart that can be zoomed is there without a script.

use super::data::{self, Rows};
use super::gather::{Amounts, Tally};
use super::promise::{Promise, windows};
use super::{Page, percent, shown, tasks};
use crate::output::{self, count};
use crate::trace::{Aside, svg};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuelsched::Fuel;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::cmp::Reverse;
use std::fmt::Write as _;

/// The page with its gaps.
const PAGE: &str = include_str!("page.html");
/// Its style.
const STYLE: &str = include_str!("page.css");
/// Its script.
const SCRIPT: &str = include_str!("page.js");
/// What is said about differences from shares.
const TOLERANCE: &str = "<p class=\"note\">That is what an ideal machine would give, which runs all of them at once. One that runs a slice at a time is off by a \
                         slice or two, and by as much again each time that a task waits and comes back.</p>\n";
/// Rows of the chart that can be seen without a script.
const PICTURE_ROWS: usize = 40;
/// Bars of shares, at most.
const MOST_SHARES: usize = 30;
/// Bars of a distribution, at most.
const MOST_BARS: usize = 16;
/// Bytes that are shown of what a task printed.
const MOST_PRINTED: usize = 16 << 10;
/// Bytes that are shown of what all tasks printed.
const MOST_PRINTED_IN_ALL: usize = 512 << 10;

/// The whole page.
pub(super) fn page(page: &Page, about: &Map<String, Value>, aside: &Aside) -> String {
    let text = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or_default();
    filled(PAGE, |gap| match gap {
        "policy" => policy_line(page),
        "style" => STYLE.into(),
        "script" => SCRIPT.into(),
        "style-hash" => hash(STYLE),
        "script-hash" => hash(SCRIPT),
        "title" => escaped(&title(page)),
        "facts" => facts(page, text("ended_by"), aside),
        "picture" => svg::inline(&page.gathered.cells, PICTURE_ROWS),
        "left-out" => left_out(page),
        "shares" => shares(page),
        "distributions" => distributions(page),
        "tasks" => task_table(page),
        "printed" => printed(aside),
        "settings" => settings(page, about),
        "program" => escaped(text("program")),
        "data" => data::data(page),
        _ => String::new(),
    })
}

/// A text with its gaps `{{so}}` filled. What is filled in is not looked at again.
fn filled(text: &str, mut fill: impl FnMut(&str) -> String) -> String {
    let mut parts = text.split("{{");
    let mut whole = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let (gap, rest) = part.split_once("}}").unwrap_or((part, ""));
        whole += &fill(gap);
        whole += rest;
    }
    whole
}

/// The hash of a script or a style, as a Content-Security-Policy has it.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// A text as it stands in a page, also between quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// A name, of whatever direction, as it stands in a page.
fn name(name: &str) -> String {
    bdi(&shown(name))
}

/// The same of one that is as it is shown.
fn bdi(name: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(name))
}

/// An amount as people read it.
fn amount(n: u64) -> String {
    Fuel(n).to_string()
}

/// What the page is called.
fn title(page: &Page) -> String {
    let there = page.gathered.tasks.len() as u64 + page.gathered.cells.others;
    format!("{}, {}", tasks(there), page.plan.policy.name)
}

/// The policy in a line.
fn policy_line(page: &Page) -> String {
    escaped(&format!("{}, quantum {} fuel", page.plan.policy.written(), Fuel(page.plan.quantum)))
}

/// Terms and what they are, as a list. Both are text of the page already.
fn list(class: &str, pairs: &[(&str, String)]) -> String {
    let pairs = pairs.iter().map(|(term, what)| format!("<div><dt>{term}</dt><dd>{what}</dd></div>\n"));
    format!("<dl class=\"{class}\">\n{}</dl>\n", pairs.collect::<String>())
}

/// What the run comes to.
fn facts(page: &Page, ended_by: &str, aside: &Aside) -> String {
    let gathered = &page.gathered;
    let sum = sum(page);
    let idle = gathered.cells.idle.filled().fold(0, |sum: u64, (_, idle)| sum.saturating_add(idle));
    let end = gathered.cells.origin().saturating_add(gathered.cells.end);
    let mut facts = vec![
        ("Tasks", amount(gathered.tasks.len() as u64 + gathered.cells.others)),
        ("Fuel used", amount(sum.used)),
        ("Slices", amount(sum.slices)),
        ("Context switches", amount(sum.preempted + sum.yielded + sum.blocked)),
        ("Virtual clock", format!("{} to {} fuel", amount(gathered.cells.origin()), amount(end))),
        ("Idle", format!("{} fuel", amount(idle))),
        ("Ended by", escaped(ended_by)),
    ];
    if gathered.is_timed() {
        facts.push(("Time in slices", output::nanos(sum.nanos)));
    }
    if !page.told {
        let reasons = if aside.reasons.is_empty() { "yes".into() } else { format!("no: {}", aside.reasons.join("; ")) };
        facts.push(("Reproducible", escaped(&reasons)));
    }
    list("facts", &facts)
}

/// What all tasks come to.
fn sum(page: &Page) -> Tally {
    page.gathered.tasks.iter().fold(page.gathered.others.clone(), |sum, task| sum.and(task))
}

/// What the chart leaves out.
fn left_out(page: &Page) -> String {
    let gathered = &page.gathered;
    let mut text = String::new();
    if let Some(until) = gathered.exact_until {
        let moment = amount(gathered.cells.origin().saturating_add(until));
        let _ = write!(
            text,
            "The first {} are kept one by one, up to {moment} on the virtual clock. From there on, and wherever there is no room for single \
             slices, the chart shows which part of a stretch each task ran; those stretches are {} fuel wide. ",
            count(gathered.slices.len() as u64, "slice"),
            amount(gathered.cells.width),
        );
    }
    let rows = Rows::of(gathered);
    if rows.left > 0 {
        let _ = write!(
            text,
            "The rows are those of the {} that used the most fuel; {} more share the row of others, which shows no waits. ",
            tasks(rows.places.len() as u64),
            tasks(rows.left),
        );
    }
    if gathered.cells.others > 0 {
        let _ = write!(
            text,
            "Only the first {} that were spawned are counted by themselves. ",
            tasks(gathered.tasks.len() as u64)
        );
    }
    if text.is_empty() { "Nothing is left out: every slice is in the chart.".into() } else { text.trim_end().into() }
}

/// A bar as long as a part of the room, with what was promised as a frame around the place where it should end.
fn bar(part: f64, promised: Option<f64>) -> String {
    let width = |part: f64| (part * 100.0).clamp(0.0, 100.0);
    let mut bar =
        String::from("<svg class=\"bar\" viewBox=\"0 0 100 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    let _ = write!(bar, "<rect class=\"had\" y=\"2\" width=\"{:.2}\" height=\"8\"/>", width(part));
    if let Some(promised) = promised {
        let _ = write!(bar, "<path class=\"promised\" d=\"M0 .5H{0:.2}V11.5H0\"/>", width(promised));
    }
    bar + "</svg>"
}

/// A share of something: what a task had, and what it was promised.
struct Share {
    /// Whose, as it is shown.
    name: String,
    /// Fuel charged.
    fuel: u64,
    /// The part that it had.
    had: f64,
    /// The part that it was promised, and how much fuel that is.
    promised: Option<(f64, f64)>,
}

/// The shares of a page, the largest first, and what is said about them.
struct Shares {
    /// What the parts are of.
    of: &'static str,
    /// What was promised, as a formula.
    formula: String,
    /// The shares.
    all: Vec<Share>,
}

impl Shares {
    /// Of a page.
    fn of(page: &Page) -> Shares {
        let (of, formula) = match &page.promise {
            Promise::Nothing(why) => ("of all fuel charged", escaped(why)),
            Promise::Reservations => (
                "of the virtual clock while the task was there",
                "promised(task) = runtime / period, from when it could first run to its end, to tasks that have reserved \
                 that. A task that waits, or gives its time away, has less; what is idle goes to whoever wants it."
                    .into(),
            ),
            Promise::Windows => (
                "of the virtual clock",
                "promised(task) = the lengths of its windows / the virtual clock, over all frames of the run. Copies of a task, and its lives, \
                 share its windows. Each window's guard is in it, and so is what a task that waited in its window did not use."
                    .into(),
            ),
            Promise::Shares(fluid) => (
                "of all fuel charged",
                match fluid.counts() {
                    (false, _) => "promised(task) = Σ over all slices in which it was ready: fuel charged / tasks that were ready",
                    (true, false) => {
                        "promised(task) = Σ over all slices in which it was ready: fuel charged × its weight / the weights of \
                         all tasks that were ready"
                    }
                    (true, true) => {
                        "promised(task) = Σ over all slices in which it was ready: fuel charged × its weight / the weights of \
                         all that were ready; groups share so among themselves and with tasks in none, and what a group \
                         is promised its tasks share so by theirs"
                    }
                }
                .into(),
            ),
        };
        let mut all: Vec<Share> = match page.promise {
            Promise::Windows => by_task_of_plan(page),
            _ => {
                let total = sum(page).charged;
                (0..page.gathered.tasks.len()).map(|place| of_task(page, place, total)).collect()
            }
        };
        all.sort_by_key(|share| Reverse(share.fuel));
        Shares { of, formula, all }
    }
}

/// The share of a task, where so much was charged to all.
fn of_task(page: &Page, place: usize, total: u64) -> Share {
    let (row, tally) = (&page.gathered.cells.rows()[place], &page.gathered.tasks[place]);
    let total = total.max(1) as f64;
    let start = tally.task.map_or(0, |task| page.plan.tasks[task].start);
    let life = row.to.unwrap_or(page.gathered.cells.end).saturating_sub(row.from.max(start)).max(1) as f64;
    let reserved = || {
        let plan = &page.plan.tasks[tally.task?];
        Some(plan.runtime? as f64 / plan.period?.max(1) as f64)
    };
    let (base, promised) = match &page.promise {
        Promise::Shares(fluid) => (total, fluid.promised(place as u64).map(|fuel| (fuel / total, fuel))),
        Promise::Reservations => (life, reserved().map(|part| (part, part * life))),
        _ => (total, None),
    };
    Share { name: tally.name.clone(), fuel: tally.charged, had: tally.charged as f64 / base, promised }
}

/// The shares of the tasks of the plan, with all their copies and lives.
fn by_task_of_plan(page: &Page) -> Vec<Share> {
    let clock = page.gathered.cells.end.max(1);
    let windows = windows(&page.plan, clock);
    let share = |(place, (task, window)): (usize, (&crate::plan::TaskPlan, f64))| {
        let mine = page.gathered.tasks.iter().filter(|tally| tally.task == Some(place));
        let fuel = mine.fold(0, |sum: u64, tally| sum.saturating_add(tally.charged));
        let promised = Some((window / clock as f64, window));
        Share { name: shown(&task.name), fuel, had: fuel as f64 / clock as f64, promised }
    };
    page.plan.tasks.iter().zip(windows).enumerate().map(share).collect()
}

/// What each task had, against what it was promised.
fn shares(page: &Page) -> String {
    let Shares { of, formula, all } = Shares::of(page);
    let most = all.iter().flat_map(|share| [share.had, share.promised.map_or(0.0, |(part, _)| part)]);
    let most = most.fold(f64::MIN_POSITIVE, f64::max);
    let mut text = format!("<p>Shares are {of}. {formula}{}</p>\n", if formula.ends_with('.') { "" } else { "." });
    if matches!(page.promise, Promise::Shares(_)) {
        text += TOLERANCE;
    }
    text += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Shares\"><table class=\"shares\"><thead><tr>\
             <th scope=\"col\">Task</th><th scope=\"col\" class=\"wide\"><span class=\"pair\"><span class=\"key had\"></span>had</span> \
             <span class=\"pair\"><span class=\"key promised\"></span>promised</span></th><th scope=\"col\" class=\"n\">Had</th>\
             <th scope=\"col\" class=\"n\">Promised</th><th scope=\"col\" class=\"n\">Difference, fuel</th></tr></thead><tbody>\n";
    for share in all.iter().take(MOST_SHARES) {
        let promised = share.promised.map(|(part, _)| part);
        let difference = share.promised.map(|(_, fuel)| share.fuel as f64 - fuel.round());
        let _ = writeln!(
            text,
            "<tr><th scope=\"row\">{}</th><td class=\"wide\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            bdi(&share.name),
            bar(share.had / most, promised.map(|part| part / most)),
            percent(share.had),
            promised.map_or_else(|| "–".into(), percent),
            difference.map_or_else(|| "–".into(), signed),
        );
    }
    text += "</tbody></table></div>\n";
    if let Some(left) = all.len().checked_sub(MOST_SHARES).filter(|left| *left > 0) {
        let _ = writeln!(text, "<p>{} more are in the table of tasks.</p>", tasks(left as u64));
    }
    text
}

/// A difference of fuel as people read it.
fn signed(difference: f64) -> String {
    let sign = if difference < 0.0 { "−" } else { "+" };
    let size = amount(difference.abs() as u64);
    if size == "0" { size } else { format!("{sign}{size}") }
}

/// The distributions of slices and switches.
fn distributions(page: &Page) -> String {
    let gathered = &page.gathered;
    let mut text = String::from("<div class=\"columns\">\n");
    text += &distribution("Slice, in fuel used", &gathered.fuel, amount);
    if !gathered.is_timed() {
        return text
            + "</div>\n<p class=\"note\">No clock was read, so there are no lengths in time, and none of switches: \
               <code>--timing</code> reads it.</p>\n";
    }
    text += &distribution("Slice, in time", &gathered.lengths, output::nanos);
    text += &distribution("Switch, in time", &gathered.switches, output::nanos);
    text + "</div>\n<p class=\"note\">A switch is from the end of a slice to the beginning of the next, with the policy and whoever watches \
            the run, this report too; not where nobody could run, or something came from outside.</p>\n"
}

/// A distribution, in bars.
fn distribution(title: &str, amounts: &Amounts, show: fn(u64) -> String) -> String {
    let Some((least, largest)) = amounts.ends() else {
        return format!("<section class=\"distribution\"><h3>{title}</h3><p>There are none.</p></section>\n");
    };
    let bars = bars(amounts, least, largest);
    let most = bars.iter().map(|(_, _, n)| *n).max().unwrap_or(1).max(1);
    let mut text = format!(
        "<section class=\"distribution\"><h3>{title}</h3><p>{} counted: least {}, median {}, 99 % up to {}, largest {}</p>\n\
         <table class=\"bars\"><thead><tr><th scope=\"col\" class=\"n\">From – to</th><th scope=\"col\" class=\"wide\">How many</th>\
         <th scope=\"col\" class=\"n\"></th></tr></thead><tbody>\n",
        amount(amounts.count()),
        show(least),
        show(amounts.quantile(0.5)),
        show(amounts.quantile(0.99)),
        show(largest),
    );
    for (from, to, n) in bars {
        let range = if show(from) == show(to) { show(from) } else { format!("{} – {}", show(from), show(to)) };
        // What is there can be seen.
        let part = if n == 0 { 0.0 } else { (n as f64 / most as f64).max(0.01) };
        let _ = writeln!(
            text,
            "<tr><th scope=\"row\" class=\"n\">{range}</th><td class=\"wide\">{}</td><td class=\"n\">{}</td></tr>",
            bar(part, None),
            amount(n)
        );
    }
    text + "</tbody></table></section>\n"
}

/// Bars from the least to the largest, each as many times as wide as the one before: from, to, and how many.
fn bars(amounts: &Amounts, least: u64, largest: u64) -> Vec<(u64, u64, u64)> {
    let (low, ratio) = (least.max(1) as f64, largest.max(1) as f64 / least.max(1) as f64);
    let edge = |n: usize| amounts.least_like((low * ratio.powf(n as f64 / MOST_BARS as f64)).round() as u64);
    let mut edges: Vec<u64> = (1..MOST_BARS).map(edge).filter(|edge| (least + 1..=largest).contains(edge)).collect();
    edges.insert(0, least);
    edges.dedup();
    let ends = edges.iter().skip(1).map(|edge| edge - 1).chain([largest]);
    let mut bars: Vec<(u64, u64, u64)> = edges.iter().zip(ends).map(|(from, to)| (*from, to, 0)).collect();
    for (amount, n) in amounts.iter() {
        let place = edges.partition_point(|edge| *edge <= amount);
        bars[place.saturating_sub(1)].2 += n;
    }
    bars
}

/// The table of tasks.
fn task_table(page: &Page) -> String {
    let gathered = &page.gathered;
    let (timed, all) = (gathered.is_timed(), sum(page));
    let total = all.used.max(1) as f64;
    let promises = matches!(page.promise, Promise::Shares(_) | Promise::Reservations);
    let mut header = vec!["Task", "Outcome", "Fuel", "Of all"];
    header.extend(promises.then_some("Promised fuel"));
    header.extend(["Slices", "Preempted", "Yielded", "Blocked", "Overshoot", "From", "To"]);
    header.extend(timed.then_some("Time"));
    let mut text = String::from(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Tasks\"><table class=\"tasks\"><thead><tr>",
    );
    for (place, column) in header.iter().enumerate() {
        let class = if place < 2 { "" } else { " class=\"n\"" };
        let _ = write!(text, "<th scope=\"col\"{class}>{column}</th>");
    }
    text += "</tr></thead><tbody>\n";
    for (place, tally) in gathered.tasks.iter().enumerate() {
        let row = &gathered.cells.rows()[place];
        let outcome = tally.outcome.as_deref().unwrap_or("–");
        let promised =
            promises.then(|| of_task(page, place, all.charged).promised.map(|(_, fuel)| fuel.round() as u64));
        let moment = |at: u64| amount(gathered.cells.origin().saturating_add(at));
        let lived = [moment(row.from), row.to.map_or_else(|| "–".into(), moment)];
        let head = format!("<th scope=\"row\">{}</th><td><bdi>{}</bdi></td>", bdi(&tally.name), escaped(outcome));
        text += &task_row(&head, tally, total, promised, lived, timed);
    }
    if gathered.cells.others > 0 {
        let head = format!("<th scope=\"row\">{} more</th><td>–</td>", tasks(gathered.cells.others));
        let lived = ["–", "–"].map(String::from);
        text += &task_row(&head, &gathered.others, total, promises.then_some(None), lived, timed);
    }
    text + "</tbody></table></div>\n"
}

/// A row of the table of tasks.
fn task_row(
    head: &str,
    tally: &Tally,
    total: f64,
    promised: Option<Option<u64>>,
    [from, to]: [String; 2],
    timed: bool,
) -> String {
    let mut cells = vec![amount(tally.used), percent(tally.used as f64 / total)];
    cells.extend(promised.map(|promised| promised.map_or_else(|| "–".into(), amount)));
    cells.extend([tally.slices, tally.preempted, tally.yielded, tally.blocked, tally.overshoot].map(amount));
    cells.extend([from, to]);
    let mut row = format!("<tr>{head}");
    for cell in cells {
        let _ = write!(row, "<td class=\"n\">{cell}</td>");
    }
    if timed {
        let _ = write!(row, "<td class=\"n\" data-n=\"{}\">{}</td>", tally.nanos, output::nanos(tally.nanos));
    }
    row + "</tr>\n"
}

/// What tasks printed, where that was kept.
fn printed(aside: &Aside) -> String {
    let mut text = String::new();
    let mut room = MOST_PRINTED_IN_ALL;
    for (task, stream, printed) in aside.printed.iter().filter(|(_, _, printed)| !printed.is_empty()) {
        let end = printed.floor_char_boundary(MOST_PRINTED.min(room));
        room -= end;
        let left = amount((printed.len() - end) as u64);
        let more = if left == "0" { String::new() } else { format!("<p>… and {left} more bytes</p>") };
        let visible = |c: char| if super::is_hidden(c) && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
        let kept: String = printed[..end].chars().map(visible).collect();
        let _ = writeln!(
            text,
            "<details><summary>{stream} of {}</summary><pre dir=\"ltr\" tabindex=\"0\">{}</pre>{more}</details>",
            name(task),
            escaped(&kept)
        );
    }
    if text.is_empty() {
        return text;
    }
    format!("<section id=\"printed\"><h2>What tasks printed</h2>\n{text}</section>\n")
}

/// What was set.
fn settings(page: &Page, about: &Map<String, Value>) -> String {
    let plan = &page.plan;
    let fuel = |fuel: Option<u64>| fuel.map(|fuel| format!("{} fuel", amount(fuel)));
    let told = |key: &str| about.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(escaped);
    let module = |module: &crate::plan::Source| {
        format!("{} <code>{}</code>", name(&module.path), escaped(module.sha256.as_deref().unwrap_or("not loaded")))
    };
    let group = |group: &crate::plan::GroupPlan| {
        let budget = group.budget.map_or_else(String::new, |budget| format!(", budget {}", amount(budget)));
        format!("{}: weight {}{budget}", name(&group.name), group.weight.unwrap_or(1))
    };
    let lines = |lines: Vec<String>| (!lines.is_empty()).then(|| lines.join("<br>"));
    let all = [
        ("Policy", Some(escaped(&plan.policy.written()))),
        ("Quantum", fuel(Some(plan.quantum))),
        ("Fuel a task", fuel(plan.fuel)),
        ("Fuel of the run", fuel(plan.run_fuel)),
        ("Time of the run", plan.run_time_ns.map(output::nanos)),
        ("Time a slice", plan.slice_ns.map(output::nanos)),
        ("Deterministic", plan.deterministic.map(|seed| format!("seed {seed}"))),
        ("Memory a task", Some(format!("{} bytes", amount(plan.max_memory as u64)))),
        ("Stack of a guest", Some(format!("{} bytes", amount(plan.max_stack as u64)))),
        ("Groups", lines(plan.groups.iter().map(group).collect())),
        ("Modules, and their SHA-256", lines(plan.modules.iter().map(module).collect())),
        ("Engine", told("engine")),
        ("Digest of the schedule", told("digest").map(|digest| format!("<code>{digest}</code>"))),
    ];
    let pairs: Vec<(&str, String)> = all.into_iter().filter_map(|(term, what)| Some((term, what?))).collect();
    list("settings", &pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_once() {
        let text = filled("a {{b}} c{{d}}", |gap| format!("<{{{{{gap}}}}}>"));
        assert_eq!(text, "a <{{b}}> c<{{d}}>");
    }

    #[test]
    fn bars_hold_every_amount_once() {
        let all = |amounts: &[u64]| {
            let mut counted = Amounts::default();
            amounts.iter().for_each(|amount| counted.add(*amount));
            let (least, largest) = counted.ends().unwrap();
            bars(&counted, least, largest)
        };
        assert_eq!(all(&[5, 5]), [(5, 5, 2)]);
        assert_eq!(all(&[0, 1]), [(0, 0, 1), (1, 1, 1)]);
        assert_eq!(all(&[1_000, 1_001]), [(1_000, 1_000, 1), (1_001, 1_001, 1)]);
        for amounts in [
            &[0, 3, 1_000_000][..],
            &[724, 2_040, 3_000, 70_800, 99_999, 100_000],
            &[1, u64::MAX],
            &[7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 99],
        ] {
            let bars = all(amounts);
            assert!(bars.len() <= MOST_BARS && bars.windows(2).all(|two| two[0].1 + 1 == two[1].0), "{bars:?}");
            assert_eq!(bars.iter().map(|(_, _, n)| n).sum::<u64>(), amounts.len() as u64);
            assert_eq!((bars[0].0, bars.last().unwrap().1), (amounts[0], *amounts.last().unwrap()));
            let of = |amount: &u64| bars.iter().find(|(from, to, _)| (from..=to).contains(&amount)).unwrap().2;
            assert!(amounts.iter().all(|amount| of(amount) > 0), "{amounts:?}: {bars:?}");
        }
    }

    #[test]
    fn of_what_was_printed_only_so_much_is_shown() {
        let streams = |n: usize, size: usize| Aside {
            printed: (0..n).map(|task| (format!("task {task}"), "stdout", "€".repeat(size))).collect(),
            ..Aside::default()
        };
        assert_eq!(printed(&Aside::default()), "");
        let text = printed(&streams(1, 10_000));
        assert_eq!(text.matches('€').count(), MOST_PRINTED / 3);
        assert!(text.contains("<p>… and 13,617 more bytes</p>"), "30,000 bytes, of which 16,383 are shown");
        let text = printed(&streams(100, 10_000));
        assert!(text.len() < MOST_PRINTED_IN_ALL + 100 * 200, "{}", text.len());
        assert_eq!(text.matches("<details>").count(), 100);
    }

    #[test]
    fn an_attribute_cannot_be_left() {
        assert_eq!(escaped("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }
}
