//! Follows sources: fetches each when it is due and records the commit it stands at.
//!
//! Owns when to fetch: a period with jitter, so that a thousand sources do not fetch in one breath,
//! and at once when a set names a new source or a person asks. Never reads trees and never decides
//! what a commit changes. A failed fetch keeps the last good commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream};
use rand::Rng as _;
use tidegate_model::{ids::SetUid, source::RepoRevision};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    changes::{Changes, Decision},
    db::{self, Db},
    git::{self, Git},
    records::{FLEET, Record as _, SourceRecord},
    telemetry::content::{self, Work},
};

/// Fetches under way at once.
const CONCURRENCY: usize = 8;

type Wanted = BTreeMap<SetUid, BTreeSet<RepoRevision>>;

/// The component; [`Poller::run`] is its loop.
#[derive(Debug)]
pub struct Poller {
    handle: PollerHandle,
    wanted: watch::Receiver<Wanted>,
    interval: Duration,
}

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PollerHandle {
    db: Db,
    git: Git,
    wanted: Arc<watch::Sender<Wanted>>,
}

impl Poller {
    /// A poller that looks at every source once an `interval`.
    pub fn new(db: Db, git: Git, interval: Duration) -> (Self, PollerHandle) {
        let (sender, wanted) = watch::channel(Wanted::new());
        let handle = PollerHandle {
            db,
            git,
            wanted: Arc::new(sender),
        };
        (
            Self {
                handle: handle.clone(),
                wanted,
                interval,
            },
            handle,
        )
    }

    /// Polls until `cancel`.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut due: BTreeMap<RepoRevision, Instant> = BTreeMap::new();
        let mut running: JoinSet<RepoRevision> = JoinSet::new();
        let mut busy: BTreeSet<RepoRevision> = BTreeSet::new();
        loop {
            self.schedule(&mut due);
            let now = now();
            for source in ready(&due, &busy, now) {
                let handle = self.handle.clone();
                busy.insert(source.clone());
                running.spawn(async move {
                    handle.poll(&source).await;
                    source
                });
            }
            let next = due
                .iter()
                .filter(|(source, _)| !busy.contains(*source))
                .map(|(_, at)| *at)
                .min();
            let next = next.unwrap_or(now + self.interval);
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = self.wanted.changed() => if changed.is_err() { return },
                Some(done) = running.join_next() => {
                    if let Ok(source) = done {
                        busy.remove(&source);
                        due.insert(source, now_plus(self.interval));
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// New sources are due at once, forgotten ones never again.
    fn schedule(&mut self, due: &mut BTreeMap<RepoRevision, Instant>) {
        let wanted: BTreeSet<_> = self
            .wanted
            .borrow_and_update()
            .values()
            .flatten()
            .cloned()
            .collect();
        due.retain(|source, _| wanted.contains(source));
        let at = now();
        for source in wanted {
            due.entry(source).or_insert(at);
        }
    }
}

fn ready(
    due: &BTreeMap<RepoRevision, Instant>,
    busy: &BTreeSet<RepoRevision>,
    now: Instant,
) -> Vec<RepoRevision> {
    due.iter()
        .filter(|(source, at)| **at <= now && !busy.contains(*source))
        .map(|(source, _)| source.clone())
        .take(CONCURRENCY.saturating_sub(busy.len()))
        .collect()
}

fn now() -> Instant {
    // tokio's timer clock, which tests can hold; never stored and never shown.
    Instant::now()
}

fn now_plus(interval: Duration) -> Instant {
    now() + interval.mul_f64(rand::rng().random_range(0.8..1.2))
}

impl PollerHandle {
    /// Says which sources a set follows now; an empty set of sources forgets them.
    pub fn want(&self, set: SetUid, sources: BTreeSet<RepoRevision>) {
        self.wanted.send_if_modified(|wanted| {
            if wanted.get(&set) == Some(&sources) {
                return false;
            }
            wanted.insert(set, sources);
            true
        });
    }

    /// Stops following what only this set followed.
    pub fn forget(&self, set: SetUid) {
        self.wanted
            .send_if_modified(|wanted| wanted.remove(&set).is_some());
    }

    /// Whether a source may be fetched at all: scheme and form of the address.
    pub fn check(&self, source: &RepoRevision) -> Result<(), git::Error> {
        self.git.check(source)
    }

    /// The repositories.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// Fetches these now and says where they stand; a failed one carries its error.
    pub async fn refresh(
        &self,
        sources: Vec<RepoRevision>,
    ) -> Result<Vec<SourceRecord>, db::Error> {
        let fetches = sources
            .into_iter()
            .map(|source| async move { self.fetch(&source).await });
        let results: Vec<_> = stream::iter(fetches).buffered(CONCURRENCY).collect().await;
        results.into_iter().collect()
    }

    async fn poll(&self, source: &RepoRevision) {
        if let Err(error) = self.fetch(source).await {
            tracing::error!(repo = source.repo_url, revision = source.revision, %error, "failed to record a source");
        }
    }

    async fn fetch(&self, source: &RepoRevision) -> Result<SourceRecord, db::Error> {
        let begun = now();
        let fetched = self.git.fetch(source).await;
        let work = Work::since(begun);
        if let Err(error) = &fetched {
            tracing::warn!(repo = source.repo_url, revision = source.revision, %error, "failed to fetch");
        }
        loop {
            let (record, changes) = self.record(source, &fetched);
            let moved = changes
                .audit
                .iter()
                .any(|decision| decision.before != decision.after);
            match self.db.commit(changes).await {
                Ok(()) => {
                    content::fetched(&self.db, &record, work, moved);
                    return Ok(record);
                }
                Err(error @ db::Error::Conflict { .. }) => {
                    tracing::debug!(%error, "recording again");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What to store; nothing when neither commit nor error changed, so that quiet sources cost no
    /// writes.
    fn record(
        &self,
        source: &RepoRevision,
        fetched: &Result<git::Fetched, git::Error>,
    ) -> (SourceRecord, Changes) {
        let mut record = SourceRecord {
            source: source.clone(),
            commit: None,
            checked_at: self.db.clock().now(),
            error: None,
        };
        let state = self.db.read();
        let known = state.sources.get(&record.key());
        record.commit = known.and_then(|row| row.record.commit.clone());
        match fetched {
            Ok(fetched) => record.commit = Some(fetched.commit.clone()),
            Err(error) => record.error = Some(error.to_string()),
        }
        let mut changes = Changes::default();
        let same = known.is_some_and(|row| {
            row.record.commit == record.commit && row.record.error == record.error
        });
        if !same {
            changes.upsert(known, &record);
            if fetched.is_ok() {
                let before = known
                    .and_then(|row| row.record.commit.clone())
                    .unwrap_or_default();
                let after = record.commit.clone().unwrap_or_default();
                let subject = format!("source/{}@{}", source.repo_url, source.revision);
                let decision = Decision::by_system(FLEET, "source.commit", subject, String::new());
                changes.decide(decision.from_to(before, after));
            }
        }
        (record, changes)
    }
}

#[cfg(test)]
mod tests;
