//! Records on their way into a store that holds none: by `restore` and by `migrate`.
//!
//! Owns the mark that keeps hubs away until all of them are there, and the beginning anew after an
//! interruption. Never changes a record.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use bytes::Bytes;
use prost::Message as _;
use tidegate_proto::storage::v1::Move;
use tidegate_store::{
    Outcome, Range, Store, Txn, key,
    txn::{MAX_BYTES, MAX_OPERATIONS},
};
use tokio::time::Instant;

/// Where the mark is.
const MARK: &str = "/tidegate/v1/moves/_";

/// A key and its value.
pub(crate) type Records = Vec<(String, Bytes)>;

/// Why records are not in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store holds something.
    #[error(
        "failed to move records: the store holds records already, as {first}; choose an empty one, \
         or delete them if they are of no use (in etcd: `etcdctl del --prefix /tidegate/v1/`)"
    )]
    InUse {
        /// The first key.
        first: String,
    },
    /// Another move into the store was begun.
    #[error(
        "failed to move records: another move into the store was begun and is not over; finish it: \
         {command}"
    )]
    Other {
        /// What finishes it.
        command: String,
    },
    /// Somebody else writes.
    #[error(
        "failed to move records: {key} was changed meanwhile by somebody else; is a hub running on the store?"
    )]
    Disturbed {
        /// Which key.
        key: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] tidegate_store::Error),
}

/// The mark of a store that records are being moved into or away from.
pub(crate) async fn mark(store: &dyn Store) -> Result<Option<Move>, tidegate_store::Error> {
    let entry = store.get(MARK).await?;
    // What cannot be read is a mark all the same.
    Ok(entry.map(|entry| Move::decode(entry.value).unwrap_or_default()))
}

/// All records at one revision, the mark left out.
pub(crate) async fn all(store: &dyn Store) -> Result<(Records, u64), tidegate_store::Error> {
    let page = store.range(Range::prefix(key::ROOT)).await?;
    let entries = page.entries.into_iter().filter(|entry| entry.key != MARK);
    let records = entries.map(|entry| (entry.key, entry.value)).collect();
    Ok((records, page.revision))
}

/// Refuses a store that holds anything but what a move left whose mark `may_replace` accepts; returns
/// what it left.
pub(crate) async fn check_free(
    store: &dyn Store,
    may_replace: impl Fn(&Move) -> bool,
) -> Result<Records, Error> {
    let (left, _) = all(store).await?;
    match (mark(store).await?, left.first()) {
        (Some(found), _) if !may_replace(&found) => Err(Error::Other {
            command: found.command,
        }),
        (None, Some((first, _))) => Err(Error::InUse {
            first: first.clone(),
        }),
        _ => Ok(left),
    }
}

/// Sets the mark in a store that has none, or has one whose source `may_replace` accepts.
pub(crate) async fn begin(
    store: &dyn Store,
    ours: &Move,
    may_replace: impl Fn(&Move) -> bool,
) -> Result<(), Error> {
    let known = store.get(MARK).await?;
    if let Some(found) = &known {
        let found = Move::decode(found.value.clone()).unwrap_or_default();
        if !may_replace(&found) {
            return Err(Error::Other {
                command: found.command,
            });
        }
    }
    let txn = Txn::new()
        .when_unchanged(MARK, known.map_or(0, |entry| entry.mod_revision))
        .put(MARK, ours.encode_to_vec());
    commit(store, txn).await
}

/// Puts these records into a store that is empty, or in which the same move was interrupted, and
/// reads them back. No hub starts on it before [`end`].
pub(crate) async fn fill(
    store: &dyn Store,
    ours: &Move,
    may_replace: impl Fn(&Move) -> bool,
    records: &Records,
) -> Result<(), Error> {
    let left = check_free(store, &may_replace).await?;
    begin(store, ours, may_replace).await?;
    for keys in left.chunks(MAX_OPERATIONS - 1) {
        let deletes = keys
            .iter()
            .fold(Txn::new(), |txn, (key, _)| txn.delete(key));
        commit(store, deletes).await?;
    }
    let mut progress = Progress::new("records", records.len());
    let mut txn = Txn::new();
    for (key, value) in records {
        let full = txn.ops.len() >= MAX_OPERATIONS - 1
            || txn.bytes() + key.len() + value.len() + MARK.len() > MAX_BYTES;
        if full && !txn.ops.is_empty() {
            commit(store, std::mem::take(&mut txn).when_exists(MARK)).await?;
        }
        txn = txn.put(key, value.clone());
        progress.step();
    }
    if !txn.ops.is_empty() {
        commit(store, txn.when_exists(MARK)).await?;
    }
    let (written, _) = all(store).await?;
    let mut expected: Vec<_> = records.iter().collect();
    expected.sort();
    let differing = written
        .iter()
        .zip(&expected)
        .find(|(written, expected)| written != *expected);
    match differing {
        Some(((key, _), _)) => Err(Error::Disturbed { key: key.clone() }),
        None if written.len() != expected.len() => Err(Error::Disturbed {
            key: key::ROOT.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Lets hubs start on the store.
pub(crate) async fn end(store: &dyn Store) -> Result<(), Error> {
    commit(store, Txn::new().when_exists(MARK).delete(MARK)).await
}

async fn commit(store: &dyn Store, txn: Txn) -> Result<(), Error> {
    match store.transact(txn).await? {
        Outcome::Committed { .. } => Ok(()),
        Outcome::Conflict(conflict) => Err(Error::Disturbed {
            key: conflict.compare.key,
        }),
    }
}

/// How far something is, on standard error, where it takes longer than a second.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    done: usize,
    of: usize,
    told: Instant,
}

impl Progress {
    /// Of so many.
    pub(crate) fn new(what: &'static str, of: usize) -> Self {
        Self {
            what,
            done: 0,
            of,
            told: Instant::now(),
        }
    }

    /// One more is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.told.elapsed() >= Duration::from_secs(1) {
            self.told = Instant::now();
            // Whoever closed standard error does not want to know.
            let _ = writeln!(io::stderr(), "{} of {} {}", self.done, self.of, self.what);
        }
    }
}

#[cfg(test)]
mod tests;
