//! Cyclic: a table says, once and for all, whose time it is.
//!
//! **Source.** ARINC 653 Part 1, "Avionics Application Software Standard Interface, Required Services", partition scheduling: a major frame
//! of fixed length, in which each partition has windows with offset and length, the same in every frame.
//!
//! **Algorithm.** The frame begins again and again, and a window is at its offset in each, for ever: nothing that happens moves the grid. In a
//! window the tasks of its partition run and nobody else does; where none of them is ready, the rest of it is idle, until somebody of
//! them is. A grant ends with the window, less the guard band. The tasks of a partition take turns by deficit round robin
//! ([`RoundRobin`]) in a quantum, and what a window's end cuts off a turn goes on in the next window; without a quantum a turn is a window. A
//! task that is alone in its partition is granted the rest of the window in one piece.
//!
//! **Isolation.** A guest cannot be stopped before its next yield point, so a slice can reach past the end of its window. That is an
//! *overrun*: a fault, and a debt of the partition over the time that was not its own. A window of length `L` with a debt of `d` ends
//! `d` early (and is not used at all if that leaves nothing), and the time of its own that a partition does not use pays the debt. So at any moment,
//! since it had none, a partition has used **at most the time of its own windows, and its debt**, and no more debt than its last slice's
//! overshoot while that is shorter than the windows are. A partition that overshoots always by the same
//! harms the others once: from the next window on it stops early, overshoots, and is done when its window is. Overshoots up to the guard reach
//! nobody, and cost nothing.
//!
//! **The same in every frame.** Where a frame's tasks are ready throughout, and overshoot by the guard at most, every decision is a function of the
//! position in the frame alone: each frame of a mode has the same log. (With several tasks in a partition: of partitions; the tasks take turns.)
//!
//! **Fairness within a partition** is that of round robin: with a quantum, two tasks ready throughout differ by at most one quantum and both largest
//! overshoots; without, the windows that the two had differ by at most one. A debt is the partition's, and shortens the windows of all its tasks.
//!
//! **Cost.** O(log w) a decision with `w` windows, and O(log p) for the next window of `p` partitions that somebody can use. The windows that a debt
//! takes are computed, whatever the debt. A switch of modes looks at every partition once.

mod table;

pub use table::{Mode, Window};

use super::{Fault, FaultKind, Pick, Policy, ReadyQueue, RoundRobin, Run, refuse, refuse_param};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::pace::Pace;
use crate::reason::{InWindow, Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, TaskId};
use std::collections::VecDeque;
use std::time::Duration;
use table::Table;

/// Faults that are kept for somebody to take.
const FAULTS_KEPT: usize = 256;
/// After so many frames of one mode, own time is counted anew, so that it never overflows.
const MANY_FRAMES: u128 = 1 << 32;
/// How many partitions a message names.
const PARTITIONS_NAMED: usize = 16;
/// A turn that only a window's end ends.
const WHOLE_WINDOW: Fuel = Fuel(1 << 62);

/// The policy `cyclic`: fixed windows in a frame that repeats.
///
/// ```
/// use fuelsched::policy::{Cyclic, Mode, Window};
///
/// # fn main() -> fuelsched::Result<()> {
/// let flight = Mode {
///     name: "flight".into(),
///     frame: 100_000,
///     windows: vec![
///         Window { partition: Some(1), offset: 0, length: 60_000 },
///         Window { partition: Some(2), offset: 60_000, length: 30_000 },
///     ],
/// };
/// let policy = Cyclic::in_fuel(vec![flight])?.guard(500);
/// assert_eq!((policy.mode(), policy.frames()), ("flight", 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cyclic {
    /// The modes.
    modes: Vec<Table>,
    /// The present one.
    mode: usize,
    /// The one that begins when this frame ends.
    next_mode: Option<usize>,
    /// What positions are measured with.
    ruler: Ruler,
    /// Fuel a turn, for tasks with no quantum of their own; a whole window if there is none.
    quantum: Option<Fuel>,
    /// The end of each window that is not granted.
    guard: u64,
    /// The partitions, by ascending number.
    partitions: Vec<Partition>,
    /// The tasks.
    tasks: super::Table<Row>,
    /// Partitions with a ready task and with windows in this mode, by the next window that they can use. Filed under the id of their position.
    waiting: ReadyQueue<Start>,
    /// The frame, counted since own time is.
    frame: u128,
    /// How much of the frame has passed.
    position: u64,
    /// Frames completed, in all modes.
    frames: u64,
    /// What the clock showed when `position` was brought up to date; `None` before the first time.
    seen: Option<u64>,
    /// The slice that is under way.
    running: Option<Running>,
    /// Faults that nobody has taken.
    faults: VecDeque<Fault>,
}

/// What positions are measured with.
#[derive(Debug)]
enum Ruler {
    /// The executor's virtual clock.
    Fuel,
    /// A clock, in nanoseconds.
    Time {
        /// The executor's.
        clock: Clock,
        /// What makes fuel of a time.
        pace: Pace,
    },
}

/// Where a window begins: the frame, and the offset in it.
type Start = (u128, u64);

/// Tasks that share windows.
#[derive(Debug)]
struct Partition {
    /// Its number.
    number: u32,
    /// The own time (see [`Cyclic::own_time`]) at which its debt is paid, if nothing is used until then; 0 if it has none.
    owed: u128,
    /// Whose turn it is, by position in `ids`.
    turns: RoundRobin,
    /// The tasks.
    ids: Vec<TaskId>,
    /// Free positions in `ids`.
    free: Vec<u32>,
    /// How many tasks are ready or running.
    ready: usize,
}

/// The state of a task.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Its partition, by position.
    partition: usize,
    /// Its name in the partition.
    local: TaskId,
    /// Its own quantum.
    quantum: Option<Fuel>,
    /// Whether it is ready or running.
    ready: bool,
}

/// A slice that is under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// Whose it is.
    id: TaskId,
    /// From its beginning to the window's end.
    room: u64,
    /// From its beginning to where the grant ends at the latest: debt and guard before the window's end.
    usable: u64,
    /// Whether the partition had a debt.
    indebted: bool,
    /// What was left of the task's turn.
    turn: Fuel,
    /// What was granted, where it was more than the turn, because there is nobody else.
    alone: Option<Fuel>,
}

impl Cyclic {
    /// Frames in fuel of virtual time: exact, and the same in every run. The first mode is the first.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`](crate::ErrorKind::Policy) where a mode is not sound: no modes, or two of one name; a frame of 0; a window that is
    /// empty, reaches past its frame, or overlaps another; more than 65,536 windows or 256 modes; a frame longer than 2<sup>62</sup>.
    pub fn in_fuel(modes: Vec<Mode>) -> Result<Cyclic> {
        Cyclic::new(modes, Ruler::Fuel)
    }

    /// Frames in nanoseconds of a clock, which must be the executor's ([`Builder::clock`](crate::executor::Builder::clock)). A position in the
    /// frame is the clock modulo the frame.
    ///
    /// This is best effort. A grant is fuel, so how long it lasts is learned from the task's earlier slices ([`Pace`]), and
    /// the machine may take the core away at any time: overruns of some microseconds are normal, and a [`Cyclic::guard`] is for them. Such
    /// a schedule is not the same in every run. In an idle window the executor returns [`Step::Idle`](crate::Step::Idle) with the moment
    /// of the next window, and it is for the host to wait until then. The virtual clock stands still meanwhile.
    ///
    /// # Errors
    /// Those of [`Cyclic::in_fuel`].
    pub fn in_time(modes: Vec<Mode>, clock: Clock) -> Result<Cyclic> {
        Cyclic::new(modes, Ruler::Time { clock, pace: Pace::new() })
    }

    /// A schedule by this ruler.
    fn new(modes: Vec<Mode>, ruler: Ruler) -> Result<Cyclic> {
        let (modes, numbers) = table::lay_out(modes)?;
        Ok(Cyclic {
            modes,
            mode: 0,
            next_mode: None,
            ruler,
            quantum: None,
            guard: 0,
            partitions: numbers.into_iter().map(Partition::new).collect(),
            tasks: super::Table::new(),
            waiting: ReadyQueue::new(),
            frame: 0,
            position: 0,
            frames: 0,
            seen: None,
            running: None,
            faults: VecDeque::new(),
        })
    }

    /// Fuel a turn, where a partition has several tasks; a whole window, unless set. 0 is taken as 1.
    #[must_use]
    pub fn quantum(mut self, quantum: Fuel) -> Cyclic {
        self.quantum = Some(quantum.max(Fuel(1)));
        self
    }

    /// The guard band, in the unit of the windows: the last so much of each window is not granted, so that overshoots up to it never reach
    /// the next window. 0, unless set.
    ///
    /// A guard that is as long as a window is an error, which [`Cyclic::check`] returns, and so does every spawn.
    #[must_use]
    pub fn guard(mut self, guard: u64) -> Cyclic {
        self.guard = guard;
        self
    }

    /// Whether the guard leaves something of every window.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`](crate::ErrorKind::Policy), with the first window of which nothing is left.
    pub fn check(&self) -> Result<()> {
        self.modes.iter().find_map(|mode| mode.within_guard(self.guard)).map_or(Ok(()), Err)
    }

    /// Lets another mode begin when the present frame ends; its first frame begins there. The latest call before then counts.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`](crate::ErrorKind::Policy) when there is no such mode.
    pub fn switch_mode(&mut self, name: &str) -> Result<()> {
        let Some(mode) = self.modes.iter().position(|mode| mode.name == name) else {
            let names: Vec<_> = self.modes.iter().map(|mode| mode.name.escape_debug().to_string()).collect();
            let message = format!("there is no mode '{}'; there are {}", name.escape_debug(), names.join(", "));
            return Err(table::unsound(message));
        };
        self.next_mode = (mode != self.mode).then_some(mode);
        Ok(())
    }

    /// The name of the present mode, as of the latest pick or slice.
    #[must_use]
    pub fn mode(&self) -> &str {
        &self.table().name
    }

    /// Frames completed, in all modes, since the first task was ready; as of the latest pick or slice.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The present mode.
    fn table(&self) -> &Table {
        &self.modes[self.mode]
    }

    /// The time of a partition's windows so far, whether it was used or not, from wherever it is counted.
    fn own_time(&self, partition: usize) -> u128 {
        let table = self.table();
        let frames = self.frame * u128::from(table.own_time(partition));
        frames + u128::from(table.own_time_before(partition, self.position))
    }

    /// A partition's debt.
    fn debt(&self, partition: usize) -> u64 {
        match self.partitions[partition].owed {
            0 => 0,
            owed => u64::try_from(owed.saturating_sub(self.own_time(partition))).unwrap_or(u64::MAX),
        }
    }

    /// The next window to begin of which a partition's debt and the guard leave something.
    ///
    /// A window leaves something if the own time through its end is more than what is owed and the guard; through its end, own time only
    /// grows, so the first such window is found by division and a search.
    fn next_start(&self, partition: usize) -> Option<Start> {
        let own = self.table().own(partition);
        let (first, total) = (own.first()?, own.last()?.through());
        let following = own.partition_point(|window| window.offset <= self.position);
        let next = match own.get(following) {
            Some(window) => (self.frame, window.offset),
            None => (self.frame + 1, first.offset),
        };
        let owed = self.partitions[partition].owed;
        if owed == 0 {
            return Some(next);
        }
        let wanted = owed + u128::from(self.guard);
        let (frames, rest) = (wanted / u128::from(total), wanted % u128::from(total));
        let payer = own.partition_point(|window| u128::from(window.through()) <= rest);
        Some(next.max((frames, own[payer].offset)))
    }

    /// Files a partition by its next window, or takes it out if nobody in it is ready or it has no windows.
    fn file(&mut self, partition: usize) {
        let place = place_of(partition);
        let start = if self.partitions[partition].ready > 0 { self.next_start(partition) } else { None };
        match start {
            Some(start) => self.waiting.insert(start, place),
            None => {
                self.waiting.remove(place);
            }
        }
    }

    /// From now to the next moment at which somebody ready can run, or may be able to because the mode changes.
    fn wait(&mut self) -> Option<u128> {
        let now = (self.frame, self.position);
        while let Some((start, place)) = self.waiting.first()
            && start <= now
        {
            self.file(place.index());
        }
        let frame = u128::from(self.table().frame);
        let window = self.waiting.first().map(|((number, offset), _)| {
            // Both are less than 2^65 frames of 2^62 ahead.
            (number - self.frame) * frame + u128::from(offset) - u128::from(self.position)
        });
        let Some(mode) = self.next_mode else {
            return window;
        };
        let end = frame - u128::from(self.position);
        match window {
            Some(window) => Some(window.min(end)),
            None => self.has_work(mode).then_some(end),
        }
    }

    /// Whether a mode has a window for somebody who is ready.
    fn has_work(&self, mode: usize) -> bool {
        let mut ready = self.partitions.iter().enumerate().filter(|(_, partition)| partition.ready > 0);
        ready.any(|(index, _)| !self.modes[mode].own(index).is_empty())
    }

    /// Brings the position up to date.
    fn look(&mut self, now: Fuel) {
        let now = self.ruler.read(now);
        match self.seen {
            Some(seen) => self.pass(u128::from(now.saturating_sub(seen)), None),
            // The grid is on the multiples of the frame.
            None => self.position = now % self.table().frame,
        }
        self.seen = Some(now);
    }

    /// Lets time pass, in which one partition ran or none. A new mode begins where its predecessor's frame ends.
    fn pass(&mut self, mut by: u128, runner: Option<usize>) {
        if let Some(next) = self.next_mode {
            let end = u128::from(self.table().frame - self.position);
            if by >= end {
                self.go(end, runner);
                self.enter(next);
                self.next_mode = None;
                by -= end;
            }
        }
        self.go(by, runner);
        if self.frame >= MANY_FRAMES {
            self.enter(self.mode);
        }
    }

    /// Lets time pass within a mode. What a partition ran outside of its windows becomes its debt.
    fn go(&mut self, by: u128, runner: Option<usize>) {
        let before = runner.map(|partition| (partition, self.debt(partition), self.own_time(partition)));
        let frame = u128::from(self.table().frame);
        let position = u128::from(self.position) + by;
        if position < frame {
            self.position = position as u64;
        } else {
            let frames = position / frame;
            self.frame += frames;
            self.frames = self.frames.saturating_add(u64::try_from(frames).unwrap_or(u64::MAX));
            self.position = (position % frame) as u64;
        }
        if let Some((partition, debt, own)) = before {
            let foreign = by - (self.own_time(partition) - own);
            self.owe(partition, u128::from(debt) + foreign);
            self.file(partition);
        }
    }

    /// Sets a partition's debt.
    fn owe(&mut self, partition: usize, debt: u128) {
        let owed = if debt == 0 { 0 } else { self.own_time(partition) + debt.min(u128::from(u64::MAX)) };
        self.partitions[partition].owed = owed;
    }

    /// Begins a mode, or the present one anew: own time is counted from this frame on, and the debts stay.
    #[cold]
    fn enter(&mut self, mode: usize) {
        let debts: Vec<u64> = (0..self.partitions.len()).map(|partition| self.debt(partition)).collect();
        (self.mode, self.frame) = (mode, 0);
        for (partition, debt) in debts.into_iter().enumerate() {
            self.owe(partition, u128::from(debt));
            self.file(partition);
        }
    }

    /// The task whose turn it is in the window that is now, if somebody of its partition is ready and something is left of it.
    fn pick_here(&mut self, now: Fuel) -> Option<Run> {
        let window = self.table().window_at(self.position)?;
        let debt = self.debt(window.partition);
        let partition = &mut self.partitions[window.partition];
        let room = window.end - self.position;
        let usable = room.saturating_sub(self.guard).saturating_sub(debt);
        if usable == 0 || partition.ready == 0 {
            return None;
        }
        let Pick::Run(Run { id: local, grant: turn, .. }) = partition.turns.pick(now) else {
            return None;
        };
        let id = partition.ids[local.index()];
        let rest = self.ruler.grant(id, usable);
        let alone = (partition.ready == 1 && rest > turn).then_some(rest);
        let grant = alone.unwrap_or(rest.min(turn));
        self.running = Some(Running { id, room, usable, indebted: debt > 0, turn, alone });
        Some(Run { id, grant, why: PickReason::Window(window.index) })
    }

    /// Keeps a fault, and forgets the oldest where there are too many.
    fn fault(&mut self, id: TaskId, by: u64) {
        if self.faults.len() == FAULTS_KEPT {
            self.faults.pop_front();
        }
        self.faults.push_back(Fault { id, kind: FaultKind::Overrun, by: Fuel(by) });
    }

    /// The position of a partition.
    fn find(&self, number: Option<u32>) -> Result<usize> {
        let found = number.and_then(|number| self.partitions.binary_search_by_key(&number, |p| p.number).ok());
        found.ok_or_else(|| self.refuse_partition(number))
    }

    /// A task that no window is for.
    fn refuse_partition(&self, number: Option<u32>) -> Error {
        let what = match number {
            Some(number) => format!("no window is partition {number}'s"),
            None => "it must say in which partition it is".into(),
        };
        let mut there: Vec<String> =
            self.partitions.iter().take(PARTITIONS_NAMED).map(|partition| partition.number.to_string()).collect();
        if self.partitions.len() > PARTITIONS_NAMED {
            there.push(format!("and {} more", self.partitions.len() - PARTITIONS_NAMED));
        }
        let there = if there.is_empty() { "none".into() } else { there.join(", ") };
        refuse("cyclic", format!("{what}; the partitions are: {there}"))
    }

    /// Puts a task into a partition.
    fn attach(&mut self, id: TaskId, partition: usize, quantum: Option<Fuel>) -> Result<()> {
        let turn = quantum.or(self.quantum).unwrap_or(WHOLE_WINDOW);
        let local = self.partitions[partition].enrol(id, turn)?;
        self.tasks.insert(id, Row { partition, local, quantum, ready: false });
        Ok(())
    }

    /// Takes a task out of its partition.
    fn detach(&mut self, id: TaskId) -> Option<Row> {
        let row = self.tasks.remove(id)?;
        let partition = &mut self.partitions[row.partition];
        partition.turns.leave(row.local);
        partition.free.push(row.local.index() as u32);
        if row.ready {
            self.rest(row.partition);
        }
        Some(row)
    }

    /// A task of the partition is ready.
    fn wake(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        let row = &mut self.tasks[id];
        row.ready = true;
        let (index, local) = (row.partition, row.local);
        let partition = &mut self.partitions[index];
        partition.turns.ready(local, why, now);
        partition.ready += 1;
        if partition.ready == 1 {
            self.file(index);
        }
    }

    /// A task of the partition is not ready any more.
    fn rest(&mut self, partition: usize) {
        self.partitions[partition].ready -= 1;
        if self.partitions[partition].ready == 0 {
            self.waiting.remove(place_of(partition));
        }
    }

    /// Books a slice on the task's turn.
    fn take_turn(&mut self, row: Row, running: &Running, used: Fuel, over: bool, end: SliceEnd) {
        // Whoever was alone is not to pay those who come later for time that nobody else wanted; for an overshoot it is.
        let counted = running.alone.map_or(used, |grant| used.min(running.turn).plus(used.minus(grant)));
        let whole = row.quantum.or(self.quantum).is_none();
        let end = if end == SliceEnd::Preempted && whole && over { SliceEnd::Yielded } else { end };
        self.partitions[row.partition].turns.charge(row.local, counted, end);
    }
}

impl Partition {
    /// A partition with no tasks.
    fn new(number: u32) -> Partition {
        let turns = RoundRobin::new(WHOLE_WINDOW);
        Partition { number, owed: 0, turns, ids: Vec::new(), free: Vec::new(), ready: 0 }
    }

    /// Gives a task a name in here.
    fn enrol(&mut self, id: TaskId, turn: Fuel) -> Result<TaskId> {
        let index = self.free.last().copied().unwrap_or(self.ids.len() as u32);
        let local = TaskId::new(index, 0);
        self.turns.admit(local, &Params::default().with(Param::Quantum(turn)))?;
        match self.free.pop() {
            Some(free) => self.ids[free as usize] = id,
            None => self.ids.push(id),
        }
        Ok(local)
    }
}

impl Ruler {
    /// What it shows, while the virtual clock shows this.
    fn read(&self, now: Fuel) -> u64 {
        match self {
            Ruler::Fuel => now.0,
            Ruler::Time { clock, .. } => u64::try_from(clock.now().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// The grant that lasts so long.
    fn grant(&self, id: TaskId, length: u64) -> Fuel {
        match self {
            Ruler::Fuel => Fuel(length),
            Ruler::Time { pace, .. } => pace.grant_for(id, Duration::from_nanos(length)),
        }
    }

    /// How long a slice lasted that began when the ruler showed `since`. In time, something is learned of it.
    fn measure(&mut self, id: TaskId, used: Fuel, since: u64) -> u64 {
        if let Ruler::Fuel = self {
            return used.0;
        }
        let took = self.read(Fuel::ZERO).saturating_sub(since);
        if let Ruler::Time { pace, .. } = self
            && used > Fuel::ZERO
        {
            pace.learn(id, used, Duration::from_nanos(took));
        }
        took
    }
}

impl Policy for Cyclic {
    fn name(&self) -> &'static str {
        "cyclic"
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        self.check()?;
        if params.quantum == Some(Fuel::ZERO) {
            return Err(refuse_quantum());
        }
        let partition = self.find(params.partition)?;
        self.attach(id, partition, params.quantum)
    }

    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.look(now);
        self.wake(id, why, now);
    }

    fn pick(&mut self, now: Fuel) -> Pick {
        self.look(now);
        loop {
            if let Some(run) = self.pick_here(now) {
                return Pick::Run(run);
            }
            let Some(wait) = self.wait() else {
                return Pick::Empty;
            };
            let length = u64::try_from(wait).unwrap_or(u64::MAX);
            match self.ruler {
                Ruler::Fuel if now < Fuel::MAX => return Pick::IdleUntil(now.plus(Fuel(length))),
                // The virtual clock is at its end, and what is idle takes no time any more.
                Ruler::Fuel => self.pass(wait, None),
                Ruler::Time { .. } => {
                    let seen = self.seen.unwrap_or_default();
                    return Pick::IdleUntilTime(Duration::from_nanos(seen.saturating_add(length)));
                }
            }
        }
    }

    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let Some(running) = self.running.take() else {
            return;
        };
        let row = self.tasks[id];
        let seen = self.seen.unwrap_or_default();
        let length = self.ruler.measure(id, used, seen);
        self.seen = Some(seen.saturating_add(length));
        if length > running.room {
            self.fault(id, length - running.room);
        }
        // Within its own window and without a debt it owes nothing.
        let clean = length <= running.room && !running.indebted;
        self.pass(u128::from(length), (!clean).then_some(row.partition));
        self.take_turn(row, &running, used, length >= running.usable, end);
        if let SliceEnd::Blocked | SliceEnd::Ended = end {
            self.tasks[id].ready = false;
            self.rest(row.partition);
        }
    }

    fn leave(&mut self, id: TaskId) {
        self.running.take_if(|running| running.id == id);
        self.detach(id);
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        match param {
            Param::Quantum(Fuel::ZERO) => Err(refuse_quantum()),
            Param::Quantum(quantum) => {
                let row = &mut self.tasks[id];
                row.quantum = Some(quantum);
                self.partitions[row.partition].turns.set(row.local, param)
            }
            Param::Partition(number) => {
                let partition = self.find(Some(number))?;
                if self.tasks[id].partition == partition {
                    return Ok(());
                }
                let Some(row) = self.detach(id) else {
                    return Ok(());
                };
                self.attach(id, partition, row.quantum)?;
                if row.ready {
                    self.wake(id, ReadyReason::Resumed, Fuel::ZERO);
                }
                Ok(())
            }
            other => Err(refuse_param(self.name(), other, "a partition and a quantum")),
        }
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.faults.pop_front()
    }

    fn window(&self) -> Option<InWindow> {
        let window = self.table().window_at(self.position)?;
        let span = match self.ruler {
            Ruler::Time { .. } => None,
            Ruler::Fuel => {
                let begins = self.seen.unwrap_or_default().saturating_sub(self.position - window.offset);
                Some((Fuel(begins), Fuel(begins.saturating_add(window.end - window.offset))))
            }
        };
        Some(InWindow { frame: self.frames, mode: self.mode as u32, window: window.index, span })
    }

    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let Row { partition, .. } = self.tasks[id];
        let debt = i64::try_from(self.debt(partition)).unwrap_or(i64::MAX);
        vec![("partition", i64::from(self.partitions[partition].number)), ("debt", debt)]
    }
}

/// What a partition is filed under.
fn place_of(partition: usize) -> TaskId {
    TaskId::new(partition as u32, 0)
}

/// The one quantum that cannot be served.
fn refuse_quantum() -> Error {
    refuse("cyclic", "a quantum of 0 would be an empty slice; it must be at least 1")
}
