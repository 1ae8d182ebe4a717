//! `sched bench --density N`: so many modules, each suspended in the middle of a loop, in one process; what one costs of time and of memory.
//!
//! 1. **Spawn**: all tasks are spawned, and each is run to its first suspension; both are in the time.
//! 2. **Switch**: all of them are preempted [`ROUNDS`] times more, round robin.
//! 3. **End**: each is told by its own argument how far to count, and must return the right number.
//!
//! Memory is read from `/proc/self/status` between the phases, page tables included.

use crate::args::{BenchArgs, Format};
use crate::bench;
use crate::bench::memory::Resident;
use crate::machine::Machine;
use crate::output;
use crate::progress;
use crate::run::{catch_interrupt, engine_name};
use anyhow::{Context, Result, bail};
use fuelsched::guest::Memories;
use fuelsched::policy::RoundRobin;
use fuelsched::{Budget, Engine, EngineConfig, Executor, Fuel, Module, Outcome, Program, Value};
use serde::Serialize;
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Times that each task is preempted, at least.
const ROUNDS: u64 = 10;

/// Fuel a slice: some rounds of the loop.
const QUANTUM: Fuel = Fuel(100);

/// Tasks between two looks at whether the user has had enough.
const CHUNK: u64 = 1_000;

/// A module that counts to its argument and returns where it came to: long enough to be preempted [`ROUNDS`] times, with something to get wrong.
const COUNT: &str = r#"
    (module
      MEMORY
      (func (export "count") (param $to i32) (result i32) (local $i i32)
        TOUCH
        (loop $again
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (local.get $to))))
        (local.get $i)))"#;

/// What was measured.
#[derive(Debug, Serialize)]
struct Density {
    /// The version of this form.
    schema: u32,
    /// What ran the guests.
    engine: String,
    /// What it ran on.
    machine: Machine,
    /// How an overflow of a stack is caught.
    guard: String,
    /// Bytes of stack that a guest may use.
    max_stack: usize,
    /// Tasks that were suspended at once.
    tasks: u64,
    /// Whether each has a memory, one page of which is touched.
    memory: bool,
    /// From the spawn to the first suspension, of one task, in nanoseconds.
    spawn_ns: f64,
    /// One switch among all of them, in nanoseconds.
    switch_ns: f64,
    /// Switches that were measured.
    switches: u64,
    /// The fewest times that a task was preempted while all were there.
    fewest_preemptions: u64,
    /// Mappings of the process while all were there.
    mappings: usize,
    /// Bytes of the process while all were there.
    resident: Resident,
    /// Bytes of one task.
    task: Account,
    /// From the last switch until all had returned, of one task, in nanoseconds.
    end_ns: f64,
    /// Tasks that returned the right number.
    right: u64,
}

/// What one task costs, in bytes.
#[derive(Debug, Serialize)]
struct Account {
    /// All of it.
    all: f64,
    /// Page tables.
    tables: f64,
    /// The stack, and the memory if there is one.
    stack: f64,
    /// All else: the store and the instance, the future, the meter, the executor's part.
    heap: f64,
    /// Of that, what the executor and its policy have for the task.
    executor: u64,
}

/// Measures, and reports.
pub(crate) fn run(tasks: u64, args: &BenchArgs) -> Result<ExitCode> {
    let interrupted = catch_interrupt()?;
    bench::stay(args)?;
    // As dense as it can be; a module without a memory is compiled the same.
    let config = EngineConfig::default().max_stack(args.dense_stack()).memories(Memories::Dense);
    let engine = Engine::new(&config)?;
    let text = match args.memory {
        true => COUNT.replace("MEMORY", "(memory 1)").replace("TOUCH", "(i32.store (i32.const 0) (i32.const 1))"),
        false => COUNT.replace("MEMORY", "").replace("TOUCH", ""),
    };
    let program = Module::from_bytes(&engine, "count", text)?.program()?;
    // Once alone, so that what is made once is not on the account of the tasks.
    Crowd::new(1).all(&program, &interrupted)?;
    let density = measure(tasks, args, &engine, &program, &interrupted)?;
    output::result(&match args.format {
        Format::Json => serde_json::to_string_pretty(&density)? + "\n",
        Format::Human => density.table(),
    })?;
    Ok(ExitCode::from(u8::from(density.right < density.tasks)))
}

/// The tasks, and what has them.
struct Crowd {
    /// How many there are to be.
    tasks: u64,
    /// Who runs them.
    sched: Executor<RoundRobin>,
}

impl Crowd {
    /// Nobody yet.
    fn new(tasks: u64) -> Crowd {
        Crowd { tasks, sched: Executor::builder().policy(RoundRobin::new(QUANTUM)).build() }
    }

    /// How far the task counts: far enough for its preemptions, and not all alike.
    fn goal(index: u64) -> i32 {
        let rounds = (ROUNDS + 4) * QUANTUM.0 / 8;
        (rounds + index % 64) as i32
    }

    /// Spawns all, and then runs each to its first suspension: that is the first round.
    fn spawn(&mut self, program: &Program, interrupted: &AtomicBool) -> Result<Duration> {
        let began = Instant::now();
        let bar = progress::bar(2 * self.tasks, "spawning");
        for index in 0..self.tasks {
            if index.is_multiple_of(CHUNK) {
                check(interrupted)?;
                bar.set_position(index);
            }
            self.sched.spawn(program.call((), "count", &[Value::I32(Crowd::goal(index))]))?;
        }
        let mut run = 0;
        while run < self.tasks {
            check(interrupted)?;
            let chunk = CHUNK.min(self.tasks - run);
            self.sched.run_for(Budget::polls(chunk));
            run += chunk;
            if (self.sched.live() as u64) < self.tasks {
                bail!("of {} tasks {} were suspended: {}", Fuel(self.tasks), Fuel(run - chunk), self.failure());
            }
            bar.set_position(self.tasks + run);
        }
        bar.finish_and_clear();
        Ok(began.elapsed())
    }

    /// Why a task has ended.
    fn failure(&mut self) -> String {
        self.sched.take_ended().first().map_or_else(String::new, |ended| ended.outcome.to_string())
    }

    /// Preempts all of them, so many times each.
    fn switch(&mut self, rounds: u64, interrupted: &AtomicBool) -> Result<Duration> {
        let bar = progress::bar(rounds, "switching");
        let began = Instant::now();
        for _ in 0..rounds {
            check(interrupted)?;
            self.sched.run_for(Budget::polls(self.tasks));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(began.elapsed())
    }

    /// Lets all of them come to their end; says how many returned what they should.
    fn end(&mut self, interrupted: &AtomicBool) -> Result<(Duration, u64)> {
        let began = Instant::now();
        let mut right = 0;
        while self.sched.live() > 0 {
            check(interrupted)?;
            self.sched.run_for(Budget::polls(1 << 20));
            let is_right = |ended: &fuelsched::Ended| matches!(&ended.outcome, Outcome::Returned(values) if values[..] == [Value::I32(Crowd::goal(ended.spawn_index))]);
            right += self.sched.take_ended().iter().filter(|ended| is_right(ended)).count() as u64;
        }
        Ok((began.elapsed(), right))
    }

    /// The fewest preemptions that a task has had.
    fn fewest_preemptions(&self) -> u64 {
        let ids = (0..self.tasks).map(|index| fuelsched::TaskId::new(index as u32, 0));
        ids.filter_map(|id| self.sched.ledger(id)).map(|ledger| ledger.preempted).min().unwrap_or(0)
    }

    /// All of it, unmeasured.
    fn all(mut self, program: &Program, interrupted: &AtomicBool) -> Result<()> {
        self.spawn(program, interrupted)?;
        self.switch(1, interrupted)?;
        self.end(interrupted)?;
        Ok(())
    }
}

/// Goes through the phases.
fn measure(
    tasks: u64,
    args: &BenchArgs,
    engine: &Engine,
    program: &Program,
    interrupted: &AtomicBool,
) -> Result<Density> {
    let mut crowd = Crowd::new(tasks);
    let before = Resident::now()?;
    let stacks_before = stacks();
    let spawn = crowd.spawn(program, interrupted)?;
    let switch = crowd.switch(ROUNDS, interrupted)?;
    let resident = Resident::now()?;
    let (stacks, mappings, fewest_preemptions) =
        (stacks().saturating_sub(stacks_before), mappings()?, crowd.fewest_preemptions());
    let (end, right) = crowd.end(interrupted)?;
    let each = |bytes: u64| bytes as f64 / tasks as f64;
    let ns = |time: Duration, times: u64| time.as_nanos() as f64 / times as f64;
    let [pages, tables] =
        [resident.pages - before.pages.min(resident.pages), resident.tables - before.tables.min(resident.tables)];
    Ok(Density {
        schema: 1,
        engine: engine_name(),
        machine: Machine::here(),
        guard: engine.stack_guard().map_or_else(|| "Wasmtime's".into(), |guard| guard.to_string()),
        max_stack: args.dense_stack(),
        tasks,
        memory: args.memory,
        spawn_ns: ns(spawn, tasks),
        switch_ns: ns(switch, ROUNDS * tasks),
        switches: ROUNDS * tasks,
        fewest_preemptions,
        mappings,
        resident,
        task: Account {
            all: each(pages + tables),
            tables: each(tables),
            stack: each(stacks),
            heap: each(pages.saturating_sub(stacks)),
            executor: (Executor::<RoundRobin>::BYTES_A_TASK + RoundRobin::BYTES_A_TASK) as u64,
        },
        end_ns: ns(end, tasks),
        right,
    })
}

/// Stops where the user has said so.
fn check(interrupted: &AtomicBool) -> Result<()> {
    match interrupted.load(Ordering::Relaxed) {
        true => bail!("interrupted before all tasks were measured"),
        false => Ok(()),
    }
}

/// Bytes of stacks in memory: of the mappings that are not to have huge pages, which only those are that stacks are cut from.
fn stacks() -> u64 {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let (mut rss, mut bytes) = (0, 0);
    for line in maps.lines() {
        if let Some(size) = line.strip_prefix("Rss:") {
            rss = size.trim_end_matches("kB").trim().parse().unwrap_or(0) * 1024;
        } else if line.starts_with("VmFlags:") && line.split(' ').any(|flag| flag == "nh") {
            bytes += rss;
        }
    }
    bytes
}

/// How many mappings the process has.
fn mappings() -> Result<usize> {
    Ok(fs::read_to_string("/proc/self/maps")
        .context("mappings are read from /proc/self/maps, which is Linux's")?
        .lines()
        .count())
}

impl Density {
    /// The report for people.
    fn table(&self) -> String {
        let gib = |bytes: u64| format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30));
        let kib = |bytes: f64| format!("{:.2} KiB", bytes / 1024.0);
        let with = if self.memory { ", each with a memory of which a page is touched" } else { "" };
        let all = self.resident.pages + self.resident.tables;
        let rows = [
            ("suspended at once", format!("{} tasks{with}", Fuel(self.tasks))),
            ("spawn to first suspension", format!("{:.2} µs a task", self.spawn_ns / 1e3)),
            ("context switch", format!("{:.0} ns, of {}", self.switch_ns, Fuel(self.switches))),
            ("preempted each, at least", format!("{} times", self.fewest_preemptions)),
            ("memory of the process", format!("{}, page tables included ({})", gib(all), gib(self.resident.tables))),
            (
                "memory of a task",
                format!(
                    "{}: {} store, instance and all else, {} {}, {} page tables",
                    kib(self.task.all),
                    kib(self.task.heap),
                    kib(self.task.stack),
                    if self.memory { "stack and memory" } else { "stack" },
                    kib(self.task.tables)
                ),
            ),
            ("of that, executor and policy", format!("{} bytes", self.task.executor)),
            ("mappings", self.mappings.to_string()),
            (
                "end",
                format!(
                    "{:.2} µs a task; {} of {} returned what they should",
                    self.end_ns / 1e3,
                    Fuel(self.right),
                    Fuel(self.tasks)
                ),
            ),
        ];
        let rows = rows.map(|(what, value)| vec![what.to_string(), value]);
        let footer = format!(
            "stacks of {} KiB for the guest, guarded by {}; quantum {}\n{}; {}\n",
            self.max_stack / 1024,
            self.guard,
            QUANTUM,
            self.engine,
            self.machine.line()
        );
        output::table(&["what", "measured"], rows, &[]) + &footer
    }
}
