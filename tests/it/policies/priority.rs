//! Fixed priorities.
