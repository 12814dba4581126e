//! The hub's side of the link with the agents.
//!
//! Owns sessions: what each agent is told, what it says, whether it is there. The rules are in
//! [`session`] (pure); the rest brings them to a gRPC stream. Never decides what a cluster should
//! run and never stores anything: both are behind [`port`]. The caller's cluster always comes from
//! its certificate.

mod admission;
mod blobs;
mod drive;
mod enroll;
pub mod limits;
pub mod message;
mod pace;
mod peer;
pub mod port;
mod service;
pub mod session;
mod sessions;
#[cfg(test)]
pub(crate) mod testing;
mod wire;

pub(crate) use self::sessions::Turn;
pub use self::{
    enroll::EnrollmentApi,
    service::{AgentLinkApi, Options},
    sessions::{CommandError, Sessions},
};
