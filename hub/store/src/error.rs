//! What can go wrong in the key-value store.
//!
//! Callers ask three questions ([`Error::is_retryable`], [`Error::needs_relist`],
//! [`Error::is_outcome_unknown`]) instead of matching variants.

use std::path::PathBuf;

use crate::{disk, etcd, txn};

/// An error of the store. Messages name the file and say what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key or prefix does not have the form of [`crate::key`].
    #[error("failed to use key {key:?}: {reason}")]
    Key {
        /// The key, cut to 200 characters.
        key: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A transaction has too many operations or comparisons.
    #[error(
        "failed to commit: {count} operations in one transaction, at most {max} are allowed; \
         split it",
        max = txn::MAX_OPERATIONS
    )]
    TooManyOperations {
        /// How many it has.
        count: usize,
    },
    /// A transaction is too large.
    #[error(
        "failed to commit: {bytes} bytes in one transaction, at most {max} are allowed; \
         split it or keep the content as a blob",
        max = txn::MAX_BYTES
    )]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// A transaction changes a key twice.
    #[error("failed to commit: key {key:?} is changed twice in one transaction")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A watch starts before the history that is kept.
    #[error(
        "failed to watch after revision {after}: history is kept from revision {oldest} on; \
         list again and watch from there"
    )]
    Compacted {
        /// Where the watch wanted to start.
        after: u64,
        /// The oldest revision a watch can start after.
        oldest: u64,
    },
    /// A watch starts after a revision that this store has never had.
    #[error(
        "failed to watch after revision {after}: the store is at revision {current}, so it was \
         replaced by an older copy; list again and watch from there"
    )]
    Future {
        /// Where the watch wanted to start.
        after: u64,
        /// The store's revision.
        current: u64,
    },
    /// Another process has the store open.
    #[error(
        "failed to open the store {path}: another process has it open; run one hub for each \
         store file, and wait for the old one to end"
    )]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// The file was written by a newer Tidegate.
    #[error(
        "failed to open the store {path}: it has format {found}, this Tidegate reads up to \
         {supported}; start a version at least as new as the one that wrote it"
    )]
    NewerFormat {
        /// The store's file.
        path: PathBuf,
        /// Format version in the file.
        found: u64,
        /// Newest format version this code reads.
        supported: u64,
    },
    /// The file is not a store, or its content is damaged.
    #[error(
        "failed to read the store {path}: {detail}; it is left as it is: restore it from a \
         backup, or move it away to start empty (agents keep what they run)"
    )]
    Corrupted {
        /// The store's file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The disk refused a read or a write.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The operating system could not say whether written data reached the disk.
    #[error(
        "failed to make a transaction in {path} durable: {detail}; nothing more is written: \
         check the disk, then restart the hub, which checks the file"
    )]
    NotDurable {
        /// The store's file.
        path: PathBuf,
        /// What the operating system said.
        detail: String,
    },
    /// A call to etcd failed.
    #[error(transparent)]
    Etcd(#[from] etcd::Fault),
    /// The store is closed, or its writer ended unexpectedly (which is logged).
    #[error("failed to use the store: it is closed; restart the hub if it is not ending")]
    Closed,
}

impl Error {
    /// Whether the same call can succeed later without anyone changing the call, the file or the
    /// program: a full disk that is made free, a second process that ends.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Locked { .. } => true,
            Self::Disk(error) => error.is_retryable(),
            Self::Etcd(fault) => fault.is_retryable(),
            _ => false,
        }
    }

    /// Whether a watch must be replaced by a new list and a new watch.
    pub fn needs_relist(&self) -> bool {
        matches!(self, Self::Compacted { .. } | Self::Future { .. })
    }

    /// Whether a transaction that got this error may have been committed all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Disk(_) | Self::NotDurable { .. } | Self::Corrupted { .. } | Self::Closed => true,
            Self::Etcd(fault) => fault.is_outcome_unknown(),
            _ => false,
        }
    }
}
