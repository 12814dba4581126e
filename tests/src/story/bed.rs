//! On what a story is told: which clusters it has, and where its hub keeps records.
//!
//! Never starts anything.

use std::fmt;

/// A kind of stage. The same story, word for word, must come true on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bed {
    /// Real clusters; the hub keeps its records in a file.
    Redb,
    /// Real clusters; the hub keeps its records in an etcd of its own.
    Etcd,
    /// Clusters in this process; the hub keeps its records in a file.
    Sandbox,
}

impl Bed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Redb, Self::Etcd, Self::Sandbox];

    /// The bed of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bed| bed.to_string() == name)
    }
}

impl fmt::Display for Bed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redb => "redb",
            Self::Etcd => "etcd",
            Self::Sandbox => "sandbox",
        })
    }
}
