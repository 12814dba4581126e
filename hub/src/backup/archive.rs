//! The form of a backup: a tar file, compressed with zstd.
//!
//! In this order: `manifest.json`, `records`, `identity/…`, `blobs/<tag>/<digest>`. The manifest
//! names all that follows with its digest, so that nothing can be missing, left over or changed
//! without being seen. Owns reading and writing it; never a store.

use std::{
    collections::BTreeMap,
    fs::{File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use jiff::Timestamp;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tidegate_model::digest::Digest;
use tidegate_proto::storage::v1::BackupRecord;
use tidegate_store::{
    Blob, BlobId,
    blob::{self, Reader},
};

use crate::{
    files,
    moving::{Progress, Records},
};

/// The form that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const RECORDS: &str = "records";
const IDENTITY: &str = "identity/";
const BLOBS: &str = "blobs/";
/// Tag of the digest over all records.
const RECORDS_TAG: &str = "backup-records";
/// Tag of the digest of an identity's file.
const FILE_TAG: &str = "backup-file";
/// Tag of the digest of a manifest, which names a backup.
const MANIFEST_TAG: &str = "backup-manifest";

/// Why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("failed to {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a file already.
    #[error("failed to write the backup {path}: there is a file of that name; choose another")]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// It is not what was written.
    #[error(
        "failed to read the backup {path}: {what}; nothing was written, use another copy of it"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A newer Tidegate wrote it.
    #[error(
        "failed to read the backup {path}: it has format {found}, this Tidegate reads up to \
         {FORMAT}; use a version at least as new as the one that wrote it"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Content that a record names is gone.
    #[error(
        "failed to back up {id}: it is no longer there; if a hub is running, it was swept \
         meanwhile: try again"
    )]
    Gone {
        /// Which.
        id: BlobId,
    },
    /// Content could not be read.
    #[error(transparent)]
    Blob(#[from] blob::Error),
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// Version of the hub that made it.
    pub made_by: String,
    /// The store's revision that all records are from.
    pub revision: u64,
    /// The term of the hub whose records they are.
    pub term: u64,
    /// How many records.
    pub records: usize,
    /// Digest of them.
    pub records_digest: Digest,
    /// The identity's files, with their digests.
    pub identity: BTreeMap<String, Digest>,
    /// The blobs, as `<tag>/<digest>`.
    pub blobs: Vec<String>,
}

/// What was read of a backup, but for the blobs.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Names the backup.
    pub digest: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The records.
    pub records: Records,
    /// The identity's files.
    pub identity: BTreeMap<String, Vec<u8>>,
}

/// Writes a backup so that it is there whole or not at all, for its owner alone.
///
/// `manifest` is filled in where it speaks of what is written.
pub(super) fn write(
    path: &Path,
    mut manifest: Manifest,
    records: &Records,
    identity: &BTreeMap<String, Vec<u8>>,
    blobs: (&Reader, &[BlobId]),
) -> Result<(), Error> {
    let failed = |action| {
        let path = path.to_owned();
        move |source| Error::File {
            action,
            path,
            source,
        }
    };
    let records = encode(records);
    manifest.records_digest = Digest::of_bytes(RECORDS_TAG, &records);
    let digests = identity
        .iter()
        .map(|(name, bytes)| (name.clone(), Digest::of_bytes(FILE_TAG, bytes)));
    manifest.identity = digests.collect();
    manifest.blobs = blobs.1.iter().map(blob_name).collect();
    let json = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other);
    let json = json.map_err(failed("write"))?;
    let file = tempfile::Builder::new()
        .prefix(".tidegate-backup-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(files::parent(path))
        .map_err(failed("write"))?;
    let mut encoder = zstd::Encoder::new(file, 0).map_err(failed("write"))?;
    encoder.include_checksum(true).map_err(failed("write"))?;
    let mut tar = tar::Builder::new(encoder);
    let mut add = |name: &str, bytes: &[u8]| add(&mut tar, name, bytes, manifest.made_at);
    add(MANIFEST, &json).map_err(failed("write"))?;
    add(RECORDS, &records).map_err(failed("write"))?;
    for (name, bytes) in identity {
        add(&format!("{IDENTITY}{name}"), bytes).map_err(failed("write"))?;
    }
    let mut progress = Progress::new("blobs written", blobs.1.len());
    for id in blobs.1 {
        let bytes = blobs
            .0
            .read(id)?
            .ok_or_else(|| Error::Gone { id: id.clone() })?;
        add(&format!("{BLOBS}{}", blob_name(id)), &bytes).map_err(failed("write"))?;
        progress.step();
    }
    let finish = || tar.into_inner()?.finish();
    let file = finish().map_err(failed("write"))?;
    file.as_file().sync_all().map_err(failed("write"))?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            let path = path.to_owned();
            return Err(Error::Exists { path });
        }
        Err(error) => return Err(failed("write")(error.error)),
    }
    files::sync_parent(path).map_err(failed("sync the directory of"))
}

fn add(
    tar: &mut tar::Builder<impl Write>,
    name: &str,
    bytes: &[u8],
    made_at: Timestamp,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(made_at.as_second()).unwrap_or_default());
    tar.append_data(&mut header, name, bytes)
}

fn encode(records: &Records) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let record = BackupRecord {
            key: key.clone(),
            value: value.to_vec(),
        };
        bytes.extend(record.encode_length_delimited_to_vec());
    }
    bytes
}

fn blob_name(id: &BlobId) -> String {
    format!("{}/{}", id.tag(), id.digest())
}

fn blob_id(name: &str) -> Option<BlobId> {
    let (tag, digest) = name.split_once('/')?;
    BlobId::new(tag, digest.parse().ok()?).ok()
}

/// Reads a backup to its end and verifies all of it; each blob goes to `take`.
pub fn read<E: From<Error>>(
    path: &Path,
    mut take: impl FnMut(Blob) -> Result<(), E>,
) -> Result<Contents, E> {
    let mut reading = Reading { path };
    let mut tar = tar::Archive::new(reading.open()?);
    let mut entries = tar.entries().map_err(|error| reading.unreadable(&error))?;
    let json = reading.next(&mut entries, MANIFEST)?;
    let manifest = reading.manifest(&json)?;
    let bytes = reading.next(&mut entries, RECORDS)?;
    let records = reading.records(&manifest, &bytes)?;
    let mut identity = BTreeMap::new();
    for (name, digest) in &manifest.identity {
        if name.contains('/') || name.starts_with('.') {
            return Err(reading
                .damaged(format!("{IDENTITY}{name} is no file of a hub"))
                .into());
        }
        let bytes = reading.next(&mut entries, &format!("{IDENTITY}{name}"))?;
        if Digest::of_bytes(FILE_TAG, &bytes) != *digest {
            return Err(reading
                .damaged(format!("{IDENTITY}{name} is changed"))
                .into());
        }
        identity.insert(name.clone(), bytes);
    }
    let mut progress = Progress::new("blobs read", manifest.blobs.len());
    for name in &manifest.blobs {
        let bytes = reading.next(&mut entries, &format!("{BLOBS}{name}"))?;
        let named = blob_id(name).and_then(|id| Blob::named(id, bytes).ok());
        let blob = named.ok_or_else(|| reading.damaged(format!("{BLOBS}{name} is changed")))?;
        take(blob)?;
        progress.step();
    }
    if let Some(more) = entries.next() {
        more.map_err(|error| reading.unreadable(&error))?;
        return Err(reading
            .damaged("it holds more than it names".to_owned())
            .into());
    }
    // A reader of tar files stops before the very end, where the checksum is compared.
    let rest = io::copy(&mut tar.into_inner(), &mut io::sink());
    rest.map_err(|error| reading.unreadable(&error))?;
    Ok(Contents {
        digest: Digest::of_bytes(MANIFEST_TAG, &json),
        manifest,
        records,
        identity,
    })
}

struct Reading<'a> {
    path: &'a Path,
}

impl Reading<'_> {
    fn open(&self) -> Result<impl Read + use<>, Error> {
        let file = File::open(self.path).map_err(|source| Error::File {
            action: "open the backup",
            path: self.path.to_owned(),
            source,
        })?;
        zstd::Decoder::new(file).map_err(|error| self.unreadable(&error))
    }

    fn damaged(&self, what: String) -> Error {
        Error::Damaged {
            path: self.path.to_owned(),
            what,
        }
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        self.damaged(format!("it is cut off, damaged or no backup ({error})"))
    }

    /// The next file, which must have this name.
    fn next<R: Read>(
        &mut self,
        entries: &mut tar::Entries<'_, R>,
        name: &str,
    ) -> Result<Vec<u8>, Error> {
        let entry = entries
            .next()
            .ok_or_else(|| self.damaged(format!("{name} is missing")))?;
        let mut entry = entry.map_err(|error| self.unreadable(&error))?;
        if &*entry.path_bytes() != name.as_bytes() {
            return Err(self.damaged(format!("{name} is missing")));
        }
        let mut bytes = Vec::new();
        let read = entry.read_to_end(&mut bytes);
        read.map_err(|error| self.unreadable(&error))?;
        Ok(bytes)
    }

    fn manifest(&self, json: &[u8]) -> Result<Manifest, Error> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let wrong = |error: serde_json::Error| self.damaged(format!("{MANIFEST}: {error}"));
        // The rest of a newer form may not be readable.
        let Format { format } = serde_json::from_slice(json).map_err(wrong)?;
        if format > FORMAT {
            return Err(Error::Newer {
                path: self.path.to_owned(),
                found: format,
            });
        }
        serde_json::from_slice(json).map_err(wrong)
    }

    fn records(&self, manifest: &Manifest, bytes: &[u8]) -> Result<Records, Error> {
        if Digest::of_bytes(RECORDS_TAG, bytes) != manifest.records_digest {
            return Err(self.damaged("the records are changed".to_owned()));
        }
        let mut left = Bytes::copy_from_slice(bytes);
        let mut records = Vec::with_capacity(manifest.records);
        while !left.is_empty() {
            let record = BackupRecord::decode_length_delimited(&mut left)
                .map_err(|error| self.damaged(format!("the records: {error}")))?;
            records.push((record.key, record.value.into()));
        }
        if records.len() == manifest.records {
            Ok(records)
        } else {
            Err(self.damaged("records are missing".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
