//! The profile as a flame graph, in SVG that can be zoomed and searched in a browser.

use super::tree::Tree;
use anyhow::Result;
use inferno::flamegraph::{self, Options};
use std::io::Write;

/// Draws it.
pub(super) fn draw(tree: &Tree, out: &mut impl Write) -> Result<()> {
    let lines = tree.folded();
    let mut options = Options::default();
    options.title = "fuel by function".into();
    options.count_name = "fuel".into();
    options.name_type = "Function:".into();
    // The same colours in every run.
    options.deterministic = true;
    if lines.is_empty() {
        options.title = "no fuel was used".into();
        return Ok(flamegraph::from_lines(&mut options, ["nothing 1"], out)?);
    }
    Ok(flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), out)?)
}
