//! The policies' promises, as properties over random task sets on plain futures.

#[cfg(feature = "lottery")]
mod lottery;
mod mlfq;
