//! The default store: one redb file beside the hub.
//!
//! Owns the file from open to drop. A transaction is acknowledged after `fsync`; transactions
//! that arrive together share one. A failed write closes the database and opens it again, because
//! only what is on disk counts; a failed `fsync` stops the store for good, because after it the
//! operating system may show data that the disk does not have. Never serves two processes.
//!
//! `table` is the layout, `writer` the one thread that commits, `file` the opening and the
//! translation of faults.

mod file;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    thread::JoinHandle,
};

use futures::{FutureExt as _, future::BoxFuture};
use redb::{Database, ReadTransaction, ReadableDatabase as _};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
};

use self::{file::File, writer::Job};
use crate::{
    entry::{Entry, Page, Range},
    error::Error,
    follow::{self, History, Piece},
    key,
    store::{Changes, Store},
    txn::{Outcome, Txn},
};

/// The format version that this code writes, and the newest that it reads.
pub const FORMAT: u64 = 1;

/// How much to keep in memory and for watches.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many revisions back a watch can start.
    pub history_revisions: u64,
    /// Most bytes of history; older revisions go first. The newest revision always stays.
    pub history_bytes: u64,
    /// Most bytes of the file held in memory.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            history_revisions: 1000,
            history_bytes: 64 << 20,
            cache_bytes: 64 << 20,
        }
    }
}

/// A store in one file. Dropping it finishes what was begun and closes the file.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    head: watch::Receiver<u64>,
    writer: Option<JoinHandle<()>>,
}

/// Transactions that wait for the writer before callers have to wait too.
const QUEUE: usize = 256;

#[derive(Debug)]
struct Shared {
    file: File,
    options: Options,
    slot: RwLock<Slot>,
}

/// The database, or why there is none.
#[derive(Debug)]
enum Slot {
    Open(Database),
    /// A read or write failed; the writer opens the file again at the next call.
    Failed(Error),
    /// Nothing in this process can help.
    Dead(Error),
}

impl Embedded {
    /// Opens or creates the store in `path`, whose directory exists.
    ///
    /// Verifies the whole file (at some hundred megabytes a second), so that damage is found at
    /// the start and not in the middle of a rollout.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::NewerFormat`], [`Error::Corrupted`], [`Error::Disk`].
    pub async fn open(path: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        let file = File::at(path.into());
        Self::guarded(file, move |file| {
            file.create_if_missing(options)?;
            Self::start(file, options)
        })
        .await
    }

    #[cfg(test)]
    async fn open_file(file: File, options: Options) -> Result<Self, Error> {
        Self::guarded(file, move |file| Self::start(file, options)).await
    }

    async fn guarded(
        file: File,
        start: impl FnOnce(File) -> Result<Self, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let path = file.path.clone();
        spawn_blocking(move || start(file))
            .await
            // A panic here means a file that not even the checks of redb expected.
            .unwrap_or_else(|panic| {
                Err(Error::Corrupted {
                    path,
                    detail: format!("reading it failed unexpectedly ({panic})"),
                })
            })
    }

    fn start(file: File, options: Options) -> Result<Self, Error> {
        let (database, revision) = file.open(options)?;
        let shared = Arc::new(Shared {
            file,
            options,
            slot: RwLock::new(Slot::Open(database)),
        });
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (head_sender, head) = watch::channel(revision);
        let writer = writer::spawn(Arc::clone(&shared), queue, head_sender)?;
        Ok(Self {
            shared,
            jobs: Some(jobs),
            head,
            writer: Some(writer),
        })
    }

    async fn send<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Job,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        if self.shared.is_failed() {
            self.send(|reply| Job::Reopen { reply }).await?;
        }
        let shared = Arc::clone(&self.shared);
        spawn_blocking(move || shared.read(read))
            .await
            .map_err(|_| Error::Closed)?
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was reported to its callers as `Closed` already.
            drop(writer.join());
        }
        // Watches keep `shared`, but must not keep the file locked.
        self.shared.set(Slot::Dead(Error::Closed));
    }
}

impl Shared {
    fn is_failed(&self) -> bool {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        matches!(*slot, Slot::Failed(_))
    }

    /// Replaces the database; the old one is closed and its lock released before this returns.
    fn set(&self, slot: Slot) {
        let mut current = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        *current = slot;
    }

    /// Begins something on the open database. The slot is held only that long: a transaction that
    /// is under way does not keep a failed database open.
    fn with_database<T>(
        &self,
        begin: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Slot::Open(database) => begin(database).map_err(|error| self.file.explain(error)),
            Slot::Failed(error) | Slot::Dead(error) => Err(error.clone()),
        }
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let result = self
            .with_database(|database| Ok(database.begin_read()?))
            .and_then(|txn| read(&txn).map_err(|error| self.file.explain(error)));
        result.map_err(|error| {
            let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
            match &*slot {
                // redb refuses everything after a fault until it is opened again.
                Slot::Open(_) if matches!(error, Error::Disk(_)) => {
                    *slot = Slot::Failed(error.clone());
                    error
                }
                Slot::Open(_) => error,
                // The database was closed under this read: say why.
                Slot::Failed(reason) | Slot::Dead(reason) => reason.clone(),
            }
        })
    }
}

impl History for Shared {
    fn since(self: Arc<Self>, prefix: &str, after: u64) -> BoxFuture<'_, Result<Piece, Error>> {
        async move {
            let prefix = prefix.to_owned();
            spawn_blocking(move || self.read(|txn| table::since(txn, &prefix, after)))
                .await
                .map_err(|_| Error::Closed)??
        }
        .boxed()
    }
}

impl Store for Embedded {
    fn revision(&self) -> BoxFuture<'_, Result<u64, Error>> {
        self.read(table::revision).boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        async move {
            key::check(key)?;
            let key = key.to_owned();
            self.read(move |txn| table::get(txn, &key)).await
        }
        .boxed()
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>> {
        async move {
            key::check_prefix(&range.prefix)?;
            self.read(move |txn| table::range(txn, &range)).await
        }
        .boxed()
    }

    fn transact(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, Error>> {
        async move {
            txn.check()?;
            self.send(|reply| Job::Transact { txn, reply }).await
        }
        .boxed()
    }

    fn watch(&self, prefix: &str, after: u64) -> Changes {
        follow::follow(Arc::clone(&self.shared), self.head.clone(), prefix, after)
    }
}
