//! Progress of what takes long, on a terminal; nothing where standard error is not one.

use crate::output;
use fuelsched::Fuel;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long something may take before progress is shown: a bar that flashes by only disturbs.
const PATIENCE: Duration = Duration::from_millis(250);

/// A bar that counts to `total`.
pub(crate) fn bar(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

/// A file that is read from its beginning to its end, with a bar.
pub(crate) struct Reading<R> {
    /// The file.
    file: R,
    /// When that began.
    began: Instant,
    /// How long the file is, in bytes.
    total: u64,
    /// How much of it was read.
    read: u64,
    /// The bar, once it took long enough to show one.
    bar: Option<ProgressBar>,
}

impl<R: Read> Reading<R> {
    /// A file of so many bytes.
    pub(crate) fn new(file: R, total: u64) -> Reading<R> {
        Reading { file, began: Instant::now(), total, read: 0, bar: None }
    }

    /// Shows how far it came, if it has been read for a while.
    fn show(&mut self) {
        if self.bar.is_none() && self.began.elapsed() > PATIENCE {
            let style = ProgressStyle::with_template("reading {wide_bar} {bytes}/{total_bytes}, {eta} left");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = Some(ProgressBar::new(self.total).with_style(style).with_elapsed(self.began.elapsed()));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.read);
        }
    }
}

impl<R: Read> Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        self.show();
        Ok(read)
    }
}

impl<R> Drop for Reading<R> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
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

/// Where a run ends at the latest, if that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// After so much fuel.
    pub(crate) fuel: Option<Fuel>,
    /// After so much time.
    pub(crate) time: Option<Duration>,
}

/// The progress of a run.
pub(crate) struct Running {
    /// When it began.
    began: Instant,
    /// What is run: "running", or more than that.
    what: String,
    /// Where it ends at the latest.
    limits: Limits,
    /// The spinner, once it took long enough to show one.
    spinner: Option<ProgressBar>,
}

impl Running {
    /// A run that begins now; nothing without a terminal, so that no clock is read for it.
    pub(crate) fn new(limits: Limits) -> Option<Running> {
        let (began, what) = (Instant::now(), "running".into());
        io::stderr().is_terminal().then_some(Running { began, what, limits, spinner: None })
    }

    /// The same, called so.
    pub(crate) fn of(mut self, what: String) -> Running {
        self.what = what;
        self
    }

    /// Shows how far it came, if it has been running for a while.
    pub(crate) fn show(&mut self, live: usize, fuel: Fuel) {
        let elapsed = self.began.elapsed();
        if self.spinner.is_none() && elapsed > 4 * PATIENCE {
            let style = ProgressStyle::with_template("{spinner} {prefix}, {elapsed}: {wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let spinner = ProgressBar::new_spinner().with_style(style).with_elapsed(elapsed);
            self.spinner = Some(spinner.with_prefix(self.what.clone()));
        }
        if let Some(spinner) = &self.spinner {
            spinner.set_message(so_far(live, fuel, elapsed, self.limits));
            spinner.tick();
        }
    }
}

/// How far a run came that has used so much fuel in so much time.
fn so_far(live: usize, fuel: Fuel, elapsed: Duration, limits: Limits) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let rate = fuel.0 as f64 / seconds;
    let millions = Fuel((rate / 1e6) as u64);
    let mut text = format!("{} to go, {fuel} fuel used, {millions} M a second", output::count(live as u64, "task"));
    // Whichever limit is nearer: the part that is done, and the seconds that are left.
    let by_fuel = limits.fuel.map(|most| (fuel.0 as f64 / most.0.max(1) as f64, most.minus(fuel).0 as f64 / rate));
    let by_time = limits.time.map(|most| (seconds / most.as_secs_f64(), most.saturating_sub(elapsed).as_secs_f64()));
    let nearer = by_fuel.into_iter().chain(by_time).min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((part, left)) = nearer {
        text += &format!(", {:.0} % of the limit", 100.0 * part.min(1.0));
        if left.is_finite() {
            text += &format!(", {left:.0} s left");
        }
    }
    text + " (Ctrl-C to stop)"
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_limit_says_how_much_is_left() {
        let said = |fuel, time: Option<u64>| {
            let limits = Limits { fuel, time: time.map(Duration::from_secs) };
            so_far(2, Fuel(6_000_000), Duration::from_secs(3), limits)
        };
        let begin = "2 tasks to go, 6,000,000 fuel used, 2 M a second";
        let end = " (Ctrl-C to stop)";
        assert_eq!(said(None, None), format!("{begin}{end}"));
        assert_eq!(said(Some(Fuel(24_000_000)), None), format!("{begin}, 25 % of the limit, 9 s left{end}"));
        assert_eq!(said(Some(Fuel(24_000_000)), Some(5)), format!("{begin}, 60 % of the limit, 2 s left{end}"));
        assert_eq!(said(Some(Fuel(1)), Some(5)), format!("{begin}, 100 % of the limit, 0 s left{end}"));
        let none = so_far(1, Fuel(0), Duration::ZERO, Limits { fuel: Some(Fuel(5)), time: None });
        assert_eq!(none, "1 task to go, 0 fuel used, 0 M a second, 0 % of the limit (Ctrl-C to stop)");
    }
}
