//! Blobs as files: `<directory>/<tag>/<first two digits>/<64 digits>`.
//!
//! A file is written under a temporary name, synced, renamed, and its directory synced, so a name
//! never shows half a content. Everything is readable by the owner alone: rendered objects can
//! hold secrets. Never trusts what it reads.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use tidegate_model::digest::Digest;
use tokio::task::spawn_blocking;

use super::{Blob, BlobId, BlobStore, Error, Swept, Usage, sweep::Sweeper};
use crate::disk;

/// Threads that write one put: file systems join concurrent syncs into one journal commit.
const WRITERS: usize = 8;

/// A directory of blobs, locked against other processes while this value lives.
#[derive(Clone, Debug)]
pub struct Files {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    temporary: PathBuf,
    next: AtomicU64,
    sweeper: Sweeper,
    /// Holds the lock; released when closed.
    _lock: File,
}

impl Files {
    /// Opens the directory, creating it (but not its parents) if needed, and clears away what an
    /// interrupted put left.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Disk`].
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        blocking(move || {
            let inner = Arc::new(Inner::open(root)?);
            Ok(Self { inner })
        })
        .await
    }
}

/// Reads a directory of blobs that another process may have open, without its lock: to copy them.
#[derive(Clone, Debug)]
pub struct Reader {
    root: PathBuf,
}

impl Reader {
    /// A reader of this directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The content, verified against its name; `None` if there is no such blob. Blocks.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Disk`].
    pub fn read(&self, id: &BlobId) -> Result<Option<Bytes>, Error> {
        read(&self.root, id)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

impl Inner {
    fn open(root: PathBuf) -> Result<Self, Error> {
        if make_directory(&root)?
            && let Some(parent) = root.parent().filter(|p| !p.as_os_str().is_empty())
        {
            sync_directory(parent)?;
        }
        let lock_path = root.join(".lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|error| disk::Error::new("open", &lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { path: root }),
            Err(TryLockError::Error(error)) => {
                return Err(disk::Error::new("lock", &lock_path, error).into());
            }
        }
        let temporary = root.join(".tmp");
        make_directory(&temporary)?;
        for path in entries(&temporary)? {
            fs::remove_file(&path).map_err(|error| disk::Error::new("remove", &path, error))?;
        }
        Ok(Self {
            root,
            temporary,
            next: AtomicU64::new(0),
            sweeper: Sweeper::default(),
            _lock: lock,
        })
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        path(&self.root, id)
    }

    fn read(&self, id: &BlobId) -> Result<Option<Bytes>, Error> {
        read(&self.root, id)
    }

    fn put(&self, blobs: &[Blob]) -> Result<(), Error> {
        let mut directories = BTreeSet::new();
        for blob in blobs {
            self.sweeper.touch(&blob.id);
            self.make_directories(&blob.id, &mut directories)?;
        }
        let share = blobs.len().div_ceil(WRITERS).max(1);
        thread::scope(|scope| {
            let writers: Vec<_> = blobs
                .chunks(share)
                .map(|share| scope.spawn(|| share.iter().try_for_each(|blob| self.write(blob))))
                .collect();
            writers
                .into_iter()
                .try_for_each(|writer| writer.join().unwrap_or(Err(Error::Closed)))
        })?;
        // Also for files that were there before: whoever wrote them may not have come this far.
        // Deepest first, so that no directory is durable with a name that leads nowhere.
        for directory in directories.iter().rev() {
            sync_directory(directory)?;
        }
        Ok(())
    }

    /// Makes the directories of a blob and notes which must be synced.
    fn make_directories(&self, id: &BlobId, sync: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
        let path = self.path(id);
        if let Some(directory) = path.parent()
            && sync.insert(directory.to_owned())
        {
            let tag = self.root.join(&id.tag);
            make_directory(&tag)?;
            make_directory(directory)?;
            sync.insert(tag);
            sync.insert(self.root.clone());
        }
        Ok(())
    }

    fn write(&self, blob: &Blob) -> Result<(), Error> {
        match self.read(&blob.id) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(Error::Corrupted { path, .. }) => {
                tracing::warn!(path = %path.display(), "replacing a damaged blob");
            }
            Err(error) => return Err(error),
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = self.temporary.join(number.to_string());
        let written = write_file(&temporary, &blob.bytes).and_then(|()| {
            let path = self.path(&blob.id);
            fs::rename(&temporary, &path).map_err(|error| disk::Error::new("write", &path, error))
        });
        if written.is_err() {
            // Best effort: what stays is cleared away at the next start.
            drop(fs::remove_file(&temporary));
        }
        Ok(written?)
    }

    fn list(&self) -> Result<Vec<BlobId>, Error> {
        let mut found = Vec::new();
        for tag_path in entries(&self.root)? {
            let Some(tag) = name(&tag_path).filter(|tag| !tag.starts_with('.')) else {
                continue;
            };
            for directory in entries(&tag_path)? {
                for path in entries(&directory)? {
                    // Anything else in here is not ours, and nothing of ours has another name.
                    let digest = name(&path).and_then(|name| format!("sha256:{name}").parse().ok());
                    if let Some(id) = digest.and_then(|digest| BlobId::new(tag, digest).ok()) {
                        found.push(id);
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn usage(&self) -> Result<Usage, Error> {
        let mut usage = Usage::default();
        for id in self.list()? {
            let path = self.path(&id);
            match fs::metadata(&path) {
                Ok(found) => {
                    usage.blobs += 1;
                    usage.bytes += found.len();
                }
                // A sweep took it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(disk::Error::new("look at", &path, error).into()),
            }
        }
        Ok(usage)
    }

    fn delete(&self, id: &BlobId) -> Result<(), Error> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(disk::Error::new("delete", &path, error).into())
            }
            _ => Ok(()),
        }
    }
}

impl BlobStore for Files {
    fn put(&self, blobs: Vec<Blob>) -> BoxFuture<'_, Result<(), Error>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.put(&blobs)).boxed()
    }

    fn get<'a>(&'a self, id: &'a BlobId) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        blocking(move || inner.read(&id)).boxed()
    }

    fn has<'a>(&'a self, id: &'a BlobId) -> BoxFuture<'a, Result<bool, Error>> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        blocking(move || {
            let path = inner.path(&id);
            path.try_exists()
                .map_err(|error| disk::Error::new("look for", &path, error).into())
        })
        .boxed()
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, Error>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.usage()).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobId>, Error>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.list()).boxed()
    }

    fn sweep(&self, keep: BTreeSet<BlobId>) -> BoxFuture<'_, Result<Swept, Error>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            inner
                .sweeper
                .run(&keep, || inner.list(), |id| inner.delete(id))
        })
        .boxed()
    }
}

fn path(root: &Path, id: &BlobId) -> PathBuf {
    let digits = digits(id.digest);
    let (first, _) = digits.split_at(2);
    root.join(&id.tag).join(first).join(&digits)
}

fn read(root: &Path, id: &BlobId) -> Result<Option<Bytes>, Error> {
    let path = path(root, id);
    match fs::read(&path) {
        Ok(bytes) if id.matches(&bytes) => Ok(Some(bytes.into())),
        Ok(bytes) => Err(Error::Corrupted {
            id: id.clone(),
            found: Digest::of_bytes(&id.tag, &bytes),
            path,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk::Error::new("read", &path, error).into()),
    }
}

fn digits(digest: Digest) -> String {
    let text = digest.to_string();
    text.trim_start_matches("sha256:").to_owned()
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The paths in a directory; none if `path` is not a directory.
fn entries(path: &Path) -> Result<Vec<PathBuf>, disk::Error> {
    let list = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
    };
    match list() {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        listed => listed.map_err(|error| disk::Error::new("list", path, error)),
    }
}

/// Makes a directory for its owner alone; `false` if it was there.
fn make_directory(path: &Path) -> Result<bool, disk::Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(disk::Error::new("create the directory", path, error)),
    }
}

fn sync_directory(path: &Path) -> Result<(), disk::Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| disk::Error::new("sync the directory", path, error))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), disk::Error> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| disk::Error::new("write", path, error))
}
