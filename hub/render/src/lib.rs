//! A source directory becomes a bundle.
//!
//! Owns: which files of a directory are manifests, what an object in them must have, and the
//! bundle with its objects by digest. The same source at the same commit gives the same bytes on
//! every machine: no clock, no order of a file system, no environment. Never fetches (it reads a
//! [`SourceTree`]) and never talks to a cluster.
//!
//! The hub renders trees of Git objects, the command line the same code over a directory.

pub mod error;
mod object;
pub mod plain;
mod select;
pub mod tree;

pub use crate::{
    error::{Error, Place},
    plain::{Limits, Rendered, Warning, render},
    tree::{EntryKind, FileEntry, SourceTree},
};
