//! Staying on one processor, so that the system does not move the measurement about.

/// Binds this thread, which runs all guests, to a processor.
#[cfg(target_os = "linux")]
pub(crate) fn pin(cpu: usize) -> anyhow::Result<()> {
    use anyhow::Context;
    use rustix::thread::{CpuSet, sched_setaffinity};
    anyhow::ensure!(cpu < CpuSet::MAX_CPU, "--pin {cpu}: there is no such processor");
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).with_context(|| format!("--pin {cpu}: this processor cannot be used"))
}

/// Refuses: it is not known how.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(cpu: usize) -> anyhow::Result<()> {
    anyhow::bail!("--pin {cpu}: on this system it is not known how")
}
