//! The agent's side of the link with the hub.
//!
//! Owns the one session with the hub: when it is opened, what is said on it, when it is opened
//! again. The rules are in [`session`] (pure); the rest brings them to a gRPC stream. Never applies
//! anything and never keeps state: both are behind [`port`]. Without a hub nothing here is needed.

pub mod backoff;
mod connect;
mod drive;
mod fetch;
pub mod message;
mod metrics;
pub mod port;
mod run;
pub mod session;
mod wire;

pub use self::{
    connect::{Error as ConnectError, Hub},
    metrics::Metrics,
    run::{Link, LinkHandle, Options, Status},
};
