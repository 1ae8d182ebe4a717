//! A game loop that gives its scripted characters 50,000 fuel a frame, whatever they do.
//!
//! ```text
//! cargo run --example game_loop
//! ```
//!
//! Each character is an *instance that stays*: its `update` is called in every frame in which the last call is over, and it keeps its
//! memory and globals from one to the next. Three kinds of them:
//!
//! * two **guards** walk towards the player: nine fuel an update, done in one slice;
//! * a **sage** thinks for 128,000 fuel before each step. It is preempted, and goes on in the next frame where it was;
//! * a **goblin** has a bug: once the player is near it loops for ever. The frame costs no more for it. The loop kills it after
//!   a few frames, and puts a new one in its place.
//!
//! Characters see and move through three host functions, and the embedder's own data, a [`Body`], lives in each one's store. Fuel is
//! the only clock here, so the output is the same on every machine.

use fuelsched::policy::RoundRobin;
use fuelsched::wasmtime::Caller;
use fuelsched::{
    Budget, Engine, EngineConfig, Executor, Fuel, HostState, Instance, Linker, Module, Outcome, Program, Result, TaskId,
};

/// Fuel for all characters together, a frame.
const FRAME: u64 = 50_000;
/// Fuel a turn: a frame has about ten of them.
const QUANTUM: Fuel = Fuel(5_000);
/// An update that has used this much and is not done never will be.
const HOPELESS: Fuel = Fuel(150_000);
/// Frames shown.
const FRAMES: i32 = 12;
/// Where goblins come from.
const CAVE: i32 = 20;

/// Takes a step towards the player.
const GUARD: &str = r#"(module
  (import "world" "me" (func $me (result i32)))
  (import "world" "player" (func $player (result i32)))
  (import "world" "move" (func $move (param i32)))
  (func (export "update")
    (call $move (i32.sub
      (i32.gt_s (call $player) (call $me))
      (i32.lt_s (call $player) (call $me))))))"#;

/// Thinks long, then takes a step away from the player. Remembers how often it did.
const SAGE: &str = r#"(module
  (import "world" "me" (func $me (result i32)))
  (import "world" "player" (func $player (result i32)))
  (import "world" "move" (func $move (param i32)))
  (global $thoughts (mut i32) (i32.const 0))
  (func (export "update") (result i32)
    (local $i i32)
    (loop $think
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $think (i32.lt_s (local.get $i) (i32.const 16000))))
    (call $move (select (i32.const -1) (i32.const 1) (i32.gt_s (call $player) (call $me))))
    (global.set $thoughts (i32.add (global.get $thoughts) (i32.const 1)))
    (global.get $thoughts)))"#;

/// Takes a step towards the player, unless the player is near: then it loops for ever.
const GOBLIN: &str = r#"(module
  (import "world" "me" (func $me (result i32)))
  (import "world" "player" (func $player (result i32)))
  (import "world" "move" (func $move (param i32)))
  (func (export "update")
    (loop $stuck
      (br_if $stuck (i32.lt_s (i32.sub (call $me) (call $player)) (i32.const 16))))
    (call $move (i32.const -1))))"#;

/// What the host keeps of a character, in the character's own store.
struct Body {
    /// Where it is, on a line.
    x: i32,
    /// Where it sees the player.
    player: i32,
}

/// A character in the game.
struct Character {
    /// Its name.
    name: &'static str,
    /// What it runs.
    script: Program<Body>,
    /// Its instance, which stays from frame to frame.
    instance: Instance<Body>,
    /// The update that is under way.
    update: Option<TaskId>,
    /// Where it was seen last.
    x: i32,
}

impl Character {
    /// A character at `x`.
    fn new(name: &'static str, script: Program<Body>, x: i32) -> Character {
        let instance = script.instance(Body { x, player: 0 });
        Character { name, script, instance, update: None, x }
    }

    /// Starts an update, unless one is under way.
    fn begin(&mut self, sched: &mut Executor<RoundRobin>, player: i32) -> Result<()> {
        if self.update.is_none() {
            self.instance.with_data(|body| body.player = player)?;
            self.update = Some(sched.spawn(self.instance.call("update", &[]))?);
        }
        Ok(())
    }

    /// Looks after the update at the end of a frame, and gives up on a hopeless one.
    fn end(&mut self, sched: &mut Executor<RoundRobin>) -> Result<News> {
        let Some(id) = self.update else { return Ok(News::Done) };
        if let Some(outcome) = sched.take_outcome(id) {
            return self.ended(&outcome);
        }
        if sched.ledger(id).is_none_or(|ledger| ledger.used <= HOPELESS) {
            return Ok(News::Thinking);
        }
        sched.kill(id)?;
        // Taken, so that its slot is free; its outcome is known.
        sched.take(id);
        self.respawn();
        Ok(News::Killed)
    }

    /// The update has ended by itself.
    fn ended(&mut self, outcome: &Outcome) -> Result<News> {
        self.update = None;
        if let Outcome::Returned(_) = outcome {
            self.x = self.instance.with_data(|body| body.x)?;
            return Ok(News::Done);
        }
        // It trapped, and its instance is gone: its own, and nobody else's.
        self.respawn();
        Ok(News::Died)
    }

    /// Puts a fresh instance of the same script in the cave.
    fn respawn(&mut self) {
        *self = Character::new(self.name, self.script.clone(), CAVE);
    }
}

/// What became of a character's update in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// It is done.
    Done,
    /// It goes on in the next frame.
    Thinking,
    /// It trapped.
    Died,
    /// The host gave up on it.
    Killed,
}

impl News {
    /// How it is shown.
    fn mark(self) -> &'static str {
        match self {
            News::Done => "",
            News::Thinking => " ...",
            News::Died => " died",
            News::Killed => " killed",
        }
    }
}

/// What a script can do in the world. The functions run in the middle of a slice and return at once.
fn world(engine: &Engine) -> Result<Linker<Body>> {
    let mut world = Linker::new(engine);
    world
        .func("world", "me", |caller: Caller<'_, HostState<Body>>| caller.data().data.x)?
        .func("world", "player", |caller: Caller<'_, HostState<Body>>| caller.data().data.player)?
        .func("world", "move", |mut caller: Caller<'_, HostState<Body>>, by: i32| {
            // A script may ask for any number; how far it gets is the host's affair.
            caller.data_mut().data.x += by.clamp(-1, 1);
        })?;
    Ok(world)
}

/// The characters, each at its place.
fn characters(engine: &Engine) -> Result<Vec<Character>> {
    let world = world(engine)?;
    let script = |name, text| world.link(&Module::from_bytes(engine, name, text)?);
    let guard = script("guard", GUARD)?;
    Ok(vec![
        Character::new("ann", guard.clone(), -10),
        Character::new("bob", guard, 12),
        Character::new("sage", script("sage", SAGE)?, 6),
        Character::new("goblin", script("goblin", GOBLIN)?, CAVE),
    ])
}

/// One frame: everybody's update is begun or goes on, for `FRAME` fuel in all. Says how many were killed.
fn play(frame: i32, characters: &mut [Character], sched: &mut Executor<RoundRobin>) -> Result<usize> {
    let player = frame / 2;
    for character in &mut *characters {
        character.begin(sched, player)?;
    }
    let ran = sched.run_for(Budget::fuel(FRAME));
    // The promise of the frame: it is over by one slice's overshoot at most, which is the longest way from one yield point to
    // the next, and in these scripts less than 30 fuel.
    assert!(ran.fuel < Fuel(FRAME + 30), "{ran:?}");

    let mut killed = 0;
    let mut line = format!("{frame:>5} {:>7} {:>6} {player:>7}  ", ran.fuel, ran.polls);
    for character in characters {
        let news = character.end(sched)?;
        killed += usize::from(news == News::Killed);
        line += &format!(" {:<14}", format!("{} {}{}", character.name, character.x, news.mark()));
    }
    println!("{}", line.trim_end());
    Ok(killed)
}

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let mut characters = characters(&engine)?;
    let mut sched = Executor::builder().policy(RoundRobin::new(QUANTUM)).build();
    let mut killed = 0;

    println!("frame    fuel slices  player   characters (... = the update goes on in the next frame)");
    for frame in 1..=FRAMES {
        killed += play(frame, &mut characters, &mut sched)?;
    }
    println!("{killed} killed, {} updates under way, {} fuel in all", sched.live(), sched.totals().fuel);
    assert_eq!(killed, 1, "the goblin that looped");
    assert_eq!(characters[0].x, FRAMES - 10, "a guard walks in every frame");
    Ok(())
}
