//! `tidegate-hub backup`: all that makes a hub this hub, in one file.
//!
//! That is its records, the content they refer to, and its identity: with the key of the authority
//! agents and people know the restored hub as the same one. Mirrors of repositories are a cache and
//! stay out. Owns what belongs into a backup; its form is `archive`'s. Never changes a hub.

pub mod archive;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tidegate_model::{
    bundle::{BUNDLE_TAG, Bundle},
    digest::Digest,
    release::ReleaseEntry,
};
use tidegate_store::{BlobId, blob, blob::Reader};

pub use self::archive::Error as ArchiveError;
use self::archive::Manifest;
use crate::{
    clock::Clock,
    config::{BackupOptions, StoreKind},
    garbage::{Keep, Roots},
    layout::Layout,
    moving::{self, Records},
    publish::pass::ENTRIES_TAG,
    records,
    state::State,
    storage,
};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A hub has the store open.
    #[error(
        "failed to back up {path}: a hub is running on it, and a redb file has one user at a time; \
         stop the hub for as long as the backup takes (agents go on by themselves), or keep its \
         records in etcd"
    )]
    HubRuns {
        /// The store's file.
        path: PathBuf,
    },
    /// An identity's file could not be read.
    #[error("failed to read {path}")]
    Identity {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A blob that a record names holds something else.
    #[error("failed to read {id}: it holds no such thing")]
    Malformed {
        /// Which.
        id: BlobId,
    },
    /// The work was ended.
    #[error("failed to back up: the process is ending")]
    Ending,
    /// The store.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] records::Error),
    /// Content.
    #[error(transparent)]
    Blob(#[from] blob::Error),
    /// The file.
    #[error(transparent)]
    Archive(#[from] archive::Error),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The file.
    pub path: PathBuf,
    /// How many records.
    pub records: usize,
    /// How many blobs.
    pub blobs: usize,
    /// The revision that all of it is from.
    pub revision: u64,
}

/// Makes the backup.
pub async fn run(options: &BackupOptions) -> Result<Made, Error> {
    let layout = Layout::new(&options.state_dir);
    let now = Clock::default().now();
    let path = if options.to.is_dir() || options.to.as_os_str().as_encoded_bytes().ends_with(b"/") {
        let name = now.strftime("tidegate-hub-%Y%m%dT%H%M%SZ.tar.zst");
        options.to.join(name.to_string())
    } else {
        options.to.clone()
    };
    if path.exists() {
        return Err(archive::Error::Exists { path }.into());
    }
    let (records, revision) = snapshot(&layout, options).await?;
    let work = tokio::task::spawn_blocking(move || {
        let state = decoded(&records)?;
        let reader = Reader::new(layout.blobs());
        let ids: Vec<_> = referenced(&reader, &state)?.into_iter().collect();
        let term = state.epochs.iter().map(|record| record.epoch.0).max();
        let manifest = Manifest {
            format: archive::FORMAT,
            made_at: now,
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            revision,
            term: term.unwrap_or_default(),
            records: records.len(),
            // All filled in when it is written.
            records_digest: Digest::from_bytes([0; 32]),
            identity: BTreeMap::new(),
            blobs: Vec::new(),
        };
        let identity = identity(&layout.identity())?;
        archive::write(&path, manifest, &records, &identity, (&reader, &ids))?;
        Ok(Made {
            path,
            records: records.len(),
            blobs: ids.len(),
            revision,
        })
    });
    work.await.unwrap_or(Err(Error::Ending))
}

/// All records at one revision.
async fn snapshot(layout: &Layout, options: &BackupOptions) -> Result<(Records, u64), Error> {
    storage::check_made(layout, &options.store)?;
    let opened = storage::open(layout, &options.store).await;
    let opened = opened.map_err(|error| match error {
        storage::Error::Store(tidegate_store::Error::Locked { path })
            if options.store.store == StoreKind::Redb =>
        {
            Error::HubRuns { path }
        }
        error => error.into(),
    })?;
    let all = moving::all(&*opened.store).await;
    Ok(all.map_err(storage::Error::from)?)
}

/// The hub's view of these records.
pub(crate) fn decoded(records: &Records) -> Result<State, records::Error> {
    let mut state = State::default();
    for (key, value) in records {
        state.apply(key, Some((value, 0)))?;
    }
    Ok(state)
}

/// The names of all content that must stay.
fn referenced(reader: &Reader, state: &State) -> Result<BTreeSet<BlobId>, Error> {
    let roots = Roots::of(state);
    let mut keep = Keep::default();
    for digest in &roots.entries {
        let entries: Vec<ReleaseEntry> = json(reader, ENTRIES_TAG, *digest)?;
        keep.entries(*digest, &entries)?;
    }
    let bundles: BTreeSet<_> = roots.bundles.union(keep.bundles()).copied().collect();
    for digest in bundles {
        let value: Value = json(reader, BUNDLE_TAG, digest)?;
        let bundle = Bundle::from_value(&value);
        let id = BlobId::new(BUNDLE_TAG, digest)?;
        keep.bundle(digest, &bundle.ok_or(Error::Malformed { id })?)?;
    }
    Ok(keep.into_ids())
}

fn json<T: serde::de::DeserializeOwned>(
    reader: &Reader,
    tag: &str,
    digest: Digest,
) -> Result<T, Error> {
    let id = BlobId::new(tag, digest)?;
    let Some(bytes) = reader.read(&id)? else {
        return Err(archive::Error::Gone { id }.into());
    };
    serde_json::from_slice(&bytes).map_err(|_| Error::Malformed { id })
}

/// The files of the identity.
fn identity(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Identity { path, source }
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let path = entry.map_err(failed(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        // What begins with a dot is half written.
        let Some(name) = name.filter(|name| path.is_file() && !name.starts_with('.')) else {
            continue;
        };
        files.insert(name.to_owned(), fs::read(&path).map_err(failed(&path))?);
    }
    Ok(files)
}
