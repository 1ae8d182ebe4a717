//! The settings under which modules compile and run: deterministic, metered, and nothing global.

use super::sys::{self, Guard};
use crate::error::{ErrorKind, Result};
use std::num::NonZeroUsize;

/// The version of Wasmtime that runs the guests.
pub const WASMTIME_VERSION: &str = env!("FUELSCHED_WASMTIME_VERSION");

/// Room on a fiber's stack beyond what the guest may use. Host functions run on the guest's fiber, and an overflow of the fiber
/// itself would abort the process. Address space only, until it is touched.
const HOST_STACK: usize = 256 * 1024;

/// The stacks that can be asked for: enough to call anything, and little enough that many fit an address space.
const STACK_RANGE: std::ops::RangeInclusive<usize> = 16 * 1024..=256 * 1024 * 1024;

/// How an [`Engine`] is set up. The default is a deterministic one.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Bytes of stack that a guest may use.
    max_stack: usize,
    /// Whether compiling a module uses all cores.
    parallel_compilation: bool,
    /// Whether guests are metered.
    metering: bool,
    /// Where instances and stacks come from.
    allocation: Allocation,
    /// Where memories come from.
    memories: Memories,
    /// Functions of a stack that are looked up.
    stack_frames: NonZeroUsize,
    /// Whether guests are instrumented, so that all that is in them can be seen.
    #[cfg(feature = "debug")]
    guest_debug: bool,
}

/// Where the memory of instances and their stacks comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allocation {
    /// Stacks from a few large reservations of this library, used again: a million of them where Wasmtime's own end at 32,000, and faster to have. Instances
    /// from the system. On systems other than Linux on x86-64 and aarch64 it is the same as `OnDemand`. `docs/density.md` says how.
    #[default]
    Dense,
    /// All from the system, for each task, and back to it, as Wasmtime does it.
    OnDemand,
    /// From a pool reserved when the engine is made: faster to start, with fixed limits. A task beyond them ends as `failed`.
    Pooling {
        /// How many instances, memories, tables and stacks there are at most.
        tasks: u32,
        /// How large a memory can get, in bytes, beside the limit of each task.
        max_memory: usize,
    },
}

/// How much address space a memory has, and who keeps its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Memories {
    /// 4 GiB and a guard for each, so that guests need not check bounds: fast, and some 30,000 fit a process.
    #[default]
    Reserved,
    /// Little more than it has, so that a million fit; guests check bounds, and are slower for it (`docs/density.md`). Not with [`Allocation::Pooling`],
    /// whose memories are as it says.
    Dense,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            max_stack: 512 * 1024,
            parallel_compilation: false,
            metering: true,
            allocation: Allocation::Dense,
            memories: Memories::Reserved,
            stack_frames: NonZeroUsize::MIN,
            #[cfg(feature = "debug")]
            guest_debug: false,
        }
    }
}

impl EngineConfig {
    /// Bytes of stack that a guest may use before it traps with `call stack exhausted`: 512 KiB, unless set; from 16 KiB to 256 MiB.
    #[must_use]
    pub fn max_stack(mut self, bytes: usize) -> EngineConfig {
        self.max_stack = bytes;
        self
    }

    /// Whether compiling one module uses all cores, which starts a global pool of threads. Off, unless set, and without effect in a
    /// build without the feature `cranelift`.
    #[must_use]
    pub fn parallel_compilation(mut self, on: bool) -> EngineConfig {
        self.parallel_compilation = on;
        self
    }

    /// Whether guests are metered. On, unless turned off to measure what metering costs: **an unmetered guest is never preempted**,
    /// uses no fuel as far as anybody can tell, and runs as long as it likes.
    #[must_use]
    pub fn metering(mut self, on: bool) -> EngineConfig {
        self.metering = on;
        self
    }

    /// Where instances and stacks come from: [`Allocation::Dense`], unless set.
    #[must_use]
    pub fn allocation(mut self, allocation: Allocation) -> EngineConfig {
        self.allocation = allocation;
        self
    }

    /// How much address space each memory has: [`Memories::Reserved`], unless set.
    #[must_use]
    pub fn memories(mut self, memories: Memories) -> EngineConfig {
        self.memories = memories;
        self
    }

    /// How many functions of a guest's stack [`Executor::stack`](crate::Executor::stack) gives, the innermost first: 1, unless set. With more, and in a
    /// build with the feature `dwarf`, it also gives their places in the source where a module carries them, for which that part of a module is kept.
    #[must_use]
    pub fn stack_frames(mut self, most: NonZeroUsize) -> EngineConfig {
        self.stack_frames = most;
        self
    }

    /// Whether guests are instrumented, so that all that is in them can be seen while they are suspended, exported or not
    /// ([`Executor::insides`](crate::Executor::insides)). Off, unless set. It makes guests slower, and their frames on the stack larger; they use the
    /// same fuel, to the unit.
    #[cfg(feature = "debug")]
    #[must_use]
    pub fn guest_debug(mut self, on: bool) -> EngineConfig {
        self.guest_debug = on;
        self
    }

    /// The same in Wasmtime's terms.
    fn to_wasmtime(&self) -> wasmtime::Config {
        let mut config = wasmtime::Config::new();
        config
            .consume_fuel(self.metering)
            .relaxed_simd_deterministic(true)
            // Data segments cost fuel by the byte everywhere, or nowhere: with images it would depend on the segment.
            .memory_init_cow(false)
            .max_wasm_stack(self.max_stack)
            .async_stack_size(self.max_stack + HOST_STACK)
            // The innermost frame says where a trap happened; a recursion bomb has 100,000 of them.
            .wasm_backtrace_max_frames(Some(self.stack_frames));
        #[cfg(feature = "dwarf")]
        config.wasm_backtrace_details(match self.stack_frames {
            NonZeroUsize::MIN => wasmtime::WasmBacktraceDetails::Disable,
            _ => wasmtime::WasmBacktraceDetails::Enable,
        });
        #[cfg(feature = "debug")]
        config.guest_debug(self.guest_debug);
        self.set_compiler(&mut config);
        if let Allocation::Pooling { tasks, max_memory } = self.allocation {
            let mut pool = wasmtime::PoolingAllocationConfig::new();
            pool.total_core_instances(tasks)
                .total_memories(tasks)
                .total_tables(tasks)
                .total_stacks(tasks)
                .max_memory_size(max_memory);
            config.allocation_strategy(pool);
        } else if self.memories == Memories::Dense {
            sys::give_memories(&mut config);
        }
        config
    }

    /// What only a compiler has to be told.
    #[cfg(feature = "cranelift")]
    fn set_compiler(&self, config: &mut wasmtime::Config) {
        // The same bits on every machine.
        config.cranelift_nan_canonicalization(true).parallel_compilation(self.parallel_compilation);
    }

    /// There is no compiler in this build.
    #[cfg(not(feature = "cranelift"))]
    fn set_compiler(&self, _: &mut wasmtime::Config) {
        let _ = self.parallel_compilation;
    }
}

/// Compiles modules and holds what they share. Clones are the same engine.
///
/// Making the first one installs Wasmtime's handlers for the signals that traps raise, for the whole process; it is the only global
/// thing that this library does unless it is asked to.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Wasmtime's.
    inner: wasmtime::Engine,
    /// Whether guests are metered.
    metering: bool,
    /// How stacks are guarded, if they are this library's.
    guard: Option<Guard>,
}

impl Engine {
    /// An engine with these settings.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`]: the stack is out of range, the pool is larger than the address space, or there is no address space left.
    pub fn new(config: &EngineConfig) -> Result<Engine> {
        if !STACK_RANGE.contains(&config.max_stack) {
            return Err(ErrorKind::Engine {
                message: format!(
                    "a stack of {} bytes is out of range; it can be {} to {} bytes",
                    config.max_stack,
                    STACK_RANGE.start(),
                    STACK_RANGE.end()
                ),
            }
            .into());
        }
        let mut wasmtime = config.to_wasmtime();
        let guard = match config.allocation {
            Allocation::Dense => sys::give_stacks(&mut wasmtime, config.max_stack + HOST_STACK)?,
            _ => None,
        };
        match wasmtime::Engine::new(&wasmtime) {
            Ok(inner) => Ok(Engine { inner, metering: config.metering, guard }),
            Err(error) => Err(ErrorKind::Engine { message: format!("{error:#}") }.into()),
        }
    }

    /// Wasmtime's engine, for what this library does not wrap.
    #[must_use]
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// Whether guests are metered.
    #[must_use]
    pub fn metering(&self) -> bool {
        self.metering
    }

    /// The settings that machine code is made by, where they can differ between two engines of one version. Wasmtime compares its own.
    pub(super) fn code_settings(&self) -> String {
        format!("metering {}", if self.metering { "on" } else { "off" })
    }

    /// How an overflow of a stack is caught, where stacks are this library's; `None` where they are Wasmtime's.
    #[must_use]
    pub fn stack_guard(&self) -> Option<Guard> {
        self.guard
    }
}
