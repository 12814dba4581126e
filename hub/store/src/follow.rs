//! Turns a kept history into a watch: the one implementation for every embedded backend.
//!
//! A watch holds a position, not a queue: it reads the history when the store's revision moves,
//! a bounded piece at a time. A slow watcher therefore costs no memory, and one that is slower
//! than the history is told so. Never writes.

use std::{collections::VecDeque, sync::Arc};

use futures::{StreamExt as _, future::BoxFuture, stream};
use tokio::sync::watch;

use crate::{entry::Batch, error::Error, key, store::Changes};

/// A piece of history.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// Batches with events under the prefix, oldest first.
    pub(crate) batches: Vec<Batch>,
    /// Every revision up to this one has been looked at.
    pub(crate) through: u64,
}

/// A backend that keeps the changes of its last transactions.
pub(crate) trait History: Send + Sync + 'static {
    /// Changes under `prefix` after revision `after`: a bounded piece that moves on if there is
    /// anything to move to, or [`Error::Compacted`] or [`Error::Future`].
    fn since(self: Arc<Self>, prefix: &str, after: u64) -> BoxFuture<'_, Result<Piece, Error>>;
}

/// Refuses a position that `oldest..=current` does not cover.
pub(crate) fn check_position(after: u64, oldest: u64, current: u64) -> Result<(), Error> {
    if after < oldest {
        Err(Error::Compacted { after, oldest })
    } else if after > current {
        Err(Error::Future { after, current })
    } else {
        Ok(())
    }
}

struct Follower<H> {
    history: Arc<H>,
    head: watch::Receiver<u64>,
    prefix: String,
    position: u64,
    ready: VecDeque<Batch>,
}

/// A watch over `history`. `head` carries the store's revision and closes when the store does.
pub(crate) fn follow<H: History>(
    history: Arc<H>,
    head: watch::Receiver<u64>,
    prefix: &str,
    after: u64,
) -> Changes {
    if let Err(error) = key::check_prefix(prefix) {
        return stream::once(async { Err(error) }).boxed();
    }
    let follower = Follower {
        history,
        head,
        prefix: prefix.to_owned(),
        position: after,
        ready: VecDeque::new(),
    };
    stream::unfold(Some(follower), |follower| async {
        let mut follower = follower?;
        match follower.next().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(follower))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .fuse()
    .boxed()
}

impl<H: History> Follower<H> {
    async fn next(&mut self) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            // Marked as seen before the read, so that a commit during the read wakes us again.
            self.head.borrow_and_update();
            let history = Arc::clone(&self.history);
            let piece = history.since(&self.prefix, self.position).await?;
            let moved = piece.through > self.position;
            self.position = piece.through;
            self.ready = piece.batches.into();
            if self.ready.is_empty() && !moved && self.head.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
