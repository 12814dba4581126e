//! What an expansion reads, as values.
//!
//! Never says how it was fetched.

use std::collections::BTreeMap;

use tidegate_model::{cluster::Cluster, source::RepoRevision};

/// Everything an expansion reads besides the set. The order of nothing in it matters.
#[derive(Clone, Debug, Default)]
pub struct Inputs<'a> {
    /// Every registered cluster.
    pub clusters: &'a [Cluster],
    /// For each repository and revision of [`crate::needs`], what was read there, or why it could
    /// not be.
    pub git: BTreeMap<RepoRevision, Result<GitInput, String>>,
}

/// A repository at a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitInput {
    /// The full commit id that the revision led to.
    pub commit: String,
    /// Every directory of the tree, relative to its root and without a slash at the end. Not read
    /// unless the need says `directories`.
    pub directories: Vec<String>,
    /// Path and content of every file that the need selects; more do no harm.
    pub files: BTreeMap<String, Vec<u8>>,
}
