//! The built binary against a hub that answers from canned data, over mutual TLS.
//!
//! Owns what a user sees: results, words, exit codes. Never looks inside the program.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says where by panicking"
)]

mod data;
mod exits;
mod fleet;
mod follow;
mod golden;
mod insight;
mod offline;
mod pki;
mod trust;
mod verbs;
mod waits;
mod world;
