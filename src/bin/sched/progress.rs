//! Progress of what takes long, on a terminal; nothing where standard error is not one.

use crate::output;
use fuelsched::Fuel;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long something may take before progress is shown: a bar that flashes by only disturbs.
const PATIENCE: Duration = Duration::from_millis(250);

/// A bar that counts to `total`.
pub(crate) fn bar(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

/// The progress of compiling several modules.
pub(crate) struct Compiling {
    /// How many.
    total: usize,
    /// The bar, once it took long enough to show one.
    bar: Option<ProgressBar>,
}

impl Compiling {
    /// Nothing compiled of this many.
    pub(crate) fn new(total: usize) -> Compiling {
        Compiling { total, bar: None }
    }

    /// Collects what comes, until nothing more will.
    pub(crate) fn collect<K: Ord, V>(&mut self, loaded: &Receiver<(K, V)>) -> BTreeMap<K, V> {
        let mut all = BTreeMap::new();
        loop {
            match loaded.recv_timeout(PATIENCE) {
                Ok((key, value)) => {
                    all.insert(key, value);
                }
                Err(RecvTimeoutError::Timeout) => self.show(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(bar) = &self.bar {
                bar.set_position(all.len() as u64);
            }
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        all
    }

    /// Shows the bar, if it is not there yet.
    fn show(&mut self) {
        let total = self.total as u64;
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} compiling {wide_bar} {pos}/{len} modules, {elapsed}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.tick();
    }
}

/// The progress of passes over a file.
pub(crate) struct Passes {
    /// When they began.
    began: Instant,
    /// Bytes of the file.
    total: usize,
    /// Which pass was last shown, and how far it had come.
    shown: (&'static str, usize),
    /// The bar, once it took long enough to show one, if there is a terminal.
    bar: Option<ProgressBar>,
}

impl Passes {
    /// Over a file of this many bytes.
    pub(crate) fn new(total: usize) -> Passes {
        Passes { began: Instant::now(), total, shown: ("", 0), bar: None }
    }

    /// A pass has come this far. To say so is cheap: a bar has only so many places.
    pub(crate) fn at(&mut self, what: &'static str, at: usize) {
        let (shown, before) = self.shown;
        if what == shown && (before..before + self.total / 256).contains(&at) {
            return;
        }
        self.shown = (what, at);
        if self.bar.is_none() && self.began.elapsed() > PATIENCE {
            let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {bytes}/{total_bytes}, {elapsed}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(self.total as u64).with_style(style);
            self.bar = Some(bar.with_elapsed(self.began.elapsed()));
        }
        if let Some(bar) = &self.bar {
            bar.set_message(what);
            bar.set_position(at as u64);
        }
    }

    /// All are over.
    pub(crate) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The progress of a run.
pub(crate) struct Running {
    /// When it began.
    began: Instant,
    /// The spinner, once it took long enough to show one.
    spinner: Option<ProgressBar>,
}

impl Running {
    /// A run that begins now; nothing without a terminal, so that no clock is read for it.
    pub(crate) fn new() -> Option<Running> {
        std::io::stderr().is_terminal().then(|| Running { began: Instant::now(), spinner: None })
    }

    /// Shows how far it came, if it has been running for a while.
    pub(crate) fn show(&mut self, live: usize, fuel: Fuel) {
        if self.spinner.is_none() && self.began.elapsed() > 4 * PATIENCE {
            let style = ProgressStyle::with_template("{spinner} running, {elapsed}: {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.spinner = Some(ProgressBar::new_spinner().with_style(style).with_elapsed(self.began.elapsed()));
        }
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!(
                "{} to go, {fuel} fuel used (Ctrl-C to stop)",
                output::count(live as u64, "task")
            ));
            spinner.tick();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
