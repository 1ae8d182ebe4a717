//! Random numbers: the operating system's, recorded where somebody records; or a sequence that a seed gives, the same in every run.

use super::Find;
use super::abi::Errno;
use super::call::{Call, Door, Failure};
use crate::unit::Fuel;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use std::fmt;

/// So many bytes are made between two looks at the slice: others wait no longer for them than for a slice of that much fuel.
const CHUNK: u32 = 1024;

/// Where random numbers come from.
#[derive(Clone)]
pub(super) enum Random {
    /// The operating system.
    System,
    /// A generator with a seed. PCG is no cipher: a guest can tell what comes next, which is the point.
    Seeded(Pcg64),
}

impl Random {
    /// The generator with this seed.
    pub(super) fn seeded(seed: u64) -> Random {
        Random::Seeded(Pcg64::seed_from_u64(seed))
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Random::System => "System",
            Random::Seeded(_) => "Seeded",
        })
    }
}

impl Call<'_> {
    /// Fills a piece of the guest's memory.
    fn random_chunk(&mut self, at: u32, len: u32) -> Result<(), Errno> {
        self.charge_file();
        self.meter.charge(Fuel(self.wasi.costs.random.0.saturating_mul(len.into())));
        let bytes = self.memory.bytes_mut(at, len)?;
        match &mut self.wasi.random {
            Random::Seeded(random) => random.fill_bytes(bytes),
            Random::System => {
                // None at all is how a failure is recorded: none is asked for nowhere.
                let random = self.meter.take_in(|| system(len as usize));
                let random = random.get(..bytes.len()).ok_or(Errno::Io)?;
                bytes.copy_from_slice(random);
            }
        }
        Ok(())
    }
}

/// Random bytes of the operating system; none if it has none.
fn system(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

impl<D: Send + 'static, F: Find<D>> Door<'_, D, F> {
    /// `random_get`.
    pub(super) async fn random_get(mut self, at: u32, len: u32) -> Result<(), Failure> {
        // All of it has to be there before any of it is written.
        self.call(|call| call.memory.bytes(at, len).map(drop))?;
        let mut done = 0;
        while done < len {
            let now = (len - done).min(CHUNK);
            self.call(|call| call.random_chunk(at + done, now))?;
            done += now;
            self.meter.give_way().await;
        }
        Ok(())
    }
}
