//! Tests of the promotion engine against simulated agents around the production `step`.
//!
//! `world` is the hub's rim and the agents; `history` drives it at random and holds the invariants;
//! the other modules show one rule each by example.

#![allow(
    clippy::pedantic,
    clippy::style,
    clippy::perf,
    clippy::complexity,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and may look at the clock; it is read for what it shows"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

mod admitting;
mod agent;
mod clock;
mod crowd;
mod failing;
mod fixture;
mod history;
mod planning;
mod requests;
mod rolling;
mod strategies;
mod world;
