//! What is read from the store: entries, pages, changes.
//!
//! Never reads anything itself.

use bytes::Bytes;

/// A key with its value and history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, `/tidegate/v1/<kind>/…`.
    pub key: String,
    /// The value, opaque to the store.
    pub value: Bytes,
    /// Revision of the transaction that created the key (after its last deletion).
    pub create_revision: u64,
    /// Revision of the transaction that wrote this value.
    pub mod_revision: u64,
    /// Number of writes since creation, from 1.
    pub version: u64,
}

/// Which entries to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Prefix of the keys; ends with `/`.
    pub prefix: String,
    /// Start behind this key, exclusive; it is under the prefix.
    pub after: Option<String>,
    /// At most this many entries; `None` reads all.
    pub limit: Option<usize>,
}

impl Range {
    /// Everything under `prefix`, which ends with `/`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            after: None,
            limit: None,
        }
    }

    /// Reads at most `limit` entries; 0 reads only the revision.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Continues behind `key`, as [`Page::next`] says.
    #[must_use]
    pub fn after(mut self, key: impl Into<String>) -> Self {
        self.after = Some(key.into());
        self
    }
}

/// One answer to a [`Range`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries in byte order of their keys.
    pub entries: Vec<Entry>,
    /// The store's revision that all entries are from.
    pub revision: u64,
    /// The key to continue after, if there is more.
    pub next: Option<String>,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The key was created or written; the entry is as it was right after that transaction.
    Put(Entry),
    /// The key was deleted.
    Delete {
        /// The key.
        key: String,
        /// Revision of the transaction that deleted it.
        mod_revision: u64,
    },
}

impl Event {
    /// The key that changed.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// Revision of the transaction that changed it.
    pub fn mod_revision(&self) -> u64 {
        match self {
            Self::Put(entry) => entry.mod_revision,
            Self::Delete { mod_revision, .. } => *mod_revision,
        }
    }

    /// The new entry, or `None` if the key was deleted.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Put(entry) => Some(entry),
            Self::Delete { .. } => None,
        }
    }
}

/// The changes of one transaction that a watch asked for, never a part of them. Empty only to say
/// how far a watch is whose prefix did not change (see [`crate::Store::watch`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The transaction's revision.
    pub revision: u64,
    /// Its changes in the order of its operations.
    pub events: Vec<Event>,
}
