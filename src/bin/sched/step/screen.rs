//! The microscope on a terminal: one key, one poll.
//!
//! ```text
//!   where the run is
//!  ┌ tasks: name, fuel, state, the policy's numbers ──────────┐
//!  └──────────────────────────────────────────────────────────┘
//!  ┌ the latest poll ─────────┐┌ stack of the chosen task ────┐
//!  └ and what came of it ─────┘└──────────────────────────────┘
//!   who is next
//!  ─ memory of the chosen task ───────────────────────────────
//!   what there is to say, or the prompt
//!   keys
//! ```
//!
//! What is to be drawn is collected in a [`View`] first, so that drawing is a function of that and can be tested without a terminal.

use super::command::{Change, Command, HELP, Until, parse};
use super::microscope::{Microscope, Stopped, Watch};
use super::{obey, show};
use crate::output;
use crate::run::Sched;
use anyhow::Result;
use fuelsched::TaskState;
use fuelsched::reason::Param;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
use ratatui::{DefaultTerminal, Frame};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The smallest screen that all of it fits on.
const SMALLEST: (u16, u16) = (80, 24);
/// Bytes of memory that are shown.
const WINDOW: usize = 64;
/// How long to wait for a key before looking whether the program is to end.
const PATIENCE: Duration = Duration::from_millis(200);
/// How lines are broken that are too long.
const WRAP: Wrap = Wrap { trim: true };
/// The keys.
const KEYS: &str = "space step  b back  s switch  t trap  e end  ↑↓ choose  k kill  z pause  +- quantum  pgup/dn memory  : command  ? help  q quit";

/// What is to be drawn.
#[derive(Debug, Default)]
struct View {
    /// Where the run is.
    place: String,
    /// The tasks, a line each.
    tasks: Vec<String>,
    /// Which of them is chosen.
    chosen: usize,
    /// The latest poll, and what came of it.
    last: Vec<String>,
    /// Where the chosen task is.
    stack: Vec<String>,
    /// Who is next.
    ready: String,
    /// A window on the chosen task's memory, or why there is none.
    memory: String,
    /// What there is to say, or what is being typed.
    bottom: String,
    /// A text over all of it, and how many of its lines are above.
    over: Option<(String, u16)>,
}

/// The terminal, and what stands there: shared by those who draw between walks and during one.
#[derive(Clone)]
struct Stage(Rc<RefCell<(DefaultTerminal, View)>>);

impl Stage {
    /// Draws.
    fn show(&self, view: View) -> io::Result<()> {
        let (terminal, shown) = &mut *self.0.borrow_mut();
        *shown = view;
        terminal.draw(|frame| draw(frame, shown)).map(drop)
    }
}

impl Watch for Stage {
    fn goes_on(&mut self, polls: u64, sched: &Sched) -> bool {
        let (terminal, shown) = &mut *self.0.borrow_mut();
        shown.over = None;
        let so_far = [output::count(polls, "poll"), format!("clock {}", sched.now()), format!("{} live", sched.live())];
        shown.bottom = format!("running: {}; Esc stops", so_far.join(", "));
        // If it cannot be drawn now, it will be said when the walk is over.
        let _ = terminal.draw(|frame| draw(frame, shown));
        !esc_was_pressed()
    }
}

/// What is chosen, typed and said.
#[derive(Debug, Default)]
struct Hand {
    /// The chosen task.
    chosen: usize,
    /// Where the window on its memory begins.
    address: usize,
    /// What is being typed, if the prompt is open.
    typed: Option<String>,
    /// What there is to say.
    message: String,
    /// A text over the screen, until the next key, and how many of its lines are above.
    over: Option<(String, u16)>,
    /// Whether that is all.
    done: bool,
}

/// A flag that a signal raises. Here Ctrl-C is a key, and there are no other signals.
#[cfg(not(unix))]
pub(super) fn catch_interrupt() -> Result<Arc<AtomicBool>> {
    crate::run::catch_interrupt()
}

/// A flag that a signal raises. A second one, should the first not be heeded in the middle of a long poll, ends the process; the terminal is
/// put back before.
#[cfg(unix)]
pub(super) fn catch_interrupt() -> Result<Arc<AtomicBool>> {
    use crate::report::INTERRUPTED;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use std::sync::atomic::Ordering;
    use std::thread;
    let raised = Arc::new(AtomicBool::new(false));
    let (mut signals, flag) = (Signals::new([SIGINT, SIGTERM])?, raised.clone());
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if flag.swap(true, Ordering::Relaxed) {
                ratatui::restore();
                signal_hook::low_level::exit(i32::from(INTERRUPTED));
            }
        }
    })?;
    Ok(raised)
}

/// Shows the microscope until the user has had enough. The terminal is put back however that ends.
pub(super) fn run(microscope: &mut Microscope<'_>) -> Result<()> {
    output::hush(true);
    let stage = Stage(Rc::new(RefCell::new((ratatui::try_init()?, View::default()))));
    microscope.watch(Box::new(stage.clone()));
    let shown = show_all(microscope, &stage);
    ratatui::try_restore()?;
    output::hush(false);
    shown
}

/// Draws, waits for a key, does what it says, and so on.
fn show_all(microscope: &mut Microscope<'_>, stage: &Stage) -> Result<()> {
    let mut hand = Hand::default();
    while !hand.done && !microscope.is_ended_by_signal() {
        let view = look(microscope, &mut hand);
        stage.show(view)?;
        if event::poll(PATIENCE)?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            press(microscope, &mut hand, key);
        }
    }
    Ok(())
}

/// Whether somebody wants a long walk to end. Other keys that were pressed meanwhile are forgotten.
fn esc_was_pressed() -> bool {
    let mut pressed = false;
    while event::poll(Duration::ZERO).unwrap_or(false) {
        if let Ok(Event::Key(key)) = event::read() {
            pressed |= key.code == KeyCode::Esc || is_ctrl_c(key);
        }
    }
    pressed
}

/// Ctrl-C, which is a key while the screen is shown.
fn is_ctrl_c(key: KeyEvent) -> bool {
    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// Does what a key says.
fn press(microscope: &mut Microscope<'_>, hand: &mut Hand, key: KeyEvent) {
    if is_ctrl_c(key) {
        hand.done = true;
        return;
    }
    if let Some((text, above)) = hand.over.take() {
        let above = match key.code {
            KeyCode::Up => above.saturating_sub(1),
            KeyCode::Down => above.saturating_add(1).min(text.lines().count().saturating_sub(1) as u16),
            _ => return,
        };
        hand.over = Some((text, above));
        return;
    }
    if let Some(typed) = &mut hand.typed {
        match key.code {
            KeyCode::Esc => hand.typed = None,
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(c) => typed.push(c),
            KeyCode::Enter => {
                let line = hand.typed.take().unwrap_or_default();
                say(microscope, hand, &line);
            }
            _ => {}
        }
        return;
    }
    hand.message.clear();
    let task = hand.chosen.to_string();
    let command = match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Command::Quit,
        KeyCode::Char(' ' | 'n') | KeyCode::Right => Command::Step(1),
        KeyCode::Char('b') | KeyCode::Left => Command::Back(1),
        KeyCode::Char('s') => Command::Until(Until::Switch),
        KeyCode::Char('t') => Command::Until(Until::Trap),
        KeyCode::Char('e') => Command::Until(Until::End),
        KeyCode::Char('c') => Command::Until(Until::Task(task)),
        KeyCode::Char('k') => Command::Change(Change::Kill(task)),
        KeyCode::Char('z') => Command::Change(pause(microscope, hand.chosen)),
        KeyCode::Char('+') => Command::Change(quantum(microscope, hand.chosen, |n| n.saturating_mul(2))),
        KeyCode::Char('-') => Command::Change(quantum(microscope, hand.chosen, |n| n / 2)),
        other => return move_hand(microscope, hand, other),
    };
    carry_out(microscope, hand, command);
}

/// Moves what is chosen, or opens something.
fn move_hand(microscope: &Microscope<'_>, hand: &mut Hand, key: KeyCode) {
    let last = microscope.tasks().len().saturating_sub(1);
    match key {
        KeyCode::Up => hand.chosen = hand.chosen.saturating_sub(1),
        KeyCode::Down | KeyCode::Tab => hand.chosen = (hand.chosen + 1).min(last),
        KeyCode::PageUp => hand.address = hand.address.saturating_sub(WINDOW),
        KeyCode::PageDown => hand.address = hand.address.saturating_add(WINDOW),
        KeyCode::Char(':') => hand.typed = Some(String::new()),
        KeyCode::Char('?') => {
            let lines: Vec<String> = HELP.iter().map(|(form, what)| format!("{form}\n    {what}")).collect();
            hand.over = Some((format!("Behind : can be typed\n\n{}", lines.join("\n")), 0));
        }
        _ => {}
    }
}

/// Suspends a task, or resumes it.
fn pause(microscope: &Microscope<'_>, task: usize) -> Change {
    let id = microscope.tasks().get(task).map(|known| known.id);
    match id.and_then(|id| microscope.session.sched.state(id)) {
        Some(TaskState::Suspended) => Change::Resume(task.to_string()),
        _ => Change::Suspend(task.to_string()),
    }
}

/// Another quantum for a task.
fn quantum(microscope: &Microscope<'_>, task: usize, change: impl Fn(u64) -> u64) -> Change {
    let present = show::number(microscope, task, "quantum").unwrap_or(microscope.plan().quantum);
    Change::Set(task.to_string(), Param::Quantum(fuelsched::Fuel(change(present).max(1))))
}

/// Does what was typed.
fn say(microscope: &mut Microscope<'_>, hand: &mut Hand, line: &str) {
    match parse(line) {
        Ok(None) => {}
        Ok(Some(command)) => carry_out(microscope, hand, command),
        Err(error) => hand.message = error,
    }
}

/// Carries out a command. What is to be shown comes over the screen, and what went wrong below.
fn carry_out(microscope: &mut Microscope<'_>, hand: &mut Hand, command: Command) {
    let stopped = match command {
        Command::Quit => {
            hand.done = true;
            return;
        }
        Command::Step(polls) => Ok(microscope.step(polls)),
        Command::Back(polls) => microscope.back(polls),
        Command::Until(until) => microscope.until(&until),
        Command::Change(change) => microscope.change(change).map(|()| Stopped::There),
        other => {
            match obey(microscope, other) {
                Ok(text) => hand.over = Some((text, 0)),
                Err(error) => hand.message = error,
            }
            return;
        }
    };
    hand.message = match stopped {
        Ok(stopped) => show::stopped(&stopped).unwrap_or_default(),
        Err(error) => error,
    };
}

/// Collects what is to be drawn.
fn look(microscope: &mut Microscope<'_>, hand: &mut Hand) -> View {
    hand.chosen = hand.chosen.min(microscope.tasks().len().saturating_sub(1));
    let chosen = hand.chosen.to_string();
    let line = |task: usize| {
        let mark = if task == hand.chosen { '▸' } else { ' ' };
        let (name, fuel) = (output::clean(&microscope.name(task)), show::used(microscope, task).to_string());
        let numbers = show::numbers(microscope, task);
        format!("{mark}{name:10} {fuel:>11}  {}  {numbers}", show::state(microscope, task))
    };
    let tasks = (0..microscope.tasks().len()).map(line).collect();
    let policy = &microscope.plan().policy;
    let place = format!("sched step · {} · {}", show::place(microscope), policy.written());
    let (last, ready) = (show::last(microscope), show::ready(microscope));
    let stack = show::stack(microscope, &chosen).unwrap_or_else(|why| vec![why]);
    let memory = match show::memory(microscope, &chosen, "memory", hand.address, WINDOW) {
        Err(_) if microscope.debugs() => show::memory(microscope, &chosen, "@0", hand.address, WINDOW),
        memory => memory,
    };
    let memory = memory.unwrap_or_else(|why| why);
    let bottom = match &hand.typed {
        Some(typed) => format!(":{typed}▏"),
        None => hand.message.clone(),
    };
    let over = hand.over.clone();
    View { place, tasks, chosen: hand.chosen, last, stack, ready, memory, bottom, over }
}

/// Draws it.
fn draw(frame: &mut Frame<'_>, view: &View) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (width, height) = SMALLEST;
        let text = format!(
            "The screen is {} by {}; it has to be {width} by {height} at least.\nq quits.",
            area.width, area.height
        );
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let rows = [1, 7, 7, 1, 5, 1, 2].map(Constraint::Length);
    let rows = rows.into_iter().enumerate().map(|(row, fixed)| if row == 1 { Constraint::Min(7) } else { fixed });
    let [place, tasks, middle, ready, memory, bottom, keys] = Layout::vertical(rows).areas(area);
    let [last, stack] = Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)]).areas(middle);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(view.place.as_str()).style(bold), place);
    draw_tasks(frame, tasks, view);
    draw_lines(frame, last, " latest poll ", &view.last);
    draw_lines(frame, stack, " stack of the chosen task ", &view.stack);
    frame.render_widget(Paragraph::new(view.ready.trim_end()), ready);
    let block = Block::new().borders(Borders::TOP).title(" its memory ");
    frame.render_widget(Paragraph::new(Text::raw(view.memory.as_str())).wrap(WRAP).block(block), memory);
    frame.render_widget(Paragraph::new(view.bottom.as_str()).style(bold), bottom);
    frame.render_widget(Paragraph::new(KEYS).wrap(WRAP), keys);
    if let Some((text, above)) = &view.over {
        let inner = Rect { x: area.x + 2, y: area.y + 1, width: area.width - 4, height: area.height - 2 };
        let text = Paragraph::new(text.as_str()).scroll((*above, 0));
        frame.render_widget(Clear, inner);
        frame.render_widget(text.block(Block::bordered().title(" ↑↓ more, any other key goes on ")), inner);
    }
}

/// The tasks, so that the chosen one is seen.
fn draw_tasks(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let room = usize::from(area.height.saturating_sub(2));
    let first = view.chosen.saturating_sub(room.saturating_sub(1));
    let style =
        |task: usize| if task == view.chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let lines: Vec<Line<'_>> =
        (first..view.tasks.len()).take(room).map(|task| Line::styled(view.tasks[task].as_str(), style(task))).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" tasks ")), area);
}

/// Some lines in a box.
fn draw_lines(frame: &mut Frame<'_>, area: Rect, title: &str, lines: &[String]) {
    let lines: Vec<Line<'_>> = lines.iter().map(|line| Line::raw(line.as_str())).collect();
    let text = Paragraph::new(lines).wrap(WRAP);
    frame.render_widget(text.block(Block::bordered().title(title)), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    /// The screen, line by line.
    fn drawn(width: u16, height: u16, view: &View) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_string();
        (0..height).map(line).collect()
    }

    /// Something to look at.
    fn view() -> View {
        let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
        View {
            place: "sched step · 4 polls, clock 406, 2 live · round-robin".into(),
            tasks: lines(&[
                "▸fib                205  ready  quantum 100",
                " main               201  ready  quantum 100",
            ]),
            chosen: 0,
            last: lines(&["main, its slice 2: picked for turn", "granted 95, used 96; then preempted"]),
            stack: lines(&["fib at 0x22", "fib at 0x32"]),
            ready: "next: fib, main; then: nobody\n".into(),
            memory: "00000000  61 62  ab\n".into(),
            bottom: ":until".into(),
            over: None,
        }
    }

    #[test]
    fn all_of_it_fits_a_usual_terminal() {
        let expected = "\
sched step · 4 polls, clock 406, 2 live · round-robin
┌ tasks ───────────────────────────────────────────────────────────────────────┐
│▸fib                205  ready  quantum 100                                   │
│ main               201  ready  quantum 100                                   │
│                                                                              │
│                                                                              │
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘
┌ latest poll ───────────────────────────────┐┌ stack of the chosen task ──────┐
│main, its slice 2: picked for turn          ││fib at 0x22                     │
│granted 95, used 96; then preempted         ││fib at 0x32                     │
│                                            ││                                │
│                                            ││                                │
│                                            ││                                │
└────────────────────────────────────────────┘└────────────────────────────────┘
next: fib, main; then: nobody
 its memory ────────────────────────────────────────────────────────────────────
00000000  61 62  ab



:until
space step  b back  s switch  t trap  e end  ↑↓ choose  k kill  z pause  +-
quantum  pgup/dn memory  : command  ? help  q quit";
        assert_eq!(drawn(80, 24, &view()), expected.lines().collect::<Vec<_>>());
    }

    #[test]
    fn a_text_lies_over_it_and_can_be_moved() {
        let text: String = (0..40).map(|n| format!("line {n}\n")).collect();
        let over = drawn(80, 24, &View { over: Some((text, 7)), ..view() });
        assert!(over[2].starts_with("│▸│line 7 ") && over[1].contains("any other key goes on"), "{over:#?}");
    }

    #[test]
    fn a_screen_that_is_too_small_says_so() {
        let small = drawn(79, 24, &view());
        assert_eq!(small[0], "The screen is 79 by 24; it has to be 80 by 24 at least.");
    }

    #[test]
    fn the_chosen_task_is_always_seen() {
        let tasks: Vec<String> = (0..100).map(|n| format!("task {n}")).collect();
        let screen = drawn(80, 24, &View { tasks, chosen: 57, ..view() });
        assert!(screen[2].starts_with("│task 53") && screen[6].starts_with("│task 57"), "{screen:#?}");
    }
}
