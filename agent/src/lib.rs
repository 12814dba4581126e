//! The agent: reconciles its own cluster and reports health.
//!
//! Owns: what happens inside one cluster, with or without a hub. [`port`] is the seam between the
//! link, which talks to the hub, and the reconciler, which talks to the API server. The pure core
//! ([`plan`], [`stage`], [`manifest`], [`ownership`], [`prune`], [`fields`], [`drift`], [`health`],
//! [`heal`], [`inventory`]) takes values and returns values; everything else is the rim. Never
//! renders, never decides a rollout.

pub mod blobs;
pub mod board;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod drift;
pub mod fields;
pub mod heal;
pub mod health;
pub mod identity;
pub mod inventory;
pub mod link;
pub mod manifest;
pub mod metrics;
pub mod ownership;
pub mod plan;
pub mod port;
pub mod prune;
pub mod runtime;
pub mod stage;
pub mod state;
pub mod traces;

mod accepted;
mod apply;
mod claims;
mod delete;
mod reconcile;
mod supervisor;
mod volumes;
mod watch;
