//! Faults of the disk, told apart by what a person has to do about them.
//!
//! Used by the store and by the blob files. Never retries.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A failed operation on a file or directory. Clonable, because one failed commit answers every
/// transaction that was in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No space, quota or file size limit left.
    #[error(
        "failed to {action} {path}: the disk is full or a size limit is reached; free space or \
         enlarge the volume, the operation is then tried again"
    )]
    Full {
        /// What was tried, for example `write`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// A read-only file system, or missing permissions.
    #[error(
        "failed to {action} {path}: it is read-only or belongs to another user; mount the \
         volume writable and make it owned by the user the hub runs as"
    )]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The path, or the directory it is in, does not exist.
    #[error("failed to {action} {path}: no such file or directory; create it or mount the volume")]
    Missing {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Anything else, such as a failing device.
    #[error("failed to {action} {path}: {source}; check the disk and the volume")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// Classifies what the operating system said about `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let (path, kind, source) = (path.to_owned(), source.kind(), Arc::new(source));
        match kind {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge | Kind::WriteZero => {
                Self::Full {
                    action,
                    path,
                    source,
                }
            }
            Kind::ReadOnlyFilesystem | Kind::PermissionDenied => Self::ReadOnly {
                action,
                path,
                source,
            },
            Kind::NotFound | Kind::NotADirectory => Self::Missing {
                action,
                path,
                source,
            },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    /// Whether space is what is missing.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the same call can succeed later by itself. Permissions and missing volumes need a
    /// person.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Io { .. })
    }
}
