//! What `up` remembers of a fleet between two runs of it.
//!
//! Owns the lock that keeps a second `up` away, the record's version, and that a write is whole or
//! not there. Never knows what the record is used for.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{error::Error, layout::Layout};
use crate::files::replace;

/// Version of the folder: raised when an older program would misread it.
const VERSION: u64 = 1;

/// What was made so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    version: u64,
    /// Name of the example.
    pub(super) example: String,
    /// The clusters.
    pub(super) clusters: Vec<Cluster>,
    /// The kubeconfig of real clusters.
    pub(super) kubeconfig: Option<PathBuf>,
    /// The port on which the hub was last.
    pub(super) port: u16,
    /// The hub is made, its first administrator too.
    pub(super) hub_made: bool,
    /// The example was applied.
    pub(super) applied: bool,
}

/// A cluster of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cluster {
    /// Its name.
    pub(super) name: String,
    /// Its label `env`.
    pub(super) env: String,
    /// Its context, if it is a real one.
    pub(super) context: Option<String>,
    /// The port on which a simulated one was last.
    pub(super) port: u16,
}

/// Only what every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl State {
    pub(super) fn new(example: &str, clusters: Vec<Cluster>, kubeconfig: Option<PathBuf>) -> Self {
        Self {
            version: VERSION,
            example: example.to_owned(),
            clusters,
            kubeconfig,
            port: 0,
            hub_made: false,
            applied: false,
        }
    }

    /// Reads it; `None` if there is none yet.
    pub(super) fn load(layout: &Layout) -> Result<Option<Self>, Error> {
        let path = layout.state();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file("read", &path)(source)),
        };
        let damaged = |error: serde_json::Error| Error::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        };
        let versioned: Versioned = serde_json::from_slice(&text).map_err(damaged)?;
        if versioned.version > VERSION {
            return Err(Error::Newer {
                path: layout.root().to_owned(),
                found: versioned.version,
                known: VERSION,
            });
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Writes it.
    pub(super) fn save(&self, layout: &Layout) -> Result<(), Error> {
        let path = layout.state();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| file("write", &path)(io::Error::other(error)))?;
        write(&path, &text)
    }
}

/// Nobody else runs the fleet while this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a folder that exists.
    pub(super) fn take(layout: &Layout) -> Result<Self, Error> {
        let path = layout.lock();
        let file = File::create(&path).map_err(file("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::Running {
                path: layout.root().to_owned(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(Error::File {
                action: "lock",
                path,
                source,
            }),
        }
    }
}

/// An error about a file.
pub(super) fn file<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + use<'a> {
    move |source| Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Writes a file for its owner alone: whole, or as it was before.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    replace(path, content).map_err(file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(directory: &tempfile::TempDir) -> Layout {
        Layout::new(directory.path().to_owned())
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        assert_eq!(State::load(&layout).unwrap(), None);
        let cluster = Cluster {
            name: "dev-1".to_owned(),
            env: "dev".to_owned(),
            context: None,
            port: 7,
        };
        let state = State::new("waves", vec![cluster], None);
        state.save(&layout).unwrap();
        assert_eq!(State::load(&layout).unwrap(), Some(state));
    }

    #[test]
    fn a_newer_folder_and_a_damaged_one_are_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        fs::write(layout.state(), br#"{"version": 2, "somethingElse": true}"#).unwrap();
        let error = State::load(&layout).unwrap_err().to_string();
        assert!(error.contains("newer tidegate"), "{error}");
        fs::write(layout.state(), b"{\"version\"").unwrap();
        let error = State::load(&layout).unwrap_err().to_string();
        assert!(error.contains("tidegate down"), "{error}");
        assert_eq!(fs::read(layout.state()).unwrap(), b"{\"version\"");
    }

    #[test]
    fn a_second_up_is_kept_away_until_the_first_ends() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        let lock = Lock::take(&layout).unwrap();
        assert!(matches!(Lock::take(&layout), Err(Error::Running { .. })));
        drop(lock);
        Lock::take(&layout).unwrap();
    }
}
