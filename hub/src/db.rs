//! The hub's handle on its store: a decoded view that follows it, and fenced commits.
//!
//! Owns the one way to write: every transaction compares the hub's epoch record, so that a hub that
//! lost its term writes nothing (design, decision 9), and carries the audit of what it does. After
//! a commit the view is waited for, so that the next pass sees what the last one wrote. Never
//! decides what to write.

mod follow;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use jiff::Timestamp;
use tidegate_model::ids::{ClusterUid, Epoch};
use tidegate_store::{BlobStore, Range, Store, Txn};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    audit,
    changes::{Changes, Decision},
    clock::Clock,
    events::Log,
    records::{self, AuditHead, EpochRecord, Record as _},
    state::State,
    telemetry::{metrics::Metrics, witness::Witness},
};

/// What can go wrong between the hub and its store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] tidegate_store::Error),
    /// A record cannot be read; nothing is guessed.
    #[error(transparent)]
    Record(#[from] records::Error),
    /// Something changed since it was read; read again and decide again.
    #[error("failed to commit: {key} changed in the meantime")]
    Conflict {
        /// Which key.
        key: String,
    },
    /// Another hub has taken over; this one must stop.
    #[error("failed to commit: another hub took the term after epoch {epoch}; this hub must stop")]
    Fenced {
        /// Our term.
        epoch: Epoch,
    },
    /// The view no longer follows the store.
    #[error("failed to follow the store: {0}")]
    Following(String),
}

impl Error {
    /// Whether reading again and trying again can help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict { .. } => true,
            Self::Store(error) => error.is_retryable() || error.is_outcome_unknown(),
            Self::Record(_) | Self::Fenced { .. } | Self::Following(_) => false,
        }
    }
}

/// The handle. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    store: Arc<dyn Store>,
    blobs: Arc<dyn BlobStore>,
    shared: Arc<Shared>,
    clock: Clock,
    metrics: Metrics,
    epoch: EpochRecord,
    epoch_revision: u64,
}

struct Shared {
    state: RwLock<State>,
    revision: watch::Sender<u64>,
    /// Who waits for news of a cluster.
    clusters: Mutex<BTreeMap<ClusterUid, watch::Sender<u64>>>,
    failed: watch::Sender<Option<String>>,
    events: Log,
}

impl Shared {
    fn clusters(&self) -> MutexGuard<'_, BTreeMap<ClusterUid, watch::Sender<u64>>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever waits for news of these clusters.
    fn tell(&self, touched: &BTreeSet<ClusterUid>, revision: u64) {
        let mut clusters = self.clusters();
        for uid in touched {
            let unheard = clusters
                .get(uid)
                .is_some_and(|sender| sender.send(revision).is_err());
            if unheard {
                clusters.remove(uid);
            }
        }
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db")
            .field("epoch", &self.epoch.epoch)
            .finish_non_exhaustive()
    }
}

impl Db {
    /// Reads everything, takes the next term and follows the store until `cancel`.
    pub async fn open(
        store: Arc<dyn Store>,
        blobs: Arc<dyn BlobStore>,
        clock: Clock,
        holder: String,
        cancel: CancellationToken,
    ) -> Result<Self, Error> {
        let (epoch, epoch_revision) = take_term(store.as_ref(), &clock, holder).await?;
        let mut state = State::default();
        let page = store.range(Range::prefix(PREFIX)).await?;
        for entry in &page.entries {
            state.apply(&entry.key, Some((&entry.value, entry.mod_revision)))?;
        }
        state.revision = page.revision;
        let metrics = Metrics::default();
        metrics.leads();
        let events = Log::open(epoch.epoch, &clock, &page.entries, &state);
        let shared = Arc::new(Shared {
            events,
            revision: watch::Sender::new(state.revision),
            clusters: Mutex::default(),
            state: RwLock::new(state),
            failed: watch::Sender::new(None),
        });
        tokio::spawn(follow::follow(
            Arc::clone(&store),
            Arc::clone(&shared),
            page.revision,
            Witness::new(clock.clone(), metrics.clone()),
            cancel,
        ));
        Ok(Self {
            store,
            blobs,
            shared,
            clock,
            metrics,
            epoch,
            epoch_revision,
        })
    }

    /// The view, for reading. Held only while reading: never across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.shared
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Notices of changes: the revision up to which the view is complete.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.revision.subscribe()
    }

    /// Notices of changes of what this cluster's agent is told: of its record and its applications. A
    /// large fleet changes all the time, and each session hears only of its own.
    pub fn changes_in(&self, cluster: ClusterUid) -> watch::Receiver<u64> {
        let mut clusters = self.shared.clusters();
        let sender = clusters.entry(cluster);
        sender.or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Becomes `Some` when the view can no longer follow the store; the hub must stop then.
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.shared.failed.subscribe()
    }

    /// What happens, for whoever watches.
    pub(crate) fn events(&self) -> &Log {
        &self.shared.events
    }

    /// The hub's term.
    pub fn epoch(&self) -> Epoch {
        self.epoch.epoch
    }

    /// The hub's time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What this hub counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The blobs.
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.blobs
    }

    /// The store itself, for reading what the view leaves out.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Commits `changes` with their audit records in one transaction, if nothing they were based on
    /// has changed. Returns once the view shows them.
    pub async fn commit(&self, changes: Changes) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let txn = self.transaction(changes);
        let begun = Instant::now();
        let outcome = self.store.transact(txn).await;
        let word = word(&outcome, &self.epoch.key());
        self.metrics
            .transaction(begun.elapsed().as_secs_f64(), word);
        let revision = match outcome? {
            tidegate_store::Outcome::Committed { revision } => revision,
            tidegate_store::Outcome::Conflict(conflict) => {
                let key = conflict.compare.key;
                if key == self.epoch.key() {
                    return Err(Error::Fenced {
                        epoch: self.epoch.epoch,
                    });
                }
                // Whoever decides again must see what was in the way.
                self.reached(self.store.revision().await?).await?;
                return Err(Error::Conflict { key });
            }
        };
        self.reached(revision).await
    }

    fn transaction(&self, changes: Changes) -> Txn {
        let state = self.read();
        let Changes {
            mut expected,
            mut writes,
            audit: decisions,
        } = changes;
        seal(
            &state,
            decisions,
            self.clock.now(),
            &mut expected,
            &mut writes,
        );
        let mut txn = Txn::new().when_unchanged(self.epoch.key(), self.epoch_revision);
        for (key, revision) in expected {
            txn = txn.when_unchanged(key, revision);
        }
        for (key, value) in writes {
            txn = match value {
                Some(value) => txn.put(key, value),
                None => txn.delete(key),
            };
        }
        txn
    }

    async fn reached(&self, revision: u64) -> Result<(), Error> {
        let mut seen = self.changes();
        let mut failed = self.failed();
        tokio::select! {
            reached = seen.wait_for(|seen| *seen >= revision) => {
                reached.map(|_| ()).map_err(|_| Error::Following("the hub is stopping".to_owned()))
            }
            why = failed.wait_for(Option::is_some) => {
                let why = why.ok().and_then(|why| why.clone());
                Err(Error::Following(why.unwrap_or_else(|| "the hub is stopping".to_owned())))
            }
        }
    }
}

/// How a transaction ended, in a word.
fn word(
    outcome: &Result<tidegate_store::Outcome, tidegate_store::Error>,
    epoch: &str,
) -> &'static str {
    match outcome {
        Ok(tidegate_store::Outcome::Committed { .. }) => "committed",
        Ok(tidegate_store::Outcome::Conflict(conflict)) if conflict.compare.key == epoch => {
            "fenced"
        }
        Ok(tidegate_store::Outcome::Conflict(_)) => "conflict",
        Err(_) => "failed",
    }
}

/// Everything of this version of the hub.
const PREFIX: &str = "/tidegate/v1/";

/// Takes the next term. Whoever reads the same term and writes second is refused.
async fn take_term(
    store: &dyn Store,
    clock: &Clock,
    holder: String,
) -> Result<(EpochRecord, u64), Error> {
    let now = clock.now();
    // A new store begins above any term that a lost one can have reached by counting, so that agents
    // which knew that hub obey this one.
    let first = u64::try_from(now.as_second()).unwrap_or(1).max(1);
    let mut record = EpochRecord {
        epoch: Epoch(first),
        holder,
        taken_at: now,
    };
    let key = record.key();
    let current = store.get(&key).await?;
    let mut revision = 0;
    if let Some(entry) = &current {
        let last = EpochRecord::decode(&key, &entry.value)?;
        record.epoch = Epoch(last.epoch.0 + 1);
        revision = entry.mod_revision;
    }
    let txn = Txn::new()
        .when_unchanged(&key, revision)
        .put(&key, record.encode());
    match store.transact(txn).await? {
        tidegate_store::Outcome::Committed { revision } => Ok((record, revision)),
        tidegate_store::Outcome::Conflict(_) => Err(Error::Fenced {
            epoch: record.epoch,
        }),
    }
}

/// Gives each decision its place in its project's chain and adds the records to the transaction.
fn seal(
    state: &State,
    decisions: Vec<Decision>,
    now: Timestamp,
    expected: &mut BTreeMap<String, u64>,
    writes: &mut BTreeMap<String, Option<Vec<u8>>>,
) {
    let mut heads: BTreeMap<String, AuditHead> = BTreeMap::new();
    for decision in decisions {
        let known = state
            .audit_heads
            .iter()
            .find(|head| head.project == decision.project);
        let head = heads
            .remove(&decision.project)
            .or_else(|| known.map(|head| AuditHead::clone(head)))
            .unwrap_or_else(|| audit::genesis(&decision.project));
        let (record, head) = audit::append(&head, &decision, now);
        let at = state
            .audit_heads
            .get(&head.key())
            .map_or(0, |row| row.revision);
        expected.insert(head.key(), at);
        expected.insert(record.key(), 0);
        writes.insert(record.key(), Some(record.encode()));
        writes.insert(head.key(), Some(head.encode()));
        heads.insert(head.project.clone(), head);
    }
}

#[cfg(test)]
mod tests;
