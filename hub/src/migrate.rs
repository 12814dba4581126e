//! `tidegate-hub migrate`: a hub's records from one store to the other.
//!
//! The state directory stays what it was: certificates and content are in it with either store.
//! Owns the order, so that at every moment a hub can start on one store at most: the records are
//! copied and read back while the hub still belongs to the old store, then the directory says the
//! new one, and only then hubs may start there. The new store's term is above any that the old one
//! can have reached. Never deletes records of the old store.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use tidegate_model::digest::Digest;
use tidegate_proto::storage::v1::Move;
use tidegate_store::{Embedded, Etcd, embedded};
use tokio::sync::watch;

use crate::{
    backup::decoded,
    clock::Clock,
    config::{MigrateOptions, StoreKind},
    files,
    layout::Layout,
    moving::{self, Records},
    records::{self, EpochRecord, Record as _},
    restore::next_term,
    storage::{self, made_with},
};

/// How long another hub's lease may last that has ended.
const LEASE: Duration = Duration::from_secs(20);

/// Why the records are where they were.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to do.
    #[error("failed to migrate: --from and --to are both {0}; one of them is the other store")]
    Same(StoreKind),
    /// A hub runs on the file.
    #[error("failed to migrate {path}: a hub is running on it; stop it first")]
    HubRuns {
        /// The store's file.
        path: PathBuf,
    },
    /// A hub runs on the etcd.
    #[error("failed to migrate: {leader} is running on the etcd; stop every hub on it first")]
    Led {
        /// Which.
        leader: String,
    },
    /// A file could not be read or written.
    #[error("failed to {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The records.
    #[error(transparent)]
    Moving(#[from] moving::Error),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] records::Error),
}

/// Moves the records; says how many.
pub async fn run(options: &MigrateOptions) -> Result<usize, Error> {
    let layout = Layout::new(&options.state_dir);
    match (options.from, options.to) {
        (from, to) if from == to => Err(Error::Same(from)),
        (StoreKind::Redb, _) => to_etcd(&layout, options).await,
        (StoreKind::Etcd, _) => to_redb(&layout, options).await,
    }
}

/// Names the hub and the direction: only the same move carries on.
fn source(layout: &Layout, from: StoreKind) -> Result<String, Error> {
    let path = layout.identity().join("ca.pem");
    let authority = fs::read(&path).map_err(failed("read", &path))?;
    let hub = Digest::of_bytes("hub", &authority);
    Ok(format!("hub {hub} from {from}"))
}

fn ours(layout: &Layout, options: &MigrateOptions) -> Result<Move, Error> {
    Ok(Move {
        source: source(layout, options.from)?,
        command: format!(
            "tidegate-hub migrate --state-dir {} --from {} --to {} --etcd-endpoints {} …",
            layout.root().display(),
            options.from,
            options.to,
            options.etcd.etcd_endpoints.join(",")
        ),
    })
}

async fn to_etcd(layout: &Layout, options: &MigrateOptions) -> Result<usize, Error> {
    let ours = ours(layout, options)?;
    if made_with(layout) == Some(StoreKind::Etcd) && layout.store_moved().exists() {
        let etcd = storage::connect_etcd(&options.etcd).await?;
        if let Some(records) = moved(&etcd, &ours).await? {
            moving::end(&etcd).await?;
            return Ok(records);
        }
    }
    check_from(layout, StoreKind::Redb)?;
    let file = open_file(layout.store()).await?;
    let (records, _) = moving::all(&file).await.map_err(storage::Error::from)?;
    let records = with_next_term(records)?;
    let etcd = storage::connect_etcd(&options.etcd).await?;
    // Records that this hub left there when it moved away are of no use any more.
    let left = source(layout, StoreKind::Etcd)?;
    let may_replace = |found: &Move| found.source == ours.source || found.source == left;
    moving::fill(&etcd, &ours, may_replace, &records).await?;
    drop(file);
    storage::mark_etcd(layout, &options.etcd)?;
    rename(&layout.store(), &layout.store_moved())?;
    moving::end(&etcd).await?;
    Ok(records.len())
}

/// How many records of this very move are in the etcd, if it was killed when all but the last step was
/// done.
async fn moved(etcd: &Etcd, ours: &Move) -> Result<Option<usize>, Error> {
    let found = moving::mark(etcd).await.map_err(storage::Error::from)?;
    if found.is_none_or(|found| found.source != ours.source) {
        return Ok(None);
    }
    let (records, _) = moving::all(etcd).await.map_err(storage::Error::from)?;
    Ok(Some(records.len()))
}

async fn to_redb(layout: &Layout, options: &MigrateOptions) -> Result<usize, Error> {
    let ours = ours(layout, options)?;
    if made_with(layout) == Some(StoreKind::Redb) {
        let etcd = storage::connect_etcd(&options.etcd).await?;
        if let Some(records) = moved(&etcd, &ours).await? {
            unmark(layout)?;
            return Ok(records);
        }
    }
    check_from(layout, StoreKind::Etcd)?;
    let etcd = storage::connect_etcd(&options.etcd).await?;
    let lead = lead(&etcd).await?;
    // From here on no hub starts on the etcd; that stays so when its records are in the file.
    moving::begin(&etcd, &ours, |found| found.source == ours.source).await?;
    let (records, _) = moving::all(&etcd).await.map_err(storage::Error::from)?;
    let records = with_next_term(records)?;
    let path = layout.store_unfinished();
    remove(&path)?;
    let file = open_file(path).await?;
    moving::fill(&file, &ours, |_| true, &records).await?;
    moving::end(&file).await?;
    drop(file);
    rename(&layout.store_unfinished(), &layout.store())?;
    unmark(layout)?;
    // Its lease ends by itself if this fails.
    lead.resign().await.ok();
    Ok(records.len())
}

/// The records are not in an etcd any more.
fn unmark(layout: &Layout) -> Result<(), Error> {
    remove(&layout.etcd_mark())
}

fn remove(path: &Path) -> Result<(), Error> {
    files::remove(path).map_err(failed("remove", path))
}

fn check_from(layout: &Layout, from: StoreKind) -> Result<(), Error> {
    let path = layout.root().to_owned();
    match made_with(layout) {
        Some(has) if has == from => Ok(()),
        Some(has) => Err(storage::Error::OtherStore { path, has }.into()),
        None => Err(storage::Error::NoHub { path }.into()),
    }
}

async fn open_file(path: PathBuf) -> Result<Embedded, Error> {
    match Embedded::open(path, embedded::Options::default()).await {
        Ok(store) => Ok(store),
        Err(tidegate_store::Error::Locked { path }) => Err(Error::HubRuns { path }),
        Err(error) => Err(storage::Error::from(error).into()),
    }
}

/// Takes the leadership, so that no hub works meanwhile. Waits for the lease of one that ended.
async fn lead(etcd: &Etcd) -> Result<tidegate_store::etcd::Lead, Error> {
    let leader = watch::Sender::new(None);
    let mut seen = leader.subscribe();
    let waiting = async {
        if seen.wait_for(Option::is_some).await.is_ok() {
            let text = "a hub leads there; waiting for its lease, if it has ended";
            // Whoever closed standard error does not want to know.
            let _ = writeln!(io::stderr(), "{text}");
        }
        tokio::time::sleep(LEASE).await;
    };
    tokio::select! {
        lead = etcd.lead("migrate", &leader) => Ok(lead.map_err(storage::Error::from)?),
        () = waiting => {
            let leader = seen.borrow().clone();
            Err(Error::Led { leader: leader.unwrap_or_default() })
        }
    }
}

/// The records, with a term that a hub on the old store cannot reach.
fn with_next_term(mut records: Records) -> Result<Records, Error> {
    let state = decoded(&records)?;
    let now = Clock::default().now();
    let record = EpochRecord {
        epoch: next_term(&state, now, 0),
        holder: "migrate".to_owned(),
        taken_at: now,
    };
    records.retain(|(key, _)| *key != record.key());
    records.push((record.key(), Bytes::from(record.encode())));
    Ok(records)
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    files::rename(from, to).map_err(failed("write", to))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        action,
        path,
        source,
    }
}
