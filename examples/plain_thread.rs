//! A host that is just a thread: no runtime, no callbacks, nothing that waits for anybody.
//!
//! ```text
//! cargo run --example plain_thread
//! ```
//!
//! Three small hosts, one after the other:
//!
//! 1. *Run to the end*: load two modules, spawn five tasks, call `run`, look at outcomes and accounts.
//! 2. *Take control*: a guest that never returns is suspended, resumed and killed between two steps.
//! 3. *Serve other threads*: an executor that is in the middle of its work takes jobs from a channel, and answers each on its own.

use fuelsched::policy::RoundRobin;
use fuelsched::trace::Ended;
use fuelsched::{
    Budget, Engine, EngineConfig, Executor, Fuel, Module, Result, RunEnd, SliceEnd, Step, TaskId, TaskState, Value,
};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// Fuel a slice.
const QUANTUM: Fuel = Fuel(1_000);

/// Never returns. One round is 1 fuel, and each a yield point.
const SPIN: &str = r#"(module (func (export "main") (loop $again (br $again))))"#;

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let fib = Module::from_bytes(&engine, "fib.wat", include_bytes!("../wasm/fib.wat"))?;
    let count = Module::from_bytes(&engine, "main.wat", include_bytes!("../wasm/main.wat"))?;
    let spin = Module::from_bytes(&engine, "spin", SPIN)?;

    run_to_the_end(&fib, &count, &spin)?;
    take_control(&count, &spin)?;
    serve_other_threads(&fib)
}

/// Spawns, runs until nothing is left, and looks at what became of each task.
fn run_to_the_end(fib: &Module, count: &Module, spin: &Module) -> Result<()> {
    println!("1. Run to the end");
    let mut sched = Executor::builder().policy(RoundRobin::new(QUANTUM)).build();
    let tasks = [
        ("fib(10)", sched.spawn(fib.call("main", &[Value::I32(10)]))?),
        ("fib(20)", sched.spawn(fib.call("main", &[Value::I32(20)]))?),
        ("count to 10,000", sched.spawn(count.call("main", &[]))?),
        // A guest that would run for ever has a budget, or somebody who kills it.
        ("spin", sched.spawn(spin.call("main", &[]).budget(Fuel(50_000)))?),
        // This one overflows its stack. It is the task that ends, not the host.
        ("fib(2^31 - 1)", sched.spawn(fib.call("main", &[Value::I32(i32::MAX)]))?),
    ];
    // What is wrong with a call is said when it is spawned, and spawns nothing.
    let wrong = sched.spawn(fib.call("main", &[])).unwrap_err();
    println!("   not spawned: {wrong}");

    sched.run();
    for (name, id) in tasks {
        let Some(task) = sched.take(id) else { continue };
        println!("   {}", account(name, &task));
        assert_eq!(task.outcome.is_success(), !matches!(name, "spin" | "fib(2^31 - 1)"));
    }
    let totals = sched.totals();
    println!("   {} fuel, {} context switches\n", totals.fuel, totals.switches);
    Ok(())
}

/// One line about a task that has ended: what it used, and how it ended.
fn account(name: &str, task: &Ended) -> String {
    let ledger = &task.ledger;
    let bound = if ledger.exact { "" } else { ">=" };
    let fuel = format!("{bound}{}", ledger.used);
    format!(
        "{name:<16} {fuel:>9} fuel {:>5} slices, overshoot {:>2}   {}",
        ledger.slices, ledger.max_overshoot, task.outcome
    )
}

/// Suspends, resumes and kills a guest that would never return.
fn take_control(count: &Module, spin: &Module) -> Result<()> {
    println!("2. Take control");
    let mut sched = Executor::builder().policy(RoundRobin::new(QUANTUM)).build();
    let endless = sched.spawn(spin.call("main", &[]))?;
    let counter = sched.spawn(count.call("main", &[]))?;

    // Ten polls: five for each of the two.
    sched.run_for(Budget::polls(10));
    let early = used(&sched, endless);
    println!("   after 10 polls    endless {early}, counter {}", used(&sched, counter));

    // Suspended, it is passed over; `run` ends when nobody else is left.
    sched.suspend(endless)?;
    let ran = sched.run();
    println!("   while suspended   endless {}, counter {}", used(&sched, endless), used(&sched, counter));
    assert_eq!(ran.why, RunEnd::Idle { next_wake: None });
    assert_eq!(sched.state(endless), Some(TaskState::Suspended));
    assert_eq!(used(&sched, endless), early, "a suspended task uses nothing");

    // Resumed, it goes on where it was, in the middle of its loop.
    sched.resume(endless)?;
    sched.run_for(Budget::fuel(20_000));
    println!("   20,000 fuel later endless {}", used(&sched, endless));

    // Killed, its stack is unwound and its memory freed before `kill` returns. Its account stays exact.
    sched.kill(endless)?;
    for (name, id) in [("endless", endless), ("counter", counter)] {
        if let Some(task) = sched.take(id) {
            println!("   {}", account(name, &task));
        }
    }
    assert_eq!(sched.step(), Step::Done);
    println!();
    Ok(())
}

/// Fuel that a task has used so far. It can be asked between any two steps; nothing is estimated.
fn used(sched: &Executor<RoundRobin>, id: TaskId) -> Fuel {
    sched.ledger(id).map_or(Fuel::ZERO, |ledger| ledger.used)
}

/// A job from another thread.
struct Job {
    /// Which Fibonacci number.
    n: i32,
    /// Where the answer goes.
    answer: Sender<Ended>,
}

/// Two client threads send jobs to this one, which runs them all at once.
fn serve_other_threads(fib: &Module) -> Result<()> {
    println!("3. Serve other threads");
    let (jobs, inbox) = channel();
    let clients = [client(jobs.clone(), &[22, 5, 12]), client(jobs, &[15, 10])];
    let served = serve(fib, &inbox)?;

    let answers = clients.map(|client| client.join().unwrap_or_default());
    for (number, answers) in answers.iter().enumerate() {
        println!("   client {}: {}", number + 1, answers.join(", "));
    }
    println!("   {served} jobs served");
    assert_eq!(served, 5);
    assert!(answers[0][0].starts_with("fib(22) returned 17711"), "{answers:?}");
    Ok(())
}

/// A thread that sends all its jobs at once and then waits for the answers.
fn client(jobs: Sender<Job>, numbers: &'static [i32]) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let ask = |&n| {
            let (answer, receiver) = channel();
            jobs.send(Job { n, answer }).ok().map(|()| (n, receiver))
        };
        let asked: Vec<_> = numbers.iter().filter_map(ask).collect();
        // From here on nobody can send: the server ends when the last job has.
        drop(jobs);
        let wait = |(n, receiver): (i32, Receiver<Ended>)| match receiver.recv() {
            Ok(task) => format!("fib({n}) {} for {} fuel", task.outcome, task.ledger.used),
            Err(_) => format!("fib({n}) was not answered"),
        };
        asked.into_iter().map(wait).collect()
    })
}

/// The server's loop. Jobs are taken in between two steps, so a long one that is running holds up none that arrive later; with
/// nothing to run, the thread sleeps in the channel. Returns the number of jobs served, when nobody can send any more.
fn serve(fib: &Module, inbox: &Receiver<Job>) -> Result<usize> {
    let mut sched = Executor::builder().policy(RoundRobin::new(QUANTUM)).build();
    let mut waiting = HashMap::new();
    let mut served = 0;
    loop {
        let busy = sched.live() > 0;
        let job = if busy { inbox.try_recv().ok() } else { inbox.recv().ok() };
        match job {
            Some(Job { n, answer }) => {
                let id = sched.spawn(fib.call("main", &[Value::I32(n)]))?;
                waiting.insert(id, answer);
            }
            None if !busy => return Ok(served),
            None => {}
        }
        if let Step::Ran(slice) = sched.step()
            && slice.end == SliceEnd::Ended
            // Taken, so that its slot is free for the next: this loop can run for years.
            && let Some(task) = sched.take(slice.id)
            && let Some(answer) = waiting.remove(&slice.id)
        {
            served += 1;
            // Whoever asked may be gone by now; that is no concern of the others.
            let _ = answer.send(task);
        }
    }
}
