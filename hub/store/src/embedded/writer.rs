//! The one thread that writes.
//!
//! Takes what has queued up, applies it in order to one database transaction, commits that with
//! one `fsync`, and only then answers. Never answers for something that is not on disk.

use std::{sync::Arc, thread};

use redb::Durability;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Shared, Slot, table};
use crate::{
    disk,
    error::Error,
    txn::{Outcome, Txn},
};

/// Most transactions that share one `fsync`; bounds how much one answer waits for others.
const GROUP: usize = 64;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Work for the writer.
#[derive(Debug)]
pub(super) enum Job {
    /// Commit a checked transaction.
    Transact { txn: Txn, reply: Reply<Outcome> },
    /// Open the file again after a fault, if it is not open already.
    Reopen { reply: Reply<()> },
}

/// Starts the thread; it ends when the queue closes, after finishing what is queued.
pub(super) fn spawn(
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Job>,
    head: watch::Sender<u64>,
) -> Result<thread::JoinHandle<()>, Error> {
    let path = shared.file.path.clone();
    thread::Builder::new()
        .name("tidegate-store".to_owned())
        .spawn(move || Writer { shared, head }.run(queue))
        .map_err(|error| disk::Error::new("start the writer of", &path, error).into())
}

struct Writer {
    shared: Arc<Shared>,
    head: watch::Sender<u64>,
}

impl Writer {
    fn run(self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut txns = Vec::new();
            let mut replies = Vec::new();
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Transact { txn, reply } => {
                        txns.push(txn);
                        replies.push(reply);
                    }
                    // The caller may be gone; the store is open again all the same.
                    Job::Reopen { reply } => drop(reply.send(self.reopen())),
                }
                next = (txns.len() < GROUP)
                    .then(|| queue.try_recv().ok())
                    .flatten();
            }
            if txns.is_empty() {
                continue;
            }
            let outcomes = match self.commit(txns) {
                Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); replies.len()],
            };
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                drop(reply.send(outcome));
            }
        }
    }

    fn commit(&self, txns: Vec<Txn>) -> Result<Vec<Outcome>, Error> {
        self.reopen()?;
        let applied = self
            .shared
            .with_database(|database| Ok(database.begin_write()?))
            .and_then(|mut write| {
                let explain = |error| self.shared.file.explain(error);
                write
                    .set_durability(Durability::Immediate)
                    .map_err(|error| explain(error.into()))?;
                let mut batch = table::Batch::begin(&write).map_err(explain)?;
                let outcomes = txns
                    .into_iter()
                    .map(|txn| batch.apply(txn))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(explain)?;
                let head = batch.finish(self.shared.options).map_err(explain)?;
                match head {
                    Some(_) => write.commit().map_err(|error| explain(error.into()))?,
                    None => write.abort().map_err(|error| explain(error.into()))?,
                }
                Ok((outcomes, head))
            });
        match applied {
            Ok((outcomes, head)) => {
                if let Some(revision) = head {
                    self.head.send_replace(revision);
                }
                Ok(outcomes)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Closes the database after a fault: what it holds in memory is no longer the truth.
    fn fail(&self, error: Error) -> Error {
        let (slot, error) = match self.shared.file.sync_fault() {
            Some(fault) => (Slot::Dead(fault.clone()), fault),
            None => (Slot::Failed(error.clone()), error),
        };
        tracing::error!(%error, "the store failed to commit");
        self.shared.set(slot);
        error
    }

    fn reopen(&self) -> Result<(), Error> {
        if !self.shared.is_failed() {
            return Ok(());
        }
        match self.shared.file.open(self.shared.options) {
            Ok((database, revision)) => {
                self.shared.set(Slot::Open(database));
                tracing::info!(revision, "the store is open again after a fault");
                // The failed commit may be on disk: watches must see it.
                self.head.send_replace(revision);
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }
}
