//! The test bed on real servers: what later tests build on holds.
//!
//! Owns the proof that fleets start, run workloads, go through outages, follow
//! their script and leave nothing behind. It knows nothing of Tidegate.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its own functions too"
)]

#[path = "controlplane/endings.rs"]
mod endings;
#[path = "controlplane/outages.rs"]
mod outages;
#[path = "controlplane/script.rs"]
mod script;
#[path = "controlplane/support.rs"]
mod support;
#[path = "controlplane/workloads.rs"]
mod workloads;
