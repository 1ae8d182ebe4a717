//! The chart for paper: an SVG picture with its text as text.
//!
//! What a task ran is a dark bar, as high in its row as the part of the time that it ran; what it waited is hatched. So nothing is said by colour, and
//! a black and white printer shows all of it.

use super::timeline::{Row, Timeline};
use std::fmt::Write as _;

/// Rows that are drawn.
const MOST_ROWS: usize = 60;
/// How wide the chart is, in columns, each of one point.
const COLUMNS: usize = 640;
/// Where it begins, to the right of the names.
const LEFT: usize = 150;
/// The room to its right.
const RIGHT: usize = 70;
/// Where it begins, below the title.
const TOP: usize = 34;
/// The height of a row.
const ROW: usize = 18;
/// The height of a bar.
const BAR: f64 = 14.0;
/// The longest name that there is room for, in characters.
const LONGEST_NAME: usize = 22;

/// The longest name of which all is said, in bytes.
const LONGEST_TITLE: usize = 256;

/// What waits are hatched with.
const HATCH: &str = "\
<defs>
<pattern id=\"waits\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">
<line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"4\" stroke=\"#777\" stroke-width=\"1\"/>
</pattern>
</defs>
";

/// What all of it is drawn in. The blue is of the palette of Okabe and Ito, which no colour blindness confuses with grey.
const STYLE: &str = "\
<style>
text { font: 11px sans-serif; fill: #111; }
.title { font-weight: bold; }
.right { text-anchor: end; }
.middle { text-anchor: middle; }
.there { fill: none; stroke: #bbb; stroke-width: 0.5; }
.ran { fill: #0072b2; }
.idle { fill: #999; }
.waits { fill: url(#waits); }
.axis { stroke: #111; stroke-width: 1; }
</style>
";

/// Whether a character changes the direction in which those around it are written.
pub(super) const fn turns(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text in a picture.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // What XML does not know, or does not keep.
            c if c.is_control() || turns(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                escaped.push(char::REPLACEMENT_CHARACTER)
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The whole picture, as a file of its own.
pub(super) fn draw(timeline: &Timeline) -> String {
    picture(timeline, MOST_ROWS, &format!("{STYLE}<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"))
}

/// The picture as a part of a page, whose style it is drawn in.
pub(super) fn inline(timeline: &Timeline, most_rows: usize) -> String {
    picture(timeline, most_rows, "")
}

/// The picture, with this in front of it.
fn picture(timeline: &Timeline, most_rows: usize, front: &str) -> String {
    let (rows, left) = timeline.chosen(most_rows);
    let bottom = TOP + (rows.len() + 1) * ROW;
    let (width, height) = (LEFT + COLUMNS + RIGHT, bottom + 62);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>Timeline of a run</title>\n{HATCH}{front}"
    );
    text(&mut svg, "title", 8, 18, "Timeline of a run, by the virtual clock");
    for (place, row) in rows.iter().enumerate() {
        draw_row(&mut svg, timeline, row, TOP + place * ROW);
    }
    let idle = bars(timeline, |from, to| timeline.idle.share(from, to, timeline.width));
    if !idle.is_empty() {
        let y = TOP + rows.len() * ROW;
        text(&mut svg, "", 8, y + 12, "idle");
        path(&mut svg, "idle", &idle, y);
    }
    axis(&mut svg, timeline, bottom);
    legend(&mut svg, bottom + 36);
    if let Some(rest) = timeline.rest(&rows, left) {
        text(&mut svg, "", 8, bottom + 54, &rest);
    }
    svg + "</svg>\n"
}

/// Draws the row of a task.
fn draw_row(svg: &mut String, timeline: &Timeline, row: &Row, y: usize) {
    let name: String = row.name.chars().take(LONGEST_NAME).collect();
    let cut = if name.len() < row.name.len() { "…" } else { "" };
    let end = timeline.end.max(1) as f64;
    let place = |at: u64| LEFT as f64 + (at as f64 / end).min(1.0) * COLUMNS as f64;
    let (from, to) = (place(row.from), place(row.to.unwrap_or(timeline.end)));
    let _ = writeln!(
        svg,
        "<g><title>{}: {} fuel</title>",
        escaped(row.name.get(..row.name.floor_char_boundary(LONGEST_TITLE)).unwrap_or_default()),
        row.fuel
    );
    text(svg, "", 8, y + 12, &format!("{name}{cut}"));
    let (top, width) = (y as f64 + 1.0, (to - from).max(0.5));
    let _ = writeln!(svg, "<rect class=\"there\" x=\"{from:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{BAR}\"/>");
    let part = |cells: &super::timeline::Cells, from, to| cells.share(from, to, timeline.width);
    path(svg, "waits", &bars(timeline, |from, to| part(&row.waited, from, to)), y);
    path(svg, "ran", &bars(timeline, |from, to| part(&row.ran, from, to)), y);
    text(svg, "right", LEFT + COLUMNS + RIGHT - 8, y + 12, &timeline.percent(row));
    svg.push_str("</g>\n");
}

/// Bars as a stretch of columns and a height each, from 0 to 1; those that are next to each other and as high are one.
fn bars(timeline: &Timeline, share: impl Fn(f64, f64) -> f64) -> Vec<(usize, usize, f64)> {
    let each = timeline.end_in_cells() / COLUMNS as f64;
    let mut bars: Vec<(usize, usize, f64)> = Vec::new();
    for column in 0..COLUMNS {
        // In steps that can be seen; what is there is at least one of them.
        let steps = share(column as f64 * each, (column + 1) as f64 * each) * BAR;
        let height = if steps > 0.0 { steps.round().max(1.0) / BAR } else { continue };
        match bars.last_mut() {
            Some((_, end, last)) if *end == column && *last == height => *end += 1,
            _ => bars.push((column, column + 1, height)),
        }
    }
    bars
}

/// Draws bars, as one path.
fn path(svg: &mut String, class: &str, bars: &[(usize, usize, f64)], y: usize) {
    if bars.is_empty() {
        return;
    }
    let _ = write!(svg, "<path class=\"{class}\" d=\"");
    let foot = y as f64 + 1.0 + BAR;
    for (from, to, height) in bars {
        let (x, width, height) = (LEFT + from, to - from, height * BAR);
        let _ = write!(svg, "M{x} {foot}v-{height:.0}h{width}v{height:.0}z");
    }
    svg.push_str("\"/>\n");
}

/// Draws the axis below the rows, with five moments.
fn axis(svg: &mut String, timeline: &Timeline, y: usize) {
    let right = LEFT + COLUMNS;
    let _ = writeln!(svg, "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {y}H{right}\"/>");
    for quarter in 0..=4 {
        let x = LEFT + quarter * COLUMNS / 4;
        let _ = writeln!(svg, "<path class=\"axis\" d=\"M{x} {y}v4\"/>");
        text(svg, "middle", x, y + 16, &timeline.moment(quarter as f64 / 4.0).to_string());
    }
    text(svg, "", 8, y + 16, "fuel");
}

/// Says what is what.
fn legend(svg: &mut String, y: usize) {
    let entries = [
        (LEFT, "ran", "ran: as high as its part of the time"),
        (LEFT + 250, "waits", "waited"),
        (LEFT + 350, "there", "was ready"),
    ];
    for (x, class, what) in entries {
        let top = y - 9;
        let _ = writeln!(svg, "<rect class=\"{class}\" x=\"{x}\" y=\"{top}\" width=\"18\" height=\"10\"/>");
        text(svg, "", x + 24, y, what);
    }
}

/// Draws a text.
fn text(svg: &mut String, class: &str, x: usize, y: usize, content: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(svg, "<text{class} x=\"{x}\" y=\"{y}\">{}</text>", escaped(content));
}
