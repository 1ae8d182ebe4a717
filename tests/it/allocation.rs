//! Memory: a step on the plain path allocates nothing, and a host that goes on for ever holds no more than it holds at once.
//!
//! The allocator of this binary counts for each thread by itself, because tests run side by side. That `step` reads no clock needs no
//! test: it has none to read, the executor's is used in `run_for` alone.

use crate::support::{endless, guest, i32s, work};
use fuelsched::policy::RoundRobin;
use fuelsched::{Budget, Executor, Fuel, Limits, Linker, Policy, Step};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Allocations and growths so far, on this thread.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes allocated less bytes freed, on this thread.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// Counts an allocation of so many bytes more or fewer. A thread that is going down is not counted any more.
fn count(allocations: u64, bytes: i64) {
    let _ = ALLOCATIONS.try_with(|cell| cell.set(cell.get() + allocations));
    let _ = HELD.try_with(|cell| cell.set(cell.get() + bytes));
}

#[allow(unsafe_code, reason = "the trait is unsafe to implement, and there is no other way to count allocations")]
// SAFETY: every call is passed on unchanged to `System`, which keeps the contract; `count` touches thread-local integers that need no
// initialisation and no destructor, so it does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, new_size as i64 - layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// How many allocations this makes.
fn allocations(what: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    what();
    ALLOCATIONS.get() - before
}

/// Steps `n` times, each of which must be a switch.
fn switches<P: Policy>(sched: &mut Executor<P>, n: u64) {
    for _ in 0..n {
        assert!(matches!(sched.step(), Step::Ran(_)));
    }
    assert!(sched.totals().switches >= n);
}

#[test]
fn the_allocator_counts() {
    let mut kept = Vec::new();
    assert_eq!(allocations(|| kept.push(7)), 1);
    let held = HELD.get();
    drop(kept);
    assert!(HELD.get() < held);
}

#[test]
fn a_step_of_preempted_guests_allocates_nothing() {
    let mut linker = Linker::<()>::new(crate::support::engine());
    linker.func("host", "tick", |n: i32| n).unwrap();
    let host = linker.link(&guest("call-host")).unwrap();
    for quantum in [100, 1_000] {
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).build();
        let tasks = [
            guest("spin").call("main", &[]),
            guest("spin-start").call("main", &[]),
            guest("fib").call("main", &i32s([40])),
            guest("grow-nothing").call("main", &i32s([1 << 30])),
            host.call((), "main", &i32s([1 << 30])),
            guest("spin").call("main", &[]).inspectable(),
            host.call((), "main", &i32s([1 << 30])).inspectable(),
        ];
        for task in tasks {
            sched.spawn(task).unwrap();
        }
        // First polls make instances and stacks.
        switches(&mut sched, 100);
        assert_eq!(allocations(|| switches(&mut sched, 10_000)), 0, "at quantum {quantum}");
    }
}

#[test]
fn a_step_of_plain_futures_allocates_nothing() {
    let boxed = Box::new(RoundRobin::new(Fuel(1_000))) as Box<dyn Policy>;
    let mut sched = Executor::builder().policy(boxed).build();
    for _ in 0..100 {
        sched.spawn(endless()).unwrap();
        // Overshoots of less than a quantum, which change nobody's place.
        sched.spawn(work((0..).map(|n| 1_000 + n % 7))).unwrap();
    }
    switches(&mut sched, 1_000);
    assert_eq!(allocations(|| switches(&mut sched, 10_000)), 0);
}

#[test]
fn a_run_of_so_much_fuel_allocates_nothing_either() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    for _ in 0..10 {
        sched.spawn(endless()).unwrap();
    }
    switches(&mut sched, 100);
    let frames = || (0..1_000).for_each(|_| assert_eq!(sched.run_for(Budget::fuel(12_345)).fuel, Fuel(12_345)));
    assert_eq!(allocations(frames), 0);
}

/// Bytes that are held after this has been done so many times more than 1,000.
fn kept_after(times: u32, mut what: impl FnMut()) -> i64 {
    (0..1_000).for_each(|_| what());
    let before = HELD.get();
    (0..times).for_each(|_| what());
    HELD.get() - before
}

#[test]
fn tasks_that_come_and_go_leave_no_memory_behind() {
    let mut sched = Executor::builder().build();
    sched.spawn(endless()).unwrap();
    let kept = kept_after(50_000, || {
        sched.spawn(work([5]).detached()).unwrap();
        sched.run_for(Budget::polls(5));
    });
    assert_eq!(kept, 0);
}

#[test]
fn tasks_that_are_killed_before_their_turn_leave_no_memory_behind() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1 << 40))).build();
    sched.spawn(endless()).unwrap();
    let kept = kept_after(50_000, || {
        let id = sched.spawn(work([5]).detached()).unwrap();
        // The first task's turn goes on and on, so nothing behind it is looked at.
        sched.run_for(Budget::fuel(50));
        sched.kill(id).unwrap();
    });
    // Bounded, and not one entry of the queue for each.
    assert!(kept < 10_000, "{kept} bytes");
}

#[test]
fn guests_that_come_and_go_leave_no_memory_behind() {
    let mut sched = Executor::builder().build();
    let (main, trap) = (guest("main"), guest("unreachable"));
    let limited = guest("counter").program().unwrap().limits(Limits::default());
    let kept = kept_after(500, || {
        sched.spawn(main.call("main", &[]).detached()).unwrap();
        sched.spawn(trap.call("main", &[]).detached()).unwrap();
        let killed = sched.spawn(limited.call((), "spin", &[]).detached()).unwrap();
        sched.run_for(Budget::polls(5));
        sched.kill(killed).unwrap();
        sched.run();
    });
    assert_eq!(kept, 0);
}
