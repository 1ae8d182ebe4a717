//! The functions of the import module `sched`. Those that can wait are asynchronous: their futures are polled in the guest's slices.

use super::super::hook::HostState;
use super::super::host::Linker;
use super::Host;
use super::call::{Call, GuestError, answer, length};
use crate::channel::LONGEST_NAME;
use crate::error::Result;
use crate::join::Ending;
use crate::value::ValueType;
use std::future::poll_fn;
use std::time::Duration;
use wasmtime::Caller;

/// The name of the import module.
const MODULE: &str = "sched";
/// How much of a line is logged, in bytes.
const LONGEST_LINE: u32 = 4096;
/// The most arguments that a spawned call can have: what a function can have by the limits of the Web's API.
const MOST_ARGUMENTS: u32 = 1000;
/// The size of what `join` writes.
const ENDING: usize = 32;

/// Serves the import module `sched`. `get` finds the task's [`Host`] in the embedder's data.
///
/// # Errors
/// [`ErrorKind::Definition`](crate::ErrorKind::Definition) when one of the names is taken.
pub fn add_to_linker<D: Send + 'static>(linker: &mut Linker<D>, get: fn(&mut D) -> &mut Host) -> Result<()> {
    add_time(linker, get)?;
    add_channels(linker, get)?;
    add_tasks(linker, get)
}

/// The functions about time and about the task itself.
fn add_time<D: Send + 'static>(linker: &mut Linker<D>, get: fn(&mut D) -> &mut Host) -> Result<()> {
    linker
        .func_async(MODULE, "yield", move |caller: Caller<'_, HostState<D>>, ()| {
            let call = Call::new(caller, get);
            Box::new(async move { call.meter().yield_now().await })
        })?
        .func_async(MODULE, "sleep_ns", move |caller: Caller<'_, HostState<D>>, (time,): (i64,)| {
            let call = Call::new(caller, get);
            Box::new(async move { call.sleep(time).await })
        })?
        .func(MODULE, "now_ns", move |caller: Caller<'_, HostState<D>>| {
            let now = Call::new(caller, get).meter().now();
            i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
        })?
        .func(MODULE, "task_id", move |caller: Caller<'_, HostState<D>>| {
            i64::try_from(Call::new(caller, get).meter().spawn_index()).unwrap_or(i64::MAX)
        })?
        .func(MODULE, "fuel_left", move |caller: Caller<'_, HostState<D>>| {
            let left = Call::new(caller, get).meter().budget_left();
            left.map_or(-1, |fuel| i64::try_from(fuel.0).unwrap_or(i64::MAX))
        })?
        .func(MODULE, "log", move |caller: Caller<'_, HostState<D>>, text: u32, bytes: u32| {
            answer(Call::new(caller, get).log(text, bytes))
        })?;
    Ok(())
}

/// The functions on channels.
fn add_channels<D: Send + 'static>(linker: &mut Linker<D>, get: fn(&mut D) -> &mut Host) -> Result<()> {
    linker
        .func(MODULE, "open", move |caller: Caller<'_, HostState<D>>, name: u32, bytes: u32, capacity: i32| {
            answer(Call::new(caller, get).open(name, bytes, capacity))
        })?
        .func_async(MODULE, "send", move |caller: Caller<'_, HostState<D>>, (handle, from, bytes): (i32, u32, u32)| {
            let call = Call::new(caller, get);
            Box::new(async move { answer(call.send(handle, from, bytes).await) })
        })?
        .func_async(MODULE, "recv", move |caller: Caller<'_, HostState<D>>, (handle, to, room): (i32, u32, u32)| {
            let call = Call::new(caller, get);
            Box::new(async move { answer(call.recv(handle, to, room).await) })
        })?
        .func(MODULE, "try_send", move |caller: Caller<'_, HostState<D>>, handle: i32, from: u32, bytes: u32| {
            answer(Call::new(caller, get).try_send(handle, from, bytes))
        })?
        .func(MODULE, "try_recv", move |caller: Caller<'_, HostState<D>>, handle: i32, to: u32, room: u32| {
            answer(Call::new(caller, get).try_recv(handle, to, room))
        })?
        .func(MODULE, "close", move |caller: Caller<'_, HostState<D>>, handle: i32| {
            answer(Call::new(caller, get).host().handles.close(handle).map(|()| 0))
        })?;
    Ok(())
}

/// The functions on tasks.
fn add_tasks<D: Send + 'static>(linker: &mut Linker<D>, get: fn(&mut D) -> &mut Host) -> Result<()> {
    linker
        .func(
            MODULE,
            "spawn",
            move |caller: Caller<'_, HostState<D>>, name: u32, bytes: u32, arguments: u32, count: u32| {
                answer(Call::new(caller, get).spawn((name, bytes), (arguments, count)))
            },
        )?
        .func_async(MODULE, "join", move |caller: Caller<'_, HostState<D>>, (handle, to): (i32, u32)| {
            let call = Call::new(caller, get);
            Box::new(async move { answer(call.join(handle, to).await) })
        })?;
    Ok(())
}

/// Time, and the log.
impl<D: 'static> Call<'_, D> {
    /// `sleep_ns`.
    async fn sleep(self, nanos: i64) {
        match u64::try_from(nanos) {
            Ok(nanos) if nanos > 0 => {
                let until = self.meter().now().saturating_add(Duration::from_nanos(nanos));
                self.meter().sleep_until(until).await;
            }
            _ => self.meter().yield_now().await,
        }
    }

    /// `log`.
    fn log(mut self, text: u32, bytes: u32) -> Result<i32, GuestError> {
        self.span(text, bytes.into())?;
        let bytes = bytes.min(LONGEST_LINE);
        let span = self.span(text, bytes.into())?;
        self.charge_bytes(bytes as usize);
        let Host { name, log, .. } = self.host();
        if let (name, Some(log)) = (name.clone(), log.clone()) {
            log(&name, &line(self.read(span)?));
        }
        Ok(length(bytes as usize))
    }
}

/// A line of a log: text, whatever the guest wrote, that moves no cursor and ends no line.
fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::with_capacity(text.len());
    for c in text.strip_suffix('\n').unwrap_or(&text).chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Channels.
impl<D: 'static> Call<'_, D> {
    /// `open`.
    fn open(mut self, name: u32, bytes: u32, capacity: i32) -> Result<i32, GuestError> {
        let name = self.name(name, bytes, LONGEST_NAME)?;
        let capacity = usize::try_from(capacity).map_err(|_| GuestError::Invalid)?;
        let host = self.host();
        host.handles.room()?;
        let channel = host.channels.open(&name, capacity)?;
        host.handles.add_channel(channel)
    }

    /// `send`.
    async fn send(mut self, handle: i32, from: u32, bytes: u32) -> Result<i32, GuestError> {
        let channel = self.channel(handle)?;
        let span = self.span(from, bytes.into())?;
        if bytes as usize > channel.longest_message() {
            return Err(GuestError::TooLarge);
        }
        self.charge_bytes(bytes as usize);
        let mut turn = channel.sending();
        let (call, channel) = (&mut self, &*channel);
        // The message is copied out of the guest's memory in the poll that puts it in: while it waits, it takes no room of the host's.
        let sent = poll_fn(move |cx| {
            let polled = channel.poll_send(&mut turn, call.read(span)?, cx).map_err(GuestError::from);
            channel.conclude_send(call.meter(), &turn, bytes as usize, polled)
        });
        sent.await.map(|()| 0)
    }

    /// `recv`.
    async fn recv(mut self, handle: i32, to: u32, room: u32) -> Result<i32, GuestError> {
        let channel = self.channel(handle)?;
        let span = self.span(to, room.into())?;
        let message = channel.recv_within(self.meter(), room as usize).await?;
        self.charge_bytes(message.len());
        self.write(span, &message)?;
        Ok(length(message.len()))
    }

    /// `try_send`.
    fn try_send(mut self, handle: i32, from: u32, bytes: u32) -> Result<i32, GuestError> {
        let channel = self.channel(handle)?;
        let span = self.span(from, bytes.into())?;
        channel.try_send_for(self.meter(), self.read(span)?)?;
        self.charge_bytes(bytes as usize);
        Ok(0)
    }

    /// `try_recv`.
    fn try_recv(mut self, handle: i32, to: u32, room: u32) -> Result<i32, GuestError> {
        let channel = self.channel(handle)?;
        let span = self.span(to, room.into())?;
        let message = channel.try_recv_for(self.meter(), room as usize)?;
        self.charge_bytes(message.len());
        self.write(span, &message)?;
        Ok(length(message.len()))
    }
}

/// Tasks.
impl<D: 'static> Call<'_, D> {
    /// `spawn`.
    fn spawn(mut self, (name, bytes): (u32, u32), (arguments, count): (u32, u32)) -> Result<i32, GuestError> {
        let name = self.name(name, bytes, LONGEST_NAME)?;
        let words = self.words(arguments, count)?;
        let host = self.host();
        let spawner = host.spawner.clone().ok_or(GuestError::NotAllowed)?;
        host.handles.room_for_child()?;
        self.charge_spawn();
        let child = spawner.spawn(self.meter(), &name, &words)?;
        self.host().handles.add_child(child)
    }

    /// Arguments for a call.
    fn words(&mut self, address: u32, count: u32) -> Result<Vec<u64>, GuestError> {
        let span = self.span(address, u64::from(count) * 8)?;
        if count > MOST_ARGUMENTS {
            return Err(GuestError::TooLarge);
        }
        self.charge_bytes(count as usize * 8);
        let (words, _) = self.read(span)?.as_chunks::<8>();
        Ok(words.iter().copied().map(u64::from_le_bytes).collect())
    }

    /// `join`.
    async fn join(mut self, handle: i32, to: u32) -> Result<i32, GuestError> {
        let child = self.child(handle)?;
        let span = self.span(to, ENDING as u64)?;
        let ending = self.meter().join(&child).await;
        self.charge_bytes(ENDING);
        self.write(span, &encode(&ending))?;
        self.host().handles.remove(handle);
        Ok(0)
    }
}

/// How a task ended, as `join` writes it.
///
/// ```text
///   0        4        8        12       16                24                32
///   ├────────┼────────┼────────┼────────┼─────────────────┼─────────────────┤
///   │outcome │exit    │values  │type    │the first value's bits, low half, high half
///   └────────┴────────┴────────┴────────┴─────────────────┴─────────────────┘
/// ```
fn encode(ending: &Ending) -> [u8; ENDING] {
    let first = ending.values.first();
    let numbers = [
        outcome_number(ending.outcome),
        ending.exit_code.map_or(0, i32::from),
        length(ending.values.len()),
        first.map_or(0, |value| type_number(value.ty())),
    ];
    let bits = match first {
        Some(crate::value::Value::I32(number)) => u128::from(i64::from(*number) as u64),
        Some(value) => value.bits(),
        None => 0,
    };
    let mut bytes = [0; ENDING];
    for (to, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        to.copy_from_slice(&number.to_le_bytes());
    }
    bytes[16..].copy_from_slice(&bits.to_le_bytes());
    bytes
}

/// The number of an outcome.
fn outcome_number(outcome: &str) -> i32 {
    match outcome {
        "returned" => 0,
        "exited" => 1,
        "trapped" => 2,
        "out-of-fuel" => 3,
        "killed" => 4,
        "stopped" => 5,
        "deadlocked" => 6,
        "failed" => 7,
        _ => 8,
    }
}

/// The number of a type: that of the binary format.
const fn type_number(ty: ValueType) -> i32 {
    match ty {
        ValueType::I32 => 0x7f,
        ValueType::I64 => 0x7e,
        ValueType::F32 => 0x7d,
        ValueType::F64 => 0x7c,
        ValueType::V128 => 0x7b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Trap};
    use crate::value::Value;

    #[test]
    fn a_line_of_a_log_moves_no_cursor() {
        assert_eq!(line(b"plain, \xc3\xa9\n"), "plain, é");
        assert_eq!(line(b"a\nb\r\x1b[2J\x00\xff"), "a\\nb\\r\\u{1b}[2J\\u{0}\u{fffd}");
    }

    #[test]
    fn an_ending_is_written_as_laid_out() {
        let numbers = |outcome: &Outcome| {
            let bytes = encode(&Ending::of(outcome));
            let word = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let long = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            (word(0), word(4), word(8), word(12), long(16), long(24))
        };
        let returned = |values: Vec<Value>| numbers(&Outcome::Returned(values));
        assert_eq!(returned(vec![]), (0, 0, 0, 0, 0, 0));
        assert_eq!(returned(vec![Value::I32(-2), Value::I32(7)]), (0, 0, 2, 0x7f, -2, 0));
        assert_eq!(returned(vec![Value::I64(i64::MIN)]), (0, 0, 1, 0x7e, i64::MIN, 0));
        assert_eq!(returned(vec![Value::F32(-1.0)]), (0, 0, 1, 0x7d, 0xbf80_0000, 0));
        assert_eq!(returned(vec![Value::F64(1.0)]), (0, 0, 1, 0x7c, 0x3ff0_0000_0000_0000, 0));
        assert_eq!(returned(vec![Value::V128((5 << 64) | 3)]), (0, 0, 1, 0x7b, 3, 5));
        assert_eq!(numbers(&Outcome::Exited(200)), (1, 200, 0, 0, 0, 0));
        let others = [Outcome::Trapped(Trap::new("x")), Outcome::OutOfFuel, Outcome::Killed, Outcome::Stopped];
        assert_eq!(others.map(|outcome| numbers(&outcome).0), [2, 3, 4, 5]);
    }
}
