//! Transactions: comparisons that must hold, operations that are then done together.
//!
//! Also owns the limits, the same on every backend, so that what works on the embedded store
//! works on etcd. Never touches storage.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{entry::Entry, error::Error, key};

/// Most operations in a transaction, and most comparisons (etcd's default is 128 of each).
pub const MAX_OPERATIONS: usize = 100;

/// Most bytes of keys and values in a transaction: 1 MiB (etcd refuses requests over 1.5 MiB).
pub const MAX_BYTES: usize = 1 << 20;

/// What must be true of a key for a transaction to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key's `mod_revision` is this; 0 means that the key must not exist.
    ModRevision(u64),
    /// The key exists, whatever its value.
    Exists,
}

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// What must be true of it.
    pub expect: Expect,
}

impl Compare {
    /// Whether the condition holds for what is stored.
    pub fn holds(&self, current: Option<&Entry>) -> bool {
        match self.expect {
            Expect::Exists => current.is_some(),
            Expect::ModRevision(expected) => {
                current.map_or(0, |entry| entry.mod_revision) == expected
            }
        }
    }
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Creates or replaces the value.
    Put {
        /// The key.
        key: String,
        /// The new value.
        value: Bytes,
    },
    /// Deletes the key; nothing happens if it does not exist.
    Delete {
        /// The key.
        key: String,
    },
}

impl Op {
    /// The key that is changed.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// Operations that are committed together, if every comparison holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// Conditions, all of which must hold.
    pub compare: Vec<Compare>,
    /// Changes in order; no key twice.
    pub ops: Vec<Op>,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was written"]
pub enum Outcome {
    /// Done and durable.
    Committed {
        /// The transaction's revision, or the store's if nothing changed.
        revision: u64,
    },
    /// Not done: a comparison did not hold.
    Conflict(Conflict),
}

/// The first comparison of a transaction that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its place in [`Txn::compare`].
    pub index: usize,
    /// The comparison.
    pub compare: Compare,
    /// What is stored under its key now.
    pub current: Option<Entry>,
}

impl Txn {
    /// An empty transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires that `key` does not exist.
    #[must_use]
    pub fn when_absent(self, key: impl Into<String>) -> Self {
        self.when_unchanged(key, 0)
    }

    /// Requires that `key` was last written at `mod_revision`; 0 requires that it does not exist.
    #[must_use]
    pub fn when_unchanged(mut self, key: impl Into<String>, mod_revision: u64) -> Self {
        self.compare.push(Compare {
            key: key.into(),
            expect: Expect::ModRevision(mod_revision),
        });
        self
    }

    /// Requires that `key` exists.
    #[must_use]
    pub fn when_exists(mut self, key: impl Into<String>) -> Self {
        self.compare.push(Compare {
            key: key.into(),
            expect: Expect::Exists,
        });
        self
    }

    /// Writes `value` under `key`.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.ops.push(Op::Put {
            key: key.into(),
            value: value.into(),
        });
        self
    }

    /// Deletes `key`.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.ops.push(Op::Delete { key: key.into() });
        self
    }

    /// Bytes of all keys and values, as [`MAX_BYTES`] counts them.
    pub fn bytes(&self) -> usize {
        let compares = self.compare.iter().map(|compare| compare.key.len());
        let ops = self.ops.iter().map(|op| match op {
            Op::Put { key, value } => key.len() + value.len(),
            Op::Delete { key } => key.len(),
        });
        compares.chain(ops).sum()
    }

    /// Checks keys and limits; every backend does this before anything else.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::TooManyOperations`], [`Error::TooLarge`],
    /// [`Error::DuplicateKey`].
    pub fn check(&self) -> Result<(), Error> {
        let most = self.ops.len().max(self.compare.len());
        if most > MAX_OPERATIONS {
            return Err(Error::TooManyOperations { count: most });
        }
        let bytes = self.bytes();
        if bytes > MAX_BYTES {
            return Err(Error::TooLarge { bytes });
        }
        for compare in &self.compare {
            key::check(&compare.key)?;
        }
        let mut seen = BTreeSet::new();
        for op in &self.ops {
            key::check(op.key())?;
            if !seen.insert(op.key()) {
                return Err(Error::DuplicateKey {
                    key: op.key().to_owned(),
                });
            }
        }
        Ok(())
    }
}

impl Outcome {
    /// The revision of a committed transaction; `None` for a conflict.
    pub fn committed(&self) -> Option<u64> {
        match self {
            Self::Committed { revision } => Some(*revision),
            Self::Conflict(_) => None,
        }
    }
}
