//! Content for the length of one answer: reads what the hub keeps, writes into memory.
//!
//! Owns that a preview leaves no blob behind. Never deletes anything.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt as _, future, future::BoxFuture};
use tidegate_store::{
    Blob, BlobId, BlobStore,
    blob::{Error, MemoryBlobs, Swept, Usage},
};

/// The store. Clones share it.
#[derive(Clone)]
pub(super) struct Shelf {
    written: Arc<MemoryBlobs>,
    below: Arc<dyn BlobStore>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

impl Shelf {
    /// An empty store over one that is only read.
    pub(super) fn over(below: Arc<dyn BlobStore>) -> Self {
        Self {
            written: Arc::default(),
            below,
        }
    }
}

impl BlobStore for Shelf {
    fn put(&self, blobs: Vec<Blob>) -> BoxFuture<'_, Result<(), Error>> {
        self.written.put(blobs)
    }

    fn get<'a>(&'a self, id: &'a BlobId) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        let read = async move {
            match self.written.get(id).await? {
                Some(bytes) => Ok(Some(bytes)),
                None => self.below.get(id).await,
            }
        };
        read.boxed()
    }

    fn has<'a>(&'a self, id: &'a BlobId) -> BoxFuture<'a, Result<bool, Error>> {
        let look = async move { Ok(self.written.has(id).await? || self.below.has(id).await?) };
        look.boxed()
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, Error>> {
        self.written.usage()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobId>, Error>> {
        self.written.list()
    }

    fn sweep(&self, _keep: BTreeSet<BlobId>) -> BoxFuture<'_, Result<Swept, Error>> {
        future::ready(Ok(Swept::default())).boxed()
    }
}
