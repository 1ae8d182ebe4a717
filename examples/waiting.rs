//! A host without a runtime whose guests wait: for time, and for work that another thread does for them.
//!
//! ```text
//! cargo run --example waiting
//! ```
//!
//! Guests call two functions of this host's, both asynchronous. `nap` is a sleep. `ask` sends a question to a thread of its own and waits for
//! the answer; the thread has never heard of an executor, and only wakes the waker that came with the question. The loop is the host's:
//! it makes steps, and where nobody is ready it does what it likes until the moment that [`Step::Idle`] names. Here it parks.

use fuelsched::policy::RoundRobin;
use fuelsched::wasmtime::Caller;
use fuelsched::{Clock, Engine, EngineConfig, Executor, Fuel, HostState, Linker, Module, Result, Step, TaskId, Value};
use std::future::poll_fn;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// Naps so many times for so many milliseconds, then asks what the square of the sum is.
const GUEST: &str = r#"(module
  (import "host" "nap" (func $nap (param i64)))
  (import "host" "ask" (func $ask (param i32) (result i32)))
  (func (export "main") (param $times i32) (param $millis i32) (result i32)
    (local $i i32) (local $sum i32)
    (loop $again
      (call $nap (i64.extend_i32_u (local.get $millis)))
      (local.set $sum (i32.add (local.get $sum) (local.get $millis)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $times))))
    (call $ask (local.get $sum))))"#;

/// Where an answer comes in, and who is to be woken then.
#[derive(Default)]
struct Reply {
    /// The answer, once it is there.
    answer: Option<u32>,
    /// Who waits for it.
    waker: Option<Waker>,
}

/// A question, with the place for its answer.
type Question = (u32, Arc<Mutex<Reply>>);

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let module = Module::from_bytes(&engine, "guest", GUEST)?;
    let (questions, inbox) = channel::<Question>();
    let thinker = thread::spawn(move || inbox.into_iter().for_each(answer));

    let program = linker(&engine)?.link(&module)?;
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).clock(Clock::monotonic()).build();
    let mut ids = Vec::new();
    for (times, millis) in [(3, 20), (1, 50), (6, 5)] {
        ids.push(sched.spawn(program.call(questions.clone(), "main", &[Value::I32(times), Value::I32(millis)]))?);
    }
    drop((questions, program));

    let parked = run(&mut sched);
    for (id, squared) in ids.into_iter().zip([3_600, 2_500, 900]) {
        report(&mut sched, id, squared);
    }
    println!("parked {parked} times, {} context switches", sched.totals().switches);
    assert!(thinker.join().is_ok());
    Ok(())
}

/// The loop. Says how often nobody was ready.
fn run(sched: &mut Executor<RoundRobin>) -> u64 {
    let mut parked = 0;
    loop {
        match sched.step() {
            Step::Ran(_) => {}
            // A game would draw a frame here, a server look at its sockets.
            Step::Idle { next_wake } => {
                parked += 1;
                sched.park(next_wake);
            }
            _ => return parked,
        }
    }
}

/// One line about a task that has ended.
fn report(sched: &mut Executor<RoundRobin>, id: TaskId, squared: i32) {
    let Some(task) = sched.take(id) else { return };
    println!("task {id} {}: waited {} times, {} fuel", task.outcome, task.ledger.blocked, task.ledger.used);
    assert_eq!(task.outcome.values(), Some(&[Value::I32(squared)][..]));
}

/// What the guests import. Each has its own end of the channel to the thread.
fn linker(engine: &Engine) -> Result<Linker<Sender<Question>>> {
    let mut linker = Linker::new(engine);
    linker.func_async("host", "nap", |caller: Caller<'_, HostState<Sender<Question>>>, (millis,): (u64,)| {
        let meter = caller.data().meter().clone();
        Box::new(async move { meter.sleep_until(meter.now() + Duration::from_millis(millis)).await })
    })?;
    linker.func_async("host", "ask", |caller: Caller<'_, HostState<Sender<Question>>>, (number,): (u32,)| {
        // The guest pays for what it makes others do.
        caller.data().meter().charge(Fuel(100));
        let reply = Arc::new(Mutex::new(Reply::default()));
        let sent = caller.data().data.send((number, reply.clone()));
        Box::new(async move {
            if sent.is_err() {
                return 0;
            }
            // Any future will do. This one looks, and leaves its waker where the thread finds it, under one lock: so no wake is lost.
            poll_fn(move |cx| {
                let mut reply = reply.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(answer) = reply.answer {
                    return Poll::Ready(answer);
                }
                reply.waker = Some(cx.waker().clone());
                Poll::Pending
            })
            .await
        })
    })?;
    Ok(linker)
}

/// What the thread does about a question: thinks for a while, answers, and wakes who asked.
fn answer((number, reply): Question) {
    thread::sleep(Duration::from_millis(10));
    let waker = {
        let mut reply = reply.lock().unwrap_or_else(PoisonError::into_inner);
        reply.answer = Some(number.wrapping_mul(number));
        reply.waker.take()
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}
