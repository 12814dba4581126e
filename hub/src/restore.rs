//! `tidegate-hub restore`: the hub of a backup again, in an empty directory and store.
//!
//! Owns the order: all of the backup is read and verified first; then a mark, the identity, the
//! content, the records; last what tells a finished hub. Killed anywhere before that, the same
//! restore begins anew and no hub starts. Never writes over anything that is not its own.

mod rewrite;

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidegate_model::{digest::Digest, ids::Epoch};
use tidegate_proto::storage::v1::Move;
use tidegate_store::{Blob, BlobStore as _, Embedded, Store, blob, blob::Files, embedded};
use tokio::{sync::mpsc, task::spawn_blocking};

pub(crate) use self::rewrite::next_term;
use crate::{
    backup::{
        archive::{self, Contents},
        decoded,
    },
    clock::Clock,
    config::{RestoreOptions, StoreKind},
    files::{self, IfThere},
    layout::Layout,
    moving::{self, Records},
    records, storage,
};

/// Bytes of blobs that are put together: each put waits for the disk once.
const BATCH_BYTES: usize = 8 << 20;

/// Why there is no restored hub.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory holds something.
    #[error(
        "failed to restore into {path}: there is something in it already ({found}); choose an empty \
         --state-dir"
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// What.
        found: String,
    },
    /// Another restore into the directory was interrupted.
    #[error(
        "failed to restore into {path}: a restore of another backup into it was interrupted; run \
         that one again, or remove the directory"
    )]
    Other {
        /// The directory.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("failed to write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The work was ended.
    #[error("failed to restore: the process is ending")]
    Ending,
    /// The backup.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A record of the backup cannot be read.
    #[error(transparent)]
    Record(#[from] records::Error),
    /// The store.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The records.
    #[error(transparent)]
    Moving(#[from] moving::Error),
    /// Content.
    #[error(transparent)]
    Blob(#[from] blob::Error),
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// How many records.
    pub records: usize,
    /// How many blobs.
    pub blobs: usize,
    /// The term that was taken.
    pub term: Epoch,
}

/// Makes the hub.
pub async fn run(options: &RestoreOptions) -> Result<Made, Error> {
    let layout = Layout::new(&options.state_dir);
    let from = options.from.clone();
    let (contents, records, term) = blocking({
        let (from, least) = (from.clone(), options.term);
        move || prepare(&from, least)
    })
    .await?;
    let ours = Move {
        source: format!("backup {}", contents.digest),
        command: command(options),
    };
    let same = |found: &Move| found.source == ours.source;
    let on_etcd = options.store.store == StoreKind::Etcd;
    if !(on_etcd && may_be_unfinished(&layout, contents.digest)) {
        check_directory(&layout, contents.digest)?;
    }
    if on_etcd {
        // Before anything is written: where the etcd is in use, the directory is left as it is, too.
        let etcd = storage::connect_etcd(&options.store.etcd).await?;
        check_etcd(&layout, contents.digest, &etcd, same).await?;
    }
    begin(&layout, contents.digest)?;
    write_identity(&layout, &contents.identity)?;
    write_blobs(&layout, from).await?;
    let target = target(&layout, options).await?;
    moving::fill(&*target, &ours, same, &records).await?;
    match options.store.store {
        StoreKind::Redb => {
            moving::end(&*target).await?;
            // Closes the file.
            drop(target);
            let store = layout.store();
            files::rename(&layout.store_unfinished(), &store).map_err(failed(&store))?;
        }
        StoreKind::Etcd => {
            // The other way round, a restore that is killed in between would take its own records for
            // those of another hub.
            storage::mark_etcd(&layout, &options.store.etcd)?;
            moving::end(&*target).await?;
        }
    }
    let mark = layout.restore_mark();
    files::remove(&mark).map_err(failed(&mark))?;
    Ok(Made {
        records: records.len(),
        blobs: contents.manifest.blobs.len(),
        term,
    })
}

/// Reads and verifies the backup, and works out the records of the restored hub.
fn prepare(from: &Path, least: u64) -> Result<(Contents, Records, Epoch), Error> {
    let contents = archive::read(from, |_| Ok::<_, Error>(()))?;
    let state = decoded(&contents.records)?;
    let now = Clock::default().now();
    let term = next_term(&state, now, least);
    let manifest = &contents.manifest;
    let about = format!(
        "from the backup {} of {}, of revision {} in term {}",
        contents.digest.short(),
        manifest.made_at,
        manifest.revision,
        manifest.term
    );
    let records = rewrite::rewrite(&contents.records, &state, term, now, about);
    Ok((contents, records, term))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.unwrap_or(Err(Error::Ending))
}

/// Refuses an etcd that holds anything but what the same restore left, and a finished hub.
async fn check_etcd(
    layout: &Layout,
    backup: Digest,
    etcd: &dyn Store,
    same: impl Fn(&Move) -> bool,
) -> Result<(), Error> {
    let mark = moving::mark(etcd).await.map_err(moving::Error::from)?;
    if mark.is_none() || !may_be_unfinished(layout, backup) {
        check_directory(layout, backup)?;
    }
    moving::check_free(etcd, same).await?;
    Ok(())
}

/// Whether the directory of a hub on etcd can be what the same restore left, killed just before it let
/// hubs start: then the etcd still has its mark.
fn may_be_unfinished(layout: &Layout, backup: Digest) -> bool {
    let mark = fs::read_to_string(layout.restore_mark());
    storage::made_with(layout) == Some(StoreKind::Etcd)
        && mark.is_ok_and(|found| found == format!("{backup}\n"))
}

/// Refuses a directory that holds anything but what the same restore left.
fn check_directory(layout: &Layout, backup: Digest) -> Result<(), Error> {
    let path = layout.root().to_owned();
    if storage::made_with(layout).is_some() {
        return Err(storage::Error::Exists { path }.into());
    }
    let mark = layout.restore_mark();
    match fs::read_to_string(&mark) {
        Ok(found) if found == format!("{backup}\n") => return Ok(()),
        Ok(_) => return Err(Error::Other { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(&mark)(error)),
    }
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&path)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed(&path))?;
        let found = entry.file_name().to_string_lossy().into_owned();
        // A file system of its own has the one, a restore that was killed while it wrote its mark the
        // other.
        let of_no_use = found == "lost+found" || found.starts_with(files::UNFINISHED);
        if !of_no_use {
            return Err(Error::NotEmpty { path, found });
        }
    }
    Ok(())
}

/// Makes the directory, for its owner alone, and marks it as not finished.
fn begin(layout: &Layout, backup: Digest) -> Result<(), Error> {
    let root = layout.root();
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root);
    made.map_err(failed(root))?;
    let (mark, text) = (layout.restore_mark(), format!("{backup}\n"));
    write(&mark, text.as_bytes())
}

/// Where the records go: an etcd, or a file that is not the hub's yet.
async fn target(layout: &Layout, options: &RestoreOptions) -> Result<Arc<dyn Store>, Error> {
    match options.store.store {
        StoreKind::Etcd => Ok(Arc::new(storage::connect_etcd(&options.store.etcd).await?)),
        StoreKind::Redb => {
            let path = begin_file(layout)?;
            let store = Embedded::open(path, embedded::Options::default()).await;
            Ok(Arc::new(store.map_err(storage::Error::from)?))
        }
    }
}

/// Clears away what an interrupted restore left of the file.
fn begin_file(layout: &Layout) -> Result<PathBuf, Error> {
    let path = layout.store_unfinished();
    files::remove(&path).map_err(failed(&path))?;
    Ok(path)
}

fn write_identity(layout: &Layout, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
    let dir = layout.identity();
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir);
    made.map_err(failed(&dir))?;
    for (name, bytes) in files {
        write(&dir.join(name), bytes)?;
    }
    Ok(())
}

/// Reads the backup once more, verifying again, and puts its blobs.
async fn write_blobs(layout: &Layout, from: PathBuf) -> Result<(), Error> {
    let blobs = Files::open(layout.blobs()).await?;
    let (batches, mut waiting) = mpsc::channel::<Vec<Blob>>(1);
    let reading = blocking(move || {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let contents = archive::read(&from, |blob: Blob| {
            bytes += blob.bytes().len();
            batch.push(blob);
            if bytes < BATCH_BYTES {
                return Ok(());
            }
            bytes = 0;
            let full = std::mem::take(&mut batch);
            batches.blocking_send(full).map_err(|_| Error::Ending)
        })?;
        batches.blocking_send(batch).map_err(|_| Error::Ending)?;
        Ok(contents)
    });
    let writing = async {
        while let Some(batch) = waiting.recv().await {
            blobs.put(batch).await?;
        }
        // Dropped on an error, too, so that the reader does not wait for room.
        drop(waiting);
        Ok::<_, Error>(())
    };
    let (read, written) = tokio::join!(reading, writing);
    written?;
    read.map(drop)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = files::write(path, bytes, IfThere::Replace);
    written.map(drop).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}

/// What finishes this restore, for people.
fn command(options: &RestoreOptions) -> String {
    let store = match options.store.store {
        StoreKind::Redb => String::new(),
        StoreKind::Etcd => {
            let endpoints = options.store.etcd.etcd_endpoints.join(",");
            format!(" --store etcd --etcd-endpoints {endpoints} …")
        }
    };
    format!(
        "tidegate-hub restore --from {} --state-dir {}{store}",
        options.from.display(),
        options.state_dir.display()
    )
}

#[cfg(test)]
mod tests;
