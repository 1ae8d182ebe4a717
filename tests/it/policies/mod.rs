//! The policies' promises, as properties over random task sets on plain futures.

mod cyclic;
#[cfg(feature = "lottery")]
mod lottery;
mod mlfq;
//! The promise of each policy, as properties over random task sets and whatever a host may do to them.
mod priority;
mod weighted;
