//! What a guest may spawn: nothing, unless the embedder says what a name stands for.

use super::super::signature::Signature;
use super::call::GuestError;
use crate::join::Join;
use crate::ledger::Meter;
use crate::task::Task;
use crate::value::{Value, ValueType};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What guests may spawn: makes a task of a name and arguments. Clones share their limits.
///
/// A guest decides how often it is called, so all that come from one spawner are bounded: how many live at a time, and how many there are in all,
/// because an executor keeps what a task ended with until somebody takes it. A host that runs for ever raises the second and returns tasks that are
/// [`Task::detached`].
///
/// ```
/// use fuelsched::sched::{self, Host, SpawnRefusal, Spawner};
/// use fuelsched::{Engine, EngineConfig, Linker, Module};
///
/// # fn main() -> fuelsched::Result<()> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let mut linker = Linker::<Host>::new(&engine);
/// sched::add_to_linker(&mut linker, |host| host)?;
/// let fib = linker.link(&Module::from_file(&engine, "wasm/fib.wat")?)?;
///
/// // "fib" may be spawned, with one number, and may spawn in turn.
/// let spawner = Spawner::new(move |spawner, name, words| {
///     let ("fib", Ok(signature)) = (name, fib.module().signature("main")) else {
///         return Err(SpawnRefusal::NotAllowed);
///     };
///     let args = sched::arguments(&signature, words)?;
///     Ok(fib.call(Host::new(name).spawner(spawner.clone()), "main", &args))
/// });
/// let host = Host::new("main").spawner(spawner.live(10));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Spawner {
    /// What makes a task.
    make: Arc<Make>,
    /// What has come of it so far.
    spawned: Arc<Mutex<Spawned>>,
    /// How many can live at a time.
    live: usize,
    /// How many there can be in all.
    total: u64,
}

/// What makes a task of a name and arguments.
type Make = dyn Fn(&Spawner, &str, &[u64]) -> Result<Task, SpawnRefusal> + Send + Sync;

/// What a spawner has spawned.
#[derive(Default)]
struct Spawned {
    /// Those that live, and some that have ended.
    live: Vec<Join>,
    /// How many there were in all.
    total: u64,
}

/// Why a task is not spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnRefusal {
    /// The name stands for nothing that may be spawned.
    NotAllowed,
    /// The arguments do not fit.
    Invalid,
    /// There are as many as there may be.
    NoRoom,
}

impl Spawner {
    /// A spawner of what `make` makes. It is given the spawner, for tasks that may spawn as well, the name, and the arguments, which
    /// [`arguments`] reads. At most 1,024 live at a time, and there are 65,536 in all.
    pub fn new<F>(make: F) -> Spawner
    where
        F: Fn(&Spawner, &str, &[u64]) -> Result<Task, SpawnRefusal> + Send + Sync + 'static,
    {
        Spawner { make: Arc::new(make), spawned: Arc::default(), live: 1024, total: 65_536 }
    }

    /// How many can live at a time.
    #[must_use]
    pub fn live(mut self, at_most: usize) -> Spawner {
        self.live = at_most;
        self
    }

    /// How many there can be in all.
    #[must_use]
    pub fn total(mut self, at_most: u64) -> Spawner {
        self.total = at_most;
        self
    }

    /// Spawns a task for the one with this meter.
    pub(super) fn spawn(&self, meter: &Meter, name: &str, words: &[u64]) -> Result<Join, SpawnRefusal> {
        self.room()?;
        // Without the lock: it is the embedder's code. Executors on several threads may each find the last place free, and take it.
        let join = meter.spawn((self.make)(self, name, words)?);
        let mut spawned = self.spawned();
        spawned.live.push(join.clone());
        spawned.total += 1;
        Ok(join)
    }

    /// Whether there is room for one more.
    fn room(&self) -> Result<(), SpawnRefusal> {
        let mut spawned = self.spawned();
        if spawned.live.len() >= self.live {
            spawned.live.retain(|join| join.ending().is_none());
        }
        let room = spawned.live.len() < self.live && spawned.total < self.total;
        if room { Ok(()) } else { Err(SpawnRefusal::NoRoom) }
    }

    /// What has come of it so far.
    fn spawned(&self) -> MutexGuard<'_, Spawned> {
        self.spawned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").field("live", &self.live).field("total", &self.total).finish_non_exhaustive()
    }
}

impl From<SpawnRefusal> for GuestError {
    fn from(refusal: SpawnRefusal) -> GuestError {
        match refusal {
            SpawnRefusal::NotAllowed => GuestError::NotAllowed,
            SpawnRefusal::Invalid => GuestError::Invalid,
            SpawnRefusal::NoRoom => GuestError::NoRoom,
        }
    }
}

/// The arguments of a call, each from a word: the low bits of it where the parameter is of 32 bits. There is no word for a vector.
///
/// # Errors
/// [`SpawnRefusal::Invalid`] when there are more or fewer than the function takes.
pub fn arguments(signature: &Signature, words: &[u64]) -> Result<Vec<Value>, SpawnRefusal> {
    if words.len() != signature.params().len() {
        return Err(SpawnRefusal::Invalid);
    }
    let read = |(ty, word): (&ValueType, &u64)| {
        Ok(match ty {
            ValueType::I32 => Value::I32(*word as i32),
            ValueType::I64 => Value::I64(*word as i64),
            ValueType::F32 => Value::F32(f32::from_bits(*word as u32)),
            ValueType::F64 => Value::F64(f64::from_bits(*word)),
            ValueType::V128 => return Err(SpawnRefusal::Invalid),
        })
    };
    signature.params().iter().zip(words).map(read).collect()
}
