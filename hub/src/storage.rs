//! Which store a hub has, and its opening: redb beside it or an etcd.
//!
//! Owns the file in the state directory that says so, which is what tells a finished hub, and the
//! reading of etcd's certificates and password. Never reads a record.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidegate_store::{Embedded, Etcd, Range, Store, embedded, etcd, key};

use crate::{
    config::{EtcdOptions, StoreKind, StoreOptions},
    files::{self, IfThere},
    git::check_closed,
    layout::Layout,
    moving,
    records::{EpochRecord, Record as _},
};

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No hub was made there.
    #[error("failed to find a hub in {path}: `tidegate-hub init --state-dir {path} …` makes one")]
    NoHub {
        /// The state directory.
        path: PathBuf,
    },
    /// The directory holds a hub.
    #[error("failed to make a hub in {path}: there is one already; choose another --state-dir")]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The etcd holds a hub.
    #[error(
        "failed to make a hub in the etcd at {endpoints}: there are records of one under \
         /tidegate/v1/ already; choose another etcd, or, if it was an init that did not finish, \
         delete them (`etcdctl del --prefix /tidegate/v1/`)"
    )]
    EtcdInUse {
        /// The endpoints.
        endpoints: String,
    },
    /// The hub was made with the other store.
    #[error(
        "failed to open the store: the hub in {path} keeps its records in {has}; start it with \
         --store {has}"
    )]
    OtherStore {
        /// The state directory.
        path: PathBuf,
        /// Its store.
        has: StoreKind,
    },
    /// The etcd has lost its records, or is not the one that the hub was made with.
    #[error(
        "failed to open the store: the etcd at {endpoints} holds no records, but a hub was made \
         in {path}; check --etcd-endpoints, or restore etcd from a snapshot"
    )]
    Empty {
        /// The endpoints.
        endpoints: String,
        /// The state directory.
        path: PathBuf,
    },
    /// A restore or a migration into this store, or away from it, is not over.
    #[error(
        "failed to open the store: its records were being moved and that is not over; finish it: \
         {command}"
    )]
    Moving {
        /// What finishes it.
        command: String,
    },
    /// The directory holds the beginning of a restored hub.
    #[error(
        "failed to use {path}: a restore into it was interrupted; run `tidegate-hub restore` again \
         with the same backup, or remove the directory"
    )]
    Restoring {
        /// The directory.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("failed to {action} {path}{flag}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The flag that names it, in brackets.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] tidegate_store::Error),
}

/// The store that a finished hub has; `None` if there is no hub.
pub(crate) fn made_with(layout: &Layout) -> Option<StoreKind> {
    match (layout.store().exists(), layout.etcd_mark().exists()) {
        (true, _) => Some(StoreKind::Redb),
        (false, true) => Some(StoreKind::Etcd),
        (false, false) => None,
    }
}

/// Refuses a directory or an etcd that holds a hub.
pub async fn check_new(layout: &Layout, options: &StoreOptions) -> Result<(), Error> {
    if made_with(layout).is_some() {
        let path = layout.root().to_owned();
        return Err(Error::Exists { path });
    }
    if layout.restore_mark().exists() {
        let path = layout.root().to_owned();
        return Err(Error::Restoring { path });
    }
    match options.store {
        StoreKind::Redb => Ok(()),
        StoreKind::Etcd => create(layout, options).await.map(drop),
    }
}

/// Refuses a directory without a hub, or with one of the other store.
pub fn check_made(layout: &Layout, options: &StoreOptions) -> Result<(), Error> {
    let path = layout.root().to_owned();
    match made_with(layout) {
        None if layout.restore_mark().exists() => Err(Error::Restoring { path }),
        None => Err(Error::NoHub { path }),
        Some(has) if has != options.store => Err(Error::OtherStore { path, has }),
        Some(_) => Ok(()),
    }
}

/// A new hub's store.
pub async fn create(layout: &Layout, options: &StoreOptions) -> Result<Arc<dyn Store>, Error> {
    let store = connect(layout, options).await?;
    if options.store == StoreKind::Etcd && holds_hub(&*store).await? {
        return Err(Error::EtcdInUse {
            endpoints: options.etcd.etcd_endpoints.join(", "),
        });
    }
    Ok(store)
}

/// Marks the hub finished: its first records are committed.
pub fn finish(layout: &Layout, options: &StoreOptions) -> Result<(), Error> {
    match options.store {
        // Its file is the mark.
        StoreKind::Redb => Ok(()),
        StoreKind::Etcd => mark_etcd(layout, &options.etcd),
    }
}

/// Marks the hub as one whose records are in this etcd.
pub(crate) fn mark_etcd(layout: &Layout, options: &EtcdOptions) -> Result<(), Error> {
    let text = format!("{}\n", options.etcd_endpoints.join("\n"));
    let path = layout.etcd_mark();
    match files::write(&path, text.as_bytes(), IfThere::Replace) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::File {
            action: "write",
            path,
            flag: "",
            source,
        }),
    }
}

/// A finished hub's store.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The same, where several hubs may have it: one of them leads.
    pub shared: Option<Arc<Etcd>>,
}

/// The store of a finished hub.
pub async fn open(layout: &Layout, options: &StoreOptions) -> Result<Opened, Error> {
    // A restore that was killed after its last step but this one. If it fails, it says nothing more.
    fs::remove_file(layout.restore_mark()).ok();
    if options.store == StoreKind::Redb {
        let store = connect(layout, options).await?;
        check_settled(&*store).await?;
        return Ok(Opened {
            store,
            shared: None,
        });
    }
    let etcd = Arc::new(connect_etcd(&options.etcd).await?);
    check_settled(&*etcd).await?;
    if !holds_hub(&*etcd).await? {
        return Err(Error::Empty {
            endpoints: options.etcd.etcd_endpoints.join(", "),
            path: layout.root().to_owned(),
        });
    }
    Ok(Opened {
        store: Arc::<Etcd>::clone(&etcd),
        shared: Some(etcd),
    })
}

/// Refuses a store that records are being moved into or away from.
pub(crate) async fn check_settled(store: &dyn Store) -> Result<(), Error> {
    match moving::mark(store).await? {
        Some(mark) => Err(Error::Moving {
            command: mark.command,
        }),
        None => Ok(()),
    }
}

/// Whether there is more than a term, which an `init` takes before it writes anything.
async fn holds_hub(store: &dyn Store) -> Result<bool, Error> {
    let term = key::prefix(EpochRecord::KIND, &[])?;
    let first = store.range(Range::prefix(key::ROOT).limit(2)).await?;
    Ok(first
        .entries
        .iter()
        .any(|entry| !entry.key.starts_with(&term)))
}

async fn connect(layout: &Layout, options: &StoreOptions) -> Result<Arc<dyn Store>, Error> {
    Ok(match options.store {
        StoreKind::Redb => {
            Arc::new(Embedded::open(layout.store(), embedded::Options::default()).await?)
        }
        StoreKind::Etcd => Arc::new(connect_etcd(&options.etcd).await?),
    })
}

/// The etcd of these options.
pub(crate) async fn connect_etcd(options: &EtcdOptions) -> Result<Etcd, Error> {
    Ok(Etcd::open(etcd_options(options)?).await?)
}

fn etcd_options(options: &EtcdOptions) -> Result<etcd::Options, Error> {
    let mut etcd = etcd::Options::new(options.etcd_endpoints.iter().cloned());
    if let Some(path) = &options.etcd_ca_file {
        etcd.ca_pem = Some(read(path, " (--etcd-ca-file)")?);
    }
    if let (Some(certificate), Some(key)) = (&options.etcd_cert_file, &options.etcd_key_file) {
        let certificate = read(certificate, " (--etcd-cert-file)")?;
        etcd.identity = Some((certificate, read_secret(key, " (--etcd-key-file)")?));
    }
    if let (Some(user), Some(path)) = (&options.etcd_user, &options.etcd_password_file) {
        let password = read_secret(path, " (--etcd-password-file)")?;
        // A file that an editor wrote ends with a line break that is no part of the password.
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        etcd.user = Some((user.clone(), password));
    }
    Ok(etcd)
}

fn read(path: &Path, flag: &'static str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(unreadable(path, flag))
}

fn read_secret(path: &Path, flag: &'static str) -> Result<String, Error> {
    check_closed(path).map_err(unreadable(path, flag))?;
    read(path, flag)
}

fn unreadable(path: &Path, flag: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        action: "read",
        path,
        flag,
        source,
    }
}
