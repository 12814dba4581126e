//! Blobs in memory: for tests and demonstrations.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{FutureExt as _, future, future::BoxFuture};

use super::{Blob, BlobId, BlobStore, Error, Swept, Usage, sweep::Sweeper};

/// A blob store that is gone with the process.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    blobs: Mutex<BTreeMap<BlobId, Bytes>>,
    sweeper: Sweeper,
}

impl MemoryBlobs {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<BlobId, Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryBlobs {
    fn put(&self, blobs: Vec<Blob>) -> BoxFuture<'_, Result<(), Error>> {
        for blob in blobs {
            self.sweeper.touch(&blob.id);
            self.blobs().insert(blob.id, blob.bytes);
        }
        future::ready(Ok(())).boxed()
    }

    fn get<'a>(&'a self, id: &'a BlobId) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        future::ready(Ok(self.blobs().get(id).cloned())).boxed()
    }

    fn has<'a>(&'a self, id: &'a BlobId) -> BoxFuture<'a, Result<bool, Error>> {
        future::ready(Ok(self.blobs().contains_key(id))).boxed()
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, Error>> {
        let blobs = self.blobs();
        let usage = Usage {
            blobs: blobs.len(),
            bytes: blobs.values().map(|bytes| bytes.len() as u64).sum(),
        };
        future::ready(Ok(usage)).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobId>, Error>> {
        future::ready(Ok(self.blobs().keys().cloned().collect())).boxed()
    }

    fn sweep(&self, keep: BTreeSet<BlobId>) -> BoxFuture<'_, Result<Swept, Error>> {
        let swept = self.sweeper.run(
            &keep,
            || Ok(self.blobs().keys().cloned().collect()),
            |id| {
                self.blobs().remove(id);
                Ok(())
            },
        );
        future::ready(swept).boxed()
    }
}
