//! Folding the store's changes into the view.
//!
//! A fault of the disk that can pass is waited out: the view stays as it was and then catches up.
//! Never goes on from where it would miss something.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use tidegate_store::Store;
use tokio_util::sync::CancellationToken;

use super::{PREFIX, Shared};
use crate::{events::Transaction, telemetry::witness::Witness};

/// Why there is no view any more when nothing is wrong.
const STOPPING: &str = "the hub is stopping";

/// How long a store that had a fault is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the store after revision `after` until `cancel` or a failure that does not pass.
pub(super) async fn follow(
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    mut after: u64,
    mut witness: Witness,
    cancel: CancellationToken,
) {
    let mut changes = store.watch(PREFIX, after);
    loop {
        let batch = tokio::select! {
            () = cancel.cancelled() => {
                // Whoever still waits for the view waits in vain.
                shared.failed.send_replace(Some(STOPPING.to_owned()));
                return;
            }
            batch = changes.next() => batch,
        };
        let folded = match batch {
            Some(Ok(batch)) => {
                after = batch.revision;
                fold(&shared, &batch, &mut witness)
            }
            Some(Err(error)) if error.is_retryable() => {
                tracing::warn!(%error, "the hub shows what it knew until it can read its store again");
                let pause = tokio::time::sleep(PAUSE);
                // Cancelled, the loop ends above.
                cancel.run_until_cancelled(pause).await;
                changes = store.watch(PREFIX, after);
                Ok(())
            }
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the store was closed".to_owned()),
        };
        if let Err(why) = folded {
            tracing::error!(
                error = why,
                "the hub can no longer follow its store and stops"
            );
            shared.failed.send_replace(Some(why));
            return;
        }
    }
}

fn fold(
    shared: &Shared,
    batch: &tidegate_store::Batch,
    witness: &mut Witness,
) -> Result<(), String> {
    let mut transaction = Transaction::default();
    let mut touched = BTreeSet::new();
    {
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        for event in &batch.events {
            let change = event
                .entry()
                .map(|entry| (entry.value.as_ref(), entry.mod_revision));
            transaction.before(&state, event.key(), event.entry());
            let before = Witness::before(&state, event.key());
            touched.extend(state.cluster_at(event.key()));
            state
                .apply(event.key(), change)
                .map_err(|error| error.to_string())?;
            touched.extend(state.cluster_at(event.key()));
            witness.after(&state, event.key(), before);
        }
        state.revision = batch.revision;
    }
    // Nobody else writes the view, and its readers need not wait for words.
    let happened = {
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
        transaction.events(&state, shared.events.now())
    };
    // Whoever waits for the view finds the events of what it waited for.
    shared.events.append(happened);
    shared.tell(&touched, batch.revision);
    shared.revision.send_replace(batch.revision);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        path::Path,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures::{future::BoxFuture, stream};
    use tidegate_store::{
        Entry, Error, Memory, Outcome, Page, Range, Txn, blob::MemoryBlobs, disk, store::Changes,
    };

    use super::*;
    use crate::{
        changes,
        clock::Clock,
        db::Db,
        records::{Role, UserRecord},
    };

    /// A store whose first watch fails.
    struct Sick {
        inner: Memory,
        fault: fn() -> Error,
        left: AtomicUsize,
    }

    impl Store for Sick {
        fn revision(&self) -> BoxFuture<'_, Result<u64, Error>> {
            self.inner.revision()
        }

        fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
            self.inner.get(key)
        }

        fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>> {
            self.inner.range(range)
        }

        fn transact(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, Error>> {
            self.inner.transact(txn)
        }

        fn watch(&self, prefix: &str, after: u64) -> Changes {
            let taken = self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                });
            match taken {
                Ok(_) => stream::once(std::future::ready(Err((self.fault)()))).boxed(),
                Err(_) => self.inner.watch(prefix, after),
            }
        }
    }

    fn full() -> Error {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        disk::Error::new("resize", Path::new("store"), source).into()
    }

    fn compacted() -> Error {
        Error::Compacted {
            after: 1,
            oldest: 2,
        }
    }

    async fn db(fault: fn() -> Error) -> Db {
        let store = Arc::new(Sick {
            inner: Memory::new(),
            fault,
            left: AtomicUsize::new(1),
        });
        let blobs = Arc::new(MemoryBlobs::default());
        let cancel = CancellationToken::new();
        Db::open(store, blobs, Clock::default(), "test".to_owned(), cancel)
            .await
            .unwrap()
    }

    fn ada(db: &Db) -> changes::Changes {
        let mut changes = changes::Changes::default();
        changes.create(&UserRecord {
            name: "ada".to_owned(),
            role: Role::Viewer,
            created_at: db.clock().now(),
            created_by: "test".to_owned(),
            groups: Vec::new(),
        });
        changes
    }

    #[tokio::test]
    async fn a_fault_that_passes_is_waited_out_and_nothing_is_missed() {
        let db = db(full).await;
        let committed = db.commit(ada(&db)).await;
        assert!(committed.is_ok(), "{committed:?}");
        assert!(db.read().users.find(|user| user.name == "ada").is_some());
        assert_eq!(*db.failed().borrow(), None);
    }

    #[tokio::test]
    async fn a_commit_does_not_wait_for_a_view_that_has_ended() {
        let (store, blobs) = (Arc::new(Memory::new()), Arc::new(MemoryBlobs::default()));
        let cancel = CancellationToken::new();
        let holder = "test".to_owned();
        let db = Db::open(store, blobs, Clock::default(), holder, cancel.clone())
            .await
            .unwrap();
        cancel.cancel();
        let mut failed = db.failed();
        let ended = failed.wait_for(Option::is_some);
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert!(ended.is_ok(), "the view goes on");
        let commit = tokio::time::timeout(Duration::from_secs(20), db.commit(ada(&db)));
        let error = commit.await.unwrap().unwrap_err().to_string();
        assert!(error.contains(STOPPING), "{error}");
    }

    #[tokio::test]
    async fn history_that_is_gone_ends_the_view() {
        let db = db(compacted).await;
        db.failed().wait_for(Option::is_some).await.unwrap();
        let error = db.commit(ada(&db)).await.unwrap_err().to_string();
        assert!(error.contains("history is kept from revision 2"), "{error}");
    }
}
