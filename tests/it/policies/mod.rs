//! The policies' promises, as properties over random task sets on plain futures.

mod conduct;
mod cyclic;
mod edf;
#[cfg(feature = "lottery")]
mod lottery;
mod mlfq;
mod priority;
mod weighted;
