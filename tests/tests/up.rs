//! `tidegate up` and `down`, as a newcomer meets them: the shipped program as a process, looked at
//! from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "up/demo.rs"]
mod demo;
#[path = "up/mishaps.rs"]
mod mishaps;
#[path = "up/rolling.rs"]
mod rolling;
