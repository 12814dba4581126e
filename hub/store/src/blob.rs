//! Contents by name: objects, bundles and releases, as canonical bytes under their digest.
//!
//! Owns: that a blob that was put is on disk, that what is read is what was named, and that
//! nothing is deleted while somebody is about to refer to it. Never knows what refers to a blob:
//! the hub says what to keep.

pub mod files;
pub mod memory;
mod sweep;

use std::{collections::BTreeSet, fmt, path::PathBuf};

use bytes::Bytes;
use futures::future::BoxFuture;
use tidegate_model::digest::Digest;

use crate::disk;

pub use self::{
    files::{Files, Reader},
    memory::MemoryBlobs,
};

/// The name of a blob: the type tag and the digest over tag and bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId {
    tag: String,
    digest: Digest,
}

impl BlobId {
    /// The blob of type `tag` (for example `object`) with this digest.
    ///
    /// # Errors
    /// [`Error::Tag`]: a tag is lower-case letters, digits and `-`, at most 32.
    pub fn new(tag: impl Into<String>, digest: Digest) -> Result<Self, Error> {
        let tag = tag.into();
        let fits = (1..=32).contains(&tag.len())
            && tag.starts_with(|c: char| c.is_ascii_lowercase())
            && tag
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits {
            Ok(Self { tag, digest })
        } else {
            Err(Error::Tag {
                tag: tag.chars().take(100).collect(),
            })
        }
    }

    /// The type tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    fn matches(&self, bytes: &[u8]) -> bool {
        Digest::of_bytes(&self.tag, bytes) == self.digest
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tag, self.digest)
    }
}

/// Bytes with the name that belongs to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    id: BlobId,
    bytes: Bytes,
}

impl Blob {
    /// Names canonical bytes of type `tag`.
    ///
    /// # Errors
    /// [`Error::Tag`].
    pub fn new(tag: &str, bytes: impl Into<Bytes>) -> Result<Self, Error> {
        let bytes = bytes.into();
        let id = BlobId::new(tag, Digest::of_bytes(tag, &bytes))?;
        Ok(Self { id, bytes })
    }

    /// Bytes that somebody else named, for example a peer.
    ///
    /// # Errors
    /// [`Error::WrongDigest`] if the name is not theirs.
    pub fn named(id: BlobId, bytes: impl Into<Bytes>) -> Result<Self, Error> {
        let bytes = bytes.into();
        if id.matches(&bytes) {
            Ok(Self { id, bytes })
        } else {
            Err(Error::WrongDigest {
                found: Digest::of_bytes(&id.tag, &bytes),
                id,
            })
        }
    }

    /// The name.
    pub const fn id(&self) -> &BlobId {
        &self.id
    }

    /// The content.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs that were deleted.
    pub deleted: usize,
    /// Unreferenced blobs that the next sweep deletes unless they are put again or kept.
    pub pending: usize,
}

/// What a store of blobs takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub blobs: usize,
    /// Their content, in bytes.
    pub bytes: u64,
}

/// A store of blobs.
pub trait BlobStore: Send + Sync + 'static {
    /// Stores blobs, durably before it returns. Putting what is there already is cheap, and
    /// repairs it if it was damaged. On an error, any of them may be stored.
    fn put(&self, blobs: Vec<Blob>) -> BoxFuture<'_, Result<(), Error>>;

    /// The content, verified against its name; `None` if there is no such blob.
    fn get<'a>(&'a self, id: &'a BlobId) -> BoxFuture<'a, Result<Option<Bytes>, Error>>;

    /// Whether the blob is there. Its content is not verified.
    fn has<'a>(&'a self, id: &'a BlobId) -> BoxFuture<'a, Result<bool, Error>>;

    /// What all blobs take, for people who watch the disk.
    fn usage(&self) -> BoxFuture<'_, Result<Usage, Error>>;

    /// The names of all blobs, sorted.
    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobId>, Error>>;

    /// Deletes blobs that are not in `keep`, as garbage collection.
    ///
    /// A blob goes only if two sweeps in a row found it unreferenced and it was not put between
    /// them. So a caller that puts blobs and then commits a reference has at least one whole
    /// period between sweeps for the commit; `keep` is read from the store before the call.
    fn sweep(&self, keep: BTreeSet<BlobId>) -> BoxFuture<'_, Result<Swept, Error>>;
}

/// An error of the blob store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A type tag has a wrong form.
    #[error(
        "failed to use blob tag {tag:?}: expected at most 32 lower-case letters, digits and `-`, \
         starting with a letter"
    )]
    Tag {
        /// The tag, cut to 100 characters.
        tag: String,
    },
    /// Bytes do not belong to the name they came with.
    #[error("failed to accept blob {id}: its bytes have digest {found}")]
    WrongDigest {
        /// The name they came with.
        id: BlobId,
        /// Their digest.
        found: Digest,
    },
    /// A stored file is not what its name says.
    #[error(
        "failed to read blob {id}: the file {path} is damaged (its digest is {found}); delete \
         the file, the hub writes it again when it renders or accepts the content again"
    )]
    Corrupted {
        /// The blob.
        id: BlobId,
        /// Its file.
        path: PathBuf,
        /// The digest of what is in the file.
        found: Digest,
    },
    /// Another process uses the directory.
    #[error(
        "failed to open the blob directory {path}: another process has it open; run one hub for \
         each directory, and wait for the old one to end"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The disk refused a read or a write.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The process is ending.
    #[error("failed to use the blob store: the process is ending")]
    Closed,
}

impl Error {
    /// Whether the same call can succeed later by itself.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Locked { .. } => true,
            Self::Disk(error) => error.is_retryable(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_theirs_is_refused() {
        let blob = Blob::new("object", "{}").unwrap();
        assert!(Blob::named(blob.id().clone(), "{}").is_ok());
        assert!(matches!(
            Blob::named(blob.id().clone(), "[]"),
            Err(Error::WrongDigest { .. })
        ));
        let other_tag = BlobId::new("bundle", blob.id().digest()).unwrap();
        assert!(Blob::named(other_tag, "{}").is_err());
    }

    #[test]
    fn a_tag_cannot_leave_its_directory() {
        for bad in ["", "..", "a/b", "A", ".tmp", "-a", &"a".repeat(33)] {
            let named = BlobId::new(bad, Digest::from_bytes([0; 32]));
            assert!(matches!(named, Err(Error::Tag { .. })), "{bad:?}");
        }
    }
}
