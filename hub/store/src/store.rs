//! The trait every backend of the key-value store implements.
//!
//! Never names a backend. Method docs are the contract that the conformance suite checks.

use futures::{future::BoxFuture, stream::BoxStream};

use crate::{
    entry::{Batch, Entry, Page, Range},
    error::Error,
    txn::{Outcome, Txn},
};

/// A stream of committed changes; see [`Store::watch`].
pub type Changes = BoxStream<'static, Result<Batch, Error>>;

/// A versioned key-value store with compare-and-transact and watches.
///
/// The store's revision starts at 0 and rises with each transaction that changes something: by
/// one, unless another program writes into the same etcd, whose transactions count too. Nobody
/// may therefore rely on a revision being the next, only on its being later. Keys have the form `/tidegate/v1/<kind>/…`, see [`crate::key`].
///
/// # Unknown outcomes
///
/// [`Store::transact`] that returns an error for which [`Error::is_outcome_unknown`] holds may or
/// may not have been committed, and a caller that drops the future learns nothing either. The
/// caller reads again before it decides again; it never assumes.
pub trait Store: Send + Sync + 'static {
    /// The revision of the last committed transaction.
    fn revision(&self) -> BoxFuture<'_, Result<u64, Error>>;

    /// The entry under `key`, if there is one.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>>;

    /// Entries under a prefix in byte order of their keys, all from one revision.
    ///
    /// A page after the first is from its own, perhaps later, revision. Reading all pages and then
    /// watching after the *first* page's revision misses nothing.
    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>>;

    /// Commits all operations if every comparison holds, or none.
    ///
    /// Durable before it returns [`Outcome::Committed`]. Limits of [`crate::txn`] are checked
    /// first.
    fn transact(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, Error>>;

    /// Every change under `prefix` in transactions after revision `after`, in order, one
    /// [`Batch`] a transaction, without a gap; then waits for more. A batch without events says that
    /// nothing happened under `prefix` up to its revision: a watch of the root comes to every
    /// revision that [`Store::revision`] or [`Store::transact`] told.
    ///
    /// Pass the revision of the [`Page`] that was read. If the history no longer reaches back to
    /// `after`, or `after` lies in the future (the store was replaced by an older copy), the
    /// stream yields an error for which [`Error::needs_relist`] holds. After an error, and once
    /// the store is closed, the stream ends.
    fn watch(&self, prefix: &str, after: u64) -> Changes;
}
