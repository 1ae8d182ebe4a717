//! Policies by name: what there is, with which parameters, and how each is made.

use crate::modes;
use crate::plan::{Plan, closest};
use crate::units::{MOST_FUEL, whole};
use fuelsched::policy::{Edf, Lottery, Mlfq, Priority, RoundRobin, Weighted};
use fuelsched::{Clock, Fuel, Policy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A policy, and its parameters where they are not the usual ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicySpec {
    /// Its name.
    pub(crate) name: String,
    /// Its parameters.
    pub(crate) params: BTreeMap<String, u64>,
}

/// What makes a policy, for an executor that goes by this clock.
type Make = fn(&PolicySpec, &Plan, &Clock) -> Result<Box<dyn Policy>, String>;

/// A policy that can be named.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, in a line.
    about: &'static str,
    /// Its parameters.
    pub(crate) params: &'static [Parameter],
    /// Makes one.
    make: Make,
}

/// A parameter of a policy.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, and what holds without it.
    about: &'static str,
    /// The least that it takes.
    pub(crate) least: u64,
    /// The most.
    pub(crate) most: u64,
}

/// All policies.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "round-robin",
        about: "in turns, charged by exact fuel",
        params: &[],
        make: |_, plan, _| Ok(Box::new(RoundRobin::new(Fuel(plan.quantum)))),
    },
    Kind {
        name: "weighted",
        about: "by weight: of tasks, and of groups",
        params: &[],
        make: |_, plan, _| Ok(Box::new(Weighted::new(Fuel(plan.quantum)))),
    },
    Kind {
        name: "priority",
        about: "the highest priority first, in turns within one",
        params: &[fuel("ageing", "rise one level for each N fuel of waiting (no ageing)")],
        make: |spec, plan, _| {
            let policy = Priority::new(Fuel(plan.quantum));
            Ok(Box::new(spec.fuel("ageing").into_iter().fold(policy, Priority::ageing)))
        },
    },
    Kind {
        name: "edf",
        about: "the earliest deadline first, for tasks with a period; the others after them",
        params: &[],
        make: |_, plan, _| Ok(Box::new(Edf::new(Fuel(plan.quantum)))),
    },
    Kind {
        name: "mlfq",
        about: "who uses up its turns sinks to lower levels, so short tasks come first",
        params: &[
            Parameter { name: "levels", about: "how many levels (4)", least: 1, most: 32 },
            fuel("boost", "everybody back to the top every N fuel (100 quanta)"),
        ],
        make: |spec, plan, _| {
            let policy = spec.fuel("boost").into_iter().fold(Mlfq::new(Fuel(plan.quantum)), Mlfq::boost);
            let levels = spec.params.get("levels").and_then(|n| u8::try_from(*n).ok());
            Ok(Box::new(levels.into_iter().fold(policy, Mlfq::levels)))
        },
    },
    Kind {
        name: "lottery",
        about: "drawn by tickets, which are the weights",
        params: &[Parameter { name: "seed", about: "of the random numbers (0)", least: 0, most: u64::MAX }],
        make: |spec, plan, _| {
            let seed = spec.params.get("seed").copied().unwrap_or(0);
            Ok(Box::new(Lottery::new(Fuel(plan.quantum), seed)))
        },
    },
    Kind {
        name: "cyclic",
        about: "by windows of a frame that repeats; only a plan can say what they are",
        params: &[],
        make: |_, plan, clock| match &plan.frames {
            Some(frames) => modes::build(frames, Fuel(plan.quantum), clock).map_err(|error| error.to_string()),
            None => Err("cyclic needs windows, which only a plan can say: [[policy.mode]] in docs/plan.md".into()),
        },
    },
];

impl Default for PolicySpec {
    fn default() -> PolicySpec {
        PolicySpec { name: "round-robin".into(), params: BTreeMap::new() }
    }
}

/// The policy of a name.
pub(crate) fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// The parameter of a name.
    pub(crate) fn param(&self, name: &str) -> Option<&'static Parameter> {
        self.params.iter().find(|param| param.name == name)
    }

    /// The names of its parameters, as messages have them.
    pub(crate) fn has(&self) -> String {
        let names: Vec<String> = self.params.iter().map(|param| format!("`{}`", param.name)).collect();
        if names.is_empty() { "it has no parameters".into() } else { format!("it has {}", names.join(", ")) }
    }
}

impl PolicySpec {
    /// Reads `NAME[:KEY=VALUE]…`.
    pub(crate) fn parse(text: &str) -> Result<PolicySpec, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let kind = kind(name).ok_or_else(|| unknown(name))?;
        let mut spec = PolicySpec { name: kind.name.into(), params: BTreeMap::new() };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let param = kind.param(key).ok_or_else(|| format!("{name} has no '{key}'; {}", kind.has()))?;
            let value = whole(value).filter(|n| (param.least..=param.most).contains(n)).ok_or_else(|| {
                format!(
                    "{key} takes a whole number from {} to {}, such as {name}:{key}={}",
                    param.least,
                    param.most,
                    param.most.min(1_000)
                )
            })?;
            spec.params.insert(param.name.into(), value);
        }
        Ok(spec)
    }

    /// This policy, with the parameters that `other` has beside its own if it is the same policy.
    pub(crate) fn over(mut self, other: &PolicySpec) -> PolicySpec {
        if self.name == other.name {
            for (key, value) in &other.params {
                self.params.entry(key.clone()).or_insert(*value);
            }
        }
        self
    }

    /// Makes the policy, for an executor that goes by this clock.
    pub(crate) fn build(&self, plan: &Plan, clock: &Clock) -> Result<Box<dyn Policy>, String> {
        let kind = kind(&self.name).ok_or_else(|| unknown(&self.name))?;
        (kind.make)(self, plan, clock)
    }

    /// A parameter that is fuel.
    fn fuel(&self, name: &str) -> Option<Fuel> {
        self.params.get(name).map(|n| Fuel(*n))
    }

    /// As it is written on a command line.
    pub(crate) fn written(&self) -> String {
        let params = self.params.iter().map(|(key, value)| format!(":{key}={value}"));
        params.fold(self.name.clone(), |text, param| text + &param)
    }
}

/// A name that is no policy's.
pub(crate) fn unknown(name: &str) -> String {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let meant = closest(name, names.iter().copied()).map_or(String::new(), |name| format!("did you mean '{name}'? "));
    format!("there is no such policy; {meant}there are {}", names.join(", "))
}

/// All policies with their parameters, for help.
pub(crate) fn help() -> String {
    let mut text = String::from("Policies, as --policy takes them: NAME[:KEY=VALUE]...\n");
    for kind in KINDS {
        text += &format!("  {:<12} {}\n", kind.name, kind.about);
        for param in kind.params {
            text += &format!("  {:<12}   :{}=N  {}\n", "", param.name, param.about);
        }
    }
    text
}

/// What fuel may be, as a parameter.
const fn fuel(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, least: 1, most: MOST_FUEL }
}
