//! The versioned key-value store and the blob store behind the hub.
//!
//! Owns: what a durable decision is. A record is acknowledged only once it is on disk, whole, and
//! a reader or a watch sees a transaction whole or not at all. Shaped like etcd (revision, get,
//! range, compare-and-transact, watch from a revision), so that one suite
//! (`tests/conformance`) holds every backend to the same meaning and the hub cannot tell them
//! apart. Never knows what a value means: records are encoded by the hub, and contents (objects,
//! bundles, releases) are blobs, named by digest and kept outside the store.
//!
//! Start at [`Store`]; [`Embedded`] is the default backend, [`Etcd`] the one for several hubs,
//! [`Memory`] serves tests and the one-command demo. [`blob::BlobStore`] is the other half.

pub mod blob;
pub mod disk;
pub mod embedded;
pub mod entry;
pub mod error;
pub mod etcd;
mod follow;
pub mod key;
pub mod memory;
pub mod store;
pub mod txn;

pub use crate::{
    blob::{Blob, BlobId, BlobStore},
    embedded::Embedded,
    entry::{Batch, Entry, Event, Page, Range},
    error::Error,
    etcd::Etcd,
    memory::Memory,
    store::Store,
    txn::{Compare, Conflict, Expect, Op, Outcome, Txn},
};
