//! The end of content that nothing refers to any more: the component that sweeps the blob store.
//!
//! Owns when, and that nothing is swept while it is not sure what must stay. What must stay is
//! `keep`'s to say; that a blob goes only after two sweeps is the blob store's.

pub mod keep;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_model::digest::Digest;
use tidegate_store::{blob, blob::Swept};
use tokio_util::sync::CancellationToken;

pub(crate) use self::keep::{Keep, Roots};
use crate::{
    db::Db,
    publish::gather::{self, Gatherer},
};

/// Blobs that are read at a time.
const READERS: usize = 8;

/// Why nothing was swept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that must stay cannot be read, so it is not known what it refers to.
    #[error("failed to find out what must stay, so nothing was swept: {0}")]
    Unreadable(#[from] gather::Error),
    /// The blob store failed.
    #[error("failed to sweep: {0}")]
    Blob(#[from] blob::Error),
}

/// The component.
#[derive(Debug)]
pub struct Sweeper {
    db: Db,
    content: Arc<Gatherer>,
    interval: Duration,
}

impl Sweeper {
    /// A sweeper of the blobs that `content` writes, every `interval`.
    pub fn new(db: Db, content: Arc<Gatherer>, interval: Duration) -> Self {
        Self {
            db,
            content,
            interval,
        }
    }

    /// Sweeps until `cancel`. The next sweep is the retry.
    pub async fn run(self, cancel: CancellationToken) {
        if let Err(error) = self.measure().await {
            tracing::warn!(%error, "the size of the blob store is not known until the first sweep");
        }
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(self.interval) => {}
            }
            // A sweep that is dropped half way has deleted nothing that it should not.
            tokio::select! {
                () = cancel.cancelled() => return,
                swept = self.sweep() => if let Err(error) = swept {
                    tracing::error!(%error, "the next sweep tries again");
                }
            }
        }
    }

    /// One sweep.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        // What is rendered after this is put anew; what was before is committed, and seen here.
        let roots = self
            .content
            .between_passes(|| Roots::of(&self.db.read()))
            .await;
        let keep = self.keep(roots).await?.into_ids();
        let kept = keep.len();
        let swept = self.db.blobs().sweep(keep).await?;
        self.db.metrics().swept(swept.deleted);
        self.measure().await?;
        tracing::info!(
            kept,
            deleted = swept.deleted,
            pending = swept.pending,
            "swept the blob store"
        );
        Ok(swept)
    }

    /// Tells the metrics what the blobs take.
    async fn measure(&self) -> Result<(), Error> {
        let usage = self.db.blobs().usage().await?;
        self.db.metrics().stored(usage.blobs, usage.bytes);
        Ok(())
    }

    /// Follows the roots down to objects.
    async fn keep(&self, roots: Roots) -> Result<Keep, Error> {
        let mut keep = Keep::default();
        let mut releases = stream::iter(roots.entries)
            .map(|digest| async move { Ok((digest, self.content.entries(digest).await?)) })
            .buffered(READERS);
        while let Some((digest, entries)) = releases.try_next().await.map_err(unreadable)? {
            keep.entries(digest, &entries)?;
        }
        let bundles: BTreeSet<Digest> = roots.bundles.union(keep.bundles()).copied().collect();
        let mut bundles = stream::iter(bundles)
            .map(|digest| async move { Ok((digest, self.content.bundle(digest).await?)) })
            .buffered(READERS);
        while let Some((digest, bundle)) = bundles.try_next().await.map_err(unreadable)? {
            keep.bundle(digest, &bundle)?;
        }
        Ok(keep)
    }
}

fn unreadable(error: gather::Error) -> Error {
    error.into()
}

#[cfg(test)]
mod tests;
