//! Whole-system tests: real control planes, stories, conformance, tidiness.
//!
//! Owns what those tests share. It is never part of what is shipped.

pub mod bench;
pub mod harness;
pub mod story;
