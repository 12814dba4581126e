//! Where things are in the hub's state directory.
//!
//! Owns the names. Never opens anything.

use std::path::{Path, PathBuf};

/// The state directory.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of this directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Certificate authority and the hub's own certificate.
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.root.join("store.redb")
    }

    /// The store's file while records are being moved into it.
    pub fn store_unfinished(&self) -> PathBuf {
        self.root.join("store.redb.unfinished")
    }

    /// The store's file after its records were moved to an etcd.
    pub fn store_moved(&self) -> PathBuf {
        self.root.join("store.redb.moved")
    }

    /// Says that a restore is under way, and of which backup.
    pub fn restore_mark(&self) -> PathBuf {
        self.root.join("restore.unfinished")
    }

    /// Says that the records are in an etcd, and where it was.
    pub fn etcd_mark(&self) -> PathBuf {
        self.root.join("store.etcd")
    }

    /// The directory's own id, which the records name.
    pub fn home(&self) -> PathBuf {
        self.root.join("id")
    }

    /// Blobs by digest.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Mirrors of Git repositories: a cache.
    pub fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }
}
