//! Hub and agent together: the two state machines in a simulated network, and the two links over
//! real mTLS on loopback with a fake hub behind the one and a fake cluster behind the other.
//!
//! Owns the proof that both sides converge whatever gets lost, and that each thing that must be
//! refused is refused with its reason at both ends. No Kubernetes and no store is needed here.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

#[path = "link/agent.rs"]
mod agent;
#[path = "link/converge.rs"]
mod converge;
#[path = "link/deliver.rs"]
mod deliver;
#[path = "link/enroll.rs"]
mod enroll;
#[path = "link/hub.rs"]
mod hub;
#[path = "link/model.rs"]
mod model;
#[path = "link/refuse.rs"]
mod refuse;
#[path = "link/sim.rs"]
mod sim;
#[path = "link/translate.rs"]
mod translate;
