//! The agent's reconcile half on a real API server, with exactly the RBAC of `deploy/agent`.
//!
//! Owns the proof of what only a real server can show: ownership of fields, no-op writes, staged
//! order, prune with proof, drift and heal, state that survives. The names T1, T2 … are the cases
//! of the agent's fact sheet (section 3).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

#[path = "agent_reconcile/apply.rs"]
mod apply;
#[path = "agent_reconcile/drift.rs"]
mod drift;
#[path = "agent_reconcile/heir.rs"]
mod heir;
#[path = "agent_reconcile/kinds.rs"]
mod kinds;
#[path = "agent_reconcile/ownership.rs"]
mod ownership;
#[path = "agent_reconcile/prune.rs"]
mod prune;
#[path = "agent_reconcile/state.rs"]
mod state;
#[path = "agent_reconcile/support.rs"]
mod support;
