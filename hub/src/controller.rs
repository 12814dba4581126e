//! The loop that makes things happen: for every set, publish, promote, retire.
//!
//! Level-triggered and idempotent (design, decision 10): woken by changes of the store and of
//! sessions, with a period as a net; of many sets only those are looked at that a change concerns
//! (`turn`). The next pass is the retry, so an error of one set is noted and never stops another.
//! Decides nothing: the passes do.

mod turn;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidegate_model::ids::SetUid;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::turn::{Due, Turns};
use crate::{
    changes::Changes,
    db::{self, Db},
    evidence::Evidence,
    link::Sessions,
    poller::PollerHandle,
    promote,
    publish::{
        self,
        inputs::{Inputs, Rest},
    },
    records::SetRecord,
    restored, retire,
    settled::Settled,
    state::{Row, State},
    telemetry::{content, metrics::Metrics},
};

/// Passes over one set in a row before the others get their turn.
const BURST: usize = 64;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Db(#[from] db::Error),
    #[error(transparent)]
    Content(#[from] publish::gather::Error),
}

/// The component.
#[derive(Debug)]
pub struct Controller {
    db: Db,
    evidence: Evidence,
    sessions: Sessions,
    poller: PollerHandle,
    metrics: Metrics,
    settled: Settled,
    gatherer: Arc<publish::gather::Gatherer>,
    /// Where the publication of each set came to rest.
    published: BTreeMap<SetUid, Rest>,
    turns: Turns,
}

impl Controller {
    /// A controller over these parts of the hub.
    pub fn new(
        db: Db,
        evidence: Evidence,
        sessions: Sessions,
        poller: PollerHandle,
        settled: Settled,
    ) -> Self {
        let gatherer = publish::gather::Gatherer::new(poller.git().clone(), Arc::clone(db.blobs()));
        Self {
            metrics: db.metrics().clone(),
            db,
            evidence,
            sessions,
            poller,
            settled,
            gatherer: Arc::new(gatherer),
            published: BTreeMap::new(),
            turns: Turns::default(),
        }
    }

    /// What this controller reads and writes content with.
    pub fn content(&self) -> Arc<publish::gather::Gatherer> {
        Arc::clone(&self.gatherer)
    }

    /// Works until `cancel`, or until the hub may no longer write.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), db::Error> {
        let mut changes = self.db.changes();
        let mut sessions = self.sessions.changes();
        loop {
            let seen = *changes.borrow_and_update();
            let live = *sessions.borrow_and_update();
            let due = self.turns.due(&self.db.read(), live, Instant::now());
            for Due { set, project, name } in due {
                let looked = self.settle(&project, &name, &cancel).await?;
                if let Some(version) = looked {
                    self.turns.looked(set, version, live, Instant::now());
                }
            }
            self.settled.note(seen);
            let wake = self.turns.wake(&self.db.read(), Instant::now());
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                changed = sessions.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Passes over one set until there is nothing more to do for it now, or a pass failed: the version
    /// of it at which that was so. `None` when another write was in the way, or others get their turn
    /// first: then it is due again.
    async fn settle(
        &mut self,
        project: &str,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<u64>, db::Error> {
        for _ in 0..BURST {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let begun = Instant::now();
            let version = self.snapshot(project, name, |state, set| state.version(&set.record));
            let outcome = self.pass(project, name).await;
            let seconds = begun.elapsed().as_secs_f64();
            let failed = outcome.is_err();
            self.metrics.pass(seconds, failed);
            match outcome {
                Ok(true) => {}
                Ok(false) => return Ok(version),
                Err(Error::Db(error)) if error.is_retryable() => {
                    tracing::debug!(set = name, project, %error, "the next pass tries again");
                    return Ok(None);
                }
                Err(Error::Db(error @ (db::Error::Fenced { .. } | db::Error::Following(_)))) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(set = name, project, %error, "a pass failed; the next one tries again");
                    return Ok(version);
                }
            }
        }
        Ok(None)
    }

    /// One pass; says whether it changed anything.
    async fn pass(&mut self, project: &str, name: &str) -> Result<bool, Error> {
        let content = Arc::clone(&self.gatherer);
        let _pass = content.pass().await;
        let settled = {
            let state = self.db.read();
            let now = self.db.clock().now();
            state
                .set(project, name)
                .map(|row| restored::pass(&state, &self.evidence, row, now))
                .unwrap_or_default()
        };
        let settled = self.commit(settled).await?;
        let published = self.publish(project, name).await?;
        let promoted = self.promote(project, name).await?;
        let retired = {
            let state = self.db.read();
            state
                .set(project, name)
                .map(|row| retire::pass(&state, row))
                .unwrap_or_default()
        };
        let retired = self.commit(retired).await?;
        Ok(settled || published || promoted || retired)
    }

    async fn commit(&self, changes: Changes) -> Result<bool, Error> {
        let some = !changes.is_empty();
        self.db.commit(changes).await?;
        Ok(some)
    }

    async fn publish(&mut self, project: &str, name: &str) -> Result<bool, Error> {
        let Some(inputs) = self.snapshot(project, name, Inputs::of) else {
            return Ok(false);
        };
        let uid = inputs.uid();
        if self
            .published
            .get(&uid)
            .is_some_and(|rest| rest.holds(&inputs))
        {
            return Ok(false);
        }
        let begun = Instant::now();
        let candidate = self.gatherer.gather(inputs.clone()).await?;
        content::count(&self.metrics, &candidate, begun);
        self.poller.want(uid, candidate.wanted.clone());
        let publication = {
            let state = self.db.read();
            let Some(set) = state.set(project, name) else {
                return Ok(false);
            };
            let view = publish::pass::View {
                state: &state,
                set,
                candidate: &candidate,
                epoch: self.db.epoch(),
                now: self.db.clock().now(),
            };
            let clock = self.db.clock().clone();
            publish::pass::pass(&view, &mut move || clock.id())
        };
        for (tag, bytes) in publication.blobs {
            self.gatherer.keep(tag, bytes).await?;
        }
        let changed = self.commit(publication.changes).await?;
        self.metrics.published(begun.elapsed().as_secs_f64());
        if let Some(release) = &publication.release {
            content::tell(&self.db, release, &candidate, begun);
        }
        if !changed {
            // Only now is it sure that these inputs lead nowhere further.
            let rest = Rest::new(inputs, publication.quiet);
            self.published.insert(uid, rest);
        }
        Ok(changed)
    }

    async fn promote(&self, project: &str, name: &str) -> Result<bool, Error> {
        let begun = Instant::now();
        let Some(release) = self.snapshot(project, name, promote::wanted_release) else {
            return Ok(false);
        };
        let entries = match release {
            Some(digest) => self.gatherer.entries(digest).await?,
            None => Vec::new(),
        };
        let pass = {
            let state = self.db.read();
            let Some(set) = state.set(project, name) else {
                return Ok(false);
            };
            let now = self.db.clock().now();
            let clock = self.db.clock().clone();
            promote::pass(
                &promote::View {
                    state: &state,
                    evidence: &self.evidence,
                    set,
                    entries: &entries,
                    release,
                    epoch: self.db.epoch(),
                    now,
                },
                &mut move || clock.id(),
            )
        };
        let mut denied = BTreeSet::new();
        for order in &pass.deny {
            denied.extend(
                self.gatherer
                    .denied(order.bad, order.good, order.scope)
                    .await?,
            );
        }
        let changes = {
            let state = self.db.read();
            let Some(set) = state.set(project, name) else {
                return Ok(false);
            };
            promote::with_denies(pass, &set.record, denied, &state)
        };
        let changed = self.commit(changes).await?;
        if changed {
            self.metrics.stepped(begun.elapsed().as_secs_f64());
        }
        Ok(changed)
    }

    fn snapshot<T>(
        &self,
        project: &str,
        name: &str,
        read: impl FnOnce(&State, &Row<SetRecord>) -> T,
    ) -> Option<T> {
        let state = self.db.read();
        state.set(project, name).map(|set| read(&state, set))
    }
}

#[cfg(test)]
mod tests;
