//! The disk cache of objects by digest.
//!
//! A file is believed only after its digest was checked, so a torn or altered file is the same as
//! a missing one, and the disk is waited for only where no other copy is ([`BlobCache::make_durable`]).
//! Never the only copy of what must survive a lost node: [`crate::state`] keeps that in the cluster.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tidegate_model::{bundle::OBJECT_TAG, canonical, digest::Digest};

/// Why the disk cache could not be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {path}")]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Objects by digest, one file each. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobCache {
    folder: PathBuf,
}

impl BlobCache {
    /// Opens the cache below `state_dir`, making it readable for this user only.
    pub fn open(state_dir: &Path) -> Result<Self, Error> {
        let folder = state_dir.join("blobs");
        make_private_folder(state_dir)?;
        make_private_folder(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(hex::encode(digest.as_bytes()))
    }

    /// Whether a sound copy is there.
    pub fn has(&self, digest: Digest) -> bool {
        self.get(digest).is_some()
    }

    /// The object, or `None` if there is no sound copy. A damaged file is removed.
    pub fn get(&self, digest: Digest) -> Option<Value> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        if Digest::of_bytes(OBJECT_TAG, &bytes) == digest {
            return serde_json::from_slice(&bytes).ok();
        }
        tracing::warn!(path = %path.display(), "removed a damaged file of the disk cache");
        // If it cannot be removed it stays damaged, and is refused again by the next read.
        fs::remove_file(&path).ok();
        None
    }

    /// Keeps an object and returns its digest. A machine that fails at once may lose it again.
    pub fn put(&self, object: &Value) -> Result<Digest, Error> {
        let bytes = canonical::to_vec(object);
        let digest = Digest::of_bytes(OBJECT_TAG, &bytes);
        if !self.has(digest) {
            write(&self.path(digest), &bytes)?;
        }
        Ok(digest)
    }

    /// Returns once these objects are on disk for good.
    pub fn make_durable(&self, digests: impl IntoIterator<Item = Digest>) -> Result<(), Error> {
        for digest in digests {
            sync(&self.path(digest))?;
        }
        sync(&self.folder)
    }

    /// Removes every object that `keep` does not name.
    pub fn retain(&self, keep: impl Fn(Digest) -> bool) -> Result<(), Error> {
        let failed = |source| Error {
            action: "list",
            path: self.folder.clone(),
            source,
        };
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let digest = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| format!("sha256:{name}").parse().ok());
            if !digest.is_some_and(&keep) {
                // A file that stays only costs space.
                fs::remove_file(&path).ok();
            }
        }
        Ok(())
    }
}

/// Makes `folder` with mode 0700.
pub(crate) fn make_private_folder(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| Error {
            action: "make folder",
            path: folder.to_owned(),
            source,
        })
}

/// Replaces the file at `path`. Whoever reads it finds the old or the new bytes; after a crash of the
/// machine they may be neither.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes, |_| Ok(()))
}

/// Replaces the file at `path`: after a crash it holds the old or the new bytes, never a mixture.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes, fs::File::sync_all)?;
    sync(folder_of(path))
}

fn replace(
    path: &Path,
    bytes: &[u8],
    before: impl Fn(&fs::File) -> io::Result<()>,
) -> Result<(), Error> {
    let attempt = || {
        // Content may hold secrets; a named temporary file is readable by its owner only.
        let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
        file.write_all(bytes)?;
        before(file.as_file())?;
        file.persist(path)?;
        Ok(())
    };
    attempt().map_err(|source| Error {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// Waits until this file or folder is on disk as it is.
fn sync(path: &Path) -> Result<(), Error> {
    let opened = fs::File::open(path).and_then(|file| file.sync_all());
    opened.map_err(|source| Error {
        action: "make durable",
        path: path.to_owned(),
        source,
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_damaged_file_is_missing_and_can_be_put_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(folder.path()).unwrap();
        let object = json!({"kind": "ConfigMap", "data": {"n": "9007199254740993"}});
        let digest = cache.put(&object).unwrap();
        assert_eq!(cache.get(digest), Some(object.clone()));

        fs::write(cache.path(digest), b"{}").unwrap();
        assert!(!cache.has(digest));
        assert_eq!(cache.put(&object).unwrap(), digest);
        assert!(cache.has(digest));
        cache.make_durable([digest]).unwrap();
        let error = cache.make_durable([Digest::from_bytes([1; 32])]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("failed to make durable"), "{error}");
    }

    #[test]
    fn what_nothing_names_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(folder.path()).unwrap();
        let kept = cache.put(&json!(1)).unwrap();
        let dropped = cache.put(&json!(2)).unwrap();
        cache.retain(|digest| digest == kept).unwrap();
        assert!(cache.has(kept) && !cache.has(dropped));
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(folder.path()).unwrap();
        fs::remove_dir_all(folder.path().join("blobs")).unwrap();
        let error = cache.put(&json!(1)).unwrap_err().to_string();
        assert!(
            error.contains("failed to write") && error.contains("blobs"),
            "{error}"
        );
    }
}
