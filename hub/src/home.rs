//! Whether a store and a state directory belong to one another.
//!
//! Certificates and content are in the state directory, records may be in an etcd. A hub that is
//! given the records of one hub and the directory of another, or a copy of the directory in which
//! content is missing that another hub wrote, must say so at its start and not in a rollout. Owns
//! the directory's name and the record of it.

use std::{fs, io, path::PathBuf};

use tidegate_store::Store;
use uuid::Uuid;

use crate::{
    changes::Changes,
    clock::Clock,
    db::{self, Db},
    files::{self, IfThere, Written},
    identity::Authority,
    layout::Layout,
    records::{self, HomeRecord, Record as _},
};

/// Why they do not belong to one another.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The content is somewhere else.
    #[error(
        "failed to start: the records in the store belong to the state directory with the id \
         {wanted}, and {path} has {found}; hubs on one etcd need the same state directory, on a \
         volume that all of them can write, not a copy; if that one is lost, restore a backup"
    )]
    Directory {
        /// The state directory.
        path: PathBuf,
        /// What the records name.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// The certificates are another hub's.
    #[error(
        "failed to start: the records in the store belong to a hub with another certificate \
         authority than the one in {path}; check --state-dir and where the records are"
    )]
    Authority {
        /// The identity's directory.
        path: PathBuf,
    },
    /// The directory's name could not be read or written.
    #[error("failed to use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] records::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] tidegate_store::Error),
}

/// What is known of a store's home.
#[derive(Debug)]
pub enum Home {
    /// The store names it.
    Known,
    /// The store names none yet.
    New(HomeRecord),
}

/// Compares what the store says with what is there.
pub async fn check(
    store: &dyn Store,
    layout: &Layout,
    authority: &Authority,
    clock: &Clock,
) -> Result<Home, Error> {
    let found = name(layout)?;
    let authority = hex::encode(authority.fingerprint());
    let key = HomeRecord::default().key();
    let Some(entry) = store.get(&key).await? else {
        let directory = match found {
            Some(found) => found,
            None => named(layout, clock.id())?,
        };
        return Ok(Home::New(HomeRecord {
            directory,
            authority,
        }));
    };
    let record = HomeRecord::decode(&key, &entry.value)?;
    if found.as_deref() != Some(&record.directory) {
        return Err(Error::Directory {
            path: layout.root().to_owned(),
            wanted: record.directory,
            found: found.unwrap_or_else(|| "none".to_owned()),
        });
    }
    if record.authority != authority {
        let path = layout.identity();
        return Err(Error::Authority { path });
    }
    Ok(Home::Known)
}

/// What the directory is called, if it has a name.
fn name(layout: &Layout) -> Result<Option<String>, Error> {
    let path = layout.home();
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { path, source }),
    }
}

/// Gives the directory a name, or says the one that another hub gave it meanwhile. Durable before
/// the records name it: a directory that lost its name would never be theirs again.
fn named(layout: &Layout, id: Uuid) -> Result<String, Error> {
    let (path, ours) = (layout.home(), id.to_string());
    let written = files::write(&path, format!("{ours}\n").as_bytes(), IfThere::Keep);
    let failed = |source| Error::File {
        path: path.clone(),
        source,
    };
    match written.map_err(failed)? {
        Written::Written => Ok(ours),
        Written::Kept => name(layout)?.ok_or_else(|| {
            failed(io::Error::other(
                "it is empty; remove it, the next start makes it",
            ))
        }),
    }
}

/// Writes what the store does not name yet.
pub async fn settle(db: &Db, home: Home) -> Result<(), db::Error> {
    let Home::New(record) = home else {
        return Ok(());
    };
    let mut changes = Changes::default();
    changes.create(&record);
    db.commit(changes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_first_starts_at_once_agree_on_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        // Both found none.
        let first = named(&layout, Uuid::from_u128(1)).unwrap();
        let second = named(&layout, Uuid::from_u128(2)).unwrap();
        assert_eq!(first, second);
        assert_eq!(name(&layout).unwrap(), Some(first));
    }

    #[test]
    fn an_empty_name_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        fs::write(layout.home(), "").unwrap();
        assert_eq!(name(&layout).unwrap(), None);
        let error = named(&layout, Uuid::from_u128(1)).unwrap_err();
        let Error::File { source, .. } = &error else {
            panic!("{error}");
        };
        assert!(source.to_string().contains("remove it"), "{source}");
    }
}
