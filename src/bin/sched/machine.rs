//! What a measurement was made on: said beside the numbers, because without it they mean nothing.

use serde::{Deserialize, Serialize};
use std::fs;
use std::num::NonZero;
use std::thread;

/// The machine and the build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor's name.
    cpu: String,
    /// Cores that this process may use.
    cores: usize,
    /// The architecture.
    architecture: String,
    /// The operating system and its version.
    system: String,
    /// What decides the clock frequency, where the system says so.
    governor: String,
    /// This program's version.
    #[serde(default)]
    version: String,
    /// The compiler that built it.
    #[serde(default)]
    rustc: String,
    /// Whether this program was built with optimisation.
    optimised: bool,
}

impl Machine {
    /// The one that this runs on.
    pub(crate) fn here() -> Machine {
        let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_string());
        let unknown = || String::from("unknown");
        let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(unknown);
        Machine {
            cpu: read("/proc/cpuinfo").and_then(|text| cpu_name(&text)).unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            architecture: std::env::consts::ARCH.into(),
            system: format!("{} {release}", std::env::consts::OS),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").unwrap_or_else(unknown),
            version: env!("CARGO_PKG_VERSION").into(),
            rustc: env!("FUELSCHED_RUSTC").into(),
            optimised: !cfg!(debug_assertions),
        }
    }

    /// In one line, for people.
    pub(crate) fn line(&self) -> String {
        let Machine { cpu, cores, architecture, system, governor, version, rustc, optimised } = self;
        let build = if *optimised { "" } else { "; NOT an optimised build: use cargo run --release" };
        format!("{cpu}, {cores} cores, {architecture}, {system}, governor {governor}; sched {version}, {rustc}{build}")
    }
}

/// The processor's name in Linux's list of processors.
fn cpu_name(list: &str) -> Option<String> {
    let line = list.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}
