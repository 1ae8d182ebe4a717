//! What it costs to wait and to be woken. `docs/benchmarks.md` says what came out.
//!
//! ```text
//! cargo bench --bench wake                Markdown tables: latencies, costs, the processor time of an idle run
//! cargo bench --bench wake -- --quick     the same, shorter and less exact
//! cargo bench --bench wake -- --test      everything once
//! ```
//!
//! * *Latency* is from the moment that was asked for, or from just before the wake, to the first thing that the task does. Where a timer or
//!   another thread wakes, the executor's thread is parked, so most of it is the system's.
//! * *Cost* is per slice. Whole runs are timed, and no clock is read in between.
//! * *Idle* is the processor time of this process, by `/proc/self/stat`, while 1,000 tasks sleep a second at a time.

#[path = "switch/stats.rs"]
mod stats;
#[path = "shared/table.rs"]
mod table;

use fuelsched::channel::{Channel, Channels, HostReceiver, HostSender};
use fuelsched::policy::RoundRobin;
use fuelsched::wasmtime::Caller;
use fuelsched::{
    BlockedOn, Budget, Clock, Engine, EngineConfig, Executor, Fuel, HostState, Linker, Module, Outcome, Task,
};
use stats::{Estimate, Spread};
use std::future::{Future, poll_fn};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use table::Table;

/// A guest that loops for ever, and could wait.
const GUEST: &str = r#"(module (import "host" "wait" (func $wait))
    (func (export "main") (loop $again (br $again))) (func (export "wait") (call $wait)))"#;

/// The same, without an import.
const PLAIN: &str = r#"(module (func (export "main") (loop $again (br $again))))"#;

/// How much is measured.
#[derive(Clone, Copy)]
struct Plan {
    /// Wakes of each latency.
    wakes: u32,
    /// Sets of futures, and rounds with each set.
    sets: usize,
    /// Rounds with each set.
    rounds: usize,
    /// Slices in each round.
    slices: u64,
    /// How long the idle run lasts.
    idle: Duration,
}

/// By the arguments that other benches know too. Without `--bench` it is `cargo test` that runs this.
fn plan() -> Plan {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has("--test") || !has("--bench") {
        Plan { wakes: 2, sets: 1, rounds: 2, slices: 10, idle: Duration::from_millis(200) }
    } else if has("--quick") {
        Plan { wakes: 50, sets: 4, rounds: 20, slices: 2_000, idle: Duration::from_secs(2) }
    } else {
        Plan { wakes: 500, sets: 16, rounds: 40, slices: 4_000, idle: Duration::from_secs(10) }
    }
}

/// An executor with the system's clock.
fn executor(quantum: u64) -> Executor<RoundRobin> {
    Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build()
}

/// Latencies in nanoseconds, as tasks note them.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<f64>>>);

impl Notes {
    /// Notes one.
    fn add(&self, latency: Duration) {
        self.0.lock().expect("no task panics").push(latency.as_nanos() as f64);
    }

    /// A row of the table.
    fn row(&self, table: &mut Table, name: &str) {
        let Spread { low, median, high } = Spread::of(self.0.lock().expect("no task panics").iter().copied());
        table.row(vec![name.into(), format!("{:.1}", median / 1e3), format!("{:.1} to {:.1}", low / 1e3, high / 1e3)]);
    }
}

/// A timer: from the moment asked for to the first slice, while so many others sleep as well.
fn timer(sleepers: usize, plan: Plan) -> Notes {
    let notes = Notes::default();
    let mut sched = executor(10_000);
    let (noted, wakes) = (notes.clone(), plan.wakes);
    let over = Duration::from_millis(2) * wakes;
    let measured = Task::with_waker(move |meter| async move {
        for _ in 0..wakes {
            let at = meter.now() + Duration::from_millis(2);
            meter.sleep_until(at).await;
            noted.add(meter.now() - at);
        }
        Outcome::Exited(0)
    });
    sched.spawn(measured).expect("nothing refuses it");
    for _ in 1..sleepers {
        // Until after the end: they are only there.
        let other = Task::with_waker(move |meter| async move {
            meter.sleep_until(meter.now() + over * 2).await;
            Outcome::Exited(0)
        });
        sched.spawn(other).expect("nothing refuses it");
    }
    while notes.0.lock().expect("no task panics").len() < wakes as usize {
        if let fuelsched::Step::Idle { next_wake } = sched.step() {
            sched.park(next_wake);
        }
    }
    notes
}

/// When the other thread woke the task, once it has.
type Woken = Arc<Mutex<Option<Instant>>>;

/// A future that sends its waker away, and is done when somebody has woken it: with the moment of that.
fn woken_by(thread: Sender<(Waker, Woken)>) -> impl Future<Output = Instant> + Send {
    let woken = Woken::default();
    poll_fn(move |cx| {
        let at = *woken.lock().expect("nobody panics");
        at.map_or_else(
            || {
                let _ = thread.send((cx.waker().clone(), woken.clone()));
                Poll::Pending
            },
            Poll::Ready,
        )
    })
}

/// Another thread: from just before the wake to the first slice of a task whose executor is parked.
fn other_thread(plan: Plan) -> Notes {
    let (sender, wakers) = channel::<(Waker, Woken)>();
    let waking = thread::spawn(move || {
        for (waker, woken) in wakers {
            // Until the executor is parked, for all that can be known here.
            thread::sleep(Duration::from_millis(1));
            *woken.lock().expect("nobody panics") = Some(Instant::now());
            waker.wake();
        }
    });
    let notes = Notes::default();
    let noted = notes.clone();
    let task = Task::with_waker(move |_| async move {
        for _ in 0..plan.wakes {
            noted.add(woken_by(sender.clone()).await.elapsed());
        }
        Outcome::Exited(0)
    });
    let mut sched = executor(10_000);
    sched.spawn(task).expect("nothing refuses it");
    sched.run();
    waking.join().expect("it ends with the task");
    notes
}

/// A ball that two tasks pass to each other: whose turn it is, who waits, and when it was passed.
#[derive(Default)]
struct Ball {
    /// Who has it: 0 or 1.
    with: usize,
    /// Who waits for it.
    waiting: Option<Waker>,
    /// When it was passed, where that is measured.
    passed: Option<Instant>,
}

/// A task that passes the ball whenever it has it, and else waits. With notes it reads the clock.
fn player(me: usize, ball: Arc<Mutex<Ball>>, notes: Option<Notes>) -> Task {
    Task::with_waker(move |meter| {
        poll_fn(move |cx| {
            let mut ball = ball.lock().expect("nobody panics");
            if ball.with == me {
                if let (Some(notes), Some(passed)) = (&notes, ball.passed) {
                    notes.add(passed.elapsed());
                }
                ball.with = 1 - me;
                ball.passed = notes.as_ref().map(|_| Instant::now());
                if let Some(waker) = ball.waiting.take() {
                    waker.wake();
                }
            }
            ball.waiting = Some(cx.waker().clone());
            meter.blocking(BlockedOn::Input);
            Poll::<Outcome>::Pending
        })
    })
}

/// An executor with two players.
fn players(notes: Option<&Notes>) -> Executor<RoundRobin> {
    let mut sched = executor(10_000);
    let ball = Arc::default();
    for me in 0..2 {
        sched.spawn(player(me, Arc::clone(&ball), notes.cloned())).expect("nothing refuses it");
    }
    sched
}

/// From inside: one task wakes another.
fn inside(plan: Plan) -> Notes {
    let notes = Notes::default();
    let _ = players(Some(&notes)).run_for(Budget::polls(u64::from(plan.wakes) + 2));
    notes
}

/// A task that receives so many moments from a channel, notes how long ago each was, and says so at another.
fn listener(moments: Channel, notes: Notes, wakes: u32, answers: Channel) -> Task {
    Task::with_waker(move |meter| async move {
        for _ in 0..wakes {
            let sent = moments.recv(&meter).await.expect("it is open");
            let sent = u64::from_le_bytes(sent.try_into().expect("eight bytes"));
            let now = u64::try_from(meter.now().as_nanos()).expect("a short run");
            notes.add(Duration::from_nanos(now.saturating_sub(sent)));
            answers.send(&meter, &[]).await.expect("it is open");
        }
        Outcome::Exited(0)
    })
}

/// Another task sends to a task that waits at a channel, and then waits for its answer.
fn by_channel(plan: Plan) -> Notes {
    let (notes, channels, mut sched) = (Notes::default(), Channels::default(), executor(10_000));
    let open = |name: &str| channels.open(name, 1).expect("there is room");
    let (moments, answers) = (open("moments"), open("answers"));
    let sender = Task::with_waker(move |meter| async move {
        for _ in 0..plan.wakes {
            let now = u64::try_from(meter.now().as_nanos()).expect("a short run");
            moments.send(&meter, &now.to_le_bytes()).await.expect("it is open");
            answers.recv(&meter).await.expect("it is open");
        }
        Outcome::Exited(0)
    });
    let listener = listener(open("moments"), notes.clone(), plan.wakes, open("answers"));
    sched.spawn(listener).expect("nothing refuses it");
    sched.spawn(sender).expect("nothing refuses it");
    sched.run();
    notes
}

/// What another thread does: sends the moment, once the executor is parked, and waits until it was noted.
fn send_moments(clock: &Clock, moments: &HostSender, answers: &HostReceiver, wakes: u32) {
    for _ in 0..wakes {
        // Until the executor is parked, for all that can be known here.
        thread::sleep(Duration::from_millis(1));
        let now = u64::try_from(clock.now().as_nanos()).expect("a short run");
        moments.send_blocking(&now.to_le_bytes(), None).expect("it is open");
        answers.recv_blocking(None).expect("it is open");
    }
}

/// Another thread sends to a task that waits at a channel, and whose executor is parked.
fn from_host(plan: Plan) -> Notes {
    let (notes, channels, clock) = (Notes::default(), Channels::default(), Clock::monotonic());
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10_000))).clock(clock.clone()).build();
    let moments = channels.sender("moments", 1).expect("there is room");
    let answers = channels.receiver("answers", 1).expect("there is room");
    let open = |name: &str| channels.open(name, 1).expect("there is room");
    let listener = listener(open("moments"), notes.clone(), plan.wakes, open("answers"));
    sched.spawn(listener).expect("nothing refuses it");
    let sending = thread::spawn(move || send_moments(&clock, &moments, &answers, plan.wakes));
    sched.run();
    sending.join().expect("it ends with the task");
    notes
}

/// An executor with two endless guests.
fn guests(waiting: bool) -> Executor<RoundRobin> {
    let engine = Engine::new(&EngineConfig::default()).expect("the default engine");
    let load = |text: &str| Module::from_bytes(&engine, "guest", text).expect("it is right");
    let mut linker = Linker::<()>::new(&engine);
    let defined =
        linker.func_async("host", "wait", |_: Caller<'_, HostState>, ()| Box::new(std::future::pending::<()>()));
    defined.expect("the name is free");
    let mut sched = executor(1);
    for _ in 0..2 {
        let task = if waiting {
            linker.link(&load(GUEST)).expect("it is served").call((), "main", &[])
        } else {
            load(PLAIN).call("main", &[])
        };
        sched.spawn(task).expect("the call is right");
    }
    sched
}

/// Nanoseconds a slice, after some that are not timed.
fn slice(sched: &mut Executor<RoundRobin>, plan: Plan) -> f64 {
    let _ = sched.run_for(Budget::polls(8));
    let start = Instant::now();
    let ran = sched.run_for(Budget::polls(plan.slices));
    start.elapsed().as_nanos() as f64 / ran.polls as f64
}

/// What one slice takes: of plain guests, of guests that could wait, of tasks that block and are woken; in paired rounds.
fn costs(plan: Plan) -> Vec<Vec<[f64; 3]>> {
    let set = |set: usize| {
        let mut all = [guests(false), guests(true), players(None)];
        let round = |round: usize| {
            let mut times = [0.0; 3];
            for turn in 0..3 {
                let which = (turn + round + set) % 3;
                times[which] = slice(&mut all[which], plan);
            }
            times
        };
        (0..plan.rounds).map(round).collect()
    };
    (0..plan.sets).map(set).collect()
}

/// Prints what slices take, and each against a plain switch.
fn print_costs(sets: &[Vec<[f64; 3]>]) {
    let columns = ["a slice that", "ns", "quartiles", "against the first", "95 % interval"];
    let mut table = Table::new("wake-costs", &columns);
    let names = [
        "is preempted, of a guest that cannot wait",
        "is preempted, of one that can",
        "is woken, wakes another, blocks",
    ];
    for (which, name) in names.into_iter().enumerate() {
        let Spread { low, median, high } = Spread::of(sets.iter().flatten().map(|round| round[which]));
        let ratios: Vec<Vec<f64>> =
            sets.iter().map(|set| set.iter().map(|round| round[which] / round[0]).collect()).collect();
        let ratio = Estimate::of(&ratios);
        table.row(vec![
            name.into(),
            format!("{median:.1}"),
            format!("{low:.1} to {high:.1}"),
            format!("{:.3}", ratio.median),
            format!("{:.3} to {:.3}", ratio.low, ratio.high),
        ]);
    }
    table.finish();
}

/// Processor time of this process, in seconds; `None` where there is no `/proc`. A tick is 10 ms on Linux, whatever the kernel's own.
fn processor_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in brackets, may hold anything; user and system time are the 12th and 13th behind it.
    let (_, behind) = stat.rsplit_once(") ")?;
    let ticks = behind.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().ok());
    Some(ticks.sum::<Option<f64>>()? / 100.0)
}

/// 1,000 tasks that sleep a second at a time, their moments spread over it.
fn idle(plan: Plan) {
    let mut sched = executor(10_000);
    let over = plan.idle;
    for number in 0..1_000 {
        let task = Task::with_waker(move |meter| async move {
            let mut at = Duration::from_millis(number);
            while at < over {
                meter.sleep_until(at).await;
                at += Duration::from_secs(1);
            }
            meter.sleep_until(over).await;
            Outcome::Exited(0)
        });
        sched.spawn(task).expect("nothing refuses it");
    }
    let (before, start) = (processor_time(), Instant::now());
    sched.run();
    let elapsed = start.elapsed().as_secs_f64();
    match before.zip(processor_time()) {
        Some((before, after)) => {
            let percent = 100.0 * (after - before) / elapsed;
            println!("\n1,000 sleepers, {elapsed:.1} s, {} slices: {percent:.2} % of a core", sched.totals().slices);
        }
        None => println!("\n1,000 sleepers: this system does not say how much processor time it was"),
    }
}

fn main() {
    let plan = plan();
    let mut table = Table::new("wake", &["woken by", "latency, median, µs", "quartiles, µs"]);
    timer(1, plan).row(&mut table, "a timer, 1 sleeper");
    timer(1_000, plan).row(&mut table, "a timer, 1,000 sleepers");
    other_thread(plan).row(&mut table, "another thread");
    from_host(plan).row(&mut table, "another thread, by a channel");
    inside(plan).row(&mut table, "another task");
    by_channel(plan).row(&mut table, "another task, by a channel");
    table.finish();
    print_costs(&costs(plan));
    idle(plan);
}
