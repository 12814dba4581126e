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
    let path = layout.home();
    let found = match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::File { path, source }),
    };
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

/// Gives the directory a name.
fn named(layout: &Layout, id: Uuid) -> Result<String, Error> {
    let (path, name) = (layout.home(), id.to_string());
    let written = fs::write(&path, format!("{name}\n"));
    written.map_err(|source| Error::File { path, source })?;
    Ok(name)
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
