//! The sandbox against the real thing: its table of built-in kinds is the server's, and every case
//! of one suite gives the same result on both.
//!
//! Owns the cases, the comparison and the list of named exceptions. It knows the sandbox only
//! through a `kube::Client`, as the agent does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its own functions too"
)]

#[path = "sandbox/alone.rs"]
mod alone;
#[path = "sandbox/applies.rs"]
mod applies;
#[path = "sandbox/columns.rs"]
mod columns;
#[path = "sandbox/discovers.rs"]
mod discovers;
#[path = "sandbox/exceptions.rs"]
mod exceptions;
#[path = "sandbox/keeps.rs"]
mod keeps;
#[path = "sandbox/kubectl.rs"]
mod kubectl;
#[path = "sandbox/lives.rs"]
mod lives;
#[path = "sandbox/parameters.rs"]
mod parameters;
#[path = "sandbox/patches.rs"]
mod patches;
#[path = "sandbox/reads.rs"]
mod reads;
#[path = "sandbox/recorder.rs"]
mod recorder;
#[path = "sandbox/refuses.rs"]
mod refuses;
#[path = "sandbox/rules.rs"]
mod rules;
#[path = "sandbox/suite.rs"]
mod suite;
#[path = "sandbox/table.rs"]
mod table;
#[path = "sandbox/tables.rs"]
mod tables;
#[path = "sandbox/watching.rs"]
mod watching;
#[path = "sandbox/weighs.rs"]
mod weighs;
#[path = "sandbox/writes.rs"]
mod writes;
