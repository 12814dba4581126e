//! The built binary against a hub that answers from canned data, over mutual TLS.
//!
//! Owns what a user sees: results, words, exit codes. Never looks inside the program.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says where by panicking"
)]

mod applied;
mod audit;
mod contexts;
mod data;
mod exits;
mod fleet;
mod follow;
mod golden;
mod happenings;
mod help;
mod insight;
mod ledger;
mod offline;
mod pages;
mod pki;
mod plans;
mod reach;
mod terminal;
mod trust;
mod verbs;
mod waits;
mod watching;
mod widths;
mod world;
