//! Opening the file, and saying in plain words what is wrong with it.
//!
//! Never reads or writes records.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use redb::{BackendError, Builder, Database, StorageBackend, backends::FileBackend};

use super::{Options, table};
use crate::{disk, error::Error};

type MakeBackend = dyn Fn(&Path) -> Result<Box<dyn StorageBackend>, disk::Error> + Send + Sync;

/// The store's file: where it is, how it is reached, and the last fault it had.
pub(super) struct File {
    pub(super) path: PathBuf,
    make: Box<MakeBackend>,
    faults: Arc<Mutex<Faults>>,
}

/// What the operating system refused since the file was opened. redb reports the first refusal
/// once and then only that there was one, so it is kept here.
#[derive(Debug, Default)]
struct Faults {
    first: Option<disk::Error>,
    sync: Option<String>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl File {
    /// The file at `path`, created when it is opened for the first time.
    pub(super) fn at(path: PathBuf) -> Self {
        Self::with_backend(path, |path| Ok(Box::new(existing(path)?)))
    }

    /// Creates the file where there is none, whole or not at all: a hub that is killed meanwhile must
    /// not leave half a store, which nobody could tell from a damaged one.
    pub(super) fn create_if_missing(&self, options: Options) -> Result<(), Error> {
        let failed = |error| disk::Error::new("create the store", &self.path, error);
        if self.path.try_exists().map_err(failed)? {
            return Ok(());
        }
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // For its owner alone (it holds token hashes and repository addresses).
        let new = tempfile::Builder::new()
            .prefix(".new-store-")
            .tempfile_in(directory)
            .map_err(failed)?;
        drop(self.open_at(new.path(), options)?);
        match new.persist_noclobber(&self.path) {
            Ok(_) => {}
            // Somebody else was as quick; whose store it is, is found out when it is opened.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) => return Err(failed(error.error).into()),
        }
        fs::File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| disk::Error::new("sync the directory", directory, error).into())
    }

    /// An empty file is what a copy to a full disk or a crash of the file system leaves, and to
    /// redb it is a new store: taking it for one would forget everything without a word.
    fn refuse_emptied(&self) -> Result<(), Error> {
        match fs::metadata(&self.path) {
            Ok(found) if found.len() == 0 => Err(Error::Corrupted {
                path: self.path.clone(),
                detail: "the file is empty".to_owned(),
            }),
            // What else is wrong shows when it is opened.
            _ => Ok(()),
        }
    }

    /// A file that is reached through `make`, called at each opening.
    pub(super) fn with_backend(
        path: PathBuf,
        make: impl Fn(&Path) -> Result<Box<dyn StorageBackend>, disk::Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            path,
            make: Box::new(make),
            faults: Arc::default(),
        }
    }

    /// Opens and verifies the file. Returns the database and the store's revision.
    pub(super) fn open(&self, options: Options) -> Result<(Database, u64), Error> {
        self.refuse_emptied()?;
        self.open_at(&self.path, options)
    }

    fn open_at(&self, path: &Path, options: Options) -> Result<(Database, u64), Error> {
        *self.faults() = Faults::default();
        let guarded = Guarded {
            inner: (self.make)(path)?,
            path: self.path.clone(),
            faults: Arc::clone(&self.faults),
        };
        let database = Builder::new()
            .set_cache_size(options.cache_bytes)
            .set_check_integrity_on_open(true)
            .create_with_backend(guarded)
            .map_err(|error| self.explain(error.into()))?;
        match table::prepare(&database).map_err(|error| self.explain(error))? {
            table::Prepared::Ready { revision } => Ok((database, revision)),
            table::Prepared::Newer { found } => Err(Error::NewerFormat {
                path: self.path.clone(),
                found,
                supported: super::FORMAT,
            }),
        }
    }

    /// Whether `fsync` failed since the file was opened, and how.
    pub(super) fn sync_fault(&self) -> Option<Error> {
        let detail = self.faults().sync.clone()?;
        Some(Error::NotDurable {
            path: self.path.clone(),
            detail,
        })
    }

    /// Turns an error of redb into one that names the file and the way out.
    pub(super) fn explain(&self, error: redb::Error) -> Error {
        use redb::Error as Redb;
        let corrupted = |detail: String| Error::Corrupted {
            path: self.path.clone(),
            detail,
        };
        match error {
            Redb::DatabaseAlreadyOpen | Redb::LockProtocolMismatch => Error::Locked {
                path: self.path.clone(),
            },
            Redb::DatabaseClosed | Redb::LockPoisoned(_) => Error::Closed,
            Redb::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                corrupted(format!("it is damaged or not a store ({error})"))
            }
            Redb::Io(error) => {
                let known = self.faults().first.clone();
                known
                    .unwrap_or_else(|| disk::Error::new("use", &self.path, error))
                    .into()
            }
            Redb::PreviousIo | Redb::TransactionPoisoned => {
                let known = self.faults().first.clone();
                let unknown = || {
                    let error = io::Error::other("an earlier operation failed");
                    disk::Error::new("use", &self.path, error)
                };
                known.unwrap_or_else(unknown).into()
            }
            Redb::Corrupted(detail) => corrupted(format!("it is damaged ({detail})")),
            other => corrupted(other.to_string()),
        }
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn existing(path: &Path) -> Result<FileBackend, disk::Error> {
    let open = |error| disk::Error::new("open the store", path, error);
    let file = OpenOptions::new().read(true).write(true).open(path);
    FileBackend::new(file.map_err(open)?).map_err(|error| open(io::Error::other(error)))
}

/// Passes everything on and remembers what was refused.
#[derive(Debug)]
struct Guarded {
    inner: Box<dyn StorageBackend>,
    path: PathBuf,
    faults: Arc<Mutex<Faults>>,
}

impl Guarded {
    fn note<T>(&self, action: &'static str, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            let copy = error.raw_os_error().map_or_else(
                || io::Error::new(error.kind(), error.to_string()),
                io::Error::from_raw_os_error,
            );
            if action == "sync" && faults.sync.is_none() {
                faults.sync = Some(error.to_string());
            }
            faults
                .first
                .get_or_insert_with(|| disk::Error::new(action, &self.path, copy));
        })
    }
}

impl StorageBackend for Guarded {
    fn len(&self) -> io::Result<u64> {
        self.note("read the length of", self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.note("read", self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note("resize", self.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note("sync", self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note("write", self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
