//! The hub: sources, controllers, agent sessions, Fleet API.
//!
//! Owns the truth (its store) and every decision about it. One binary, `tidegate-hub`; the library
//! is there for its tests and for processes that embed a hub. Where to read first is in
//! ARCHITECTURE.md, "Follow one change through the code".

pub mod api;
pub mod audit;
pub mod backend;
pub mod backup;
pub mod changes;
pub mod clock;
pub mod config;
pub mod controller;
pub mod db;
pub mod diff;
mod doors;
pub mod enroll;
pub mod events;
pub mod evidence;
mod files;
pub mod garbage;
pub mod git;
pub mod health;
pub mod home;
pub mod identity;
pub mod init;
pub mod layout;
pub mod link;
pub mod measure;
pub mod migrate;
mod moving;
mod pem;
pub mod poller;
pub mod preview;
pub mod promote;
pub mod publish;
pub mod records;
pub mod rejection;
pub mod restore;
pub mod restored;
pub mod retire;
mod rotation;
pub mod runtime;
pub mod settled;
pub mod standby;
pub mod state;
pub mod storage;
pub mod telemetry;
pub mod tell;
#[cfg(test)]
mod testing;
