//! What is inside guests and not exported, for `--debug`; in a build without the feature `debug`, why it cannot be seen.

#[cfg(feature = "debug")]
pub(super) use with::{all, config, global, memory};
#[cfg(not(feature = "debug"))]
pub(super) use without::{all, config, global, memory};

/// In a build that can instrument guests.
#[cfg(feature = "debug")]
mod with {
    use crate::output;
    use crate::step::microscope::Microscope;
    use crate::step::show::{MOST_TASKS, in_reach};
    use anyhow::Result;
    use fuelsched::value::Value;
    use fuelsched::{EngineConfig, Error, ErrorKind, Fuel, TaskId};

    /// The settings with those for `--debug`.
    pub(in crate::step) fn config(config: EngineConfig, debug: bool) -> Result<EngineConfig> {
        Ok(config.guest_debug(debug))
    }

    /// An error, by what the user of this program can do about it.
    fn said(error: &Error) -> String {
        match error.kind() {
            ErrorKind::NotInstrumented { module } => {
                format!("{module}: only what it exports can be seen, unless with --debug")
            }
            _ => error.to_string(),
        }
    }

    /// The memories and globals of a task, exported or not.
    pub(in crate::step) fn all(microscope: &mut Microscope<'_>, task: &str) -> Result<String, String> {
        let id = microscope.id(task)?;
        let insides = microscope.session.sched.insides(id, MOST_TASKS).map_err(|error| said(&error))?;
        let memories = insides.memories.iter().enumerate();
        let memories =
            memories.map(|(index, size)| vec![format!("memory @{index}"), format!("{} bytes", Fuel(*size as u64))]);
        let value = |value: &Option<Value>| match value {
            Some(value) => format!("{value} ({})", value.ty()),
            None => "a reference".into(),
        };
        let globals = insides.globals.iter().enumerate();
        let globals = globals.map(|(index, global)| vec![format!("global @{index}"), value(global)]);
        let mut text = output::table(&["what", "value"], memories.chain(globals), &[]);
        if insides.more {
            text += " … and more globals\n";
        }
        Ok(text)
    }

    /// A global, by its index.
    pub(in crate::step) fn global(microscope: &mut Microscope<'_>, id: TaskId, index: u32) -> Result<Value, String> {
        microscope.session.sched.private_global(id, index).map_err(|error| said(&error))
    }

    /// A part of a memory, by its index.
    pub(in crate::step) fn memory(
        microscope: &mut Microscope<'_>,
        id: TaskId,
        index: u32,
        from: usize,
        length: usize,
    ) -> Result<Vec<u8>, String> {
        let sched = &mut microscope.session.sched;
        let memories = sched.insides(id, 0).map_err(|error| said(&error))?.memories;
        let size = *memories.get(index as usize).ok_or_else(|| format!("there is no memory @{index}"))?;
        let mut bytes = vec![0; in_reach(&format!("@{index}"), size, from, length)?];
        sched.read_private_memory(id, index, from, &mut bytes).map_err(|error| said(&error))?;
        Ok(bytes)
    }
}

/// In a build that cannot.
#[cfg(not(feature = "debug"))]
mod without {
    use crate::step::microscope::Microscope;
    use anyhow::{Result, ensure};
    use fuelsched::value::Value;
    use fuelsched::{EngineConfig, TaskId};

    /// What there is to do about it.
    const NOT_HERE: &str = "this build can show only what guests export; cargo build --release --features debug makes one with sched step --debug";

    /// The settings, if nothing else is asked for.
    pub(in crate::step) fn config(config: EngineConfig, debug: bool) -> Result<EngineConfig> {
        ensure!(!debug, NOT_HERE);
        Ok(config)
    }

    /// Nothing.
    pub(in crate::step) fn all(_: &mut Microscope<'_>, _: &str) -> Result<String, String> {
        Err(NOT_HERE.into())
    }

    /// Nothing.
    pub(in crate::step) fn global(_: &mut Microscope<'_>, _: TaskId, _: u32) -> Result<Value, String> {
        Err(NOT_HERE.into())
    }

    /// Nothing.
    pub(in crate::step) fn memory(
        _: &mut Microscope<'_>,
        _: TaskId,
        _: u32,
        _: usize,
        _: usize,
    ) -> Result<Vec<u8>, String> {
        Err(NOT_HERE.into())
    }
}
