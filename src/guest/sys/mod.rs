//! What only the system or the processor can do: the one folder with `unsafe`.
//!
//! | file | holds |
//! |---|---|
//! | `near` | bringing memory near that will soon be needed |

mod near;

pub(super) use near::fetch;
